//! A demo OpenID provider: discovery, keys, and a token for any caller.
//!
//! A token comes in the form of GitHub's token service. `sign_in` adds sign-in in a browser.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::domain::people::actor::Role;
use crate::domain::value::clock::{Clock, Entropy};
use crate::http::form::Form;

/// The demo people: name, role, and the group in their tokens.
pub const PEOPLE: [(&str, Role, &str); 7] = [
    ("ann", Role::Owner, "owners"),
    ("olga", Role::Owner, "owners"),
    ("otto", Role::Owner, "owners"),
    ("sven", Role::Security, "security"),
    ("sara", Role::Security, "security"),
    ("adam", Role::Administrator, "administrators"),
    ("alan", Role::Auditor, "auditors"),
];

/// The immutable claims of the demo workload.
pub const WORKLOAD_REPOSITORY: (&str, &str) = ("456789", "998877");

/// The kind of subjects that a provider has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Partners' workloads and the demo API.
    Workloads,
    /// The company's people.
    Staff,
}

/// A demo OpenID provider.
pub struct DemoIssuer {
    issuer: String,
    kind: Kind,
    key: EcdsaKeyPair,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The life of its tokens, in seconds.
const LIFE: i64 = 300;

impl DemoIssuer {
    /// A provider with a fresh key, which exists as long as the process.
    pub fn new(issuer: String, kind: Kind, (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>)) -> Option<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        Some(Self { issuer, kind, key, clock, entropy })
    }

    /// The public key as a JWK. An uncompressed point is 0x04, x, y (SEC 1 section 2.3.3).
    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": "demo"})
    }

    /// A token of the demo workload on this branch, for one audience.
    pub fn workload(&self, audience: &str, branch: &str) -> Option<String> {
        let (repository, owner) = WORKLOAD_REPOSITORY;
        self.sign(json!({
            "sub": format!("repo:globex/orders:ref:refs/heads/{branch}"), "aud": audience, "ref": format!("refs/heads/{branch}"),
            "repository_id": repository, "repository_owner_id": owner,
        }))
    }

    /// A token of the demo API's own workload, for one audience.
    pub fn api(&self, audience: &str) -> Option<String> {
        self.sign(json!({"sub": "demo:orders-api", "aud": audience}))
    }

    /// A bearer token of a demo person.
    pub fn person(&self, name: &str) -> Option<String> {
        self.sign(self.claims(name, "carnet")?)
    }

    /// The ID token of a demo person who signed in at `client` (OpenID Connect Core 1.0 section 2).
    pub fn signed_in(&self, name: &str, client: &str, nonce: &str) -> Option<String> {
        let mut claims = self.claims(name, client)?;
        claims["nonce"] = nonce.into();
        self.sign(claims)
    }

    /// A text that nobody can guess.
    pub fn unguessable(&self) -> String {
        self.entropy.identifier()
    }

    fn claims(&self, name: &str, audience: &str) -> Option<Value> {
        let (person, _, group) = PEOPLE.iter().find(|(person, ..)| *person == name)?;
        let now = self.clock.now().as_seconds();
        Some(json!({"sub": person, "name": person, "groups": [group], "aud": audience, "auth_time": now}))
    }

    fn sign(&self, mut claims: Value) -> Option<String> {
        let now = self.clock.now().as_seconds();
        claims["iss"] = self.issuer.as_str().into();
        claims["iat"] = now.into();
        claims["exp"] = now.saturating_add(LIFE).into();
        claims["jti"] = self.entropy.identifier().into();
        let header = json!({"alg": "ES256", "kid": "demo", "typ": "JWT"});
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).ok()?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Discovery, keys and tokens below `path`. `taken` redeems codes of sign-ins at the token address.
pub(super) fn routes(path: &str, issuer: Arc<DemoIssuer>, taken: MethodRouter<Arc<DemoIssuer>>) -> Router {
    Router::new()
        .route(&format!("{path}/.well-known/openid-configuration"), get(discovery))
        .route(&format!("{path}/jwks"), get(keys))
        .route(&format!("{path}/token"), taken.get(token))
        .with_state(issuer)
}

async fn discovery(State(issuer): State<Arc<DemoIssuer>>) -> Json<Value> {
    let base = &issuer.issuer;
    let mut metadata = json!({"issuer": base, "jwks_uri": format!("{base}/jwks"), "token_endpoint": format!("{base}/token")});
    if issuer.kind == Kind::Staff {
        // OpenID Connect Discovery 1.0 section 3 requires these.
        metadata["authorization_endpoint"] = format!("{base}/authorize").into();
        metadata["response_types_supported"] = json!(["code"]);
        metadata["subject_types_supported"] = json!(["public"]);
        metadata["id_token_signing_alg_values_supported"] = json!(["ES256"]);
    }
    Json(metadata)
}

async fn keys(State(issuer): State<Arc<DemoIssuer>>) -> Json<Value> {
    Json(json!({"keys": [issuer.jwk()]}))
}

/// `{"value": "<JWT>"}`, the form in which GitHub's token service answers its runners.
///
/// The query is `?audience=…&branch=…` for workloads, `?person=…` for staff.
async fn token(State(issuer): State<Arc<DemoIssuer>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Ok(mut wanted) = Form::parse(&query) else { return StatusCode::BAD_REQUEST.into_response() };
    let audience = wanted.target().map(|(_, audience)| audience);
    let branch = wanted.get("branch").unwrap_or("main");
    let token = match (issuer.kind, &audience, wanted.get("person")) {
        (Kind::Workloads, Some(audience), None) => issuer.workload(audience, branch),
        (Kind::Staff, None, Some(person)) => issuer.person(person),
        _ => None,
    };
    match token {
        Some(token) => Json(json!({"value": token})).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
