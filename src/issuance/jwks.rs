//! The JWKS of an environment (RFC 7517), which shows verifiers the key ladder.
//!
//! The default set has P-256 keys, and RSA keys if an API asked for RS256: one unknown key type makes several widely used
//! verifiers reject the whole set (docs/explanation/why-at-jwt.md). Edwards keys have their own set. Both are served from
//! memory, even if a store is down.

use serde_json::{Value, json};

use crate::domain::state::State;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::EnvironmentName;

/// The sets of keys of an environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeySet {
    /// `I/jwks`.
    Default,
    /// `I/jwks/ed25519`.
    Edwards,
}

/// The JWKS document of `environment` at `now`, with its next, active and retiring keys.
///
/// It has public members only, and each `kid` is unique.
pub fn document(state: &State, environment: &EnvironmentName, set: KeySet, now: Timestamp) -> Value {
    let edwards = |alg: Alg| matches!(alg, Alg::EdDsa | Alg::Ed25519);
    let wanted = state.keys.published(environment, now).filter(|key| edwards(key.key.alg) == (set == KeySet::Edwards));
    let keys: Vec<&Value> = wanted.map(|key| &key.key.public).collect();
    json!({ "keys": keys })
}
