//! Entries of a case, proved for a bundle: the same however long the log is, and never by a tree that is not the log's.

use std::collections::BTreeSet;

use super::*;
use crate::journal::bundle::{BundleFault, Parts, PlainTexts, Proved};
use crate::journal::key::signers::HANDOVER;
use crate::journal::tree::merkle::leaf_hash;
use crate::journal::tree::note::VerifierKey;
use crate::journal::{Query, StopReason};

/// The entry that closes the case of these tests, and those of the case: changes and tokens, in two bundles and at their edges.
const CLOSING: u64 = 523;
const ENTRIES: [u64; 9] = [0, 3, 9, 10, 255, 256, 300, 511, 522];

const DAY: i64 = 86_400;

fn entries() -> BTreeSet<u64> {
    BTreeSet::from(ENTRIES)
}

fn parts() -> Parts {
    let files = [("case.json", "{}"), ("records/order-sync.1.yaml", "kind: Integration\n")];
    let files = files.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec())).into();
    Parts { title: "A case".to_owned(), files, entries: entries() }
}

async fn proved(journal: &Journal) -> Proved {
    journal.proved(CLOSING, &entries()).await.expect("proves")
}

/// Every entry is where it says, in a checkpoint that ends with the closing one.
fn holds(proved: &Proved, key: &VerifierKey) {
    let indexes: Vec<u64> = proved.entries.iter().map(|proof| proof.index).collect();
    assert_eq!((indexes.as_slice(), proved.closing.index), (&ENTRIES[..], CLOSING));
    for proof in proved.entries.iter().chain([&proved.closing]) {
        assert_eq!(proof.verify(key).expect("leads to the root").size, CLOSING + 1);
        assert_eq!(proof.checkpoint, proved.closing.checkpoint);
        assert!(proof.entry.contains(&format!("\"index\":{},", proof.index)), "{}", proof.entry);
    }
}

#[tokio::test]
async fn a_case_is_proved_by_the_same_bytes_however_long_the_log_is() {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..514).await;
    assert_eq!(journal.view().size, CLOSING + 1);
    let (first, key) = (proved(&journal).await, journal.verifier_key());
    holds(&first, &key);
    assert!(first.successions.is_empty());
    let manifest = journal.bundle_manifest(&parts()).await.expect("a manifest");
    assert_eq!(manifest.files.len(), 2 + ENTRIES.len());

    // Wherever a case may end, the tree of that time is found again.
    for closing in (1..CLOSING).step_by(29).chain([1, 2, 255, 256, 257, 511, 512, 513]) {
        let some: BTreeSet<u64> = entries().into_iter().filter(|index| *index < closing).collect();
        let proved = journal.proved(closing, &some).await.expect("proves");
        let all = proved.entries.iter().chain([&proved.closing]);
        assert!(all.map(|proof| proof.verify(&key).expect("leads to the root").size).all(|size| size == closing + 1));
    }

    issue(&journal, 1000..1300).await;
    make(&journal, revocation_of_token()).await;
    assert_eq!(proved(&journal).await, first, "the log grew");

    // Tokens leave for a segment, and lists of the database have them no more.
    house.clock.set(3 * DAY);
    journal.archive(Seconds::days(1)).await.expect("seals").expect("old enough");
    let issued = Query { kind: Some("issued".to_owned()), limit: Some(1), ..Query::default() };
    let oldest = journal.entries(&issued).await.expect("reads").first().map(|stored| stored.entry.index());
    assert!(oldest.is_some_and(|oldest| oldest > CLOSING), "{oldest:?}");
    assert_eq!(proved(&journal).await, first, "entries left the database");
    assert_eq!(journal.bundle_manifest(&parts()).await.expect("a manifest"), manifest);
    journal.close().await;
    let journal = house.open().await.expect("opens");
    assert_eq!(proved(&journal).await, first, "started again");
    journal.close().await;

    // A succession gives another signature, once, and not another while the key before is handed over.
    let journal = house.succeed().await.expect("succeeds");
    let second = proved(&journal).await;
    let next = journal.verifier_key();
    holds(&second, &next);
    assert_eq!((second.successions.len(), second.closing.hashes.clone()), (1, first.closing.hashes.clone()));
    let text = |proved: &Proved| proved.closing.checkpoint.split_once("\n\n").expect("a note").0.to_owned();
    assert_eq!(text(&second), text(&first));
    assert!(key.open(&second.closing.checkpoint).is_err() && next.open(&first.closing.checkpoint).is_err());
    house.clock.set(i64::from(HANDOVER.0) + 4 * DAY);
    make(&journal, revocation()).await;
    assert_eq!(proved(&journal).await, second, "after the handover");
    assert_eq!(journal.bundle_manifest(&parts()).await.expect("a manifest"), manifest);
    journal.close().await;
    house.verify(None).await.expect("verifies");
}

