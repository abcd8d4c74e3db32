//! The exchange on the wire: what is granted, what is refused, and what stands on record of both. ABUSE rows P and T.

use serde_json::json;

use crate::world::days::CONTRACT_ENDS;
use crate::world::{Answer, TOKEN_EXCHANGE, TYPE_JWT, World, claims, client, header, records};

async fn refused(world: &World, name: &str, answer: &Answer, error: &str, reason: &str) {
    let told = answer.json();
    assert_eq!((told["error"].as_str(), told["reason"].as_str()), (Some(error), Some(reason)), "{name}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    // The reason stands in the journal under the request's id, with its tree.
    let request = answer.header("x-request-id").expect("an id");
    assert_eq!(told["request_id"], request, "{name}");
    let explained = world.admin_get(&format!("/v1/explain/{request}"), "alan").await;
    assert_eq!(explained["reason"], reason, "{name}: {explained}");
}

#[tokio::test]
async fn a_token_is_what_the_contract_says_and_on_record_before_it_is_released() {
    let world = World::start().await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    let told = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(told["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!((told["token_type"].as_str(), told["scope"].as_str()), (Some("Bearer"), Some("orders:read")));
    assert!(told["refresh_token"].is_null());
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    let token = told["access_token"].as_str().expect("a token");
    let header = header(token);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("at+jwt")));
    let claims = claims(token);
    let now = world.clock.seconds();
    for (claim, value) in [
        ("iss", json!(world.issuer("production"))),
        ("aud", json!("https://orders.example")),
        ("sub", json!("globex/order-sync")),
        ("client_id", json!("globex/order-sync")),
        ("scope", json!("orders:read")),
        ("env", json!("production")),
        ("binding", json!("ci-main")),
        ("iat", json!(now - 2)),
        ("nbf", json!(now - 2)),
        ("exp", json!(now - 2 + 300)),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    let detail = json!([{"type": "endpoints", "locations": ["https://orders.example"], "actions": ["GET /v1/orders", "GET /v1/orders/{id}"]}]);
    assert_eq!(claims["authorization_details"], detail);
    assert_eq!(told["authorization_details"], detail);
    // On record.
    let entries = world.admin_get("/v1/journal?kind=issued", "alan").await;
    let entry = &entries["items"][0];
    assert_eq!(entry["index"], claims["entry"]);
    assert_eq!((entry["jti"].clone(), entry["subject"].clone()), (claims["jti"].clone(), json!("globex/order-sync")));
    assert!(!entries.to_string().contains(token), "no token text in the journal");
    // The three grants give the same decision.
    let grant =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("scope", "orders:read"), ("audience", "orders-api")];
    let assertion = world.assertion("production");
    let answer = world.token("production", &[&grant[..], &[("assertion", assertion.as_str())]].concat()).await;
    assert_eq!((answer.status, answer.json()["issued_token_type"].is_null()), (200, true), "{}", answer.text());
    let assertion = world.assertion("production");
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "orders:read"),
        ("resource", "https://orders.example"),
        ("client_id", "globex/order-sync"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    assert_eq!(world.token("production", &form).await.status, 200);
}

#[tokio::test]
async fn p_09_to_p_28_scope_target_and_environment_are_exact() {
    let world = World::start().await;
    let ask = async |form: &[(&str, &str)]| {
        let assertion = world.assertion("production");
        let base = [("grant_type", TOKEN_EXCHANGE), ("subject_token", assertion.as_str()), ("subject_token_type", TYPE_JWT)];
        world.token("production", &[&base[..], form].concat()).await
    };
    let target = ("audience", "orders-api");
    let before = world.issued().await;
    for scope in ["orders:delete", "orders:read orders:delete", "carnet:introspect"] {
        refused(&world, "p_09", &ask(&[target, ("scope", scope)]).await, "invalid_scope", "scope.not-contracted").await;
    }
    for scope in
        ["orders:read  orders:list", "orders:read\torders:list", "orders:read orders:read", "Orders:read", "orders:read\u{a0}x"]
    {
        refused(&world, "p_11", &ask(&[target, ("scope", scope)]).await, "invalid_scope", "scope.malformed").await;
    }
    for form in [vec![target], vec![target, ("scope", "")]] {
        refused(&world, "p_28", &ask(&form).await, "invalid_scope", "scope.missing").await;
    }
    refused(&world, "elevation", &ask(&[target, ("scope", "orders:write")]).await, "invalid_scope", "scope.needs-elevation")
        .await;
    let scope = ("scope", "orders:read");
    for form in [vec![scope], vec![scope, target, ("resource", "https://orders.example")], vec![scope, target, target]] {
        refused(&world, "p_13", &ask(&form).await, "invalid_target", "target.missing").await;
    }
    for unknown in
        [("audience", "payroll"), ("resource", "https://orders.sandbox.example"), ("resource", "https://orders.example/")]
    {
        refused(&world, "p_12", &ask(&[scope, unknown]).await, "invalid_target", "target.not-contracted").await;
    }
    refused(&world, "client", &ask(&[scope, target, ("client_id", "globex/other")]).await, "invalid_client", "client.mismatch")
        .await;
    assert_eq!(world.issued().await, before, "nothing was minted");
    // P-27: exactly what was asked.
    let answer = ask(&[target, ("scope", "orders:list")]).await;
    assert_eq!(answer.json()["scope"], "orders:list", "p_27 {}", answer.text());
    // P-21: unknown parameters are ignored, unknown grants are not.
    assert_eq!(ask(&[target, scope, ("frobnicate", "1")]).await.status, 200, "p_21");
    let answer = world.token("production", &[("grant_type", "password")]).await;
    assert_eq!(answer.json()["error"], "unsupported_grant_type", "p_21");
}

#[tokio::test]
async fn p_15_p_16_token_types_and_actors_are_refused() {
    let world = World::start().await;
    let assertion = world.assertion("production");
    let base = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("scope", "orders:read"),
        ("audience", "orders-api"),
    ];
    for (name, more) in [
        ("wrong type", vec![("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")]),
        ("no type", vec![]),
        (
            "refresh wanted",
            vec![("subject_token_type", TYPE_JWT), ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
        ),
        ("actor", vec![("subject_token_type", TYPE_JWT), ("actor_token", "x"), ("actor_token_type", TYPE_JWT)]),
        ("actor type alone", vec![("subject_token_type", TYPE_JWT), ("actor_token_type", TYPE_JWT)]),
    ] {
        let answer = world.token("production", &[&base[..], &more].concat()).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")), "{name}");
    }
    // P-16: what a subject token says of actors is not copied.
    let mut claims = world.claims("production");
    claims["act"] = json!({"sub": "somebody"});
    claims["may_act"] = json!({"sub": "somebody"});
    let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
    let minted = crate::world::claims(answer.json()["access_token"].as_str().expect("a token"));
    assert!(minted["act"].is_null() && minted["may_act"].is_null());
    // P-17: our own token is no subject token.
    let own = world.minted().await;
    let answer = world.exchange("production", &own, "orders:read").await;
    assert_eq!((answer.status, answer.json()["reason"].is_null()), (400, true), "p_17 {}", answer.text());
}

#[tokio::test]
async fn p_05_bindings_admit_their_own_and_tell_nobody_else() {
    let world = World::start().await;
    for (name, claim, value, known) in [
        ("other repository", "repository_id", "1", true),
        ("other branch", "ref", "refs/heads/dev", true),
        ("suffix", "repository_id", "4567890", true),
        ("other owner", "repository_owner_id", "998878", false),
    ] {
        let mut claims = world.claims("production");
        claims[claim] = value.into();
        let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
        if known {
            refused(&world, name, &answer, "invalid_request", "binding.no-match").await;
            let told = answer.json()["error_description"].as_str().expect("a text").to_owned();
            assert!(told.contains(&format!("claim.{claim}")) && told.contains(value), "{told}");
        } else {
            assert_eq!((answer.status, answer.json()["reason"].is_null()), (400, true), "{name}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn p_18_suspension_ends_issuance_and_what_was_issued() {
    let world = World::start().await;
    let token = world.minted().await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    let answer = world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &json!({"reason": "incident"})).await;
    assert!(answer.status < 300, "{}", answer.text());
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    refused(&world, "p_18", &answer, "invalid_request", "integration.suspended").await;
    // Resume takes another person than who suspended or asked, and revives no token.
    let answer = world.admin_post("/v1/integrations/globex/order-sync/resume", "ann", &json!({"reason": "over"})).await;
    assert!(answer.status < 300, "{}", answer.text());
    let approvals = world.admin_get("/v1/approvals?limit=1000", "sven").await;
    let pending =
        approvals["items"].as_array().expect("items").iter().find(|a| a["kind"] == "resume" && a["state"] == "pending");
    let pending = pending.expect("an approval").clone();
    let path = format!("/v1/approvals/{}/reviews", pending["id"].as_str().expect("an id"));
    let review = json!({"verdict": "approve", "reason": "ok", "version": pending["version"]});
    assert_eq!(world.admin_post(&path, "sven", &review).await.json()["reason"], "approval.own-request");
    assert!(world.admin_post(&path, "sara", &review).await.status < 300);
    world.minted().await;
    assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
}

#[tokio::test]
async fn t_01_to_t_04_a_proof_is_spent_once_everywhere() {
    let world = World::start().await;
    let assertion = world.assertion("production");
    assert_eq!(world.exchange("production", &assertion, "orders:read").await.status, 200);
    let again = world.exchange("production", &assertion, "orders:read").await;
    refused(&world, "t_01", &again, "invalid_request", "assertion.replayed").await;
    // In another slot it is the same proof.
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
        ("scope", "orders:read"),
        ("audience", "orders-api"),
    ];
    refused(&world, "t_01", &world.token("production", &form).await, "invalid_grant", "assertion.replayed").await;
    // T-02: a hundred at once, one token.
    let before = world.issued().await;
    let assertion = world.assertion("production");
    let all = (0..100).map(|_| world.exchange("production", &assertion, "orders:read"));
    let answers = together(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "t_02");
    assert_eq!(world.issued().await, before + 1, "t_02");
    // T-04: no jti where the binding spends it.
    let mut claims = world.claims("production");
    claims.as_object_mut().expect("an object").remove("jti");
    let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
    refused(&world, "t_04", &answer, "invalid_request", "assertion.no-jti").await;
    // A refusal spends nothing.
    let assertion = world.assertion("production");
    assert_eq!(world.exchange("production", &assertion, "orders:write").await.status, 400);
    assert_eq!(world.exchange("production", &assertion, "orders:read").await.status, 200);
}

/// Runs all at once.
pub async fn together<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, out) in running.iter_mut().zip(&mut done) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *out = Some(value);
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(|out| out.expect("done")).collect()
}

