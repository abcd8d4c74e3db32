//! The live revocation index, which others read without asking the broker.
//!
//! See docs/explanation/journal.md#the-live-index. Enter through [`Index`]. The journal is the truth, and `broker::follow`
//! keeps this copy of it: revoked tokens, lines that cut, and a marker up to which the copy is complete. Beside them it has
//! quotas and seen proofs, and records that all nodes see (`records`).
//!
//! The contract, for both implementations:
//! - `Ok` means that the store did it. [`Away`] means that it did not answer in time or not as expected: it may or may not
//!   have done it, so the caller refuses, and repeats only what is idempotent (`apply`, `rebuild`, `renew`, `spend`).
//! - Nothing here is durable. A store that lost acknowledged writes shows no marker or an older one, and its readers
//!   get [`Liveness::Unknown`] until it is rebuilt. Lines only move forward.
//! - Every call ends within 750 ms, including a connection; `rebuild` and `apply` within 750 ms for each piece of an environment.
//! - No call keeps the store busy for more than five milliseconds.
//!
//! Deliberately not here: any decision. Only this module uses the `redis` crate.

mod acl;
mod answer;
mod away;
mod batcher;
mod cluster;
mod command;
mod dial;
mod keys;
mod link;
mod marker;
mod memory;
mod news;
mod node;
mod place;
mod rebuild;
mod records;
mod redis;
mod reply;
mod route;
mod scripts;

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::{Clock, Seconds, Timestamp};
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::Bucket;

pub use self::acl::acl;
pub use self::answer::{Admission, Liveness, Shown};
pub use self::away::Away;
pub use self::marker::{Applied, Found, Marker, Rebuilt, STALE_AFTER, Snapshot, Strange, Update};
pub use self::place::{Address, Place, Servers};
pub use self::records::{Kind, Name, Where};

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
    /// It connects at the first call, so a node starts, not ready, while Redis is away. `clock` is that of this machine: Redis has its own, and
    /// the two are compared where a token is called active.
    pub fn redis(place: Place, clock: Arc<dyn Clock>) -> Self {
        Self::Redis(Redis::new(place, clock))
    }

    /// The marker of an environment, if it has one and its keys have our form.
    pub async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        either!(self, store => store.marker(environment).await)
    }

    /// Replaces the whole index of an environment in one step, unless what is there is newer.
    pub async fn rebuild(&self, snapshot: &Snapshot) -> Result<Rebuilt, Away> {
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
    ///
    /// `now` is the time by which this process wrote the marker of an index of its own. For Redis the machine's clock counts.
    pub async fn is_cut(
        &self,
        environment: &EnvironmentName,
        token: &TokenId,
        keys: &[RevocationKey],
        entry: u64,
        now: Timestamp,
    ) -> Result<Liveness, Away> {
        match self {
            Self::Memory(memory) => memory.is_cut(environment, token, keys, entry, now).await,
            Self::Redis(redis) => redis.is_cut(environment, token, keys, entry).await,
        }
    }

    /// Stores the journal's newest checkpoint, an anchor outside the journal's own store, in place of the one that was seen.
    ///
    /// False if another one is there: another node stored one, which may be newer.
    pub async fn store_checkpoint(&self, note: &str, over: Option<&str>) -> Result<bool, Away> {
        either!(self, store => store.store_checkpoint(note, over).await)
    }

    /// The newest checkpoint that was stored.
    pub async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        either!(self, store => store.load_checkpoint().await)
    }

    /// Puts a record under a name for a while; false if it may not be put there, as `how` says.
    pub async fn put(&self, name: &Name, record: &[u8], how: (Where, Seconds), now: Timestamp) -> Result<bool, Away> {
        match self {
            Self::Memory(memory) => Ok(memory.records.put(name, record, how, now)),
            Self::Redis(redis) => redis.put(name, record, how).await,
        }
    }

    /// The record of this name.
    pub async fn find(&self, name: &Name, now: Timestamp) -> Result<Option<Vec<u8>>, Away> {
        match self {
            Self::Memory(memory) => Ok(memory.records.find(name, now)),
            Self::Redis(redis) => redis.find(name).await,
        }
    }

    /// Takes a record out: of all who try, one gets it.
    pub async fn take_out(&self, name: &Name, now: Timestamp) -> Result<Option<Vec<u8>>, Away> {
        match self {
            Self::Memory(memory) => Ok(memory.records.take_out(name, now)),
            Self::Redis(redis) => redis.take_out(name).await,
        }
    }

    /// Removes a record, if there is one.
    pub async fn remove(&self, name: &Name, now: Timestamp) -> Result<(), Away> {
        match self {
            Self::Memory(memory) => {
                let _gone = memory.records.take_out(name, now);
                Ok(())
            }
            Self::Redis(redis) => redis.remove(name).await,
        }
    }

    /// Lets a record live so long from now on, or removes it, if it is exactly this one; false if it is not.
    pub async fn hold_on(&self, name: &Name, own: &[u8], lives: Option<Seconds>, now: Timestamp) -> Result<bool, Away> {
        match self {
            Self::Memory(memory) => Ok(memory.records.hold_on(name, own, lives, now)),
            Self::Redis(redis) => redis.hold_on(name, own, lives).await,
        }
    }

    /// Puts the highest index that other nodes tell of into `heard`, for as long as it is polled. In this process there are no others.
    ///
    /// Nothing of it may be believed: it says when to look into the journal.
    pub async fn news(&self, heard: &watch::Sender<u64>) -> Infallible {
        match self {
            Self::Memory(_) => std::future::pending().await,
            Self::Redis(redis) => redis.listen(heard).await,
        }
    }

    /// Checks that the store answers.
    pub async fn ping(&self) -> Result<(), Away> {
        either!(self, store => store.ping().await)
    }

    /// Makes certain that the store evicts nothing by itself.
    pub async fn keeps_all(&self) -> Result<(), Away> {
        either!(self, store => store.keeps_all().await)
    }
}

#[cfg(test)]
mod tests;
