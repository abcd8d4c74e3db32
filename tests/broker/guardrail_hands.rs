//! Who may do what with a guardrail, and which numbers they say: numbers are told to one person, the day to put back begins once, and
//! nobody withdraws what waits who could not decide it (docs/reference/guardrails.md).

use serde_json::json;

use crate::world::{Answer, World};

const STANDING: &str = "context.environment == \"sandbox\" && resource.risk == \"high\" && !context.elevated";

fn guardrail(mode: &str, condition: &str) -> String {
    format!(
        "apiVersion: carnet/v1\nkind: Guardrail\nmetadata: {{name: rule}}\nmeaning: A rule of ours.\nmode: {mode}\ncedar: |\n  \
         forbid (principal, action == Carnet::Action::\"exchange\", resource)\n  when {{ {condition} }};\n"
    )
}

async fn send(world: &World, bearer: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {bearer}");
    let kind = if path.ends_with("apply") { "application/yaml" } else { "application/json" };
    let mut all = vec![("authorization", bearer.as_str()), ("content-type", kind)];
    all.extend(headers);
    crate::world::send(world.admin, "POST", path, &all, body.as_bytes()).await
}

async fn apply(world: &World, person: &str, records: &str, numbers: &[(&str, &str)]) -> Answer {
    send(world, &world.staff_token(person), "/v1/records/apply", records, numbers).await
}

/// Status, action, and the numbers of a refusal.
fn told(answer: &Answer) -> (u16, String, Option<u64>, Option<u64>) {
    let told = answer.json();
    let action = told["items"][0]["action"].as_str().unwrap_or_default().to_owned();
    (answer.status, action, told["refuses"].as_u64(), told["unknown"].as_u64())
}

