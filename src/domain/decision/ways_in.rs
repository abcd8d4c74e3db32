//! The ways in: everything by which an integration can get tokens, or by which its partner still gets in without us.
//!
//! Enter through [`ways_in`] for those of one integration, and through [`WayIn::standing`] for what each can do now. The first looks at
//! the record in force and what lies beside it; the second runs decisions, and is for the ways that are shown.

use super::effective::{By, effective_by};
use super::elevation::counts;
use super::guard::Guarded;
use crate::domain::credential::certificate::Leaf;
use crate::domain::elevation::{Request, Standing};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::binding::{Admits, Binding, KeySource};
use crate::domain::registry::integration::{Access, Integration, StaticSecret};
use crate::domain::registry::offboarding::Ending;
use crate::domain::state::State;
use crate::domain::state::certificates::LeafEnd;
use crate::domain::state::ends::{EndsNext, of_place};
use crate::domain::state::integration::IntegrationState;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk_set::JwkSet;
use crate::domain::value::names::{ApiName, BindingName, ElevationId, EnvironmentName, ExceptionId, IntegrationId, Serial};
use crate::domain::value::scope::{Scope, ScopeSet};

/// One way in.
#[derive(Clone, Debug)]
pub struct WayIn {
    /// The integration.
    pub integration: IntegrationId,
    /// What it is.
    pub what: What,
}

/// What a way in is.
#[derive(Clone, Debug)]
pub enum What {
    /// A proof that the record admits.
    Binding(EnvironmentName, BindingName),
    /// A public key that stands in the record, of this binding.
    Key(EnvironmentName, BindingName, Digest),
    /// A certificate of our authority that has not ended and is not revoked.
    Certificate(EnvironmentName, Serial),
    /// An elevation that runs.
    Elevation(EnvironmentName, ElevationId),
    /// A static secret that lives at the partner.
    Exception(ExceptionId),
}

/// What is told of a way in at a moment.
#[derive(Clone, Debug)]
pub struct Told {
    /// `granting` or `refusing`; of a static secret `open` or `past-due`.
    pub state: &'static str,
    /// What refuses, in the order of the checks.
    pub causes: Vec<&'static Reason>,
    /// The scopes that it reaches, by API.
    pub reach: Vec<(ApiName, Vec<Scope>)>,
    /// The next date that ends it.
    pub ends: Option<EndsNext>,
    /// Whose tokens tell when it was used.
    pub used: Used,
    /// Since when it could be used, as far as that is known.
    pub since: Option<Timestamp>,
}

/// The tokens that tell when a way in was used.
#[derive(Clone, Debug)]
pub enum Used {
    /// Those that were issued through a binding.
    Binding(EnvironmentName, BindingName),
    /// Those with a scope that rested on an elevation, since it began.
    Elevation(EnvironmentName, ApiName, ScopeSet, Timestamp),
    /// None: the broker does not see it used.
    Unknown,
}

impl What {
    /// Its word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Binding(..) => "binding",
            Self::Key(..) => "key",
            Self::Certificate(..) => "certificate",
            Self::Elevation(..) => "elevation",
            Self::Exception(_) => "exception",
        }
    }

    /// The environment; `None` of a static secret, which is in all of them.
    pub const fn environment(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Binding(environment, _)
            | Self::Key(environment, ..)
            | Self::Certificate(environment, _)
            | Self::Elevation(environment, _) => Some(environment),
            Self::Exception(_) => None,
        }
    }

    /// Its name within the integration.
    pub fn name(&self) -> String {
        match self {
            Self::Binding(_, binding) => binding.to_string(),
            Self::Key(_, binding, thumbprint) => format!("{binding}/{thumbprint}"),
            Self::Certificate(_, serial) => serial.to_string(),
            Self::Elevation(_, id) => id.to_string(),
            Self::Exception(id) => id.to_string(),
        }
    }
}

/// The longest name that stands in a key as it is. A longer one is told by its digest, so that a key fits into a cursor.
const LONGEST_NAME: usize = 56;

