//! A draft that was never active is discarded, and its name is free: nothing of it counts for a later draft, and no stop ends by it.

use serde_json::{Value, json};

use crate::certificates::tool::Machine;
use crate::certificates::with_certificates;
use crate::elevation::refused;
use crate::world::{Answer, World, records};

const ID: &str = "globex/second";
const PATH: &str = "/v1/integrations/globex/second";

fn record(world: &World) -> String {
    records::integration(&world.partner.issuer, "second", "77")
}

/// Applies a record of the integration as `ann`. Returns the answer.
async fn apply(world: &World, record: &str, plan: Option<&str>) -> Answer {
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let plan = plan.map(|plan| ("if-match", plan));
    let headers: Vec<(&str, &str)> =
        [("authorization", bearer.as_str()), ("content-type", "application/yaml")].into_iter().chain(plan).collect();
    crate::world::send(world.admin, "POST", "/v1/records/apply", &headers, record.as_bytes()).await
}

async fn drafted(world: &World) {
    let applied = apply(world, &record(world), None).await;
    assert_eq!((applied.status, &applied.json()["items"][0]["action"]), (200, &json!("draft")), "{}", applied.text());
}

async fn discard(world: &World, person: &str) -> Answer {
    world.admin_post(&format!("{PATH}/discard"), person, &json!({"reason": "never needed"})).await
}

async fn submit(world: &World) -> Answer {
    world.admin_post(&format!("{PATH}/submit"), "ann", &json!({"reason": "ready"})).await
}

/// The state of the integration; nothing, if there is none.
async fn state(world: &World) -> Option<Value> {
    let answer = world.admin_send("GET", PATH, "alan", None).await;
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    Some(answer.json()["state"].clone())
}

async fn on_record(world: &World) -> Vec<Value> {
    let entries = world.admin_get("/v1/journal?kind=integration.discarded", "alan").await;
    entries["items"].as_array().expect("items").clone()
}

/// GOVERNANCE 1: the draft is gone from every list, the reason is on record, and the same name starts again as a draft.
#[tokio::test]
async fn a_discarded_draft_leaves_its_name_free() {
    let world = World::start().await;
    for (round, person) in ["ann", "olga", "sara"].into_iter().enumerate() {
        drafted(&world).await;
        let version = world.admin_get(PATH, "alan").await["version"].clone();
        let answer = discard(&world, person).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{person}: {}", answer.text());
        assert_eq!(state(&world).await, None);
        let listed = world.admin_get("/v1/integrations", "alan").await["items"].clone();
        let ids: Vec<&Value> = listed.as_array().expect("items").iter().map(|item| &item["id"]).collect();
        assert_eq!(ids, ["globex/order-sync"]);
        let entries = on_record(&world).await;
        assert_eq!(entries.len(), round + 1);
        let entry = entries.iter().max_by_key(|entry| entry["index"].as_u64()).expect("an entry");
        assert_eq!((&entry["subject"], &entry["version"]), (&json!(ID), &version), "{entry}");
        // What is not there is discarded by nobody.
        refused(&discard(&world, person).await, 404, "resource.not-found");
        refused(&submit(&world).await, 404, "resource.not-found");
    }
    drafted(&world).await;
    assert!(submit(&world).await.status < 300);
    world.approve_all().await;
    assert_eq!(state(&world).await, Some(json!("active")));
    assert_eq!(on_record(&world).await.len(), 3);
}

/// Only a draft: what was submitted waits for people, and what was ever active has a past.
#[tokio::test]
async fn what_is_no_draft_is_not_discarded() {
    let world = World::start().await;
    drafted(&world).await;
    assert!(submit(&world).await.status < 300);
    let no_draft = async |state: &str| {
        let answer = discard(&world, "ann").await;
        refused(&answer, 409, "lifecycle.state");
        let told = format!("{ID} is {state}; only a draft can be discarded.");
        assert!(answer.text().contains(&told), "{}", answer.text());
    };
    no_draft("submitted").await;

    // What was denied is a draft again once somebody applies it; the denial stays.
    let found = world.admin_get(&format!("/v1/approvals?state=pending&subject={ID}"), "alan").await["items"][0].clone();
    let review = json!({"verdict": "deny", "reason": "not so", "version": found["version"]});
    let place = format!("/v1/approvals/{}", found["id"].as_str().expect("an id"));
    assert_eq!(world.admin_post(&format!("{place}/reviews"), "sven", &review).await.status, 200);
    no_draft("submitted").await;
    drafted(&world).await;
    assert_eq!(discard(&world, "ann").await.status, 204);
    assert_eq!(world.admin_get(&place, "alan").await["state"], "denied");

    drafted(&world).await;
    assert!(submit(&world).await.status < 300);
    world.approve_all().await;
    no_draft("active").await;
    // A change that is held beside what is in force is no draft either.
    let wider = record(&world).replace("repository_id: \"77\"", "repository_id: {oneOf: [\"77\", \"78\"]}");
    let held = apply(&world, &wider, None).await;
    assert_eq!(held.json()["items"][0]["action"], "hold", "{}", held.text());
    no_draft("active").await;
    assert_eq!(state(&world).await, Some(json!("active")));
    assert_eq!(on_record(&world).await.len(), 1);
}

