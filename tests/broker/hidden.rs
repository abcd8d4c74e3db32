//! Widenings that hide: in another name, a preset, a pattern, an order, two applies, a repair. Each is held, and gives nothing until people
//! approve it.

use serde_json::{Value, json};

use crate::world::{Options, World, records};

const LIST: &str = "        - scope: orders:list\n";
const ALLOW: &str = "          allow: [GET /v1/orders, \"GET /v1/orders/{id}\"]\n";
const REF: &str = ", ref: {oneOf: [refs/heads/main, refs/heads/release]}";

fn edited(world: &World, edits: &[(&str, &str)]) -> String {
    let mut records = records::usual(&world.partner.issuer);
    for (from, to) in edits {
        assert!(records.contains(from), "{from}");
        records = records.replacen(from, to, 1);
    }
    records
}

async fn apply(world: &World, records: &str) -> Value {
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn item(plan: &Value) -> &Value {
    let items = plan["items"].as_array().expect("items");
    items.iter().find(|item| item["subject"] == "globex/order-sync").expect("the integration")
}

fn widens(item: &Value) -> bool {
    item["differences"].as_array().expect("differences").iter().any(|one| one["weight"] == "WIDENS")
}

/// A proof of another branch than the record takes.
fn of_branch(world: &World) -> String {
    let mut claims = world.claims("production");
    claims["ref"] = "refs/heads/dev".into();
    world.partner.sign(&claims)
}

async fn refused(world: &World, assertion: &str, scope: &str, what: &str) {
    let before = world.issued().await;
    let answer = world.exchange("production", assertion, scope).await;
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert_eq!(world.issued().await, before, "{what}: nothing is minted");
}

#[tokio::test]
async fn a_widening_that_hides_in_names_presets_patterns_or_orders_is_held() {
    let world = World::start().await;
    let issuer = world.partner.issuer.clone();
    let oidc = format!(
        "oidc: {{issuer: \"{issuer}\", match: {{sub: {{prefix: \"repo:\"}}, repository_id: \"456789\", repository_owner_id: \"998877\"{REF}}}, owner: [repository_owner_id]}}"
    );
    let wide = oidc.replace(REF, "");
    let two = format!("{oidc}\n      - name: other\n        {wide}");
    let behind = format!("{wide}\n      - name: other\n        {oidc}");
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("another name, and less is asked", &[("name: ci-main", "name: ci-prod"), (REF, "")]),
        ("a name is taken by another binding", &[("name: ci-main", "name: ci-prod"), (&oidc, &two)]),
        ("a prefix in the place of two values", &[(REF, ", ref: {prefix: refs/heads/}")]),
        ("one value more, in another order", &[(REF, ", ref: {oneOf: [refs/heads/dev, refs/heads/release, refs/heads/main]}")]),
        ("another binding, beside the strict one", &[(&oidc, &behind), ("name: ci-main", "name: ci-all")]),
        ("beside much that narrows", &[(REF, ""), (LIST, ""), ("    elevation:\n", "    limits: {ttl: 1m}\n    elevation:\n")]),
        ("and an end that is near", &[(REF, ""), ("  production:\n", "  production:\n    ends: 2027-01-31\n")]),
        ("another claim in its place", &[(REF, ", environment: {prefix: prod}")]),
    ];
    for (what, edits) in cases {
        let planned = apply(&world, &edited(&world, edits)).await;
        let one = item(&planned);
        assert_eq!(one["action"], "hold", "{what}: {one}");
        assert!(widens(one), "{what}: {one}");
        refused(&world, &of_branch(&world), "orders:read", what).await;
    }
    // A pattern where a value belongs is no value at all.
    for pattern in [", ref: \"refs/heads/*\"", ", ref: {oneOf: [\"refs/heads/**\"]}"] {
        let wanted = edited(&world, &[(REF, pattern)]);
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", wanted))).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains("binding.wildcard"), "{}", answer.text());
    }
    // Endpoints by a pattern, and a list in another order.
    for allow in ["[\"GET /v1/{any}\"]", "[\"GET /v1/orders/{id}\", GET /v1/orders, DELETE /v1/orders]"] {
        let planned = apply(&world, &edited(&world, &[(ALLOW, &format!("          allow: {allow}\n"))])).await;
        assert!(item(&planned)["action"] == "hold" && widens(item(&planned)), "{allow}: {planned}");
    }
    // An order alone gives nobody more.
    let turned = edited(&world, &[(ALLOW, "          allow: [\"GET /v1/orders/{id}\", GET /v1/orders]\n")]);
    assert!(!widens(item(&apply(&world, &turned).await)));
    // Another integration, or another partner, that would take the same proofs.
    for (partner, name) in [("globex", "order-sync-2"), ("initech", "order-sync")] {
        let other = records::integration(&issuer, name, "456789").replace("partner: globex", &format!("partner: {partner}"));
        let partner = "---\napiVersion: carnet/v1\nkind: Partner\nmetadata: {name: initech}\nlegalName: Initech\ndomains: [initech.example]\n\
                       contacts: {technical: a@initech.example, security: b@initech.example}\n\
                       verification: {by: jane@acme.example, on: 2026-01-01, evidence: x, expires: 2027-01-01}\n";
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", other + partner))).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains("binding.overlap"), "{}", answer.text());
    }
}

