//! Consequences: what follows from the state by itself, one step at a time.
//!
//! Everything here brings a right into force that people have approved; nothing that ends a right waits for it.

use super::approval::{Approval, Standing};
use super::change::What;
use super::clock::Timestamp;
use super::names::ApprovalId;
use super::state::{Held, IntegrationState, Phase, State};

/// The next step that is due, if any.
pub fn next(state: &State, now: Timestamp) -> Option<What> {
    api(state, now)
        .or_else(|| partner(state, now))
        .or_else(|| integration(state, now))
        .or_else(|| revocation(state, now))
        .or_else(|| key(state, now))
}

fn approved<'a>(state: &'a State, id: Option<&ApprovalId>, now: Timestamp) -> Option<&'a Approval> {
    state.approvals.get(id?).filter(|approval| approval.standing(now) == Standing::Approved)
}

/// The held version, if exactly it was approved.
fn ready<'a, T>(state: &State, held: Option<&'a Held<T>>, now: Timestamp) -> Option<&'a Held<T>> {
    let held = held?;
    let approval = approved(state, held.approval.as_ref(), now)?;
    (approval.version == held.version.version).then_some(held)
}

fn api(state: &State, now: Timestamp) -> Option<What> {
    state.apis.iter().find_map(|(name, api)| {
        let held = ready(state, api.held.as_ref(), now)?;
        Some(What::ApiApproved { api: name.clone(), version: held.version.version })
    })
}

fn partner(state: &State, now: Timestamp) -> Option<What> {
    state.partners.iter().find_map(|(name, partner)| {
        if let Some(held) = ready(state, partner.held.as_ref(), now) {
            return Some(What::PartnerVerified { partner: name.clone(), version: held.version.version });
        }
        approved(state, partner.suspended.as_ref()?.lift.as_ref(), now)?;
        Some(What::PartnerResumed { partner: name.clone() })
    })
}

fn integration(state: &State, now: Timestamp) -> Option<What> {
    state.integrations.iter().find_map(|(id, integration)| {
        if let Some(stop) = &integration.suspended {
            approved(state, stop.lift.as_ref(), now)?;
            return Some(What::IntegrationResumed { integration: id.clone() });
        }
        let held = ready(state, integration.held.as_ref(), now)?;
        let version = held.version.version;
        match integration.phase() {
            Phase::Active => Some(What::IntegrationChanged { integration: id.clone(), version }),
            Phase::Submitted if may_start(state, integration, now) => {
                Some(What::IntegrationActivated { integration: id.clone(), version })
            }
            Phase::Draft | Phase::Submitted | Phase::Suspended => None,
        }
    })
}

/// The conditions besides the approvals: a partner whose verification counts, and every API that it names in force. Two different
/// owners were checked when the record was read.
fn may_start(state: &State, integration: &IntegrationState, now: Timestamp) -> bool {
    let Some(held) = &integration.held else { return false };
    let record = &held.version.record;
    let partner = state.partners.get(&record.id.partner).and_then(|partner| partner.current.as_ref());
    let verified = partner.is_some_and(|current| now < current.record.verification.expires);
    let named = record.environments.values().flat_map(|access| access.scopes.keys());
    let mut apis = named.filter(|api| api.as_str() != super::grant::BUILT_IN_API);
    verified && apis.all(|api| state.apis.get(api).is_some_and(|api| api.current.is_some()))
}

fn revocation(state: &State, now: Timestamp) -> Option<What> {
    state.revocations.values().filter(|revocation| !revocation.lifted).find_map(|revocation| {
        approved(state, revocation.lift.as_ref(), now)?;
        revocation.subject.can_be_lifted().then(|| What::RevocationLifted { id: revocation.id.clone() })
    })
}

/// A key whose time on the ladder is over; its sealed half is destroyed with the change.
fn key(state: &State, now: Timestamp) -> Option<What> {
    let over = |key: &&super::keys::KeyState| !key.retired && !key.tainted && now >= state.keys.retires(key);
    let key = state.keys.all().find(over)?;
    Some(What::KeyRetired { environment: key.key.environment.clone(), kid: key.key.kid.clone() })
}
