//! Revoked bindings, and what a version may take away without an approval.

use carnet::domain::value::alg::Alg;
use serde_json::{Value, json};

use crate::certificates;
use crate::elevation::{ask_as_workload, own_wish, refused};
use crate::environments::close;
use crate::world::days::{CONTRACT_ENDS, Day, VERIFIED_ON, VERIFIED_UNTIL};
use crate::world::issuer::{Behaviour, sign};
use crate::world::{Answer, Key, Options, Provider, World, claims, client, records};

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
    let answer = verdict(world, approval, person).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn verdict(world: &World, approval: &str, person: &str) -> Answer {
    let seen = world.admin_get(&format!("/v1/approvals/{approval}"), person).await;
    let body = json!({"verdict": "approve", "reason": "ok", "version": seen["version"]});
    world.admin_post(&format!("/v1/approvals/{approval}/reviews"), person, &body).await
}

/// The one change that waits.
async fn waiting(world: &World) -> String {
    let found = world.admin_get("/v1/approvals?state=pending&kind=change", "alan").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    found["items"][0]["id"].as_str().expect("an id").to_owned()
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

    // Removed, and then asked for under another name: the rule that was revoked is kept, and nobody can approve it again.
    let removed = without_main(&overlapping(&world));
    assert_eq!(outcome(&apply(&world, "ann", &removed).await).0, "hold");
    world.approve_all().await;
    bars(&world).await;
    let renamed = overlapping(&world).replace("name: ci-main", "name: ci-again");
    assert_eq!(outcome(&apply(&world, "ann", &renamed).await).0, "hold");
    refused(&verdict(&world, &waiting(&world).await, "olga").await, 409, "trust.revoked");
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
    let ends = format!("ends: {}", Day(200));
    let exception = format!(
        "exceptions:\n  - {{what: legacy SFTP key, control: source network allow-list, owner: raj@acme.example, {ends}}}\n"
    );
    let with = format!("{}dataClasses: [customer-address]\n{exception}", records::usual(&world.partner.issuer));
    world.onboard(&with).await;
    let edits = [
        (exception.as_str(), "", "exceptions.legacy SFTP key"),
        // An end that is over is a removal, and nobody but the partner knows whether an earlier one is kept.
        (&ends, "ends: 2000-01-01", "exceptions.legacy SFTP key.ends"),
        (&ends, &format!("ends: {}", Day(190)), "exceptions.legacy SFTP key.ends"),
        ("what: legacy SFTP key", "what: SFTP key", "exceptions.SFTP key"),
        ("control: source network allow-list", "control: none", "exceptions.legacy SFTP key.control"),
        (
            &format!("owner: raj@acme.example, {ends}"),
            &format!("owner: eve@acme.example, {ends}"),
            "exceptions.legacy SFTP key.owner",
        ),
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
    // An earlier end of the contract takes away and nothing else.
    let earlier = with.replacen(&format!("ends: {CONTRACT_ENDS}"), &format!("ends: {}", Day(1390)), 1);
    assert_eq!(outcome(&apply(&world, "ann", &earlier).await), ("narrow".to_owned(), vec![]));
}

/// S-5: a fact that the verification of a partner rests on changes with an approval alone.
#[tokio::test]
async fn s_5_what_a_partner_was_verified_by_is_held() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let edits = [
        ("legalName: Globex Corporation", "legalName: Evil Corporation", "legalName"),
        ("domains: [globex.example]", "domains: [evil.example]", "domains"),
        ("technical: ops@globex.example", "technical: eve@globex.example", "contacts.technical"),
        ("security: security@globex.example", "security: eve@globex.example", "contacts.security"),
        ("by: jane@acme.example", "by: eve@acme.example", "verification.by"),
        (&format!("on: {VERIFIED_ON}, evidence"), &format!("on: {}, evidence", Day(-29)), "verification.on"),
        ("evidence: \"sha256:00\"", "evidence: \"sha256:01\"", "verification.evidence"),
        (&format!("expires: {VERIFIED_UNTIL}"), &format!("expires: {}", Day(361)), "verification.expires"),
    ];
    let before = world.admin_get("/v1/partners/globex", "alan").await["record"].clone();
    for (from, to, at) in edits {
        assert!(usual.contains(from), "{from}");
        let plan = apply(&world, "ann", &usual.replacen(from, to, 1)).await;
        let items = plan["items"].as_array().expect("items");
        let partner = items.iter().find(|item| item["kind"] == "Partner").expect("a partner");
        let weighed: Vec<_> =
            partner["differences"].as_array().expect("differences").iter().map(|one| (&one["at"], &one["weight"])).collect();
        assert_eq!((&partner["action"], weighed), (&json!("hold"), vec![(&json!(at), &json!("WIDENS"))]), "{at}");
        assert_eq!(world.admin_get("/v1/partners/globex", "alan").await["record"], before, "{at}");
    }
}

