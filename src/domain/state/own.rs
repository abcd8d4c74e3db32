//! Whether a proof, an issuer or a key is ours, by the state as it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::State;
use super::ours::Ours;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::Issuer;

impl Ours {
    /// The environments of the configuration, and the keys of the ladder.
    pub fn of(state: &State) -> Self {
        let environments = state.configuration.iter().flat_map(|configuration| &configuration.environments);
        let keys = state.keys.all().map(|key| key.key.kid.as_str().to_owned()).collect();
        Self::named(environments).with_keys(keys)
    }
}

/// Whether a verified proof is one of our own tokens: it has one of our issuers, or one of our keys signed it. Neither is ever a proof
/// of a partner's, whatever a record says: the environment may be newer than the record.
pub fn is_own_token(state: &State, issuer: &Issuer, key: Digest) -> bool {
    let kid = URL_SAFE_NO_PAD.encode(key.0);
    is_own_issuer(state, issuer) || state.keys.all().any(|own| own.key.kid.as_str() == kid)
}

/// Whether `issuer` is the issuer of one of our environments, or its trust domain. Our tokens name it as it is configured.
pub fn is_own_issuer(state: &State, issuer: &Issuer) -> bool {
    let mut environments = state.configuration.iter().flat_map(|configuration| configuration.environments.values());
    let domain = issuer.as_str().strip_prefix("spiffe://");
    environments.any(|environment| environment.issuer == *issuer || domain == Some(environment.trust_domain.as_str()))
}
