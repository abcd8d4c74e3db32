//! The live revocation index, which others read without asking the broker.
//!
//! See docs/explanation/journal.md#the-live-index. Enter through [`Index`]. The journal is the truth, and `broker::follow`
//! keeps this copy of it: revoked tokens, lines that cut, and a marker up to which the copy is complete. Beside them it has
//! quotas and seen proofs.
//!
//! The contract, for both implementations:
//! - `Ok` means that the store did it. [`Away`] means that it did not answer in time or not as expected: it may or may not
//!   have done it, so the caller refuses, and repeats only what is idempotent (`apply`, `rebuild`, `renew`, `spend`).
//! - Nothing here is durable. A store that lost acknowledged writes shows no marker or an older one, and its readers
//!   get [`Liveness::Unknown`] until it is rebuilt. Lines only move forward.
//! - Every call ends within 750 ms, including a connection; `rebuild` within 750 ms for each portion of an environment.
//!
//! Deliberately not here: any decision. Only this module uses the `redis` crate.

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

pub use self::answer::{Admission, Liveness, Shown};
pub use self::away::{Away, Unusable};
pub use self::marker::{Applied, Found, Marker, STALE_AFTER, Snapshot, Strange, Update};

use self::memory::Memory;
use self::redis::Redis;

/// The live index, in Redis or in this process.
#[derive(Clone, Debug)]
pub enum Index {
    /// In this process, for `carnet dev` and single nodes.
    Memory(Memory),
    /// In Redis, which every node and verifier can read.
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

    /// An index in Redis.
    ///
    /// It connects at the first call, so a node starts, not ready, while Redis is away.
    pub fn redis(url: &str) -> Result<Self, Unusable> {
        Redis::new(url).map(Self::Redis)
    }

    /// The marker of an environment, if it has one and its keys have our form.
    pub async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        either!(self, store => store.marker(environment).await)
    }

    /// Replaces the whole index, each environment in one step.
    pub async fn rebuild(&self, snapshot: &Snapshot) -> Result<(), Away> {
        either!(self, store => store.rebuild(snapshot).await)
    }

    /// Applies changes in order and advances the marker, if the marker is the expected one.
    pub async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        either!(self, store => store.apply(update).await)
    }

    /// Renews the marker's time, if the marker is still this one.
    pub async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        either!(self, store => store.renew(environment, marker).await)
    }

    /// Takes one from the caller's bucket unless the proof was seen, in one round trip.
    ///
    /// A proof that is to be spent here is marked in the same step. One that was seen, or that is over the quota, is left as it is.
    pub async fn admit(&self, bucket: &Bucket<'_>, proof: Option<Shown>, now: Timestamp) -> Result<Admission, Away> {
        either!(self, store => store.admit(bucket, proof, now).await)
    }

    /// Marks a proof that the journal has spent.
    ///
    /// Nobody waits for it: the journal refuses a replay in any case.
    pub fn spend(&self, proof: &ProofKey, until: Timestamp) {
        either!(self, store => store.spend(proof, until));
    }

    /// Forgets a proof that [`admit`](Self::admit) marked for a caller who then got no answer, so that it may be sent again.
    ///
    /// Nobody waits for it: if it is lost, the proof stays spent. The journal has every proof that paid for a token.
    pub fn give_back(&self, proof: &ProofKey) {
        either!(self, store => store.give_back(proof));
    }

    /// Spends a proof for a read; false if it was seen before.
    pub async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        either!(self, store => store.spend_read(proof, until).await)
    }

    /// Reads in one round trip if a token with these keys and this entry is cut.
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

    /// Stores the journal's newest checkpoint: an anchor outside the journal's own store.
    pub async fn store_checkpoint(&self, note: &str) -> Result<(), Away> {
        either!(self, store => store.store_checkpoint(note).await)
    }

    /// The newest checkpoint that was stored.
    pub async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        either!(self, store => store.load_checkpoint().await)
    }

    /// Checks that the store answers.
    pub async fn ping(&self) -> Result<(), Away> {
        either!(self, store => store.ping().await)
    }

    /// Advice to the operator about the store, such as an eviction policy that loses revocations.
    pub async fn advice(&self) -> Result<Option<&'static str>, Away> {
        either!(self, store => store.advice().await)
    }
}

#[cfg(test)]
mod tests;
