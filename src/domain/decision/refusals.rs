//! Refusals in hindsight: whether a request that was refused would have been granted, if other records had been in force.
//!
//! Enter through [`Hindsight::refused`]. Of most refusals the entry has only a part of the request. It has binding, target and scopes of those
//! that came as far as the scopes, and only these can be granted for sure.

use super::ask::{Ask, Target};
use super::entitlement::scopes_of;
use super::hindsight::{Hindsight, Outcome, Pair, access, added, causes, is_late, standing_of};
use super::standing::{binding_of, record};
use super::target::{BUILT_IN_API, asked_of};
use crate::domain::log::entry::RefusedEntry;
use crate::domain::reason::decision::Step;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::Api;
use crate::domain::registry::integration::Access;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, BindingName, ClientId, EnvironmentName};
use crate::domain::value::scope::ScopeSet;

/// A request, as far as the entry of its refusal has it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The binding that admitted its proof.
    pub binding: BindingName,
    /// The API.
    pub target: Target,
    /// The scopes; `None` if the refusal came before they were read.
    pub scopes: Option<ScopeSet>,
}

/// Refusals that no record ever changes: of the request, of a proof by itself, and of what people and stores do.
static NEVER: [&Reason; 34] = [
    &reason::ASSERTION_EXPIRED,
    &reason::ASSERTION_MALFORMED,
    &reason::ASSERTION_NOT_YET,
    &reason::CERTIFICATE_EXPIRED,
    &reason::CERTIFICATE_REVOKED,
    &reason::CLIENT_MISMATCH,
    &reason::CLIENT_MISSING,
    &reason::CLOCK_UNSTEADY,
    &reason::CONFIGURATION_DIFFERS,
    &reason::ELEVATION_UNREVIEWED,
    &reason::ENVIRONMENT_CLOSED,
    &reason::INTEGRATION_ENDED,
    &reason::INTEGRATION_NOT_ACTIVE,
    &reason::INTEGRATION_OFFBOARDING,
    &reason::INTEGRATION_SUSPENDED,
    &reason::INTEGRATION_UNUSED,
    &reason::JOURNAL_REOPENED,
    &reason::KEY_UNAVAILABLE,
    &reason::NODE_BUSY,
    &reason::PARTNER_ENDED,
    &reason::PARTNER_OFFBOARDING,
    &reason::PARTNER_SUSPENDED,
    &reason::REVOKED,
    &reason::SCOPE_MALFORMED,
    &reason::SCOPE_MISSING,
    &reason::SIGNAL_COMPROMISED,
    &reason::SIGNAL_CONTRACT_ENDED,
    &reason::SIGNAL_ENVIRONMENT_ENDED,
    &reason::SIGNAL_USE_CASE_ENDED,
    &reason::STORE_UNAVAILABLE,
    &reason::STORE_UNCONFIRMED,
    &reason::TARGET_MISSING,
    &reason::TOKEN_FOREIGN,
    &reason::ISSUER_UNAVAILABLE,
];

/// Refusals by the dates of records.
static DATES: [&Reason; 7] = [
    &reason::CONTRACT_ENDED,
    &reason::CONTRACT_NOT_STARTED,
    &reason::ENVIRONMENT_ENDED,
    &reason::EXCEPTION_PAST_DUE,
    &reason::OWNER_GONE,
    &reason::PARTNER_UNVERIFIED,
    &reason::REVIEW_OVERDUE,
];

impl Request {
    /// The request of a refusal, as far as its checks tell.
    pub fn of(refused: &RefusedEntry) -> Option<Self> {
        Self::read(&refused.tree)
    }

    fn read(steps: &[Step]) -> Option<Self> {
        let binding = steps.iter().find_map(binding_of)?;
        let target = steps.iter().find_map(asked_of)?;
        Some(Self { binding, target, scopes: steps.iter().find_map(scopes_of) })
    }

    /// The API that it names in this state.
    pub fn api(&self, environment: &EnvironmentName, state: &State) -> Option<ApiName> {
        match &self.target {
            Target::Name(name) => name.parse().ok(),
            Target::Resource(uri) => {
                let has = |api: &Api| api.audience.get(environment).is_some_and(|audience| audience.as_str() == uri);
                let in_force = state.apis.iter().filter_map(|(name, known)| Some((name, known.current.as_ref()?)));
                let found = in_force.filter(|(_, current)| has(&current.record)).map(|(name, _)| name.clone()).next();
                let own = state.environment(environment).is_some_and(|own| own.issuer.as_str() == uri);
                found.or_else(|| if own { BUILT_IN_API.parse().ok() } else { None })
            }
        }
    }
}

