//! What an approver must see on one screen (docs/how-to/govern/approve.md): what is asked beside what is there already, how it was before, and what is unusual.
//!
//! Facts and flags only, each from the state; how they are worded and laid out is for who shows them.

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

/// A contract that ends so soon is worth a second look.
const SOON: Seconds = Seconds::days(30);

/// How many earlier requests are shown.
const PRECEDENTS: usize = 5;

/// What an approver must see besides the request itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Briefing<'a> {
    /// Each scope in plain words.
    pub asked: Vec<Asked<'a>>,
    /// What the integration has at this API without any elevation.
    pub standing: &'a [ScopeRule],
    /// The classes of data that it works on.
    pub data_classes: &'a [String],
    /// The contract.
    pub contract: &'a str,
    /// The first second after it.
    pub contract_ends: Timestamp,
    /// Until when the partner counts as verified.
    pub partner_verified: Option<Timestamp>,
    /// Whose word the binding takes that the workload asked through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'a Issuer>,
    /// Other elevations of the integration that run, or will.
    pub running: Vec<Precedent<'a>>,
    /// Its last requests for any of these scopes, newest first.
    pub precedents: Vec<Precedent<'a>>,
    /// What is unusual about it.
    pub flags: Vec<&'static str>,
}

/// A scope that is asked for.
#[derive(Debug, Serialize)]
pub struct Asked<'a> {
    /// Which.
    pub scope: &'a Scope,
    /// What it lets do, in the catalogue's words.
    pub meaning: &'a str,
    /// How bad it can be.
    pub risk: Risk,
    /// The endpoints that the record allows; none means the whole API.
    pub allow: &'a [Endpoint],
    /// The longest elevation.
    pub max: Seconds,
}

/// Another request.
#[derive(Debug, Serialize)]
pub struct Precedent<'a> {
    /// Which.
    pub id: &'a ElevationId,
    /// What became of it.
    pub state: Standing,
    /// When it was asked for.
    pub asked: Timestamp,
    /// What for.
    pub scopes: Vec<&'a Scope>,
}

/// Puts it together; nothing where the record is gone.
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
