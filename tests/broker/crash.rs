//! The real program, killed at random moments under load (ABUSE F-01, F-02, T-06, I-6, I-7).

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::world::client::{form_request, get, try_raw};
use crate::world::{Options, TOKEN_EXCHANGE, TYPE_JWT, World, jti, records};

/// How often it is killed.
const KILLS: u32 = 200;

/// How long a start may take. It takes 50 ms on a machine that does nothing else.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What clients know: each assertion by its `jti`, and the tokens that they received for it.
#[derive(Default)]
struct Ledger {
    /// Sent, and no answer arrived: to be sent again.
    unknown: Vec<(String, String)>,
    tokens: BTreeMap<String, Vec<String>>,
    replayed: u32,
}

impl Ledger {
    /// Answers that say what became of an assertion.
    fn answered(&self) -> u64 {
        self.tokens.len() as u64 + u64::from(self.replayed)
    }
}

struct Program(Child);

impl Program {
    async fn start(world: &World) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_carnet"))
            .args(["serve", "-c"])
            .arg(world.folder.path().join("carnet.toml"))
            .env("CARNET_LOG", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut program = Self(child);
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.public);
            if try_raw(world.public, request.as_bytes()).await.is_some_and(|answer| answer.status == 200) {
                return program;
            }
            assert!(program.0.try_wait().expect("waits").is_none(), "the program ended instead of starting again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the program is not ready within {READY_WITHIN:?}");
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A small generator of our own, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One exchange of an assertion; its outcome goes into the ledger.
async fn exchange(world: &World, ledger: &Mutex<Ledger>, name: String, assertion: String) -> bool {
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("subject_token_type", TYPE_JWT),
        ("audience", "orders-api"),
        ("scope", "orders:read"),
    ];
    let answer = try_raw(world.public, &form_request(world.public, "/production/token", &form)).await;
    let mut ledger = ledger.lock().expect("not poisoned");
    match answer.as_ref().map(|answer| (answer.status, answer.json())) {
        Some((200, told)) if told["access_token"].is_string() => {
            let token = told["access_token"].as_str().expect("text").to_owned();
            ledger.tokens.entry(name).or_default().push(token);
        }
        Some((400, told)) if told["reason"] == "assertion.replayed" => ledger.replayed += 1,
        // No answer, half an answer, or "try again later".
        None | Some((0 | 200 | 503, _)) => ledger.unknown.push((name, assertion)),
        Some((status, told)) => panic!("{status} {told}"),
    }
    answer.is_some()
}

async fn load(world: Arc<World>, ledger: Arc<Mutex<Ledger>>) {
    loop {
        let again = ledger.lock().expect("not poisoned").unknown.pop();
        let (name, assertion) = again.unwrap_or_else(|| {
            let assertion = world.assertion("production");
            (jti(&assertion), assertion)
        });
        if !exchange(&world, &ledger, name, assertion).await {
            return;
        }
    }
}

