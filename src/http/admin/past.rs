//! Time travel: what was in force at a time of the past, made again from the journal's changes.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::Page;
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::registry::approval::Standing;
use crate::domain::state::{Phase, State as House};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::journal::At;

/// `GET /v1/journal/at?time=T` (seconds since 1970 or RFC 3339) or `?index=N`: what was in force after the last entry of that second, or
/// after that entry. The future is not known.
pub async fn at(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let told = async {
        let page = Page::of(query.as_deref(), &["time", "index"])?;
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let at = match (page.filters.get("time"), page.filters.get("index")) {
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
        let state = broker.journal.state_at(at).await?;
        Ok(axum::Json(show(&state, then)).into_response())
    };
    told.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// Seconds since 1970, or RFC 3339.
pub fn moment(text: &str) -> Option<Timestamp> {
    let seconds = text.parse::<i64>().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_second()));
    Timestamp::from_seconds(seconds?)
}

/// The same, or a day of UTC: its first second, `later` days after it.
pub fn moment_or_day(text: &str, later: u32) -> Option<Timestamp> {
    if text.len() == "2026-12-01".len() && text.as_bytes().get(4) == Some(&b'-') {
        return Some(moment(&format!("{text}T00:00:00Z"))?.plus(Seconds::days(later)));
    }
    moment(text)
}

/// Versions, not records: an entry of the journal has the record of each version.
fn show(state: &House, then: Timestamp) -> Value {
    let integrations = state.integrations.iter().map(|(id, integration)| {
        let current = integration.current.as_ref();
        json!({
            "id": id, "state": integration.phase().name(), "version": current.map(|version| version.version),
            "environments": current.map(|version| version.record.environments.keys().collect::<Vec<_>>()),
            "tokens": integration.phase() == Phase::Active,
        })
    });
    let partners = state.partners.iter().map(|(name, partner)| {
        json!({
            "id": name, "state": if partner.suspended.is_some() { "suspended" } else { "standing" },
            "version": partner.current.as_ref().map(|version| version.version),
            "verified": partner.current.as_ref().map(|version| version.record.verification.expires),
        })
    });
    let apis = state
        .apis
        .iter()
        .map(|(name, api)| json!({"id": name, "version": api.current.as_ref().map(|version| version.version)}));
    let pending = state.approvals.values().filter(|approval| approval.standing(then) == Standing::Pending).map(
        |approval| json!({"id": approval.id, "kind": approval.kind, "subject": approval.subject, "version": approval.version}),
    );
    let mut refused: Vec<_> = state.refused.iter().collect();
    refused.sort();
    json!({
        "time": then, "epoch": state.epoch,
        "apis": apis.collect::<Vec<_>>(), "partners": partners.collect::<Vec<_>>(),
        "integrations": integrations.collect::<Vec<_>>(), "approvals": pending.collect::<Vec<_>>(), "refused": refused,
    })
}
