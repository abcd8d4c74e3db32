//! What a plan tells before anything is done: who gains what, what ends soon, which tokens it cuts, and what it would have done to the
//! requests of 30 days. A plan records nothing.

use serde_json::{Value, json};

use crate::world::days::{CONTRACT_ENDS, Day};
use crate::world::{Answer, World, records};

const LIST: &str = "        - scope: orders:list\n";
const SANDBOX: &str = "scopes: {orders-api: [orders:read, orders:write]}";
const LIMITS: &str = "    scopes:\n      orders-api:\n        - scope: orders:read\n";

/// The usual records with some edits.
fn edited(world: &World, edits: &[(&str, &str)]) -> String {
    let mut records = records::usual(&world.partner.issuer);
    for (from, to) in edits {
        assert!(records.contains(from), "{from}");
        records = records.replacen(from, to, 1);
    }
    records
}

async fn size(world: &World) -> String {
    let note = world.admin_get("/v1/journal/checkpoint", "alan").await["checkpoint"].as_str().expect("a note").to_owned();
    note.lines().nth(1).expect("a size").to_owned()
}

async fn plan(world: &World, records: &str) -> Value {
    let before = size(world).await;
    let answer = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(before, size(world).await, "a plan records nothing");
    answer.json()
}

fn item<'p>(plan: &'p Value, subject: &str) -> &'p Value {
    let items = plan["items"].as_array().expect("items");
    items.iter().find(|item| item["subject"] == subject).unwrap_or_else(|| panic!("no {subject}: {plan}"))
}

fn difference<'p>(item: &'p Value, at: &str) -> &'p Value {
    let all = item["differences"].as_array().expect("differences");
    all.iter().find(|one| one["at"] == at).unwrap_or_else(|| panic!("no {at}: {item}"))
}

async fn ask(world: &World, environment: &str, scope: &str) -> Answer {
    world.exchange(environment, &world.assertion(environment), scope).await
}

