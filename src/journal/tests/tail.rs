//! Changes that a log lost, and what `reopen` makes of the tails that nodes keep.

use std::path::{Path, PathBuf};

use super::*;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::value::names::{IntegrationId, RevocationId};
use crate::journal::fault::Forgotten;

/// A journal with tokens, an older copy of it, and three changes after the copy of which two take something away.
struct Lost {
    house: House,
    /// Entries of the copy.
    size: u64,
    tail: PathBuf,
}

fn given(tails: &[&Path], forget: Option<u64>) -> Given {
    Given { tails: tails.iter().map(|tail| tail.to_path_buf()).collect(), forget }
}

fn integration() -> IntegrationId {
    "globex/order-sync".parse().expect("an id")
}

fn suspension() -> Attributed {
    IntegrationChange::suspended(integration(), "an incident".into()).by(Actor::Operator)
}

impl Lost {
    async fn new() -> Self {
        let house = House::new();
        house.with_tokens(2).await;
        let older = house.directory.path().join("older.db");
        std::fs::copy(house.database(), &older).expect("copied");
        let journal = house.open().await.expect("opens");
        let size = journal.view().size;
        issue(&journal, 10..12).await;
        let mut key = journal.view().state.keys.all().next().expect("a key").key.clone();
        key.kid = "key-2".parse().expect("an id");
        create_key(&journal, key).await;
        issue(&journal, 12..13).await;
        make(&journal, suspension()).await;
        make(&journal, revocation()).await;
        journal.close().await;
        let tail = house.directory.path().join("anchor.tail");
        let lost = Self { house, size, tail };
        lost.put_back(&older);
        assert!(matches!(lost.house.open().await, Err(OpenFault::Rollback { .. })));
        lost
    }

    fn put_back(&self, older: &Path) {
        std::fs::copy(older, self.house.database()).expect("copied");
        for ending in ["-wal", "-shm"] {
            let _gone = std::fs::remove_file(format!("{}{ending}", self.house.database().display()));
        }
    }

    /// Refused, with the number of what would be forgotten.
    async fn refused(&self, given: &Given) -> (u64, Forgotten, Option<PathBuf>) {
        match self.house.reopen_given(Seconds(0), given).await {
            Err(OpenFault::Forgets { number, what, tail }) => (number, what, tail),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("reopened"),
        }
    }
}

