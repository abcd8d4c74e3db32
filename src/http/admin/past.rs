//! Time travel: the versions in force at a past time, rebuilt from the journal's changes.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::{Asked, Filter, Filters};
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::broker::past::Past as Then;
use crate::broker::view::past::AccessThenView;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::entry::Entry;
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::registry::approval::{Kind, Standing};
use crate::domain::state::about::About;
use crate::domain::state::{State as House, Suspension, Suspensions};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ApprovalId, EnvironmentName, IntegrationId, PartnerName, SuspensionId};
use crate::domain::value::nearest::nearest;
use crate::journal::At;

/// The routes.
pub fn routes() -> Vec<Route> {
    let told = "The versions in force at a time, or after an entry: who could do what, by whose approval";
    vec![get("/v1/journal/at", "getPast", told, at)]
}

/// The versions that were in force. An entry of the journal has the record of each.
#[derive(Serialize, ToSchema)]
struct Past {
    time: Timestamp,
    epoch: u64,
    apis: Vec<PastApi>,
    partners: Vec<PastPartner>,
    integrations: Vec<PastIntegration>,
    /// The approvals that were pending.
    approvals: Vec<PastApproval>,
    /// Members of the live index that were refused, such as `partner:globex`.
    refused: Vec<RevocationKey>,
}

/// An API as it was.
#[derive(Serialize, ToSchema)]
struct PastApi {
    id: ApiName,
    #[schema(required)]
    version: Option<Digest>,
}

/// A partner as it was.
#[derive(Serialize, ToSchema)]
struct PastPartner {
    id: PartnerName,
    /// `submitted` or `active`.
    state: &'static str,
    /// The suspensions that were in force.
    suspensions: Vec<PastSuspension>,
    #[schema(required)]
    version: Option<Digest>,
    /// The end of its verification.
    #[schema(required)]
    verified: Option<Timestamp>,
}

/// An integration as it was.
#[derive(Serialize, ToSchema)]
struct PastIntegration {
    id: IntegrationId,
    state: &'static str,
    /// The suspensions that were in force.
    suspensions: Vec<PastSuspension>,
    #[schema(required)]
    version: Option<Digest>,
    #[schema(required)]
    environments: Option<Vec<EnvironmentName>>,
    /// True if it could be issued tokens in some environment: a version was in force, and no suspension covered it.
    tokens: bool,
    /// Who could do what, and by whose approval; null if no version was in force.
    #[schema(required)]
    access: Option<AccessThenView>,
}

/// A suspension as it was. The journal has its author and reason.
#[derive(Serialize, ToSchema)]
struct PastSuspension {
    id: SuspensionId,
    at: Timestamp,
    /// The environments that it covered; empty if it covered all.
    environments: Vec<EnvironmentName>,
}

/// An approval that was pending.
#[derive(Serialize, ToSchema)]
struct PastApproval {
    id: ApprovalId,
    kind: Kind,
    subject: String,
    version: Digest,
}

/// The time, or the entry, to go back to.
struct When;

impl Filters for When {
    const ALL: &'static [Filter] = &[
        Filter::text("time", "Seconds since 1970, or RFC 3339"),
        Filter::number("index", "An entry"),
        Filter::text("partner", "This partner, its integrations and its approvals alone; no APIs"),
    ];
}

/// `GET /v1/journal/at?time=T` or `?index=N`: the state at a past time, or after an entry.
///
/// A time means the state after the last entry of that second. A time in the future is not found.
async fn at(State(broker): State<Broker>, _by: Admitted<Read>, asked: Asked<When>) -> Result<Json<Past>, Problem> {
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    let at = match (asked.filters.get("time"), asked.filters.get("index")) {
        (Some(time), None) => At::Time(moment(time).ok_or_else(malformed)?),
        (None, Some(index)) => At::Index(index.parse().map_err(|_| malformed())?),
        _ => return Err(malformed()),
    };
    let then = match at {
        At::Time(time) => Some(time).filter(|time| *time <= broker.now()),
        At::Index(index) => broker.journal.entry(index).await?.map(|entry| entry.time()),
    };
    let then = then.ok_or_else(|| match at {
        At::Time(time) => Problem::missing(format!("past at {time}: it lies ahead")),
        At::Index(index) => Problem::missing(format!("entry {index}")),
    })?;
    let partner: Option<PartnerName> = asked.filters.get("partner").map(str::parse).transpose().map_err(|_| malformed())?;
    let past = broker.access_at(at, then, partner.clone()).await?;
    Ok(Json(show(past, partner.as_ref(), then)))
}

