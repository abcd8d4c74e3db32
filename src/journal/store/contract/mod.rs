//! The laws of a store: what the journal rests on, whichever database is underneath.
//!
//! Each law is a function over any [`Candidate`]. [`laws`] makes a test of each for one implementation; a law that is missing there is
//! unused code, which does not build. No law names an engine.

mod append;
mod beside;
mod fence;
mod leave;
mod people;
mod reads;
mod spent;
mod uses;

use std::collections::HashSet;

use super::Answer;
use super::batch::{Batch, Beside, MacKey, Row, Spent};
use super::head::{Found, Head};
use super::reader::Reader;
use super::snapshot::Checked;
use super::sums::SumKey;
use super::write::{Begun, Tried, Write};
use crate::domain::fixture;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::key::kek::Kek;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::leaf_hash;

/// A store that is to keep the laws, empty at first.
pub trait Candidate: Sync {
    /// Opens both sides of it, as one more node does.
    fn open<'a>(&'a self, key: &'a SumKey) -> Answer<'a, (Box<dyn Write>, Reader)>;
}

/// A test of each law.
macro_rules! laws {
    ($candidate:expr) => {
        $crate::journal::store::contract::laws! { $candidate,
            append::entries_read_back_byte_for_byte,
            append::every_batch_has_its_line_and_its_tiles,
            append::a_batch_that_is_not_committed_leaves_nothing,
            append::a_batch_that_is_given_up_leaves_nothing,
            append::batches_of_one_commit_stand_or_fall_together,
            append::nothing_is_written_without_the_lock,
            append::a_store_without_room_writes_nothing_and_goes_on_with_room,
            beside::texts_and_keys_stand_or_fall_with_their_change,
            beside::the_last_use_of_a_client_is_its_newest_token,
            beside::the_tables_beside_the_entries_have_sums,
            beside::a_key_names_one_request,
            beside::an_answer_is_kept_for_its_time_and_goes_with_an_erasure,
            people::people_are_written_on_the_directory_that_was_seen,
            fence::a_batch_on_an_earlier_head_is_refused,
            fence::a_writer_of_an_earlier_epoch_is_refused,
            fence::a_settled_batch_does_not_come_in_later,
            fence::who_waits_for_the_lock_finds_the_newer_head,
            leave::issuances_and_refusals_leave_and_changes_stay,
            reads::ranges_are_exact,
            reads::entries_that_are_asked_for_together_go_each_to_its_caller,
            reads::queries_find_what_they_ask_for,
            reads::a_query_about_a_partner_finds_what_names_it,
            reads::what_stands_after_an_entry_is_read_with_the_end,
            reads::a_head_is_read_by_pages_while_others_write,
            reads::a_snapshot_has_the_changes_with_their_batches,
            spent::a_proof_is_spent_once,
            spent::a_proof_is_spent_once_whoever_writes,
            spent::a_batch_that_is_given_up_spends_nothing,
            spent::a_proof_is_forgotten_when_its_time_is_over,
            spent::a_proof_is_the_same_whenever_it_ends,
            spent::proofs_that_are_asked_for_together_have_each_their_answer,
            spent::every_spent_proof_is_read,
            uses::uses_are_counted_on_the_head_that_was_seen,
        }
    };
    ($candidate:expr, $($file:ident :: $law:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $law() {
                $crate::journal::store::contract::run::$law(&$candidate).await;
            }
        )*
    };
}
pub(in crate::journal) use laws;

/// The laws, for [`laws`].
pub mod run {
    pub use super::append::*;
    pub use super::beside::*;
    pub use super::fence::*;
    pub use super::leave::*;
    pub use super::people::*;
    pub use super::reads::*;
    pub use super::spent::*;
    pub use super::uses::*;
}

/// The way that a batch is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    AtOnce,
    StepByStep,
}

const WAYS: [Way; 2] = [Way::AtOnce, Way::StepByStep];

/// An entry as a law writes it: kind, subject, body.
pub type Said<'a> = (&'static str, &'a str, &'a str);

pub const ISSUED: &str = "issued";
const REFUSED: &str = "refused";
pub const CHANGE: &str = "revocation.added";

/// A node: both sides of the store, and the log as it knows it.
pub struct Node {
    pub writer: Box<dyn Write>,
    pub reader: Reader,
    pub head: Head,
    pub tree: Tree,
    pub key: MacKey,
}

impl Node {
    /// One on an empty log, or on one that `of` knows.
    pub async fn on(store: &dyn Candidate, of: Option<&Self>) -> Self {
        let key = MacKey::of(&Kek::from_bytes([7; 32]));
        let (mut writer, reader) = store.open(&key.sums).await.expect("opens");
        // A start has looked where the log ends before anything is written at once.
        writer.begin(&Head::empty(), &[]).await.expect("begins");
        writer.abort().await.expect("gives up");
        let (head, tree) = of.map_or((Head::empty(), Tree::default()), |of| (of.head.clone(), of.tree.clone()));
        Self { writer, reader, head, tree, key }
    }

    /// The end of the log as this node knows it.
    pub fn found(&self) -> Found {
        Found { head: self.head.clone(), rows: self.head.size }
    }

