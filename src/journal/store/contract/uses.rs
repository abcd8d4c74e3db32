//! Counts of uses are written on the head that was seen, all of a portion or none, and are kept for their time.

use super::super::uses::{UseRow, UseText, UsesChange, UsesHead};
use super::*;
use crate::domain::decision::uses::Tally;
use crate::domain::value::day::Day;

fn head(generation: u64) -> UsesHead {
    UsesHead { generation, at: generation * 10, since: at(0), tag: vec![u8::try_from(generation).expect("small"); 32] }
}

fn row(day: i64, name: u8, count: u64) -> UseRow {
    UseRow { day: Day(day), key: Digest([name; 32]), tally: Tally { count, first: at(1), last: at(2), until: count } }
}

fn change(prior: Option<u64>, after: u64, rows: &[UseRow], forgets: i64) -> UsesChange {
    let text = |row: &UseRow| {
        let body = format!("{{\"it's\":\n\"{}\"}}", row.key.0[0]);
        UseText { key: row.key, client: "globex/a".to_owned(), body, day: row.day }
    };
    let day = |row: &UseRow| (row.day, vec![row.key.0[0]; 32]);
    let (texts, days) = (rows.iter().map(text).collect(), rows.iter().map(day).collect());
    UsesChange { prior: prior.map(head), after: head(after), texts, rows: rows.to_vec(), days, forgets: Day(forgets) }
}

pub async fn uses_are_counted_on_the_head_that_was_seen(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let mut other = Node::on(store, Some(&node)).await;
    let stored = async |node: &Node| {
        let stored = node.reader.uses().await.expect("reads");
        let days: Vec<i64> = stored.days.iter().map(|(day, _)| day.0).collect();
        (stored.head, days)
    };
    let of_day = async |node: &Node, day: i64| node.reader.uses_of_day(Day(day)).await.expect("reads");
    assert_eq!(stored(&node).await, (None, Vec::new()));
    assert!(
        !node.writer.put_uses(Some(&change(Some(1), 2, &[row(5, 1, 1)], 0))).await.expect("tells"),
        "there is no such head"
    );
    assert!(node.writer.put_uses(Some(&change(None, 1, &[row(5, 1, 3), row(6, 2, 4)], 0))).await.expect("writes"));
    assert!(!other.writer.put_uses(Some(&change(None, 1, &[row(5, 1, 9)], 0))).await.expect("tells"), "another was first");
    assert_eq!(stored(&other).await, (Some(head(1)), vec![5, 6]));
    assert_eq!((of_day(&other, 5).await, of_day(&other, 6).await), (vec![row(5, 1, 3)], vec![row(6, 2, 4)]));
    assert!(other.writer.put_uses(Some(&change(Some(1), 2, &[row(6, 1, 7), row(6, 2, 5)], 0))).await.expect("writes"));
    assert_eq!(of_day(&node, 6).await, [row(6, 1, 7), row(6, 2, 5)]);
    let texts = node.reader.use_texts(&[Digest([2; 32]), Digest([3; 32])]).await.expect("reads");
    assert_eq!(texts, [(Digest([2; 32]), "{\"it's\":\n\"2\"}".to_owned())]);
    let of = async |client: &str| node.reader.uses_of_client(client, Day(6)).await.expect("reads").len();
    assert_eq!((of("globex/a").await, of("globex/b").await), (2, 0));
    // A use that was not counted for long goes with its days.
    assert!(node.writer.put_uses(Some(&change(Some(2), 3, &[row(7, 1, 1)], 7))).await.expect("writes"));
    assert_eq!((stored(&node).await.1, of_day(&node, 6).await.len()), (vec![7], 0));
    let texts = node.reader.use_texts(&[Digest([1; 32]), Digest([2; 32])]).await.expect("reads");
    assert_eq!(texts.len(), 1, "the text of a use that is still counted stays");
    // The log does not know of it, and goes on.
    node.write(Way::StepByStep, &[(ISSUED, "globex/a", "{}")], &[]).await;
    assert!(node.writer.put_uses(None).await.expect("clears"));
    assert_eq!((stored(&node).await, of_day(&node, 7).await.len()), ((None, Vec::new()), 0));
}
