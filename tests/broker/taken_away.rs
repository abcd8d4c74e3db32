//! Versions that take something away cut what they would not grant, at once and for good, and nothing else; dates end access.

use serde_json::{Value, json};

use crate::world::days::{CONTRACT_ENDS, Day, VERIFIED_UNTIL};
use crate::world::{Options, World, claims, jti, records};

const READ: &str = "        - scope: orders:read\n          allow: [GET /v1/orders, \"GET /v1/orders/{id}\"]\n";
const LIST: &str = "        - scope: orders:list\n";
const WRITE: &str = "[orders:read, orders:write]";

/// The instant so many seconds from now, as a record has it.
fn instant(world: &World, seconds: i64) -> String {
    let time = carnet::domain::value::clock::Timestamp::from_seconds(world.clock.seconds() + seconds);
    time.expect("a time").to_string()
}

async fn apply(world: &World, records: &str) {
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.approve_all().await;
}

/// The usual records with one edit.
fn edited(world: &World, from: &str, to: &str) -> String {
    let usual = records::usual(&world.partner.issuer);
    assert!(usual.contains(from), "{from}");
    usual.replacen(from, to, 1)
}

async fn token(world: &World, environment: &str, scope: &str) -> String {
    let answer = world.exchange(environment, &world.assertion(environment), scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

/// One token of each kind that the records give.
const KINDS: [(&str, &str); 5] = [
    ("production", "orders:read"),
    ("production", "orders:list"),
    ("production", "orders:read orders:list"),
    ("sandbox", "orders:read"),
    ("sandbox", "orders:write orders:read"),
];

async fn tokens(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (environment, scope) in KINDS {
        all.push(token(world, environment, scope).await);
    }
    all
}

/// Which of them are active.
async fn active(world: &World, tokens: &[String]) -> [bool; 5] {
    let mut all = [false; 5];
    for (active, ((environment, _), token)) in all.iter_mut().zip(KINDS.iter().zip(tokens)) {
        *active = world.introspect(environment, token).await.json()["active"] == true;
    }
    all
}

/// I-8: each version cuts what it would not grant as it is, and no more; what it cut stays cut when the old version comes back.
#[tokio::test]
async fn i_8_a_version_cuts_what_it_would_not_grant_and_no_more() {
    let world = World::start().await;
    let (t, f) = (true, false);
    let limits = "    scopes:\n      orders-api:\n        - scope: orders:read\n";
    let (contract, verified) = (format!("ends: {CONTRACT_ENDS}}}"), format!("expires: {VERIFIED_UNTIL}}}"));
    let cases: [(&str, String, [bool; 5]); 16] = [
        (LIST, String::new(), [t, f, f, t, t]),
        (READ, "        - scope: orders:read\n          allow: [GET /v1/orders]\n".to_owned(), [f, t, f, t, t]),
        (WRITE, "[orders:read]".to_owned(), [t, t, t, t, f]),
        ("repository_id: \"456789\"", "repository_id: \"456789\", workflow: w".to_owned(), [t, t, t, f, f]),
        ("[refs/heads/main, refs/heads/release]", "[refs/heads/main]".to_owned(), [f, f, f, t, t]),
        (limits, format!("    limits: {{ttl: 2m}}\n{limits}"), [f, f, f, t, t]),
        (limits, format!("    limits: {{ttl: 1h}}\n{limits}"), [t; 5]),
        (limits, format!("    require: bound\n{limits}"), [f, f, f, t, t]),
        (limits, format!("    limits: {{sourceCidrs: [127.0.0.0/8]}}\n{limits}"), [f, f, f, t, t]),
        (&verified, format!("expires: {}}}", instant(&world, 60)), [f; 5]),
        ("ttl: 5m}", "ttl: 2m}".to_owned(), [f; 5]),
        ("ttl: 5m}", "ttl: 6m}".to_owned(), [t; 5]),
        ("purpose: Copies orders.", "purpose: Copies all orders.".to_owned(), [t; 5]),
        (LIST, format!("{LIST}        - scope: orders:write\n"), [t; 5]),
        // These come last: a contract is extended again only after a review.
        (&contract, format!("ends: {}}}", Day(1300)), [t; 5]),
        (&contract, format!("ends: {}}}", instant(&world, 60)), [f; 5]),
    ];
    for (from, to, expected) in cases {
        let before = tokens(&world).await;
        assert_eq!(active(&world, &before).await, [t; 5]);
        // A version that gives what an elevation gave is another matter.
        let to = to.as_str();
        let records = edited(&world, from, to);
        let records = if to.contains("orders:write\n") {
            let (head, rest) = records.split_once("    elevation:\n").expect("the elevation");
            assert!(rest.ends_with("require: [reason]\n"), "{rest}");
            head.to_owned()
        } else {
            records
        };
        apply(&world, &records).await;
        assert_eq!(active(&world, &before).await, expected, "{from} -> {to}");
        apply(&world, &records::usual(&world.partner.issuer)).await;
        assert_eq!(active(&world, &before).await, expected, "{from} -> {to}, and back");
    }
}

/// A token that ends before the new end is left alone, and every new one ends with it.
#[tokio::test]
async fn a_new_end_cuts_what_lives_beyond_it_and_caps_what_is_issued() {
    let place = "  production:\n    bindings:";
    let (contract, partner) = (format!("ends: {CONTRACT_ENDS}}}"), format!("expires: {VERIFIED_UNTIL}}}"));
    for (what, reason) in
        [(contract.as_str(), "contract.ended"), (place, "environment.ended"), (&partner, "partner.verification-expired")]
    {
        let world = World::start().await;
        let early = token(&world, "production", "orders:read").await;
        world.advance(200).await;
        let late = token(&world, "production", "orders:read").await;
        let ends = world.clock.seconds() + 150;
        let end = instant(&world, 150);
        let (from, to) = match reason {
            "environment.ended" => (place, format!("  production:\n    ends: {end}\n    bindings:")),
            "contract.ended" => (what, format!("ends: {end}}}")),
            _ => (what, format!("expires: {end}}}")),
        };
        apply(&world, &edited(&world, from, &to)).await;
        let is_active = async |token: &str| world.introspect("production", token).await.json()["active"] == true;
        assert_eq!((is_active(&early).await, is_active(&late).await), (true, false), "{reason}");
        let capped = token(&world, "production", "orders:read").await;
        assert_eq!(claims(&capped)["exp"], json!(ends), "{reason}");
        let next = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["endsNext"].clone();
        let what = reason.trim_start_matches("partner.").split(['.', '-']).next().expect("a word");
        assert_eq!(next, json!({"what": what, "at": ends}), "{reason}");
        let other = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
        assert_eq!(other.status, 200, "{reason}: {}", other.text());

        world.advance(150).await;
        let minted = world.issued().await;
        let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!(reason)), "{}", refused.text());
        assert_eq!(world.issued().await, minted, "nothing is minted");
        assert!(!is_active(&capped).await);
        let effective = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["effective"].clone();
        let cause = &effective["production"]["causes"][0];
        assert_eq!((&cause["reason"], &cause["since"]), (&json!(reason), &json!(ends)), "{effective}");
        assert!(cause["liftedBy"]["action"].is_string(), "{effective}");
        let sandbox = if reason == "environment.ended" { "granting" } else { "refusing" };
        assert_eq!(effective["sandbox"]["state"], sandbox, "{effective}");
        let request = refused.header("x-request-id").expect("an id");
        assert_eq!(world.admin_get(&format!("/v1/explain/{request}"), "alan").await["reason"], json!(reason));
    }
}

