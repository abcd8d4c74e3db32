//! More exchanges at once than a node works at (docs/reference/limits.md).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::together;
use crate::world::store::Database;
use crate::world::{Answer, Options, World};

/// What a node works at.
const AT_WORK: usize = 256;

/// More than that.
const TOGETHER: usize = AT_WORK + 44;

/// Holds the table of entries, longer than an exchange waits for its turn. Readers go on.
const HOLD: &str = "BEGIN; LOCK TABLE entries IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(3)";

/// Whether somebody has it so.
const IS_HELD: &str =
    "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted AND relation = 'entries'::regclass";

/// Whoever gets no turn within a second is told when to come back, and has spent nothing.
#[tokio::test]
async fn who_gets_no_turn_is_told_when_to_come_back_and_has_spent_nothing() {
    let database = Arc::new(Database::new());
    let journal = Some(format!("url = \"{}\"\n", database.url));
    // Callers of verdicts are proxies, whose connections are not counted.
    let configuration = "verify_callers = [\"127.0.0.0/8\"]\n[node]\nid = \"sts-1\"\n".to_owned();
    let world = World::with(Options { journal, configuration, ..Options::default() }).await;
    let before = world.issued().await;
    let proofs: Vec<String> = (0..TOGETHER).map(|_| world.assertion("production")).collect();
    let held = Arc::clone(&database);
    let holder = tokio::task::spawn_blocking(move || held.ask(HOLD));
    while database.ask(IS_HELD) != "1" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = together(proofs.iter().map(|proof| world.exchange("production", proof, "orders:read"))).await;
    holder.await.expect("it lets go");
    let mut told = BTreeMap::<String, BTreeSet<usize>>::new();
    for (at, answer) in asked.iter().enumerate() {
        assert!(answer.status == 200 || answer.status == 503, "{}", answer.text());
        let reason = answer.json()["reason"].as_str().unwrap_or("a token").to_owned();
        told.entry(reason).or_default().insert(at);
    }
    let busy = told.remove("node.busy").unwrap_or_default();
    assert_eq!(busy.len(), TOGETHER - AT_WORK, "{told:?}");
    let refused = asked.iter().filter(|answer| answer.status == 503);
    let after = |answer: &Answer| answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    let times: BTreeSet<u32> = refused.map(after).collect();
    assert!(times.len() > 1 && times.iter().all(|seconds| (1..=10).contains(seconds)), "{times:?}: they come back apart");
    // The store is well again a moment after it is let go.
    for _ in 0..100 {
        if world.exchange("production", &world.assertion("production"), "orders:read").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let issued = world.issued().await;
    assert!(issued <= before + AT_WORK + 1, "{issued}: none of those without a turn was minted");
    for at in &busy {
        let answer = world.exchange("production", &proofs[*at], "orders:read").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(world.issued().await, issued + busy.len());
}
