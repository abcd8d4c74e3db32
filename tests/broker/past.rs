//! Who could do what at a past time: what the server says afterwards is what it said then, and what an exchange was told.

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::elevation::{approved, asked, exchange, id, wish};
use crate::world::days::Day;
use crate::world::{World, records};

const DAY: i64 = 86_400;

/// Integration, environment, whether an exchange would be granted, and the reasons.
type Told = Vec<(String, String, Value, Value)>;

fn told_now(listed: &Value) -> Told {
    let mut told = Vec::new();
    for one in listed["items"].as_array().expect("items") {
        for (environment, effective) in one["effective"].as_object().expect("environments") {
            let mut causes: Vec<Value> = Vec::new();
            for cause in effective["causes"].as_array().expect("causes") {
                if !causes.contains(&cause["reason"]) {
                    causes.push(cause["reason"].clone());
                }
            }
            let id = one["id"].as_str().expect("an id").to_owned();
            told.push((id, environment.clone(), effective["state"].clone(), causes.into()));
        }
    }
    told
}

fn told_then(past: &Value) -> Told {
    let mut told = Vec::new();
    for one in past["integrations"].as_array().expect("integrations") {
        for place in one["access"]["places"].as_array().into_iter().flatten() {
            let id = one["id"].as_str().expect("an id").to_owned();
            let environment = place["environment"].as_str().expect("a name").to_owned();
            told.push((id, environment, place["state"].clone(), place["causes"].clone()));
        }
    }
    told.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    told
}

async fn observe(world: &World, seen: &mut Vec<(i64, Told)>) {
    let listed = world.admin_get("/v1/integrations?limit=1000", "alan").await;
    let mut told = told_now(&listed);
    told.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    seen.push((world.clock.seconds(), told));
    // A later change is of a later second.
    world.advance(60).await;
}

#[tokio::test]
async fn who_could_do_what_is_told_as_it_was_told_then() {
    let world = World::start().await;
    let ending = records::integration(&world.partner.issuer, "second", "77").replacen(
        "  sandbox:\n",
        &format!("  sandbox:\n    ends: {}\n", Day(3)),
        1,
    );
    let mut seen = Vec::new();
    let begun = world.clock.seconds();
    world.advance(60).await;
    world.onboard(&format!("{}---\n{ending}", records::usual(&world.partner.issuer))).await;
    observe(&world, &mut seen).await;
    let elevation = asked(&world, "ann", &wish("30m")).await;
    approved(&world, &id(&elevation), "sven").await;
    let lifted = world.clock.seconds();
    observe(&world, &mut seen).await;
    let ended = world.admin_post(&format!("/v1/elevations/{}/end", id(&elevation)), "ann", &json!({"reason": "done"})).await;
    assert!(ended.status < 300, "{}", ended.text());
    observe(&world, &mut seen).await;
    world.advance(5 * DAY).await;
    observe(&world, &mut seen).await;
    let suspended = json!({"reason": "odd", "environments": ["production"]});
    assert_eq!(world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &suspended).await.status, 201);
    let stopped = world.clock.seconds();
    let refused = exchange(&world, "orders:read").await;
    assert_eq!(refused.json()["reason"], "integration.suspended", "{}", refused.text());
    observe(&world, &mut seen).await;
    let revoked = json!({"partner": "globex", "reason": "breach"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoked).await.status, 201);
    observe(&world, &mut seen).await;
    // What comes later changes nothing of what was.
    world.advance(40 * DAY).await;
    let reasons: Vec<String> = seen.iter().map(|(_, told)| json!(told).to_string()).collect();
    for reason in ["environment.ended", "integration.suspended", "trust.revoked"] {
        assert!(reasons.iter().any(|told| told.contains(reason)), "{reason} in {reasons:?}");
    }
    for (time, told) in &seen {
        let past = world.admin_get(&format!("/v1/journal/at?time={time}"), "alan").await;
        assert_eq!(told_then(&past), *told, "{time}: {past:#}");
    }
    let before = world.admin_get(&format!("/v1/journal/at?time={begun}"), "alan").await;
    let names: Vec<&Value> = before["integrations"].as_array().expect("integrations").iter().map(|one| &one["id"]).collect();
    assert_eq!(names, [&json!("globex/order-sync")], "the other came later");

    // The elevation that ran, by whose approval; the owners, and who approved the record.
    let at = async |time: i64| {
        let past = world.admin_get(&format!("/v1/journal/at?time={time}&partner=globex"), "alan").await;
        let all = past["integrations"].as_array().expect("integrations").clone();
        all.into_iter().find(|one| one["id"] == "globex/order-sync").expect("it")["access"].clone()
    };
    let then = at(lifted).await;
    let place = |access: &Value, environment: &str| {
        let all = access["places"].as_array().expect("places");
        all.iter().find(|one| one["environment"] == environment).expect("it").clone()
    };
    let ran = &place(&then, "production")["elevations"][0];
    assert_eq!((&ran["id"], &ran["scopes"], &ran["ends"]), (&elevation["id"], &json!(["orders:write"]), &json!(lifted + 1800)));
    assert_eq!((&ran["requestedBy"]["id"], &ran["approvedBy"][0]["id"]), (&json!("ann"), &json!("sven")), "{ran}");
    assert_eq!(place(&at(stopped).await, "production")["elevations"], json!([]));
    assert_eq!(then["owners"], json!({"business": "jane@acme.example", "application": "raj@acme.example"}));
    let approvers: Vec<&Value> = then["approvedBy"].as_array().expect("people").iter().map(|one| &one["id"]).collect();
    assert_eq!(approvers, [&json!("olga"), &json!("sven")], "{then}");
    assert!(then["approval"].is_string(), "{then}");
    let reach = &place(&then, "production")["reach"];
    assert_eq!(*reach, json!([{"api": "orders-api", "scopes": ["orders:read", "orders:list"]}]));
    assert_eq!(place(&then, "sandbox")["bindings"][0]["name"], "ci");
    let other = world.admin_get(&format!("/v1/journal/at?time={lifted}&partner=glob"), "alan").await;
    assert_eq!((&other["integrations"], &other["partners"], &other["apis"]), (&json!([]), &json!([]), &json!([])));
    let bad = world.admin_send("GET", &format!("/v1/journal/at?time={lifted}&partner=A%20B"), "alan", None).await;
    assert_eq!(bad.status, 400);
    let shown = Program::of(&world, "alan").run(&["journal", "at", &lifted.to_string(), "--partner", "globex"]).await.ended(0);
    assert!(shown.stdout.contains("approvedBy") && !shown.stdout.contains("orders-api:\n"), "{shown:?}");
}
