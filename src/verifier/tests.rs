//! Tests of the check as an attacker meets it: each row changes one thing of a good request.
//!
//! M-24, the challenges of docs/security/standards.md#challenges, and the DPoP matrix of 5.1.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{Answer, Fetch, Keys};
use super::liveness::{ByIndex, ByIntrospection, Index, Introspect, Lines, Liveness, Standing};
use super::policy::Policy;
use super::refusal::Refusal;
use super::shown::Shown;
use super::{Access, Verifier};
use crate::domain::value::clock::{Clock, Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::p256;

const NOW: i64 = 1_795_262_400;
const ISSUER: &str = "https://sts.acme.example/production";
const AUDIENCE: &str = "https://orders.acme.example";

struct At(AtomicI64);
impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst)).expect("a time")
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

struct Always(Standing);
impl Liveness for Always {
    fn standing<'a>(&'a self, _: &'a Access, _: &'a str, _: Timestamp) -> Answer<'a, Standing> {
        Box::pin(std::future::ready(self.0))
    }
}

#[derive(Clone)]
struct Served {
    body: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
    hits: Arc<AtomicUsize>,
}
impl Fetch for Served {
    fn fetch(&self) -> Answer<'_, Option<Vec<u8>>> {
        self.hits.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(self.body.lock().expect("not poisoned").clone()))
    }
}

struct Pair(EcdsaKeyPair);
impl Pair {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }
    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])})
    }
    fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        URL_SAFE_NO_PAD.encode(Digest::of(text.as_bytes()).0)
    }
    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(p256::lower(signature.as_ref()).expect("a signature")))
    }
}

/// An API with its issuer, keys and clock.
struct House {
    key: Pair,
    served: Served,
    clock: Arc<At>,
    verifier: Verifier,
}

fn house(standing: Standing) -> House {
    let key = Pair::new();
    let mut public = key.jwk();
    public["kid"] = "k1".into();
    let set = json!({"keys": [{"kty": "AKP", "kid": "k1"}, {"kty": "oct", "k": "AAAA", "kid": "k1"}, 5, public]});
    let served = Served { body: Arc::new(std::sync::Mutex::new(Some(set.to_string().into_bytes()))), hits: Arc::default() };
    let clock = Arc::new(At(NOW.into()));
    let policy = Policy {
        issuer: ISSUER.parse().expect("an issuer"),
        environment: "production".parse().expect("a name"),
        api: "orders-api".parse().expect("a name"),
        audience: AUDIENCE.parse().expect("an audience"),
        typ: "at+jwt",
        leeway: Seconds(30),
    };
    let verifier =
        Verifier::new(policy, Keys::new(served.clone()), Arc::new(Always(standing)), Arc::clone(&clock) as Arc<dyn Clock>);
    House { key, served, clock, verifier }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "globex/order-sync", "client_id": "globex/order-sync", "exp": NOW + 300, "iat": NOW - 2,
        "nbf": NOW - 2, "jti": "j1", "scope": "orders:list orders:read", "env": "production", "entry": 7, "binding": "ci",
    })
}

/// The same token with the other signature that verifies.
fn twin(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(p256::twin(&signature)))
}

const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;

impl House {
    fn token(&self, change: &Value) -> String {
        let mut claims = claims();
        for (name, value) in change.as_object().expect("changes") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.key.sign(HEADER, &claims.to_string())
    }

