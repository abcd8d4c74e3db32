//! Hands that are not the journal's own: rows changed, added, taken away; files put back, cut and bent.

use sqlx::Connection as _;
use sqlx::Row as _;
use std::path::Path;

use sqlx::{ConnectOptions as _, SqliteConnection};

use super::*;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::journal::JournalChange;
use crate::domain::reason;
use crate::journal::sqlite::column;
use crate::journal::sqlite::writer::SqliteWriter;
use crate::journal::store::batch::{Batch, MacKey, Row};
use crate::journal::store::head::Head;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::leaf_hash;
use crate::journal::tree::note::{self, SignerKey};
use crate::journal::{Compared, Loss, StopReason};

/// Entries before the first token.
const REGISTRY: u64 = 10;

async fn hand(house: &House) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(house.database());
    options.connect().await.expect("connects")
}

async fn body_of(house: &House, index: u64) -> String {
    let mut connection = hand(house).await;
    let row = sqlx::query("SELECT body FROM entries WHERE idx = ?").bind(column::sql(index)).fetch_one(&mut connection).await;
    row.expect("is there").try_get(0).expect("text")
}

/// Writes over an entry, with a leaf hash that fits.
async fn rewrite(house: &House, index: u64, body: &str) {
    let mut connection = hand(house).await;
    let leaf = leaf_hash(body.as_bytes());
    let update = sqlx::query("UPDATE entries SET body = ?, leaf = ? WHERE idx = ?");
    let update = update.bind(body.to_owned()).bind(leaf.0.to_vec()).bind(column::sql(index));
    assert_eq!(update.execute(&mut connection).await.expect("runs").rows_affected(), 1);
    connection.close().await.expect("closes");
}

