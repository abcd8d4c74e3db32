//! Rows K: discovery, floors, staleness, single flight.

use std::time::Duration;

use serde_json::json;

use super::fixtures::*;
use crate::authn::{IssuerKeys, KeysFault, UnverifiedAssertion, Verifier};
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Clock as _;
use crate::outbound::{FetchFault, Forbidden};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn fault(keys: &IssuerKeys) -> Option<KeysFault> {
    keys.health().first().and_then(|health| health.fault)
}

#[tokio::test]
async fn an_issuer_is_discovered_once_and_its_tokens_verify() {
    let signer = Signer::new(Alg::Rs256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    for _ in 0..3 {
        assert_eq!(code(&keys, &issuer.source(), &signer.token(&claims(&issuer.url))).await, "ok");
    }
    assert_eq!(issuer.requests().len(), 2);
    let health = keys.health();
    assert!(health[0].is_healthy() && health[0].keys == 1 && health[0].source == issuer.url);
    let direct = KeySource::JwksUri(format!("{}/jwks", issuer.url));
    assert_eq!(code(&keys, &direct, &signer.token(&claims(&issuer.url))).await, "ok");
}

#[tokio::test]
async fn k_01_an_unknown_issuer_is_never_contacted() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    let unverified = UnverifiedAssertion::parse(&signer.token(&claims(&issuer.url))).expect("well-formed");
    let fault = Verifier::new(keys.clone()).verify(unverified, &[]).await.expect_err("unknown");
    assert_eq!(fault.reason.code, "issuer.unknown");
    assert!(issuer.requests().is_empty() && keys.health().is_empty());
}

/// O-02: the decoy keys do the work of a real verification for every algorithm.
#[test]
fn the_decoys_cover_every_algorithm() {
    assert_eq!(crate::authn::check_inline(crate::authn::verify::DECOYS), Ok(3), "the RSA key serves both schemes");
    let set = crate::authn::jwks::KeySet::parse(crate::authn::verify::DECOYS.as_bytes()).expect("a set");
    for alg in Alg::WORKLOAD {
        assert!(set.select(None, alg).is_some_and(|key| key.public(alg).is_some()), "{alg}");
    }
}

#[tokio::test]
async fn k_02_k_03_a_source_that_may_not_be_fetched_is_not_connected() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let keys = keys(&TestClock::new(), &[]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!(fault(&keys), Some(KeysFault::Forbidden(Forbidden::Scheme)));
    let private = KeySource::JwksUri(format!("https://127.0.0.1:{}/jwks", issuer.port()));
    assert_eq!(code(&keys, &private, &token).await, "issuer.unavailable");
    // A public-looking name that resolves to loopback: refused where the address is known (K-11).
    let named = KeySource::JwksUri(format!("https://ip6-localhost:{}/jwks", issuer.port()));
    assert_eq!(code(&keys, &named, &token).await, "issuer.unavailable");
    assert!(issuer.requests().is_empty());
}

#[tokio::test]
async fn k_05_redirects_of_discovery_are_not_followed() {
    let signer = Signer::new(Alg::Es256, "k1");
    let (issuer, other) = (FakeIssuer::with_keys(&[&signer]).await, FakeIssuer::with_keys(&[&signer]).await);
    for status in [301, 302, 303, 307, 308] {
        for target in [format!("{}/elsewhere", issuer.url), format!("{}{DISCOVERY}", other.url), "file:///etc/passwd".into()] {
            let keys = keys(&TestClock::new(), &[&issuer.url, &other.url]);
            issuer.answer(DISCOVERY, Answer::Raw(http(&format!("{status} Moved"), &format!("Location: {target}\r\n"), b"")));
            assert_eq!(code(&keys, &issuer.source(), &signer.token(&claims(&issuer.url))).await, "issuer.unavailable");
            assert_eq!(fault(&keys), Some(KeysFault::Status(status)));
        }
    }
    assert!(other.requests().is_empty() && issuer.hits("/elsewhere") == 0 && issuer.hits("/jwks") == 0);
}

