//! Static secrets at partners leave the record by being closed, and in no other way; an extension is counted.

use serde_json::{Value, json};

use crate::world::days::Day;
use crate::world::{Answer, World, records};

const INTEGRATION: &str = "/v1/integrations/globex/order-sync";

/// The usual records, with static secrets that end on these days.
fn with(world: &World, secrets: &[(&str, i64)]) -> String {
    let line = |(what, day): &(&str, i64)| {
        format!("  - {{what: {what}, control: source network allow-list, owner: raj@acme.example, ends: {}}}\n", Day(*day))
    };
    let lines: String = secrets.iter().map(line).collect();
    let usual = records::usual(&world.partner.issuer);
    if lines.is_empty() { usual } else { format!("{usual}exceptions:\n{lines}") }
}

async fn apply(world: &World, records: &str) -> Value {
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn listed(world: &World) -> Vec<Value> {
    world.admin_get("/v1/exceptions", "alan").await["items"].as_array().expect("items").clone()
}

async fn close(world: &World, id: &Value, person: &str, evidence: &str) -> Answer {
    let path = format!("/v1/exceptions/{}/close", id.as_str().expect("an id"));
    world.admin_post(&path, person, &json!({"evidence": evidence})).await
}

async fn approvals(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&kind={kind}"), "alan").await;
    let mut shown = Vec::new();
    for one in found["items"].as_array().expect("items") {
        shown.push(world.admin_get(&format!("/v1/approvals/{}", one["id"].as_str().expect("an id")), "alan").await);
    }
    shown
}

async fn vote(world: &World, approval: &Value, person: &str) -> Answer {
    let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
    world.admin_post(&format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id")), person, &body).await
}

async fn told(world: &World) -> String {
    let before = world.issued().await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    if answer.status == 200 {
        return "granted".to_owned();
    }
    assert_eq!((answer.status, world.issued().await), (400, before), "nothing is minted");
    answer.json()["reason"].as_str().expect("a reason").to_owned()
}

/// An owner closes, one of security who is not them approves; then it refuses nothing, and leaves the record as any other line does.
#[tokio::test]
async fn a_static_secret_is_closed_by_two_people() {
    let world = World::start().await;
    world.onboard(&with(&world, &[("old key", 2), ("legacy SFTP key", 100)])).await;
    let all = listed(&world).await;
    let one = all.iter().find(|one| one["what"] == "old key").expect("listed").clone();
    assert_eq!((&one["state"], &one["extensions"], &one["onPastDue"]), (&json!("open"), &json!(0), &json!("refuse")), "{one}");
    assert!(one["id"].as_str().is_some_and(|id| id.starts_with("exc_")), "{one}");

    world.advance(4 * 86_400).await;
    assert_eq!(told(&world).await, "exception.past-due");
    let cause = world.admin_get(INTEGRATION, "alan").await["effective"]["production"]["causes"][0].clone();
    assert_eq!(
        (&cause["reason"], &cause["liftedBy"]),
        (&json!("exception.past-due"), &json!({"action": "close", "role": "owner"}))
    );

    for person in ["sven", "adam", "alan"] {
        assert_eq!(close(&world, &one["id"], person, "deleted").await.status, 403, "{person}");
    }
    assert_eq!(close(&world, &one["id"], "ann", " ").await.status, 422);
    assert_eq!(close(&world, &json!("exc_nope"), "ann", "deleted").await.status, 404);
    assert_eq!(close(&world, &one["id"], "ann", "the account is deleted, CHG-17").await.status, 202);
    let asked = approvals(&world, "exception").await.remove(0);
    assert_eq!((&asked["subject"], &asked["slots"]), (&json!("globex/order-sync"), &json!(["security"])), "{asked}");
    assert_eq!(
        (&asked["exception"]["what"], &asked["reason"]),
        (&json!("old key"), &json!("the account is deleted, CHG-17")),
        "{asked}"
    );
    for person in ["ann", "olga"] {
        assert_eq!(vote(&world, &asked, person).await.status, if person == "ann" { 409 } else { 403 }, "{person}");
    }
    assert_eq!(told(&world).await, "exception.past-due", "an owner alone closes nothing");
    assert_eq!(vote(&world, &asked, "sven").await.status, 200);
    assert_eq!(told(&world).await, "granted");
    assert_eq!(close(&world, &one["id"], "ann", "deleted").await.status, 409);
    let now = listed(&world).await;
    let closed = now.iter().find(|other| other["id"] == one["id"]).expect("still listed");
    assert_eq!((&closed["state"], &closed["closed"]["by"]["id"]), (&json!("closed"), &json!("ann")), "{closed}");

    // A line that says anything else under the closed name is another secret, and one person alone puts none there.
    let plan = apply(&world, &with(&world, &[("old key", 60), ("legacy SFTP key", 100)])).await;
    let item = plan["items"].as_array().expect("items").iter().find(|item| item["kind"] == "Integration").expect("one").clone();
    assert_eq!(item["action"], "hold", "{plan}");

    // Now the record may lack it, at once and by one person; and it is another one if it ever comes back.
    let plan = apply(&world, &with(&world, &[("legacy SFTP key", 100)])).await;
    let item = plan["items"].as_array().expect("items").iter().find(|item| item["kind"] == "Integration").expect("one").clone();
    assert_eq!((&item["action"], &item["differences"]), (&json!("narrow"), &json!([])), "{plan}");
    assert_eq!(listed(&world).await.len(), 2, "what was closed stays on the list");
    world.onboard(&with(&world, &[("old key", 50), ("legacy SFTP key", 100)])).await;
    let now = listed(&world).await;
    assert_eq!(now.iter().find(|other| other["id"] == one["id"]).expect("listed")["state"], "open", "{now:?}");
}

/// A version without an open one waits until that is closed, whoever approved it: by removal, by another name, and by a new file.
#[tokio::test]
async fn a_version_that_lacks_an_open_one_is_held() {
    let world = World::start().await;
    world.onboard(&with(&world, &[("old key", 100)])).await;
    let before = world.admin_get(INTEGRATION, "alan").await["record"].clone();
    for secrets in [&[][..], &[("new name", 100)][..]] {
        let plan = apply(&world, &with(&world, secrets)).await;
        let item =
            plan["items"].as_array().expect("items").iter().find(|item| item["kind"] == "Integration").expect("one").clone();
        let widens = item["differences"].as_array().expect("differences").iter();
        let widens: Vec<_> = widens.filter(|one| one["weight"] == "WIDENS").map(|one| one["at"].clone()).collect();
        assert!(item["action"] == "hold" && widens.contains(&json!("exceptions.old key")), "{item}");
        let asked = approvals(&world, "change").await.remove(0);
        assert_eq!(asked["waitsFor"], json!(["exception.open"]), "{asked}");
        for person in ["olga", "sven"] {
            assert_eq!(vote(&world, &asked, person).await.status, 200);
        }
        assert_eq!(world.admin_get(INTEGRATION, "alan").await["record"], before, "approved, and still waiting");
    }
    let id = listed(&world).await.remove(0)["id"].clone();
    assert_eq!(close(&world, &id, "olga", "rotated away").await.status, 202);
    let asked = approvals(&world, "exception").await.remove(0);
    assert_eq!(vote(&world, &asked, "sven").await.status, 200);
    let record = world.admin_get(INTEGRATION, "alan").await["record"].clone();
    assert_eq!(record["exceptions"][0]["what"], "new name", "{record}");
}

/// Each extension is an approval, and the approver sees which one it is.
#[tokio::test]
async fn extensions_are_counted_where_they_are_approved() {
    let world = World::start().await;
    world.onboard(&with(&world, &[("old key", 100)])).await;
    for (number, day) in [(1, 120), (2, 140)] {
        apply(&world, &with(&world, &[("old key", day)])).await;
        let asked = approvals(&world, "change").await.remove(0);
        let told = asked["warnings"].as_array().expect("warnings").iter().find(|one| one["reason"] == "exception.extended");
        let message = told.unwrap_or_else(|| panic!("{asked}"))["message"].as_str().expect("a message").to_owned();
        assert!(message.ends_with(&format!("this is extension {number}")), "{message}");
        world.approve_all().await;
        assert_eq!(listed(&world).await[0]["extensions"], json!(number));
    }
}
