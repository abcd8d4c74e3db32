//! The facts that an approver of an elevation sees on one screen (docs/how-to/govern/approve.md).
//!
//! They compare the request with present rights and earlier requests, and flag what is unusual. Each comes from the state. Their
//! wording and layout are up to the page that shows them.

use serde::Serialize;

use super::ask;
use crate::domain::elevation::Request;
use crate::domain::elevation::Standing;
use crate::domain::people::actor::Actor;
use crate::domain::registry::api::Risk;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::integration::{Integration, ScopeRule};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ElevationId, Issuer};
use crate::domain::value::scope::Scope;

/// A contract that ends within this time gets a flag.
const SOON: Seconds = Seconds::days(30);

/// The number of earlier requests that are listed.
const PRECEDENTS: usize = 5;

/// The facts that an approver must see besides the request itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Briefing<'a> {
    /// Each scope in plain words.
    pub asked: Vec<Asked<'a>>,
    /// The scopes that the integration has at this API without an elevation.
    pub standing: &'a [ScopeRule],
    /// The classes of data that it works on.
    pub data_classes: &'a [String],
    /// The contract.
    pub contract: &'a str,
    /// The first second after it.
    pub contract_ends: Timestamp,
    /// The end of the partner's verification.
    pub partner_verified: Option<Timestamp>,
    /// The issuer that the binding trusts, if a workload asked through one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'a Issuer>,
    /// Other elevations of the integration that run, or will run.
    pub running: Vec<Precedent<'a>>,
    /// Its last requests for any of these scopes, newest first.
    pub precedents: Vec<Precedent<'a>>,
    /// The flags of unusual facts.
    pub flags: Vec<&'static str>,
}

/// A requested scope.
#[derive(Debug, Serialize)]
pub struct Asked<'a> {
    /// The scope.
    pub scope: &'a Scope,
    /// The actions that it allows, in the catalogue's words.
    pub meaning: &'a str,
    /// The harm that it can do.
    pub risk: Risk,
    /// The endpoints that the record allows; empty means the whole API.
    pub allow: &'a [Endpoint],
    /// The longest elevation that the record allows.
    pub max: Seconds,
}

/// Another request for an elevation.
#[derive(Debug, Serialize)]
pub struct Precedent<'a> {
    /// Its id.
    pub id: &'a ElevationId,
    /// Its present state.
    pub state: Standing,
    /// When it was made.
    pub asked: Timestamp,
    /// The scopes that it names.
    pub scopes: Vec<&'a Scope>,
}

/// Makes the briefing; `None` if the record has gone.
pub fn briefing<'a>(request: &'a Request, state: &'a State, now: Timestamp) -> Option<(Briefing<'a>, &'a Integration)> {
    let elevation = &request.elevation;
    let record: &Integration = &state.integrations.get(&elevation.integration)?.current.as_ref()?.record;
    let access = record.environments.get(&elevation.environment)?;
    let catalogue = state.apis.get(&elevation.api).and_then(|api| api.current.as_ref());
    let asked: Vec<Asked<'_>> = elevation
        .scopes
        .iter()
        .filter_map(|scope| {
            let entry = catalogue?.record.scopes.get(scope)?;
            let eligible = ask::eligible_for(state, elevation, scope)?;
            Some(Asked { scope, meaning: &entry.meaning, risk: entry.risk, allow: &eligible.allow, max: eligible.max })
        })
        .collect();
    let others = || {
        state
            .elevations
            .all()
            .filter(|other| other.elevation.integration == elevation.integration && other.elevation.id != elevation.id)
    };
    let show = |other: &'a Request| Precedent {
        id: &other.elevation.id,
        state: other.standing(now),
        asked: other.asked,
        scopes: other.elevation.scopes.iter().collect(),
    };
    let running: Vec<Precedent<'_>> =
        others().map(show).filter(|one| matches!(one.state, Standing::Active | Standing::Approved)).collect();
    let mut precedents: Vec<Precedent<'_>> = others()
        .filter(|other| {
            other.asked <= request.asked && other.elevation.scopes.iter().any(|scope| elevation.scopes.contains(scope))
        })
        .map(show)
        .collect();
    precedents.sort_by_key(|one| std::cmp::Reverse(one.asked));
    let partner = state.partners.get(&elevation.integration.partner).and_then(|partner| partner.current.as_ref());
    let binding = elevation.binding.as_ref().and_then(|name| access.bindings.iter().find(|binding| binding.name == *name));
    let same_person = |other: &&Request| {
        let (other, this) = (&other.elevation.requested_by, &elevation.requested_by);
        matches!((other, this), (Actor::Workload(_), Actor::Workload(_)))
            || other.person().zip(this.person()).is_some_and(|(other, this)| other.is(this))
    };
    let facts = [
        ("break-glass", elevation.break_glass),
        ("high-risk", asked.iter().any(|one| one.risk == Risk::High)),
        ("first-for-scope", !precedents.iter().any(|one| matches!(one.state, Standing::Active | Standing::Ended))),
        ("new-requester", !others().any(|other| same_person(&other) && other.asked <= request.asked)),
        ("contract-ends-soon", record.contract.ends <= now.plus(SOON)),
        ("others-running", !running.is_empty()),
        ("whole-api", request.terms().allow.is_empty() && asked.iter().any(|one| one.allow.is_empty())),
    ];
    precedents.truncate(PRECEDENTS);
    let briefing = Briefing {
        asked,
        standing: access.scopes.get(&elevation.api).map_or(&[], Vec::as_slice),
        data_classes: &record.data_classes,
        contract: &record.contract.reference,
        contract_ends: record.contract.ends,
        partner_verified: partner.map(|partner| partner.record.verification.expires),
        issuer: binding.and_then(|binding| match &binding.admits {
            Admits::Jwt(rule) => Some(&rule.issuer),
            Admits::Certificate => None,
        }),
        running,
        precedents,
        flags: facts.into_iter().filter(|(_, holds)| *holds).map(|(flag, _)| flag).collect(),
    };
    Some((briefing, record))
}
