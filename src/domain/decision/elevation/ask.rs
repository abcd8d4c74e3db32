//! Makes an elevation that people can approve from a request, or gives every reason against it.

use crate::domain::elevation::Elevation;
use crate::domain::elevation::LONGEST_BREAK_GLASS;
use crate::domain::elevation::PATIENCE;
use crate::domain::elevation::Request;
use crate::domain::elevation::Standing;
use crate::domain::elevation::rule;
use crate::domain::people::actor::{Actor, Person};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::Approval;
use crate::domain::registry::integration::{Access, Approvers, Eligible, Required};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use crate::domain::value::scope::{Scope, ScopeSet};
use crate::domain::value::text::Text;

/// The most open requests of one requester for one integration in one environment.
///
/// The people who must look at them are few (ABUSE D-22). An integration's workloads are one requester and each person is another,
/// so that none of them keeps another from asking.
const MOST_OPEN: usize = 20;

/// How far ahead an elevation may start.
const FURTHEST: Seconds = Seconds::days(30);

/// A request for an elevation.
#[derive(Clone, Debug)]
pub struct ElevationRequest {
    /// The API.
    pub api: ApiName,
    /// The scopes.
    pub scopes: ScopeSet,
    /// Endpoint conditions; empty means those of the record.
    pub allow: Vec<Endpoint>,
    /// The duration.
    pub duration: Seconds,
    /// The reason.
    pub reason: String,
    /// The ticket.
    pub ticket: Option<Ticket>,
    /// The start; `None` means at the approval.
    pub starts: Option<Timestamp>,
    /// True to start at once, and be reviewed afterwards.
    pub break_glass: bool,
}

/// A request with its requester and place, to be judged.
#[derive(Clone, Debug)]
pub struct NewElevation {
    /// The id that it will have.
    pub id: ElevationId,
    /// The integration that it is for.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The request.
    pub request: ElevationRequest,
    /// The requester.
    pub by: Actor,
    /// The binding that a workload asked through.
    pub binding: Option<BindingName>,
    /// SHA-256 of the token by which the workload polls its state.
    pub poll: Option<Digest>,
}

/// One fault of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfit {
    /// The member that has the fault.
    pub at: &'static str,
    /// The reason.
    pub reason: &'static Reason,
    /// The details: the wanted value, and what the record has.
    pub message: String,
}

/// Makes an elevation that people can approve.
///
/// The caller judges the standing of integration and partner.
///
/// # Errors
/// All faults at once.
pub fn ask(wanted: NewElevation, state: &State, now: Timestamp) -> Result<Elevation, Vec<Unfit>> {
    let Some(access) = access(state, &wanted.integration, &wanted.environment) else {
        let message = format!("{} has no environment {}", wanted.integration, wanted.environment);
        return Err(vec![Unfit { at: "environments", reason: &reason::ELEVATION_NOT_ELIGIBLE, message }]);
    };
    let mut unfit = Vec::new();
    let mut eligible = Vec::new();
    for scope in wanted.request.scopes.iter() {
        let found = access.elevation.iter().find(|one| one.api == wanted.request.api && one.scope == *scope);
        match found.filter(|_| in_catalogue(state, &wanted.request.api, scope)) {
            Some(one) => eligible.push(one),
            None => {
                let message = format!("{scope} of {} is nothing that the record lets be elevated", wanted.request.api);
                unfit.push(Unfit { at: "scopes", reason: &reason::ELEVATION_NOT_ELIGIBLE, message });
            }
        }
    }
    if wanted.request.scopes.is_empty() {
        let message = "expected at least one scope".to_owned();
        unfit.push(Unfit { at: "scopes", reason: &reason::REQUEST_INVALID, message });
    }
    if wanted.request.break_glass && is_signed(state, &wanted.request.api) {
        let message =
            format!("{} says approval: signed, and what starts without an approval has no signature", wanted.request.api);
        unfit.push(Unfit { at: "breakGlass", reason: &reason::ELEVATION_NO_BREAK_GLASS, message });
    }
    fit(&wanted, &eligible, state, now, &mut unfit);
    let rule = crate::domain::elevation::Rule {
        demands: if wanted.request.break_glass { rule::afterwards() } else { rule::demands(&eligible) },
        barred: barred(&wanted, state),
    };
    if let Some(demand) = rule.demands.iter().find(|demand| !can_be_met(demand, &rule.barred, state)) {
        let message = format!(
            "{} of {} must approve, and who asked, applied the record since it lets this be elevated, or enrolled the workload may not; the rule is the record's, whose business owner can have it changed",
            demand.count,
            demand.people.join(", ")
        );
        unfit.push(Unfit { at: "scopes", reason: &reason::ELEVATION_NO_APPROVER, message });
    }
    // A break-glass waits for nobody. Its own limit is one that lacks its review (`fit`).
    let own = |request: &&Request| is_same(&request.elevation.requested_by, &wanted.by);
    let waiting = state.elevations.of(&wanted.integration, &wanted.environment).filter(own);
    let waiting = waiting.filter(|request| request.standing(now) == Standing::Pending).count();
    if !wanted.request.break_glass && waiting >= MOST_OPEN {
        let message = format!("{waiting} of your own requests wait already, and {MOST_OPEN} may");
        unfit.push(Unfit { at: "", reason: &reason::ELEVATION_TOO_MANY, message });
    }
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let patient = now.plus(PATIENCE);
    let tied = eligible.iter().any(|one| one.require.contains(&Required::OpenTicket));
    Ok(Elevation {
        expires: wanted.request.starts.map_or(patient, |starts| patient.max(starts).min(starts.plus(wanted.request.duration))),
        id: wanted.id,
        integration: wanted.integration,
        environment: wanted.environment,
        api: wanted.request.api,
        scopes: wanted.request.scopes,
        allow: wanted.request.allow,
        duration: wanted.request.duration,
        starts: wanted.request.starts,
        reason: Text::from(wanted.request.reason.as_str()),
        ticket: wanted.request.ticket,
        tied,
        requested_by: wanted.by,
        binding: wanted.binding,
        rule,
        break_glass: wanted.request.break_glass,
        poll: wanted.poll,
    })
}

