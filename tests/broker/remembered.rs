//! What the broker remembers of tokens and proofs is never an answer: every verdict is taken anew (docs/explanation/keys-and-caches.md).

use serde_json::{Value, json};

use crate::certificates;
use crate::world::issuer::{Behaviour, twin};
use crate::world::{Answer, Key, Options, TOKEN_EXCHANGE, TYPE_JWT, World, client, get, header, jti, post_form, records, send};

const LISTED: &str = "verify_callers = [\"127.0.0.0/8\"]\n";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn world(redis: bool) -> World {
    World::with(Options { configuration: LISTED.to_owned(), redis, file: true, ..Options::default() }).await
}

/// What introspection and a proxy's question say of a token; both must agree.
async fn active_in(world: &World, environment: &str, token: &str) -> bool {
    let told = world.introspect(environment, token).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders/42")];
    let path = format!("/{environment}/verify?api=orders-api&scope=orders:read");
    let verdict = send(world.public, "GET", &path, &headers, b"").await;
    let active = told.json()["active"] == true;
    assert_eq!(verdict.status, if active { 200 } else { 401 }, "{}", verdict.text());
    if !active {
        assert_eq!(told.json(), json!({"active": false}));
    }
    active
}

async fn active(world: &World, token: &str) -> bool {
    active_in(world, "production", token).await
}

/// A token that is remembered: it was asked about twice.
async fn remembered(world: &World) -> String {
    let token = world.minted().await;
    assert!(active(world, &token).await && active(world, &token).await);
    token
}

/// I-8, R-06: whatever cuts a token cuts one that was asked about just before, with either index.
#[tokio::test]
async fn i_8_r_06_a_token_that_was_active_a_moment_ago_is_cut_at_once() {
    for redis in [false, true] {
        let world = world(redis).await;
        let revoke = async |body: &Value| {
            let answer = world.admin_post("/v1/revocations", "sven", body).await;
            assert!(answer.status < 300, "{body}: {}", answer.text());
        };
        let other = remembered(&world).await;
        let token = remembered(&world).await;
        revoke(&json!({"token": jti(&token), "reason": "leaked"})).await;
        assert!(!active(&world, &token).await, "its id");
        assert!(active(&world, &other).await, "another token lives");
        for level in [
            json!({"partner": "globex"}),
            json!({"integration": "globex/order-sync"}),
            json!({"binding": "globex/order-sync/production/ci-main"}),
            json!({"issuer": world.partner.issuer}),
            json!({"environment": "production"}),
            json!({"api": "orders-api"}),
        ] {
            let token = remembered(&world).await;
            let mut body = level.clone();
            (body["reason"], body["tokensOnly"]) = ("x".into(), true.into());
            revoke(&body).await;
            assert!(!active(&world, &token).await && !active(&world, &token).await, "{level}");
        }
        assert!(!active(&world, &other).await);
        // Its holder gives it back.
        let token = remembered(&world).await;
        let proof = world.assertion("production");
        let form = [("token", token.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &proof)];
        assert_eq!(post_form(world.public, "/production/revoke", &form).await.status, 200);
        assert!(!active(&world, &token).await, "given back");
        let token = remembered(&world).await;
        let suspend = json!({"reason": "an incident"});
        assert!(world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &suspend).await.status < 300);
        assert!(!active(&world, &token).await, "suspended");
    }
}

/// a tainted key cuts what it signed, remembered or not, and no other environment's token.
#[tokio::test]
async fn r_18_what_a_tainted_key_signed_is_not_remembered_as_good() {
    let world = world(true).await;
    let token = remembered(&world).await;
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await.json();
    let sandbox = sandbox["access_token"].as_str().expect("a token");
    assert!(active_in(&world, "sandbox", sandbox).await);
    let kid = header(&token)["kid"].as_str().expect("a kid").to_owned();
    let taint = json!({"kid": kid, "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/keys/production/taint", "adam", &taint).await.status, 204);
    assert!(!active(&world, &token).await && !active(&world, &token).await);
    assert!(active_in(&world, "sandbox", sandbox).await);
}

