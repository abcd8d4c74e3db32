//! The elevations that are active at this second.
//!
//! They are judged at every mint, because an approval is not a promise.

use super::ask;
use crate::domain::elevation::Request;
use crate::domain::elevation::Review;
use crate::domain::elevation::Standing;
use crate::domain::elevation::rule;
use crate::domain::registry::integration::Required;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use crate::domain::value::scope::Scope;

/// One elevated scope.
#[derive(Clone, Debug)]
pub struct Live<'a> {
    /// The elevation that gives it.
    pub id: &'a ElevationId,
    /// The ticket that it names.
    pub ticket: Option<&'a Ticket>,
    /// Whether it began without an approval.
    pub break_glass: bool,
    /// Endpoint conditions; empty means the whole API.
    pub allow: Vec<Endpoint>,
    /// Its end: that of the elevation, or of the record's window today.
    pub ends: Timestamp,
}

/// Finds the elevation that gives `scope` now; of several, the one that lasts longest.
pub fn live<'a>(
    state: &'a State,
    integration: &IntegrationId,
    environment: &EnvironmentName,
    api: &ApiName,
    scope: &Scope,
    now: Timestamp,
) -> Option<Live<'a>> {
    let all = state.elevations.of(integration, environment).filter(|request| request.elevation.api == *api);
    all.filter_map(|request| counts(state, request, scope, now)).max_by_key(|live| live.ends)
}

/// What an elevation gives of `scope` at `now`, if it counts.
pub fn counts<'a>(state: &'a State, request: &'a Request, scope: &Scope, now: Timestamp) -> Option<Live<'a>> {
    let elevation = &request.elevation;
    let terms = request.terms();
    if request.standing(now) != Standing::Active || !terms.scopes.contains(scope) {
        return None;
    }
    let (starts, ends) = request.period()?;
    // If the requester's access was ended, their elevations end too.
    if elevation.requested_by.person().is_some_and(|person| state.ensure_not_cut(person).is_err()) {
        return None;
    }
    // The record in force decides on this scope and on the approvers that it demands.
    let eligible = ask::eligible_for(state, elevation, scope)?;
    let signed = request.is_signed(state);
    // If the API takes signed approvals only, one counts if its signature names a passkey that is still the approver's. The
    // signature is verified before anything is issued (`broker/passkey.rs`).
    let counts = |review: &&Review| !signed || review.is_signed(state);
    let agreed = if elevation.break_glass {
        eligible.break_glass && !signed
    } else {
        rule::is_met(&eligible.approvers, request.reviews.iter().filter(counts), request.asked)
    };
    if !agreed || (eligible.require.contains(&Required::OpenTicket) && !elevation.tied) {
        return None;
    }
    let mut ends = ends.min(starts.plus(eligible.max));
    if let Some(window) = &eligible.window {
        ends = ends.min(window.closes(now)?);
    }
    let allow: Vec<Endpoint> = if terms.allow.is_empty() {
        eligible.allow.clone()
    } else {
        terms.allow.into_iter().filter(|endpoint| eligible.allow.is_empty() || eligible.allow.contains(endpoint)).collect()
    };
    // Conditions that have nothing in common leave nothing, not everything.
    let nothing = allow.is_empty() && !(eligible.allow.is_empty() && request.terms().allow.is_empty());
    let (id, ticket, break_glass) = (&elevation.id, elevation.ticket.as_ref(), elevation.break_glass);
    (now < ends && !nothing).then_some(Live { id, ticket, break_glass, allow, ends })
}
