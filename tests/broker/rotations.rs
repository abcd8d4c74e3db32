//! Rotations of signing keys where nodes share a journal: no verifier gets a token by a key that it cannot know.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::nodes::{Fellow, minted, world};
use crate::webhooks::until;
use crate::world::{World, header};

const HOUR: i64 = 3600;

/// The time for which a verifier may keep a key set (docs/explanation/keys-and-caches.md).
const ALLOWANCE: i64 = 24 * HOUR;

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().expect("a kid").to_owned()
}

async fn key_set(world: &World, node: SocketAddr) -> Value {
    let answer = world.get_at(node, "/production/jwks").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn kids(set: &Value) -> BTreeSet<String> {
    set["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

/// The id of the new key.
async fn rotated(world: &World) -> String {
    let made = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256"})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["kid"].as_str().expect("a kid").to_owned()
}

async fn state_of(world: &World, kid: &str) -> String {
    let listed = world.admin_get("/v1/keys?environment=production", "alan").await;
    let key = listed["items"].as_array().expect("items").iter().find(|key| key["kid"] == kid).expect("the key").clone();
    key["state"].as_str().expect("a state").to_owned()
}

/// The entries that activated a key.
async fn activations(world: &World) -> usize {
    let listed = world.admin_get("/v1/journal?kind=key.activated", "alan").await;
    listed["items"].as_array().expect("items").len()
}

/// A node that lives and does not follow keeps the key before in use, until it follows or its lease has run out.
#[tokio::test]
async fn a_key_signs_once_every_node_that_lives_knows_it() {
    let (database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let nodes = [world.public, second.public];
    let old = kid(&minted(&world, nodes[0]).await);
    // As a node writes whose lease is answered, and that has followed nothing for long.
    database.ask(
        "INSERT INTO nodes (id, instance, version, size, ahead, lease_until) \
         VALUES ('sts-9', 'held', '1', 2, 0, clock_timestamp() + interval '1 h')",
    );
    let new = rotated(&world).await;
    world.advance(ALLOWANCE + 60).await;
    second.until_ready().await;
    // The task looks each second.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    for node in nodes {
        assert!(kids(&key_set(&world, node).await).is_superset(&[old.clone(), new.clone()].into()));
        assert_eq!(kid(&minted(&world, node).await), old, "one node does not know the other key");
    }
    assert_eq!((state_of(&world, &new).await.as_str(), activations(&world).await), ("next", 0));
    database.ask("UPDATE nodes SET lease_until = clock_timestamp() - interval '1 s' WHERE id = 'sts-9'");
    until("it signs", async || state_of(&world, &new).await == "active").await;
    assert_eq!((state_of(&world, &old).await.as_str(), activations(&world).await), ("retiring", 1));
    for node in nodes {
        until("each node signs with it", async || kid(&minted(&world, node).await) == new).await;
    }
    // A key for which an outage was accepted waits for nobody.
    database.ask("UPDATE nodes SET lease_until = clock_timestamp() + interval '1 h' WHERE id = 'sts-9'");
    let at_once = json!({"alg": "ES256", "acceptOutage": true});
    let made = world.admin_post("/v1/keys/production/rotate", "adam", &at_once).await;
    assert_eq!(kid(&minted(&world, nodes[0]).await), made.json()["kid"].as_str().expect("a kid"));
    second.stop().await;
    world.stop().await;
}

/// A verifier that fetches the key set only when its allowance is over, and asks nobody about a key that it does not know.
struct CachingVerifier {
    node: SocketAddr,
    set: Value,
    fetched: i64,
}

impl CachingVerifier {
    async fn at(world: &World, node: SocketAddr) -> Self {
        Self { node, set: key_set(world, node).await, fetched: world.clock.seconds() }
    }

    async fn verifies(&mut self, world: &World, token: &str) -> bool {
        let now = world.clock.seconds();
        if now - self.fetched >= ALLOWANCE {
            (self.set, self.fetched) = (key_set(world, self.node).await, now);
        }
        let kid = kid(token);
        let key = self.set["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == kid.as_str());
        key.is_some_and(|key| is_signed(token, key))
    }
}

fn is_signed(token: &str, key: &Value) -> bool {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("a coordinate")).expect("base64url");
    let (input, signature) = token.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let point = [vec![4], part("x"), part("y")].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input.as_bytes(), &signature).is_ok()
}

/// Rotates so often while two nodes mint, and counts verifications and failed ones.
async fn rotations(times: usize) -> (usize, usize) {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let nodes = [world.public, second.public];
    let mut verifiers = Vec::new();
    let (mut done, mut failed, mut kept) = (0, 0, Vec::<String>::new());
    for rotation in 0..times {
        let new = rotated(&world).await;
        for step in 0..7 {
            // Verifiers come at different times, so their sets are of every age.
            if verifiers.len() < 7 {
                verifiers.push(CachingVerifier::at(&world, nodes[step % 2]).await);
            }
            if step < 6 {
                world.advance(if step == 0 { 4 * HOUR - 60 } else { 4 * HOUR }).await;
            } else {
                // One of the last that the key signs is shown after its successor has begun.
                kept.push(minted(&world, nodes[rotation % 2]).await);
                world.advance(77).await;
            }
            second.until_ready().await;
            if step == 6 {
                until("the new key signs", async || kid(&minted(&world, nodes[rotation % 2]).await) == new).await;
            }
            let mut tokens = std::mem::take(&mut kept);
            for _ in 0..2 {
                let (here, there) = tokio::join!(minted(&world, nodes[0]), minted(&world, nodes[1]));
                tokens.extend([here, there]);
            }
            for verifier in &mut verifiers {
                for token in &tokens {
                    done += 1;
                    if !verifier.verifies(&world, token).await {
                        failed += 1;
                    }
                }
            }
        }
    }
    second.stop().await;
    world.stop().await;
    (done, failed)
}

#[tokio::test]
async fn verifiers_that_cache_for_their_whole_allowance_verify_every_token_through_rotations() {
    let (done, failed) = rotations(10).await;
    assert!(done > 1_500, "{done}");
    assert_eq!(failed, 0, "of {done}");
}

#[tokio::test]
#[ignore = "takes minutes; prints the figure"]
async fn verifiers_that_cache_for_their_whole_allowance_verify_every_token_through_100_rotations() {
    // In two halves: a review of access is due after 90 days.
    let ((one, failed), (other, more)) = (rotations(50).await, rotations(50).await);
    let (done, failed) = (one + other, failed + more);
    println!("100 rotations, {done} verifications, {failed} failed");
    assert_eq!(failed, 0, "of {done}");
}
