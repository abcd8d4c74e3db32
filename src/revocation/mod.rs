//! The live revocation index: what everybody else can read without asking the broker (docs/explanation/journal.md#the-live-index).
//!
//! Enter through [`Index`]. The journal is the truth; this is its shadow, kept by `broker::follow`: revoked tokens, lines that
//! cut, a marker that says up to where the shadow is complete, and the fast lane of quotas and seen proofs.
//!
//! Contract, for both implementations:
//! - A returned `Ok` means that the store did it. [`Away`] means that it did not answer in time or not as expected: it may or may not
//!   have done it, so the caller refuses, and repeats only what is idempotent (`apply`, `rebuild`, `renew`, `spend`).
//! - Nothing here is durable: a store that lost what it acknowledged shows no marker or an older one, and whoever reads it then is
//!   told [`Liveness::Unknown`] until it is rebuilt. Lines only move forward.
//! - Every call ends within half a second, or a second where it must connect first.
//!
//! Deliberately not here: any decision. Home of `redis`.

mod lane;
mod memory;
mod redis;
mod scripts;

use std::cmp::Ordering;
use std::time::Duration;

use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::state::cut::Cut;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::Bucket;

use self::memory::Memory;
use self::redis::Redis;

/// Up to where an environment's index is complete: `carnet:{ENV}:complete`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker {
    /// The journal's epoch.
    pub epoch: u64,
    /// The last change that was applied.
    pub index: u64,
    /// The journal's root after that change.
    pub root: Digest,
    /// When a live node said so last.
    pub time: Timestamp,
}

/// Changes to apply to one environment.
#[derive(Clone, Debug)]
pub struct Update {
    /// Where.
    pub environment: EnvironmentName,
    /// The marker that must be found.
    pub prior: Marker,
    /// The marker afterwards.
    pub marker: Marker,
    /// What the changes between the two cut.
    pub cuts: Vec<Cut>,
}

/// Everything, for a rebuild.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The marker afterwards.
    pub marker: Marker,
    /// The environments, also those without any cut.
    pub environments: Vec<EnvironmentName>,
    /// All cuts.
    pub cuts: Vec<Cut>,
}

/// What came of an update.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The marker is ahead of this view of the journal, or at another root.
    Ahead(Marker),
    /// A key holds something that no node of ours writes there.
    Strange(Strange),
    /// It was applied before.
    AlreadyThere,
    /// The marker is missing or older than expected: rebuild.
    Behind,
    /// Applied.
    Done,
}

/// What the fast lane says of a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// The proof was seen before. Nothing was taken: a copy of a spent proof costs its owner nothing.
    Seen,
    /// One was taken from the caller's bucket.
    Taken,
    /// Nothing is left in the bucket for so long.
    Exceeded {
        /// Until the next.
        retry_after: Seconds,
    },
}

impl Admission {
    /// For a caller who comes so many microseconds too early.
    fn too_early(micros: i64) -> Self {
        let seconds = micros.saturating_add(999_999) / 1_000_000;
        Self::Exceeded { retry_after: Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)) }
    }
}

/// Whether a token is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Liveness {
    /// It is cut.
    Cut,
    /// Nothing cuts it, and the index is complete.
    Live,
    /// The index is missing or older than five seconds: it says nothing.
    Unknown,
}

/// A key of the index that holds something that no node of ours writes there: its shape, never its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Strange {
    /// The key.
    pub key: String,
    /// The shape of what it holds.
    pub seen: String,
    /// What a node of ours would have written.
    pub wanted: &'static str,
}

/// What a key of the index holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<T> {
    /// Nothing.
    Missing,
    /// Something of ours, by its form.
    At(T),
    /// Something else.
    Strange(Strange),
}

impl<T> From<Option<T>> for Found<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Self::At)
    }
}

/// The store did not do it: it did not answer in time, not as expected, or refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Away {
    /// No answer in time, or no connection.
    #[error("Redis does not answer in time; start it, or correct [redis] url")]
    Silent,
    /// `OOM`.
    #[error("Redis refuses writes: its memory is full; raise maxmemory, or free some")]
    Full,
    /// `READONLY`.
    #[error("Redis refuses writes: it is a read-only replica; name the primary in [redis] url, or promote this one")]
    ReadOnly,
    /// `MISCONF`, `NOREPLICAS`.
    #[error("Redis refuses writes: it can keep none durably; look at its disk, its log and its replicas")]
    NotDurable,
    /// `LOADING`, `MASTERDOWN`, `BUSY` and their like.
    #[error("Redis is not ready to answer; look at its log")]
    NotYet,
    /// `NOAUTH`, `WRONGPASS`, `NOPERM`.
    #[error("Redis does not let this user do it; correct user and password in [redis] url, or its ACL")]
    Unauthorised,
    /// Any other error, or an answer of another form.
    #[error("Redis gives an answer that is not expected; look at its version and its log")]
    Unexpected,
}

/// The store cannot be used as configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub &'static str);

/// A reader that finds no newer marker must not say "active" (docs/reference/redis-keys.md).
pub const STALE_AFTER: Seconds = Seconds(5);

/// How long expired tokens stay in the index beyond their `exp`: never shorter than a verifier's clock is late (ABUSE R-16).
const KEPT_AFTER_EXPIRY: Seconds = Seconds(120);

const RESPONSE_TIME: Duration = Duration::from_millis(500);
const CONNECTION_TIME: Duration = Duration::from_secs(1);

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

/// Where a marker that was found stands to the one that is asked about.
fn compare(found: Option<&Marker>, prior: Option<&Marker>, wanted: &Marker) -> Applied {
    let Some(found) = found else { return Applied::Behind };
    let place = |marker: &Marker| (marker.epoch, marker.index);
    let same = |marker: &&Marker| place(marker) == place(found);
    let (other, prior) = (Applied::Ahead(found.clone()), prior.filter(same));
    match place(found).cmp(&place(wanted)) {
        Ordering::Equal if found.root == wanted.root => Applied::AlreadyThere,
        Ordering::Equal | Ordering::Greater => other,
        Ordering::Less => match prior {
            Some(prior) if prior.root == found.root => Applied::Done,
            // Another root at the place where this node left it: another journal wrote it.
            Some(_) => other,
            None => Applied::Behind,
        },
    }
}

/// Whether a live node renewed the marker lately. One from the future says nothing either.
fn is_fresh(marker: &Marker, now: Timestamp) -> bool {
    now.since(marker.time) <= STALE_AFTER && marker.time.since(now) <= STALE_AFTER
}

#[cfg(test)]
mod tests;
