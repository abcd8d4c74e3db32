//! `POST I/introspect` (RFC 7662) and `POST I/revoke` (RFC 7009), for the same callers and proofs.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Here;
use super::held;
use crate::broker::failure::Denied;
use crate::broker::found_lately::Found;
use crate::broker::introspection::ClientCredential;
use crate::broker::verification::HeldToken;
use crate::domain::credential::confirmation::Confirmation;
use crate::domain::decision::peer::Peer;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::names::ClientId;
use crate::domain::value::quota::Operation;
use crate::http::authorization::Authorization;
use crate::http::error::{Slotted, no_store, refuse};
use crate::http::form::Form;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers with the facts about a token that the caller may know.
pub async fn introspect(here: Here, headers: HeaderMap, body: Bytes) -> Response {
    let (token, caller) = match asked(&here, &headers, &body, Operation::Introspection).await {
        Ok(asked) => asked,
        Err(denied) => return refused(&here, &denied, &headers),
    };
    match here.broker.introspect(&here.environment, &caller, &token).await {
        Ok(found) => {
            let mut response =
                axum::Json(found.map_or_else(|| json!({"active": false}), |found| active(&found))).into_response();
            no_store(response.headers_mut());
            response
        }
        Err(denied) => refused(&here, &denied, &headers),
    }
}

/// Revokes a token of the caller's; 200 for anything else as well (RFC 7009 section 2.2).
pub async fn revoke(here: Here, headers: HeaderMap, body: Bytes) -> Response {
    let (token, caller) = match asked(&here, &headers, &body, Operation::Revocation).await {
        Ok(asked) => asked,
        Err(denied) => return refused(&here, &denied, &headers),
    };
    match here.broker.revoke_token(&here.environment, &caller, &token, &here.request).await {
        Ok(()) => {
            let mut response = StatusCode::OK.into_response();
            no_store(response.headers_mut());
            response
        }
        Err(denied) => refused(&here, &denied, &headers),
    }
}

/// The token of the request, and the caller.
async fn asked(here: &Here, headers: &HeaderMap, body: &[u8], operation: Operation) -> Result<(String, ClientId), Denied> {
    let endpoint = if operation == Operation::Revocation { "/revoke" } else { "/introspect" };
    let fault = |reason: &'static Reason| Denied::from(Refused::unknown(reason));
    let mut form = Form::read(headers, body).map_err(fault)?;
    let credential = credential(here, &mut form, headers, endpoint).map_err(fault)?;
    // The caller is authenticated first: an unknown one learns nothing about the form.
    let caller = here.broker.authenticate(&here.environment, &credential, operation).await?;
    let token = form.take("token").ok_or_else(|| fault(&reason::FORM_MISSING))?;
    Ok((token, caller))
}

fn credential(here: &Here, form: &mut Form, headers: &HeaderMap, endpoint: &str) -> Result<ClientCredential, &'static Reason> {
    let assertion = form.take("client_assertion");
    match (Authorization::of(headers), assertion) {
        (Authorization::Several, _) | (Authorization::Token { .. } | Authorization::Other, Some(_)) => {
            Err(&reason::FORM_TWO_PROOFS)
        }
        (Authorization::Other, None) => Err(&reason::CLIENT_MISSING),
        (Authorization::Token { text, as_dpop }, None) => {
            // Only a bound token needs a proof, which must name this endpoint and this token.
            let possession = held::proof(here, headers, || Ok(held::own_endpoint(here, endpoint)), Some(&text))?;
            let certificate = here.certificate.as_ref().map(Peer::fingerprint);
            Ok(ClientCredential::Token(HeldToken { text, as_dpop, certificate, possession }))
        }
        (Authorization::Absent, Some(text)) if form.get("client_assertion_type") == Some(ASSERTION_TYPE) => {
            Ok(ClientCredential::Assertion { text, client: form.take("client_id") })
        }
        (Authorization::Absent, Some(_)) => Err(&reason::CLIENT_MISSING),
        // RFC 8705 section 2: the connection's certificate authenticates, and `client_id` names the client.
        (Authorization::Absent, None) => match (here.certificate.clone(), form.take("client_id")) {
            (Some(shown), Some(client)) => Ok(ClientCredential::Certificate { shown, client }),
            _ => Err(&reason::CLIENT_MISSING),
        },
    }
}

fn active(found: &Found) -> Value {
    let claims = &found.claims;
    let mut answer = json!({
        "active": true,
        "iss": claims.iss,
        "aud": claims.aud,
        "sub": claims.sub,
        "client_id": claims.client_id,
        "exp": claims.exp,
        "iat": claims.iat,
        "nbf": claims.nbf,
        "jti": claims.jti,
        "scope": claims.scope.to_string(),
        "token_type": if matches!(claims.cnf, Some(Confirmation::ProofKey(_))) { "DPoP" } else { "Bearer" },
        "env": claims.env,
        "entry": claims.entry,
        "binding": claims.binding,
    });
    if let Some(confirmation) = claims.cnf {
        answer["cnf"] = json!(confirmation);
    }
    if !claims.authorization_details.is_empty() {
        answer["authorization_details"] = json!(claims.authorization_details);
    }
    answer
}

/// The refusal of either endpoint.
pub(super) fn refused(here: &Here, denied: &Denied, headers: &HeaderMap) -> Response {
    here.broker.note(&here.environment, &here.request, &denied.refused);
    here.metrics.refused(denied.refused.reason);
    let mut response = refuse(denied, Slotted::Endpoint, &here.request);
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = if headers.contains_key(header::AUTHORIZATION) { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}
