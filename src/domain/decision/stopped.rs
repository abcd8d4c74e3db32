//! Refuses more rights to targets that are suspended or revoked, by whatever approval.
//!
//! It is checked when somebody asks for more, and again when somebody approves it. Otherwise an approval that was right when it was
//! asked for would become a right that waits behind the stop. Two approvals are always possible, because they end a stop: to resume
//! a partner, and to lift a revocation. An integration is resumed after its partner.

use super::standing::{ensure, stands};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::Elevation;
use crate::domain::reason::{self, Reason};
use crate::domain::record::{widens_access, widens_binding, widens_target};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::registry::binding::{Admits, Binding};
use crate::domain::registry::integration::Access;
use crate::domain::registry::offboarding::Ending;
use crate::domain::state::{Party, State, Suspension, Suspensions};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApiName, BindingName, ClientId, EnvironmentName, IntegrationId, PartnerName};
use crate::domain::value::text::Text;

/// Refuses a request for a partner that is suspended everywhere or revoked.
///
/// # Errors
/// The way in which it is stopped.
pub fn partner(partner: &PartnerName, state: &State) -> Result<(), &'static Reason> {
    let known = state.partners.get(partner);
    unended(known.and_then(|known| known.ending.as_deref()), Ending::of_partner)?;
    let known = known.map(|known| &known.suspensions);
    ensure(known.is_none_or(|known| known.first_of_all().is_none()), &reason::PARTNER_SUSPENDED)?;
    unrevoked(&RevocationTarget::Partner { partner: partner.clone() }, state)
}

/// Refuses to resume an integration where its partner is suspended as well.
///
/// A partner is resumed whatever stops it. A revocation of the partner may be lifted while the request waits.
///
/// # Errors
/// One of the suspensions that would be lifted lies wholly under those of the partner.
pub fn resume(party: &Party, lifts: &[Suspension], state: &State) -> Result<(), &'static Reason> {
    open_still(party, state)?;
    let Party::Integration(id) = party else { return Ok(()) };
    let partner = state.partners.get(&id.partner).map(|known| &known.suspensions);
    let under = partner.is_some_and(|partner| lifts.iter().any(|one| partner.cover(one)));
    ensure(!under, &reason::PARTNER_SUSPENDED)
}

/// Refuses a request about a party that is being offboarded, or was.
///
/// # Errors
/// Its end, or that of its partner.
pub fn open_still(party: &Party, state: &State) -> Result<(), &'static Reason> {
    let partner = match party {
        Party::Partner(partner) => partner,
        Party::Integration(id) => &id.partner,
    };
    unended(state.partners.get(partner).and_then(|known| known.ending.as_deref()), Ending::of_partner)?;
    let Party::Integration(id) = party else { return Ok(()) };
    unended(state.integrations.get(id).and_then(|known| known.ending.as_deref()), Ending::of_integration)
}

fn unended(ending: Option<&Ending>, told: impl FnOnce(&Ending) -> &'static Reason) -> Result<(), &'static Reason> {
    ending.map_or(Ok(()), |ending| Err(told(ending)))
}

/// Refuses a request for an integration that is suspended everywhere or revoked, or whose partner is.
///
/// # Errors
/// The way in which it is stopped.
pub fn integration(id: &IntegrationId, state: &State) -> Result<(), &'static Reason> {
    partner(&id.partner, state)?;
    let known = state.integrations.get(id);
    unended(known.and_then(|known| known.ending.as_deref()), Ending::of_integration)?;
    let known = known.map(|known| &known.suspensions);
    ensure(known.is_none_or(|known| known.first_of_all().is_none()), &reason::INTEGRATION_SUSPENDED)?;
    unrevoked(&RevocationTarget::Integration { integration: id.clone() }, state)
}

