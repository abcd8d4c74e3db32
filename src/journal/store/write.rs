//! The write side of a store: one transaction at a time, nothing else awaited inside.
//!
//! A batch goes one of two ways. [`Write::record`] does all of it in one round trip, where nobody else wrote. Else `begin`, `spend` or
//! `claim`, `append` and `commit` follow each other while the lock is held; `abort` ends them wherever they are.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::Answer;
use super::batch::{Batch, Spent};
use super::head::{Found, Head};
use super::snapshot::Exclusive;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers::{Idempotency, Sealed};

/// What became of a batch that was tried at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// It is durable.
    Done,
    /// Nothing was written: the log ends elsewhere, a proof was spent before, or the batch is not one that goes at once. Which of it,
    /// the other calls tell.
    Not,
}

/// What a probe writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A line.
    Line,
    /// As much as a commit of some tokens.
    Room,
}

/// What is found as the lock is taken: where the log ends, and those of the proofs that were not spent before.
pub type Begun = (Found, HashSet<ProofKey>);

/// Writes. Also the seam at which the failure table of the tests stands (CONTRIBUTING.md, 19): each step may fail, and a commit may fail and yet
/// be persisted.
pub trait Write: Send {
    /// Whether it is worth while to make a batch of so many rows after `prior` for [`Self::record`].
    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool;
    /// Takes the lock, looks whether the log ends where `batch` begins and none of `proofs` was spent, writes it, spends them and commits.
    /// After an error it may or may not be durable: [`Self::settle`] tells.
    fn record<'a>(&'a mut self, batch: Batch, proofs: &'a [Spent]) -> Answer<'a, Tried>;
    /// Takes the write lock, reads the head, and spends `proofs`, on the guess that the head is the expected one.
    fn begin<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, Begun>;
    /// After `begin`: spends proofs, as the commit says; returns those that were not spent before.
    fn spend<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, HashSet<ProofKey>>;
    /// After `begin`: forgets spent proofs of one slice of the key space (0 to 255) whose time is over.
    fn purge(&mut self, slice: u8, now: Timestamp) -> Answer<'_, ()>;
    /// After `begin`: `request` is the one that is done for its key, as the commit says. False where another one was.
    fn claim<'a>(&'a mut self, once: &'a Idempotency, request: &'a RequestId, now: Timestamp) -> Answer<'a, bool>;
    /// After `begin`: writes a batch, if the log ends where it begins. A fault may come up in `commit`: an implementation may keep what is
    /// to be written until then.
    fn append(&mut self, batch: Batch) -> Answer<'_, ()>;
    /// Makes it durable. After an error it may or may not be: [`Self::settle`] tells.
    fn commit(&mut self) -> Answer<'_, ()>;
    /// Gives the lock back, nothing written.
    fn abort(&mut self) -> Answer<'_, ()>;
    /// Makes sure that no batch that was sent is written from now on, and returns where the log ends: what became of the last one.
    fn settle(&mut self) -> Answer<'_, Found>;
    /// Issuance and refusal entries of this range leave the store. All, or after an error perhaps none.
    fn leave(&mut self, from: u64, until: u64) -> Answer<'_, ()>;
    /// Keeps answers, and forgets requests whose time is over, in a transaction of its own. After an error perhaps not.
    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Answer<'_, ()>;
    /// Takes the lock, writes and commits: whether the store takes writes.
    fn probe(&mut self, probe: Probe) -> Answer<'_, ()>;
    /// Removes from the store's own logs what was deleted from its tables. An error: it is still there.
    fn scrub(&mut self) -> Answer<'_, ()>;
    /// Notified when the store wants [`Self::maintain`] to be called between two batches.
    fn maintenance(&self) -> Arc<Notify>;
    /// Does what the store put off while batches were coming.
    fn maintain(&mut self) -> Answer<'_, ()>;
    /// Takes the lock for what a start writes once.
    fn exclusive(&mut self) -> Answer<'_, Box<dyn Exclusive + '_>>;
    /// Closes the connection.
    fn close(&mut self) -> Answer<'_, ()>;
    /// From now on there is no room for more, or there is again.
    #[cfg(test)]
    fn limit_room(&mut self, is_full: bool) -> Answer<'_, ()>;
}
