//! What must be unique, on the wire: against what is in force and what is pending, when it is applied, submitted and takes force.

use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::log::partner::PartnerChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::registry::binding::{Admits, Condition};
use carnet::domain::value::names::IntegrationId;
use carnet::journal::Proposal;
use serde_json::{Value, json};

use crate::world::days::CONTRACT_ENDS;
use crate::world::{Answer, Provider, World, client, records};

async fn apply(world: &World, records: &str) -> Answer {
    world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await
}

/// The reasons of the faults, each once, or none where it was applied.
async fn refused(world: &World, records: &str) -> Vec<String> {
    let answer = apply(world, records).await;
    if answer.status == 200 {
        return Vec::new();
    }
    assert_eq!(answer.status, 422, "{}", answer.text());
    reasons(&answer)
}

fn reasons(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors: {body}"));
    let mut reasons: Vec<_> = errors.iter().filter_map(|error| error["reason"].as_str().map(str::to_owned)).collect();
    reasons.dedup();
    reasons
}

async fn review(world: &World, subject: &str, person: &str, verdict: &str) -> Answer {
    let found = world.admin_get(&format!("/v1/approvals?state=pending&subject={subject}"), person).await;
    let approval = &found["items"][0];
    let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().unwrap_or_else(|| panic!("none waits: {found}")));
    world.admin_post(&path, person, &json!({"verdict": verdict, "reason": "looked at", "version": approval["version"]})).await
}

async fn approve(world: &World, subject: &str) {
    for person in ["olga", "sven"] {
        let answer = review(world, subject, person, "approve").await;
        assert!(answer.status < 300, "{subject} {person}: {}", answer.text());
    }
}

async fn submit(world: &World, name: &str) -> Answer {
    let path = format!("/v1/integrations/globex/{name}/submit");
    world.admin_post(&path, "ann", &json!({"reason": "ready"})).await
}

fn api(name: &str, audience: &str) -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Api\nmetadata: {{name: {name}}}\nowner: team:stock\naudience: {{production: {audience}}}\n\
         scopes: {{stock:read: {{meaning: See stock, risk: low}}}}\n"
    )
}

/// An integration in one environment, with one binding.
pub fn integration(name: &str, environment: &str, binding: &str) -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Integration\nmetadata: {{partner: globex, name: {name}}}\npurpose: Copies orders.\n\
         owners: {{business: jane@acme.example, application: raj@acme.example}}\n\
         contract: {{ref: MSA-1, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}\nreview: {{every: 90d, onSilence: suspend}}\n\
         offboarding: {{trigger: contract-end, contact: ops@globex.example}}\nenvironments:\n  {environment}:\n    bindings:\n      \
         - {{name: ci, {binding}}}\n    scopes: {{orders-api: [orders:read]}}\n"
    )
}

fn oidc(world: &World, repository: &str, more: &str) -> String {
    let issuer = &world.partner.issuer;
    format!(
        "oidc: {{issuer: \"{issuer}\", match: {{sub: {{prefix: \"repo:\"}}, repository_id: \"{repository}\"}}, owner: [repository_id]{more}}}"
    )
}

const TAKEN: &str = "record.audience-taken";
const OVERLAP: &str = "binding.overlap";
const IN_FORCE: &str = "https://orders.example";

fn usual_with(world: &World, audience: &str) -> String {
    let all = records::usual(&world.partner.issuer).replace(IN_FORCE, audience);
    all.split("---").next().expect("the API").to_owned()
}

