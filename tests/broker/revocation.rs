//! Revocation and introspection on the wire, in-process and over a real Redis. ABUSE rows R.

use serde_json::{Value, json};

use crate::world::issuer::twin;
use crate::world::{Options, World, client, get, header, jti, post_form, records};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn revoke(world: &World, body: Value) {
    let answer = world.admin_post("/v1/revocations", "sven", &body).await;
    assert!(answer.status < 300, "{body}: {}", answer.text());
}

async fn active(world: &World, token: &str) -> bool {
    let answer = world.introspect("production", token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    if told["active"] == false {
        assert_eq!(told, json!({"active": false}), "an inactive token tells nothing");
    }
    told["active"] == true
}

#[tokio::test]
async fn r_01_r_06_each_level_cuts_and_re_enabling_never_revives() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let kid = |keys: &Value| keys["items"][0]["kid"].as_str().or(keys["items"][0]["id"].as_str()).expect("a kid").to_owned();
    let levels = [
        json!({"binding": "globex/order-sync/production/ci-main", "reason": "x"}),
        json!({"integration": "globex/order-sync", "reason": "x"}),
        json!({"environment": "globex/order-sync/production", "reason": "x"}),
        json!({"partner": "globex", "reason": "x"}),
        json!({"environment": "production", "reason": "x"}),
        json!({"issuer": world.partner.issuer, "reason": "x"}),
    ];
    let token = world.minted().await;
    let other = world.minted().await;
    revoke(&world, json!({"token": jti(&token), "reason": "leaked"})).await;
    assert!(!active(&world, &token).await, "r_01");
    assert!(active(&world, &other).await, "another token lives");
    // Only what was issued: later exchanges go on.
    for level in &levels {
        let token = world.minted().await;
        let mut body = level.clone();
        body["tokensOnly"] = true.into();
        revoke(&world, body).await;
        assert!(!active(&world, &token).await, "r_06 {level}");
        assert!(active(&world, &world.minted().await).await, "r_06 tokensOnly {level}");
    }
    // Standing revocations refuse, and lifting revives nothing.
    for level in &levels[..4] {
        let token = world.minted().await;
        revoke(&world, level.clone()).await;
        let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert_eq!(answer.json()["reason"], "trust.revoked", "{level}: {}", answer.text());
        let list = world.admin_get("/v1/revocations?limit=1000", "alan").await;
        let standing = |r: &&Value| r["state"] == "standing" || r["state"] == "active";
        let id = list["items"].as_array().expect("items").iter().find(standing).map(|r| r["id"].clone());
        let id = id.unwrap_or_else(|| panic!("no standing revocation in {list}"));
        let path = format!("/v1/revocations/{}/lift", id.as_str().expect("an id"));
        assert!(world.admin_post(&path, "sven", &json!({"reason": "over"})).await.status < 300);
        approve_lift(&world).await;
        assert!(!active(&world, &token).await, "revoked never revives: {level}");
        world.minted().await;
    }
    let keys = world.admin_get("/v1/keys", "adam").await;
    let production = keys["items"].as_array().expect("items").iter().find(|key| key["environment"] == "production").cloned();
    let kid = kid(&json!({"items": [production.expect("a key")]}));
    let token = world.minted().await;
    revoke(&world, json!({"key": format!("production/{kid}"), "reason": "stolen"})).await;
    let answer = world.introspect("production", &token).await;
    assert_eq!(answer.json(), json!({"active": false}), "r_06 key");
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(answer.status, 503, "a tainted key signs nothing: {}", answer.text());
}

