//! The keys of issuers: fetched ahead of requests, kept for a while, never fetched too often.
//!
//! Enter through [`IssuerKeys`]: `serve` calls [`keep_fresh`](IssuerKeys::keep_fresh) with the sources that approved bindings name,
//! and verification calls `find`. `discovery` makes a fetch and checks its answer.
//!
//! | what | how long |
//! |---|---|
//! | keys, per source | refreshed after 5 min; used up to 1 h after the last good fetch while the issuer is down (K-25) |
//! | a failed attempt | remembered for 10 s, so that a dead issuer costs nobody else's time |
//! | key-set requests | at most one in 30 s per source, whatever comes in (K-20, I-13); probes at most one in 30 s per origin |
//!
//! A bad answer never replaces good keys (K-06, K-08). Each attempt has its own generation number, and only the generation that a
//! source waits for is stored: a load that was overtaken cannot bring old keys back (ABUSE S7). The attempt runs in a task of its
//! own, so a requester that goes away neither ends nor restarts it (K-27).
//!
//! Nodes that share a Redis share the floor too (`fellows`): what one was told within it, the others take over.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::future::Cache;
use tokio::task::JoinSet;

use super::discovery::{self, KeysFault, Probed};
use super::fellows::{self, Fellows, Loaded, Turn};
use super::jwks::{KeySet, SetFault};
use super::svid;
use crate::domain::caller::proof::Verified;
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::certificate::Der;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Clock, Seconds, Timestamp};
use crate::domain::value::jwk::Jwk;
use crate::domain::value::names::Issuer;
use crate::outbound::{Origin, Outbound};

/// The age at which keys are fetched again, while the old ones are still used.
pub const REFRESH: Seconds = Seconds::minutes(5);

/// The age from which on keys are not used.
///
/// If it were longer, an attacker who cuts an issuer off could keep its withdrawn keys in use.
pub const MAX_STALE: Seconds = Seconds::hours(1);

/// The shortest time between two requests for one key set.
///
/// If it were shorter, strangers with invented kids could make us flood the issuer (K-20).
pub const FLOOR: Seconds = Seconds(30);

/// The shortest time between two attempts if the first did not ask for the key set.
const AFTER_FAILURE: Seconds = Seconds(10);

/// The number of sources that `keep_fresh` fetches at once.
const ABREAST: usize = 32;

/// The keys of all sources. It is cheap to clone, and clones share everything.
#[derive(Clone)]
pub struct IssuerKeys(Arc<Inner>);

struct Inner {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    /// The other nodes, if there may be some.
    fellows: Option<Arc<dyn Fellows>>,
    /// One load for each source and generation, however many wait for it.
    flights: Cache<(KeySource, u64), Arc<KeySet>>,
    generation: AtomicU64,
    /// How often a bundle arrived.
    bundles: AtomicU64,
    sources: Mutex<HashMap<KeySource, Source>>,
    /// When the issuers of an origin were probed, if within the last [`FLOOR`].
    probes: Mutex<HashMap<Origin, Timestamp>>,
}

#[derive(Default)]
struct Source {
    good: Option<Good>,
    /// The fault of the last attempt; `None` after a good one.
    fault: Option<KeysFault>,
    /// The time before which there is no attempt.
    rest_until: Option<Timestamp>,
    /// The generation of the attempt in flight.
    flight: Option<u64>,
}

struct Good {
    set: Arc<KeySet>,
    fetched: Timestamp,
}

/// The condition of a source, for `/readyz?verbose`, `doctor` and alerts.
#[derive(Clone, Debug)]
pub struct IssuerHealth {
    /// The source's short name: issuer or URL, or the digest of an inline set.
    pub source: String,
    /// The number of keys that can be used now; 0 if they are too old.
    pub keys: usize,
    /// The number of entries in the last good set that were no usable key.
    pub ignored: usize,
    /// When keys last arrived.
    pub fetched: Option<Timestamp>,
    /// The fault of the last attempt. Earlier keys may still be used.
    pub fault: Option<KeysFault>,
}

impl IssuerHealth {
    /// Tells whether there are keys and the last attempt was good.
    pub fn is_healthy(&self) -> bool {
        self.keys > 0 && self.fault.is_none()
    }
}

