//! A settable clock, key pairs, and a fake issuer that counts what reaches it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::authn::{IssuerKeys, Trust, UnverifiedAssertion, Verifier, VerifyFault, tls};
use crate::domain::caller::proof::{Assertion, Verified};
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Clock, Timestamp};
use crate::outbound::{Origin, OutboundSettings};

/// 2026-11-24 06:00 UTC.
pub const NOW: i64 = 1_795_500_000;

pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW)))
    }

    pub fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).expect("a time")
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A key pair for one algorithm.
pub struct Signer {
    pub alg: Alg,
    pub kid: String,
    pair: Pair,
}

impl Signer {
    pub fn new(alg: Alg, kid: &str) -> Self {
        let pair = match alg {
            Alg::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")),
            Alg::EdDsa | Alg::Ed25519 => Pair::Ed(Ed25519KeyPair::generate().expect("a key")),
            Alg::Rs256 | Alg::Ps256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        Self { alg, kid: kid.into(), pair }
    }

    pub fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if self.alg == Alg::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// Signs a token of these two JSON texts, whatever they say.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign_bytes(message.as_bytes());
        format!("{message}.{}", b64(signature))
    }

    pub fn header(&self) -> Value {
        json!({"alg": self.alg.name(), "kid": self.kid})
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key())}),
            Pair::Rsa(pair) => {
                let modulus: aws_lc_rs::rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                json!({"kty": "RSA", "n": b64(modulus.n), "e": b64(modulus.e)})
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["alg"] = self.alg.name().into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub fn inline(&self) -> KeySource {
        inline(&[self.jwk()])
    }

    pub fn spki_der(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::AsDer;
        let Pair::Ec(pair) = &self.pair else { panic!("only for EC") };

        pair.public_key().as_der().expect("DER").as_ref().to_vec()
    }
}

pub fn inline(keys: &[Value]) -> KeySource {
    KeySource::Inline(json!({ "keys": keys }).to_string())
}

/// Claims that are good at [`NOW`].
pub fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "sub": "repo:1", "aud": "https://sts.example/production", "exp": NOW + 300, "iat": NOW, "jti": "one"})
}

/// The whole gateway, with the origins that may be fetched.
pub fn keys(clock: &Arc<TestClock>, listed: &[&str]) -> IssuerKeys {
    let issuers = listed.iter().map(|origin| origin.parse::<Origin>().expect("an origin")).collect();
    let outbound = tls::outbound(OutboundSettings { issuers, ..OutboundSettings::default() }, &[]).expect("a client");
    IssuerKeys::new(Arc::new(outbound), clock.clone())
}

/// The same, but documents of one issuer may name one other origin.
pub fn keys_beside(clock: &Arc<TestClock>, listed: &[&str], issuer: &str, beside: &str) -> IssuerKeys {
    let origin = |text: &str| text.parse::<Origin>().expect("an origin");
    let settings = OutboundSettings {
        issuers: listed.iter().map(|text| origin(text)).collect(),
        issuer_origins: [(issuer.parse().expect("an issuer"), vec![origin(beside)])].into(),
        ..OutboundSettings::default()
    };
    IssuerKeys::new(Arc::new(tls::outbound(settings, &[]).expect("a client")), clock.clone())
}

/// Parses and verifies with one source and all algorithms.
pub async fn verify(keys: &IssuerKeys, source: &KeySource, token: &str) -> Result<Verified<Assertion>, VerifyFault> {
    let unverified = UnverifiedAssertion::parse(token).map_err(|reason| VerifyFault { reason })?;
    let trust = [Trust { source, algs: &Alg::WORKLOAD }];
    Verifier::new(keys.clone()).verify(unverified, &trust).await
}

pub async fn code(keys: &IssuerKeys, source: &KeySource, token: &str) -> &'static str {
    match verify(keys, source, token).await {
        Ok(_) => "ok",
        Err(fault) => fault.reason.code,
    }
}

/// The fake issuer's answer to a request.
#[derive(Clone)]
pub enum Answer {
    /// These bytes, then the end.
    Raw(Vec<u8>),
    /// These bytes after a while.
    Late(Duration, Vec<u8>),
    /// A 200 whose body never ends.
    Endless,
    /// A 200 whose body drips.
    Drip,
    /// Nothing, ever.
    Silence,
}

pub fn json_answer(body: &Value) -> Answer {
    Answer::Raw(http("200 OK", "Content-Type: application/json\r\n", body.to_string().as_bytes()))
}

pub fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// An issuer on a loopback port, which keeps the requests as they came.
pub struct FakeIssuer {
    pub url: String,
    address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeIssuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answers: Arc<Mutex<HashMap<String, Answer>>> = Arc::default();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (routes, seen) = (answers.clone(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, routes.clone(), seen.clone()));
            }
        });
        Self { url: format!("http://{address}"), address, answers, requests, task }
    }

    /// Starts an issuer with good metadata and these keys.
    pub async fn with_keys(signers: &[&Signer]) -> Self {
        let issuer = Self::start().await;
        issuer.document(json!({"issuer": issuer.url, "jwks_uri": format!("{}/jwks", issuer.url)}));
        issuer.publish(signers);
        issuer
    }

    pub fn document(&self, document: Value) {
        self.answer("/.well-known/openid-configuration", json_answer(&document));
    }

    pub fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answer("/jwks", json_answer(&json!({ "keys": keys })));
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().expect("answers").insert(path.into(), answer);
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("requests").clone()
    }

    pub fn hits(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.starts_with(&format!("GET {path} "))).count()
    }

    pub fn source(&self) -> KeySource {
        KeySource::Discovery(self.url.parse().expect("an issuer"))
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Takes the issuer off the network: connections are refused.
    pub async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, routes: Arc<Mutex<HashMap<String, Answer>>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().expect("requests").push(head);
    let answer = routes.lock().expect("answers").get(&path).cloned();
    let chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    match answer.unwrap_or_else(|| Answer::Raw(http("404 Not Found", "", b""))) {
        Answer::Raw(bytes) => drop(stream.write_all(&bytes).await),
        Answer::Late(delay, bytes) => {
            tokio::time::sleep(delay).await;
            drop(stream.write_all(&bytes).await);
        }
        Answer::Endless => {
            drop(stream.write_all(chunked).await);
            let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
        }
        Answer::Drip => {
            drop(stream.write_all(chunked).await);
            while stream.write_all(b"1\r\n \r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Answer::Silence => std::future::pending().await,
    }
}
