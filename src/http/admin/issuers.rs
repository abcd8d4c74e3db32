//! Probes an issuer, so that people can check it before they approve a record that names it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::Sent;
use super::problem::Problem;
use super::route::{Route, post};
use crate::authn::{ProbeFault, ProbedKey};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::domain::people::actor::Contain;
use crate::domain::reason::{self, Reason};
use crate::domain::value::alg::Alg;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::Issuer;

/// The routes.
pub fn routes() -> Vec<Route> {
    let probed = "Fetch an issuer's discovery document and keys on purpose; nothing is kept";
    vec![post("/v1/issuers/probe", "probeIssuer", probed, probe)]
}

/// The issuer to probe.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Probe {
    /// Its URL.
    issuer: String,
}

/// An issuer as the probe found it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Probed {
    issuer: Issuer,
    jwks_uri: String,
    keys: Vec<ProbedKeyView>,
    /// The number of entries in its key set that are not usable keys.
    ignored: usize,
    /// Oddities of its key set, key by key, in fixed words.
    notes: Vec<String>,
}

/// A key of an issuer.
#[derive(Serialize, ToSchema)]
#[schema(as = ProbedKey)]
struct ProbedKeyView {
    #[schema(required)]
    kid: Option<String>,
    algs: Vec<Alg>,
    /// The thumbprint of the key (RFC 7638, SHA-256).
    thumbprint: Digest,
}

/// `POST /v1/issuers/probe`. The fetch obeys the rules of every other fetch.
async fn probe(
    State(broker): State<Broker>,
    _by: Admitted<Contain>,
    Sent(wanted): Sent<Probe>,
) -> Result<Json<Probed>, Problem> {
    let fault =
        |reason: &'static Reason, message: String| Problem::faults(vec![Fault { at: "issuer".to_owned(), reason, message }]);
    let issuer: Issuer = wanted
        .issuer
        .parse()
        .map_err(|_| fault(&reason::REQUEST_INVALID, "it is no issuer: expected an https URL without query".to_owned()))?;
    match broker.issuers.probe(&issuer).await {
        Ok(found) => {
            let keys = found.keys.into_iter().map(show).collect();
            Ok(Json(Probed { issuer, jwks_uri: found.jwks_uri, keys, ignored: found.ignored, notes: found.notes }))
        }
        Err(ProbeFault::Rests(rest)) => Err(Problem::of(&reason::ISSUER_RESTS).after(Some(rest))),
        Err(ProbeFault::Keys(cause)) => Err(fault(&reason::ISSUER_UNUSABLE, cause.to_string())),
    }
}

fn show(key: ProbedKey) -> ProbedKeyView {
    ProbedKeyView { kid: key.kid, algs: key.algs, thumbprint: key.thumbprint }
}