/// Refuses a request for an integration in an environment where it or its partner is suspended, or that is revoked.
///
/// The revocation may be for this integration, or for all of them.
///
/// # Errors
/// The way in which it is stopped.
pub fn environment(id: &IntegrationId, environment: &EnvironmentName, state: &State) -> Result<(), &'static Reason> {
    open(environment, state)?;
    integration(id, state)?;
    let stands = |known: Option<&Suspensions>| known.is_none_or(|known| known.first_in(environment).is_none());
    ensure(stands(state.partners.get(&id.partner).map(|known| &known.suspensions)), &reason::PARTNER_SUSPENDED)?;
    ensure(stands(state.integrations.get(id).map(|known| &known.suspensions)), &reason::INTEGRATION_SUSPENDED)?;
    unrevoked(&RevocationTarget::Environment { environment: environment.clone() }, state)?;
    let here = RevocationTarget::IntegrationEnvironment { integration: id.clone(), environment: environment.clone() };
    unrevoked(&here, state)
}

/// Refuses everything in an environment that is closed for everybody.
///
/// # Errors
/// It is closed.
pub fn open(environment: &EnvironmentName, state: &State) -> Result<(), &'static Reason> {
    ensure(state.closures.of(environment).is_none(), &reason::ENVIRONMENT_CLOSED)
}

/// Refuses an elevation that nothing could use now.
///
/// Its integration is not in good standing, its environment or API is revoked, or so is the binding that it was
/// requested through, or every binding.
///
/// # Errors
/// The way in which it is stopped.
pub fn elevation(asked: &Elevation, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    stands(&asked.integration, &asked.environment, state, now)?;
    environment(&asked.integration, &asked.environment, state)?;
    unrevoked(&RevocationTarget::Api { api: asked.api.clone() }, state)?;
    let client = ClientId::Integration(asked.integration.clone());
    let place = (&client, &asked.environment);
    let current = state.integrations.get(&asked.integration).and_then(|known| known.current.as_ref());
    let bindings = current.and_then(|current| current.record.environments.get(&asked.environment));
    let bindings = bindings.map_or(&[][..], |access| &access.bindings);
    if let Some(name) = &asked.binding {
        unrevoked(&through(place, name), state)?;
        bindings.iter().filter(|one| one.name == *name).try_for_each(|one| binding(place, one, state))?;
    }
    if bindings.iter().any(|one| binding(place, one, state).is_ok()) { Ok(()) } else { Err(&reason::REVOKED) }
}

/// Refuses an approval that would give more to a stopped target.
///
/// If `effort` does not suffice to compare two versions, the new one counts as giving more.
///
/// # Errors
/// The way in which it is stopped.
pub fn approval(approval: &Approval, state: &State, effort: &mut Effort) -> Result<(), &'static Reason> {
    let unknown = || &reason::NOT_FOUND;
    match approval.kind {
        Kind::Abort | Kind::Environment | Kind::Exception | Kind::Guardrail | Kind::Lift | Kind::Offboarding | Kind::Review => {
            Ok(())
        }
        Kind::Erasure => {
            let texts = state.erasure(&approval.id).into_iter().flatten().filter_map(Text::digest).collect();
            ensure(state.needed(&texts).is_none(), &reason::TEXT_IN_USE)
        }
        Kind::Api => api(&approval.subject.parse().map_err(|_| unknown())?, state),
        Kind::Partner => partner(&approval.subject.parse().map_err(|_| unknown())?, state),
        Kind::Change | Kind::Integration => version(&approval.subject.parse().map_err(|_| unknown())?, state, effort),
        Kind::Enrolment => {
            let (id, place) = approval.subject.rsplit_once('/').ok_or_else(unknown)?;
            enrolment(&id.parse().map_err(|_| unknown())?, &place.parse().map_err(|_| unknown())?, state)
        }
        Kind::Resume => {
            let party = Party::of_subject(&approval.subject).ok_or_else(unknown)?;
            if let Party::Integration(id) = &party {
                partner(&id.partner, state)?;
            }
            // A request that was made before the end is not granted after it.
            resume(&party, &approval.opened.lifts, state)
        }
    }
}

/// Refuses an enrolment if no certificate of the integration counts there now.
///
/// # Errors
/// The way in which it is stopped.
pub fn enrolment(id: &IntegrationId, place: &EnvironmentName, state: &State) -> Result<(), &'static Reason> {
    environment(id, place, state)?;
    if state.barred.certificate(id, place).is_some() { Err(&reason::REVOKED) } else { Ok(()) }
}

