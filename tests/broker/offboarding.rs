//! Offboarding: what ends with its first entry, who says what, what is tried, who signs it off, and what stays.

mod retention;
mod statuses;

use serde_json::{Value, json};

use crate::certificates::{self, enrolled};
use crate::cli::program::Program;
use crate::elevation::{ask_as_workload, own_wish, refused, wish};
use crate::world::days::{CONTRACT_ENDS, Day};
use crate::world::{Answer, World, get, records, send};

pub const INTEGRATION: &str = "/v1/integrations/globex/order-sync";
const DAY: i64 = 86_400;

pub async fn start(world: &World, path: &str, person: &str, confirm: &str) -> Answer {
    world.admin_post(&format!("{path}/offboard"), person, &json!({"reason": "the contract is over", "confirm": confirm})).await
}

/// Starts the offboarding of the usual integration as `sven`. Returns its id.
pub async fn started(world: &World) -> String {
    let answer = start(world, INTEGRATION, "sven", "globex/order-sync").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

pub async fn case(world: &World, id: &str) -> Value {
    world.admin_get(&format!("/v1/offboardings/{id}"), "alan").await
}

/// The case once `holds`: what it does by itself comes soon after what sets it going.
pub async fn once(world: &World, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let seen = case(world, id).await;
        if holds(&seen) {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{what}: {:#}", case(world, id).await);
}

fn step<'c>(case: &'c Value, name: &str) -> &'c Value {
    let mut steps = case["steps"].as_array().expect("steps").iter();
    steps.find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}"))
}

pub fn is_done(case: &Value, name: &str) -> bool {
    step(case, name)["state"] == "done"
}

fn waits_for(case: &Value) -> Vec<String> {
    let waiting = case["dependencies"].as_array().expect("dependencies").iter().filter(|one| one["state"] == "waiting");
    waiting
        .map(|one| format!("{}/{}", one["api"].as_str().expect("an API"), one["environment"].as_str().expect("one")))
        .collect()
}

async fn told(world: &World, environment: &str) -> String {
    let before = world.issued().await;
    let answer = world.exchange(environment, &world.assertion(environment), "orders:read").await;
    if answer.status == 200 {
        return "granted".to_owned();
    }
    assert_eq!((answer.status, world.issued().await), (400, before), "nothing is minted");
    answer.json()["reason"].as_str().expect("a reason").to_owned()
}

async fn as_api(world: &World, environment: &str, method: &str, path: &str, proof: Option<&str>, body: &Value) -> Answer {
    let bearer = proof.map(|proof| format!("Bearer {proof}"));
    let mut headers = Vec::new();
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = if method == "GET" { String::new() } else { body.to_string() };
    if method != "GET" {
        headers.push(("content-type", "application/json"));
    }
    send(world.public, method, &format!("/{environment}{path}"), &headers, body.as_bytes()).await
}

/// The word of the API's workload in an environment.
pub async fn acknowledge(world: &World, id: &str, environment: &str) -> Answer {
    let body = json!({"removed": ["the line globex of the allow list"], "evidence": "CHG-17"});
    let path = format!("/offboardings/{id}/acknowledgements");
    as_api(world, environment, "POST", &path, Some(&world.api_proof(environment)), &body).await
}

/// The approvals of a kind that wait.
async fn waiting(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&kind={kind}"), "alan").await;
    found["items"].as_array().expect("items").clone()
}

async fn vote(world: &World, approval: &Value, person: &str) -> Answer {
    let body = json!({"verdict": "approve", "reason": "seen", "version": approval["version"]});
    world.admin_post(&format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id")), person, &body).await
}

/// Has `olga` and `sara` sign the case off, and waits until it is closed.
pub async fn sign_off(world: &World, id: &str) -> Value {
    once(world, id, "it is ready", |case| case["state"] == "ready" && !case["signOff"].is_null()).await;
    let waits = waiting(world, "offboarding").await;
    for person in ["olga", "sara"] {
        let answer = vote(world, &waits[0], person).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    once(world, id, "it is closed", |case| case["state"] == "closed").await
}

/// Only a person of security starts one, with the name once more, and what was never active cannot be offboarded.
#[tokio::test]
async fn an_offboarding_is_started_by_security_with_a_recent_sign_in() {
    let world = World::start().await;
    for person in ["ann", "adam", "alan"] {
        refused(&start(&world, INTEGRATION, person, "globex/order-sync").await, 403, "staff.role");
    }
    for confirm in ["", "globex", "globex/Order-sync"] {
        let answer = start(&world, INTEGRATION, "sven", confirm).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["at"]), (422, &json!("confirm")), "{}", answer.text());
    }
    assert_eq!(start(&world, "/v1/integrations/globex/nobody", "sven", "globex/nobody").await.status, 404);
    let draft = records::integration(&world.partner.issuer, "second", "1");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", draft))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    assert_eq!(start(&world, "/v1/integrations/globex/second", "sven", "globex/second").await.status, 409);
    assert_eq!(told(&world, "production").await, "granted");
    started(&world).await;
    refused(&start(&world, INTEGRATION, "sara", "globex/order-sync").await, 409, "integration.offboarding");
    refused(&start(&world, "/v1/partners/globex", "sara", "globex").await, 409, "lifecycle.state");
}

