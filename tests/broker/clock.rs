//! The clock is set while the broker runs, or before it starts (ABUSE L-10, T-13; S-3): it refuses everything that rests on the time, says
//! so, and loses nothing by it.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use carnet::domain::value::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::nodes::{Fellow, is_active, minted};
use crate::webhooks::until;
use crate::world::{Answer, Options, World, get, send};

const DAY: i64 = 86_400;

/// The difference of clocks, in seconds, that whoever verifies tokens allows for.
const LEEWAY: i64 = 30;

/// The check of the clock in `/readyz?verbose` of the admin address.
async fn clock_check(world: &World) -> Value {
    let told = get(world.admin, "/readyz?verbose").await.json();
    told["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "clock").expect("a clock").clone()
}

#[track_caller]
fn busy(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{what}");
}

/// Everything that mints, records or says "active" is refused, and nothing else is said of it.
async fn fenced(world: &World, proof: &str, token: &str) {
    assert_eq!(get(world.public, "/readyz").await.status, 503);
    assert_eq!(get(world.public, "/livez").await.status, 200);
    assert_eq!(get(world.public, "/production/jwks").await.status, 200);
    let refused = world.exchange("production", proof, "orders:read").await;
    busy(&refused, "token");
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    busy(&world.introspect("production", token).await, "introspection");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders")];
    let verdict = send(world.public, "GET", "/production/verify?api=orders-api&scope=orders:read", &headers, b"").await;
    busy(&verdict, "verify");
    let revoke = json!({"partner": "globex", "reason": "stolen laptop"});
    let revoked = world.admin_post("/v1/revocations", "sven", &revoke).await;
    busy(&revoked, "revocation");
    assert_eq!(revoked.json()["reason"], "clock.unsteady");
}

async fn world(file: bool) -> World {
    let configuration = "verify_callers = [\"127.0.0.0/8\"]\n".to_owned();
    World::with(Options { configuration, file, ..Options::default() }).await
}

/// A day ahead for some seconds, an hour back, and little more than clocks may differ: refused, named, and gone when the clock is right.
#[tokio::test]
async fn l_10_a_clock_that_jumps_stops_the_node_and_leaves_no_trace() {
    let world = world(false).await;
    let (token, proof) = (world.minted().await, world.assertion("production"));
    let before = world.running.as_ref().expect("runs").broker.journal.view();
    for by in [DAY, -3600, 31, -31] {
        world.clock.jump(by);
        fenced(&world, &proof, &token).await;
        let told = clock_check(&world).await;
        let detail = told["detail"].as_str().expect("a detail");
        let (wall, right) = (at(world.clock.seconds()), at(world.clock.seconds() - by));
        assert!(detail.contains(&wall) && detail.contains(&right) && detail.contains("clock"), "{detail}");
        // Longer than any lease: the live index is not lost by it.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        fenced(&world, &proof, &token).await;
        world.clock.jump(-by);
        assert_eq!(get(world.public, "/readyz").await.status, 200, "{}", get(world.admin, "/readyz?verbose").await.text());
        assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    }
    let view = world.running.as_ref().expect("runs").broker.journal.view();
    assert!(view.time <= before.time.plus(carnet::domain::value::clock::Seconds(1)), "no entry has another time");
    assert_eq!(world.exchange("production", &proof, "orders:read").await.status, 200, "the proof was not spent");
    assert_eq!(world.exchange("production", &proof, "orders:read").await.status, 400);
}

/// S-3: while the clock cannot be believed, no certificate is called good, and no list of revoked ones is signed.
#[tokio::test(flavor = "multi_thread")]
async fn s_3_no_certificate_is_issued_or_called_good_under_such_a_clock() {
    let world = World::start().await;
    crate::certificates::onboard(&world).await;
    world.clock.synchronise();
    let machine = crate::certificates::enrolled(&world, "production").await;
    machine.request("two", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "").await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -reqout question.der").await;
    let question = std::fs::read(machine.path("question.der")).expect("a question");
    let status = async || {
        let kind = [("content-type", "application/ocsp-request")];
        send(world.public, "POST", "/production/ocsp", &kind, &question).await.body
    };
    // RFC 6960 section 4.2.1: tryLater, which nobody signs.
    let later = [0x30, 3, 0x0a, 1, 3];
    for by in [DAY, -3600] {
        world.clock.jump(by);
        assert_eq!(status().await, later, "{by}");
        assert_eq!(get(world.public, "/production/crl").await.status, 503, "{by}");
        let renewed = machine.enrol("production", "simplereenroll", "two", Some("one"), None).await;
        assert_eq!(renewed.status, 503, "{by}: {renewed:?}");
        assert!(renewed.body.contains("clock.unsteady"), "{by}: {renewed:?}");
        world.clock.jump(-by);
        assert_ne!(status().await, later, "{by}");
        assert_eq!(get(world.public, "/production/crl").await.status, 200, "{by}");
    }
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
}

fn at(seconds: i64) -> String {
    carnet::domain::value::clock::Timestamp::from_seconds(seconds).expect("a time").to_string()
}

/// Clocks differ a little, and go back a little.
#[tokio::test]
async fn t_11_a_clock_within_the_skew_changes_nothing() {
    let world = world(false).await;
    for by in [-30, 30] {
        world.clock.jump(by);
        becomes(&world, 200).await;
        world.minted().await;
        assert_eq!(clock_check(&world).await["ok"], true);
        world.clock.jump(-by);
        becomes(&world, 200).await;
    }
    world.minted().await;
}

/// The clock of one node, which differs from that of the machine as the test sets it.
struct Apart {
    ahead: AtomicI64,
    began: Instant,
}

impl Clock for Apart {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        let now = i64::try_from(since.as_secs()).expect("before the end of time");
        Timestamp::from_seconds(now + self.ahead.load(Ordering::SeqCst)).expect("a time")
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Of two nodes the clock of one is 30 s off that of the database: it mints nothing and calls nothing active, says so, and still publishes the
/// keys by which the tokens of the other verify, at either end of the leeway. The other is not held up.
#[tokio::test]
async fn t_11_a_node_whose_clock_is_off_mints_nothing_and_tokens_of_others_verify() {
    let (_database, mut world) = crate::nodes::world().await;
    world.clock.synchronise();
    let clock = Arc::new(Apart { ahead: AtomicI64::new(0), began: Instant::now() });
    let mut second = Fellow::of(&world, "sts-2");
    let config = carnet::config::load(&second.file()).expect("a valid configuration");
    let system =
        carnet::serve::System { clock: Arc::clone(&clock) as Arc<dyn Clock>, entropy: Arc::new(carnet::server::OsEntropy) };
    second.running = Some(carnet::serve::start(config, system).await.expect("the node starts"));
    second.until_ready().await;
    let check = async |node: SocketAddr| {
        let told = get(node, "/readyz?verbose").await.json();
        told["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "clock").expect("a clock").clone()
    };
    // By one second less where it is ahead: with a second that was cut off it would count as a clock that was set.
    for (by, words) in [(29, " s ahead of that"), (-30, " s behind that")] {
        world.clock.synchronise();
        let token = minted(&world, world.public).await;
        clock.ahead.store(by, Ordering::SeqCst);
        until("the node says so", async || check(second.admin).await["ok"] == false).await;
        let detail = check(second.admin).await["detail"].to_string();
        assert!(detail.contains(words) && detail.contains("of the journal's database"), "{detail}");
        assert_eq!(get(second.public, "/readyz").await.status, 503, "{by}");
        // It mints nothing, spends no proof, and calls nothing active.
        let (issued, proof) = (world.issued().await, world.assertion("production"));
        let refused = world.exchange_proof_at(second.public, &proof).await;
        busy(&refused, "token");
        assert_eq!(refused.json()["error"], "temporarily_unavailable", "{}", refused.text());
        busy(&world.introspect_at(second.public, &token).await, "introspection");
        assert_eq!(world.issued().await, issued, "nothing was minted");
        // Its keys are those of the other, and an API whose clock is that of this node takes the token.
        let keys = world.get_at(second.public, "/production/jwks").await;
        assert_eq!((keys.status, keys.json()), (200, world.get_at(world.public, "/production/jwks").await.json()));
        let (claims, now) = (crate::world::claims(&token), clock.now().as_seconds());
        let time = |name: &str| claims[name].as_i64().expect("a time");
        assert!(time("iat") - now <= LEEWAY && time("exp") + LEEWAY > now, "{claims} at {now}");
        // The other node goes on: the proof was not spent.
        assert_eq!(world.exchange_proof_at(world.public, &proof).await.status, 200);
        assert!(is_active(&world, world.public, &token).await);
        clock.ahead.store(0, Ordering::SeqCst);
        second.until_ready().await;
        let own = minted(&world, second.public).await;
        assert!(is_active(&world, world.public, &own).await && is_active(&world, second.public, &token).await);
    }
    second.stop().await;
    world.stop().await;
}

/// Started under a clock that was a day ahead, and started again when it was put right: nothing is said or minted until the operator's
/// command, and then at once.
#[tokio::test]
async fn l_10_a_journal_of_tomorrow_is_corrected_on_record() {
    let mut world = world(true).await;
    world.stop().await;
    world.clock.jump(DAY);
    world.boot().await;
    let proof = world.assertion("production");
    let minted = world.exchange("production", &proof, "orders:read").await;
    assert_eq!(minted.status, 200, "nothing tells that this clock is wrong: {}", minted.text());
    let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
    world.stop().await;
    world.clock.jump(-DAY);
    world.boot().await;
    fenced(&world, &world.assertion("production"), &token).await;
    let detail = clock_check(&world).await["detail"].as_str().expect("a detail").to_owned();
    assert!(
        detail.contains(&at(world.clock.seconds())) && detail.contains("`carnet journal correct-clock --help`"),
        "{detail}"
    );

    let config = world.folder.path().join("carnet.toml").display().to_string();
    let program = Program::alone();
    program.run(&["journal", "correct-clock", "--help"]).await.ended(0);
    let now = at(world.clock.seconds());
    let correct = |confirm: &'static str, now: String| {
        let (program, config) = (&program, config.clone());
        async move {
            program.run(&["journal", "correct-clock", "-c", &config, "--confirm", confirm, "--now", &now, "-o", "json"]).await
        }
    };
    // Neither under another name, nor where the operator's watch says that the machine is wrong.
    correct("another", now.clone()).await.ended(2);
    let wrong = correct("test.example/carnet", at(world.clock.seconds() + 3600)).await.ended(2);
    assert!(wrong.stderr.contains("--now"), "{wrong:?}");
    let ahead = program.run(&["journal", "reopen", "-c", &config, "--confirm", "test.example/carnet"]).await.ended(7);
    assert!(ahead.stderr.contains("correct-clock"), "{ahead:?}");
    let corrected = correct("test.example/carnet", now.clone()).await.ended(0).json();
    assert_eq!(corrected["epoch"], 2);
    correct("test.example/carnet", now).await.ended(1);

    // The server that ran all the time goes on, and staff count again.
    let mut ready = false;
    for _ in 0..100 {
        ready = clock_check(&world).await["ok"] == true;
        if ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ready, "{}", get(world.admin, "/readyz?verbose").await.text());
    let rotated = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256", "acceptOutage": true})).await;
    assert!(rotated.status < 300, "{}", rotated.text());
    let fresh = world.minted().await;
    for _ in 0..100 {
        if world.introspect("production", &fresh).await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.introspect("production", &fresh).await.json()["active"], true);
    assert_eq!(world.introspect("production", &token).await.json()["active"], false, "it would have begun tomorrow");
    world.clock.advance(5);
    world.stop().await;
    world.boot().await;
    world.minted().await;
    program.run(&["journal", "verify", "-c", &config]).await.ended(0);
    // Tomorrow, at the second at which it was spent, the proof of tomorrow does not pay again.
    world.advance(DAY).await;
    assert_eq!(world.exchange("production", &proof, "orders:read").await.status, 400);
}

/// A journal that rests after it was reopened rests on when its time is corrected: proofs that the lost part spent are as good as before.
#[tokio::test]
async fn l_10_a_correction_leaves_the_rest_of_a_reopening() {
    let mut world = world(true).await;
    let config = world.folder.path().join("carnet.toml").display().to_string();
    let program = Program::alone();
    world.stop().await;
    let confirm = ["-c", &config, "--confirm", "test.example/carnet", "-o", "json"];
    let reopened = program.run(&[&["journal", "reopen"], &confirm[..]].concat()).await.ended(0).json();
    let from = reopened["mintsFrom"].as_str().expect("a time").to_owned();
    world.clock.synchronise();
    world.clock.jump(3 * DAY);
    world.boot().await;
    let rotate = json!({"alg": "ES256", "acceptOutage": true});
    assert!(world.admin_post("/v1/keys/production/rotate", "adam", &rotate).await.status < 300);
    world.minted().await;
    world.stop().await;
    world.clock.jump(-3 * DAY);
    let now = at(world.clock.seconds());
    let arguments = [&["journal", "correct-clock", "--now", &now], &confirm[..]].concat();
    let corrected = program.run(&arguments).await.ended(0).json();
    assert_eq!((&corrected["epoch"], &corrected["mintsFrom"]), (&json!(3), &json!(from)));
    world.clock.synchronise();
    world.boot().await;
    assert!(world.admin_post("/v1/keys/production/rotate", "adam", &rotate).await.status < 300);
    let issued = world.issued().await;
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    busy(&refused, "it rests");
    assert_eq!(refused.json()["reason"], "journal.reopened");
    assert_eq!(world.issued().await, issued);
}

/// The program, under a wall clock that `libfaketime` sets by a file.
struct Faked {
    child: Child,
    file: std::path::PathBuf,
}

impl Faked {
    fn start(world: &World) -> Self {
        let file = world.folder.path().join("wall-clock");
        std::fs::write(&file, "+0").expect("written");
        let told = Command::new("faketime").args(["-m", "-f", "+0s", "sh", "-c", "echo $LD_PRELOAD"]).output();
        let library = String::from_utf8(told.expect("faketime is installed").stdout).expect("a path").trim().to_owned();
        assert!(!library.is_empty(), "faketime names its library");
        let child = Command::new(env!("CARGO_BIN_EXE_carnet"))
            .args(["serve", "-c"])
            .arg(world.folder.path().join("carnet.toml"))
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self { child, file }
    }

    fn set(&self, offset: &str) {
        std::fs::write(&self.file, offset).expect("written");
    }

    /// Ends it; what it wrote to its log.
    fn ended(mut self) -> String {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let mut log = String::new();
        self.child.stderr.take().expect("a log").read_to_string(&mut log).expect("text");
        self.child.wait().expect("it ends");
        log
    }
}

async fn becomes(world: &World, status: u16) {
    for _ in 0..100 {
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.public);
        let answer = crate::world::client::try_raw(world.public, request.as_bytes()).await;
        if answer.is_some_and(|answer| answer.status == status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/readyz did not become {status}");
}

/// The real program and the real clocks: forward a day, right, back an hour, right; its log names the clock though no request comes in.
#[tokio::test]
async fn l_10_the_real_program_sees_its_wall_clock_set() {
    let mut world = World::start().await;
    world.stop().await;
    world.clock.synchronise();
    let program = Faked::start(&world);
    becomes(&world, 200).await;
    for offset in ["+1d", "-1h"] {
        program.set(offset);
        becomes(&world, 503).await;
        let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
        busy(&refused, offset);
        // The log is written by the task that looks each second.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        program.set("+0");
        becomes(&world, 200).await;
        world.clock.synchronise();
        world.minted().await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    let log = program.ended();
    let named = log
        .lines()
        .filter(|line| line.contains("the clock cannot be believed") && line.contains("the wall clock reads"))
        .count();
    assert_eq!(named, 2, "{log}");
    let config = world.folder.path().join("carnet.toml").display().to_string();
    Program::alone().run(&["journal", "verify", "-c", &config]).await.ended(0);
}
