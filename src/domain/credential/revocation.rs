//! Revocations: their targets, and the provenance of a token.
//!
//! "Revoke everything of this partner" is one number: tokens with a lower journal index are cut. The number only grows, so enabling
//! the partner again never revives a token (docs/explanation/journal.md).

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::revocation_key::RevocationKey;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{
    ApiName, BindingName, ClientId, ElevationId, EnvironmentName, IntegrationId, Issuer, KeyId, PartnerName, Serial, TokenId,
};

/// The target of a revocation.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum RevocationTarget {
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
        /// The API.
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
        /// The integration.
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
        /// The partner.
        partner: PartnerName,
    },
    /// An elevation. It ends, and the tokens issued under it are cut.
    Elevation {
        /// Its environment.
        environment: EnvironmentName,
        /// The elevation.
        elevation: ElevationId,
    },
    /// A whole environment.
    Environment {
        /// The environment.
        environment: EnvironmentName,
    },
    /// A partner's issuer, in every environment.
    Issuer {
        /// The issuer.
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

/// The facts that every target has: its name, and the reach of its revocation.
pub struct Reached<'a> {
    /// The name of its own line.
    pub key: RevocationKey,
    /// The one environment that it belongs to, if it belongs to one.
    pub environment: Option<&'a EnvironmentName>,
    /// The clients whose tokens it can cut, if they are one client or one partner.
    pub clients: Option<Clients>,
    /// The further lines that it advances.
    pub further: Further<'a>,
    /// True if it can be lifted.
    pub liftable: bool,
}

/// The further lines that a revocation advances, for readers who see the token alone.
///
/// Such a reader knows neither the issuer of the proof nor the serial number of a certificate. So the lines that it does know
/// advance as well. This cuts more than necessary, until the workload asks again.
pub enum Further<'a> {
    /// No further line: the token names the target.
    Nothing,
    /// The bindings of this issuer.
    ///
    /// If it is our own trust domain, the environments that have or had it.
    Issuer(&'a Issuer),
    /// The integration whose certificate this is, in its environment.
    Certificate(&'a Serial),
    /// The whole environment.
    Environment,
}

/// The clients whose entries a count has to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Clients {
    /// This client.
    One(ClientId),
    /// Every integration of this partner.
    Of(PartnerName),
}

impl Clients {
    /// The least subject of theirs among the subjects of entries, and the first one beyond them.
    pub fn subjects(&self) -> (String, String) {
        match self {
            Self::One(client) => (client.to_string(), format!("{client}\0")),
            // All clients of one partner: `/` comes right before `0`.
            Self::Of(partner) => (format!("{partner}/"), format!("{partner}0")),
        }
    }
}

impl RevocationTarget {
    /// Returns the facts about the target. This is the only list of all kinds.
    pub fn reached(&self) -> Reached<'_> {
        let final_at = |environment, key| Reached {
            key,
            environment: Some(environment),
            clients: None,
            further: Further::Nothing,
            liftable: false,
        };
        let everywhere = |key| Reached { key, environment: None, clients: None, further: Further::Nothing, liftable: true };
        let at = |environment, key| Reached { environment: Some(environment), ..everywhere(key) };
        match self {
            Self::Token { environment, id, expires: _ } => final_at(environment, RevocationKey::token(id)),
            Self::Api { api } => everywhere(RevocationKey::api(api)),
            Self::Binding { client, environment, binding } => Reached {
                clients: Some(Clients::One(client.clone())),
                ..at(environment, RevocationKey::binding(client, environment, binding))
            },
            Self::Integration { integration } => Reached {
                clients: Some(Clients::One(ClientId::Integration(integration.clone()))),
                ..everywhere(RevocationKey::integration(integration))
            },
            Self::IntegrationEnvironment { integration, environment } => Reached {
                clients: Some(Clients::One(ClientId::Integration(integration.clone()))),
                ..at(environment, RevocationKey::integration_environment(integration, environment))
            },
            Self::Partner { partner } => {
                Reached { clients: Some(Clients::Of(partner.clone())), ..everywhere(RevocationKey::partner(partner)) }
            }
            Self::Elevation { environment, elevation } => final_at(environment, RevocationKey::elevation(elevation.as_str())),
            Self::Environment { environment } => at(environment, RevocationKey::environment(environment)),
            Self::Issuer { issuer } => {
                Reached { further: Further::Issuer(issuer), ..everywhere(RevocationKey::issuer(issuer)) }
            }
            Self::Certificate { environment, serial } => Reached {
                further: Further::Certificate(serial),
                ..final_at(environment, RevocationKey::certificate(environment, serial))
            },
            Self::Authority { environment, kid } => {
                Reached { further: Further::Environment, ..final_at(environment, RevocationKey::authority(environment, kid)) }
            }
            Self::Key { environment, kid } => final_at(environment, RevocationKey::key(environment, kid.as_str())),
        }
    }

    /// The name of its line.
    pub fn key(&self) -> RevocationKey {
        self.reached().key
    }

    /// Tells whether it can be lifted.
    ///
    /// A token, an elevation, a certificate, an authority or a key cannot.
    pub fn can_be_lifted(&self) -> bool {
        self.reached().liftable
    }
}