async fn issue(world: &World, environment: &str, scope: &str) {
    let answer = world.exchange(environment, &world.assertion(environment), scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// A number that nobody knows is said like one that somebody knows, and never counts as none.
#[tokio::test]
async fn what_is_unknown_is_said_too() {
    let world = World::start().await;
    issue(&world, "production", "orders:read").await;
    issue(&world, "sandbox", "orders:write").await;
    let address =
        format!("({STANDING}) || context.environment == \"production\" && context.source.isInRange(ip(\"10.0.0.0/8\"))");
    let enforced = guardrail("enforce", &address);
    let (refuses, unknown) = (("carnet-refuses", "1"), ("carnet-unknown", "1"));
    for said in [&[][..], &[refuses], &[unknown], &[refuses, ("carnet-unknown", "2")], &[("carnet-refuses", "2"), unknown]] {
        let answer = apply(&world, "sven", &enforced, said).await;
        assert_eq!(told(&answer), (409, String::new(), Some(1), Some(1)), "{said:?}: {}", answer.text());
    }
    for malformed in ["", "-1", "one", "99999999999999999999"] {
        let answer = apply(&world, "sven", &enforced, &[refuses, ("carnet-unknown", malformed)]).await;
        assert_eq!(answer.status, 400, "{malformed:?}");
    }
    let answer = apply(&world, "sven", &enforced, &[refuses, unknown]).await;
    assert_eq!(told(&answer), (200, "narrow".to_owned(), Some(1), Some(1)), "{}", answer.text());
    let entries = world.admin_get("/v1/journal?kind=guardrail.applied", "alan").await;
    assert_eq!((&entries["items"][0]["refuses"], &entries["items"][0]["unknown"]), (&json!(1), &json!(1)), "{entries}");
}

/// The number that one person was told is no knowledge of another, nor of another text.
#[tokio::test]
async fn a_number_counts_for_the_person_and_the_text_that_it_was_told_about() {
    let world = World::start().await;
    issue(&world, "sandbox", "orders:write").await;
    let enforced = guardrail("enforce", STANDING);
    assert_eq!(told(&apply(&world, "sven", &enforced, &[]).await).2, Some(1));
    issue(&world, "sandbox", "orders:write").await;
    let one = [("carnet-refuses", "1")];
    let other = guardrail("enforce", "context.environment == \"sandbox\" && resource.risk == \"high\"");
    assert_eq!(told(&apply(&world, "sven", &other, &one).await), (409, String::new(), Some(2), Some(0)));
    assert_eq!(told(&apply(&world, "sara", &enforced, &one).await), (409, String::new(), Some(2), Some(0)));
    let answer = apply(&world, "sven", &enforced, &one).await;
    assert_eq!((answer.status, told(&answer).1.as_str()), (200, "narrow"), "{}", answer.text());
}

/// Who puts a guardrail back and enforces it again has the rest of the first day, whoever does it.
#[tokio::test]
async fn the_day_to_put_back_begins_once() {
    let world = World::start().await;
    let (enforced, shadow) = (guardrail("enforce", STANDING), guardrail("shadow", STANDING));
    assert_eq!(told(&apply(&world, "sven", &enforced, &[]).await).1, "narrow");
    world.advance(12 * 3600).await;
    assert_eq!(told(&apply(&world, "sven", &shadow, &[]).await).1, "put-back");
    assert_eq!(told(&apply(&world, "sara", &enforced, &[]).await).1, "narrow");
    world.advance(11 * 3600).await;
    assert_eq!(told(&apply(&world, "sven", &shadow, &[]).await).1, "hold", "sara enforced it last");
    assert_eq!(told(&apply(&world, "sara", &shadow, &[]).await).1, "put-back");
    assert_eq!(told(&apply(&world, "sven", &enforced, &[]).await).1, "narrow");
    world.advance(3600).await;
    assert_eq!(told(&apply(&world, "sven", &shadow, &[]).await).1, "hold");
}

/// Whoever could not decide a version that waits does not withdraw it either: not by the one in force, another text, nor a removal.
#[tokio::test]
async fn nobody_withdraws_a_stricter_guardrail_that_could_not_decide_it() {
    let world = World::start().await;
    let in_force = guardrail("enforce", STANDING);
    let stricter = guardrail("enforce", "context.environment == \"sandbox\" && resource.risk == \"high\"");
    assert_eq!(told(&apply(&world, "sven", &in_force, &[]).await).1, "narrow");
    assert_eq!(told(&apply(&world, "ann", &stricter, &[]).await).1, "hold");
    let pending = async || world.admin_get("/v1/approvals?state=pending&kind=guardrail", "alan").await["items"].clone();
    let waits = pending().await;
    assert_eq!(waits.as_array().map(Vec::len), Some(1), "{waits}");
    let now = world.clock.seconds();
    let claims = |sub: &str, more: serde_json::Value| {
        let mut claims = json!({
            "iss": world.staff.issuer, "sub": sub, "aud": "carnet", "exp": now + 600, "iat": now, "groups": ["security"],
        });
        claims.as_object_mut().expect("claims").extend(more.as_object().expect("more").clone());
        world.staff.sign(&claims)
    };
    let machine = claims("robot-17", json!({"client_id": "automation"}));
    let stale = claims("sara", json!({"auth_time": now - 901}));
    let looser = guardrail("enforce", "context.environment == \"staging\"");
    for bearer in [&machine, &stale] {
        let answer = send(&world, bearer, "/v1/records/apply", &in_force, &[]).await;
        assert_eq!((answer.status, told(&answer).1.as_str()), (200, "unchanged"), "{}", answer.text());
        let answer = send(&world, bearer, "/v1/records/apply", &looser, &[]).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("Something else waits for rule"), "{}", answer.text());
        let answer = send(&world, bearer, "/v1/guardrails/rule/remove", "{\"reason\":\"x\"}", &[]).await;
        assert!(answer.status == 409 || answer.status == 403, "{}", answer.text());
        assert_eq!(pending().await, waits);
    }
    // A reviewer may, and so may the person who applied it.
    assert_eq!(told(&apply(&world, "olga", &in_force, &[]).await).1, "narrow");
    assert_eq!(pending().await, json!([]));
    assert_eq!(told(&apply(&world, "ann", &stricter, &[]).await).1, "hold");
    assert_eq!(told(&apply(&world, "ann", &in_force, &[]).await).1, "narrow");
    assert_eq!(pending().await, json!([]));
}
