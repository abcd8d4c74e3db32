//! The activity of a partner on the wire: tokens and refusals by place, changes with their authors, and what nobody knows.

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::elevation::{approved, asked, exchange, id, token, wish};
use crate::world::{World, records};

const ACTIVITY: &str = "/v1/partners/globex/activity";

async fn activity(world: &World, query: &str) -> Value {
    world.admin_get(&format!("{ACTIVITY}?{query}"), "alan").await
}

fn kinds(told: &Value) -> Vec<&str> {
    told["items"].as_array().expect("items").iter().map(|item| item["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn tokens_refusals_and_changes_are_told_by_place_and_author() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let bound = usual.replacen("    elevation:\n", "    limits: {sourceCidrs: [127.0.0.0/8]}\n    elevation:\n", 1);
    let elsewhere = records::integration(&world.partner.issuer, "second", "77").replacen(
        "    scopes: {orders-api: [orders:read, orders:write]}",
        "    limits: {sourceCidrs: [203.0.113.0/24]}\n    scopes: {orders-api: [orders:read, orders:write]}",
        1,
    );
    world.onboard(&format!("{bound}---\n{elsewhere}")).await;
    // What came before does not count.
    world.minted().await;
    world.advance(2 * 86_400).await;
    for _ in 0..3 {
        world.minted().await;
    }
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
    assert_eq!(sandbox.status, 200, "{}", sandbox.text());
    let before = world.issued().await;
    let foreign = world.exchange("production", &world.assertion("production"), "orders:nothing").await;
    assert_eq!((foreign.status, &foreign.json()["reason"]), (400, &json!("scope.not-contracted")), "{}", foreign.text());
    let mut claims = world.claims("sandbox");
    claims["repository_id"] = json!("77");
    let outside = world.exchange("sandbox", &world.partner.sign(&claims), "orders:read").await;
    assert_eq!(outside.json()["reason"], "proof.source-network", "{}", outside.text());
    assert_eq!(world.issued().await, before, "nothing is minted");
    let elevation = asked(&world, "ann", &wish("30m")).await;
    approved(&world, &id(&elevation), "sven").await;
    token(&exchange(&world, "orders:write").await);
    let suspended = json!({"reason": "leaked key"});
    assert_eq!(world.admin_post("/v1/integrations/globex/second/suspend", "sara", &suspended).await.status, 201);

    // Refusals are put on record soon.
    let mut told = activity(&world, "since=24h").await;
    for _ in 0..100 {
        if told["refused"].as_array().is_some_and(|refused| refused.len() == 2) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        told = activity(&world, "since=24h").await;
    }
    let now = world.clock.seconds();
    let place = |environment: &str, binding: &str, count: u64| {
        json!({"integration": "globex/order-sync", "environment": environment, "api": "orders-api", "binding": binding,
            "network": null, "count": count, "last": now})
    };
    assert_eq!(told["issued"], json!([place("production", "ci-main", 4), place("sandbox", "ci", 1)]), "{told:#}");
    let refused = |integration: &str, environment: &str, reason: &str, network: Value| {
        json!({"integration": integration, "environment": environment, "reason": reason, "api": "orders-api", "binding": null,
            "network": network, "count": 1, "last": now})
    };
    let expected = [
        refused("globex/order-sync", "production", "scope.not-contracted", json!("127.0.0.0/24")),
        refused("globex/second", "sandbox", "proof.source-network", json!("127.0.0.0/24")),
    ];
    assert_eq!(told["refused"].as_array().map(Vec::len), Some(2), "{told:#}");
    for (known, one) in told["refused"].as_array().expect("refused").iter().zip(&expected) {
        for name in ["integration", "environment", "reason", "binding", "count"] {
            assert_eq!(known[name], one[name], "{name} of {told:#}");
        }
    }
    assert_eq!(told["refused"][1]["network"], "127.0.0.0/24", "{told:#}");
    // The newest first, with names in plain, and nothing of two days ago.
    assert_eq!(kinds(&told), ["integration.suspended", "elevation.reviewed", "elevation.asked"], "{told:#}");
    let newest = &told["items"][0];
    assert_eq!((&newest["by"]["id"], &newest["reason"]), (&json!("sara"), &json!("leaked key")), "{told:#}");
    assert!(
        told["items"][1]["about"].as_str().is_some_and(|about| about.starts_with("elevation of globex/order-sync")),
        "{told:#}"
    );
    assert_eq!((&told["more"], &told["refusedMore"], &told["countedFrom"]), (&json!(0), &json!(false), &told["since"]));

    // Pages of changes; what is counted is on the first alone.
    let first = activity(&world, "since=30d&limit=2").await;
    let all = activity(&world, "since=30d&limit=1000").await;
    assert_eq!(first["more"].as_u64(), Some(kinds(&all).len() as u64 - 2));
    let next = activity(&world, &format!("since=30d&limit=2&cursor={}", first["next"].as_str().expect("a cursor"))).await;
    assert_eq!((&next["issued"], &next["refused"], &next["countedFrom"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!(kinds(&next), kinds(&all)[2..4]);
    assert!(kinds(&all).contains(&"partner.verified") && !kinds(&all).contains(&"api.approved"), "{all:#}");
    assert_eq!(all["issued"][0]["count"], 5);

    let program = Program::of(&world, "alan");
    let shown = program.run(&["partner", "activity", "globex", "--since", "24h"]).await.ended(0);
    for wanted in ["ISSUED\n", "unknown", "REFUSED\n", "proof.source-network", "CHANGES\n", "sara", "leaked key"] {
        assert!(shown.stdout.contains(wanted), "{wanted} in {shown:?}");
    }
    let limited = program.run(&["partner", "activity", "globex", "--since", "30d", "--limit", "1"]).await.ended(0);
    assert!(limited.stderr.contains("the newest 1 changes; "), "{limited:?}");
    for (query, status) in [("since=soon", 400), ("until=x", 400), ("limit=0", 400), ("cursor=AA", 400), ("kind=issued", 400)] {
        assert_eq!(world.admin_send("GET", &format!("{ACTIVITY}?{query}"), "alan", None).await.status, status, "{query}");
    }
    assert_eq!(world.admin_send("GET", "/v1/partners/initech/activity", "alan", None).await.status, 404);
}
