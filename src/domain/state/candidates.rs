//! Bindings in force by environment and issuer: the index in which an exchange begins to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use super::integration::IntegrationState;
use crate::domain::registry::binding::{Admits, Binding, ExtraAudience, JwtRule, KeySource};
use crate::domain::registry::environment::{Environment, is_own_audience};
use crate::domain::registry::lifecycle::ApiState;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{Audience, BindingName, ClientId, EnvironmentName, Issuer};

/// A JWT binding in force, with what a principal takes from its record.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The client that it admits.
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

/// The bindings of one environment that name one issuer, the oldest in force first.
#[derive(Clone, Debug, Default)]
pub struct Listed(OrdMap<u64, Arc<Candidate>>);

/// The index. Copies share what a change of one record does not touch.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    by_issuer: HashMap<EnvironmentName, HashMap<Issuer, Listed>>,
    /// The places of the bindings of each client.
    of: HashMap<ClientId, Arc<Vec<Place>>>,
    /// The number of bindings that were ever taken in: the place of the next one.
    next: u64,
    sources: Sources,
    environments: Arc<BTreeMap<EnvironmentName, Environment>>,
    /// The list of an issuer that no binding names.
    none: Listed,
}

/// The place of a binding in the list of its issuer.
#[derive(Clone, Debug)]
struct Place {
    environment: EnvironmentName,
    issuer: Issuer,
    at: u64,
}

/// The sources of partners' keys, each with the number of bindings that name it.
#[derive(Clone, Debug, Default)]
struct Sources {
    named: HashMap<Arc<KeySource>, usize>,
    /// Another number once a source came or went.
    number: u64,
}

impl Listed {
    /// Each of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.0.values().map(AsRef::as_ref)
    }

    /// Whether no binding names the issuer.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Candidates {
    /// The bindings of `environment` that name `issuer`.
    pub fn of(&self, environment: &EnvironmentName, issuer: &Issuer) -> &Listed {
        self.by_issuer.get(environment).and_then(|issuers| issuers.get(issuer)).unwrap_or(&self.none)
    }

    /// Every source of partners' keys, each once, in a stable order.
    pub fn sources(&self) -> Vec<KeySource> {
        let mut sources: Vec<KeySource> = self.sources.named.keys().map(|source| source.as_ref().clone()).collect();
        sources.sort_by_cached_key(KeySource::label);
        sources
    }

    /// A number that is another one once a source of partners' keys came or went.
    pub fn sources_number(&self) -> u64 {
        self.sources.number
    }

    /// Every binding in force.
    pub fn all(&self) -> impl Iterator<Item = &Candidate> {
        self.by_issuer.values().flat_map(HashMap::values).flat_map(Listed::iter)
    }

    /// Judges every accepted audience by these environments.
    pub fn configure(&mut self, environments: &BTreeMap<EnvironmentName, Environment>) {
        self.environments = Arc::new(environments.clone());
        let places: Vec<Place> = self.of.values().flat_map(|places| places.iter()).cloned().collect();
        for Place { environment, issuer, at } in places {
            let listed = self.by_issuer.get_mut(&environment).and_then(|issuers| issuers.get_mut(&issuer));
            let Some(candidate) = listed.and_then(|listed| listed.0.get_mut(&at)).map(Arc::make_mut) else { continue };
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
        let lists = current.record.environments.iter().map(|(environment, access)| (environment, access.bindings.as_slice()));
        self.replace(&ClientId::Integration(current.record.id.clone()), lists, current.version);
    }

    /// Replaces what the index holds of an API's callers by what is in force.
    pub fn index_api(&mut self, state: &ApiState) {
        let Some(current) = &state.current else { return };
        let lists = current.record.callers.iter().map(|(environment, bindings)| (environment, bindings.as_slice()));
        self.replace(&ClientId::Api(current.record.name.clone()), lists, current.version);
    }

    fn replace<'a>(
        &mut self,
        client: &ClientId,
        lists: impl Iterator<Item = (&'a EnvironmentName, &'a [Binding])>,
        version: Digest,
    ) {
        let before = self.remove(client);
        let mut places = Vec::new();
        let mut named = Vec::new();
        for (environment, bindings) in lists {
            for binding in bindings {
                let Admits::Jwt(rule) = &binding.admits else { continue };
                let mut rule = rule.as_ref().clone();
                let overtaken = overtaken(&mut rule, environment, &self.environments);
                named.push(rule.keys.clone());
                let place = Place { environment: environment.clone(), issuer: rule.issuer.clone(), at: self.next };
                self.next += 1;
                let candidate = Candidate {
                    client: client.clone(),
                    environment: environment.clone(),
                    binding: binding.name.clone(),
                    rule: Arc::new(rule),
                    version,
                    overtaken,
                };
                let issuers = self.by_issuer.entry(place.environment.clone()).or_default();
                issuers.entry(place.issuer.clone()).or_default().0.insert(place.at, Arc::new(candidate));
                places.push(place);
            }
        }
        self.sources.replace(&before, &named);
        if !places.is_empty() {
            self.of.insert(client.clone(), Arc::new(places));
        }
    }

    /// Takes the bindings of `client` out. Returns the sources of their keys.
    fn remove(&mut self, client: &ClientId) -> Vec<KeySource> {
        let mut sources = Vec::new();
        for Place { environment, issuer, at } in self.of.remove(client).unwrap_or_default().iter() {
            let Some(issuers) = self.by_issuer.get_mut(environment) else { continue };
            let Some(listed) = issuers.get_mut(issuer) else { continue };
            sources.extend(listed.0.remove(at).map(|candidate| candidate.rule.keys.clone()));
            if listed.is_empty() {
                issuers.remove(issuer);
            }
        }
        sources
    }
}

impl Sources {
    /// Counts the sources that a client names in place of those that it named `before`.
    fn replace(&mut self, before: &[KeySource], named: &[KeySource]) {
        let mut is_news = false;
        for source in named {
            is_news |= !self.named.contains_key(source);
            *self.named.entry(Arc::new(source.clone())).or_default() += 1;
        }
        for source in before {
            let Some(count) = self.named.get_mut(source) else { continue };
            *count -= 1;
            if *count == 0 {
                self.named.remove(source);
                is_news = true;
            }
        }
        self.number += u64::from(is_news);
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
