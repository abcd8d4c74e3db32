//! People are written on the directory that was seen, all of a write or none.

use super::super::people::{PeopleChange, PeopleHead, PersonRow};
use super::*;

fn head(generation: u64) -> PeopleHead {
    PeopleHead { generation, tag: vec![u8::try_from(generation).expect("small"); 32] }
}

fn row(id: &str, body: &str) -> PersonRow {
    PersonRow { id: id.to_owned(), body: body.to_owned() }
}

fn change(prior: Option<u64>, after: u64, rows: &[(&str, &str)]) -> PeopleChange {
    let rows = rows.iter().map(|(id, body)| row(id, body)).collect();
    PeopleChange { prior: prior.map(head), after: head(after), rows, forgets: false }
}

pub async fn people_are_written_on_the_directory_that_was_seen(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let mut other = Node::on(store, Some(&node)).await;
    let stored = async |node: &Node| {
        let stored = node.reader.people().await.expect("reads");
        assert_eq!(node.reader.people_head().await.expect("reads"), stored.head);
        (stored.head.map(|head| head.generation), stored.rows)
    };
    assert_eq!(stored(&node).await, (None, Vec::new()));
    assert!(!node.writer.put_people(&change(Some(1), 2, &[("psn_a", "x")])).await.expect("tells"), "there is no such head");
    assert!(node.writer.put_people(&change(None, 1, &[("psn_b", "1"), ("psn_a", "it's\n\"2\"")])).await.expect("writes"));
    assert!(!other.writer.put_people(&change(None, 1, &[("psn_c", "3")])).await.expect("tells"), "another was first");
    let wrong = PeopleChange { prior: Some(PeopleHead { tag: vec![9; 32], ..head(1) }), ..change(None, 2, &[("psn_c", "3")]) };
    assert!(!other.writer.put_people(&wrong).await.expect("tells"), "another tag");
    assert_eq!(stored(&other).await, (Some(1), vec![row("psn_a", "it's\n\"2\""), row("psn_b", "1")]));
    assert!(other.writer.put_people(&change(Some(1), 2, &[("psn_b", "4"), ("psn_c", "3")])).await.expect("writes"));
    assert_eq!(stored(&node).await, (Some(2), vec![row("psn_a", "it's\n\"2\""), row("psn_b", "4"), row("psn_c", "3")]));
    // The log does not know of it, and goes on.
    node.write(Way::StepByStep, &[(ISSUED, "globex/a", "{}")], &[]).await;
    assert_eq!(stored(&node).await.0, Some(2));
}
