//! Authn: who signed this? JWTs of partners' workloads and of our own staff.
//!
//! The doors: [`UnverifiedAssertion::parse`] (form), [`Verifier::verify`] (key and signature), [`StaffVerifier::verify`]
//! (staff bearers), [`sign_in`] (staff in a browser), [`passkey`] (what approvers sign with), [`IssuerKeys`] (keys, health, refresh ahead
//! of requests), [`tls::outbound`] (the client that fetches).
//!
//! What a return means: `Verified<Assertion>` says that a key of a trusted source signed these claims, not that they
//! are in their time; it lives in memory only, nothing here is durable, and nothing is spent. A fault of class `Proof` is final for
//! this assertion; one of class `Busy` (`issuer.unavailable`) means that the issuer's keys cannot be had: the caller may
//! send the same assertion again. Nobody here retries within a request.
//!
//! Fetches leave by `outbound` alone. An assertion of an issuer that no binding names causes none (ABUSE K-01).
//!
//! [`certificate::verify`] (leaves of our own authority), [`IssuerKeys::svid`] (X.509-SVIDs by a partner's bundle), [`dpop::verify`].
//!
//! Deliberately not here: times and which claims admit (`domain::admission`), replay (`journal`).

mod assertion;
pub mod certificate;
mod discovery;
pub mod dpop;
mod jwks;
mod keys;
pub mod passkey;
pub mod sign_in;
mod staff;
pub mod svid;
pub mod tls;
mod verify;

#[cfg(test)]
mod tests;

pub use assertion::{MAX_ASSERTION, UnverifiedAssertion};
pub use discovery::KeysFault;
pub use jwks::{ProbedKey, SetFault};
pub use keys::{FLOOR, IssuerHealth, IssuerKeys, MAX_STALE, ProbeFault, REFRESH};
pub use staff::{FRESH, SignedIn, StaffFault, StaffSettings, StaffVerifier};
pub use verify::{Trust, Verifier, VerifyFault};

/// Checks a key set that stands in a record and tells how many of its keys can be used.
pub fn check_inline(set: &str) -> Result<usize, SetFault> {
    jwks::KeySet::parse(set.as_bytes()).map(|set| set.len())
}
