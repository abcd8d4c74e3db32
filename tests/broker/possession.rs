//! DPoP at the token endpoint (RFC 9449): the matrix of docs/security/standards.md#dpop-negative-cases as far as an authorization server sees it, nonces, and what a
//! bound token looks like.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::client::{escape, unique};
use crate::world::{Answer, Options, TOKEN_EXCHANGE, TYPE_JWT, World, claims, records, send};

/// A workload's key.
pub struct Holder {
    pair: EcdsaKeyPair,
}

impl Holder {
    pub fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key") }
    }

    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])})
    }

    /// RFC 7638.
    fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        URL_SAFE_NO_PAD.encode(digest.as_ref())
    }

    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// What a proof for production claims now.
fn proof_claims(world: &World, nonce: &str) -> Value {
    json!({
        "jti": unique(), "htm": "POST", "htu": format!("{}/token", world.issuer("production")), "iat": world.clock.seconds(),
        "nonce": nonce,
    })
}

/// A proof by a new key, with a nonce of the server: for requests whose point is another.
pub async fn fresh_proof(world: &World) -> String {
    let holder = Holder::new();
    let nonce = nonce(world, &holder).await;
    holder.sign(&holder.header(), &proof_claims(world, &nonce))
}

/// A token for `orders:read` that is bound to this key.
pub async fn bound_token(world: &World, holder: &Holder) -> String {
    bound_token_for(world, holder, "orders-api", "orders:read").await
}

