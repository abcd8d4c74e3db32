//! How long a revocation takes until it holds at every node (`make bench-nodes`).
//!
//! A revocation is answered when every node that lives has followed it and the live index has it, so the time of its answer is the time to
//! effect. Then each node is asked, and must say that the token is not active. Where stores fail over, the request is repeated with the
//! same key until it is answered, and the time counts from the first try.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::clients::{Held, Reach, jti};
use super::dice::Dice;
use super::records::NEVER_BARRED;
use super::stage::{Shape, Stage};
use crate::world::client::unique;

/// Revocations of a row of the table, at least.
const SAMPLES: usize = 1000;

/// How long the load goes on before the first server is killed, between one and the next, and after the last.
const BETWEEN: Duration = Duration::from_secs(15);

/// Prints the table.
pub async fn measure(shape: &Shape) {
    let mut stage = Stage::start(shape.clone()).await;
    println!("revocations on {} nodes, milliseconds until one holds at every node", stage.nodes.len());
    println!("{:<44}{:>8}{:>8}{:>8}{:>8}", "", "number", "p50", "p99", "max");
    let over = Arc::new(AtomicBool::new(true));
    tell("quiet", revoke(Arc::clone(&stage.reach), Arc::clone(&over)).await);
    over.store(false, Ordering::SeqCst);
    let revoking = tokio::spawn(revoke(Arc::clone(&stage.reach), Arc::clone(&over)));
    tokio::time::sleep(BETWEEN).await;
    stage.redis[0].process.kill();
    tokio::time::sleep(BETWEEN).await;
    stage.redis[0].restart();
    if let Some(postgres) = &mut stage.postgres {
        postgres.fail_over().await;
    }
    tokio::time::sleep(BETWEEN).await;
    over.store(true, Ordering::SeqCst);
    tell("the master of Redis and of PostgreSQL killed", revoking.await.expect("every revocation is answered and holds"));
}

fn tell(name: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let at = |part: usize| samples[(samples.len() * part / 100).min(samples.len() - 1)].as_secs_f64() * 1e3;
    println!("{name:<44}{:>8}{:>8.1}{:>8.1}{:>8.1}", samples.len(), at(50), at(99), at(100));
}

/// Revokes one token after the other, until it is over and there are enough.
async fn revoke(reach: Arc<Reach>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut dice = Dice::of(7, 0);
    let mut samples = Vec::with_capacity(SAMPLES);
    while samples.len() < SAMPLES || !over.load(Ordering::SeqCst) {
        let Some(held) = minted(&reach, &mut dice).await else { continue };
        let (begun, key, cut) = (Instant::now(), unique(), json!({"of": "token", "id": held.jti}));
        while !matches!(reach.revoke(reach.any(&mut dice), &cut, false, &key).await.status, 200..300) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(begun.elapsed() < Duration::from_secs(60), "a revocation is not answered");
        }
        samples.push(begun.elapsed());
        for node in 0..reach.nodes() {
            let answer = reach.introspect(node, &held, false).await;
            assert!(answer.body["active"] != true, "node {node} calls a revoked token active");
        }
    }
    samples
}

async fn minted(reach: &Reach, dice: &mut Dice) -> Option<Held> {
    let answer = reach.exchange(reach.any(dice), NEVER_BARRED, "orders:read", &reach.proof(NEVER_BARRED)).await;
    let token = answer.body["access_token"].as_str().map(str::to_owned);
    let held = token.and_then(|token| Some(Held { jti: jti(&token)?, token, integration: NEVER_BARRED.to_owned() }));
    if held.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    held
}
