//! A year of entries, and what a plain reading of the exported journal says of it (`interop/year.py`, which shares no code with the
//! broker): activity, queries, the inventory, and who could do what at past times.

use std::process::Command;

use serde_json::{Value, json};

use crate::elevation::{approved, id};
use crate::world::client::post_form;
use crate::world::days::{CONTRACT_ENDS, Day};
use crate::world::{TOKEN_EXCHANGE, TYPE_JWT, World, records};

const DAY: i64 = 86_400;
const DAYS: i64 = 350;
const INTEGRATIONS: usize = 12;
const ASKED: &[(&str, &[&str])] = &[("globex", &["", "kind=issued&"]), ("umbrella", &["", "kind=integration.suspended&"])];

/// Small numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("small")]
    }
}

/// The integration `at`: of one partner or the other, with ends and static secrets that differ.
fn record(world: &World, at: usize) -> String {
    let usual = records::integration(&world.partner.issuer, &format!("y{at:02}"), &(1000 + at).to_string());
    let days = i64::try_from(at).expect("small");
    let sandbox = if at % 4 == 1 { format!("  sandbox:\n    ends: {}\n", Day(60 + 20 * days)) } else { "  sandbox:\n".into() };
    let contract = if at % 4 == 2 { Day(80 + 20 * days) } else { CONTRACT_ENDS };
    let text = usual
        .replace("onSilence: suspend", "onSilence: report")
        // The year is about rights that are there; the quarter has offboardings that begin by themselves.
        .replace("trigger: contract-end", "trigger: manual")
        .replace("  sandbox:\n", &sandbox)
        .replace(&format!("ends: {CONTRACT_ENDS}}}"), &format!("ends: {contract}}}"));
    let text =
        if at % 2 == 1 { text.replace("partner: globex", "partner: umbrella").replace("998877", "112233") } else { text };
    let secret = |after: &str, end: i64| {
        format!("exceptions: [{{what: an old key, control: none, owner: raj@acme.example, ends: {}{after}}}]\n", Day(end))
    };
    match at % 6 {
        3 => text + &secret("", 150 + days),
        4 if at == 4 => text + &secret(", onPastDue: report", 355),
        _ => text,
    }
}

fn name(at: usize) -> String {
    format!("{}/y{at:02}", if at % 2 == 1 { "umbrella" } else { "globex" })
}

/// Many requests at a time: most are granted, some are refused for what they ask or where they come from.
async fn ask(world: &World, dice: &mut Dice, number: u64) {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..number {
        let at = usize::try_from(dice.below(INTEGRATIONS as u64)).expect("small");
        let environment = if dice.below(4) == 0 { "production" } else { "sandbox" };
        let scope = match dice.below(20) {
            0 => "orders:nothing",
            1..4 if environment == "sandbox" => "orders:write",
            4..6 if environment == "production" => "orders:list",
            _ => "orders:read",
        };
        let mut claims = world.claims(environment);
        claims["repository_id"] = json!((1000 + at).to_string());
        if at % 2 == 1 {
            claims["repository_owner_id"] = json!("112233");
        }
        if dice.below(30) == 0 {
            claims["ref"] = json!("refs/heads/odd");
        }
        let (assertion, to) = (world.partner.sign(&claims), world.public);
        asking.spawn(async move {
            let form = [
                ("grant_type", TOKEN_EXCHANGE),
                ("subject_token", assertion.as_str()),
                ("subject_token_type", TYPE_JWT),
                ("audience", "orders-api"),
                ("scope", scope),
            ];
            post_form(to, &format!("/{environment}/token"), &form).await.status
        });
        if asking.len() >= 16 {
            let status = asking.join_next().await.expect("one").expect("it ran");
            assert!(status == 200 || status == 400, "{status}");
        }
    }
    while let Some(status) = asking.join_next().await {
        let status = status.expect("it ran");
        assert!(status == 200 || status == 400, "{status}");
    }
}

/// What people do now and then. A step that the state does not allow is refused, and that is well.
async fn govern(world: &World, dice: &mut Dice, day: i64) {
    let at = usize::try_from(dice.below(INTEGRATIONS as u64)).expect("small");
    let path = format!("/v1/integrations/{}", name(at));
    match dice.below(6) {
        0 => {
            let environments = dice.pick(&[&["sandbox"][..], &["production"][..], &["sandbox", "production"][..]]);
            let body = json!({"reason": "odd calls", "environments": environments});
            assert_eq!(world.admin_post(&format!("{path}/suspend"), "sara", &body).await.status, 201);
        }
        1 => {
            let asked = world.admin_post(&format!("{path}/resume"), "ann", &json!({"reason": "explained"})).await;
            assert!(asked.status == 201 || asked.status == 409, "{}", asked.text());
            world.approve_all().await;
        }
        2 if day < 80 => {
            let wish = json!({"integration": name(at), "environments": ["production"], "api": "orders-api",
                "scopes": ["orders:write"], "duration": "60m", "reason": "stuck", "ticket": "INC-1"});
            let answer = world.admin_post("/v1/elevations", "ann", &wish).await;
            if answer.status == 201 && dice.below(4) > 0 {
                approved(world, &id(&answer.json()), "sven").await;
            }
        }
        3 => {
            let binding = format!("{}/production/ci-main", name(at));
            let body = json!({"binding": binding, "reason": "odd", "tokensOnly": true});
            assert_eq!(world.admin_post("/v1/revocations", "sven", &body).await.status, 201);
        }
        4 if day > 200 => {
            let narrower = record(world, at).replace("[orders:read, orders:write]", "[orders:read]");
            let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", narrower))).await;
            assert_eq!(applied.status, 200, "{}", applied.text());
        }
        _ => {}
    }
}

