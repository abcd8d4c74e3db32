//! Bindings by environment and issuer: where an exchange begins to look. An index over what is in force, kept by the fold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::integration::IntegrationState;
use crate::domain::registry::binding::{Admits, Binding, ExtraAudience, JwtRule, KeySource};
use crate::domain::registry::environment::{Environment, is_own_audience};
use crate::domain::registry::lifecycle::ApiState;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, Audience, BindingName, ClientId, EnvironmentName, IntegrationId, Issuer};

/// A JWT binding in force, with what a principal takes from its record.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Whom it admits.
    pub client: ClientId,
    /// Where.
    pub environment: EnvironmentName,
    /// The binding.
    pub binding: BindingName,
    /// Its rule.
    pub rule: Arc<JwtRule>,
    /// The record's version.
    pub version: Digest,
    /// The accepted audience of the record that is not accepted, because an environment has it since: a proof that is made for one
    /// environment would admit to another (S-7).
    pub overtaken: Option<Audience>,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    by_issuer: HashMap<EnvironmentName, HashMap<Issuer, Vec<Candidate>>>,
    environments: BTreeMap<EnvironmentName, Environment>,
}

impl Candidates {
    /// The bindings of `environment` that name `issuer`.
    pub fn of(&self, environment: &EnvironmentName, issuer: &Issuer) -> &[Candidate] {
        self.by_issuer.get(environment).and_then(|issuers| issuers.get(issuer)).map_or(&[], Vec::as_slice)
    }

    /// Every place where keys of partners come from, each once, in a stable order.
    pub fn sources(&self) -> Vec<KeySource> {
        let mut sources: Vec<KeySource> = self.all().map(|candidate| candidate.rule.keys.clone()).collect();
        sources.sort_by_key(KeySource::label);
        sources.dedup();
        sources
    }

    /// Every binding in force.
    pub fn all(&self) -> impl Iterator<Item = &Candidate> {
        self.by_issuer.values().flat_map(HashMap::values).flatten()
    }

    /// Judges every accepted audience by these environments.
    pub fn configure(&mut self, environments: &BTreeMap<EnvironmentName, Environment>) {
        self.environments.clone_from(environments);
        for candidate in self.by_issuer.values_mut().flat_map(HashMap::values_mut).flatten() {
            let mut rule = candidate.rule.as_ref().clone();
            if let Some(audience) = candidate.overtaken.take() {
                rule.audience = Some(ExtraAudience::Value(audience));
            }
            candidate.overtaken = overtaken(&mut rule, &candidate.environment, environments);
            candidate.rule = Arc::new(rule);
        }
    }

    /// Replaces what the index holds of an integration by what is in force.
    pub fn index_integration(&mut self, state: &IntegrationState) {
        let Some(current) = &state.current else { return };
        let id: &IntegrationId = &current.record.id;
        let client = ClientId::Integration(id.clone());
        self.remove(&client);
        for (environment, access) in &current.record.environments {
            self.add(&client, environment, &access.bindings, current.version);
        }
    }

    /// Replaces what the index holds of an API's callers by what is in force.
    pub fn index_api(&mut self, state: &ApiState) {
        let Some(current) = &state.current else { return };
        let name: &ApiName = &current.record.name;
        let client = ClientId::Api(name.clone());
        self.remove(&client);
        for (environment, bindings) in &current.record.callers {
            self.add(&client, environment, bindings, current.version);
        }
    }

    fn remove(&mut self, client: &ClientId) {
        for issuers in self.by_issuer.values_mut() {
            issuers.retain(|_, candidates| {
                candidates.retain(|candidate| candidate.client != *client);
                !candidates.is_empty()
            });
        }
    }

    fn add(&mut self, client: &ClientId, environment: &EnvironmentName, bindings: &[Binding], version: Digest) {
        let environments = &self.environments;
        let issuers = self.by_issuer.entry(environment.clone()).or_default();
        for binding in bindings {
            let Admits::Jwt(rule) = &binding.admits else { continue };
            let mut rule = rule.as_ref().clone();
            let overtaken = overtaken(&mut rule, environment, environments);
            issuers.entry(rule.issuer.clone()).or_default().push(Candidate {
                client: client.clone(),
                environment: environment.clone(),
                binding: binding.name.clone(),
                rule: Arc::new(rule),
                version,
                overtaken,
            });
        }
    }
}

/// Takes the accepted audience out of `rule` where it is another environment's of ours.
fn overtaken(
    rule: &mut JwtRule,
    environment: &EnvironmentName,
    environments: &BTreeMap<EnvironmentName, Environment>,
) -> Option<Audience> {
    let others = environments.iter().filter(|(name, _)| *name != environment).map(|(_, other)| other);
    match &rule.audience {
        Some(ExtraAudience::Value(audience)) if is_own_audience(others, audience.as_str()) => match rule.audience.take()? {
            ExtraAudience::Value(audience) => Some(audience),
            ExtraAudience::TokenEndpoint => None,
        },
        Some(ExtraAudience::Value(_) | ExtraAudience::TokenEndpoint) | None => None,
    }
}