/// Parses seconds since 1970, or RFC 3339.
pub fn moment(text: &str) -> Option<Timestamp> {
    let seconds = text.parse::<i64>().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_second()));
    Timestamp::from_seconds(seconds?)
}

/// Parses the same, or a day of UTC: its first second, plus `later` days.
pub fn moment_or_day(text: &str, later: u32) -> Option<Timestamp> {
    if text.len() == "2026-12-01".len() && text.as_bytes().get(4) == Some(&b'-') {
        return Some(moment(&format!("{text}T00:00:00Z"))?.plus(Seconds::days(later)));
    }
    moment(text)
}

/// A kind of entry. An unknown one is refused: an empty list would say that nothing of it happened.
pub fn kind(text: &str) -> Result<&str, Problem> {
    if Entry::kinds().any(|known| known == text) {
        return Ok(text);
    }
    let shown: String = text.chars().take(100).collect();
    let message = match nearest(text, Entry::kinds()) {
        Some(meant) => format!("there is no kind of entry {shown}; did you mean {meant}?"),
        None => format!("there is no kind of entry {shown}; known are {}", Entry::kinds().collect::<Vec<_>>().join(", ")),
    };
    Err(Problem::faults(vec![Fault::invalid("kind", message)]))
}

fn show(past: Then, partner: Option<&PartnerName>, then: Timestamp) -> Past {
    let state: &House = &past.state;
    let mut access: BTreeMap<IntegrationId, AccessThenView> = past.access.into_iter().collect();
    let about = partner.map(|partner| About::of(partner, state));
    let integrations = state.integrations.iter().filter(|(id, _)| partner.is_none_or(|one| id.partner == *one));
    let integrations = integrations.map(|(id, integration)| {
        let current = integration.current.as_ref();
        let mut environments = current.into_iter().flat_map(|current| current.record.environments.keys());
        PastIntegration {
            id: id.clone(),
            state: integration.phase().name(),
            suspensions: suspensions(&integration.suspensions),
            version: current.map(|version| version.version),
            environments: current.map(|version| version.record.environments.keys().cloned().collect()),
            tokens: environments.any(|environment| integration.suspensions.first_in(environment).is_none()),
            access: access.remove(id),
        }
    });
    let partners = state.partners.iter().filter(|(name, _)| partner.is_none_or(|one| one == *name));
    let partners = partners.map(|(name, partner)| PastPartner {
        id: name.clone(),
        state: partner.phase().name(),
        suspensions: suspensions(&partner.suspensions),
        version: partner.current.as_ref().map(|version| version.version),
        verified: partner.current.as_ref().map(|version| version.record.verification.expires),
    });
    let apis = state.apis.iter().filter(|_| partner.is_none());
    let apis = apis.map(|(name, api)| PastApi { id: name.clone(), version: api.current.as_ref().map(|one| one.version) });
    let pending = state.approvals.values().filter(|approval| approval.standing(then) == Standing::Pending);
    let pending = pending.filter(|approval| about.as_ref().is_none_or(|about| about.subjects().contains(approval.id.as_str())));
    let approvals = pending.map(|approval| PastApproval {
        id: approval.id.clone(),
        kind: approval.kind,
        subject: approval.subject.clone(),
        version: approval.version,
    });
    let mut refused: Vec<RevocationKey> = state.revoked.keys().filter(|key| state.is_refused(key)).cloned().collect();
    refused.sort();
    Past {
        time: then,
        epoch: state.epoch,
        apis: apis.collect(),
        partners: partners.collect(),
        integrations: integrations.collect(),
        approvals: approvals.collect(),
        refused,
    }
}

fn suspensions(all: &Suspensions) -> Vec<PastSuspension> {
    let shown = |one: &Suspension| PastSuspension {
        id: one.id.clone(),
        at: one.at,
        environments: one.environments.iter().cloned().collect(),
    };
    all.iter().map(shown).collect()
}
