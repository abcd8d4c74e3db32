//! What a store takes that another one had: rows as they are, and last the end of the log.
//!
//! Until the end is there the log is empty, and whatever lies in its tables counts nothing; no journal opens like that. A store whose log has an
//! entry takes nothing. Rows that are there stay as they are, so the same may come twice; whoever moves a journal proves all of it after the end.
//!
//! Deliberately not here: what moves, and in which order (`migrate`).

use super::Answer;
use super::head::Head;
use super::people::StoredPeople;
use super::row::{AnswerRow, LastUse, SearchRow, SpentRow, StoredBatch, StoredText};
use super::uses::{StoredUses, UseRow, UseText};
use crate::domain::value::digest::Digest;
use crate::journal::key::kek::SealedBlob;

/// A full tile of hashes: level, index, content.
pub type StoredTile = (u8, u64, Vec<u8>);

/// Rows of one kind, or the end of the log.
#[derive(Debug)]
pub enum Portion {
    /// Entries.
    Entries(Vec<SearchRow>),
    /// Batches, each with the leaf hashes of those of its entries that have not left.
    Batches(Vec<(StoredBatch, Vec<Digest>)>),
    /// Full tiles.
    Tiles(Vec<StoredTile>),
    /// Texts of people.
    Texts(Vec<StoredText>),
    /// Sealed keys.
    Keyring(Vec<SealedBlob>),
    /// Spent proofs.
    Spent(Vec<SpentRow>),
    /// Last tokens of clients.
    LastUses(Vec<LastUse>),
    /// Requests with an idempotency key.
    Answers(Vec<AnswerRow>),
    /// The people directory.
    People(StoredPeople),
    /// Texts of uses.
    UseTexts(Vec<UseText>),
    /// Counts of uses.
    Uses(Vec<UseRow>),
    /// The end of what is counted, and the tags of the days.
    UsesHead(StoredUses),
    /// The end of the log. From here on it counts.
    End(Head),
}

/// Takes what another store had.
pub trait Restore: Send {
    /// Writes a portion, durably, if the log is empty.
    ///
    /// The end is written only if the entries end there. The sums over the side tables are made of their rows, which nobody has proved yet.
    fn restore<'a>(&'a mut self, portion: &'a Portion) -> Answer<'a, ()>;
}

/// The fault of a portion for a store whose log is not empty.
pub const NOT_EMPTY: &str = "the log there is not empty";

/// The fault of an end at which the entries do not end.
pub const ELSEWHERE: &str = "the entries there do not end where the log does";
