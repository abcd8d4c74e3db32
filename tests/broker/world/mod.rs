//! The world of a test: a server, a partner's issuer, a company's identity provider, and a clock that the test moves.

pub mod client;
pub mod days;
pub mod description;
mod evidence;
pub mod issuer;
pub mod node;
pub mod records;
pub mod redis;
pub mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use carnet::domain::value::clock::{Clock, Timestamp};
use serde_json::{Value, json};

pub use client::{Answer, get, post_form, send};
pub use issuer::{Key, Provider};
pub use redis::Redis;
pub use store::Store;

/// A clock that stands until a test moves it; it starts at the machine's time.
pub struct TestClock {
    /// The monotonic clock, in seconds since 1970.
    passed: AtomicI64,
    /// How far the wall clock is ahead of it.
    jumped: AtomicI64,
}

impl TestClock {
    fn start() -> Arc<Self> {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        let passed = AtomicI64::new(i64::try_from(since.as_secs()).expect("before the end of time"));
        Arc::new(Self { passed, jumped: AtomicI64::new(0) })
    }

    /// Lets `seconds` pass.
    pub fn advance(&self, seconds: i64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the wall clock, and it alone, by `seconds` forwards or backwards.
    pub fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Puts the clock to the machine's time, for servers that are processes of their own.
    pub fn synchronise(&self) {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        self.passed.store(i64::try_from(since.as_secs()).expect("before the end of time"), Ordering::SeqCst);
    }

    /// The present second, by the wall clock.
    pub fn seconds(&self) -> i64 {
        self.passed.load(Ordering::SeqCst) + self.jumped.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.seconds()).expect("a time")
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.passed.load(Ordering::SeqCst).unsigned_abs())
    }

    fn is_set_at_will(&self) -> bool {
        true
    }
}

/// What a world is made with.
#[derive(Default)]
pub struct Options {
    /// A real Redis instead of the in-process index.
    pub redis: bool,
    /// Issuers besides the fake ones that the configuration allows on this machine.
    pub issuers: Vec<String>,
    /// Records to apply and approve instead of the usual ones.
    pub records: Option<String>,
    /// Changes to the configuration text.
    pub configuration: String,
    /// The lines of `[journal]` that name its place, instead of the usual store's.
    pub journal: Option<String>,
    /// A journal in a file, whatever store is asked for: the test reads or writes it by another hand.
    pub file: bool,
}

/// A running broker with everything around it.
pub struct World {
    /// The public socket.
    pub public: SocketAddr,
    /// The admin socket.
    pub admin: SocketAddr,
    /// The clock of the broker and both issuers.
    pub clock: Arc<TestClock>,
    /// The partner's issuer.
    pub partner: Provider,
    /// The company's identity provider.
    pub staff: Provider,
    /// Redis, where the world has one.
    pub redis: Option<Redis>,
    /// The store of the journal.
    pub store: Store,
    /// Where journal, key and configuration lie.
    pub folder: tempfile::TempDir,
    /// The broker, while it runs in this process.
    pub running: Option<carnet::serve::Running>,
    /// Why the journal is not verified when the test ends; nothing in nearly every test.
    unverified: Option<&'static str>,
}

/// Every test ends with a journal that verifies, and so does its export (E-1). A test that has failed already is left alone.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || self.unverified.is_some() {
            return;
        }
        if let Err(fault) = evidence::verify(self.folder.path()) {
            panic!("the test leaves a journal that does not verify: {fault}");
        }
    }
}

/// The header of a JWT, unverified.
pub fn header(jwt: &str) -> Value {
    part_of(jwt, 0)
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    part_of(jwt, 1)
}

