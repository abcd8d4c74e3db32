//! The journal as events for others: CloudEvents, and OCSF by the schema of a published package (PyPI ocsf-json-schema).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

use carnet::broker::exported::{self, Form, Told};
use carnet::domain::elevation::Elevation;
use carnet::domain::log::entry::Entry;
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::interop::process::{file, output, python};
use crate::webhooks::until;
use crate::world::World;

/// The version of OCSF, and the classes that the contract names.
const VERSION: &str = "1.5.0";
const CLASSES: [&str; 6] = ["3001", "3002", "3003", "3004", "3005", "6003"];

/// The schema of each class.
async fn schemas() -> BTreeMap<u64, jsonschema::Validator> {
    let mut command = python("tests/broker/interop/ocsf.py");
    command.arg(VERSION).args(CLASSES);
    let printed: BTreeMap<String, Value> = serde_json::from_str(&output(command, String::new()).await).expect("schemas");
    let validator = |schema: &Value| jsonschema::validator_for(schema).expect("a schema");
    printed.iter().map(|(uid, schema)| (uid.parse().expect("a number"), validator(schema))).collect()
}

/// That the schema of its class accepts an event.
fn accepted(schemas: &BTreeMap<u64, jsonschema::Validator>, event: &Value) {
    let class = event["class_uid"].as_u64().expect("a class");
    let faults: Vec<String> =
        schemas[&class].iter_errors(event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{}: {faults:#?}\n{event:#}", event["metadata"]["event_code"]);
    let activity = event["activity_id"].as_u64().expect("an activity");
    assert_eq!(event["type_uid"], json!(class * 100 + activity));
}

/// The class that the contract gives to a kind.
fn wanted(kind: &str) -> u64 {
    let stops = ["suspended", "resumed", "resume-asked"];
    match kind.split_once('.').unwrap_or((kind, "")) {
        ("issued", _) => 3003,
        ("refused" | "refusals", _) => 3002,
        ("integration" | "partner", verb) if stops.contains(&verb) => 3001,
        (
            "integration" | "partner" | "api" | "approval" | "review" | "guardrail" | "exception" | "dates" | "offboarding"
            | "dependency",
            _,
        ) => 3004,
        ("elevation", _) => 3005,
        _ => 6003,
    }
}

/// Every kind of entry that the golden journals have, which is every kind that there is.
#[tokio::test]
async fn an_entry_of_every_kind_is_an_event_that_the_published_schema_accepts() {
    let schemas = schemas().await;
    let golden = std::fs::read_dir(file("tests/golden/journal")).expect("golden journals");
    let mut kinds = BTreeSet::new();
    for directory in golden {
        let directory = directory.expect("one").path();
        if !directory.is_dir() {
            continue;
        }
        let lines = std::fs::read_to_string(directory.join("entries.ndjson")).expect("entries");
        let (mut epoch, mut elevations) = (1, BTreeMap::<String, Elevation>::new());
        for line in lines.lines() {
            let entry = Entry::parse(line.as_bytes()).expect("an entry");
            epoch = exported::begins(&entry).unwrap_or(epoch);
            if let Some(elevation) = exported::asked(&entry) {
                elevations.insert(elevation.id.to_string(), elevation.clone());
            }
            let recorded: Value = serde_json::from_str(line).expect("JSON");
            let elevation = exported::about(&entry).and_then(|id| elevations.get(id.as_str()));
            let of = |form| {
                let recorded = recorded.clone();
                exported::line(form, Told { origin: "test.example/carnet", epoch, entry: &entry, recorded, elevation })
            };
            let (event, cloud) = (of(Form::Ocsf), of(Form::CloudEvents));
            accepted(&schemas, &event);
            assert_eq!(event["class_uid"], json!(wanted(entry.kind())), "{}", entry.kind());
            let id = format!("evt_{epoch}_{}", entry.index());
            assert_eq!(
                (&event["metadata"]["uid"], &event["metadata"]["event_code"], &event["metadata"]["version"]),
                (&json!(id), &json!(entry.kind()), &json!(VERSION))
            );
            assert_eq!(
                (&cloud["id"], &cloud["type"], &cloud["source"], &cloud["specversion"]),
                (&json!(id), &json!(format!("dev.carnet.{}", entry.kind())), &json!("test.example/carnet"), &json!("1.0"))
            );
            // Nothing is said that the log does not say: texts of people are digests in it.
            assert_eq!((&cloud["data"], &event["unmapped"]), (&recorded, &recorded));
            // Unknown scopes are no scopes, and the event is one all the same.
            let alone = Told { origin: "test.example/carnet", epoch, entry: &entry, recorded, elevation: None };
            accepted(&schemas, &exported::line(Form::Ocsf, alone));
            kinds.insert(entry.kind());
        }
    }
    // That the golden journals have every kind is tested where they are made.
    assert!(kinds.len() >= 88, "{kinds:?}");
    // The schema is one that can refuse.
    let strange = json!({"class_uid": 3002, "activity_id": 1, "type_uid": 300_201});
    assert!(!schemas[&3002].is_valid(&strange));
}

/// A child that is ended when a test ends.
struct Following {
    child: Running,
    lines: BufReader<ChildStdout>,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

impl Following {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child: Running(child), lines }
    }

    /// The next event. It waits for it; the test's clock has no part in it.
    async fn next(self) -> (Self, Value) {
        let id = self.child.0.id();
        in_time(id, move || {
            let (mut this, mut line) = (self, String::new());
            this.lines.read_line(&mut line).expect("the program prints");
            let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            (this, event)
        })
        .await
    }

    /// Sends a signal, and says how it ended and what it printed until then.
    async fn ended(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.0.id();
        let sent = Command::new("kill").args([signal, &id.to_string()]).status().expect("kill");
        assert!(sent.success());
        in_time(id, move || {
            let mut rest = String::new();
            let _closed = self.lines.read_to_string(&mut rest);
            (self.child.0.wait().expect("it ends").code(), rest)
        })
        .await
    }
}

/// Waits for a program in a thread. One that does not do what is waited for is killed, so that the thread ends too.
async fn in_time<T: Send + 'static>(id: u32, work: impl FnOnce() -> T + Send + 'static) -> T {
    let worked = tokio::task::spawn_blocking(work);
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(60), worked).await {
        return done.expect("it was read");
    }
    let _killed = Command::new("kill").args(["-KILL", &id.to_string()]).status();
    panic!("the program does not do in time what is waited for");
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn index(event: &Value) -> u64 {
    let id = event["id"].as_str().or(event["metadata"]["uid"].as_str()).expect("an id");
    let (_, index) = id.rsplit_once('_').expect("an index");
    index.parse().expect("a number")
}

