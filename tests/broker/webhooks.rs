//! Events out: signed, in order, each at least once, whatever becomes of a receiver. The receiver is a stock library (npm standardwebhooks).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::interop::process::{Server, node};
use crate::world::client::free_port;
use crate::world::{Options, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// A receiver at a port of its own, and the file of what it took.
pub struct Receiver {
    pub port: u16,
    file: PathBuf,
    running: Option<Server>,
    anytime: bool,
}

impl Receiver {
    pub fn at(port: u16, folder: &Path, name: &str) -> Self {
        Self { port, file: folder.join(format!("{name}.log")), running: None, anytime: false }
    }

    pub async fn start(&mut self) {
        let mut command = node("receiver.mjs");
        command.args([&self.port.to_string(), SECRET]).arg(&self.file).args(self.anytime.then_some("anytime"));
        self.running = Some(Server::start(command).await);
    }

    /// The clock of the world is not the machine's.
    pub fn accepts_any_time(&mut self) {
        self.anytime = true;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// What it took, in order, with repetitions.
    pub fn taken(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    pub fn indexes(&self) -> Vec<u64> {
        self.taken().iter().map(|one| one["event"]["data"]["index"].as_u64().expect("an index")).collect()
    }
}

pub fn configuration(folder: &Path, receivers: &[(&str, u16, &str)]) -> String {
    let secret = folder.join("webhook.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let one = |(name, port, more): &(&str, u16, &str)| {
        format!("[webhooks.{name}]\nurl = \"http://127.0.0.1:{port}/hook\"\nsecret_file = \"{}\"\n{more}\n", secret.display())
    };
    receivers.iter().map(one).collect()
}

/// A world that tells these receivers. What was before is not told: a receiver begins when it is configured.
pub async fn world(folder: &Path, receivers: &[(&str, u16, &str)]) -> World {
    let mut world = World::start().await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let listed: Vec<String> = receivers.iter().map(|(_, port, _)| format!("\"http://127.0.0.1:{port}\"")).collect();
    let text = text.replace("[outbound]\n", &format!("[outbound]\nevents = [{}]\n", listed.join(", ")));
    std::fs::write(&file, text + &configuration(folder, receivers)).expect("written");
    world.boot().await;
    world
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn elevation(world: &World) -> String {
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "order 1001 <script>", "ticket": "INC-7",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &wish).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    asked.json()["id"].as_str().expect("an id").to_owned()
}

pub async fn end(world: &World, id: &str) {
    let ended = world.admin_post(&format!("/v1/elevations/{id}/end"), "sara", &json!({"reason": "done"})).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
}

/// Every change entry of these kinds, as the journal has them.
async fn on_record(world: &World, kinds: &str) -> Vec<u64> {
    let journal = &world.running.as_ref().expect("running").broker.journal;
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let entries = journal.changes(from).await.expect("the journal answers");
        let Some(last) = entries.last() else { return found };
        from = last.index + 1;
        found.extend(entries.iter().filter(|entry| entry.change.what.kind().starts_with(kinds)).map(|entry| entry.index));
    }
}

/// A thousand events while the receiver is killed and started again at random; another one that never answers holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_arrive_in_order_through_a_receiver_that_dies_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, dead, deaf) = (free_port(), free_port(), tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds"));
    let deaf_port = deaf.local_addr().expect("bound").port();
    let mut receiver = Receiver::at(port, folder.path(), "good");
    let kinds = "kinds = [\"elevation\"]";
    let world = world(folder.path(), &[("good", port, kinds), ("dead", dead, kinds), ("deaf", deaf_port, kinds)]).await;
    let happens = async {
        for _ in 0..500 {
            let id = elevation(&world).await;
            end(&world, &id).await;
        }
    };
    let dies = async {
        let mut dice = 7_u64;
        loop {
            receiver.start().await;
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tokio::time::sleep(Duration::from_millis(100 + (dice >> 33) % 400)).await;
            receiver.kill();
            tokio::time::sleep(Duration::from_millis((dice >> 40) % 200)).await;
        }
    };
    tokio::select! { () = happens => {}, () = dies => unreachable!() };
    let recorded = on_record(&world, "elevation.").await;
    assert_eq!(recorded.len(), 1000);
    receiver.kill();
    receiver.start().await;
    until("all of them arrive", async || receiver.indexes().last() == recorded.last()).await;
    // At least once, in order, none lost: an index never comes before a smaller one came.
    let mut first: Vec<u64> = Vec::new();
    let mut ids: BTreeMap<u64, String> = BTreeMap::new();
    for one in receiver.taken() {
        let index = one["event"]["data"]["index"].as_u64().expect("an index");
        let id = one["id"].as_str().expect("an id").to_owned();
        assert_eq!(ids.entry(index).or_insert_with(|| id.clone()), &id, "the same id at every try");
        if first.last().is_none_or(|last| index > *last) {
            first.push(index);
        }
    }
    assert_eq!(first, recorded);
    let shown = world.admin_get("/v1/webhooks", "alan").await;
    let of = |name: &str| {
        shown["items"].as_array().expect("items").iter().find(|one| one["id"] == name).cloned().expect("a receiver")
    };
    assert_eq!((&of("good")["state"], &of("dead")["state"]), (&json!("well"), &json!("failing")), "{shown}");
    assert!(of("dead")["next"].as_u64() <= recorded.first().copied(), "{shown}");
}

/// What an event says: the entry, words for people, whom it concerns, and the head of the log. And what time brings about.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_what_was_asked_decided_and_what_time_has_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut receiver = Receiver { anytime: true, ..Receiver::at(port, folder.path(), "told") };
    receiver.start().await;
    let world = world(folder.path(), &[("told", port, "kinds = [\"elevation\"]")]).await;
    let id = elevation(&world).await;
    let version = world.admin_get(&format!("/v1/elevations/{id}"), "alan").await["version"].clone();
    let word = json!({"verdict": "approve", "reason": "it hangs", "version": version});
    assert_eq!(world.admin_post(&format!("/v1/elevations/{id}/reviews"), "sven", &word).await.status, 200);
    until("two events", async || receiver.taken().len() == 2).await;
    let [asked, decided] = receiver.taken().try_into().expect("two");
    assert_eq!((&asked["event"]["type"], &decided["event"]["type"]), (&json!("elevation.asked"), &json!("elevation.reviewed")));
    let (data, it) = (&asked["event"]["data"], &asked["event"]["data"]["elevation"]);
    assert_eq!((&it["id"], &it["reason"], &it["ticket"]), (&json!(id), &json!("order 1001 <script>"), &json!("INC-7")));
    assert_eq!(it["requestedBy"]["id"], "olga");
    assert_eq!(
        data["tell"],
        json!({
            "requester": {"iss": world.staff.issuer, "id": "olga"}, "approvers": [{"role": "security", "people": []}],
            "partner": "ops@globex.example",
        })
    );
    assert!(data["checkpoint"].as_str().is_some_and(|note| note.starts_with("test.example/carnet\n")), "{data}");
    let decided = &decided["event"]["data"];
    assert_eq!(
        (&decided["by"]["id"], &decided["reason"], &decided["elevation"]["state"]),
        (&json!("sven"), &json!("it hangs"), &json!("active"))
    );

    // Ten minutes before the end, and at the end: nobody did anything.
    world.advance(21 * 60).await;
    until("it is said to end", async || receiver.taken().len() == 3).await;
    world.advance(10 * 60).await;
    until("it is said to be over", async || receiver.taken().len() == 4).await;
    let silent = elevation(&world).await;
    world.advance(4 * 3600).await;
    until("nobody answered", async || receiver.taken().len() == 6).await;
    let taken = receiver.taken();
    let told = |at: usize| {
        (taken[at]["event"]["data"]["entry"]["notice"].clone(), taken[at]["event"]["data"]["elevation"]["state"].clone())
    };
    assert_eq!((told(2), told(3)), ((json!("ending"), json!("active")), (json!("lapsed"), json!("ended"))));
    assert_eq!(
        (told(5), &taken[5]["event"]["data"]["elevation"]["id"]),
        ((json!("expired"), json!("expired")), &json!(silent))
    );
}