/// The first apply takes something away at once; the second gives it back, or more.
#[tokio::test]
async fn what_one_apply_takes_away_another_does_not_give_back() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let ended = "  production:\n    ends: 2027-01-31\n";
    for (what, edits) in [
        ("a scope", vec![(LIST, "")]),
        ("endpoints", vec![(ALLOW, "          allow: [GET /v1/orders]\n")]),
        ("an end", vec![("  production:\n", ended)]),
        ("a ceiling", vec![("    elevation:\n", "    limits: {ttl: 1m}\n    elevation:\n")]),
        ("a condition", vec![(REF, ", ref: refs/heads/main")]),
    ] {
        let first = apply(&world, &edited(&world, &edits)).await;
        assert_eq!(item(&first)["action"], "narrow", "{what}: {first}");
        let second = apply(&world, &usual).await;
        assert!(item(&second)["action"] == "hold" && widens(item(&second)), "{what}: {second}");
        world.approve_all().await;
        let again = apply(&world, &usual).await;
        assert_eq!(item(&again)["action"], "unchanged", "{what}: {again}");
    }
    // Two versions that wait: the second is compared with the one in force, and not with the first.
    let wider = edited(&world, &[(REF, "")]);
    assert_eq!(item(&apply(&world, &wider).await)["action"], "hold");
    let still = edited(&world, &[(REF, ""), (LIST, "")]);
    let second = apply(&world, &still).await;
    assert!(item(&second)["action"] == "hold" && widens(item(&second)), "{second}");
    refused(&world, &of_branch(&world), "orders:read", "it waits").await;
}

/// Somebody of security narrows at once; the next run of the pipeline would undo it.
#[tokio::test]
async fn a_repair_of_drift_that_widens_is_held() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let narrower = edited(&world, &[(LIST, "")]);
    let answer = world.admin_send("POST", "/v1/records/apply", "sven", Some(("application/yaml", narrower))).await;
    assert_eq!((answer.status, item(&answer.json())["action"].as_str()), (200, Some("narrow")), "{}", answer.text());
    refused(&world, &world.assertion("production"), "orders:list", "it is narrower").await;
    let drift = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", usual.clone()))).await.json();
    let found = &drift["items"][0];
    assert_eq!((&found["state"], &found["differences"][0]["weight"]), (&json!("differs"), &json!("WIDENS")), "{drift}");
    let repair = apply(&world, &usual).await;
    assert!(item(&repair)["action"] == "hold" && widens(item(&repair)), "{repair}");
    refused(&world, &world.assertion("production"), "orders:list", "the repair waits").await;
    let drift = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", usual))).await.json();
    assert_eq!(drift["drift"], true, "what waits is not in force: {drift}");
    world.approve_all().await;
    assert_eq!(world.exchange("production", &world.assertion("production"), "orders:list").await.status, 200);
}

