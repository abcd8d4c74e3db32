//! Reading at one moment: what a start proves, and what `verify` proves.

use super::Answer;
use super::head::Head;
use super::row::{ChangeRow, Counts, End, EntryRow, LastUse, SearchRow, SpentPage, SpentPlace, StoredBatch, StoredText};
use super::sums::SumKey;
use crate::domain::value::digest::Digest;
use crate::journal::fault::OpenFault;
use crate::journal::key::kek::SealedBlob;

/// Entries of a page: those of a full tile of level 0.
pub const PAGE: usize = 256;

/// Reads at the moment of the first read, whatever is written meanwhile. Nothing that is read is proved by the store, except sums.
pub trait Snapshot: Send {
    /// Where the log ends; none where the row that says it is gone.
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
    /// Rows of a log of `size` entries that nobody comes by who reads it entry by entry.
    fn counts(&mut self, size: u64) -> Answer<'_, Counts>;
    /// Spent proofs, from a place on that an earlier page named.
    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault>;
    /// When each client was last issued a token, by client.
    fn last_uses(&mut self) -> Answer<'_, Vec<LastUse>>;
    /// Some texts in the order of their digests, after `after`. None after the last.
    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>>;
    /// The whole keyring, by name.
    fn keyring(&mut self) -> Answer<'_, Vec<SealedBlob>>;
    /// Whether the tables beside the entries are as a node of ours left them at `head`. `Ok(false)` where the head keeps no sums yet:
    /// then nothing was checked.
    fn check_sums<'a>(&'a mut self, key: &'a SumKey, head: &'a Head, tables: Checked) -> Answer<'a, bool, OpenFault>;
    /// Ends the reading.
    fn end_reading<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a;
}

/// Which of the tables beside the entries are checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checked {
    /// All of them: what a start does.
    All,
    /// Those that a node keeps in memory: what it does when another one wrote.
    InMemory,
}

/// A snapshot that holds the write lock: for what a start writes once.
pub trait Exclusive: Snapshot {
    /// Writes the first sums over the tables beside the entries, which were proved at `head` by other means, and commits.
    fn write_sums<'a>(self: Box<Self>, key: &'a SumKey, head: &'a Head) -> Answer<'a, ()>
    where
        Self: 'a;
}
