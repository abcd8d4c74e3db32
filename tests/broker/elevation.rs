//! Just-in-time elevation on the wire: asking, agreeing, what a token has by it, and the end. ABUSE rows E, and T-09's elevation column.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Answer, Options, World, claims, get, records, send};

/// A request for `orders:write` in production.
pub fn wish(duration: &str) -> Value {
    json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": duration, "reason": "order 1001 is stuck", "ticket": "INC-7",
    })
}

/// Asks as `person`; the elevation.
pub async fn asked(world: &World, person: &str, body: &Value) -> Value {
    let answer = world.admin_post("/v1/elevations", person, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn look(world: &World, id: &str) -> Value {
    world.admin_get(&format!("/v1/elevations/{id}"), "alan").await
}

/// Reviews what `person` sees now, with `more` besides.
pub async fn review(world: &World, id: &str, person: &str, verdict: &str, more: &Value) -> Answer {
    let mut body = json!({"verdict": verdict, "reason": "seen", "version": look(world, id).await["version"]});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    world.admin_post(&format!("/v1/elevations/{id}/reviews"), person, &body).await
}

pub async fn approved(world: &World, id: &str, person: &str) -> Value {
    let answer = review(world, id, person, "approve", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub fn id(elevation: &Value) -> String {
    elevation["id"].as_str().expect("an id").to_owned()
}

pub async fn exchange(world: &World, scope: &str) -> Answer {
    world.exchange("production", &world.assertion("production"), scope).await
}

#[track_caller]
pub fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

/// No token has the scope, and none was made.
async fn nothing(world: &World, reason: &str) {
    let before = world.issued().await;
    let answer = exchange(world, "orders:write").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!(reason)), "{}", answer.text());
    assert_eq!(world.issued().await, before);
}

#[track_caller]
pub fn refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, &answer.json()["reason"]), (status, &json!(reason)), "{}", answer.text());
}

