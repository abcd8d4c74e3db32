//! Keys of partners, from the record or issuer that names them to a token: what is accepted verifies, and what could not verify is refused where
//! it is written, with the member that is wrong.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::domain::value::alg::Alg;
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::days::CONTRACT_ENDS;
use crate::world::issuer::{Behaviour, sign};
use crate::world::{Answer, Key, Options, Provider, World, client, records};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An RSA key of a partner's own, signing by either scheme.
struct Rsa(RsaKeyPair);

impl Rsa {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    fn modulus(&self) -> Vec<u8> {
        self.0.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    fn jwk(&self) -> Value {
        json!({"kty": "RSA", "kid": "own", "n": b64(self.modulus()), "e": b64(self.0.public_key().exponent().big_endian_without_leading_zero())})
    }

    fn sign(&self, alg: &str, claims: &Value) -> String {
        let header = json!({"alg": alg, "kid": "own"});
        let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let padding = if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).expect("signed");
        format!("{input}.{}", b64(signature))
    }
}

/// An integration of globex with a `key` binding that has this set.
fn record(name: &str, keys: &Value, more: &str) -> String {
    format!(
        r#"apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: {name}}}
purpose: Sorts what comes back.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-4, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  production:
    bindings:
      - name: own-key
        key: {{jwks: {{keys: {keys}}}{more}}}
    scopes:
      orders-api: [orders:read]
"#
    )
}

async fn authenticate(world: &World, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("audience", "orders-api"),
        ("scope", "orders:read"),
    ];
    world.token("production", &form).await
}

fn own_claims(world: &World, name: &str) -> Value {
    let (client, now) = (format!("globex/{name}"), world.clock.seconds());
    json!({"iss": client, "sub": client, "aud": world.issuer("production"), "exp": now + 60, "iat": now, "jti": client::unique()})
}

/// `with` some members changed.
fn changed(key: &Value, changes: Value) -> Value {
    let mut key = key.clone();
    for (name, value) in changes.as_object().expect("changes") {
        key[name] = value.clone();
    }
    key
}

