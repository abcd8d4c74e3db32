//! What a server shows that its standbys do not have, and a failover would take away.

use std::time::{Duration, Instant};

use super::super::cluster::Cluster;
use super::super::read;
use super::*;

/// How many processes of the server wait for a standby.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// The standbys that a commit waits for from now on.
async fn standbys(database: &Database, named: &str) {
    let hand = database.hand().await;
    hand.client.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{named}'")).await.expect("set");
    hand.client.batch_execute("SELECT pg_reload_conf()").await.expect("read");
    loop {
        let now = hand.client.query_one("SHOW synchronous_standby_names", &[]).await.expect("shown");
        if now.get::<_, String>(0) == named {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A primary that is back after a crash, and whose standby is not there: an entry is in its log, and nowhere else. A node follows it once a
/// standby has it. An operator, who looks at the server as it is, reads it.
#[tokio::test]
async fn a_node_reads_nothing_that_no_standby_has() {
    let cluster = Cluster::start(&["-c", "listen_addresses="], &[]);
    let database = Database(address(&cluster.folder, &cluster.database()));
    let mut node = Node::on(&database, None).await;
    // It has read nothing yet, and so has no connection.
    let (_writer, reader) = super::super::open(&database.0, false, &keys()).await.expect("opens").expect("is there");
    let follower = Reader::of(reader);
    node.write(Way::StepByStep, &TOKEN, &[]).await;
    standbys(&database, "nobody").await;

    // The server keeps no process for a node that has given up.
    let hand = database.hand().await;
    let waits = async |are: bool| {
        let begun = Instant::now();
        while (hand.client.query_one(WAITING, &[]).await.expect("counts").get::<_, i64>(0) > 0) != are {
            assert!(begun.elapsed() < Duration::from_secs(60), "{are}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (refused, ()) = tokio::join!(follower.body(0), waits(true));
    let fault = refused.expect_err("nothing is read");
    assert!(fault.is_away(), "{fault:?}");
    waits(false).await;
    assert!(super::super::open(&database.0, false, &keys()).await.is_err(), "nor does a node start");
    waits(false).await;
    let operator = Reader::of(read(&database.0, &keys().rows).await.expect("connects").expect("is there"));
    assert!(operator.body(0).await.expect("reads").is_some(), "it is read as it is");
    follower.body(0).await.expect_err("a wait that was given up confirms nothing");

    standbys(&database, "").await;
    assert!(follower.body(0).await.expect("reads").is_some(), "it is confirmed now");
}