fn part_of(jwt: &str, part: usize) -> Value {
    let text = jwt.split('.').nth(part).expect("a part");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The id of a token, unverified.
pub fn jti(token: &str) -> String {
    claims(token)["jti"].as_str().expect("a jti").to_owned()
}

/// The exchange grant.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of a partner's token.
pub const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl World {
    /// The usual world: records applied and approved, no Redis.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// The usual world, with a journal in a file.
    pub async fn in_file() -> Self {
        Self::with(Options { file: true, ..Options::default() }).await
    }

    /// A world with these options.
    pub async fn with(options: Options) -> Self {
        let clock = TestClock::start();
        let partner = Provider::start().await;
        let staff = Provider::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let store = if options.file { Store::Sqlite } else { Store::asked() };
        let journal = options.journal.unwrap_or_else(|| store.lines(folder.path()));
        // A journal that several nodes may share has a live index that they share.
        let redis = if options.redis || journal.contains("postgres") { Some(Redis::start().await) } else { None };
        let ports = (client::free_port(), client::free_port());
        let allowed = [&[partner.issuer.clone(), staff.issuer.clone()], options.issuers.as_slice()].concat();
        let text = configuration(&journal, ports, &staff, &allowed, redis.as_ref()) + &options.configuration;
        std::fs::write(folder.path().join("carnet.toml"), text).expect("written");
        carnet::journal::Kek::create(&folder.path().join("kek"), &carnet::server::OsEntropy).expect("a key-encryption key");
        let mut world = Self {
            public: SocketAddr::from(([127, 0, 0, 1], ports.0)),
            admin: SocketAddr::from(([127, 0, 0, 1], ports.1)),
            clock,
            partner,
            staff,
            redis,
            store,
            folder,
            running: None,
            unverified: None,
        };
        world.boot().await;
        let records = options.records.unwrap_or_else(|| records::usual(&world.partner.issuer));
        world.onboard(&records).await;
        world
    }

    /// Starts the server over the folder as it is.
    ///
    /// On a database that nodes may share no start records a changed file: the administrator does.
    pub async fn boot(&mut self) {
        self.try_boot().await.expect("the server starts");
        if matches!(self.store, Store::Postgres(_)) {
            let found = self.admin_get("/v1/configuration", "adam").await;
            let seen = serde_json::json!({"recorded": found["recorded"], "file": found["file"]});
            let applied = self.admin_post("/v1/configuration/apply", "adam", &seen).await;
            assert_eq!(applied.status, 200, "{}", applied.text());
        }
    }

    /// The same, where it may refuse to.
    pub async fn try_boot(&mut self) -> Result<(), carnet::serve::StartFault> {
        let config = carnet::config::load(&self.folder.path().join("carnet.toml")).expect("a valid configuration");
        let system = carnet::serve::System {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(carnet::server::OsEntropy),
        };
        self.running = Some(carnet::serve::start(config, system).await?);
        Ok(())
    }

    /// Says that this test leaves a journal which cannot verify, and why: it damages the journal, its key or its configuration.
    pub fn leaves_unverified(&mut self, why: &'static str) {
        self.unverified = Some(why);
    }

    /// Stops the server and waits for it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    /// From now on the clock goes with the wall's, as that of programs and APIs beside the broker does.
    pub fn follow_the_wall(&self) {
        self.clock.synchronise();
        let clock = Arc::clone(&self.clock);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                clock.synchronise();
            }
        });
    }

    /// Moves the clock, and waits until the live index has heard of the new time: by the clock it has been silent for as long.
    pub async fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
        for _ in 0..200 {
            if get(self.public, "/readyz").await.status == 200 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the node is not ready again after its clock moved");
    }

    /// The issuer of an environment.
    pub fn issuer(&self, environment: &str) -> String {
        format!("http://{}/{environment}", self.public)
    }

    /// Applies records as `ann`, then submits and approves everything as `olga` (owner) and `sven` (security).
    pub async fn onboard(&self, records: &str) {
        let applied = self.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await;
        assert_eq!(applied.status, 200, "{}", applied.text());
        self.approve_all().await;
        let integrations = self.admin_get("/v1/integrations", "sven").await;
        for integration in integrations["items"].as_array().expect("items") {
            if integration["state"] == "draft" {
                let path = format!("/v1/integrations/{}/submit", integration["id"].as_str().expect("an id"));
                let answer = self.admin_post(&path, "ann", &json!({"reason": "ready"})).await;
                assert!(answer.status < 300, "{}", answer.text());
            }
        }
        self.approve_all().await;
    }

    /// Approves whatever is pending, by whoever may.
    pub async fn approve_all(&self) {
        let approvals = self.admin_get("/v1/approvals?limit=1000", "sven").await;
        for approval in approvals["items"].as_array().expect("items") {
            if approval["state"] != "pending" {
                continue;
            }
            for person in ["olga", "sven"] {
                let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
                let body = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
                let answer = self.admin_post(&path, person, &body).await;
                let slot = answer.json()["reason"] == "approval.slot" || answer.json()["reason"] == "approval.decided";
                assert!(answer.status < 300 || slot, "{person}: {}", answer.text());
            }
        }
    }

    /// GET of the admin API as a person; 200 is expected.
    pub async fn admin_get(&self, path: &str, person: &str) -> Value {
        let answer = self.admin_send("GET", path, person, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// POST of the admin API as a person.
    pub async fn admin_post(&self, path: &str, person: &str, body: &Value) -> Answer {
        self.admin_send("POST", path, person, Some(("application/json", body.to_string()))).await
    }

    /// Any request to the admin API as a person.
    pub async fn admin_send(&self, method: &str, path: &str, person: &str, body: Option<(&str, String)>) -> Answer {
        let bearer = format!("Bearer {}", self.staff_token(person));
        let mut headers = vec![("authorization", bearer.as_str())];
        let (kind, body) = body.unwrap_or(("", String::new()));
        if !kind.is_empty() {
            headers.push(("content-type", kind));
        }
        send(self.admin, method, path, &headers, body.as_bytes()).await
    }

    /// A fresh staff token: `ann`, `olga`, `omar` and `otto` are owners, `sven` and `sara` security, `adam` administrator, `alan` auditor.
    pub fn staff_token(&self, person: &str) -> String {
        let groups = match person {
            "ann" | "olga" | "omar" | "otto" => vec!["owners"],
            "sven" | "sara" => vec!["security"],
            "adam" => vec!["admins"],
            "alan" => vec!["audit"],
            _ => vec![],
        };
        let now = self.clock.seconds();
        self.staff.sign(&json!({
            "iss": self.staff.issuer, "sub": person, "aud": "carnet", "exp": now + 600, "iat": now, "auth_time": now,
            "groups": groups, "name": person,
        }))
    }

    /// The claims of a good assertion of the usual workload for `environment`.
    pub fn claims(&self, environment: &str) -> Value {
        let now = self.clock.seconds();
        json!({
            "iss": self.partner.issuer, "sub": "repo:globex/orders", "aud": self.issuer(environment), "exp": now + 300, "iat": now,
            "jti": client::unique(), "repository_id": "456789", "repository_owner_id": "998877", "ref": "refs/heads/main",
        })
    }

    /// A fresh good assertion.
    pub fn assertion(&self, environment: &str) -> String {
        self.partner.sign(&self.claims(environment))
    }

    /// Exchanges `assertion` for `scope` of the usual API.
    pub async fn exchange(&self, environment: &str, assertion: &str, scope: &str) -> Answer {
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", assertion),
            ("subject_token_type", TYPE_JWT),
            ("audience", "orders-api"),
            ("scope", scope),
        ];
        self.token(environment, &form).await
    }

    /// A request to the token endpoint.
    pub async fn token(&self, environment: &str, form: &[(&str, &str)]) -> Answer {
        post_form(self.public, &format!("/{environment}/token"), form).await
    }

    /// A token for `orders:read` in production.
    pub async fn minted(&self) -> String {
        let answer = self.exchange("production", &self.assertion("production"), "orders:read").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// Introspects as the API's own workload.
    pub async fn introspect(&self, environment: &str, token: &str) -> Answer {
        let proof = self.api_proof(environment);
        let form = [
            ("token", token),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", proof.as_str()),
        ];
        post_form(self.public, &format!("/{environment}/introspect"), &form).await
    }

    /// A proof of the API's own workload.
    pub fn api_proof(&self, environment: &str) -> String {
        let now = self.clock.seconds();
        self.partner.sign(&json!({
            "iss": self.partner.issuer, "sub": "system:serviceaccount:orders:api", "aud": self.issuer(environment), "exp": now + 300,
            "iat": now, "jti": client::unique(),
        }))
    }

    /// How many tokens are on record.
    pub async fn issued(&self) -> usize {
        let entries = self.admin_get("/v1/journal?kind=issued&limit=1000", "alan").await;
        entries["items"].as_array().expect("items").len()
    }
}

fn configuration(journal: &str, ports: (u16, u16), staff: &Provider, allowed: &[String], redis: Option<&Redis>) -> String {
    let (public, admin) = ports;
    let origins: Vec<String> = allowed.iter().map(|origin| format!("\"{origin}\"")).collect();
    let redis = redis.map_or_else(String::new, |redis| format!("[redis]\nurl = \"{}\"\n", redis.url));
    format!(
        r#"
[journal]
{journal}origin = "test.example/carnet"
{redis}
[keys]
kek_file = "kek"
[staff]
issuer = "{staff}"
audience = "carnet"
roles = {{ administrator = ["admins"], security = ["security"], owner = ["owners"], auditor = ["audit"] }}
[outbound]
issuers = [{origins}]
[environments.sandbox]
issuer = "http://127.0.0.1:{public}/sandbox"
max_ttl = "15m"
[environments.production]
issuer = "http://127.0.0.1:{public}/production"
max_ttl = "10m"
[listen]
public = "127.0.0.1:{public}"
admin = "127.0.0.1:{admin}"
mtls = "127.0.0.1:0"
"#,
        staff = staff.issuer,
        origins = origins.join(", "),
    )
}