/// With the first entry nothing is to be had any more, in any environment, and what was had is cut; whatever waited is void.
#[tokio::test(flavor = "multi_thread")]
async fn p_18_an_offboarding_ends_everything_with_its_first_entry() {
    let world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    let tokens = [world.minted().await, world.minted().await];
    let asked = world.admin_post("/v1/elevations", "ann", &wish("30m")).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let enrolment = json!({"integration": "globex/order-sync", "environment": "production", "reason": "new"});
    assert_eq!(world.admin_post("/v1/enrolments", "ann", &enrolment).await.status, 201);
    let id = started(&world).await;

    for environment in ["production", "sandbox"] {
        assert_eq!(told(&world, environment).await, "integration.offboarding");
    }
    for token in &tokens {
        assert_eq!(world.introspect("production", token).await.json(), json!({"active": false}));
    }
    assert_eq!(waiting(&world, "enrolment").await, Vec::<Value>::new(), "void");
    let elevations = world.admin_get("/v1/elevations", "alan").await;
    assert_eq!(elevations["items"][0]["state"], "withdrawn", "{elevations}");
    refused(&world.admin_post("/v1/elevations", "ann", &wish("30m")).await, 409, "integration.offboarding");
    refused(&ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await, 403, "integration.offboarding");
    refused(&world.admin_post("/v1/enrolments", "ann", &enrolment).await, 409, "integration.offboarding");
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 403);
    let applied = world
        .admin_send(
            "POST",
            "/v1/records/apply",
            "ann",
            Some((
                "application/yaml",
                certificates::with_certificates(&world.partner.issuer).replace("Copies orders.", "Copies them."),
            )),
        )
        .await;
    refused(&applied, 409, "integration.offboarding");
    let shown = world.admin_get(INTEGRATION, "alan").await;
    assert_eq!(shown["state"], "offboarding");
    let effective = &shown["effective"]["production"]["causes"][0];
    assert_eq!((&effective["reason"], &effective["liftedBy"]["action"]), (&json!("integration.offboarding"), &json!("abort")));
    let seen = once(&world, &id, "the log is read", |case| !case["dependencies"].as_array().expect("a list").is_empty()).await;
    for name in ["frozen", "elevations-ended", "tokens-cut", "certificates-revoked", "exceptions-closed"] {
        assert!(is_done(&seen, name), "{name}: {seen:#}");
    }
    assert_eq!(waits_for(&seen), ["orders-api/production"], "no token was issued for the sandbox");
}

