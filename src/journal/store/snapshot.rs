//! Reading at one moment, for a start and for `verify`.

use super::Answer;
use super::head::Head;
use super::row::{
    AnswerRow, ChangeRow, Counts, End, EntryRow, LastUse, SearchRow, SpentPage, SpentPlace, StoredBatch, StoredText,
};
use super::sums::SumKey;
use super::uses::UseText;
use crate::domain::value::digest::Digest;
use crate::journal::fault::OpenFault;
use crate::journal::key::kek::SealedBlob;

/// Entries of a page: those of a full tile of level 0.
pub const PAGE: usize = 256;

/// Reads at the moment of the first read, whatever is written meanwhile.
///
/// The store proves nothing that it returns, except sums.
pub trait Snapshot: Send {
    /// The end of the log; none when the row with it is missing.
    fn end(&mut self) -> Answer<'_, Option<End>>;
    /// The newest batch.
    fn newest_batch(&mut self) -> Answer<'_, Option<StoredBatch>>;
    /// The batches that begin from `from` on and before `until`.
    fn batches(&mut self, from: u64, until: u64) -> Answer<'_, Vec<StoredBatch>>;
    /// Every entry from `from` on.
    fn entries(&mut self, from: u64) -> Answer<'_, Vec<EntryRow>>;
    /// The entries from `from` on, at most [`PAGE`], with what their rows say for those who search.
    fn page(&mut self, from: u64) -> Answer<'_, Vec<SearchRow>>;
    /// Changes from the entry `from` on, at most `most`, each with its batch.
    fn changes(&mut self, from: u64, most: u32) -> Answer<'_, Vec<ChangeRow>>;
    /// Every change of a kind, with its index.
    fn changes_of_kind(&mut self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>>;
    /// The leaf hashes of the entries from `from` on.
    fn leaves(&mut self, from: u64) -> Answer<'_, Vec<Digest>>;
    /// The content of a full tile of hashes.
    fn tile(&mut self, level: u8, index: u64) -> Answer<'_, Option<Vec<u8>>>;
    /// The numbers of rows, for a log of `size` entries.
    fn counts(&mut self, size: u64) -> Answer<'_, Counts>;
    /// Spent proofs, from a place on that an earlier page named.
    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault>;
    /// When each client was last issued a token, by client.
    fn last_uses(&mut self) -> Answer<'_, Vec<LastUse>>;
    /// Some texts in the order of their digests, after `after`. None after the last.
    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>>;
    /// The whole keyring, by name.
    fn keyring(&mut self) -> Answer<'_, Vec<SealedBlob>>;
    /// Every request with an idempotency key.
    fn answers(&mut self) -> Answer<'_, Vec<AnswerRow>>;
    /// Some texts of uses in the order of their digests, after `after`. None after the last.
    fn use_texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<UseText>>;
    /// Whether the side tables are as a node of ours left them at `head`.
    ///
    /// `Ok(false)`: the head keeps no sums yet, and nothing was checked.
    fn check_sums<'a>(&'a mut self, key: &'a SumKey, head: &'a Head, tables: Checked) -> Answer<'a, bool, OpenFault>;
    /// Ends the reading.
    fn end_reading<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a;
}

/// The side tables to check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checked {
    /// All of them, at a start.
    All,
    /// Those that a node keeps in memory, after another node wrote.
    InMemory,
}

/// A snapshot that holds the write lock, for a write that a start makes once.
pub trait Exclusive: Snapshot {
    /// Writes the first sums over the side tables, which the entries proved at `head`, and commits.
    fn write_sums<'a>(self: Box<Self>, key: &'a SumKey, head: &'a Head) -> Answer<'a, ()>
    where
        Self: 'a;
}
