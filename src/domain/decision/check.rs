//! Checks a record: its references exist, its claims are free, and its own tests pass.
//!
//! Enter through [`check`] for the documents of an apply, and through [`conflicts_in`] for a version that is to be submitted,
//! approved or put in force: a name that was free at the apply may be taken by then.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::longest::{self, Measure, TooLong};
use super::target::{BUILT_IN_API, BUILT_IN_SCOPES};
use crate::domain::reason;
use crate::domain::record::{Fault, Located, Record, run_tests};
use crate::domain::registry::api::Api;
use crate::domain::registry::environment::Environment;
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::state::ours::Ours;
use crate::domain::state::taken::{Beside, Conflict, Holder, Taken, conflicts};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, PartnerName};
use crate::domain::value::scope::Scope;

impl Record {
    /// The record as a holder of unique claims, if it can hold any.
    pub fn holder(&self) -> Option<Holder<'_>> {
        match self {
            Self::Api(api) => Some(Holder::Api(api)),
            Self::Integration(integration) => Some(Holder::Integration(integration)),
            Self::Guardrail(_) | Self::Partner(_) => None,
        }
    }
}

/// The state that records are checked against: environments, and versions in force and waiting.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environments that are configured.
    pub environments: BTreeSet<EnvironmentName>,
    /// Their issuers, trust domains and keys; empty if the check runs offline.
    pub ours: Ours,
    /// The versions of each API that a record may name: in force, or waiting and still possible.
    pub apis: BTreeMap<ApiName, Vec<Arc<Api>>>,
    /// Those of them that count as production.
    pub production: BTreeSet<EnvironmentName>,
    /// The present time. Without it, terms that count from today are not judged.
    pub now: Option<Timestamp>,
    /// Partners that have a record.
    pub partners: BTreeSet<PartnerName>,
    /// The claims of records in force.
    pub in_force: Taken,
    /// The claims of versions that wait.
    pub waiting: Taken,
    /// The clients whose waiting version reserves nothing.
    pub idle: HashSet<ClientId>,
    /// What bindings admitted whose integrations are being offboarded.
    pub closing: Taken,
}

impl Surroundings {
    /// Takes the surroundings from `state` at `now`.
    pub fn of(state: &State, now: Timestamp) -> Self {
        let configured = state.configuration.iter().flat_map(|configuration| configuration.environments.keys().cloned());
        let named = |(name, api): (&ApiName, &crate::domain::state::ApiState)| {
            let waiting = api.held.as_ref().filter(|held| state.may_come(held.approval.as_ref(), now));
            let versions = api.current.iter().chain(waiting.map(|held| &held.version));
            (name.clone(), versions.map(|version| Arc::clone(&version.record)).collect::<Vec<_>>())
        };
        Self {
            production: configured.clone().filter(|name| state.is_production(name)).collect(),
            environments: configured.collect(),
            now: Some(now),
            ours: Ours::of(state),
            apis: state.apis.iter().map(named).filter(|(_, versions)| !versions.is_empty()).collect(),
            partners: state.partners.keys().cloned().collect(),
            in_force: state.in_force.clone(),
            waiting: state.waiting.clone(),
            idle: idle(state, now),
            closing: state.offboardings.closing().clone(),
        }
    }
}

/// Finds the collisions of `record` with us or with other records in `state` at `now`.
///
/// Collisions between the versions in force do not count. A record that could not be judged to its end counts as one that collides,
/// and must not come into force.
pub fn conflicts_in(record: Holder<'_>, state: &State, now: Timestamp, effort: &mut Effort) -> Vec<Conflict> {
    let waits = |client: &ClientId| waits(state, client, now);
    let because = &reason::BINDING_OVERLAP;
    let beside = [
        closing(state.offboardings.closing()),
        Beside { taken: &state.in_force, reserves: &|_| true, because },
        Beside { taken: &state.waiting, reserves: &waits, because },
    ];
    match conflicts(record, &Ours::of(state), &state.in_force, &beside, effort) {
        Ok(found) => found.into_iter().filter(|conflict| !conflict.stands).collect(),
        Err(exhausted) => vec![unjudged(record, exhausted)],
    }
}

/// What bindings admitted whose integrations are being offboarded: it comes back under no other name.
fn closing(taken: &Taken) -> Beside<'_> {
    Beside { taken, reserves: &|_| true, because: &reason::BINDING_OFFBOARDING }
}

fn unjudged(record: Holder<'_>, exhausted: Exhausted) -> Conflict {
    let message = exhausted.told(&[(record.client().to_string(), exhausted.most)]);
    Conflict { at: String::new(), reason: &reason::RECORD_EFFORT, message, stands: false }
}