/// Each API acknowledges for itself: with its own proof, in its own environment, and nobody in its place but an owner with evidence.
#[tokio::test]
async fn an_api_acknowledges_for_itself_alone() {
    let world = World::start().await;
    world.minted().await;
    assert_eq!(told(&world, "sandbox").await, "granted");
    let id = started(&world).await;
    let both = once(&world, &id, "the log is read", |case| waits_for(case).len() == 2).await;
    assert_eq!(waits_for(&both), ["orders-api/production", "orders-api/sandbox"]);

    let listed = as_api(&world, "production", "GET", "/offboardings", Some(&world.api_proof("production")), &json!({})).await;
    assert_eq!((listed.status, &listed.json()["items"][0]["id"]), (200, &json!(id)), "{}", listed.text());
    assert_eq!(listed.json()["items"][0]["state"], "waiting");
    let body = json!({"removed": ["a line"]});
    let path = format!("/offboardings/{id}/acknowledgements");
    for (proof, status) in [
        (None, 401),
        (Some("nonsense".to_owned()), 401),
        // A proof that is made for another environment.
        (Some(world.api_proof("sandbox")), 403),
        // The integration itself is no API.
        (Some(world.assertion("production")), 403),
    ] {
        let answer = as_api(&world, "production", "POST", &path, proof.as_deref(), &body).await;
        assert_eq!(answer.status, status, "{proof:?}: {}", answer.text());
    }
    let other = as_api(
        &world,
        "production",
        "POST",
        "/offboardings/nothing/acknowledgements",
        Some(&world.api_proof("production")),
        &body,
    )
    .await;
    refused(&other, 403, "offboarding.not-yours");
    assert_eq!(waits_for(&case(&world, &id).await).len(), 2, "nothing changed");

    assert_eq!(acknowledge(&world, &id, "sandbox").await.status, 201);
    assert_eq!(waits_for(&case(&world, &id).await), ["orders-api/production"]);

    let word = json!({"api": "orders-api", "environment": "production", "removed": [], "evidence": "CHG-18"});
    let path = format!("/v1/offboardings/{id}/acknowledgements");
    for person in ["sven", "alan", "adam"] {
        refused(&world.admin_post(&path, person, &word).await, 403, "staff.role");
    }
    let mut without = word.clone();
    without["evidence"] = json!(" ");
    assert_eq!(world.admin_post(&path, "olga", &without).await.status, 422);
    let mut elsewhere = word.clone();
    elsewhere["environment"] = json!("staging");
    assert_eq!(world.admin_post(&path, "olga", &elsewhere).await.status, 422);
    assert_eq!(world.admin_post(&path, "olga", &word).await.status, 201);
    let seen = case(&world, &id).await;
    let words: Vec<&Value> = seen["dependencies"].as_array().expect("a list").iter().map(|one| &one["by"]).collect();
    assert_eq!((&words[0]["id"], &words[1]["api"]), (&json!("olga"), &json!("orders-api")), "{seen:#}");
}

/// A whole case: it is open until the last API has spoken and the last token is over, is signed off by two people who had no hand in it,
/// and its dossier is the same whenever somebody asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_closed_when_everything_is_over_and_two_people_say_so() {
    let mut world = World::start().await;
    world.minted().await;
    let registered =
        json!({"integration": "globex/order-sync", "api": "orders-api", "environment": "sandbox", "what": "a test account"});
    assert_eq!(world.admin_post("/v1/dependencies", "ann", &registered).await.status, 201);
    let id = started(&world).await;
    once(&world, &id, "the log is read", |case| waits_for(case).len() == 2).await;
    assert_eq!(acknowledge(&world, &id, "production").await.status, 201);
    let seen = case(&world, &id).await;
    assert!(!is_done(&seen, "tests-passed") && seen["state"] == "open", "{seen:#}");
    let dossier = format!("/v1/offboardings/{id}/dossier");
    assert_eq!(world.admin_send("GET", &dossier, "alan", None).await.status, 409, "not before it is closed");

    let word = json!({"api": "orders-api", "environment": "sandbox", "removed": ["the account"], "evidence": "CHG-18"});
    assert_eq!(world.admin_post(&format!("/v1/offboardings/{id}/acknowledgements"), "otto", &word).await.status, 201);
    let seen = once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    let tests = seen["tests"].as_array().expect("tests");
    let tried = |name: &str| -> u64 {
        tests.iter().filter(|one| one["name"] == name).map(|one| one["tried"].as_u64().expect("a number")).sum()
    };
    assert_eq!((tried("exchange"), tried("tokens")), (2, 1), "{seen:#}");
    assert!(!is_done(&seen, "lives-over") && seen["state"] == "open");
    world.advance(3600).await;
    let ready = once(&world, &id, "it is ready", |case| case["state"] == "ready").await;
    assert!(is_done(&ready, "tests-passed-again") && is_done(&ready, "lives-over"), "{ready:#}");
    once(&world, &id, "people are asked", |case| !case["signOff"].is_null()).await;

    let waits = waiting(&world, "offboarding").await;
    assert_eq!(
        (waits.len(), &waits[0]["subject"], &waits[0]["slots"]),
        (1, &json!("globex/order-sync"), &json!(["owner", "security"]))
    );
    // Who started it, and who spoke in the place of an API, decide nothing.
    for person in ["sven", "otto"] {
        refused(&vote(&world, &waits[0], person).await, 409, "approval.own-request");
    }
    let closed = sign_off(&world, &id).await;
    assert!(closed["manifest"].is_string() && is_done(&closed, "signed-off") && is_done(&closed, "closed"), "{closed:#}");
    assert_eq!(told(&world, "production").await, "integration.ended");
    assert_eq!(world.admin_get(INTEGRATION, "alan").await["state"], "ended");
    refused(
        &world.admin_post(&format!("/v1/offboardings/{id}/abort"), "ann", &json!({"reason": "no"})).await,
        409,
        "lifecycle.state",
    );
    refused(&start(&world, INTEGRATION, "sara", "globex/order-sync").await, 409, "integration.ended");
    let again = records::integration(&world.partner.issuer, "order-sync", "456789").replace("Copies orders.", "Copies more.");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", again))).await;
    refused(&applied, 409, "integration.ended");

    let first = world.admin_send("GET", &dossier, "alan", None).await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/zip")), "{}", first.text());
    assert_eq!(first.body, world.admin_send("GET", &dossier, "sara", None).await.body, "the same bytes");
    world.stop().await;
    world.boot().await;
    assert_eq!(first.body, world.admin_send("GET", &dossier, "alan", None).await.body, "also later, after a restart");
    let without = world.admin_send("GET", &format!("{dossier}?for=partner"), "alan", None).await;
    assert_eq!(without.status, 200);
    let has = |body: &[u8], word: &[u8]| body.windows(word.len()).any(|part| part == word);
    assert!(
        has(&first.body, b"the contract is over") && !has(&without.body, b"the contract is over"),
        "texts are left out for a partner"
    );
}

