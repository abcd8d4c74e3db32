//! Reading up to a fixed head, for a start and for `verify`.
//!
//! Entries, batches and tiles below a head are written once, so a page of them is of that head whenever it is read. A store may hold a moment
//! open for as long as somebody reads, or read page by page while others write. Then rows leave, are forgotten and are written over: each
//! function says what a reader may find, so that a reading ends in a true result, or in [`StoreFault::Again`](crate::journal::fault::StoreFault::Again).

use super::Answer;
use super::head::Head;
use super::row::{
    AnswerRow, ChangeRow, End, EntryRow, LastUses, Outside, SearchRow, SpentPage, SpentPlace, StoredBatch, StoredText,
};
use super::sums::SumKey;
use super::uses::UseText;
use crate::domain::value::digest::Digest;
use crate::journal::fault::OpenFault;
use crate::journal::key::kek::SealedBlob;

/// Entries of a page: those of a full tile of level 0.
pub const PAGE: usize = 256;

/// Reads up to the head at which it began, whatever is written meanwhile.
///
/// The store proves nothing that it returns, except sums.
pub trait Snapshot: Send {
    /// The end of the log, fixed as the reading began; none when the row with it is missing.
    fn end(&mut self) -> Answer<'_, Option<End>>;
    /// The newest batch before the end.
    fn newest_batch(&mut self) -> Answer<'_, Option<StoredBatch>>;
    /// The batches that begin from `from` on and before `until`.
    fn batches(&mut self, from: u64, until: u64) -> Answer<'_, Vec<StoredBatch>>;
    /// Every entry from `from` on. Those that have left the store are missing.
    fn entries(&mut self, from: u64) -> Answer<'_, Vec<EntryRow>>;
    /// The entries from `from` on, at most [`PAGE`], with what their rows say for those who search.
    ///
    /// Those that have left are missing, and the change that says so is there by then ([`Self::changes_of_kind`]).
    fn page(&mut self, from: u64) -> Answer<'_, Vec<SearchRow>>;
    /// Changes from the entry `from` on, at most `most`, each with its batch.
    fn changes(&mut self, from: u64, most: u32) -> Answer<'_, Vec<ChangeRow>>;
    /// Every change of a kind, with its index. Changes after the end may be among them.
    fn changes_of_kind(&mut self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>>;
    /// The leaf hashes of the entries from `from` on. Those of entries that have left are missing.
    fn leaves(&mut self, from: u64) -> Answer<'_, Vec<Digest>>;
    /// The content of a tile of hashes that is full at the end.
    fn tile(&mut self, level: u8, index: u64) -> Answer<'_, Option<Vec<u8>>>;
    /// The numbers of rows outside of the log.
    fn outside(&mut self) -> Answer<'_, Outside>;
    /// Spent proofs, from a place on that an earlier page named. Those that were spent after the end are left out.
    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault>;
    /// When each client was last issued a token.
    fn last_uses(&mut self) -> Answer<'_, LastUses>;
    /// Some texts in the order of their digests, after `after`. None after the last. They are as they stand now.
    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>>;
    /// The whole keyring, by name. None once there is a change after the end, which may have made or destroyed a key.
    fn keyring(&mut self) -> Answer<'_, Option<Vec<SealedBlob>>>;
    /// Every request with an idempotency key.
    fn answers(&mut self) -> Answer<'_, Vec<AnswerRow>>;
    /// Some texts of uses in the order of their digests, after `after`. None after the last.
    fn use_texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<UseText>>;
    /// Whether the side tables are as a node of ours left them, at `head` and since.
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