impl Hindsight<'_> {
    /// The outcome of a request that was refused.
    ///
    /// A refusal by a guardrail is [`Outcome::Same`] here.
    pub fn refused(&mut self, refused: &RefusedEntry) -> Outcome {
        self.judged((&refused.subject, &refused.environment), (refused.reason.0, refused.time, &refused.tree))
    }

    fn judged(
        &mut self,
        (client, environment): (&ClientId, &EnvironmentName),
        (reason, at, tree): (&'static Reason, Timestamp, &[Step]),
    ) -> Outcome {
        let ClientId::Integration(id) = client else { return Outcome::Same };
        let is_guarded = *reason == reason::GUARDRAIL_FORBIDS || *reason == reason::GUARDRAIL_FAILED;
        if is_guarded || NEVER.contains(&reason) {
            return Outcome::Same;
        }
        let place = (id, environment);
        if DATES.contains(&reason) {
            let standing = |state| standing_of(state, place, at);
            let lifted = standing(self.before).contains(&reason) && !standing(self.after).contains(&reason);
            return unknown_if(lifted, reason);
        }
        let Some(pair) = self.pair(id, environment) else {
            // The environment is new in the record, or gone from it.
            return unknown_if(access(self.after, id, environment).is_some(), reason);
        };
        if *reason == reason::SCOPE_NOT_CONTRACTED || *reason == reason::SCOPE_NEEDS_ELEVATION {
            return self.scoped(&pair, (reason, at, tree));
        }
        if *reason == reason::TARGET_UNKNOWN {
            return unknown_if(self.has_target(&pair, (at, tree)), reason);
        }
        let given = &pair.given;
        if *reason == reason::PROOF_UNBOUND || *reason == reason::PROOF_SINGLE {
            let bound = |state: &State| {
                state
                    .apis
                    .iter()
                    .filter(|(_, api)| api.current.as_ref().is_some_and(|one| one.record.token.require_bound))
                    .count()
            };
            return unknown_if(pair.is.1.require < pair.was.1.require || bound(self.after) < bound(self.before), reason);
        }
        if *reason == reason::PROOF_SOURCE {
            return unknown_if(given.everything && pair.was.1.limits.source_cidrs != pair.is.1.limits.source_cidrs, reason);
        }
        if *reason == reason::QUOTA_EXCEEDED {
            return unknown_if(pair.is.1.limits.per_minute() > pair.was.1.limits.per_minute(), reason);
        }
        if is_late(&reason) {
            return unknown_if(given.unsure.rotation, reason);
        }
        if *reason == reason::LIFE_TOO_SHORT {
            return unknown_if(given.ends.is_some() || given.longest.is_some() || given.everything, reason);
        }
        if *reason == reason::BINDING_UNUSED {
            let binding = tree.iter().find_map(binding_of);
            let retired = |state: &State| {
                let known = state.integrations.get(id).zip(binding.as_ref());
                known.is_none_or(|(known, binding)| known.non_use.is_retired(environment, binding))
            };
            return unknown_if(retired(self.before) && !retired(self.after), reason);
        }
        if *reason == reason::BINDING_AMBIGUOUS {
            return unknown_if(pair.was.1.bindings != pair.is.1.bindings, reason);
        }
        // Everything else is said of a proof, or not known here: another binding may take it.
        unknown_if(pair.takes_more_proofs(), reason)
    }

    /// Whether a refusal for this reason, of which nothing else is known, might be none.
    pub fn may_turn(&mut self, client: &ClientId, reason: &'static Reason, at: Timestamp) -> bool {
        let ClientId::Integration(id) = client else { return false };
        let named = |state| record(id, state).into_iter().flat_map(|record| record.environments.keys().cloned());
        let environments: Vec<EnvironmentName> = named(self.before).chain(named(self.after)).collect();
        environments.into_iter().any(|environment| self.judged((client, &environment), (reason, at, &[])) != Outcome::Same)
    }

    /// Whether a request for a target that the record does not have would go on.
    fn has_target(&self, pair: &Pair<'_>, (at, tree): (Timestamp, &[Step])) -> bool {
        let Some(request) = Request::read(tree) else { return pair.was.1 != pair.is.1 };
        let ask = Ask { target: Some(request.target), scope: None, client: None };
        let goes_on = |state, access: &Access| {
            let binding = access.bindings.iter().find(|one| one.name == request.binding);
            binding.is_some_and(|binding| {
                causes(state, (pair.id, pair.environment), binding, &ask, at).contains(&&reason::SCOPE_MISSING)
            })
        };
        goes_on(self.after, pair.is.1) && !goes_on(self.before, pair.was.1)
    }

    /// The outcome of a request for scopes that were refused.
    fn scoped(&self, pair: &Pair<'_>, (reason, at, tree): (&'static Reason, Timestamp, &[Step])) -> Outcome {
        let Some((request, scopes)) = Request::read(tree).and_then(|request| Some((request.clone(), request.scopes?))) else {
            return unknown_if(pair.was.1 != pair.is.1, reason);
        };
        let find = |access: &'_ Access| access.bindings.iter().find(|one| one.name == request.binding).cloned();
        let (Some(was), Some(is)) = (find(pair.was.1), find(pair.is.1)) else { return Outcome::Same };
        let ask = Ask { target: Some(request.target), scope: Some(scopes.to_string()), client: None };
        let place = (pair.id, pair.environment);
        let before = causes(self.before, place, &was, &ask, at);
        let after = causes(self.after, place, &is, &ask, at);
        // What an earlier version gave already is not this one's gift.
        if after.contains(&reason) || !before.contains(&reason) || !added(&before, &after).is_empty() {
            return Outcome::Same;
        }
        let away = &pair.away;
        let hangs = away.everything || away.unsure.rotation || pair.takes_fewer_proofs(&request.binding);
        if hangs { Outcome::Unknown(reason) } else { Outcome::Granted(reason) }
    }
}

