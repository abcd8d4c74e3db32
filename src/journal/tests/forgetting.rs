//! What is forgotten on purpose: texts of people, and keys whose time is over.

use super::*;
use crate::domain::log::change::Attributed;
use crate::domain::log::key::KeyChange;
use crate::domain::log::text::TextChange;
use crate::domain::value::text::{Text, TextDigest};
use crate::journal::At;
use crate::journal::sqlite::writer::SqliteWriter;

/// Everything that lies in the journal's directory, as bytes.
pub fn bytes(house: &House) -> Vec<u8> {
    let files = std::fs::read_dir(house.directory.path()).expect("reads");
    files.flat_map(|file| std::fs::read(file.expect("an entry").path()).expect("reads")).collect()
}

pub fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|here| here == part)
}

fn erasure(texts: Vec<TextDigest>) -> Attributed {
    let texts = texts.into_iter().map(Text::Sealed).collect();
    TextChange::Erased { texts, reason: "asked by the person".into() }.by(Actor::Operator)
}

/// Salt and text are gone with the change that says so; state, proofs and `verify` do not notice.
#[tokio::test]
async fn a_text_is_erased_by_a_recorded_change_and_nothing_else_changes() {
    let house = House::new();
    let journal = house.furnished().await;
    let revoked = make(&journal, revocation()).await;
    let said = revoked.view.state.revocations.values().next().expect("a revocation").reason.digest().expect("sealed");
    let row = journal.texts(&[said]).await.expect("reads").remove(&said).expect("is there");
    assert_eq!(row.text, "stolen laptop");
    assert!(holds(&bytes(&house), b"stolen laptop"));
    let body = journal.body(revoked.index).await.expect("reads").expect("an entry");
    assert!(!body.contains("stolen laptop"));
    let proof = journal.prove(revoked.index).await.expect("reads").expect("an entry");

    let made = make(&journal, erasure(vec![said])).await;
    assert!(journal.texts(&[said]).await.expect("reads").is_empty());
    assert!(!holds(&bytes(&house), b"stolen laptop"), "the text is overwritten in every file");
    assert!(!holds(&bytes(&house), &row.salt), "and its salt, without which its digest tells nothing");
    assert_eq!(journal.body(revoked.index).await.expect("reads").as_deref(), Some(body.as_str()));
    assert!(proof.verify(&journal.verifier_key()).is_ok());
    let before = journal.state_at(At::Index(revoked.index)).await.expect("reads");
    assert_eq!(before.revoked_before, made.view.state.revoked_before);
    assert_eq!(made.view.state.revocations.len(), 1);
    journal.close().await;
    let report = house.verify(None).await.expect("verifies");
    assert_eq!(report.size, made.index + 1);
    house.open().await.expect("opens").close().await;

    // Put back by hand, it is found.
    let mut connection = sqlx::ConnectOptions::connect(&crate::journal::sqlite::schema::writer(&house.database(), true))
        .await
        .expect("connects");
    let insert = sqlx::query("INSERT INTO texts VALUES (?, ?, ?)").bind(said.0.to_vec()).bind(row.salt.to_vec()).bind(row.text);
    insert.execute(&mut connection).await.expect("runs");
    sqlx::Connection::close(connection).await.expect("closes");
    assert_eq!(house.verify(None).await.expect_err("it was forgotten").index(), Some(made.index));
}

/// A failed erasure erases nothing; it stands or falls with its entry.
#[tokio::test]
async fn an_erasure_that_fails_erases_nothing() {
    let house = House::new();
    let journal = house.furnished().await;
    let revoked = make(&journal, revocation()).await;
    let said = revoked.view.state.revocations.values().next().expect("a revocation").reason.digest().expect("sealed");
    for fault in [Fault::AppendFails, Fault::CommitLost] {
        house.fail(fault);
        let change = erasure(vec![said]);
        let made = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(change.clone()))).await;
        assert!(made.is_err(), "{fault:?}");
        assert_eq!(journal.texts(&[said]).await.expect("reads").len(), 1, "{fault:?}");
    }
}

/// The sealed half goes in the transaction that says so, and is overwritten.
#[tokio::test]
async fn a_retired_key_loses_its_private_half_with_the_entry() {
    let house = House::new();
    let journal = house.furnished().await;
    let mut key = journal.view().state.keys.all().next().expect("a key").key.clone();
    let name = BlobName::new(&key.environment, "signing", &key.kid);
    let blob = journal.blob(&name).await.expect("reads").expect("is there");
    assert_eq!(blob.digest(), key.sealed);
    assert!(holds(&bytes(&house), &blob.sealed));
    let what = KeyChange::Retired { environment: key.environment.clone(), kid: key.kid.clone() };
    let retire = || Proposal { destroy: vec![name.clone()], ..what.clone().by(Actor::Broker).into() };

    house.fail(Fault::CommitLost);
    assert!(journal.change(None, |_, _| Ok::<_, ()>(retire())).await.is_err());
    assert!(journal.blob(&name).await.expect("reads").is_some(), "not said, not destroyed");

    house.fail(Fault::CommitKept);
    let made = journal.change(None, |_, _| Ok::<_, ()>(retire())).await.expect("settled").expect("proposed");
    assert!(journal.blob(&name).await.expect("reads").is_none());
    assert!(!holds(&bytes(&house), &blob.sealed), "the sealed bytes are overwritten in every file");
    assert!(made.view.state.keys.all().all(|key| key.retired));
    key.kid = "key-2".parse().expect("an id");
    create_key(&journal, key).await;
    journal.close().await;
    house.verify(None).await.expect("verifies");

    // Said and not destroyed is found.
    let mut connection = sqlx::ConnectOptions::connect(&crate::journal::sqlite::schema::writer(&house.database(), true))
        .await
        .expect("connects");
    let insert = sqlx::query("INSERT INTO keyring VALUES (?, ?)").bind(name.as_str()).bind(blob.sealed);
    insert.execute(&mut connection).await.expect("runs");
    sqlx::Connection::close(connection).await.expect("closes");
    let fault = house.verify(None).await.expect_err("it is retired");
    assert!(fault.to_string().contains("retired key production/key-1 is still there"), "{fault}");
}

/// While somebody reads in the write-ahead log it cannot be emptied: that is told, and not passed over.
#[tokio::test]
async fn a_log_in_which_somebody_reads_is_not_taken_for_an_empty_one() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let house = House::new();
    let journal = house.furnished().await;
    let mut reader = crate::journal::sqlite::schema::reader(&house.database()).connect().await.expect("connects");
    let mut reading = reader.begin().await.expect("begins");
    sqlx::query("SELECT count(*) FROM entries").execute(&mut *reading).await.expect("reads");
    let mut store = SqliteWriter::connect(&house.database(), true, SumKey::of(&House::kek())).await.expect("connects");
    make(&journal, revocation()).await;
    store.scrub().await.expect_err("the reader is in its way");
    reading.rollback().await.expect("ends");
    store.scrub().await.expect("nobody is in its way");
    store.close().await.expect("closes");
    journal.close().await;
}