/// A case that is given up brings its subject back suspended, and what was cut stays cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_is_given_up_leaves_its_subject_suspended() {
    let world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    let token = world.minted().await;
    let id = started(&world).await;
    let path = format!("/v1/offboardings/{id}/abort");
    refused(&world.admin_post(&path, "adam", &json!({"reason": "renewed"})).await, 403, "staff.role");
    assert_eq!(world.admin_post(&path, "ann", &json!({"reason": "renewed"})).await.status, 202);
    let waits = waiting(&world, "abort").await;
    for person in ["sven", "ann"] {
        refused(&vote(&world, &waits[0], person).await, 409, "approval.own-request");
    }
    for person in ["olga", "sara"] {
        let answer = vote(&world, &waits[0], person).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    once(&world, &id, "it is given up", |case| case["state"] == "aborted").await;
    assert_eq!(told(&world, "production").await, "integration.suspended");
    let asked = world.admin_post(&format!("{INTEGRATION}/resume"), "ann", &json!({"reason": "renewed"})).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    assert_eq!(vote(&world, &asked.json(), "sara").await.status, 200);
    assert_eq!(told(&world, "production").await, "granted");
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}), "what was cut stays cut");
    assert_eq!(
        machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status,
        403,
        "its certificate too"
    );
}

/// While a case is open nothing that admits what its subject admitted comes into force, in whatever environment and under whatever name;
/// afterwards people are told whom they let in again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_offboarded_does_not_come_back_under_another_name() {
    let world = World::start().await;
    let id = started(&world).await;
    let other = records::integration(&world.partner.issuer, "other", "456789");
    for path in ["/v1/records/plan", "/v1/records/apply"] {
        let answer = world.admin_send("POST", path, "ann", Some(("application/yaml", other.clone()))).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["reason"]),
            (422, &json!("binding.offboarding")),
            "{}",
            answer.text()
        );
    }
    once(&world, &id, "nothing to wait for", |case| is_done(case, "tests-passed")).await;
    world.advance(60).await;
    sign_off(&world, &id).await;
    let plan = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", other.clone()))).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let told = plan.json()["items"][0]["differences"].to_string();
    assert!(told.contains("was globex/order-sync until"), "{told}");
    world.onboard(&other).await;
    assert_eq!(self::told(&world, "production").await, "granted", "as globex/other");
}