/// A token that is bound to this key.
pub async fn bound_token_for(world: &World, holder: &Holder, api: &str, scope: &str) -> String {
    let nonce = nonce(world, holder).await;
    let proof = holder.sign(&holder.header(), &proof_claims(world, &nonce));
    let answer = exchange_for(world, &world.assertion("production"), &[("dpop", &proof)], (api, scope)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn exchange(world: &World, assertion: &str, proofs: &[(&str, &str)]) -> Answer {
    exchange_for(world, assertion, proofs, ("orders-api", "orders:read")).await
}

async fn exchange_for(world: &World, assertion: &str, proofs: &[(&str, &str)], target: (&str, &str)) -> Answer {
    let form = format!(
        "grant_type={}&subject_token={assertion}&subject_token_type={}&audience={}&scope={}",
        escape(TOKEN_EXCHANGE),
        escape(TYPE_JWT),
        target.0,
        escape(target.1)
    );
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend_from_slice(proofs);
    send(world.public, "POST", "/production/token", &headers, form.as_bytes()).await
}

/// A nonce of the server, as a client gets it.
async fn nonce(world: &World, holder: &Holder) -> String {
    let mut without = proof_claims(world, "");
    without.as_object_mut().expect("claims").remove("nonce");
    let answer = exchange(world, &world.assertion("production"), &[("dpop", &holder.sign(&holder.header(), &without))]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("use_dpop_nonce")), "{}", answer.text());
    assert_eq!(answer.json()["reason"], "dpop.nonce");
    answer.header("dpop-nonce").expect("a nonce").to_owned()
}

#[tokio::test]
async fn a_key_that_is_shown_binds_the_token_and_a_nonce_spends_nothing() {
    let world = World::start().await;
    let holder = Holder::new();
    let assertion = world.assertion("production");
    // A1 and A2 of the examples: first without a nonce, then the very same assertion with it.
    let mut without = proof_claims(&world, "");
    without.as_object_mut().expect("claims").remove("nonce");
    let asked = exchange(&world, &assertion, &[("dpop", &holder.sign(&holder.header(), &without))]).await;
    assert_eq!((asked.status, &asked.json()["error"]), (400, &json!("use_dpop_nonce")));
    let given = asked.header("dpop-nonce").expect("a nonce").to_owned();
    assert_eq!(world.issued().await, 0);
    let answer = exchange(&world, &assertion, &[("DPoP", &holder.sign(&holder.header(), &proof_claims(&world, &given)))]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(body["token_type"], "DPoP");
    assert_eq!(claims(token)["cnf"], json!({"jkt": holder.thumbprint()}));
    assert_eq!(answer.header("dpop-nonce"), Some(given.as_str()));
    let seen = world.introspect("production", token).await.json();
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("DPoP")), "{seen}");
    assert_eq!(seen["cnf"], json!({"jkt": holder.thumbprint()}));

    let metadata = crate::world::get(world.public, "/production/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["dpop_signing_alg_values_supported"], json!(["ES256", "PS256", "EdDSA", "Ed25519"]));

    // Without a proof nothing changes, and nobody is told a nonce.
    let plain = exchange(&world, &world.assertion("production"), &[]).await;
    assert_eq!((plain.status, &plain.json()["token_type"]), (200, &json!("Bearer")));
    assert_eq!(plain.header("dpop-nonce"), None);

    // A nonce is taken for a while and then no more; what it refuses is not spent.
    let assertion = world.assertion("production");
    world.advance(200).await;
    let stale = exchange(&world, &assertion, &[("dpop", &holder.sign(&holder.header(), &proof_claims(&world, &given)))]).await;
    assert_eq!((stale.status, &stale.json()["error"]), (400, &json!("use_dpop_nonce")));
    assert_eq!(world.issued().await, 2);
}

/// docs/security/standards.md#dpop-negative-cases: each row must be refused; the assertion beside it stays good, and a last good request succeeds.
#[tokio::test]
async fn dpop_matrix_what_must_be_refused() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let (holder, other) = (Holder::new(), Holder::new());
    let nonce = nonce(&world, &holder).await;
    let assertion = world.assertion("production");
    let good = || proof_claims(&world, &nonce);
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        holder.sign(&holder.header(), &claims)
    };
    let without = |name: &str| {
        let mut claims = good();
        claims.as_object_mut().expect("claims").remove(name);
        holder.sign(&holder.header(), &claims)
    };
    let headed = |name: &str, value: Option<Value>| {
        let mut header = holder.header();
        match value {
            Some(value) => header[name] = value,
            None => drop(header.as_object_mut().expect("a header").remove(name)),
        }
        holder.sign(&header, &good())
    };
    let now = world.clock.seconds();
    let mut private = holder.jwk();
    private["d"] = "c2VjcmV0".into();
    let unsigned = {
        let text = holder.sign(&json!({"typ": "dpop+jwt", "alg": "none", "jwk": holder.jwk()}), &good());
        format!("{}.", text.rsplit_once('.').expect("parts").0)
    };
    let broken = {
        let mut text = holder.sign(&holder.header(), &good());
        let last = text.pop().expect("text");
        text.push(if last == 'A' { 'Q' } else { 'A' });
        text
    };
    let rows: Vec<(&str, String, &str)> = vec![
        ("not a JWT", "x".into(), "dpop.malformed"),
        ("empty", String::new(), "dpop.malformed"),
        ("missing typ", headed("typ", None), "dpop.header"),
        ("missing alg", headed("alg", None), "dpop.header"),
        ("missing jwk", headed("jwk", None), "dpop.header"),
        ("missing jti", without("jti"), "dpop.malformed"),
        ("missing htm", without("htm"), "dpop.malformed"),
        ("missing htu", without("htu"), "dpop.malformed"),
        ("missing iat", without("iat"), "dpop.malformed"),
        ("wrong typ", headed("typ", Some("JWT".into())), "dpop.header"),
        ("RS256", headed("alg", Some("RS256".into())), "dpop.header"),
        ("none", unsigned, "dpop.header"),
        ("a symmetric algorithm", headed("alg", Some("HS256".into())), "dpop.header"),
        ("bad signature", broken, "dpop"),
        ("a private key", headed("jwk", Some(private)), "dpop.header"),
        ("a symmetric key", headed("jwk", Some(json!({"kty": "oct", "k": "AAAA"}))), "dpop.header"),
        ("another key's header", other.sign(&holder.header(), &good()), "dpop.signature"),
        ("wrong htm", with("htm", "GET".into()), "dpop.other-request"),
        ("lower-case htm", with("htm", "post".into()), "dpop.other-request"),
        ("another URL", with("htu", json!(format!("{}/introspect", world.issuer("production")))), "dpop.other-request"),
        ("another environment", with("htu", json!(format!("{}/token", world.issuer("sandbox")))), "dpop.other-request"),
        ("another host", with("htu", "https://sts.evil.example/production/token".into()), "dpop.other-request"),
        ("an hour ahead", with("iat", json!(now + 3600)), "dpop.stale"),
        ("an hour behind", with("iat", json!(now - 3600)), "dpop.stale"),
        ("over", with("exp", json!(now - 1)), "dpop.stale"),
        ("not yet", with("nbf", json!(now + 3600)), "dpop.stale"),
        ("over by its floor", with("exp", json!(now as f64 + 0.5)), "dpop.stale"),
        ("an iat ahead by its ceiling", with("iat", json!(now as f64 + 30.1)), "dpop.stale"),
        ("a negative iat", with("iat", json!(-0.5)), "dpop.malformed"),
        ("iat as text", with("iat", json!(now.to_string())), "dpop.malformed"),
        ("a jti of 300 characters", with("jti", json!("j".repeat(300))), "dpop.malformed"),
        ("a nonce that is no text", with("nonce", json!(7)), "dpop.malformed"),
        ("another's nonce", with("nonce", "nSTS.7Qm1zK0vT9eXr4Uy2A".into()), "dpop.nonce"),
        ("crit", headed("crit", Some(json!(["x"]))), "dpop.header"),
        ("5 kB", with("more", json!("m".repeat(5000))), "dpop.malformed"),
    ];
    for (row, proof, reason) in &rows {
        let answer = exchange(&world, &assertion, &[("dpop", proof)]).await;
        let error = if *reason == "dpop.nonce" { "use_dpop_nonce" } else { "invalid_dpop_proof" };
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!(error)), "{row}: {}", answer.text());
        let told = answer.json()["reason"].as_str().expect("a reason").to_owned();
        assert!(told.starts_with(reason), "{row}: {told}");
        assert!(answer.header("dpop-nonce").is_some() && answer.header("cache-control") == Some("no-store"), "{row}");
    }
    let (one, two) = (holder.sign(&holder.header(), &good()), holder.sign(&holder.header(), &good()));
    let answer = exchange(&world, &assertion, &[("dpop", &one), ("dpop", &two)]).await;
    assert_eq!(answer.json()["error"], "invalid_dpop_proof", "two headers");
    assert_eq!(world.issued().await, 0);

    // A jti counts once; the assertion of the refused request stays good. The refused one is another assertion of the caller.
    assert_eq!(exchange(&world, &assertion, &[("dpop", &one)]).await.status, 200);
    let next = world.assertion("production");
    let again = exchange(&world, &next, &[("dpop", &one)]).await;
    assert_eq!((again.status, &again.json()["reason"]), (400, &json!("dpop.replayed")), "{}", again.text());
    assert_eq!(exchange(&world, &next, &[("dpop", &two)]).await.status, 200);
    assert_eq!(world.issued().await, 2);
}