async fn fault_of(house: &House) -> VerifyFault {
    match house.verify(None).await {
        Err(fault) => fault,
        Ok(report) => panic!("nothing was found: {report:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("copies");
}

/// Puts a copy in the place of the database, as an operator does: without a write-ahead log of another time.
fn put_back(house: &House, copied: &Path) {
    for rest in ["journal.db-wal", "journal.db-shm"] {
        let _absent = std::fs::remove_file(house.directory.path().join(rest));
    }
    copy(copied, &house.database());
}

/// L-01: whatever is done to a record, `verify` names it. 300 tokens: older entries lie in a tile and newer ones do not.
#[tokio::test]
async fn l_01_any_row_that_was_touched_is_named_exactly() {
    let house = House::new();
    house.with_tokens(300).await;
    let size = house.verify(None).await.expect("verifies").size;
    assert_eq!(size, REGISTRY + 300);
    let whole = house.directory.path().join("whole.db");
    copy(&house.database(), &whole);
    let cases: [(&'static str, &'static str, u64); 22] = [
        ("edited", "UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 100", 100),
        ("edited, newest", "UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 309", 309),
        ("edited, a change", "UPDATE entries SET body = replace(body, 'globex', 'umbrex') WHERE idx = 9", 9),
        ("column: kind", "UPDATE entries SET kind = 'refused' WHERE idx = 100", 100),
        ("column: kind of a change", "UPDATE entries SET kind = 'refused' WHERE idx = 7", 7),
        ("column: subject", "UPDATE entries SET subject = 'umbrex/x' WHERE idx = 101", 101),
        ("column: request", "UPDATE entries SET request_id = 'request-x' WHERE idx = 102", 102),
        ("column: token", "UPDATE entries SET jti = 'token-x' WHERE idx = 103", 103),
        ("column: time", "UPDATE entries SET time = time + 1 WHERE idx = 104", 104),
        ("leaf", "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 105", 105),
        ("deleted", "DELETE FROM entries WHERE idx = 100", 100),
        ("deleted, a change", "DELETE FROM entries WHERE idx = 5", 5),
        ("deleted, the first", "DELETE FROM entries WHERE idx = 0", 0),
        (
            "deleted and closed up",
            "DELETE FROM entries WHERE idx = 100; UPDATE entries SET idx = -idx - 1 WHERE idx > 100; \
             UPDATE entries SET idx = -idx - 2 WHERE idx < 0; UPDATE head SET size = size - 1",
            100,
        ),
        (
            "swapped",
            "UPDATE entries SET idx = -1 WHERE idx = 100; UPDATE entries SET idx = 100 WHERE idx = 101; \
             UPDATE entries SET idx = 101 WHERE idx = -1",
            100,
        ),
        (
            "swapped, newest",
            "UPDATE entries SET idx = -1 WHERE idx = 307; UPDATE entries SET idx = 307 WHERE idx = 308; \
             UPDATE entries SET idx = 308 WHERE idx = -1",
            307,
        ),
        (
            "duplicated in place of the next",
            "UPDATE entries SET (body, leaf) = (SELECT body, leaf FROM entries WHERE idx = 100) WHERE idx = 101",
            101,
        ),
        (
            "duplicated at the end",
            "INSERT INTO entries SELECT 310, time, kind, subject, request_id, jti, body, leaf FROM entries WHERE idx = 309",
            310,
        ),
        (
            "duplicated at the end, head moved",
            "INSERT INTO entries SELECT 310, time, kind, subject, request_id, jti, body, leaf FROM entries WHERE idx = 309; \
             UPDATE head SET size = 311",
            310,
        ),
        ("batch deleted", "DELETE FROM batches WHERE first = 8", 8),
        ("tile bent", "UPDATE tiles SET content = CAST(zeroblob(32) || substr(content, 33) AS BLOB)", 0),
        ("tile deleted", "DELETE FROM tiles", 0),
    ];
    for (name, sql, index) in cases {
        house.sql(sql).await;
        let fault = fault_of(&house).await;
        assert_eq!(fault.index(), Some(index), "{name}: {fault}");
        put_back(&house, &whole);
    }
    house.verify(None).await.expect("put back, it holds");
}

/// L-01 with the leaf hash made to fit: older entries are named by their tile, the newest by their batch.
#[tokio::test]
async fn l_01_an_edit_with_a_leaf_that_fits_is_found_by_tile_or_mac() {
    let house = House::new();
    house.with_tokens(300).await;
    for index in [3, 40, 255, 305] {
        let (before, whole) = (body_of(&house, index).await, house.directory.path().join("whole.db"));
        copy(&house.database(), &whole);
        let after = before.replacen("api.ttl", "api.tt1", 1).replacen("team:orders", "team:others", 1);
        assert_ne!(before, after, "{index}: {before}");
        rewrite(&house, index, &after).await;
        let fault = fault_of(&house).await;
        if index < 256 {
            assert_eq!(fault.index(), Some(index), "{fault}");
        } else {
            let batches = house.batches().await;
            let batch = batches.iter().find(|(first, after)| (*first..*after).contains(&index)).expect("a batch");
            assert_eq!(fault.index(), Some(batch.0), "{fault}");
        }
        put_back(&house, &whole);
    }
    // A change that was edited is found at the start as well.
    let body = body_of(&house, 3).await;
    rewrite(&house, 3, &body.replace("orders-api", "orders-apx")).await;
    assert!(matches!(house.open().await, Err(OpenFault::Inconsistent { index: 3, .. })));
}

/// The tables beside the entries.
#[tokio::test]
async fn l_01_proofs_texts_keys_and_strange_rows_are_found() {
    let house = House::new();
    let journal = house.furnished().await;
    make(&journal, revocation_of_token()).await;
    issue(&journal, 0..3).await;
    journal.close().await;
    house.verify(None).await.expect("verifies");
    let whole = house.directory.path().join("whole.db");
    copy(&house.database(), &whole);
    let cases: [(&'static str, &'static str); 12] = [
        ("consumed", "INSERT INTO consumed VALUES (zeroblob(32), 1999999999)"),
        ("consumed_lately", "INSERT INTO consumed_lately VALUES (0, CAST(zeroblob(32) || x'0000000077359400' AS BLOB))"),
        ("no list of proofs", "UPDATE consumed_lately SET proofs = CAST(x'00' || proofs AS BLOB)"),
        ("could pay once more", "DELETE FROM consumed_lately"),
        (
            "remembered for another time",
            "INSERT INTO consumed SELECT substr(proofs, 1, 32), 1999999999 FROM consumed_lately WHERE length(proofs) > 0 LIMIT 1",
        ),
        ("texts", "UPDATE texts SET text = 'another reason'"),
        ("keyring", "UPDATE keyring SET sealed = zeroblob(40) WHERE name LIKE 'production/%'"),
        ("is missing", "DELETE FROM keyring WHERE name LIKE 'production/%'"),
        (
            "keyring",
            "INSERT INTO keyring SELECT 'production/signing/key-2', sealed FROM keyring WHERE name LIKE 'production/%'",
        ),
        ("tiles", "INSERT INTO tiles VALUES (3, 0, zeroblob(8192))"),
        ("batches", "INSERT INTO batches SELECT 400, 401, prior_root, root, prior_change, mac FROM batches WHERE first = 3"),
        (
            "before the first entry",
            "INSERT INTO entries SELECT -5, time, kind, subject, request_id, jti, body, leaf FROM entries WHERE idx = 3",
        ),
    ];
    for (what, sql) in cases {
        house.sql(sql).await;
        let fault = fault_of(&house).await;
        assert!(fault.to_string().contains(what), "{sql}: {fault}");
        put_back(&house, &whole);
    }
}

/// A node of ours that lost its list of spent proofs (a bug, or a hand in `consumed_lately`) is found out by its own entries.
#[tokio::test]
async fn a_proof_that_paid_twice_is_found() {
    let house = House::new();
    let journal = house.furnished().await;
    let first = record(&journal, "proof", "1").await.expect("recorded").index();
    house.sql("DELETE FROM consumed_lately").await;
    assert!(record(&journal, "proof", "2").await.is_err(), "a node that runs remembers it");
    journal.close().await;
    assert!(matches!(house.open().await, Err(OpenFault::Table { table: "consumed_lately", .. })), "a hand is found out");
    house.sums_fit().await;
    let journal = house.open().await.expect("opens");
    let second = record(&journal, "proof", "2").await.expect("the database has forgotten it").index();
    journal.close().await;
    let fault = fault_of(&house).await;
    assert_eq!(fault.index(), Some(second));
    assert!(fault.to_string().contains(&format!("paid for entry {first}")), "{fault}");
}

/// Cuts the log by hand behind the batch that ends at `size`, and leaves everything consistent, as who knows the tables can.
async fn cut(house: &House, size: u64) {
    let mut connection = hand(house).await;
    let text = "DELETE FROM entries WHERE idx >= ?1; DELETE FROM batches WHERE first >= ?1; \
                DELETE FROM tiles WHERE (idx + 1) * (256 << (8 * level)) > ?1";
    for statement in text.split("; ") {
        sqlx::query(statement).bind(column::sql(size)).execute(&mut connection).await.expect("runs");
    }
    let text = "UPDATE head SET size = ?1, root = (SELECT root FROM batches WHERE size_after = ?1), \
                last_change = (SELECT max(idx) FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals')), \
                time = (SELECT time FROM entries WHERE idx = ?1 - 1)";
    sqlx::query(text).bind(column::sql(size)).execute(&mut connection).await.expect("runs");
    // Without sums a start proves the tables by the entries.
    let sums = "UPDATE head SET sums = x''";
    for beside in ["DELETE FROM consumed_lately WHERE first >= 0", "DELETE FROM last_use WHERE idx >= 0", sums] {
        sqlx::query(beside).execute(&mut connection).await.expect("runs");
    }
    connection.close().await.expect("closes");
}

/// L-02: cut cleanly, a log says nothing of its lost end; the anchor and a checkpoint that was kept do.
#[tokio::test]
async fn l_02_a_cut_end_is_shown_by_anchor_and_kept_checkpoint() {
    let house = House::new();
    let journal = house.furnished().await;
    for n in 0..5 {
        record(&journal, &format!("proof-{n}"), &n.to_string()).await.expect("recorded");
    }
    let kept = journal.checkpoint().expect("signs");
    journal.close().await;
    cut(&house, REGISTRY).await;
    let Err(OpenFault::Rollback { anchored: 15, head: REGISTRY }) = house.open().await else { panic!("started") };
    assert!(matches!(fault_of(&house).await, VerifyFault::Cut { size: REGISTRY, known: 15, by: "anchor" }));

    let bare = house.without_anchor();
    let fault = verify_database(&bare, &House::kek(), Some(&kept), SILENT).await.expect_err("cut");
    assert!(matches!(fault, VerifyFault::Cut { size: REGISTRY, known: 15, by: "kept checkpoint" }), "{fault}");
    assert_eq!(fault.index(), Some(REGISTRY));
    // With neither, nothing can show it, and the report says so.
    let report = verify_database(&bare, &House::kek(), None, SILENT).await.expect("what is left holds");
    assert_eq!((report.size, report.kept, report.anchored), (REGISTRY, None, None));
}

/// An older copy of the database put back; then `reopen`.
#[tokio::test]
async fn an_older_copy_put_back_is_refused_until_it_is_reopened() {
    let house = House::new();
    house.with_tokens(2).await;
    let older = house.directory.path().join("older.db");
    copy(&house.database(), &older);
    let journal = house.open().await.expect("opens");
    issue(&journal, 10..12).await;
    make(&journal, revocation()).await;
    let kept = journal.checkpoint().expect("signs");
    journal.close().await;
    put_back(&house, &older);

    assert!(matches!(house.open().await, Err(OpenFault::Rollback { anchored: 15, head: 12 })));
    assert!(matches!(fault_of(&house).await, VerifyFault::Cut { size: 12, known: 15, .. }));
    let journal = house.reopen_given(Seconds(120), &Given { forget: Some(1), ..Given::default() }).await.expect("reopens");
    let view = journal.view();
    assert_eq!((view.state.epoch, view.size, view.state.mints_from), (2, 13, fixture::at(120)));
    assert!(view.state.keys.all().all(|key| key.tainted), "every signing key is tainted");

    // A proof that was spent in the lost part, on a new key: nothing is minted before the rest is over.
    let mut key = view.state.keys.all().next().expect("a key").key.clone();
    key.kid = "key-2".parse().expect("an id");
    create_key(&journal, key).await;
    let decide = |at| fixture::decide("proof-10", "again", &journal.view().state, at);
    for seconds in [0, 60, 119] {
        let Decision::Refused(refused) = decide(fixture::at(seconds)) else { panic!("minted at {seconds}") };
        assert_eq!(*refused.reason, reason::JOURNAL_REOPENED);
    }
    house.clock.set(120);
    let recorded = record(&journal, "after-the-rest", "later").await.expect("minted again");
    journal.close().await;

    let report = house.verify(None).await.expect("verifies");
    assert_eq!((report.epoch, report.size), (2, recorded.index() + 1));
    // The checkpoint of the lost part still tells: this is another history.
    assert!(matches!(house.verify(Some(&kept)).await, Err(VerifyFault::Forked { known: 15, .. })));
    house.open().await.expect("opens, with its new anchor").close().await;
}

/// Journal and anchor put back together: a checkpoint that was kept elsewhere proves it once, and then the copy beside the anchor does,
/// whatever becomes of the one that was kept.
#[tokio::test]
async fn a_log_that_lost_entries_stays_stopped_until_it_is_reopened() {
    let house = House::new();
    house.with_tokens(2).await;
    let (older, anchor) = (house.directory.path().join("older.db"), house.directory.path().join("anchor"));
    copy(&house.database(), &older);
    let earlier = std::fs::read(&anchor).expect("an anchor");
    let journal = house.open().await.expect("opens");
    make(&journal, revocation()).await;
    let (epoch, note) = journal.checkpoint_to_keep().expect("signs");
    journal.close().await;
    let newest = house.directory.path().join("newest.db");
    copy(&house.database(), &newest);
    let newest_anchor = std::fs::read(&anchor).expect("an anchor");
    put_back(&house, &older);
    std::fs::write(&anchor, earlier).expect("put back");

    let journal = house.open().await.expect("nothing of its own tells");
    let past = journal.past().await.expect("reads");
    let kept = past.read(&note).expect("it signed that");
    let (size, head) = (kept.checkpoint.size, past.size());
    assert!(kept.epoch == Some(epoch) && epoch == 1 && size > head && past.root(size).await.expect("reads").is_none());
    journal.stop_lost(Loss { note: note.clone(), epoch, size }).await;
    assert_eq!(journal.health().stopped, Some(StopReason::Lost { epoch, size, head }));
    let grant = fixture::granted("late", "late", &journal.view().state, journal.now());
    let recorded = journal.record(journal.view().seen, grant, Box::new(|_, _| panic!("nothing changed"))).await;
    assert!(matches!(recorded, Err(RecordFault::Unavailable(why)) if *why.reason() == reason::JOURNAL_STOPPED));
    let made = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(revocation()))).await;
    assert_eq!(*made.expect_err("changed").reason(), reason::JOURNAL_STOPPED);
    assert_eq!(journal.view().size, head);
    journal.close().await;

    // A start finds the proof: the node is up, and records nothing. What writes at a start is refused.
    for _ in 0..2 {
        let journal = house.open().await.expect("opens");
        assert_eq!(journal.health().stopped, Some(StopReason::Lost { epoch, size, head }));
        let made = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(revocation()))).await;
        assert_eq!(*made.expect_err("changed").reason(), reason::JOURNAL_STOPPED);
        journal.close().await;
    }
    let Err(OpenFault::Rollback { anchored, head: found }) = house.correct_clock().await else { panic!("corrected") };
    assert_eq!((anchored, found), (size, head));
    assert!(matches!(fault_of(&house).await, VerifyFault::Cut { by: "checkpoint of lost entries", .. }));
    // The newest copy put back, with all entries: the proof is over.
    copy(&house.database(), &older);
    let older_anchor = std::fs::read(&anchor).expect("an anchor");
    put_back(&house, &newest);
    std::fs::write(&anchor, newest_anchor).expect("put back");
    let journal = house.open().await.expect("opens");
    assert_eq!(journal.health().stopped, None);
    journal.close().await;
    assert!(!anchor.with_extension("lost").exists());
    put_back(&house, &older);
    std::fs::write(&anchor, older_anchor).expect("put back");
    let journal = house.open().await.expect("opens");
    journal.stop_lost(Loss { note: note.clone(), epoch, size }).await;
    journal.close().await;
    assert!(anchor.with_extension("lost").exists());
    let journal = house.reopen(Seconds(0)).await.expect("reopens");
    // The lost history is no proof against the new one.
    let past = journal.past().await.expect("reads");
    assert!(past.read(&note).is_some_and(|kept| kept.epoch < Some(past.epoch())));
    journal.close().await;
    assert!(!anchor.with_extension("lost").exists());
    house.open().await.expect("opens, with its new anchor").close().await;
    house.verify(None).await.expect("verifies");
    // Somebody's text there is no proof, and no reason to start either.
    std::fs::write(anchor.with_extension("lost"), "garbage").expect("written");
    assert!(matches!(house.open().await, Err(OpenFault::Inconsistent { .. })));
}