    /// A batch of these entries at the end of the log, `time` seconds after noon.
    pub fn batch(&self, said: &[Said<'_>], time: i64) -> (Batch, Tree) {
        let rows = (self.head.size..).zip(said).map(|(index, (kind, subject, body))| Row {
            index,
            time: fixture::at(time),
            kind,
            subject: (*subject).to_owned(),
            request: (*kind != CHANGE).then(|| format!("request-{index}")),
            token: (*kind == ISSUED).then(|| format!("token-{index}")),
            body: (*body).to_owned(),
            leaf: leaf_hash(body.as_bytes()),
        });
        let is_change = matches!(said, [(CHANGE, ..)]);
        let mut tree = self.tree.clone();
        (Batch::of(rows.collect(), is_change, &self.head, &mut tree, &self.key), tree)
    }

    /// Writes a batch that spends `proofs`, all of them for the first time.
    pub async fn write(&mut self, way: Way, said: &[Said<'_>], proofs: &[Spent]) {
        self.write_at(way, said, proofs, 0).await;
    }

    pub async fn write_at(&mut self, way: Way, said: &[Said<'_>], proofs: &[Spent], time: i64) {
        let (batch, tree) = self.batch(said, time);
        let after = batch.after.clone();
        match way {
            // The first batch of a log may go step by step alone: there is one.
            Way::AtOnce if self.head.size > 0 => {
                assert_eq!(self.writer.record(batch, proofs).await.expect("writes"), Tried::Done);
            }
            Way::AtOnce | Way::StepByStep => {
                let begun = self.writer.begin(&self.head, proofs).await.expect("begins");
                assert_eq!((&begun.since.found, &begun.fresh), (&self.found(), &keys(proofs)));
                assert!(begun.since.news.is_empty(), "nobody else wrote");
                self.writer.append(batch).await.expect("appends");
                self.writer.commit().await.expect("commits");
            }
        }
        (self.head, self.tree) = (after, tree);
    }

    /// Writes a change with what stands or falls with it.
    pub async fn change(&mut self, body: &str, beside: Beside) {
        let (mut batch, tree) = self.batch(&[(CHANGE, "partner:globex", body)], 0);
        batch.beside = beside;
        let after = batch.after.clone();
        self.writer.begin(&self.head, &[]).await.expect("begins");
        self.writer.append(batch).await.expect("appends");
        self.writer.commit().await.expect("commits");
        (self.head, self.tree) = (after, tree);
    }

    /// Writes a change, at which proofs whose time is over at `time` are forgotten, and lets the store do what it put off.
    pub async fn forget_at(&mut self, time: i64) {
        self.writer.begin(&self.head, &[]).await.expect("begins");
        for slice in 0..=u8::MAX {
            self.writer.purge(slice, at(time)).await.expect("purges");
        }
        let (batch, tree) = self.batch(&[(CHANGE, "partner:globex", "{}")], time);
        let after = batch.after.clone();
        self.writer.append(batch).await.expect("appends");
        self.writer.commit().await.expect("commits");
        (self.head, self.tree) = (after, tree);
        self.writer.maintain().await.expect("maintains");
    }

    /// The end of the log as the store has it.
    pub async fn end(&self) -> Found {
        let mut snapshot = self.reader.snapshot().await.expect("reads");
        let end = snapshot.end().await.expect("reads").expect("a head");
        snapshot.end_reading().await.expect("ends");
        Found { head: end.head, rows: end.rows }
    }

    /// Every entry as it is stored.
    pub async fn bodies(&self) -> Vec<String> {
        self.reader.bodies(0, u64::MAX).await.expect("reads")
    }
}

pub fn keys(proofs: &[Spent]) -> HashSet<ProofKey> {
    proofs.iter().map(|(key, _)| *key).collect()
}

/// A proof that is remembered until so many seconds after noon.
pub fn proof(number: u64, until: i64) -> Spent {
    (ProofKey(Digest::of(&number.to_be_bytes())), fixture::at(until))
}

/// So many seconds after noon.
pub fn at(seconds: i64) -> Timestamp {
    fixture::at(seconds)
}

/// What a batch costs, for a person to read. Nothing is asserted: figures of a shared machine are none.
pub async fn figures(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::StepByStep, &[(ISSUED, "globex/a", "{}")], &[]).await;
    for rows in [1, 16, 64] {
        let said: Vec<Said> = (0..rows).map(|_| (ISSUED, "globex/a", "{}")).collect();
        let times = 300;
        let begun = std::time::Instant::now();
        for _ in 0..times {
            let first = node.head.size * 1000;
            let spends: Vec<_> = (first..first + rows).map(|number| proof(number, 1000)).collect();
            node.write(Way::StepByStep, &said, &spends).await;
        }
        let by_step = begun.elapsed() / times;
        let (mut at_once, begun) = (0, std::time::Instant::now());
        for _ in 0..times {
            let first = node.head.size * 1000;
            let spends: Vec<_> = (first..first + rows).map(|number| proof(number, 1000)).collect();
            if node.writer.goes_at_once(&node.head, said.len(), &spends) {
                node.write(Way::AtOnce, &said, &spends).await;
                at_once += 1;
            } else {
                node.write(Way::StepByStep, &said, &spends).await;
            }
        }
        println!("{rows} rows: {by_step:?} for a batch; {:?} where {at_once} of {times} go at once", begun.elapsed() / times);
    }
}