const MARK: &str = "marker-of-free-text";

/// An elevation with a reason that must not leave, a suspension, a token, a refusal.
async fn happens(world: &World) {
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": MARK, "ticket": "INC-7",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &wish).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let id = asked.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.admin_post(&format!("/v1/elevations/{id}/end"), "sara", &json!({"reason": MARK})).await.status, 200);
    world.minted().await;
    let path = "/v1/integrations/globex/order-sync/suspend";
    assert_eq!(world.admin_post(path, "sara", &json!({"reason": MARK})).await.status, 201);
    // A refusal is on record soon after its answer.
    let size = || world.running.as_ref().expect("running").broker.journal.view().size;
    let before = size();
    assert_eq!(world.exchange("production", &world.assertion("production"), "orders:read").await.status, 400);
    until("the refusal is on record", async || size() > before).await;
}

/// The same events from the server and from the journal itself, from any entry on, and none with a word of a person.
#[tokio::test(flavor = "multi_thread")]
async fn server_and_journal_tell_the_same_events_from_any_entry_on() {
    let schemas = schemas().await;
    let world = World::start().await;
    happens(&world).await;
    let auditor = Program::of(&world, "alan");
    let config = world.folder.path().join("carnet.toml").display().to_string();
    let size = world.running.as_ref().expect("running").broker.journal.view().size;
    for form in ["cloudevents", "ocsf"] {
        let online = auditor.run(&["journal", "export", "--as", form]).await.ended(0);
        let local = auditor.run(&["journal", "export", "-c", &config, "--as", form]).await.ended(0);
        assert_eq!(online.stdout, local.stdout);
        let events = lines(&online.stdout);
        assert_eq!(events.iter().map(index).collect::<Vec<_>>(), (0..size).collect::<Vec<_>>());
        assert!(!online.stdout.contains(MARK) && !online.stdout.contains("@globex.example"), "no word of a person leaves");
        let half = size / 2;
        let (halfway, end) = (half.to_string(), size.to_string());
        for source in [vec![], vec!["-c", config.as_str()]] {
            let arguments = [&["journal", "export", "--as", form, "--from", &halfway], source.as_slice()].concat();
            let rest = auditor.run(&arguments).await.ended(0);
            assert_eq!(lines(&rest.stdout), events[usize::try_from(half).expect("a number")..]);
            let none = [&["journal", "export", "--as", form, "--from", &end], source.as_slice()].concat();
            assert_eq!(auditor.run(&none).await.ended(0).stdout, "");
        }
        if form == "ocsf" {
            events.iter().for_each(|event| accepted(&schemas, event));
            let of = |kind: &str| events.iter().find(|event| event["metadata"]["event_code"] == kind).expect("an event");
            assert_eq!(of("elevation.ended")["privileges"], json!(["orders:write"]), "known from its first entry");
            assert_eq!(of("elevation.ended")["user"]["uid"], "globex/order-sync");
            assert_eq!((&of("issued")["privileges"], &of("issued")["status"]), (&json!(["orders:read"]), &json!("Success")));
            assert_eq!(of("refused")["status_code"], "integration.suspended");
            assert_eq!(of("integration.suspended")["actor"]["user"]["uid"], "sara");
            // Where the first entry lies before the first event, it is looked up.
            let ended = index(of("elevation.ended")).to_string();
            for source in [vec![], vec!["-c", config.as_str()]] {
                let arguments = [&["journal", "export", "--as", "ocsf", "--from", &ended], source.as_slice()].concat();
                let rest = auditor.run(&arguments).await.ended(0);
                assert_eq!(lines(&rest.stdout)[0]["privileges"], json!(["orders:write"]));
            }
        }
    }
    let faults = [
        (vec!["journal", "export"], 2),
        (vec!["journal", "export", "--as", "syslog"], 2),
        (vec!["journal", "export", "--as", "ocsf", "./out"], 2),
        (vec!["journal", "export", "./out", "--follow"], 2),
        (vec!["journal", "export", "--as", "ocsf", "-c", "nowhere.toml"], 2),
    ];
    for (arguments, code) in faults {
        let ran = auditor.run(&arguments).await.ended(code);
        assert!(ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
    }
    Program::of(&world, "nobody").run(&["journal", "export", "--as", "ocsf"]).await.ended(3);
}

/// New entries come as they are recorded, through a restart of the server; a signal ends it, and so does a reader that goes away.
#[tokio::test(flavor = "multi_thread")]
async fn following_goes_on_through_a_restart_and_ends_by_a_signal_or_without_a_reader() {
    let mut world = World::start().await;
    let auditor = Program::of(&world, "alan");
    let config = world.folder.path().join("carnet.toml").display().to_string();
    let size = |world: &World| world.running.as_ref().expect("running").broker.journal.view().size;
    let begin = size(&world).to_string();
    let online = ["journal", "export", "--as", "cloudevents", "--follow", "--from", &begin];
    let local = ["journal", "export", "--as", "cloudevents", "--follow", "--from", &begin, "-c", &config];
    let mut followers = vec![Following::start(auditor.command(&online)), Following::start(auditor.command(&local))];
    let mut told = size(&world);
    for round in 0..2 {
        happens(&world).await;
        let path = "/v1/integrations/globex/order-sync/resume";
        assert_eq!(world.admin_post(path, "ann", &json!({"reason": MARK})).await.status, 201);
        world.approve_all().await;
        if round == 0 {
            // A start records something, too.
            world.stop().await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            world.boot().await;
        }
        let wanted: Vec<u64> = (told..size(&world)).collect();
        told = size(&world);
        let mut again = Vec::new();
        for mut follower in followers {
            let mut seen = Vec::new();
            while seen.len() < wanted.len() {
                let event;
                (follower, event) = follower.next().await;
                seen.push(index(&event));
            }
            assert_eq!(seen, wanted, "each once, in order");
            again.push(follower);
        }
        followers = again;
    }
    for signal in ["-TERM", "-INT"] {
        assert_eq!(followers.remove(0).ended(signal).await, (Some(0), String::new()));
    }

    // A reader that goes away, although there is nothing more to write.
    let mut gone = Following::start(auditor.command(&local_from(&config)));
    (gone, _) = gone.next().await;
    let Following { mut child, lines } = gone;
    drop(lines);
    let code = in_time(child.0.id(), move || child.0.wait().expect("it ends").code()).await;
    assert_eq!(code, Some(0));
}

fn local_from(config: &str) -> [&str; 7] {
    ["journal", "export", "--as", "ocsf", "--follow", "-c", config]
}
