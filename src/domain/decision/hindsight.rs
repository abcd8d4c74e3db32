//! Hindsight: the outcome that requests of the past would have had, if other records had been in force.
//!
//! Enter through [`Hindsight::issued`] for tokens; refusals stand in `refusals`. The decision of an exchange is run for both states at
//! the time of the request, and goes on after each check that fails: what the second state adds is what the records do. Suspensions and
//! the like stand in both, and so say nothing. An entry has neither the claims of a proof nor the address of a request, and only some refusals
//! have the whole request. Wherever the outcome hangs on that it is unknown, and never the same by default. Guardrails are not asked here.

use std::collections::HashMap;

use super::admission::Principal;
use super::ask::{Ask, Target};
use super::cut::may_be_bound;
use super::effective::all;
use super::grant::{Beside, suppose};
use super::guard::Guarded;
use super::life::Life;
use super::standing::{record, standing};
use super::uses::{IssuedUse, Tally};
use crate::domain::credential::possession::Possession;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::record::{Places, TakenAway, taken_away};
use crate::domain::registry::api::{Api, Approval};
use crate::domain::registry::binding::{Admits, Binding};
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, BindingName, ClientId, EnvironmentName, IntegrationId};

/// The outcome that a request would have had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The same as it had.
    Same,
    /// It was granted, and would have been refused for this reason.
    Refused(&'static Reason),
    /// It was refused for this reason, and would have been granted.
    Granted(&'static Reason),
    /// The entries do not tell; it hangs on the check of this reason.
    Unknown(&'static Reason),
}

/// Two states: as it was, and as it would have been.
pub struct Hindsight<'s> {
    pub(super) before: &'s State,
    pub(super) after: &'s State,
    /// What the second state takes away from each integration, and what it gives.
    known: HashMap<IntegrationId, (Places, Places)>,
}

/// Causes that say nothing of a time in the past: keys come and go, and guardrails are asked elsewhere.
static OF_TODAY: [&Reason; 3] = [&reason::KEY_UNAVAILABLE, &reason::GUARDRAIL_UNAVAILABLE, &reason::JOURNAL_REOPENED];

/// One integration in one environment, in both states.
pub(super) struct Pair<'s> {
    pub id: &'s IntegrationId,
    pub environment: &'s EnvironmentName,
    pub was: (&'s Integration, &'s Access),
    pub is: (&'s Integration, &'s Access),
    /// What is taken away there, and what is given.
    pub away: TakenAway,
    pub given: TakenAway,
}

impl<'s> Hindsight<'s> {
    /// Two states.
    pub fn new(before: &'s State, after: &'s State) -> Self {
        Self { before, after, known: HashMap::new() }
    }

    /// The outcome of the tokens of a use on one day, on which its client was issued `that_day` tokens in that environment.
    pub fn issued(&mut self, issued: &IssuedUse, tally: &Tally, that_day: u64) -> Outcome {
        let first = self.issued_at(issued, tally.first, that_day);
        let last = self.issued_at(issued, tally.last, that_day);
        match (first, last) {
            (first, last) if first == last => first,
            // A date lies between them.
            (Outcome::Refused(reason) | Outcome::Unknown(reason), _)
            | (_, Outcome::Refused(reason) | Outcome::Unknown(reason)) => Outcome::Unknown(reason),
            (Outcome::Same | Outcome::Granted(_), Outcome::Same | Outcome::Granted(_)) => Outcome::Same,
        }
    }

    /// Whether guardrails read something else about this client for this API.
    pub fn reads_otherwise(&mut self, client: &ClientId, environment: &EnvironmentName, api: &ApiName) -> bool {
        let ClientId::Integration(id) = client else { return false };
        let Some(pair) = self.pair(id, environment) else { return false };
        let proof = pair.was.1.require != pair.is.1.require || pair.away.unsure.guardrails || pair.given.unsure.guardrails;
        let verified = self.before.partners.get(&id.partner).and_then(|partner| Some(partner.current.as_ref()?.version))
            != self.after.partners.get(&id.partner).and_then(|partner| Some(partner.current.as_ref()?.version));
        let (was, is) = (api_of(self.before, api), api_of(self.after, api));
        proof || verified || was != is
    }

