//! The people directory under faults, and under hands that are not its own.

use super::*;
use crate::domain::people::member::{Member, PersonText, Profile, Said};
use crate::journal::PeopleFault;
use crate::journal::store::people::Known;

fn member(name: &str, user_name: &str) -> Member {
    let user_name = PersonText::try_from(user_name.to_owned()).expect("a text");
    let profile = Profile { user_name, external_id: None, emails: Vec::new() };
    Member::new(format!("psn_{name}").parse().expect("an id"), Said { profile, active: true }, fixture::at(0))
}

async fn put(journal: &Journal, known: &mut Known, people: &[Member]) {
    assert!(journal.put_people(known, people, false).await.expect("the store takes it"));
}

async fn unsound(journal: &Journal) -> &'static str {
    match journal.people().await.err() {
        Some(PeopleFault::Unsound(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn people_are_read_back_after_a_start_and_by_another_node() {
    let house = House::new();
    let journal = house.open().await.expect("opens");
    let (people, mut known) = journal.people().await.expect("reads");
    assert!(people.is_empty() && journal.has_newest(&known).await.expect("reads"));
    let (jane, raj) = (member("j", "jane@acme.example"), member("r", "raj@acme.example"));
    put(&journal, &mut known, &[jane.clone(), raj.clone()]).await;
    let other = house.open().await.expect("opens beside it");
    let (people, mut seen) = other.people().await.expect("reads");
    assert_eq!(people, [jane, raj.clone()]);
    let renamed = member("j", "jane.doe@acme.example");
    put(&other, &mut seen, std::slice::from_ref(&renamed)).await;
    assert!(!journal.has_newest(&known).await.expect("reads"));
    let late = journal.put_people(&mut known, &[member("x", "x@acme.example")], false).await.expect("tells");
    assert!(!late, "another node was first");
    assert_eq!(journal.people().await.expect("reads").0, [renamed.clone(), raj.clone()]);
    other.close().await;
    journal.close().await;
    let journal = house.open().await.expect("opens again");
    assert_eq!(journal.people().await.expect("reads").0, [renamed, raj]);
    journal.close().await;
    house.verify(None).await.expect("the log knows nothing of it");
}

/// A write that failed may be durable: what is known after it is read again, and never guessed.
#[tokio::test]
async fn a_write_that_fails_is_all_there_or_not_at_all() {
    for (fault, is_kept) in [(Fault::PeopleLost, false), (Fault::PeopleKept, true)] {
        let house = House::new();
        let journal = house.open().await.expect("opens");
        let mut known = Known::default();
        put(&journal, &mut known, &[member("j", "jane@acme.example")]).await;
        house.fail(fault);
        let failed = journal.put_people(&mut known, &[member("r", "raj@acme.example")], false).await;
        assert!(failed.is_err(), "{fault:?}");
        assert_eq!(journal.has_newest(&known).await.expect("reads"), !is_kept, "{fault:?}");
        assert_eq!(journal.people().await.expect("reads and proves").0.len(), 1 + usize::from(is_kept), "{fault:?}");
        // The log is not concerned.
        make(&journal, revocation()).await;
        journal.close().await;
    }
}

/// Attack: somebody who can write SQL makes a leaver active, removes somebody, or adds an owner who never was.
#[tokio::test]
async fn rows_that_another_hand_changed_are_used_by_nobody() {
    for sql in [
        "UPDATE people SET body = replace(body, 'true', 'false') WHERE id = 'psn_j'",
        "UPDATE people SET body = replace(body, 'jane@', 'mary@') WHERE id = 'psn_j'",
        "DELETE FROM people WHERE id = 'psn_j'",
        "DELETE FROM people",
        "DELETE FROM directory",
        "INSERT INTO people SELECT 'psn_k', replace(replace(body, 'psn_j', 'psn_k'), 'jane', 'kay') FROM people WHERE id = 'psn_j'",
        "UPDATE people SET id = 'psn_k' WHERE id = 'psn_j'",
        "UPDATE people SET body = '{}' WHERE id = 'psn_j'",
        "UPDATE directory SET generation = generation + 1",
        "UPDATE directory SET tag = x''",
        "UPDATE directory SET tag = zeroblob(32)",
    ] {
        let house = House::new();
        let journal = house.open().await.expect("opens");
        let mut known = Known::default();
        put(&journal, &mut known, &[member("j", "jane@acme.example"), member("r", "raj@acme.example")]).await;
        house.sql(sql).await;
        let what = unsound(&journal).await;
        assert!(what == "the rows do not fit their tag" || what == "a row is no person", "{sql}: {what}");
        journal.close().await;
    }
}

/// Attack: the rows of yesterday are put back under a running node, when a leaver was still there.
#[tokio::test]
async fn an_earlier_directory_is_refused_by_a_node_that_knew_a_later_one() {
    let house = House::new();
    let journal = house.open().await.expect("opens");
    let mut known = Known::default();
    put(&journal, &mut known, &[member("j", "jane@acme.example")]).await;
    house.sql("CREATE TABLE old_people AS SELECT * FROM people; CREATE TABLE old_directory AS SELECT * FROM directory").await;
    put(&journal, &mut known, &[member("j", "jane@acme.example").forgotten(fixture::at(5))]).await;
    house.sql("DELETE FROM people; INSERT INTO people SELECT * FROM old_people").await;
    house.sql("DELETE FROM directory; INSERT INTO directory SELECT * FROM old_directory").await;
    let told = journal.has_newest(&known).await;
    assert!(matches!(told, Err(PeopleFault::Unsound("an earlier state was put back"))), "{told:?}");
    assert!(!journal.put_people(&mut known, &[member("r", "raj@acme.example")], false).await.expect("tells"));
    journal.close().await;
}

/// Names of people who were forgotten are in no file of the store.
#[tokio::test]
async fn forgotten_people_are_nowhere_on_the_disk() {
    let house = House::new();
    let journal = house.open().await.expect("opens");
    let mut known = Known::default();
    let jane = member("j", "jane.unforgettable@acme.example");
    put(&journal, &mut known, std::slice::from_ref(&jane)).await;
    let is_there = || {
        let files = std::fs::read_dir(house.directory.path()).expect("a folder").flatten();
        let mut files = files.filter_map(|file| std::fs::read(file.path()).ok());
        files.any(|bytes| bytes.windows(18).any(|window| window == b"jane.unforgettable"))
    };
    assert!(is_there(), "else this test looks in the wrong place");
    assert!(journal.put_people(&mut known, &[jane.forgotten(fixture::at(5))], true).await.expect("the store takes it"));
    assert!(!is_there());
    journal.close().await;
}

/// By a clock that was set a month ahead, texts would be forgotten for ever.
#[tokio::test]
async fn nothing_is_written_by_a_clock_that_cannot_be_believed() {
    let house = House::new();
    let journal = house.open().await.expect("opens");
    let mut known = Known::default();
    put(&journal, &mut known, &[member("j", "jane@acme.example")]).await;
    house.clock.jump(31 * 86_400);
    assert!(journal.ensure_steady().is_err(), "else this shows nothing");
    let refused = journal.put_people(&mut known, &[member("j", "jane@acme.example").forgotten(fixture::at(5))], true).await;
    assert!(refused.is_err());
    house.clock.jump(-31 * 86_400);
    assert!(journal.has_newest(&known).await.expect("reads"));
    journal.close().await;
}
