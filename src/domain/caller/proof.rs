//! The facts that `authn` established, as types.
//!
//! The chain of types is `UnverifiedAssertion → Verified<Assertion> → Principal → Grant → Recorded<Grant> → IssuedToken`
//! (docs/explanation/architecture.md#the-chain). A value of one of them proves that the step before it was taken. "Verified,
//! admitted, decided, recorded, signed" is the only order that compiles.

use super::spiffe::WorkloadId;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{Issuer, ProofId, Subject};

/// A value whose signature was verified.
///
/// The compiler cannot hide this constructor from the rest of the crate. So it is a function named `assertion()`, and the
/// architecture test counts its callers: all are in `authn`, one for each kind of proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// States that `value` was verified. Only `authn` calls it, where it checked the signature.
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

/// A key that the caller proved to have, for this request (RFC 9449).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Possession {
    /// RFC 7638 thumbprint (SHA-256) of the key.
    pub key: Digest,
    /// The proof's `jti`.
    pub id: ProofId,
    /// Its `iat`.
    pub issued: Timestamp,
}

/// The claims of a partner's JWT, each of its type. An absent claim is `None`, never a default.
///
/// Signature and header were judged before this exists. `admission` judges times, audience, life, age and conditions at each
/// decision, because a known caller is told which of them failed (docs/reference/http.md#refusals).
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
    /// The source of the key that verified it: the trust that it rests on.
    pub source: KeySource,
    /// The RFC 7638 thumbprint (SHA-256) of that key.
    pub key: Digest,
}

impl Assertion {
    /// The issuers that it names: the one it was looked up by, `iss`, and its trust domain.
    ///
    /// Each is listed once. The trust domain is that of a SPIFFE ID as subject.
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
