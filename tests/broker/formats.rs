//! Nodes of several versions on one journal: the format of entries, and the state that they fold.

use serde_json::{Value, json};

use crate::nodes::{Fellow, minted, world};
use crate::webhooks::until;
use crate::world::World;
use crate::world::client::get;

async fn formats(world: &World) -> Value {
    world.admin_get("/v1/journal/formats", "alan").await
}

/// The format is never raised beyond what a node reads that lives, and by an administrator alone who has seen what all read.
#[tokio::test]
async fn the_format_is_the_smallest_that_all_nodes_read() {
    let (database, mut world) = world().await;
    let shown = formats(&world).await;
    assert_eq!((&shown["recorded"], &shown["smallest"]), (&json!(2), &json!(2)), "{shown}");
    // A node of an earlier version.
    database.ask(
        "INSERT INTO nodes (id, instance, version, size, ahead, format, lease_until) \
         VALUES ('sts-9', 'old', '0', 2, 0, 1, clock_timestamp() + interval '1 h')",
    );
    let shown = formats(&world).await;
    assert_eq!((&shown["recorded"], &shown["smallest"]), (&json!(2), &json!(1)), "{shown}");
    let raise = async |person: &str, to: u32| {
        let answer = world.admin_post("/v1/journal/formats/raise", person, &json!({"to": to})).await;
        (answer.status, answer.json())
    };
    let (status, problem) = raise("adam", 2).await;
    assert_eq!((status, &problem["reason"]), (412, &json!("plan.stale")), "one node reads less");
    assert_eq!(raise("adam", 1).await, (200, json!({"changed": false})), "it is never lowered");
    assert_eq!(raise("sven", 1).await.0, 403);
    database.ask("DELETE FROM nodes WHERE id = 'sts-9'");
    assert_eq!(raise("adam", 2).await, (200, json!({"changed": false})));
    let listed = world.admin_get("/v1/journal?kind=journal.format-raised", "alan").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0));
    world.stop().await;
}

/// One of two nodes that fold different states may be wrong, so neither mints; a third that agrees with one decides.
#[tokio::test]
async fn nodes_that_fold_different_states_mint_nothing_until_most_agree() {
    let (database, mut world) = world().await;
    let node = world.public;
    let folded = "SELECT length(folded) FROM nodes WHERE id = 'sts-1'";
    until("it tells what it folded", async || database.ask(folded).parse::<u32>().is_ok_and(|length| length >= 40)).await;
    minted(&world, node).await;
    // As a node of another version would, whose program makes something else of the newest change.
    database.ask(
        "INSERT INTO nodes (id, instance, version, size, ahead, folded, lease_until) \
         SELECT 'sts-9', 'wrong', '2', size, 0, substring(folded from length(folded) - 39 for 8) || decode(repeat('ab', 32), 'hex'), \
         clock_timestamp() + interval '1 h' FROM nodes WHERE id = 'sts-1'",
    );
    until("it is not ready", async || get(node, "/readyz").await.status == 503).await;
    let told = get(world.admin, "/readyz?verbose").await.json();
    let check = told["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "state").expect("a check");
    assert!(check["ok"] == false && check["detail"].as_str().is_some_and(|why| why.contains("sts-9")), "{check}");
    let issued = world.issued().await;
    let refused = world.exchange_proof_at(node, &world.assertion("production")).await;
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (503, Some("store.unavailable")), "{}", refused.text());
    assert_eq!(world.issued().await, issued, "nothing was minted");
    // Two that agree put the third aside.
    let mut second = Fellow::of(&world, "sts-2");
    second.try_boot(&world).await.expect("it starts");
    second.until_ready().await;
    until("it is ready again", async || get(node, "/readyz").await.status == 200).await;
    for node in [node, second.public] {
        minted(&world, node).await;
    }
    // Alone with the other one again, and then alone.
    second.stop().await;
    until("one of two", async || get(node, "/readyz").await.status == 503).await;
    database.ask("UPDATE nodes SET lease_until = clock_timestamp() - interval '1 s' WHERE id = 'sts-9'");
    until("what a node that is gone told is over", async || get(node, "/readyz").await.status == 200).await;
    minted(&world, node).await;
    world.stop().await;
}
