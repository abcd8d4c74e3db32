//! ABUSE rows K on the wire: what a partner's issuer does wrong concerns its own partners alone, and leaks nothing.

use serde_json::json;

use crate::world::issuer::Behaviour;
use crate::world::{World, get};

fn discovery(status: u16, body: String) -> Behaviour {
    Behaviour { discovery: Some((status, body)), keys: None }
}

/// K-04, K-05, K-07, K-08, K-19, K-24: a node starts and is ready whatever an issuer answers; assertions of that issuer are refused,
/// nothing is minted, and not a word of the answer is passed on.
#[tokio::test]
async fn k_04_to_k_24_a_broken_issuer_is_unhealthy_and_nothing_else() {
    // Alone: nodes that share a journal share the keys of issuers too, and a start finds those of before.
    let mut world = World::in_file().await;
    let issuer = world.partner.issuer.clone();
    let honest = |keys: &str| json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    let own_keys = format!("{issuer}/keys");
    let broken = [
        ("k_04 500", discovery(500, "CANARY internal".to_owned())),
        ("k_04 html", discovery(200, format!("<html>CANARY{}</html>", "x".repeat(1 << 20)))),
        ("k_05 redirect", discovery(302, "CANARY".to_owned())),
        ("k_06 keys elsewhere", discovery(200, honest("http://127.0.0.1:1/keys"))),
        ("k_07 another issuer", discovery(200, json!({"issuer": format!("{issuer}/"), "jwks_uri": own_keys}).to_string())),
        ("k_08 keys redirect", Behaviour { discovery: None, keys: Some((302, "CANARY".to_owned())) }),
        ("k_18 private keys", Behaviour { discovery: None, keys: Some((200, private_keys(&world))) }),
        (
            "k_19 too large",
            Behaviour { discovery: None, keys: Some((200, format!("{{\"keys\": [{}]}}", " ".repeat(1 << 20)))) },
        ),
    ];
    for (name, behaviour) in broken {
        world.stop().await;
        world.partner.behave(behaviour);
        world.boot().await;
        let before = world.issued().await;
        assert_eq!(get(world.public, "/readyz").await.status, 200, "k_24 {name}: the node is ready");
        let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert!([400, 503].contains(&answer.status), "{name}: {}", answer.text());
        assert!(!answer.text().contains("CANARY"), "k_04 {name}: {}", answer.text());
        assert_eq!(world.issued().await, before, "{name}: something was minted");
    }
    // Healed: the same partner is served again after the rest between two attempts.
    world.partner.behave(Behaviour { discovery: None, keys: None });
    world.advance(60).await;
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn private_keys(world: &World) -> String {
    let mut key = world.partner.key.public().clone();
    key["d"] = "AAAA".into();
    json!({"keys": [key]}).to_string()
}

/// K-01: an issuer that no binding names is not asked anything.
#[tokio::test]
async fn k_01_an_unknown_issuer_hears_nothing() {
    let world = World::start().await;
    let stranger = crate::world::Provider::start().await;
    let mut claims = world.claims("production");
    claims["iss"] = stranger.issuer.as_str().into();
    for _ in 0..5 {
        let answer = world.exchange("production", &stranger.sign(&claims), "orders:read").await;
        assert_eq!((answer.status, answer.json()["reason"].is_null()), (400, true), "{}", answer.text());
    }
    assert_eq!(stranger.hits(), 0, "k_01");
}

/// `carnet probe`: an issuer that no record names yet is looked at by security alone, once in thirty seconds, by the rules of every fetch;
/// what it says is shown without a word of its own, and nothing of it is used.
#[tokio::test]
async fn an_issuer_is_probed_on_purpose_and_nothing_of_it_is_used() {
    let newcomer = crate::world::Provider::start().await;
    let allowed = crate::world::Options { issuers: vec![newcomer.issuer.clone()], ..Default::default() };
    let world = World::with(allowed).await;
    let asked = json!({"issuer": newcomer.issuer});
    for (person, status) in [("ann", 403), ("alan", 403), ("adam", 403)] {
        assert_eq!(world.admin_post("/v1/issuers/probe", person, &asked).await.status, status, "{person}");
    }
    assert_eq!(newcomer.hits(), 0);
    let found = world.admin_post("/v1/issuers/probe", "sven", &asked).await;
    assert_eq!(found.status, 200, "{}", found.text());
    let found = found.json();
    assert_eq!(found["jwksUri"], format!("{}/keys", newcomer.issuer));
    assert_eq!((&found["keys"][0]["kid"], &found["keys"][0]["algs"]), (&newcomer.key.kid().as_str().into(), &json!(["ES256"])));
    assert_eq!((found["keys"].as_array().map(Vec::len), &found["ignored"]), (Some(1), &json!(0)));
    assert_eq!(newcomer.hits(), 2);

    // I-13, K-20: it is asked rarely, whoever wants it; also one whose keys are in use.
    for issuer in [&newcomer.issuer, &world.partner.issuer] {
        let again = world.admin_post("/v1/issuers/probe", "sara", &json!({"issuer": issuer})).await;
        assert_eq!((again.status, again.json()["reason"].as_str()), (429, Some("issuer.rests")), "{}", again.text());
        assert!(again.header("retry-after").is_some_and(|after| (1..=30).contains(&after.parse::<u32>().expect("seconds"))));
    }
    assert_eq!(newcomer.hits(), 2);
    // K-01: its tokens are nobody's, and it hears of nothing.
    let mut claims = world.claims("production");
    claims["iss"] = newcomer.issuer.as_str().into();
    assert_eq!(world.exchange("production", &newcomer.sign(&claims), "orders:read").await.status, 400);
    assert_eq!((newcomer.hits(), world.issued().await), (2, 0));

    // What is wrong is said in our words.
    for (behaviour, said) in [
        (discovery(500, "CANARY".to_owned()), "status 500"),
        (discovery(302, "CANARY".to_owned()), "status 302"),
        (discovery(200, json!({"issuer": "https://CANARY.example", "jwks_uri": "x"}).to_string()), "another issuer"),
        (discovery(200, json!({"issuer": newcomer.issuer, "jwks_uri": "http://127.0.0.1:1/CANARY"}).to_string()), "outbound"),
        (Behaviour { discovery: None, keys: Some((200, private_keys(&world))) }, "private key"),
    ] {
        newcomer.behave(behaviour);
        world.advance(31).await;
        let answer = world.admin_post("/v1/issuers/probe", "sven", &asked).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["reason"].as_str()), (422, Some("issuer.unusable")), "{said}");
        assert!(answer.text().contains(said) && !answer.text().contains("CANARY"), "{said}: {}", answer.text());
    }
    // K-09 to K-11: a place that no operator listed is not asked for being private, and what is no issuer is no URL.
    let hidden = crate::world::Provider::start().await;
    for bad in [hidden.issuer.as_str(), "http://169.254.169.254", "file:///etc/passwd", "https://user@idp.example", "", "x"] {
        let answer = world.admin_post("/v1/issuers/probe", "sven", &json!({"issuer": bad})).await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.text());
    }
    assert_eq!(hidden.hits(), 0);

    // And from the command line.
    newcomer.behave(Behaviour { discovery: None, keys: None });
    world.advance(31).await;
    let program = crate::cli::program::Program::of(&world, "sven");
    let shown = program.run(&["probe", &newcomer.issuer]).await.ended(0);
    assert!(shown.stdout.contains(newcomer.key.kid().as_str()) && shown.stdout.contains("/keys"), "{shown:?}");
    program.run(&["probe", &newcomer.issuer]).await.ended(7);
    world.advance(31).await;
    crate::cli::program::Program::of(&world, "ann").run(&["probe", &newcomer.issuer]).await.ended(3);
}

