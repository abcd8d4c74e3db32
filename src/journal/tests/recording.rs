//! What is recorded, once and in order.

use std::collections::HashSet;

use super::*;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::entry::Entry;
use crate::domain::reason;
use crate::journal::store::query::Query;

#[tokio::test]
async fn a_grant_is_recorded_with_its_index_and_read_back() {
    let house = House::new();
    let journal = house.furnished().await;
    let recorded = record(&journal, "proof-1", "1").await.expect("recorded");
    assert_eq!(recorded.index(), journal.view().size - 1);
    let Some(Entry::Issued(entry)) = journal.entry(recorded.index()).await.expect("reads") else { panic!("not issued") };
    assert_eq!(entry.jti.as_str(), "token-1");
    assert_eq!(entry.claims, crate::domain::value::digest::Digest::of(recorded.claims()));
    assert_eq!(
        recorded.claims(),
        recorded.value().claims().payload(recorded.index()).bytes(),
        "what is signed is what was recorded"
    );
    assert!(journal.entry(recorded.index() + 1).await.expect("reads").is_none());

    let journal = &journal;
    let by = |query: Query| async move { journal.entries(&query).await.expect("reads").len() };
    assert_eq!(by(Query { request_id: "request-1".parse().ok(), ..Query::default() }).await, 1);
    assert_eq!(by(Query { token: "token-1".parse().ok(), newest_first: true, ..Query::default() }).await, 1);
    assert_eq!(by(Query { kind: Some("issued".into()), ..Query::default() }).await, 1);
    assert_eq!(by(Query { subject: Some("globex/order-sync".into()), from: 9, ..Query::default() }).await, 2);
    assert_eq!(by(Query { to: Some(4), limit: Some(3), ..Query::default() }).await, 3);
}