/// Finds the collisions of records in force, each with its record.
///
/// They collide with an environment of `environments`, which came later, or with each other since before there was a rule against
/// it. The search ends with the first record for which the budget does not suffice.
pub fn collisions_in_force(state: &State, environments: &BTreeMap<EnvironmentName, Environment>) -> Vec<(ClientId, Conflict)> {
    let ours = Ours::of(state).with_environments(environments.iter());
    let beside = [Beside { taken: &state.in_force, reserves: &|_| true, because: &reason::BINDING_OVERLAP }];
    let apis = state.apis.values().filter_map(|api| api.current.as_ref()).map(|current| Holder::Api(&current.record));
    let integrations = state.integrations.values().filter_map(|one| one.current.as_ref());
    let mut effort = Effort::default();
    let mut collisions = Vec::new();
    for record in apis.chain(integrations.map(|current| Holder::Integration(&current.record))) {
        match conflicts(record, &ours, &Taken::default(), &beside, &mut effort) {
            Ok(found) => collisions.extend(found.into_iter().map(|conflict| (record.client(), conflict))),
            Err(exhausted) => {
                collisions.push((record.client(), unjudged(record, exhausted)));
                break;
            }
        }
    }
    collisions
}

/// Tells whether the waiting version of a client reserves its claims.
///
/// Drafts and denied versions are not in the index. A version that nobody answered in time stays there until its record changes.
fn waits(state: &State, client: &ClientId, now: Timestamp) -> bool {
    let approval = match client {
        ClientId::Api(name) => state.apis.get(name).and_then(|api| api.held.as_ref()?.approval.as_ref()),
        ClientId::Integration(id) => state.integrations.get(id).and_then(|one| one.held.as_ref()?.approval.as_ref()),
    };
    state.may_come(approval, now)
}

/// The clients whose waiting version reserves nothing.
fn idle(state: &State, now: Timestamp) -> HashSet<ClientId> {
    let apis = state.apis.keys().cloned().map(ClientId::Api);
    let clients = apis.chain(state.integrations.keys().cloned().map(ClientId::Integration));
    clients.filter(|client| !waits(state, client, now)).collect()
}

/// Finds the faults of `records`, among themselves and against versions in force and waiting.
///
/// They include the warnings from reading. A record of the same apply counts as existing, and its claims as taken.
pub fn check(records: &[Located], around: &Surroundings) -> Vec<Fault> {
    let mut effort = Effort::default();
    let mut faults = check_each(records, around, &mut effort);
    // If the tests used up the budget, the file is refused for that, and nothing is said about what was not compared.
    if effort.take(0).is_ok() {
        faults.extend(collisions(records, around, &mut effort, |_| true));
    }
    faults
}

/// Checks as [`check`] does, but without the search for [`collisions`].
pub fn check_each(records: &[Located], around: &Surroundings, effort: &mut Effort) -> Vec<Fault> {
    let view = View::of(records, around);
    let mut faults = twice(records);
    for located in records {
        faults.extend_from_slice(&located.warnings);
        match &located.record {
            Record::Api(api) => view.api(located, api, &mut faults),
            Record::Integration(integration) => view.integration(located, integration, &mut faults),
            Record::Guardrail(_) | Record::Partner(_) => {}
        }
        faults.extend(run_tests(located, effort));
    }
    faults
}

/// Finds the terms of records that are too long. They stop a record that `stops` tells of, and are warnings for the others.
pub fn too_long(records: &[Located], around: &Surroundings, stops: impl Fn(&Record) -> bool) -> Vec<Fault> {
    let view = View::of(records, around);
    let of_one = |located: &Located| {
        let stopped = stops(&located.record);
        let fault = |TooLong { at, message }: TooLong| match stopped {
            true => located.error(&at, &reason::LIMIT_TOO_LONG, message),
            false => located.warning(&at, &reason::LIMIT_TOO_LONG, message),
        };
        view.too_long(&located.record).into_iter().map(fault).collect::<Vec<_>>()
    };
    records.iter().flat_map(of_one).collect()
}

