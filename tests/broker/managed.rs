//! Records that Git manages: a machine applies them, people do not; and what people do at once works all the same.

use serde_json::{Value, json};

use crate::world::{Answer, World, records, send};

/// The usual records, all of them managed.
fn managed(world: &World) -> String {
    let usual = records::usual(&world.partner.issuer);
    let all = ["{name: orders-api}", "{name: globex}", "{partner: globex, name: order-sync}"];
    all.iter().fold(usual, |records, metadata| {
        assert!(records.contains(metadata), "{metadata}");
        records.replacen(metadata, &metadata.replace('}', ", managedBy: git}"), 1)
    })
}

/// The staff token of a pipeline with the rights of an owner.
fn machine(world: &World) -> String {
    let now = world.clock.seconds();
    world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "pipeline", "azp": "pipeline", "aud": "carnet", "exp": now + 600, "iat": now, "groups": ["owners"],
    }))
}

async fn apply(world: &World, bearer: &str, records: &str) -> Answer {
    let bearer = format!("Bearer {bearer}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    send(world.admin, "POST", "/v1/records/apply", &headers, records.as_bytes()).await
}

async fn changes(world: &World) -> usize {
    let found = world.admin_get("/v1/journal?limit=1000", "alan").await;
    found["items"].as_array().expect("items").iter().filter(|entry| entry["kind"] != "issued").count()
}

async fn not_applied(world: &World, person: &str, records: &str) {
    let before = changes(world).await;
    let answer = apply(world, &world.staff_token(person), records).await;
    assert_eq!((answer.status, &answer.json()["reason"]), (409, &json!("record.managed")), "{}", answer.text());
    assert_eq!(changes(world).await, before, "nothing is recorded");
}

fn actions(answer: &Answer) -> Vec<(String, String)> {
    let answered = answer.json();
    let items = answered["items"].as_array().expect("items").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut all: Vec<_> = items.iter().map(|item| (text(&item["kind"]), text(&item["action"]))).collect();
    all.sort();
    all
}

const LIST: &str = "        - scope: orders:list\n";

#[tokio::test]
async fn a_managed_record_is_applied_by_machines_alone() {
    let world = World::start().await;
    let managed = managed(&world);
    // To begin with it, too, is for a machine: it narrows who may apply the record.
    not_applied(&world, "ann", &managed).await;
    not_applied(&world, "sven", &managed).await;
    let answer = apply(&world, &machine(&world), &managed).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let narrow = |kind: &str| (kind.to_owned(), "narrow".to_owned());
    assert_eq!(actions(&answer), [narrow("Api"), narrow("Integration"), ("Partner".to_owned(), "hold".to_owned())]);
    world.approve_all().await;

    // Narrower or wider, with the line or without it, by an owner or by security; one record among others too.
    let usual = records::usual(&world.partner.issuer);
    let narrower = managed.replacen(LIST, "", 1);
    for records in
        [usual.clone(), narrower.clone(), usual.replacen(LIST, "", 1), managed.replacen("purpose: Copies", "purpose: Reads", 1)]
    {
        not_applied(&world, "ann", &records).await;
        not_applied(&world, "sven", &records).await;
    }
    let other = format!("{}---\n{}", records::integration(&world.partner.issuer, "second", "111111"), narrower.trim_start());
    not_applied(&world, "ann", &other).await;
    let known = world.admin_get("/v1/integrations", "alan").await;
    assert_eq!(known["items"].as_array().map(Vec::len), Some(1), "an apply does all of it or nothing: {known}");
    // What does not change may stand in the same apply.
    let beside = format!("{}---\n{}", records::integration(&world.partner.issuer, "second", "111111"), managed.trim_start());
    assert_eq!(apply(&world, &world.staff_token("ann"), &beside).await.status, 200);
    // A person may look, and the machine narrows at once.
    let plan = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", narrower.clone()))).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert_eq!(apply(&world, &machine(&world), &narrower).await.status, 200);
    let token = world.exchange("production", &world.assertion("production"), "orders:list").await;
    assert_eq!((token.status, &token.json()["reason"]), (400, &json!("scope.not-contracted")));
}

/// Without the line people could apply it again: that is for people to approve, and not for the one who takes it out.
#[tokio::test]
async fn to_take_the_line_out_is_a_widening() {
    let world = World::start().await;
    let managed = managed(&world);
    assert_eq!(apply(&world, &machine(&world), &managed).await.status, 200);
    world.approve_all().await;
    let usual = records::usual(&world.partner.issuer);
    // Beside a narrowing it is held as well.
    for (records, others) in [(usual.clone(), "hold"), (usual.replacen(LIST, "", 1), "unchanged")] {
        let answer = apply(&world, &machine(&world), &records).await;
        let wanted = [("Api", others), ("Integration", "hold"), ("Partner", others)];
        assert_eq!(actions(&answer), wanted.map(|(kind, action)| (kind.to_owned(), action.to_owned())), "{}", answer.text());
        for item in answer.json()["items"].as_array().expect("items") {
            let all = item["differences"].as_array().expect("differences");
            let line = all.iter().find(|one| one["at"] == "metadata.managedBy").expect("the line");
            assert_eq!((&line["weight"], &line["from"], &line["to"]), (&json!("WIDENS"), &json!("git"), &json!("people")));
        }
        not_applied(&world, "ann", &records.replacen("purpose: Copies", "purpose: Reads", 1)).await;
    }
    assert_eq!(apply(&world, &machine(&world), &usual).await.status, 200);
    world.approve_all().await;
    let answer = apply(&world, &world.staff_token("ann"), &usual.replacen(LIST, "", 1)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What stops something at once asks no file.
#[tokio::test]
async fn a_managed_record_is_suspended_revoked_and_reviewed_all_the_same() {
    let world = World::start().await;
    assert_eq!(apply(&world, &machine(&world), &managed(&world)).await.status, 200);
    world.approve_all().await;
    let why = json!({"reason": "odd calls"});
    assert_eq!(world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &why).await.status, 201);
    assert_eq!(world.admin_post("/v1/partners/globex/suspend", "sven", &why).await.status, 201);
    let binding = json!({"binding": "globex/order-sync/production/ci-main", "reason": "leaked"});
    let revoked = world.admin_post("/v1/revocations", "sven", &binding).await;
    assert!(revoked.status < 300, "{}", revoked.text());
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}

/// A guardrail that is managed is enforced and put back by nobody's hand.
#[tokio::test]
async fn a_managed_guardrail_is_no_matter_of_one_hand() {
    let world = World::start().await;
    let guardrail = |metadata: &str, mode: &str| {
        format!(
            "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {{name: no-writes{metadata}}}\nmeaning: Nobody writes.\nmode: {mode}\n\
             cedar: |\n  forbid (principal, action, resource == Carnet::Scope::\"orders-api/orders:write\");\n"
        )
    };
    let (ours, theirs) = (guardrail(", managedBy: git", "shadow"), guardrail("", "enforce"));
    not_applied(&world, "sven", &ours).await;
    let answer = apply(&world, &machine(&world), &ours).await;
    assert_eq!(actions(&answer), [("Guardrail".to_owned(), "hold".to_owned())], "{}", answer.text());
    not_applied(&world, "sven", &theirs).await;
    world.approve_all().await;
    not_applied(&world, "sven", &theirs).await;
    not_applied(&world, "sven", &guardrail(", managedBy: git", "enforce")).await;
    // To take the line out and enforce it in one step is held, although enforcing alone would narrow.
    let answer = apply(&world, &machine(&world), &theirs).await;
    assert_eq!(actions(&answer), [("Guardrail".to_owned(), "hold".to_owned())], "{}", answer.text());
}