fn unknown_if(hangs: bool, reason: &'static Reason) -> Outcome {
    if hangs { Outcome::Unknown(reason) } else { Outcome::Same }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::configuration::ConfigurationChange;
    use crate::domain::log::entry::RefusedKind;
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::reason::ReasonCode;
    use crate::domain::registry::binding::Admits;
    use crate::domain::registry::integration::OnSilence;

    fn refusals(state: &State) -> Vec<RefusedEntry> {
        let (id, known) = state.integrations.iter().next().expect("an integration");
        let record = &known.current.as_ref().expect("in force").record;
        let environment = record.environments.keys().next().expect("an environment").clone();
        let entry = |reason| RefusedEntry {
            index: 7,
            time: at(0),
            kind: RefusedKind::Refused,
            subject: ClientId::Integration(id.clone()),
            request_id: "r1".parse().expect("an id"),
            environment: environment.clone(),
            reason: ReasonCode(reason),
            tree: Vec::new(),
        };
        Reason::all().into_iter().map(entry).collect()
    }

    /// Without a change nothing has another outcome, whatever it was refused for.
    #[test]
    fn nothing_changes_without_a_change() {
        let state = state();
        let mut hindsight = Hindsight::new(&state, &state);
        for refused in refusals(&state) {
            assert_eq!(hindsight.refused(&refused), Outcome::Same, "{}", refused.reason.0);
            assert!(!hindsight.may_turn(&refused.subject, refused.reason.0, refused.time), "{}", refused.reason.0);
        }
    }

    /// A record that asks for less of everything leaves in doubt what a record can turn, and grants nothing without the whole request.
    #[test]
    fn what_an_entry_does_not_tell_is_unknown() {
        let before = state();
        let mut after = before.clone();
        let current = before.integrations.values().find_map(|known| known.current.clone()).expect("in force");
        let mut record = current.record.as_ref().clone();
        for name in current.record.environments.keys() {
            let access = record.environments.get_mut(name).expect("an environment");
            access.limits.exchanges_per_minute = Some(100_000);
            let mut wider = access.bindings.first().expect("a binding").clone();
            wider.name = "more".parse().expect("a name");
            let Admits::Jwt(rule) = &mut wider.admits else { panic!("a rule") };
            std::sync::Arc::make_mut(rule).matchers.clear();
            access.bindings.push(wider);
        }
        after.apply(100, at(0), &IntegrationChange::Narrowed { record: Box::new(record), reason: None }.by(Actor::Operator));
        let mut hindsight = Hindsight::new(&before, &after);
        let mut unknown = Vec::new();
        for refused in refusals(&before) {
            match hindsight.refused(&refused) {
                Outcome::Same => {}
                Outcome::Unknown(reason) => unknown.push(reason),
                outcome @ (Outcome::Granted(_) | Outcome::Refused(_)) => panic!("{}: {outcome:?}", refused.reason.0),
            }
        }
        for reason in
            [&reason::BINDING_NO_MATCH, &reason::ASSERTION_LIFE, &reason::QUOTA_EXCEEDED, &reason::SCOPE_NOT_CONTRACTED]
        {
            assert!(unknown.contains(&reason), "{reason}");
        }
        assert!(NEVER.iter().all(|reason| !unknown.contains(reason)));
    }

    /// What was refused by a date is in doubt once a version lifts that date, and no sooner.
    #[test]
    fn a_refusal_for_a_review_is_unknown_once_silence_only_reports() {
        let mut before = state();
        let mut configuration = before.configuration.clone().expect("configured");
        configuration.governance.reviews = true;
        configuration.environments.values_mut().for_each(|environment| environment.production = Some(false));
        before.apply(90, at(0), &ConfigurationChange::Changed(configuration).by(Actor::Operator));
        let late = at(200 * 86_400);
        let mut refused = refusals(&before).into_iter().find(|one| *one.reason.0 == reason::REVIEW_OVERDUE).expect("one");
        refused.time = late;
        let current = before.integrations.values().find_map(|known| known.current.clone()).expect("in force");
        for (silence, expected) in
            [(OnSilence::Suspend, Outcome::Same), (OnSilence::Report, Outcome::Unknown(&reason::REVIEW_OVERDUE))]
        {
            let mut record = current.record.as_ref().clone();
            record.review.on_silence = silence;
            record.data_classes.push("orders".to_owned());
            let mut after = before.clone();
            after.apply(100, late, &IntegrationChange::Narrowed { record: Box::new(record), reason: None }.by(Actor::Operator));
            assert_eq!(Hindsight::new(&before, &after).refused(&refused), expected, "{silence:?}");
        }
    }
}