/// Finds the claims of records that are ours, or that other records hold.
///
/// The other records are in force, waiting, or in the same apply.
///
/// A version of the same apply counts beside the one that it would replace, because that one stays in force until the
/// approvals come, in whatever order. Only `judged` records have faults; the others count as holders. A collision between
/// versions in force is a warning.
pub fn collisions(
    records: &[Located],
    around: &Surroundings,
    effort: &mut Effort,
    judged: impl Fn(&Record) -> bool,
) -> Vec<Fault> {
    let mut same_apply = Taken::default();
    for holder in records.iter().filter_map(|located| located.record.holder()) {
        same_apply.replace(&holder.client(), Some(holder));
    }
    let waits = |client: &ClientId| !around.idle.contains(client);
    let because = &reason::BINDING_OVERLAP;
    let beside = [
        closing(&around.closing),
        Beside { taken: &around.in_force, reserves: &|_| true, because },
        Beside { taken: &around.waiting, reserves: &waits, because },
        Beside { taken: &same_apply, reserves: &|_| true, because },
    ];
    let (mut faults, mut costs) = (Vec::new(), Vec::new());
    for located in records.iter().filter(|located| judged(&located.record)) {
        let Some(holder) = located.record.holder() else { continue };
        let before = effort.spent();
        let found = conflicts(holder, &around.ours, &around.in_force, &beside, effort);
        costs.push((located.record.name().1, effort.spent() - before));
        match found {
            Ok(found) => faults.extend(found.into_iter().map(|conflict| {
                let Conflict { at, reason, message, stands } = conflict;
                if stands { located.warning(&at, reason, message) } else { located.error(&at, reason, message) }
            })),
            Err(exhausted) => {
                faults.push(located.error("", &reason::RECORD_EFFORT, exhausted.told(&costs)));
                break;
            }
        }
    }
    faults
}

/// Finds records that are in the apply twice: to choose one of them would be a guess.
pub fn twice(records: &[Located]) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for located in records {
        let (kind, name) = located.record.name();
        if !seen.insert((kind, name.clone())) {
            let message = format!("there are two records {kind} {name}");
            faults.push(located.error("metadata", &reason::RECORD_DUPLICATE, message));
        }
    }
    faults
}

/// The records that may be named if those of the apply were in force.
struct View<'a> {
    around: &'a Surroundings,
    /// The versions that may be named: that of the same apply, else those in force and waiting.
    apis: BTreeMap<&'a ApiName, Vec<&'a Api>>,
    partners: BTreeSet<&'a PartnerName>,
}

impl<'a> View<'a> {
    fn of(records: &'a [Located], around: &'a Surroundings) -> Self {
        let mut view = Self {
            around,
            apis: around.apis.iter().map(|(name, versions)| (name, versions.iter().map(|api| &**api).collect())).collect(),
            partners: around.partners.iter().collect(),
        };
        for located in records {
            match &located.record {
                Record::Api(api) => drop(view.apis.insert(&api.name, vec![api])),
                Record::Guardrail(_) | Record::Integration(_) => {}
                Record::Partner(partner) => drop(view.partners.insert(&partner.name)),
            }
        }
        view
    }

    fn api(&self, located: &Located, api: &Api, faults: &mut Vec<Fault>) {
        for environment in api.audience.keys() {
            self.environment(located, environment, &format!("audience.{environment}"), faults);
        }
        for environment in api.callers.keys() {
            self.environment(located, environment, &format!("callers.{environment}"), faults);
        }
    }

    fn integration(&self, located: &Located, integration: &Integration, faults: &mut Vec<Fault>) {
        let partner = &integration.id.partner;
        if !self.partners.contains(partner) {
            let message = format!("there is no partner {partner}");
            faults.push(located.error("metadata.partner", &reason::RECORD_UNKNOWN_REFERENCE, message));
        }
        for (environment, access) in &integration.environments {
            let at = format!("environments.{environment}");
            self.environment(located, environment, &at, faults);
            for (api, rules) in &access.scopes {
                for (i, rule) in rules.iter().enumerate() {
                    let at = format!("{at}.scopes.{api}[{i}]");
                    if let Some(message) = self.scope(environment, api, &rule.scope) {
                        faults.push(located.error(&at, &reason::RECORD_UNKNOWN_REFERENCE, message));
                    }
                }
                if rules.is_empty() && !self.knows(api) {
                    let message = format!("there is no API {api}");
                    faults.push(located.error(&format!("{at}.scopes.{api}"), &reason::RECORD_UNKNOWN_REFERENCE, message));
                }
            }
            for (i, eligible) in access.elevation.iter().enumerate() {
                if let Some(message) = self.scope(environment, &eligible.api, &eligible.scope) {
                    let at = format!("{at}.elevation[{i}]");
                    faults.push(located.error(&at, &reason::RECORD_UNKNOWN_REFERENCE, message));
                }
            }
        }
    }

    fn too_long(&self, record: &Record) -> Vec<TooLong> {
        let is_production = |environment: &EnvironmentName| self.around.production.contains(environment);
        let risk = |api: &ApiName, scope: &Scope| {
            let versions = self.apis.get(api).into_iter().flatten();
            versions.filter_map(|api| Some(api.scopes.get(scope)?.risk)).max()
        };
        match record {
            Record::Integration(integration) => {
                let measure = Measure { now: self.around.now, is_production: &is_production, risk: &risk };
                longest::of_integration(integration, &measure)
            }
            Record::Partner(partner) => longest::of_partner(partner),
            Record::Api(_) | Record::Guardrail(_) => Vec::new(),
        }
    }