#[tokio::test]
async fn k_06_k_07_k_08_a_bad_answer_never_replaces_good_keys() {
    let (signer, evil) = (Signer::new(Alg::Es256, "k1"), Signer::new(Alg::Es256, "k1"));
    let (issuer, other) = (FakeIssuer::with_keys(&[&signer]).await, FakeIssuer::with_keys(&[&evil]).await);
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    let jwks = format!("{}/jwks", issuer.url);
    let forbidden = KeysFault::Forbidden(Forbidden::Scheme);
    let documents = [
        (json!({"issuer": issuer.url, "jwks_uri": format!("{}/jwks", other.url)}), forbidden),
        (json!({"issuer": issuer.url, "jwks_uri": "https://keys.example/jwks"}), KeysFault::OtherOrigin),
        (json!({"issuer": format!("{}/", issuer.url), "jwks_uri": jwks}), KeysFault::OtherIssuer),
        (json!({"issuer": format!("{}/tenant", issuer.url), "jwks_uri": jwks}), KeysFault::OtherIssuer),
        (json!({"issuer": issuer.url}), KeysFault::Document),
        (json!({"jwks_uri": jwks}), KeysFault::Document),
        (json!([]), KeysFault::Document),
    ];
    for (document, want) in documents {
        clock.pass(301);
        issuer.document(document.clone());
        keys.keep_fresh(vec![issuer.source()]).await;
        assert_eq!(fault(&keys), Some(want), "{document}");
        assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    }
    // K-08: only the key request is redirected, to another set.
    issuer.document(json!({"issuer": issuer.url, "jwks_uri": jwks}));
    issuer.answer("/jwks", Answer::Raw(http("302 Found", &format!("Location: {}/jwks\r\n", other.url), b"")));
    clock.pass(301);
    keys.keep_fresh(vec![issuer.source()]).await;
    assert_eq!(fault(&keys), Some(KeysFault::Status(302)));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    assert_eq!(code(&keys, &issuer.source(), &evil.token(&claims(&issuer.url))).await, "assertion.signature");
    assert!(other.requests().is_empty());
}

