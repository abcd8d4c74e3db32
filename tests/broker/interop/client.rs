//! An independent OAuth client (npm `oauth4webapi`) with a key pair of its own, against the endpoints that metadata names.

use serde_json::{Value, json};

use super::process::{node, output};
use crate::world::{Options, World};

fn integration(jwk: &str) -> String {
    format!(
        r#"
apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: robot}}
purpose: Sorts what comes back.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-4, starts: 2026-01-01, ends: 2099-11-30}}
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