/// The workload as it is at the partner: nobody there is signed in.
pub async fn ask_as_workload(world: &World, bearer: &str, body: &Value) -> Answer {
    let headers = [("authorization", format!("Bearer {bearer}")), ("content-type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    send(world.public, "POST", "/production/elevations", &headers, body.to_string().as_bytes()).await
}

pub fn own_wish(duration: &str) -> Value {
    let mut body = wish(duration);
    let members = body.as_object_mut().expect("an object");
    members.remove("integration");
    members.remove("environments");
    body
}

async fn poll(world: &World, asked: &Value) -> Answer {
    let bearer = format!("Bearer {}", asked["pollToken"].as_str().expect("a poll token"));
    let path = format!("/production/elevations/{}", asked["id"].as_str().expect("an id"));
    send(world.public, "GET", &path, &[("authorization", &bearer)], b"").await
}

/// A worker without any human on its side asks, somebody of security agrees, and the next exchange has it.
#[tokio::test]
async fn a_workload_asks_waits_and_goes_on() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    nothing(&world, "scope.needs-elevation").await;
    let told = exchange(&world, "orders:write").await.json()["error_description"].as_str().expect("text").to_owned();
    assert!(told.contains(&format!("POST {}/elevations", world.issuer("production"))), "{told}");
    let answer = ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.header("location"),
        Some(format!("{}/elevations/{}", world.issuer("production"), told["id"].as_str().expect("an id")).as_str())
    );
    assert_eq!((&told["state"], &told["scopes"]), (&json!("pending"), &json!(["orders:write"])));
    let waiting = poll(&world, &told).await;
    assert_eq!((waiting.status, waiting.header("retry-after")), (200, Some("2")), "{}", waiting.text());
    assert!(waiting.json().get("pollToken").is_none(), "shown once");
    nothing(&world, "scope.needs-elevation").await;

    // What the approver sees on one screen.
    let seen = look(&world, &id(&told)).await;
    assert_eq!((&seen["requestedBy"], &seen["binding"]), (&json!({"integration": "globex/order-sync"}), &json!("ci-main")));
    assert_eq!((&seen["reason"], &seen["ticket"]), (&json!("order 1001 is stuck"), &json!("INC-7")));
    let briefing = &seen["briefing"];
    assert_eq!((&briefing["asked"][0]["meaning"], &briefing["asked"][0]["risk"]), (&json!("Change orders"), &json!("high")));
    assert_eq!(briefing["owners"], json!({"business": "jane@acme.example", "application": "raj@acme.example"}));
    assert_eq!((&briefing["contract"], &briefing["issuer"]), (&json!("MSA-1"), &json!(world.partner.issuer)));
    assert_eq!(briefing["flags"], json!(["high-risk", "first-for-scope", "new-requester", "whole-api"]));
    assert_eq!(seen["open"][0]["role"], "security");
    let usual = &briefing["usual"];
    assert_eq!((&usual["lastToken"], &usual["lastRefusals"][0]["reason"]), (&Value::Null, &json!("scope.needs-elevation")));
    let among = world.admin_get("/v1/approvals?kind=elevation&state=pending", "sven").await;
    assert_eq!((&among["items"][0]["id"], &among["items"][0]["openSlots"]), (&seen["id"], &json!(["security"])));

    let active = approved(&world, &id(&told), "sven").await;
    assert_eq!((&active["state"], &active["reviews"][0]["by"]["id"]), (&json!("active"), &json!("sven")));
    let told_again = poll(&world, &told).await.json();
    assert_eq!((&told_again["state"], &told_again["ends"]), (&json!("active"), &active["ends"]));
    let answer = exchange(&world, "orders:read orders:write").await;
    let elevated = token(&answer);
    let detail = json!({
        "type": "jit_elevation", "id": active["id"], "scopes": ["orders:write"], "ends": active["ends"], "ticket": "INC-7",
    });
    let endpoints = json!({"type": "endpoints", "locations": ["https://orders.example"], "actions": ["GET /v1/orders", "GET /v1/orders/{id}"]});
    assert_eq!(claims(&elevated)["authorization_details"], json!([endpoints, detail]));
    assert_eq!(answer.json()["authorization_details"], claims(&elevated)["authorization_details"]);
    let introspected = world.introspect("production", &elevated).await.json();
    assert_eq!((&introspected["active"], &introspected["authorization_details"][1]), (&json!(true), &detail));
    // What needs no elevation rests on none.
    let plain = token(&exchange(&world, "orders:read").await);
    assert_eq!(claims(&plain)["authorization_details"], json!([endpoints]));

    // E-14: the end cuts what was issued under it, and nothing else; it is confirmed before it is answered.
    let end = world.admin_post(&format!("/v1/elevations/{}/end", id(&told)), "sara", &json!({"reason": "done"})).await;
    assert_eq!((end.status, &end.json()["state"]), (200, &json!("ended")), "{}", end.text());
    assert_eq!(world.introspect("production", &elevated).await.json(), json!({"active": false}));
    assert_eq!(world.introspect("production", &plain).await.json()["active"], true);
    nothing(&world, "scope.needs-elevation").await;
    assert_eq!(poll(&world, &told).await.json()["state"], "ended");
    refused(
        &world.admin_post(&format!("/v1/elevations/{}/end", id(&told)), "sara", &json!({"reason": "x"})).await,
        409,
        "elevation.over",
    );
    let kinds = world.admin_get("/v1/journal?limit=1000", "alan").await;
    let kinds: Vec<_> = kinds["items"].as_array().expect("items").iter().filter_map(|one| one["kind"].as_str()).collect();
    for kind in ["elevation.asked", "elevation.reviewed", "elevation.ended"] {
        assert_eq!(kinds.iter().filter(|one| **one == kind).count(), 1, "{kind}");
    }
}

