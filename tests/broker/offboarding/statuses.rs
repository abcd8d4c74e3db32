//! The certificates of what is offboarded, as a relying party sees them: by `openssl`, in the list and at the responder.

use serde_json::{Value, json};

use super::{INTEGRATION, is_done, once, started};
use crate::certificates::tool::Machine;
use crate::certificates::{self, P256, enrolled};
use crate::world::{World, get};

/// What `openssl` says of a certificate at the responder.
async fn at_the_responder(world: &World, machine: &Machine, name: &str) -> String {
    let port = world.public.port();
    let url = format!("-url http://127.0.0.1:{port}/production/ocsp -CAfile ca.pem -issuer issuing.pem");
    machine.openssl(&format!("ocsp {url} -cert {name}.pem")).await
}

/// The serial numbers in the list, with the reason of each.
async fn in_the_list(world: &World, machine: &Machine) -> Vec<(String, String)> {
    let list = get(world.public, "/production/crl").await;
    assert_eq!(list.status, 200, "{}", list.text());
    std::fs::write(machine.path("list.der"), &list.body).expect("written");
    let text = machine.openssl("crl -inform DER -in list.der -noout -text -CAfile ca.pem").await;
    let entries = text.split("Serial Number: ").skip(1).map(|entry| {
        let lines: Vec<&str> = entry.lines().map(str::trim).collect();
        let reason = lines.iter().skip_while(|line| !line.contains("CRL Reason Code")).nth(1).copied().unwrap_or_default();
        (lines[0].to_lowercase(), reason.to_owned())
    });
    entries.collect()
}

/// The test of certificates in `production` of the first run.
fn tried(case: &Value) -> (u64, &Value, &Value) {
    let mut tests = case["tests"].as_array().expect("tests").iter();
    let of = tests.find(|one| one["name"] == "certificates" && one["environment"] == "production").expect("the test");
    (of["tried"].as_u64().expect("a number"), &of["expected"], &of["seen"])
}

/// Every certificate is good before, and revoked in the list and at the responder from the first entry on.
#[tokio::test(flavor = "multi_thread")]
async fn its_certificates_are_revoked_in_the_list_and_at_the_responder() {
    let world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    machine.request("two", P256, "").await;
    assert_eq!(machine.enrol("production", "simplereenroll", "two", Some("one"), None).await.status, 200);
    machine.issuing("issuing.pem").await;
    let mut own = vec![machine.serial("one").await.to_lowercase(), machine.serial("two").await.to_lowercase()];
    own.sort();
    for name in ["one", "two"] {
        let told = at_the_responder(&world, &machine, name).await;
        assert!(told.contains(&format!("{name}.pem: good")), "{told}");
    }
    assert_eq!(in_the_list(&world, &machine).await, []);

    let id = started(&world).await;
    for name in ["one", "two"] {
        let told = at_the_responder(&world, &machine, name).await;
        let revoked = told.contains(&format!("{name}.pem: revoked")) && told.contains("cessationOfOperation");
        assert!(revoked && !told.contains("good"), "{told}");
    }
    let mut listed = in_the_list(&world, &machine).await;
    listed.sort();
    let all: Vec<_> = own.into_iter().map(|serial| (serial, "Cessation Of Operation".to_owned())).collect();
    assert_eq!(listed, all);

    // No token was issued, so the case waits for nobody, and its tests have looked both up.
    let seen = once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    assert_eq!(tried(&seen), (2, &json!("revoked"), &json!("revoked")), "{seen:#}");
    assert_eq!(world.admin_get(INTEGRATION, "alan").await["state"], "offboarding");
}

/// A responder that does not answer is not one that says "revoked": the case stays open, says why, and goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_does_not_answer_keeps_the_case_open() {
    let mut world = certificates::world().await;
    let machine = enrolled(&world, "production").await;
    machine.issuing("issuing.pem").await;
    let rotated = world.admin_post("/v1/authorities/production/rotate", "adam", &json!({"reason": "every year"})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    // An earlier authority makes no responder any more, and this one never had one.
    let id = started(&world).await;
    let failed = |case: &Value| case["tests"].as_array().is_some_and(|tests| tests.iter().any(|one| !one["failed"].is_null()));
    let seen = once(&world, &id, "a test fails", failed).await;
    assert_eq!(tried(&seen), (1, &json!("revoked"), &json!("the responder does not answer")), "{seen:#}");
    assert!(seen["state"] == "open" && !is_done(&seen, "tests-passed"), "{seen:#}");
    // Once the certificate has ended, nothing is left to look up.
    world.advance(86_400 + 60).await;
    once(&world, &id, "the tests pass", |case| is_done(case, "tests-passed")).await;
    world.stop().await;
}
