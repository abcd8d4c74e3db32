//! `/livez`, `/readyz` and `/metrics`: the three routes without a bearer token.
//!
//! The caller of [`routes`] passes the readiness check as a function; `serve` decides what makes a node ready.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;

use super::front::{ErrorShape, Fault};
use super::metrics::{self, Metrics};

/// The readiness of this node.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// True if every check holds.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
    /// The node; shown on the admin socket only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeAt>,
}

/// The identity of a node, which tells two brokers on one machine apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NodeAt {
    /// The key that verifies the checkpoints of its journal.
    pub log: String,
    /// The bound address of its public socket.
    pub public: String,
    /// The bound address of its admin socket.
    pub admin: String,
    /// The bound address of its mTLS socket.
    pub mtls: String,
}

/// One condition that a node needs to serve.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name: `journal`, `live-index`, `clock` …
    pub name: &'static str,
    /// True if it holds.
    pub ok: bool,
    /// The fault, for operators; shown on the admin socket only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Readiness {
    /// Ready when every check holds.
    pub fn of(checks: Vec<Check>) -> Self {
        Self { ready: checks.iter().all(|check| check.ok), checks, node: None }
    }

    /// Adds the identity of this node.
    pub fn at(self, node: NodeAt) -> Self {
        Self { node: Some(node), ..self }
    }
}

/// The readers of `/readyz?verbose`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Anybody: names, and which of them hold.
    Strangers,
    /// Operators: also details (host names of stores, errors).
    Operators,
}

/// A function that computes the readiness.
pub type ReadinessCheck = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// The routes `/livez` and `/readyz`, for every socket.
pub fn routes(check: ReadinessCheck, audience: Audience) -> Router {
    let ready = move |RawQuery(query): RawQuery| {
        let verbose = query.as_deref().is_some_and(|query| query == "verbose" || query.starts_with("verbose="));
        std::future::ready(readiness(check(), verbose, audience))
    };
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(ready))
}

/// What a start waits for, as `/readyz?verbose` tells it.
#[derive(Clone, Default)]
pub struct Waits(Arc<Mutex<Option<String>>>);

impl Waits {
    /// It waits because of this.
    pub fn tell(&self, detail: impl ToString) {
        // A text is all that the lock guards, so a poisoned one is still good.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(detail.to_string());
    }

    fn detail(&self) -> String {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        format!("this node starts: {}", told.as_deref().unwrap_or("its journal is being opened"))
    }
}

/// The routes of a node whose start waits: it lives, is not ready, and answers everything else with 503.
pub fn starting(waits: &Waits, audience: Audience, shape: ErrorShape) -> Router {
    let waits = waits.clone();
    let check = move || Readiness::of(vec![Check { name: "journal", ok: false, detail: Some(waits.detail()) }]);
    let not_yet = any(move || std::future::ready(Fault::Starting.response(shape)));
    routes(Arc::new(check), audience).route("/", not_yet.clone()).route("/{*path}", not_yet)
}

/// The route `/metrics`, for the admin socket.
pub fn metrics_route(metrics: Arc<Metrics>) -> Router {
    let answer = move || std::future::ready(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()));
    Router::new().route("/metrics", get(answer))
}

fn readiness(mut readiness: Readiness, verbose: bool, audience: Audience) -> Response {
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !verbose {
        return (status, if readiness.ready { "ready\n" } else { "not ready\n" }).into_response();
    }
    if audience == Audience::Strangers {
        readiness.checks.iter_mut().for_each(|check| check.detail = None);
        readiness.node = None;
    }
    (status, Json(readiness)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(ok: bool, audience: Audience, path: &str) -> (u16, String) {
        let check = move || Readiness::of(vec![Check { name: "journal", ok, detail: Some("db.internal".to_owned()) }]);
        let router = routes(Arc::new(check), audience).merge(metrics_route(Metrics::new("1")));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn readiness_is_told_and_details_only_to_operators() {
        assert_eq!(ask(false, Audience::Strangers, "/livez").await, (200, "ok\n".to_owned()));
        assert_eq!(ask(true, Audience::Strangers, "/readyz").await, (200, "ready\n".to_owned()));
        assert_eq!(ask(false, Audience::Operators, "/readyz").await, (503, "not ready\n".to_owned()));
        let told = r#"{"ready":false,"checks":[{"name":"journal","ok":false}]}"#;
        assert_eq!(ask(false, Audience::Strangers, "/readyz?verbose").await, (503, told.to_owned()));
        let (_, text) = ask(false, Audience::Operators, "/readyz?verbose").await;
        assert!(text.contains(r#""detail":"db.internal""#), "{text}");
        let (status, text) = ask(true, Audience::Operators, "/metrics").await;
        assert!(status == 200 && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn a_node_that_starts_says_so() {
        let router = starting(&Waits::default(), Audience::Strangers, ErrorShape::Problem);
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            router.clone().oneshot(request).await.expect("infallible")
        };
        for path in ["/", "/v1/configuration"] {
            let response = ask(path).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
            assert!(std::str::from_utf8(&bytes).expect("text").contains("This node starts"), "{bytes:?}");
        }
        assert_eq!(ask("/livez").await.status(), StatusCode::OK);
        assert_eq!(ask("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
