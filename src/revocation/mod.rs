//! The live revocation index: what everybody else can read without asking the broker (docs/explanation/journal.md#the-live-index).
//!
//! Enter through [`Index`]. The journal is the truth; this is its shadow, kept by `broker::follow`: revoked tokens, lines that
//! cut, a marker that says up to where the shadow is complete, and the batcher of quotas and seen proofs.
//!
//! Contract, for both implementations:
//! - A returned `Ok` means that the store did it. [`Away`] means that it did not answer in time or not as expected: it may or may not
//!   have done it, so the caller refuses, and repeats only what is idempotent (`apply`, `rebuild`, `renew`, `spend`).
//! - Nothing here is durable: a store that lost what it acknowledged shows no marker or an older one, and whoever reads it then is
//!   told [`Liveness::Unknown`] until it is rebuilt. Lines only move forward.
//! - Every call ends within half a second, or a second where it must connect first.
//!
//! Deliberately not here: any decision. Home of `redis`.

mod answer;
mod away;
mod batcher;
mod marker;
mod memory;
mod redis;
mod scripts;

use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::Bucket;

pub use self::answer::{Admission, Liveness};
pub use self::away::{Away, Unusable};
pub use self::marker::{Applied, Found, Marker, STALE_AFTER, Snapshot, Strange, Update};

use self::memory::Memory;
use self::redis::Redis;

/// The live index, in Redis or in this process.
#[derive(Clone, Debug)]
pub enum Index {
    /// In this process: `carnet dev`, one node.
    Memory(Memory),
    /// In Redis, for everybody.
    Redis(Redis),
}

macro_rules! either {
    ($index:expr, $store:ident => $call:expr) => {
        match $index {
            Index::Memory($store) => $call,
            Index::Redis($store) => $call,
        }
    };
}

impl Index {
    /// An index in this process.
    pub fn in_process() -> Self {
        Self::Memory(Memory::default())
    }

    /// An index in Redis. Connects when first asked, so that a node starts, not ready, while Redis is away.
    pub fn redis(url: &str) -> Result<Self, Unusable> {
        Redis::new(url).map(Self::Redis)
    }

    /// The marker of an environment, if it has one and its keys are as ours are.
    pub async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        either!(self, store => store.marker(environment).await)
    }

    /// Replaces everything, each environment at once.
    pub async fn rebuild(&self, snapshot: &Snapshot) -> Result<(), Away> {
        either!(self, store => store.rebuild(snapshot).await)
    }

    /// Applies changes in order and moves the marker, if the marker is the expected one.
    pub async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        either!(self, store => store.apply(update).await)
    }

    /// Moves the marker's time, if the marker is still this one.
    pub async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        either!(self, store => store.renew(environment, marker).await)
    }

    /// Looks the proof up, and takes one from the caller's bucket where it was not seen: one step, one round trip.
    pub async fn admit(&self, bucket: &Bucket<'_>, proof: Option<ProofKey>, now: Timestamp) -> Result<Admission, Away> {
        either!(self, store => store.admit(bucket, proof, now).await)
    }

    /// Notes a proof that the journal has spent. Nobody waits for it: the journal refuses a replay whatever becomes of this.
    pub fn spend(&self, proof: &ProofKey, until: Timestamp) {
        either!(self, store => store.spend(proof, until));
    }

    /// Spends a proof for a read; false if it was seen before.
    pub async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        either!(self, store => store.spend_read(proof, until).await)
    }

    /// Whether a token that names these keys and has this entry is cut, in one round trip.
    pub async fn is_cut(
        &self,
        environment: &EnvironmentName,
        token: &TokenId,
        keys: &[RevocationKey],
        entry: u64,
        now: Timestamp,
    ) -> Result<Liveness, Away> {
        either!(self, store => store.is_cut(environment, token, keys, entry, now).await)
    }

    /// Keeps the journal's newest checkpoint beside the index: the anchor outside the journal's own store.
    pub async fn store_checkpoint(&self, note: &str) -> Result<(), Away> {
        either!(self, store => store.store_checkpoint(note).await)
    }

    /// The newest checkpoint that was kept.
    pub async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        either!(self, store => store.load_checkpoint().await)
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), Away> {
        either!(self, store => store.ping().await)
    }

    /// What an operator should change about the store, such as an eviction policy that loses revocations.
    pub async fn advice(&self) -> Result<Option<&'static str>, Away> {
        either!(self, store => store.advice().await)
    }
}

#[cfg(test)]
mod tests;