/// I-9: a suspension ends by its own resume alone, and a revocation by its lift: discarding and applying again ends neither.
#[tokio::test]
async fn i_9_a_stop_does_not_end_with_the_draft() {
    let world = World::start().await;
    drafted(&world).await;
    for environments in [json!([]), json!(["sandbox"])] {
        let body = json!({"reason": "odd", "environments": environments});
        let suspension = world.admin_post(&format!("{PATH}/suspend"), "sven", &body).await;
        assert_eq!(suspension.status, 201, "{}", suspension.text());
        refused(&discard(&world, "ann").await, 409, "integration.suspended");
        let asked = world.admin_post(&format!("{PATH}/resume"), "olga", &json!({"reason": "explained"})).await.json();
        refused(&discard(&world, "ann").await, 409, "integration.suspended");
        let review = json!({"verdict": "approve", "reason": "seen", "version": asked["version"]});
        let place = format!("/v1/approvals/{}/reviews", asked["id"].as_str().expect("an id"));
        assert_eq!(world.admin_post(&place, "sara", &review).await.status, 200);
    }
    let revoked = world.admin_post("/v1/revocations", "sven", &json!({"integration": ID, "reason": "odd"})).await;
    assert_eq!(revoked.status, 201, "{}", revoked.text());
    assert_eq!(discard(&world, "ann").await.status, 204);
    drafted(&world).await;
    assert!(submit(&world).await.status < 300);
    let found = world.admin_get(&format!("/v1/approvals?state=pending&subject={ID}"), "alan").await["items"][0].clone();
    let review = json!({"verdict": "approve", "reason": "seen", "version": found["version"]});
    let place = format!("/v1/approvals/{}/reviews", found["id"].as_str().expect("an id"));
    refused(&world.admin_post(&place, "olga", &review).await, 409, "trust.revoked");
}

/// A plan that was looked at before the draft went is no longer current.
#[tokio::test]
async fn a_plan_from_before_the_discard_is_stale() {
    let world = World::start().await;
    drafted(&world).await;
    let wider = record(&world).replace("purpose: Copies orders.", "purpose: Copies more orders.");
    let planned = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", wider.clone()))).await.json();
    let plan = planned["id"].as_str().expect("an id");
    assert_eq!(discard(&world, "olga").await.status, 204);
    refused(&apply(&world, &wider, Some(plan)).await, 412, "plan.stale");
    assert_eq!(state(&world).await, None);
    assert_eq!(apply(&world, &wider, None).await.status, 200);
}

/// What is sent twice with one key is done once, even if the name is taken again in between.
#[tokio::test]
async fn a_repeated_discard_leaves_the_next_draft_alone() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "discard-1")];
    let send = async || {
        crate::world::send(world.admin, "POST", &format!("{PATH}/discard"), &headers, br#"{"reason":"never needed"}"#).await
    };
    drafted(&world).await;
    assert_eq!(send().await.status, 204);
    drafted(&world).await;
    assert_eq!(send().await.status, 204);
    assert_eq!(state(&world).await, Some(json!("draft")));
    assert_eq!(on_record(&world).await.len(), 1);
}

/// A token for a first certificate dies with the draft: whoever has it would be the next integration of that name.
#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_of_the_draft_gives_nobody_the_next_integration() {
    let world = World::start().await;
    let second = with_certificates(&world.partner.issuer).rsplit("---\n").next().expect("an integration").to_owned();
    let second = second.replace("name: order-sync", "name: second").replace("456789", "77");
    let apply = async || {
        let applied = apply(&world, &second, None).await;
        assert_eq!(applied.json()["items"][0]["action"], "draft", "{}", applied.text());
    };
    let body = json!({"integration": ID, "environment": "production", "reason": "a new machine"});
    let approval = async |asked: &Value| {
        world.admin_get(&format!("/v1/approvals/{}", asked["approval"].as_str().expect("an id")), "alan").await
    };
    let approve = async |asked: &Value| {
        let review = json!({"verdict": "approve", "reason": "ours", "version": approval(asked).await["version"]});
        let place = format!("/v1/approvals/{}/reviews", asked["approval"].as_str().expect("an id"));
        world.admin_post(&place, "sven", &review).await
    };
    apply().await;
    let (first, other) = (
        world.admin_post("/v1/enrolments", "ann", &body).await.json(),
        world.admin_post("/v1/enrolments", "ann", &body).await.json(),
    );
    assert_eq!(approve(&first).await.status, 200);
    assert_eq!(discard(&world, "olga").await.status, 204);
    for asked in [&first, &other] {
        assert_eq!(approval(asked).await["state"], "withdrawn");
    }
    refused(&approve(&other).await, 409, "approval.decided");

    apply().await;
    assert!(submit(&world).await.status < 300);
    world.approve_all().await;
    assert_eq!(state(&world).await, Some(json!("active")));
    world.clock.synchronise();
    let machine = Machine::new(&world).await;
    machine.request("one", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "").await;
    let user = |asked: &Value| format!("{ID}:{}", asked["token"].as_str().expect("a token"));
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&user(&first))).await.status, 401);
    // One that was asked for the new integration counts.
    let new = world.admin_post("/v1/enrolments", "ann", &body).await.json();
    assert_eq!(approve(&new).await.status, 200);
    assert_eq!(machine.enrol("production", "simpleenroll", "one", None, Some(&user(&new))).await.status, 200);
}