impl WayIn {
    /// The key by which ways in are put in order: a list that begins after it has those with a greater one.
    pub fn key(&self) -> String {
        let (environment, kind, mut name) = (self.what.environment(), self.what.kind(), self.what.name());
        if name.len() > LONGEST_NAME {
            name = Digest::of(name.as_bytes()).to_string();
            name.truncate(LONGEST_NAME);
        }
        format!(
            "{}:{}:{}:{name}",
            self.integration,
            environment.map_or("-", EnvironmentName::as_str),
            kind.get(..1).unwrap_or_default()
        )
    }

    /// What it can do at `now`. `None`: it is gone.
    pub fn standing(&self, on: Guarded<'_>, now: Timestamp) -> Option<Told> {
        let state = on.state;
        let known = state.integrations.get(&self.integration)?;
        let record = &*known.current.as_ref()?.record;
        let since = Some(known.non_use.counts_from().max(record.contract.starts));
        match &self.what {
            What::Binding(environment, binding) | What::Key(environment, binding, _) => {
                let told = self.through(environment, &By::Binding(binding), on, now);
                let used = Used::Binding(environment.clone(), binding.clone());
                Some(Told { reach: reach(record.environments.get(environment)?), used, since, ..told })
            }
            What::Certificate(environment, serial) => {
                let leaf = state.certificates.leaf(environment, serial)?;
                let access = record.environments.get(environment);
                let takes = |binding: &&Binding| matches!(binding.admits, Admits::Certificate);
                let binding = access.and_then(|access| access.bindings.iter().find(takes));
                let by = binding.map_or(By::Any, |binding| By::Binding(&binding.name));
                let mut told = self.through(environment, &by, on, now);
                if matches!(state.leaf_end(leaf), Some(LeafEnd::Held(_) | LeafEnd::Revoked(_))) {
                    told.refuse(&reason::REVOKED);
                }
                if state.certificates.authorities(environment, now).all(|one| one.kid != leaf.authority) {
                    told.refuse(&reason::CERTIFICATE_AUTHORITY);
                }
                let ends = earlier(told.ends, EndsNext { what: "certificate", at: leaf.ends });
                let used = binding.map(|binding| Used::Binding(environment.clone(), binding.name.clone()));
                let reach = access.map(reach).unwrap_or_default();
                Some(Told { reach, ends, used: used.unwrap_or(Used::Unknown), since: Some(leaf.starts), ..told })
            }
            What::Elevation(environment, id) => {
                let request = state.elevations.find(id)?;
                let (api, terms) = (&request.elevation.api, request.terms());
                let told = self.through(environment, &By::Scopes(api, &terms.scopes), on, now);
                let (starts, planned) = request.period()?;
                let alive = terms.scopes.iter().filter_map(|scope| counts(state, request, scope, now));
                let at = alive.map(|live| live.ends).max().unwrap_or(planned);
                let ends = earlier(told.ends, EndsNext { what: "elevation", at });
                let reach = vec![(api.clone(), terms.scopes.iter().cloned().collect())];
                let used = Used::Elevation(environment.clone(), api.clone(), terms.scopes, starts);
                Some(Told { reach, ends, used, since: Some(starts), ..told })
            }
            What::Exception(id) => {
                let (_, secret) = state.exception(id)?;
                let ends = (secret.ends > now).then_some(EndsNext { what: "exception", at: secret.ends });
                let told = state.exception_standing(id, now)?.name();
                Some(Told { state: told, causes: Vec::new(), reach: Vec::new(), ends, used: Used::Unknown, since: None })
            }
        }
    }

    fn through(&self, environment: &EnvironmentName, by: &By<'_>, on: Guarded<'_>, now: Timestamp) -> Told {
        let effective = effective_by(&self.integration, environment, by, on, now);
        let mut causes: Vec<&'static Reason> = Vec::new();
        for reason in effective.causes.iter().map(|cause| cause.reason.0) {
            if !causes.contains(&reason) {
                causes.push(reason);
            }
        }
        let current = on.state.integrations.get(&self.integration).and_then(|known| known.current.as_ref());
        let ends = current.and_then(|current| of_place(on.state, &current.record, environment, now));
        Told { state: effective.state, causes, reach: Vec::new(), ends, used: Used::Unknown, since: None }
    }
}

impl Told {
    fn refuse(&mut self, reason: &'static Reason) {
        self.state = "refusing";
        if !self.causes.contains(&reason) {
            self.causes.push(reason);
        }
    }
}

