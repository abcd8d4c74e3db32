//! Who approves an elevation, how many may wait, and what is stopped is given nothing more.

use serde_json::{Value, json};

use crate::elevation::{
    approved, ask_as_workload, asked, exchange, id, own_wish, refused, review, token, wish, with_elevation,
};
use crate::world::{Answer, World, records};

const BY_OWNER: &str = "{scope: orders:write, api: orders-api, max: 1h, approvers: {role: owner, count: 1}}";

async fn apply(world: &World, person: &str, records: &str, action: &str) {
    let answer = world.admin_send("POST", "/v1/records/apply", person, Some(("application/yaml", records.to_owned()))).await;
    let told = answer.json();
    let items = told["items"].as_array().unwrap_or_else(|| panic!("{}", answer.text()));
    let item = items.iter().find(|item| item["kind"] == "Integration").expect("an integration");
    assert_eq!(item["action"], action, "{told}");
}

/// The approvals that wait, by kind.
async fn waiting(world: &World, kind: &str) -> Vec<Value> {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&kind={kind}"), "alan").await;
    found["items"].as_array().expect("items").clone()
}

async fn vote(world: &World, approval: &Value, person: &str, verdict: &str) -> Answer {
    let body = json!({"verdict": verdict, "reason": "seen", "version": approval["version"]});
    world.admin_post(&format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id")), person, &body).await
}

async fn post(world: &World, path: &str) -> Answer {
    world.admin_post(path, "sven", &json!({"reason": "incident"})).await
}

/// Resumes as `sven` and `sara`.
async fn resume(world: &World, path: &str) {
    let answer = post(world, &format!("{path}/resume")).await;
    assert!(answer.status < 300, "{}", answer.text());
    let waiting = waiting(world, "resume").await;
    let answer = vote(world, &waiting[0], "sara", "approve").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// S-5: everybody who applied a version since the scope last widened is barred, versions that waited included; an edit by somebody else
/// clears nobody, and a widening by somebody else does.
#[tokio::test]
async fn an_edit_by_somebody_else_clears_nobody() {
    let world = World::start().await;
    world.onboard(&with_elevation(&world, BY_OWNER)).await;
    // ann made it eligible; olga narrows something else.
    let edited = with_elevation(&world, BY_OWNER).replacen("    elevation:\n", "    limits: {ttl: 4m}\n    elevation:\n", 1);
    apply(&world, "olga", &edited, "narrow").await;
    let it = id(&asked(&world, "sara", &wish("30m")).await);
    for person in ["ann", "olga"] {
        refused(&review(&world, &it, person, "approve", &json!({})).await, 409, "approval.own-request");
    }
    // sven's version widens it: from now on it is his and not theirs.
    let wider = edited.replacen("max: 1h", "max: 2h", 1);
    apply(&world, "sven", &wider, "hold").await;
    for (person, waiting) in [("olga", &waiting(&world, "change").await), ("sara", &waiting(&world, "change").await)] {
        assert_eq!(vote(&world, &waiting[0], person, "approve").await.status, 200);
    }
    let it = id(&asked(&world, "sara", &wish("2h")).await);
    // To approve the version bars nobody.
    assert_eq!(approved(&world, &it, "olga").await["state"], "active");
    let it = id(&asked(&world, "sara", &wish("1h")).await);
    // A version that waits counts as well, also when it came after the request.
    apply(&world, "ann", &wider.replacen("max: 2h", "max: 3h", 1), "hold").await;
    refused(&review(&world, &it, "ann", "approve", &json!({})).await, 409, "approval.own-request");
}

/// S-5: who wrote the draft that somebody else applied again is barred.
#[tokio::test]
async fn who_wrote_the_draft_is_barred() {
    let world = World::start().await;
    let draft = with_elevation(&world, BY_OWNER).replace("name: order-sync", "name: second").replace("456789", "77");
    apply(&world, "olga", &draft, "draft").await;
    apply(&world, "ann", &draft.replace("MSA-1", "MSA-2"), "draft").await;
    let submit = world.admin_post("/v1/integrations/globex/second/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(submit.status < 300, "{}", submit.text());
    let approvals = waiting(&world, "integration").await;
    // For the integration itself olga may speak: the version is ann's.
    for person in ["olga", "sven"] {
        assert_eq!(vote(&world, &approvals[0], person, "approve").await.status, 200, "{person}");
    }
    let mut body = wish("30m");
    body["integration"] = "globex/second".into();
    let it = id(&asked(&world, "sara", &body).await);
    refused(&review(&world, &it, "olga", "approve", &json!({})).await, 409, "approval.own-request");
}

/// S-14: what is stopped is given nothing more, by any approval; to deny, to look, to resume a partner and to lift stay possible.
#[tokio::test]
async fn what_is_stopped_is_given_nothing_more() {
    let world = World::start().await;
    world.onboard(&crate::certificates::with_certificates(&world.partner.issuer)).await;
    let (first, second) = (id(&asked(&world, "olga", &wish("30m")).await), id(&asked(&world, "olga", &wish("20m")).await));
    let wider = crate::certificates::with_certificates(&world.partner.issuer).replacen("max: 1h", "max: 2h", 1);
    apply(&world, "ann", &wider, "hold").await;
    let enrolment = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    assert_eq!(world.admin_post("/v1/enrolments", "ann", &enrolment).await.status, 201);
    let draft = records::integration(&world.partner.issuer, "second", "77");
    apply(&world, "ann", &draft, "draft").await;
    assert!(world.admin_post("/v1/integrations/globex/second/submit", "ann", &json!({"reason": "x"})).await.status < 300);

    let (partner, integration) = ("/v1/partners/globex", "/v1/integrations/globex/order-sync");
    for path in [integration, partner] {
        assert!(post(&world, &format!("{path}/suspend")).await.status < 300);
    }
    refused(&review(&world, &first, "sara", "approve", &json!({})).await, 409, "partner.suspended");
    refused(&world.admin_post("/v1/elevations", "olga", &wish("30m")).await, 409, "partner.suspended");
    refused(&world.admin_post("/v1/enrolments", "ann", &enrolment).await, 409, "partner.suspended");
    refused(&post(&world, &format!("{integration}/resume")).await, 409, "partner.suspended");
    for (kind, person) in [("change", "olga"), ("enrolment", "sara"), ("integration", "olga")] {
        let waiting = waiting(&world, kind).await;
        refused(&vote(&world, &waiting[0], person, "approve").await, 409, "partner.suspended");
    }
    assert_eq!(review(&world, &second, "sara", "deny", &json!({})).await.status, 200, "the safe word is always possible");
    // The partner first, then the integration.
    resume(&world, partner).await;
    refused(&review(&world, &first, "sara", "approve", &json!({})).await, 409, "integration.suspended");
    for (kind, person) in [("change", "olga"), ("enrolment", "sara")] {
        let waiting = waiting(&world, kind).await;
        refused(&vote(&world, &waiting[0], person, "approve").await, 409, "integration.suspended");
    }
    resume(&world, integration).await;

    // An environment and a binding that are revoked.
    let all = ["environment", "environment", "integration", "partner", "binding", "issuer", "api"];
    let names = [
        "production",
        "globex/order-sync/production",
        "globex/order-sync",
        "globex",
        "globex/order-sync/production/ci-main",
        world.partner.issuer.as_str(),
        "orders-api",
    ];
    for (kind, name) in all.into_iter().zip(names) {
        let revoked = world.admin_post("/v1/revocations", "sven", &json!({kind: name, "reason": "x"})).await;
        assert_eq!(revoked.status, 201, "{}", revoked.text());
        let data_centre = json!({"binding": "globex/order-sync/production/data-centre", "reason": "x"});
        let other = world.admin_post("/v1/revocations", "sven", &data_centre).await;
        refused(&review(&world, &first, "sara", "approve", &json!({})).await, 409, "trust.revoked");
        refused(&world.admin_post("/v1/elevations", "olga", &wish("30m")).await, 409, "trust.revoked");
        for one in [revoked, other] {
            let lift = post(&world, &format!("/v1/revocations/{}/lift", one.json()["id"].as_str().expect("an id"))).await;
            assert_eq!(lift.status, 202, "{}", lift.text());
            let waiting = waiting(&world, "lift").await;
            assert_eq!(vote(&world, &waiting[0], "sara", "approve").await.status, 200);
        }
    }
    assert_eq!(approved(&world, &first, "sara").await["state"], "active");
    let change = waiting(&world, "change").await;
    for person in ["olga", "sara"] {
        assert_eq!(vote(&world, &change[0], person, "approve").await.status, 200);
    }
    token(&exchange(&world, "orders:write").await);
}

/// S-14: a resume that was asked for before the partner was suspended, and a binding that a workload asked through.
#[tokio::test]
async fn a_stop_that_comes_after_the_request_counts() {
    let world = World::start().await;
    let answer = ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let it = id(&answer.json());
    let binding = json!({"binding": "globex/order-sync/production/ci-main", "reason": "x"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &binding).await.status, 201);
    refused(&review(&world, &it, "sara", "approve", &json!({})).await, 409, "trust.revoked");
    assert_eq!(review(&world, &it, "sara", "deny", &json!({})).await.status, 200);

    assert!(post(&world, "/v1/integrations/globex/order-sync/suspend").await.status < 300);
    assert!(post(&world, "/v1/integrations/globex/order-sync/resume").await.status < 300);
    assert!(post(&world, "/v1/partners/globex/suspend").await.status < 300);
    let waiting = waiting(&world, "resume").await;
    refused(&vote(&world, &waiting[0], "sara", "approve").await, 409, "partner.suspended");
}

/// S-10: a workload that asks again and again keeps no person from asking, nor from breaking the glass; nor does one person another.
#[tokio::test]
async fn each_requester_has_a_limit_of_their_own() {
    let world = World::start().await;
    let record = with_elevation(
        &world,
        "{scope: orders:write, api: orders-api, max: 4h, approvers: {role: security, count: 2}, breakGlass: true}",
    );
    world.onboard(&record).await;
    let workload = async || ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await;
    for _ in 0..20 {
        assert_eq!(workload().await.status, 202);
    }
    refused(&workload().await, 422, "elevation.too-many");
    for _ in 0..20 {
        asked(&world, "sara", &wish("30m")).await;
    }
    refused(&world.admin_post("/v1/elevations", "sara", &wish("30m")).await, 422, "elevation.too-many");
    asked(&world, "olga", &wish("30m")).await;
    let mut glass = wish("1h");
    glass["breakGlass"] = true.into();
    assert_eq!(asked(&world, "sara", &glass).await["state"], "active");
    token(&exchange(&world, "orders:write").await);
    // Each person has one that nobody has looked at, in each place: nobody keeps anybody from the glass.
    refused(&world.admin_post("/v1/elevations", "sara", &glass).await, 422, "elevation.no-break-glass");
    assert_eq!(asked(&world, "olga", &glass).await["state"], "active");
    refused(&world.admin_post("/v1/elevations", "olga", &glass).await, 422, "elevation.no-break-glass");
}

/// S-10: an elevation that was broken open in the sandbox keeps nobody from production, not even the same person.
#[tokio::test]
async fn the_glass_of_one_environment_is_not_that_of_another() {
    let world = World::start().await;
    let rule = "{scope: orders:write, api: orders-api, max: 1h, approvers: {role: security, count: 1}, breakGlass: true}";
    let record = with_elevation(&world, rule).replacen(
        "    scopes: {orders-api: [orders:read, orders:write]}\n",
        &format!("    scopes: {{orders-api: [orders:read]}}\n    elevation:\n      - {rule}\n"),
        1,
    );
    world.onboard(&record).await;
    let glass = |environment: &str| {
        let mut glass = wish("1h");
        glass["breakGlass"] = true.into();
        glass["environments"] = json!([environment]);
        glass
    };
    assert_eq!(asked(&world, "olga", &glass("sandbox")).await["state"], "active");
    refused(&world.admin_post("/v1/elevations", "olga", &glass("sandbox")).await, 422, "elevation.no-break-glass");
    assert_eq!(asked(&world, "olga", &glass("production")).await["state"], "active");
    token(&exchange(&world, "orders:write").await);
}

async fn revoked(world: &World, kind: &str, name: &str) -> String {
    let answer = world.admin_post("/v1/revocations", "sven", &json!({kind: name, "reason": "x"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

async fn lifted(world: &World, revocation: &str) {
    let lift = post(world, &format!("/v1/revocations/{revocation}/lift")).await;
    assert_eq!(lift.status, 202, "{}", lift.text());
    let waiting = waiting(world, "lift").await;
    assert_eq!(vote(world, &waiting[0], "sara", "approve").await.status, 200);
}

/// S-14: a workload cannot ask for an elevation at an API or in an environment that is revoked, and can once that is lifted.
#[tokio::test]
async fn s_14_a_workload_asks_for_nothing_at_what_is_revoked() {
    let world = World::start().await;
    let ask = async || ask_as_workload(&world, &world.assertion("production"), &own_wish("30m")).await;
    for (kind, name) in [("api", "orders-api"), ("environment", "production")] {
        let it = revoked(&world, kind, name).await;
        let before = world.admin_get("/v1/elevations", "alan").await["items"].clone();
        refused(&ask().await, 403, "trust.revoked");
        assert_eq!(world.admin_get("/v1/elevations", "alan").await["items"], before, "{kind}");
        lifted(&world, &it).await;
        assert_eq!(ask().await.status, 202, "{kind}");
    }
}

/// S-14: a version that gives more to what is revoked, whichever of its parts that is, is not approved; one that gives nothing to it is.
#[tokio::test]
async fn a_version_gives_nothing_to_what_is_revoked() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let binding = |name: &str, more: &str| {
        format!(
            "      - name: {name}\n        oidc: {{issuer: \"{}\", match: {{sub: {{prefix: \"repo:\"}}, repository_id: \"456789\", repository_owner_id: \"998877\"{more}}}, owner: [repository_owner_id]}}\n",
            world.partner.issuer
        )
    };
    let production = |binding: &str| {
        usual.replacen("    scopes:\n      orders-api:\n", &format!("{binding}    scopes:\n      orders-api:\n"), 1)
    };
    let scope = "    scopes: {orders-api: [orders:read, orders:write]}";
    let third = usual.replacen(scope, "    scopes: {orders-api: [orders:read, orders:write, orders:list]}", 1);
    let caller = |environment: &str| {
        let line = format!("  {environment}: [");
        let added = format!(
            "{line}{{name: second, oidc: {{issuer: \"{}\", match: {{sub: \"x:second\"}}, owner: [sub]}}}}, ",
            world.partner.issuer
        );
        usual.replacen(&line, &added, 1)
    };
    let meaning = usual.replacen("meaning: List orders", "meaning: List all orders", 1);
    let (issuer, main) = (world.partner.issuer.as_str(), "globex/order-sync/production/ci-main");
    let rows = [
        ("issuer", issuer, production(&binding("ci-dev", ", ref: refs/heads/dev")), "change"),
        ("issuer", issuer, caller("production"), "api"),
        ("binding", main, production(&binding("ci-two", ", ref: refs/heads/main")), "change"),
        ("api", "orders-api", third.clone(), "change"),
        ("api", "orders-api", meaning.clone(), "api"),
        ("environment", "production", caller("production"), "api"),
        (
            "binding",
            "api/orders-api/production/gateway",
            caller("production").replace("x:second", "system:serviceaccount:orders:api"),
            "api",
        ),
    ];
    let apply_any = async |records: &str| {
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for (kind, name, version, approval) in &rows {
        let it = revoked(&world, kind, name).await;
        apply_any(version).await;
        let found = waiting(&world, approval).await;
        assert_eq!(found.len(), 1, "{kind} {name}: {found:?}");
        for person in ["olga", "sara"] {
            refused(&vote(&world, &found[0], person, "approve").await, 409, "trust.revoked");
        }
        lifted(&world, &it).await;
        // Taken back, so that the next one stands alone.
        apply_any(&usual).await;
        assert!(waiting(&world, approval).await.is_empty(), "{kind} {name}");
    }
    // Elsewhere more can be given while something is revoked.
    let it = revoked(&world, "binding", main).await;
    for (version, approval) in [(&third, "change"), (&caller("sandbox"), "api")] {
        apply_any(version).await;
        let found = waiting(&world, approval).await;
        assert_eq!(vote(&world, &found[0], "olga", "approve").await.status, 200);
    }
    lifted(&world, &it).await;
}

/// S-14: a version that was approved, and waits for something else, does not come into force behind a stop that came meanwhile.
#[tokio::test]
async fn an_approved_version_waits_behind_a_stop() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let (api, _) = usual.trim_start().split_once("---\n").expect("records");
    let other = api.replace("orders-api", "returns-api").replace("orders.", "returns.").replace("orders:api", "returns:api");
    let second = records::integration(&world.partner.issuer, "second", "77").replace("orders-api", "returns-api");
    let answer =
        world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", format!("{other}---\n{second}")))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let submit = world.admin_post("/v1/integrations/globex/second/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(submit.status < 300, "{}", submit.text());
    let integration = waiting(&world, "integration").await;
    for person in ["olga", "sven"] {
        assert_eq!(vote(&world, &integration[0], person, "approve").await.status, 200, "{person}");
    }
    let state = async || world.admin_get("/v1/integrations/globex/second", "alan").await["state"].clone();
    assert_eq!(state().await, "submitted", "its API is not in force yet");
    let it = revoked(&world, "environment", "globex/second/production").await;
    let api = waiting(&world, "api").await;
    assert_eq!(vote(&world, &api[0], "olga", "approve").await.status, 200);
    assert_eq!(vote(&world, &api[0], "sara", "approve").await.status, 200);
    assert_eq!(state().await, "submitted", "what it would give is stopped");
    lifted(&world, &it).await;
    assert_eq!(state().await, "active");
}
