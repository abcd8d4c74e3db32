//! S-9: every operation of a known caller takes from a bucket of its own, and what one caller can leave behind is bounded
//! (`src/domain/quota.rs`).

use serde_json::json;

use crate::world::{Answer, Options, World, post_form, records, send};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The usual records with five exchanges a minute in production.
fn narrow(issuer: &str) -> String {
    let usual = records::usual(issuer);
    usual.replacen("    elevation:\n", "    limits: {exchangesPerMinute: 5}\n    elevation:\n", 1)
}

#[track_caller]
fn over(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["reason"]), (429, &json!("quota.exceeded")), "{}", answer.text());
    let wait: u32 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}

async fn asks(world: &World, endpoint: &str, token: &str, proof: &str) -> Answer {
    let form = [("token", token), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", proof)];
    post_form(world.public, &format!("/production/{endpoint}"), &form).await
}

/// Keys in the world's Redis that are no bucket.
fn keys(world: &World) -> usize {
    let port = world.redis.as_ref().expect("redis").port.to_string();
    let listed = std::process::Command::new("redis-cli").args(["-p", &port, "keys", "*"]).output().expect("redis-cli");
    let listed = String::from_utf8(listed.stdout).expect("text");
    listed.lines().filter(|key| !key.contains(":quota:")).count()
}

#[tokio::test]
async fn s_09_looking_at_tokens_has_a_bucket_of_its_own() {
    for redis in [true, false] {
        let world = World::with(Options { redis, ..Options::default() }).await;
        world.onboard(&narrow(&world.partner.issuer)).await;
        let token = world.minted().await;
        for _ in 0..4 {
            assert_eq!(world.exchange("production", &world.assertion("production"), "orders:read").await.status, 200);
        }
        let used_up = world.exchange("production", &world.assertion("production"), "orders:read").await;
        over(&used_up);
        // Twice as many looks as exchanges; none of them takes from those, and those take none of them.
        for _ in 0..10 {
            let answer = asks(&world, "introspect", &token, &world.assertion("production")).await;
            assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{}", answer.text());
        }
        let before = if redis { keys(&world) } else { 0 };
        let kept = world.assertion("production");
        for _ in 0..100 {
            over(&asks(&world, "introspect", &token, &world.assertion("production")).await);
        }
        over(&asks(&world, "introspect", &token, &kept).await);
        assert_eq!(if redis { keys(&world) } else { 0 }, before, "over the quota nothing is left in Redis");
        // One entry a minute says so, and the proof was not spent.
        world.advance(1).await;
        let said = async || {
            let refused = world.admin_get("/v1/journal?kind=refused&limit=1000", "alan").await;
            let all = refused["items"].as_array().expect("items");
            all.iter().filter(|entry| entry["reason"] == "quota.exceeded").count()
        };
        for _ in 0..100 {
            if said().await > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(said().await, 1);
        world.advance(11).await;
        assert_eq!(asks(&world, "introspect", &token, &kept).await.status, 200, "evenly refilled");
        // Whoever must stop a token can, whatever else it has used up.
        assert_eq!(asks(&world, "revoke", &token, &world.assertion("production")).await.status, 200);
        assert_eq!(world.introspect("production", &token).await.json(), json!({"active": false}));
        for _ in 0..4 {
            assert_eq!(asks(&world, "revoke", &token, &world.assertion("production")).await.status, 200);
        }
        over(&asks(&world, "revoke", &token, &world.assertion("production")).await);
    }
}

/// T-02: whoever holds a copy of a spent proof takes nothing from its owner with it, however often it is sent.
#[tokio::test]
async fn t_02_a_replayed_proof_takes_nothing_from_its_owner() {
    for redis in [true, false] {
        let world = World::with(Options { redis, ..Options::default() }).await;
        world.onboard(&narrow(&world.partner.issuer)).await;
        let exchange = async |proof: &str| world.exchange("production", proof, "orders:read").await;
        let replayed = |answer: &Answer| assert_eq!(answer.json()["reason"], "assertion.replayed", "{}", answer.text());
        // Exchanges: one of five.
        let spent = world.assertion("production");
        let minted = exchange(&spent).await;
        assert_eq!(minted.status, 200, "{}", minted.text());
        for _ in 0..20 {
            replayed(&exchange(&spent).await);
        }
        let mut left = 4;
        if redis {
            // An index that lost what it had seen is told again by the first copy, which takes one.
            let store = world.redis.as_ref().expect("redis");
            let listed = store.command(&["keys", "carnet:{seen:*"]);
            assert!(listed.lines().count() > 0, "{listed}");
            listed.lines().filter(|key| !key.is_empty()).for_each(|key| drop(store.command(&["del", key])));
            for _ in 0..20 {
                replayed(&exchange(&spent).await);
            }
            left = 3;
        }
        for _ in 0..left {
            assert_eq!(exchange(&world.assertion("production")).await.status, 200, "{redis}");
        }
        over(&exchange(&world.assertion("production")).await);
        replayed(&exchange(&spent).await);

        // Looks: one of ten, by the same proof or by one that bought a token.
        let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
        let looked = world.assertion("production");
        assert_eq!(asks(&world, "introspect", &token, &looked).await.status, 200);
        for _ in 0..20 {
            replayed(&asks(&world, "introspect", &token, &looked).await);
            replayed(&asks(&world, "introspect", &token, &spent).await);
        }
        for _ in 0..9 {
            assert_eq!(asks(&world, "introspect", &token, &world.assertion("production")).await.status, 200, "{redis}");
        }
        over(&asks(&world, "introspect", &token, &world.assertion("production")).await);
    }
}

/// An API looks far more often than a client exchanges.
#[tokio::test]
async fn s_09_an_api_that_introspects_a_lot_still_works() {
    let world = World::start().await;
    let token = world.minted().await;
    for _ in 0..800 {
        assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    }
}

#[tokio::test]
async fn s_09_elevations_are_asked_for_and_about_within_bounds() {
    let world = World::start().await;
    let ask = async || {
        let bearer = format!("Bearer {}", world.assertion("production"));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let wish = json!({"api": "orders-api", "scopes": ["orders:write"], "duration": "10m", "reason": "stuck order"});
        send(world.public, "POST", "/production/elevations", &headers, wish.to_string().as_bytes()).await
    };
    let first = ask().await;
    assert_eq!(first.status, 202, "{}", first.text());
    let place = format!("/production/elevations/{}", first.json()["id"].as_str().expect("an id"));
    let poll = format!("Bearer {}", first.json()["pollToken"].as_str().expect("a token"));
    for _ in 1..60 {
        let answer = ask().await;
        assert_ne!(answer.status, 429, "{}", answer.text());
    }
    over(&ask().await);
    // Exchanges go on.
    assert_eq!(world.exchange("production", &world.assertion("production"), "orders:read").await.status, 200);
    let look = async |token: &str| send(world.public, "GET", &place, &[("authorization", token)], b"").await;
    for _ in 0..600 {
        assert_eq!(look(&poll).await.status, 200);
    }
    over(&look(&poll).await);
    assert_eq!(look("Bearer wrong").await.status, 404, "whoever holds no poll token uses nothing up and is told nothing");
}
