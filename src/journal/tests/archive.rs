//! Old entries leave the database for segments, and nobody who reads or proves notices.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::archive::Segment;
use crate::journal::archive::fault::ArchiveFault;
use crate::journal::archive::segment::Shelf;
use crate::journal::{At, Query, export};

const DAY: i64 = 86_400;

/// What is asked for in these tests.
const RETENTION: Seconds = Seconds::days(1);

/// Entries of two whole bundles, and of a third that is not full.
const ALL: u64 = 650;
const OLD: u64 = 512;

/// 640 tokens of the first day, and it is the third.
async fn aged(house: &House) -> Journal {
    let journal = house.furnished().await;
    issue(&journal, 0..640).await;
    assert_eq!(journal.view().size, ALL);
    house.clock.set(3 * DAY);
    journal
}

fn files(house: &House) -> Vec<PathBuf> {
    let directory = house.directory.path().join("journal.db.segments");
    let Ok(files) = fs::read_dir(directory) else { return Vec::new() };
    files.map(|file| file.expect("a file").path()).collect()
}

async fn in_database(journal: &Journal) -> Vec<u64> {
    let all = Query { limit: Some(1000), ..Query::default() };
    journal.entries(&all).await.expect("reads").iter().map(|stored| stored.entry.index()).collect()
}

async fn bodies(journal: &Journal) -> Vec<String> {
    let mut all = Vec::new();
    for index in 0..ALL {
        all.push(journal.body(index).await.expect("reads").expect("an entry"));
    }
    all
}

/// Every page of a query, and the sizes of the pages.
async fn pages(journal: &Journal, query: Query) -> (Vec<String>, Vec<usize>) {
    let (mut all, mut sizes, mut from) = (Vec::new(), Vec::new(), query.from);
    loop {
        let page = journal.page(&Query { from, ..query.clone() }).await.expect("reads");
        sizes.push(page.entries.len());
        all.extend(page.entries.into_iter().map(|stored| stored.json));
        let Some(after) = page.after else { return (all, sizes) };
        assert!(after >= from, "it goes on");
        from = after + 1;
    }
}

#[tokio::test]
async fn old_entries_leave_the_database_and_stay_readable_and_proved() {
    let house = House::new();
    let journal = aged(&house).await;
    let (before, kept) = (bodies(&journal).await, journal.checkpoint().expect("signs"));
    let by_kind = |kind: &str| Query { kind: Some(kind.to_owned()), limit: Some(100), ..Query::default() };
    let issued = pages(&journal, by_kind("issued")).await;
    journal.export(&House::kek(), &house.directory.path().join("before")).await.expect("exports");

    let segment = journal.archive(RETENTION).await.expect("seals").expect("two bundles are due");
    assert_eq!((segment.first, segment.until), (0, OLD));
    assert_eq!(files(&house), [Shelf::of(&house.database()).path(&segment)]);
    assert_eq!(journal.archive(RETENTION).await.expect("nothing is due").map(|_| ()), None);
    let client = vec![Clients::One("globex/order-sync".parse().expect("a client"))];
    let used = journal.last_uses_of(client).await.expect("reads");
    assert!(used[0].is_some(), "when a client was last issued a token stays known");
    let there: Vec<u64> = (0..10).chain(OLD..=ALL).collect();
    assert_eq!(in_database(&journal).await, there, "changes stay, and so does what is in no segment");

    // Restarted, it is the same.
    journal.close().await;
    let journal = house.open().await.expect("opens");
    assert_eq!(bodies(&journal).await, before);
    assert_eq!(pages(&journal, by_kind("issued")).await, issued);
    let (all, _) = pages(&journal, Query::default()).await;
    assert_eq!(all[..650], before);
    for (from, to) in [(0, Some(3)), (250, Some(260)), (500, Some(520)), (511, Some(513)), (600, None)] {
        let (some, _) = pages(&journal, Query { from, to, ..Query::default() }).await;
        let end = usize::try_from(to.unwrap_or(ALL + 1)).expect("small");
        assert_eq!(some, all[usize::try_from(from).expect("small")..end], "{from}");
    }
    let created = pages(&journal, by_kind("key.created")).await.0;
    assert_eq!(created.len(), before.iter().filter(|body| body.contains("key.created")).count());
    for index in [0, 11, 255, 256, 511, 512, 649] {
        let proof = journal.prove(index).await.expect("reads").expect("an entry");
        assert_eq!(proof.entry, before[usize::try_from(index).expect("small")]);
        proof.verify(&journal.verifier_key()).expect("leads to the root");
    }
    let then = journal.state_at(At::Time(fixture::at(1))).await.expect("reads");
    let whole = journal.state_at(At::Index(ALL)).await.expect("reads");
    assert_eq!((then.integrations.len(), then.archive.until()), (whole.integrations.len(), 0));
    journal.close().await;

    let report = house.verify(Some(&kept)).await.expect("verifies");
    assert_eq!((report.size, report.kept), (ALL + 1, Some(ALL)));
    let after = house.directory.path().join("after");
    export(&house.settings, &House::kek(), &after).await.expect("exports");
    let lines = |name: &str| fs::read_to_string(house.directory.path().join(name).join("entries.ndjson")).expect("reads");
    assert_eq!(lines("before"), lines("after").lines().take(650).fold(String::new(), |all, line| all + line + "\n"));
}