/// What a receiver never takes is put aside after its time, and sent again when somebody asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_put_aside_and_can_be_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut receiver = Receiver::at(port, folder.path(), "late");
    let mut world = world(folder.path(), &[("late", port, "kinds = [\"elevation.asked\"]\ngive_up_after = \"1s\"")]).await;
    elevation(&world).await;
    let recorded = on_record(&world, "elevation.asked").await;
    let shown = async |world: &World| world.admin_get("/v1/webhooks", "alan").await["items"][0].clone();
    until("it is put aside", async || shown(&world).await["aside"] == json!(recorded)).await;
    // A restart forgets neither that nor the place.
    world.stop().await;
    world.boot().await;
    assert_eq!(shown(&world).await["aside"], json!(recorded));
    receiver.start().await;
    let adam = Program::of(&world, "adam");
    let listed = adam.run(&["webhook", "list"]).await.ended(0).stdout;
    assert!(listed.contains("late") && listed.contains(&recorded[0].to_string()), "{listed}");
    Program::of(&world, "sven").run(&["webhook", "replay", "late", "--from", "0"]).await.ended(3);
    adam.run(&["webhook", "replay", "nobody", "--from", "0"]).await.ended(5);
    adam.run(&["webhook", "replay", "late", "--from", &recorded[0].to_string()]).await.ended(0);
    until("it arrives", async || receiver.indexes() == recorded).await;
    until("nothing is aside", async || shown(&world).await["aside"] == json!([])).await;
}

/// A private address that nobody listed, and a secret that is none, are configuration faults, told with the others.
#[tokio::test]
async fn k_03_a_receiver_that_nobody_allowed_is_a_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::with(Options::default()).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let section = configuration(folder.path(), &[("inside", 9, ""), ("other", 9, "")]);
    std::fs::write(folder.path().join("webhook.secret"), "short").expect("written");
    std::fs::write(&file, text + &section).expect("written");
    let ran = Program::alone().run(&["serve", "-c", file.to_str().expect("a path")]).await;
    assert!(ran.stderr.contains("webhooks.inside.url") && ran.stderr.contains("webhooks.other.secret_file"), "{ran:?}");
}
