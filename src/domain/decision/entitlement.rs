//! Entitlement: the scopes that the contract and elevations allow now, and their conditions.
//!
//! Enter through [`entitled`], one step of the decision on a grant. A request is granted as a whole or not at all.

use std::sync::Arc;

use super::ask::Ask;
use super::elevation::{Live, live};
use super::life::Life;
use super::target::Chosen;
use super::way::Way;
use crate::domain::credential::claims::Detail;
use crate::domain::reason::decision::{Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::Access;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{Audience, ElevationId, EnvironmentName, IntegrationId};
use crate::domain::value::scope::{Scope, ScopeSet};

/// The request's client, environment, and time.
pub(in crate::domain) struct Place<'a> {
    pub(in crate::domain) id: &'a IntegrationId,
    pub(in crate::domain) environment: &'a EnvironmentName,
    pub(in crate::domain) access: &'a Access,
    pub(in crate::domain) state: &'a State,
    pub(in crate::domain) now: Timestamp,
}

/// The rights that a token may state.
pub(in crate::domain) struct Entitled {
    /// The scopes, all that were asked for.
    pub(in crate::domain) scopes: ScopeSet,
    /// Endpoint conditions and elevations.
    pub(in crate::domain) details: Arc<[Detail]>,
    /// The elevations that the scopes rest on.
    pub(in crate::domain) elevations: Vec<ElevationId>,
    /// What the scopes rest on that do not stand in the record.
    pub(in crate::domain) ways: Vec<(Scope, Way)>,
}

/// Grants all requested scopes or none.
///
/// A scope must be inside the contract and the catalogue, or else inside an active elevation.
pub(in crate::domain) fn entitled(
    ask: &Ask,
    place: &Place<'_>,
    target: &Chosen<'_>,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<Entitled, &'static Reason> {
    let parameter = ask.scope.as_deref();
    let seen = || parameter.map_or_else(|| "no scope parameter".to_owned(), |text| format!("scope {text:?}"));
    trace.check("scope.named", parameter.is_some(), || ("a scope parameter".into(), seen()));
    let parsed = ScopeSet::parse(parameter.ok_or(&reason::SCOPE_MISSING)?);
    trace.check("scope.form", parsed.is_ok(), || ("scopes apart by one space, none twice".into(), seen()));
    let scopes = parsed.map_err(|_| &reason::SCOPE_MALFORMED)?;
    let standing = target.rules.iter().filter(|rule| target.catalogue.holds(&rule.scope));
    let stands = |scope: &Scope| standing.clone().any(|rule| rule.scope == *scope);
    let contracted = || {
        let all = standing.clone().map(|rule| rule.scope.clone()).collect::<ScopeSet>();
        if all.is_empty() { "no scope that stands".to_owned() } else { format!("scopes of the record: {all}") }
    };
    let mut details = Details { audience: &target.audience, found: Vec::new() };
    for rule in standing.clone().filter(|rule| scopes.contains(&rule.scope)) {
        details.endpoints(&rule.allow);
    }
    let mut elevations: Vec<(Live<'_>, Vec<Scope>)> = Vec::new();
    if scopes.is_empty() || !scopes.iter().all(stands) {
        let eligible = place.access.eligible(&target.api);
        let may_be = |scope: &Scope| eligible.contains(scope) && target.catalogue.holds(scope);
        let reachable = !scopes.is_empty() && scopes.iter().all(|scope| stands(scope) || may_be(scope));
        if !trace.check("scope", reachable, || (contracted(), scopes.to_string())) {
            return Err(&reason::SCOPE_NOT_CONTRACTED);
        }
        for scope in scopes.iter().filter(|scope| !stands(scope)) {
            let found = live(place.state, place.id, place.environment, &target.api, scope, place.now);
            let seen = || {
                let active = |live: &Live<'_>| format!("elevation {} is active until {}", live.id, live.ends);
                found.as_ref().map_or_else(|| "none that is active".to_owned(), active)
            };
            // The reader of the refusal learns that the scope can be had, and how.
            let how = || {
                let issuer = place.state.environment(place.environment).map(|environment| environment.issuer.as_str());
                format!("an approved elevation for {scope} (request one: POST {}/elevations)", issuer.unwrap_or_default())
            };
            trace.check("elevation", found.is_some(), || (how(), seen()));
            let found = found.ok_or(&reason::SCOPE_NEEDS_ELEVATION)?;
            life.end("elevation.end", found.ends);
            details.endpoints(&found.allow);
            match elevations.iter_mut().find(|(known, _)| known.id == found.id) {
                Some((known, its)) => {
                    known.ends = known.ends.min(found.ends);
                    its.push(scope.clone());
                }
                None => elevations.push((found, vec![scope.clone()])),
            }
        }
    } else {
        trace.check("scope", true, || (contracted(), scopes.to_string()));
    }
    let mut found = details.found;
    found.extend(elevations.iter().map(|(live, scopes)| Detail::JitElevation {
        id: live.id.clone(),
        scopes: scopes.iter().cloned().collect(),
        ends: live.ends,
        ticket: live.ticket.cloned(),
    }));
    let way = |live: &Live<'_>| if live.break_glass { Way::BreakGlass } else { Way::Elevated };
    let ways = elevations.iter().flat_map(|(live, scopes)| scopes.iter().map(|scope| (scope.clone(), way(live)))).collect();
    let elevations = elevations.into_iter().map(|(live, _)| live.id.clone()).collect();
    Ok(Entitled { scopes, details: found.into(), elevations, ways })
}

/// The scopes that a request asked for, by the step that judged them, in whatever way; `None` of another step.
pub(in crate::domain) fn scopes_of(step: &Step) -> Option<ScopeSet> {
    // A text that was cut has an ellipsis, which no scope has.
    ScopeSet::parse(&step.seen).ok().filter(|_| step.check == "scope")
}

/// Endpoint conditions, one object per distinct list.
struct Details<'a> {
    audience: &'a Audience,
    found: Vec<Detail>,
}

impl Details<'_> {
    fn endpoints(&mut self, allow: &[Endpoint]) {
        let known = |detail: &Detail| matches!(detail, Detail::Endpoints { actions, .. } if actions == allow);
        if !allow.is_empty() && !self.found.iter().any(known) {
            self.found.push(Detail::Endpoints { locations: [self.audience.clone()], actions: allow.to_vec() });
        }
    }
}
