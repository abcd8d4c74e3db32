//! Rows K of the client: headers, caps, time-outs, TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fixtures::*;
use crate::authn::{KeysFault, tls};
use crate::domain::value::alg::Alg;
use crate::outbound::{FetchFault, Outbound, OutboundSettings};

fn client(listed: &str, roots: &[CertificateDer<'static>]) -> Outbound {
    tls::outbound(OutboundSettings { issuers: vec![listed.parse().expect("an origin")], ..OutboundSettings::default() }, roots)
        .expect("a client")
}

async fn fetch(outbound: &Outbound, url: &str) -> Result<crate::outbound::Fetched, FetchFault> {
    outbound.fetch(&outbound.may_fetch(url).expect("may be fetched")).await
}

#[tokio::test]
async fn k_04_nothing_of_an_error_page_is_told() {
    let issuer = FakeIssuer::with_keys(&[]).await;
    let page = format!("<html>password=hunter2 {}</html>", "x".repeat(1_000_000));
    for (headers, status) in [("Content-Type: text/html\r\n", "500 hunter2"), ("Content-Type: application/json\r\n", "200 OK")]
    {
        issuer.answer("/jwks", Answer::Raw(http(status, headers, page.as_bytes())));
        let keys = keys(&TestClock::new(), &[&issuer.url]);
        let token = Signer::new(Alg::Es256, "k1").token(&claims(&issuer.url));
        let fault = verify(&keys, &issuer.source(), &token).await.expect_err("no keys");
        let told = format!("{fault:?} {fault} {:?} {}", keys.health(), keys.health()[0].fault.expect("a fault"));
        assert!(told.contains("issuer.unavailable") && !told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn k_09_requests_carry_nothing_ambient() {
    let issuer = FakeIssuer::with_keys(&[&Signer::new(Alg::Es256, "k1")]).await;
    let cookie =
        "Set-Cookie: a=b\r\nAlt-Svc: h3=\":1\"\r\nStrict-Transport-Security: max-age=9\r\nContent-Type: application/json\r\n";
    issuer.answer("/x", Answer::Raw(http("200 OK", cookie, b"{}")));
    let outbound = client(&issuer.url, &[]);
    for _ in 0..2 {
        assert_eq!(fetch(&outbound, &format!("{}/x", issuer.url)).await.expect("an answer").status, 200);
    }
    let host = issuer.url.trim_start_matches("http://").to_owned();
    for request in issuer.requests() {
        let mut lines: Vec<_> = request.trim_end().lines().map(str::to_ascii_lowercase).collect();
        lines.sort();
        let agent = format!("user-agent: carnet/{}", env!("CARGO_PKG_VERSION"));
        let mut want = vec![
            "get /x http/1.1".to_owned(),
            "accept: application/json".into(),
            "accept-encoding: identity".into(),
            agent,
            format!("host: {host}"),
        ];
        want.sort();
        assert_eq!(lines, want);
    }
}

/// K-09: the variables are set in a child process, since the environment is the whole process's.
#[tokio::test]
async fn k_09_proxies_of_the_environment_are_ignored() {
    if let Ok(url) = std::env::var("CARNET_TEST_K09") {
        let outbound = client(url.strip_suffix("/x").expect("a path"), &[]);
        assert_eq!(fetch(&outbound, &url).await.map(|fetched| fetched.status), Ok(200));
        return;
    }
    let (issuer, proxy) = (FakeIssuer::start().await, FakeIssuer::start().await);
    issuer.answer("/x", json_answer(&json!({})));
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"));
    child.args(["k_09_proxies_of_the_environment_are_ignored"]).env("CARNET_TEST_K09", format!("{}/x", issuer.url));
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, &proxy.url);
    }
    let status = tokio::task::spawn_blocking(move || child.status()).await.expect("it ends").expect("it runs");
    assert!(status.success());
    assert!(proxy.requests().is_empty() && issuer.hits("/x") == 1);
}

/// K-13: an interim answer is skipped, and the real one counts.
#[tokio::test]
async fn k_13_early_hints_are_ignored() {
    let issuer = FakeIssuer::start().await;
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: <https://evil.example/>; rel=preconnect\r\n\r\n".to_vec();
    let real = http("200 OK", "Content-Type: application/json; charset=utf-8\r\n", b"{}");
    issuer.answer("/x", Answer::Raw([hints, real].concat()));
    let fetched = fetch(&client(&issuer.url, &[]), &format!("{}/x", issuer.url)).await.expect("an answer");
    assert_eq!((fetched.status, fetched.content_type.as_deref()), (200, Some("application/json")));
}

#[tokio::test]
async fn k_19_bodies_and_time_are_bounded() {
    let issuer = FakeIssuer::start().await;
    let json = "Content-Type: application/json\r\n";
    issuer.answer("/whole", Answer::Raw(http("200 OK", json, &vec![b' '; 256 * 1024])));
    issuer.answer("/over", Answer::Raw(http("200 OK", json, &vec![b' '; 256 * 1024 + 1])));
    issuer.answer("/huge", Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec()));
    issuer.answer("/endless", Answer::Endless);
    issuer.answer("/drip", Answer::Drip);
    issuer.answer("/silence", Answer::Silence);
    issuer.answer("/gzip", Answer::Raw(http("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b")));
    issuer.answer("/identity", Answer::Raw(http("200 OK", "Content-Encoding: Identity\r\n", b"{}")));
    issuer.answer("/both", Answer::Raw(http("200 OK", "Content-Encoding: identity\r\nContent-Encoding: br\r\n", b"{}")));
    issuer.answer("/list", Answer::Raw(http("200 OK", "Content-Encoding: identity, gzip\r\n", b"{}")));
    issuer.answer("/short", Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}".to_vec()));
    issuer.answer("/garbage", Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    let outbound = client(&issuer.url, &[]);
    let outcome = async |path: &str| {
        let begun = Instant::now();
        let outcome = fetch(&outbound, &format!("{}{path}", issuer.url)).await.map(|fetched| fetched.body.len());
        assert!(begun.elapsed() < Duration::from_millis(3500), "{path}");
        outcome
    };
    assert_eq!(outcome("/whole").await, Ok(256 * 1024));
    assert_eq!(outcome("/over").await, Err(FetchFault::TooLarge));
    assert_eq!(outcome("/huge").await, Err(FetchFault::TooLarge));
    assert_eq!(outcome("/endless").await, Err(FetchFault::TooLarge));
    assert_eq!(outcome("/gzip").await, Err(FetchFault::Encoded));
    assert_eq!(outcome("/identity").await, Ok(2));
    assert_eq!(outcome("/both").await, Err(FetchFault::Encoded));
    assert_eq!(outcome("/list").await, Err(FetchFault::Encoded));
    assert_eq!(outcome("/short").await, Err(FetchFault::Broken));
    assert_eq!(outcome("/garbage").await, Err(FetchFault::Broken));
    let (drip, silence) = tokio::join!(outcome("/drip"), outcome("/silence"));
    assert_eq!((drip, silence), (Err(FetchFault::Timeout), Err(FetchFault::Timeout)));
}

#[tokio::test]
async fn k_19_only_json_counts_and_good_keys_stay() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    let set = json!({"keys": [signer.jwk()]}).to_string();
    for headers in ["", "Content-Type: text/html\r\n", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n"] {
        clock.pass(301);
        issuer.answer("/jwks", Answer::Raw(http("200 OK", headers, set.as_bytes())));
        keys.keep_fresh(vec![issuer.source()]).await;
        assert_eq!(keys.health()[0].fault, Some(KeysFault::ContentType), "{headers}");
        assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    }
    clock.pass(301);
    issuer.answer("/jwks", Answer::Raw(http("200 OK", "Content-Type: application/jwk-set+json\r\n", set.as_bytes())));
    keys.keep_fresh(vec![issuer.source()]).await;
    assert_eq!(keys.health()[0].fault, None);
}

/// The principle of K-23: a hanging issuer takes nothing from another.
///
/// A crowd of requests to it is refused.
#[tokio::test]
async fn k_23_a_hanging_origin_has_its_own_lane() {
    let (slow, quick) = (FakeIssuer::start().await, FakeIssuer::start().await);
    slow.answer("/x", Answer::Silence);
    quick.answer("/x", json_answer(&json!({})));
    let issuers = vec![slow.url.parse().expect("an origin"), quick.url.parse().expect("an origin")];
    let outbound = Arc::new(tls::outbound(OutboundSettings { issuers, ..OutboundSettings::default() }, &[]).expect("a client"));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (outbound, url) = (outbound.clone(), format!("{}/x", slow.url));
        tasks.spawn(async move { fetch(&outbound, &url).await.map(|fetched| fetched.status) });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    assert_eq!(fetch(&outbound, &format!("{}/x", quick.url)).await.map(|fetched| fetched.status), Ok(200));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(FetchFault::Crowded)).count(), 6);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(FetchFault::Timeout)).count(), 4);
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("params");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a certificate").der().clone();
        Self { params, key, root }
    }

    /// A TLS server that answers `{}` once per connection; its leaf for `name` ends in `year`.
    async fn serve(&self, name: &str, year: i32) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        let leaf = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a server");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("https://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&http("200 OK", "", b"{}")).await;
                let _ = stream.shutdown().await;
            }
        });
        origin
    }
}