/// The whole partner ends with all of its integrations, and nothing new of it can be applied.
#[tokio::test(flavor = "multi_thread")]
async fn a_partner_ends_with_everything_of_it() {
    let world = World::start().await;
    let token = world.minted().await;
    let answer = start(&world, "/v1/partners/globex", "sven", "globex").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(told(&world, "production").await, "partner.offboarding");
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    let another = records::integration(&world.partner.issuer, "another", "77");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", another))).await;
    refused(&applied, 409, "partner.offboarding");
    once(&world, &id, "the log is read", |case| waits_for(case).len() == 1).await;
    assert_eq!(acknowledge(&world, &id, "production").await.status, 201);
    once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    world.advance(3600).await;
    sign_off(&world, &id).await;
    assert_eq!(told(&world, "production").await, "partner.ended");
    assert_eq!(world.admin_get("/v1/partners/globex", "alan").await["state"], "ended");
}

/// A contract that ended two weeks ago opens the case by itself, where the record says so, and security is told of whose word is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_ended_long_ago_is_offboarded_by_itself() {
    let world = World::start().await;
    world.minted().await;
    let shorter = records::integration(&world.partner.issuer, "order-sync", "456789");
    let shorter = shorter.replace(&CONTRACT_ENDS.to_string(), &Day(5).to_string());
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", shorter))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    world.advance(7 * DAY).await;
    assert_eq!(told(&world, "production").await, "contract.ended");
    world.advance(14 * DAY).await;
    let opened = || async { world.admin_get("/v1/offboardings", "alan").await["items"].clone() };
    let mut found = opened().await;
    for _ in 0..600 {
        if found.as_array().is_some_and(|items| !items.is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        found = opened().await;
    }
    assert_eq!((&found[0]["subject"], &found[0]["by"]), (&json!("globex/order-sync"), &json!("broker")), "{found:#}");
    assert_eq!(told(&world, "production").await, "integration.offboarding");
    assert_eq!(get(world.public, "/production/jwks").await.status, 200);
}

/// Three APIs in two environments, one of which never speaks: the case stays open, people are told week by week, and its word is the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_waits_for_every_api_and_people_are_told() {
    let world = World::start().await;
    world.onboard(&three(&world.partner.issuer)).await;
    for (environment, api, scope) in [
        ("production", "orders-api", "orders:read"),
        ("production", "stock-api", "stock-api:read"),
        ("sandbox", "prices-api", "prices-api:read"),
    ] {
        let resource = world.assertion(environment);
        let form = [
            ("grant_type", crate::world::TOKEN_EXCHANGE),
            ("subject_token", resource.as_str()),
            ("subject_token_type", crate::world::TYPE_JWT),
            ("audience", api),
            ("scope", scope),
        ];
        let answer = world.token(environment, &form).await;
        assert_eq!(answer.status, 200, "{api}: {}", answer.text());
    }
    let id = started(&world).await;
    let seen = once(&world, &id, "the log is read", |case| waits_for(case).len() == 3).await;
    assert_eq!(waits_for(&seen), ["orders-api/production", "prices-api/sandbox", "stock-api/production"]);
    let speaks = async |api: &str, environment: &str| {
        let mut claims = world.claims(environment);
        claims["sub"] = format!("system:serviceaccount:{api}").into();
        let proof = world.partner.sign(&claims);
        let path = format!("/offboardings/{id}/acknowledgements");
        as_api(&world, environment, "POST", &path, Some(&proof), &json!({"removed": []})).await.status
    };
    assert_eq!(acknowledge(&world, &id, "production").await.status, 201);
    assert_eq!((speaks("stock-api", "sandbox").await, speaks("prices-api", "sandbox").await), (403, 201));
    assert_eq!(waits_for(&case(&world, &id).await), ["stock-api/production"]);
    let broker = world.running.as_ref().expect("runs").broker.clone();
    let mut told = Vec::new();
    for _ in 0..6 {
        world.advance(8 * DAY).await;
        broker.settle().await.expect("settles");
        let all = world.admin_get("/v1/journal?kind=offboarding.waiting&limit=100", "alan").await;
        let newest = all["items"].as_array().expect("items").iter().map(|one| one["days"].as_u64().expect("days")).max();
        told.extend(newest);
    }
    told.dedup();
    assert_eq!(told, [7, 14, 30, 37, 44], "32, 40 and 48 days after it began");
    assert_eq!(case(&world, &id).await["state"], "open");
    assert_eq!(speaks("stock-api", "production").await, 201);
    sign_off(&world, &id).await;
}

