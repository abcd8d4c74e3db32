//! Certificates: authorities and the leaves on record, asking for a first enrolment, and the next issuing key.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::ShownOnce;
use super::input::{Page, body, named};
use super::people::Why;
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::credential::certificate::{AuthorityState, Leaf};
use crate::domain::people::actor::{Operate, Read, Submit};
use crate::domain::reason;
use crate::domain::state::State as House;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, IntegrationId};

/// For whom an enrolment token is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    integration: String,
    environment: String,
    reason: String,
}

/// `POST /v1/enrolments`. The token is shown in this answer alone, and works once somebody else of security has approved it.
pub async fn ask(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Ask = body(&headers, &bytes)?;
        let (integration, environment): (IntegrationId, EnvironmentName) =
            (named(&wanted.integration)?, named(&wanted.environment)?);
        let state = &broker.journal.view().state;
        if !state.integrations.contains_key(&integration) {
            return Err(Problem::missing(format!("integration {integration}")));
        }
        if state.environment(&environment).is_none() {
            return Err(Problem::missing(format!("environment {environment}")));
        }
        let request = by.made_for();
        let asked = broker.ask_enrolment(&by.by, &integration, &environment, &wanted.reason, request).await?;
        let told = json!({"id": asked.id, "approval": asked.approval, "token": asked.token});
        let mut response = (StatusCode::CREATED, axum::Json(told)).into_response();
        response.extensions_mut().insert(ShownOnce("token"));
        Ok(response)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/authorities`.
pub async fn authorities(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let page = Page::of(query.as_deref(), &["environment"]).map_err(|problem| problem.at(&by.request))?;
    let (view, now) = (broker.journal.view(), broker.now());
    let is = |known: &&AuthorityState| {
        page.filters.get("environment").is_none_or(|environment| known.authority.environment.as_str() == environment)
    };
    let mut all: Vec<(String, &AuthorityState)> = view
        .state
        .certificates
        .all_authorities()
        .filter(is)
        .map(|known| (format!("{}/{}", known.authority.environment, known.authority.kid), known))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(page.cut(all.into_iter(), |known| show_authority(&view.state, known, now)))
}

/// `POST /v1/authorities/{environment}/rotate`: another issuing key under the same root.
pub async fn rotate(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        let environment = named(&environment)?;
        let kid = broker.rotate_authority(&by.by, &environment, &why.reason, by.made_for()).await?;
        let (view, now) = (broker.journal.view(), broker.now());
        let made = view.state.certificates.all_authorities().find(|known| known.authority.kid == kid);
        let made = made.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        Ok((StatusCode::CREATED, axum::Json(show_authority(&view.state, made, now))).into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/certificates`: those that count, and those that ended within two days.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let filters = ["environment", "integration", "state"];
    let page = Page::of(query.as_deref(), &filters).map_err(|problem| problem.at(&by.request))?;
    let (view, now) = (broker.journal.view(), broker.now());
    let is = |name: &str, value: &str| page.filters.get(name).is_none_or(|wanted| wanted == value);
    let wanted = |leaf: &&Leaf| {
        is("environment", leaf.environment.as_str())
            && is("integration", &leaf.integration.to_string())
            && is("state", state(&view.state, leaf, now))
    };
    let all = view.state.certificates.leaves().filter(wanted);
    Ok(page.cut(all.map(|leaf| (format!("{}/{}", leaf.environment, leaf.serial), leaf)), |leaf| show(&view.state, leaf, now)))
}

fn state(house: &House, leaf: &Leaf, now: Timestamp) -> &'static str {
    if house.is_refused(&leaf.revocation_key()) {
        "revoked"
    } else if now >= leaf.ends {
        "expired"
    } else {
        "valid"
    }
}

fn show(house: &House, leaf: &Leaf, now: Timestamp) -> Value {
    json!({
        "id": format!("{}/{}", leaf.environment, leaf.serial), "version": Digest::of_json(leaf), "state": state(house, leaf, now),
        "environment": leaf.environment, "integration": leaf.integration, "serial": leaf.serial, "authority": leaf.authority,
        "key": leaf.key, "starts": leaf.starts, "ends": leaf.ends,
    })
}

fn show_authority(house: &House, known: &AuthorityState, now: Timestamp) -> Value {
    let authority = &known.authority;
    let issues = house.certificates.issuing(&authority.environment, now).is_some_and(|issuing| issuing.kid == authority.kid);
    let state = match (known.tainted, now >= authority.ends, issues) {
        (true, _, _) => "tainted",
        (false, true, _) => "expired",
        (false, false, true) => "active",
        (false, false, false) => "retiring",
    };
    json!({
        "id": format!("{}/{}", authority.environment, authority.kid), "version": Digest::of_json(authority), "state": state,
        "environment": authority.environment, "kid": authority.kid, "ends": authority.ends, "root": authority.root,
        "issuing": authority.issuing,
    })
}
