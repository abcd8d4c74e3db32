//! The ladder of signing keys: `next → active → retiring → retired`, and `tainted`.
//!
//! A key's rung is a function of `now`: it is used from its time on until a later key of the same algorithm is, stays published while
//! tokens that it signed may be valid, and then is retired (docs/explanation/keys-and-caches.md). Its time is `usable_from`. Where nodes
//! share a journal it is also activated by an entry, once every node that lives has followed the one that published it: no node serves a key
//! set without a key that another one signs with.

use std::sync::Arc;

use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, KeyId};
use serde::{Deserialize, Serialize};

/// How long a key must be published before it signs: longer than any JWKS cache (ABUSE I-14).
///
/// The longest cache seen is Istio's with 20 min; a day leaves room for others.
pub const PUBLISHED_BEFORE_USE: Seconds = Seconds::hours(24);

/// How long a key stays published after its last use.
///
/// It is the longest life of a token, and an hour for slow verifiers.
pub const PUBLISHED_AFTER_USE: Seconds = Seconds::hours(2);

/// Every signing key that was ever made.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: Arc<Vec<KeyState>>,
}

/// A key and its history.
#[derive(Clone, Debug)]
pub struct KeyState {
    /// The key.
    pub key: SigningKey,
    /// When it was made.
    pub created: Timestamp,
    /// The index of the entry that published it.
    pub published: u64,
    /// When every node knew it, of a key that awaits that.
    pub activated: Option<Timestamp>,
    /// True if it signs no more, and the tokens that it signed are revoked.
    pub tainted: bool,
    /// True if its private half is destroyed.
    pub retired: bool,
}

/// A rung of the ladder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rung {
    /// Published, not used yet.
    Next,
    /// It signs.
    Active,
    /// Published, used no more.
    Retiring,
    /// It is not published any more.
    Retired,
    /// It signs no more, and all tokens that it signed are revoked.
    Tainted,
}

impl Rung {
    /// Its name in the admin API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Tainted => "tainted",
        }
    }
}

impl Keys {
    pub(in crate::domain) fn add(&mut self, key: SigningKey, (published, created): (u64, Timestamp)) {
        let key = KeyState { key, created, published, activated: None, tainted: false, retired: false };
        Arc::make_mut(&mut self.keys).push(key);
    }

    pub(in crate::domain) fn activate(&mut self, environment: &EnvironmentName, kid: &KeyId, at: Timestamp) {
        if let Some(key) = self.find_mut(environment, kid) {
            key.activated.get_or_insert(at);
        }
    }

    pub(in crate::domain) fn taint(&mut self, environment: &EnvironmentName, kid: &KeyId) {
        if let Some(key) = self.find_mut(environment, kid) {
            key.tainted = true;
        }
    }

    pub(in crate::domain) fn taint_all(&mut self) -> Vec<(EnvironmentName, KeyId)> {
        let living = Arc::make_mut(&mut self.keys).iter_mut().filter(|key| !key.retired);
        living
            .map(|key| {
                key.tainted = true;
                (key.key.environment.clone(), key.key.kid.clone())
            })
            .collect()
    }

    pub(in crate::domain) fn retire(&mut self, environment: &EnvironmentName, kid: &KeyId) {
        if let Some(key) = self.find_mut(environment, kid) {
            key.retired = true;
        }
    }

    fn find_mut(&mut self, environment: &EnvironmentName, kid: &KeyId) -> Option<&mut KeyState> {
        Arc::make_mut(&mut self.keys).iter_mut().find(|key| key.key.environment == *environment && key.key.kid == *kid)
    }

    /// The key with this id.
    pub fn find(&self, environment: &EnvironmentName, kid: &KeyId) -> Option<&KeyState> {
        self.keys.iter().find(|key| key.key.environment == *environment && key.key.kid == *kid)
    }