async fn token(world: &World, environment: &str, scope: &str) -> String {
    let answer = ask(world, environment, scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn refused(world: &World, answer: &Answer, reason: &str) {
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (400, Some(reason)), "{}", answer.text());
    // A refusal is recorded a moment after it was answered.
    let request = answer.header("x-request-id").expect("an id");
    for _ in 0..100 {
        let found = world.admin_get("/v1/journal?kind=refused&limit=1000", "alan").await;
        if found["items"].as_array().expect("items").iter().any(|entry| entry["requestId"] == request) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{reason} is not recorded");
}

/// Edits of a text: from, and to.
type Edits<'a> = &'a [(&'a str, &'a str)];
/// `(refused, granted, unknown)`.
type Counts = (u64, u64, u64);

/// The counts of an item or a plan.
fn numbers(of: &Value) -> Counts {
    let replay = &of["replay"];
    assert_eq!(replay["complete"], true, "{of}");
    let number = |name: &str| replay[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"));
    let by = |outcome: &str| {
        let rows = replay["reasons"].as_array().expect("reasons").iter().filter(|row| row["outcome"] == outcome);
        rows.map(|row| row["count"].as_u64().expect("a count")).sum::<u64>()
    };
    let all = (number("refused"), number("granted"), number("unknown"));
    assert_eq!(all, (by("refused"), by("granted"), by("unknown")), "{of}");
    all
}

fn reasons(of: &Value) -> Vec<&str> {
    of["replay"]["reasons"].as_array().expect("reasons").iter().filter_map(|row| row["reason"].as_str()).collect()
}

#[tokio::test]
async fn each_widening_says_who_gains_what_and_an_end_that_is_near_is_marked() {
    let world = World::start().await;
    let ends = format!("ends: {CONTRACT_ENDS}}}");
    let wider = edited(&world, &[(SANDBOX, "scopes: {orders-api: [orders:read, orders:write, orders:list]}")]);
    let planned = plan(&world, &wider).await;
    let one = item(&planned, "globex/order-sync");
    let scope = difference(one, "environments.sandbox.scopes.orders-api.orders:list");
    assert_eq!((&one["action"], &scope["weight"]), (&json!("hold"), &json!("WIDENS")));
    let gains = &scope["gains"];
    assert_eq!(gains["who"], json!(["globex/order-sync"]), "{gains}");
    assert_eq!(
        gains["what"],
        json!({"environment": "sandbox", "api": "orders-api", "scope": "orders:list",
               "field": "environments.sandbox.scopes.orders-api.orders:list"})
    );
    let sentence = gains["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("globex/order-sync may have orders:list of orders-api in sandbox"), "{sentence}");

    // A change of an API reaches each integration that uses it.
    let planned = plan(
        &world,
        &edited(&world, &[("orders:read: {meaning: See orders, risk: low}", "orders:read: {meaning: See orders, risk: high}")]),
    )
    .await;
    let gains = &difference(item(&planned, "orders-api"), "scopes.orders:read.risk")["gains"];
    assert_eq!(
        (&gains["who"], &gains["integrations"], &gains["what"]["api"]),
        (&json!(["globex/order-sync"]), &json!(1), &json!("orders-api"))
    );

    // Every widening has gains, and nothing else has.
    for (from, to, at, weight, action) in [
        (ends.as_str(), format!("ends: {}}}", Day(59)), "contract.ends", "EXPIRES", "narrow"),
        (&ends, format!("ends: {}}}", Day(90)), "contract.ends", "narrows", "narrow"),
        (&ends, format!("ends: {}}}", Day(1420)), "contract.ends", "WIDENS", "hold"),
        (
            "  production:\n    bindings:",
            format!("  production:\n    ends: {}\n    bindings:", Day(30)),
            "environments.production.ends",
            "EXPIRES",
            "narrow",
        ),
    ] {
        let planned = plan(&world, &edited(&world, &[(from, &to)])).await;
        let one = item(&planned, "globex/order-sync");
        let found = difference(one, at);
        assert_eq!((&found["weight"], &one["action"]), (&json!(weight), &json!(action)), "{to}: {one}");
        for difference in one["differences"].as_array().expect("differences") {
            assert_eq!(difference["gains"].is_object(), difference["weight"] == "WIDENS", "{difference}");
        }
    }
}

/// One token of each kind that the records give.
const KINDS: [(&str, &str); 4] = [
    ("production", "orders:read"),
    ("production", "orders:list"),
    ("sandbox", "orders:read"),
    ("sandbox", "orders:write orders:read"),
];

/// The number that a plan tells is the number of tokens that end with the apply, and those that ended before are none of them.
#[tokio::test]
async fn a_plan_counts_the_living_tokens_that_the_apply_cuts() {
    let world = World::start().await;
    let ends = format!("ends: {CONTRACT_ENDS}}}");
    let minute = format!(
        "ends: {}}}",
        carnet::domain::value::clock::Timestamp::from_seconds(world.clock.seconds() + 60).expect("a time")
    );
    let bound = format!("    require: bound\n{LIMITS}");
    let cases: [(Edits<'_>, u64, u64); 7] = [
        (&[(LIST, "")], 1, 0),
        (&[("[orders:read, orders:write]", "[orders:read]")], 1, 0),
        (&[(LIMITS, &bound)], 2, 0),
        (&[("ttl: 5m}", "ttl: 2m}")], 0, 4),
        // Both items cut two of them, and one token is cut once.
        (&[("ttl: 5m}", "ttl: 2m}"), (LIST, "")], 1, 4),
        (&[("purpose: Copies orders.", "purpose: Copies all orders.")], 0, 0),
        // Last: a contract is extended again only after reviews.
        (&[(&ends, &minute)], 4, 0),
    ];
    for (edits, of_integration, of_api) in cases {
        let mut tokens = Vec::new();
        for (environment, scope) in KINDS {
            tokens.push((environment, token(&world, environment, scope).await));
        }
        let revoked = token(&world, "production", "orders:list").await;
        let revoke = json!({"token": crate::world::jti(&revoked), "reason": "leaked"});
        let answer = world.admin_post("/v1/revocations", "sven", &revoke).await;
        assert!(answer.status < 300, "{}", answer.text());
        let wanted = edited(&world, edits);
        let planned = plan(&world, &wanted).await;
        let cuts = |subject: &str| item(&planned, subject)["cuts"].as_u64().expect("a number");
        assert_eq!((cuts("globex/order-sync"), cuts("orders-api")), (of_integration, of_api), "{edits:?}");
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", wanted))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json().get("cuts").is_none(), "{}", answer.text());
        world.approve_all().await;
        let mut ended = 0;
        for (environment, token) in &tokens {
            ended += u64::from(world.introspect(environment, token).await.json()["active"] == false);
        }
        assert_eq!(planned["cuts"].as_u64(), Some(ended), "{edits:?}");
        // Back, and nothing is left to be cut by the next case.
        world.onboard(&records::usual(&world.partner.issuer)).await;
        world.advance(400).await;
    }
}

/// Issued that would be refused: by reason, with the first and the last.
#[tokio::test]
async fn a_plan_replays_what_was_issued() {
    let world = World::start().await;
    let first = world.clock.seconds();
    token(&world, "production", "orders:list").await;
    world.advance(86_400).await;
    token(&world, "production", "orders:list orders:read").await;
    token(&world, "production", "orders:read").await;
    token(&world, "sandbox", "orders:read").await;
    let last = world.clock.seconds();
    world.advance(60).await;

    let planned = plan(&world, &edited(&world, &[(LIST, "")])).await;
    let one = item(&planned, "globex/order-sync");
    assert_eq!(
        (numbers(one), numbers(&planned), numbers(item(&planned, "globex"))),
        ((2, 0, 0), (2, 0, 0), (0, 0, 0)),
        "{one}"
    );
    assert_eq!(
        one["replay"]["reasons"],
        json!([{"outcome": "refused", "reason": "scope.not-contracted", "count": 2, "first": first, "last": last}])
    );
    // Another name for the same binding takes the same proofs.
    let renamed = [("name: ci-main", "name: main")];
    let ended = format!("ends: {}}}", carnet::domain::value::clock::Timestamp::from_seconds(first + 3600).expect("a time"));
    let ends = format!("ends: {CONTRACT_ENDS}}}");
    let bound = format!("    require: bound\n{LIMITS}");
    let networks = format!("    limits: {{sourceCidrs: [127.0.0.0/8]}}\n{LIMITS}");
    let fewer = format!("    limits: {{exchangesPerMinute: 1}}\n{LIMITS}");
    let cases: [(Edits<'_>, Counts, &[&str]); 9] = [
        (&renamed, (0, 0, 0), &[]),
        (&[("[refs/heads/main, refs/heads/release]", "[refs/heads/main]")], (0, 0, 3), &["binding.no-match"]),
        (&[("ref: {oneOf: [refs/heads/main, refs/heads/release]}", "ref: {prefix: refs/heads/}")], (0, 0, 0), &[]),
        (&[(&ends, &ended)], (3, 0, 0), &["contract.ended"]),
        (&[(LIMITS, &bound)], (3, 0, 0), &["proof.unbound"]),
        (&[(LIMITS, &networks)], (0, 0, 3), &["proof.source-network"]),
        (&[(LIMITS, &fewer)], (0, 0, 2), &["quota.exceeded"]),
        (&[("  orders:list: {meaning: List orders, risk: low}\n", ""), (LIST, "")], (0, 0, 0), &[]),
        (&[("production: https://orders.example", "production: https://other.example")], (0, 0, 0), &[]),
    ];
    for (edits, expected, why) in cases {
        let planned = plan(&world, &edited(&world, edits)).await;
        let one = item(&planned, "globex/order-sync");
        assert_eq!((numbers(one), reasons(one)), (expected, why.to_vec()), "{edits:?}");
    }
    // By the API: a scope less, and another audience, which requests may name or not.
    let planned =
        plan(&world, &edited(&world, &[("  orders:list: {meaning: List orders, risk: low}\n", ""), (LIST, "")])).await;
    assert_eq!((numbers(item(&planned, "orders-api")), numbers(&planned)), ((2, 0, 0), (2, 0, 0)), "{planned}");
    let planned =
        plan(&world, &edited(&world, &[("production: https://orders.example", "production: https://other.example")])).await;
    let api = item(&planned, "orders-api");
    assert_eq!((numbers(api), reasons(api)), ((0, 0, 3), vec!["target.not-contracted"]), "{api}");
    // A month later nobody remembers.
    world.advance(32 * 86_400).await;
    let planned = plan(&world, &edited(&world, &[(LIST, "")])).await;
    assert_eq!(numbers(&planned), (0, 0, 0), "{planned}");
}

/// Refusals that would be grants, where the entry has the whole request; unknown where it has not, and never none.
#[tokio::test]
async fn a_plan_replays_what_was_refused() {
    let world = World::start().await;
    let at = world.clock.seconds();
    refused(&world, &ask(&world, "sandbox", "orders:list orders:read").await, "scope.not-contracted").await;
    refused(&world, &ask(&world, "production", "orders:write").await, "scope.needs-elevation").await;
    refused(&world, &ask(&world, "production", "orders:never").await, "scope.not-contracted").await;
    let mut claims = world.claims("production");
    claims["ref"] = "refs/heads/dev".into();
    let dev = world.partner.sign(&claims);
    refused(&world, &world.exchange("production", &dev, "orders:read").await, "binding.no-match").await;
    let form = [
        ("grant_type", crate::world::TOKEN_EXCHANGE),
        ("subject_token", &world.assertion("production")),
        ("subject_token_type", crate::world::TYPE_JWT),
        ("audience", "stock-api"),
        ("scope", "stock:read"),
    ];
    refused(&world, &world.token("production", &form).await, "target.not-contracted").await;

    let list = (SANDBOX, "scopes: {orders-api: [orders:read, orders:write, orders:list]}");
    let elevation = "    elevation:\n      - scope: orders:write\n        api: orders-api\n        max: 1h\n        approvers: {role: security, count: 1}\n        require: [reason]\n";
    let write = format!("{LIST}        - scope: orders:write\n");
    let other = "---\napiVersion: carnet/v1\nkind: Api\nmetadata: {name: stock-api}\nowner: team:stock\naudience: {production: https://stock.example}\n\
                 scopes:\n  stock:read: {meaning: See stock, risk: low}\n";
    let stock =
        format!("{LIMITS}          allow: [GET /v1/orders, \"GET /v1/orders/{{id}}\"]\n{LIST}      stock-api: [stock:read]\n");
    let before = format!("{LIMITS}          allow: [GET /v1/orders, \"GET /v1/orders/{{id}}\"]\n{LIST}");
    let any = [("ref: {oneOf: [refs/heads/main, refs/heads/release]}", "ref: {prefix: refs/heads/}")];
    let cases: [(Edits<'_>, &str, Counts, &[&str]); 5] = [
        (&[list], "", (0, 1, 0), &["scope.not-contracted"]),
        (&[(LIST, &write), (elevation, "")], "", (0, 1, 0), &["scope.needs-elevation"]),
        (&any, "", (0, 0, 1), &["binding.no-match"]),
        (&[(&before, &stock)], other, (0, 0, 1), &["target.not-contracted"]),
        (&[("purpose: Copies orders.", "purpose: Copies all orders.")], "", (0, 0, 0), &[]),
    ];
    for (edits, more, expected, why) in cases {
        let planned = plan(&world, &(edited(&world, edits) + more)).await;
        let one = item(&planned, "globex/order-sync");
        assert_eq!((numbers(one), reasons(one), numbers(&planned)), (expected, why.to_vec(), expected), "{edits:?}: {planned}");
    }
    let planned = plan(&world, &edited(&world, &[list])).await;
    let row = &item(&planned, "globex/order-sync")["replay"]["reasons"][0];
    assert_eq!(row, &json!({"outcome": "granted", "reason": "scope.not-contracted", "count": 1, "first": at, "last": at}));
    // Each item by itself, and all together.
    let planned = plan(&world, &edited(&world, &[list, (LIST, &write), (elevation, "")])).await;
    assert_eq!(numbers(&planned), (0, 2, 0), "{planned}");
}

/// A suspension stands today and not then: it hides nothing. A date of the partner counts for all its integrations.
#[tokio::test]
async fn what_is_stopped_today_is_replayed_all_the_same() {
    let world = World::start().await;
    token(&world, "production", "orders:list").await;
    let stop = json!({"reason": "odd calls"});
    assert_eq!(world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &stop).await.status, 201);
    refused(&world, &ask(&world, "production", "orders:read").await, "integration.suspended").await;
    let planned = plan(&world, &edited(&world, &[(LIST, "")])).await;
    assert_eq!((numbers(&planned), planned["cuts"].as_u64()), ((1, 0, 0), Some(0)), "{planned}");
}
