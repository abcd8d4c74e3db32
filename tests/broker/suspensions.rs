//! A partner and an integration have a set of suspensions: each covers environments, and is lifted on its own.

use serde_json::{Value, json};

use crate::elevation::{refused, wish, with_elevation};
use crate::world::{Answer, World};

const PATHS: [(&str, &str); 2] =
    [("/v1/integrations/globex/order-sync", "integration.suspended"), ("/v1/partners/globex", "partner.suspended")];

/// Suspends as `sven`; in all environments, if none is named. Returns the suspension.
async fn suspend(world: &World, path: &str, why: &str, environments: &[&str]) -> Value {
    let mut body = json!({"reason": why});
    if !environments.is_empty() {
        body["environments"] = json!(environments);
    }
    let answer = world.admin_post(&format!("{path}/suspend"), "sven", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// Asks as `olga` to lift these suspensions; all, if none is named.
async fn ask(world: &World, path: &str, suspensions: &[&Value]) -> Answer {
    let mut body = json!({"reason": "explained"});
    if !suspensions.is_empty() {
        body["suspensions"] = suspensions.iter().map(|one| one["id"].clone()).collect();
    }
    world.admin_post(&format!("{path}/resume"), "olga", &body).await
}

async fn vote(world: &World, approval: &Value, person: &str) -> Answer {
    let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
    world.admin_post(&format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id")), person, &body).await
}

/// Asks, and has `sara` approve.
async fn resume(world: &World, path: &str, suspensions: &[&Value]) {
    let asked = ask(world, path, suspensions).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let answer = vote(world, &asked.json(), "sara").await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("approved")), "{}", answer.text());
}

/// The ids of the suspensions in force, as every `GET` of the thing shows them.
async fn in_force(world: &World, path: &str) -> Vec<Value> {
    let shown = world.admin_get(path, "alan").await;
    let (list, _) = path.split_at(path.find("/globex").expect("a path"));
    let listed = world.admin_get(list, "alan").await;
    let item =
        listed["items"].as_array().expect("items").iter().find(|item| item["id"] == shown["id"]).expect("listed").clone();
    assert_eq!((&item["suspensions"], &item["state"]), (&shown["suspensions"], &json!("active")), "{item}");
    shown["suspensions"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect()
}

/// What an exchange is told in an environment; the token, if it is granted one.
async fn exchange(world: &World, environment: &str) -> Result<String, String> {
    let before = world.issued().await;
    let answer = world.exchange(environment, &world.assertion(environment), "orders:read").await;
    let told = answer.json();
    if answer.status == 200 {
        return Ok(told["access_token"].as_str().expect("a token").to_owned());
    }
    assert_eq!((answer.status, &told["error"]), (400, &json!("invalid_request")), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(world.issued().await, before, "nothing is minted");
    let request = answer.header("x-request-id").expect("an id");
    let explained = world.admin_get(&format!("/v1/explain/{request}"), "alan").await;
    assert_eq!(explained["reason"], told["reason"], "the reason is on record");
    Err(told["reason"].as_str().expect("a reason").to_owned())
}

/// The same without the token: `granted`, or the reason. What a failed test prints holds no token.
async fn told(world: &World, environment: &str) -> String {
    exchange(world, environment).await.map_or_else(|reason| reason, |_| "granted".to_owned())
}

async fn is_active(world: &World, environment: &str, token: &str) -> bool {
    world.introspect(environment, token).await.json()["active"] == true
}

/// The reasons that refuse in an environment, and the roles that lift them.
async fn causes(world: &World, path: &str, environment: &str) -> Vec<(String, String)> {
    let effective = world.admin_get(path, "alan").await["effective"][environment].clone();
    let causes = effective["causes"].as_array().expect("causes");
    assert_eq!(effective["state"] == "granting", causes.is_empty(), "{effective}");
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{effective}")).to_owned();
    let cause = |cause: &Value| {
        assert!(cause["since"].is_number(), "{effective}");
        (text(&cause["reason"]), format!("{} by {}", text(&cause["liftedBy"]["action"]), text(&cause["liftedBy"]["role"])))
    };
    causes.iter().map(cause).collect()
}

/// P-18, I-9: of two suspensions, the end of the first leaves the second, which refuses still.
#[tokio::test]
async fn p_18_each_suspension_is_lifted_on_its_own() {
    let world = World::start().await;
    for (path, reason) in PATHS {
        let first = suspend(&world, path, "odd calls", &[]).await;
        world.advance(60).await;
        let second = suspend(&world, path, "a stolen key", &[]).await;
        assert_eq!((&first["reason"], &second["reason"]), (&json!("odd calls"), &json!("a stolen key")));
        assert_eq!((&first["by"]["id"], &first["environments"]), (&json!("sven"), &json!([])), "{first}");
        assert_eq!((&second["at"], &second["cut"]), (&json!(world.clock.seconds()), &json!(0)), "{second}");
        assert_eq!(in_force(&world, path).await, [first["id"].clone(), second["id"].clone()]);
        let lifted = (reason.to_owned(), "resume by security".to_owned());
        assert_eq!(causes(&world, path, "production").await, [lifted.clone(), lifted.clone()]);
        assert_eq!(told(&world, "production").await, reason);

        resume(&world, path, &[&first]).await;
        assert_eq!(in_force(&world, path).await, [second["id"].clone()]);
        assert_eq!(causes(&world, path, "production").await, [lifted]);
        assert_eq!(told(&world, "production").await, reason);

        resume(&world, path, &[]).await;
        assert!(in_force(&world, path).await.is_empty());
        exchange(&world, "production").await.expect("granted");
    }
}

/// I-11: a resume lifts what its approvers saw. A suspension that comes later withdraws it and stands.
#[tokio::test]
async fn i_11_a_resume_lifts_nothing_that_came_after_it() {
    let world = World::start().await;
    for (path, reason) in PATHS {
        let first = suspend(&world, path, "odd calls", &[]).await;
        let asked = ask(&world, path, &[]).await;
        assert_eq!((asked.status, &asked.json()["state"]), (201, &json!("pending")), "{}", asked.text());
        let approval = asked.json();
        assert_eq!((&approval["approval"], &approval["lifts"]), (&approval["id"], &json!([first["id"]])));
        let place = format!("/v1/approvals/{}", approval["id"].as_str().expect("an id"));
        assert_eq!(asked.header("location"), Some(place.as_str()));
        let second = suspend(&world, path, "a stolen key", &["sandbox"]).await;

        let shown = world.admin_get(&place, "sara").await;
        assert_eq!((&shown["state"], &shown["version"]), (&json!("withdrawn"), &approval["version"]));
        let ids = |approval: &Value| -> Vec<Value> {
            approval["suspensions"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect()
        };
        assert_eq!(ids(&shown), [first["id"].clone()], "{shown}");
        refused(&vote(&world, &approval, "sara").await, 409, "approval.decided");
        assert_eq!(in_force(&world, path).await, [first["id"].clone(), second["id"].clone()]);
        assert_eq!(told(&world, "production").await, reason);

        // The set is the version: what was seen of one set approves nothing of another.
        let both = ask(&world, path, &[&second, &first]).await.json();
        assert_ne!(both["version"], approval["version"]);
        let mut mixed = both.clone();
        mixed["version"] = approval["version"].clone();
        refused(&vote(&world, &mixed, "sara").await, 412, "approval.version-seen");
        let again = ask(&world, path, &[&first]).await.json();
        refused(&vote(&world, &both, "sara").await, 409, "approval.decided");
        assert_eq!(vote(&world, &again, "sara").await.status, 200);
        assert_eq!(in_force(&world, path).await, [second["id"].clone()]);
        resume(&world, path, &[&second]).await;
    }
}

/// I-11: whoever made any of the suspensions does not approve their end.
#[tokio::test]
async fn i_11_the_author_of_one_suspension_lifts_none_of_them() {
    let world = World::start().await;
    let (path, _) = PATHS[0];
    let first = suspend(&world, path, "odd calls", &[]).await;
    let other = world.admin_post(&format!("{path}/suspend"), "sara", &json!({"reason": "as well"})).await;
    assert_eq!(other.status, 201, "{}", other.text());
    let both = ask(&world, path, &[]).await.json();
    for person in ["sven", "sara", "olga"] {
        refused(&vote(&world, &both, person).await, 409, "approval.own-request");
    }
    // Of hers alone, he may speak; of his alone, she.
    resume(&world, path, &[&first]).await;
    let hers = ask(&world, path, &[&other.json()]).await.json();
    refused(&vote(&world, &hers, "sara").await, 409, "approval.own-request");
    assert_eq!(vote(&world, &hers, "sven").await.status, 200);
    exchange(&world, "production").await.expect("granted");
}

/// one environment is suspended, its tokens are inactive at once and stay so; the other goes on.
#[tokio::test]
async fn r_06_a_suspended_environment_leaves_the_other_granting() {
    let world = World::start().await;
    // In the second round the last token of the first one is alive as well.
    for (living, (path, reason)) in (1..).zip(PATHS) {
        let sandbox = exchange(&world, "sandbox").await.expect("granted");
        let production = exchange(&world, "production").await.expect("granted");
        let suspension = suspend(&world, path, "odd calls", &["sandbox"]).await;
        assert_eq!((&suspension["environments"], &suspension["cut"]), (&json!(["sandbox"]), &json!(living)), "{suspension}");
        assert!(!is_active(&world, "sandbox", &sandbox).await, "{path}");
        assert!(is_active(&world, "production", &production).await, "{path}");
        assert_eq!(told(&world, "sandbox").await, reason);
        exchange(&world, "production").await.expect("granted");
        assert_eq!(causes(&world, path, "sandbox").await.len(), 1);
        assert_eq!(causes(&world, path, "production").await, []);
        // A list is filtered by the state, which is the life, and by whether anything is suspended.
        let (list, _) = path.split_at(path.find("/globex").expect("a path"));
        for state in ["active", "suspended"] {
            let listed = world.admin_get(&format!("{list}?state={state}"), "alan").await;
            assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{state}: {listed}");
        }

        resume(&world, path, &[]).await;
        let listed = world.admin_get(&format!("{list}?state=suspended"), "alan").await;
        assert_eq!(listed["items"], json!([]));
        assert!(!is_active(&world, "sandbox", &sandbox).await, "what was cut stays cut");
        let new = exchange(&world, "sandbox").await.expect("granted");
        assert!(is_active(&world, "sandbox", &new).await);
    }
}

/// S-14: nothing more is given where an environment is suspended, by whatever approval; in the other it is.
#[tokio::test]
async fn s_14_a_suspended_environment_is_given_nothing_more() {
    let world = World::start().await;
    let rule = "{scope: orders:write, api: orders-api, max: 1h, approvers: {role: security, count: 1}}";
    world.onboard(&with_elevation(&world, rule)).await;
    let wider = with_elevation(&world, rule).replacen("max: 1h", "max: 2h", 1);
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", wider))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let held = world.admin_get("/v1/approvals?state=pending&kind=change", "alan").await["items"][0].clone();
    let enrolment =
        |environment: &str| json!({"integration": "globex/order-sync", "environment": environment, "reason": "new"});
    for (path, reason) in PATHS {
        let one = suspend(&world, path, "odd calls", &["production"]).await;
        refused(&world.admin_post("/v1/elevations", "olga", &wish("30m")).await, 409, reason);
        refused(&world.admin_post("/v1/enrolments", "ann", &enrolment("production")).await, 409, reason);
        assert_eq!(world.admin_post("/v1/enrolments", "ann", &enrolment("sandbox")).await.status, 201);
        refused(&vote(&world, &held, "olga").await, 409, reason);
        if path == PATHS[0].0 {
            // What lies under a suspension of the partner is resumed after the partner.
            let partner = suspend(&world, PATHS[1].0, "breach", &["production"]).await;
            refused(&ask(&world, path, &[&one]).await, 409, "partner.suspended");
            let all = suspend(&world, path, "odd calls", &[]).await;
            assert_eq!(ask(&world, path, &[&all]).await.status, 201, "it opens the sandbox");
            resume(&world, path, &[&all]).await;
            assert_eq!(told(&world, "production").await, "partner.suspended");
            exchange(&world, "sandbox").await.expect("granted");
            resume(&world, PATHS[1].0, &[&partner]).await;
            assert_eq!(told(&world, "production").await, reason);
        }
        resume(&world, path, &[&one]).await;
        exchange(&world, "production").await.expect("granted");
    }
    assert_eq!(world.admin_post("/v1/elevations", "olga", &wish("30m")).await.status, 201);
    for person in ["olga", "sara"] {
        assert_eq!(vote(&world, &held, person).await.status, 200, "{person}");
    }
}

/// what names nothing is refused, and nothing is recorded of it.
#[tokio::test]
async fn a_17_a_suspension_names_environments_that_are_there() {
    let world = World::start().await;
    for (path, _) in PATHS {
        let post =
            async |verb: &str, person: &str, body: Value| world.admin_post(&format!("{path}/{verb}"), person, &body).await;
        let unknown = post("suspend", "sven", json!({"reason": "x", "environments": ["sandbox", "moon"]})).await;
        refused(&unknown, 422, "request.invalid");
        assert!(unknown.text().contains("there is no environment moon"), "{}", unknown.text());
        for body in [json!({"reason": "x", "environments": "sandbox"}), json!({"reason": "x", "environment": ["sandbox"]})] {
            refused(&post("suspend", "sven", body).await, 422, "request.invalid");
        }
        assert_eq!(post("suspend", "olga", json!({"reason": "x"})).await.status, 403);
        refused(&post("resume", "olga", json!({"reason": "x"})).await, 409, "lifecycle.state");
        assert!(in_force(&world, path).await.is_empty());

        let suspension = suspend(&world, path, "odd calls", &[]).await;
        let other = json!({"id": "entry-0"});
        for named in [&[&other][..], &[&suspension, &other]] {
            let answer = ask(&world, path, named).await;
            refused(&answer, 409, "lifecycle.state");
            let id = suspension["id"].as_str().expect("an id");
            assert!(answer.text().contains(id), "it tells which are in force: {}", answer.text());
        }
        resume(&world, path, &[&suspension, &suspension]).await;
        refused(&ask(&world, path, &[&suspension]).await, 409, "lifecycle.state");
        exchange(&world, "production").await.expect("granted");
    }
    assert_eq!(world.admin_get("/v1/journal?kind=partner.suspended", "alan").await["items"].as_array().map(Vec::len), Some(1));
}

/// An integration that is not in force yet can be suspended, and stays what it is.
#[tokio::test]
async fn a_suspended_draft_stays_a_draft() {
    let world = World::start().await;
    let draft = crate::world::records::integration(&world.partner.issuer, "second", "77");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", draft))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let path = "/v1/integrations/globex/second";
    suspend(&world, path, "not yet", &[]).await;
    assert_eq!(world.admin_get(path, "alan").await["state"], "draft");
    let submit = world.admin_post(&format!("{path}/submit"), "ann", &json!({"reason": "ready"})).await;
    refused(&submit, 409, "integration.suspended");
    resume(&world, path, &[]).await;
    let submit = world.admin_post(&format!("{path}/submit"), "ann", &json!({"reason": "ready"})).await;
    assert!(submit.status < 300, "{}", submit.text());
    assert_eq!(world.admin_get(path, "alan").await["state"], "submitted");
}