#[tokio::test]
async fn k_28_certificates_are_verified() {
    let (trusted, foreign) = (Authority::new(), Authority::new());
    let roots = [trusted.root.clone()];
    for (authority, name, year, want) in [
        (&trusted, "127.0.0.1", 2090, Ok(200)),
        (&trusted, "127.0.0.1", 2021, Err(FetchFault::Connect)),
        (&trusted, "127.0.0.2", 2090, Err(FetchFault::Connect)),
        (&trusted, "idp.example", 2090, Err(FetchFault::Connect)),
        (&foreign, "127.0.0.1", 2090, Err(FetchFault::Connect)),
    ] {
        let origin = authority.serve(name, year).await;
        let outcome = fetch(&client(&origin, &roots), &format!("{origin}/x")).await;
        assert_eq!(outcome.map(|fetched| fetched.status), want, "{name} {year}");
    }
}

#[tokio::test]
async fn k_28_tls_1_1_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("https://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await.expect("a ClientHello");
        // ServerHello: TLS 1.1, no session, ECDHE-RSA-AES128-SHA.
        let mut answer = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        answer.extend([7; 32]);
        answer.extend([0, 0xc0, 0x13, 0]);
        stream.write_all(&answer).await.expect("sent");
        let mut alert = Vec::new();
        let _ = stream.read_to_end(&mut alert).await;
        alert
    });
    assert_eq!(fetch(&client(&origin, &[]), &format!("{origin}/x")).await.err(), Some(FetchFault::Connect));
    let alert = server.await.expect("the server ran");
    assert!(alert.len() >= 7 && alert[0] == 0x15 && alert[5] == 2 && alert[6] == 70, "expected protocol_version: {alert:?}");
}
