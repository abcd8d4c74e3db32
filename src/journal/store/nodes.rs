//! The nodes that share a journal, and which of them runs what one node alone may run.
//!
//! A node has its id from its configuration and an instance of its own for each start. It holds a lease on the database, by the database's
//! clock, and renews it each second. Another instance takes an id over once the lease of the one before has run out, or was given back; from
//! then on no batch of the earlier instance is written. Tasks of which there may be one (webhooks, mail, entries of time) run at the holder
//! of a second lease, whose number rises whenever another instance takes it.

use super::Answer;
use crate::domain::value::clock::Seconds;
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
    /// How long its lease still is, in milliseconds; none once it has run out or was given back.
    pub left: Option<u64>,
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
