//! ABUSE L-04, I-22: canaries in everything that a caller can send; none may come out of a log, the journal, metrics or an error.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::world::client::{get, post_form, send, try_raw};
use crate::world::{Options, TOKEN_EXCHANGE, TYPE_JWT, World};

/// What must not be found anywhere, with a name for the failure.
struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        self.0.push((name.to_owned(), secret.as_ref().to_vec()));
    }

    /// A JWT is a secret as a whole and by its signature.
    fn add_jwt(&mut self, name: &str, jwt: &str) {
        self.add(name, jwt);
        self.add(&format!("{name}, its signature"), jwt.rsplit('.').next().expect("three parts"));
    }

    fn scan(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.0 {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "l_04: {name} stands in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l_04_no_secret_leaves_by_log_journal_metrics_or_error() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    world.stop().await;
    world.clock.synchronise();
    let log = world.folder.path().join("log");
    let mut program = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["serve", "-c"])
        .arg(world.folder.path().join("carnet.toml"))
        .env("CARNET_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log file"))
        .spawn()
        .expect("the program starts");
    let probe = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.public);
    for _ in 0..400 {
        if try_raw(world.public, probe.as_bytes()).await.is_some_and(|answer| answer.status == 200) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut canaries = Canaries(Vec::new());
    let mut bodies = Vec::new();
    // Good and bad assertions in each slot.
    for scope in ["orders:read", "orders:nothing"] {
        let assertion = world.assertion("production");
        canaries.add_jwt("an assertion", &assertion);
        let answer = world.exchange("production", &assertion, scope).await;
        if let Some(token) = answer.json()["access_token"].as_str() {
            canaries.add_jwt("a token", token);
            let answer = world.introspect("production", token).await;
            assert_eq!(answer.json()["active"], true);
            bodies.push(answer.body);
        } else {
            bodies.push(answer.body);
        }
    }
    let mut broken = world.assertion("production");
    broken.push_str("CANARYbroken");
    canaries.add("a broken assertion", &broken);
    bodies.push(world.exchange("production", &broken, "orders:read").await.body);
    // Secrets where they do not belong.
    for secret in
        ["CANARYclientsecret", "CANARYpassword", "CANARYcookie", "CANARYbasic", "CANARYquery", "CANARYheader", "CANARYbearer"]
    {
        canaries.add(secret, secret);
    }
    let form =
        [("grant_type", "client_credentials"), ("client_id", "globex/order-sync"), ("client_secret", "CANARYclientsecret")];
    bodies.push(post_form(world.public, "/production/token", &form).await.body);
    let form = [("grant_type", "password"), ("username", "x"), ("password", "CANARYpassword")];
    bodies.push(post_form(world.public, "/production/token", &form).await.body);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("cookie", "session=CANARYcookie"),
        ("authorization", "Basic CANARYbasic"),
        ("x-client-cert", "CANARYheader"),
    ];
    let body = format!("grant_type={TOKEN_EXCHANGE}&subject_token_type={TYPE_JWT}&subject_token=CANARYbearer");
    bodies.push(send(world.public, "POST", "/production/token", &headers, body.as_bytes()).await.body);
    bodies.push(get(world.public, "/production/jwks?access_token=CANARYquery").await.body);
    bodies.push(get(world.admin, "/v1/approvals?access_token=CANARYquery").await.body);
    bodies.push(send(world.admin, "GET", "/v1/approvals", &[("authorization", "Bearer CANARYbearer")], b"").await.body);
    // Staff.
    let bearer = world.staff_token("sven");
    canaries.add_jwt("a staff bearer", &bearer);
    let authorization = format!("Bearer {bearer}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let revocation = json!({"partner": "globex", "reason": "over"}).to_string();
    bodies.push(send(world.admin, "POST", "/v1/revocations", &headers, revocation.as_bytes()).await.body);
    bodies.push(
        send(world.admin, "POST", "/v1/revocations", &headers, b"{\"token\": \"CANARYbearer\", \"reason\": 1}").await.body,
    );
    let metrics = get(world.admin, "/metrics").await.body;
    // What seals the keys.
    let kek = std::fs::read(world.folder.path().join("kek")).expect("the key-encryption key");
    canaries.add("the key-encryption key", &kek);
    canaries.add("the key-encryption key in hex", kek.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    {
        use base64::Engine as _;
        canaries.add("the key-encryption key in base64", base64::engine::general_purpose::STANDARD.encode(&kek));
    }
    // A moment for what is written behind an answer; then a stop in order.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = Command::new("kill").args(["-TERM", &program.id().to_string()]).status().expect("kill runs");
    assert!(stopped.success() && program.wait().expect("ends").success(), "the program ends in order");
    let text = std::fs::read(&log).expect("the log");
    assert!(text.len() > 3_000, "the log was on: {} bytes", text.len());
    canaries.scan("the log", &text);
    canaries.scan("metrics", &metrics);
    for body in &bodies {
        canaries.scan("an answer", body);
    }
    for entry in std::fs::read_dir(world.folder.path()).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_file() && name != "kek" && name != "log" {
            canaries.scan(&name, &std::fs::read(&path).expect("a file"));
        }
    }
}
