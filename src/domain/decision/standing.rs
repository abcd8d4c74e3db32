//! Standing: the life-cycle states, dates and revocations that refuse every request of a client.
//!
//! Enter through [`standing`] and [`unrevoked`], two steps of the decision on a grant. [`stands`] and [`in_good_standing`] judge
//! the same for requests that get no token.

use super::admission::Principal;
use super::life::Life;
use crate::domain::credential::revocation::Provenance;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::reason::decision::{Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::Integration;
use crate::domain::registry::partner::Partner;
use crate::domain::state::{PartnerState, Phase, State, Suspension};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{BindingName, ClientId, EnvironmentName, IntegrationId, PartnerName};

/// Judges the states and dates that end rights there: offboarding, environment, journal, suspensions, contract, partner, integration.
///
/// The order decides what an exchange is told: the end first, then suspensions, then the dates (docs/how-to/govern/explain.md).
pub(in crate::domain) fn standing(
    id: &IntegrationId,
    environment: &EnvironmentName,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    unended_partner(&id.partner, state, trace)?;
    unended_integration(id, state, trace)?;
    open(environment, state, trace)?;
    let from = state.mints_from;
    trace.ensure("journal", now >= from, &reason::JOURNAL_REOPENED, || {
        let seen =
            if now >= from { "it issues".to_owned() } else { format!("reopened after a restore; it issues from {from} on") };
        (format!("a journal that issues at {now}"), seen)
    })?;
    partner_unsuspended(&id.partner, environment, state, trace)?;

    let integration = state.integrations.get(id);
    let phase = integration.map(|integration| integration.phase());
    let active = phase == Some(Phase::Active);
    let suspended = integration.and_then(|integration| integration.suspensions.first_in(environment));
    if let Some(suspension) = suspended {
        trace.ensure("integration", false, suspension.told(&reason::INTEGRATION_SUSPENDED), || {
            (format!("integration {id} active"), format!("integration {id}: {}", since(suspension)))
        })?;
    }
    let overdue = state.elevations.unreviewed_of(id).find(|request| request.is_overdue(now));
    trace.ensure("elevation.reviewed", overdue.is_none(), &reason::ELEVATION_UNREVIEWED, || {
        let seen = overdue.map_or_else(
            || "none waits longer than it may".to_owned(),
            |request| format!("elevation {} waits longer than it may", request.elevation.id),
        );
        ("a review in time of each break-glass elevation".into(), seen)
    })?;

    let current = integration.and_then(|integration| integration.current.as_ref());
    if let Some(contract) = current.map(|current| &current.record.contract) {
        let (starts, ends) = (contract.starts, contract.ends);
        trace.ensure("contract.starts", starts <= now, &reason::CONTRACT_NOT_STARTED, || {
            (format!("a contract that has started at {now}"), format!("contract starts {}", starts.first_day()))
        })?;
        trace.ensure("contract.ends", now < ends, &reason::CONTRACT_ENDED, || {
            (format!("a contract that lasts beyond {now}"), format!("contract ends {}", ends.last_day()))
        })?;
        life.end("contract", ends);
    }
    let record = current.map(|current| &current.record);
    if let Some(ends) = record.and_then(|record| record.environments.get(environment)?.ends) {
        trace.ensure("environment.ends", now < ends, &reason::ENVIRONMENT_ENDED, || {
            (format!("{environment} in the record beyond {now}"), format!("{environment} ends {}", ends.last_day()))
        })?;
        life.end("environment.ends", ends);
    }
    partner_verified(&id.partner, state, now, trace, life)?;
    if let Some(end) = integration.and_then(|integration| state.review_end_of(integration, environment)) {
        trace.ensure("review", now < end, &reason::REVIEW_OVERDUE, || {
            (format!("a review of {environment} in time"), format!("a review was due {end}"))
        })?;
        life.end("review", end);
    }
    if let Some(end) = state.owner_end(id) {
        trace.ensure("owners", now < end.at, &reason::OWNER_GONE, || {
            let who = end.person.as_ref().map_or_else(|| "an owner".to_owned(), ToString::to_string);
            let seen = format!("{who} left {}, and without an owner it ends {}", end.left, end.at);
            ("two owners who are present".into(), seen)
        })?;
        life.end("owners", end.at);
    }
    if let Some(secret) = integration.and_then(|integration| integration.first_due()) {
        trace.ensure("exceptions", now < secret.ends, &reason::EXCEPTION_PAST_DUE, || {
            let seen = format!("{:?} ends {}", secret.what, secret.ends.last_day());
            ("each exception closed by its end".into(), seen)
        })?;
        life.end("exception.ends", secret.ends);
    }
    if suspended.is_none() || !active {
        trace.ensure("integration", active, &reason::INTEGRATION_NOT_ACTIVE, || {
            let seen = phase.map_or("not in the registry", Phase::name);
            (format!("integration {id} active"), format!("integration {id}: {seen}"))
        })?;
    }
    ensure(current.is_some(), &reason::INTEGRATION_NOT_ACTIVE)
}

/// Refuses everything of a partner that is being offboarded, or was. It is told before all else: whatever else refuses, this is the end.
fn unended_partner(name: &PartnerName, state: &State, trace: &mut Trace) -> Result<(), &'static Reason> {
    if state.offboardings.is_empty() {
        return Ok(());
    }
    let Some(ending) = state.partners.get(name).and_then(|known| known.ending.as_deref()) else { return Ok(()) };
    trace.ensure("partner", false, ending.of_partner(), || {
        (format!("partner {name} active"), format!("partner {name}: {}", ending.told()))
    })
}

