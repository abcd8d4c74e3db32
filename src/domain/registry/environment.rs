//! What the operator configured: the environments, each with its issuer and trust domain.

use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, Issuer, TrustDomain};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the operator configured that decisions rest on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The environments.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// Digest of the staff section.
    pub staff: Digest,
}

/// One environment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Our issuer there.
    pub issuer: Issuer,
    /// The longest life of a token there.
    pub max_ttl: Seconds,
    /// The trust domain of its SPIFFE IDs.
    pub trust_domain: TrustDomain,
}

/// Whether `audience` is one of our issuers or lies below it, such as a token endpoint: what is made for it is made for us. Byte for byte,
/// as every audience is compared.
pub fn is_own_audience<'a>(mut environments: impl Iterator<Item = &'a Environment>, audience: &str) -> bool {
    environments.any(|environment| {
        audience.strip_prefix(environment.issuer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