/// Database and anchor of a journal that is closed.
fn taken(house: &House) -> [Vec<u8>; 2] {
    [house.database(), house.directory.path().join("anchor")].map(|file| std::fs::read(file).expect("reads"))
}

/// Puts back what [`taken`] took.
fn put(house: &House, [database, anchor]: &[Vec<u8>; 2]) {
    let copied = house.directory.path().join("taken.db");
    std::fs::write(&copied, database).expect("writes");
    put_back(house, &copied);
    std::fs::write(house.directory.path().join("anchor"), anchor).expect("writes");
}

/// The lost part was of a later epoch than the copy: the epoch after both begins, by what stands beside the anchor or by the anchor. With
/// the epoch after the copy's own, the checkpoint of the lost part would prove a loss of the new history too, at every start.
#[tokio::test]
async fn a_reopened_journal_is_of_a_later_epoch_than_the_lost_part() {
    for (by_note, lost_epochs) in [(true, 1), (false, 1), (true, 3), (false, 3)] {
        let house = House::new();
        house.with_tokens(2).await;
        let older = taken(&house);
        for _ in 0..lost_epochs {
            house.reopen(Seconds(0)).await.expect("reopens").close().await;
        }
        let journal = house.open().await.expect("opens");
        let (epoch, note) = journal.checkpoint_to_keep().expect("signs");
        let size = journal.view().size;
        assert_eq!(epoch, 1 + lost_epochs);
        journal.close().await;
        if by_note {
            put(&house, &older);
            let journal = house.open().await.expect("nothing of its own tells");
            let Compared::Lost(loss) = journal.past().await.expect("reads").compare(&note, None).await.expect("reads") else {
                panic!("no loss")
            };
            assert_eq!((loss.epoch, loss.size), (epoch, size));
            journal.stop_lost(loss).await;
            journal.close().await;
        } else {
            put(&house, &[older[0].clone(), taken(&house)[1].clone()]);
            assert!(matches!(house.open().await, Err(OpenFault::Rollback { .. })));
        }
        let journal = house.reopen(Seconds(0)).await.expect("reopens");
        assert_eq!(journal.view().state.epoch, epoch + 1, "by the note: {by_note}");
        let past = journal.past().await.expect("reads");
        assert_eq!(past.compare(&note, Some(epoch)).await.expect("reads"), Compared::Superseded);
        journal.close().await;
        house.open().await.expect("opens").close().await;
        assert_eq!(house.verify(None).await.expect("verifies").epoch, epoch + 1);
    }
}