/// Whoever is not the workload is told nothing, and asks for nothing.
#[tokio::test]
async fn o_02_e_03_strangers_ask_for_no_elevation_and_learn_nothing() {
    let world = World::start().await;
    let stranger = crate::world::Provider::start().await;
    let foreign = stranger.sign(&world.claims("production"));
    let mut other = world.claims("production");
    other["repository_owner_id"] = "1".into();
    let owner = world.partner.sign(&other);
    // A caller who is known is told why.
    let sandbox = ask_as_workload(&world, &world.assertion("sandbox"), &own_wish("30m")).await;
    refused(&sandbox, 403, "assertion.audience");
    let mut told = Vec::new();
    for bearer in [foreign.as_str(), owner.as_str(), "x"] {
        let answer = ask_as_workload(&world, bearer, &own_wish("30m")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (401, Some("application/problem+json")),
            "{}",
            answer.text()
        );
        told.push(answer.text());
    }
    assert!(told.iter().all(|one| *one == told[0] && !one.contains("reason")), "{told:?}");
    let none = send(
        world.public,
        "POST",
        "/production/elevations",
        &[("content-type", "application/json")],
        own_wish("30m").to_string().as_bytes(),
    )
    .await;
    assert_eq!((none.status, none.text()), (401, told[0].clone()));
    // E-03: a workload's proof opens nothing of the staff's.
    let elevation = asked(&world, "ann", &wish("30m")).await;
    let bearer = format!("Bearer {}", world.assertion("production"));
    let path = format!("/v1/elevations/{}/reviews", id(&elevation));
    let body = json!({"verdict": "approve", "reason": "x", "version": elevation["version"]}).to_string();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(send(world.admin, "POST", &path, &headers, body.as_bytes()).await.status, 401);
    // A poll token is for its own elevation in its own environment.
    let asked = ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await.json();
    let mut wrong = asked.clone();
    wrong["pollToken"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
    assert_eq!(poll(&world, &wrong).await.status, 404);
    wrong["pollToken"] = asked["pollToken"].clone();
    wrong["id"] = elevation["id"].clone();
    assert_eq!(poll(&world, &wrong).await.status, 404);
    let bearer = format!("Bearer {}", asked["pollToken"].as_str().expect("a token"));
    let elsewhere = format!("/sandbox/elevations/{}", id(&asked));
    assert_eq!(send(world.public, "GET", &elsewhere, &[("authorization", &bearer)], b"").await.status, 404);
    nothing(&world, "scope.needs-elevation").await;
    // A proof asks once, as for a read; and it pays for no token any more.
    let assertion = world.assertion("production");
    assert_eq!(ask_as_workload(&world, &assertion, &own_wish("30m")).await.status, 202);
    let again = ask_as_workload(&world, &assertion, &own_wish("30m")).await;
    refused(&again, 403, "assertion.replayed");
    refused(&world.exchange("production", &assertion, "orders:read").await, 400, "assertion.replayed");
}

/// E-01, E-04, E-11, E-18: who may agree.
#[tokio::test]
async fn e_01_e_04_e_11_e_18_only_another_person_with_the_role_agrees() {
    let world = World::start().await;
    let elevation = asked(&world, "sven", &wish("30m")).await;
    let it = id(&elevation);
    refused(&review(&world, &it, "sven", "approve", &json!({})).await, 409, "approval.own-request");
    refused(&review(&world, &it, "olga", "approve", &json!({})).await, 403, "approval.slot");
    refused(&review(&world, &it, "adam", "approve", &json!({})).await, 403, "staff.role");
    refused(&review(&world, &it, "alan", "approve", &json!({})).await, 403, "staff.role");
    // ann applied the record that makes it eligible.
    refused(&review(&world, &it, "ann", "approve", &json!({})).await, 409, "approval.own-request");
    let path = format!("/v1/elevations/{it}/reviews");
    for method in ["GET", "HEAD", "PUT"] {
        assert_eq!(world.admin_send(method, &path, "sara", None).await.status, 405, "{method}");
    }
    nothing(&world, "scope.needs-elevation").await;
    // E-04: who was cut a second ago agrees to nothing.
    let version = look(&world, &it).await["version"].clone();
    assert!(world.admin_post("/v1/staff/sara/cut", "sven", &json!({"reason": "left"})).await.status < 300);
    let body = json!({"verdict": "approve", "reason": "x", "version": version});
    assert_eq!(world.admin_post(&path, "sara", &body).await.status, 401);
    nothing(&world, "scope.needs-elevation").await;
    assert_eq!(look(&world, &it).await["state"], "pending");
}

/// E-06: what changed since it was seen is not agreed to; E-23: nobody is given more than there is to give.
#[tokio::test]
async fn e_06_e_23_an_approval_is_of_what_was_seen_and_never_of_more() {
    let world = World::start().await;
    for (change, reason) in [
        (json!({"duration": "2h"}), "elevation.too-long"),
        (json!({"duration": "59s"}), "elevation.too-long"),
        (json!({"duration": "soon"}), "request.invalid"),
        (json!({"scopes": []}), "request.invalid"),
        (json!({"scopes": ["orders:write", "orders:write"]}), "request.invalid"),
        (json!({"scopes": ["orders:delete"]}), "elevation.not-eligible"),
        (json!({"scopes": ["orders:read"]}), "elevation.not-eligible"),
        (json!({"api": "billing-api"}), "elevation.not-eligible"),
        (json!({"environments": ["sandbox"]}), "elevation.not-eligible"),
        (json!({"environments": []}), "request.invalid"),
        (json!({"environments": ["production", "production"]}), "request.invalid"),
        (json!({"starts": "2020-01-01T00:00:00Z"}), "elevation.start"),
        (json!({"starts": "2098-01-01T00:00:00Z"}), "elevation.start"),
        (json!({"breakGlass": true}), "elevation.no-break-glass"),
        (json!({"reason": "  "}), "request.invalid"),
    ] {
        let mut body = wish("30m");
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = world.admin_post("/v1/elevations", "ann", &body).await;
        refused(&answer, 422, reason);
        assert!(answer.json()["errors"][0]["message"].as_str().is_some(), "{change}");
    }
    let mut unknown = wish("30m");
    unknown["integration"] = "globex/nothing".into();
    refused(&world.admin_post("/v1/elevations", "ann", &unknown).await, 404, "resource.not-found");

    let elevation = asked(&world, "ann", &wish("30m")).await;
    let it = id(&elevation);
    for more in [
        json!({"duration": "31m"}),
        json!({"duration": "10s"}),
        json!({"scopes": ["orders:read"]}),
        json!({"scopes": ["orders:write", "orders:delete"]}),
        json!({"scopes": []}),
        json!({"allow": []}),
    ] {
        refused(&review(&world, &it, "sven", "approve", &more).await, 422, "elevation.not-narrower");
    }
    // The record changes under the approver's eyes.
    let seen = look(&world, &it).await["version"].clone();
    let shorter = records::usual(&world.partner.issuer).replace("        max: 1h\n", "        max: 20m\n");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", shorter))).await;
    assert!(applied.status < 300, "{}", applied.text());
    let stale = json!({"verdict": "approve", "reason": "x", "version": seen});
    refused(&world.admin_post(&format!("/v1/elevations/{it}/reviews"), "sven", &stale).await, 412, "approval.version-seen");
    nothing(&world, "scope.needs-elevation").await;
    // What is agreed to now ends by the record as it is now.
    approved(&world, &it, "sven").await;
    let now = world.clock.seconds();
    world.advance(18 * 60).await;
    let elevated = token(&exchange(&world, "orders:write").await);
    assert!(claims(&elevated)["exp"].as_i64().expect("an end") <= now + 20 * 60);
    world.advance(3 * 60).await;
    nothing(&world, "scope.needs-elevation").await;
}

/// Approvers give less, for a shorter time; what is left is what counts.
#[tokio::test]
async fn t_09_e_12_an_approver_shortens_and_narrows() {
    let world = World::start().await;
    let elevation = asked(&world, "olga", &wish("1h")).await;
    let it = id(&elevation);
    let less = json!({"duration": "5m", "allow": ["PATCH /v1/orders/{id}/status"]});
    let answer = review(&world, &it, "sven", "approve", &less).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let active = answer.json();
    assert_eq!((&active["duration"], &active["asked"]["duration"]), (&json!("5m"), &json!("1h")));
    let elevated = token(&exchange(&world, "orders:write").await);
    let details = claims(&elevated)["authorization_details"].clone();
    assert_eq!(details[0]["actions"], json!(["PATCH /v1/orders/{id}/status"]));
    assert_eq!(details[1]["ends"], active["ends"]);
    // T-09 and E-12: the end of the elevation is the end of the token; what is too little is no token.
    let ends = active["ends"].as_i64().expect("an end");
    assert_eq!(claims(&elevated)["exp"].as_i64(), Some(ends.min(world.clock.seconds() - 2 + 300)));
    world.advance(ends - world.clock.seconds() - 60).await;
    assert_eq!(claims(&token(&exchange(&world, "orders:write").await))["exp"].as_i64(), Some(ends));
    world.advance(50).await;
    nothing(&world, "life.too-short").await;
    world.advance(10).await;
    nothing(&world, "scope.needs-elevation").await;
    assert_eq!(look(&world, &it).await["state"], "ended");
}

/// E-07: what nobody answered is denied, without anybody sweeping; and what is over stays over.
#[tokio::test]
async fn e_07_silence_denies_and_a_denial_is_final() {
    let world = World::start().await;
    let silent = id(&asked(&world, "olga", &wish("30m")).await);
    world.advance(4 * 3600).await;
    assert_eq!(look(&world, &silent).await["state"], "expired");
    refused(&review(&world, &silent, "sven", "approve", &json!({})).await, 409, "approval.expired");
    let denied = id(&asked(&world, "olga", &wish("30m")).await);
    let answer = review(&world, &denied, "sven", "deny", &json!({})).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("denied")), "{}", answer.text());
    refused(&review(&world, &denied, "sara", "approve", &json!({})).await, 409, "approval.decided");
    let withdrawn = id(&asked(&world, "olga", &wish("30m")).await);
    let taken_back = world.admin_post(&format!("/v1/elevations/{withdrawn}/end"), "olga", &json!({"reason": "solved"})).await;
    assert_eq!(taken_back.json()["state"], "withdrawn", "{}", taken_back.text());
    refused(&review(&world, &withdrawn, "sara", "approve", &json!({})).await, 409, "approval.decided");
    nothing(&world, "scope.needs-elevation").await;
}