/// S-1: a version that waits does not hide the one in force; both have their audience, and one that was denied has none.
#[tokio::test]
async fn s_1_an_audience_is_taken_by_what_is_in_force_and_by_what_waits() {
    let world = World::start().await;
    let (thief, waiting) = (api("stock-api", IN_FORCE), "https://waiting.example");
    assert_eq!(refused(&world, &usual_with(&world, waiting)).await, Vec::<String>::new());
    assert_eq!(refused(&world, &thief).await, [TAKEN], "in force, behind a version that waits");
    assert_eq!(refused(&world, &api("stock-api", waiting)).await, [TAKEN], "waits");
    let denied = review(&world, "orders-api", "sven", "deny").await;
    assert!(denied.status < 300, "{}", denied.text());
    assert_eq!(refused(&world, &thief).await, [TAKEN], "in force, behind a version that was denied");
    assert_eq!(refused(&world, &api("stock-api", waiting)).await, Vec::<String>::new(), "what was denied reserves nothing");
    assert_eq!(refused(&world, &usual_with(&world, waiting)).await, [TAKEN], "it waits for somebody else now");
    approve(&world, "stock-api").await;
    assert_eq!(refused(&world, &api("third-api", waiting)).await, [TAKEN], "in force");
    world.minted().await;
}

/// S-1: what nobody answered in time reserves nothing, nor what was replaced; and what a version that waits would give up is still taken.
#[tokio::test]
async fn s_1_what_expired_or_was_withdrawn_reserves_nothing() {
    let world = World::start().await;
    let first = "https://first.example";
    assert_eq!(refused(&world, &api("stock-api", first)).await, Vec::<String>::new());
    assert_eq!(refused(&world, &api("other-api", first)).await, [TAKEN]);
    assert_eq!(refused(&world, &api("stock-api", "https://second.example")).await, Vec::<String>::new());
    assert_eq!(refused(&world, &api("other-api", first)).await, Vec::<String>::new(), "withdrawn by a newer apply");
    world.advance(31 * 86_400).await;
    assert_eq!(refused(&world, &api("third-api", "https://second.example")).await, Vec::<String>::new(), "expired");
    assert_eq!(refused(&world, &usual_with(&world, "https://moved.example")).await, Vec::<String>::new());
    assert_eq!(refused(&world, &api("fourth-api", IN_FORCE)).await, [TAKEN], "in force until its change is approved");
    approve(&world, "orders-api").await;
    assert_eq!(refused(&world, &api("fourth-api", IN_FORCE)).await, Vec::<String>::new(), "free since");
}

/// S-1: drafts reserve nothing, so both are applied; the first that is submitted reserves, until it is denied.
#[tokio::test]
async fn s_1_a_draft_is_judged_again_when_it_is_submitted() {
    let world = World::start().await;
    for name in ["first-come", "late-comer"] {
        assert_eq!(refused(&world, &records::integration(&world.partner.issuer, name, "4711")).await, Vec::<String>::new());
    }
    assert!(submit(&world, "first-come").await.status < 300);
    let late = submit(&world, "late-comer").await;
    assert_eq!((late.status, reasons(&late)), (422, vec![OVERLAP.to_owned()]), "{}", late.text());
    assert!(late.text().contains("globex/first-come"), "it names who has it: {}", late.text());
    let again = records::integration(&world.partner.issuer, "third", "4711");
    assert_eq!(refused(&world, &again).await, [OVERLAP], "applied against what is pending");
    assert!(review(&world, "globex/first-come", "sven", "deny").await.status < 300);
    assert!(submit(&world, "late-comer").await.status < 300);
    approve(&world, "globex/late-comer").await;
    let shown = world.admin_get("/v1/integrations/globex/late-comer", "alan").await;
    assert_eq!(shown["state"], "active");
}

/// S-1: the change of an active integration, and callers of an API, are judged like everything else.
#[tokio::test]
async fn s_1_changes_that_wait_and_callers_reserve_too() {
    let world = World::start().await;
    let change = records::integration(&world.partner.issuer, "order-sync", "5000");
    assert_eq!(refused(&world, &change).await, Vec::<String>::new());
    let draft = |repository| records::integration(&world.partner.issuer, "second", repository);
    assert_eq!(refused(&world, &draft("5000")).await, [OVERLAP], "a change that waits");
    assert_eq!(refused(&world, &draft("456789")).await, [OVERLAP], "the version in force");
    let gateway = oidc(&world, "6000", "");
    let stock =
        format!("{}callers: {{production: [{{name: gateway, {gateway}}}]}}\n", api("stock-api", "https://stock.example"));
    assert_eq!(refused(&world, &stock).await, Vec::<String>::new());
    assert_eq!(refused(&world, &draft("6000")).await, [OVERLAP], "callers that wait");
    assert!(review(&world, "stock-api", "sven", "deny").await.status < 300);
    assert_eq!(refused(&world, &draft("6000")).await, Vec::<String>::new());
}