/// In an epoch that is not later than the one before it, checkpoints of the past would not be superseded: start and `verify` name the entry.
#[tokio::test]
async fn an_epoch_that_is_not_later_is_named() {
    for epoch in [0, 1, 2] {
        let house = House::new();
        house.with_tokens(1).await;
        let journal = house.reopen(Seconds(0)).await.expect("reopens");
        let what = JournalChange::Reopened { epoch, mints_from: fixture::at(0), corrects: None, again: 0, forgotten: 0 };
        let at = make(&journal, what.by(Actor::Operator)).await.index;
        journal.close().await;
        assert!(matches!(house.open().await.err(), Some(OpenFault::Inconsistent { index, .. }) if index == at), "{epoch}");
        let fault = fault_of(&house).await;
        assert_eq!(fault.index(), Some(at), "{fault}");
    }
}

/// Nothing that stands beside a journal keeps it from being reopened, or says of which epoch it is unless the journal signed it.
#[tokio::test]
async fn a_journal_is_reopened_whatever_stands_beside_it() {
    let house = House::new();
    house.with_tokens(1).await;
    let older = taken(&house);
    let anchor = house.directory.path().join("anchor");
    let lost = anchor.with_extension("lost");
    let journal = house.open().await.expect("opens");
    let checkpoint = journal.checkpoint().expect("signs");
    let (_, own) = journal.checkpoint_to_keep().expect("signs");
    journal.close().await;
    let other = SignerKey::from_seed(&house.settings.origin, &[3; 32]).expect("a key");
    let (text, _) = own.split_once("\n\n").expect("a note");
    let strange = note::sign(&format!("{}\n", text.replacen("epoch 1", "epoch 40", 1)), &[&other]).expect("signed");
    let bent = own.replacen("epoch 1", "epoch 9", 1);
    let cases: [&[u8]; 6] = [b"", b"garbage", b"\xff\xfe\x00", strange.as_bytes(), bent.as_bytes(), checkpoint.as_bytes()];
    for text in cases {
        for file in [&lost, &anchor] {
            put(&house, &older);
            std::fs::write(file, text).expect("writes");
            let journal = house.reopen(Seconds(0)).await.expect("reopens");
            assert_eq!(journal.view().state.epoch, 2);
            journal.close().await;
            assert!(!lost.exists(), "what stood there is over");
            house.open().await.expect("opens").close().await;
        }
    }
    put(&house, &older);
    std::fs::remove_file(&anchor).expect("removes");
    let journal = house.reopen(Seconds(0)).await.expect("reopens");
    assert_eq!(journal.view().state.epoch, 2);
    journal.close().await;
}