/// A quiet broker makes one segment a day, of whole bundles; nothing leaves early.
#[tokio::test]
async fn what_is_younger_than_the_retention_stays() {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..300).await;
    for (second, segments) in [(0, 0), (DAY - 1, 0), (DAY, 0), (2 * DAY - 1, 0), (2 * DAY, 1), (9 * DAY, 0)] {
        house.clock.set(second);
        let sealed = journal.archive(RETENTION).await.expect("runs");
        assert_eq!(usize::from(sealed.is_some()), segments, "{second}");
    }
    assert_eq!(in_database(&journal).await.len(), 10 + 55, "255 to 310, the change among them");
    // Who counts what is there is told since when it is all.
    let (days, since) = journal.issued_by_day("globex/order-sync", 100_000, fixture::at(-DAY)).await.expect("reads");
    assert_eq!((days.iter().map(|(_, number)| *number).collect::<Vec<_>>(), since), (vec![54], fixture::at(0)));
    let (_, since) = journal.issued_by_day("globex/order-sync", 1, fixture::at(-DAY)).await.expect("reads");
    assert_eq!(since, fixture::at(2 * DAY));
    assert!(journal.archive(Seconds::days(36_500)).await.expect("runs").is_none(), "before 1970 there was nothing");
    journal.close().await;
    house.verify(None).await.expect("verifies");
}

/// Cut short between its steps, it goes on; what is in both places is one entry.
#[tokio::test]
async fn a_seal_that_was_cut_short_is_finished_later() {
    let house = House::new();
    let journal = aged(&house).await;
    house.fail(Fault::CommitLost);
    let fault = journal.archive(RETENTION).await.expect_err("the change is not on record");
    assert!(matches!(fault, ArchiveFault::Unavailable(_)), "{fault}");
    assert_eq!((files(&house).len(), in_database(&journal).await.len()), (1, 650), "nobody asks for the file");
    house.fail(Fault::LeaveFails);
    journal.archive(RETENTION).await.expect_err("nothing leaves");
    assert_eq!((journal.view().state.archive.until(), in_database(&journal).await.len()), (OLD, 651));
    journal.close().await;
    house.verify(None).await.expect("verifies with each entry in two places");

    let journal = house.open().await.expect("opens");
    let all = pages(&journal, Query::default()).await.0;
    assert_eq!(all.len(), 651, "an entry in two places is told once");
    assert!(journal.archive(RETENTION).await.expect("runs").is_none(), "the segment is there");
    assert_eq!((files(&house).len(), in_database(&journal).await.len()), (1, 149));
    assert_eq!(pages(&journal, Query::default()).await.0, all);
    journal.close().await;
    house.verify(None).await.expect("verifies");
}

async fn sealed(house: &House) -> Segment {
    let journal = aged(house).await;
    let segment = journal.archive(RETENTION).await.expect("seals").expect("is due");
    journal.close().await;
    segment
}

