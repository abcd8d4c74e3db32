//! Tokens of an independent provider in, tokens for independent libraries out.

use serde_json::{Value, json};

use super::{Independent, Verifier};
use crate::world::days::CONTRACT_ENDS;
use crate::world::{Options, TOKEN_EXCHANGE, TYPE_JWT, World};

const TYPE_ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// An API for each way to sign, and an integration of the independent provider's workloads.
fn records(issuer: &str) -> String {
    let api = |name: &str, profile: &str, alg: &str| {
        format!(
            r#"
---
apiVersion: carnet/v1
kind: Api
metadata: {{name: {name}}}
owner: team:orders
audience: {{sandbox: "https://{name}.sandbox.example", production: "https://{name}.example"}}
token: {{profile: {profile}, alg: {alg}, ttl: 5m}}
scopes:
  use: {{meaning: Use it, risk: low}}
"#
        )
    };
    let apis = api("stock", "compat", "RS256") + &api("labels", "rfc9068", "EdDSA");
    format!(
        r#"{apis}
---
apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: warehouse}}
purpose: Prints labels for what leaves the warehouse.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-2, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  production:
    bindings:
      - name: id-token
        oidc: {{issuer: "{issuer}", match: {{sub: warehouse-sync}}, audience: warehouse, singleUse: false, maxAge: 10m}}
      - name: access-token
        oidc: {{issuer: "{issuer}", match: {{sub: warehouse, client_id: warehouse}}, typ: [at+jwt]}}
    scopes:
      orders-api: [orders:read]
      stock: [use]
      labels: [use]
"#
    )
}

async fn world(provider: &Independent) -> World {
    let options = Options { redis: true, issuers: vec![provider.issuer.clone()], ..Options::default() };
    let world = World::with(options).await;
    world.onboard(&records(&provider.issuer)).await;
    // The provider is a process of its own and lives by the machine's clock.
    world.clock.synchronise();
    world
}

async fn exchange(world: &World, token: &str, kind: &str, api: &str, scope: &str) -> crate::world::Answer {
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", kind),
        ("client_id", "globex/warehouse"),
        ("audience", api),
        ("scope", scope),
    ];
    world.token("production", &form).await
}

async fn exchanged(world: &World, token: &str, kind: &str, api: &str, scope: &str) -> String {
    world.clock.synchronise();
    // The live index has not heard of the new time yet.
    world.advance(0).await;
    let answer = exchange(world, token, kind, api, scope).await;
    assert_eq!(answer.status, 200, "{api}: {}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn an_independent_providers_tokens_become_tokens_that_independent_libraries_verify() {
    let provider = Independent::start().await;
    let world = world(&provider).await;
    let issuer = world.issuer("production");

    // The ID token is reusable by its record: one for three APIs.
    let id_token = provider.id_token().await;
    let orders = exchanged(&world, &id_token, TYPE_ID_TOKEN, "orders-api", "orders:read").await;
    let stock = exchanged(&world, &id_token, TYPE_ID_TOKEN, "stock", "use").await;
    let labels = exchanged(&world, &id_token, TYPE_JWT, "labels", "use").await;
    // The access token is not: it has a jti, and buys once.
    let access_token = provider.access_token(&issuer).await;
    let second = exchanged(&world, &access_token, TYPE_JWT, "orders-api", "orders:read").await;
    let replayed = exchange(&world, &access_token, TYPE_JWT, "orders-api", "orders:read").await;
    assert_eq!((replayed.status, replayed.json()["reason"].as_str()), (400, Some("assertion.replayed")), "{}", replayed.text());
    // One made for somebody else buys nothing.
    let foreign = provider.access_token("https://elsewhere.example").await;
    let foreign = exchange(&world, &foreign, TYPE_JWT, "orders-api", "orders:read").await;
    assert_eq!((foreign.status, foreign.json()["error"].as_str()), (400, Some("invalid_request")), "{}", foreign.text());

    let edwards = format!("{issuer}/jwks/ed25519");
    let good = [
        json!({"token": orders, "audience": "https://orders.example", "typ": "at+jwt", "alg": "ES256"}),
        json!({"token": second, "audience": "https://orders.example", "typ": "at+jwt", "alg": "ES256"}),
        json!({"token": stock, "audience": "https://stock.example", "typ": "JWT", "alg": "RS256"}),
        json!({"token": labels, "audience": "https://labels.example", "typ": "at+jwt", "alg": "EdDSA", "jwks": edwards}),
    ];
    let bindings = ["id-token", "access-token", "id-token", "id-token"];
    for verifier in Verifier::ALL {
        for ((answer, asked), binding) in verifier.ask(&issuer, &good).await.iter().zip(&good).zip(bindings) {
            let claims = &answer["claims"];
            assert_eq!(claims["iss"], issuer.as_str(), "{verifier:?}: {answer} for {asked}");
            assert_eq!(claims["aud"], asked["audience"], "{verifier:?}");
            assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("globex/warehouse"), &json!("globex/warehouse")));
            assert_eq!((&claims["env"], &claims["binding"]), (&json!("production"), &json!(binding)), "{verifier:?}");
        }
    }
}

#[tokio::test]
async fn independent_libraries_refuse_what_is_not_for_them() {
    let world = World::start().await;
    world.clock.synchronise();
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
    let sandbox = sandbox.json()["access_token"].as_str().expect("a token").to_owned();
    let token = world.minted().await;
    let ask = |token: &str| json!({"token": token, "audience": "https://orders.example", "typ": "at+jwt", "alg": "ES256"});
    let with = |member: &str, value: &str| {
        let mut ask = ask(&token);
        ask[member] = json!(value);
        ask
    };
    let (signed, signature) = token.rsplit_once('.').expect("a JWS");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{signed}.{first}{}", &signature[1..]);
    let questions: [(&str, Value); 6] = [
        ("the good one", ask(&token)),
        ("another API", with("audience", "https://stock.example")),
        ("another type", with("typ", "JWT")),
        ("another algorithm", with("alg", "RS256")),
        ("another signature", ask(&forged)),
        ("another environment", ask(&sandbox)),
    ];
    let asked: Vec<Value> = questions.iter().map(|(_, question)| question.clone()).collect();
    for verifier in Verifier::ALL {
        let answers = verifier.ask(&world.issuer("production"), &asked).await;
        for ((name, _), answer) in questions.iter().zip(&answers) {
            assert_eq!(answer["claims"].is_object(), *name == "the good one", "{verifier:?}, {name}: {answer}");
        }
    }
}