async fn approve_lift(world: &World) {
    let approvals = world.admin_get("/v1/approvals?limit=1000", "sara").await;
    for approval in approvals["items"].as_array().expect("items") {
        if approval["kind"] == "lift" && approval["state"] == "pending" {
            let path = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
            let body = json!({"verdict": "approve", "reason": "ok", "version": approval["version"]});
            let own = world.admin_post(&path, "sven", &body).await;
            assert_eq!((own.status, own.json()["reason"].as_str()), (409, Some("approval.own-request")));
            let answer = world.admin_post(&path, "sara", &body).await;
            assert!(answer.status < 300, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn r_02_r_11_r_12_strangers_learn_and_cut_nothing() {
    let world = World::start().await;
    world.onboard(&records::integration(&world.partner.issuer, "second", "77")).await;
    let token = world.minted().await;
    let caller = |repository: &str| {
        let mut claims = world.claims("production");
        claims["repository_id"] = repository.into();
        world.partner.sign(&claims)
    };
    let ask = async |path: &str, token: &str, proof: String| {
        let form = [("token", token), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", proof.as_str())];
        post_form(world.public, &format!("/production/{path}"), &form).await
    };
    // another integration sees nothing; the own one sees its token.
    assert_eq!(ask("introspect", &token, caller("77")).await.json(), json!({"active": false}), "r_12");
    assert_eq!(ask("introspect", &token, caller("456789")).await.json()["active"], true);
    // and cuts nothing, on record.
    let answer = ask("revoke", &token, caller("77")).await;
    assert_eq!(answer.status, 200, "r_11 {}", answer.text());
    assert!(active(&world, &token).await, "r_11");
    let noted = world.admin_get(&format!("/v1/explain/{}", answer.header("x-request-id").expect("an id")), "alan").await;
    assert_eq!(noted["reason"], "token.foreign", "r_11");
    // garbage is no error.
    for garbage in ["garbage", "a.b.c", "", "é"] {
        let answer = ask("revoke", garbage, caller("456789")).await;
        assert!(answer.status == 200 || garbage.is_empty(), "r_02 {garbage}: {}", answer.text());
        assert_eq!(ask("introspect", garbage, caller("456789")).await.status, if garbage.is_empty() { 400 } else { 200 });
    }
    // The client's own revocation.
    assert_eq!(ask("revoke", &token, caller("456789")).await.status, 200);
    assert!(!active(&world, &token).await);
    // Callers without a proof: 401. A proof is spent by a read as well.
    let answer = post_form(world.public, "/production/introspect", &[("token", token.as_str())]).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_client")));
    assert!(answer.header("www-authenticate").is_some());
    let proof = caller("456789");
    assert_eq!(ask("introspect", &token, proof.clone()).await.status, 200);
    assert_eq!(ask("introspect", &token, proof.clone()).await.status, 401);
    let answer = world.exchange("production", &proof, "orders:read").await;
    assert_eq!(answer.json()["reason"], "assertion.replayed", "one namespace over reads and mints");
}

#[tokio::test]
async fn r_03_r_07_t_07_without_redis_nothing_is_minted_or_active() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let token = world.minted().await;
    let revoked = world.minted().await;
    revoke(&world, json!({"token": jti(&revoked), "reason": "leaked"})).await;
    world.redis.as_mut().expect("redis").kill();
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "t_07");
    assert!(answer.header("retry-after").is_some());
    let answer = world.introspect("production", &token).await;
    assert_eq!(answer.status, 503, "r_07 {}", answer.text());
    let answer = world.admin_post("/v1/revocations", "sven", &json!({"token": jti(&token), "reason": "x"})).await;
    assert_eq!(answer.status, 503, "r_03: not acknowledged before every reader is certain: {}", answer.text());
    // Metadata and keys need no store.
    assert_eq!(client::get(world.public, "/production/jwks").await.status, 200);
    // An empty Redis is noticed and rebuilt before anybody is told "active".
    world.redis.as_mut().expect("redis").restart_empty().await;
    for _ in 0..100 {
        let answer = world.introspect("production", &revoked).await;
        if answer.status == 200 {
            assert_eq!(answer.json(), json!({"active": false}), "r_07: a revoked token is never active");
            break;
        }
        assert_eq!(answer.status, 503);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(!active(&world, &revoked).await);
    // The revocation that was not acknowledged is on record all the same.
    assert!(!active(&world, &token).await, "r_03: committed");
    world.minted().await;
}

/// a tainted key has signed its last token within a second; what it signed is inactive, it is in no JWKS, and the next key revives
/// nothing. Another environment does not notice.
#[tokio::test]
async fn r_18_q_05_a_tainted_key_is_out_at_once_and_for_ever() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let published = async |environment: &str| {
        let keys = get(world.public, &format!("/{environment}/jwks")).await.json();
        let kids = keys["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned());
        kids.collect::<Vec<_>>()
    };
    let taint =
        async |kid: &str| world.admin_post("/v1/keys/production/taint", "adam", &json!({"kid": kid, "reason": "stolen"})).await;
    let (token, sandbox) = (world.minted().await, published("sandbox").await);
    let kid = header(&token)["kid"].as_str().expect("a kid").to_owned();
    assert!(active(&world, &token).await && published("production").await.contains(&kid));
    let begun = std::time::Instant::now();
    let broker = &world.running.as_ref().expect("it runs").broker;
    let untainted = broker.journal.view();
    assert!(broker.issuance.is_complete(&untainted.state));
    assert_eq!(taint(&kid).await.status, 204);
    assert!(!broker.issuance.is_complete(&untainted.state), "r_18: its unsealed half is in memory no more");
    assert!(!active(&world, &token).await, "r_18");
    assert!(!published("production").await.contains(&kid), "r_18");
    let before = world.issued().await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((answer.status, world.issued().await), (503, before), "q_05: {}", answer.text());
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "q_05: {:?}", begun.elapsed());
    assert_eq!((taint(&kid).await.status, published("sandbox").await), (409, sandbox), "it was out already");

    let next = json!({"alg": "ES256", "acceptOutage": true});
    assert_eq!(world.admin_post("/v1/keys/production/rotate", "adam", &next).await.status, 201);
    assert!(active(&world, &world.minted().await).await);
    assert!(!active(&world, &token).await && !published("production").await.contains(&kid), "revoked never revives");
}

/// a signing key that is revoked leaves memory as one that is tainted does.
#[tokio::test]
async fn r_18_a_revoked_key_is_unsealed_no_more() {
    let world = World::start().await;
    let broker = &world.running.as_ref().expect("it runs").broker;
    let before = broker.journal.view();
    let keys = world.admin_get("/v1/keys", "alan").await;
    let key = keys["items"][0]["id"].as_str().expect("a key").to_owned();
    assert!(broker.issuance.is_complete(&before.state));
    let answer = world.admin_post("/v1/revocations", "sven", &json!({"key": key, "reason": "a copy was found"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(!broker.issuance.is_complete(&before.state));
}

/// One token, one text: with the twin of its signature, or in another encoding, a token of ours is nobody's. It is not active, and whoever
/// sends such a text to be revoked revokes nothing.
#[tokio::test]
async fn a_token_has_one_text() {
    let world = World::start().await;
    let api_form = async |path: &str, token: &str| {
        let proof = world.api_proof("production");
        let form = [("token", token), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", proof.as_str())];
        post_form(world.public, path, &form).await
    };
    // Every second signature is high by chance: a signer that does not choose would be found out by ten.
    for _ in 0..10 {
        let token = world.minted().await;
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let mut tail = signature.as_bytes().to_vec();
        let last = tail.pop().expect("a signature");
        // 64 bytes leave four bits of the last character without meaning.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.iter().position(|letter| *letter == last).expect("base64url");
        tail.push(alphabet[at ^ 1]);
        let tail = String::from_utf8(tail).expect("ASCII");
        let others = [
            twin(&token),
            format!("{input}.{tail}"),
            format!("{token}="),
            format!("{token}=="),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{}.{signature}", input.replacen('.', "=.", 1)),
            format!("{token}."),
        ];
        for other in &others {
            assert!(!active(&world, other).await, "{other:?}");
            assert_eq!(api_form("/production/revoke", other).await.status, 200);
        }
        assert!(active(&world, &token).await, "a text that is no token of ours revoked one");
        assert_eq!(twin(&twin(&token)), token);
    }
}