/// S-1: two in one apply, and two applies at once.
#[tokio::test]
async fn s_1_of_two_at_once_one_is_applied() {
    let world = World::start().await;
    let pair = format!("{}---\n{}", api("one-api", "https://pair.example"), api("two-api", "https://pair.example"));
    assert_eq!(refused(&world, &pair).await, [TAKEN]);
    let moved = format!("{}---\n{}", usual_with(&world, "https://moved.example"), api("stock-api", IN_FORCE));
    assert_eq!(refused(&world, &moved).await, [TAKEN], "the approvals may come in any order");
    for round in 0..10 {
        let audience = format!("https://race{round}.example");
        let (one, two) = (api(&format!("left-{round}"), &audience), api(&format!("right-{round}"), &audience));
        let (one, two) = tokio::join!(apply(&world, &one), apply(&world, &two));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "{}\n{}", one.text(), two.text());
        let lost = if one.status == 422 { one } else { two };
        assert_eq!(reasons(&lost), [TAKEN]);
    }
}

/// S-1: a scope that was denied cannot be named, and one in force can, whatever waits.
#[tokio::test]
async fn s_1_a_version_that_waits_does_not_hide_the_scopes_in_force() {
    let world = World::start().await;
    let read = |scope: &str| integration("second", "production", &oidc(&world, "77", "")).replace("orders:read", scope);
    let with_more =
        usual_with(&world, IN_FORCE).replace("orders:list:", "orders:all: {meaning: Everything, risk: high}\n  orders:list:");
    assert_eq!(refused(&world, &with_more).await, Vec::<String>::new());
    assert_eq!(refused(&world, &read("orders:all")).await, Vec::<String>::new(), "what waits may be named");
    assert!(review(&world, "orders-api", "sven", "deny").await.status < 300);
    assert_eq!(refused(&world, &read("orders:all")).await, ["record.unknown-reference"], "what was denied may not");
    let without = usual_with(&world, "https://moved.example").replace("orders:list:", "orders:new:");
    assert_eq!(refused(&world, &without).await, Vec::<String>::new());
    assert_eq!(refused(&world, &read("orders:list")).await, Vec::<String>::new(), "in force");
}

/// S-7: an accepted audience of proofs belongs to one environment, is no API's audience and no issuer, in whatever order they come.
#[tokio::test]
async fn s_7_an_accepted_audience_belongs_to_one_environment_and_nothing_else() {
    let world = World::start().await;
    let shared = "https://shared.example";
    let extra = |audience: &str| format!(", audience: \"{audience}\"");
    let first = integration("first", "production", &oidc(&world, "1", &extra(shared)));
    assert_eq!(refused(&world, &first).await, Vec::<String>::new());
    assert!(submit(&world, "first").await.status < 300);
    let second = |environment, audience: &str| integration("second", environment, &oidc(&world, "2", &extra(audience)));
    for round in ["pending", "in force"] {
        assert_eq!(refused(&world, &second("sandbox", shared)).await, [TAKEN], "{round}");
        assert_eq!(refused(&world, &second("production", shared)).await, Vec::<String>::new(), "{round}");
        assert_eq!(refused(&world, &api("stock-api", shared)).await, [TAKEN], "{round}");
        let issuer = format!("oidc: {{issuer: \"{shared}\", match: {{sub: a}}, jwksUri: \"{}/jwks\"}}", world.partner.issuer);
        assert_eq!(refused(&world, &integration("third", "production", &issuer)).await, [TAKEN], "{round}");
        if round == "pending" {
            approve(&world, "globex/first").await;
        }
    }
    for taken in [IN_FORCE, "https://orders.sandbox.example", &world.partner.issuer, &world.issuer("sandbox")] {
        assert_eq!(refused(&world, &second("production", taken)).await, [TAKEN], "{taken}");
    }
    let both = records::integration(&world.partner.issuer, "fourth", "4")
        .replace("owner: [", "audience: \"https://own.example\", owner: [");
    assert_eq!(refused(&world, &both).await, [TAKEN], "two environments of one record");
}