    /// All keys of an environment, oldest first.
    pub fn of<'a>(&'a self, environment: &'a EnvironmentName) -> impl Iterator<Item = &'a KeyState> {
        self.keys.iter().filter(move |key| key.key.environment == *environment)
    }

    /// Every key, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &KeyState> {
        self.keys.iter()
    }

    /// The key that signs `alg` tokens of `environment` at `now`.
    ///
    /// It is the last whose time came, and is neither tainted nor retired.
    pub fn active<'a>(&'a self, environment: &'a EnvironmentName, alg: Alg, now: Timestamp) -> Option<&'a KeyState> {
        let usable = self.of(environment).filter(|key| key.key.alg == alg && key.signs(now));
        usable.max_by_key(|key| key.order())
    }

    /// When a successor of its algorithm takes over from `key`.
    ///
    /// It is the end of year 9999 while there is no successor.
    pub fn superseded(&self, key: &KeyState) -> Timestamp {
        let later = self
            .of(&key.key.environment)
            .filter(|other| other.key.alg == key.key.alg && !other.tainted && !other.retired && other.order() > key.order());
        later.map(KeyState::used_from).min().unwrap_or(Timestamp::MAX)
    }

    /// When `key` leaves the published set. No token that it signed may live longer (ABUSE I-3).
    pub fn retires(&self, key: &KeyState) -> Timestamp {
        self.superseded(key).plus(PUBLISHED_AFTER_USE)
    }

    /// The rung of `key` at `now`.
    pub fn rung(&self, key: &KeyState, now: Timestamp) -> Rung {
        if key.tainted {
            Rung::Tainted
        } else if key.retired || now >= self.retires(key) {
            Rung::Retired
        } else if now < key.used_from() {
            Rung::Next
        } else if self.active(&key.key.environment, key.key.alg, now).is_some_and(|active| active.key.kid == key.key.kid) {
            Rung::Active
        } else {
            Rung::Retiring
        }
    }

    /// The keys that the JWKS of `environment` lists at `now`.
    pub fn published<'a>(&'a self, environment: &'a EnvironmentName, now: Timestamp) -> impl Iterator<Item = &'a KeyState> {
        self.of(environment).filter(move |key| matches!(self.rung(key, now), Rung::Next | Rung::Active | Rung::Retiring))
    }
}

impl KeyState {
    /// When it begins to sign: the end of year 9999 while it still awaits the nodes.
    pub fn used_from(&self) -> Timestamp {
        match (self.key.awaits_nodes, self.activated) {
            (false, _) => self.key.usable_from,
            (true, Some(activated)) => activated.max(self.key.usable_from),
            (true, None) => Timestamp::MAX,
        }
    }

    /// Of two keys whose time came in the same second the later one signs.
    fn order(&self) -> (Timestamp, u64) {
        (self.used_from(), self.published)
    }

    /// Whether its time has come, and only nodes that do not know it yet keep it from signing.
    pub fn awaits_nodes(&self, now: Timestamp) -> bool {
        let waits = self.key.awaits_nodes && self.activated.is_none();
        waits && !self.tainted && !self.retired && self.key.usable_from <= now
    }

    fn signs(&self, now: Timestamp) -> bool {
        !self.tainted && !self.retired && self.used_from() <= now
    }
}

/// A signing key: its public half, and the times that its rung depends on.
///
/// See docs/explanation/keys-and-caches.md.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Its environment.
    pub environment: EnvironmentName,
    /// RFC 7638 thumbprint.
    pub kid: KeyId,
    /// The algorithm that it signs with.
    pub alg: Alg,
    /// Public JWK, as published.
    pub public: serde_json::Value,
    /// SHA-256 of the sealed private half, which is in the journal's keyring.
    pub sealed: Digest,
    /// When it begins to sign: every verifier's cache can have it by then (ABUSE I-14).
    pub usable_from: Timestamp,
    /// Whether it signs only once an entry says that every node that lives knows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_nodes: bool,
}
