//! Rows as they are read: the values of their columns, not proved yet.

use std::sync::Arc;

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

use super::head::{Found, Head};

/// The end of the log as the store has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// The row that says it.
    pub head: Head,
    /// One more than the greatest index of an entry.
    pub rows: u64,
    /// The time of the entry with that index, in seconds.
    pub newest: Option<i64>,
}

/// An entry with its hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryRow {
    /// Its index.
    pub index: u64,
    /// Its time, in seconds.
    pub time: i64,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// The leaf hash; none where the column does not hold one.
    pub leaf: Option<Digest>,
}

/// An entry with the columns that searches use. None where a column does not hold text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SearchRow {
    /// The entry.
    pub entry: EntryRow,
    /// Its kind.
    pub kind: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its request.
    pub request: Option<String>,
    /// Its token.
    pub token: Option<String>,
}

/// The place of an issuance, and what a count asks of it first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuance {
    /// Its index.
    pub index: u64,
    /// The `exp` of its token.
    pub expires: Timestamp,
    /// Its client.
    pub subject: Arc<str>,
}

/// The tokens of a client that were issued for an API through a binding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedPlace {
    /// How many.
    pub count: u64,
    /// The time of the last.
    pub last: Timestamp,
    /// The client.
    pub client: String,
    /// The environment.
    pub environment: String,
    /// The API.
    pub api: String,
    /// The binding.
    pub binding: String,
}

/// The line of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredBatch {
    /// Its first entry.
    pub first: u64,
    /// One more than its last entry.
    pub size_after: u64,
    /// The root before it.
    pub prior_root: Digest,
    /// The root after it.
    pub root: Digest,
    /// The last change before it.
    pub prior_change: Option<u64>,
    /// Its MAC.
    pub mac: Vec<u8>,
}

/// A batch, as a node follows it that did not write it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    /// Its line.
    pub batch: StoredBatch,
    /// The leaf hashes of its entries; fewer than it has where entries have left.
    pub leaves: Vec<Digest>,
    /// Its entry, if it has one alone, as every change has it.
    pub alone: Option<Vec<u8>>,
}

/// What stands after an entry, and the end of the log at the same moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Since {
    /// The end of the log.
    pub found: Found,
    /// The sums over the side tables, as the head keeps them.
    pub sums: Vec<u8>,
    /// The batches after the entry, in order; not all of them where they are many.
    pub news: Vec<News>,
}

/// A change, and the batch that begins at it.
pub type ChangeRow = (EntryRow, Option<StoredBatch>);

/// A spent proof, and the table that holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpentRow {
    /// The table, as faults name it.
    pub table: &'static str,
    /// The proof.
    pub proof: Digest,
    /// Until when it is remembered, in seconds.
    pub until: i64,
}

/// A page of the spent proofs, and the place after it; none at the end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SpentPage {
    /// The proofs.
    pub rows: Vec<SpentRow>,
    /// The place to read on from.
    pub next: Option<SpentPlace>,
    /// A proof whose time was over before this may have been forgotten while pages were read. The last page says it.
    pub forgotten_before: Timestamp,
}

/// A place among the spent proofs, which only the store that gave it can read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpentPlace(pub Vec<u8>);

/// When a client was last issued a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastUse {
    /// The client.
    pub subject: String,
    /// The entry of its last token.
    pub index: u64,
    /// The time of that entry.
    pub time: Timestamp,
}

/// The last tokens of clients, as of a head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LastUses {
    /// Those that are not newer than the head, by client.
    pub at_head: Vec<LastUse>,
    /// Clients that were issued a token after the head: what stood there before is written over.
    pub since: Vec<String>,
}

/// A text of somebody, with its salt. None where a column does not hold one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredText {
    /// The digest that entries name it by.
    pub digest: Digest,
    /// Salt and text.
    pub said: Option<([u8; 16], String)>,
}

/// Numbers of rows outside of the log, as it is when they are counted: a walk over the entries sees all others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outside {
    /// Entries before the first one.
    pub entries: u64,
    /// Batches that begin before the first entry, or after the last.
    pub batches: u64,
    /// Tiles that no tree of so many entries has.
    pub tiles: u64,
}

/// A request with an idempotency key that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownRequest {
    /// The fingerprint of the one that did it.
    pub fingerprint: Digest,
    /// Its name.
    pub request: crate::domain::value::names::RequestId,
    /// Whether it came to its end.
    pub finished: bool,
    /// The sealed answer, where one is kept.
    pub sealed: Option<Vec<u8>>,
}

/// A request with an idempotency key, as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerRow {
    /// The person, as a digest.
    pub person: Vec<u8>,
    /// The key, as a digest.
    pub key: Vec<u8>,
    /// The fingerprint of the request.
    pub fingerprint: Vec<u8>,
    /// Its name.
    pub request: String,
    /// Since when it is known, in seconds.
    pub since: i64,
    /// How far it came.
    pub stage: String,
    /// The sealed answer, where one is kept.
    pub answer: Option<Vec<u8>>,
}
