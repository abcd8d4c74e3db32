//! `GET I/offboardings` and `POST I/offboardings/{id}/acknowledgements`: the workload of an API finds the offboardings that wait for it, and
//! says what it removed.
//!
//! It speaks for its API in this environment alone (docs/how-to/govern/offboard.md#for-an-api). It authenticates as at `I/elevations`.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Here;
use super::elevations::{denied_problem, proof, workload};
use super::held;
use crate::broker::failure::Failure;
use crate::broker::offboarding::{Awaited, NotTaken, Removed};
use crate::domain::reason;
use crate::domain::value::names::OffboardingId;
use crate::http::admin::{Problem, input};
use crate::http::error::no_store;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    removed: Vec<String>,
    evidence: Option<String>,
}

/// The offboardings that wait for an API here, or have its word.
pub async fn list(here: Here, headers: HeaderMap) -> Response {
    let listed = listed(&here, &headers).await;
    finished(&here, &headers, listed)
}

async fn listed(here: &Here, headers: &HeaderMap) -> Result<Response, Problem> {
    let workload = workload(here, headers, proof(here, headers)?, "/offboardings")?;
    let all = here.broker.awaited(&workload).await.map_err(|refused| problem(here, refused))?;
    let items: Vec<Value> = all.iter().map(view).collect();
    Ok(axum::Json(json!({"items": items})).into_response())
}

/// Takes the word of an API's workload.
pub async fn acknowledge(here: Here, headers: HeaderMap, id: String, body: Bytes) -> Response {
    let taken = taken(&here, &headers, &id, &body).await;
    finished(&here, &headers, taken)
}

async fn taken(here: &Here, headers: &HeaderMap, id: &str, body: &Bytes) -> Result<Response, Problem> {
    let proof = proof(here, headers)?;
    let Said { removed, evidence } = input::body(headers, body)?;
    let endpoint = format!("/offboardings/{id}/acknowledgements");
    let workload = workload(here, headers, proof, &endpoint)?;
    // Only the APIs that a case asks may learn that there is such a case.
    let foreign = || Problem::of(&reason::OFFBOARDING_FOREIGN);
    let id: OffboardingId = id.parse().map_err(|_| foreign())?;
    let word = Removed { removed, evidence };
    let taken = here.broker.acknowledge_workload(&workload, &id, &word).await.map_err(|refused| problem(here, refused))?;
    Ok((StatusCode::CREATED, axum::Json(view(&taken))).into_response())
}

fn view(one: &Awaited) -> Value {
    let state = if one.acknowledged { "acknowledged" } else { "waiting" };
    json!({"id": one.id, "subject": one.subject, "state": state, "started": one.started})
}

fn problem(here: &Here, refused: NotTaken) -> Problem {
    match refused {
        NotTaken::Denied(denied) => denied_problem(here, &denied),
        NotTaken::Unfit(faults) => Problem::faults(faults),
        NotTaken::Foreign => Problem::of(&reason::OFFBOARDING_FOREIGN),
        NotTaken::Over(message) => Failure::State(message).into(),
    }
}

fn finished(here: &Here, headers: &HeaderMap, outcome: Result<Response, Problem>) -> Response {
    let mut response = outcome.unwrap_or_else(|problem| problem.at(&here.request).into_response());
    no_store(response.headers_mut());
    held::tell_nonce(here, headers, &mut response);
    response
}
