//! Old issuance and refusal entries leave for segments. Changes, batches and tiles stay.

use super::super::query::Query;
use super::super::read::Read;
use super::super::row::Outside;
use super::*;

pub async fn issuances_and_refusals_leave_and_changes_stay(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let kinds =
        [(ISSUED, "globex/order-sync", "{\"a\":1}"), (REFUSED, "globex/order-sync", "{\"b\":1}"), ("refusals", "p", "{}")];
    for time in 0..86 {
        node.write_at(Way::StepByStep, &kinds, &[], time).await;
    }
    node.change("{\"change\":1}", Beside::default()).await;
    node.write_at(Way::StepByStep, &kinds, &[], 90).await;
    let before = node.end().await;
    assert_eq!((before.head.size, node.reader.first_that_may_leave(256).await.expect("reads")), (262, Some(0)));
    node.writer.leave(0, 256).await.expect("leave");
    assert_eq!(node.end().await, before, "the log ends where it did");
    assert_eq!(node.reader.first_that_may_leave(256).await.expect("reads"), None);
    assert_eq!(node.reader.first_that_may_leave(262).await.expect("reads"), Some(256));
    node.writer.leave(256, 261).await.expect("leave");
    let left = node.bodies().await;
    assert_eq!(left, ["{\"change\":1}", "{}"], "the change, and what was not in the range");
    assert_eq!(node.reader.body(0).await.expect("reads"), None);
    assert_eq!(node.reader.time_from(0).await.expect("reads"), Some(at(0)), "that of the change, which came at noon");
    assert_eq!(node.reader.time_from(259).await.expect("reads"), Some(at(90)));
    let found = Read::list(&*node.reader, &Query::default()).await.expect("reads");
    assert_eq!(found, left);
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    assert_eq!(snapshot.outside().await.expect("reads"), Outside::default());
    assert_eq!(snapshot.batches(0, 262).await.expect("reads").len(), 88);
    assert!(snapshot.tile(0, 0).await.expect("reads").is_some());
    assert_eq!(snapshot.changes(0, 10).await.expect("reads").len(), 1);
    assert_eq!(snapshot.last_uses().await.expect("reads").at_head.len(), 1, "the last use stays known");
    drop(snapshot);
    node.write_at(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{}")], &[], 91).await;
}
