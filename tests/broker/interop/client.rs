//! Independent OAuth clients (npm `oauth4webapi`, npm `openid-client`) with a key pair or a certificate of their own, against the
//! endpoints that metadata names.

use serde_json::{Value, json};

use super::process::{node, output};
use crate::certificates;
use crate::world::days::CONTRACT_ENDS;
use crate::world::{Options, World};

fn integration(jwk: &str) -> String {
    format!(
        r#"
apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: robot}}
purpose: Sorts what comes back.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-4, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  production:
    bindings:
      - name: own-key
        key: {{jwks: {{keys: [{jwk}]}}}}
    scopes:
      orders-api: [orders:read]
"#
    )
}

#[tokio::test]
async fn an_independent_client_gets_checks_and_revokes_its_token() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let file = world.folder.path().join("robot.jwk");
    let mut command = node("client.mjs");
    command.arg("key").arg(&file);
    let jwk = output(command, String::new()).await;
    world.onboard(&integration(&jwk)).await;
    world.clock.synchronise();

    let mut command = node("client.mjs");
    command.args(["story", &world.issuer("production"), "globex/robot"]).arg(&file).arg("https://orders.example");
    let told: Value = serde_json::from_str(&output(command, String::new()).await).expect("JSON");
    assert_eq!(
        (&told["granted"]["scope"], &told["granted"]["token_type"]),
        (&json!("orders:read"), &json!("bearer")),
        "{told}"
    );
    assert_eq!(
        (&told["claims"]["client_id"], &told["claims"]["binding"]),
        (&json!("globex/robot"), &json!("own-key")),
        "{told}"
    );
    assert_eq!((&told["before"]["active"], &told["before"]["jti"]), (&json!(true), &told["claims"]["jti"]), "{told}");
    assert_eq!(told["after"], json!({"active": false}), "{told}");

    let mut command = node("client.mjs");
    command.args(["bound", &world.issuer("production"), "globex/robot"]).arg(&file).arg("https://orders.example");
    let told: Value = serde_json::from_str(&output(command, String::new()).await).expect("JSON");
    assert_eq!((&told["asked"], &told["type"]), (&json!(1), &json!("dpop")), "{told}");
    assert_eq!(told["cnf"], json!({"jkt": told["thumbprint"]}), "{told}");
    assert_eq!((&told["seen"]["active"], &told["seen"]["token_type"]), (&json!(true), &json!("DPoP")), "{told}");
}

/// The library that most services of Node use, by both of its ways to authenticate: neither needs a line of code for us.
#[tokio::test(flavor = "multi_thread")]
async fn the_certified_client_authenticates_by_key_and_by_certificate() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let file = world.folder.path().join("robot.jwk");
    let mut command = node("client.mjs");
    command.arg("key").arg(&file);
    let jwk = output(command, String::new()).await;
    world.onboard(&integration(&jwk)).await;
    certificates::onboard(&world).await;
    let machine = certificates::enrolled(&world, "production").await;
    world.clock.synchronise();

    for (verb, client, place) in [("jwt", "globex/robot", file.as_path()), ("mtls", "globex/order-sync", machine.folder())] {
        let mut command = node("openid.mjs");
        command.args([verb, &world.issuer("production"), client]).arg(place).arg("https://orders.example");
        let told: Value = serde_json::from_str(&output(command, String::new()).await).expect("JSON");
        let (plain, bound) = (&told["plain"], &told["bound"]);
        assert_eq!((&plain["scope"], &plain["type"]), (&json!("orders:read"), &json!("bearer")), "{told}");
        assert_eq!(plain["claims"]["client_id"], client, "{told}");
        assert_eq!((&plain["seen"]["active"], &bound["seen"]["active"]), (&json!(true), &json!(true)), "{told}");
        // DPoP binds to the proof's key, also beside a certificate; a certificate alone binds to itself.
        assert_eq!((&bound["type"], &bound["claims"]["cnf"]), (&json!("dpop"), &json!({"jkt": bound["thumbprint"]})), "{told}");
        let by_certificate = (verb == "mtls").then_some(json!({"x5t#S256": machine.thumbprint("one").await}));
        assert_eq!(plain["claims"].get("cnf"), by_certificate.as_ref(), "{told}");
        assert_eq!(told["after"], json!({"active": false}), "{told}");
    }
}