/// Refuses the waiting version of an integration, if it gives more to a stopped target.
///
/// The target is the integration, an environment, a binding, or an API. Nearly always nothing is stopped, and then no versions are
/// compared. If `effort` does not suffice to compare them, the new one counts as giving more.
///
/// # Errors
/// The way in which it is stopped.
pub fn version(id: &IntegrationId, state: &State, effort: &mut Effort) -> Result<(), &'static Reason> {
    integration(id, state)?;
    let Some(known) = state.integrations.get(id) else { return Ok(()) };
    let Some(waiting) = known.held.as_ref() else { return Ok(()) };
    let client = ClientId::Integration(id.clone());
    for (place, new) in &waiting.version.record.environments {
        let current = known.current.as_ref().and_then(|current| current.record.environments.get(place));
        unless(environment(id, place, state), || widens_access(current, new, effort))?;
        for one in &new.bindings {
            let same = current.and_then(|current| current.bindings.iter().find(|other| other.name == one.name));
            unless(binding((&client, place), one, state), || widens_binding(same, one, effort))?;
        }
        for api in targets(new) {
            let subject = RevocationTarget::Api { api: api.clone() };
            unless(unrevoked(&subject, state), || widens_target(current, new, api, effort))?;
        }
    }
    Ok(())
}

/// Refuses the waiting version of an API, if it gives more to a stopped target.
///
/// If the API is revoked, every version is refused. Otherwise one that gives an audience or a caller to a stopped target is.
///
/// # Errors
/// The way in which it is stopped.
pub fn api(name: &ApiName, state: &State) -> Result<(), &'static Reason> {
    unrevoked(&RevocationTarget::Api { api: name.clone() }, state)?;
    let Some(known) = state.apis.get(name) else { return Ok(()) };
    let Some(waiting) = known.held.as_ref() else { return Ok(()) };
    let current = known.current.as_ref().map(|current| &current.record);
    let new = &waiting.version.record;
    let client = ClientId::Api(name.clone());
    let open = |place: &EnvironmentName| unrevoked(&RevocationTarget::Environment { environment: place.clone() }, state);
    for (place, audience) in &new.audience {
        let same = current.and_then(|current| current.audience.get(place));
        unless(open(place), || same != Some(audience))?;
    }
    for (place, callers) in &new.callers {
        let current = current.and_then(|current| current.callers.get(place)).map_or(&[][..], Vec::as_slice);
        for one in callers.iter().filter(|one| !current.contains(one)) {
            open(place)?;
            binding((&client, place), one, state)?;
        }
    }
    Ok(())
}

/// Returns `stop`, if it matters.
fn unless(stop: Result<(), &'static Reason>, matters: impl FnOnce() -> bool) -> Result<(), &'static Reason> {
    stop.or_else(|reason| if matters() { Err(reason) } else { Ok(()) })
}

/// The APIs that it gives any right at.
fn targets(access: &Access) -> impl Iterator<Item = &ApiName> {
    access.scopes.keys().chain(access.elevation.iter().map(|one| &one.api))
}

/// Refuses a binding that is revoked, or none of whose proofs is accepted.
///
/// Its issuer is revoked, or another revoked binding takes the same proofs.
fn binding(place: (&ClientId, &EnvironmentName), binding: &Binding, state: &State) -> Result<(), &'static Reason> {
    unrevoked(&through(place, &binding.name), state)?;
    let (client, environment) = place;
    let barred = match (&binding.admits, client) {
        (Admits::Jwt(rule), _) => state.barred.rule(environment, rule),
        (Admits::Certificate, ClientId::Integration(id)) => state.barred.certificate(id, environment),
        // Our authority makes certificates for integrations only.
        (Admits::Certificate, ClientId::Api(_)) => None,
    };
    if barred.is_some() { Err(&reason::REVOKED) } else { Ok(()) }
}

fn through((client, environment): (&ClientId, &EnvironmentName), binding: &BindingName) -> RevocationTarget {
    RevocationTarget::Binding { client: client.clone(), environment: environment.clone(), binding: binding.clone() }
}

fn unrevoked(subject: &RevocationTarget, state: &State) -> Result<(), &'static Reason> {
    if state.is_refused(&subject.key()) { Err(&reason::REVOKED) } else { Ok(()) }
}