#[tokio::test]
async fn t_03_the_same_jti_of_two_issuers_are_two_proofs() {
    let mut world = World::start().await;
    let other = crate::world::Provider::start().await;
    world.stop().await;
    let path = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&path).expect("read");
    let listed = format!("issuers = [\"{}\", ", other.issuer);
    std::fs::write(&path, text.replace("issuers = [", &listed)).expect("written");
    world.boot().await;
    world.onboard(&records::integration(&other.issuer, "second", "456789")).await;
    let mut claims = world.claims("production");
    assert_eq!(world.exchange("production", &world.partner.sign(&claims), "orders:read").await.status, 200);
    claims["iss"] = other.issuer.clone().into();
    let answer = world.exchange("production", &other.sign(&claims), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(crate::world::claims(answer.json()["access_token"].as_str().expect("a token"))["sub"], "globex/second");
    // K-17: issuer A's token signed by issuer B's key.
    claims["jti"] = client::unique().into();
    let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
    assert_eq!((answer.status, answer.json()["reason"].is_null()), (400, true), "k_17");
}

#[tokio::test]
async fn t_08_to_t_10_time_ends_where_it_says() {
    let world = World::start().await;
    let now = world.clock.seconds();
    for (name, left, status) in
        [("exp - 1", 1, 400), ("exp", 0, 400), ("exp + 1", -1, 400), ("floor - 1", 14, 400), ("floor", 15, 200)]
    {
        let mut claims = world.claims("production");
        claims["exp"] = (now + left).into();
        claims["iat"] = (now - 10).into();
        let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
        assert_eq!(answer.status, status, "t_08 {name}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.json()["expires_in"], left, "t_09: the assertion is the minimum");
        }
    }
    // T-09, T-10: the contract ends first. An integration of its own, so that its record can end soon.
    let ends = carnet::domain::value::clock::Timestamp::from_seconds(now + 40).expect("a time");
    let record =
        records::integration(&world.partner.issuer, "short", "77").replace(&CONTRACT_ENDS.to_string(), &ends.to_string());
    world.onboard(&record).await;
    let exchange = async || {
        let mut claims = world.claims("production");
        claims["repository_id"] = "77".into();
        world.exchange("production", &world.partner.sign(&claims), "orders:read").await
    };
    let answer = exchange().await;
    assert_eq!((answer.status, answer.json()["expires_in"].as_u64()), (200, Some(40)), "t_09 {}", answer.text());
    world.advance(35).await;
    refused(&world, "t_10", &exchange().await, "invalid_request", "life.too-short").await;
    world.advance(5).await;
    refused(&world, "t_10", &exchange().await, "invalid_request", "contract.ended").await;
}

#[tokio::test]
async fn t_06_a_spent_proof_stays_spent_over_a_restart() {
    let mut world = World::start().await;
    let assertion = world.assertion("production");
    assert_eq!(world.exchange("production", &assertion, "orders:read").await.status, 200);
    let token = world.minted().await;
    world.stop().await;
    world.boot().await;
    let answer = world.exchange("production", &assertion, "orders:read").await;
    refused(&world, "t_06", &answer, "invalid_request", "assertion.replayed").await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
}