    fn environment(&self, located: &Located, environment: &EnvironmentName, at: &str, faults: &mut Vec<Fault>) {
        if !self.around.environments.contains(environment) {
            let message = format!("there is no environment {environment}");
            faults.push(located.error(at, &reason::RECORD_UNKNOWN_REFERENCE, message));
        }
    }

    fn knows(&self, api: &ApiName) -> bool {
        api.as_str() == BUILT_IN_API || self.apis.contains_key(api)
    }

    /// The reason why a scope does not exist there, if so.
    fn scope(&self, environment: &EnvironmentName, name: &ApiName, scope: &Scope) -> Option<String> {
        if name.as_str() == BUILT_IN_API {
            return (!BUILT_IN_SCOPES.contains(&scope.as_str()))
                .then(|| format!("the API {BUILT_IN_API} has the scope {} only", BUILT_IN_SCOPES.join(", ")));
        }
        let Some(versions) = self.apis.get(name) else { return Some(format!("there is no API {name}")) };
        let mut here = versions.iter().filter(|api| api.audience.contains_key(environment)).peekable();
        if here.peek().is_none() {
            return Some(format!("the API {name} has no audience in {environment}"));
        }
        (!here.any(|api| api.scopes.contains_key(scope))).then(|| format!("the API {name} has no scope {scope}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{approval, at, state};
    use crate::domain::log::approval::ApprovalChange;
    use crate::domain::log::change::Change;
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::people::actor::{Actor, Person, Role};
    use crate::domain::registry::approval::{Approval, Kind, Verdict};
    use crate::domain::registry::binding::{Admits, Condition, Matcher};
    use crate::domain::value::digest::Digest;

    /// An integration with `claims` conditions, none of which alone sets it apart from the others.
    fn costly(name: usize, claims: usize) -> Integration {
        let known = state().integrations.values().next().and_then(|known| known.current.clone()).expect("in force");
        let mut record = known.record.as_ref().clone();
        record.id = format!("globex/i{name}").parse().expect("an id");
        let Admits::Jwt(rule) = &mut record.environments.iter_mut().next().expect("one").1.bindings[0].admits else {
            panic!("a rule on JWTs")
        };
        let matcher = |claim: usize| Matcher {
            claim: format!("c{name}x{claim}").parse().expect("a claim"),
            condition: Condition::Equals("x".into()),
        };
        std::sync::Arc::make_mut(rule).matchers = (0..claims).map(matcher).collect();
        record
    }

    fn asked(record: &Integration) -> Approval {
        let subject = record.id.to_string();
        approval(&subject.replace('/', "-"), Kind::Integration, &subject, Digest::of_json(record))
    }

    /// S-2: drafts, and versions that were denied or replaced, cost other records no step.
    #[test]
    fn drafts_and_what_was_denied_cost_others_no_step() {
        let mut state = state();
        let mut index = 100;
        let mut apply = |state: &mut State, what: Change| {
            index += 1;
            let by =
                Actor::Staff(Person { iss: "https://idp.example".parse().expect("an issuer"), id: "ann".into(), name: None });
            state.apply(index, at(0), &what.by(by));
        };
        let probe = costly(999, 1);
        let steps = |state: &State| {
            let mut effort = Effort::default();
            let found = conflicts_in(Holder::Integration(&probe), state, at(1), &mut effort);
            (effort.spent(), found.len())
        };
        let alone = steps(&state);
        let records: Vec<_> = (0..50).map(|name| costly(name, 20)).collect();
        for record in &records {
            apply(&mut state, IntegrationChange::Drafted { record: Box::new(record.clone()), reason: None }.into());
        }
        assert_eq!(steps(&state), alone, "drafts");
        for record in &records {
            let what = IntegrationChange::Submitted { integration: record.id.clone(), approval: asked(record), owners: None };
            apply(&mut state, what.into());
        }
        assert_eq!(steps(&state).1, 1, "what waits for people reserves");
        for (number, record) in records.iter().enumerate() {
            let denied = ApprovalChange::Reviewed {
                approval: asked(record).id,
                verdict: Verdict::Deny,
                reason: "no".into(),
                roles: [Role::Security].into(),
            };
            let replaced = IntegrationChange::Drafted { record: Box::new(record.clone()), reason: None };
            apply(&mut state, if number % 2 == 0 { denied.into() } else { replaced.into() });
        }
        assert_eq!(steps(&state), alone, "what was denied or replaced");
    }
}