#[tokio::test]
async fn only_entries_before_the_closing_one_and_own_names_are_taken() {
    let house = House::new();
    house.with_tokens(20).await;
    let journal = house.open().await.expect("opens");
    let size = journal.view().size;
    for (closing, entries, index) in
        [(size, vec![1], size), (u64::MAX, vec![1], u64::MAX), (size - 1, vec![1, size - 1], size - 1), (5, vec![1, 6], 6)]
    {
        let fault = journal.proved(closing, &entries.into_iter().collect()).await.expect_err("not there");
        assert_eq!(fault, BundleFault::NoEntry(index));
    }
    let mut late = parts();
    late.entries = BTreeSet::from([1, size]);
    assert_eq!(journal.bundle_manifest(&late).await.expect_err("not there"), BundleFault::NoEntry(size));
    for name in ["journal/1.json", "journal/x", "manifest.json", "texts.json", "README.html", "../x", "x\\y", "Case.JSON"] {
        let mut own = Parts { entries: BTreeSet::from([1]), ..parts() };
        own.files.insert(name.to_owned(), Vec::new());
        let fault = journal.bundle_manifest(&own).await.expect_err(name);
        assert!(fault.name().is_some_and(|found| found.eq_ignore_ascii_case(name) || name.contains('\\')), "{name}: {fault}");
        let fault = journal.bundle(own, size - 1, PlainTexts::Told).await.expect_err(name);
        assert!(fault.name().is_some(), "{name}: {fault}");
    }
    // No entry of today closes a case, and nothing is made of one that does not.
    let some = Parts { entries: BTreeSet::from([1]), ..parts() };
    let fault = journal.bundle(some, size - 1, PlainTexts::Told).await.expect_err("closes nothing");
    assert_eq!(fault.name(), Some("journal/closing.json"));
    journal.close().await;
}

/// L-01: a hand that writes to the store gets no signature for a history of its own: neither for an entry nor for a tree.
#[tokio::test]
async fn l_01_nothing_is_signed_that_does_not_lead_to_the_head() {
    for (sql, at) in [
        ("UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 300", "the entry"),
        ("UPDATE entries SET body = replace(body, 'orders:read', 'orders:root') WHERE idx = 523", "the closing entry"),
        ("UPDATE tiles SET content = CAST(zeroblob(32) || substr(content, 33) AS BLOB) WHERE level = 0 AND idx = 0", "a tile"),
        (
            "UPDATE tiles SET content = CAST(zeroblob(32) || substr(content, 33) AS BLOB) WHERE level = 0 AND idx = 1",
            "the other tile",
        ),
        ("DELETE FROM tiles", "all tiles"),
    ] {
        let house = House::new();
        let journal = house.furnished().await;
        issue(&journal, 0..514).await;
        proved(&journal).await;
        house.sql(sql).await;
        assert_eq!(journal.proved(CLOSING, &entries()).await.expect_err(at), BundleFault::Tree, "{at}");
        journal.close().await;
    }
    // A stopped journal signs nothing.
    let house = House::new();
    house.with_tokens(20).await;
    let journal = house.open().await.expect("opens");
    journal.stop_lost(crate::journal::Loss { note: String::new(), epoch: 1, size: 99 }).await;
    assert!(matches!(journal.health().stopped, Some(StopReason::Lost { .. })));
    assert!(matches!(journal.proved(12, &BTreeSet::from([1])).await, Err(BundleFault::Unavailable(_))));
    assert!(matches!(
        journal.bundle_manifest(&Parts { entries: BTreeSet::from([1]), ..parts() }).await,
        Err(BundleFault::Unavailable(_))
    ));
}

/// L-01: the same where entry and tree were changed so that they fit each other. The case ended before the head, whose root is in memory.
#[tokio::test]
async fn l_01_no_root_is_signed_that_the_head_does_not_extend() {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..814).await;
    let (closing, changed) = (400, BTreeSet::from([300]));
    journal.proved(closing, &changed).await.expect("proves");
    let forged = journal.body(300).await.expect("reads").expect("an entry").replace("orders:read", "orders:root");
    let leaf = leaf_hash(forged.as_bytes());
    let sql = format!(
        "UPDATE entries SET body = '{forged}', leaf = x'{leaf}' WHERE idx = 300; UPDATE tiles SET content = \
         CAST(substr(content, 1, 32 * 44) || x'{leaf}' || substr(content, 32 * 45 + 1) AS BLOB) WHERE level = 0 AND idx = 1"
    );
    house.sql(sql.leak()).await;
    assert_eq!(journal.body(300).await.expect("reads").as_ref(), Some(&forged));
    assert_eq!(journal.proved(closing, &changed).await.expect_err("forged"), BundleFault::Tree);
    journal.close().await;
}
