//! What the requests besides the exchange cost: introspection, verdicts for proxies, key sets and OCSP.
//!
//! Each row is a list of requests that are made before the clock runs, over 16 keep-alive connections. The caller of introspection is an
//! integration that asks about its own tokens: an API's workload costs the same, and has a bucket of 6 000. "First seen" is a token that
//! nobody asked about before. The others are asked about again and again, as by an API that asks at each request. The printed figure is the
//! median of the rounds.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bench::{clock, floor};
use crate::certificates::enrolled;
use crate::load::Load;
use crate::server::{self, Server};
use crate::world::client::escape;
use crate::world::{Options, TOKEN_EXCHANGE, TYPE_JWT, World, records};
use crate::{CONNECTIONS, argument};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Rounds of a row, requests of a round, and tokens that are asked about again and again.
const ROUNDS: u64 = 7;
const REQUESTS: usize = 2_000;
const TOKENS: usize = 64;

/// Requests of a round by an API's workload, whose bucket holds 6 000 in all.
const REQUESTS_OF_AN_API: usize = 700;

/// No row takes longer.
const MOST: Duration = Duration::from_secs(60);

/// The argument that makes this program measure two verifies and nothing else.
pub const TWO_VERIFIES: &str = "two-verifies";

/// The rows.
const ROWS: [(&str, Ask); 11] = [
    ("introspection, fresh assertion", Ask::Introspection { by: Proof::Fresh, known: true }),
    ("introspection, fresh assertion, token first seen", Ask::Introspection { by: Proof::Fresh, known: false }),
    ("introspection, reusable assertion", Ask::Introspection { by: Proof::Reusable, known: true }),
    ("introspection, carnet:introspect token", Ask::Introspection { by: Proof::Token, known: true }),
    ("introspection, carnet:introspect token, token first seen", Ask::Introspection { by: Proof::Token, known: false }),
    ("verify, listed proxy", Ask::Verdict { listed: true, known: true }),
    ("verify, listed proxy, token first seen", Ask::Verdict { listed: true, known: false }),
    ("verify, caller with a fresh assertion", Ask::Verdict { listed: false, known: true }),
    ("JWKS", Ask::KeySet),
    ("OCSP, POST", Ask::Status { in_path: false }),
    ("OCSP, GET", Ask::Status { in_path: true }),
];

/// What a row asks.
#[derive(Clone, Copy)]
enum Ask {
    Introspection { by: Proof, known: bool },
    Verdict { listed: bool, known: bool },
    KeySet,
    Status { in_path: bool },
}

/// What its caller shows.
#[derive(Clone, Copy)]
enum Proof {
    Fresh,
    Reusable,
    Token,
}

/// What requests are made of.
struct Parts {
    tokens: Vec<String>,
    bearer: String,
    reusable: String,
    question: Vec<u8>,
}

/// Microseconds of two verifies, of a caller's proof and of a token.
pub fn two_verifies() -> f64 {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let public = floor::public(&pair);
    let signature = pair.sign(&SystemRandom::new(), &floor::MESSAGE).expect("signed");
    floor::median_of(|| {
        for _ in 0..2 {
            public.verify_sig(black_box(&floor::MESSAGE), black_box(signature.as_ref())).expect("verifies");
        }
    })
}

/// Measures all of it, and prints a line for each row; `row=TEXT` chooses among them, `rounds=N` sets how often.
///
/// With `CARNET_BENCH_PROGRAM` set it measures that program.
pub async fn measure() {
    let configuration = "verify_callers = [\"127.0.0.0/8\"]\n".to_owned();
    let mut world = World::with(Options { redis: true, configuration, ..Options::default() }).await;
    world.onboard(&record(&world.partner.issuer)).await;
    world.clock.synchronise();
    let machine = enrolled(&world).await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -no_nonce -reqout question.der").await;
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    world.stop().await;
    world.clock.synchronise();
    let program = std::env::var("CARNET_BENCH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_carnet").to_owned());
    let server = Server::start_program(&program, &world).await;
    let chosen = std::env::args().find_map(|argument| Some(argument.strip_prefix("row=")?.to_owned())).unwrap_or_default();
    println!("\n{:<58} {:>8} {:>14} {:>8} {:>18}", "", "CPU, us", "two verifies", "times", "a second and core");
    for (name, ask) in ROWS.into_iter().filter(|(name, _)| name.contains(&chosen)) {
        world.clock.synchronise();
        let known = mint(&world, TOKENS).await;
        let bearer = access_token(&world, "carnet", "carnet:introspect").await;
        let mut parts = Parts { tokens: known, bearer, reusable: reusable(&world), question: question.clone() };
        // Thrown away: connections, caches, and the journal's pages.
        run(&world, &server, ask.requests(&world, &parts, ask.number() / 4)).await;
        let (mut cpus, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..argument("rounds").unwrap_or(ROUNDS) {
            world.clock.synchronise();
            if !ask.is_known() {
                parts.tokens = mint(&world, ask.number()).await;
            }
            let requests = ask.requests(&world, &parts, ask.number());
            let before = server::on_its_core(TWO_VERIFIES);
            let (cpu, failed) = run(&world, &server, requests).await;
            assert_eq!(failed, 0, "{name}: every answer is 200");
            let floor = f64::midpoint(before, server::on_its_core(TWO_VERIFIES));
            cpus.push(cpu);
            floors.push(floor);
            ratios.push(cpu / floor);
        }
        let [cpu, floor, ratio] = [cpus, floors, ratios].map(floor::median);
        println!("{name:<58} {cpu:>8.1} {floor:>14.1} {ratio:>8.2} {:>18.0}", 1e6 / cpu);
    }
}