/// A binding that nobody used is retired. Neither the same record, nor a narrower one, nor another name gives it back without approval.
#[tokio::test]
async fn a_retired_binding_comes_back_by_approval_alone() {
    let configuration = "\n[governance]\nunused_warn = \"2d\"\nunused_suspend = \"4d\"\n".to_owned();
    let world = World::with(Options { configuration, ..Options::default() }).await;
    let issuer = world.partner.issuer.clone();
    let second = format!(
        "      - name: spare\n        oidc: {{issuer: \"{issuer}\", match: {{sub: {{prefix: \"repo:\"}}, repository_id: \"777777\", repository_owner_id: \"998877\"}}, owner: [repository_owner_id]}}\n    scopes:\n"
    );
    let with = edited(&world, &[("    scopes:\n", &second)]);
    apply(&world, &with).await;
    world.approve_all().await;
    let spare = |world: &World| {
        let mut claims = world.claims("production");
        claims["repository_id"] = "777777".into();
        world.partner.sign(&claims)
    };
    let broker = || world.running.as_ref().expect("runs").broker.clone();
    for _ in 0..6 {
        world.advance(86_400).await;
        assert_eq!(world.exchange("production", &world.assertion("production"), "orders:read").await.status, 200);
        broker().count_uses().await.expect("counts");
        broker().note_non_use().await.expect("is known");
    }
    let told = async |what: &str| {
        let before = world.issued().await;
        let answer = world.exchange("production", &spare(&world), "orders:read").await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("binding.unused")), "{what}: {}", answer.text());
        assert_eq!(world.issued().await, before, "{what}: nothing is minted");
    };
    told("nobody used it").await;
    assert_eq!(item(&apply(&world, &with).await)["action"], "unchanged");
    told("the same record").await;
    assert_eq!(item(&apply(&world, &with.replacen(LIST, "", 1)).await)["action"], "narrow");
    told("a narrower record").await;
    let drift = world.admin_send("POST", "/v1/records/drift", "alan", Some(("application/yaml", with.clone()))).await.json();
    let found =
        drift["items"].as_array().expect("items").iter().find(|one| one["subject"] == "globex/order-sync").expect("drift");
    let causes = found["causes"].as_array().expect("causes");
    assert!(causes.iter().any(|cause| cause["what"] == "binding-retired" && cause["binding"] == "spare"), "{drift}");
    let renamed = apply(&world, &with.replacen("name: spare", "name: spare-2", 1).replacen(LIST, "", 1)).await;
    assert!(item(&renamed)["action"] == "hold" && widens(item(&renamed)), "{renamed}");
    told("another name waits").await;
    world.approve_all().await;
    assert_eq!(world.exchange("production", &spare(&world), "orders:read").await.status, 200);
}

/// A preset says in one word what a binding asks; another preset, or none, may ask for less.
#[tokio::test]
async fn a_widening_that_hides_in_a_preset_is_held() {
    let world = World::start().await;
    let place = "    scopes:\n      orders-api:\n        - scope: orders:read\n";
    let with = |binding: &str| {
        let usual = records::usual(&world.partner.issuer);
        assert!(usual.contains(place));
        usual.replacen(place, &format!("      - name: hub\n        {binding}\n{place}"), 1)
    };
    let strict = "github: {repositoryId: \"555555\", ownerId: \"998877\", ref: refs/heads/main}";
    apply(&world, &with(strict)).await;
    world.approve_all().await;
    assert_eq!(item(&apply(&world, &with(strict)).await)["action"], "unchanged");
    let shared = "https://token.actions.githubusercontent.com";
    for lax in [
        "github: {repositoryId: \"555555\", ownerId: \"998877\"}".to_owned(),
        "github: {repositoryId: \"555555\", ownerId: \"998877\", ref: refs/heads/main, maxLife: 2h}".to_owned(),
        format!(
            "oidc: {{issuer: \"{shared}\", match: {{repository_id: \"555555\", repository_owner_id: \"998877\"}}, owner: [repository_owner_id]}}"
        ),
        "gitlab: {projectId: \"555555\", namespaceId: \"998877\"}".to_owned(),
    ] {
        let planned = apply(&world, &with(&lax)).await;
        assert!(item(&planned)["action"] == "hold" && widens(item(&planned)), "{lax}: {planned}");
    }
}
