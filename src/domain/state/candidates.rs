//! Bindings in force by environment and issuer: the index in which an exchange begins to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};
use serde_json::Value;

use super::integration::IntegrationState;
use crate::domain::registry::binding::{Admits, Binding, ExtraAudience, JwtRule, KeySource};
use crate::domain::registry::claim_index::ClaimIndex;
use crate::domain::registry::conditions::Conditions;
use crate::domain::registry::environment::{Environment, is_own_audience};
use crate::domain::registry::lifecycle::ApiState;
use crate::domain::value::alg::Alg;
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
#[derive(Clone, Copy, Debug)]
pub struct Listed<'s> {
    list: &'s List,
    index: &'s Candidates,
    environment: &'s EnvironmentName,
    issuer: &'s Issuer,
}

/// The bindings of one environment and issuer, with what a proof is looked up by.
#[derive(Clone, Debug, Default)]
struct List {
    /// By the claims that they compare.
    by_claim: ClaimIndex<Arc<Candidate>>,
    /// By the claims that name the caller. A binding stands here if its rule has such claims.
    by_owner: ClaimIndex<()>,
    /// The bindings with each source of keys.
    sources: HashMap<Arc<KeySource>, OfSource>,
    /// The sources and algorithms, by the first binding that named them.
    trusted: OrdMap<u64, Arc<Trusted>>,
}

/// The bindings of a list that have one source of keys.
#[derive(Clone, Debug, Default)]
struct OfSource {
    /// The number of bindings of each partner.
    partners: OrdMap<Arc<str>, usize>,
    /// The bindings whose rules have no claims that name the caller.
    ownerless: OrdSet<u64>,
    /// The number of bindings with each list of algorithms, and the place of the first that named it.
    algs: OrdMap<Vec<Alg>, (u64, usize)>,
}

/// A source of keys, and the algorithms that bindings with it take.
#[derive(Debug)]
struct Trusted {
    keys: Arc<KeySource>,
    algs: Vec<Alg>,
}

/// The index. Copies share what a change of one record does not touch.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    by_issuer: HashMap<EnvironmentName, HashMap<Issuer, List>>,
    /// The places of the bindings of each client.
    of: OrdMap<ClientId, Arc<[Place]>>,
    /// The number of bindings that were ever taken in: the place of the next one.
    next: u64,
    sources: Sources,
    environments: Arc<BTreeMap<EnvironmentName, Environment>>,
    /// The list of an issuer that no binding names.
    none: List,
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

impl<'s> Listed<'s> {
    /// Each of them, the oldest first.
    pub fn iter(self) -> impl Iterator<Item = &'s Candidate> {
        self.list.by_claim.iter().map(|(_, candidate)| &**candidate)
    }

    /// Whether no binding names the issuer.
    pub fn is_empty(self) -> bool {
        self.list.by_claim.is_empty()
    }

    /// The sources of keys with the algorithms that bindings take from each; each pair once.
    pub fn trusted(self) -> impl Iterator<Item = (&'s KeySource, &'s [Alg])> {
        self.list.trusted.values().map(|trusted| (&*trusted.keys, trusted.algs.as_slice()))
    }

    /// The bindings whose conditions `claims` can meet, the oldest first: every one that they meet, and few others.
    pub fn meeting(self, claims: &Value) -> impl Iterator<Item = &'s Candidate> {
        self.list.by_claim.meeting(claims).into_iter().map(|(_, candidate)| &**candidate)
    }

    /// The bindings of one client, the oldest first.
    pub fn of_client(self, client: &ClientId) -> impl Iterator<Item = &'s Candidate> {
        let places = self.index.of.get(client).into_iter().flat_map(|places| places.iter());
        let here = places.filter(move |place| place.environment == *self.environment && place.issuer == *self.issuer);
        here.filter_map(move |place| self.list.by_claim.get(place.at)).map(|candidate| &**candidate)
    }

    /// The oldest binding with the keys `source` that names the caller of these claims, by `holds` or by its keys alone.
    ///
    /// `holds` judges a binding whose rule has claims that name the caller. A rule without such claims names it if all bindings with
    /// these keys are of one partner. Otherwise each stranger with a proof of a shared platform would count as known.
    pub fn naming(self, source: &KeySource, claims: &Value, holds: impl Fn(&Candidate) -> bool) -> Option<&'s Candidate> {
        let of_source = self.list.sources.get(source)?;
        let alone = of_source.ownerless.get_min().filter(|_| of_source.partners.len() == 1).copied();
        let before = |place: u64| alone.is_none_or(|alone| place < alone);
        let owned = self.list.by_owner.meeting(claims).into_iter().map(|(place, ())| place).take_while(|place| before(*place));
        let mut owned = owned.filter_map(|place| self.list.by_claim.get(place)).map(|candidate| &**candidate);
        let owner = owned.find(|candidate| candidate.rule.keys == *source && holds(candidate));
        owner.or_else(|| self.list.by_claim.get(alone?).map(|candidate| &**candidate))
    }
}