/// CPU of the server for each request, and how many were not answered with 200.
async fn run(world: &World, server: &Server, requests: Vec<Vec<u8>>) -> (f64, usize) {
    let before = clock::of_threads(server.pid());
    let outcome = Load::full(MOST).run(world.public, requests, CONNECTIONS).await;
    let spent = clock::of_threads(server.pid()).saturating_sub(before) as f64 / 1e3;
    let answered = outcome.times.len() + outcome.failed;
    (spent / answered as f64, outcome.failed)
}

/// The busy integration, which has a certificate and may introspect.
fn record(issuer: &str) -> String {
    let known = "    scopes:\n      orders-api:\n";
    let matches = "sub: {prefix: \"repo:\"}, repository_id: \"456789\", repository_owner_id: \"998877\", ref: refs/heads/again";
    let again = format!(
        "oidc: {{issuer: \"{issuer}\", match: {{{matches}}}, owner: [repository_owner_id], singleUse: false, maxAge: 1h}}"
    );
    let more = format!(
        "      - {{name: ci-again, {again}}}\n      - {{name: data-centre, mtls: {{}}}}\n    scopes:\n      carnet: [carnet:introspect]\n      orders-api:\n"
    );
    records::busy(issuer).replacen(known, &more, 1)
}

/// An assertion that may be shown again and again.
fn reusable(world: &World) -> String {
    let mut claims = world.claims("production");
    claims["ref"] = "refs/heads/again".into();
    world.partner.sign(&claims)
}

async fn mint(world: &World, number: usize) -> Vec<String> {
    let mut tokens = Vec::with_capacity(number);
    for _ in 0..number {
        tokens.push(access_token(world, "orders-api", "orders:read").await);
    }
    tokens
}

async fn access_token(world: &World, api: &str, scope: &str) -> String {
    let assertion = world.assertion("production");
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("subject_token_type", TYPE_JWT),
        ("audience", api),
        ("scope", scope),
    ];
    let answer = world.token("production", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

impl Ask {
    /// Whether the tokens that it asks about were asked about before.
    fn is_known(self) -> bool {
        match self {
            Self::Introspection { known, .. } | Self::Verdict { known, .. } => known,
            Self::KeySet | Self::Status { .. } => true,
        }
    }

    /// Requests of a round.
    fn number(self) -> usize {
        if matches!(self, Self::Verdict { listed: false, .. }) { REQUESTS_OF_AN_API } else { REQUESTS }
    }

    fn requests(self, world: &World, parts: &Parts, number: usize) -> Vec<Vec<u8>> {
        parts.tokens.iter().cycle().take(number).map(|token| self.request(world, parts, token)).collect()
    }

    fn request(self, world: &World, parts: &Parts, token: &str) -> Vec<u8> {
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let (line, headers, body) = match self {
            Self::Introspection { by: Proof::Token, .. } => {
                let headers = format!("{form}authorization: Bearer {}\r\n", parts.bearer);
                ("POST /production/introspect".to_owned(), headers, format!("token={token}").into_bytes())
            }
            Self::Introspection { by, .. } => {
                let fresh = matches!(by, Proof::Fresh);
                let proof = if fresh { world.assertion("production") } else { parts.reusable.clone() };
                let body = format!("token={token}&client_assertion_type={}&client_assertion={proof}", escape(ASSERTION_TYPE));
                ("POST /production/introspect".to_owned(), form.to_owned(), body.into_bytes())
            }
            Self::Verdict { listed, .. } => {
                let caller =
                    if listed { String::new() } else { format!("x-carnet-caller: {}\r\n", world.api_proof("production")) };
                let asked = "x-forwarded-method: GET\r\nx-forwarded-uri: /v1/orders/42\r\n";
                let headers = format!("authorization: Bearer {token}\r\n{asked}{caller}");
                ("GET /production/verify?api=orders-api&scope=orders:read".to_owned(), headers, Vec::new())
            }
            Self::KeySet => ("GET /production/jwks".to_owned(), String::new(), Vec::new()),
            Self::Status { in_path: false } => {
                let kind = "content-type: application/ocsp-request\r\n".to_owned();
                ("POST /production/ocsp".to_owned(), kind, parts.question.clone())
            }
            Self::Status { in_path: true } => {
                let question = escape(&STANDARD.encode(&parts.question));
                (format!("GET /production/ocsp/{question}"), String::new(), Vec::new())
            }
        };
        let length = format!("content-length: {}\r\n", body.len());
        [format!("{line} HTTP/1.1\r\nhost: {}\r\n{headers}{length}\r\n", world.public).as_bytes(), &body].concat()
    }
}