/// E-08, E-09, E-10: a hundred at once decide once; the same request again is the same answer.
#[tokio::test(flavor = "multi_thread")]
async fn e_08_e_09_e_10_e_20_a_hundred_words_at_once_are_one_decision() {
    let world = World::start().await;
    for _ in 0..3 {
        let elevation = asked(&world, "olga", &wish("30m")).await;
        let it = id(&elevation);
        let path = format!("/v1/elevations/{it}/reviews");
        let version = look(&world, &it).await["version"].clone();
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..100 {
            let verdict = if number % 2 == 0 { "approve" } else { "deny" };
            let bearer = format!("Bearer {}", world.staff_token(if number % 3 == 0 { "sara" } else { "sven" }));
            let body = json!({"verdict": verdict, "reason": "x", "version": version}).to_string();
            let (admin, path) = (world.admin, path.clone());
            racing.spawn(async move {
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                (verdict, send(admin, "POST", &path, &headers, body.as_bytes()).await)
            });
        }
        let answers = racing.join_all().await;
        let won: Vec<&str> = answers.iter().filter(|(_, answer)| answer.status == 200).map(|(verdict, _)| *verdict).collect();
        assert_eq!(won.len(), 1, "one wins");
        for (_, answer) in answers.iter().filter(|(_, answer)| answer.status != 200) {
            let reason = answer.json()["reason"].clone();
            let decided = answer.status == 409 && (reason == "approval.decided" || reason == "approval.second-vote");
            assert!(decided || answer.status == 503, "{}", answer.text());
        }
        let seen = look(&world, &it).await;
        assert_eq!(seen["reviews"].as_array().map(Vec::len), Some(1), "{seen}");
        let state = if won == ["approve"] { "active" } else { "denied" };
        assert_eq!(seen["state"], state);
        if state == "active" {
            world.admin_post(&format!("/v1/elevations/{it}/end"), "sven", &json!({"reason": "x"})).await;
        }
    }
    // E-20: the answer was lost, the request comes again with its key: one elevation.
    let body = wish("30m").to_string();
    let bearer = format!("Bearer {}", world.staff_token("olga"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "k1")];
    let first = send(world.admin, "POST", "/v1/elevations", &headers, body.as_bytes()).await;
    let second = send(world.admin, "POST", "/v1/elevations", &headers, body.as_bytes()).await;
    assert_eq!((first.status, first.json()["id"].clone()), (second.status, second.json()["id"].clone()));
    let pending = world.admin_get("/v1/elevations?state=pending", "alan").await;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(1), "{pending}");
}

