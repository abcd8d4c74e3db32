//! `POST I/signals`: a workload says that somebody else may act as it.
//!
//! It speaks of its own integration in this environment alone, and says `compromised` and nothing else. What it says ends its own
//! access, so whoever holds its proof can do no more harm by it than an end.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::Here;
use super::elevations::{denied_problem, proof, workload};
use super::held;
use crate::domain::registry::signal::SignalKind;
use crate::http::admin::{Problem, input, signals::reference};
use crate::http::error::no_store;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    kind: SignalKind,
    reason: String,
    reference: Option<String>,
}

/// Takes the word of a workload.
pub async fn send(here: Here, headers: HeaderMap, body: Bytes) -> Response {
    let sent = sent(&here, &headers, &body).await;
    let mut response = sent.unwrap_or_else(|problem| problem.at(&here.request).into_response());
    held::tell_nonce(&here, &headers, &mut response);
    response
}

async fn sent(here: &Here, headers: &HeaderMap, body: &Bytes) -> Result<Response, Problem> {
    let proof = proof(here, headers)?;
    let said: Said = input::body(headers, body)?;
    reference(said.reference.as_deref())?;
    if said.kind != SignalKind::Compromised {
        let message = "expected compromised: a workload says nothing else of itself";
        let fault = crate::broker::failure::Fault::invalid("kind", message);
        return Err(Problem::faults(vec![fault]));
    }
    let workload = workload(here, headers, proof, "/signals")?;
    let taken = here.broker.signal_workload(&workload, &said.reason, said.reference).await;
    let taken = taken.map_err(|denied| denied_problem(here, &denied))?;
    if let Some(cut) = &taken.cut {
        here.broker.confirm(cut.unconfirmed).await.map_err(|denied| denied_problem(here, &denied))?;
    }
    let status = if taken.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let signal = &taken.signal;
    let told = json!({
        "id": signal.id, "state": signal.standing().name(), "kind": signal.says.name(), "subject": signal.about, "at": signal.at,
        "reference": signal.reference,
    });
    let mut response = (status, axum::Json(told)).into_response();
    no_store(response.headers_mut());
    Ok(response)
}
