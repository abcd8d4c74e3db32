//! Proofs and exports of one head, while others write, forget, make keys and let entries leave.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::domain::log::text::TextChange;
use crate::domain::value::text::Text;
use crate::journal::archive::segment::ArchivePlace;
use crate::journal::postgres::server::{address, by_another_hand, database};
use crate::journal::verify_export;

const DAY: i64 = 86_400;

/// A house whose journal is in PostgreSQL.
pub async fn in_postgres() -> House {
    let (folder, name) = database().await;
    let mut house = House::new();
    let segments = house.directory.path().join("journal");
    house.settings.location =
        Location::Postgres { address: Box::new(address(&folder, &name)), segments: ArchivePlace::Folder(segments) };
    house
}

/// Stops a proof where it first tells how far it is: says that it is there, and waits until it is told to go on.
pub fn gate() -> (impl Fn(u64, u64) + Send + Sync, UnboundedReceiver<()>, std::sync::mpsc::Sender<()>) {
    let ((reached, told), (go, going)) = (unbounded_channel(), std::sync::mpsc::channel());
    let going = Mutex::new(Some(going));
    let pause = move |_: u64, _: u64| {
        if let Some(going) = going.lock().expect("no panic").take() {
            reached.send(()).expect("somebody waits for it");
            tokio::task::block_in_place(|| going.recv()).expect("told to go on");
        }
    };
    (pause, told, go)
}

/// Something of everything that a journal records, and that a reader of an earlier head must not take for tampering.
async fn goes_on(house: &House, journal: &Journal, said: crate::domain::value::text::TextDigest) {
    issue(journal, 640..700).await;
    let mut key = journal.view().state.keys.all().next().expect("a key").key.clone();
    key.kid = "key-2".parse().expect("an id");
    create_key(journal, key).await;
    let erased = TextChange::Erased { texts: vec![Text::Sealed(said)], reason: "asked by the person".into() };
    make(journal, erased.by(Actor::Operator)).await;
    house.clock.set(3 * DAY);
    let segment = journal.archive(Seconds::days(1)).await.expect("seals").expect("two bundles are due");
    assert_eq!((segment.first, segment.until), (0, 512));
    make(journal, revocation_of_token()).await;
}

fn text_of_nobody() -> Attributed {
    let what = RevocationChange::Added {
        id: "revocation-3".parse().expect("an id"),
        target: RevocationTarget::Partner { partner: "nobody".parse().expect("a name") },
        tokens_only: false,
        reason: "stolen laptop".into(),
        client: None,
    };
    what.by(Actor::Operator)
}

/// The proof waits after its first page. What it was to read next leaves, and what stands beside changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_head_verifies_and_is_exported_while_the_log_goes_on() {
    for (is_shared, exports) in [(true, true), (true, false), (false, true)] {
        let house = if is_shared { in_postgres().await } else { House::new() };
        let journal = house.furnished().await;
        issue(&journal, 0..640).await;
        let made = make(&journal, text_of_nobody()).await;
        let said = made.view.state.revocations.values().next().expect("a revocation").reason.digest().expect("sealed");
        let (size, kept) = (journal.view().size, journal.checkpoint().expect("signs"));
        let copy = house.directory.path().join("copy");
        let (pause, mut reached, go) = gate();
        let (proved, to, settings, note) = (journal.clone(), copy.clone(), house.settings.clone(), kept.clone());
        let proving = tokio::spawn(async move {
            if exports {
                proved.export_told(&House::kek(), &to, &pause).await
            } else {
                verify_database(&settings, &House::kek(), Some(&note), &pause).await
            }
        });
        reached.recv().await.expect("it reads");
        goes_on(&house, &journal, said).await;
        go.send(()).expect("it waits");
        let report = proving.await.expect("no panic").expect("the head holds");
        assert_eq!(report.size, size, "shared: {is_shared}");
        if exports {
            let copied = verify_export(&copy, &journal.verifier_key(), Some(&kept), SILENT).expect("the copy holds");
            assert_eq!((copied.size, copied.root), (size, report.root));
        }
        let note = journal.checkpoint().expect("signs");
        journal.close().await;
        assert!(house.verify(Some(&note)).await.expect("and so does the rest").size > size + 60);
    }
}

/// An entry of the page that is to come is changed meanwhile: a page is proved as it stands when it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_changed_between_two_pages_is_found() {
    let house = in_postgres().await;
    house.with_tokens(600).await;
    let (pause, mut reached, go) = gate();
    let settings = house.settings.clone();
    let proving = tokio::spawn(async move { verify_database(&settings, &House::kek(), None, &pause).await });
    reached.recv().await.expect("it reads");
    let Location::Postgres { address, .. } = &house.settings.location else { panic!("a database") };
    by_another_hand(
        address,
        "UPDATE entries SET body = replace(body, 'globex', 'glotex') WHERE idx = 300; DELETE FROM last_use",
    )
    .await;
    go.send(()).expect("it waits");
    let fault = proving.await.expect("no panic").expect_err("it is found");
    assert_eq!(fault.index(), Some(300), "{fault}");
}
