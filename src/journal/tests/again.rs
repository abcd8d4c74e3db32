//! What a node that has seen more makes of a log that an operator reopened without it.

use super::*;
use crate::domain::log::integration::IntegrationChange;
use crate::journal::seen::covers;
use crate::journal::store::batch::MacKey;
use crate::journal::tail::TailFile;
use crate::journal::tree::Tree;

/// A journal whose database, anchor and tail are of before two changes that another node has seen.
struct Behind {
    house: House,
    /// The tail of the other node.
    tail: TailFile,
    /// Entries of the database.
    size: u64,
}

const FILES: [&str; 3] = ["journal.db", "anchor", "anchor.tail"];

impl Behind {
    async fn new() -> Self {
        let house = House::new();
        house.with_tokens(2).await;
        let at = |name: &str| house.directory.path().join(name);
        for file in FILES {
            std::fs::copy(at(file), at(&format!("{file}.older"))).expect("copied");
        }
        let journal = house.open().await.expect("opens");
        let size = journal.view().size;
        let integration = "globex/order-sync".parse().expect("an id");
        make(&journal, IntegrationChange::suspended(integration, "an incident".into()).by(Actor::Operator)).await;
        make(&journal, revocation()).await;
        journal.close().await;
        std::fs::copy(at("anchor.tail"), at("other.tail")).expect("copied");
        for file in FILES {
            std::fs::copy(at(&format!("{file}.older")), at(file)).expect("put back");
        }
        for ending in ["-wal", "-shm"] {
            let _gone = std::fs::remove_file(at(&format!("journal.db{ending}")));
        }
        let tail = TailFile::beside(&at("other"));
        Self { house, tail, size }
    }

    fn given(&self) -> Given {
        Given { tails: vec![self.tail.path().to_owned()], forget: None }
    }

    /// The changes that the journal lacks for the other node, which ran until the epoch `before`.
    async fn lacks(&self, journal: &Journal, before: u64) -> u64 {
        let (_, tree) = journal.tree().await.expect("a tree");
        self.lacking(journal, &tree, before).await
    }

    async fn lacking(&self, journal: &Journal, tree: &Tree, before: u64) -> u64 {
        match covers(&self.tail, &MacKey::of(&House::kek()), (journal.reader(), tree), before).await {
            Ok(()) => 0,
            Err(OpenFault::Uncovered { number, tail }) => {
                assert_eq!(tail, self.tail.path());
                number
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The same after this reopening.
    async fn after(&self, given: &Given, before: u64) -> u64 {
        let journal = self.house.reopen_given(Seconds(0), given).await.expect("reopens");
        let lacks = self.lacks(&journal, before).await;
        journal.close().await;
        lacks
    }
}

/// Only what was recorded again after the epoch of the node counts.
#[tokio::test]
async fn what_a_node_saw_taken_away_is_in_the_reopened_log() {
    let behind = Behind::new().await;
    let journal = behind.house.open().await.expect("opens");
    assert_eq!(behind.lacks(&journal, 1).await, 2, "nobody reopened it");
    journal.close().await;
    assert_eq!(behind.after(&Given::default(), 1).await, 2, "who reopened it did not know");
    assert_eq!(behind.after(&behind.given(), 1).await, 0, "with the tail of the node");
    let journal = behind.house.open().await.expect("opens");
    assert_eq!((behind.lacks(&journal, 2).await, behind.lacks(&journal, 3).await), (0, 2));
    journal.close().await;
    behind.house.verify(None).await.expect("verifies");
}

/// A node whose tail is gone has seen nothing; one that cannot be read says nothing, and is not believed to.
#[tokio::test]
async fn a_tail_that_is_damaged_keeps_a_node_back() {
    let behind = Behind::new().await;
    let journal = behind.house.reopen_given(Seconds(0), &Given::default()).await.expect("reopens");
    let (_, tree) = journal.tree().await.expect("a tree");
    let covered = async || covers(&behind.tail, &MacKey::of(&House::kek()), (journal.reader(), &tree), 1).await;
    std::fs::write(behind.tail.path(), "garbage\n").expect("written");
    assert!(matches!(covered().await, Err(OpenFault::Tail { line: 1, .. })));
    std::fs::remove_file(behind.tail.path()).expect("removed");
    covered().await.expect("nothing is lacking");
    journal.close().await;
}

/// What an operator gave up by its number is given up.
#[tokio::test]
async fn what_was_given_up_is_not_asked_for() {
    let behind = Behind::new().await;
    std::fs::copy(behind.tail.path(), behind.house.directory.path().join("anchor.tail")).expect("copied");
    assert_eq!(behind.after(&Given { tails: Vec::new(), forget: Some(2) }, 1).await, 0);
}

/// Attack: a hand that writes SQL shows the lost changes, which have MACs of ours, while a node looks for them.
#[tokio::test]
async fn an_entry_that_is_not_in_the_tree_counts_for_nothing() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let behind = Behind::new().await;
    let journal = behind.house.reopen_given(Seconds(0), &Given::default()).await.expect("reopens");
    // Before the hand's: the journal stops as soon as it looks.
    let (_, tree) = journal.tree().await.expect("a tree");
    let lines = std::fs::read_to_string(behind.tail.path()).expect("reads");
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    let body = last["entry"].as_str().expect("an entry").to_owned();
    assert!(body.contains("revocation.added"), "{body}");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(behind.house.database());
    let mut connection = options.connect().await.expect("connects");
    let text = "INSERT INTO entries (idx, time, kind, subject, leaf, body) \
                SELECT ?1, time, 'revocation.added', subject, leaf, ?2 FROM entries WHERE idx = ?3";
    let first = i64::try_from(behind.size).expect("small");
    let insert = sqlx::query(text).bind(first + 1).bind(&body).bind(first);
    insert.execute(&mut connection).await.expect("inserted");
    let shown = journal.reader().changes(behind.size).await.expect("reads");
    assert_eq!(shown.iter().filter(|entry| entry.change.what.is_withdrawal()).count(), 1, "it is shown");
    assert_eq!(behind.lacking(&journal, &tree, 1).await, 2);
    let removed = sqlx::query("DELETE FROM entries WHERE idx = ?1").bind(first + 1).execute(&mut connection).await;
    removed.expect("removed");
    connection.close().await.expect("closes");
    journal.close().await;
}