/// Compares the request with what the record has for each scope.
fn fit(wanted: &NewElevation, eligible: &[&Eligible], state: &State, now: Timestamp, unfit: &mut Vec<Unfit>) {
    let mut add = |at, reason, message: String| unfit.push(Unfit { at, reason, message });
    let most = eligible.iter().map(|one| one.max).min().unwrap_or(Seconds::hours(24));
    let most = if wanted.request.break_glass { most.min(LONGEST_BREAK_GLASS) } else { most };
    if wanted.request.duration > most || wanted.request.duration < Seconds::minutes(1) {
        let message = format!("expected 1m to {most}, which is the longest for all of these scopes");
        add("duration", &reason::ELEVATION_TOO_LONG, message);
    }
    for one in eligible.iter().filter(|one| !one.allow.is_empty()) {
        for endpoint in wanted.request.allow.iter().filter(|endpoint| !one.allow.contains(endpoint)) {
            add("allow", &reason::ELEVATION_WIDENS, format!("{endpoint} is none of the endpoints that {} has", one.scope));
        }
    }
    let named = |one: &&Eligible| one.require.contains(&Required::Ticket) || one.require.contains(&Required::OpenTicket);
    if eligible.iter().any(named) && wanted.request.ticket.is_none() {
        add("ticket", &reason::ELEVATION_TICKET, "the record asks for a ticket".to_owned());
    }
    if wanted.request.starts.is_some_and(|starts| starts < now || starts > now.plus(FURTHEST) || wanted.request.break_glass) {
        let message = format!("expected a time from now to {FURTHEST} ahead, and none for break-glass");
        add("starts", &reason::ELEVATION_START, message);
    }
    let starts = wanted.request.starts.unwrap_or(now);
    for one in eligible {
        // Approvals may take until the window has closed again. The window is judged again when a token is requested.
        if let Some(window) = one.window.as_ref().filter(|window| wanted.request.starts.is_some() && !window.holds(starts)) {
            add("starts", &reason::ELEVATION_WINDOW, format!("{} runs {window}", one.scope));
        }
        if wanted.request.break_glass && !one.break_glass {
            add("breakGlass", &reason::ELEVATION_NO_BREAK_GLASS, format!("the record does not allow it for {}", one.scope));
        }
    }
    // One break-glass at a time: the same person does not repeat it in the same place before it is reviewed. Another person may be
    // needed in the same incident, and each answers for their own.
    let own = |request: &&Request| {
        let other = &request.elevation;
        other.environment == wanted.environment && is_same(&other.requested_by, &wanted.by)
    };
    let waits = state.elevations.unreviewed_of(&wanted.integration).find(own);
    if let Some(request) = waits.filter(|_| wanted.request.break_glass) {
        let message = format!("your own elevation {} began without an approval and waits for its review", request.elevation.id);
        add("breakGlass", &reason::ELEVATION_NO_BREAK_GLASS, message);
    }
    if wanted.request.break_glass && matches!(wanted.by, Actor::Workload(_) | Actor::Machine(_)) {
        add("breakGlass", &reason::ELEVATION_NO_BREAK_GLASS, "only a person may break the glass".to_owned());
    }
    if wanted.request.reason.trim().is_empty() || wanted.request.reason.chars().count() > 1000 {
        add("reason", &reason::REQUEST_INVALID, "expected a reason of 1 to 1000 characters".to_owned());
    }
}

