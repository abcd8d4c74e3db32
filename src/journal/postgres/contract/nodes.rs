//! The nodes of a journal, and what an instance may still write after another took its id.

use super::*;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::NodeId;
use crate::journal::postgres::PostgresNodes;
use crate::journal::store::nodes::{FoldedState, Joined, Nodes, Renewed, Told};
use crate::journal::store::write::Author;

fn told(id: &str, instance: &str) -> Told {
    Told {
        id: id.parse().expect("an id"),
        instance: instance.to_owned(),
        version: "1",
        size: 7,
        ahead: -1,
        unready: Some("its disk".to_owned()),
        format: 2,
        folded: vec![FoldedState { index: 3, digest: Digest::of(b"a state") }],
    }
}

fn author(id: &NodeId, instance: &str, compares_clocks: bool) -> Author {
    Author { id: id.clone(), instance: instance.to_owned(), compares_clocks }
}

/// Ends every lease, as if the time had passed.
async fn run_out(database: &Database) {
    let ended = "UPDATE nodes SET lease_until = clock_timestamp() - interval '1 ms'; \
        UPDATE runner SET lease_until = clock_timestamp() - interval '1 ms'";
    database.hand().await.client.batch_execute(ended).await.expect("runs out");
}

fn runs(renewed: Renewed) -> Option<u64> {
    match renewed {
        Renewed::Done { runs, .. } => runs,
        Renewed::Superseded => panic!("superseded"),
    }
}

async fn opened() -> (Database, Node, PostgresNodes) {
    let database = Database::fresh().await;
    let node = Node::on(&database, None).await;
    let nodes = PostgresNodes::at(database.0.clone());
    (database, node, nodes)
}

#[tokio::test]
async fn an_id_is_taken_over_once_its_lease_has_run_out_or_was_given_back() {
    let (database, _node, mut nodes) = opened().await;
    let (first, second, third) = (told("sts-1", "first"), told("sts-1", "second"), told("sts-1", "third"));
    assert_eq!(nodes.join(&first).await.expect("joins"), Joined::Done);
    assert!(matches!(nodes.renew(&first).await.expect("renews"), Renewed::Done { .. }));
    let Joined::Taken(other) = nodes.join(&second).await.expect("answers") else { panic!("a node of this id lives") };
    assert_eq!((other.id.as_str(), &*other.instance, other.size, other.ahead), ("sts-1", "first", 7, -1));
    assert!(other.left.is_some_and(|left| (1..=5000).contains(&left)), "{other:?}");
    assert_eq!(nodes.renew(&second).await.expect("answers"), Renewed::Superseded, "it never had the id");
    run_out(&database).await;
    assert!(matches!(nodes.renew(&first).await.expect("renews"), Renewed::Done { .. }), "nobody took it meanwhile");
    run_out(&database).await;
    assert_eq!(nodes.join(&second).await.expect("joins"), Joined::Done);
    assert_eq!(nodes.renew(&first).await.expect("answers"), Renewed::Superseded);
    nodes.leave(&first).await.expect("gives back nothing");
    assert!(matches!(nodes.join(&third).await.expect("answers"), Joined::Taken(_)), "the first has nothing to give back");
    nodes.leave(&second).await.expect("gives back");
    assert_eq!(nodes.join(&third).await.expect("joins"), Joined::Done);
    let all = nodes.all().await.expect("reads");
    assert_eq!(all.iter().map(|node| &*node.instance).collect::<Vec<_>>(), ["third"]);
}

#[tokio::test]
async fn the_single_tasks_have_one_runner_and_its_number_rises() {
    let (database, _node, mut nodes) = opened().await;
    let (one, other) = (told("sts-1", "one"), told("sts-2", "other"));
    nodes.join(&one).await.expect("joins");
    nodes.join(&other).await.expect("joins");
    assert_eq!(runs(nodes.renew(&one).await.expect("renews")), Some(1));
    assert_eq!(runs(nodes.renew(&other).await.expect("renews")), None);
    assert_eq!(runs(nodes.renew(&one).await.expect("renews")), Some(1), "as long as it renews");
    run_out(&database).await;
    assert_eq!(runs(nodes.renew(&other).await.expect("renews")), Some(2));
    assert_eq!(runs(nodes.renew(&one).await.expect("renews")), None);
    let all = nodes.all().await.expect("reads");
    assert_eq!(all.iter().map(|node| (node.id.as_str(), node.runs)).collect::<Vec<_>>(), [("sts-1", false), ("sts-2", true)]);
    nodes.leave(&other).await.expect("gives back");
    assert_eq!(runs(nodes.renew(&one).await.expect("renews")), Some(3));
}

/// In each way, and whether the batch was sent before or after.
#[tokio::test]
async fn an_instance_whose_id_was_taken_writes_nothing_more() {
    let (database, mut node, mut nodes) = opened().await;
    nodes.join(&told("sts-1", "first")).await.expect("joins");
    let id: NodeId = "sts-1".parse().expect("an id");
    node.writer.write_as(author(&id, "first", false));
    node.write(Way::StepByStep, &TOKEN, &[proof(1, 1000)]).await;
    node.write(Way::AtOnce, &TOKEN, &[proof(2, 1000)]).await;
    run_out(&database).await;
    nodes.join(&told("sts-1", "second")).await.expect("joins");
    let (batch, _) = node.batch(&TOKEN, 0);
    assert_eq!(node.writer.record(batch, &[proof(3, 1000)]).await.expect("answers"), Tried::Not);
    assert!(matches!(node.writer.begin(&node.head, &[]).await, Err(StoreFault::Superseded)));
    assert_eq!(node.end().await, node.found());
    assert!(!node.reader.is_spent(&proof(3, 1000).0).await.expect("reads"));
    // The one that has it goes on.
    let mut second = Node::on(&database, Some(&node)).await;
    second.writer.write_as(author(&id, "second", false));
    second.write(Way::StepByStep, &TOKEN, &[proof(3, 1000)]).await;
}

/// L-10: an entry whose time is not that of the database's clock would live too long, or die too early, for every other node.
#[tokio::test]
async fn l_10_a_batch_of_another_time_than_the_databases_is_not_written() {
    let (_database, mut node, mut nodes) = opened().await;
    nodes.join(&told("sts-1", "first")).await.expect("joins");
    let Renewed::Done { now, .. } = nodes.renew(&told("sts-1", "first")).await.expect("renews") else { panic!("superseded") };
    let noon = at(0).as_seconds();
    node.writer.write_as(author(&"sts-1".parse().expect("an id"), "first", true));
    node.write_at(Way::StepByStep, &TOKEN, &[proof(1, 100_000_000_000)], now - noon).await;
    node.write_at(Way::AtOnce, &TOKEN, &[proof(2, 100_000_000_000)], now - noon).await;
    for apart in [-10, 10, 86_400] {
        let (batch, _) = node.batch(&TOKEN, now - noon + apart);
        let spends = [proof(3, 100_000_000_000)];
        assert_eq!(node.writer.record(batch, &spends).await.expect("answers"), Tried::Not, "{apart}");
        node.writer.begin(&node.head, &spends).await.expect("begins");
        let (batch, _) = node.batch(&TOKEN, now - noon + apart);
        node.writer.append(batch).await.expect("appends");
        node.writer.commit().await.expect_err("not written");
        assert_eq!(node.writer.settle().await.expect("settles"), node.found(), "{apart}");
        assert!(!node.reader.is_spent(&spends[0].0).await.expect("reads"));
    }
    node.write_at(Way::AtOnce, &TOKEN, &[proof(3, 100_000_000_000)], now - noon).await;
}
