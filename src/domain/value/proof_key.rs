//! Proofs that are spent: one namespace of (issuer, `jti`) over all slots, endpoints, grants and environments.

use super::clock::{CLOCK_AHEAD, CLOCK_DIFFERENCE};
use super::clock::{Seconds, Timestamp};
use super::digest::Digest;
use super::names::{Issuer, ProofId};

/// SHA-256 of a proof's issuer and `jti`: bounded, and telling nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProofKey(pub Digest);

impl ProofKey {
    /// The key of a proof. Neither part can hold the separator: both are printable ASCII.
    pub fn of(issuer: &Issuer, id: &ProofId) -> Self {
        Self(Digest::of_parts(&[issuer.as_str().as_bytes(), b"\0", id.as_str().as_bytes()]))
    }

    /// Until when a spent proof is remembered: its `exp`, the leeway, and twice the clock difference between nodes. Forgetting it
    /// earlier would let a node with a late clock take it again (ABUSE I-6).
    pub fn remembered_until(expires: Timestamp) -> Timestamp {
        expires.plus(CLOCK_AHEAD).plus(Seconds(2 * CLOCK_DIFFERENCE.0))
    }
}