/// A listed origin may be called, but it does not become a place of this issuer's keys.
///
/// The operator allows that for the issuer, or the record names the URL.
#[tokio::test]
async fn k_06_keys_on_another_origin_are_those_of_issuers_that_may_have_them_there() {
    let signer = Signer::new(Alg::Es256, "k1");
    let (issuer, other) = (FakeIssuer::start().await, FakeIssuer::with_keys(&[&signer]).await);
    let elsewhere = format!("{}/jwks", other.url);
    issuer.document(json!({"issuer": issuer.url, "jwks_uri": elsewhere}));
    let token = signer.token(&claims(&issuer.url));
    let listed = keys(&TestClock::new(), &[&issuer.url, &other.url]);
    assert_eq!(code(&listed, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!(fault(&listed), Some(KeysFault::OtherOrigin));
    let probed = listed.probe(&issuer.url.parse().expect("an issuer")).await;
    assert!(matches!(probed, Err(crate::authn::ProbeFault::Rests(_))), "{probed:?}");
    let probed = keys(&TestClock::new(), &[&issuer.url, &other.url]).probe(&issuer.url.parse().expect("an issuer")).await;
    assert_eq!(probed.map(drop), Err(crate::authn::ProbeFault::Keys(KeysFault::OtherOrigin)));
    for (of, want) in
        [(&other.url, "issuer.unavailable"), (&format!("{}/", issuer.url), "issuer.unavailable"), (&issuer.url, "ok")]
    {
        let keys = keys_beside(&TestClock::new(), &[&issuer.url, &other.url], of, &other.url);
        assert_eq!(code(&keys, &issuer.source(), &token).await, want, "allowed for {of}");
    }
    // An origin that is allowed for the issuer may still not be private: only the list of origins allows that.
    let keys_of = keys_beside(&TestClock::new(), &[&issuer.url], &issuer.url, &other.url);
    assert_eq!(code(&keys_of, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!(fault(&keys_of), Some(KeysFault::Forbidden(Forbidden::Scheme)));
    let named = KeySource::JwksUri(elsewhere);
    assert_eq!(code(&listed, &named, &token).await, "ok", "the record's own word");
}

/// A `jwks_uri` may have a query (Azure AD B2C has one).
///
/// OpenID Connect Discovery 1.0 forbids one in `issuer` only.
#[tokio::test]
async fn a_key_set_is_fetched_with_its_query() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::start().await;
    let url = format!("{}/keys?p=b2c_1_sign_in&v=2.0", issuer.url);
    issuer.document(json!({"issuer": issuer.url, "jwks_uri": url}));
    issuer.answer("/keys?p=b2c_1_sign_in&v=2.0", json_answer(&json!({"keys": [signer.jwk()]})));
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    assert_eq!(code(&keys, &KeySource::JwksUri(url), &token).await, "ok");
}

/// K-15, at this floor: an overtaken load cannot bring back a source that is no longer listed (S7).
#[tokio::test]
async fn k_15_s7_a_load_that_was_overtaken_stores_nothing() {
    let (old, new) = (Signer::new(Alg::Es256, "k1"), Signer::new(Alg::Es256, "k1"));
    let issuer = FakeIssuer::with_keys(&[&old]).await;
    let Answer::Raw(stale) = json_answer(&json!({"keys": [old.jwk()]})) else { panic!("raw") };
    issuer.answer("/jwks", Answer::Late(Duration::from_millis(400), stale));
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    let (slow, source) = (keys.clone(), issuer.source());
    let first = tokio::spawn(async move { slow.keep_fresh(vec![source]).await });
    while issuer.hits("/jwks") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    keys.keep_fresh(vec![]).await;
    issuer.publish(&[&new]);
    keys.keep_fresh(vec![issuer.source()]).await;
    first.await.expect("the first load ends");
    assert_eq!(code(&keys, &issuer.source(), &new.token(&claims(&issuer.url))).await, "ok");
    assert_eq!(code(&keys, &issuer.source(), &old.token(&claims(&issuer.url))).await, "assertion.signature");
}

#[tokio::test]
async fn k_17_keys_belong_to_their_source_whatever_their_kid() {
    let (a, b) = (Signer::new(Alg::Es256, "same"), Signer::new(Alg::Es256, "same"));
    let (issuer_a, issuer_b) = (FakeIssuer::with_keys(&[&a]).await, FakeIssuer::with_keys(&[&b]).await);
    let keys = keys(&TestClock::new(), &[&issuer_a.url, &issuer_b.url]);
    assert_eq!(code(&keys, &issuer_b.source(), &b.token(&claims(&issuer_b.url))).await, "ok");
    assert_eq!(code(&keys, &issuer_a.source(), &b.token(&claims(&issuer_a.url))).await, "assertion.signature");
}

#[tokio::test]
async fn k_20_i_13_unknown_kids_cost_one_key_request_in_30_seconds() {
    let (signer, next) = (Signer::new(Alg::Es256, "k1"), Signer::new(Alg::Es256, "k2"));
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    assert_eq!(code(&keys, &issuer.source(), &signer.token(&claims(&issuer.url))).await, "ok");
    for n in 0..200 {
        let stranger =
            signer.sign(&json!({"alg": "ES256", "kid": format!("x{n}")}).to_string(), &claims(&issuer.url).to_string());
        assert_eq!(code(&keys, &issuer.source(), &stranger).await, "assertion.key");
    }
    assert_eq!(issuer.hits("/jwks"), 1);
    // A new key is seen with the first request after the floor, and its arrival costs one request.
    issuer.publish(&[&signer, &next]);
    clock.pass(29);
    assert_eq!(code(&keys, &issuer.source(), &next.token(&claims(&issuer.url))).await, "assertion.key");
    clock.pass(1);
    assert_eq!(code(&keys, &issuer.source(), &next.token(&claims(&issuer.url))).await, "ok");
    assert_eq!(issuer.hits("/jwks"), 2);
}

#[tokio::test]
async fn k_20_a_failing_key_request_counts_for_the_floor_too() {
    let issuer = FakeIssuer::with_keys(&[]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    issuer.answer("/jwks", Answer::Raw(http("500 Oops", "", b"secret")));
    let token = Signer::new(Alg::Es256, "k1").token(&claims(&issuer.url));
    for _ in 0..29 {
        assert_eq!(code(&keys, &issuer.source(), &token).await, "issuer.unavailable");
        clock.pass(1);
    }
    assert_eq!(issuer.hits("/jwks"), 1);
    // A failed discovery is remembered for 10 s.
    issuer.answer(DISCOVERY, Answer::Raw(http("500 Oops", "", b"secret")));
    clock.pass(1);
    for _ in 0..10 {
        assert_eq!(code(&keys, &issuer.source(), &token).await, "issuer.unavailable");
        clock.pass(1);
    }
    assert_eq!(issuer.hits(DISCOVERY), 2);
    assert_eq!(code(&keys, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!((issuer.hits(DISCOVERY), issuer.hits("/jwks")), (3, 1));
}

/// K-22 in small: a cold cache and many requests at once make one discovery and one key request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k_22_concurrent_requests_share_one_fetch() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (keys, source, token) = (keys.clone(), issuer.source(), token.clone());
        tasks.spawn(async move { code(&keys, &source, &token).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|code| code == "ok"));
    assert_eq!((issuer.hits(DISCOVERY), issuer.hits("/jwks")), (1, 1));
}

#[tokio::test]
async fn k_24_k_25_stale_keys_serve_for_an_hour_and_no_longer() {
    let signer = Signer::new(Alg::Es256, "k1");
    let mut issuer = FakeIssuer::with_keys(&[&signer]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    issuer.stop().await;
    clock.pass(3599);
    keys.keep_fresh(vec![issuer.source()]).await;
    assert_eq!(fault(&keys), Some(KeysFault::Fetch(FetchFault::Connect)));
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    clock.pass(1);
    assert_eq!(code(&keys, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!(keys.health()[0].keys, 0);
    // K-24: other issuers are not affected.
    let healthy = FakeIssuer::with_keys(&[&signer]).await;
    let both = super::fixtures::keys(&clock, &[&issuer.url, &healthy.url]);
    assert_eq!(code(&both, &issuer.source(), &token).await, "issuer.unavailable");
    assert_eq!(code(&both, &healthy.source(), &signer.token(&claims(&healthy.url))).await, "ok");
}

#[tokio::test]
async fn k_27_a_requester_that_goes_away_does_not_restart_the_fetch() {
    let signer = Signer::new(Alg::Es256, "k1");
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let Answer::Raw(set) = json_answer(&json!({"keys": [signer.jwk()]})) else { panic!("raw") };
    issuer.answer("/jwks", Answer::Late(Duration::from_millis(300), set));
    let keys = keys(&TestClock::new(), &[&issuer.url]);
    let token = signer.token(&claims(&issuer.url));
    for _ in 0..100 {
        let impatient = tokio::time::timeout(Duration::from_millis(2), code(&keys, &issuer.source(), &token)).await;
        assert!(impatient.is_err() || issuer.hits("/jwks") == 1);
    }
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    assert_eq!((issuer.hits(DISCOVERY), issuer.hits("/jwks")), (1, 1));
}

#[tokio::test]
async fn keys_are_fetched_ahead_and_again_when_due() {
    let (signer, next) = (Signer::new(Alg::Es256, "k1"), Signer::new(Alg::Es256, "k2"));
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    let sources = vec![issuer.source(), signer.inline()];
    keys.keep_fresh(sources.clone()).await;
    assert_eq!(keys.health().iter().filter(|health| health.is_healthy()).count(), 2);
    issuer.publish(&[&next]);
    clock.pass(299);
    keys.keep_fresh(sources.clone()).await;
    assert_eq!(issuer.hits("/jwks"), 1);
    clock.pass(1);
    keys.keep_fresh(sources).await;
    assert_eq!(issuer.hits("/jwks"), 2);
    // A key that the issuer withdrew is gone after the refresh (K-26 without the purge).
    assert_eq!(code(&keys, &issuer.source(), &signer.token(&claims(&issuer.url))).await, "assertion.key");
    keys.keep_fresh(vec![]).await;
    assert!(keys.health().is_empty());
}

/// Between two rounds of `keep_fresh`, a request starts a due refresh and does not wait for it.
#[tokio::test]
async fn a_request_that_finds_its_keys_due_is_served_and_has_them_fetched_behind_it() {
    let (signer, next) = (Signer::new(Alg::Es256, "k1"), Signer::new(Alg::Es256, "k2"));
    let issuer = FakeIssuer::with_keys(&[&signer]).await;
    let clock = TestClock::new();
    let keys = keys(&clock, &[&issuer.url]);
    keys.keep_fresh(vec![issuer.source()]).await;
    issuer.publish(&[&next]);
    let token = signer.token(&claims(&issuer.url));
    clock.pass(299);
    assert_eq!(code(&keys, &issuer.source(), &token).await, "ok");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(issuer.hits("/jwks"), 1, "they are not due");
    clock.pass(1);
    let Answer::Raw(set) = json_answer(&json!({"keys": [next.jwk()]})) else { panic!("raw") };
    issuer.answer("/jwks", Answer::Late(Duration::from_millis(300), set));
    for _ in 0..20 {
        assert_eq!(code(&keys, &issuer.source(), &token).await, "ok", "nobody waits for the issuer");
    }
    // The key that the issuer withdrew counts until the new set arrives, and then no more.
    let gone = async {
        while keys.health()[0].fetched != Some(clock.now()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("fetched behind the requests");
    assert_eq!(code(&keys, &issuer.source(), &token).await, "assertion.key");
    assert_eq!(code(&keys, &issuer.source(), &next.token(&claims(&issuer.url))).await, "ok");
    assert_eq!(issuer.hits("/jwks"), 2, "twenty requests make one");
}