/// L-01 in a segment: what is touched there is named, and never told as an entry.
#[tokio::test]
async fn l_01_a_segment_that_was_touched_is_found_and_not_read() {
    let house = House::new();
    let path = Shelf::of(&house.database()).path(&sealed(&house).await);
    let whole = fs::read(&path).expect("reads");
    let mut bent = whole.clone();
    *bent.last_mut().expect("not empty") ^= 1;
    let mut cut = whole.clone();
    cut.truncate(whole.len() / 2);
    for (touched, first) in [(Some(bent), 0), (Some(cut), 0), (None, 0)] {
        match &touched {
            Some(content) => fs::write(&path, content).expect("writes"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let fault = house.verify(None).await.expect_err("the segment is not the one that was sealed");
        assert_eq!(fault.index(), Some(first), "{fault}");
        // The broker needs none of it to decide; who asks for such an entry hears of a failure, not of an absence.
        let journal = house.open().await.expect("opens");
        let unread = journal.body(OLD - 1).await.expect_err("not told");
        assert_eq!(unread.reason(), &crate::domain::reason::STORE_UNAVAILABLE);
        assert!(journal.page(&Query { from: OLD - 1, ..Query::default() }).await.is_err());
        assert!(journal.body(3).await.expect("a change is in the database").is_some());
        assert_eq!(journal.health().stopped, None);
        journal.close().await;
    }
    fs::write(&path, whole).expect("writes");
    house.verify(None).await.expect("verifies again");
}

/// L-01: an entry that another hand wrote is not sealed, and so not made the log's.
#[tokio::test]
async fn l_01_what_another_hand_wrote_is_not_sealed() {
    let house = House::new();
    aged(&house).await.close().await;
    house.sql("UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 300").await;
    let journal = house.open().await.expect("opens: old tokens are not read at a start");
    let fault = journal.archive(RETENTION).await.expect_err("it is not the log's");
    assert!(matches!(fault, ArchiveFault::Foreign(300)), "{fault}");
    assert_eq!((files(&house).len(), in_database(&journal).await.len()), (0, 650));
    journal.close().await;
    house.sql("DELETE FROM entries WHERE idx = 301").await;
    let journal = house.open().await.expect("opens");
    assert!(journal.archive(RETENTION).await.is_err(), "nor is a bundle of 255");
    journal.close().await;
    assert_eq!(house.verify(None).await.expect_err("found").index(), Some(300));
}

/// L-01: nor is one with which its tile was changed, while the node runs. What is put on record as sealed is the log's own.
#[tokio::test]
async fn l_01_an_entry_that_was_changed_with_its_tile_is_not_sealed() {
    use sqlx::{ConnectOptions as _, Connection as _, Row as _};
    let house = House::new();
    let journal = aged(&house).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(house.database());
    let mut hand = options.connect().await.expect("connects");
    let body = journal.body(300).await.expect("reads").expect("an entry").replace("orders:read", "orders:root");
    let leaf = crate::journal::tree::merkle::leaf_hash(body.as_bytes());
    let update = sqlx::query("UPDATE entries SET body = ?, leaf = ? WHERE idx = 300").bind(body).bind(leaf.0.to_vec());
    update.execute(&mut hand).await.expect("runs");
    let row = sqlx::query("SELECT content FROM tiles WHERE level = 0 AND idx = 1").fetch_one(&mut hand).await.expect("a tile");
    let mut tile: Vec<u8> = row.try_get(0).expect("bytes");
    tile[44 * 32..45 * 32].copy_from_slice(&leaf.0);
    let update = sqlx::query("UPDATE tiles SET content = ? WHERE level = 0 AND idx = 1").bind(tile);
    update.execute(&mut hand).await.expect("runs");
    hand.close().await.expect("closes");
    let fault = journal.archive(RETENTION).await.expect_err("it does not lead to the root");
    assert!(matches!(fault, ArchiveFault::Foreign(256)), "{fault}");
    assert_eq!((files(&house).len(), in_database(&journal).await.len()), (0, 650));
    journal.close().await;
}

/// F-01, L-01: an old backup of the database without its segments keeps what it has; and what has left is missed without its segment.
#[tokio::test]
async fn l_01_nothing_leaves_for_a_segment_that_is_not_there() {
    let house = House::new();
    let journal = aged(&house).await;
    house.fail(Fault::LeaveFails);
    journal.archive(RETENTION).await.expect_err("nothing leaves");
    fs::remove_file(&files(&house)[0]).expect("removed");
    let fault = journal.archive(RETENTION).await.expect_err("there is no such file");
    assert!(matches!(fault, ArchiveFault::Segment(_)), "{fault}");
    assert_eq!(in_database(&journal).await.len(), 651);
    journal.close().await;
}

/// L-01: rows that are put where entries have left, or taken from beside them.
#[tokio::test]
async fn l_01_hands_among_what_has_left_are_named() {
    let house = House::new();
    sealed(&house).await;
    let copy = house.directory.path().join("copy.db");
    fs::copy(house.database(), &copy).expect("copies");
    let cases: [(&'static str, u64); 5] = [
        // Put back with another content, and with columns that are not its own.
        (
            "INSERT INTO entries SELECT 300, time, kind, subject, request_id, jti, replace(body, 'orders:read', 'orders:root'), leaf \
          FROM entries WHERE idx = 600",
            300,
        ),
        ("INSERT INTO entries SELECT 301, time, kind, subject, request_id, jti, body, leaf FROM entries WHERE idx = 601", 301),
        ("DELETE FROM batches WHERE first = (SELECT max(first) FROM batches WHERE first < 400)", 0),
        ("UPDATE tiles SET content = zeroblob(8192) WHERE level = 0 AND idx = 1", 256),
        // An entry that is in no segment.
        ("DELETE FROM entries WHERE idx = 600", 600),
    ];
    for (hand, index) in cases {
        house.sql(hand).await;
        let fault = house.verify(None).await.expect_err(hand);
        assert!(index == 0 || fault.index() == Some(index), "{hand}: {fault}");
        for rest in ["journal.db-wal", "journal.db-shm"] {
            let _absent = fs::remove_file(house.directory.path().join(rest));
        }
        fs::copy(&copy, house.database()).expect("copies");
    }
    house.verify(None).await.expect("verifies");
    // A change that has left, and one that says that something was sealed, keep the journal from starting.
    house
        .sql("UPDATE entries SET body = replace(body, '\"until\":512', '\"until\":256') WHERE kind = 'journal.archived'")
        .await;
    assert!(house.open().await.is_err(), "a change is proved by its MAC");
}
