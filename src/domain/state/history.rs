//! Everything that was ever in force: bindings with their last rules, issuers, and environments.
//!
//! A revocation may name anything that a token was issued under, whether or not a record still names it. So the fold keeps the names
//! after the records have dropped them. Nothing is ever taken out.

use imbl::{OrdMap, OrdSet};

use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::registry::binding::{Admits, Binding, KeySource};
use crate::domain::value::names::{ClientId, EnvironmentName, Issuer, TrustDomain};

/// The least label that a name can be.
const LEAST: &str = "0";

/// Everything that was ever in force: a fold of the journal.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The last rule of each binding, by [`RevocationTarget::Binding`].
    bindings: OrdMap<RevocationTarget, Admits>,
    /// The rules that bindings had before their last one, where they had others.
    earlier: OrdMap<RevocationTarget, Vec<Admits>>,
    /// The lines that cut what an issuer's proofs bought.
    issuers: OrdMap<Issuer, OrdSet<RevocationKey>>,
    environments: OrdSet<EnvironmentName>,
    /// Our own trust domains, which are the issuers of what certificates bought, with the environments that had them.
    own: OrdMap<Issuer, OrdSet<EnvironmentName>>,
}

impl History {
    /// Takes in the bindings of `client` that came into force in `environment`.
    pub(in crate::domain) fn add_bindings(&mut self, client: &ClientId, environment: &EnvironmentName, bindings: &[Binding]) {
        for binding in bindings {
            let subject = RevocationTarget::Binding {
                client: client.clone(),
                environment: environment.clone(),
                binding: binding.name.clone(),
            };
            if let Admits::Jwt(rule) = &binding.admits {
                let keys = self.issuers.entry(rule.issuer.clone()).or_default();
                keys.insert(subject.key());
                keys.extend(beside(client, environment, &rule.keys));
            }
            let before = self.bindings.insert(subject.clone(), binding.admits.clone());
            if let Some(before) = before.filter(|before| *before != binding.admits) {
                let earlier = self.earlier.entry(subject).or_default();
                earlier.retain(|one| *one != binding.admits && *one != before);
                earlier.push(before);
            }
        }
    }

    /// Takes in a configured environment and its trust domain.
    pub(in crate::domain) fn add_environment(&mut self, environment: &EnvironmentName, trust_domain: &TrustDomain) {
        let places = self.own.entry(trust_domain.issuer()).or_default();
        if !places.contains(environment) {
            places.insert(environment.clone());
            self.environments.insert(environment.clone());
        }
    }

    /// The last rule of a binding; nothing for a binding that was never in force.
    pub fn binding(&self, subject: &RevocationTarget) -> Option<&Admits> {
        self.bindings.get(subject)
    }

    /// Every rule that a binding of `client` ever had, with its environment and name. It costs what it finds.
    pub fn admitted_by(&self, client: &ClientId) -> Vec<(EnvironmentName, Binding)> {
        let mut all = Vec::new();
        // Invariant: the least label is a name.
        let (Ok(environment), Ok(binding)) = (LEAST.parse(), LEAST.parse()) else { return all };
        let from = RevocationTarget::Binding { client: client.clone(), environment, binding };
        for (target, last) in self.bindings.range(from..) {
            let RevocationTarget::Binding { client: of, environment, binding } = target else { break };
            if of != client {
                break;
            }
            let rules = self.earlier.get(target).into_iter().flatten().chain([last]);
            all.extend(rules.map(|admits| {
                let binding = Binding { name: binding.clone(), admits: admits.clone() };
                (environment.clone(), binding)
            }));
        }
        all
    }

    /// Whether tokens may have been issued under `issuer`.
    ///
    /// A binding that was ever in force names it, or it is a trust domain of ours.
    pub fn knows_issuer(&self, issuer: &Issuer) -> bool {
        self.issuers.contains_key(issuer) || self.own.contains_key(issuer)
    }

    /// The environments that ever had `issuer` as their trust domain.
    pub fn environments_of(&self, issuer: &Issuer) -> impl Iterator<Item = &EnvironmentName> {
        self.own.get(issuer).into_iter().flatten()
    }

    /// Whether `environment` was ever configured.
    pub fn knows_environment(&self, environment: &EnvironmentName) -> bool {
        self.environments.contains(environment)
    }

    /// The lines of every binding that ever named `issuer`.
    pub fn keys_of(&self, issuer: &Issuer) -> impl Iterator<Item = &RevocationKey> {
        self.issuers.get(issuer).into_iter().flatten()
    }
}

/// An SVID of a trust domain can be shown beside a proof that another binding of the same integration admits, and the token does not
/// tell. So a revocation of the trust domain moves the line of the whole integration in that environment.
fn beside(client: &ClientId, environment: &EnvironmentName, keys: &KeySource) -> Option<RevocationKey> {
    let ClientId::Integration(integration) = client else { return None };
    keys.is_bundle().then(|| RevocationKey::integration_environment(integration, environment))
}
