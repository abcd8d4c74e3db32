//! Golden journals: what a build of some day wrote, every build reads, folds to the same state, writes again byte for byte, and verifies.
//!
//! They lie in `tests/golden/journal`, numbered. One that is committed is never written again. Where something new can be said in an entry (a
//! kind, a field, a variant), `make golden` writes the next one, of what is in none yet (`write`); until it is there, these tests fail.

mod coverage;
mod files;
mod write;

use files::Golden;

use super::*;
use crate::domain::examples::{Examples, facts};
use crate::domain::log::entry::Entry;
use crate::domain::state::{Party, State, Suspension};
use crate::domain::value::digest::Digest;
use crate::journal::store::batch::Row;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::leaf_hash;
use crate::journal::tree::note::{Checkpoint, VerifierKey};

fn row(entry: &Entry) -> Row {
    match entry {
        Entry::Issued(entry) => Row::issued(entry),
        Entry::Refused(entry) => Row::refused(entry),
        Entry::Counted(entry) => Row::counted(entry),
        Entry::Change(entry) => Row::change(entry),
    }
}

#[test]
fn what_was_written_reads_and_is_written_again_byte_for_byte() {
    for golden in Golden::all() {
        assert_eq!(golden.bodies.len(), golden.rows.len());
        for ((body, line), entry) in golden.bodies.iter().zip(&golden.rows).zip(golden.entries()) {
            let row = row(&entry);
            assert_eq!(row.body, *body);
            assert_eq!(row.leaf, leaf_hash(body.as_bytes()));
            let again = files::Line {
                index: row.index,
                time: row.time.as_seconds(),
                kind: row.kind.to_owned(),
                subject: row.subject,
                request: row.request,
                token: row.token,
                leaf: row.leaf.to_string(),
                state: line.state.clone(),
                left: line.left,
            };
            assert_eq!(again, *line, "{body}");
        }
    }
}

#[test]
fn the_fold_of_what_was_written_is_the_same_after_each_entry() {
    for golden in Golden::all() {
        let (mut state, mut tree) = (State::default(), Tree::default());
        for (entry, line) in golden.entries().iter().zip(&golden.rows) {
            if let Entry::Change(entry) = entry {
                state.apply(entry.index, entry.time, &entry.change);
                state.forget_expired(entry.time);
            }
            tree.append(Digest::try_from(line.leaf.clone()).expect("a digest"));
            assert_eq!(facts::digest(&state).to_string(), line.state, "after {line}: {}", facts::text(&state));
        }
        let key: VerifierKey = golden.key.trim_end().parse().expect("a key");
        let checkpoint = key.open(&golden.checkpoint).and_then(Checkpoint::parse).expect("a checkpoint");
        assert_eq!((checkpoint.size, checkpoint.root), (tree.size(), tree.root()));
    }
}

#[tokio::test]
async fn a_journal_that_was_written_opens_verifies_and_goes_on() {
    for golden in Golden::all() {
        let house = golden.house().await;
        let first = house.verify(Some(&golden.checkpoint)).await.expect("verifies");
        assert_eq!((first.size, first.kept), (golden.rows.len() as u64, Some(first.size)));
        assert!(first.anchored.is_some());
        let journal = house.open().await.expect("opens");
        let view = journal.view();
        assert_eq!((view.size, view.root), (first.size, first.root));
        assert_eq!(facts::digest(&view.state).to_string(), golden.rows.last().expect("entries").state);
        for (index, body) in (0..).zip(&golden.bodies) {
            assert_eq!(journal.body(index).await.expect("reads").as_ref(), Some(body), "{index}");
        }
        for (index, line) in (0..).zip(&golden.rows) {
            let proof = journal.prove(index).await.expect("reads").expect("an entry");
            assert_eq!(leaf_hash(proof.entry.as_bytes()).to_string(), line.leaf);
        }
        make(&journal, revocation_of_token()).await;
        journal.close().await;
        let later = house.verify(Some(&golden.checkpoint)).await.expect("verifies");
        assert_eq!((later.size, later.kept), (first.size + 1, Some(first.size)));
    }
}

/// The journal of several suspensions beside each other, opened as a journal: each covers what it covered, and the lifted ones are gone.
#[tokio::test]
async fn a_journal_of_several_suspensions_opens_with_those_that_were_not_lifted() {
    let all = Golden::all();
    let several = |golden: &&Golden| golden.bodies.iter().any(|body| body.contains("suspension-4"));
    let golden = all.iter().find(several).expect("a golden journal");
    let house = golden.house().await;
    let verified = house.verify(Some(&golden.checkpoint)).await.expect("verifies");
    assert_eq!(verified.size, golden.rows.len() as u64);
    let journal = house.open().await.expect("opens");
    let view = journal.view();
    let id = |text: &str| text.parse().expect("an id");
    let in_force = |party: &Party| -> Vec<(String, Vec<String>)> {
        let known = view.state.suspensions(party).expect("in the registry");
        let places = |one: &Suspension| one.environments.iter().map(ToString::to_string).collect();
        known.iter().map(|one| (one.id.to_string(), places(one))).collect()
    };
    let integration = Party::Integration(id("umbrella/stock"));
    assert_eq!(in_force(&integration), [("suspension-1".to_owned(), vec!["sandbox".to_owned()])]);
    let partner = Party::Partner("umbrella".parse().expect("a name"));
    assert_eq!(in_force(&partner), [("suspension-3".to_owned(), Vec::new())]);
    let lifts = |approval: &str| -> Vec<String> {
        let approval = view.state.approvals.get(approval).expect("an approval");
        approval.opened.lifts.iter().map(|one| one.id.to_string()).collect()
    };
    assert_eq!(
        (lifts("approval-resume-4"), lifts("approval-resume-5")),
        (vec!["suspension-2".into()], vec!["suspension-4".into()])
    );
    journal.close().await;
}

/// What stands in an entry of a change, but for its place.
fn said(change: &Attributed) -> String {
    serde_json::to_string(change).expect("JSON")
}

/// The examples that are in no golden journal.
fn missing() -> Vec<crate::domain::examples::Example> {
    let known: std::collections::HashSet<String> =
        Golden::all().iter().flat_map(Golden::changes).map(|change| said(&change)).collect();
    let mut examples = Examples::sealed().changes();
    examples.iter_mut().for_each(|example| drop(files::blobs(&mut example.change)));
    examples.retain(|example| !known.contains(&said(&example.change)));
    examples
}

#[test]
fn every_example_is_in_a_golden_journal() {
    let missing: Vec<String> = missing().iter().map(|example| said(&example.change)).collect();
    assert!(missing.is_empty(), "`make golden` writes what is new, if it is meant: {missing:#?}");
}

/// Git leaves an empty `segments` of a journal that only the branch before had.
#[test]
fn a_directory_without_entries_is_no_golden_journal() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(root.path().join("1/segments")).expect("a directory");
    assert!(Golden::all_in(root.path()).is_empty());
}
