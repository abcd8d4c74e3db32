//! Facts that were established, as types: what `authn` verified.
//!
//! `UnverifiedAssertion → Verified<Assertion> → Principal → Grant → Recorded<Grant> → IssuedToken` (docs/explanation/architecture.md#the-chain). A value
//! of these types is the proof that the step before it was taken; "verified, admitted, decided, recorded, signed" is the only
//! order that compiles.

use super::spiffe::WorkloadId;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{Issuer, ProofId, Subject};

/// Something whose signature was verified.
///
/// The compiler cannot wall this constructor off from the rest of the crate, so it is a function named `assertion()` whose callers, all in
/// `authn`, one for each kind of proof, are counted by the architecture test.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// States that `value` was verified. Only `authn` may say so, at the line where the signature was checked.
    #[cfg_attr(not(feature = "broker"), expect(dead_code, reason = "only the broker takes proofs"))]
    pub(crate) fn assertion(value: T) -> Self {
        Self(value)
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A key that the caller showed to have, for this request (RFC 9449).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Possession {
    /// RFC 7638 thumbprint (SHA-256) of the key.
    pub key: Digest,
    /// The proof's `jti`.
    pub id: ProofId,
    /// Its `iat`.
    pub issued: Timestamp,
}

/// The claims of a partner's JWT, each strictly of its type; what is absent is `None` and never a default.
///
/// Signature and header are judged when this exists. Times, audience, life, age and conditions are judged by `admission`, each
/// time that a decision is taken: a caller who is known is told which of them failed (docs/reference/http.md#refusals).
#[derive(Clone, Debug)]
pub struct Assertion {
    /// `iss`, byte for byte; for a JWT-SVID whose `iss` no binding names, its trust domain.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// `aud`, never empty.
    pub audience: Vec<String>,
    /// `exp`.
    pub expires: Timestamp,
    /// `iat`.
    pub issued: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// `jti`.
    pub id: Option<ProofId>,
    /// All claims, for the conditions of bindings; objects without duplicate members.
    pub claims: serde_json::Value,
    /// The algorithm that verified it.
    pub alg: Alg,
    /// `typ` as the header has it.
    pub typ: Option<String>,
    /// The trust that this rests on: the source of the key …
    pub source: KeySource,
    /// … and the key's RFC 7638 thumbprint (SHA-256).
    pub key: Digest,
}

impl Assertion {
    /// Every issuer that it names, each once: the one that it was looked up by, `iss`, and the trust domain of a SPIFFE ID.
    pub fn issuers(&self) -> Vec<Issuer> {
        let named = self.claims.get("iss").and_then(serde_json::Value::as_str).and_then(|text| text.parse().ok());
        let domain = self.subject.as_str().parse::<WorkloadId>().ok().map(|id| id.issuer());
        let mut issuers = vec![self.issuer.clone()];
        for other in named.into_iter().chain(domain) {
            if !issuers.contains(&other) {
                issuers.push(other);
            }
        }
        issuers
    }
}
