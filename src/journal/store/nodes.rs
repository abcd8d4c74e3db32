//! The nodes that share a journal, and which of them runs what one node alone may run.
//!
//! A node has its id from its configuration and an instance of its own for each start. It holds a lease on the database, by the database's
//! clock, and renews it each second. Another instance takes an id over once the lease of the one before has run out, or was given back; from
//! then on no batch of the earlier instance is written. Tasks of which there may be one (webhooks, mail, entries of time) run at the holder
//! of a second lease, whose number rises whenever another instance takes it.

use super::Answer;
use super::health::Health;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::NodeId;

/// How long a lease is.
///
/// A node counts it from the sending of the request that was answered, so it ends at the node before it ends at the database.
pub const LEASE: Seconds = Seconds(5);

/// What a node tells of itself with each renewal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Its id.
    pub id: NodeId,
    /// What tells this start from every other.
    pub instance: String,
    /// The version of the program.
    pub version: &'static str,
    /// The entries that it has followed.
    pub size: u64,
    /// How far its clock is ahead of the database's, in seconds, as it knew it last.
    pub ahead: i64,
    /// Why it is not ready, where that is for a reason of its own.
    pub unready: Option<String>,
    /// The newest format of entries that it reads.
    pub format: u32,
    /// The states that it folded lately, the newest last.
    pub folded: Vec<FoldedState>,
}

/// A state that a node folded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FoldedState {
    /// The last change in it.
    pub index: u64,
    /// Its digest.
    pub digest: Digest,
}

/// The bytes of one: its index and its digest.
const FOLDED: usize = 8 + 32;

impl FoldedState {
    /// As a column has them.
    pub fn write(all: &[Self]) -> Vec<u8> {
        all.iter().flat_map(|one| one.index.to_be_bytes().into_iter().chain(one.digest.0)).collect()
    }

    /// From a column. What is no whole one counts for nothing.
    pub fn read(bytes: &[u8]) -> Vec<Self> {
        let one = |bytes: &[u8]| {
            let (index, digest) = bytes.split_at_checked(8)?;
            Some(Self { index: u64::from_be_bytes(index.try_into().ok()?), digest: Digest(digest.try_into().ok()?) })
        };
        bytes.chunks_exact(FOLDED).filter_map(one).collect()
    }
}

/// A node as the database knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownNode {
    /// Its id.
    pub id: NodeId,
    /// Its start.
    pub instance: String,
    /// The version of its program.
    pub version: String,
    /// The entries that it has followed, as it told last.
    pub size: u64,
    /// How far its clock is ahead of the database's, in seconds.
    pub ahead: i64,
    /// Why it is not ready, as it told last.
    pub unready: Option<String>,
    /// The newest format of entries that it reads.
    pub format: u32,
    /// The states that it folded lately.
    pub folded: Vec<FoldedState>,
    /// How long its lease still is, in milliseconds; none once it has run out or was given back.
    pub left: Option<u64>,
    /// How long ago its lease ended, in milliseconds; none while it lives.
    pub gone: Option<u64>,
    /// Whether it holds the lease of the single tasks.
    pub runs: bool,
}

/// The outcome of a registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Joined {
    /// The id is this instance's.
    Done,
    /// Another instance that lives has the id.
    Taken(KnownNode),
}

/// The outcome of a renewal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renewed {
    /// The lease goes on.
    Done {
        /// The database's time, in seconds since 1970.
        now: i64,
        /// The number of the lease of the single tasks, if this instance holds it.
        runs: Option<u64>,
    },
    /// Another instance has taken the id.
    Superseded,
}

/// The nodes of a journal, by a connection of its own: no batch that waits for its lock delays a renewal.
pub trait Nodes: Send {
    /// Registers a start, if no other instance that lives has the id.
    fn join<'a>(&'a mut self, told: &'a Told) -> Answer<'a, Joined>;
    /// Renews the lease, and that of the single tasks or takes it where nobody else holds it.
    fn renew<'a>(&'a mut self, told: &'a Told) -> Answer<'a, Renewed>;
    /// How the server is.
    fn health(&mut self) -> Answer<'_, Health>;
    /// Gives both leases back, at an orderly end.
    fn leave<'a>(&'a mut self, told: &'a Told) -> Answer<'a, ()>;
    /// All nodes, by id.
    fn all(&mut self) -> Answer<'_, Vec<KnownNode>>;
    /// A cursor, which all nodes see; none before it is put for the first time.
    fn cursor<'a>(&'a mut self, name: &'a str) -> Answer<'a, Option<Cursor>>;
    /// Puts a cursor in place of the one of the generation before. False, and nothing is written, if another one is there.
    fn put_cursor<'a>(&'a mut self, name: &'a str, cursor: &'a Cursor) -> Answer<'a, bool>;
}

/// How far a task is that tells others of entries, such as a receiver of webhooks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// One more with each put; the first is 1.
    pub generation: i64,
    /// What the task keeps.
    pub body: Vec<u8>,
}
