//! The inventory by ways in, on the wire and at the command line: what stands there, in which order, and what filters leave.

use serde_json::{Value, json};

use crate::certificates::{enrolled, with_certificates};
use crate::cli::program::Program;
use crate::elevation::{approved, asked, exchange, id, token, wish};
use crate::possession::Holder;
use crate::world::days::Day;
use crate::world::{World, records};

const DAY: i64 = 86_400;
const FORMULA: &str = "=cmd|' /C calc'!A0";

async fn all(world: &World, query: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.admin_get(&format!("/v1/inventory?{query}{cursor}"), "alan").await;
        items.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next"].as_str() else { return items };
        let next = format!("&cursor={next}");
        assert_ne!(next, cursor, "a page that leads to itself");
        cursor = next;
    }
}

fn names(items: &[Value]) -> Vec<(String, String)> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    items.iter().map(|item| (text(item, "kind"), text(item, "environment"))).collect()
}

async fn count(world: &World) {
    world.running.as_ref().expect("runs").broker.count_uses().await.expect("counts");
}

/// The usual integration with a key in its record, certificates and a static secret whose name is a formula.
fn rich(world: &World, holder: &Holder) -> String {
    let mut key = holder.jwk();
    key["kid"] = json!("k1");
    let pinned = format!("      - {{name: batch, key: {{jwks: {{keys: [{key}]}}}}}}\n    scopes:\n      orders-api:\n");
    let usual = with_certificates(&world.partner.issuer);
    let usual = usual.replacen("    scopes:\n      orders-api:\n", &pinned, 1);
    let secret = format!("exceptions: [{{what: \"{FORMULA}\", control: none, owner: raj@acme.example, ends: {}}}]\n", Day(40));
    format!("{usual}{secret}")
}

