//! The names of lines that cut tokens, with one spelling for each kind.
//!
//! A line is a member of `carnet:{ENV}:before` in Redis with a journal index as its score: it cuts the tokens that name it and have
//! a lower entry. The journal's state, the live index and embedded verifiers all look a line up by this name. Enter through the
//! constructors of [`RevocationKey`]: no other code spells a name.

use std::fmt;

use serde::Serialize;

use crate::domain::value::names::{
    ApiName, BindingName, ClientId, EnvironmentName, IntegrationId, Issuer, KeyId, PartnerName, Serial, TokenId,
};

/// The name of a line that cuts tokens, such as `partner:globex`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct RevocationKey(String);

impl RevocationKey {
    /// The name of a token in lists.
    ///
    /// Redis has a token by its `jti` in `carnet:{ENV}:revoked`, and no line for it.
    pub fn token(id: &TokenId) -> Self {
        Self(format!("token:{id}"))
    }

    /// The line of an API.
    pub fn api(api: &ApiName) -> Self {
        Self(format!("api:{api}"))
    }

    /// The line of a binding in an environment.
    pub fn binding(client: &ClientId, environment: &EnvironmentName, binding: &BindingName) -> Self {
        Self(format!("binding:{client}/{environment}/{binding}"))
    }

    /// The line of an integration in every environment.
    pub fn integration(integration: &IntegrationId) -> Self {
        Self(format!("integration:{integration}"))
    }

    /// The line of one environment of an integration.
    pub fn integration_environment(integration: &IntegrationId, environment: &EnvironmentName) -> Self {
        Self(format!("integration:{integration}/{environment}"))
    }

    /// The line of a partner.
    pub fn partner(partner: &PartnerName) -> Self {
        Self(format!("partner:{partner}"))
    }

    /// The three lines that cut an integration in an environment: partner, itself, itself there.
    pub fn of_integration(integration: &IntegrationId, environment: &EnvironmentName) -> [Self; 3] {
        [
            Self::partner(&integration.partner),
            Self::integration(integration),
            Self::integration_environment(integration, environment),
        ]
    }

    /// The line of an elevation. An embedded verifier has the id as text from the token.
    pub fn elevation(elevation: &str) -> Self {
        Self(format!("elevation:{elevation}"))
    }

    /// The line of a whole environment.
    pub fn environment(environment: &EnvironmentName) -> Self {
        Self(format!("environment:{environment}"))
    }

    /// The line of a partner's issuer.
    pub fn issuer(issuer: &Issuer) -> Self {
        Self(format!("issuer:{issuer}"))
    }

    /// The line of a certificate of our authority.
    pub fn certificate(environment: &EnvironmentName, serial: &Serial) -> Self {
        Self(format!("certificate:{environment}/{serial}"))
    }

    /// The line of an authority's issuing key.
    pub fn authority(environment: &EnvironmentName, kid: &KeyId) -> Self {
        Self(format!("authority:{environment}/{kid}"))
    }

    /// The line of a signing key. An embedded verifier has the id as text from the token's header.
    pub fn key(environment: &EnvironmentName, kid: &str) -> Self {
        Self(format!("key:{environment}/{kid}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in words: `partner:globex` is "partner globex".
    pub fn words(&self) -> String {
        self.0.replacen(':', " ", 1)
    }
}

impl fmt::Display for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RevocationKey> for String {
    fn from(key: RevocationKey) -> Self {
        key.0
    }
}