async fn pages(world: &World, path: &str) -> (Vec<Value>, Value) {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    let mut first = Value::Null;
    loop {
        let page = world.admin_get(&format!("{path}{cursor}"), "alan").await;
        items.extend(page["items"].as_array().expect("items").clone());
        let next = page["next"].as_str().map(|next| format!("&cursor={next}"));
        if first.is_null() {
            first = page;
        }
        match next {
            Some(next) => cursor = next,
            None => return (items, first),
        }
    }
}

/// Everything that is compared: what the server says, with what it was asked.
async fn answers(world: &World, dice: &mut Dice, moments: &[i64], (begun, ended): (i64, i64)) -> Value {
    let (mut queries, mut activities, mut pasts) = (Vec::new(), Vec::new(), Vec::new());
    for (partner, more) in ASKED {
        for (number, filter) in more.iter().enumerate() {
            let since = begun + i64::try_from(number).expect("small") * 100 * DAY;
            let until = since + 200 * DAY;
            let path = format!("/v1/journal?{filter}partner={partner}&since={since}&until={until}&order=newest&limit=500");
            let (items, first) = pages(world, &path).await;
            let found: Vec<&Value> = items.iter().map(|item| &item["index"]).collect();
            let kind = filter.strip_prefix("kind=").map(|kind| kind.trim_end_matches('&'));
            queries.push(json!({"partner": partner, "kind": kind, "since": since, "until": until, "found": found,
                "more": first["more"], "limit": 500}));
        }
        let year = u64::try_from(ended - begun).expect("later");
        let second = |dice: &mut Dice| begun + i64::try_from(dice.below(year)).expect("small");
        let now = [1, 30, 200].map(|back| (ended - back * DAY, None));
        // Within days, over some of them, and nothing.
        let some = (0..12).map(|_| (second(dice), Some(second(dice))));
        for (since, until) in now.into_iter().chain(some.collect::<Vec<_>>()) {
            let until = until.map(|until: i64| format!("&until={until}")).unwrap_or_default();
            let path = format!("/v1/partners/{partner}/activity?since={since}{until}&limit=500");
            let (items, mut first) = pages(world, &path).await;
            first["items"] = items.iter().map(|item| item["index"].clone()).collect();
            activities.push(first);
        }
    }
    for moment in moments {
        let past = world.admin_get(&format!("/v1/journal/at?time={moment}"), "alan").await;
        pasts.push(json!({"time": moment, "integrations": past["integrations"]}));
    }
    let (rows, _) = pages(world, "/v1/inventory?limit=7").await;
    let size = world.running.as_ref().expect("runs").broker.journal.view().size;
    json!({"now": world.clock.seconds(), "size": size, "queries": queries, "activities": activities, "pasts": pasts, "inventory": rows})
}

#[tokio::test]
async fn a_year_is_told_as_a_plain_reading_of_the_journal_says() {
    year(3_000, 5).await;
}

#[tokio::test]
#[ignore = "takes minutes: the same with twenty thousand entries, and something each day"]
async fn a_year_of_twenty_thousand_entries_is_told_as_a_plain_reading_of_the_journal_says() {
    year(20_000, 1).await;
}

/// A year of so many entries, in steps of so many days.
async fn year(entries: u64, step: i64) {
    let world = World::start().await;
    let umbrella = records::usual(&world.partner.issuer).split("---\n").nth(1).expect("a partner").to_owned();
    let umbrella = umbrella.replace("name: globex", "name: umbrella").replace("Globex", "Umbrella");
    let all: Vec<String> = std::iter::once(umbrella).chain((0..INTEGRATIONS).map(|at| record(&world, at))).collect();
    world.onboard(&all.join("---\n")).await;
    let broker = &world.running.as_ref().expect("runs").broker;
    let (mut dice, mut moments, begun) = (Dice(11), Vec::new(), world.clock.seconds());
    let each = entries / u64::try_from(DAYS / step).expect("small") + 1;
    for day in (0..DAYS).step_by(usize::try_from(step).expect("small")) {
        world.advance(step * DAY).await;
        ask(&world, &mut dice, each).await;
        for _ in 0..2 {
            govern(&world, &mut dice, day).await;
        }
        if step > 1 || day % 7 == 3 {
            broker.count_uses().await.expect("counts");
            broker.notice_dates().await.expect("told");
        }
        if day % 10 == 5 {
            moments.push(world.clock.seconds() + 1);
        }
    }
    world.advance(60).await;
    broker.count_uses().await.expect("counts");
    // Refusals are put on record soon.
    let mut size = 0;
    while size != broker.journal.view().size {
        size = broker.journal.view().size;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    assert!(size >= entries, "{size}");
    let told = answers(&world, &mut dice, &moments, (begun, world.clock.seconds())).await;
    let folder = world.folder.path();
    let (export, seen) = (folder.join("year"), folder.join("told.json"));
    let exported = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["journal", "export"])
        .arg(&export)
        .arg("-c")
        .arg(folder.join("carnet.toml"))
        .output()
        .expect("runs");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    std::fs::write(&seen, told.to_string()).expect("written");
    let reading = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/interop/year.py");
    let read = Command::new("python3").arg(reading).arg(export.join("entries.ndjson")).arg(&seen).output().expect("runs");
    let words = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{words}{}", String::from_utf8_lossy(&read.stderr));
    println!("{words}");
}
