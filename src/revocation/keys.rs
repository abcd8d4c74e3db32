//! The names of the keys (docs/reference/redis-keys.md).

use std::fmt;

use crate::domain::value::names::EnvironmentName;
use crate::domain::value::proof_key::ProofKey;

/// The keys of an environment, in the order of the scripts.
pub(super) const KEYS: [&str; 3] = [COMPLETE, REVOKED, BEFORE];
pub(super) const COMPLETE: &str = "complete";
pub(super) const REVOKED: &str = "revoked";
pub(super) const BEFORE: &str = "before";

/// The newest signed checkpoint.
pub(super) const CHECKPOINT: &str = "carnet:checkpoint";

/// A key of an environment. All of them share its tag.
pub(super) fn key(environment: &EnvironmentName, what: impl fmt::Display) -> String {
    format!("carnet:{{{environment}}}:{what}")
}

/// The number of tags of seen proofs.
const SEEN_TAGS: u8 = 64;

/// Seen proofs have one namespace over all environments, under tags of their own, so that the nodes of a cluster share them.
pub(super) fn seen_key(proof: &ProofKey) -> String {
    let digest = proof.0.to_string();
    let tag = digest.get(..2).and_then(|first| u8::from_str_radix(first, 16).ok()).unwrap_or_default() % SEEN_TAGS;
    format!("carnet:{{seen:{tag:02}}}:{digest}")
}

/// The channel on which nodes tell each other of news. Databases of one server share their channels, so it has the number of ours.
pub(super) fn news_channel(database: u32) -> String {
    ["carnet:news:", &database.to_string()].concat()
}
