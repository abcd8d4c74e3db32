//! The live index in this process, for one node; the contract is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::answer::{Admission, Liveness, Shown};
use super::away::Away;
use super::marker::{Applied, Found, KEPT_AFTER_EXPIRY, Marker, Rebuilt, Snapshot, Update, compare, is_fresh};
use super::records::Own;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::state::recent_cuts::{Cut, CutWhat};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ClientId, EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::{Allowance, Bucket, Operation};

/// A live index in memory.
#[derive(Clone, Default)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
    pub(super) records: Own,
}

#[derive(Default)]
struct Inner {
    environments: HashMap<EnvironmentName, Shadow>,
    seen: HashMap<ProofKey, Timestamp>,
    buckets: HashMap<(EnvironmentName, ClientId, Operation), i64>,
    checkpoint: Option<String>,
    swept: Timestamp,
}

#[derive(Default)]
struct Shadow {
    marker: Option<Marker>,
    revoked: HashMap<TokenId, Timestamp>,
    before: HashMap<RevocationKey, u64>,
}

/// The interval at which expired proofs and full buckets are dropped (ABUSE T-17).
///
/// It bounds the memory.
const SWEEP_EVERY: Seconds = Seconds(60);

/// The methods are `async` like those of Redis, but never wait.
#[expect(clippy::unused_async, reason = "one contract, two stores")]
impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A thread that panicked with the lock left complete maps behind: each change is one insert.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        Ok(self.lock().environments.get(environment).and_then(|shadow| shadow.marker.clone()).into())
    }

    pub(super) async fn rebuild(&self, snapshot: &Snapshot) -> Result<Rebuilt, Away> {
        let mut inner = self.lock();
        let there = inner.environments.get(&snapshot.environment).and_then(|shadow| shadow.marker.as_ref());
        if matches!(compare(there, there, &snapshot.marker), Applied::Ahead(_)) {
            return Ok(Rebuilt::Newer);
        }
        let mut shadow = Shadow { marker: Some(snapshot.marker.clone()), ..Shadow::default() };
        snapshot.cuts.iter().for_each(|cut| shadow.add(cut));
        inner.environments.insert(snapshot.environment.clone(), shadow);
        Ok(Rebuilt::Done)
    }

    pub(super) async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        let mut inner = self.lock();
        let shadow = inner.environments.entry(update.environment.clone()).or_default();
        let applied = compare(shadow.marker.as_ref(), Some(&update.prior), &update.marker);
        if applied == Applied::Done {
            update.cuts.iter().for_each(|cut| shadow.add(cut));
            shadow.marker = Some(update.marker.clone());
        }
        Ok(applied)
    }

    pub(super) async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        let mut inner = self.lock();
        let shadow = inner.environments.entry(environment.clone()).or_default();
        let applied = compare(shadow.marker.as_ref(), None, marker);
        if applied == Applied::AlreadyThere {
            shadow.marker = Some(marker.clone());
            let horizon = marker.time.minus(KEPT_AFTER_EXPIRY);
            shadow.revoked.retain(|_, expires| *expires >= horizon);
        }
        Ok(applied)
    }

    pub(super) async fn admit(&self, bucket: &Bucket<'_>, proof: Option<Shown>, now: Timestamp) -> Result<Admission, Away> {
        let mut inner = self.lock();
        inner.sweep(now);
        if proof.is_some_and(|proof| inner.seen.contains_key(&proof.key)) {
            return Ok(Admission::Seen);
        }
        let key = (bucket.environment.clone(), bucket.caller.clone(), bucket.operation);
        let admission = take(inner.buckets.entry(key).or_default(), bucket.allowance, now);
        if let (Admission::Taken, Some(Shown { key, spent_until: Some(until) })) = (admission, proof) {
            inner.seen.insert(key, until);
        }
        Ok(admission)
    }

    pub(super) fn spend(&self, proof: &ProofKey, until: Timestamp) {
        self.lock().seen.insert(*proof, until);
    }

    pub(super) fn give_back(&self, proof: &ProofKey) {
        self.lock().seen.remove(proof);
    }

    pub(super) async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        Ok(self.lock().seen.insert(*proof, until).is_none())
    }

    pub(super) async fn is_cut(
        &self,
        environment: &EnvironmentName,
        token: &TokenId,
        keys: &[RevocationKey],
        entry: u64,
        now: Timestamp,
    ) -> Result<Liveness, Away> {
        let inner = self.lock();
        let Some(shadow) = inner.environments.get(environment) else { return Ok(Liveness::Unknown) };
        if !shadow.marker.as_ref().is_some_and(|marker| is_fresh(marker, now)) {
            return Ok(Liveness::Unknown);
        }
        let cut = shadow.revoked.contains_key(token)
            || keys.iter().any(|key| shadow.before.get(key).is_some_and(|line| entry < *line));
        Ok(if cut { Liveness::Cut } else { Liveness::Live })
    }

    pub(super) async fn store_checkpoint(&self, note: &str, over: Option<&str>) -> Result<bool, Away> {
        let mut inner = self.lock();
        let stores = inner.checkpoint.as_deref() == over;
        if stores {
            inner.checkpoint = Some(note.to_owned());
        }
        Ok(stores)
    }

    pub(super) async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        Ok(self.lock().checkpoint.clone().into())
    }

    pub(super) async fn ping(&self) -> Result<(), Away> {
        Ok(())
    }

    pub(super) async fn keeps_all(&self) -> Result<(), Away> {
        Ok(())
    }

    /// Empties the store.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        *self.lock() = Inner::default();
    }
}

impl Shadow {
    fn add(&mut self, cut: &Cut) {
        match &cut.what {
            CutWhat::Token { id, expires } => drop(self.revoked.insert(id.clone(), *expires)),
            CutWhat::Before { key, index } => {
                let line = self.before.entry(key.clone()).or_default();
                *line = (*line).max(*index);
            }
        }
    }
}

impl Inner {
    fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.seen.retain(|_, until| *until >= now);
        let full = now.as_seconds() * 1_000_000;
        self.buckets.retain(|_, empty_until| *empty_until > full);
    }
}

/// Takes one from a bucket, by the generic cell rate algorithm.
///
/// The bucket is the microsecond at which it would be full again, so an unused one needs no memory.
fn take(bucket: &mut i64, allowance: Allowance, now: Timestamp) -> Admission {
    let now = now.as_seconds() * 1_000_000;
    let full_again = (*bucket).max(now) + allowance.every();
    let over = full_again - now - allowance.whole();
    if over > 0 {
        return Admission::too_early(over);
    }
    *bucket = full_again;
    Admission::Taken
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}