/// A disk that is full when the loss is found: a node says that it cannot keep the proof, tries again, and once more as it ends.
#[tokio::test]
async fn a_proof_of_a_loss_that_cannot_be_kept_is_said_and_made_up_for() {
    let house = House::new();
    house.with_tokens(2).await;
    let older = taken(&house);
    let journal = house.open().await.expect("opens");
    make(&journal, revocation()).await;
    let (epoch, note) = journal.checkpoint_to_keep().expect("signs");
    let size = journal.view().size;
    journal.close().await;
    let lost = house.directory.path().join("anchor.lost");
    let next = crate::journal::file::beside(&lost);
    for closes in [false, true] {
        put(&house, &older);
        let journal = house.open().await.expect("nothing of its own tells");
        assert!(journal.health().anchored);
        std::fs::create_dir(&next).expect("in the way");
        journal.stop_lost(Loss { note: note.clone(), epoch, size }).await;
        assert!(!journal.health().anchored && !lost.exists(), "the proof is not kept, and the node says so");
        if closes {
            // Not in the middle of a try: the ones of each second are one second apart.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            std::fs::remove_dir(&next).expect("out of the way");
            journal.close().await;
        } else {
            std::fs::remove_dir(&next).expect("out of the way");
            tokio::time::sleep(std::time::Duration::from_millis(1300)).await;
            assert!(journal.health().anchored);
            assert!(lost.exists(), "tried again");
            journal.close().await;
        }
        assert!(lost.exists());
        let journal = house.open().await.expect("opens");
        assert!(matches!(journal.health().stopped, Some(StopReason::Lost { .. })));
        journal.close().await;
        std::fs::remove_file(&lost).expect("removes");
    }
}

