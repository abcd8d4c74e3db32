//! npm `oidc-provider` under the same load: an assertion with a fresh `jti` in, an ES256 `at+jwt` out, nothing on record.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use carnet::domain::value::alg::Alg;
use carnet::issuance::PrivateKey;
use serde_json::{Value, json};

use crate::bench::clock;
use crate::load::Load;
use crate::process::{Server, node};
use crate::world::client::{escape, unique};
use crate::world::issuer::sign;
use crate::{CONNECTIONS, WARM, server};

/// More than it answers in a second.
const MOST_PER_SECOND: f64 = 4_000.0;

/// Prints what a token costs it.
pub async fn measure(phase: Duration) {
    let (key, _) = PrivateKey::generate(Alg::Es256).expect("a key");
    let script = node("../../../benches/exchange/peer.mjs");
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(script.get_program()).args(script.get_args()).arg(key.public().to_string());
    pinned.env("NODE_ENV", "production").envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let peer = Server::start(pinned).await;
    let told: Value = serde_json::from_str(&peer.line).expect("JSON");
    let issuer = told["issuer"].as_str().expect("an issuer");
    let pid = told["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process");
    let to: SocketAddr = issuer.trim_start_matches("http://").parse().expect("an address");
    let requests = |time: Duration| -> Vec<Vec<u8>> {
        (0..(MOST_PER_SECOND * time.as_secs_f64()) as usize).map(|_| request(&key, issuer, to)).collect()
    };

    Load::full(WARM).run(to, requests(WARM), CONNECTIONS).await;
    let (requests, floor) = (requests(phase), server::floor());
    let (user, kernel) = clock::user_and_system(pid);
    let outcome = Load::full(phase).run(to, requests, CONNECTIONS).await;
    let (user_after, kernel_after) = clock::user_and_system(pid);
    let count = outcome.times.len() as f64;
    let cpu = (user_after - user + kernel_after - kernel) / count;
    println!(
        "oidc-provider: {:.0} tokens per second, CPU {cpu:.0} us per token, {:.0} per second and core, share of the limit {:.2}, \
         p50 {:.2} ms, p99 {:.2} ms, {} not answered with a token",
        count / outcome.took.as_secs_f64(),
        1e6 / cpu,
        floor / cpu,
        outcome.quantile(0.5),
        outcome.quantile(0.99),
        outcome.failed
    );
}

fn request(key: &PrivateKey, issuer: &str, to: SocketAddr) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "the peer has the clock of the machine")]
    let now = jiff::Timestamp::now().as_second();
    let header = json!({"alg": "ES256", "kid": key.kid().as_str(), "typ": "JWT"});
    let claims = json!({"iss": "globex", "sub": "globex", "aud": issuer, "jti": unique(), "iat": now, "exp": now + 300});
    let assertion = sign(key, &header.to_string(), &claims.to_string());
    let body = format!(
        "grant_type=client_credentials&client_assertion_type={}&client_assertion={assertion}&resource={}&scope=orders%3Aread",
        escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        escape("https://orders.acme.example"),
    );
    let kind = "content-type: application/x-www-form-urlencoded";
    format!("POST /token HTTP/1.1\r\nhost: {to}\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