/// S-6: nothing of ours can be named as a partner's, nor as a caller's, in any kind of binding and any spelling.
#[tokio::test]
async fn s_6_our_own_issuers_and_keys_are_refused() {
    let world = World::start().await;
    let port = world.public.port();
    let own = "binding.own-issuer";
    let named = async |binding: String| refused(&world, &integration("second", "sandbox", &binding)).await;
    for issuer in [
        world.issuer("production"),
        world.issuer("sandbox"),
        format!("{}/", world.issuer("production")),
        format!("http://127.0.0.1:{port}//production"),
        format!("http://127.0.0.1:{port}/pr%6fduction"),
        format!("http://127.1:{port}/production"),
        format!("https://127.0.0.1:{port}/production/token"),
    ] {
        let faults = named(format!("oidc: {{issuer: \"{issuer}\", match: {{sub: globex/order-sync}}}}")).await;
        assert!(faults.contains(&own.to_owned()), "{issuer}: {faults:?}");
        let faults = named(format!("key: {{jwksUri: \"{issuer}/jwks\"}}")).await;
        assert!(faults.contains(&own.to_owned()), "{issuer}: {faults:?}");
        let caller = format!(
            "{}callers: {{production: [{{name: gw, oidc: {{issuer: \"{issuer}\", match: {{sub: globex/order-sync}}}}}}]}}\n",
            api("stock-api", "https://stock.example")
        );
        let faults = refused(&world, &caller).await;
        assert!(faults.contains(&own.to_owned()), "{issuer}: {faults:?}");
    }
    let keys = crate::world::get(world.public, "/production/jwks").await.json();
    for binding in [
        format!("key: {{jwks: {keys}}}"),
        format!("oidc: {{issuer: https://i.example, match: {{sub: a}}, jwks: {keys}}}"),
        format!("spiffe: {{id: \"spiffe://globex.example/x\", bundle: {keys}}}"),
    ] {
        assert_eq!(named(binding.clone()).await, [own], "{binding}");
    }
}