/// Two histories of the same length.
#[tokio::test]
async fn a_forked_journal_is_refused() {
    let house = House::new();
    house.with_tokens(2).await;
    let (older, anchor) = (house.directory.path().join("older.db"), house.directory.path().join("anchor"));
    copy(&house.database(), &older);
    let journal = house.open().await.expect("opens");
    issue(&journal, 10..12).await;
    let kept = journal.checkpoint().expect("signs");
    journal.close().await;
    let left = std::fs::read(&anchor).expect("reads");
    put_back(&house, &older);
    let elsewhere = Settings { anchor: Some(house.directory.path().join("elsewhere")), ..house.settings.clone() };
    let outside = Outside { clock: Arc::clone(&house.clock) as _, entropy: Arc::new(Seeded::new(1)) };
    let given = Given::default();
    let start = Start::Reopen(Rest { lasts: Seconds(0), corrects: false }, &given);
    let journal = open::start(&elsewhere, &House::kek(), outside, start, |store| store).await.expect("reopens");
    make(&journal, revocation_of_token()).await;
    journal.close().await;
    std::fs::write(&anchor, left).expect("writes");
    assert!(matches!(house.open().await, Err(OpenFault::Rollback { anchored: 14, head: 14 })));
    assert!(matches!(fault_of(&house).await, VerifyFault::Forked { known: 14, by: "anchor" }));
    let fault = verify_database(&house.without_anchor(), &House::kek(), Some(&kept), SILENT).await.expect_err("forked");
    assert!(matches!(fault, VerifyFault::Forked { known: 14, by: "kept checkpoint" }), "{fault}");
}

/// Appends with everything right but the KEK of the batch: by somebody who can write SQL and knows this program.
async fn forge(house: &House, token: bool) -> u64 {
    let kek = Kek::from_bytes([8; 32]);
    let mut store = SqliteWriter::connect(&house.database(), true, SumKey::of(&House::kek())).await.expect("connects");
    let found = store.begin(&Head::empty(), &[]).await.expect("begins").since.found;
    let Head { size, last_change, time, .. } = found.head.clone();
    let mut connection = hand(house).await;
    let rows = sqlx::query("SELECT leaf FROM entries ORDER BY idx").fetch_all(&mut connection).await.expect("reads");
    let mut tree = Tree::default();
    for row in rows {
        tree.append(crate::domain::value::digest::Digest(
            row.try_get::<Vec<u8>, _>(0).expect("a leaf").try_into().expect("32 bytes"),
        ));
    }
    let row = if token {
        let body = body_of(house, size - 1).await;
        let body =
            body.replace(&format!("\"index\":{}", size - 1), &format!("\"index\":{size}")).replace("token-0", "token-forged");
        let crate::domain::log::entry::Entry::Issued(entry) =
            crate::domain::log::entry::Entry::parse(body.as_bytes()).expect("parses")
        else {
            panic!("a token")
        };
        Row::issued(&entry)
    } else {
        let what =
            IntegrationChange::Resumed { integration: "globex/order-sync".parse().expect("an id"), suspensions: Vec::new() };
        let change = what.by(Actor::Operator);
        let subject = change.what.subject();
        Row::change(&crate::domain::log::entry::ChangeEntry {
            index: size,
            time,
            subject,
            request_id: None,
            prior: last_change,
            change,
        })
    };
    let batch = Batch::of(vec![row], !token, &found.head, &mut tree, &MacKey::of(&kek));
    store.append(batch).await.expect("appends");
    store.commit().await.expect("commits");
    store.close().await.expect("closes");
    size
}

