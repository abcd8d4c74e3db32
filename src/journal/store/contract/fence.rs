//! A batch stands on the head that its writer knew, or nowhere.

use super::*;
use crate::domain::log::change::Change;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::log::journal::JournalChange;
use crate::domain::people::actor::Actor;

const FIRST: [Said; 1] = [(ISSUED, "globex/order-sync", "{\"by\":\"the first\"}")];
const SECOND: [Said; 1] = [(ISSUED, "globex/order-sync", "{\"by\":\"the second\"}")];

/// Every way to write on the head that `late` knows fails, and the log stays as `now` knows it.
async fn assert_fenced(late: &mut Node, now: &Node) {
    let (batch, _) = late.batch(&FIRST, 0);
    assert_eq!(late.writer.record(batch, &[proof(1, 1000)]).await.expect("answers"), Tried::Not);
    let begun = late.writer.begin(&late.head, &[proof(1, 1000)]).await.expect("begins");
    assert_eq!(begun.since.found, now.found(), "it is told where the log ends");
    assert!(begun.fresh.is_empty(), "nothing is spent by who does not know the head");
    let (batch, _) = late.batch(&FIRST, 0);
    assert!(late.writer.append(batch).await.is_err(), "the log does not end there");
    late.writer.abort().await.expect("gives up");
    assert_eq!(now.end().await, now.found());
    assert_eq!(now.bodies().await.len() as u64, now.head.size);
    assert!(!now.reader.is_spent(&proof(1, 1000).0).await.expect("reads"), "what failed spent nothing");
}

pub async fn a_batch_on_an_earlier_head_is_refused(store: &dyn Candidate) {
    let mut first = Node::on(store, None).await;
    let mut second = Node::on(store, None).await;
    second.write(Way::AtOnce, &SECOND, &[]).await;
    assert_fenced(&mut first, &second).await;
    // Neither a head of another size nor one of another root.
    first.head.size = second.head.size;
    assert_fenced(&mut first, &second).await;
    // A head of the same size and root, and of another change or time.
    first.head.root = second.head.root;
    assert_fenced(&mut first, &second).await;
    (first.head, first.tree) = (second.head.clone(), second.tree.clone());
    first.write(Way::StepByStep, &FIRST, &[]).await;
    assert_fenced(&mut second, &first).await;
}

/// After `journal reopen` a node that still runs is of the epoch before.
pub async fn a_writer_of_an_earlier_epoch_is_refused(store: &dyn Candidate) {
    let mut before = Node::on(store, None).await;
    before.write(Way::AtOnce, &FIRST, &[]).await;
    let mut after = Node::on(store, Some(&before)).await;
    let what =
        Change::Journal(JournalChange::Reopened { epoch: 2, mints_from: at(3600), corrects: None, again: 0, forgotten: 0 });
    let entry = ChangeEntry {
        index: 1,
        time: at(0),
        subject: what.subject(),
        request_id: None,
        prior: None,
        change: what.by(Actor::Operator),
    };
    let mut tree = after.tree.clone();
    let batch = Batch::of(vec![Row::change(&entry)], true, &after.head, &mut tree, &after.key);
    let head = batch.after.clone();
    after.writer.begin(&after.head, &[]).await.expect("begins");
    after.writer.append(batch).await.expect("appends");
    after.writer.commit().await.expect("commits");
    (after.head, after.tree) = (head, tree);
    assert_fenced(&mut before, &after).await;
    after.write(Way::StepByStep, &SECOND, &[]).await;
    assert_fenced(&mut before, &after).await;
}

/// A commit of unknown outcome is settled once and for all: what is told then stays true.
pub async fn a_settled_batch_does_not_come_in_later(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::AtOnce, &FIRST, &[]).await;
    let (batch, _) = node.batch(&SECOND, 0);
    node.writer.begin(&node.head, &[proof(1, 1000)]).await.expect("begins");
    node.writer.append(batch).await.expect("appends");
    assert_eq!(node.writer.settle().await.expect("settles"), node.found());
    assert!(node.writer.commit().await.is_err());
    assert_eq!(node.end().await, node.found());
    // The lock is free: another node writes.
    let mut other = Node::on(store, Some(&node)).await;
    other.write(Way::StepByStep, &SECOND, &[proof(1, 1000)]).await;
    assert_eq!(node.writer.settle().await.expect("settles"), other.found());
}

pub async fn who_waits_for_the_lock_finds_the_newer_head(store: &dyn Candidate) {
    let mut first = Node::on(store, None).await;
    let mut second = Node::on(store, None).await;
    let (batch, tree) = first.batch(&FIRST, 0);
    let after = batch.after.clone();
    first.writer.begin(&first.head, &[proof(1, 1000)]).await.expect("begins");
    let spends = [proof(1, 1000)];
    let waiting = second.writer.begin(&second.head, &spends);
    let writing = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        first.writer.append(batch).await.expect("appends");
        first.writer.commit().await.expect("commits");
    };
    let (begun, ()) = tokio::join!(waiting, writing);
    (first.head, first.tree) = (after, tree);
    let Begun { since, fresh } = begun.expect("begins");
    assert_eq!(since.found, first.found());
    assert!(fresh.is_empty(), "nothing is spent by who does not know the head");
    assert_eq!(since.news.iter().map(|news| news.batch.root).collect::<Vec<_>>(), [first.head.root], "what it waited for");
    assert_eq!(since, first.reader.since(0, 10).await.expect("reads"));
    // It goes on while it holds the lock.
    assert!(second.writer.spend(&spends).await.expect("spends").is_empty(), "what was spent while it waited is spent");
    (second.head, second.tree) = (first.head.clone(), first.tree.clone());
    let (batch, tree) = second.batch(&SECOND, 0);
    (second.head, second.tree) = (batch.after.clone(), tree);
    second.writer.append(batch).await.expect("appends");
    second.writer.commit().await.expect("commits");
    assert_eq!(first.end().await, second.found());
}
