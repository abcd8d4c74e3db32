//! Another checkpoint key takes the place of the one that signs: on record, signed by both, and without a gap for those who verify.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::journal::key::anchor::Anchor;
use crate::journal::key::data_key::DataKeys;
use crate::journal::key::signers::{HANDOVER, Signers};
use crate::journal::tree::note::{Checkpoint, Kept, VerifierKey};
use crate::journal::{Compared, Loss, StopReason, export, leads_to_verifier_key, prove_offline, verifier_key, verify_export};

async fn key(house: &House) -> VerifierKey {
    verifier_key(&house.settings, &House::kek()).await.expect("the key")
}

async fn exported(house: &House, name: &str) -> PathBuf {
    let dir = house.directory.path().join(name);
    export(&house.settings, &House::kek(), &dir).await.expect("exports");
    dir
}

async fn sealed(house: &House) -> Vec<String> {
    use sqlx::{ConnectOptions as _, Row as _};
    let mut connection = crate::journal::sqlite::schema::reader(&house.database()).connect().await.expect("connects");
    let rows = sqlx::query("SELECT name FROM keyring WHERE name LIKE '-/%' ORDER BY name").fetch_all(&mut connection).await;
    rows.expect("reads").iter().map(|row| row.try_get(0).expect("a name")).collect()
}

#[tokio::test]
async fn a_checkpoint_key_is_succeeded_on_record_and_signed_by_both() {
    let house = House::new();
    let kept = house.with_tokens(3).await;
    let first = key(&house).await;
    let early = exported(&house, "early").await;
    let journal = house.succeed().await.expect("succeeds");
    let second = journal.verifier_key();
    assert_ne!(first, second);
    let note = journal.checkpoint().expect("signs");
    assert!(first.open(&note).is_ok() && second.open(&note).is_ok(), "both sign while one is handed over");
    issue(&journal, 10..13).await;
    let past = journal.past().await.expect("reads");
    let read = past.read(&kept).expect("what Redis has is of the time before").checkpoint;
    assert_eq!(past.root(read.size).await.expect("reads"), Some(read.root));
    journal.close().await;
    assert_eq!(sealed(&house).await, ["-/checkpoint-1/-", "-/checkpoint/-"]);

    // Started again it signs with both, and every reader finds its way with the key that it has.
    house.open().await.expect("opens").close().await;
    assert_eq!(key(&house).await, second);
    for trusted in [&first, &second] {
        assert!(leads_to_verifier_key(&house.settings, &House::kek(), trusted).await.expect("reads"));
    }
    let other = VerifierKey::new(first.name(), [3; 32]).expect("a key");
    assert!(!leads_to_verifier_key(&house.settings, &House::kek(), &other).await.expect("reads"));
    assert_eq!(house.verify(Some(&kept)).await.expect("verifies").kept, Some(13));

    // After the handover the old key signs no more, and leads to the new one by what the export holds.
    house.clock.set(i64::from(HANDOVER.0) + 10);
    let journal = house.open().await.expect("opens");
    let late = journal.checkpoint().expect("signs");
    assert!(first.open(&late).is_err() && second.open(&late).is_ok());
    make(&journal, revocation_of_token()).await;
    journal.close().await;
    let dir = exported(&house, "late").await;
    assert!(first.open(&fs::read_to_string(dir.join("checkpoint")).expect("reads")).is_err());
    for trusted in [&first, &second] {
        assert_eq!(verify_export(&dir, trusted, Some(&kept), SILENT).expect("verifies").kept, Some(13));
        prove_offline(&dir, 12, trusted).expect("proves");
    }
    assert!(verify_export(&dir, &other, None, SILENT).is_err());
    // Trust goes forward: what only the old key signed is nothing to who has the new one.
    verify_export(&early, &first, None, SILENT).expect("verifies");
    assert!(verify_export(&early, &second, None, SILENT).is_err());

    // The next succession destroys the key before the last.
    house.succeed().await.expect("succeeds").close().await;
    assert_eq!(sealed(&house).await, ["-/checkpoint-1/-", "-/checkpoint-2/-"]);
    house.open().await.expect("opens").close().await;
    let dir = exported(&house, "third").await;
    assert!(first.open(&fs::read_to_string(dir.join("checkpoint")).expect("reads")).is_err());
    verify_export(&dir, &first, Some(&kept), SILENT).expect("from the first to the third");
}