/// The reason why a probe of an issuer shows no keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProbeFault {
    /// It was asked a moment ago; this is the time until it may be asked again.
    #[error("the issuer was asked less than 30 s ago")]
    Rests(Seconds),
    /// It gave no keys.
    #[error(transparent)]
    Keys(#[from] KeysFault),
}

/// The reason why there is no key to verify with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// The issuer has keys, but none with this kid and algorithm.
    Unknown,
    /// The issuer's keys cannot be had.
    Unavailable,
}

impl IssuerKeys {
    /// Starts without keys, and fetches them by `outbound` only.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self::among(outbound, clock, None)
    }

    /// The same among other nodes.
    pub fn among(outbound: Arc<Outbound>, clock: Arc<dyn Clock>, fellows: Option<Arc<dyn Fellows>>) -> Self {
        let flights = Cache::builder().max_capacity(1024).build();
        Self(Arc::new(Inner {
            outbound,
            clock,
            fellows,
            flights,
            generation: AtomicU64::new(0),
            bundles: AtomicU64::new(0),
            sources: Mutex::default(),
            probes: Mutex::default(),
        }))
    }

    /// Asks an issuer for its discovery document and keys, for a person. Nothing is kept or used.
    pub async fn probe(&self, issuer: &Issuer) -> Result<Probed, ProbeFault> {
        let origin = self.0.outbound.may_fetch(issuer.as_str()).map_err(KeysFault::from)?.origin().clone();
        self.0.ensure_asked_rarely(issuer, origin).map_err(ProbeFault::Rests)?;
        if let Some(fellows) = &self.0.fellows
            && matches!(fellows.turn(&KeySource::Discovery(issuer.clone())).await, Turn::Others(_))
        {
            return Err(ProbeFault::Rests(FLOOR));
        }
        let found = discovery::probe(&self.0.outbound, issuer).await;
        self.0.rested(issuer, found.as_ref().ok().map(|found| &*found.jwks_uri));
        Ok(found?)
    }

    /// The client that fetches keys.
    pub fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    /// Fetches missing and due keys ahead of requests, and forgets sources that are not listed.
    ///
    /// It returns when each was tried. Its callers (at start, after changes of bindings, and every half minute) need not wait.
    pub async fn keep_fresh(&self, sources: Vec<KeySource>) {
        let listed: HashSet<_> = sources.iter().cloned().collect();
        self.0.sources().retain(|source, _| listed.contains(source));
        let mut tasks = JoinSet::new();
        for source in listed {
            if !self.0.is_due(&source) {
                continue;
            }
            if tasks.len() >= ABREAST {
                tasks.join_next().await;
            }
            let keys = self.clone();
            tasks.spawn(async move { keys.refresh(&source).await.map(drop) });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// A number that changes when a bundle arrives.
    pub fn authorities_number(&self) -> u64 {
        self.0.bundles.load(Ordering::Relaxed)
    }

    /// The X.509 authorities of all bundles, for the handshake.
    ///
    /// The number is [`Self::authorities_number`] from before they were read.
    pub fn authorities(&self) -> (u64, Vec<Der>) {
        let number = self.authorities_number();
        let now = self.0.clock.now();
        let sources = self.0.sources();
        let sets = sources.iter().filter_map(|(source, state)| state.usable(source, now));
        let of_set = |set: Arc<KeySet>| {
            let anchors = set.bundle.as_ref().and_then(|bundle| bundle.anchors.as_ref());
            anchors.map_or_else(Vec::new, |anchors| anchors.authorities.clone())
        };
        (number, sets.flat_map(of_set).collect())
    }

    /// Verifies the chain of an X.509-SVID by the bundle at `source` in memory: no packet leaves.
    pub fn svid(&self, chain: &[Der], source: &KeySource) -> Option<Verified<Svid>> {
        let set = self.0.usable(source)?;
        svid::verify(chain, source, set.bundle.as_ref()?.anchors.as_ref()?, self.0.clock.now())
    }

    /// The condition of every known source, sorted by name.
    pub fn health(&self) -> Vec<IssuerHealth> {
        let now = self.0.clock.now();
        let mut all: Vec<_> = self.0.sources().iter().map(|(source, state)| state.health(source, now)).collect();
        all.sort_by(|a, b| a.source.cmp(&b.source));
        all
    }

    /// Finds the one key of `source` with this kid and algorithm.
    ///
    /// If it is unknown the issuer is asked again, no oftener than the floor.
    pub(super) async fn find(&self, source: &KeySource, kid: Option<&str>, alg: Alg) -> Result<Arc<Jwk>, Missing> {
        let set = match self.0.usable(source) {
            Some(set) => set,
            None => self.refresh(source).await.map_err(|_| Missing::Unavailable)?,
        };
        if let Some(key) = set.select(kid, alg) {
            self.refresh_behind(source);
            return Ok(key);
        }
        let newer = self.refresh(source).await.map_err(|_| Missing::Unknown)?;
        newer.select(kid, alg).ok_or(Missing::Unknown)
    }

    /// Starts a refresh if one is due, and does not wait for it.
    fn refresh_behind(&self, source: &KeySource) {
        if self.0.is_due(source) {
            let (keys, source) = (self.clone(), source.clone());
            tokio::spawn(async move { keys.refresh(&source).await.map(drop) });
        }
    }

    /// Joins the attempt in flight or starts one. A source that rests returns what it has.
    async fn refresh(&self, source: &KeySource) -> Result<Arc<KeySet>, KeysFault> {
        let generation = match self.0.take_off(source) {
            Ok(generation) => generation,
            Err(resting) => return resting,
        };
        let (inner, key) = (self.0.clone(), (source.clone(), generation));
        // It is a task of its own: if this requester went away, moka would start the load again for another waiter.
        let flight = tokio::spawn(async move {
            let outcome = inner.flights.try_get_with(key.clone(), inner.attempt(&key.0, key.1)).await;
            inner.flights.invalidate(&key).await;
            outcome.map_err(|fault| *fault)
        });
        flight.await.unwrap_or(Err(KeysFault::Aborted))
    }
}

impl Inner {
    /// A poisoned lock is taken all the same: every change below is a plain assignment.
    fn sources(&self) -> MutexGuard<'_, HashMap<KeySource, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `issuer` at `origin` as asked now; or returns how long it must not be asked.
    fn ensure_asked_rarely(&self, issuer: &Issuer, origin: Origin) -> Result<(), Seconds> {
        let now = self.clock.now();
        let kept = self.sources().get(&KeySource::Discovery(issuer.clone())).and_then(|state| match state.flight {
            Some(_) => Some(now.plus(FLOOR)),
            None => state.rest_until,
        });
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|_, asked| asked.plus(FLOOR) > now);
        let until = kept.into_iter().chain(probes.get(&origin).map(|asked| asked.plus(FLOOR))).max();
        if let Some(until) = until.filter(|until| *until > now) {
            return Err(until.since(now));
        }
        probes.insert(origin, now);
        Ok(())
    }

    /// Makes bindings with the same issuer or URL wait after a probe, as after their own fetch.
    ///
    /// The probe may have asked for the key set at `url`.
    fn rested(&self, issuer: &Issuer, url: Option<&str>) {
        let until = self.clock.now().plus(FLOOR);
        let mut sources = self.sources();
        for source in [Some(KeySource::Discovery(issuer.clone())), url.map(|url| KeySource::JwksUri(url.to_owned()))] {
            if let Some(state) = source.and_then(|source| sources.get_mut(&source)) {
                state.rest_until = state.rest_until.max(Some(until));
            }
        }
    }

    fn usable(&self, source: &KeySource) -> Option<Arc<KeySet>> {
        self.sources().get(source)?.usable(source, self.clock.now())
    }

    fn is_due(&self, source: &KeySource) -> bool {
        let now = self.clock.now();
        self.sources().get(source).is_none_or(|state| {
            let due = match &state.good {
                None => true,
                Some(good) => !source.is_inline() && now >= good.fetched.plus(REFRESH),
            };
            due && !state.rests(now)
        })
    }

    /// The generation to wait for. A source that rests returns its usable keys, or its last fault.
    fn take_off(&self, source: &KeySource) -> Result<u64, Result<Arc<KeySet>, KeysFault>> {
        let now = self.clock.now();
        let mut sources = self.sources();
        let state = sources.entry(source.clone()).or_default();
        if let Some(generation) = state.flight {
            return Ok(generation);
        }
        if state.rests(now) || (source.is_inline() && state.good.is_some()) {
            let usable = state.usable(source, now);
            return Err(usable.ok_or(state.fault.unwrap_or(KeysFault::Aborted)));
        }
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        state.flight = Some(generation);
        Ok(generation)
    }

    /// Makes one attempt, unless this generation has ended already (for a late waiter).
    async fn attempt(&self, source: &KeySource, generation: u64) -> Result<Arc<KeySet>, KeysFault> {
        if let Some(landed) = self.landed(source, generation) {
            return landed;
        }
        let usable = {
            let (sources, now) = (self.sources(), self.clock.now());
            let state = sources.get(source);
            state.and_then(|state| Some((state.usable(source, now)?, state.good.as_ref()?.fetched)))
        };
        let way = (&*self.outbound, &*self.clock, self.fellows.as_deref());
        let Loaded { outcome, asked_for_keys, fetched } = fellows::load(way, source, usable).await;
        if fetched.is_some() {
            report(source, outcome.as_deref());
        }
        let now = self.clock.now();
        let mut sources = self.sources();
        // The source was forgotten, or this load overtaken: the waiters get the outcome, and nothing is stored.
        let Some(state) = sources.get_mut(source).filter(|state| state.flight == Some(generation)) else { return outcome };
        state.flight = None;
        state.rest_until = Some(now.plus(if asked_for_keys { FLOOR } else { AFTER_FAILURE }));
        // Nothing was fetched, here or elsewhere.
        let Some(fetched) = fetched else { return outcome };
        // An old copy of a bundle must not bring withdrawn authorities back.
        let older = |set: &Arc<KeySet>| state.good.as_ref().is_some_and(|good| set.rolls_back(&good.set));
        let outcome = if outcome.as_ref().is_ok_and(older) { Err(KeysFault::Set(SetFault::Rollback)) } else { outcome };
        match &outcome {
            Ok(set) => {
                if source.is_bundle() {
                    self.bundles.fetch_add(1, Ordering::Relaxed);
                }
                state.good = Some(Good { set: set.clone(), fetched });
                state.fault = None;
            }
            Err(fault) => state.fault = Some(*fault),
        }
        outcome
    }

    fn landed(&self, source: &KeySource, generation: u64) -> Option<Result<Arc<KeySet>, KeysFault>> {
        let sources = self.sources();
        let Some(state) = sources.get(source) else { return Some(Err(KeysFault::Aborted)) };
        if state.flight == Some(generation) {
            return None;
        }
        Some(state.usable(source, self.clock.now()).ok_or(state.fault.unwrap_or(KeysFault::Aborted)))
    }
}

