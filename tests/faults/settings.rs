//! A server whose settings come to lose what it confirms, while nodes run on it.

use std::time::{Duration, Instant};

use super::stage::{Shape, Stage, Store};

/// Asks until a node is ready, or says these words why not.
async fn told(stage: &Stage, words: Option<&str>) {
    let begun = Instant::now();
    loop {
        let (is_ready, checks) = (stage.nodes[0].is_ready().await, stage.nodes[0].checks().await);
        if words.map_or(is_ready, |words| !is_ready && checks.contains(words)) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{words:?}: {checks}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Each setting by itself makes the node not ready within seconds, with words, and it comes back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_to_lose_what_it_confirms_makes_its_node_not_ready() {
    let stage = Stage::start(Shape { store: Store::Postgres, ..Shape::of_nodes(1) }).await;
    let pair = stage.postgres.as_ref().expect("PostgreSQL");
    let set = async |what: &str| {
        for statement in [what, "SELECT pg_reload_conf()::text"] {
            pair.sql(pair.primary(), "postgres", statement).await.expect("set");
        }
    };
    told(&stage, None).await;
    for (wrong, right, words) in [
        ("full_page_writes = off", "full_page_writes = on", "a crash may leave half a page"),
        ("fsync = off", "fsync = on", "may be gone after a crash"),
    ] {
        set(&format!("ALTER SYSTEM SET {wrong}")).await;
        told(&stage, Some(words)).await;
        set(&format!("ALTER SYSTEM SET {right}")).await;
        told(&stage, None).await;
    }
    let names = pair.sql(pair.primary(), "postgres", "SHOW synchronous_standby_names").await.expect("a setting").remove(0);
    set("ALTER SYSTEM SET synchronous_standby_names = ''").await;
    told(&stage, Some("no commit waits for it")).await;
    set(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await;
    told(&stage, None).await;
}
