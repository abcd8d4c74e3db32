//! Rows J: parsing, claims, signatures.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::authn::{MAX_ASSERTION, Trust, UnverifiedAssertion, Verifier};
use crate::domain::value::alg::Alg;

const ISSUER: &str = "https://idp.example";

/// A good key, and everything to sign and verify with it.
struct Bench {
    signer: Signer,
    keys: crate::authn::IssuerKeys,
}

impl Bench {
    fn new(alg: Alg) -> Self {
        Self { signer: Signer::new(alg, "k1"), keys: keys(&TestClock::new(), &[]) }
    }

    async fn code(&self, token: &str) -> &'static str {
        code(&self.keys, &self.signer.inline(), token).await
    }

    /// The code for a token with this header text and good claims.
    async fn header(&self, header: &str) -> &'static str {
        self.code(&self.signer.sign(header, &claims(ISSUER).to_string())).await
    }

    /// The code for a token with this claim replaced (`None`: removed).
    async fn claim(&self, name: &str, value: Option<Value>) -> &'static str {
        let mut claims = claims(ISSUER);
        let members = claims.as_object_mut().expect("an object");
        match value {
            Some(value) => members.insert(name.into(), value),
            None => members.remove(name),
        };
        self.code(&self.signer.token(&claims)).await
    }

    /// The code for a token with these claims as text.
    async fn text(&self, claims: &str) -> &'static str {
        self.code(&self.signer.sign(&self.signer.header().to_string(), claims)).await
    }
}

#[tokio::test]
async fn a_good_assertion_is_verified_with_all_that_it_says() {
    for alg in Alg::WORKLOAD {
        let bench = Bench::new(alg);
        let source = bench.signer.inline();
        let token = bench.signer.token(&claims(ISSUER));
        let verified = verify(&bench.keys, &source, &token).await.expect("verified");
        assert_eq!((verified.issuer.as_str(), verified.subject.as_str()), (ISSUER, "repo:1"));
        assert_eq!((verified.expires, verified.issued, verified.alg), (at(NOW + 300), Some(at(NOW)), alg));
        assert_eq!(verified.audience, ["https://sts.example/production"]);
        assert_eq!(verified.id.as_ref().map(|id| id.as_str()), Some("one"));
        assert_eq!((&verified.source, &verified.claims), (&source, &claims(ISSUER)));
    }
}

#[tokio::test]
async fn j_01_alg_none_is_refused() {
    let bench = Bench::new(Alg::Es256);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "k1"}).to_string();
        let signed = bench.signer.sign(&header, &claims(ISSUER).to_string());
        let message = signed.rsplit_once('.').expect("parts").0;
        for token in [format!("{message}."), format!("{message}.AAAA"), signed.clone()] {
            assert_ne!(bench.code(&token).await, "ok", "{alg}");
        }
    }
}