/// S-13: memory is by the whole text: one changed character, and the text is another, that no key of ours signed.
#[tokio::test]
async fn s_13_a_text_that_differs_is_never_found_in_memory() {
    let world = world(false).await;
    let token = remembered(&world).await;
    let mut others = vec![twin(&token), format!("{token}="), format!("{token} "), token[..token.len() - 1].to_owned()];
    for at in (0..token.len()).step_by(29).chain(token.match_indices('.').map(|(at, _)| at + 1)) {
        let mut bent = token.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        others.push(String::from_utf8(bent).expect("ASCII"));
    }
    let ask = async |token: &str| {
        let told = world.introspect("production", token).await;
        assert_eq!(told.status, 200, "{}", told.text());
        told.json()["active"] == true
    };
    for other in &others {
        assert!(!ask(other).await && !ask(other).await, "{other:?}");
    }
    assert!(active(&world, &token).await);
}

/// T-09: memory does not make a token last longer.
#[tokio::test]
async fn t_09_a_remembered_token_expires() {
    let world = world(false).await;
    let token = remembered(&world).await;
    let left = crate::world::claims(&token)["exp"].as_i64().expect("exp") - world.clock.seconds();
    world.advance(left - 1).await;
    assert!(active(&world, &token).await, "in its last second");
    world.advance(1).await;
    assert!(!active(&world, &token).await && !active(&world, &token).await);
}

/// I-2: a token is of one environment, whichever was asked about it first.
#[tokio::test]
async fn i_2_another_environment_finds_nothing_in_memory() {
    let world = world(false).await;
    let token = world.minted().await;
    for _ in 0..2 {
        assert!(!active_in(&world, "sandbox", &token).await);
        assert!(active(&world, &token).await);
    }
}

/// I-8: a token for introspection that was shown before is refused once it is cut, and asks for nobody.
#[tokio::test]
async fn i_8_a_bearer_that_is_cut_asks_no_more() {
    let world = world(true).await;
    let (token, asking) = (remembered(&world).await, introspection_token(&world).await);
    assert_eq!(ask_with(&world, &asking, &token).await.json()["active"], true);
    assert_eq!(ask_with(&world, &twin(&asking), &token).await.status, 401);
    let revoke = json!({"api": "carnet", "tokensOnly": true, "reason": "watched"});
    assert!(world.admin_post("/v1/revocations", "sven", &revoke).await.status < 300);
    assert_eq!(ask_with(&world, &asking, &token).await.status, 401);
    assert!(active(&world, &token).await);
}

/// I-15: without the live index nothing is active, and nothing is said of a token that was active a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn i_15_memory_says_nothing_while_the_live_index_is_away() {
    let world = world(true).await;
    let token = remembered(&world).await;
    let holder = introspection_token(&world).await;
    assert_eq!(ask_with(&world, &holder, &token).await.json()["active"], true);
    let redis = world.redis.as_ref().expect("redis");
    redis.signal("-STOP");
    let answer = ask_with(&world, &holder, &token).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let bearer = format!("Bearer {token}");
    let path = "/production/verify?api=orders-api&scope=orders:read";
    assert_eq!(send(world.public, "GET", path, &[("authorization", &bearer)], b"").await.status, 503);
    redis.signal("-CONT");
    for _ in 0..200 {
        if get(world.public, "/readyz").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // What was cut in Redis alone, by another node that this one has not followed yet, counts as well.
    assert_eq!(ask_with(&world, &holder, &token).await.json()["active"], true);
    redis.command(&["ZADD", "carnet:{production}:revoked", "99999999999", &jti(&token)]);
    assert_eq!(ask_with(&world, &holder, &token).await.json(), json!({"active": false}));
    redis.command(&["ZREM", "carnet:{production}:revoked", &jti(&token)]);
}