impl List {
    fn insert(&mut self, at: u64, candidate: Candidate) {
        let rule = &candidate.rule;
        if let Some(owner) = Conditions::of_owner(rule) {
            self.by_owner.insert(at, &owner, ());
        }
        let known = self.sources.get_key_value(&rule.keys).map(|(known, _)| Arc::clone(known));
        let keys = known.unwrap_or_else(|| Arc::new(rule.keys.clone()));
        let of_source = self.sources.entry(Arc::clone(&keys)).or_default();
        *of_source.partners.entry(partner(&candidate.client).into()).or_default() += 1;
        if rule.owner.is_empty() {
            of_source.ownerless.insert(at);
        }
        let (first, count) = of_source.algs.entry(rule.algs.clone()).or_insert((at, 0));
        *count += 1;
        if *first == at {
            self.trusted.insert(at, Arc::new(Trusted { keys, algs: rule.algs.clone() }));
        }
        let conditions = Conditions::of(rule);
        self.by_claim.insert(at, &conditions, Arc::new(candidate));
    }

    fn remove(&mut self, at: u64) -> Option<Arc<Candidate>> {
        let conditions = Conditions::of(&self.by_claim.get(at)?.rule);
        let candidate = self.by_claim.remove(at, &conditions)?;
        let rule = &candidate.rule;
        if let Some(owner) = Conditions::of_owner(rule) {
            self.by_owner.remove(at, &owner);
        }
        if let Some(of_source) = self.sources.get_mut(&rule.keys) {
            let own = partner(&candidate.client);
            if let Some(count) = of_source.partners.get_mut(own) {
                *count -= 1;
                if *count == 0 {
                    of_source.partners.remove(own);
                }
            }
            of_source.ownerless.remove(&at);
            if let Some((first, count)) = of_source.algs.get_mut(&rule.algs) {
                *count -= 1;
                if *count == 0 {
                    self.trusted.remove(first);
                    of_source.algs.remove(&rule.algs);
                }
            }
            if of_source.partners.is_empty() {
                self.sources.remove(&rule.keys);
            }
        }
        Some(candidate)
    }
}

/// The name of a client's partner; an API stands for itself.
fn partner(client: &ClientId) -> &str {
    match client {
        ClientId::Integration(id) => id.partner.as_str(),
        ClientId::Api(api) => api.as_str(),
    }
}

impl Candidates {
    /// The bindings of `environment` that name `issuer`.
    pub fn of<'s>(&'s self, environment: &'s EnvironmentName, issuer: &'s Issuer) -> Listed<'s> {
        let list = self.by_issuer.get(environment).and_then(|issuers| issuers.get(issuer)).unwrap_or(&self.none);
        Listed { list, index: self, environment, issuer }
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
        self.by_issuer
            .values()
            .flat_map(HashMap::values)
            .flat_map(|list| list.by_claim.iter())
            .map(|(_, candidate)| &**candidate)
    }

    /// Judges every accepted audience by these environments.
    pub fn configure(&mut self, environments: &BTreeMap<EnvironmentName, Environment>) {
        self.environments = Arc::new(environments.clone());
        let places: Vec<Place> = self.of.values().flat_map(|places| places.iter()).cloned().collect();
        for Place { environment, issuer, at } in places {
            let list = self.by_issuer.get_mut(&environment).and_then(|issuers| issuers.get_mut(&issuer));
            let Some(candidate) = list.and_then(|list| list.by_claim.get_mut(at)).map(Arc::make_mut) else { continue };
            if let Some(audience) = candidate.overtaken.take() {
                Arc::make_mut(&mut candidate.rule).audience = Some(ExtraAudience::Value(audience));
            }
            candidate.overtaken = overtaken(&mut candidate.rule, &candidate.environment, environments);
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

    /// Takes the bindings of a client out that has ended.
    pub(super) fn take_out(&mut self, client: &ClientId) {
        let before = self.remove(client);
        self.sources.replace(&before, &[]);
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
                let mut rule = Arc::clone(rule);
                let overtaken = overtaken(&mut rule, environment, &self.environments);
                named.push(rule.keys.clone());
                let place = Place { environment: environment.clone(), issuer: rule.issuer.clone(), at: self.next };
                self.next += 1;
                let candidate = Candidate {
                    client: client.clone(),
                    environment: environment.clone(),
                    binding: binding.name.clone(),
                    rule,
                    version,
                    overtaken,
                };
                let issuers = self.by_issuer.entry(place.environment.clone()).or_default();
                issuers.entry(place.issuer.clone()).or_default().insert(place.at, candidate);
                places.push(place);
            }
        }
        self.sources.replace(&before, &named);
        if !places.is_empty() {
            self.of.insert(client.clone(), places.into());
        }
    }

    /// Takes the bindings of `client` out. Returns the sources of their keys.
    fn remove(&mut self, client: &ClientId) -> Vec<KeySource> {
        let mut sources = Vec::new();
        for Place { environment, issuer, at } in self.of.remove(client).unwrap_or_default().iter() {
            let Some(issuers) = self.by_issuer.get_mut(environment) else { continue };
            let Some(list) = issuers.get_mut(issuer) else { continue };
            sources.extend(list.remove(*at).map(|candidate| candidate.rule.keys.clone()));
            if list.by_claim.is_empty() {
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
    rule: &mut Arc<JwtRule>,
    environment: &EnvironmentName,
    environments: &BTreeMap<EnvironmentName, Environment>,
) -> Option<Audience> {
    let others = environments.iter().filter(|(name, _)| *name != environment).map(|(_, other)| other);
    match &rule.audience {
        Some(ExtraAudience::Value(audience)) if is_own_audience(others, audience.as_str()) => {
            match Arc::make_mut(rule).audience.take()? {
                ExtraAudience::Value(audience) => Some(audience),
                ExtraAudience::TokenEndpoint => None,
            }
        }
        Some(ExtraAudience::Value(_) | ExtraAudience::TokenEndpoint) | None => None,
    }
}