/// A well-formed row appended by hand: a running node stops and names it, a start refuses it, `verify` finds it.
#[tokio::test]
async fn a_well_formed_row_by_another_hand_stops_the_node() {
    for token in [true, false] {
        let house = House::new();
        house.with_tokens(1).await;
        let journal = house.open().await.expect("opens");
        let at = forge(&house, token).await;
        let answer = record(&journal, "next", "next").await;
        assert!(
            matches!(&answer, Err(RecordFault::Unavailable(why)) if *why.reason() == reason::JOURNAL_STOPPED),
            "{answer:?}"
        );
        let stopped = journal.health().stopped;
        assert!(matches!(stopped, Some(StopReason::Foreign { index, .. }) if index == at), "{stopped:?}");
        assert!(journal.checkpoint().is_err(), "no checkpoint is signed over it");
        assert_eq!(journal.view().size, at, "it is not folded");
        journal.close().await;
        let refused = house.open().await.err();
        assert!(matches!(refused, Some(OpenFault::Inconsistent { index, .. }) if index == at), "{refused:?}");
        let fault = fault_of(&house).await;
        assert_eq!(fault.index(), Some(at), "{fault}");
        let out = house.directory.path().join("export");
        let fault = super::super::export(&house.settings, &House::kek(), &out).await.expect_err("not signed");
        assert_eq!(fault.index(), Some(at));
        assert!(!out.exists());
    }
}

/// A revocation that is the newest entry, put under the kind of a token, with the head as it would be without it.
///
/// No key of ours is over the kind of a row, nor over the head's last change: the bytes of the entry tell.
#[tokio::test]
async fn a_change_under_another_kind_is_not_hidden() {
    const HIDE: &str = "UPDATE entries SET kind = 'issued' WHERE idx = (SELECT last_change FROM head); \
        UPDATE head SET last_change = (SELECT prior_change FROM batches ORDER BY first DESC LIMIT 1)";
    let house = House::new();
    let (first, second) = (house.furnished().await, house.open().await.expect("opens"));
    let revoked = make(&second, revocation()).await.index;
    second.close().await;
    house.sql(HIDE).await;
    assert!(record(&first, "next", "next").await.is_err());
    assert!(matches!(first.health().stopped, Some(StopReason::Foreign { index, .. }) if index == revoked));
    assert_eq!(first.view().size, revoked, "nothing of it is taken in");
    first.close().await;
    let refused = house.open().await.err();
    assert!(matches!(refused, Some(OpenFault::Inconsistent { index, .. }) if index == revoked), "{refused:?}");
    fault_of(&house).await;
}

/// The head's time goes back by another hand while a node follows another.
#[tokio::test]
async fn a_head_of_an_earlier_time_is_not_followed() {
    let house = House::new();
    let (first, second) = (house.furnished().await, house.open().await.expect("opens"));
    let size = first.view().size;
    record(&second, "theirs", "theirs").await.expect("recorded");
    house.sql("UPDATE head SET time = time - 1000").await;
    assert!(record(&first, "next", "next").await.is_err());
    assert!(matches!(first.health().stopped, Some(StopReason::Foreign { .. })));
    assert_eq!(first.view().size, size, "nothing of it is taken in");
}

/// A row without batch, tree and head.
#[tokio::test]
async fn a_bare_row_by_another_hand_stops_the_node() {
    let house = House::new();
    house.with_tokens(1).await;
    let journal = house.open().await.expect("opens");
    let at = journal.view().size;
    let text = "INSERT INTO entries SELECT idx + 1, time, kind, subject, request_id, jti, body, leaf FROM entries \
                ORDER BY idx DESC LIMIT 1";
    house.sql(text).await;
    assert!(record(&journal, "next", "next").await.is_err());
    assert!(matches!(journal.health().stopped, Some(StopReason::Foreign { index, .. }) if index == at));
    assert_eq!(fault_of(&house).await.index(), Some(at));
}

/// The head row by itself, while a batch would go at once.
#[tokio::test]
async fn a_head_by_another_hand_stops_the_node() {
    for text in [
        "UPDATE head SET root = zeroblob(32)",
        "UPDATE head SET last_change = last_change - 1",
        "UPDATE head SET size = size - 1",
    ] {
        for house in House::each_way() {
            let journal = house.furnished().await;
            issue(&journal, 0..1).await;
            issue(&journal, 1..2).await;
            let size = journal.view().size;
            house.sql(text).await;
            assert!(record(&journal, "next", "next").await.is_err(), "{text}");
            assert!(matches!(journal.health().stopped, Some(StopReason::Foreign { .. })), "{text}");
            assert_eq!(journal.view().size, size);
            journal.close().await;
            fault_of(&house).await;
        }
    }
}

