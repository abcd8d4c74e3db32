//! Two nodes on one journal and one Redis: each follows what the other wrote, and neither takes it for a fork.

use std::time::{Duration, Instant};

use carnet::journal::Loss;
use carnet::serve::Running;
use serde_json::json;

use crate::world::{Options, World, get, jti};

/// The time in which a node takes in what another one wrote.
const FOLLOWS: Duration = Duration::from_secs(5);

async fn ready(node: &Running) -> bool {
    get(node.admin, "/readyz").await.status == 200
}

async fn becomes_ready(node: &Running, what: &str) {
    let begun = Instant::now();
    while !ready(node).await {
        let told = get(node.admin, "/readyz?verbose").await.text();
        assert!(begun.elapsed() < FOLLOWS, "{what}: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two nodes mint and revoke on one journal. A marker that is ahead of a node's view is news, and ends neither of them.
#[tokio::test]
async fn two_nodes_follow_each_other() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let mut other = world.another_node().await;
    let mut minted = [0_u32; 2];
    for round in 0..20 {
        // A node that just took in what the other wrote may ask its caller to come again.
        for (at, count) in minted.iter_mut().enumerate() {
            let node = if at == 0 { world.running.as_ref().expect("runs") } else { &other };
            let answer = world.exchange_at(node).await;
            assert!(matches!(answer.status, 200 | 503), "round {round}, node {at}: {}", answer.text());
            *count += u32::from(answer.status == 200);
        }
        if round % 5 == 0 {
            let body = json!({"partner": "globex", "tokensOnly": true, "reason": format!("round {round}")});
            let answer = world.admin_post("/v1/revocations", "sven", &body).await;
            assert!(answer.status < 300 || answer.status == 503, "round {round}: {}", answer.text());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for node in [world.running.as_ref().expect("runs"), &other] {
        let health = node.broker.journal.health();
        assert!(health.stopped.is_none(), "{:?}", health.stopped);
        becomes_ready(node, "at the end").await;
    }
    assert!(minted.iter().all(|count| *count >= 15), "{minted:?}");
    // What one node revokes is over at the other, which issued it.
    let token = world.exchange_at(&other).await.json()["access_token"].as_str().expect("a token").to_owned();
    let body = json!({"token": jti(&token), "reason": "leaked"});
    let begun = Instant::now();
    while world.admin_post("/v1/revocations", "sven", &body).await.status >= 300 {
        assert!(begun.elapsed() < FOLLOWS, "the token is known to the first node");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        let answer = world.introspect_at(other.public, &token).await;
        if answer.status == 200 && answer.json()["active"] == false {
            break;
        }
        assert!(begun.elapsed() < FOLLOWS, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Neither rebuilt what the other keeps in order, again and again.
    let rebuilt = |node: &Running| node.broker.follower.rebuilt();
    assert!(rebuilt(&other) <= 4 && rebuilt(world.running.as_ref().expect("runs")) <= 4);
    assert!(world.running.as_mut().expect("runs").is_sound() && other.is_sound());
    other.shutdown().await;
}

/// a node whose journal stopped may be behind others, so it says no longer that the index is complete.
#[tokio::test]
async fn r_09_a_node_whose_journal_stopped_renews_nothing() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let time = |world: &World| {
        let told = world.redis.as_ref().expect("redis").command(&["HGET", "carnet:{production}:complete", "time"]);
        told.trim().parse::<u64>().expect("a time")
    };
    world.leaves_unverified("a proof that it lost entries is put beside its anchor");
    let before = time(&world);
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert!(time(&world) > before, "a sound node renews it");
    let journal = world.running.as_ref().expect("runs").broker.journal.clone();
    journal.stop_lost(Loss { note: String::new(), epoch: 1, size: 999_999 }).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let stopped = time(&world);
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(time(&world), stopped);
    assert!(world.running.as_mut().expect("runs").is_sound(), "it stays alive");
    assert!(!ready(world.running.as_ref().expect("runs")).await);
}

/// A Redis that may evict revocations keeps a node from starting.
#[tokio::test]
async fn no_node_starts_on_a_redis_that_evicts() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    world.stop().await;
    let policy = |world: &World, policy: &str| {
        drop(world.redis.as_ref().expect("redis").command(&["CONFIG", "SET", "maxmemory-policy", policy]));
    };
    policy(&world, "allkeys-lru");
    let fault = world.try_boot().await.expect_err("it does not start");
    let carnet::serve::StartFault::Configuration(faults) = fault else { panic!("{fault}") };
    assert!(faults.iter().any(|one| one.to_string().contains("maxmemory-policy is not noeviction")), "{faults:?}");
    policy(&world, "noeviction");
    world.boot().await;
    becomes_ready(world.running.as_ref().expect("runs"), "put right").await;
    world.minted().await;
}
