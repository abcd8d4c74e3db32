//! The example clients, run as their README says.

use std::process::Command;

use super::process::{self, Server, python};
use serde_json::json;

use crate::world::{Options, World, claims, send};

/// A workload of the examples.
fn workload(script: &str) -> Command {
    let path = format!("examples/clients/{script}");
    if script.ends_with(".py") { python(&path) } else { Command::new(process::file(&path)) }
}

async fn api(world: &World) -> Server {
    let mut command = python("examples/clients/orders_api.py");
    command.arg("0").env("CARNET_ISSUER", world.issuer("production")).env("CARNET_AUDIENCE", "https://orders.example");
    command.envs(world.redis.as_ref().map(|redis| ("CARNET_REDIS", &redis.url)));
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

/// The worker asks for what it lacks, waits for somebody, and calls; where nobody lets it, it says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_worker_asks_waits_and_goes_on() {
    let world = World::start().await;
    let api = api(&world).await;
    for (verdict, code) in [("approve", Some(0)), ("deny", Some(3))] {
        world.clock.synchronise();
        let assertion = world.folder.path().join("assertion");
        std::fs::write(&assertion, world.assertion("production")).expect("written");
        let mut command = python("examples/clients/worker.py");
        command
            .args(["PATCH", &format!("{}/v1/orders/1001/status", api.line)])
            .env("CARNET_ISSUER", world.issuer("production"))
            .env("CARNET_API", "orders-api")
            .env("CARNET_SCOPE", "orders:write")
            .env("CARNET_FOR", "15m")
            .env("CARNET_REASON", "order 1001 hangs")
            .env("CARNET_ASSERTION_FILE", &assertion);
        let people = async {
            let mut decided = None;
            loop {
                // The platform projects a fresh one all the time; whoever reads sees a whole one.
                let next = world.folder.path().join("next");
                std::fs::write(&next, world.assertion("production")).expect("written");
                std::fs::rename(&next, &assertion).expect("renamed");
                let pending = world.admin_get("/v1/elevations?state=pending", "sven").await["items"][0].clone();
                if let (Some(id), None) = (pending["id"].as_str(), &decided) {
                    let body = json!({"verdict": verdict, "reason": "seen", "version": pending["version"]});
                    let answer = world.admin_post(&format!("/v1/elevations/{id}/reviews"), "sven", &body).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    decided = Some(id.to_owned());
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let output = tokio::select! { output = process::run(command, String::new()) => output, () = people => unreachable!() };
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), code, "{err}");
        assert!(err.contains("waiting for an approval") && !err.contains("eyJ"), "{err}");
        if code == Some(0) {
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(told["status"], 200, "{told}");
            let active = world.admin_get("/v1/elevations?state=active", "sven").await["items"][0]["id"].clone();
            let path = format!("/v1/elevations/{}/end", active.as_str().expect("an id"));
            assert_eq!(world.admin_post(&path, "sara", &json!({"reason": "next"})).await.status, 200);
        }
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
        let answer = send(address, method, path, &[("authorization", &bearer)], b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.header("www-authenticate").unwrap_or_default().contains(challenge), "{method} {path}: {answer:?}");
    }
    let nobody = crate::world::get(address, "/v1/orders").await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")));
}

#[tokio::test]
async fn the_example_api_reads_revocations_in_redis() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let api = api(&world).await;
    let address = api.line.strip_prefix("http://").expect("a URL").parse().expect("an address");
    let call =
        async |token: &str| send(address, "GET", "/v1/orders", &[("authorization", &format!("Bearer {token}"))], b"").await;
    for what in [
        json!({"token": "?"}),
        json!({"binding": "globex/order-sync/production/ci-main", "tokensOnly": true}),
        json!({"environment": "globex/order-sync/production", "tokensOnly": true}),
        json!({"integration": "globex/order-sync", "tokensOnly": true}),
        json!({"partner": "globex", "tokensOnly": true}),
        json!({"environment": "production", "tokensOnly": true}),
    ] {
        world.clock.synchronise();
        let token = world.minted().await;
        assert_eq!(call(&token).await.status, 200, "{what}");
        let mut body = what.clone();
        body["reason"] = json!("a test");
        if what.get("token").is_some() {
            body["token"] = claims(&token)["jti"].clone();
        }
        let answer = world.admin_post("/v1/revocations", "sven", &body).await;
        assert!(answer.status < 300, "{what}: {}", answer.text());
        // The answer came after the index had it.
        let refused = call(&token).await;
        assert_eq!(refused.status, 401, "{what}: {}", refused.text());
        assert!(refused.header("www-authenticate").unwrap_or_default().contains("invalid_token"), "{what}");
        // One that was minted afterwards is none of it.
        let another = world.minted().await;
        assert_eq!((call(&another).await.status, call(&token).await.status), (200, 401), "{what}");
    }
    // The end of an elevation cuts what was issued under it.
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "10m", "reason": "a test",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &wish).await.json();
    let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
    let word = json!({"verdict": "approve", "reason": "a test", "version": asked["version"]});
    assert_eq!(world.admin_post(&format!("{path}/reviews"), "sven", &word).await.status, 200);
    let answer = world.exchange("production", &world.assertion("production"), "orders:read orders:write").await;
    let elevated = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(call(&elevated).await.status, 200);
    assert_eq!(world.admin_post(&format!("{path}/end"), "sara", &json!({"reason": "a test"})).await.status, 200);
    assert_eq!(call(&elevated).await.status, 401);

    // An index that nobody renews, an empty one, and none at all: nobody knows, so nobody comes in.
    world.clock.synchronise();
    let token = world.minted().await;
    world.stop().await;
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    assert_eq!(call(&token).await.status, 503, "stale");
    world.redis.as_mut().expect("a Redis").restart_empty().await;
    assert_eq!(call(&token).await.status, 503, "empty");
    world.redis.as_mut().expect("a Redis").kill();
    assert_eq!(call(&token).await.status, 503, "away");
}