/// F-14: a write-ahead log that is deleted takes the newest entries with it; the anchor knows them.
#[tokio::test]
async fn f_14_a_deleted_write_ahead_log_is_a_rollback_and_no_new_journal() {
    let house = House::new();
    house.with_tokens(1).await;
    let journal = house.open().await.expect("opens");
    let revoked = make(&journal, revocation()).await.index;
    // As it lies there when the process is killed; without its -wal.
    let rest = House::new();
    copy(&house.database(), &rest.database());
    copy(&house.directory.path().join("anchor"), &rest.directory.path().join("anchor"));
    assert!(house.directory.path().join("journal.db-wal").metadata().expect("is there").len() > 0);
    assert!(
        matches!(rest.open().await, Err(OpenFault::Rollback { anchored, head }) if anchored == revoked + 1 && head == revoked)
    );
    assert_eq!(fault_of(&rest).await.index(), Some(revoked));
    // With it, nothing is lost.
    let whole = House::new();
    for name in ["journal.db", "journal.db-wal", "anchor"] {
        copy(&house.directory.path().join(name), &whole.directory.path().join(name));
    }
    let again = whole.open().await.expect("recovers");
    assert_eq!(again.view().seen, Some(revoked));
    again.close().await;
    whole.verify(None).await.expect("verifies");

    // And a database that is gone is not made anew.
    std::fs::remove_file(rest.database()).expect("removes");
    assert!(matches!(rest.open().await, Err(OpenFault::Missing(_))));
    assert!(matches!(fault_of(&rest).await, VerifyFault::Open(OpenFault::Missing(_))));
    std::fs::write(rest.database(), b"").expect("writes");
    assert!(matches!(rest.open().await, Err(OpenFault::Schema(_))));
    // An anchor that is gone is not forgiven either.
    std::fs::remove_file(whole.directory.path().join("anchor")).expect("removes");
    assert!(matches!(whole.open().await, Err(OpenFault::Anchor { .. })));
    assert!(matches!(fault_of(&whole).await, VerifyFault::Open(OpenFault::Anchor { .. })));
}

/// F-20: a bit in the middle.
#[tokio::test]
async fn f_20_a_flipped_bit_is_named_with_its_entry() {
    let house = House::new();
    house.with_tokens(300).await;
    let file = std::fs::read(house.database()).expect("reads");
    let wanted = b"\"jti\":\"token-57\"";
    let places: Vec<usize> =
        file.windows(wanted.len()).enumerate().filter(|(_, here)| here == wanted).map(|(at, _)| at).collect();
    let mut bent = file.clone();
    for at in &places {
        bent[at + 14] ^= 1;
    }
    assert!(!places.is_empty());
    let mut index = None;
    for at in REGISTRY..310 {
        if body_of(&house, at).await.contains("\"jti\":\"token-57\"") {
            index = Some(at);
        }
    }
    std::fs::write(house.database(), &bent).expect("writes");
    let fault = fault_of(&house).await;
    assert_eq!(fault.index(), index, "{fault}");
    assert_eq!(std::fs::read(house.database()).expect("reads"), bent, "nothing was repaired in silence");
    std::fs::write(house.database(), &file).expect("writes");
    house.verify(None).await.expect("verifies");
}

/// F-20, anywhere: what `verify` lets pass is the same log.
#[tokio::test]
async fn f_20_a_bit_flipped_anywhere_is_found_or_says_nothing() {
    let house = House::new();
    house.with_tokens(40).await;
    let file = std::fs::read(house.database()).expect("reads");
    let whole = house.verify(None).await.expect("verifies");
    let (mut found, mut silent) = (0, 0);
    for step in 0..150_usize {
        let at = step * 7919 * 13 % file.len();
        let mut bent = file.clone();
        bent[at] ^= 1 << (step % 8);
        for rest in ["journal.db-wal", "journal.db-shm"] {
            let _absent = std::fs::remove_file(house.directory.path().join(rest));
        }
        std::fs::write(house.database(), &bent).expect("writes");
        match house.verify(None).await {
            Err(_) => found += 1,
            Ok(report) => {
                assert_eq!(report, whole, "byte {at}");
                silent += 1;
            }
        }
    }
    assert!(found > 30, "{found} found, {silent} silent");
}

/// Which journal it is.
#[tokio::test]
async fn another_kek_origin_or_place_is_said() {
    let house = House::new();
    house.with_tokens(1).await;
    let fault = verify_database(&house.settings, &Kek::from_bytes([9; 32]), None, SILENT).await.expect_err("another KEK");
    assert!(matches!(fault, VerifyFault::Open(OpenFault::Kek(_))), "{fault}");
    let other = Settings { origin: "sts.other.example/carnet".to_owned(), anchor: None, ..house.settings.clone() };
    let fault = verify_database(&other, &House::kek(), None, SILENT).await.expect_err("another origin");
    assert!(matches!(fault, VerifyFault::Open(OpenFault::Origin { .. })), "{fault}");
}