/// S-6: an environment that came after a binding: its issuer is ours from then on, and no proof any more. Nothing that would collide with
/// it takes force, and whoever approves is told why.
#[tokio::test]
async fn s_6_s_1_a_new_environment_takes_what_was_free_before() {
    let mut world = World::start().await;
    let staging = format!("http://{}/staging", world.public);
    let stranger = Provider::start().await;
    let keys = json!({"keys": [stranger.key.public()]});
    let binding = format!("oidc: {{issuer: \"{staging}\", match: {{sub: workload}}, jwks: {keys}}}");
    world.onboard(&integration("second", "production", &binding)).await;
    let proof = |world: &World| {
        let now = world.clock.seconds();
        stranger.sign(&json!({
            "iss": staging, "sub": "workload", "aud": world.issuer("production"), "exp": now + 300, "iat": now, "jti": client::unique(),
        }))
    };
    let answer = world.exchange("production", &proof(&world), "orders:read").await;
    assert_eq!(answer.status, 200, "while the name is free: {}", answer.text());
    // An API that waits for its second approval, and one that nobody has approved; an integration that waits for its partner alone.
    let below = |path: &str| format!("{staging}/{path}");
    assert_eq!(refused(&world, &api("stock-api", &below("stock"))).await, Vec::<String>::new());
    assert!(review(&world, "stock-api", "olga", "approve").await.status < 300);
    let other = records::usual(&world.partner.issuer).replace("globex", "initech").replace("456789", "31337");
    let partner = other.split("---").nth(1).expect("the partner").to_owned();
    let sync = integration("sync", "production", &oidc(&world, "31337", &format!(", audience: \"{}\"", below("proofs"))));
    assert_eq!(refused(&world, &format!("{partner}---\n{}", sync.replace("globex", "initech"))).await, Vec::<String>::new());
    let submitted = world.admin_post("/v1/integrations/initech/sync/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(submitted.status < 300, "{}", submitted.text());
    approve(&world, "initech/sync").await;

    world.stop().await;
    let path = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, format!("{text}\n[environments.staging]\nissuer = \"{staging}\"\nmax_ttl = \"5m\"\n"))
        .expect("written");
    world.boot().await;

    let answer = world.exchange("production", &proof(&world), "orders:read").await;
    assert_ne!(answer.status, 200, "an issuer of ours is no partner's: {}", answer.text());
    let last = review(&world, "stock-api", "sven", "approve").await;
    assert_eq!((last.status, last.json()["reason"].clone()), (409, json!("approval.collides")), "{}", last.text());
    assert_eq!(reasons(&last), [TAKEN]);
    let pending = world.admin_get("/v1/approvals?state=pending&subject=stock-api", "sven").await;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(1), "it waits to be denied");
    assert!(review(&world, "stock-api", "sven", "deny").await.status < 300);
    assert!(review(&world, "initech", "sven", "approve").await.status < 300);
    let shown = world.admin_get("/v1/integrations/initech/sync", "alan").await;
    let expected = (Some("submitted"), &json!([TAKEN]));
    assert_eq!((shown["state"].as_str(), &shown["waitsFor"]), expected, "{shown}");
}