fn unended_integration(id: &IntegrationId, state: &State, trace: &mut Trace) -> Result<(), &'static Reason> {
    if state.offboardings.is_empty() {
        return Ok(());
    }
    let Some(ending) = state.integrations.get(id).and_then(|known| known.ending.as_deref()) else { return Ok(()) };
    trace.ensure("integration", false, ending.of_integration(), || {
        (format!("integration {id} active"), format!("integration {id}: {}", ending.told()))
    })
}

/// Judges whether the environment is open. Nothing can be done about one that is closed.
fn open(environment: &EnvironmentName, state: &State, trace: &mut Trace) -> Result<(), &'static Reason> {
    let closed = state.closures.of(environment);
    trace.ensure("environment.open", closed.is_none(), &reason::ENVIRONMENT_CLOSED, || {
        let seen = closed
            .map_or_else(|| format!("{environment} is open"), |closed| format!("{environment} is closed since {}", closed.at));
        (format!("{environment} open"), seen)
    })
}

/// Refuses a binding that nobody used for long.
pub(in crate::domain) fn not_retired(principal: &Principal, state: &State, trace: &mut Trace) -> Result<(), &'static Reason> {
    let ClientId::Integration(id) = principal.client() else { return Ok(()) };
    let (environment, binding) = (principal.environment(), principal.binding());
    let retired = state.integrations.get(id).is_some_and(|known| known.non_use.is_retired(environment, binding));
    trace.ensure("binding.used", !retired, &reason::BINDING_UNUSED, || {
        let seen = if retired { "retired, since nobody used it for long" } else { "in use" };
        (format!("{BINDING}{binding}{IN_USE}"), format!("binding {binding}: {seen}"))
    })
}

/// The words around a binding in the tree.
const BINDING: &str = "binding ";
const IN_USE: &str = " in use";

/// The binding that admitted a proof, by the step that judged whether it is in use; `None` of another step.
pub(in crate::domain) fn binding_of(step: &Step) -> Option<BindingName> {
    let named = step.want.strip_prefix(BINDING)?.strip_suffix(IN_USE)?;
    if step.check == "binding.used" { named.parse().ok() } else { None }
}

/// In words: where it suspends, and since when.
fn since(suspension: &Suspension) -> String {
    let named: Vec<&str> = suspension.environments.iter().map(EnvironmentName::as_str).collect();
    let place = if named.is_empty() { String::new() } else { format!(" in {}", named.join(", ")) };
    let signal = suspension.signal.map(|says| format!(" by a signal ({})", says.name())).unwrap_or_default();
    format!("suspended{place}{signal} since {}", suspension.at)
}

/// Judges the partner's part of it.
pub(in crate::domain) fn partner_stands(
    name: &PartnerName,
    environment: &EnvironmentName,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    unended_partner(name, state, trace)?;
    open(environment, state, trace)?;
    partner_unsuspended(name, environment, state, trace)?;
    partner_verified(name, state, now, trace, life)
}