/// I-15: a remembered token counts for five seconds after an entry was read; then it is read again, and no answer is "busy".
#[tokio::test]
async fn i_15_memory_counts_within_the_lease_of_a_read_and_no_longer() {
    let world = world(false).await;
    let token = remembered(&world).await;
    let place = format!("FROM entries WHERE jti = '{}'", jti(&token));
    let body = sql(&world, &format!("SELECT hex(body) {place}"));
    sql(&world, &format!("UPDATE entries SET body = CAST(X'ff' AS TEXT) WHERE jti = '{}'", jti(&token)));
    assert!(active(&world, &token).await, "memory answers");
    world.advance(5).await;
    assert!(active(&world, &token).await, "memory answers within the lease");
    world.advance(1).await;
    let path = "/production/verify?api=orders-api&scope=orders:read";
    let bearer = format!("Bearer {token}");
    for _ in 0..2 {
        let told = world.introspect("production", &token).await;
        assert_eq!(told.status, 503, "{}", told.text());
        let verdict = send(world.public, "GET", path, &[("authorization", &bearer)], b"").await;
        assert_eq!(verdict.status, 503, "{}", verdict.text());
    }
    sql(&world, &format!("UPDATE entries SET body = CAST(X'{body}' AS TEXT) WHERE jti = '{}'", jti(&token)));
    assert!(active(&world, &token).await, "the journal answers again");
}

