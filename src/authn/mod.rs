//! Authenticates: finds whose key signed a JWT, a certificate, a DPoP proof or an approval.
//!
//! The entry points for JWTs are [`UnverifiedAssertion::parse`] (form), [`Verifier::verify`] (key and signature) and
//! [`StaffVerifier::verify`] (bearers of staff). [`sign_in`] signs staff in with a browser; [`passkey`] registers and verifies
//! approvers' passkeys. [`IssuerKeys`] holds issuers' keys and their health, and refreshes them ahead of requests.
//! [`tls::outbound`] makes the client that fetches. For other proofs there are [`certificate::verify`] (leaves of our own
//! authority), [`IssuerKeys::svid`] (X.509-SVIDs by a partner's bundle) and [`dpop::verify`].
//!
//! A `Verified<Assertion>` says that a key of a trusted source signed these claims, not that they are in their time. It exists in
//! memory only: nothing here is durable, and nothing is spent. A fault of class `Proof` is final for this assertion. A fault of
//! class `Busy` (`issuer.unavailable`) means that the issuer's keys cannot be had, and the caller may send the same assertion
//! again. Nothing here retries within a request.
//!
//! Fetches leave by `outbound` alone. An assertion of an issuer that no binding names causes none (ABUSE K-01).
//!
//! Not here: times, and the claims that admit (`domain::decision::admission`); replay (`journal`).

mod assertion;
pub mod certificate;
mod discovery;
pub mod dpop;
pub mod fellows;
mod jwks;
mod keys;
pub mod passkey;
pub mod sign_in;
mod staff;
pub mod svid;
pub mod tls;
mod verify;

#[cfg(test)]
pub(crate) mod tests;

pub use assertion::{MAX_ASSERTION, UnverifiedAssertion};
pub use discovery::KeysFault;
pub use jwks::{ProbedKey, SetFault};
pub use keys::{FLOOR, IssuerHealth, IssuerKeys, MAX_STALE, ProbeFault, REFRESH};
pub use staff::{FRESH, SignedIn, StaffFault, StaffSettings, StaffVerifier};
pub use verify::{Signed, Trust, Verifier, VerifyFault};

/// Checks a key set in a record, and returns the number of its usable keys.
pub fn check_inline(set: &str) -> Result<usize, SetFault> {
    jwks::KeySet::parse(set.as_bytes()).map(|set| set.len())
}