/// S-2: a file whose bindings cannot be told apart by any one claim is refused with the budget, and names what cost most.
#[tokio::test]
async fn s_2_a_plan_that_takes_too_much_work_is_refused() {
    let world = World::start().await;
    let document = |at: usize| {
        let claims: Vec<_> = (0..40).map(|claim| format!("c{at}x{claim}: 1")).collect();
        let claims = format!("{}, last: {{prefix: {at}p}}", claims.join(", "));
        integration(&format!("i{at}"), "sandbox", &format!("oidc: {{issuer: https://i.example, match: {{{claims}}}}}"))
    };
    let all = (0..400).map(document).collect::<Vec<_>>().join("---\n");
    let answer = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", all))).await;
    let body: Value = answer.json();
    let errors = body["errors"].as_array().expect("errors");
    let effort: Vec<_> = errors.iter().filter(|error| error["reason"] == "record.effort").collect();
    assert_eq!((answer.status, effort.len()), (422, 1), "{body}");
    let message = effort[0]["message"].as_str().expect("a message");
    assert!(message.contains("5000000 steps") && message.contains("globex/i"), "{message}");
    // The same number of integrations that share a claim is no work at all.
    let document = |at: usize| integration(&format!("i{at}"), "sandbox", &oidc(&world, &format!("r{at}"), ""));
    let all = (0..400).map(document).collect::<Vec<_>>().join("---\n");
    let answer = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", all))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// S-7: an environment that came after a record: its issuer is no accepted audience and no API's audience any more. S-1: what a record has
/// in force does not keep anybody from narrowing it, nor from taking back what waits.
#[tokio::test]
async fn s_7_s_1_a_new_environment_takes_audiences_and_narrowing_stays_possible() {
    let mut world = World::start().await;
    let staging = format!("http://{}/staging", world.public);
    let binding = oidc(&world, "4711", &format!(", audience: \"{staging}\""));
    world.onboard(&integration("second", "production", &binding)).await;
    let proof = |world: &World, audience: &str| {
        let now = world.clock.seconds();
        world.partner.sign(&json!({
            "iss": world.partner.issuer, "sub": "repo:x", "repository_id": "4711", "aud": audience, "exp": now + 300, "iat": now,
            "jti": client::unique(),
        }))
    };
    let answer = world.exchange("production", &proof(&world, &staging), "orders:read").await;
    assert_eq!(answer.status, 200, "while the name is free: {}", answer.text());
    assert_eq!(refused(&world, &usual_with(&world, &format!("{staging}/orders"))).await, Vec::<String>::new());
    approve(&world, "orders-api").await;

    world.stop().await;
    let path = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, format!("{text}\n[environments.staging]\nissuer = \"{staging}\"\nmax_ttl = \"5m\"\n"))
        .expect("written");
    world.boot().await;

    let answer = world.exchange("production", &proof(&world, &staging), "orders:read").await;
    assert_ne!(answer.status, 200, "a proof that is made for staging: {}", answer.text());
    let answer = world.exchange("production", &proof(&world, &world.issuer("production")), "orders:read").await;
    assert_ne!(answer.status, 200, "a token that staging would take: {}", answer.text());

    let second = |more: &str| format!("{}{more}", integration("second", "production", &binding));
    let wider = second("    limits: {exchangesPerMinute: 600}\n");
    assert_eq!(refused(&world, &wider).await, [TAKEN], "a version that widens is judged");
    let narrower = apply(&world, &second("    limits: {ttl: 1m}\n")).await;
    let action = narrower.json()["items"][0]["action"].clone();
    assert_eq!((narrower.status, action), (200, json!("narrow")), "{}", narrower.text());

    assert_eq!(refused(&world, &usual_with(&world, IN_FORCE)).await, Vec::<String>::new(), "something else");
    approve(&world, "orders-api").await;
    let answer = world.exchange("production", &proof(&world, &world.issuer("production")), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The API has an audience of its own again; the audience of the proof is staging's all the same.
    let answer = world.exchange("production", &proof(&world, &staging), "orders:read").await;
    assert_eq!((answer.status, answer.json()["reason"].clone()), (400, json!("assertion.audience")), "{}", answer.text());
}

/// Has the binding `at` of `globex/second` in production admit the repository of another integration, in force and judged by nobody: as a
/// record stands that came before there was a rule against it.
pub async fn collide(world: &World, at: usize, repository: &str) {
    let journal = &world.running.as_ref().expect("running").broker.journal;
    let changed = journal.change(None, |state, _| {
        let known = &state.integrations[&"globex/second".parse::<IntegrationId>().expect("an id")];
        let mut record = known.current.as_ref().expect("in force").record.as_ref().clone();
        let access = record.environments.get_mut("production").expect("an environment");
        let Admits::Jwt(rule) = &mut access.bindings[at].admits else { panic!("a rule on JWTs") };
        let matcher = std::sync::Arc::make_mut(rule)
            .matchers
            .iter_mut()
            .find(|matcher| matcher.claim.to_string() == "repository_id")
            .expect("a condition");
        matcher.condition = Condition::Equals(repository.into());
        let what = IntegrationChange::Narrowed { record: Box::new(record), reason: None };
        Ok::<_, ()>(Proposal::from(what.by(Actor::Operator)))
    });
    changed.await.expect("available").expect("proposed");
}

/// S-1: a record that collides since before there was a rule. What stands is told, and keeps nobody from a change that adds nothing to it:
/// less, more of something else, the end of the collision, a stop.
#[tokio::test]
async fn s_1_a_record_that_collides_already_can_be_changed_as_long_as_it_takes_no_more() {
    let world = World::start().await;
    let lax = ", singleUse: false, maxAge: 5m";
    let second = |bindings: &[(&str, &str, &str)], more: &str| {
        let each: Vec<_> =
            bindings.iter().map(|(name, id, rest)| format!("name: {name}, {}", oidc(&world, id, rest))).collect();
        let record = integration("second", "production", "BINDINGS").replace("name: ci, BINDINGS", &each.join("}\n      - {"));
        format!("{record}{more}")
    };
    world.onboard(&integration("first", "production", &oidc(&world, "1", ""))).await;
    world.onboard(&second(&[("ci", "2", ""), ("lax", "3", lax)], "")).await;
    collide(&world, 0, "1").await;
    collide(&world, 1, "1").await;
    let now = world.clock.seconds();
    let proof = world.partner.sign(&json!({
        "iss": world.partner.issuer, "sub": "repo:x", "repository_id": "1", "aud": world.issuer("production"), "exp": now + 300, "iat": now,
        "jti": client::unique(),
    }));
    let answer = world.exchange("production", &proof, "orders:read").await;
    assert_eq!((answer.status, answer.json()["reason"].clone()), (400, json!("binding.ambiguous")), "{}", answer.text());

    let both = [("ci", "1", ""), ("lax", "1", lax)];
    for (row, record) in [
        ("another value", second(&[("ci", "1", ""), ("lax", "456789", lax)], "")),
        ("another binding", second(&[both[0], both[1], ("third", "1", "")], "")),
        ("another name", second(&[("renamed", "1", ""), both[1]], "")),
        ("another environment", second(&both, "").replace("  production:\n", "  sandbox:\n")),
    ] {
        let expected = if row == "another environment" { Vec::new() } else { vec![OVERLAP.to_owned()] };
        assert_eq!(refused(&world, &record).await, expected, "{row}");
    }
    let item = async |record: &str| {
        let answer = apply(&world, record).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let warned = answer["warnings"].as_array().expect("warnings").iter().filter(|one| one["reason"] == OVERLAP).count();
        (answer["items"][0]["action"].as_str().expect("an action").to_owned(), warned)
    };
    // More of something else: held for people, who are told what stands, and approved by them.
    assert_eq!(item(&second(&both, "    limits: {exchangesPerMinute: 600}\n")).await, ("hold".to_owned(), 2));
    approve(&world, "globex/second").await;
    let shown = world.admin_get("/v1/integrations/globex/second", "sven").await;
    assert_eq!((&shown["held"], &shown["waitsFor"]), (&Value::Null, &json!([])), "{shown}");
    // Less at once.
    assert_eq!(item(&second(&both, "    limits: {exchangesPerMinute: 60}\n")).await.0, "narrow");
    // One of the two goes, and its proofs could meet the laxer one: held, although that one still collides.
    assert_eq!(item(&second(&both[1..], "    limits: {exchangesPerMinute: 60}\n")).await, ("hold".to_owned(), 1));
    approve(&world, "globex/second").await;
    let stopped = world.admin_post("/v1/integrations/globex/second/suspend", "sven", &json!({"reason": "odd"})).await;
    assert_eq!(stopped.status, 201, "{}", stopped.text());
    // The first one is as it was; the second may not come back to what it gave up.
    assert_eq!(refused(&world, &second(&both, "")).await, [OVERLAP]);
    assert_eq!(item(&second(&[("lax", "3", lax)], "    limits: {exchangesPerMinute: 60}\n")).await, ("hold".to_owned(), 0));
}

/// Takes both places at the desk, until what is returned is dropped and awaited.
async fn take_the_desk(world: &World) -> Vec<(std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>)> {
    let mut places = Vec::new();
    for _ in 0..2 {
        let broker = world.running.as_ref().expect("running").broker.clone();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let job = move || begun.send(()).is_ok() && ends.recv().is_ok();
        let held = tokio::spawn(async move { drop(broker.desk.work(job).await) });
        begins.await.expect("it begins");
        places.push((end, held));
    }
    places
}

async fn leave_the_desk(places: Vec<(std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>)>) {
    for (end, held) in places {
        drop(end);
        held.await.expect("it ends");
    }
}

/// S-2: whatever judges records waits for a place at the desk, and so takes none of the threads that serve tokens. What ends a right, and
/// tokens, wait for none.
#[tokio::test(flavor = "multi_thread")]
async fn s_2_judgements_wait_for_the_desk_and_tokens_do_not() {
    let world = World::start().await;
    let named = |name: &str| integration(name, "sandbox", &oidc(&world, name, ""));
    for name in ["a", "b"] {
        assert_eq!(refused(&world, &named(name)).await, Vec::<String>::new());
    }
    assert!(submit(&world, "a").await.status < 300);
    // One that is approved, and waits for its partner alone.
    let usual = records::usual(&world.partner.issuer).replace("globex", "initech");
    let partner = usual.split("---").nth(1).expect("the partner").to_owned();
    let sync = integration("sync", "production", &oidc(&world, "31337", "")).replace("globex", "initech");
    assert_eq!(refused(&world, &format!("{partner}---\n{sync}")).await, Vec::<String>::new());
    let submitted = world.admin_post("/v1/integrations/initech/sync/submit", "ann", &json!({"reason": "ready"})).await;
    assert!(submitted.status < 300, "{}", submitted.text());
    approve(&world, "initech/sync").await;

    // A key whose time on the ladder ends meanwhile; its successor is usable later than it was.
    world.advance(1).await;
    let rotate = json!({"alg": "ES256", "acceptOutage": true});
    assert!(world.admin_post("/v1/keys/production/rotate", "adam", &rotate).await.status < 300);

    let places = take_the_desk(&world).await;
    let get = |path| world.admin_send("GET", path, "sven", None);
    let third = named("c");
    let (list, one, submitted, approved, applied) = tokio::join!(
        get("/v1/integrations"),
        get("/v1/integrations/globex/a"),
        submit(&world, "b"),
        review(&world, "globex/a", "olga", "approve"),
        apply(&world, &third),
    );
    for (what, answer) in [("list", list), ("one", one), ("submit", submitted), ("approve", approved), ("apply", applied)] {
        let seen = (answer.status, answer.json()["reason"].clone());
        assert_eq!(seen, (503, json!("records.busy")), "{what}: {}", answer.text());
    }
    let broker = &world.running.as_ref().expect("running").broker;
    let verified = broker.journal.change(None, |state, _| {
        let partner = "initech".parse().expect("a name");
        let version = state.partners[&partner].held.as_ref().expect("it waits").version.version;
        Ok::<_, ()>(Proposal::from(PartnerChange::Verified { partner, version }.by(Actor::Broker)))
    });
    verified.await.expect("available").expect("proposed");
    let phase =
        || broker.journal.view().state.integrations[&"initech/sync".parse::<IntegrationId>().expect("an id")].phase().name();
    let retired = || broker.journal.view().state.keys.all().filter(|key| key.retired).count();
    assert_eq!(retired(), 0);
    world.advance(3 * 3600).await;
    broker.settle().await.expect("whoever asked is told that their own change is made");
    assert_eq!(phase(), "submitted", "it is not judged yet");
    assert_eq!(retired(), 1, "what needs no judgement does not wait for one");
    world.minted().await;
    let denied = review(&world, "globex/a", "olga", "deny").await;
    assert!(denied.status < 300, "{}", denied.text());
    let stop = world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &json!({"reason": "odd"})).await;
    assert_eq!(stop.status, 201, "{}", stop.text());

    leave_the_desk(places).await;
    assert!(submit(&world, "b").await.status < 300);
    assert_eq!(world.admin_get("/v1/integrations/globex/b", "sven").await["state"], "submitted");
    broker.settle().await.expect("settles");
    assert_eq!(phase(), "active");
}

/// S-1: what takes force while a record is judged counts against it.
#[tokio::test(flavor = "multi_thread")]
async fn s_1_what_came_while_a_record_was_judged_has_it_judged_again() {
    let world = World::start().await;
    world.onboard(&integration("second", "production", &oidc(&world, "2", ""))).await;
    assert_eq!(refused(&world, &integration("third", "production", &oidc(&world, "3", ""))).await, Vec::<String>::new());
    let places = take_the_desk(&world).await;
    let submitted = submit(&world, "third");
    let meanwhile = async {
        // It was handed a state to be judged on by then, and waits for its place.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        collide(&world, 0, "3").await;
        leave_the_desk(places).await;
    };
    let (answer, ()) = tokio::join!(submitted, meanwhile);
    assert_eq!((answer.status, reasons(&answer)), (422, vec![OVERLAP.to_owned()]), "{}", answer.text());
}
