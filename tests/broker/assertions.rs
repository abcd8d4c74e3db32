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
    let (own, _) = crate::world::Key::generate(carnet::domain::value::alg::Alg::Es256).expect("a key");
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
        [Value::Null, json!("1"), json!(true), json!([now + 60]), json!({}), json!(-1), json!(1e300), json!("1e9"), json!(-0.5)]
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
        json!(" ab"),
        json!("ab "),
        json!("a\u{200b}b"),
        json!("x".repeat(1025)),
        json!("ä".repeat(513)),
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
    assert!(!crate::world::claims(&token).to_string().contains("extra"));
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
    let (own, _) = crate::world::Key::generate(carnet::domain::value::alg::Alg::Es256).expect("a key");
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

/// C-1: a subject is text as people write it: spaces within, letters of any script, up to 1024 bytes. It is compared byte for byte, so a
/// look-alike or another Unicode form is somebody else; and whoever looks for the cause of a refusal finds the claim's name.
#[tokio::test]
async fn j_21_subjects_are_what_people_write_and_nothing_that_hides() {
    let world = World::start().await;
    let subject = |sub: &str| claims(&world, |c| c["sub"] = sub.into());
    let long = format!("repo:{}", "x".repeat(1019));
    let wide = format!("repo:{}", "ß".repeat(509));
    for sub in
        ["repo:Default Project:ref:x", "repo:grp/bücher:ref:фича/日本語", "repo:e\u{301}", "repo:a  b", "repo:🦀", &long, &wide]
    {
        accepted(&world, sub, &subject(sub)).await;
    }
    for sub in
        ["repo:a\u{202e}b", "repo:a\u{2066}b", "repo:a\u{200d}b", "repo:a\u{ad}b", "repo:a\u{85}", "repo:a ", "repo:a\u{3000}"]
    {
        let answer = refused(&world, sub, &subject(sub)).await;
        let request = answer.header("x-request-id").expect("an id").to_owned();
        let explained = world.admin_get(&format!("/v1/explain/{request}"), "sven").await;
        assert_eq!(explained["reason"], "assertion.claim-sub", "{sub:?}");
    }
    // Conditions on such texts: the record's parser is the wire's.
    let named = crate::world::records::integration(&world.partner.issuer, "book-sync", "456789")
        .replace("sub: {prefix: \"repo:\"}", "sub: {oneOf: [\"org:bücher\", \"org:Default Project\", \"true\"]}, flag: true, number: 7")
        .replace("name: ci\n", "name: books\n")
        .replace("purpose: Copies orders.", "purpose: Copies books.\ntests: [{claims: {iss: \"ISS\", sub: \"org:bücher\", flag: true, number: 7, repository_id: \"456789\", repository_owner_id: \"998877\"}, expect: {environment: sandbox, allow: books}}]")
        .replace("ISS", &world.partner.issuer);
    world.onboard(&named).await;
    let with = |sub: &str, flag: Value, number: Value| {
        claims(&world, |c| (c["sub"], c["flag"], c["number"]) = (sub.into(), flag, number))
    };
    for sub in ["org:bücher", "org:Default Project"] {
        accepted(&world, sub, &with(sub, true.into(), 7.into())).await;
    }
    accepted(&world, "as text", &with("org:bücher", "true".into(), "7".into())).await;
    for (name, token) in [
        ("NFD", with("org:bu\u{308}cher", true.into(), 7.into())),
        ("a Cyrillic look-alike", with("org:Def\u{430}ult Project", true.into(), 7.into())),
        ("another case", with("org:default project", true.into(), 7.into())),
        ("a no-break space", with("org:Default\u{a0}Project", true.into(), 7.into())),
        ("another number", with("org:bücher", true.into(), json!(7.5))),
        ("a list", with("org:bücher", json!([true]), 7.into())),
    ] {
        let answer = refused(&world, name, &token).await;
        let told = answer.json();
        assert_eq!(told["reason"], "binding.no-match", "{name}: {told}");
        assert!(
            told["error_description"].as_str().is_some_and(|text| text.is_ascii() && text.contains("claim.")),
            "{name}: {told}"
        );
    }
    // What a claim cannot be, no record asks for.
    for value in ["\"a\\u202eb\"", "\" a\"", "\"a\\u200b\""] {
        let bad = named.replace("\"org:Default Project\"", value);
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", bad))).await;
        assert_eq!(answer.status, 422, "{value}: {}", answer.text());
    }
    // It stands on record as it came, and every text that is made of it stays one line.
    let entries = world.admin_get("/v1/journal?kind=issued&limit=1000", "alan").await;
    assert!(!entries.to_string().contains("\\u202e"));
}

/// C-2: a NumericDate may have a fraction. The end of a life counts by its floor and its beginning by its ceiling, so that no rounding
/// lengthens anything.
#[tokio::test]
async fn j_10_times_may_have_a_fraction() {
    let world = World::start().await;
    let now = world.clock.seconds() as f64;
    for (name, exp, iat, nbf) in [
        ("all three", now + 300.25, now - 0.75, now - 0.5),
        ("at the edge of the clock", now + 300.0, now + 29.5, now + 30.0),
        ("whole, with a point", now + 300.0, now, now),
        ("the longest life", now + 3600.9, now, now),
    ] {
        accepted(&world, name, &claims(&world, |c| (c["exp"], c["iat"], c["nbf"]) = (json!(exp), json!(iat), json!(nbf))))
            .await;
    }
    for (name, exp, iat, nbf, reason) in [
        ("over by its floor", now + 0.9, now - 10.0, now - 10.0, "assertion.expired"),
        ("a fraction of a second ago", now - 0.2, now - 10.0, now - 10.0, "assertion.expired"),
        ("begins too late by its ceiling", now + 300.0, now + 30.1, now, "assertion.not-yet-valid"),
        ("valid too late by its ceiling", now + 300.0, now, now + 30.1, "assertion.not-yet-valid"),
        ("too long by a second", now + 3601.0, now, now, "assertion.life-too-long"),
    ] {
        let token = claims(&world, |c| (c["exp"], c["iat"], c["nbf"]) = (json!(exp), json!(iat), json!(nbf)));
        assert_eq!(refused(&world, name, &token).await.json()["reason"], reason, "{name}");
    }
    // A staff token too, in each of its times.
    let bearer = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "sven", "aud": "carnet", "exp": now + 600.5, "iat": now - 1.5, "nbf": now - 1.5,
        "auth_time": now - 2.5, "groups": ["security"],
    }));
    let answer =
        crate::world::send(world.admin, "GET", "/v1/partners", &[("authorization", &format!("Bearer {bearer}"))], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// C-7: Azure's managed identities live 24 h 5 min.
#[tokio::test]
async fn a_record_can_admit_what_lives_for_a_day_and_five_minutes() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let azure = |claims: &mut Value| {
        (claims["iat"], claims["nbf"], claims["exp"]) = ((now - 300).into(), (now - 300).into(), (now + 86_399).into())
    };
    let answer = refused(&world, "by default", &claims(&world, azure)).await;
    assert_eq!(answer.json()["reason"], "assertion.life-too-long");
    let long = crate::world::records::integration(&world.partner.issuer, "order-sync", "456789")
        .replace("owner: [repository_owner_id]", "owner: [repository_owner_id], maxLife: 25h");
    world.onboard(&long).await;
    accepted(&world, "with maxLife: 25h", &claims(&world, azure)).await;
}