/// The usual records with two more APIs, and the integration that calls all three.
fn three(issuer: &str) -> String {
    let api = |name: &str| {
        format!(
            "apiVersion: carnet/v1\nkind: Api\nmetadata: {{name: {name}}}\nowner: team:{name}\n\
             audience: {{sandbox: https://{name}.sandbox.example, production: https://{name}.example}}\n\
             token: {{profile: rfc9068, alg: ES256, ttl: 5m}}\nscopes:\n  \"{name}:read\": {{meaning: See it, risk: low}}\n\
             callers:\n  production: [{{name: own, oidc: {{issuer: \"{issuer}\", match: {{sub: \"system:serviceaccount:{name}\"}}, owner: [sub]}}}}]\n  \
             sandbox: [{{name: own, oidc: {{issuer: \"{issuer}\", match: {{sub: \"system:serviceaccount:{name}\"}}, owner: [sub]}}}}]\n---\n"
        )
    };
    let integration = records::integration(issuer, "order-sync", "456789")
        .replacen(
            "{orders-api: [orders:read, orders:write]}",
            "{orders-api: [orders:read, orders:write], prices-api: [\"prices-api:read\"]}",
            1,
        )
        .replacen("        - scope: orders:list\n", "        - scope: orders:list\n      stock-api: [\"stock-api:read\"]\n", 1);
    format!("{}{}{integration}", api("stock-api"), api("prices-api"))
}

/// The same by the program, and a dossier that holds wherever it is read, by our program and by a script that shares no code with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_offboards_and_its_dossier_holds_anywhere() {
    let world = World::start().await;
    world.minted().await;
    let (sven, ann, olga) = (Program::of(&world, "sven"), Program::of(&world, "ann"), Program::of(&world, "olga"));
    let dependency = ["dependency", "add", "globex/order-sync", "--api", "orders-api", "--environment", "sandbox"];
    ann.run(&[&dependency[..], &["--what", "a test account"]].concat()).await.ended(0);
    assert!(ann.run(&["dependency", "list"]).await.ended(0).stdout.contains("a test account"));
    let begin = ["offboard", "start", "globex/order-sync", "--reason", "the contract is over", "--confirm"];
    sven.run(&[&begin[..], &["globex"]].concat()).await.ended(2);
    ann.run(&[&begin[..], &["globex/order-sync"]].concat()).await.ended(3);
    let begun = sven.run(&[&begin[..], &["globex/order-sync", "-o", "json"]].concat()).await.ended(0).json();
    let id = begun["id"].as_str().expect("an id").to_owned();
    once(&world, &id, "the log is read", |case| waits_for(case).len() == 2).await;
    let shown = sven.run(&["offboard", "show", &id]).await.ended(0).stdout;
    assert!(
        shown.contains("dependencies-acknowledged") && shown.contains("orders-api in production, orders-api in sandbox"),
        "{shown}"
    );
    let listed = sven.run(&["offboard", "list"]).await.ended(0).stdout;
    assert!(listed.contains("globex/order-sync") && listed.contains("dependencies-acknowledged"), "{listed}");
    for environment in ["production", "sandbox"] {
        let word =
            ["offboard", "acknowledge", &id, "--api", "orders-api", "--environment", environment, "--evidence", "CHG-17"];
        olga.run(&[&word[..], &["--removed", "its client"]].concat()).await.ended(0);
    }
    sven.run(&["offboard", "dossier", &id]).await.ended(1);
    once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    world.advance(3600).await;
    once(&world, &id, "people are asked", |case| !case["signOff"].is_null()).await;
    // `olga` spoke in the place of the API.
    let waits = waiting(&world, "offboarding").await;
    for person in ["omar", "sara"] {
        assert_eq!(vote(&world, &waits[0], person).await.status, 200);
    }
    once(&world, &id, "it is closed", |case| case["state"] == "closed").await;

    // An hour is longer than a sign-in lasts.
    let sven = Program::of(&world, "sven");
    let key = sven.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout.trim().to_owned();
    let file = sven.home().join("globex.zip");
    let mut command = sven.command(&["offboard", "dossier", &id]);
    let made = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(&file, &made.stdout).expect("written");
    let verified = Program::alone().run(&["journal", "verify", &file.display().to_string(), "--key", &key]).await.ended(0);
    assert!(verified.stdout.contains("offboarding.closed"), "{verified:?}");
    let (ours, theirs) = crate::bundle::one(&made.stdout, &key.parse().expect("a key")).await;
    let report = ours.expect("it holds");
    assert!(report.named == report.told.expect("texts") && report.entries > 10, "{report:?}");
    assert!(theirs.starts_with("holds: "), "{theirs}");
}