/// A static secret that is not closed by its end ends the integration's access, unless an approved version says that it only reports.
#[tokio::test]
async fn a_secret_past_its_end_refuses_unless_people_agreed_otherwise() {
    let world = World::start().await;
    let exception = |end: &str, more: &str| {
        let one = format!("{{what: old key, control: network, owner: raj@acme.example, ends: {end}{more}}}");
        format!("{}exceptions:\n  - {one}\n", records::usual(&world.partner.issuer))
    };
    let (end, ends) = (instant(&world, 120), world.clock.seconds() + 120);
    let before = token(&world, "production", "orders:read").await;
    apply(&world, &exception(&end, "")).await;
    assert_eq!(world.introspect("production", &before).await.json()["active"], false, "it lives beyond the end");
    assert_eq!(claims(&token(&world, "production", "orders:read").await)["exp"], json!(ends));
    world.advance(120).await;
    let minted = world.issued().await;
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("exception.past-due")), "{}", refused.text());
    assert_eq!(world.issued().await, minted, "nothing is minted");
    let effective = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["effective"].clone();
    assert_eq!(effective["sandbox"]["causes"][0]["reason"], "exception.past-due", "{effective}");

    // To report it only is a widening, which waits for people.
    let reported = exception(&end, ", onPastDue: report");
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", reported))).await;
    let plan = answer.json();
    let item = plan["items"].as_array().expect("items").iter().find(|item| item["kind"] == "Integration").expect("one");
    assert_eq!((answer.status, &item["action"]), (200, &json!("hold")), "{plan}");
    assert!(item["differences"].to_string().contains("onPastDue"), "{item}");
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(refused.json()["reason"], "exception.past-due");
    world.approve_all().await;
    token(&world, "production", "orders:read").await;
}

/// Readers of the live index learn each token that a version cut, by entries that name them, and none twice; a restart adds nothing.
#[tokio::test]
async fn the_live_index_learns_the_tokens_that_a_version_cut() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let mut cut = Vec::new();
    for _ in 0..3 {
        cut.push(jti(&token(&world, "production", "orders:list").await));
    }
    let kept = jti(&token(&world, "production", "orders:read").await);
    apply(&world, &edited(&world, LIST, "")).await;
    let score = |world: &World, id: &str| {
        world.redis.as_ref().expect("redis").command(&["ZSCORE", "carnet:{production}:revoked", id]).trim().to_owned()
    };
    let begun = std::time::Instant::now();
    while cut.iter().any(|id| score(&world, id).is_empty()) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "the index learns them within two seconds");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(score(&world, &kept), "");
    let listed = async |world: &World| -> Vec<Value> {
        let entries = world.admin_get("/v1/journal?kind=tokens.cut", "alan").await;
        entries["items"].as_array().expect("items").clone()
    };
    let entries = listed(&world).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let text = entries[0].to_string();
    assert!(cut.iter().all(|id| text.contains(id.as_str())) && !text.contains(&kept), "{text}");
    assert!(text.contains("integration:globex/order-sync/production"), "{text}");

    world.stop().await;
    world.boot().await;
    token(&world, "production", "orders:read").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(listed(&world).await, entries);
}
