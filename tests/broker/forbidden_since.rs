//! A guardrail that comes into force, or under which a version falls, cuts what it forbids, at once and for good, and nothing else
//! (docs/explanation/guardrails.md).

use serde_json::{Value, json};

use crate::world::{Answer, Options, World, jti, records};

/// In the sandbox `orders:write` stands in the usual record, and is of high risk.
const STANDING: &str = "context.environment == \"sandbox\" && resource.risk == \"high\" && !context.elevated";

fn guardrail(name: &str, mode: &str, condition: &str) -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {{name: {name}}}\nmeaning: A rule of ours.\nmode: {mode}\ncedar: |\n  \
         forbid (principal, action == Carnet::Action::\"exchange\", resource)\n  when {{ {condition} }};\n"
    )
}

async fn send(world: &World, person: &str, records: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", world.staff_token(person));
    let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    all.extend(headers);
    crate::world::send(world.admin, "POST", "/v1/records/apply", &all, records.as_bytes()).await
}

/// Applies a guardrail as a person of security, who says the numbers that they are told.
async fn enforce(world: &World, records: &str) {
    let told = send(world, "sven", records, &[]).await;
    let answer = if told.status == 409 {
        let number = |name: &str| told.json()[name].as_u64().unwrap_or_default().to_string();
        let (refuses, unknown) = (number("refuses"), number("unknown"));
        send(world, "sven", records, &[("carnet-refuses", &refuses), ("carnet-unknown", &unknown)]).await
    } else {
        told
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let action = answer.json()["items"][0]["action"].clone();
    assert!(action == "narrow" || action == "put-back", "{action}");
}

/// Applies records as an owner, and approves what waits.
async fn apply(world: &World, records: &str) {
    let answer = send(world, "ann", records, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.approve_all().await;
}

async fn token(world: &World, environment: &str, scope: &str) -> String {
    let answer = world.exchange(environment, &world.assertion(environment), scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

const KINDS: [(&str, &str); 4] = [
    ("production", "orders:read"),
    ("sandbox", "orders:read"),
    ("sandbox", "orders:write"),
    ("sandbox", "orders:read orders:write"),
];

async fn tokens(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (environment, scope) in KINDS {
        all.push(token(world, environment, scope).await);
    }
    all
}

/// Which of them are active.
async fn active(world: &World, tokens: &[String]) -> [bool; 4] {
    let mut all = [false; 4];
    for (active, ((environment, _), token)) in all.iter_mut().zip(KINDS.iter().zip(tokens)) {
        *active = world.introspect(environment, token).await.json()["active"] == true;
    }
    all
}

async fn listed(world: &World) -> Vec<Value> {
    let entries = world.admin_get("/v1/journal?kind=tokens.cut&limit=1000", "alan").await;
    entries["items"].as_array().expect("items").clone()
}

/// I-8: what a guardrail forbids is cut with the entry, and stays cut when it is put back before anybody listed the tokens.
#[tokio::test]
async fn i_8_a_guardrail_cuts_what_it_forbids_and_no_more() {
    let world = World::start().await;
    let (t, f) = (true, false);
    let cases = [
        ("standing", STANDING, [t, t, f, f]),
        ("bearer", "context.environment == \"production\" && !context.bound", [f, t, t, t]),
        ("bound", "context.bound || context.dual", [t; 4]),
        ("past", "context.time < datetime(\"2020-01-01\")", [t; 4]),
        (
            "another",
            "principal in Carnet::Partner::\"globex\" && resource == Carnet::Scope::\"orders-api/orders:list\"",
            [t; 4],
        ),
        // No entry has the address. It is read in production alone.
        ("address", "context.environment == \"production\" && context.source.isInRange(ip(\"203.0.113.0/24\"))", [f, t, t, t]),
        ("all", "context.binding == \"oidc\" && context.preset == \"none\"", [f; 4]),
    ];
    for (name, condition, expected) in cases {
        let before = tokens(&world).await;
        assert_eq!(active(&world, &before).await, [t; 4], "{name}");
        enforce(&world, &guardrail(name, "enforce", condition)).await;
        enforce(&world, &guardrail(name, "shadow", condition)).await;
        assert_eq!(active(&world, &before).await, expected, "{name}");
        // What is issued since is not cut by it.
        let since = tokens(&world).await;
        assert_eq!(active(&world, &since).await, [t; 4], "{name}");
        let left = async || {
            let text = format!("{:?}", listed(&world).await);
            before.iter().map(|token| !text.contains(&jti(token))).collect::<Vec<_>>()
        };
        let begun = std::time::Instant::now();
        while left().await != expected {
            assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{name}: they are listed within two seconds");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// In shadow a guardrail was asked with the address, so its enforcement cuts by what it said then; and by the records as they are now.
#[tokio::test]
async fn a_guardrail_that_was_in_shadow_knows_what_it_would_have_refused() {
    let world = World::start().await;
    let inside = "!context.source.isInRange(ip(\"127.0.0.0/8\"))";
    let before = token(&world, "production", "orders:read").await;
    enforce(&world, &guardrail("inside", "shadow", inside)).await;
    enforce(&world, &guardrail("watch", "shadow", STANDING)).await;
    // A second tells that the API's version was in force before.
    world.advance(1).await;
    let known = tokens(&world).await;
    enforce(&world, &guardrail("inside", "enforce", inside)).await;
    assert_eq!(world.introspect("production", &before).await.json()["active"], false, "nobody knows where it was asked from");
    assert_eq!(active(&world, &known).await, [true; 4]);
    // The other one was in shadow beside a set that is gone; its text reads nothing that an entry lacks.
    enforce(&world, &guardrail("watch", "enforce", STANDING)).await;
    assert_eq!(active(&world, &known).await, [true, true, false, false]);
}

/// A version that falls under a guardrail in force cuts as a guardrail does that comes into force.
#[tokio::test]
async fn i_8_a_version_that_a_guardrail_forbids_cuts() {
    let world = World::start().await;
    let (t, f) = (true, false);
    let usual = records::usual(&world.partner.issuer);
    enforce(&world, &guardrail("standing", "enforce", "context.environment == \"sandbox\" && resource.risk == \"medium\""))
        .await;
    enforce(
        &world,
        &guardrail("classes", "enforce", "principal.dataClasses.contains(\"customer-address\") && resource.risk == \"high\""),
    )
    .await;
    let cases = [
        ("{meaning: See orders, risk: low}", "{meaning: See orders, risk: medium}", [t, f, t, f]),
        ("{meaning: List orders, risk: low}", "{meaning: List orders, risk: high}", [t; 4]),
        ("owners: {business", "dataClasses: [customer-address]\nowners: {business", [t, t, f, f]),
        ("owners: {business", "dataClasses: [customer-name]\nowners: {business", [t; 4]),
        ("purpose: Copies orders.", "purpose: Copies all orders.", [t; 4]),
    ];
    for (from, to, expected) in cases {
        assert!(usual.contains(from), "{from}");
        let before = tokens(&world).await;
        apply(&world, &usual.replacen(from, to, 1)).await;
        assert_eq!(active(&world, &before).await, expected, "{to}");
        apply(&world, &usual).await;
        assert_eq!(active(&world, &before).await, expected, "{to}, and back");
    }
}

/// Readers of the live index learn the tokens by name; a restart forgets no cut and lists none twice.
#[tokio::test]
async fn the_live_index_learns_what_a_guardrail_cut() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let cut = jti(&token(&world, "sandbox", "orders:write").await);
    let kept = jti(&token(&world, "sandbox", "orders:read").await);
    enforce(&world, &guardrail("standing", "enforce", STANDING)).await;
    let score = |world: &World, id: &str| {
        world.redis.as_ref().expect("redis").command(&["ZSCORE", "carnet:{sandbox}:revoked", id]).trim().to_owned()
    };
    let begun = std::time::Instant::now();
    while score(&world, &cut).is_empty() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "the index learns it within two seconds");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(score(&world, &kept), "");
    let entries = listed(&world).await;
    assert_eq!((entries.len(), &entries[0]["subject"]), (1, &json!("environment:sandbox")), "{entries:?}");
    world.stop().await;
    world.boot().await;
    token(&world, "sandbox", "orders:read").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(listed(&world).await, entries);
}

/// Measures how long the tokens of one API take to be listed: `TOKENS=100000 cargo test … measures_a_cut -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measures_a_cut_of_many_tokens() {
    let number: usize = std::env::var("TOKENS").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    apply(&world, &usual.replace("    elevation:\n", "    limits: {exchangesPerMinute: 1000000}\n    elevation:\n")).await;
    let begun = std::time::Instant::now();
    let one =
        async || assert_eq!(world.exchange("production", &world.assertion("production"), "orders:read").await.status, 200);
    let some = async || {
        for _ in 0..number / 8 {
            one().await;
        }
    };
    tokio::join!(some(), some(), some(), some(), some(), some(), some(), some());
    println!("{number} tokens issued in {:?}", begun.elapsed());
    let view = || world.running.as_ref().expect("it runs").broker.journal.view();
    let begun = std::time::Instant::now();
    enforce(&world, &guardrail("all", "enforce", "context.binding == \"oidc\"")).await;
    println!("enforced after {:?}, with the count of 30 days", begun.elapsed());
    let begun = std::time::Instant::now();
    let (at, mut first) = (view().size, None);
    while view().state.revoked_tokens.iter().count() < number / 8 * 8 {
        if view().state.revoked_tokens.iter().next().is_some() {
            first.get_or_insert(begun.elapsed());
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "it ends");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    println!("listed after {:?}, the first after {first:?}, in {} entries", begun.elapsed(), view().size - at);
}