    async fn ask(&self, change: impl FnOnce(&mut Shown<'_>), token: &str) -> Result<Access, Refusal> {
        let credential = format!("Bearer {token}");
        self.ask_as(&credential, change).await
    }

    async fn ask_as<'a>(&self, credential: &'a str, change: impl FnOnce(&mut Shown<'a>)) -> Result<Access, Refusal> {
        let mut shown = Shown {
            method: "GET",
            path: "/v1/orders/42",
            query: Some("full=1"),
            origin: Some("https://orders.acme.example"),
            authorization: vec![credential],
            proofs: vec![],
            certificate: None,
        };
        change(&mut shown);
        self.verifier.check(&shown, &"orders:read".parse::<crate::domain::value::scope::Scope>().into_iter().collect()).await
    }
}

#[tokio::test]
async fn a_good_token_says_who_may_do_what() {
    let house = house(Standing::Active);
    let access = house.ask(|_| {}, &house.token(&json!({"new": [1], "status": {"status_list": {}}}))).await.expect("good");
    assert_eq!((access.client.to_string().as_str(), access.entry, access.id.as_str()), ("globex/order-sync", 7, "j1"));
    assert_eq!(access.scope.to_string(), "orders:list orders:read");
    let elevated = json!({"authorization_details": [
        {"type": "jit_elevation", "id": "e1", "scopes": ["orders:write"], "ends": NOW + 60, "ticket": "INC-1"},
        {"type": "endpoints", "locations": [AUDIENCE], "actions": ["GET /v1/orders/{id}"]},
    ]});
    let access = house.ask(|_| {}, &house.token(&elevated)).await.expect("good");
    assert_eq!((access.elevations[0].id.as_str(), access.conditions.len()), ("e1", 1));
    let application = house.key.sign(&HEADER.replace("at+jwt", "application/AT+jwt"), &claims().to_string());
    assert!(house.ask(|_| {}, &application).await.is_ok());
}

#[tokio::test]
async fn every_claim_must_be_there_and_be_what_it_must() {
    let house = house(Standing::Active);
    for name in ["iss", "aud", "sub", "client_id", "exp", "iat", "nbf", "jti", "scope", "env", "entry", "binding"] {
        for value in [Value::Null, json!([]), json!({}), json!(true)] {
            let outcome = house.ask(|_| {}, &house.token(&json!({name: value}))).await;
            assert!(matches!(outcome, Err(Refusal::Token(_))), "{name} = {value}: {outcome:?}");
        }
    }
    for change in [
        json!({"iss": "https://sts.acme.example/sandbox"}),
        json!({"iss": "https://sts.acme.example/production/"}),
        json!({"env": "sandbox"}),
        json!({"aud": "https://orders.acme.example/"}),
        json!({"aud": [AUDIENCE]}),
        json!({"sub": "globex/other"}),
        json!({"exp": NOW - 31}),
        json!({"exp": (NOW + 300).to_string()}),
        json!({"nbf": NOW + 31}),
        json!({"iat": NOW + 31}),
        json!({"scope": "orders:read  orders:list"}),
        json!({"cnf": {}}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode([1; 32]), "jkt": URL_SAFE_NO_PAD.encode([1; 32])}}),
        json!({"authorization_details": [{"type": "unknown"}]}),
        json!({"authorization_details": [{}]}),
        json!({"authorization_details": [{"type": "endpoints", "locations": ["https://other.example"], "actions": ["GET /v1/orders/{id}"]}]}),
        json!({"authorization_details": [{"type": "endpoints", "locations": [AUDIENCE], "actions": ["GET /v1/orders/{id}"], "not": []}]}),
    ] {
        let outcome = house.ask(|_| {}, &house.token(&change)).await;
        assert!(matches!(outcome, Err(Refusal::Token(_))), "{change}: {outcome:?}");
    }
    // The edges of life, with 30 s for clocks.
    assert!(house.ask(|_| {}, &house.token(&json!({"exp": NOW - 29}))).await.is_ok());
    assert!(house.ask(|_| {}, &house.token(&json!({"exp": NOW - 30}))).await.is_err());
    assert!(house.ask(|_| {}, &house.token(&json!({"nbf": NOW + 30, "iat": NOW + 30}))).await.is_ok());
    let unbound = claims().to_string().replacen('{', "{\"cnf\":null,", 1);
    assert!(house.ask(|_| {}, &house.key.sign(HEADER, &unbound)).await.is_err(), "a cnf that names no key binds to nobody");
    // A member that repeats: a reader of the first and a reader of the last would see two tokens.
    let twice = claims().to_string().replacen('{', "{\"exp\":1,", 1);
    assert!(house.ask(|_| {}, &house.key.sign(HEADER, &twice)).await.is_err());
}