#[tokio::test]
async fn a_row_for_each_way_in_with_its_reach_last_use_and_end() {
    let world = World::start().await;
    let holder = Holder::new();
    world.onboard(&rich(&world, &holder)).await;
    world.clock.synchronise();
    world.minted().await;
    let _machine = enrolled(&world, "production").await;
    let elevation = asked(&world, "ann", &wish("30m")).await;
    approved(&world, &id(&elevation), "sven").await;
    token(&exchange(&world, "orders:write").await);
    count(&world).await;
    let items = all(&world, "").await;
    let expected = [
        ("exception", "-"),
        ("binding", "production"),
        ("binding", "production"),
        ("binding", "production"),
        ("certificate", "production"),
        ("elevation", "production"),
        ("key", "production"),
        ("binding", "sandbox"),
        ("binding", "sandbox"),
    ];
    assert_eq!(names(&items), expected.map(|(kind, place)| (kind.to_owned(), place.to_owned())), "{items:#?}");
    let of = |kind: &str, name: &str| {
        let found =
            items.iter().find(|item| item["kind"] == kind && item["name"].as_str().is_some_and(|one| one.contains(name)));
        found.unwrap_or_else(|| panic!("{kind} {name} in {items:#?}")).clone()
    };
    let now = world.clock.seconds();
    let binding = of("binding", "ci-main");
    assert_eq!(
        (&binding["state"], &binding["lastUse"], &binding["used"]),
        (&json!("granting"), &json!(now), &json!("binding"))
    );
    assert_eq!(binding["reach"], json!([{"api": "orders-api", "scopes": ["orders:read", "orders:list"]}]));
    assert_eq!(binding["owners"], json!({"business": "jane@acme.example", "application": "raj@acme.example"}));
    assert_eq!(binding["endsNext"]["what"], "exception", "{binding}");
    // A binding that was never used, and a key, of which only its binding tells.
    assert_eq!(of("binding", "data-centre")["lastUse"], json!(null));
    let key = of("key", "batch/");
    assert_eq!((&key["used"], key["name"].as_str().map(str::len)), (&json!("binding"), Some("batch/".len() + 64)), "{key}");
    let certificate = of("certificate", "");
    assert_eq!((&certificate["state"], &certificate["endsNext"]["what"]), (&json!("granting"), &json!("certificate")));
    let lifted = of("elevation", "");
    assert_eq!((&lifted["endsNext"], &lifted["lastUse"]), (&json!({"what": "elevation", "at": now + 1800}), &json!(now)));
    assert_eq!(lifted["reach"], json!([{"api": "orders-api", "scopes": ["orders:write"]}]), "{lifted}");
    let secret = of("exception", "exc_");
    assert_eq!(
        (&secret["state"], &secret["used"], &secret["owner"]),
        (&json!("open"), &json!("unknown"), &json!("raj@acme.example"))
    );
    assert_eq!(secret["what"], FORMULA);

    // Page by page it is the same, whatever the size of a page.
    for limit in [1, 2, 4, 8, 9, 10] {
        assert_eq!(all(&world, &format!("limit={limit}")).await, items, "{limit}");
    }

    // A spreadsheet runs nothing of it (ABUSE A-22), and has every row and each cell.
    let ran = Program::of(&world, "alan").run(&["inventory", "-o", "csv"]).await.ended(0);
    assert_eq!(ran.stdout.matches("\r\n").count(), items.len() + 1, "{ran:?}");
    let cells = ran.stdout.split("\r\n").flat_map(|line| line.split("\",\"")).map(|cell| cell.trim_matches('"').to_owned());
    assert!(cells.clone().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{ran:?}");
    assert!(cells.clone().any(|cell| cell == format!("'{FORMULA}")), "{ran:?}");
    assert!(cells.clone().any(|cell| cell == "orders-api: orders:read orders:list"), "{ran:?}");
    let table = Program::of(&world, "alan").run(&["inventory", "--partner", "globex"]).await.ended(0).stdout;
    assert_eq!(table.lines().count(), items.len() + 1, "{table}");
    assert!(table.lines().next().is_some_and(|line| line.starts_with("PARTNER ")), "{table}");
    let refused = Program::of(&world, "alan").run(&["partner", "list", "-o", "csv"]).await.ended(2);
    assert!(refused.stderr.contains("-o csv for inventory"), "{refused:?}");

    // Each way by itself: one that is revoked refuses, and the others grant.
    let body = json!({"binding": "globex/order-sync/production/batch", "reason": "odd"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &body).await.status, 201);
    let items = all(&world, "").await;
    let told = |kind: &str, name: &str| {
        let found =
            items.iter().find(|item| item["kind"] == kind && item["name"].as_str().is_some_and(|one| one.starts_with(name)));
        found.map(|item| (item["state"].clone(), item["causes"].clone())).expect("a row")
    };
    assert_eq!(told("binding", "ci-main"), (json!("granting"), json!([])), "{items:#?}");
    for (kind, name) in [("binding", "batch"), ("key", "batch/")] {
        assert_eq!(told(kind, name), (json!("refusing"), json!(["trust.revoked"])), "{items:#?}");
    }
}

#[tokio::test]
async fn filters_leave_what_they_ask_for_and_a_cause_is_told() {
    let world = World::start().await;
    let other = records::integration(&world.partner.issuer, "second", "77").replace("raj@acme.example", "Otto@acme.example");
    world.onboard(&format!("{}---\n{other}", records::usual(&world.partner.issuer))).await;
    world.advance(31 * DAY).await;
    world.minted().await;
    count(&world).await;
    assert_eq!(all(&world, "").await.len(), 4);
    let integrations = |items: Vec<Value>| -> Vec<String> {
        items
            .iter()
            .map(|item| format!("{}/{}", item["integration"].as_str().expect("a name"), item["name"].as_str().expect("one")))
            .collect()
    };
    let unused = integrations(all(&world, "unused=30d&limit=1").await);
    assert_eq!(unused, ["globex/order-sync/ci", "globex/second/ci-main", "globex/second/ci"]);
    assert_eq!(integrations(all(&world, "unused=32d").await), [""; 0]);
    assert_eq!(integrations(all(&world, "owner=otto@acme.example").await), ["globex/second/ci-main", "globex/second/ci"]);
    assert_eq!(all(&world, "owner=jane@acme.example&limit=3").await.len(), 4);
    assert_eq!(all(&world, "owner=nobody@acme.example").await.len(), 0);
    assert_eq!(all(&world, "endsWithin=60d").await.len(), 4, "reviews are due");
    assert_eq!(all(&world, "endsWithin=10d").await.len(), 0);
    assert_eq!((all(&world, "partner=glob").await.len(), all(&world, "partner=globex").await.len()), (0, 4));
    let suspended = json!({"reason": "odd", "environments": ["sandbox"]});
    assert_eq!(world.admin_post("/v1/integrations/globex/second/suspend", "sven", &suspended).await.status, 201);
    let items = all(&world, "").await;
    let state = |at: usize| (items[at]["state"].clone(), items[at]["causes"].clone());
    assert_eq!(state(2), (json!("granting"), json!([])), "{items:#?}");
    assert_eq!(state(3), (json!("refusing"), json!(["integration.suspended"])), "{items:#?}");
    for (query, status) in
        [("unused=soon", 422), ("endsWithin=-1d", 422), ("partner=A%20B", 400), ("cursor=%3D", 400), ("order=newest", 400)]
    {
        assert_eq!(world.admin_send("GET", &format!("/v1/inventory?{query}"), "alan", None).await.status, status, "{query}");
    }
}

/// A page costs the integrations that it looks at, and one that a filter left empty says where the next one begins.
#[tokio::test]
async fn a_page_that_a_filter_leaves_empty_goes_on() {
    let world = World::start().await;
    let many: Vec<String> = (0..520)
        .map(|at| records::integration(&world.partner.issuer, &format!("s{at:03}"), &(1000 + at).to_string()))
        .collect();
    let last = records::integration(&world.partner.issuer, "zz", "77").replace("raj@acme.example", "otto@acme.example");
    world.onboard(&format!("{}---\n{}---\n{last}", records::usual(&world.partner.issuer), many.join("---\n"))).await;
    // The usual way brings the first hundred into force.
    let submitted = world.admin_post("/v1/integrations/globex/zz/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(submitted.status < 300, "{}", submitted.text());
    world.approve_all().await;
    let first = world.admin_get("/v1/inventory?owner=otto@acme.example", "alan").await;
    assert_eq!((first["items"].as_array().map(Vec::len), first["next"].is_string()), (Some(0), true), "{first}");
    let found = all(&world, "owner=otto@acme.example").await;
    assert_eq!(found.iter().map(|item| item["integration"].clone()).collect::<Vec<_>>(), ["globex/zz", "globex/zz"]);
    let program = Program::of(&world, "alan");
    let told = program.run(&["inventory", "--owner", "otto@acme.example", "-o", "json"]).await.ended(0).json();
    assert_eq!(told, json!(found), "a command reads on");
}
