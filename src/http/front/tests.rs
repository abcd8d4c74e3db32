//! Tests of the front before a small router, in process.
//!
//! `server`'s tests drive the same router over sockets.

use crate::domain::value::clock::Entropy;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use tower::ServiceExt as _;

use super::*;
use crate::domain::value::network::Cidr;

/// Counts up: ids differ, and every run gets the same ones.
struct Counting(std::sync::atomic::AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().zip(number.iter().cycle()).for_each(|(byte, value)| *byte = *value);
    }
}

/// A front with short times.
pub(crate) fn front(shape: ErrorShape, hosts: Hosts) -> Front {
    Front {
        socket: Socket::Public,
        shape,
        hosts,
        bodies: BodyLimits { default: 16 * 1024, routes: vec![("/records", 64 * 1024)] },
        body_time: Duration::from_millis(300),
        handler_time: Duration::from_millis(500),
        trusted_proxies: vec!["10.0.0.0/8".parse::<Cidr>().expect("a network")],
        ids: RequestIds::new(Arc::new(Counting(0.into()))),
        metrics: Metrics::new("0"),
    }
}

async fn panics() -> &'static str {
    panic!("canary-secret")
}

/// Refuses as `I/verify` refuses a proxy that nobody listed.
async fn stranger(arrival: axum::Extension<Arrival>) -> Response {
    use crate::domain::reason::{PROXY_UNKNOWN, decision::Refused};
    crate::http::error::refuse(&Refused::unknown(&PROXY_UNKNOWN).into(), crate::http::error::Slotted::Endpoint, &arrival.0.id)
}

/// A few routes behind the front. `/token` answers with the size of its body.
pub(crate) fn router(front: Front) -> Router {
    let echo = |body: axum::body::Bytes| async move { body.len().to_string() };
    let routes = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/token", post(echo))
        .route("/records", post(echo))
        .route("/status/{list}", get(|| async { "x".repeat(4_000_000) }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(300)).await }))
        .route("/stuck", get(std::future::pending::<()>))
        .route("/panic", get(panics))
        .route("/verify", get(stranger))
        .route("/whose", get(|arrival: axum::Extension<Arrival>| async move { arrival.0.client.expect("a peer").to_string() }));
    wrap(routes, front)
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