fn partner_unsuspended(
    name: &PartnerName,
    environment: &EnvironmentName,
    state: &State,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    let partner = state.partners.get(name);
    let suspended = partner.and_then(|partner| partner.suspensions.first_in(environment));
    let refusal = suspended.map_or(&reason::PARTNER_SUSPENDED, |suspension| suspension.told(&reason::PARTNER_SUSPENDED));
    trace.ensure("partner", suspended.is_none(), refusal, || {
        let seen = match (partner, suspended) {
            (None, _) => "not in the registry".to_owned(),
            (Some(_), None) => "in good standing".to_owned(),
            (Some(_), Some(suspension)) => since(suspension),
        };
        (format!("partner {name} not suspended"), format!("partner {name}: {seen}"))
    })
}

fn partner_verified(
    name: &PartnerName,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    let verified = verified_until(state.partners.get(name));
    let counts = verified.is_some_and(|expires| now < expires);
    trace.ensure("partner.verification", counts, &reason::PARTNER_UNVERIFIED, || {
        let seen = verified.map_or_else(
            || format!("partner {name} is not verified"),
            |expires| format!("partner {name} is verified until {}", expires.last_day()),
        );
        (format!("a verification that lasts beyond {now}"), seen)
    })?;
    life.end("partner.verification", verified.unwrap_or(now));
    Ok(())
}

/// The end of a partner's verification, if it was ever verified.
pub(in crate::domain) fn verified_until(partner: Option<&PartnerState>) -> Option<Timestamp> {
    let record: Option<&Partner> = partner?.current.as_ref().map(|current| current.record.as_ref());
    record.map(|record| record.verification.expires)
}

/// Refuses if anything that the token would be made from is revoked.
pub(in crate::domain) fn unrevoked(
    principal: &Principal,
    provenance: &Provenance,
    state: &State,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    // Nearly always nothing is revoked, and then no key is spelled.
    let keys = if state.revoked.is_empty() { Vec::new() } else { provenance.keys() };
    let refused = keys.into_iter().find(|key| state.is_refused(key));
    let refused = refused.or_else(|| principal.barred().cloned());
    trace.ensure("revocations", refused.is_none(), &reason::REVOKED, || {
        ("nothing revoked that the token would be made from".into(), told(refused.as_ref()))
    })
}

/// Says in words what is revoked: for `partner:globex`, "partner globex is revoked".
pub(in crate::domain) fn told(key: Option<&RevocationKey>) -> String {
    key.map_or_else(|| "nothing is revoked".to_owned(), |key| format!("{} is revoked", key.words()))
}

/// The revocation keys of an integration, its partner, and an environment of it.
pub(in crate::domain) fn keys(id: &IntegrationId, environment: &EnvironmentName) -> Vec<RevocationKey> {
    std::iter::once(RevocationKey::environment(environment)).chain(RevocationKey::of_integration(id, environment)).collect()
}

/// Judges whether a principal may introspect or revoke: it is in good standing, and not revoked.
pub fn in_good_standing(principal: &Principal, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    if let ClientId::Integration(id) = principal.client() {
        stands(id, principal.environment(), state, now)?;
        not_retired(principal, state, &mut Trace::off())?;
    }
    let refused = own_keys(principal).iter().any(|key| state.is_refused(key)) || principal.barred().is_some();
    ensure(!refused, &reason::REVOKED)
}

/// The revocation keys of a principal.
///
/// A token also has those of API, signing key, certificate, authority and elevations. A revoked second issuer of the proof bars the
/// principal ([`Principal::barred`]), and a revoked certificate or authority refuses it at admission.
pub(in crate::domain) fn own_keys(principal: &Principal) -> Vec<RevocationKey> {
    let (client, environment) = (principal.client(), principal.environment());
    let mut own = match client {
        ClientId::Integration(id) => keys(id, environment),
        ClientId::Api(_) => vec![RevocationKey::environment(environment)],
    };
    own.push(RevocationKey::binding(client, environment, principal.binding()));
    own.push(RevocationKey::issuer(&principal.proof().issuer));
    own
}

/// Judges whether an integration is active there, within its contract, and its partner verified.
pub fn stands(id: &IntegrationId, environment: &EnvironmentName, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    standing(id, environment, state, now, &mut Trace::off(), &mut Life::new())
}

pub(in crate::domain) fn ensure(holds: bool, otherwise: &'static Reason) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

pub(in crate::domain) fn record<'a>(id: &IntegrationId, state: &'a State) -> Option<&'a Integration> {
    Some(&state.integrations.get(id)?.current.as_ref()?.record)
}
