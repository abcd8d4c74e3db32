//! ABUSE rows J on the wire: whatever is wrong with an assertion, the answer is one, and nothing is minted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::issuer::sign;
use crate::world::{Answer, World};

/// Refused as a subject token, with nothing minted. Unknown callers get the one body; known ones a reason.
async fn refused(world: &World, name: &str, assertion: &str) -> Answer {
    let before = world.issued().await;
    let answer = world.exchange("production", assertion, "orders:read").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")), "{name}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    assert_eq!(world.issued().await, before, "{name}: something was minted");
    answer
}

/// Refused, with the body of a caller who is not known.
async fn refused_as_stranger(world: &World, name: &str, assertion: &str) {
    let answer = refused(world, name, assertion).await;
    let told = json!({"error": "invalid_request", "error_description": "The subject token was not acceptable"});
    assert_eq!(answer.json(), told, "{name}");
}

fn header(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let mut header = json!({"alg": "ES256", "kid": world.partner.key.kid().as_str(), "typ": "JWT"});
    change(&mut header);
    sign(&world.partner.key, &header.to_string(), &world.claims("production").to_string())
}

fn claims(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = world.claims("production");
    change(&mut claims);
    world.partner.sign(&claims)
}

async fn accepted(world: &World, name: &str, assertion: &str) {
    let answer = world.exchange("production", assertion, "orders:read").await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
}

#[tokio::test]
async fn j_01_to_j_07_headers_do_not_choose_for_us() {
    let world = World::start().await;
    accepted(&world, "the control", &world.assertion("production")).await;
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "es256", "ES384", "RS1"] {
        refused_as_stranger(&world, &format!("j_01 {alg}"), &header(&world, |h| h["alg"] = alg.into())).await;
        let unsigned = header(&world, |h| h["alg"] = alg.into());
        let (input, _) = unsigned.rsplit_once('.').expect("three parts");
        refused_as_stranger(&world, &format!("j_01 {alg} unsigned"), &format!("{input}.")).await;
    }
    for (name, alg) in [("missing", Value::Null), ("number", json!(5)), ("array", json!(["ES256"]))] {
        refused_as_stranger(&world, &format!("j_02 {name}"), &header(&world, |h| h["alg"] = alg)).await;
    }
    // J-03: HMAC keyed with the public key's text.
    let public = world.partner.key.public().to_string();
    let forged =
        hmac(&json!({"alg": "HS256", "typ": "JWT"}).to_string(), &world.claims("production").to_string(), public.as_bytes());
    refused_as_stranger(&world, "j_03", &forged).await;
    // J-05: a key or a place of the attacker's; nothing is fetched.
    let (own, _) = crate::world::Key::generate(carnet::domain::alg::Alg::Es256).expect("a key");
    let hits = world.partner.hits();
    for (member, value) in [
        ("jwk", own.public().clone()),
        ("jku", json!("http://127.0.0.1:9/keys")),
        ("x5u", json!("http://127.0.0.1:9/cert")),
        ("x5c", json!(["MII"])),
        ("jwk", Value::Null),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let header = json!({"alg": "ES256", "kid": own.kid().as_str(), member: value});
        let token = sign(&own, &header.to_string(), &world.claims("production").to_string());
        refused_as_stranger(&world, &format!("j_05 {member}"), &token).await;
        let honest = self::header(&world, |h| h[member] = header[member].clone());
        refused_as_stranger(&world, &format!("j_05 {member}, well signed"), &honest).await;
    }
    assert!(world.partner.hits() <= hits + 1, "at most the refresh for an unknown kid");
    // J-06, J-07.
    for crit in [json!(["x"]), json!([]), json!("exp"), json!([1]), json!(["alg"]), json!(["b64"]), json!(["x", "x"])] {
        refused_as_stranger(&world, "j_06", &header(&world, |h| h["crit"] = crit)).await;
    }
    refused_as_stranger(&world, "j_07", &header(&world, |h| h["b64"] = false.into())).await;
    refused_as_stranger(&world, "j_07 with crit", &header(&world, |h| (h["b64"], h["crit"]) = (false.into(), json!(["b64"]))))
        .await;
}

