//! The longest terms with which a record may be approved, and the warnings before that.

use serde_json::{Value, json};

use crate::world::days::{CONTRACT_ENDS, Day, VERIFIED_ON, VERIFIED_UNTIL};
use crate::world::{Options, World, records};

async fn send(world: &World, verb: &str, records: &str) -> crate::world::Answer {
    let body = ("application/yaml", records.to_owned());
    world.admin_send("POST", &format!("/v1/records/{verb}"), "ann", Some(body)).await
}

/// The places of the faults for terms that are too long.
fn too_long(answer: &Value) -> Vec<String> {
    let faults = answer["errors"].as_array().or_else(|| answer["warnings"].as_array());
    let places = faults.into_iter().flatten().filter(|fault| fault["reason"] == "limit.too-long");
    places.map(|fault| fault["at"].as_str().expect("a place").rsplit(' ').next().expect("a place").to_owned()).collect()
}

/// Each with the last value that is taken, and the first that is not.
fn terms() -> Vec<(&'static str, &'static str, String, String, String)> {
    let contract = format!("ends: {CONTRACT_ENDS}}}");
    let ends = |day: Day| format!("ends: {day}}}");
    let offboarding = "offboarding: {trigger: contract-end".to_owned();
    let secret = |days: i64| {
        let ends = Day(days);
        format!("exceptions: [{{what: key, control: list, owner: r@acme.example, ends: {ends}}}]\n{offboarding}")
    };
    let sandbox = "  sandbox:\n".to_owned();
    let place = |day: i64| format!("{sandbox}    ends: {}\n", Day(day));
    let every = |days: u32| format!("every: {days}d");
    vec![
        ("contract.ends", "contract", contract, ends(Day(1826)), ends(Day(1828))),
        ("exceptions[0].ends", "secret", offboarding.clone(), secret(366), secret(367)),
        ("environments.sandbox.ends", "environment", sandbox.clone(), place(1400), place(1401)),
        ("review.every", "review", every(90), every(90), every(91)),
    ]
}

/// A draft is warned of, and is not submitted; nothing is minted. One day less is taken.
#[tokio::test]
async fn an_integration_with_a_term_that_is_too_long_is_not_submitted() {
    let world = World::start().await;
    for (number, (at, name, from, taken, refused)) in terms().into_iter().enumerate() {
        let record = records::integration(&world.partner.issuer, name, &format!("77{number}"));
        assert!(record.contains(&from), "{from}");
        let plan = send(&world, "apply", &record.replacen(&from, &refused, 1)).await;
        assert_eq!((plan.status, too_long(&plan.json())), (200, vec![at.to_owned()]), "{}", plan.text());
        let path = format!("/v1/integrations/globex/{name}/submit");
        let submit = world.admin_post(&path, "ann", &json!({"reason": "MSA-3007"})).await;
        assert_eq!((submit.status, too_long(&submit.json())), (422, vec![at.to_owned()]), "{}", submit.text());
        assert_eq!(world.admin_get(&format!("/v1/integrations/globex/{name}"), "ann").await["state"], "draft");

        let plan = send(&world, "apply", &record.replacen(&from, &taken, 1)).await;
        assert_eq!((plan.status, too_long(&plan.json())), (200, vec![]), "{}", plan.text());
        let submit = world.admin_post(&path, "ann", &json!({"reason": "MSA-3007"})).await;
        assert_eq!(submit.status, 202, "{}", submit.text());
    }
}

/// A change of what is in force is refused when it is applied, and changes nothing.
#[tokio::test]
async fn a_change_with_a_term_that_is_too_long_is_not_applied() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let before = world.admin_get("/v1/integrations/globex/order-sync", "ann").await;
    for (at, _, from, _, refused) in terms() {
        assert!(usual.contains(&from), "{from}");
        // A new purpose needs an approval, so that a narrower term does not come into force alone.
        let changed = usual.replacen(&from, &refused, 1).replacen("Copies orders.", "Copies all orders.", 1);
        for verb in ["plan", "apply"] {
            let answer = send(&world, verb, &changed).await;
            assert_eq!((answer.status, too_long(&answer.json())), (422, vec![at.to_owned()]), "{verb}: {}", answer.text());
        }
    }
    let partner = format!("expires: {VERIFIED_UNTIL}");
    for (days, status) in [(401, 422), (400, 200)] {
        let expires = format!("expires: {}", Day(VERIFIED_ON.0 + days));
        let answer = send(&world, "apply", &usual.replacen(&partner, &expires, 1)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let expected: &[&str] = if status == 422 { &["verification.expires"] } else { &[] };
        assert_eq!(too_long(&answer.json()), expected, "{}", answer.text());
    }
    assert_eq!(world.admin_get("/v1/integrations/globex/order-sync", "ann").await, before);
}

/// What counts as production is the operator's word, and the name where they say nothing.
#[tokio::test]
async fn reviews_are_bounded_where_production_has_a_high_risk() {
    for (setting, expected) in [("", false), ("production = true\n", true), ("production = false\n", false)] {
        let configuration = format!("[environments.live]\nissuer = \"http://localhost:9/live\"\n{setting}");
        let world = World::with(Options { configuration, ..Options::default() }).await;
        let usual = records::usual(&world.partner.issuer);
        let api = usual.split("---\n").next().expect("the API").replacen("sandbox: https", "live: https", 1);
        let api =
            api.replacen("  sandbox: [{", "  live: [{", 1).replacen("orders-api", "live-api", 1).replace("orders.", "live.");
        let record = records::integration(&world.partner.issuer, "second", "77").replacen("every: 90d", "every: 180d", 1);
        let (head, _) = record.split_once("  production:\n").expect("two environments");
        let head = head.replacen("  sandbox:\n", "  live:\n", 1).replacen("orders-api", "live-api", 1);
        let api = api.replace("system:serviceaccount:orders:api", "system:serviceaccount:live:api");
        let plan = send(&world, "plan", &format!("{api}---\n{head}")).await;
        let expected: &[&str] = if expected { &["review.every"] } else { &[] };
        assert_eq!(
            (plan.status, too_long(&plan.json())),
            (200, expected.iter().map(|at| (*at).to_owned()).collect()),
            "{}",
            plan.text()
        );
    }
}
