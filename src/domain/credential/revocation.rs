//! Revocations: what can be cut, and what a token is made of.
//!
//! "Revoke everything of this partner" is one number: tokens with a lower journal index are cut. It only moves forward, so
//! re-enabling never revives (DESIGN.md section 3).

use serde::{Deserialize, Serialize};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{
    ApiName, BindingName, ClientId, ElevationId, EnvironmentName, IntegrationId, Issuer, KeyId, PartnerName, Serial, TokenId,
};

/// What a revocation cuts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Subject {
    /// One token, until it expires.
    Token {
        /// Its environment.
        environment: EnvironmentName,
        /// Its `jti`.
        id: TokenId,
        /// Its `exp`.
        expires: Timestamp,
    },
    /// An API, in every environment.
    Api {
        /// Which.
        api: ApiName,
    },
    /// A binding of one environment of one integration.
    Binding {
        /// The integration, or an API for its callers.
        client: ClientId,
        /// The environment.
        environment: EnvironmentName,
        /// The binding.
        binding: BindingName,
    },
    /// An integration in every environment.
    Integration {
        /// Which.
        integration: IntegrationId,
    },
    /// One environment of one integration.
    IntegrationEnvironment {
        /// The integration.
        integration: IntegrationId,
        /// The environment.
        environment: EnvironmentName,
    },
    /// A partner.
    Partner {
        /// Which.
        partner: PartnerName,
    },
    /// An elevation; it ends, and with it what was issued under it.
    Elevation {
        /// Its environment.
        environment: EnvironmentName,
        /// Which.
        elevation: ElevationId,
    },
    /// A whole environment.
    Environment {
        /// Which.
        environment: EnvironmentName,
    },
    /// A partner's issuer, in every environment.
    Issuer {
        /// Which.
        issuer: Issuer,
    },
    /// A certificate of our authority, for ever.
    Certificate {
        /// Its environment.
        environment: EnvironmentName,
        /// Its serial number.
        serial: Serial,
    },
    /// An authority's issuing key, for ever.
    Authority {
        /// Its environment.
        environment: EnvironmentName,
        /// The key.
        kid: KeyId,
    },
    /// A signing key of ours, for ever.
    Key {
        /// Its environment.
        environment: EnvironmentName,
        /// The key.
        kid: KeyId,
    },
}

impl Subject {
    /// Its member in `carnet:{ENV}:before`, and in lists; a token's is its `jti`.
    pub fn member(&self) -> String {
        match self {
            Self::Token { id, .. } => format!("token:{id}"),
            Self::Api { api } => format!("api:{api}"),
            Self::Binding { client, environment, binding } => format!("binding:{client}/{environment}/{binding}"),
            Self::Integration { integration } => format!("integration:{integration}"),
            Self::IntegrationEnvironment { integration, environment } => format!("integration:{integration}/{environment}"),
            Self::Partner { partner } => format!("partner:{partner}"),
            Self::Elevation { elevation, .. } => Self::elevation(elevation),
            Self::Environment { environment } => format!("environment:{environment}"),
            Self::Issuer { issuer } => format!("issuer:{issuer}"),
            Self::Certificate { environment, serial } => format!("certificate:{environment}/{serial}"),
            Self::Authority { environment, kid } => format!("authority:{environment}/{kid}"),
            Self::Key { environment, kid } => format!("key:{environment}/{kid}"),
        }
    }

    /// The member of an elevation.
    pub(in crate::domain) fn elevation(elevation: &ElevationId) -> String {
        format!("elevation:{elevation}")
    }

    /// Whether a lift is possible at all: a token, an elevation, a certificate or a key is revoked for ever.
    pub fn can_be_lifted(&self) -> bool {
        !matches!(
            self,
            Self::Token { .. } | Self::Elevation { .. } | Self::Certificate { .. } | Self::Authority { .. } | Self::Key { .. }
        )
    }
}

/// What a token was made from; each of it can cut it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ingredients {
    /// Whose token.
    pub client: ClientId,
    /// In which environment.
    pub environment: EnvironmentName,
    /// By which binding.
    pub binding: BindingName,
    /// The proof's issuer.
    pub issuer: Issuer,
    /// Another issuer that the proof names.
    #[serde(default)]
    pub named: Option<Issuer>,
    /// The signing key.
    pub kid: KeyId,
    /// The API.
    pub api: ApiName,
    /// The certificate that was shown, and the key that issued it.
    pub certificate: Option<(Serial, KeyId)>,
    /// The trust domain of an X.509-SVID that was shown.
    pub beside: Option<Issuer>,
    /// The elevations that its scope rests on.
    pub elevations: Vec<ElevationId>,
}

impl Ingredients {
    /// Whether a line at or behind `entry` cuts the token that stands there.
    pub fn is_cut(&self, before: &std::collections::BTreeMap<String, u64>, entry: u64) -> bool {
        !before.is_empty() && self.members().iter().any(|member| before.get(member).is_some_and(|line| entry < *line))
    }

    /// The members of `carnet:{ENV}:before` that cut this token.
    pub fn members(&self) -> Vec<String> {
        let mut members = vec![
            format!("environment:{}", self.environment),
            format!("key:{}/{}", self.environment, self.kid),
            format!("binding:{}/{}/{}", self.client, self.environment, self.binding),
            format!("issuer:{}", self.issuer),
            format!("api:{}", self.api),
        ];
        if let Some((serial, authority)) = &self.certificate {
            members.push(format!("certificate:{}/{serial}", self.environment));
            members.push(format!("authority:{}/{authority}", self.environment));
        }
        let mut others: Vec<&Issuer> = self.named.iter().chain(&self.beside).filter(|other| **other != self.issuer).collect();
        others.dedup();
        members.extend(others.into_iter().map(|other| format!("issuer:{other}")));
        members.extend(self.elevations.iter().map(Subject::elevation));
        if let ClientId::Integration(id) = &self.client {
            members.push(format!("partner:{}", id.partner));
            members.push(format!("integration:{id}"));
            members.push(format!("integration:{id}/{}", self.environment));
        }
        members
    }
}
