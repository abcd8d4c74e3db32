//! `POST I/elevations`: a workload requests an elevation by its own proof, and polls for its state.
//!
//! See docs/reference/admin-api.md. Nobody has to be signed in at the partner. Errors are `application/problem+json`; as at
//! the token endpoint, the caller sees a reason once they are known.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::Here;
use super::held;
use crate::broker::caller::Credential;
use crate::broker::elevation::{NotAsked, Workload};
use crate::broker::failure::Denied;
use crate::domain::decision::admission::Slot;
use crate::domain::elevation::{Request, Standing};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, ElevationId};
use crate::domain::value::quota::Operation;
use crate::http::admin::{Problem, asked::Asked, input};
use crate::http::authorization::Authorization;
use crate::http::error::no_store;

/// The seconds between two polls.
const WAIT: &str = "2";

/// Requests an elevation.
pub async fn ask(here: Here, headers: HeaderMap, body: Bytes) -> Response {
    let asked = asked(&here, &headers, &body).await;
    let mut response = asked.unwrap_or_else(|problem| problem.at(&here.request).into_response());
    held::tell_nonce(&here, &headers, &mut response);
    response
}

async fn asked(here: &Here, headers: &HeaderMap, body: &Bytes) -> Result<Response, Problem> {
    let proof = proof(here, headers)?;
    let asked: Asked = input::body(headers, body)?;
    let asked = asked.read().map_err(Problem::faults)?;
    let workload = workload(here, headers, proof, "/elevations")?;
    let (id, poll) = here.broker.elevate_workload(workload, asked).await.map_err(|fault| match fault {
        NotAsked::Denied(denied) => denied_problem(here, &denied),
        NotAsked::Unfit(faults) => Problem::faults(faults),
    })?;
    let view = here.broker.journal.view();
    let request = view.state.elevations.find(&id).ok_or_else(|| Problem::of(&reason::STORE_UNAVAILABLE))?;
    let mut told = show(here, request);
    told["pollToken"] = poll.into();
    let mut response = (StatusCode::ACCEPTED, axum::Json(told)).into_response();
    let response_headers = response.headers_mut();
    no_store(response_headers);
    if let Ok(place) = format!("{}/elevations/{id}", here.issuer).parse() {
        response_headers.insert(header::LOCATION, place);
    }
    response_headers.insert(header::RETRY_AFTER, HeaderValue::from_static(WAIT));
    Ok(response)
}

/// The workload that presents `proof` at this endpoint.
pub(super) fn workload(here: &Here, headers: &HeaderMap, proof: Credential, endpoint: &str) -> Result<Workload, Problem> {
    let possession = held::proof(here, headers, || Ok(held::own_endpoint(here, endpoint)), None);
    Ok(Workload {
        environment: here.environment.clone(),
        proof,
        certificate: here.certificate.clone(),
        possession: possession.map_err(|reason| stranger(here, reason))?,
        source: Some(here.peer),
        request: here.request.clone(),
    })
}

/// The proof of a workload: a bearer assertion, or a certificate.
pub(super) fn proof(here: &Here, headers: &HeaderMap) -> Result<Credential, Problem> {
    match (Authorization::of(headers), &here.certificate) {
        (Authorization::Token { text, as_dpop: false }, _) => Ok(Credential::Assertion { text, slot: Slot::ClientAssertion }),
        (Authorization::Absent, Some(_)) => Ok(Credential::Certificate),
        _ => Err(stranger(here, &reason::CLIENT_MISSING)),
    }
}

/// The answer to an unknown caller: that no caller is known, and never why.
///
/// See docs/reference/http.md#refusals.
fn stranger(here: &Here, reason: &'static Reason) -> Problem {
    denied_problem(here, &Denied::from(Refused::unknown(reason)))
}

pub(super) fn denied_problem(here: &Here, denied: &Denied) -> Problem {
    let refused = &denied.refused;
    here.metrics.refused(refused.reason);
    let is_busy = matches!(refused.reason.class, reason::Class::Busy | reason::Class::Form | reason::Class::Quota);
    // The fault of a DPoP proof says nothing about the caller, and without it nobody could make a better proof.
    let of_proof = matches!(refused.reason.class, reason::Class::Possession | reason::Class::Nonce);
    if refused.known.is_some() || of_proof {
        Problem::of(refused.reason).known().after(denied.retry_after)
    } else if is_busy {
        Problem::of(refused.reason).after(denied.retry_after)
    } else {
        Problem::to_stranger()
    }
}

/// The state of an elevation, for the holder of its poll token. Anybody else gets a 404.
pub async fn poll(here: Here, headers: HeaderMap, id: String) -> Response {
    let view = here.broker.journal.view();
    let found = || {
        let id: ElevationId = id.parse().ok()?;
        let token = Authorization::bearer(&headers)?;
        let request = view.state.elevations.find(&id)?;
        let known = request.elevation.poll?.0.ct_eq(&Digest::of(token.as_bytes()).0);
        let here_too = request.elevation.environment == here.environment;
        (bool::from(known) && here_too).then_some(request)
    };
    // One answer for another elevation, another environment and another token.
    let missing = || Problem::missing("elevation that this poll token opens").at(&here.request).into_response();
    let Some(request) = found() else { return missing() };
    let client = ClientId::Integration(request.elevation.integration.clone());
    if let Err(denied) = here.broker.take(&here.environment, &client, Operation::ElevationPoll, None).await {
        here.broker.note(&here.environment, &here.request, &denied.refused);
        return denied_problem(&here, &denied).at(&here.request).into_response();
    }
    let told = show(&here, request);
    let waits = told["state"] == json!(Standing::Pending);
    let mut response = axum::Json(told).into_response();
    no_store(response.headers_mut());
    if waits {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(WAIT));
    }
    response
}

/// The facts that the workload may know: its own request, its remaining terms, and the times.
///
/// It does not see who decided: those are our own people.
fn show(here: &Here, request: &Request) -> Value {
    let (terms, period) = (request.terms(), request.period());
    let asked = &request.elevation;
    json!({
        "id": asked.id, "version": request.version(&here.broker.journal.view().state),
        "state": request.standing(here.broker.now()), "api": asked.api, "scopes": terms.scopes, "allow": terms.allow,
        "duration": terms.duration.to_string(), "starts": period.map(|(starts, _)| starts).or(asked.starts),
        "ends": period.map(|(_, ends)| ends), "expires": asked.expires, "ticket": asked.ticket,
    })
}