/// Runs a statement on the journal of a running node, as a broken disk or another hand would, and returns the first value.
fn sql(world: &World, statement: &str) -> String {
    let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=10)\n\
                   row = c.execute(sys.argv[2]).fetchone()\nc.commit()\nprint(row[0] if row else '', end='')";
    let database = world.folder.path().join("journal.db");
    let ran = std::process::Command::new("python3").args(["-c", program]).arg(database).arg(statement).output();
    let ran = ran.expect("python3 runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// T-02: a copy of a proof that paid, and a caller over its quota, ask the journal nothing; a proof is spent by an answer alone.
#[tokio::test]
async fn t_02_replays_and_callers_over_their_quota_cost_no_look_up() {
    let world = world(false).await;
    let paid = world.assertion("production");
    let minted = world.exchange("production", &paid, "orders:read").await;
    assert_eq!(minted.status, 200, "{}", minted.text());
    let token = minted.json()["access_token"].as_str().expect("a token").to_owned();
    let (breaks, mends) = ("ALTER TABLE consumed RENAME TO away", "ALTER TABLE away RENAME TO consumed");
    sql(&world, breaks);
    assert_eq!(shown(&world, &paid, &token).await.status, 401, "a replay");
    let fresh = world.assertion("production");
    for _ in 0..3 {
        assert_eq!(shown(&world, &fresh, &token).await.status, 503, "nobody knows whether it is spent");
    }
    sql(&world, mends);
    assert_eq!(shown(&world, &fresh, &token).await.status, 200, "it was not spent by the answer 503");
    assert_eq!(shown(&world, &fresh, &token).await.status, 401, "and is now");
    let mut asked = 0;
    while shown(&world, &world.assertion("production"), &token).await.status == 200 {
        asked += 1;
        assert!(asked < 5000, "a quota");
    }
    sql(&world, breaks);
    assert_eq!(shown(&world, &world.assertion("production"), &token).await.status, 429, "after {asked}");
    sql(&world, mends);
}

/// The usual world, whose callers may show one assertion again and again.
async fn with_reusable_callers(more: &str) -> World {
    let world = World::with(Options { redis: true, configuration: LISTED.to_owned(), file: true, ..Options::default() }).await;
    world.onboard(&reusable(&world, more)).await;
    world
}

fn reusable(world: &World, more: &str) -> String {
    let usual = records::usual(&world.partner.issuer);
    let reusable = usual.replace("owner: [sub]}}]", &format!("owner: [sub], singleUse: false, maxAge: 30m{more}}}}}]"));
    assert_ne!(usual, reusable);
    reusable
}

async fn shown(world: &World, proof: &str, token: &str) -> Answer {
    let form = [("token", token), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", proof)];
    post_form(world.public, "/production/introspect", &form).await
}

/// Of a proof that may be shown again, the signature is remembered and nothing else.
#[tokio::test]
async fn a_reusable_proof_is_judged_anew_each_time() {
    let world = with_reusable_callers("").await;
    let token = world.minted().await;
    let proof = world.api_proof("production");
    for _ in 0..3 {
        let told = shown(&world, &proof, &token).await;
        assert_eq!((told.status, &told.json()["active"]), (200, &json!(true)), "{}", told.text());
    }
    // Another text, or another environment.
    let (input, signature) = proof.rsplit_once('.').expect("three parts");
    let other = world.api_proof("production");
    let foreign = format!("{input}.{}", other.rsplit_once('.').expect("three parts").1);
    let claims = format!("{}.{signature}", other.rsplit_once('.').expect("three parts").0);
    for bent in [foreign, claims, format!("{proof}=")] {
        assert_eq!(shown(&world, &bent, &token).await.status, 401);
    }
    let form = [("token", token.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &proof)];
    assert_eq!(post_form(world.public, "/sandbox/introspect", &form).await.status, 401);
    assert_eq!(shown(&world, &proof, &token).await.status, 200);
    // Its time is over.
    world.advance(301).await;
    assert_eq!(shown(&world, &proof, &token).await.status, 401);
    assert_eq!(shown(&world, &world.api_proof("production"), &token).await.status, 200);
}

/// K-15: a key that its issuer withdrew, and a binding that is revoked or changed, verify and admit nothing that is remembered.
#[tokio::test]
async fn k_15_a_withdrawn_key_and_a_revoked_binding_end_a_remembered_proof() {
    let world = with_reusable_callers("").await;
    let token = world.minted().await;
    let long = |world: &World| {
        let now = world.clock.seconds();
        world.partner.sign(&json!({
            "iss": world.partner.issuer, "sub": "system:serviceaccount:orders:api", "aud": world.issuer("production"),
            "exp": now + 3000, "iat": now, "jti": client::unique(),
        }))
    };
    let proof = long(&world);
    assert_eq!(shown(&world, &proof, &token).await.status, 200);
    assert_eq!(shown(&world, &proof, &token).await.status, 200);
    let (other, _) = Key::generate(carnet::domain::value::alg::Alg::Es256).expect("a key");
    let keys = json!({"keys": [other.public()]}).to_string();
    world.partner.behave(Behaviour { discovery: None, keys: Some((200, keys)) });
    let before = world.partner.hits();
    world.advance(400).await;
    for _ in 0..200 {
        if world.partner.hits() > before {
            break;
        }
        let _asked = shown(&world, &proof, &token).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(world.partner.hits() > before, "the keys are fetched again");
    assert_eq!(shown(&world, &proof, &token).await.status, 401, "its key is withdrawn");
    world.partner.behave(Behaviour { discovery: None, keys: None });

    let world = with_reusable_callers("").await;
    let token = world.minted().await;
    let proof = long(&world);
    assert_eq!(shown(&world, &proof, &token).await.status, 200);
    let revoke = json!({"binding": "api/orders-api/production/gateway", "reason": "x"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    assert_eq!(shown(&world, &proof, &token).await.status, 401, "its binding is revoked");

    let world = with_reusable_callers("").await;
    let token = world.minted().await;
    let proof = long(&world);
    assert_eq!(shown(&world, &proof, &token).await.status, 200);
    let changed = reusable(&world, "").replace("system:serviceaccount:orders:api", "system:serviceaccount:orders:other");
    world.onboard(&changed).await;
    assert_eq!(shown(&world, &proof, &token).await.status, 401, "its binding is changed");
}

/// A token of the usual integration for introspection, which its record allows here.
async fn introspection_token(world: &World) -> String {
    let more = "        - scope: orders:list\n";
    let usual = records::usual(&world.partner.issuer);
    let asks = usual.replacen(more, &format!("{more}      carnet: [carnet:introspect]\n"), 1);
    assert_ne!(asks, usual);
    world.onboard(&asks).await;
    let assertion = world.assertion("production");
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("subject_token_type", TYPE_JWT),
        ("audience", "carnet"),
        ("scope", "carnet:introspect"),
    ];
    let answer = world.token("production", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn ask_with(world: &World, bearer: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {bearer}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    send(world.public, "POST", "/production/introspect", &headers, format!("token={token}").as_bytes()).await
}

/// the key set is made anew for each state and second: a new key is in the next answer, a tainted one in none, and one whose time
/// is over goes at that time.
#[tokio::test]
async fn q_06_the_key_set_is_never_older_than_the_state_or_the_second() {
    let world = World::in_file().await;
    let set = async || {
        let answer = get(world.public, "/production/jwks").await;
        let keys = answer.json()["keys"].as_array().expect("keys").iter().map(|key| key["kid"].to_string()).collect::<Vec<_>>();
        (keys, answer.header("etag").expect("a tag").to_owned(), answer.body)
    };
    world.advance(10).await;
    let answer = get(world.public, "/production/jwks").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    for key in answer.json()["keys"].as_array().expect("keys") {
        let mut members: Vec<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "public members alone");
        assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
    }
    let (first, again) = (set().await, set().await);
    assert_eq!((first.0.len(), &first), (1, &again));
    let rotated = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256", "acceptOutage": true})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    let both = set().await;
    assert_ne!(both.0[0], both.0[1], "each id names one key");
    assert!(both.0.len() == 2 && both.1 != first.1, "{both:?}");
    // The old one is published for two hours after its last use.
    world.advance(2 * 3600 - 1).await;
    assert_eq!(set().await.0, both.0);
    world.advance(1).await;
    let left = set().await;
    assert!(left.0.len() == 1 && left.0 != first.0 && left.1 != both.1, "{left:?}");
    let kid = left.0[0].trim_matches('"').to_owned();
    let taint = json!({"kid": kid, "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/keys/production/taint", "adam", &taint).await.status, 204);
    assert!(!set().await.0.iter().any(|known| known.contains(&kid)));
}

/// An OCSP answer is given again for a minute, and not once its certificate is revoked; who sends a nonce gets one made now.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_good_a_moment_ago_is_revoked_in_the_next_answer() {
    let world = World::in_file().await;
    world.onboard(&certificates::with_certificates(&world.partner.issuer)).await;
    world.clock.synchronise();
    let machine = certificates::enrolled(&world, "production").await;
    machine.issuing("issuing.pem").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -no_nonce -reqout question.der").await;
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -reqout nonce.der").await;
    let ask = async |name: &str| {
        let question = std::fs::read(machine.path(name)).expect("a question");
        send(world.public, "POST", "/production/ocsp", &[("content-type", "application/ocsp-request")], &question).await.body
    };
    let says = async |answer: &[u8]| {
        std::fs::write(machine.path("answer.der"), answer).expect("written");
        machine.openssl("ocsp -respin answer.der -no_nonce -CAfile ca.pem -issuer issuing.pem -cert one.pem").await
    };
    // The first question makes the responder, which is a change.
    assert!(says(&ask("question.der").await).await.contains("one.pem: good"));
    let first = ask("question.der").await;
    assert_eq!(ask("question.der").await, first, "the very answer");
    // Anybody can ask in many other ways. What is kept is by the certificate alone, so they drive nothing out.
    machine.openssl("ocsp -issuer issuing.pem -cert one.pem -cert one.pem -no_nonce -reqout twice.der").await;
    machine
        .openssl("ocsp -issuer issuing.pem -cert one.pem -signer one.pem -signkey one.key -no_nonce -reqout signed.der")
        .await;
    assert!(ask("twice.der").await != ask("twice.der").await, "a question about two is not kept");
    assert!(ask("signed.der").await == first, "the same question, signed");
    assert_ne!(ask("nonce.der").await, ask("nonce.der").await, "a nonce asks for an answer of its own");
    assert_ne!(
        send(world.public, "POST", "/sandbox/ocsp", &[], &std::fs::read(machine.path("question.der")).expect("a question"))
            .await
            .body,
        first,
        "another environment has another responder"
    );
    world.advance(61).await;
    let later = ask("question.der").await;
    assert_ne!(later, first, "a minute later it is made anew");
    assert!(says(&later).await.contains("one.pem: good"));
    let revoke = json!({"certificate": format!("production/{}", machine.serial("one").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    assert!(says(&ask("question.der").await).await.contains("one.pem: revoked"));
    assert!(says(&ask("question.der").await).await.contains("one.pem: revoked"));
}
