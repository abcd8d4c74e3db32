//! A quarter of the governed life of forty integrations, and what a plain reading of the exported journal says of it
//! (`interop/quarter.py`, which shares no code with the broker).

use std::process::Command;

use serde_json::{Value, json};

use crate::directory::Source;
use crate::owners::active;
use crate::world::days::{CONTRACT_ENDS, Day};
use crate::world::{World, records};

const DAY: i64 = 86_400;
const INTEGRATIONS: usize = 40;
const PEOPLE: usize = 12;

/// The records of the integration `at`: intervals, silences, contracts, ends and owners differ.
fn record(world: &World, at: usize) -> String {
    let usual = records::integration(&world.partner.issuer, &format!("s{at:02}"), &(1000 + at).to_string());
    let every = [20, 35, 50, 70, 90][at % 5];
    let silence = if at.is_multiple_of(3) { "report" } else { "suspend" };
    let contract = if at.is_multiple_of(8) { Day(40 + i64::try_from(at).expect("small")) } else { CONTRACT_ENDS };
    let sandbox = if at % 6 == 1 {
        format!("  sandbox:\n    ends: {}\n", Day(30 + i64::try_from(at).expect("small")))
    } else {
        "  sandbox:\n".into()
    };
    let owners = format!("owners: {{business: {}, application: {}}}", address(at), address(at + 5));
    let changed = [
        ("review: {every: 90d, onSilence: suspend}", format!("review: {{every: {every}d, onSilence: {silence}}}")),
        ("owners: {business: jane@acme.example, application: raj@acme.example}", owners),
        ("  sandbox:\n", sandbox),
    ];
    let text = changed.into_iter().fold(usual, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, &to)
    });
    text.replace(&format!("ends: {CONTRACT_ENDS}}}"), &format!("ends: {contract}}}"))
}

fn address(at: usize) -> String {
    format!("p{:02}@acme.example", at % PEOPLE)
}

/// Small numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, sides: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(sides)
    }
}

async fn observe(world: &World, observed: &mut Vec<Value>) {
    let now = world.clock.seconds();
    // The entries that the lists below rest on: nothing else is written meanwhile.
    let until = world.running.as_ref().expect("runs").broker.journal.view().size;
    let listed = world.admin_get("/v1/integrations?limit=1000", "alan").await;
    for one in listed["items"].as_array().expect("items") {
        for (environment, effective) in one["effective"].as_object().expect("environments") {
            let reason = effective["causes"][0]["reason"].clone();
            observed.push(json!({"time": now, "integration": one["id"], "environment": environment, "reason": reason,
                "until": until}));
        }
    }
}

/// The exchanges of those that are in use agree with what the lists say.
async fn exchange(world: &World, observed: &[Value], at: usize) {
    let id = format!("globex/s{at:02}");
    for environment in ["production", "sandbox"] {
        let now = world.clock.seconds();
        let mut latest = observed.iter().rev().take_while(|one| one["time"] == now);
        let last = latest.find(|one| one["integration"] == id && one["environment"] == environment);
        let Some(expected) = last.map(|one| one["reason"].clone()) else { continue };
        let mut claims = world.claims(environment);
        claims["repository_id"] = json!((1000 + at).to_string());
        let answer = world.exchange(environment, &world.partner.sign(&claims), "orders:read").await;
        let reason = if answer.status == 200 { Value::Null } else { answer.json()["reason"].clone() };
        assert_eq!(reason, expected, "{id} {environment}");
    }
}

