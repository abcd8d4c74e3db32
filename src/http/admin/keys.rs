//! The key ladder, as administrators see and move it.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::confirmed;
use super::input::{Page, body, named};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::revocation::Fault;
use crate::domain::credential::keys::KeyState;
use crate::domain::people::actor::{Operate, Read};
use crate::domain::reason;
use crate::domain::state::State as House;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;

/// What a rotation is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rotate {
    alg: Alg,
    #[serde(default)]
    accept_outage: bool,
}

/// Which key is tainted, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Taint {
    kid: String,
    reason: String,
}

/// `GET /v1/keys`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let page = Page::of(query.as_deref(), &["environment"]).map_err(|problem| problem.at(&by.request))?;
    let (view, now) = (broker.journal.view(), broker.now());
    let wanted =
        |key: &&KeyState| page.filters.get("environment").is_none_or(|environment| key.key.environment.as_str() == environment);
    let mut keys: Vec<(String, &KeyState)> =
        view.state.keys.all().filter(wanted).map(|key| (format!("{}/{}", key.key.environment, key.key.kid), key)).collect();
    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(page.cut(keys.into_iter(), |key| show(&view.state, key, now)))
}

/// `POST /v1/keys/{env}/rotate`.
pub async fn rotate(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Rotate = body(&headers, &bytes)?;
        if wanted.alg == Alg::Ps256 {
            let message = "tokens are signed with ES256, RS256, EdDSA or Ed25519".to_owned();
            return Err(Problem::faults(vec![Fault { at: "alg".to_owned(), reason: &reason::REQUEST_INVALID, message }]));
        }
        let environment = named(&environment)?;
        let request = by.made_for();
        let kid = broker.rotate(&by.by, &environment, wanted.alg, wanted.accept_outage, request).await?;
        let view = broker.journal.view();
        let made = view.state.keys.find(&environment, &kid).map(|key| show(&view.state, key, broker.now()));
        Ok((StatusCode::CREATED, axum::Json(made)).into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `POST /v1/keys/{env}/taint`.
pub async fn taint(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Taint = body(&headers, &bytes)?;
        let (environment, kid) = (named(&environment)?, named(&wanted.kid)?);
        let cut = broker.taint(&by.by, &environment, &kid, &wanted.reason, by.made_for()).await?;
        Ok(confirmed(&broker, &by.request, cut, StatusCode::NO_CONTENT.into_response()).await)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

fn show(state: &House, key: &KeyState, now: Timestamp) -> Value {
    let rung = state.keys.rung(key, now);
    json!({
        "id": format!("{}/{}", key.key.environment, key.key.kid), "version": key.key.sealed, "state": rung.name(),
        "environment": key.key.environment, "kid": key.key.kid, "alg": key.key.alg, "created": key.created,
        "usableFrom": key.key.usable_from, "public": key.key.public,
    })
}
