//! What an internal API embeds to take Carnet's tokens: a [`tower`] layer, and the pure check that it stands on.
//!
//! ```toml
//! carnet = { version = "0.1", default-features = false, features = ["verifier"] }
//! ```
//! With that feature alone, this room and `domain` are compiled: no broker, no SQL, no HTTP client, no Redis client. Enter through
//! [`Layer`](layer::Layer), or through [`Verifier::check`] from another framework.
//!
//! Every request must hold, in this order (RFC 9068 section 4, RFC 9449 section 7): one credential · signature by the issuer's keys, by
//! one algorithm per key · `typ` · issuer, audience, life · the key that the token is bound to (`cnf`) · not revoked
//! ([`liveness`]) · scope · endpoint conditions. What is absent is refused, what is unknown is refused, and what cannot be asked
//! ([`Refusal::Away`]) is refused with 503. A refusal is what docs/security/standards.md#challenges says, as a status and challenges.
//!
//! Deliberately not here: fetching (traits with one method each; an API has its HTTP and Redis clients already), and metadata
//! (an API knows its issuer; `ISSUER/jwks` is the address).

mod claims;
mod dpop;
mod jws;
pub mod keys;
pub mod layer;
pub mod liveness;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::credential::claims::Detail;
use crate::domain::credential::resource::{Beside, has_token, is_held};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::{Clock, Seconds};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, Audience, ClientId, EnvironmentName, Issuer};
use crate::domain::value::scope::ScopeSet;
pub use claims::{Access, Elevation};
use dpop::Seen;
use keys::Keys;
use liveness::{Liveness, Standing};

/// What an API takes. Every field says what must be; there is no "any".
#[derive(Clone, Debug)]
pub struct Policy {
    /// The environment's issuer, byte for byte.
    pub issuer: Issuer,
    /// Its name, as tokens and revocations have it.
    pub environment: EnvironmentName,
    /// The API, as its record is named.
    pub api: ApiName,
    /// The API's audience in that environment.
    pub audience: Audience,
    /// `at+jwt`, or `JWT` where the API's record says `profile: compat`.
    pub typ: &'static str,
    /// How far the clocks may differ: 30 s is enough with NTP, and 0 works.
    pub leeway: Seconds,
}

/// What a request shows. Headers are passed as they came, all values of a name, so that two are seen as two.
#[derive(Clone, Debug, Default)]
pub struct Shown<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it stands in the request line, without the query.
    pub path: &'a str,
    /// The query, if there is one.
    pub query: Option<&'a str>,
    /// `scheme://host` as the client wrote it; without it no DPoP proof holds.
    pub origin: Option<&'a str>,
    /// Every value of `Authorization`.
    pub authorization: Vec<&'a str>,
    /// Every value of `DPoP`.
    pub proofs: Vec<&'a str>,
    /// SHA-256 of the DER of the connection's client certificate: from the TLS stack, never from a header.
    pub certificate: Option<Digest>,
}

/// Why a request is not served. None of them holds anything of the token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No credential, or a scheme that is not taken.
    #[error("the request shows no token")]
    Missing,
    /// More than one credential, or one in the query.
    #[error("the request shows more than one credential, or one in its query")]
    Request,
    /// A token that does not count here.
    #[error("the token is not taken: {0}")]
    Token(&'static str),
    /// A proof of possession that does not hold.
    #[error("the DPoP proof is not taken: {0}")]
    Proof(&'static str),
    /// A good token that does not reach so far.
    #[error("the token does not reach this: {0}")]
    Access(&'static str, ScopeSet),
    /// Keys or revocations cannot be had: nobody can say.
    #[error("whether the token counts cannot be found out now")]
    Away,
}

/// Checks requests of one API in one environment.
pub struct Verifier {
    policy: Policy,
    keys: Keys,
    liveness: Arc<dyn Liveness>,
    seen: Seen,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier that gets its keys by `keys` and asks `liveness` whether a token was revoked.
    pub fn new(policy: Policy, keys: Keys, liveness: Arc<dyn Liveness>, clock: Arc<dyn Clock>) -> Self {
        Self { policy, keys, liveness, seen: Seen::default(), clock }
    }

    /// Checks a request that needs `scope`, all of it.
    ///
    /// # Errors
    /// The first thing that does not hold.
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
        // Spent last: what was refused for another reason may be sent again (RFC 9449 section 11.1).
        match proof {
            Some(proof) if !self.seen.spend(&proof, now) => Err(Refusal::Proof("it was used before")),
            _ => Ok(access),
        }
    }
}

/// The one credential and whether its scheme is `DPoP` (RFC 6750 section 2, RFC 9449 section 7.1).
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

/// Scope, then endpoint conditions, which narrow all of the token's scopes ([`Detail::admit`]).
fn reaches(access: &Access, scope: &ScopeSet, shown: &Shown<'_>) -> Result<(), Refusal> {
    if !scope.is_within(&access.scope) {
        return Err(Refusal::Access("it does not have the scope", scope.clone()));
    }
    if !Detail::admit(&access.conditions, shown.method, shown.path) {
        return Err(Refusal::Access("its endpoint conditions do not admit the request", scope.clone()));
    }
    Ok(())
}

impl Refusal {
    /// The status to answer with (docs/security/standards.md#challenges).
    pub fn status(&self) -> u16 {
        match self {
            Self::Request => 400,
            Self::Missing | Self::Token(_) | Self::Proof(_) => 401,
            Self::Access(..) => 403,
            Self::Away => 503,
        }
    }

    /// The values of `WWW-Authenticate`; none where it is not the credential's fault.
    pub fn challenges(&self) -> Vec<String> {
        let error = match self {
            Self::Away => return Vec::new(),
            Self::Missing => "",
            Self::Request => " error=\"invalid_request\",",
            Self::Token(_) => " error=\"invalid_token\",",
            Self::Proof(_) => " error=\"invalid_dpop_proof\",",
            Self::Access(..) => " error=\"insufficient_scope\",",
        };
        let mut parameters = error.to_owned();
        if let Self::Access(_, scope) = self {
            // Scopes have no quotes. Writing to a String cannot fail.
            let _ = write!(parameters, " scope=\"{scope}\",");
        }
        let bearer = format!("Bearer{}", parameters.trim_end_matches(','));
        let dpop = format!("DPoP{parameters} algs=\"{}\"", dpop::ALGORITHMS);
        if matches!(self, Self::Proof(_)) { vec![dpop] } else { vec![bearer, dpop] }
    }
}

/// The keys of revocations that cut a token, as far as its claims tell.
fn revocation_keys(access: &Access) -> Vec<RevocationKey> {
    let environment = &access.environment;
    let mut keys = vec![
        RevocationKey::binding(&access.client, environment, &access.binding),
        RevocationKey::environment(environment),
        RevocationKey::key(environment, &access.kid),
        RevocationKey::api(&access.api),
    ];
    if let ClientId::Integration(id) = &access.client {
        keys.extend(RevocationKey::of_integration(id, environment));
    }
    keys.extend(access.elevations.iter().map(|elevation| RevocationKey::elevation(&elevation.id)));
    keys
}