/// Every token that a client received is in the journal, the journal verifies, and nothing is issued twice for one assertion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_01_killed_at_random_moments_nothing_is_lost_and_nothing_is_paid_for_twice() {
    let mut world = World::with(Options { redis: true, records: None, ..Options::default() }).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    world.stop().await;
    let world = Arc::new(world);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut dice = Dice(0x5eed_0001);
    for _ in 0..KILLS {
        world.clock.synchronise();
        let mut program = Program::start(&world).await;
        let clients: Vec<_> = (0..6).map(|_| tokio::spawn(load(Arc::clone(&world), Arc::clone(&ledger)))).collect();
        // A machine that is busy gets its load too: time alone would kill the program before it has answered anybody.
        let answered = ledger.lock().expect("not poisoned").answered() + dice.below(8);
        let begun = Instant::now();
        while ledger.lock().expect("not poisoned").answered() < answered && begun.elapsed() < READY_WITHIN {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
        program.kill();
        for client in clients {
            client.await.expect("a client's own faults are the test's");
        }
    }
    // What nobody knows the outcome of is sent once more: a token, or spent.
    world.clock.synchronise();
    let mut program = Program::start(&world).await;
    let unknown = std::mem::take(&mut ledger.lock().expect("not poisoned").unknown);
    for (name, assertion) in unknown {
        exchange(&world, &ledger, name, assertion).await;
    }
    let mut recorded = BTreeSet::new();
    let mut path = "/v1/journal?kind=issued&limit=1000".to_owned();
    loop {
        let page = world.admin_get(&path, "alan").await;
        for entry in page["items"].as_array().expect("items") {
            assert!(recorded.insert(entry["jti"].as_str().expect("a jti").to_owned()), "one jti twice: {entry}");
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/journal?kind=issued&limit=1000&cursor={next}");
    }
    assert_eq!(get(world.public, "/readyz").await.status, 200);
    program.kill();
    {
        let ledger = ledger.lock().expect("not poisoned");
        let received: Vec<&String> = ledger.tokens.values().flatten().collect();
        eprintln!("{} tokens received, {} recorded, {} replays refused", received.len(), recorded.len(), ledger.replayed);
        assert!(received.len() > 500, "there was a load: {}", received.len());
        for token in received {
            assert!(recorded.contains(&jti(token)), "a token that is not in the journal");
        }
        for (assertion, tokens) in &ledger.tokens {
            assert_eq!(tokens.len(), 1, "{assertion} paid twice");
        }
        // A recorded token that never left is harmless; there can be one for each assertion whose answer was lost.
        assert!(ledger.replayed > 0, "a kill between commit and answer was never met: the load is too small");
    }
    let verified = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["journal", "verify", "-c"])
        .arg(world.folder.path().join("carnet.toml"))
        .output()
        .expect("the program runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// E-21: killed between the commit and everything that follows it, the program comes back with state, record and index agreeing: what was
/// ended is cut in Redis as well, also when the index was lost meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn e_21_a_kill_after_an_end_leaves_journal_state_and_index_agreed() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    world.stop().await;
    let mut program = Program::start(&world).await;
    for round in 0..6_u64 {
        world.clock.synchronise();
        let wish = serde_json::json!({
            "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
            "duration": "10m", "reason": "x",
        });
        let asked = world.admin_post("/v1/elevations", "olga", &wish).await.json();
        let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
        let word = serde_json::json!({"verdict": "approve", "reason": "x", "version": asked["version"]});
        assert_eq!(world.admin_post(&format!("{path}/reviews"), "sven", &word).await.status, 200);
        let answer = world.exchange("production", &world.assertion("production"), "orders:write").await;
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        // The end is sent, and the program killed a few milliseconds later, whatever it has done by then.
        let bearer = format!("Bearer {}", world.staff_token("sara"));
        let (admin, end) = (world.admin, format!("{path}/end"));
        let sent = tokio::spawn(async move {
            let head = format!(
                "POST {end} HTTP/1.1\r\nhost: {admin}\r\nauthorization: {bearer}\r\ncontent-type: application/json\r\n"
            );
            let body = r#"{"reason":"x"}"#;
            let request = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            try_raw(admin, request.as_bytes()).await.map(|answer| answer.status)
        });
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        program.kill();
        let told = sent.await.expect("sent");
        if round % 2 == 1 {
            world.redis.as_mut().expect("a Redis").restart_empty().await;
        }
        program = Program::start(&world).await;
        world.clock.synchronise();
        let state = world.admin_get(&path, "alan").await["state"].clone();
        assert!(told != Some(200) || state == "ended", "an end that was confirmed is one: {state}");
        let active = world.introspect("production", &token).await.json()["active"] == true;
        assert_eq!(active, state == "active", "round {round}: {state}");
        let ended = world.admin_get("/v1/journal?kind=elevation.ended&limit=1000", "alan").await;
        let recorded = ended["items"].as_array().expect("items").iter().filter(|one| one["subject"] == asked["id"]).count();
        assert_eq!(recorded, usize::from(state == "ended"), "round {round}");
        if state == "active" {
            assert_eq!(world.admin_post(&format!("{path}/end"), "sara", &serde_json::json!({"reason": "x"})).await.status, 200);
        }
    }
}