/// S-15: an origin that is listed for one purpose is no place where any issuer may have its keys. One that an operator allows for this very
/// issuer is, and so is the URL that an approved record names.
#[tokio::test]
async fn k_06_a_listed_origin_holds_the_keys_of_no_other_issuer() {
    let (here, there) = (crate::world::Provider::start().await, crate::world::Provider::start().await);
    // The keys of `here` lie at `there`, with a query besides.
    let elsewhere = format!("{}/keys?tenant=7&p=sign_in", there.issuer);
    let keys = json!({"keys": [here.key.public()]}).to_string();
    there.behave(Behaviour { discovery: None, keys: Some((200, keys)) });
    here.behave(discovery(200, json!({"issuer": here.issuer, "jwks_uri": elsewhere}).to_string()));
    let listed = vec![here.issuer.clone(), there.issuer.clone()];
    let token = |world: &World| {
        let mut claims = world.claims("production");
        claims["iss"] = here.issuer.as_str().into();
        here.sign(&claims)
    };
    let records = crate::world::records::usual(&here.issuer);
    let discovered = format!("oidc: {{issuer: \"{}\", match:", here.issuer);
    let named = discovered.replace("match:", &format!("jwksUri: \"{elsewhere}\", match:"));
    let allow = |issuer: &str| format!("[outbound.issuer_origins]\n\"{issuer}\" = [\"{}\"]\n", there.issuer);
    for (row, configuration, records, status) in [
        ("listed", String::new(), records.clone(), 503),
        ("allowed for another issuer", allow(&there.issuer), records.clone(), 503),
        ("allowed for this issuer", allow(&here.issuer), records.clone(), 200),
        ("named by the record", String::new(), records.replace(&discovered, &named), 200),
    ] {
        let asked = there.hits();
        let options = crate::world::Options {
            issuers: listed.clone(),
            records: Some(records),
            configuration,
            ..crate::world::Options::default()
        };
        let world = World::with(options).await;
        let answer = world.exchange("production", &token(&world), "orders:read").await;
        assert_eq!(answer.status, status, "{row}: {}", answer.text());
        assert_eq!(there.hits() > asked, status == 200, "{row}: who was asked");
    }
}