/// `cases/inline-jwks-in-force-and-dead`, `cases/jwks-null-members`: each shape is refused by `validate` and `apply` with the member that is
/// wrong, or it is approved, comes into force and pays for a token.
#[tokio::test]
async fn an_inline_key_works_or_is_refused_where_it_is_written() {
    let world = World::start().await;
    let program = Program::of(&world, "ann");
    let (ec, _) = Key::generate(Alg::Es256).expect("a key");
    let (ed, _) = Key::generate(Alg::EdDsa).expect("a key");
    let (other, _) = Key::generate(Alg::Es256).expect("a key");
    let rsa = Rsa::new();
    let named = |key: &Key| changed(key.public(), json!({"kid": "own"}));
    let (ec_jwk, ed_jwk, rsa_jwk) = (named(&ec), named(&ed), rsa.jwk());
    let padded = b64([&[0][..], &rsa.modulus()].concat());
    let by_key =
        |key: &Key, claims: &Value| sign(key, &json!({"alg": key.alg().name(), "kid": "own"}).to_string(), &claims.to_string());
    type Sign<'a> = Box<dyn Fn(&Value) -> String + 'a>;
    let with_ec = || -> Sign<'_> { Box::new(|claims| by_key(&ec, claims)) };
    let with_rsa = |alg: &'static str| -> Sign<'_> { Box::new(|claims| rsa.sign(alg, claims)) };
    let nulls = json!({"alg": null, "use": null, "key_ops": null, "d": null, "p": null, "oth": null, "x5c": null});
    let accepted: Vec<(&str, Value, &str, Sign<'_>)> = vec![
        ("rsa-without-alg", json!([rsa_jwk]), "", with_rsa("PS256")),
        ("rsa-without-alg-rs", json!([rsa_jwk]), ", algs: [RS256]", with_rsa("RS256")),
        ("rsa-leading-zero", json!([changed(&rsa_jwk, json!({"n": padded, "alg": "PS256"}))]), "", with_rsa("PS256")),
        ("rsa-rs256-listed", json!([changed(&rsa_jwk, json!({"alg": "RS256"}))]), ", algs: [RS256]", with_rsa("RS256")),
        ("alg-null", json!([changed(&ec_jwk, json!({"alg": null}))]), "", with_ec()),
        ("null-members", json!([changed(&ec_jwk, nulls)]), "", with_ec()),
        ("edwards", json!([changed(&ed_jwk, json!({"alg": null}))]), "", Box::new(|claims| by_key(&ed, claims))),
        ("twice-the-same", json!([ec_jwk, ec_jwk]), "", with_ec()),
        (
            "verify-and-more",
            json!([changed(&ec_jwk, json!({"key_ops": ["verify", "sign"], "x5t": "a", "ext": true}))]),
            "",
            with_ec(),
        ),
    ];
    // Offline there are no other records than those in the file.
    let known = records::usual(&world.partner.issuer);
    for (name, keys, more, sign) in &accepted {
        let text = record(name, keys, more);
        program.run_with(&["validate", "-f", "-"], &format!("{known}---\n{text}")).await.ended(0);
        world.onboard(&text).await;
        let answer = authenticate(&world, &sign(&own_claims(&world, name))).await;
        assert_eq!(answer.status, 200, "{name} is accepted and must work: {}", answer.text());
    }
    // RS256 is for platforms: a key binding takes it where it is listed, whatever the key could do.
    let answer = authenticate(&world, &rsa.sign("RS256", &own_claims(&world, "rsa-without-alg"))).await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    let ones = b64([1; 32]);
    let refused = [
        ("rsa-rs512", json!([changed(&rsa_jwk, json!({"alg": "RS512"}))]), "alg"),
        ("rsa-rs256", json!([changed(&rsa_jwk, json!({"alg": "RS256"}))]), "alg"),
        ("rsa-8192", json!([changed(&rsa_jwk, json!({"n": b64([0xc1; 1024])}))]), "n"),
        ("rsa-1024", json!([changed(&rsa_jwk, json!({"n": b64([0xc1; 128])}))]), "n"),
        ("rsa-two-zeros", json!([changed(&rsa_jwk, json!({"n": b64([&[0, 0][..], &rsa.modulus()].concat())}))]), "n"),
        ("ec-alg-es384", json!([changed(&ec_jwk, json!({"alg": "ES384"}))]), "alg"),
        ("key-ops-sign", json!([changed(&ec_jwk, json!({"key_ops": ["sign"]}))]), "key_ops"),
        ("key-ops-empty", json!([changed(&ec_jwk, json!({"key_ops": []}))]), "key_ops"),
        ("off-curve", json!([changed(&ec_jwk, json!({"x": ones}))]), "x and y"),
        ("off-curve-edwards", json!([changed(&ed_jwk, json!({"x": b64([2; 32])}))]), "x"),
        ("small-order", json!([changed(&ed_jwk, json!({"x": b64([[1].as_slice(), &[0; 31]].concat())}))]), "x"),
        ("one-kid-two-keys", json!([ec_jwk, named(&other)]), "kid"),
        (
            "no-kid-two-keys",
            json!([changed(&ec_jwk, json!({"kid": null})), changed(&named(&other), json!({"kid": null}))]),
            "kid",
        ),
        ("kid-number", json!([changed(&ec_jwk, json!({"kid": 7}))]), "kid"),
        ("use-enc", json!([changed(&ec_jwk, json!({"use": "enc"}))]), "use"),
        ("one-of-two", json!([ec_jwk, changed(&named(&other), json!({"kid": "second", "crv": "P-384"}))]), "crv"),
        ("private", json!([changed(&ec_jwk, json!({"d": "c2VjcmV0LXBhcnQ"}))]), "member d"),
    ];
    let before = world.admin_get("/v1/integrations", "sven").await["items"].as_array().expect("items").len();
    for (name, keys, member) in &refused {
        let text = record(name, keys, "");
        let ran = program.run_with(&["validate", "-f", "-"], &format!("{known}---\n{text}")).await.ended(2);
        assert!(ran.stderr.contains(member) || ran.stdout.contains(member), "{name}: {ran:?}");
        let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", text))).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["reason"]),
            (422, &json!("binding.keys")),
            "{name}: {}",
            answer.text()
        );
        let message = answer.json()["errors"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(member) && !message.contains("c2VjcmV0"), "{name}: {message}");
    }
    let after = world.admin_get("/v1/integrations", "sven").await["items"].as_array().expect("items").len();
    assert_eq!(before, after, "a refused record is not stored");
}

/// `cases/jwks-leading-zero`, `cases/jwks-null-members`, `cases/jwks-no-accept-encoding`: what issuers publish is taken as most take it, and a
/// look at the issuer says what is odd.
#[tokio::test]
async fn an_issuers_odd_keys_verify_and_are_noted() {
    let issuer = Provider::with_alg(Alg::Rs256).await;
    let modulus = URL_SAFE_NO_PAD.decode(issuer.key.public()["n"].as_str().expect("a modulus")).expect("base64url");
    let padded = json!({"n": b64([&[0][..], &modulus].concat()), "alg": null, "d": null, "key_ops": null, "use": null});
    let set = json!({"keys": [changed(issuer.key.public(), padded), {"kty": "EC", "crv": "P-521", "kid": "x"}]}).to_string();
    issuer.behave(Behaviour { discovery: None, keys: Some((200, set)) });
    let records = records::usual(&issuer.issuer);
    let world =
        World::with(Options { issuers: vec![issuer.issuer.clone()], records: Some(records), ..Options::default() }).await;
    let mut claims = world.claims("production");
    claims["iss"] = issuer.issuer.as_str().into();
    let answer = world.exchange("production", &issuer.sign(&claims), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.advance(31).await;
    let probed = world.admin_post("/v1/issuers/probe", "sven", &json!({"issuer": issuer.issuer})).await;
    assert_eq!(probed.status, 200, "{}", probed.text());
    let probed = probed.json();
    assert_eq!((&probed["keys"][0]["algs"], &probed["ignored"]), (&json!(["RS256", "PS256"]), &json!(1)));
    let notes = probed["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    assert!(notes.contains("zero octet") && notes.contains("keys[1] is not used: crv: expected P-256"), "{notes}");
}
