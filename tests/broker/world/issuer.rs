//! A fake OpenID provider: discovery and keys over HTTP, tokens signed on demand, every request counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::domain::value::alg::Alg;
use carnet::issuance::PrivateKey;
use josekit::jws::JwsSigner as _;
use serde_json::{Value, json};

/// A key of a provider.
pub type Key = PrivateKey;

/// What a provider answers.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The discovery document; the true one where nothing is set.
    pub discovery: Option<(u16, String)>,
    /// The key set; the true one where nothing is set.
    pub keys: Option<(u16, String)>,
}

/// A running provider.
pub struct Provider {
    /// Its issuer URL.
    pub issuer: String,
    /// Its signing key.
    pub key: Key,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    public: Value,
    behaviour: Mutex<Behaviour>,
    /// The ID token for the next code.
    token: Mutex<Option<String>>,
    hits: AtomicUsize,
}

impl Provider {
    /// Starts one with an ES256 key.
    pub async fn start() -> Self {
        Self::with_alg(Alg::Es256).await
    }

    /// Starts one with a key of `alg`.
    pub async fn with_alg(alg: Alg) -> Self {
        let (key, _) = Key::generate(alg).expect("a key");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let issuer = format!("http://{}", listener.local_addr().expect("bound"));
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            public: key.public().clone(),
            behaviour: Mutex::new(Behaviour { discovery: None, keys: None }),
            token: Mutex::default(),
            hits: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, key, shared }
    }

    /// Requests so far.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// Answers otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("not poisoned") = behaviour;
    }

    /// Signs people in from now on, as far as a browser sees: its document names where codes come from and where they go.
    pub fn signs_in(&self) {
        let issuer = &self.issuer;
        let document = json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        });
        self.behave(Behaviour { discovery: Some((200, document.to_string())), keys: None });
    }

    /// The next code, whatever it is, is good for this ID token, once.
    pub fn gives(&self, id_token: String) {
        *self.shared.token.lock().expect("not poisoned") = Some(id_token);
    }

    /// A token with these claims and an honest header.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.key.alg().name(), "kid": self.key.kid().as_str(), "typ": "JWT"});
        sign(&self.key, &header.to_string(), &claims.to_string())
    }
}

/// A compact JWS over exactly these texts.
pub fn sign(key: &Key, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The same token with the other ES256 signature that verifies: n − s in the place of s (SEC 2 section 2.4.2 for n).
pub fn twin(token: &str) -> String {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let mut borrow = 0;
    for at in (0..32).rev() {
        let of_order = i16::from_str_radix(&order[2 * at..2 * at + 2], 16).expect("hexadecimal");
        let difference = of_order - i16::from(bytes[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let told = shared.behaviour.lock().expect("not poisoned").discovery.clone();
    let honest = || json!({"issuer": shared.issuer, "jwks_uri": format!("{}/keys", shared.issuer)}).to_string();
    answer(told.unwrap_or_else(|| (200, honest())))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let told = shared.behaviour.lock().expect("not poisoned").keys.clone();
    answer(told.unwrap_or_else(|| (200, json!({"keys": [shared.public]}).to_string())))
}

async fn token(State(shared): State<Arc<Shared>>) -> Response {
    match shared.token.lock().expect("not poisoned").take() {
        Some(token) => answer((200, json!({"access_token": "a", "token_type": "Bearer", "id_token": token}).to_string())),
        None => answer((400, json!({"error": "invalid_grant"}).to_string())),
    }
}

fn answer((status, body): (u16, String)) -> Response {
    (StatusCode::from_u16(status).expect("a status"), [("content-type", "application/json")], body).into_response()
}