/// docs/security/standards.md#dpop-negative-cases: what is spelled otherwise and means the same.
#[tokio::test]
async fn dpop_matrix_what_must_be_accepted() {
    let world = World::start().await;
    let holder = Holder::new();
    let nonce = nonce(&world, &holder).await;
    let url = format!("{}/token", world.issuer("production"));
    let now = world.clock.seconds();
    let mut more = holder.header();
    more["kid"] = "mine".into();
    more["x-more"] = json!({"a": 1});
    let rows: Vec<(&str, Value, Value)> = vec![
        (
            "times with fractions",
            json!({"iat": now as f64 + 0.5, "nbf": now as f64 - 0.5, "exp": now as f64 + 60.5}),
            holder.header(),
        ),
        ("a time with a point", json!({"iat": now as f64}), holder.header()),
        ("a query and a fragment", json!({"htu": format!("{url}?a=b#c")}), holder.header()),
        ("an upper-case scheme", json!({"htu": url.replacen("http", "HTTP", 1)}), holder.header()),
        ("unknown members", json!({"more": [1, 2]}), more),
        ("nbf now, exp in five minutes", json!({"nbf": now, "exp": now + 300}), holder.header()),
        ("ten seconds ahead", json!({"iat": now + 10}), holder.header()),
        ("ten seconds behind", json!({"iat": now - 10}), holder.header()),
    ];
    for (row, change, header) in rows {
        let mut claims = proof_claims(&world, &nonce);
        claims.as_object_mut().expect("claims").extend(change.as_object().expect("changes").clone());
        let answer = exchange(&world, &world.assertion("production"), &[("DPOP", &holder.sign(&header, &claims))]).await;
        assert_eq!(answer.status, 200, "{row}: {}", answer.text());
    }
}

/// `require: bound`: a record that asks for bound tokens gives no other.
#[tokio::test]
async fn a_record_that_asks_for_bound_tokens_gives_no_other() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let bound = usual.replacen("  production:\n    bindings:\n", "  production:\n    require: bound\n    bindings:\n", 1);
    assert_ne!(bound, usual);
    world.onboard(&bound).await;
    let assertion = world.assertion("production");
    let answer = exchange(&world, &assertion, &[]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_dpop_proof")), "{}", answer.text());
    assert_eq!(answer.json()["reason"], "proof.unbound");
    assert_eq!(world.issued().await, 0);
    let holder = Holder::new();
    let nonce = nonce(&world, &holder).await;
    let proof = holder.sign(&holder.header(), &proof_claims(&world, &nonce));
    assert_eq!(exchange(&world, &assertion, &[("dpop", &proof)]).await.status, 200);
}

/// The same, asked by the API, for every integration: like every change of its token it waits for approval (docs/reference/records.md).
#[tokio::test]
async fn an_api_that_asks_for_bound_tokens_gets_no_other() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let bound = usual.replacen("ttl: 5m}", "ttl: 5m, require: bound}", 1);
    assert_ne!(bound, usual);
    let apply = async |records: &str| {
        world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", records.to_owned()))).await
    };
    assert_eq!(apply(&bound).await.status, 200);
    assert_eq!(exchange(&world, &world.assertion("production"), &[]).await.status, 200, "not in force yet");
    world.approve_all().await;
    let assertion = world.assertion("production");
    let answer = exchange(&world, &assertion, &[]).await;
    assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("proof.unbound")), "{}", answer.text());
    assert_eq!(apply(&usual).await.status, 200);
    assert_eq!(exchange(&world, &assertion, &[]).await.json()["reason"], "proof.unbound", "held for approval");
    assert_eq!(world.issued().await, 1);
    assert_eq!(exchange(&world, &assertion, &[("dpop", &fresh_proof(&world).await)]).await.status, 200);
}