fn hmac(header: &str, payload: &str, key: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn j_08_j_26_to_j_35_forms_that_are_no_compact_jws() {
    let world = World::start().await;
    let good = world.assertion("production");
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    for (name, forged) in [
        ("r = s = 0", vec![0; 64]),
        ("r = 0", [vec![0; 32], bytes[32..].to_vec()].concat()),
        ("s = 0", [bytes[..32].to_vec(), vec![0; 32]].concat()),
        ("r >= n", [vec![0xff; 32], bytes[32..].to_vec()].concat()),
        ("63 bytes", bytes[..63].to_vec()),
        ("65 bytes", [bytes.clone(), vec![0]].concat()),
    ] {
        refused_as_stranger(&world, &format!("j_08 {name}"), &format!("{input}.{}", URL_SAFE_NO_PAD.encode(forged))).await;
    }
    let (head, payload) = input.split_once('.').expect("two parts");
    let flattened = json!({"protected": head, "payload": payload, "signature": signature}).to_string();
    let general = json!({"payload": payload, "signatures": [{"protected": head, "signature": signature}]}).to_string();
    for (name, text) in [("j_26 flattened", flattened), ("j_26 general", general)] {
        refused_as_stranger(&world, name, &text).await;
    }
    for (name, text) in [
        ("j_28 five parts", format!("{good}.x.y")),
        ("j_30 no dot", "x".to_owned()),
        ("j_30 one dot", "x.y".to_owned()),
        ("j_30 many dots", ".".repeat(10_000)),
        ("j_32 padding", format!("{good}=")),
        ("j_32 space", format!(" {good}")),
        ("j_32 newline", format!("{good}\n")),
        ("j_32 standard alphabet", format!("{input}.{}", base64::engine::general_purpose::STANDARD.encode(&bytes))),
    ] {
        refused_as_stranger(&world, name, &text).await;
    }
    // J-31: too large for the form is 413 before anything is decoded.
    let answer = world.exchange("production", &"e".repeat(1 << 20), "orders:read").await;
    assert_eq!(answer.status, 413, "j_31");
    // J-35: depth.
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let payload = world.claims("production").to_string().replacen('{', &format!("{{\"deep\":{deep},"), 1);
    let header = json!({"alg": "ES256", "kid": world.partner.key.kid().as_str()}).to_string();
    refused_as_stranger(&world, "j_35", &sign(&world.partner.key, &header, &payload)).await;
}

#[tokio::test]
async fn j_09_to_j_21_claims_are_of_their_types() {
    let world = World::start().await;
    let now = world.clock.seconds();
    for exp in
        [Value::Null, json!("1"), json!(true), json!([now + 60]), json!({}), json!(-1), json!(1e300), json!(now as f64 + 60.5)]
    {
        refused_as_stranger(&world, &format!("j_09/j_10 exp {exp}"), &claims(&world, |c| c["exp"] = exp.clone())).await;
    }
    let without = |name: &'static str| claims(&world, |c| drop(c.as_object_mut().expect("an object").remove(name)));
    for name in ["exp", "iss", "sub", "aud"] {
        refused_as_stranger(&world, &format!("missing {name}"), &without(name)).await;
    }
    for (claim, value) in
        [("iat", json!("1")), ("nbf", json!([1])), ("iat", json!({})), ("nbf", json!(true)), ("jti", json!(5))]
    {
        refused_as_stranger(&world, &format!("j_10 {claim}"), &claims(&world, |c| c[claim] = value.clone())).await;
    }
    for aud in [Value::Null, json!(""), json!([]), json!(5), json!([5])] {
        // An empty string is a string that is not us: the caller is known by then.
        refused(&world, &format!("j_12 {aud}"), &claims(&world, |c| c["aud"] = aud.clone())).await;
    }
    let ours = world.issuer("production");
    let other = "https://other.example";
    for aud in [json!([ours, other]), json!([other, ours]), json!(world.issuer("sandbox")), json!(other)] {
        let answer = refused(&world, &format!("j_13 {aud}"), &claims(&world, |c| c["aud"] = aud.clone())).await;
        assert_eq!(answer.json()["reason"], "assertion.audience", "{aud}");
    }
    for aud in [json!([ours]), json!([ours, format!("{ours}/token")]), json!(format!("{ours}/token"))] {
        accepted(&world, &format!("j_13 {aud}"), &claims(&world, |c| c["aud"] = aud.clone())).await;
    }
    for aud in [format!("{ours}/"), ours.to_uppercase(), ours.replace("http://", "https://"), ours.replace("/p", "/%70")] {
        refused(&world, &format!("j_14 {aud}"), &claims(&world, |c| c["aud"] = aud.clone().into())).await;
    }
    let issuer = &world.partner.issuer;
    for iss in [
        format!("{issuer}/"),
        issuer.to_uppercase(),
        issuer.replace("127.0.0.1", "x@127.0.0.1"),
        issuer.replace("127.0.0.1", "127.0.0.1."),
    ] {
        refused_as_stranger(&world, &format!("j_16 {iss}"), &claims(&world, |c| c["iss"] = iss.clone().into())).await;
    }
    for sub in [
        Value::Null,
        json!(["a"]),
        json!(1),
        json!(""),
        json!("a\u{0}b"),
        json!("a\u{202e}b"),
        json!("a b"),
        json!("x".repeat(10_000)),
    ] {
        refused_as_stranger(&world, "j_17/j_21", &claims(&world, |c| c["sub"] = sub.clone())).await;
    }
    // J-18: duplicates, in both orders.
    let good = world.claims("production").to_string();
    for duplicate in ["\"exp\":1,", "\"iss\":\"https://evil.example\",", "\"repository_id\":\"1\","] {
        let header = json!({"alg": "ES256", "kid": world.partner.key.kid().as_str()}).to_string();
        let first = good.replacen('{', &format!("{{{duplicate}"), 1);
        let last = format!("{},{}}}", good.trim_end_matches('}'), duplicate.trim_end_matches(','));
        for payload in [first, last] {
            refused_as_stranger(&world, "j_18", &sign(&world.partner.key, &header, &payload)).await;
        }
    }
    // J-20: unknown claims change nothing and go nowhere.
    let talkative = claims(&world, |c| (0..50).for_each(|i| c[format!("extra{i}")] = "scope".into()));
    let answer = world.exchange("production", &talkative, "orders:read").await;
    assert_eq!(answer.status, 200);
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a payload")).expect("base64url");
    assert!(!String::from_utf8_lossy(&payload).contains("extra"));
}

#[tokio::test]
async fn j_22_to_j_38_types_kids_times_and_lives() {
    let world = World::start().await;
    for typ in ["at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "x"] {
        let answer = refused(&world, &format!("j_22 {typ}"), &header(&world, |h| h["typ"] = typ.into())).await;
        assert_eq!(answer.json()["reason"], "assertion.header");
    }
    for kid in [json!("../../etc/passwd"), json!("' OR 1=1 --"), json!("a\u{0}"), json!("k".repeat(4096)), json!(5)] {
        refused_as_stranger(&world, "j_24", &header(&world, |h| h["kid"] = kid.clone())).await;
    }
    let now = world.clock.seconds();
    for (name, exp, iat, nbf, reason) in [
        ("expired", now, now - 60, None, "assertion.expired"),
        ("iat beyond leeway", now + 300, now + 31, None, "assertion.not-yet-valid"),
        ("nbf beyond leeway", now + 300, now, Some(now + 31), "assertion.not-yet-valid"),
        ("iat after exp", now + 10, now + 20, None, "assertion.not-yet-valid"),
        ("too long a life", now + 3601, now, None, "assertion.life-too-long"),
    ] {
        let token = claims(&world, |c| {
            (c["exp"], c["iat"]) = (exp.into(), iat.into());
            if let Some(nbf) = nbf {
                c["nbf"] = nbf.into();
            }
        });
        let answer = refused(&world, &format!("j_36/j_37 {name}"), &token).await;
        assert_eq!(answer.json()["reason"], reason, "{name}");
        assert!(answer.json()["request_id"].is_string());
    }
    // J-37: who does not say since when may have lived for a year.
    for nbf in [None, Some(now)] {
        let token = claims(&world, |c| {
            c.as_object_mut().expect("claims").remove("iat");
            if let Some(nbf) = nbf {
                c["nbf"] = nbf.into();
            }
        });
        let answer = refused(&world, "j_37 no iat", &token).await;
        assert_eq!(answer.json()["reason"], "assertion.life-too-long", "j_37 {nbf:?}");
    }
    for (name, exp, iat) in [("iat within leeway", now + 300, now + 30), ("the longest life", now + 3600, now)] {
        accepted(&world, name, &claims(&world, |c| (c["exp"], c["iat"]) = (exp.into(), iat.into()))).await;
    }
    // J-34: expired and badly signed: the signature counts, and no claim of it is told.
    let (own, _) = crate::world::Key::generate(carnet::domain::alg::Alg::Es256).expect("a key");
    let mut expired = world.claims("production");
    expired["exp"] = (now - 1).into();
    let head = json!({"alg": "ES256", "kid": world.partner.key.kid().as_str()}).to_string();
    let token = sign(&own, &head, &expired.to_string());
    let answer = refused(&world, "j_34", &token).await;
    assert!(answer.json()["reason"].is_null());
    let request = answer.header("x-request-id").expect("an id").to_owned();
    let explained = world.admin_get(&format!("/v1/explain/{request}"), "sven").await;
    assert_eq!(explained["reason"], "assertion.signature");
}
