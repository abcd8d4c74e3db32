//! The house of the benches: a partner's issuer and the company's, a configuration, records that are applied and approved, and the
//! crypto floor that everything is compared with.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::outbound::operator::{Call, OperatorClient};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// An ES256 key with what it needs to sign JWTs.
pub struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// A fresh one.
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { pair, random: SystemRandom::new() }
    }

    /// Its public JWK.
    pub fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": "bench"})
    }

    /// A JWT with these claims.
    pub fn jwt(&self, claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"bench","typ":"JWT"}"#);
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&self.random, input.as_bytes()).expect("signed");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// CPU time of one "verify one, sign one" with ES256 on messages of a token's size, in microseconds: the limit that no software
/// passes. The median of several rounds.
pub fn crypto_floor() -> f64 {
    let signer = Signer::new();
    let message = [0x2e_u8; 620];
    let signature = signer.pair.sign(&signer.random, &message).expect("signed");
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.pair.public_key().as_ref()).expect("a key");
    const ROUND: u32 = 1000;
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let before = own_cpu();
            for _ in 0..ROUND {
                public.verify_sig(&message, signature.as_ref()).expect("verifies");
                std::hint::black_box(signer.pair.sign(&signer.random, &message).expect("signed"));
            }
            (own_cpu() - before).as_secs_f64() * 1e6 / f64::from(ROUND)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// CPU time of this thread so far.
pub fn own_cpu() -> Duration {
    // Nanoseconds on the CPU are the first number (Documentation/scheduler/sched-stats.rst).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

/// CPU time of a process and its threads so far, from its threads' scheduler statistics.
pub fn cpu_of(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of = |thread: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(of).sum())
}

/// A line of `/proc/PID/status`, in KiB.
pub fn memory_of(pid: u32, line: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(':'));
    found.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The issuers: `{base}/partner` and `{base}/staff`, one key.
pub struct Issuers {
    /// Where they are.
    pub base: String,
    /// Their key.
    pub signer: Signer,
}

impl Issuers {
    /// Serves discovery and keys from a task of this runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let signer = Signer::new();
        let (told, keys) = (base.clone(), json!({"keys": [signer.jwk()]}).to_string());
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { continue };
                let (told, keys) = (told.clone(), keys.clone());
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    let head = String::from_utf8_lossy(&request[..read]).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or("/");
                    let issuer = path.split('/').nth(1).unwrap_or("");
                    let body = if path.ends_with("/keys") {
                        keys
                    } else {
                        json!({"issuer": format!("{told}/{issuer}"), "jwks_uri": format!("{told}/{issuer}/keys")}).to_string()
                    };
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                    let _gone = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { base, signer }
    }

    /// A good assertion with a `jti` of its own.
    pub fn assertion(&self, audience: &str, jti: &str, now: u64) -> String {
        self.signer.jwt(&json!({
            "iss": format!("{}/partner", self.base), "sub": "repo:globex/orders", "aud": audience, "exp": now + 900, "iat": now,
            "jti": jti, "repository_id": "456789", "repository_owner_id": "998877", "ref": "refs/heads/main",
            "workflow": "orders.yml", "actor": "globex-bot", "run_id": "11223344", "environment": "production",
        }))
    }

    fn bearer(&self, person: &str, group: &str) -> String {
        let now = now();
        self.signer.jwt(&json!({
            "iss": format!("{}/staff", self.base), "sub": person, "aud": "carnet", "exp": now + 900, "iat": now, "auth_time": now,
            "groups": [group],
        }))
    }
}

