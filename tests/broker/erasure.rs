//! Texts of people that they may have forgotten: who asks, who approves, what is still needed, and what stays.

use serde_json::{Value, json};

use crate::elevation::refused;
use crate::offboarding::{INTEGRATION, started};
use crate::world::{Answer, World};

async fn ask(world: &World, person: &str, digests: &[&str]) -> Answer {
    world.admin_post("/v1/texts/erase", person, &json!({"digests": digests, "reason": "asked by the person"})).await
}

/// The digest of the reason of the newest entry of a kind, as the log has it.
async fn reason_of(world: &World, kind: &str) -> String {
    let path = format!("/v1/journal?kind={kind}&limit=1000");
    let all = world.admin_get(&path, "alan").await;
    let newest = all["items"].as_array().expect("items").last().expect("one").clone();
    newest["reason"].as_str().expect("a reason").to_owned()
}

/// Whether the store still has a text.
async fn is_there(world: &World, digest: &str) -> bool {
    let text = carnet::domain::value::text::Text::try_from(digest.to_owned()).expect("a text");
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    !journal.texts(&[text.digest().expect("sealed")]).await.expect("reads").is_empty()
}

/// An administrator asks, a person of security who sees the text approves, and it is gone from the store; the log stays whole.
#[tokio::test]
async fn a_text_is_forgotten_by_two_people() {
    let world = World::start().await;
    let stop = world.admin_post(&format!("{INTEGRATION}/suspend"), "sven", &json!({"reason": "jane said so"})).await;
    assert_eq!(stop.status, 201, "{}", stop.text());
    let digest = reason_of(&world, "integration.suspended").await;
    for person in ["ann", "sven", "alan"] {
        refused(&ask(&world, person, &[&digest]).await, 403, "staff.role");
    }
    for odd in ["jane said so", "text:00", &format!("text:{}", "0".repeat(64))] {
        let answer = ask(&world, "adam", &[odd]).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["at"]), (422, &json!("digests[0]")), "{odd}");
    }
    assert_eq!(ask(&world, "adam", &[]).await.status, 422);
    let asked = ask(&world, "adam", &[&digest]).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let path = format!("/v1/approvals/{}", asked.json()["approval"].as_str().expect("an id"));
    let shown = world.admin_get(&path, "sara").await;
    assert_eq!((&shown["kind"], &shown["texts"]), (&json!("erasure"), &json!([{"digest": digest, "text": "jane said so"}])));
    assert!(is_there(&world, &digest).await, "one person is not enough");
    let yes = json!({"verdict": "approve", "reason": "seen", "version": shown["version"]});
    refused(&world.admin_post(&format!("{path}/reviews"), "adam", &yes).await, 403, "staff.role");
    assert_eq!(world.admin_post(&format!("{path}/reviews"), "sara", &yes).await.status, 200);
    assert!(!is_there(&world, &digest).await, "it is gone");
    let shown = world.admin_get(INTEGRATION, "alan").await;
    assert_eq!(shown["suspensions"][0]["reason"], Value::Null, "{shown}");
    assert_eq!(world.admin_get(&path, "sara").await["texts"][0]["text"], Value::Null);
    // What is gone cannot be asked for again.
    assert_eq!(ask(&world, "adam", &[&digest]).await.status, 422);
}

/// What a version in force or an open offboarding needs is not forgotten, also where that came after the request.
#[tokio::test]
async fn what_is_needed_is_not_forgotten() {
    let world = World::start().await;
    let all = world.admin_get("/v1/journal?kind=integration.drafted&limit=10", "alan").await;
    let purpose = all["items"][0]["record"]["purpose"].as_str().expect("a text").to_owned();
    refused(&ask(&world, "adam", &[&purpose]).await, 409, "text.in-use");
    started(&world).await;
    let reason = reason_of(&world, "offboarding.started").await;
    refused(&ask(&world, "adam", &[&reason]).await, 409, "text.in-use");
    assert!(is_there(&world, &purpose).await && is_there(&world, &reason).await);
    assert_eq!(world.admin_get("/v1/journal?kind=text.erase-asked", "alan").await["items"], json!([]), "nothing was opened");
}