    fn issued_at(&mut self, issued: &IssuedUse, at: Timestamp, that_day: u64) -> Outcome {
        let ClientId::Integration(id) = &issued.client else { return Outcome::Same };
        let environment = &issued.environment;
        let Some(was) = access(self.before, id, environment) else { return Outcome::Same };
        // A token of an earlier version, which the version in force would not give either: the new one changes nothing about it.
        let Some(binding) = was.1.bindings.iter().find(|one| one.name == issued.binding) else { return Outcome::Same };
        let ask = Ask { target: Some(Target::Name(issued.api.to_string())), scope: Some(issued.scope.clone()), client: None };
        let before = causes(self.before, (id, environment), binding, &ask, at);
        let (after, taken) = match access(self.after, id, environment) {
            None => (standing_or(&reason::BINDING_NO_MATCH, self.after, (id, environment), at), None),
            Some((_, access)) => match same_proofs(binding, access) {
                Some(taken) => (causes(self.after, (id, environment), taken, &ask, at), Some(taken)),
                None if access.bindings.iter().any(|other| may_take(binding, other)) => {
                    return Outcome::Unknown(&reason::BINDING_NO_MATCH);
                }
                None => (vec![&reason::BINDING_NO_MATCH], None),
            },
        };
        let added = added(&before, &after);
        if let Some(cause) = added.iter().find(|cause| !is_late(cause)) {
            return Outcome::Refused(cause);
        }
        if let Some(late) = added.first() {
            return Outcome::Unknown(late);
        }
        let Some((pair, taken)) = self.pair(id, environment).zip(taken) else { return Outcome::Same };
        self.facts(&pair, issued, taken, that_day)
    }

    /// What the decision does not know of a token: keys, claims, address, seconds.
    fn facts(&self, pair: &Pair<'_>, issued: &IssuedUse, taken: &Binding, that_day: u64) -> Outcome {
        let (was, is) = (pair.was.1, pair.is.1);
        let bound = |state| api_of(state, &issued.api).is_some_and(|api: &Api| api.token.require_bound);
        let (bound_before, bound_now) = (bound(self.before), bound(self.after));
        if is.require > was.require || (bound_now && !bound_before) {
            let possible = Possession::possible(is.require, bound_now, taken);
            let shown = may_be_bound((issued.possession, issued.certificate), was, taken);
            let fits = shown.iter().filter(|one| possible.contains(one)).count();
            let dual = is.require > was.require && !possible.contains(&Possession::Bound);
            let reason = if dual { &reason::PROOF_SINGLE } else { &reason::PROOF_UNBOUND };
            if fits == 0 {
                return Outcome::Refused(reason);
            }
            if fits < shown.len() {
                return Outcome::Unknown(reason);
            }
        }
        if pair.takes_fewer_proofs(&issued.binding) || (issued.certificate && !pair.away.beside.is_empty()) {
            return Outcome::Unknown(&reason::BINDING_NO_MATCH);
        }
        if pair.away.everything && was.limits.source_cidrs != is.limits.source_cidrs {
            return Outcome::Unknown(&reason::PROOF_SOURCE);
        }
        let signed = |state| api_of(state, &issued.api).is_some_and(|api: &Api| api.approval == Approval::Signed);
        let harder = pair.away.unsure.elevations || (signed(self.after) && !signed(self.before));
        if harder && !(issued.elevated.is_empty() && issued.break_glass.is_empty()) {
            return Outcome::Unknown(&reason::SCOPE_NEEDS_ELEVATION);
        }
        if pair.away.unsure.rotation {
            return Outcome::Unknown(&reason::ASSERTION_KEY_LATE);
        }
        let audience = |state| api_of(state, &issued.api).and_then(|api: &Api| api.audience.get(pair.environment));
        if audience(self.before) != audience(self.after) {
            return Outcome::Unknown(&reason::TARGET_UNKNOWN);
        }
        let (less, most) = (is.limits.per_minute() < was.limits.per_minute(), u64::from(is.limits.per_minute()));
        if less && that_day > most {
            return Outcome::Unknown(&reason::QUOTA_EXCEEDED);
        }
        Outcome::Same
    }