#[tokio::test]
async fn j_02_alg_missing_or_no_string_is_refused() {
    let bench = Bench::new(Alg::Es256);
    for header in
        [r#"{"kid":"k1"}"#, r#"{"alg":null,"kid":"k1"}"#, r#"{"alg":5}"#, r#"{"alg":["ES256"]}"#, r#"{"alg":"es256"}"#]
    {
        assert_eq!(bench.header(header).await, "assertion.algorithm", "{header}");
    }
    assert_eq!(bench.header(r#"["ES256"]"#).await, "assertion.malformed");
}

#[tokio::test]
async fn j_03_hmac_keyed_with_the_public_key_is_refused() {
    let bench = Bench::new(Alg::Es256);
    let der = bench.signer.spki_der();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", b64(&der));
    let jwk = bench.signer.jwk().to_string();
    for secret in [der.clone(), pem.into_bytes(), jwk.into_bytes()] {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k1"}"#), b64(claims(ISSUER).to_string()));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        assert_eq!(bench.code(&format!("{message}.{}", b64(tag))).await, "assertion.algorithm");
    }
}

#[tokio::test]
async fn j_04_a_key_serves_its_own_algorithm_and_use_only() {
    let keys = keys(&TestClock::new(), &[]);
    let rsa = Signer::new(Alg::Rs256, "k1");
    let token = rsa.token(&claims(ISSUER));
    assert_eq!(code(&keys, &rsa.inline(), &token).await, "ok");
    let changes: [(&str, Value); 8] = [
        ("alg", json!("PS256")),
        ("alg", json!("ES256")),
        ("alg", json!(7)),
        ("use", json!("enc")),
        ("use", json!(["sig"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("kty", json!("EC")),
    ];
    for (name, value) in changes {
        let mut jwk = rsa.jwk();
        jwk[name] = value.clone();
        let other = Signer::new(Alg::EdDsa, "other").jwk();
        assert_eq!(code(&keys, &inline(&[jwk, other]), &token).await, "assertion.key", "{name} {value}");
    }
    let mut jwk = rsa.jwk();
    jwk["key_ops"] = json!(["verify"]);
    assert_eq!(code(&keys, &inline(&[jwk]), &token).await, "ok");
    // The other way round: a PS256 signature by the same key under an RS256 header, and EC keys of another curve.
    let ec = Signer::new(Alg::Es256, "k1");
    let mut p384 = ec.jwk();
    p384["crv"] = json!("P-384");
    let other = Signer::new(Alg::EdDsa, "other").jwk();
    assert_eq!(code(&keys, &inline(&[p384, other]), &ec.token(&claims(ISSUER))).await, "assertion.key");
    let ed = Signer::new(Alg::EdDsa, "k1");
    let renamed = ed.sign(r#"{"alg":"Ed25519","kid":"k1"}"#, &claims(ISSUER).to_string());
    assert_eq!(code(&keys, &ed.inline(), &renamed).await, "assertion.key");
    let mut unnamed = ed.jwk();
    unnamed.as_object_mut().expect("an object").remove("alg");
    assert_eq!(code(&keys, &inline(&[unnamed]), &renamed).await, "ok");
}

#[tokio::test]
async fn j_05_keys_in_the_header_are_refused_and_never_fetched() {
    let bench = Bench::new(Alg::Es256);
    let attacker = Signer::new(Alg::Es256, "k1");
    let server = FakeIssuer::with_keys(&[&attacker]).await;
    let keys = keys(&TestClock::new(), &[&server.url]);
    for (name, value) in [
        ("jwk", attacker.jwk()),
        ("jku", json!(format!("{}/jwks", server.url))),
        ("x5u", json!(format!("{}/x5u", server.url))),
        ("x5c", json!(["MIIB"])),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("jwk", Value::Null),
    ] {
        for signer in [&attacker, &bench.signer] {
            let mut header = signer.header();
            header[name] = value.clone();
            let token = signer.sign(&header.to_string(), &claims(ISSUER).to_string());
            assert_eq!(code(&keys, &bench.signer.inline(), &token).await, "assertion.header", "{name}");
        }
    }
    assert!(server.requests().is_empty());
    let ignored = r#"{"alg":"ES256","kid":"k1","x5t":"a","x5t#S256":"b","cty":"x","unheard":[1]}"#;
    assert_eq!(bench.header(ignored).await, "ok");
}

#[tokio::test]
async fn j_06_j_07_crit_and_b64_are_refused_whatever_they_hold() {
    let bench = Bench::new(Alg::Es256);
    for member in [
        r#""crit":["unknown"],"unknown":1"#,
        r#""crit":[]"#,
        r#""crit":"exp""#,
        r#""crit":[1]"#,
        r#""crit":["alg"]"#,
        r#""crit":["absent"]"#,
        r#""crit":["b64","b64"],"b64":true"#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":false,"crit":["b64"]"#,
    ] {
        assert_eq!(bench.header(&format!(r#"{{"alg":"ES256","kid":"k1",{member}}}"#)).await, "assertion.header", "{member}");
    }
    let token = bench.signer.token(&claims(ISSUER));
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(bench.code(&format!("{}..{}", parts[0], parts[2])).await, "assertion.malformed");
}

#[tokio::test]
async fn j_08_ecdsa_signatures_of_other_forms_are_refused() {
    let bench = Bench::new(Alg::Es256);
    let token = bench.signer.token(&claims(ISSUER));
    let (message, signature) = token.rsplit_once('.').expect("parts");
    use base64::Engine as _;
    let good = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (r, s) = good.split_at(32);
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
        0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let zero = [0; 32];
    let integer = |half: &[u8]| {
        let mut value = if half[0] & 0x80 == 0 { Vec::new() } else { vec![0] };
        value.extend_from_slice(half);
        [vec![2, u8::try_from(value.len()).expect("short")], value].concat()
    };
    let inner = [integer(r), integer(s)].concat();
    let der = [vec![0x30, u8::try_from(inner.len()).expect("short")], inner].concat();
    for forged in [
        [zero, zero].concat(),
        [&zero, s].concat(),
        [r, &zero].concat(),
        [&order, s].concat(),
        [r, &order].concat(),
        [[0xff; 32], [0xff; 32]].concat(),
        der,
        good[..63].to_vec(),
        [good.as_slice(), &[0]].concat(),
        vec![1],
    ] {
        assert_eq!(bench.code(&format!("{message}.{}", b64(&forged))).await, "assertion.signature", "{forged:?}");
    }
    assert_eq!(bench.code(&format!("{message}.{}", b64(vec![7; 1_000_000]))).await, "assertion.malformed");
    assert_eq!(bench.code(&token).await, "ok");
}

#[tokio::test]
async fn j_09_j_10_times_are_numbers_and_exp_is_required() {
    let bench = Bench::new(Alg::Es256);
    assert_eq!(bench.claim("exp", None).await, "assertion.claim-exp");
    let wrong = [
        Value::Null,
        json!("1795500300"),
        json!(true),
        json!([NOW + 300]),
        json!({}),
        json!("1795500300.5"),
        json!(-0.5),
        json!(1e300),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(1e20),
    ];
    for name in ["exp", "nbf", "iat"] {
        for value in &wrong {
            assert_eq!(bench.claim(name, Some(value.clone())).await, format!("assertion.claim-{name}"), "{name} {value}");
        }
        let good = claims(ISSUER).to_string();
        let number = format!("\"{name}\":{}", claims(ISSUER)[name]);
        for text in ["1e400", "NaN", "-Infinity", "01", "+1", "1795500300."] {
            let broken = if name == "nbf" {
                good.replacen('{', &format!("{{\"nbf\":{text},"), 1)
            } else {
                good.replace(&number, &format!("\"{name}\":{text}"))
            };
            assert_ne!(broken, good);
            assert_eq!(bench.text(&broken).await, "assertion.malformed", "{name} {text}");
        }
    }
    assert_eq!(bench.claim("exp", Some(json!(1_795_500_300.0))).await, "ok");
    // RFC 7519 section 2: the end counts by its floor, the beginning by its ceiling.
    let mut fractions = claims(ISSUER);
    (fractions["exp"], fractions["iat"], fractions["nbf"]) =
        (json!(NOW as f64 + 300.9), json!(NOW as f64 + 0.1), json!(NOW as f64 + 0.5));
    let verified = verify(&bench.keys, &bench.signer.inline(), &bench.signer.token(&fractions)).await.expect("verified");
    let times = (verified.expires, verified.issued, verified.not_before);
    assert_eq!(times, (at(NOW + 300), Some(at(NOW + 1)), Some(at(NOW + 1))));
    assert_eq!(bench.claim("iat", None).await, "ok");
}

#[tokio::test]
async fn j_12_aud_is_required_and_is_text() {
    let bench = Bench::new(Alg::Es256);
    for value in
        [None, Some(Value::Null), Some(json!("")), Some(json!([])), Some(json!([""])), Some(json!(["a", 1])), Some(json!({}))]
    {
        assert_eq!(bench.claim("aud", value.clone()).await, "assertion.claim-aud", "{value:?}");
    }
    assert_eq!(bench.claim("aud", Some(json!(["a", "b"]))).await, "ok");
}

/// J-16: the issuer is passed on byte for byte; the broker looks it up exactly.
#[tokio::test]
async fn j_16_j_17_j_21_issuer_and_subject_are_exact_printable_text() {
    let bench = Bench::new(Alg::Es256);
    for twin in [
        "https://idp.example/",
        "https://IDP.example",
        "https://idp.example:443",
        "https://u@idp.example",
        "https://idp.example.",
    ] {
        let unverified = UnverifiedAssertion::parse(&bench.signer.token(&claims(twin))).expect("well-formed");
        assert_ne!(unverified.issuer().as_str(), ISSUER);
    }
    let (long, longest) = ("x".repeat(10_000), "ä".repeat(512));
    let hostile = ["", "a\0", "\u{202e}abc", "a\u{200b}b", "trailing ", " leading", "a\nb", "a\u{feff}", &long];
    let letters = ["аbc", "e\u{301}", "é", "two words", "https://idp.exаmple", "日本", &longest];
    for text in hostile {
        assert_eq!(bench.claim("iss", Some(json!(text))).await, "assertion.claim-iss", "{text:?}");
        assert_eq!(bench.claim("sub", Some(json!(text))).await, "assertion.claim-sub", "{text:?}");
    }
    // An issuer is a URL or a client id. A subject may be any printable text.
    for text in letters {
        assert_eq!(bench.claim("iss", Some(json!(text))).await, "assertion.claim-iss", "{text:?}");
        assert_eq!(bench.claim("sub", Some(json!(text))).await, "ok", "{text:?}");
    }
    for name in ["iss", "sub"] {
        for value in [None, Some(Value::Null), Some(json!(["a"])), Some(json!(5))] {
            assert_eq!(bench.claim(name, value).await, format!("assertion.claim-{name}"));
        }
    }
    assert_eq!(bench.claim("jti", Some(json!(5))).await, "assertion.claim-jti");
    assert_eq!(bench.claim("jti", Some(Value::Null)).await, "assertion.claim-jti");
}

#[tokio::test]
async fn j_18_duplicate_members_are_refused_in_either_order() {
    let bench = Bench::new(Alg::Es256);
    let good = claims(ISSUER).to_string();
    let inside = good.trim_start_matches('{').trim_end_matches('}');
    for twin in [r#""exp":1"#, r#""iss":"https://evil.example""#, r#""aud":"x""#, r#""sub":"x""#, r#""e\u0078p":9795500300"#] {
        assert_eq!(bench.text(&format!("{{{inside},{twin}}}")).await, "assertion.malformed", "{twin}");
        assert_eq!(bench.text(&format!("{{{twin},{inside}}}")).await, "assertion.malformed", "{twin}");
    }
    assert_eq!(bench.text(&format!(r#"{{{inside},"x":{{"a":1,"a":2}}}}"#)).await, "assertion.malformed");
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","x":1,"x":2}"#,
    ] {
        assert_eq!(bench.header(header).await, "assertion.malformed", "{header}");
    }
}

#[tokio::test]
async fn j_20_unknown_claims_are_taken() {
    let bench = Bench::new(Alg::Es256);
    let mut claims = claims(ISSUER);
    for n in 0..50 {
        claims[format!("claim_{n}")] = json!({"nested": [n, "text", null, true]});
    }
    assert_eq!(bench.code(&bench.signer.token(&claims)).await, "ok");
}

/// J-22: `typ` is passed on as it is, and is text. The binding judges it.
#[tokio::test]
async fn j_22_typ_is_handed_on_as_it_is() {
    let bench = Bench::new(Alg::Es256);
    let token = bench.signer.sign(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, &claims(ISSUER).to_string());
    let verified = verify(&bench.keys, &bench.signer.inline(), &token).await.expect("verified");
    assert_eq!(verified.typ.as_deref(), Some("at+jwt"));
    for typ in [json!(5), json!(["JWT"]), json!(""), Value::Null] {
        let header = json!({"alg": "ES256", "kid": "k1", "typ": typ}).to_string();
        assert_eq!(bench.header(&header).await, "assertion.header");
    }
}

#[tokio::test]
async fn j_24_kid_selects_exactly_or_nothing() {
    let bench = Bench::new(Alg::Es256);
    for kid in ["../../etc/passwd", "' OR 1=1 --", "k1\0", "K1", "k1 ", "k2"] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        assert_eq!(bench.header(&header).await, "assertion.key", "{kid}");
    }
    for kid in [json!("x".repeat(4096)), json!(1), Value::Null, json!("")] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        assert_eq!(bench.header(&header).await, "assertion.header");
    }
    // Without a kid: the only key of the algorithm; no key if there are two.
    let token = bench.signer.sign(r#"{"alg":"ES256"}"#, &claims(ISSUER).to_string());
    let (other, rsa) = (Signer::new(Alg::Es256, "k2"), Signer::new(Alg::Rs256, "k3"));
    assert_eq!(code(&bench.keys, &inline(&[bench.signer.jwk(), rsa.jwk()]), &token).await, "ok");
    assert_eq!(code(&bench.keys, &inline(&[bench.signer.jwk(), other.jwk()]), &token).await, "assertion.key");
}

#[tokio::test]
async fn j_26_json_serialisations_are_refused() {
    let bench = Bench::new(Alg::Es256);
    let token = bench.signer.token(&claims(ISSUER));
    let parts: Vec<_> = token.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    let general = json!({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]});
    for text in [flat.to_string(), general.to_string(), format!("{flat}.a.b")] {
        assert_eq!(bench.code(&text).await, "assertion.malformed");
    }
}

#[tokio::test]
async fn j_28_j_29_jwe_is_refused_before_anything_is_decoded() {
    let bench = Bench::new(Alg::Es256);
    for header in
        [r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#, r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647}"#]
    {
        assert_eq!(bench.code(&format!("{}.AA.AA.AA.AA", b64(header))).await, "assertion.malformed");
        assert_ne!(bench.code(&format!("{}.AA.AA", b64(header))).await, "ok");
    }
}

#[tokio::test]
async fn j_30_j_31_dots_and_size_are_judged_first() {
    let bench = Bench::new(Alg::Es256);
    let million = "x".repeat(1_000_000);
    for text in [
        String::new(),
        "abc".into(),
        "a.b".into(),
        ".".into(),
        "..".into(),
        "a.b.c.d".into(),
        "a.b.c.d.e".into(),
        ".".repeat(1_000_000),
        format!("{million}.a.a"),
        format!("a.{million}.a"),
        format!("a.a.{million}"),
    ] {
        assert_eq!(bench.code(&text).await, "assertion.malformed");
    }
    let mut claims = claims(ISSUER);
    claims["pad"] = json!("p".repeat(11_000));
    assert_eq!(bench.code(&bench.signer.token(&claims)).await, "ok");
    claims["pad"] = json!("p".repeat(MAX_ASSERTION));
    assert_eq!(bench.code(&bench.signer.token(&claims)).await, "assertion.malformed");
}

#[tokio::test]
async fn j_32_base64url_is_strict() {
    let bench = Bench::new(Alg::Es256);
    let token = bench.signer.token(&claims(ISSUER));
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    for part in 0..3 {
        let change = |to: String| {
            let mut parts = parts.clone();
            parts[part] = to;
            parts.join(".")
        };
        let own = parts[part].clone();
        let mut forged = vec![change(format!("{own}=")), change(format!("{own}==")), change(format!(" {own}"))];
        forged.push(change(format!("{own}\n")));
        forged.push(change(format!("{}+{}", &own[..4], &own[5..])));
        forged.push(change(format!("{}/{}", &own[..4], &own[5..])));
        for token in forged {
            assert_eq!(bench.code(&token).await, "assertion.malformed");
        }
    }
    // 64 bytes leave four unused bits in the last character: only zero bits are one text of the signature.
    let signature = &parts[2];
    let tail = char::from(signature.as_bytes()[signature.len() - 1] + 1);
    let twin = format!("{}.{}.{}{tail}", parts[0], parts[1], &signature[..signature.len() - 1]);
    assert_eq!(bench.code(&twin).await, "assertion.malformed");
    assert_eq!(bench.code(&token).await, "ok");
}

#[tokio::test]
async fn j_34_a_bad_signature_is_the_reason_even_when_expired() {
    let bench = Bench::new(Alg::Es256);
    let mut expired = claims(ISSUER);
    expired["exp"] = json!(NOW - 10);
    let forged = Signer::new(Alg::Es256, "k1").token(&expired);
    assert_eq!(bench.code(&forged).await, "assertion.signature");
    // With a good signature it is verified, so that `admission` can tell its caller that it has expired.
    assert_eq!(bench.code(&bench.signer.token(&expired)).await, "ok");
}

#[tokio::test]
async fn j_35_nesting_and_numbers_are_bounded() {
    let bench = Bench::new(Alg::Es256);
    let good = claims(ISSUER).to_string();
    let inside = good.trim_start_matches('{').trim_end_matches('}');
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(bench.text(&format!(r#"{{{inside},"x":{nested}}}"#)).await, "assertion.malformed");
    assert_eq!(bench.text(&format!(r#"{{{inside},"x":[{}1]}}"#, "1,".repeat(3000))).await, "assertion.malformed");
}

/// J-36, T-08: times are passed on to the second; `admission` judges them.
#[tokio::test]
async fn j_36_t_08_times_are_handed_on_exactly() {
    let bench = Bench::new(Alg::Es256);
    for (exp, iat, nbf) in [(NOW, Some(NOW + 31), Some(NOW + 9)), (0, None, None), (253_402_207_200, Some(0), None)] {
        let mut claims = claims(ISSUER);
        claims["exp"] = json!(exp);
        claims["iat"] = json!(iat.unwrap_or_default());
        claims["nbf"] = json!(nbf.unwrap_or_default());
        let members = claims.as_object_mut().expect("an object");
        members.retain(|name, _| (name != "iat" || iat.is_some()) && (name != "nbf" || nbf.is_some()));
        let token = bench.signer.token(&claims);
        let verified = verify(&bench.keys, &bench.signer.inline(), &token).await.expect("verified");
        assert_eq!((verified.expires, verified.issued, verified.not_before), (at(exp), iat.map(at), nbf.map(at)));
    }
}

#[tokio::test]
async fn j_38_an_algorithm_that_the_binding_does_not_list_is_refused() {
    let bench = Bench::new(Alg::Rs256);
    let source = bench.signer.inline();
    let token = bench.signer.token(&claims(ISSUER));
    let verifier = Verifier::new(bench.keys.clone());
    let parse = || UnverifiedAssertion::parse(&token).expect("well-formed");
    let fault = verifier.verify(parse(), &[Trust { source: &source, algs: &Alg::KEY }]).await.expect_err("RS256");
    assert_eq!(fault.reason.code, "assertion.algorithm");
    let both = [Trust { source: &source, algs: &Alg::KEY }, Trust { source: &source, algs: &Alg::WORKLOAD }];
    assert!(verifier.verify(parse(), &both).await.is_ok());
}