#[tokio::test]
async fn signature_header_and_algorithm_are_those_of_the_issuers_key() {
    let house = house(Standing::Active);
    let good = house.token(&json!({}));
    let rogue = Pair::new();
    let body = claims().to_string();
    let rows = [
        ("another key", rogue.sign(HEADER, &body)),
        ("no kid", house.key.sign(&HEADER.replace(r#","kid":"k1""#, ""), &body)),
        ("another kid", house.key.sign(&HEADER.replace("k1", "k2"), &body)),
        ("none", house.key.sign(&HEADER.replace("ES256", "none"), &body)),
        ("HS256", house.key.sign(&HEADER.replace("ES256", "HS256"), &body)),
        ("ES384", house.key.sign(&HEADER.replace("ES256", "ES384"), &body)),
        ("lower case", house.key.sign(&HEADER.replace("ES256", "es256"), &body)),
        ("JWT instead of at+jwt", house.key.sign(&HEADER.replace("at+jwt", "JWT"), &body)),
        ("no typ", house.key.sign(&HEADER.replace(r#","typ":"at+jwt""#, ""), &body)),
        ("two algs", house.key.sign(&HEADER.replacen('{', r#"{"alg":"none","#, 1), &body)),
        ("crit null", house.key.sign(&HEADER.replacen('{', r#"{"crit":null,"#, 1), &body)),
        ("crit", house.key.sign(&HEADER.replacen('{', r#"{"crit":["x"],"#, 1), &body)),
        ("b64", house.key.sign(&HEADER.replacen('{', r#"{"b64":true,"#, 1), &body)),
        ("jku", house.key.sign(&HEADER.replacen('{', r#"{"jku":"https://evil.example","#, 1), &body)),
        ("the twin of its signature", twin(&good)),
        ("a part more", format!("{good}.x")),
        ("padding", format!("{good}=")),
        ("a part less", good.rsplit_once('.').expect("parts").0.to_owned()),
        ("no signature", format!("{}.", good.rsplit_once('.').expect("parts").0)),
        ("20 kB", house.token(&json!({"x": "x".repeat(20_000)}))),
        ("nothing", String::new()),
    ];
    for (row, token) in rows {
        let outcome = house.ask(|_| {}, &token).await;
        assert!(matches!(outcome, Err(Refusal::Token(_))), "{row}: {outcome:?}");
    }
    assert!(house.ask(|_| {}, &good).await.is_ok());
}

#[tokio::test]
async fn refusals_are_the_challenges_of_the_reference() {
    let house = house(Standing::Active);
    let good = house.token(&json!({}));
    let bearer = format!("Bearer {good}");
    let algs = r#"algs="ES256 PS256 EdDSA Ed25519""#;
    for credential in ["", "Bearer", "Basic eA=="] {
        let refusal = house.ask_as(credential, |_| {}).await.expect_err("no token");
        assert_eq!(
            (refusal.status(), refusal.challenges()),
            (401, vec!["Bearer".to_owned(), format!("DPoP {algs}")]),
            "{credential}"
        );
    }
    let none = house.ask_as(&bearer, |shown| shown.authorization.clear()).await.expect_err("no token");
    assert_eq!(none, Refusal::Missing);
    let two = house.ask_as(&bearer, |shown| shown.authorization.push("Bearer x")).await.expect_err("two");
    assert_eq!((two.status(), two.challenges()[0].as_str()), (400, r#"Bearer error="invalid_request""#));
    for query in ["access_token=x", "a=b&access_token=", "access_token"] {
        let in_query = house.ask_as(&bearer, |shown| shown.query = Some(query)).await;
        assert_eq!(in_query.err(), Some(Refusal::Request), "{query}");
    }
    let bad = house.ask(|_| {}, "x").await.expect_err("no token");
    assert_eq!((bad.status(), bad.challenges()[0].as_str()), (401, r#"Bearer error="invalid_token""#));
    let narrow = house.ask(|_| {}, &house.token(&json!({"scope": "orders:list"}))).await.expect_err("another scope");
    assert_eq!(narrow.challenges()[0], r#"Bearer error="insufficient_scope", scope="orders:read""#);
    assert_eq!(narrow.status(), 403);
    let away = super::tests::house(Standing::Unknown);
    let refusal = away.ask(|_| {}, &away.token(&json!({}))).await.expect_err("unknown");
    assert_eq!((refusal.status(), refusal.challenges().len()), (503, 0));
    let ended = super::tests::house(Standing::Ended);
    assert_eq!(ended.ask(|_| {}, &ended.token(&json!({}))).await.expect_err("ended").status(), 401);
}

#[tokio::test]
async fn endpoint_conditions_admit_what_they_name() {
    let house = house(Standing::Active);
    let endpoints = |actions: &[&str]| json!({"type": "endpoints", "locations": [AUDIENCE], "actions": actions});
    let token =
        house.token(&json!({"authorization_details": [endpoints(&["GET /v1/orders"]), endpoints(&["PATCH /v1/orders/{id}"])]}));
    for (method, path, admitted) in [
        ("GET", "/v1/orders", true),
        ("PATCH", "/v1/orders/42", true),
        ("GET", "/v1/orders/42", false),
        ("POST", "/v1/orders", false),
        ("PATCH", "/v1/orders/..%2fadmin", false),
    ] {
        let outcome = house.ask(|shown| (shown.method, shown.path) = (method, path), &token).await;
        assert_eq!(outcome.is_ok(), admitted, "{method} {path}: {outcome:?}");
    }
}

/// M-24.
#[tokio::test]
async fn m_24_a_bound_token_counts_beside_its_key_alone() {
    let house = house(Standing::Active);
    let certificate = Digest::of(b"a certificate");
    let token = house.token(&json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode(certificate.0)}}));
    assert!(house.ask(|shown| shown.certificate = Some(certificate), &token).await.is_ok());
    for other in [None, Some(Digest::of(b"another"))] {
        assert!(house.ask(|shown| shown.certificate = other, &token).await.is_err(), "{other:?}");
    }
    let as_dpop = house.ask_as(&format!("DPoP {token}"), |shown| shown.certificate = Some(certificate)).await;
    assert!(as_dpop.is_err());
}

async fn ask_bound(house: &House, credential: &str, proofs: &[&str]) -> Result<Access, Refusal> {
    house.ask_as(credential, |shown| shown.proofs = proofs.to_vec()).await
}

/// docs/security/standards.md#dpop-negative-cases.
#[tokio::test]
async fn dpop_matrix_at_a_resource() {
    let house = house(Standing::Active);
    let (holder, thief) = (Pair::new(), Pair::new());
    let token = house.token(&json!({"cnf": {"jkt": holder.thumbprint()}}));
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk()});
    let count = AtomicUsize::new(0);
    let good = || {
        json!({
            "jti": format!("p{}", count.fetch_add(1, Ordering::SeqCst)), "htm": "GET", "htu": "https://orders.acme.example/v1/orders/42",
            "iat": NOW, "ath": URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).0),
        })
    };
    let with = |name: &str, value: Value| {
        let mut claims = good();
        match value {
            Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
            value => claims[name] = value,
        }
        holder.sign(&header.to_string(), &claims.to_string())
    };
    let headed = |name: &str, value: Value| {
        let mut header = header.clone();
        match value {
            Value::Null => drop(header.as_object_mut().expect("a header").remove(name)),
            value => header[name] = value,
        }
        holder.sign(&header.to_string(), &good().to_string())
    };
    let credential = format!("DPoP {token}");
    let ask = async |proofs: &[&str]| ask_bound(&house, &credential, proofs).await;
    let mut private = holder.jwk();
    private["d"] = "AAAA".into();
    let mut rows: Vec<(String, String)> = Vec::new();
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        rows.push((format!("missing {name}"), with(name, Value::Null)));
    }
    for name in ["typ", "alg", "jwk"] {
        rows.push((format!("missing {name}"), headed(name, Value::Null)));
    }
    for (row, proof) in [
        ("not a JWT", "x".to_owned()),
        ("wrong typ", headed("typ", "JWT".into())),
        ("RS256", headed("alg", "RS256".into())),
        ("none", headed("alg", "none".into())),
        ("a private key", headed("jwk", private)),
        ("another key's signature", thief.sign(&header.to_string(), &good().to_string())),
        ("wrong htm", with("htm", "POST".into())),
        ("another path", with("htu", "https://orders.acme.example/v1/orders/43".into())),
        ("another host", with("htu", "https://evil.example/v1/orders/42".into())),
        ("http", with("htu", "http://orders.acme.example/v1/orders/42".into())),
        ("an hour ahead", with("iat", json!(NOW + 3600))),
        ("an hour behind", with("iat", json!(NOW - 3600))),
        ("over", with("exp", json!(NOW - 1))),
        ("over by its floor", with("exp", json!(NOW as f64 + 0.5))),
        ("ahead by its ceiling", with("iat", json!(NOW as f64 + 30.5))),
        ("an iat that is text", with("iat", json!(NOW.to_string()))),
        ("a negative iat", with("iat", json!(-0.5))),
        ("not yet", with("nbf", json!(NOW + 3600))),
        ("wrong ath", with("ath", URL_SAFE_NO_PAD.encode([1; 32]).into())),
    ] {
        rows.push((row.to_owned(), proof));
    }
    for (row, proof) in &rows {
        let outcome = ask(&[proof]).await;
        assert!(matches!(outcome, Err(Refusal::Proof(_))), "{row}: {outcome:?}");
    }
    let proof = with("iat", json!(NOW));
    assert!(matches!(ask(&[&proof, &proof]).await, Err(Refusal::Proof(_))), "two headers");
    assert!(ask(&[&proof]).await.is_ok());
    assert!(matches!(ask(&[&proof]).await, Err(Refusal::Proof(_))), "the same jti twice");
    assert!(matches!(ask(&[]).await, Err(Refusal::Token(_))), "no proof");
    let own = thief.sign(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": thief.jwk()}).to_string(), &good().to_string());
    assert!(matches!(ask(&[&own]).await, Err(Refusal::Token(_))), "a key of the caller's own");
    let fresh = with("iat", json!(NOW));
    let bearer = ask_bound(&house, &format!("Bearer {token}"), &[&fresh]).await;
    assert!(matches!(bearer, Err(Refusal::Token(_))), "as a bearer token");
    for (row, proof) in [
        ("a query and a fragment", with("htu", "https://orders.acme.example/v1/orders/42?a#b".into())),
        ("upper case", with("htu", "HTTPS://Orders.acme.example/v1/orders/42".into())),
        ("a default port", with("htu", "https://orders.acme.example:443/v1/orders/42".into())),
        ("more members", with("more", json!([1]))),
        ("ten seconds behind", with("iat", json!(NOW - 10))),
        ("an iat with a fraction", with("iat", json!(NOW as f64 - 0.5))),
        ("an exp with a fraction", with("exp", json!(NOW as f64 + 1.5))),
    ] {
        assert!(ask(&[&proof]).await.is_ok(), "{row}");
    }
}

/// Unknown kids cost one fetch in half a minute.
///
/// A dead issuer ends nothing for an hour, and then everything.
#[tokio::test]
async fn keys_are_fetched_rarely_and_kept_for_an_hour() {
    let house = house(Standing::Active);
    let good = house.token(&json!({"exp": NOW + 100_000}));
    for _ in 0..50 {
        assert!(house.ask(|_| {}, &good).await.is_ok());
    }
    for n in 0..50 {
        let unknown = house.key.sign(&HEADER.replace("k1", &format!("x{n}")), &claims().to_string());
        assert!(house.ask(|_| {}, &unknown).await.is_err());
    }
    assert_eq!(house.served.hits.load(Ordering::SeqCst), 1);
    *house.served.body.lock().expect("not poisoned") = None;
    house.clock.0.store(NOW + 3500, Ordering::SeqCst);
    assert!(house.ask(|_| {}, &good).await.is_ok());
    for garbage in [&b"{}"[..], b"[]", b"{\"keys\":[]}", b"\xff"] {
        *house.served.body.lock().expect("not poisoned") = Some(garbage.to_vec());
        house.clock.0.fetch_add(15, Ordering::SeqCst);
        assert!(house.ask(|_| {}, &good).await.is_ok());
    }
    house.clock.0.store(NOW + 3601, Ordering::SeqCst);
    assert_eq!(house.ask(|_| {}, &good).await.expect_err("too old"), Refusal::Away);
}

/// A fetch that hangs for as long as the test wants.
struct Slow(Served, Arc<tokio::sync::Notify>);
impl Fetch for Slow {
    fn fetch(&self) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async {
            if self.0.hits.load(Ordering::SeqCst) > 0 {
                self.1.notified().await;
            }
            self.0.fetch().await
        })
    }
}

/// While keys are fetched again, only that request waits; the old keys serve all others.
#[tokio::test]
async fn a_slow_issuer_holds_up_one_request_and_not_all() {
    let mut house = house(Standing::Active);
    let go_on = Arc::new(tokio::sync::Notify::new());
    house.verifier.keys = Keys::new(Slow(house.served.clone(), Arc::clone(&go_on)));
    let good = house.token(&json!({"exp": NOW + 100_000}));
    assert!(house.ask(|_| {}, &good).await.is_ok());
    house.clock.0.store(NOW + 400, Ordering::SeqCst);
    let (first, second) = (house.ask(|_| {}, &good), house.ask(|_| {}, &good));
    tokio::pin!(first);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), &mut first).await.is_err(), "it fetches");
    let served = tokio::time::timeout(std::time::Duration::from_secs(2), second).await;
    assert!(served.expect("nobody else waits").is_ok());
    go_on.notify_one();
    assert!(first.await.is_ok());
}

struct Lining(Option<Lines>);
impl Index for Lining {
    fn lines<'a>(&'a self, _: &'a EnvironmentName, _: &'a TokenId, members: Vec<String>) -> Answer<'a, Option<Lines>> {
        assert!(members.contains(&"integration:globex/order-sync/production".to_owned()), "{members:?}");
        Box::pin(std::future::ready(self.0.clone()))
    }
}

#[tokio::test]
async fn an_index_that_is_old_or_away_says_nothing() {
    let house = house(Standing::Active);
    let access = house.ask(|_| {}, &house.token(&json!({}))).await.expect("good");
    let now = Timestamp::from_seconds(NOW).expect("a time");
    let live = |complete, revoked, before: &[u64]| Some(Lines { complete, revoked, before: before.to_vec() });
    for (lines, standing) in [
        (live(Some(NOW), false, &[]), Standing::Active),
        (live(Some(NOW - 5), false, &[7, 3]), Standing::Active),
        (live(Some(NOW), true, &[]), Standing::Ended),
        (live(Some(NOW), false, &[3, 8]), Standing::Ended),
        (live(Some(NOW - 6), false, &[]), Standing::Unknown),
        (live(Some(NOW + 5), false, &[]), Standing::Active),
        (live(Some(NOW + 6), false, &[]), Standing::Unknown),
        (live(Some(i64::MAX), false, &[]), Standing::Unknown),
        (live(None, false, &[]), Standing::Unknown),
        (None, Standing::Unknown),
    ] {
        assert_eq!(ByIndex(Lining(lines.clone())).standing(&access, "", now).await, standing, "{lines:?}");
    }
}

struct Asked(Arc<AtomicUsize>, Option<bool>);
impl Introspect for Asked {
    fn is_active<'a>(&'a self, _: &'a str) -> Answer<'a, Option<bool>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(self.1))
    }
}

#[tokio::test]
async fn introspection_is_believed_for_two_seconds_and_ended_stays_ended() {
    let house = house(Standing::Active);
    let access = house.ask(|_| {}, &house.token(&json!({}))).await.expect("good");
    let at = |after: i64| Timestamp::from_seconds(NOW + after).expect("a time");
    for (answer, standing, asked) in
        [(Some(true), Standing::Active, 2), (Some(false), Standing::Ended, 1), (None, Standing::Unknown, 4)]
    {
        let count = Arc::new(AtomicUsize::new(0));
        let liveness = ByIntrospection::new(Asked(Arc::clone(&count), answer));
        for after in [0, 1, 2, 3] {
            assert_eq!(liveness.standing(&access, "t", at(after)).await, standing);
        }
        assert_eq!(count.load(Ordering::SeqCst), asked, "{answer:?}");
    }
}
