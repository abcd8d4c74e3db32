//! Key sets: J-40, K-18.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::authn::{SetFault, check_inline};
use crate::domain::record::judge_keys;
use crate::domain::value::alg::Alg;

const ISSUER: &str = "https://idp.example";

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn j_40_weak_and_oversized_rsa_keys_are_ignored() {
    let keys = keys(&TestClock::new(), &[]);
    let rsa = Signer::new(Alg::Rs256, "k1");
    let token = rsa.token(&claims(ISSUER));
    let modulus = |bytes: usize| b64([vec![0xc1], vec![0x55; bytes - 2], vec![0x55]].concat());
    let other = Signer::new(Alg::Es256, "other").jwk();
    for (name, value) in [
        ("n", modulus(128)),
        ("n", modulus(255)),
        ("n", modulus(513)),
        ("n", modulus(2048)),
        ("n", b64([[0, 0].as_slice(), &[0xc1; 256]].concat())),
        ("n", b64([0xc0; 256])),
        ("n", String::new()),
        ("e", b64([1])),
        ("e", b64([3])),
        ("e", b64([1, 0])),
        ("e", b64([1, 0, 0])),
        ("e", b64([0, 1, 0, 1])),
        ("e", b64([1, 0, 0, 0, 1])),
        ("e", String::new()),
        ("e", "AQAB=".into()),
    ] {
        let mut jwk = rsa.jwk();
        jwk[name] = json!(value);
        assert_eq!(check_inline(&set(&[jwk.clone()])), Err(SetFault::Empty), "{name}");
        assert_eq!(code(&keys, &inline(&[jwk, other.clone()]), &token).await, "assertion.key", "{name}");
    }
    for bytes in [256, 384, 512] {
        let mut jwk = rsa.jwk();
        jwk["n"] = json!(modulus(bytes));
        assert_eq!(check_inline(&set(&[jwk])), Ok(1), "{bytes}");
    }
}