/// L-01: a succession that was taken out, or put in by whoever has no key, is found; and so is an anchor of the old key alone.
#[tokio::test]
async fn l_01_a_stolen_old_key_makes_no_anchor_of_what_came_after_it() {
    let house = House::new();
    house.with_tokens(3).await;
    let stolen = signers(&house).await;
    let journal = house.succeed().await.expect("succeeds");
    let view = journal.view();
    journal.close().await;
    // The thief puts an anchor of his own: the same head, by the old key.
    let checkpoint = Checkpoint { origin: house.settings.origin.clone(), size: view.size, root: view.root };
    let own = fs::read_to_string(house.directory.path().join("anchor")).expect("reads");
    let anchor = Anchor::at(house.directory.path().join("anchor"));
    anchor.write(&stolen.sign(&checkpoint, fixture::at(0)).expect("signs")).expect("writes");
    assert!(matches!(house.open().await.err(), Some(OpenFault::Anchor { .. })));
    anchor.write(&own).expect("writes");
    house.open().await.expect("opens").close().await;
    house
        .sql("UPDATE entries SET body = replace(body, 'succeeded by', 'succeeded By') WHERE kind = 'checkpoint-key.succeeded'")
        .await;
    assert!(house.open().await.is_err());
    assert!(house.verify(None).await.is_err());
    house.sql("DELETE FROM entries WHERE kind = 'checkpoint-key.succeeded'").await;
    assert!(house.open().await.is_err());
}

async fn signers(house: &House) -> Signers {
    let reader = crate::journal::place::read(&house.settings, &DataKeys::of(&House::kek())).await.expect("opens").0;
    Signers::stored(&reader, &House::kek(), &house.settings.origin).await.expect("the key")
}

/// L-01: the old key counts for no log longer than it was at the succession, so a thief proves no loss with it.
#[tokio::test]
async fn l_01_a_stolen_old_key_proves_no_loss_of_what_came_after_it() {
    let house = House::new();
    house.with_tokens(3).await;
    let stolen = signers(&house).await;
    let journal = house.succeed().await.expect("succeeds");
    let at = journal.view().size - 1;
    let (past, own) = (journal.past().await.expect("reads"), journal.signers());
    let forged = |by: &Signers, size| {
        let root = crate::domain::value::digest::Digest::of(b"another tree");
        let checkpoint = Checkpoint { origin: house.settings.origin.clone(), size, root };
        by.sign_kept(&Kept { checkpoint, epoch: Some(1) }, fixture::at(0)).expect("signs")
    };
    for (by, size, counts) in [(&stolen, at, true), (&stolen, at + 1, false), (&stolen, 99, false), (&*own, 99, true)] {
        let note = forged(by, size);
        let compared = past.compare(&note, None).await.expect("reads");
        assert_eq!(matches!(compared, Compared::Lost(_)), counts, "{size}: {compared:?}");
        assert_eq!(compared == Compared::Unsigned, !counts, "{size}: {compared:?}");
        assert_eq!(past.read(&note).is_some(), counts);
    }
    journal.close().await;
    // Nor by a file of the thief's beside the anchor: it is named as what it is.
    let anchor = Anchor::at(house.directory.path().join("anchor"));
    anchor.write_lost(&forged(&stolen, 99)).expect("writes");
    assert!(matches!(house.open().await.err(), Some(OpenFault::Inconsistent { .. })));
    let fault = house.verify(None).await.expect_err("none that counts");
    assert!(matches!(fault, VerifyFault::Note { which: "checkpoint of lost entries", .. }), "{fault}");
}

/// A copy from before a succession knows the old key alone, and that signs as well during the handover: what was lost is proved by it.
#[tokio::test]
async fn a_lost_part_with_a_succession_is_proved_by_the_key_that_the_copy_knows() {
    let house = House::new();
    house.with_tokens(3).await;
    let (older, anchored) = (fs::read(house.database()).expect("reads"), fs::read(house.directory.path().join("anchor")));
    house.succeed().await.expect("succeeds").close().await;
    let journal = house.open().await.expect("opens");
    issue(&journal, 10..12).await;
    let (epoch, note) = journal.checkpoint_to_keep().expect("signs");
    let size = journal.view().size;
    assert_eq!(journal.past().await.expect("reads").compare(&note, None).await.expect("reads"), Compared::Extended);
    journal.close().await;
    for rest in ["journal.db-wal", "journal.db-shm"] {
        let _absent = fs::remove_file(house.directory.path().join(rest));
    }
    fs::write(house.database(), older).expect("put back");
    fs::write(house.directory.path().join("anchor"), anchored.expect("reads")).expect("put back");
    let journal = house.open().await.expect("nothing of its own tells");
    let compared = journal.past().await.expect("reads").compare(&note, None).await.expect("reads");
    assert_eq!(compared, Compared::Lost(Loss { note, epoch, size }));
    let Compared::Lost(loss) = compared else { panic!("a loss") };
    journal.stop_lost(loss).await;
    journal.close().await;
    let journal = house.open().await.expect("opens");
    assert!(matches!(journal.health().stopped, Some(StopReason::Lost { .. })));
    journal.close().await;
    house.reopen(Seconds(0)).await.expect("reopens").close().await;
    assert_eq!(house.open().await.expect("opens").health().stopped, None);
}

