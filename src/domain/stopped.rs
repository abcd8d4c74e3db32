//! Stopped: what is suspended or revoked is given nothing more, by whatever approval.
//!
//! Asked when somebody asks for more and again when somebody approves it. An approval that was right when it was asked for would else
//! become a right that waits behind the stop. Two approvals are always possible, because they are the ways out of a stop: to resume a
//! partner, and to lift a revocation. An integration is resumed after its partner.

use super::approval::{Approval, Kind};
use super::binding::{Admits, Binding};
use super::clock::Timestamp;
use super::elevation::Elevation;
use super::names::{BindingName, ClientId, EnvironmentName, IntegrationId, PartnerName};
use super::reason::{self, Reason};
use super::record::{widens_access, widens_binding};
use super::revocation::Subject;
use super::standing::stands;
use super::state::State;

/// Refuses what is asked for a partner that is suspended or revoked.
///
/// # Errors
/// How it is stopped.
pub fn partner(partner: &PartnerName, state: &State) -> Result<(), &'static Reason> {
    suspended(partner, state)?;
    unrevoked(&Subject::Partner { partner: partner.clone() }, state)
}

/// Refuses what is asked for a partner that is suspended. A revocation of it may be lifted while what was asked for waits.
///
/// # Errors
/// It is suspended.
pub fn suspended(partner: &PartnerName, state: &State) -> Result<(), &'static Reason> {
    let known = state.partners.get(partner);
    if known.is_some_and(|known| known.suspended.is_some()) { Err(&reason::PARTNER_SUSPENDED) } else { Ok(()) }
}

/// Refuses what is asked for an integration that is suspended or revoked, or whose partner is.
///
/// # Errors
/// How it is stopped.
pub fn integration(id: &IntegrationId, state: &State) -> Result<(), &'static Reason> {
    partner(&id.partner, state)?;
    if state.integrations.get(id).is_some_and(|known| known.suspended.is_some()) {
        return Err(&reason::INTEGRATION_SUSPENDED);
    }
    unrevoked(&Subject::Integration { integration: id.clone() }, state)
}

/// Refuses what is asked for an integration in an environment that is revoked, for it or for everybody.
///
/// # Errors
/// How it is stopped.
pub fn environment(id: &IntegrationId, environment: &EnvironmentName, state: &State) -> Result<(), &'static Reason> {
    integration(id, state)?;
    unrevoked(&Subject::Environment { environment: environment.clone() }, state)?;
    let here = Subject::IntegrationEnvironment { integration: id.clone(), environment: environment.clone() };
    unrevoked(&here, state)
}

/// Refuses an elevation that nothing could use now: of an integration that is not in good standing, in an environment that is revoked,
/// through a binding that is revoked, or where every binding is.
///
/// # Errors
/// How it is stopped.
pub fn elevation(asked: &Elevation, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    stands(&asked.integration, state, now)?;
    environment(&asked.integration, &asked.environment, state)?;
    unrevoked(&Subject::Api { api: asked.api.clone() }, state)?;
    let place = (&asked.integration, &asked.environment);
    let current = state.integrations.get(&asked.integration).and_then(|known| known.current.as_ref());
    let bindings = current.and_then(|current| current.record.environments.get(&asked.environment));
    let bindings = bindings.map_or(&[][..], |access| &access.bindings);
    if let Some(name) = &asked.binding {
        unrevoked(&through(place, name), state)?;
        bindings.iter().filter(|one| one.name == *name).try_for_each(|one| binding(place, one, state))?;
    }
    if bindings.iter().any(|one| binding(place, one, state).is_ok()) { Ok(()) } else { Err(&reason::REVOKED) }
}

/// Refuses an approval that would give more to what is stopped.
///
/// # Errors
/// How it is stopped.
pub fn approval(approval: &Approval, state: &State) -> Result<(), &'static Reason> {
    let unknown = || &reason::NOT_FOUND;
    match approval.kind {
        Kind::Api | Kind::Lift => Ok(()),
        Kind::Partner => partner(&approval.subject.parse().map_err(|_| unknown())?, state),
        Kind::Change | Kind::Integration => version(&approval.subject.parse().map_err(|_| unknown())?, state),
        Kind::Enrolment => {
            let (id, place) = approval.subject.rsplit_once('/').ok_or_else(unknown)?;
            enrolment(&id.parse().map_err(|_| unknown())?, &place.parse().map_err(|_| unknown())?, state)
        }
        // The subject of a partner's resume has no slash.
        Kind::Resume => match approval.subject.parse::<IntegrationId>() {
            Ok(id) => partner(&id.partner, state),
            Err(_) => Ok(()),
        },
    }
}

/// Refuses a certificate where nothing takes certificates now.
///
/// # Errors
/// How it is stopped.
pub fn enrolment(id: &IntegrationId, place: &EnvironmentName, state: &State) -> Result<(), &'static Reason> {
    environment(id, place, state)?;
    if state.barred.certificate(id, place).is_some() { Err(&reason::REVOKED) } else { Ok(()) }
}

/// Refuses the version of an integration that waits, where it gives more to something that is stopped.
fn version(id: &IntegrationId, state: &State) -> Result<(), &'static Reason> {
    integration(id, state)?;
    let Some(known) = state.integrations.get(id) else { return Ok(()) };
    let Some(waiting) = known.held.as_ref() else { return Ok(()) };
    for (place, new) in &waiting.version.record.environments {
        let current = known.current.as_ref().and_then(|current| current.record.environments.get(place));
        if widens_access(current, new) {
            environment(id, place, state)?;
        }
        for one in &new.bindings {
            let same = current.and_then(|current| current.bindings.iter().find(|other| other.name == one.name));
            if widens_binding(same, one) {
                unrevoked(&through((id, place), &one.name), state)?;
            }
        }
    }
    Ok(())
}

fn binding(place: (&IntegrationId, &EnvironmentName), binding: &Binding, state: &State) -> Result<(), &'static Reason> {
    unrevoked(&through(place, &binding.name), state)?;
    match &binding.admits {
        Admits::Jwt(rule) => unrevoked(&Subject::Issuer { issuer: rule.issuer.clone() }, state),
        Admits::Certificate if state.barred.certificate(place.0, place.1).is_some() => Err(&reason::REVOKED),
        Admits::Certificate => Ok(()),
    }
}

fn through((id, environment): (&IntegrationId, &EnvironmentName), binding: &BindingName) -> Subject {
    let client = ClientId::Integration(id.clone());
    Subject::Binding { client, environment: environment.clone(), binding: binding.clone() }
}

fn unrevoked(subject: &Subject, state: &State) -> Result<(), &'static Reason> {
    if state.is_refused(&subject.member()) { Err(&reason::REVOKED) } else { Ok(()) }
}