/// E-16: an elevation is of one integration in one environment; and it counts while everything that it rests on does.
#[tokio::test]
async fn e_16_an_approval_is_no_promise() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    world.onboard(&records::integration(&world.partner.issuer, "other-sync", "111222")).await;
    let it = id(&asked(&world, "olga", &wish("1h")).await);
    approved(&world, &it, "sven").await;
    let elevated = token(&exchange(&world, "orders:write").await);
    // Another integration of the same partner.
    let mut other = world.claims("production");
    other["repository_id"] = "111222".into();
    let answer = world.exchange("production", &world.partner.sign(&other), "orders:write").await;
    refused(&answer, 400, "scope.needs-elevation");
    // The record no longer lists it; then it does again, and asks for two.
    let usual = records::usual(&world.partner.issuer);
    let gone = usual.split("    elevation:\n").next().expect("a record").to_owned();
    world.onboard(&gone).await;
    nothing(&world, "scope.not-contracted").await;
    world.onboard(&usual.replace("approvers: {role: security, count: 1}", "approvers: {role: security, count: 2}")).await;
    nothing(&world, "scope.needs-elevation").await;
    world.onboard(&usual).await;
    token(&exchange(&world, "orders:write").await);
    // The integration is stopped, and everything under it; resumed, what was issued stays cut, and the elevation runs on.
    let suspend = world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &json!({"reason": "x"})).await;
    assert!(suspend.status < 300);
    assert_eq!(world.introspect("production", &elevated).await.json(), json!({"active": false}));
    nothing(&world, "integration.suspended").await;
    // Whoever asked lost their access.
    let world = World::start().await;
    let it = id(&asked(&world, "olga", &wish("1h")).await);
    approved(&world, &it, "sven").await;
    token(&exchange(&world, "orders:write").await);
    assert!(world.admin_post("/v1/staff/olga/cut", "sara", &json!({"reason": "left"})).await.status < 300);
    nothing(&world, "scope.needs-elevation").await;
}

