//! The example clients, run as their README says.

use std::process::Command;

use super::process::{self, Server, python};
use crate::world::World;

/// A workload of the examples.
fn workload(script: &str) -> Command {
    let path = format!("examples/clients/{script}");
    if script.ends_with(".py") { python(&path) } else { Command::new(process::file(&path)) }
}

async fn api(world: &World) -> Server {
    let mut command = python("examples/clients/orders_api.py");
    command.arg("0").env("CARNET_ISSUER", world.issuer("production")).env("CARNET_AUDIENCE", "https://orders.example");
    Server::start(command).await
}

/// Runs a workload for one call. Its assertion is fresh and comes from a file, as platforms project it.
async fn call(world: &World, script: &str, environment: &str, scope: &str, url: &str) -> (Option<i32>, String, String) {
    world.clock.synchronise();
    let assertion = world.folder.path().join("assertion");
    std::fs::write(&assertion, world.assertion(environment)).expect("written");
    let mut command = workload(script);
    command
        .arg(url)
        .env("NO_PROXY", "127.0.0.1")
        .env("CARNET_ISSUER", world.issuer(environment))
        .env("CARNET_API", "orders-api")
        .env("CARNET_SCOPE", scope)
        .env("CARNET_ASSERTION_FILE", &assertion);
    let output = process::run(command, String::new()).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_example_workloads_call_the_example_api() {
    let world = World::start().await;
    let api = api(&world).await;
    let orders = format!("{}/v1/orders", api.line);
    for script in ["workload.sh", "workload.py"] {
        let (code, out, err) = call(&world, script, "production", "orders:read", &orders).await;
        assert_eq!(code, Some(0), "{script}: {out}{err}");
        let told: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((&told["client"], &told["orders"]["1001"]), (&"globex/order-sync".into(), &"shipped".into()), "{script}");

        // What the contract does not hold: the broker says why, and the workload repeats it.
        let (code, out, err) = call(&world, script, "production", "orders:write", &orders).await;
        assert_eq!((code, out.as_str()), (Some(3), ""), "{script}: {err}");
        assert!(err.contains("scope.needs-elevation") && err.contains("request_id"), "{script}: {err}");

        // A sandbox token at the production API.
        let (code, out, err) = call(&world, script, "sandbox", "orders:read", &orders).await;
        assert!(code != Some(0) && !out.contains("shipped"), "{script}: {out}{err}");
        assert!(err.contains("401"), "{script}: {err}");

        // A scope that the route does not take, and a route outside the token's endpoint conditions.
        let (code, _, err) = call(&world, script, "production", "orders:list", &orders).await;
        assert!(code != Some(0) && err.contains("403"), "{script}: {err}");

        // No token is ever shown.
        assert!(!err.contains("eyJ"), "{script}: {err}");
    }
}

#[tokio::test]
async fn the_example_api_refuses_what_its_document_says() {
    let world = World::start().await;
    let api = api(&world).await;
    let address = api.line.strip_prefix("http://").expect("a URL").parse().expect("an address");
    world.clock.synchronise();
    let read = world.minted().await;
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read orders:write").await;
    let sandbox = sandbox.json()["access_token"].as_str().expect("a token").to_owned();
    // The partner's own assertion is a JWT with a good signature too; only the issuer is another.
    let assertion = world.assertion("production");
    let cases: [(&str, &str, &str, u16, &str); 8] = [
        ("GET", "/v1/orders", &read, 200, ""),
        ("GET", "/v1/orders/1001", &read, 200, ""),
        ("GET", "/v1/orders?page=2", &read, 200, ""),
        ("GET", "/v1/customers", &read, 404, ""),
        ("PATCH", "/v1/orders/1001/status", &read, 403, "insufficient_scope"),
        ("GET", "/v1/orders", &sandbox, 401, "invalid_token"),
        ("GET", "/v1/orders", &assertion, 401, "invalid_token"),
        ("GET", "/v1/orders", "garbage", 401, "invalid_token"),
    ];
    for (method, path, token, status, challenge) in cases {
        let bearer = format!("Bearer {token}");
        let answer = crate::world::send(address, method, path, &[("authorization", &bearer)], b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.header("www-authenticate").unwrap_or_default().contains(challenge), "{method} {path}: {answer:?}");
    }
    let nobody = crate::world::get(address, "/v1/orders").await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")));
}
