//! Verifies Carnet's tokens in an internal API: a [`tower`] layer, and the check that it calls.
//!
//! ```toml
//! carnet = { version = "0.1", default-features = false, features = ["verifier"] }
//! ```
//! With that feature alone, the crate compiles this module and `domain`: no broker, no SQL, no HTTP client, no Redis client.
//! Enter through [`Layer`](layer::Layer), or through [`Verifier::check`] from another framework.
//!
//! A request passes these checks, in this order (RFC 9068 section 4, RFC 9449 section 7): one credential · signature by the
//! issuer's keys, by one algorithm per key · `typ` · issuer, audience, life · the key that the token is bound to (`cnf`) ·
//! not revoked ([`liveness`]) · scope · endpoint conditions. Anything absent or unknown is refused. If keys or revocations
//! cannot be looked up ([`Refusal::Away`]), the answer is 503. A refusal has the status and the challenges of
//! docs/security/standards.md#challenges.
//!
//! Deliberately not here: fetching (traits with one method each; an API already has its HTTP and Redis clients), and metadata
//! (an API knows its issuer; `ISSUER/jwks` is the address).

mod claims;
mod dpop;
mod jws;
pub mod keys;
pub mod layer;
pub mod liveness;
mod policy;
mod refusal;
mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::credential::claims::Detail;
use crate::domain::credential::resource::{Beside, has_token, is_held};
use crate::domain::value::clock::Clock;
use crate::domain::value::scope::ScopeSet;
pub use claims::{Access, Elevation};
use dpop::Seen;
use keys::Keys;
use liveness::{Liveness, Standing};
pub use policy::Policy;
pub use refusal::Refusal;
pub use shown::Shown;

/// Checks requests of one API in one environment.
pub struct Verifier {
    policy: Policy,
    keys: Keys,
    liveness: Arc<dyn Liveness>,
    seen: Seen,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier that finds keys in `keys` and asks `liveness` if a token is revoked.
    pub fn new(policy: Policy, keys: Keys, liveness: Arc<dyn Liveness>, clock: Arc<dyn Clock>) -> Self {
        Self { policy, keys, liveness, seen: Seen::default(), clock }
    }

    /// Checks a request that needs `scope`, all of it.
    ///
    /// # Errors
    /// The first check that fails. Answer with its [`Refusal::status`] and [`Refusal::challenges`].
    pub async fn check(&self, shown: &Shown<'_>, scope: &ScopeSet) -> Result<Access, Refusal> {
        let (as_dpop, text) = credential(shown)?;
        let token = jws::Compact::parse(text).ok_or(Refusal::Token("it is not a compact JWS"))?;
        let now = self.clock.now();
        let key = self.keys.find(&token, now).await?;
        if !token.is_signed_by(&key) {
            return Err(Refusal::Token("no key of the issuer signed it"));
        }
        if !token.is_of_one_form() {
            return Err(Refusal::Token("its signature is the twin of the one that the issuer released"));
        }
        let access = claims::read(&token, &self.policy, now)?;
        let proof = dpop::proof(shown, text, now)?;
        let beside = Beside { as_dpop, certificate: shown.certificate, proof_key: proof.as_ref().map(|proof| proof.key) };
        if !is_held(access.confirmation, &beside) {
            return Err(Refusal::Token("it is bound to a key that the request does not show"));
        }
        match self.liveness.standing(&access, text, now).await {
            Standing::Active => {}
            Standing::Ended => return Err(Refusal::Token("it was revoked, or is not on record")),
            Standing::Unknown => return Err(Refusal::Away),
        }
        reaches(&access, scope, shown)?;
        // Spent last: a request that was refused for another reason may be sent again (RFC 9449 section 11.1).
        match proof {
            Some(proof) if !self.seen.spend(&proof, now) => Err(Refusal::Proof("it was used before")),
            _ => Ok(access),
        }
    }
}

/// The one credential, and `true` if its scheme is `DPoP`.
///
/// RFC 6750 section 2, RFC 9449 section 7.1.
fn credential<'a>(shown: &Shown<'a>) -> Result<(bool, &'a str), Refusal> {
    let in_query = shown.query.is_some_and(has_token);
    let only = match shown.authorization.as_slice() {
        _ if in_query => return Err(Refusal::Request),
        [] => return Err(Refusal::Missing),
        [only] => only,
        _ => return Err(Refusal::Request),
    };
    let (scheme, token) = only.split_once(' ').ok_or(Refusal::Missing)?;
    let as_dpop = scheme.eq_ignore_ascii_case("DPoP");
    if as_dpop || scheme.eq_ignore_ascii_case("Bearer") { Ok((as_dpop, token)) } else { Err(Refusal::Missing) }
}

/// Checks scope, then endpoint conditions, which narrow all scopes ([`Detail::admit`]).
fn reaches(access: &Access, scope: &ScopeSet, shown: &Shown<'_>) -> Result<(), Refusal> {
    if !scope.is_within(&access.scope) {
        return Err(Refusal::Access("it does not have the scope", scope.clone()));
    }
    if !Detail::admit(&access.conditions, shown.method, shown.path) {
        return Err(Refusal::Access("its endpoint conditions do not admit the request", scope.clone()));
    }
    Ok(())
}