/// Some of the open reviews are decided: by an owner, and by security where a high-risk scope stays.
async fn review(world: &World, dice: &mut Dice) {
    let open = world.admin_get("/v1/reviews?limit=1000", "omar").await["items"].clone();
    for one in open.as_array().expect("items") {
        if one["state"] == "completed" || !dice.one_in(3) {
            continue;
        }
        let path = format!("/v1/reviews/{}", one["id"].as_str().expect("an id"));
        let whole = one["environment"] == "sandbox" && dice.one_in(8);
        // Nobody who decides so fast reviews the same place twice in a row.
        let odd = path.ends_with(['1', '3', '5', '7', '9']);
        for person in [if odd { "otto" } else { "omar" }, "sven"] {
            let card = world.admin_get(&path, person).await;
            if card["state"] == "completed" {
                break;
            }
            let high = person == "sven";
            let mut items = Vec::new();
            for item in card["items"].as_array().expect("items").iter().filter(|item| !high || item["risk"] == "high") {
                // What is asked for below stays, or all of a sandbox goes.
                let stays = item["scope"] == "orders:read" && !whole;
                let decision = if whole || (!stays && dice.one_in(6)) { "remove" } else { "keep" };
                items.push(json!({"api": item["api"], "scope": item["scope"], "decision": decision, "reason": "looked"}));
            }
            let body = json!({"version": card["version"], "items": items, "reason": "the quarter"});
            let answer = world.admin_post(&format!("{path}/decisions"), person, &body).await;
            assert_eq!(answer.status, 200, "{path} {person}: {}", answer.text());
            if answer.json()["state"] == "completed" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_quarter_comes_out_as_a_plain_replay_of_the_journal_says() {
    let source = Source::start().await;
    let world = &source.world;
    let mut people = Vec::new();
    for at in 0..PEOPLE {
        people.push(source.person(&address(at)).await);
    }
    for name in ["jane@acme.example", "raj@acme.example"] {
        source.person(name).await;
    }
    let all: Vec<String> = (0..INTEGRATIONS).map(|at| record(world, at)).collect();
    world.onboard(&all.join("---\n")).await;
    let broker = &world.running.as_ref().expect("runs").broker;
    let (mut dice, mut observed, mut gone) = (Dice(7), Vec::new(), vec![None::<usize>; PEOPLE]);
    for week in 0..13 {
        for _ in 0..7 {
            world.advance(DAY).await;
            broker.count_uses().await.expect("counts");
            broker.note_non_use().await.expect("is known");
        }
        // What the dates bring is written now, not by the task that looks each ten seconds: an offboarding that it started
        // between the lists and the exchanges would show in one of them only.
        broker.settle().await.expect("settles");
        observe(world, &mut observed).await;
        for at in (0..INTEGRATIONS).filter(|at| at % 10 != 9) {
            exchange(world, &observed, at).await;
        }
        review(world, &mut dice).await;
        let leaver = week % PEOPLE;
        if dice.one_in(2) && gone[leaver].is_none() {
            active(&source, &people[leaver], false).await;
            gone[leaver] = Some(week);
        }
        // After a month the directory forgets who they were.
        let back: Vec<usize> = (0..PEOPLE).filter(|at| gone[*at].is_some_and(|left| left + 3 == week)).collect();
        for at in back.into_iter().filter(|at| at % 3 != 0) {
            active(&source, &people[at], true).await;
            gone[at] = None;
        }
        if week == 4 {
            let signal = json!({"subject": "globex/s04", "kind": "use-case-ended", "reason": "the project is over"});
            assert_eq!(world.admin_post("/v1/signals", "sven", &signal).await.status, 201);
        }
        observe(world, &mut observed).await;
    }
    let reasons: std::collections::BTreeSet<String> = observed.iter().map(|one| one["reason"].to_string()).collect();
    for expected in [
        "null",
        "review.overdue",
        "owner.gone",
        "contract.ended",
        "environment.ended",
        "integration.unused",
        "signal.use-case-ended",
    ] {
        assert!(reasons.iter().any(|reason| reason.trim_matches('"') == expected), "{expected} of {reasons:?}");
    }
    let folder = world.folder.path();
    let (export, seen) = (folder.join("quarter"), folder.join("observed.json"));
    let exported = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["journal", "export"])
        .arg(&export)
        .arg("-c")
        .arg(folder.join("carnet.toml"))
        .output()
        .expect("runs");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    std::fs::write(&seen, Value::from(observed).to_string()).expect("written");
    let replay = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/interop/quarter.py");
    let replayed = Command::new("python3").arg(replay).arg(export.join("entries.ndjson")).arg(&seen).output().expect("runs");
    let told = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{told}{}", String::from_utf8_lossy(&replayed.stderr));
    println!("{told}");
}