/// The facts that a token was made from. A revocation of any of them cuts it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// The client.
    pub client: ClientId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The binding.
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
    /// The certificate that was presented, and the key that issued it.
    pub certificate: Option<(Serial, KeyId)>,
    /// The trust domain of an X.509-SVID that was presented.
    pub beside: Option<Issuer>,
    /// The elevations that its scope rests on.
    pub elevations: Vec<ElevationId>,
}

impl Provenance {
    /// Tells whether a line cuts the token of `entry`.
    pub fn is_cut(&self, before: &OrdMap<RevocationKey, u64>, entry: u64) -> bool {
        // Nearly always there is no line, and then no key is spelled.
        !before.is_empty() && is_cut(&self.keys(), before, entry)
    }

    /// The lines that cut this token.
    pub fn keys(&self) -> Vec<RevocationKey> {
        let environment = &self.environment;
        let mut keys = vec![
            RevocationKey::environment(environment),
            RevocationKey::key(environment, self.kid.as_str()),
            RevocationKey::binding(&self.client, environment, &self.binding),
            RevocationKey::issuer(&self.issuer),
            RevocationKey::api(&self.api),
        ];
        if let Some((serial, authority)) = &self.certificate {
            keys.push(RevocationKey::certificate(environment, serial));
            keys.push(RevocationKey::authority(environment, authority));
        }
        let mut others: Vec<&Issuer> = self.named.iter().chain(&self.beside).filter(|other| **other != self.issuer).collect();
        others.dedup();
        keys.extend(others.into_iter().map(RevocationKey::issuer));
        keys.extend(self.elevations.iter().map(|elevation| RevocationKey::elevation(elevation.as_str())));
        if let ClientId::Integration(id) = &self.client {
            keys.extend(RevocationKey::of_integration(id, environment));
        }
        keys
    }
}

/// Tells whether one of these lines cuts the token of `entry`.
pub fn is_cut(keys: &[RevocationKey], before: &OrdMap<RevocationKey, u64>, entry: u64) -> bool {
    !before.is_empty() && keys.iter().any(|key| before.get(key).is_some_and(|line| entry < *line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::targets;

    /// These bytes are in Redis, in embedded verifiers, and in the journal's `subject`.
    #[test]
    fn each_target_has_the_key_that_everybody_knows_it_by() {
        let wanted = [
            "token:token-1",
            "api:orders-api",
            "binding:globex/order-sync/production/github",
            "integration:globex/order-sync",
            "integration:globex/order-sync/sandbox",
            "partner:globex",
            "elevation:elevation-3",
            "environment:staging",
            "issuer:https://cluster.globex.example",
            "certificate:production/1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "authority:production/authority-1",
            "key:production/key-2",
        ];
        let keys: Vec<String> = targets().iter().map(|target| target.key().to_string()).collect();
        assert_eq!(keys, wanted);
        assert_eq!(targets()[5].key().words(), "partner globex");
        let liftable: Vec<bool> = targets().iter().map(RevocationTarget::can_be_lifted).collect();
        assert_eq!(liftable, [false, true, true, true, true, true, false, true, true, false, false, false]);
        let here: Vec<_> = targets().iter().map(|target| target.reached().environment.map(ToString::to_string)).collect();
        let (production, sandbox, staging) = ("production".to_owned(), "sandbox".to_owned(), "staging".to_owned());
        let [production, sandbox, staging] = [production, sandbox, staging].map(Some);
        let wanted = [
            production.clone(),
            None,
            production.clone(),
            None,
            sandbox,
            None,
            production.clone(),
            staging,
            None,
            production.clone(),
            production.clone(),
            production,
        ];
        assert_eq!(here, wanted);
    }

    /// A token is cut by a revocation of each fact that it was made from, and by no other.
    #[test]
    fn a_token_has_the_keys_of_all_that_it_was_made_from() {
        let provenance = Provenance {
            client: "globex/order-sync".parse().expect("a client"),
            environment: "production".parse().expect("a name"),
            binding: "github".parse().expect("a name"),
            issuer: "https://cluster.globex.example".parse().expect("an issuer"),
            named: Some("spiffe://mesh.globex.example".parse().expect("an issuer")),
            kid: "key-2".parse().expect("an id"),
            api: "orders-api".parse().expect("a name"),
            certificate: Some((
                "1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("a serial"),
                "authority-1".parse().expect("an id"),
            )),
            beside: Some("spiffe://mesh.globex.example".parse().expect("an issuer")),
            elevations: vec!["elevation-3".parse().expect("an id")],
        };
        let keys: Vec<String> = provenance.keys().into_iter().map(String::from).collect();
        let elsewhere = ["token:token-1", "integration:globex/order-sync/sandbox", "environment:staging"];
        let expected = targets().into_iter().map(|target| target.key().to_string());
        let mut expected: Vec<String> = expected.filter(|key| !elsewhere.contains(&key.as_str())).collect();
        let more =
            ["integration:globex/order-sync/production", "environment:production", "issuer:spiffe://mesh.globex.example"];
        expected.extend(more.map(str::to_owned));
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(sorted(keys), sorted(expected));
    }
}
