//! Revoked bindings, and what a version may take away without an approval.

use serde_json::{Value, json};

use crate::certificates;
use crate::elevation::{ask_as_workload, own_wish, refused};
use crate::world::{Answer, World, claims, records};

/// The usual records with a second binding in production, `ci-any`, that takes any branch, again and again.
fn overlapping(world: &World) -> String {
    with_binding(&records::usual(&world.partner.issuer), &any(world))
}

fn any(world: &World) -> String {
    format!(
        r#"      - name: ci-any
        oidc: {{issuer: "{}", match: {{sub: {{prefix: "repo:"}}, repository_id: "456789", repository_owner_id: "998877"}}, owner: [repository_owner_id], singleUse: false, maxAge: 30m}}
"#,
        world.partner.issuer
    )
}

fn with_binding(records: &str, binding: &str) -> String {
    records.replacen("    scopes:\n      orders-api:\n", &format!("{binding}    scopes:\n      orders-api:\n"), 1)
}

/// The records without the lines of `ci-main`.
fn without_main(records: &str) -> String {
    let (head, rest) = records.split_once("      - name: ci-main\n").expect("the binding");
    let (_, rest) = rest.split_once('\n').expect("its line");
    format!("{head}{rest}")
}

async fn apply(world: &World, person: &str, records: &str) -> Value {
    let answer = world.admin_send("POST", "/v1/records/apply", person, Some(("application/yaml", records.to_owned()))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What an apply does with the integration, and the differences that widen.
fn outcome(plan: &Value) -> (String, Vec<String>) {
    let items = plan["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["kind"] == "Integration").expect("an integration");
    let differences = item["differences"].as_array().expect("differences");
    let widens =
        differences.iter().filter(|one| one["weight"] == "WIDENS").map(|one| one["at"].as_str().expect("a place").to_owned());
    (item["action"].as_str().expect("an action").to_owned(), widens.collect())
}

/// A fresh assertion of the usual workload with these claims changed.
fn proof(world: &World, changes: &Value) -> String {
    let mut claims = world.claims("production");
    claims.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    world.partner.sign(&claims)
}

async fn read(world: &World, proof: &str) -> Answer {
    world.exchange("production", proof, "orders:read").await
}

async fn revoke(world: &World, body: &Value) -> String {
    let answer = world.admin_post("/v1/revocations", "sven", body).await;
    assert_eq!(answer.status, 201, "{body}: {}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

async fn lift(world: &World, id: &str) {
    let asked = world.admin_post(&format!("/v1/revocations/{id}/lift"), "sven", &json!({"reason": "recovered"})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    approve(world, asked.json()["approval"].as_str().expect("an approval"), "sara").await;
}

async fn approve(world: &World, approval: &str, person: &str) {
    let seen = world.admin_get(&format!("/v1/approvals/{approval}"), person).await;
    let body = json!({"verdict": "approve", "reason": "ok", "version": seen["version"]});
    let answer = world.admin_post(&format!("/v1/approvals/{approval}/reviews"), person, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

const MAIN: &str = "globex/order-sync/production/ci-main";

/// S-4: a proof that the revoked binding takes is refused whichever binding takes it besides: under another name, after the revoked one
/// left the record, by a proof that the revoked one would not have taken for its form, and after a restart. Other proofs go on.
#[tokio::test]
async fn a_revoked_binding_bars_its_proofs_at_every_other_binding() {
    let mut world = World::start().await;
    world.onboard(&overlapping(&world)).await;
    let by = async |changes: Value| {
        let answer = read(&world, &proof(&world, &changes)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        claims(answer.json()["access_token"].as_str().expect("a token"))["binding"].as_str().expect("a binding").to_owned()
    };
    assert_eq!((by(json!({})).await.as_str(), by(json!({"ref": "refs/heads/dev"})).await.as_str()), ("ci-main", "ci-any"));
    let id = revoke(&world, &json!({"binding": MAIN, "reason": "taken over"})).await;
    bars(&world).await;
    assert_eq!(by(json!({"ref": "refs/heads/dev"})).await, "ci-any", "what the revoked binding never took");
    // The barred proof asks for nothing else either.
    refused(&ask_as_workload(&world, &proof(&world, &json!({})), &own_wish("30m")).await, 403, "trust.revoked");

    // Removed, and then there under another name: the rule that was revoked is kept.
    let removed = without_main(&overlapping(&world));
    assert_eq!(outcome(&apply(&world, "ann", &removed).await).0, "hold");
    world.approve_all().await;
    bars(&world).await;
    let renamed = overlapping(&world).replace("name: ci-main", "name: ci-again");
    world.onboard(&renamed).await;
    bars(&world).await;
    world.stop().await;
    world.boot().await;
    world.advance(1).await;
    bars(&world).await;
    lift(&world, &id).await;
    assert_eq!(read(&world, &proof(&world, &json!({}))).await.status, 200);
}

/// No proof of the main branch buys a token, in whatever form it comes.
async fn bars(world: &World) {
    let before = world.issued().await;
    let now = world.clock.seconds();
    let forms =
        [json!({}), json!({"jti": null}), json!({"iat": now - 1500, "exp": now + 300}), json!({"ref": "refs/heads/release"})];
    for changes in forms {
        let answer = read(world, &proof(world, &changes)).await;
        refused(&answer, 400, "trust.revoked");
    }
    assert_eq!(world.issued().await, before);
}

/// S-4: a binding whose rule was narrowed after its revocation bars what it admitted when it was revoked, and a revocation that only cut
/// tokens bars nothing.
#[tokio::test]
async fn a_revocation_bars_what_the_binding_admitted_when_it_was_revoked() {
    let world = World::start().await;
    // As strict as the other one, so that the other one may be narrowed at once.
    let strict = overlapping(&world).replace("singleUse: false, maxAge: 30m", "singleUse: true");
    world.onboard(&strict).await;
    revoke(&world, &json!({"binding": MAIN, "tokensOnly": true, "reason": "rotation"})).await;
    assert_eq!(read(&world, &proof(&world, &json!({}))).await.status, 200);
    revoke(&world, &json!({"binding": MAIN, "reason": "taken over"})).await;
    let narrower = strict.replace("{oneOf: [refs/heads/main, refs/heads/release]}", "refs/heads/release");
    assert_eq!(outcome(&apply(&world, "ann", &narrower).await), ("narrow".to_owned(), vec![]));
    refused(&read(&world, &proof(&world, &json!({}))).await, 400, "trust.revoked");
    refused(&read(&world, &proof(&world, &json!({"ref": "refs/heads/release"}))).await, 400, "trust.revoked");
    assert_eq!(read(&world, &proof(&world, &json!({"ref": "refs/heads/dev"}))).await.status, 200);
}

/// S-4: of two bindings for certificates the first is met; the revocation of the second counts all the same, for tokens and renewals.
#[tokio::test]
async fn a_revoked_binding_for_certificates_bars_all_certificates() {
    let world = World::start().await;
    certificates::onboard(&world).await;
    world.clock.synchronise();
    let two = certificates::with_certificates(&world.partner.issuer);
    let two = with_binding(&two, "      - {name: second-site, mtls: {}}\n");
    world.onboard(&two).await;
    let machine = certificates::enrolled(&world, "production").await;
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
    let id = revoke(&world, &json!({"binding": "globex/order-sync/production/second-site", "reason": "stolen"})).await;
    let answer = machine.token(Some("one"), "production", &[]).await;
    assert!(answer.status == 400 && answer.body.contains("trust.revoked"), "{answer:?}");
    let body = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    refused(&world.admin_post("/v1/enrolments", "ann", &body).await, 409, "trust.revoked");
    lift(&world, &id).await;
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
}

/// S-4: what is taken away from the stricter of two bindings meets the laxer one: held. Where no proof meets both, it narrows at once.
#[tokio::test]
async fn taking_from_the_stricter_of_two_bindings_is_held() {
    let world = World::start().await;
    let both = overlapping(&world);
    world.onboard(&both).await;
    let at = "environments.production.bindings.ci-main".to_owned();
    let held = ("hold".to_owned(), vec![at.clone()]);
    assert_eq!(outcome(&apply(&world, "ann", &without_main(&both)).await), held);
    let fewer = both.replace("{oneOf: [refs/heads/main, refs/heads/release]}", "refs/heads/main");
    assert_eq!(outcome(&apply(&world, "ann", &fewer).await), held);
    // The held version gives nothing yet: a release is used once.
    let release = proof(&world, &json!({"ref": "refs/heads/release"}));
    assert_eq!(read(&world, &release).await.status, 200);
    refused(&read(&world, &release).await, 400, "assertion.replayed");
    // The version in force again takes back the one that waits.
    assert_eq!(outcome(&apply(&world, "ann", &both).await), ("narrow".to_owned(), vec![]));
    let pending = world.admin_get("/v1/approvals?state=pending", "sven").await;
    assert_eq!(pending["items"], json!([]));
    // The laxer one goes at once; and the stricter one, where the other is for something else.
    assert_eq!(outcome(&apply(&world, "ann", &records::usual(&world.partner.issuer)).await), ("narrow".to_owned(), vec![]));
    let apart = both.replace("name: ci-any", "name: ci-apart").replacen(
        r#"repository_owner_id: "998877"}, owner: [repository_owner_id], singleUse"#,
        r#"repository_owner_id: "998877", ref: refs/heads/dev}, owner: [repository_owner_id], singleUse"#,
        1,
    );
    world.onboard(&apart).await;
    assert_eq!(outcome(&apply(&world, "ann", &without_main(&apart)).await), ("narrow".to_owned(), vec![]));
}

/// S-18, S-5: an exception and the facts that an approval rests on change with an approval alone.
#[tokio::test]
async fn exceptions_and_approved_facts_are_held() {
    let world = World::start().await;
    let exception = "exceptions:\n  - {what: legacy SFTP key, control: source network allow-list, owner: raj@acme.example, ends: 2099-02-28}\n";
    let with = format!("{}dataClasses: [customer-address]\n{exception}", records::usual(&world.partner.issuer));
    world.onboard(&with).await;
    let edits = [
        (exception, "", "exceptions.legacy SFTP key"),
        ("what: legacy SFTP key", "what: SFTP key", "exceptions.SFTP key"),
        ("purpose: Copies orders.", "purpose: Deletes orders.", "purpose"),
        ("trigger: contract-end, contact: ops@", "trigger: contract-end, contact: eve@", "offboarding.contact"),
        ("dataClasses: [customer-address]\n", "", "dataClasses"),
        ("business: jane@", "business: eve@", "owners.business"),
        ("ref: MSA-1", "ref: MSA-2", "contract.ref"),
    ];
    let before = world.admin_get("/v1/integrations/globex/order-sync", "alan").await["record"].clone();
    for (from, to, at) in edits {
        assert!(with.contains(from), "{from}");
        let (action, widens) = outcome(&apply(&world, "ann", &with.replacen(from, to, 1)).await);
        assert!(action == "hold" && widens.contains(&at.to_owned()), "{at}: {action} {widens:?}");
        assert_eq!(world.admin_get("/v1/integrations/globex/order-sync", "alan").await["record"], before, "{at}");
    }
    // An earlier end takes away and nothing else.
    let earlier = with.replacen("ends: 2099-11-30", "ends: 2099-10-30", 1);
    assert_eq!(outcome(&apply(&world, "ann", &earlier).await), ("narrow".to_owned(), vec![]));
}

/// S-8: whatever a token was issued under can be revoked after the records have dropped it, and the token is cut.
#[tokio::test]
async fn what_no_record_names_any_more_can_be_revoked() {
    let world = World::start().await;
    let elsewhere = r#"      - {name: old, oidc: {issuer: "https://old.globex.example", match: {sub: a}}}
"#;
    world.onboard(&with_binding(&overlapping(&world), elsewhere)).await;
    let any = async || {
        let answer = read(&world, &proof(&world, &json!({"ref": "refs/heads/dev"}))).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    };
    let token = any().await;
    // Everything but one binding goes: the other two, the sandbox, the callers there.
    let usual = records::usual(&world.partner.issuer);
    let (head, rest) = usual.split_once("  sandbox:\n    bindings:\n").expect("the sandbox");
    let (_, rest) = rest.split_once("  production:\n").expect("production");
    let less = format!("{head}  production:\n{rest}");
    let callers: Vec<&str> = less.lines().filter(|line| !line.starts_with("  sandbox: [{name: gateway")).collect();
    world.onboard(&(callers.join("\n") + "\n")).await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    for (kind, name) in [
        ("binding", "globex/order-sync/production/ci-nay"),
        ("binding", "globex/order-sync/production"),
        ("binding", "api/orders-api/sandbox/getaway"),
        ("issuer", "https://new.globex.example"),
        ("environment", "globex/order-sync/staging"),
        ("environment", "staging"),
        ("api", "order-api"),
    ] {
        let answer = world.admin_post("/v1/revocations", "sven", &json!({kind: name, "reason": "x"})).await;
        refused(&answer, 404, "resource.not-found");
    }
    revoke(&world, &json!({"binding": "globex/order-sync/production/ci-any", "reason": "late"})).await;
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    for (kind, name) in [
        ("issuer", "https://old.globex.example"),
        ("binding", "globex/order-sync/sandbox/ci"),
        ("binding", "api/orders-api/sandbox/gateway"),
        ("environment", "globex/order-sync/sandbox"),
    ] {
        revoke(&world, &json!({kind: name, "reason": "late"})).await;
    }
    // What the gone binding admitted stays out, also through one that is there. (The usual claims meet it as well.)
    refused(&read(&world, &proof(&world, &json!({}))).await, 400, "trust.revoked");
}

/// S-8: an API can be revoked: its tokens are cut, and no more are issued until the revocation is lifted.
#[tokio::test]
async fn an_api_can_be_revoked() {
    let world = World::start().await;
    let token = world.minted().await;
    let id = revoke(&world, &json!({"api": "orders-api", "reason": "audience taken over"})).await;
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    refused(&read(&world, &world.assertion("production")).await, 400, "trust.revoked");
    lift(&world, &id).await;
    world.minted().await;
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}), "revoked never revives");
}
