//! ABUSE rows K on the wire: what a partner's issuer does wrong concerns its own partners alone, and leaks nothing.

use serde_json::json;

use crate::world::issuer::Behaviour;
use crate::world::{World, get};

fn discovery(status: u16, body: String) -> Behaviour {
    Behaviour { discovery: Some((status, body)), keys: None }
}

/// K-04, K-05, K-07, K-08, K-19, K-24: a node starts and is ready whatever an issuer answers; assertions of that issuer are refused,
/// nothing is minted, and not a word of the answer is passed on.
#[tokio::test]
async fn k_04_to_k_24_a_broken_issuer_is_unhealthy_and_nothing_else() {
    let mut world = World::start().await;
    let issuer = world.partner.issuer.clone();
    let honest = |keys: &str| json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    let own_keys = format!("{issuer}/keys");
    let broken = [
        ("k_04 500", discovery(500, "CANARY internal".to_owned())),
        ("k_04 html", discovery(200, format!("<html>CANARY{}</html>", "x".repeat(1 << 20)))),
        ("k_05 redirect", discovery(302, "CANARY".to_owned())),
        ("k_06 keys elsewhere", discovery(200, honest("http://127.0.0.1:1/keys"))),
        ("k_07 another issuer", discovery(200, json!({"issuer": format!("{issuer}/"), "jwks_uri": own_keys}).to_string())),
        ("k_08 keys redirect", Behaviour { discovery: None, keys: Some((302, "CANARY".to_owned())) }),
        ("k_18 private keys", Behaviour { discovery: None, keys: Some((200, private_keys(&world))) }),
        (
            "k_19 too large",
            Behaviour { discovery: None, keys: Some((200, format!("{{\"keys\": [{}]}}", " ".repeat(1 << 20)))) },
        ),
    ];
    for (name, behaviour) in broken {
        world.stop().await;
        world.partner.behave(behaviour);
        world.boot().await;
        let before = world.issued().await;
        assert_eq!(get(world.public, "/readyz").await.status, 200, "k_24 {name}: the node is ready");
        let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert!([400, 503].contains(&answer.status), "{name}: {}", answer.text());
        assert!(!answer.text().contains("CANARY"), "k_04 {name}: {}", answer.text());
        assert_eq!(world.issued().await, before, "{name}: something was minted");
    }
    // Healed: the same partner is served again after the rest between two attempts.
    world.partner.behave(Behaviour { discovery: None, keys: None });
    world.advance(60).await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn private_keys(world: &World) -> String {
    let mut key = world.partner.key.public().clone();
    key["d"] = "AAAA".into();
    json!({"keys": [key]}).to_string()
}

/// K-01: an issuer that no binding names is not asked anything.
#[tokio::test]
async fn k_01_an_unknown_issuer_hears_nothing() {
    let world = World::start().await;
    let stranger = crate::world::Provider::start().await;
    let mut claims = world.claims("production");
    claims["iss"] = stranger.issuer.as_str().into();
    for _ in 0..5 {
        let answer = world.exchange("production", &stranger.sign(&claims), "orders:read").await;
        assert_eq!((answer.status, answer.json()["reason"].is_null()), (400, true), "{}", answer.text());
    }
    assert_eq!(stranger.hits(), 0, "k_01");
}
