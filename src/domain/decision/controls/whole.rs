//! The criteria that belong to no single integration: audiences, signals, closed offboardings.

use std::collections::BTreeMap;

use super::criterion::Criterion;
use super::integrations::{Judged, is_of_agent, lacks};
use crate::domain::registry::environment::is_own_audience;
use crate::domain::registry::offboarding::Run;
use crate::domain::registry::signal::SignalSubject;
use crate::domain::state::State;
use crate::domain::state::offboarding::{Case, Outcome};
use crate::domain::state::signal::{Signal, SignalStanding};
use crate::domain::value::clock::{Seconds, Timestamp};

/// How long a signal that was held may wait for a person.
const DECIDED_WITHIN: Seconds = Seconds::hours(24);

/// Judges the catalogue.
pub(super) fn judge_catalogue(state: &State) -> Judged {
    let mut judged = Judged::default();
    let mut holders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, api) in &state.apis {
        for (environment, audience) in api.current.iter().flat_map(|current| &current.record.audience) {
            holders.entry(audience.as_str()).or_default().push(format!("{name} in {environment}"));
        }
    }
    for (audience, holders) in holders {
        let environments = state.configuration.iter().flat_map(|configuration| configuration.environments.values());
        let ours = is_own_audience(environments, audience);
        for holder in &holders {
            let other = holders.iter().find(|other| *other != holder);
            let shared = other.map(|other| format!("{other} has the audience {audience} too"));
            let why = if ours { Some(format!("the audience {audience} is the broker's own")) } else { shared };
            judged.item(Criterion::AudiencesApart, false, || holder.clone(), why);
        }
    }
    judged
}

/// Judges the signals.
pub(super) fn judge_signals(state: &State, now: Timestamp) -> Judged {
    let mut judged = Judged::default();
    for (id, signal) in state.signals.all().filter(|(_, signal)| signal.says.suspends()) {
        let due = signal.at.plus(DECIDED_WITHIN);
        let waits = signal.standing() == SignalStanding::Held && !is_over(signal, state);
        let why = (waits && now >= due).then(|| format!("it waits for a person since {}", signal.at));
        let agent = match &signal.about {
            SignalSubject::Integration(integration) | SignalSubject::Environment(integration, _) => {
                is_of_agent(integration, state)
            }
            SignalSubject::Partner(_) => false,
        };
        judged.item(Criterion::SignalsActedOn, agent, || id.to_string(), why);
        if waits {
            judged.ahead(due, now);
        }
    }
    judged
}

/// Whether the subject of a signal is being offboarded, or was: nothing is to be had there any more.
fn is_over(signal: &Signal, state: &State) -> bool {
    match &signal.about {
        SignalSubject::Partner(partner) => state.partners.get(partner).is_some_and(|known| known.ending.is_some()),
        SignalSubject::Integration(id) | SignalSubject::Environment(id, _) => state.ending_of(id).is_some(),
    }
}

/// Judges the closed offboardings.
pub(super) fn judge_cases(state: &State) -> Judged {
    let mut judged = Judged::default();
    for (id, case) in state.offboardings.all().filter(|(_, case)| matches!(case.outcome, Some(Outcome::Closed { .. }))) {
        let agent = case.integrations.iter().any(|integration| is_of_agent(integration, state));
        judged.item(Criterion::OffboardingsComplete, agent, || id.to_string(), incomplete(case, state));
    }
    judged
}

/// What a closed case lacks.
fn incomplete(case: &Case, state: &State) -> Option<String> {
    let missing = state.offboardings.dependencies(case).into_iter().find(|on| !case.acknowledged.contains_key(on));
    if let Some(on) = missing.filter(|_| case.found.is_some()) {
        return Some(format!("{} in {} never acknowledged it", on.api, on.environment));
    }
    if case.found.is_none() || [Run::First, Run::Again].into_iter().any(|run| case.passed(run).is_none()) {
        return Some("its tests did not pass".to_owned());
    }
    let approval = case.sign_off.as_ref().and_then(|id| state.approvals.get(id));
    let Some(approval) = approval else { return Some("nobody signed it off".to_owned()) };
    let by_starter = approval.reviews.iter().any(|one| case.by.person().is_some_and(|starter| starter.is(&one.by)));
    if by_starter { Some("who began it signed it off".to_owned()) } else { lacks(approval) }
}