/// Tells whether two requests have the same requester. All workloads of an integration are one.
fn is_same(one: &Actor, other: &Actor) -> bool {
    match (one, other) {
        (Actor::Workload(one), Actor::Workload(other)) => one == other,
        (Actor::Api(one), Actor::Api(other)) => one == other,
        (Actor::Staff(_) | Actor::Machine(_), Actor::Staff(_) | Actor::Machine(_)) => {
            one.person().zip(other.person()).is_some_and(|(one, other)| one.is(other))
        }
        (Actor::Operator, Actor::Operator) | (Actor::Broker, Actor::Broker) | (Actor::Directory, Actor::Directory) => true,
        (
            Actor::Staff(_)
            | Actor::Machine(_)
            | Actor::Workload(_)
            | Actor::Api(_)
            | Actor::Operator
            | Actor::Broker
            | Actor::Directory,
            _,
        ) => false,
    }
}

fn barred(wanted: &NewElevation, state: &State) -> Vec<Person> {
    let place = (&wanted.integration, &wanted.environment);
    let applied = appliers(state, place, &wanted.request.api, &wanted.request.scopes);
    let enrolled =
        enrollers(state, &wanted.integration, &wanted.environment).filter(|_| matches!(wanted.by, Actor::Workload(_)));
    let mut barred: Vec<Person> = Vec::new();
    for person in wanted.by.person().into_iter().chain(applied).chain(enrolled) {
        if !barred.iter().any(|known| known.is(person)) {
            // Names are for people to read, and are recorded elsewhere. Issuer and id decide who may not review.
            barred.push(Person { name: None, ..person.clone() });
        }
    }
    barred
}

/// Finds the record's rule for each scope of an elevation; `None` if one of them is gone.
pub(super) fn eligible<'a>(state: &'a State, elevation: &Elevation) -> Option<Vec<&'a Eligible>> {
    elevation.scopes.iter().map(|scope| eligible_for(state, elevation, scope)).collect()
}

/// Finds the record's rule for one scope.
pub(super) fn eligible_for<'a>(state: &'a State, elevation: &Elevation, scope: &Scope) -> Option<&'a Eligible> {
    let access = access(state, &elevation.integration, &elevation.environment)?;
    let found = access.elevation.iter().find(|one| one.api == elevation.api && one.scope == *scope);
    found.filter(|_| in_catalogue(state, &elevation.api, scope))
}

fn access<'a>(state: &'a State, integration: &IntegrationId, environment: &EnvironmentName) -> Option<&'a Access> {
    state.integrations.get(integration)?.current.as_ref()?.record.environments.get(environment)
}

/// Tells whether an API takes signed approvals alone.
pub fn is_signed(state: &State, api: &ApiName) -> bool {
    let current = state.apis.get(api).and_then(|api| api.current.as_ref());
    current.is_some_and(|current| current.record.approval == Approval::Signed)
}

fn in_catalogue(state: &State, api: &ApiName, scope: &Scope) -> bool {
    let current = state.apis.get(api).and_then(|api| api.current.as_ref());
    current.is_some_and(|current| current.record.scopes.contains_key(scope))
}

/// The people who applied a version of the record since it last widened one of these scopes.
pub(super) fn appliers<'a>(
    state: &'a State,
    (integration, environment): (&IntegrationId, &'a EnvironmentName),
    api: &'a ApiName,
    scopes: &'a ScopeSet,
) -> impl Iterator<Item = &'a Person> {
    let known = state.integrations.get(integration).into_iter();
    known.flat_map(move |known| scopes.iter().flat_map(move |scope| known.appliers.of(environment, api, scope)))
}

/// The people who requested a certificate of this integration in this environment.
///
/// A workload's certificate counts as theirs, however often it was renewed since.
pub(super) fn enrollers<'a>(
    state: &'a State,
    integration: &'a IntegrationId,
    environment: &'a EnvironmentName,
) -> impl Iterator<Item = &'a Person> {
    let here =
        state.certificates.enrolments().filter(move |one| one.integration == *integration && one.environment == *environment);
    here.filter_map(|one| state.approvals.get(&one.approval)?.requested_by.person())
}

/// Tells whether enough people could meet `demand`.
///
/// Only the identity provider knows the holders of a role, so only lists of people are counted.
pub(super) fn can_be_met(demand: &Approvers, barred: &[Person], state: &State) -> bool {
    if demand.role.is_some() || demand.fallback.is_some() {
        return true;
    }
    let out =
        |id: &String| barred.iter().chain(state.staff_cuts.iter().map(|(person, _)| person)).any(|person| *person.id == **id);
    demand.people.iter().filter(|id| !out(id)).count() >= usize::from(demand.count)
}
