//! `POST I/token`: RFC 8693 exchange, RFC 7523 grant, and client credentials by assertion.
//!
//! Enter through [`token`]. It turns a strict form into a request of the broker and the outcome into a response; every rule
//! is in the layers below.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Here;
use super::held;
use crate::broker::caller::Credential;
use crate::broker::exchange::{Exchanged, Request};
use crate::broker::failure::Denied;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::claims::Detail;
use crate::domain::decision::admission::Slot;
use crate::domain::decision::ask::{Ask, Target};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::http::error::{Slotted, no_store, refuse};
use crate::http::form::Form;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const TYPE_ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const TYPE_ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The grants that the metadata lists.
pub const GRANTS: [&str; 3] = [CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE];

/// The members of a successful answer, except the token.
#[derive(Serialize)]
struct Success<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: u32,
    scope: &'a str,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    authorization_details: &'a [Detail],
}

/// Answers a token request.
pub async fn token(here: Here, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = answer(&here, &headers, &body).await;
    held::tell_nonce(&here, &headers, &mut response);
    response
}

async fn answer(here: &Here, headers: &HeaderMap, body: &[u8]) -> Response {
    let read = Form::read(headers, body).and_then(|form| request(form, headers, here));
    let (request, slot) = match read {
        Ok((request, slot)) => (request, slot),
        Err(reason) => {
            let refused = Refused::unknown(reason);
            here.broker.note(&here.environment, &here.request, &refused);
            let slot = Slotted::TokenExchange;
            here.metrics.exchange(&here.environment, Some(reason), here.started.elapsed());
            here.metrics.refused(reason);
            return refuse(&Denied::from(refused), slot, &here.request);
        }
    };
    match here.broker.exchange(&request).await {
        Ok(exchanged) => {
            here.metrics.exchange(&here.environment, None, here.started.elapsed());
            here.metrics.issued(&here.environment, &exchanged.api);
            success(&exchanged, slot)
        }
        Err(denied) => {
            here.metrics.exchange(&here.environment, Some(denied.refused.reason), here.started.elapsed());
            here.metrics.refused(denied.refused.reason);
            refuse(&denied, slot, &here.request)
        }
    }
}

fn success(exchanged: &Exchanged, slot: Slotted) -> Response {
    let body = Success {
        issued_token_type: (slot == Slotted::TokenExchange).then_some(TYPE_ACCESS_TOKEN),
        token_type: if exchanged.by_proof { "DPoP" } else { "Bearer" },
        expires_in: exchanged.expires_in.0,
        scope: &exchanged.scope,
        authorization_details: &exchanged.details,
    };
    response(exchanged.token.reveal(), &body)
}

