//! What verifiers see of the ladder: the JWKS of an environment (RFC 7517).
//!
//! The default set holds P-256 keys, and RSA keys where an API asked for RS256: one unfamiliar key type blinds several widely used
//! verifiers (docs/explanation/why-at-jwt.md). Edwards keys have a set of their own. Served from memory, whatever store is down.

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

/// The JWKS document of `environment` at `now`: next, active and retiring keys, public members only, `kid` unique.
pub fn document(state: &State, environment: &EnvironmentName, set: KeySet, now: Timestamp) -> Value {
    let edwards = |alg: Alg| matches!(alg, Alg::EdDsa | Alg::Ed25519);
    let wanted = state.keys.published(environment, now).filter(|key| edwards(key.key.alg) == (set == KeySet::Edwards));
    let keys: Vec<&Value> = wanted.map(|key| &key.key.public).collect();
    json!({ "keys": keys })
}
