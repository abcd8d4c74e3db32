//! Sign-in at the demo identity provider: a page of people to choose from, and the code flow.
//!
//! With it the console of `carnet dev` can be tried unchanged. The broker's own client uses this provider as it uses any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::issuer::{DemoIssuer, PEOPLE};
use crate::domain::value::digest::Digest;
use crate::http::form::Form;

/// The client id of the demo's console.
pub const CONSOLE: &str = "carnet-console";

/// The sign-in of one provider.
pub struct SignIn {
    issuer: Arc<DemoIssuer>,
    /// The only address that people are sent back to.
    redirect: String,
    /// Codes that were given and not redeemed yet.
    codes: Mutex<HashMap<String, Code>>,
}

struct Code {
    person: String,
    nonce: String,
    challenge: String,
}

/// The most codes at a time. At this number all are dropped before the next.
const MOST: usize = 100;

impl SignIn {
    /// The sign-in at `issuer`, for the console at `origin`.
    pub fn new(issuer: Arc<DemoIssuer>, origin: &str) -> Self {
        Self { issuer, redirect: format!("{origin}/console/callback"), codes: Mutex::default() }
    }

    /// True if the request to sign in is the console's.
    ///
    /// RFC 6749 section 4.1.1, RFC 7636 section 4.3.
    fn is_ours(&self, form: &Form<'_>) -> bool {
        form.get("client_id") == Some(CONSOLE)
            && form.get("redirect_uri") == Some(self.redirect.as_str())
            && form.get("response_type") == Some("code")
            && form.get("code_challenge_method") == Some("S256")
    }
}

/// Redeems a code, at the token address of the issuer.
pub(super) fn taken(sign_in: Arc<SignIn>) -> MethodRouter<Arc<DemoIssuer>> {
    post(token).with_state(sign_in)
}

pub(super) fn routes(path: &str, sign_in: Arc<SignIn>) -> Router {
    Router::new().route(&format!("{path}/authorize"), get(choose)).with_state(sign_in)
}

/// The page of people. The person who is chosen continues with a code.
async fn choose(State(sign_in): State<Arc<SignIn>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Ok(form) = Form::parse(&query) else { return StatusCode::BAD_REQUEST.into_response() };
    if !sign_in.is_ours(&form) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Some(person) = form.get("person") else {
        let query = query.replace('&', "&amp;").replace('"', "%22").replace('<', "%3C");
        let person = |(name, role, _): &(&str, crate::domain::people::actor::Role, &str)| {
            let role = format!("{role:?}").to_lowercase();
            format!("<li><a id=\"{name}\" href=\"?person={name}&amp;{query}\">{name}</a> ({role})</li>")
        };
        let people: String = PEOPLE.iter().map(person).collect();
        let head = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Demo people</title>";
        return Html(format!("{head}<h1>Who are you?</h1><ul>{people}</ul>")).into_response();
    };
    let (Some(state), Some(nonce), Some(challenge)) = (form.get("state"), form.get("nonce"), form.get("code_challenge")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let safe = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if !PEOPLE.iter().any(|(name, ..)| *name == person) || !safe(state) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let code = sign_in.issuer.unguessable();
    let given = Code { person: person.to_owned(), nonce: nonce.to_owned(), challenge: challenge.to_owned() };
    let mut codes = sign_in.codes.lock().unwrap_or_else(PoisonError::into_inner);
    if codes.len() >= MOST {
        codes.clear();
    }
    codes.insert(code.clone(), given);
    Redirect::to(&format!("{}?code={code}&state={state}", sign_in.redirect)).into_response()
}

/// `POST`: the ID token for a code, once, to the client that began the sign-in.
///
/// RFC 6749 section 4.1.3, RFC 7636 section 4.6.
async fn token(State(sign_in): State<Arc<SignIn>>, headers: HeaderMap, body: Bytes) -> Response {
    let refused = (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    let Ok(form) = Form::read(&headers, &body) else { return refused.into_response() };
    let code = form.get("code").and_then(|code| sign_in.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(code));
    let verifier = form.get("code_verifier").unwrap_or_default();
    let holds = |code: &Code| code.challenge == URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0);
    let Some(code) = code.filter(holds).filter(|_| form.get("redirect_uri") == Some(sign_in.redirect.as_str())) else {
        return refused.into_response();
    };
    match sign_in.issuer.signed_in(&code.person, CONSOLE, &code.nonce) {
        Some(token) => Json(
            json!({"access_token": sign_in.issuer.unguessable(), "token_type": "Bearer", "expires_in": 60, "id_token": token}),
        )
        .into_response(),
        None => refused.into_response(),
    }
}