/// Writes body and headers into one allocation each; growing either would copy it several times.
///
/// A token is base64url with two dots, which JSON writes unchanged. The token becomes the first member of the object that
/// `rest` is written as.
fn response(token: &str, rest: &Success<'_>) -> Response {
    let mut json = Vec::with_capacity(token.len() + 512);
    json.extend_from_slice(br#"{"access_token":""#);
    json.extend_from_slice(token.as_bytes());
    json.push(b'"');
    let joint = json.len();
    if serde_json::to_writer(&mut json, rest).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if let Some(brace) = json.get_mut(joint) {
        *brace = b',';
    }
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    // Room for these headers, the front's, and a nonce.
    *headers = HeaderMap::with_capacity(9);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    no_store(headers);
    response
}

/// Parses a strict form. Everybody sees a fault of the form.
fn request(mut form: Form<'_>, headers: &HeaderMap, here: &Here) -> Result<(Request, Slotted), &'static Reason> {
    let (slot, slotted, parameter) = match form.get("grant_type").ok_or(&reason::FORM_MISSING)? {
        TOKEN_EXCHANGE => (Slot::SubjectToken, Slotted::TokenExchange, "subject_token"),
        JWT_BEARER => (Slot::Assertion, Slotted::JwtBearer, "assertion"),
        CLIENT_CREDENTIALS => (Slot::ClientAssertion, Slotted::ClientCredentials, "client_assertion"),
        _ => return Err(&reason::GRANT_UNSUPPORTED),
    };
    if slot == Slot::SubjectToken {
        exchange_types(&form)?;
    }
    // RFC 8705 section 2: without an assertion a certificate authenticates the client, and `client_id` must name it.
    let by_certificate = slot == Slot::ClientAssertion && here.certificate.is_some() && !asserts(&form);
    if by_certificate && form.get("client_id").is_none() {
        return Err(&reason::FORM_MISSING);
    }
    client_authentication(&form, headers, slot, by_certificate)?;
    if form.get("authorization_details").is_some() {
        return Err(&reason::DETAILS_UNSUPPORTED);
    }
    let missing = if slot == Slot::ClientAssertion { &reason::CLIENT_MISSING } else { &reason::FORM_MISSING };
    let proof = match form.take(parameter) {
        Some(text) => Credential::Assertion { text, slot },
        None if by_certificate => Credential::Certificate,
        None => return Err(missing),
    };
    let target =
        form.target().map(|(is_resource, value)| if is_resource { Target::Resource(value) } else { Target::Name(value) });
    let ask = Ask { target, scope: form.take("scope"), client: form.take("client_id") };
    let possession = possession(headers, here)?;
    let request = Request {
        possession,
        environment: here.environment.clone(),
        proof,
        ask,
        source: Some(here.peer),
        certificate: here.certificate.clone(),
        id: here.request.clone(),
    };
    Ok((request, slotted))
}

/// Checks the token types of an exchange (RFC 8693 section 2.1).
///
/// A partner's token is a `jwt` or an `id_token`, and we issue an access token. An actor is refused, never dropped:
/// delegation does not exist.
fn exchange_types(form: &Form<'_>) -> Result<(), &'static Reason> {
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(&reason::ACTOR_UNSUPPORTED);
    }
    let subject = form.get("subject_token_type").ok_or(&reason::FORM_MISSING)?;
    let requested = form.get("requested_token_type").unwrap_or(TYPE_ACCESS_TOKEN);
    if [TYPE_JWT, TYPE_ID_TOKEN].contains(&subject) && requested == TYPE_ACCESS_TOKEN {
        Ok(())
    } else {
        Err(&reason::FORM_TOKEN_TYPE)
    }
}

/// Allows at most one method of client authentication (RFC 6749 section 2.3).
///
/// In an exchange or grant the proof itself authenticates the client. A second proof is refused, never ignored.
fn client_authentication(
    form: &Form<'_>,
    headers: &HeaderMap,
    slot: Slot,
    by_certificate: bool,
) -> Result<(), &'static Reason> {
    let basic = headers.contains_key(header::AUTHORIZATION) || form.get("client_secret").is_some();
    let assertion = asserts(form);
    if basic && assertion {
        return Err(&reason::FORM_TWO_PROOFS);
    }
    if basic {
        return Err(&reason::CLIENT_MISSING);
    }
    if !assertion {
        return if slot == Slot::ClientAssertion && !by_certificate { Err(&reason::CLIENT_MISSING) } else { Ok(()) };
    }
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(if form.get("client_assertion_type").is_some() { &reason::FORM_TOKEN_TYPE } else { &reason::FORM_MISSING });
    }
    if slot == Slot::ClientAssertion { Ok(()) } else { Err(&reason::FORM_TWO_PROOFS) }
}

/// The key of the one `DPoP` header, if there is one.
///
/// It is verified before anything is looked up or spent, so that a client that needs a nonce can send the same assertion
/// again (docs/security/standards.md#nonce-before-jti).
fn possession(headers: &HeaderMap, here: &Here) -> Result<Option<Verified<Possession>>, &'static Reason> {
    held::proof(here, headers, || Ok(held::own_endpoint(here, "/token")), None)
}

fn asserts(form: &Form<'_>) -> bool {
    form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some()
}
