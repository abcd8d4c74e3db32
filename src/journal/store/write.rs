//! The write side of a store: one transaction at a time, nothing else awaited inside.
//!
//! There are two ways to write a batch. [`Write::record`] does all of it in one round trip, and gives way when another node wrote. The other
//! way is `begin`, `spend` or `claim`, `append` and `commit` while the lock is held; `abort` ends it at any point.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::Answer;
use super::batch::{Batch, Spent};
use super::head::{Found, Head};
use super::people::PeopleChange;
use super::row::Since;
use super::snapshot::Exclusive;
use super::uses::UsesChange;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{NodeId, RequestId};
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers::{Idempotency, Sealed};

/// The outcome of a batch that was tried at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// It is durable.
    Done,
    /// Nothing was written.
    ///
    /// The log ends elsewhere, a proof was spent before, or the batch does not fit this way. The other calls tell the reason.
    Not,
}

/// The batches that an answer has at most: who is further behind reads on before it takes the lock.
pub const MOST_NEWS: u32 = 256;

/// The size of a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A line.
    Line,
    /// As much as a commit of some tokens.
    Room,
}

/// The result of `begin`, while the lock is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The end of the log, and the batches after the head that the caller knows.
    pub since: Since,
    /// The proofs that were not spent before, and are with this batch. None where the log does not end as the caller knows it.
    pub fresh: HashSet<ProofKey>,
}

/// The node that writes, where nodes share a journal.
#[derive(Clone, Debug)]
pub struct Author {
    /// Its id.
    pub id: NodeId,
    /// The start of it that has the id.
    pub instance: String,
    /// Whether a batch must be of a time within 2 s of the database's clock. Only tests, whose clocks are set, say no.
    pub compares_clocks: bool,
}

/// Writes.
///
/// The failure table of the tests stands at this seam (CONTRIBUTING.md, 19): each step may fail, and a commit may fail and yet be persisted.
pub trait Write: Send {
    /// From now on nothing is written unless this instance has the id of the node.
    fn write_as(&mut self, author: Author);
    /// Whether [`Self::record`] may take a batch of so many rows after `prior`.
    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool;
    /// Writes `batch`, spends `proofs` and commits, in one round trip.
    ///
    /// It does so only if the log ends where the batch begins and none of the proofs was spent. After an error the batch may or may not be
    /// durable: [`Self::settle`] tells.
    fn record<'a>(&'a mut self, batch: Batch, proofs: &'a [Spent]) -> Answer<'a, Tried>;
    /// Takes the write lock, and reads the head and what was written after `known`. If nothing was, it spends `proofs`.
    fn begin<'a>(&'a mut self, known: &'a Head, proofs: &'a [Spent]) -> Answer<'a, Begun>;
    /// After `begin`: spends proofs, as the commit says; returns those that were not spent before.
    fn spend<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, HashSet<ProofKey>>;
    /// After `begin`: forgets the spent proofs of a slice (0 to 255) that have expired.
    fn purge(&mut self, slice: u8, now: Timestamp) -> Answer<'_, ()>;
    /// After `begin`: claims a key for `request`. False if another request has it.
    fn claim<'a>(&'a mut self, once: &'a Idempotency, request: &'a RequestId, now: Timestamp) -> Answer<'a, bool>;
    /// After `begin`: writes a batch, if the log ends where it begins. Several may follow one another; they stand or fall together.
    ///
    /// An implementation may keep rows until `commit`, so a fault may come up there.
    fn append(&mut self, batch: Batch) -> Answer<'_, ()>;
    /// Makes the batch durable. After an error it may or may not be: [`Self::settle`] tells.
    fn commit(&mut self) -> Answer<'_, ()>;
    /// Gives the lock back, nothing written.
    fn abort(&mut self) -> Answer<'_, ()>;
    /// Ensures that no batch that was sent is written later, and returns the end of the log.
    fn settle(&mut self) -> Answer<'_, Found>;
    /// Deletes the issuance and refusal entries of a range: all, or after an error perhaps none.
    fn leave(&mut self, from: u64, until: u64) -> Answer<'_, ()>;
    /// Keeps answers and forgets expired requests, in a transaction of its own.
    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Answer<'_, ()>;
    /// Writes people of the directory, in a transaction of its own. False, and nothing is written, if it is not as it was before.
    fn put_people<'a>(&'a mut self, change: &'a PeopleChange) -> Answer<'a, bool>;
    /// Writes counts of uses, in a transaction of its own. False, and nothing is written, if their head is not as it was before.
    ///
    /// Without a change it takes all of them away, some rows at a time. True once nothing is left.
    fn put_uses<'a>(&'a mut self, change: Option<&'a UsesChange>) -> Answer<'a, bool>;
    /// Takes the lock, writes and commits: whether the store takes writes.
    fn probe(&mut self, probe: Probe) -> Answer<'_, ()>;
    /// Removes deleted rows from the store's own logs. After an error they are still there.
    fn scrub(&mut self) -> Answer<'_, ()>;
    /// Notified when the store wants [`Self::maintain`] to be called between two batches.
    fn maintenance(&self) -> Arc<Notify>;
    /// Does the upkeep that the store put off while batches were coming.
    fn maintain(&mut self) -> Answer<'_, ()>;
    /// Takes the lock for a write that a start makes once.
    fn exclusive(&mut self) -> Answer<'_, Box<dyn Exclusive + '_>>;
    /// Closes the connection.
    fn close(&mut self) -> Answer<'_, ()>;
    /// Leaves the store without room for more, or gives it room again.
    #[cfg(test)]
    fn limit_room(&mut self, is_full: bool) -> Answer<'_, ()>;
}