/// The present second.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// `carnet.toml` in `folder`, and the key-encryption key.
pub fn configure(folder: &Path, (public, admin): (SocketAddr, SocketAddr), issuers: &Issuers, redis: Option<&str>) {
    let redis = redis.map_or_else(String::new, |url| format!("[redis]\nurl = \"{url}\"\n"));
    let text = format!(
        r#"
[listen]
public = "{public}"
admin = "{admin}"
[journal]
url = "sqlite://{folder}/journal.db"
origin = "bench.example/carnet"
{redis}
[keys]
kek_file = "kek"
[staff]
issuer = "{base}/staff"
audience = "carnet"
roles = {{ security = ["security"], owner = ["owners"] }}
[outbound]
issuers = ["{base}"]
[environments.production]
issuer = "http://{public}/production"
max_ttl = "10m"
"#,
        folder = folder.display(),
        base = issuers.base,
    );
    std::fs::write(folder.join("carnet.toml"), text).expect("written");
    carnet::journal::Kek::create(&folder.join("kek"), &carnet::server::OsEntropy).expect("a key-encryption key");
}

/// Applies the records of the benches and approves them by two people.
pub async fn onboard(admin: &str, issuers: &Issuers) {
    let issuer = format!("{}/partner", issuers.base);
    let records = format!(
        r#"apiVersion: carnet/v1
kind: Api
metadata: {{name: orders-api}}
owner: team:orders
audience: {{production: https://orders.example}}
token: {{profile: rfc9068, alg: ES256, ttl: 5m}}
scopes:
  orders:read: {{meaning: See orders, risk: low}}
---
apiVersion: carnet/v1
kind: Partner
metadata: {{name: globex}}
legalName: Globex Corporation
domains: [globex.example]
contacts: {{technical: ops@globex.example, security: security@globex.example}}
verification: {{by: jane@acme.example, on: 2026-01-01, evidence: "sha256:00", expires: 2099-11-01}}
---
apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: order-sync}}
purpose: Copies orders.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-1, starts: 2026-01-01, ends: 2099-11-30}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  production:
    bindings:
      - name: ci-main
        oidc: {{issuer: "{issuer}", match: {{repository_id: "456789", repository_owner_id: "998877", ref: {{oneOf: [refs/heads/main]}}}}, owner: [repository_owner_id]}}
    limits: {{exchangesPerMinute: 1000000}}
    scopes:
      orders-api:
        - scope: orders:read
          allow: [GET /v1/orders, "GET /v1/orders/{{id}}"]
"#
    );
    let client = OperatorClient::new(admin, &carnet::authn::tls::client().expect("a configuration")).expect("a client");
    let send = async |who: (&str, &str), method: &str, path: &str, body: Option<(&'static str, String)>| -> Value {
        let bearer = issuers.bearer(who.0, who.1);
        let body = body.map(|(kind, text)| (kind, text.into_bytes()));
        let call = Call { method, path, bearer: Some(&bearer), body, ..Call::default() };
        let reply = client.call(call).await.expect("an answer");
        assert!(reply.status < 300, "{path}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
    };
    let approve = async || {
        for who in [("olga", "owners"), ("sven", "security")] {
            let waiting = send(who, "GET", "/v1/approvals?limit=1000", None).await;
            for approval in waiting["items"].as_array().expect("items") {
                let slot = if who.1 == "owners" { "owner" } else { "security" };
                if approval["state"] == "pending" && approval["slots"].as_array().expect("slots").contains(&slot.into()) {
                    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
                    let body = json!({"verdict": "approve", "reason": "bench", "version": approval["version"]}).to_string();
                    send(who, "POST", &path, Some(("application/json", body))).await;
                }
            }
        }
    };
    let ann = ("ann", "owners");
    send(ann, "POST", "/v1/records/apply", Some(("application/yaml", records))).await;
    approve().await;
    let body = json!({"reason": "bench"}).to_string();
    send(ann, "POST", "/v1/integrations/globex/order-sync/submit", Some(("application/json", body))).await;
    approve().await;
}

/// A process that ends with its handle.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real `redis-server` on a free port, with its URL.
pub async fn redis(folder: &Path) -> (Process, String) {
    let port = free_port();
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts; is it installed? (make setup)");
    let process = Process(child);
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return (process, format!("redis://127.0.0.1:{port}/0"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("redis-server does not answer");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port()
}

/// The value at `share` of sorted samples, in milliseconds.
pub fn quantile(sorted: &[Duration], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
}