/// S-8: whatever a token was issued under can be revoked after the records have dropped it.
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
    // The version cut it, because its binding is gone; that refuses nothing later.
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
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
    for (kind, name) in [
        ("binding", "globex/order-sync/production/ci-any"),
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

/// S-8: an environment that was closed and that the configuration has dropped can be revoked still; one that never was is told so.
#[tokio::test]
async fn s_8_an_environment_that_is_configured_no_more_can_be_revoked() {
    let mut world = World::start().await;
    let minted = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
    assert_eq!(minted.status, 200);
    close(&world, "sandbox").await;
    world.stop().await;
    let path = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let (before, rest) = text.split_once("[environments.sandbox]").expect("the environment");
    let (_, after) = rest.split_once("[environments.production]").expect("the other one");
    std::fs::write(&path, format!("{before}[environments.production]{after}")).expect("written");
    world.boot().await;
    let answer = world.admin_post("/v1/revocations", "sven", &json!({"environment": "sandbox", "reason": "late"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let told = answer.json();
    assert_eq!((&told["cut"], &told["state"]), (&json!(0), &json!("standing")), "the closing cut its tokens: {told}");
    let never = world.admin_post("/v1/revocations", "sven", &json!({"environment": "sandbux", "reason": "late"})).await;
    refused(&never, 404, "resource.not-found");
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

/// Integration `globex/keys` with these bindings of its own keys in production, and `plain` in the sandbox.
fn with_keys(bindings: &str, plain: &str) -> String {
    format!(
        r#"apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: keys}}
purpose: Sorts what comes back.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-4, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  sandbox:
    bindings:
{plain}    scopes: {{orders-api: [orders:read]}}
  production:
    bindings:
{bindings}    scopes: {{orders-api: [orders:read]}}
"#
    )
}

/// S-4: the same key in a second set, at a URL or in the record, under the same `kid` or another, while the revoked set is there, gone from
/// the record or out of reach: while a `key` binding is revoked, its client's keys buy nothing in that environment.
#[tokio::test]
async fn a_revoked_key_binding_bars_the_key_in_every_set() {
    let (first, second) = (Provider::start().await, Provider::start().await);
    let issuers = vec![first.issuer.clone(), second.issuer.clone()];
    let mut world = World::with(Options { issuers, ..Options::default() }).await;
    let (key, _) = Key::generate(Alg::Es256).expect("a key");
    let named = |kid: &str| {
        let mut public = key.public().clone();
        public["kid"] = kid.into();
        json!({"keys": [public]}).to_string()
    };
    let serve = |at: &Provider, answer: (u16, String)| at.behave(Behaviour { discovery: None, keys: Some(answer) });
    serve(&first, (200, named("one")));
    serve(&second, (200, named("two")));
    let old = format!("      - {{name: old, key: {{jwksUri: \"{}/keys\"}}}}\n", first.issuer);
    let inline = |name: &str, kid: &str| format!("      - {{name: {name}, key: {{jwks: {}}}}}\n", named(kid));
    let others = format!("      - {{name: new, key: {{jwksUri: \"{}/keys\"}}}}\n{}", second.issuer, inline("inline", "three"));
    let both = with_keys(&format!("{old}{others}"), &inline("own", "one"));
    world.onboard(&records::usual(&world.partner.issuer)).await;
    world.onboard(&both).await;
    let shown = async |world: &World, environment: &str, kid: Option<&str>| {
        let now = world.clock.seconds();
        let header = kid.map_or_else(|| json!({"alg": "ES256"}), |kid| json!({"alg": "ES256", "kid": kid}));
        let claims = json!({
            "iss": "globex/keys", "sub": "globex/keys", "aud": world.issuer(environment), "exp": now + 60, "iat": now,
            "jti": client::unique(),
        });
        let assertion = sign(&key, &header.to_string(), &claims.to_string());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
            ("audience", "orders-api"),
            ("scope", "orders:read"),
        ];
        world.token(environment, &form).await
    };
    let all = [Some("one"), Some("two"), Some("three"), None];
    for kid in all {
        let answer = shown(&world, "production", kid).await;
        assert_eq!(answer.status, 200, "{kid:?}: {}", answer.text());
    }
    let id = revoke(&world, &json!({"binding": "globex/keys/production/old", "reason": "the key was copied"})).await;
    let stay_out = async |world: &World, which: &[Option<&str>], row: &str| {
        let before = world.issued().await;
        for kid in which {
            let answer = shown(world, "production", *kid).await;
            assert_eq!(
                (answer.status, &answer.json()["reason"]),
                (400, &json!("trust.revoked")),
                "{row}, {kid:?}: {}",
                answer.text()
            );
        }
        assert_eq!(world.issued().await, before, "{row}");
    };
    stay_out(&world, &all, "the revoked set stands there").await;
    // The revoked set is out of reach, and nothing of it is kept.
    serve(&first, (503, String::new()));
    world.advance(2 * 3600).await;
    stay_out(&world, &all[1..3], "the revoked set is out of reach").await;
    // One person takes the revoked binding out.
    assert_eq!(outcome(&apply(&world, "ann", &with_keys(&others, &inline("own", "one"))).await), ("narrow".to_owned(), vec![]));
    stay_out(&world, &all[1..], "the record names the revoked set no more").await;
    world.stop().await;
    world.boot().await;
    world.advance(1).await;
    stay_out(&world, &all[1..], "the broker started again").await;
    // Elsewhere the same key counts: the revocation names one environment.
    assert_eq!(shown(&world, "sandbox", Some("one")).await.status, 200);
    // Nobody can give the client another key meanwhile; two people can after the lift.
    let more = format!("{others}{}", inline("newest", "four"));
    assert_eq!(outcome(&apply(&world, "ann", &with_keys(&more, &inline("own", "one"))).await).0, "hold");
    refused(&verdict(&world, &waiting(&world).await, "olga").await, 409, "trust.revoked");
    lift(&world, &id).await;
    assert_eq!(shown(&world, "production", Some("two")).await.status, 200);
    approve(&world, &waiting(&world).await, "olga").await;
}

/// S-8: the built-in API and our own trust domains are what tokens are issued under too.
#[tokio::test]
async fn the_built_in_api_and_our_own_trust_domain_can_be_revoked() {
    let world = World::start().await;
    let usual = certificates::with_certificates(&world.partner.issuer);
    world
        .onboard(&usual.replacen(
            "        - scope: orders:list\n",
            "        - scope: orders:list\n      carnet: [carnet:introspect]\n",
            1,
        ))
        .await;
    world.clock.synchronise();
    let machine = certificates::enrolled(&world, "production").await;
    let introspecting = async || {
        let assertion = world.assertion("production");
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
            ("audience", "carnet"),
            ("scope", "carnet:introspect"),
        ];
        world.token("production", &form).await
    };
    assert_eq!(introspecting().await.status, 200);
    let api = revoke(&world, &json!({"api": "carnet", "reason": "watched"})).await;
    let before = world.issued().await;
    refused(&introspecting().await, 400, "trust.revoked");
    assert_eq!(world.issued().await, before);
    lift(&world, &api).await;
    assert_eq!(introspecting().await.status, 200);

    let bought = machine.token(Some("one"), "production", &[]).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    let bought: Value = serde_json::from_str(&bought.body).expect("JSON");
    let token = bought["access_token"].as_str().expect("a token");
    assert_eq!(world.introspect("production", token).await.json()["active"], true);
    let other = json!({"issuer": "spiffe://staging.127.0.0.1", "reason": "x"});
    refused(&world.admin_post("/v1/revocations", "sven", &other).await, 404, "resource.not-found");
    let domain =
        revoke(&world, &json!({"issuer": "spiffe://production.127.0.0.1", "reason": "the authority is suspect"})).await;
    assert_eq!(world.introspect("production", token).await.json(), json!({"active": false}));
    let before = world.issued().await;
    let answer = machine.token(Some("one"), "production", &[]).await;
    assert!(answer.status == 400 && answer.body.contains("trust.revoked"), "{answer:?}");
    assert_eq!(world.issued().await, before);
    let enrolment = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a new machine"});
    refused(&world.admin_post("/v1/enrolments", "ann", &enrolment).await, 409, "trust.revoked");
    // Assertions go on, and so does the other environment's authority.
    world.minted().await;
    let sandbox = json!({"integration": "globex/order-sync", "environment": "sandbox", "reason": "a new machine"});
    assert_eq!(world.admin_post("/v1/enrolments", "ann", &sandbox).await.status, 201);
    lift(&world, &domain).await;
    assert_eq!(machine.token(Some("one"), "production", &[]).await.status, 200);
    assert_eq!(world.introspect("production", token).await.json(), json!({"active": false}), "revoked never revives");
}

/// E-7: where every proof of a binding is refused because another one is revoked, nothing says that it grants.
#[tokio::test]
async fn a_barred_environment_is_not_told_as_granting() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let main = usual.lines().find(|line| line.contains("refs/heads/main")).expect("the binding");
    let twin =
        format!("      - name: twin\n{}\n", main.replace("{oneOf: [refs/heads/main, refs/heads/release]}", "refs/heads/main"));
    world.onboard(&with_binding(&usual, &twin)).await;
    let told = async || {
        let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
        let query = "integration=globex/order-sync&environment=production&api=orders-api&scope=orders:read";
        let can = world.admin_get(&format!("/v1/can-i?{query}"), "alan").await;
        (shown["effective"]["production"].clone(), can["allowed"].clone())
    };
    assert_eq!(told().await, (json!({"state": "granting", "causes": []}), json!(true)));
    let id = revoke(&world, &json!({"binding": MAIN, "reason": "taken over"})).await;
    refused(&read(&world, &proof(&world, &json!({}))).await, 400, "trust.revoked");
    let (effective, can) = told().await;
    assert_eq!((&effective["state"], &can), (&json!("refusing"), &json!(false)), "{effective}");
    let cause = &effective["causes"][0];
    assert_eq!((&cause["reason"], &cause["subject"]), (&json!("trust.revoked"), &json!(format!("binding:{MAIN}"))), "{cause}");
    lift(&world, &id).await;
    assert_eq!(told().await.0["state"], "granting");

    // Two bindings for certificates, and nothing else.
    let (head, _) = usual.split_once("      - name: ci-main\n").expect("the binding");
    let (_, tail) = usual.split_once("refs/heads/release]}}, owner: [repository_owner_id]}\n").expect("the rest");
    let machines = "      - {name: first-site, mtls: {}}\n      - {name: second-site, mtls: {}}\n";
    world.onboard(&format!("{head}{machines}{tail}")).await;
    assert_eq!(told().await, (json!({"state": "granting", "causes": []}), json!(true)));
    let second = "globex/order-sync/production/second-site";
    revoke(&world, &json!({"binding": second, "reason": "stolen"})).await;
    let (effective, can) = told().await;
    assert_eq!((&effective["state"], &can), (&json!("refusing"), &json!(false)), "{effective}");
    assert_eq!(effective["causes"][0]["subject"], json!(format!("binding:{second}")), "{effective}");
}

/// R-03: a version that takes something away is acknowledged once every reader is certain to refuse, whether an apply or the last review
/// brings it into force; the same request is told once it is, and does nothing twice. What takes nothing away waits for no reader.
#[tokio::test]
async fn r_03_what_a_version_takes_away_is_acknowledged_once_it_is_confirmed() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let usual = records::usual(&world.partner.issuer);
    let fewer = usual.replacen("        - scope: orders:list\n", "", 1);
    let (from, to) = ("[orders:read, orders:write]}\n  production", "[orders:list]}\n  production");
    let exchanged = fewer.replacen(from, to, 1);
    let wider = usual.replacen(from, to, 1);
    assert!(fewer != usual && exchanged != fewer && wider != usual);
    let (yaml, json_type) = ("application/yaml", "application/json");
    let keyed = async |person: &str, path: &str, kind: &str, key: &str, body: &str| {
        let bearer = format!("Bearer {}", world.staff_token(person));
        let headers = [("authorization", bearer.as_str()), ("content-type", kind), ("idempotency-key", key)];
        client::send(world.admin, "POST", path, &headers, body.as_bytes()).await
    };
    let apply = async |records: &str, key| keyed("ann", "/v1/records/apply", yaml, key, records).await;
    let approving = async |approval: &str| {
        let seen = world.admin_get(&format!("/v1/approvals/{approval}"), "alan").await;
        json!({"verdict": "approve", "reason": "ok", "version": seen["version"]}).to_string()
    };
    let review = async |approval: &str, person: &str| {
        let path = format!("/v1/approvals/{approval}/reviews");
        keyed(person, &path, json_type, "once", &approving(approval).await).await
    };
    let told = async |path: &str, key: &str, (person, kind, body): (&str, &str, &str)| {
        let begun = std::time::Instant::now();
        loop {
            let answer = keyed(person, path, kind, key, body).await;
            if answer.status != 503 {
                return answer;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{path}: {}", answer.text());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let redis = world.redis.as_ref().expect("a Redis");
    let versions = async || {
        let mut count = 0;
        for kind in ["integration.narrowed", "integration.changed"] {
            let entries = world.admin_get(&format!("/v1/journal?kind={kind}&limit=1000"), "alan").await;
            count += entries["items"].as_array().expect("items").len();
        }
        count
    };
    let before = versions().await;

    // A narrower version comes into force with the apply.
    redis.signal("-STOP");
    for _ in 0..2 {
        refused(&apply(&fewer, "fewer").await, 503, "revocation.pending");
    }
    assert_eq!(apply(&fewer, "unchanged").await.status, 200);
    redis.signal("-CONT");
    let answer = told("/v1/records/apply", "fewer", ("ann", yaml, &fewer)).await;
    assert_eq!((answer.status, outcome(&answer.json()).0.as_str()), (200, "narrow"), "{}", answer.text());

    // One that gives something as well comes into force with the last review, and so does one that only gives.
    for (records, takes) in [(&exchanged, true), (&wider, false)] {
        let applied = apply(records, if takes { "exchanged" } else { "wider" }).await;
        assert_eq!(outcome(&applied.json()).0, "hold", "{}", applied.text());
        let approval = waiting(&world).await;
        assert_eq!(review(&approval, "olga").await.status, 200);
        redis.signal("-STOP");
        let last = review(&approval, "sven").await;
        redis.signal("-CONT");
        if takes {
            refused(&last, 503, "revocation.pending");
        }
        let path = format!("/v1/approvals/{approval}/reviews");
        let again = told(&path, "once", ("sven", json_type, &approving(&approval).await)).await;
        assert_eq!((again.status, again.json()["state"].as_str()), (200, Some("approved")), "{}", again.text());
        assert!(takes || last.status == 200, "{}", last.text());
    }
    assert_eq!(versions().await, before + 3, "each came into force once");
}