impl Source {
    fn rests(&self, now: Timestamp) -> bool {
        self.rest_until.is_some_and(|until| now < until)
    }

    fn usable(&self, source: &KeySource, now: Timestamp) -> Option<Arc<KeySet>> {
        let good = self.good.as_ref()?;
        (source.is_inline() || now < good.fetched.plus(MAX_STALE)).then(|| good.set.clone())
    }

    fn health(&self, source: &KeySource, now: Timestamp) -> IssuerHealth {
        IssuerHealth {
            source: source.label(),
            keys: self.usable(source, now).map_or(0, |set| set.len()),
            ignored: self.good.as_ref().map_or(0, |good| good.set.ignored),
            fetched: self.good.as_ref().map(|good| good.fetched),
            fault: self.fault,
        }
    }
}

fn report(source: &KeySource, outcome: Result<&KeySet, &KeysFault>) {
    let label = source.label();
    match outcome {
        Ok(set) if set.ignored > 0 => {
            tracing::warn!(source = ?label, keys = set.len(), ignored = set.ignored, "some keys of an issuer cannot be used");
        }
        Ok(set) => tracing::debug!(source = ?label, keys = set.len(), "keys of an issuer fetched"),
        Err(fault) => tracing::warn!(source = ?label, %fault, "the keys of an issuer could not be fetched"),
    }
}