#[tokio::test]
async fn k_18_usable_keys_are_kept_among_odd_ones() {
    let keys = keys(&TestClock::new(), &[]);
    let good = Signer::new(Alg::Es256, "good");
    let mut off_curve = good.jwk();
    off_curve["y"] = off_curve["x"].clone();
    let odd = [
        Value::Null,
        json!(5),
        json!([]),
        json!({}),
        json!({"kty": "LMS", "kid": "x"}),
        json!({"kty": "oct", "k": "AAAA", "kid": "good", "alg": "HS256"}),
        json!({"kty": "EC", "crv": "P-256"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": b64([9; 32])}),
        json!({"kty": 5}),
        off_curve,
        good.jwk(),
        good.jwk(),
    ];
    assert_eq!(check_inline(&set(&odd)), Ok(1));
    assert_eq!(code(&keys, &inline(&odd), &good.token(&claims(ISSUER))).await, "ok");
}

#[tokio::test]
async fn k_18_at_most_a_hundred_keys_are_kept() {
    let many: Vec<_> = (0..150).map(|n| Signer::new(Alg::EdDsa, &format!("k{n}")).jwk()).collect();
    assert_eq!(check_inline(&set(&many)), Ok(100));
    assert_eq!(check_inline(&set(&vec![Value::Null; 10_000])), Err(SetFault::Empty));
}

#[test]
fn k_18_a_private_key_makes_the_set_unusable() {
    let good = Signer::new(Alg::Es256, "good").jwk();
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"] {
        let mut private = json!({"kty": "RSA", "kid": "x"});
        private[name] = json!("AAAA");
        assert_eq!(check_inline(&set(&[good.clone(), private.clone()])), Err(SetFault::Private), "{name}");
        // A member that is null counts as absent (most consumers read it so).
        private[name] = Value::Null;
        assert_eq!(check_inline(&set(&[good.clone(), private])), Ok(1), "{name}");
    }
    let mut many = vec![good.clone(); 200];
    many.push(json!({"kty": "EC", "d": "AA"}));
    assert_eq!(check_inline(&set(&many)), Err(SetFault::Private));
}

#[test]
fn k_18_what_is_no_set_is_malformed() {
    let good = Signer::new(Alg::Es256, "good").jwk().to_string();
    let twice = good.replacen('{', r#"{"kid":"other","#, 1);
    for text in [
        String::new(),
        "null".into(),
        "[]".into(),
        r#"{"keys":null}"#.into(),
        r#"{"keys":{}}"#.into(),
        "<html>".into(),
        format!(r#"{{"keys":[{twice}]}}"#),
        format!(r#"{{"keys":[{good}],"keys":[]}}"#),
    ] {
        assert_eq!(check_inline(&text), Err(SetFault::Malformed), "{text}");
    }
}

#[tokio::test]
async fn two_keys_of_one_kid_and_algorithm_count_neither() {
    let keys = keys(&TestClock::new(), &[]);
    let (one, two, other) = (Signer::new(Alg::Es256, "k"), Signer::new(Alg::Es256, "k"), Signer::new(Alg::EdDsa, "k"));
    let source = inline(&[one.jwk(), two.jwk(), other.jwk()]);
    for signer in [&one, &two] {
        assert_eq!(code(&keys, &source, &signer.token(&claims(ISSUER))).await, "assertion.key");
    }
    assert_eq!(code(&keys, &source, &other.token(&claims(ISSUER))).await, "ok");
}

/// RFC 7638 section 3.1.
#[tokio::test]
async fn thumbprints_are_those_of_rfc_7638() {
    let jwk = json!({
        "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    });
    let set = crate::authn::jwks::KeySet::parse(set(&[jwk]).as_bytes()).expect("a set");
    let key = set.select(Some("2011-04-29"), Alg::Rs256).expect("the key");
    assert_eq!(b64(key.thumbprint.0), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// A modulus with a leading zero octet is the same key, with the same thumbprint.
///
/// Two thumbprints would be two places among the spent proofs.
#[tokio::test]
async fn a_leading_zero_octet_is_dropped() {
    let keys = keys(&TestClock::new(), &[]);
    let rsa = Signer::new(Alg::Ps256, "k1");
    let mut padded = rsa.jwk();
    let modulus =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, rsa.jwk()["n"].as_str().expect("n"));
    padded["n"] = json!(b64([&[0][..], &modulus.expect("base64url")].concat()));
    assert_eq!(code(&keys, &inline(&[padded.clone()]), &rsa.token(&claims(ISSUER))).await, "ok");
    let thumbprint = |jwk: Value| {
        let set = crate::authn::jwks::KeySet::parse(set(&[jwk]).as_bytes()).expect("a set");
        set.select(Some("k1"), Alg::Ps256).expect("the key").thumbprint
    };
    assert_eq!(thumbprint(padded), thumbprint(rsa.jwk()));
}

/// Without `alg` an RSA key serves both schemes. A key of the same name with an `alg` goes first.
#[tokio::test]
async fn an_rsa_key_without_alg_serves_what_the_binding_takes() {
    let keys = keys(&TestClock::new(), &[]);
    let without = |signer: &Signer| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().expect("an object").remove("alg");
        jwk
    };
    let (rs, ps) = (Signer::new(Alg::Rs256, "k"), Signer::new(Alg::Ps256, "k"));
    for signer in [&rs, &ps] {
        assert_eq!(code(&keys, &inline(&[without(signer)]), &signer.token(&claims(ISSUER))).await, "ok", "{}", signer.alg);
    }
    let both = inline(&[without(&rs), ps.jwk()]);
    assert_eq!(code(&keys, &both, &ps.token(&claims(ISSUER))).await, "ok", "it says that it is for PS256");
    assert_eq!(code(&keys, &both, &rs.token(&claims(ISSUER))).await, "ok", "and the other one remains for RS256");
    let guess = inline(&[without(&rs), without(&ps), Signer::new(Alg::EdDsa, "other").jwk()]);
    for signer in [&rs, &ps] {
        assert_eq!(code(&keys, &guess, &signer.token(&claims(ISSUER))).await, "assertion.key");
    }
}

/// The law of the one reader: a record accepts a key set exactly if each of its keys verifies.
///
/// Every pair of changes to a key of every kind is tried.
#[tokio::test]
async fn accepted_is_usable_for_every_pair_of_changes() {
    let known = keys(&TestClock::new(), &[]);
    let null = Value::Null;
    let changes: Vec<(&str, Value)> = vec![
        ("alg", null.clone()),
        ("alg", json!("ES256")),
        ("alg", json!("PS256")),
        ("alg", json!("RS256")),
        ("alg", json!("EdDSA")),
        ("alg", json!("RS512")),
        ("alg", json!(["ES256"])),
        ("use", null.clone()),
        ("use", json!("enc")),
        ("use", json!(5)),
        ("key_ops", null.clone()),
        ("key_ops", json!(["verify"])),
        ("key_ops", json!(["verify", 1])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("kid", null.clone()),
        ("kid", json!("")),
        ("kid", json!("another")),
        ("kid", json!(7)),
        ("kid", json!("k".repeat(256))),
        ("kty", json!("EC")),
        ("kty", null.clone()),
        ("crv", json!("P-384")),
        ("x", json!(b64([2; 32]))),
        ("x", null.clone()),
        ("y", json!("AAAA=")),
        ("n", json!(b64([0xc1; 1024]))),
        ("e", json!("Aw")),
        ("d", null.clone()),
        ("x5c", json!("ignored")),
        ("unheard", json!({"of": [null]})),
    ];
    let (mut taken, mut refused) = (0, 0);
    for alg in [Alg::Es256, Alg::EdDsa, Alg::Rs256, Alg::Ps256] {
        let signer = Signer::new(alg, "k1");
        let other = Signer::new(if alg == Alg::EdDsa { Alg::Es256 } else { Alg::EdDsa }, "other").jwk();
        for (first, second) in (0..changes.len()).flat_map(|first| (first..changes.len()).map(move |second| (first, second))) {
            let mut jwk = signer.jwk();
            for (name, value) in [&changes[first], &changes[second]] {
                jwk[*name] = value.clone();
            }
            let kid = jwk["kid"].as_str().filter(|kid| !kid.is_empty() && kid.len() <= 255);
            let mut header = json!({"alg": alg.name()});
            if let Some(kid) = kid {
                header["kid"] = kid.into();
            }
            let token = signer.sign(&header.to_string(), &claims(ISSUER).to_string());
            // It is beside another key, so that the set is never refused for being empty.
            let text = set(&[jwk.clone()]);
            let usable = code(&known, &inline(&[jwk.clone(), other.clone()]), &token).await == "ok";
            let accepted = judge_keys(&text, &[alg]).is_ok();
            assert_eq!(accepted, usable, "{alg}: {jwk} {:?}", judge_keys(&text, &[alg]));
            if accepted { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}
