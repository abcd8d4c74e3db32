//! The demo API, which verifies tokens as an internal API should.
//!
//! It trusts only the broker's discovery document: signature by JWKS (RFC 9068 section 4), then issuer, type, audience, life,
//! scope, and revocation by introspection (RFC 7662).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::DemoIssuer;
use crate::authn::{Trust, UnverifiedAssertion, Verifier};
use crate::domain::caller::proof::Assertion;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Clock;
use crate::domain::value::names::Issuer;
use crate::http::authorization::Authorization;

/// Asks the broker if a token is active.
///
/// It takes the API's own proof and the token, and returns the answer; `None` if there is no answer.
pub type Introspect =
    Box<dyn Fn(String, String) -> std::pin::Pin<Box<dyn Future<Output = Option<Value>> + Send>> + Send + Sync>;

/// The demo API.
pub struct Orders {
    /// The issuer whose tokens it takes.
    pub issuer: Issuer,
    /// Its own audience.
    pub audience: String,
    /// The verifier, with the broker's keys by discovery.
    pub verifier: Verifier,
    /// The issuer of its own proofs.
    pub workloads: Arc<DemoIssuer>,
    /// The introspection at the broker.
    pub introspect: Introspect,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The reason why a token is not taken (RFC 6750 section 3.1).
enum Challenge {
    Missing,
    Invalid(&'static str),
    Scope(&'static str),
    Away,
}

pub(super) fn routes(orders: Arc<Orders>) -> Router {
    Router::new().route("/v1/orders", get(list)).route("/v1/orders/{id}/status", patch(change)).with_state(orders)
}

async fn list(State(orders): State<Arc<Orders>>, headers: HeaderMap) -> Response {
    match orders.admit(&headers, "orders:read").await {
        Ok(client) => Json(json!({"orders": [{"id": "1001", "status": "shipped"}], "client": client})).into_response(),
        Err(challenge) => challenge.response(),
    }
}

async fn change(State(orders): State<Arc<Orders>>, headers: HeaderMap) -> Response {
    match orders.admit(&headers, "orders:write").await {
        Ok(client) => Json(json!({"id": "1001", "status": "delivered", "client": client})).into_response(),
        Err(challenge) => challenge.response(),
    }
}

impl Orders {
    /// The client of a token that is valid for `scope` here and now.
    async fn admit(&self, headers: &HeaderMap, scope: &'static str) -> Result<String, Challenge> {
        let text = Authorization::bearer(headers).ok_or(Challenge::Missing)?;
        let token = UnverifiedAssertion::parse(&text).map_err(|_| Challenge::Invalid("not a JWT"))?;
        if *token.issuer() != self.issuer {
            return Err(Challenge::Invalid("another issuer"));
        }
        let source = KeySource::Discovery(self.issuer.clone());
        let trust = [Trust { source: &source, algs: &[Alg::Es256] }];
        let token =
            self.verifier.verify(token, &trust).await.map_err(|_| Challenge::Invalid("no key of the issuer signed it"))?;
        self.check(&token, scope)?;
        let proof = self.workloads.api(self.issuer.as_str()).ok_or(Challenge::Away)?;
        let answer = (self.introspect)(proof, text).await.ok_or(Challenge::Away)?;
        if answer["active"] != true {
            return Err(Challenge::Invalid("revoked, or not on record"));
        }
        Ok(token.subject.as_str().to_owned())
    }

    fn check(&self, token: &Assertion, scope: &'static str) -> Result<(), Challenge> {
        if token.typ.as_deref() != Some("at+jwt") {
            return Err(Challenge::Invalid("another type than at+jwt"));
        }
        if token.audience != [self.audience.as_str()] {
            return Err(Challenge::Invalid("another audience"));
        }
        if token.expires <= self.clock.now() {
            return Err(Challenge::Invalid("expired"));
        }
        let granted = token.claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        if granted.split(' ').any(|granted| granted == scope) { Ok(()) } else { Err(Challenge::Scope(scope)) }
    }
}

impl Challenge {
    fn response(self) -> Response {
        let (status, challenge) = match self {
            Self::Away => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Self::Missing => (StatusCode::UNAUTHORIZED, "Bearer".to_owned()),
            Self::Invalid(why) => {
                (StatusCode::UNAUTHORIZED, format!("Bearer error=\"invalid_token\", error_description=\"{why}\""))
            }
            Self::Scope(scope) => (StatusCode::FORBIDDEN, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")),
        };
        let mut response = status.into_response();
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