async fn ask(router: &Router, request: axum::http::request::Builder, body: &str) -> Answer {
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a body");
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

fn public() -> Router {
    router(front(ErrorShape::OAuth, Hosts::RoutesLook))
}

#[tokio::test]
async fn every_answer_has_an_id_of_ours_and_safe_headers() {
    let router = public();
    let mut ids = std::collections::BTreeSet::new();
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/token", 405),
        ("GET", "/panic", 500),
        ("GET", "/stuck", 503),
        ("POST", "/token", 413),
    ] {
        let body = if status == 413 { "x".repeat(16 * 1024 + 1) } else { String::new() };
        let request = Request::builder().method(method).uri(path).header("x-request-id", "chosen-by-the-caller");
        let answer = ask(&router, request, &body).await;
        assert_eq!(answer.status, status, "{path}");
        let id = answer.headers[X_REQUEST_ID].to_str().expect("text").to_owned();
        assert_eq!(id.len(), 22, "{path}");
        assert!(ids.insert(id), "{path}: ids differ");
        for (name, value) in DEFAULTS {
            assert_eq!(answer.headers[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn d_01_a_body_over_the_limit_of_its_route_is_refused() {
    let router = public();
    assert_eq!(ask(&router, Request::post("/token"), &"x".repeat(16 * 1024)).await.text, "16384");
    let answer = ask(&router, Request::post("/token"), &"x".repeat(16 * 1024 + 1)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, r#"{"error":"invalid_request","error_description":"The request body is too large"}"#);
    assert_eq!(ask(&router, Request::post("/records"), &"x".repeat(20_000)).await.status, 200, "its own limit");
}

#[tokio::test]
async fn d_05_a_content_coding_is_refused() {
    let router = public();
    for (coding, status) in [("gzip", 415), ("br", 415), ("identity, gzip", 415), ("", 415), ("identity", 200)] {
        let answer = ask(&router, Request::post("/token").header("content-encoding", coding), "x").await;
        assert_eq!(answer.status, status, "{coding}");
    }
    // It does not matter where no body is read: a proxy asks for a verdict with the headers of a request whose body it keeps.
    let gzip = |path: &str| Request::get(path).header("content-encoding", "gzip");
    assert_eq!(ask(&router, gzip("/livez"), "").await.status, 200);
    let unread = ask(&router, gzip("/livez"), "x").await;
    assert_eq!((unread.status.as_u16(), &unread.headers["connection"]), (200, &HeaderValue::from_static("close")));
}

#[tokio::test]
async fn d_17_other_spellings_of_a_path_are_other_paths() {
    let router = public();
    for path in ["//token", "/token;x", "/%74oken", "/./token", "/token/", "/x/../token", "/TOKEN"] {
        let answer = ask(&router, Request::post(path), "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.starts_with(r#"{"error":"invalid_request""#), "{path}");
    }
}

#[tokio::test]
async fn d_18_other_methods_are_refused_and_never_overridden() {
    let router = public();
    for method in ["HEAD", "OPTIONS", "TRACE", "GET", "PUT", "FOO"] {
        let request = Request::builder().method(method).uri("/token").header("x-http-method-override", "POST");
        let answer = ask(&router, request, "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST", "{method}");
        assert_eq!(answer.headers["content-type"], "application/json", "{method}");
    }
    let head = ask(&router, Request::head("/livez"), "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_panic_is_an_answer_without_detail_and_is_counted() {
    let front = front(ErrorShape::Problem, Hosts::RoutesLook);
    let metrics = front.metrics.clone();
    let router = router(front);
    let answer = ask(&router, Request::get("/panic"), "").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.text, r#"{"type":"about:blank","title":"Something went wrong inside","status":500}"#);
    assert_eq!(metrics.panics(), 1);
    assert_eq!(ask(&router, Request::get("/livez"), "").await.status, 200, "the house stands");
}

#[tokio::test]
async fn a_11_a_rebound_name_reaches_probes_only() {
    let router = router(front(ErrorShape::Problem, Hosts::Named(vec!["carnet.acme.example".to_owned()])));
    let rebound = |path: &str| Request::post(path).header("host", "rebound.attacker.example:7401");
    assert_eq!(ask(&router, rebound("/token"), "").await.status, 421);
    assert_eq!(ask(&router, rebound("/nowhere"), "").await.status, 421);
    assert_eq!(ask(&router, Request::get("/livez").header("host", "10.0.0.7"), "").await.status, 200);
    assert_eq!(ask(&router, Request::post("/token").header("host", "carnet.acme.example"), "").await.status, 200);
    assert_eq!(ask(&router, Request::post("/token"), "").await.status, 421, "no host at all");
}

#[tokio::test]
async fn d_15_series_are_bounded_by_routes() {
    let front = front(ErrorShape::OAuth, Hosts::RoutesLook);
    let metrics = front.metrics.clone();
    let router = router(front);
    for number in 0..500 {
        ask(&router, Request::get(format!("/{number}")), "").await;
        ask(&router, Request::builder().method(format!("M{number}").as_str()).uri(format!("/status/{number}")), "").await;
    }
    let text = metrics.encode();
    assert_eq!(text.lines().filter(|line| line.starts_with("carnet_http_requests_total{")).count(), 2, "{text}");
    assert!(text.contains(r#"route="/status/{list}",status="405"} 500"#), "{text}");
}

#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names() {
    let router = public();
    let whose = |peer: &str, forwarded: &str| {
        let peer = PeerAddress(peer.parse().expect("an address"));
        Request::get("/whose").header("forwarded", forwarded).extension(peer)
    };
    assert_eq!(ask(&router, whose("203.0.113.1", "for=1.2.3.4"), "").await.text, "203.0.113.1");
    assert_eq!(ask(&router, whose("10.1.2.3", "for=1.2.3.4"), "").await.text, "1.2.3.4");
}

/// The log of these requests.
fn logged(requests: impl Future<Output = ()>) -> String {
    let kept = Kept::default();
    let out = kept.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || out.clone()).finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tracing::subscriber::with_default(subscriber, || runtime.block_on(requests));
    String::from_utf8(kept.0.lock().expect("no panic holds it").clone()).expect("text")
}

/// The operator finds the reason that the answer keeps from a stranger.
#[test]
fn the_log_has_the_reason_of_a_refusal() {
    let log = logged(async {
        let answer = ask(&public(), Request::get("/verify"), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(!answer.text.contains("proxy.unknown"), "{}", answer.text);
    });
    assert!(log.contains(r#""status":401,"reason":"proxy.unknown""#), "{log}");
    let log = logged(async { drop(ask(&public(), Request::get("/livez"), "").await) });
    assert!(log.contains(r#""status":200"#) && !log.contains("reason"), "{log}");
}

#[test]
fn a_15_the_log_holds_neither_path_nor_query_nor_a_foreign_method() {
    let log = logged(async {
        let router = public();
        ask(&router, Request::post("/token?access_token=canary"), "canary").await;
        ask(&router, Request::get("/canary").header("authorization", "Bearer canary"), "").await;
        ask(&router, Request::builder().method("CANARY").uri("/status/canary"), "").await;
    });
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(!log.to_ascii_lowercase().contains("canary"), "{log}");
    for part in [r#""route":"/token""#, r#""route":"none""#, r#""method":"other""#, r#""status":405"#, r#""request_id":"#] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic holds it").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
