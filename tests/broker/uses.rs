//! Uses are counted beside the journal: they follow it, survive a start, and are made anew where another hand changed them
//! (docs/explanation/journal.md#uses).

use carnet::domain::decision::uses::{Tally, Use};
use carnet::domain::value::clock::Timestamp;
use carnet::domain::value::day::Day;
use carnet::domain::value::digest::Digest;
use carnet::journal::{Portion, UseRow, UseText};
use serde_json::{Value, json};

use crate::world::{Options, World, records};

const DAY: i64 = 86_400;

async fn granted(world: &World, scope: &str) {
    let answer = world.exchange("sandbox", &world.assertion("sandbox"), scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn count(world: &World) {
    let broker = &world.running.as_ref().expect("runs").broker;
    broker.count_uses().await.expect("counts");
}

fn rebuilt(world: &World) -> u64 {
    world.running.as_ref().expect("runs").broker.uses.progress().rebuilt
}

async fn database(world: &World) -> sqlx::SqliteConnection {
    let path = format!("sqlite://{}/journal.db", world.folder.path().display());
    <sqlx::SqliteConnection as sqlx::Connection>::connect(&path).await.expect("opens")
}

async fn run(world: &World, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut database(world).await).await.expect("runs");
}

/// Scope and count of each row, by day, the newest use of a day last.
async fn rows(world: &World) -> Vec<(i64, String, i64)> {
    let sql =
        "SELECT day - (SELECT min(day) FROM uses), body, count FROM uses JOIN use_texts USING (use) ORDER BY uses.day, last";
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(sql).fetch_all(&mut database(world).await).await.expect("reads");
    let scope = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["scope"].as_str().unwrap_or("-").to_owned();
    rows.into_iter().map(|(day, body, count)| (day, scope(&body), count)).collect()
}

#[tokio::test]
async fn uses_follow_the_log_by_day_and_go_on_after_a_start() {
    let mut world = World::in_file().await;
    granted(&world, "orders:read").await;
    granted(&world, "orders:read").await;
    world.advance(1).await;
    granted(&world, "orders:write").await;
    count(&world).await;
    let first = vec![(0, "orders:read".to_owned(), 2), (0, "orders:write".to_owned(), 1)];
    assert_eq!(rows(&world).await, first);
    count(&world).await;
    assert_eq!(rows(&world).await, first, "nothing is counted twice");
    world.advance(DAY).await;
    granted(&world, "orders:read").await;
    world.stop().await;
    world.boot().await;
    granted(&world, "orders:read").await;
    count(&world).await;
    let all = [first, vec![(1, "orders:read".to_owned(), 2)]].concat();
    assert_eq!(rows(&world).await, all);
    assert_eq!(rebuilt(&world), 0);
    world.advance(DAY * 31).await;
    granted(&world, "orders:read orders:write").await;
    count(&world).await;
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let figures = |scope: &str| {
        let one = shown["uses"].as_array().expect("a list").iter().find(|one| one["scope"] == scope).expect("is issued");
        let of = |name: &str| one[name].as_i64().expect("a number");
        assert_eq!(of("lastIssued"), world.clock.seconds());
        assert_eq!(
            (&one["environment"], &one["binding"], &one["everything"]),
            (&json!("sandbox"), &json!("ci"), &json!(false))
        );
        (of("issued30d"), of("issued90d"))
    };
    assert_eq!((figures("orders:read"), figures("orders:write")), ((1, 5), (1, 2)), "{shown}");
}

/// What an API was told of tokens stands beside what was issued, and survives a start. It is no use of the log, and suspends nobody.
#[tokio::test]
async fn what_an_api_was_told_is_counted_in_the_background_and_stands_on_the_card() {
    let mut world = World::in_file().await;
    let token = world.minted().await;
    let item = async |world: &World, scope: &str| {
        let open = world.admin_get("/v1/reviews?limit=1000", "omar").await["items"].clone();
        let production = |one: &&Value| one["environment"] == "production" && one["state"] != "completed";
        let id = open.as_array().expect("items").iter().find(production).expect("open")["id"].clone();
        let card = world.admin_get(&format!("/v1/reviews/{}", id.as_str().expect("an id")), "omar").await;
        let items = card["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["scope"] == scope).expect("the scope")
    };
    let rows = async |world: &World| {
        let sql = "SELECT count(*) FROM use_texts WHERE body LIKE '%\"use\":\"seen\"%'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut database(world).await).await.expect("reads")
    };
    // Not the API, and not active: neither is seen.
    assert_eq!(world.introspect("production", "nonsense").await.json()["active"], false);
    count(&world).await;
    assert_eq!(rows(&world).await, 0);
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    count(&world).await;
    assert_eq!(rows(&world).await, 1);
    world.advance(61 * DAY).await;
    let early = item(&world, "orders:read").await;
    assert_eq!((&early["lastSeen"], &early["seen30d"]), (&json!(world.clock.seconds() - 61 * DAY), &json!(0)), "{early}");
    let token = world.minted().await;
    let bearer = format!("Bearer {token}");
    for _ in 0..3 {
        assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    }
    let proof = world.api_proof("production");
    let asks = async |world: &World, scope: &str, proof: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-carnet-caller", proof),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/orders/42"),
        ];
        let path = format!("/production/verify?api=orders-api&scope={scope}");
        crate::world::send(world.public, "GET", &path, &headers, b"").await.status
    };
    assert_eq!(asks(&world, "orders:read", &proof).await, 200);
    assert_eq!(asks(&world, "orders:list", &world.api_proof("production")).await, 403, "and is not seen");
    count(&world).await;
    let now = world.clock.seconds();
    let seen = item(&world, "orders:read").await;
    assert_eq!((&seen["lastSeen"], &seen["seen30d"], &seen["issued30d"]), (&json!(now), &json!(4), &json!(1)), "{seen}");
    let other = item(&world, "orders:list").await;
    assert_eq!((&other["lastSeen"], &other["seen30d"]), (&json!(null), &json!(0)), "{other}");
    count(&world).await;
    assert_eq!(item(&world, "orders:read").await["seen30d"], 4, "nothing is counted twice");
    world.stop().await;
    world.boot().await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    count(&world).await;
    assert_eq!(item(&world, "orders:read").await["seen30d"], 5);
    // It is in nobody's uses, and the counts of the log prove as before.
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    assert_eq!(shown["uses"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(rebuilt(&world), 0);
}

/// Attack: somebody who can write SQL adds a use, so that access that nobody uses is kept.
#[tokio::test]
async fn counts_that_another_hand_changed_are_made_anew_from_the_log() {
    for sql in [
        "UPDATE uses SET count = count + 7",
        "DELETE FROM uses",
        "UPDATE uses_head SET at = at + 1",
        "UPDATE uses_head SET at = 1000000",
        "DELETE FROM uses_head",
        "DELETE FROM use_days",
    ] {
        let mut world = World::in_file().await;
        granted(&world, "orders:read").await;
        world.advance(DAY).await;
        granted(&world, "orders:write").await;
        count(&world).await;
        let all = rows(&world).await;
        assert_eq!(all, [(0, "orders:read".to_owned(), 1), (1, "orders:write".to_owned(), 1)]);
        world.stop().await;
        run(&world, sql).await;
        world.boot().await;
        granted(&world, "orders:write").await;
        count(&world).await;
        let all = [(0, "orders:read".to_owned(), 1), (1, "orders:write".to_owned(), 2)];
        assert_eq!((rows(&world).await, rebuilt(&world) > 0), (all.to_vec(), true), "{sql}");
    }
}

/// People are told after two days, and access ends after four.
const SOON: &str = "\n[governance]\nunused_warn = \"2d\"\nunused_suspend = \"4d\"\n";

async fn note(world: &World) -> usize {
    world.running.as_ref().expect("runs").broker.note_non_use().await.expect("is known")
}

/// A day on which the node is there.
async fn day(world: &World) {
    world.advance(DAY).await;
    count(world).await;
}

async fn of_kind(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await;
    found["items"].as_array().expect("a list").clone()
}

async fn told(world: &World, environment: &str) -> (u16, Value) {
    let answer = world.exchange(environment, &world.assertion(environment), "orders:read").await;
    (answer.status, answer.json()["reason"].clone())
}

#[tokio::test]
async fn p_08_an_environment_that_nobody_uses_is_told_of_and_then_suspended() {
    let world = World::with(Options { configuration: SOON.to_owned(), file: true, ..Options::default() }).await;
    day(&world).await;
    granted(&world, "orders:read").await;
    assert_eq!(note(&world).await, 0);
    day(&world).await;
    granted(&world, "orders:read").await;
    assert_eq!((note(&world).await, note(&world).await), (1, 0), "it is told once");
    let entry = of_kind(&world, "integration.unused").await.remove(0);
    assert_eq!(
        (&entry["environment"], &entry["binding"], &entry["by"]),
        (&json!("production"), &Value::Null, &json!("broker")),
        "{entry}"
    );
    day(&world).await;
    granted(&world, "orders:read").await;
    assert_eq!(note(&world).await, 0);
    assert!(of_kind(&world, "integration.suspended").await.is_empty());
    day(&world).await;
    granted(&world, "orders:read").await;
    assert_eq!((note(&world).await, note(&world).await), (1, 0));
    let entry = of_kind(&world, "integration.suspended").await.remove(0);
    assert_eq!((&entry["environments"], &entry["cause"]), (&json!(["production"]), &json!("integration.unused")), "{entry}");
    let before = world.issued().await;
    assert_eq!(told(&world, "production").await, (400, json!("integration.unused")));
    assert_eq!(world.issued().await, before, "nothing is minted");
    granted(&world, "orders:read").await;
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let cause = &shown["effective"]["production"]["causes"][0];
    assert_eq!((&cause["reason"], &cause["liftedBy"]["action"]), (&json!("integration.unused"), &json!("resume")), "{shown}");
    // Who needs it has it resumed, and it counts anew.
    let answer = world.admin_post("/v1/integrations/globex/order-sync/resume", "ann", &json!({"reason": "needed"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    world.approve_all().await;
    assert_eq!(told(&world, "production").await.0, 200);
    assert_eq!(note(&world).await, 0);
}

/// While nodes were down nobody could use anything.
#[tokio::test]
async fn p_08_a_time_without_nodes_is_no_time_without_use() {
    let mut world = World::with(Options { configuration: SOON.to_owned(), file: true, ..Options::default() }).await;
    granted(&world, "orders:read").await;
    count(&world).await;
    world.stop().await;
    world.clock.advance(20 * DAY);
    world.boot().await;
    world.advance(0).await;
    assert_eq!(note(&world).await, 0);
    granted(&world, "orders:read").await;
    assert_eq!(told(&world, "production").await.0, 200);
}

/// One of two bindings of an environment is not used: it is retired, and the other goes on.
#[tokio::test]
async fn p_08_a_binding_that_nobody_uses_is_retired_until_a_version_is_approved() {
    let world = World::with(Options { configuration: SOON.to_owned(), file: true, ..Options::default() }).await;
    let issuer = &world.partner.issuer;
    let second = format!(
        "    bindings:\n      - name: batch\n        oidc: {{issuer: \"{issuer}\", match: {{sub: {{prefix: \"repo:\"}}, \
         repository_id: \"777\", repository_owner_id: \"998877\"}}, owner: [repository_owner_id]}}\n"
    );
    let records = records::usual(issuer).replacen("    bindings:\n", &second, 1);
    world.onboard(&records).await;
    let by_batch = async || {
        let mut claims = world.claims("sandbox");
        claims["repository_id"] = json!("777");
        let answer = world.exchange("sandbox", &world.partner.sign(&claims), "orders:read").await;
        (answer.status, answer.json()["reason"].clone())
    };
    assert_eq!(by_batch().await.0, 200);
    for _ in 0..3 {
        day(&world).await;
        granted(&world, "orders:read").await;
        assert_eq!(told(&world, "production").await.0, 200);
        note(&world).await;
    }
    let warned = of_kind(&world, "integration.unused").await;
    let places: Vec<_> = warned.iter().map(|entry| (&entry["environment"], &entry["binding"])).collect();
    assert_eq!(places, [(&json!("sandbox"), &json!("batch"))]);
    assert!(of_kind(&world, "integration.binding-retired").await.is_empty());
    assert_eq!(told(&world, "sandbox").await.0, 200);
    day(&world).await;
    granted(&world, "orders:read").await;
    assert_eq!((note(&world).await, note(&world).await), (1, 0));
    let entry = of_kind(&world, "integration.binding-retired").await.remove(0);
    assert_eq!((&entry["environment"], &entry["binding"]), (&json!("sandbox"), &json!("batch")), "{entry}");
    let before = world.issued().await;
    assert_eq!(by_batch().await, (400, json!("binding.unused")));
    assert_eq!(world.issued().await, before, "nothing is minted");
    granted(&world, "orders:read").await;
    world.onboard(&records.replace("2099-11-30", "2098-11-30").replace("Copies orders.", "Copies orders daily.")).await;
    assert_eq!(by_batch().await.0, 200, "a version was approved");
}

/// The time that a count takes for each token, and a replay of a million tokens of 30 days, of a hundred uses each day.
#[tokio::test]
#[ignore = "a measurement: prints figures, and asserts that a million tokens are all counted"]
async fn measure_counting_and_a_replay_of_a_million_tokens() {
    let world = World::in_file().await;
    for number in 0..500 {
        if number % 40 == 0 {
            world.advance(61).await;
        }
        granted(&world, "orders:read").await;
    }
    let begins = std::time::Instant::now();
    count(&world).await;
    println!("counting 500 tokens: {:?}", begins.elapsed());
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    let body: String = sqlx::query_scalar("SELECT body FROM use_texts WHERE body LIKE '%orders:read%'")
        .fetch_one(&mut database(&world).await)
        .await
        .expect("reads");
    let mut known = journal.uses().await.expect("ours");
    let head = known.head.clone().expect("a head");
    for behind in 0..31 {
        let begins = world.clock.seconds() - behind * DAY;
        let time = Timestamp::from_seconds(begins).expect("a time");
        let day = Day::of(time);
        let mut counted = journal.uses_of(&known, day).await.expect("ours");
        let use_of = |number: i64| {
            let mut counted: Value = serde_json::from_str(&body).expect("JSON");
            counted["elevated"] = json!([format!("other:{number}")]);
            // The order of members is that of the text that is kept.
            serde_json::to_string(&serde_json::from_value::<Use>(counted).expect("a use")).expect("JSON")
        };
        let bodies: Vec<String> = (0..100).map(use_of).collect();
        let tally = Tally { count: 323, first: time, last: time, until: head.at };
        let row = |body: &String| UseRow { day, key: Digest::of(body.as_bytes()), tally };
        let text = |body: &String| UseText { key: Digest::of(body.as_bytes()), client: String::new(), body: body.clone(), day };
        let (rows, texts) = (bodies.iter().map(row).collect(), bodies.iter().map(text).collect());
        let portion = Portion { at: head.at, since: head.since, texts, rows, forgets: Day(0) };
        assert!(journal.put_uses(&mut known, (day, &mut counted), portion).await.expect("writes"));
    }
    let yaml = "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {name: none}\nmeaning: Nothing.\nmode: shadow\n\
                cedar: |\n  forbid (principal, action == Carnet::Action::\"exchange\", resource)\n  when { context.environment == \"sandbox\" };\n";
    let bearer = format!("Bearer {}", world.staff_token("sven"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    let answer = crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, yaml.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for _ in 0..2 {
        let begins = std::time::Instant::now();
        let report = world.admin_get("/v1/guardrails/none/report", "alan").await;
        println!("a replay of {} tokens: {:?}", report["refuses"], begins.elapsed());
        assert_eq!(report["refuses"], 31 * 100 * 323 + 500);
    }
}