    pub(super) fn pair(&mut self, id: &IntegrationId, environment: &EnvironmentName) -> Option<Pair<'s>> {
        let (before, after) = (self.before, self.after);
        let (id, _) = before.integrations.get_key_value(id)?;
        let (was, is) = (record(id, before)?, record(id, after)?);
        let (environment, access) = was.environments.iter().find(|(name, _)| *name == environment)?;
        let is_access = is.environments.get(environment)?;
        let (away, given) = self.known.entry(id.clone()).or_insert_with(|| {
            let places = |old, new| taken_away::of_integration(old, new, Timestamp::MAX);
            if was == is { (Places::new(), Places::new()) } else { (places(was, is), places(is, was)) }
        });
        let of = |places: &Places| places.get(environment).cloned().unwrap_or_default();
        let (away, given) = (of(away), of(given));
        Some(Pair { id, environment, was: (was, access), is: (is, is_access), away, given })
    }
}

impl Pair<'_> {
    /// Whether a proof that this binding took may be taken no longer.
    pub(super) fn takes_fewer_proofs(&self, binding: &BindingName) -> bool {
        let find = |access: &'_ Access| access.bindings.iter().find(|one| one.name == *binding).cloned();
        // Where everything is taken, single bindings were not compared.
        self.away.bindings.contains(binding) && find(self.is.1).is_some()
            || (self.away.everything && find(self.was.1) != find(self.is.1))
    }

    /// Whether a proof that no binding took may be taken by one.
    pub(super) fn takes_more_proofs(&self) -> bool {
        let given = &self.given;
        !given.bindings.is_empty()
            || !given.beside.is_empty()
            || (given.everything && self.was.1.bindings != self.is.1.bindings)
    }
}

pub(super) fn is_late(reason: &&'static Reason) -> bool {
    **reason == reason::ASSERTION_KEY_LATE || **reason == reason::CERTIFICATE_LATE
}

pub(super) fn access<'s>(
    state: &'s State,
    id: &IntegrationId,
    environment: &EnvironmentName,
) -> Option<(&'s Integration, &'s Access)> {
    let record = record(id, state)?;
    Some((record, record.environments.get(environment)?))
}

fn api_of<'s>(state: &'s State, api: &ApiName) -> Option<&'s Api> {
    Some(&state.apis.get(api)?.current.as_ref()?.record)
}

/// The binding of `access` that takes the proofs of `binding`, under its name or another.
fn same_proofs<'s>(binding: &Binding, access: &'s Access) -> Option<&'s Binding> {
    let named = access.bindings.iter().find(|other| other.name == binding.name);
    named.or_else(|| access.bindings.iter().find(|other| other.admits == binding.admits))
}

/// Whether another binding may take a proof that `binding` took.
fn may_take(binding: &Binding, other: &Binding) -> bool {
    match (&binding.admits, &other.admits) {
        (Admits::Jwt(was), Admits::Jwt(is)) => was.issuer == is.issuer || is.takes_svids(),
        (Admits::Certificate, Admits::Certificate) => true,
        (Admits::Certificate, Admits::Jwt(is)) => is.takes_svids(),
        (Admits::Jwt(_), Admits::Certificate) => false,
    }
}

/// The causes that only the second list has.
pub(super) fn added(before: &[&'static Reason], after: &[&'static Reason]) -> Vec<&'static Reason> {
    after.iter().filter(|cause| !before.contains(cause) && !OF_TODAY.contains(cause)).copied().collect()
}

/// Everything that would have refused a request with a good proof.
pub(super) fn causes(
    state: &State,
    (id, environment): (&IntegrationId, &EnvironmentName),
    binding: &Binding,
    ask: &Ask,
    at: Timestamp,
) -> Vec<&'static Reason> {
    let Some(principal) = Principal::supposed(id, environment, binding, state) else { return vec![&reason::BINDING_NO_MATCH] };
    let (ended, trace) = suppose(&principal, ask, Beside::Supposed, Guarded::without(state), at, Trace::survey());
    all(trace, ended)
}

/// The states and dates that would have refused every request.
pub(super) fn standing_of(
    state: &State,
    (id, environment): (&IntegrationId, &EnvironmentName),
    at: Timestamp,
) -> Vec<&'static Reason> {
    let mut trace = Trace::survey();
    let ended = standing(id, environment, state, at, &mut trace, &mut Life::new()).err();
    all(trace, ended)
}

fn standing_or(
    otherwise: &'static Reason,
    state: &State,
    place: (&IntegrationId, &EnvironmentName),
    at: Timestamp,
) -> Vec<&'static Reason> {
    let mut causes = standing_of(state, place, at);
    causes.push(otherwise);
    causes
}