/// A static secret, if the way in is one.
pub fn secret_of<'s>(state: &'s State, way: &WayIn) -> Option<&'s StaticSecret> {
    let What::Exception(id) = &way.what else { return None };
    state.exception(id).map(|(_, secret)| secret)
}

fn earlier(known: Option<EndsNext>, own: EndsNext) -> Option<EndsNext> {
    known.filter(|known| known.at <= own.at).or(Some(own))
}

fn reach(access: &Access) -> Vec<(ApiName, Vec<Scope>)> {
    let scopes = access.scopes.iter();
    scopes.map(|(api, rules)| (api.clone(), rules.iter().map(|rule| rule.scope.clone()).collect())).collect()
}

/// The ways in of an integration, by their keys. `leaves` are the certificates on record; others than its own are passed over.
///
/// An integration of which no version is in force has none. One that has ended for good has those that its partner still gets in by without us.
pub fn ways_in(state: &State, id: &IntegrationId, leaves: &[&Leaf], now: Timestamp) -> Vec<WayIn> {
    let Some(known) = state.integrations.get(id) else { return Vec::new() };
    let Some(current) = &known.current else { return Vec::new() };
    let over = state.ending_of(id).is_some_and(Ending::is_over);
    let mut found = if over { Vec::new() } else { of_record(&current.record) };
    let live = leaves.iter().filter(|leaf| leaf.integration == *id && now < leaf.ends);
    let live = live.filter(|leaf| !state.is_refused(&leaf.revocation_key()));
    found.extend(live.map(|leaf| What::Certificate(leaf.environment.clone(), leaf.serial.clone())));
    for environment in current.record.environments.keys() {
        let runs = |request: &&Request| request.standing(now) == Standing::Active;
        let live = state.elevations.of(id, environment).filter(runs);
        found.extend(live.map(|request| What::Elevation(environment.clone(), request.elevation.id.clone())));
    }
    found.extend(exceptions(known));
    let mut ways: Vec<WayIn> = found.into_iter().map(|what| WayIn { integration: id.clone(), what }).collect();
    ways.sort_by_cached_key(WayIn::key);
    ways
}

fn exceptions(known: &IntegrationState) -> impl Iterator<Item = What> {
    known.open_exceptions().map(|(id, _)| What::Exception(id))
}

/// The bindings of a record, and the keys that stand in it.
fn of_record(record: &Integration) -> Vec<What> {
    let mut found = Vec::new();
    for (environment, access) in &record.environments {
        for binding in &access.bindings {
            found.push(What::Binding(environment.clone(), binding.name.clone()));
            for key in pinned(binding) {
                found.push(What::Key(environment.clone(), binding.name.clone(), key));
            }
        }
    }
    found
}

/// The thumbprints of the keys that stand in a binding.
fn pinned(binding: &Binding) -> Vec<Digest> {
    let Admits::Jwt(rule) = &binding.admits else { return Vec::new() };
    let text = match &rule.keys {
        KeySource::Inline(text) | KeySource::InlineBundle(text) => text,
        KeySource::Discovery(_) | KeySource::JwksUri(_) | KeySource::BundleUrl(_) => return Vec::new(),
    };
    let usage = if rule.keys.is_bundle() { "jwt-svid" } else { "sig" };
    JwkSet::thumbprints(text.as_bytes(), usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};

    #[test]
    fn a_way_in_is_told_by_what_an_exchange_through_it_would_get() {
        let state = state();
        let id: IntegrationId = "globex/order-sync".parse().expect("an id");
        let ways = ways_in(&state, &id, &[], at(0));
        let keys: Vec<String> = ways.iter().map(WayIn::key).collect();
        assert!(keys.is_sorted() && !keys.is_empty(), "{keys:?}");
        assert!(keys.iter().all(|key| key.starts_with("globex/order-sync:production:b:")), "{keys:?}");
        let on = Guarded::without(&state);
        let told = ways[0].standing(on, at(0)).expect("there");
        assert_eq!((told.state, told.causes.len()), ("granting", 0), "{told:?}");
        assert!(told.ends.is_some() && !told.reach.is_empty(), "{told:?}");
        // After the end of everything it refuses, and nothing is left to end.
        let told = ways[0].standing(on, at(20 * 365 * 86_400)).expect("there");
        assert_eq!((told.state, told.ends), ("refusing", None), "{told:?}");
    }
}