/// A revocation that once held holds on after the database was put back; what gave a right is not recorded again.
#[tokio::test]
async fn what_took_something_away_in_a_lost_part_is_recorded_again() {
    let lost = Lost::new().await;
    let Lost { house, size, tail } = &lost;
    assert_eq!(lost.refused(&Given::default()).await, (2, Forgotten::Withdrawals, Some(tail.clone())));
    for forget in [0, 1, 3] {
        assert_eq!(lost.refused(&given(&[], Some(forget))).await.0, 2, "{forget}");
    }
    assert_eq!(lost.refused(&given(&[tail], Some(1))).await.0, 0, "nothing is left to forget");

    // Another node's copy of it says the same once more, and counts once.
    let other = house.directory.path().join("other.tail");
    std::fs::copy(tail, &other).expect("copied");
    let journal = house.reopen_given(Seconds(0), &given(&[tail, &other], None)).await.expect("reopens");
    let view = journal.view();
    assert_eq!((view.state.epoch, view.size), (2, size + 3), "a new epoch and two changes");
    assert!(view.state.revocations.contains_key(&"revocation-1".parse::<RevocationId>().expect("an id")));
    let integration = &view.state.integrations[&integration()];
    assert!(integration.suspensions.iter().count() > 0, "suspended");
    assert_eq!(view.state.keys.all().count(), 1, "a lost key does not come back");
    let body = journal.body(*size).await.expect("reads").expect("an entry");
    assert!(body.contains(r#""kind":"journal.reopened""#) && body.contains(r#""again":2"#), "{body}");
    assert!(!body.contains("forgotten"), "{body}");
    journal.close().await;
    house.verify(None).await.expect("verifies");
    house.open().await.expect("opens").close().await;
    // The lost part is over: nothing of it is asked again.
    house.reopen_given(Seconds(0), &Given::default()).await.expect("reopens").close().await;
}

/// An operator who gives it up says how much, and the log says so for ever.
#[tokio::test]
async fn what_is_given_up_is_named_by_its_number() {
    let lost = Lost::new().await;
    let journal = lost.house.reopen_given(Seconds(0), &given(&[], Some(2))).await.expect("reopens");
    assert_eq!(journal.view().size, lost.size + 1);
    assert!(journal.view().state.revocations.is_empty());
    let body = journal.body(lost.size).await.expect("reads").expect("an entry");
    assert!(body.contains(r#""forgotten":2"#), "{body}");
    journal.close().await;
    lost.house.verify(None).await.expect("verifies");
}

/// Where no tail says which changes were lost, the entries count. The anchor knows how many.
#[tokio::test]
async fn entries_are_counted_where_no_tail_says_what_they_were() {
    let lost = Lost::new().await;
    let whole = std::fs::read_to_string(&lost.tail).expect("reads");
    // Gone; damaged; and with a change missing between two others.
    std::fs::remove_file(&lost.tail).expect("removes");
    assert_eq!(lost.refused(&Given::default()).await, (6, Forgotten::Entries, None));
    std::fs::write(&lost.tail, "garbage").expect("writes");
    assert_eq!(lost.refused(&Given::default()).await, (6, Forgotten::Entries, None));
    let lines: Vec<&str> = whole.lines().collect();
    let (first, last) = (lines[lines.len() - 3], lines[lines.len() - 1]);
    std::fs::write(&lost.tail, format!("{first}\n{last}\n")).expect("writes");
    assert_eq!(lost.refused(&given(&[&lost.tail], None)).await, (6, Forgotten::Entries, None));
    // What is there is recorded again all the same.
    let journal = lost.house.reopen_given(Seconds(0), &given(&[&lost.tail], Some(6))).await.expect("reopens");
    assert_eq!(journal.view().size, lost.size + 2);
    journal.close().await;
    lost.house.verify(None).await.expect("verifies");
}

/// Attack, or a bad disk: neither the tail nor the anchor can be read, and a log without its newest changes is to go on in silence.
#[tokio::test]
async fn what_nobody_can_say_is_forgotten_by_a_word_of_the_operator_alone() {
    let lost = Lost::new().await;
    let anchor = lost.house.directory.path().join("anchor");
    let whole = std::fs::read(&lost.tail).expect("reads");
    let kept = std::fs::read(&anchor).expect("reads");
    for (beside, note) in [
        (Some("garbage"), Some("garbage")),
        (Some("garbage"), Some("")),
        (Some(""), Some("garbage")),
        (None, Some("garbage")),
        (Some("garbage"), None),
    ] {
        match note {
            Some(text) => std::fs::write(&anchor, text).expect("writes"),
            None => std::fs::remove_file(&anchor).expect("removes"),
        }
        match beside {
            Some(text) => std::fs::write(&lost.tail, text).expect("writes"),
            None => std::fs::remove_file(&lost.tail).expect("removes"),
        }
        for forget in [None, Some(0), Some(2)] {
            assert_eq!(lost.refused(&given(&[], forget)).await, (1, Forgotten::Unknown, None), "{beside:?} {note:?}");
        }
        let told = lost.house.reopen_given(Seconds(0), &Given::default()).await.err().expect("refused").to_string();
        assert!(told.contains("neither the anchor of this node nor the tail") && told.contains("`--forget 1`"), "{told}");
        std::fs::write(&lost.tail, &whole).expect("writes");
    }
    // Either of them says what was lost.
    std::fs::write(&anchor, &kept).expect("writes");
    std::fs::write(&lost.tail, "").expect("writes");
    assert_eq!(lost.refused(&Given::default()).await, (6, Forgotten::Entries, None));
    std::fs::write(&anchor, "garbage").expect("writes");
    std::fs::write(&lost.tail, &whole).expect("writes");
    assert_eq!(lost.refused(&Given::default()).await.0, 2);
    std::fs::write(&lost.tail, "garbage").expect("writes");
    let journal = lost.house.reopen_given(Seconds(0), &given(&[], Some(1))).await.expect("reopens");
    let body = journal.body(lost.size).await.expect("reads").expect("an entry");
    assert!(body.contains(r#""forgotten":1"#), "{body}");
    journal.close().await;
    lost.house.verify(None).await.expect("verifies");
}

/// Attack: a line that no node of this journal wrote would revoke, or suspend, whatever its author likes.
#[tokio::test]
async fn a_tail_of_another_hand_is_refused() {
    let lost = Lost::new().await;
    let whole = std::fs::read_to_string(&lost.tail).expect("reads");
    let forged = lost.house.directory.path().join("forged.tail");
    let last = whole.lines().count();
    for text in
        [whole.replace("revocation-1", "revocation-9"), format!("{}\n", whole.trim_end().rsplit_once('}').expect("an end").0)]
    {
        std::fs::write(&forged, text).expect("writes");
        match lost.house.reopen_given(Seconds(0), &given(&[&forged], None)).await {
            Err(OpenFault::Tail { path, line }) => assert_eq!((path, line), (forged.clone(), last)),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("reopened"),
        }
    }
    let nowhere = lost.house.directory.path().join("nowhere");
    assert!(matches!(
        lost.house.reopen_given(Seconds(0), &given(&[&nowhere], None)).await,
        Err(OpenFault::File { path, .. }) if path == nowhere
    ));
    assert_eq!(lost.refused(&Given::default()).await.0, 2, "nothing was recorded");
}

/// Tokens that were lost need nobody's word: every key that signed them is tainted.
#[tokio::test]
async fn lost_tokens_alone_are_not_asked_about() {
    let house = House::new();
    house.with_tokens(2).await;
    let older = house.directory.path().join("older.db");
    std::fs::copy(house.database(), &older).expect("copied");
    let journal = house.open().await.expect("opens");
    let size = journal.view().size;
    issue(&journal, 10..12).await;
    journal.close().await;
    let lost = Lost { tail: house.directory.path().join("anchor.tail"), house, size };
    lost.put_back(&older);
    let journal = lost.house.reopen_given(Seconds(0), &Given::default()).await.expect("reopens");
    assert_eq!(journal.view().size, size + 1);
    journal.close().await;
}

/// The file keeps a day, and the newest change in any case: a loss is seen however long nothing changed.
#[tokio::test]
async fn a_tail_keeps_the_changes_of_a_day_and_the_newest() {
    let house = House::new();
    house.with_tokens(1).await;
    let tail = house.directory.path().join("anchor.tail");
    let lines = || std::fs::read_to_string(&tail).expect("reads").lines().count();
    let before = lines();
    let journal = house.open().await.expect("opens");
    assert!(before > 3 && lines() == before, "{before}");
    make(&journal, suspension()).await;
    assert_eq!(lines(), before + 1);
    house.clock.set(25 * 3600);
    make(&journal, revocation()).await;
    assert_eq!(lines(), 1);
    house.clock.set(80 * 3600);
    journal.close().await;
    house.open().await.expect("opens").close().await;
    assert_eq!(lines(), 1);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&tail).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    house.verify(None).await.expect("verifies");
}