/// A revocation by id is the end of it, for ever.
#[tokio::test]
async fn e_14_a_revoked_elevation_is_over() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let it = id(&asked(&world, "olga", &wish("1h")).await);
    approved(&world, &it, "sven").await;
    let elevated = token(&exchange(&world, "orders:write").await);
    let answer = world.admin_post("/v1/revocations", "sara", &json!({"elevation": it, "reason": "misused"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(world.introspect("production", &elevated).await.json(), json!({"active": false}));
    nothing(&world, "scope.needs-elevation").await;
    assert_eq!(look(&world, &it).await["state"], "ended");
    let lift = format!("/v1/revocations/{}/lift", answer.json()["id"].as_str().expect("an id"));
    refused(&world.admin_post(&lift, "sara", &json!({"reason": "x"})).await, 409, "revocation.final");
    let unknown = world.admin_post("/v1/revocations", "sara", &json!({"elevation": "nothing", "reason": "x"})).await;
    refused(&unknown, 404, "resource.not-found");
    // Whoever reads the index knows it by the token alone.
    let metadata = get(world.public, "/production/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["authorization_details_types_supported"], json!(["endpoints", "jit_elevation"]));
}

/// A start that was asked for: nothing before, nothing after.
#[tokio::test]
async fn a_scheduled_elevation_runs_when_it_was_asked_for() {
    let world = World::start().await;
    let starts = world.clock.seconds() + 3600;
    let mut body = wish("10m");
    body["starts"] = carnet::domain::value::clock::Timestamp::from_seconds(starts).expect("a time").to_string().into();
    let it = id(&asked(&world, "olga", &body).await);
    assert_eq!(approved(&world, &it, "sven").await["state"], "approved");
    nothing(&world, "scope.needs-elevation").await;
    world.advance(3600).await;
    let elevated = token(&exchange(&world, "orders:write").await);
    assert!(claims(&elevated)["exp"].as_i64() <= Some(starts + 600));
    world.advance(600).await;
    nothing(&world, "scope.needs-elevation").await;
    // Agreed to late, it still ends when it would have.
    let starts = world.clock.seconds() + 60;
    body["starts"] = carnet::domain::value::clock::Timestamp::from_seconds(starts).expect("a time").to_string().into();
    let it = id(&asked(&world, "olga", &body).await);
    world.advance(360).await;
    assert_eq!(approved(&world, &it, "sven").await["ends"].as_i64(), Some(starts + 600));
}

pub fn with_elevation(world: &World, elevation: &str) -> String {
    let usual = records::usual(&world.partner.issuer);
    let head = usual.split("    elevation:\n").next().expect("a record").to_owned();
    format!("{head}    elevation:\n      - {elevation}\n")
}

/// Two people, named people, people who stand in, hours of the day.
#[tokio::test]
async fn e_11_the_record_says_who_agrees_how_many_and_when() {
    let world = World::start().await;
    let base = "scope: orders:write, api: orders-api, max: 1h";
    world
        .onboard(&with_elevation(&world, &format!("{{{base}, approvers: {{role: security, count: 2}}, require: [ticket]}}")))
        .await;
    let mut body = wish("30m");
    body.as_object_mut().expect("an object").remove("ticket");
    refused(&world.admin_post("/v1/elevations", "olga", &body).await, 422, "elevation.ticket-missing");
    let it = id(&asked(&world, "olga", &wish("30m")).await);
    assert_eq!(approved(&world, &it, "sven").await["state"], "pending");
    refused(&review(&world, &it, "sven", "approve", &json!({})).await, 409, "approval.second-vote");
    nothing(&world, "scope.needs-elevation").await;
    assert_eq!(approved(&world, &it, "sara").await["state"], "active");
    token(&exchange(&world, "orders:write").await);

    // Named people, of whom too few are left.
    world.onboard(&with_elevation(&world, &format!("{{{base}, approvers: {{people: [olga, sven], count: 2}}}}"))).await;
    let answer = world.admin_post("/v1/elevations", "olga", &wish("30m")).await;
    refused(&answer, 422, "elevation.no-approver");
    assert!(answer.text().contains("business owner"), "{}", answer.text());
    world
        .onboard(&with_elevation(
            &world,
            &format!("{{{base}, approvers: {{people: [olga], count: 1, fallback: {{after: 15m, role: security}}}}}}"),
        ))
        .await;
    let it = id(&asked(&world, "sara", &wish("30m")).await);
    refused(&review(&world, &it, "sven", "approve", &json!({})).await, 403, "approval.slot");
    world.advance(15 * 60).await;
    assert_eq!(approved(&world, &it, "sven").await["state"], "active");

    // Hours: a window that is closed now, and one that closes soon.
    let now = jiff::Timestamp::from_second(world.clock.seconds()).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
    let hour = |hours: i64| now.checked_add(jiff::Span::new().hours(hours)).expect("a time").hour();
    if (1..=20).contains(&now.hour()) {
        let window = format!("Mon-Sun {:02}:00-{:02}:00 UTC", hour(1), hour(2));
        world
            .onboard(&with_elevation(&world, &format!("{{{base}, window: {window}, approvers: {{role: security, count: 1}}}}")))
            .await;
        let it = id(&asked(&world, "olga", &wish("1h")).await);
        approved(&world, &it, "sven").await;
        nothing(&world, "scope.needs-elevation").await;
        let opens = i64::from(60 - now.minute()) * 60 - i64::from(now.second());
        world.advance(opens).await;
        let it = id(&asked(&world, "olga", &wish("1h")).await);
        approved(&world, &it, "sven").await;
        token(&exchange(&world, "orders:write").await);
        world.advance(3600 - 60).await;
        let closes = (world.clock.seconds() / 3600 + 1) * 3600;
        assert!(claims(&token(&exchange(&world, "orders:write").await))["exp"].as_i64() <= Some(closes));
    }
}

/// E-24: at once, for an hour at most, loud, and looked at; where nobody looks, nothing more is issued.
#[tokio::test]
async fn e_24_break_glass_starts_at_once_and_must_be_looked_at() {
    let world = World::start().await;
    let record = with_elevation(
        &world,
        "{scope: orders:write, api: orders-api, max: 4h, approvers: {role: security, count: 2}, breakGlass: true}",
    );
    world.onboard(&record).await;
    let mut body = wish("2h");
    body["breakGlass"] = true.into();
    refused(&world.admin_post("/v1/elevations", "olga", &body).await, 422, "elevation.too-long");
    let mut own = own_wish("1h");
    own["breakGlass"] = true.into();
    refused(&ask_as_workload(&world, &world.assertion("production"), &own).await, 422, "elevation.no-break-glass");
    body["duration"] = "1h".into();
    let running = asked(&world, "olga", &body).await;
    assert_eq!((&running["state"], &running["unreviewed"]), (&json!("active"), &json!(true)));
    let elevated = token(&exchange(&world, "orders:write").await);
    refused(&world.admin_post("/v1/elevations", "olga", &body).await, 422, "elevation.no-break-glass");
    let waits = world.admin_get("/v1/elevations?state=unreviewed", "sven").await;
    assert_eq!(waits["items"][0]["id"], running["id"]);
    // A look that finds it wrong ends it at once.
    refused(&review(&world, &id(&running), "olga", "approve", &json!({})).await, 409, "approval.own-request");
    let wrong = review(&world, &id(&running), "sven", "deny", &json!({})).await;
    assert_eq!((wrong.status, &wrong.json()["state"]), (200, &json!("ended")), "{}", wrong.text());
    assert_eq!(world.introspect("production", &elevated).await.json(), json!({"active": false}));
    nothing(&world, "scope.needs-elevation").await;
    // One that nobody looks at stops the integration; looked at, it may be resumed.
    let second = id(&asked(&world, "olga", &body).await);
    world.advance(3600).await;
    assert_eq!(look(&world, &second).await["state"], "ended");
    world.advance(23 * 3600 - 10).await;
    token(&exchange(&world, "orders:read").await);
    world.advance(10).await;
    let answer = exchange(&world, "orders:read").await;
    let reason = answer.json()["reason"].clone();
    assert!(
        answer.status == 400 && (reason == "elevation.unreviewed" || reason == "integration.suspended"),
        "{}",
        answer.text()
    );
    let begun = Instant::now();
    loop {
        let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
        if shown["suspensions"].as_array().is_some_and(|all| !all.is_empty()) {
            assert_eq!((&shown["state"], &shown["suspensions"][0]["by"]), (&json!("active"), &json!("broker")), "{shown}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{shown}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(review(&world, &second, "sven", "approve", &json!({})).await.status, 200);
    let resume = world.admin_post("/v1/integrations/globex/order-sync/resume", "sven", &json!({"reason": "looked at"})).await;
    assert!(resume.status < 300, "{}", resume.text());
    for approval in world.admin_get("/v1/approvals?state=pending&kind=resume", "sara").await["items"].as_array().expect("items")
    {
        let body = json!({"verdict": "approve", "reason": "yes", "version": approval["version"]});
        let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
        assert!(world.admin_post(&path, "sara", &body).await.status < 300);
    }
    token(&exchange(&world, "orders:read").await);
}

/// A record that asks for bound tokens asks for the key here as well; the nonce is told with the first answer (RFC 9449 section 8).
#[tokio::test]
async fn a_workload_whose_tokens_are_bound_shows_its_key_when_it_asks() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    world.onboard(&usual.replacen("    elevation:\n", "    require: bound\n    elevation:\n", 1)).await;
    let holder = crate::possession::Holder::new();
    let ask = async |proof: Option<String>| {
        let bearer = format!("Bearer {}", world.assertion("production"));
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(proof.as_deref().map(|proof| ("dpop", proof)));
        send(world.public, "POST", "/production/elevations", &headers, own_wish("30m").to_string().as_bytes()).await
    };
    refused(&ask(None).await, 403, "proof.unbound");
    let claims = |nonce: Option<&str>, path: &str| {
        let mut claims = json!({
            "jti": format!("p-{path}-{}", nonce.is_some()), "htm": "POST", "htu": format!("{}{path}", world.issuer("production")),
            "iat": world.clock.seconds(),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        claims
    };
    let first = ask(Some(holder.sign(&holder.header(), &claims(None, "/elevations")))).await;
    assert_eq!(first.status, 403, "{}", first.text());
    let nonce = first.header("dpop-nonce").expect("a nonce").to_owned();
    let elsewhere = ask(Some(holder.sign(&holder.header(), &claims(Some(&nonce), "/token")))).await;
    assert_eq!(elsewhere.status, 403, "{}", elsewhere.text());
    assert_eq!(world.admin_get("/v1/elevations", "alan").await["items"], json!([]));
    let proof = holder.sign(&holder.header(), &claims(Some(&nonce), "/elevations"));
    assert_eq!(ask(Some(proof.clone())).await.status, 202);
    assert_eq!(ask(Some(proof)).await.status, 403, "a proof is used once");
}

/// An API that takes signed approvals alone gives nothing while nobody can sign: neither asked for later, nor approved before.
#[tokio::test]
async fn what_needs_a_signature_is_not_given_without_one() {
    let world = World::start().await;
    let it = id(&asked(&world, "olga", &wish("1h")).await);
    approved(&world, &it, "sven").await;
    token(&exchange(&world, "orders:write").await);
    let usual = records::usual(&world.partner.issuer);
    world.onboard(&usual.replacen("owner: team:orders\n", "owner: team:orders\napproval: signed\n", 1)).await;
    nothing(&world, "scope.needs-elevation").await;
    refused(&world.admin_post("/v1/elevations", "olga", &wish("30m")).await, 422, "elevation.signature-missing");
}

/// Whatever became of the record meanwhile, what began without anybody can be looked at: else its integration would be stopped for good.
#[tokio::test]
async fn e_24_a_record_that_changed_keeps_nobody_from_looking() {
    let world = World::start().await;
    let allowing = "{scope: orders:write, api: orders-api, max: 1h, approvers: {role: owner, count: 1}, breakGlass: true}";
    world.onboard(&with_elevation(&world, allowing)).await;
    let mut body = wish("30m");
    body["breakGlass"] = true.into();
    let running = id(&asked(&world, "olga", &body).await);
    let gone = records::usual(&world.partner.issuer).split("    elevation:\n").next().expect("a record").to_owned();
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", gone))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    nothing(&world, "scope.not-contracted").await;
    let looked_at = review(&world, &running, "sven", "approve", &json!({})).await;
    assert_eq!((looked_at.status, &looked_at.json()["unreviewed"]), (200, &json!(false)), "{}", looked_at.text());
    world.advance(25 * 3600).await;
    token(&exchange(&world, "orders:read").await);
}