/// The anchor has both signatures before the change is on record: a start after a power cut finds one that it takes, whichever came first.
#[tokio::test]
async fn a_succession_that_was_cut_short_changes_nothing() {
    let house = House::new();
    house.with_tokens(3).await;
    let first = key(&house).await;
    house.fail(Fault::CommitLost);
    assert!(house.succeed().await.is_err());
    assert_eq!((key(&house).await, sealed(&house).await), (first.clone(), vec!["-/checkpoint/-".to_owned()]));
    let journal = house.open().await.expect("opens");
    issue(&journal, 10..11).await;
    journal.close().await;
    house.succeed().await.expect("succeeds").close().await;
    assert_ne!(key(&house).await, first);
    house.verify(None).await.expect("verifies");
}

/// A node that runs beside a succession takes the key over, and signs with both from then on.
#[tokio::test]
async fn a_running_node_takes_the_new_key_over() {
    for house in House::each_way() {
        let running = house.furnished().await;
        let first = running.verifier_key();
        house.succeed().await.expect("succeeds").close().await;
        record(&running, "proof", "1").await.expect("it goes on");
        let second = running.verifier_key();
        assert!(running.health().stopped.is_none() && first != second);
        let note = running.checkpoint().expect("signs");
        assert!(first.open(&note).is_ok() && second.open(&note).is_ok(), "both sign while one is handed over");
        // Two at once, unseen in between.
        house.succeed().await.expect("succeeds").close().await;
        house.succeed().await.expect("succeeds").close().await;
        record(&running, "another", "2").await.expect("it goes on");
        assert_eq!(running.view().state.checkpoint_keys, 3);
        running.close().await;
        assert_eq!(key(&house).await, running.verifier_key());
        house.open().await.expect("its anchor is the new key's").close().await;
        house.verify(None).await.expect("verifies");
    }
}

/// A key that the node's own key does not lead to is an intruder's, though its change carries our MAC; so is one that does not open.
#[tokio::test]
async fn a_key_that_nobody_handed_over_stops_the_node() {
    for (spoil, reason) in [
        (
            "UPDATE keyring SET sealed = (SELECT sealed FROM keyring WHERE name = '-/checkpoint/-') WHERE name = '-/checkpoint-1/-'",
            true,
        ),
        (
            "UPDATE entries SET body = replace(body, 'succeeded by', 'succeeded By') WHERE kind = 'checkpoint-key.succeeded'",
            false,
        ),
    ] {
        let house = House::new();
        let running = house.furnished().await;
        let first = running.verifier_key();
        house.succeed().await.expect("succeeds").close().await;
        house.sql(spoil).await;
        record(&running, "proof", "1").await.expect_err("it stops");
        let stopped = running.health().stopped.expect("it stopped");
        assert_eq!(matches!(stopped, StopReason::CheckpointKey), reason, "{stopped:?}");
        assert!(matches!(stopped, StopReason::CheckpointKey | StopReason::Foreign { .. }));
        assert_eq!(running.verifier_key(), first);
        running.close().await;
    }
}

/// A node that runs beside a succession may write its last anchor after it, with the old key alone: of a log that was no longer then.
#[tokio::test]
async fn an_anchor_that_a_running_node_wrote_last_holds() {
    let house = House::new();
    let running = house.furnished().await;
    record(&running, "proof", "1").await.expect("recorded, and not anchored yet");
    house.succeed().await.expect("succeeds").close().await;
    tokio::time::sleep(std::time::Duration::from_millis(1300)).await;
    running.close().await;
    house.verify(None).await.expect("verifies");
    house.open().await.expect("opens").close().await;
    house.verify(None).await.expect("verifies");
}
