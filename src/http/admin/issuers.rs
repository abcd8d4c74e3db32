//! Issuers: a look at one, on purpose, before a record that names it is approved.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::body;
use super::problem::Problem;
use crate::authn::{ProbeFault, ProbedKey};
use crate::broker::Broker;
use crate::broker::revocation::Fault;
use crate::domain::people::actor::Contain;
use crate::domain::reason::{self, Reason};
use crate::domain::value::names::Issuer;

/// Which issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    issuer: String,
}

/// `POST /v1/issuers/probe`: fetches an issuer's discovery document and keys, by the rules that hold for every fetch. Nothing is kept.
pub async fn probe(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Probe = body(&headers, &bytes)?;
        let fault = |reason: &'static Reason, message: String| {
            Problem::faults(vec![Fault { at: "issuer".to_owned(), reason, message }])
        };
        let issuer: Issuer = wanted
            .issuer
            .parse()
            .map_err(|_| fault(&reason::REQUEST_INVALID, "it is no issuer: expected an https URL without query".to_owned()))?;
        match broker.issuers.probe(&issuer).await {
            Ok(found) => {
                let keys: Vec<Value> = found.keys.iter().map(show).collect();
                let shown = json!({
                    "issuer": issuer, "jwksUri": found.jwks_uri, "keys": keys, "ignored": found.ignored, "notes": found.notes,
                });
                Ok(axum::Json(shown).into_response())
            }
            Err(ProbeFault::Rests(rest)) => Err(Problem::of(&reason::ISSUER_RESTS).after(Some(rest))),
            Err(ProbeFault::Keys(cause)) => Err(fault(&reason::ISSUER_UNUSABLE, cause.to_string())),
        }
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

fn show(key: &ProbedKey) -> Value {
    json!({"kid": key.kid, "algs": key.algs, "thumbprint": key.thumbprint})
}
