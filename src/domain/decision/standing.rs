//! Standing: the life-cycle states, dates and revocations that refuse every request of a client.
//!
//! Enter through [`standing`] and [`unrevoked`], two steps of the decision on a grant. [`stands`] and [`in_good_standing`] judge
//! the same for requests that get no token.

use super::admission::Principal;
use super::life::Life;
use crate::domain::credential::revocation::Provenance;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::Integration;
use crate::domain::registry::partner::Partner;
use crate::domain::state::{PartnerState, Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, IntegrationId, PartnerName};

/// Judges the states and dates that end rights: journal, partner, integration, contract.
pub(in crate::domain) fn standing(
    id: &IntegrationId,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    let from = state.mints_from;
    trace.ensure("journal", now >= from, &reason::JOURNAL_REOPENED, || {
        let seen =
            if now >= from { "it issues".to_owned() } else { format!("reopened after a restore; it issues from {from} on") };
        (format!("a journal that issues at {now}"), seen)
    })?;
    partner_stands(&id.partner, state, now, trace, life)?;

    let integration = state.integrations.get(id);
    let phase = integration.map(|integration| integration.phase());
    let otherwise = match phase {
        Some(Phase::Suspended) => &reason::INTEGRATION_SUSPENDED,
        Some(Phase::Draft | Phase::Submitted | Phase::Active) | None => &reason::INTEGRATION_NOT_ACTIVE,
    };
    trace.ensure("integration", phase == Some(Phase::Active), otherwise, || {
        let stopped = integration.and_then(|integration| integration.suspended.as_ref());
        let since = stopped.map(|stop| format!(" since {}", stop.at)).unwrap_or_default();
        let seen = phase.map_or("not in the registry", Phase::name);
        (format!("integration {id} active"), format!("integration {id}: {seen}{since}"))
    })?;
    let overdue = state.elevations.overdue(now).find(|request| request.elevation.integration == *id);
    trace.ensure("elevation.reviewed", overdue.is_none(), &reason::ELEVATION_UNREVIEWED, || {
        let seen = overdue.map_or_else(
            || "none waits longer than it may".to_owned(),
            |request| format!("elevation {} waits longer than it may", request.elevation.id),
        );
        ("a review in time of each break-glass elevation".into(), seen)
    })?;

    let current = integration.and_then(|integration| integration.current.as_ref());
    let contract = &current.ok_or(&reason::INTEGRATION_NOT_ACTIVE)?.record.contract;
    let (starts, ends) = (contract.starts, contract.ends);
    trace.ensure("contract.starts", starts <= now, &reason::CONTRACT_NOT_STARTED, || {
        (format!("a contract that has started at {now}"), format!("contract starts {}", starts.first_day()))
    })?;
    trace.ensure("contract.ends", now < ends, &reason::CONTRACT_ENDED, || {
        (format!("a contract that lasts beyond {now}"), format!("contract ends {}", ends.last_day()))
    })?;
    life.end("contract", ends);
    Ok(())
}

/// Judges the partner's part of it.
pub(in crate::domain) fn partner_stands(
    name: &PartnerName,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    let partner = state.partners.get(name);
    let stopped = partner.and_then(|partner| partner.suspended.as_ref());
    trace.ensure("partner", stopped.is_none(), &reason::PARTNER_SUSPENDED, || {
        let seen = match (partner, stopped) {
            (None, _) => "not in the registry".to_owned(),
            (Some(_), None) => "in good standing".to_owned(),
            (Some(_), Some(stop)) => format!("suspended since {}", stop.at),
        };
        (format!("partner {name} not suspended"), format!("partner {name}: {seen}"))
    })?;
    let verified = verified_until(partner);
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
    let keys = if state.refused.is_empty() { Vec::new() } else { provenance.keys() };
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
        stands(id, state, now)?;
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

/// Judges whether an integration is active, within its contract, and its partner verified.
pub fn stands(id: &IntegrationId, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    standing(id, state, now, &mut Trace::off(), &mut Life::new())
}

pub(in crate::domain) fn ensure(holds: bool, otherwise: &'static Reason) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

pub(in crate::domain) fn record<'a>(id: &IntegrationId, state: &'a State) -> Option<&'a Integration> {
    Some(&state.integrations.get(id)?.current.as_ref()?.record)
}