/// T-02 in its one-node form, T-06: a proof is spent once, also over a restart, and a refusal spends nothing.
#[tokio::test]
async fn t_02_a_hundred_at_once_and_one_wins() {
    let house = House::new();
    let journal = house.furnished().await;
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let journal = journal.clone();
            tokio::spawn(async move { record(&journal, "proof", &n.to_string()).await.map(|recorded| recorded.index()) })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(fault) => assert!(matches!(fault, RecordFault::Replayed), "{fault}"),
        }
    }
    assert_eq!(won, 1);
    journal.close().await;
    let journal = house.open().await.expect("opens");
    assert!(matches!(record(&journal, "proof", "again").await, Err(RecordFault::Replayed)));
    assert!(record(&journal, "another", "other").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_recorded_after_the_revocation_that_should_have_stopped_it() {
    let house = House::new();
    let journal = house.furnished().await;
    let minters: Vec<_> = (0..8)
        .map(|minter| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut indexes = Vec::new();
                for n in 0..200 {
                    // Everybody decides on what they saw before, as a slow node would.
                    let view = journal.view();
                    let name = format!("{minter}-{n}");
                    let Decision::Granted(grant) = fixture::decide(&name, &name, &view.state, journal.now()) else { break };
                    tokio::task::yield_now().await;
                    let again = move |state: &_, now| fixture::decide(&name, &name, state, now);
                    match journal.record(view.seen, grant, Box::new(again)).await {
                        Ok(recorded) => indexes.push(recorded.index()),
                        Err(RecordFault::Refused(refused)) => assert_eq!(*refused.reason, reason::REVOKED),
                        Err(fault) => panic!("{fault}"),
                    }
                }
                indexes
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let revoked = make(&journal, revocation()).await.index;
    let mut all = HashSet::new();
    for minter in minters {
        for index in minter.await.expect("no panic") {
            assert!(index < revoked, "a token at {index} after the revocation at {revoked}");
            assert!(all.insert(index), "index {index} given twice");
        }
    }
    assert!(!all.is_empty());
}

#[tokio::test]
async fn what_queues_up_shares_a_commit_and_a_change_stands_alone() {
    let house = House::new();
    let journal = house.furnished().await;
    let before = journal.view().size;
    // One thread: all of these are queued before the sequencer runs.
    let grants: Vec<_> = (0..40).map(|n| record_owned(&journal, n)).collect();
    let change = {
        let journal = journal.clone();
        tokio::spawn(async move { make(&journal, revocation_of_token()).await.index })
    };
    for grant in grants {
        grant.await.expect("no panic").expect("recorded");
    }
    let changed = change.await.expect("no panic");
    journal.close().await;
    let batches = house.batches().await;
    let after: Vec<_> = batches.into_iter().filter(|(first, _)| *first >= before).collect();
    assert!(after.contains(&(changed, changed + 1)), "{after:?}");
    assert!(after.len() <= 4, "{after:?}");
}

fn record_owned(journal: &Journal, n: usize) -> tokio::task::JoinHandle<Result<u64, RecordFault>> {
    let journal = journal.clone();
    tokio::spawn(async move { record(&journal, &format!("p{n}"), &n.to_string()).await.map(|recorded| recorded.index()) })
}

/// How often the write-ahead log began anew (its header's checkpoint number).
fn logs(house: &House) -> u32 {
    let log = std::fs::read(house.directory.path().join("journal.db-wal")).expect("a log");
    u32::from_be_bytes(log[12..16].try_into().expect("four bytes"))
}

/// The log is carried home beside the commits long before the writer would have to, and begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_carried_home_beside_the_commits() {
    let house = House::new();
    let journal = house.furnished().await;
    let before = logs(&house);
    let mut count = 0;
    while logs(&house) == before {
        record(&journal, &format!("proof-{count}"), "a").await.expect("recorded");
        count += 1;
        assert!(count < 2000, "the log is not carried home");
    }
    let pages = std::fs::metadata(house.directory.path().join("journal.db-wal")).expect("a log").len() / 4096;
    assert!(pages < 8192, "the writer had to: {pages} pages");
    journal.close().await;
    let left = std::fs::metadata(house.directory.path().join("journal.db-wal")).map_or(0, |log| log.len());
    assert_eq!(left, 0, "nothing is left in the log at an orderly end");
    assert_eq!(house.verify(None).await.expect("verifies").size, 10 + count);
}

/// The last token of each client is kept beside the log, in step with it, and by hand it cannot be made another.
#[tokio::test]
async fn the_last_use_of_a_client_is_kept_and_proved() {
    for house in House::each_way() {
        let journal = house.furnished().await;
        let last_uses = async |journal: &Journal| {
            let clients = ["globex/order-sync", "globex/other"].map(|client| Clients::One(client.parse().expect("a client")));
            let asked = clients.into_iter().chain([Clients::Of("globex".parse().expect("a name"))]).collect();
            journal.last_uses_of(asked).await.expect("reads")
        };
        assert_eq!(last_uses(&journal).await, [None; 3]);
        issue(&journal, 0..3).await;
        house.clock.set(60);
        issue(&journal, 3..200).await;
        let last = fixture::at(60);
        let uses = last_uses(&journal).await;
        assert_eq!(uses, [Some(last), None, Some(last)]);
        house.clock.set(120);
        house.fail(Fault::CommitLost);
        record(&journal, "lost", "lost").await.expect_err("not recorded");
        make(&journal, revocation_of_token()).await;
        assert_eq!(last_uses(&journal).await, uses, "what is not on record is no use");
        journal.close().await;
        house.verify(None).await.expect("verifies");

        // A journal of an earlier version is brought to this one by whoever writes, and is refused by whoever reads.
        for (hand, before) in [
            ("UPDATE meta SET version = 4", "4"),
            ("DROP TABLE answers; DROP TABLE round; UPDATE meta SET version = 3", "3"),
            ("DROP TABLE answers; DROP TABLE round; DROP TABLE last_use; UPDATE meta SET version = 2", "2"),
        ] {
            let made = tables(&house).await;
            house.sql("ALTER TABLE head DROP COLUMN sums").await;
            house.sql(hand).await;
            assert!(
                matches!(house.verify(None).await, Err(VerifyFault::Open(OpenFault::Schema(version))) if version == before)
            );
            let journal = house.open().await.expect("opens");
            assert_eq!(last_uses(&journal).await, uses);
            journal.close().await;
            house.verify(None).await.expect("verifies");
            assert_eq!(tables(&house).await, made, "no other than a new one");
        }
        for (hand, back) in [
            ("UPDATE last_use SET time = time + 1", "UPDATE last_use SET time = time - 1"),
            ("UPDATE last_use SET idx = idx - 1", "UPDATE last_use SET idx = idx + 1"),
            ("INSERT INTO last_use VALUES ('globex/other', 1, 1)", "DELETE FROM last_use WHERE subject = 'globex/other'"),
            ("DELETE FROM last_use", ""),
        ] {
            house.sql(hand).await;
            house.verify(None).await.expect_err(hand);
            house.sql(back).await;
        }
        house.sql("UPDATE meta SET version = 1").await;
        assert!(matches!(house.open().await.err(), Some(OpenFault::Schema(version)) if version == "1"));
    }
}

/// One entry in 65 536 fills a tile and with it the tile above.
#[tokio::test]
async fn a_batch_that_fills_two_tiles_loses_neither() {
    let house = House::new();
    let journal = house.furnished().await;
    let mut number = 0;
    while journal.view().size < 256 * 256 + 1 {
        // The batch at the border is one token, so that nothing else keeps it from going at once.
        let left = (256 * 256 - 1_u64).saturating_sub(journal.view().size);
        let count = usize::try_from(left.clamp(1, 128)).expect("a small number");
        issue(&journal, number..number + count).await;
        number += count;
    }
    journal.close().await;
    house.verify(None).await.expect("both tiles are there");
}

/// How the tables are made, by their names.
async fn tables(house: &House) -> Vec<(String, String)> {
    use sqlx::{ConnectOptions as _, Row as _};
    let mut connection = crate::journal::sqlite::schema::reader(&house.database()).connect().await.expect("connects");
    let text = "SELECT name, sql FROM sqlite_schema WHERE sql NOTNULL ORDER BY name";
    let rows = sqlx::query(text).fetch_all(&mut connection).await.expect("reads");
    rows.iter().map(|row| (row.try_get(0).expect("a text"), row.try_get(1).expect("a text"))).collect()
}
