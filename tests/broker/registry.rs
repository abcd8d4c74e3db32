//! Records and their approvals on the wire: what is denied can be asked for again.

use serde_json::json;

use crate::world::{World, records};

/// The pending approval of a subject, reviewed by `person`.
async fn review(world: &World, subject: &str, person: &str, verdict: &str) {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&subject={subject}"), person).await;
    let approval = &found["items"][0];
    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().unwrap_or_else(|| panic!("none waits: {found}")));
    let body = json!({"verdict": verdict, "reason": "looked at", "version": approval["version"]});
    let answer = world.admin_post(&path, person, &body).await;
    assert!(answer.status < 300, "{}", answer.text());
}

#[tokio::test]
async fn a_denied_integration_is_asked_for_again_with_the_same_record() {
    let world = World::start().await;
    let record = records::integration(&world.partner.issuer, "second", "77");
    let apply = async || {
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", record.clone()))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"][0]["action"].clone()
    };
    let submit = async || world.admin_post("/v1/integrations/globex/second/submit", "ann", &json!({"reason": "ready"})).await;
    let state = async || world.admin_get("/v1/integrations/globex/second", "alan").await["state"].clone();
    assert_eq!(apply().await, "draft");
    assert!(submit().await.status < 300);
    assert_eq!(apply().await, "unchanged", "while it waits, the same record is no news");
    review(&world, "globex/second", "sven", "deny").await;
    let denied = async || world.admin_get("/v1/approvals?state=denied&subject=globex/second", "alan").await["items"].clone();
    assert_eq!(denied().await.as_array().map(Vec::len), Some(1));
    assert_eq!(submit().await.status, 409, "a denial stands until somebody applies again");
    assert_eq!(apply().await, "draft", "the same record, asked for again");
    assert!(submit().await.status < 300);
    review(&world, "globex/second", "olga", "approve").await;
    review(&world, "globex/second", "sara", "approve").await;
    assert_eq!(state().await, "active");
    assert_eq!(denied().await.as_array().map(Vec::len), Some(1), "i_9: a denial stays one, whatever comes after it");
}

/// `globex-two/a` comes before `globex/a` as a text, and after it as a name: a page must begin after the last one's name.
#[tokio::test]
async fn pages_of_one_miss_nothing() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let partner = usual.split("---\n").nth(1).expect("a partner").replace("name: globex}", "name: globex-two}");
    let mine = records::integration(&world.partner.issuer, "second", "77");
    let other = records::integration(&world.partner.issuer, "third", "78").replace("partner: globex,", "partner: globex-two,");
    let all = [partner, mine, other].join("---\n");
    let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", all))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for list in ["integrations", "partners", "approvals"] {
        let whole = world.admin_get(&format!("/v1/{list}?limit=1000"), "alan").await["items"].clone();
        let name = |item: &serde_json::Value| item["id"].as_str().or(item["name"].as_str()).expect("a name").to_owned();
        let whole: Vec<String> = whole.as_array().expect("items").iter().map(name).collect();
        assert!(whole.len() > 1, "{list}: {whole:?}");
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.admin_get(&format!("/v1/{list}?limit=1{cursor}"), "alan").await;
            found.extend(page["items"].as_array().expect("items").iter().map(name));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found, whole, "{list}");
    }
}
