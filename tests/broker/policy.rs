//! ABUSE rows P that take many requests, integrations or networks at once.

use serde_json::{Value, json};

use crate::world::client::{post_form, send};
use crate::world::{Answer, Options, TOKEN_EXCHANGE, TYPE_JWT, World, claims, records};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The same assertion in the slot of each grant.
async fn through(world: &World, grant: &str, assertion: &str, rest: &[(&str, &str)]) -> Answer {
    let slot = match grant {
        "exchange" => {
            vec![("grant_type", TOKEN_EXCHANGE), ("subject_token", assertion), ("subject_token_type", TYPE_JWT)]
        }
        "bearer" => vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)],
        _ => vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ],
    };
    world.token("production", &[&slot[..], rest].concat()).await
}

#[tokio::test]
async fn p_20_every_grant_decides_alike() {
    let world = World::start().await;
    type Change = fn(&mut Value);
    let proofs: [(&str, Change); 7] = [
        ("good", |_| {}),
        ("another branch", |claims| claims["ref"] = "refs/heads/dev".into()),
        ("another repository", |claims| claims["repository_id"] = "1".into()),
        ("a stranger", |claims| claims["repository_owner_id"] = "1".into()),
        ("expired", |claims| claims["exp"] = (claims["iat"].as_i64().expect("iat") - 1).into()),
        ("a foreign audience", |claims| claims["aud"] = "https://elsewhere.example".into()),
        ("too long a life", |claims| claims["exp"] = (claims["iat"].as_i64().expect("iat") + 90_000).into()),
    ];
    let asks: [&[(&str, &str)]; 7] = [
        &[("audience", "orders-api"), ("scope", "orders:read")],
        &[("audience", "orders-api"), ("scope", "orders:write")],
        &[("audience", "orders-api"), ("scope", "orders:delete")],
        &[("audience", "orders-api")],
        &[("audience", "payroll"), ("scope", "orders:read")],
        &[("scope", "orders:read")],
        &[("audience", "orders-api"), ("scope", "orders:read"), ("client_id", "globex/other")],
    ];
    let mut outcomes = std::collections::BTreeSet::new();
    for (name, change) in proofs {
        for ask in asks {
            let mut seen = Vec::new();
            for grant in ["exchange", "bearer", "credentials"] {
                let mut claims = world.claims("production");
                change(&mut claims);
                let answer = through(&world, grant, &world.partner.sign(&claims), ask).await;
                let told = answer.json();
                seen.push((
                    answer.status,
                    told["reason"].clone(),
                    told["scope"].clone(),
                    told["authorization_details"].clone(),
                ));
            }
            assert!(seen.iter().all(|one| *one == seen[0]), "p_20 {name} {ask:?}: {seen:?}");
            outcomes.insert(seen[0].1.to_string());
        }
    }
    assert!(outcomes.len() >= 8, "the matrix tells many reasons apart: {outcomes:?}");
}

/// P-17, P-19: our own tokens buy nothing, live or revoked.
#[tokio::test]
async fn p_17_p_19_our_own_tokens_are_no_proofs() {
    let world = World::start().await;
    let token = world.minted().await;
    let jti = claims(&token)["jti"].clone();
    let before = world.issued().await;
    for revoked in [false, true] {
        if revoked {
            let answer = world.admin_post("/v1/revocations", "sven", &json!({"token": jti, "reason": "over"})).await;
            assert!(answer.status < 300, "{}", answer.text());
        }
        for kind in [TYPE_JWT, "urn:ietf:params:oauth:token-type:access_token"] {
            let form = [
                ("grant_type", TOKEN_EXCHANGE),
                ("subject_token", token.as_str()),
                ("subject_token_type", kind),
                ("audience", "orders-api"),
                ("scope", "orders:read"),
            ];
            let answer = world.token("production", &form).await;
            assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")), "{}", answer.text());
        }
    }
    assert_eq!(world.issued().await, before);
}

/// P-24: requests of many integrations, interleaved on few connections; each token is its own request's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_24_shared_connections_mix_nobody_up() {
    let world = World::start().await;
    const INTEGRATIONS: usize = 10;
    const EACH: usize = 50;
    let documents: Vec<String> = (0..INTEGRATIONS)
        .map(|n| records::integration(&world.partner.issuer, &format!("flow-{n}"), &format!("9000{n}")))
        .collect();
    world.onboard(&documents.join("---\n")).await;
    // Plain HTTP, and yet the client wants a provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a test's own client, to share HTTP/2 connections")]
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().expect("a client");
    let mut asked = tokio::task::JoinSet::new();
    for round in 0..EACH {
        for n in 0..INTEGRATIONS {
            let mut claims = world.claims("production");
            claims["repository_id"] = format!("9000{n}").into();
            let assertion = world.partner.sign(&claims);
            let scope = if (round + n).is_multiple_of(2) { "orders:read" } else { "orders:list" };
            let body = [
                ("grant_type", TOKEN_EXCHANGE),
                ("subject_token", assertion.as_str()),
                ("subject_token_type", TYPE_JWT),
                ("audience", "orders-api"),
                ("scope", scope),
            ]
            .map(|(name, value)| format!("{name}={}", crate::world::client::escape(value)))
            .join("&");
            let request = client
                .post(format!("http://{}/production/token", world.public))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
            asked.spawn(async move { (n, scope, request.send().await.expect("an answer").text().await.expect("a body")) });
        }
    }
    let mut tokens = std::collections::BTreeSet::new();
    while let Some(answer) = asked.join_next().await {
        let (n, scope, body) = answer.expect("no panic");
        let told: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        let claims = claims(told["access_token"].as_str().unwrap_or_else(|| panic!("{body}")));
        assert_eq!(claims["sub"], format!("globex/flow-{n}"), "p_24");
        assert_eq!((claims["scope"].as_str(), told["scope"].as_str()), (Some(scope), Some(scope)), "p_24");
        assert!(tokens.insert(claims["jti"].to_string()), "p_24: one jti twice");
    }
    assert_eq!(tokens.len(), INTEGRATIONS * EACH);
}

/// P-25: only the socket's peer, or the hop that a configured proxy saw, opens a source network.
#[tokio::test]
async fn p_25_forwarded_headers_open_no_network() {
    for (trusted, opens) in [("", false), ("trusted_proxies = [\"127.0.0.0/8\"]\n", true)] {
        let world = World::with(Options { configuration: trusted.to_owned(), ..Options::default() }).await;
        let bound = records::integration(&world.partner.issuer, "bound", "4711")
            .replace("    elevation:\n", "    limits: {sourceCidrs: [203.0.113.0/24]}\n    elevation:\n");
        world.onboard(&bound).await;
        let ask = async |headers: &[(&str, &str)]| {
            let mut claims = world.claims("production");
            claims["repository_id"] = "4711".into();
            let assertion = world.partner.sign(&claims);
            let body = format!(
                "grant_type={TOKEN_EXCHANGE}&subject_token={assertion}&subject_token_type={TYPE_JWT}&audience=orders-api&scope=orders:read"
            );
            let kind = ("content-type", "application/x-www-form-urlencoded");
            send(world.public, "POST", "/production/token", &[&[kind], headers].concat(), body.as_bytes()).await
        };
        for spoof in ["x-forwarded-for", "x-real-ip", "true-client-ip", "client-ip", "via"] {
            let answer = ask(&[(spoof, "203.0.113.5")]).await;
            assert_eq!(answer.json()["reason"], "proof.source-network", "p_25 {spoof}: {}", answer.text());
        }
        let through = ask(&[("forwarded", "for=203.0.113.5")]).await;
        assert_eq!(through.status == 200, opens, "p_25 {}", through.text());
        // What a client wrote stands left of what the proxy appended.
        let forged = ask(&[("forwarded", "for=203.0.113.5, for=198.51.100.9")]).await;
        assert_eq!(forged.json()["reason"], "proof.source-network", "p_25 {}", forged.text());
    }
}

/// P-23, R-04, F-12: with the journal's database held by somebody else nothing is minted and nothing is half revoked.
#[tokio::test]
async fn p_23_r_04_a_journal_that_cannot_write_refuses() {
    let world = World::in_file().await;
    let token = world.minted().await;
    let database = format!("sqlite://{}/journal.db", world.folder.path().display());
    let mut holder = <sqlx::SqliteConnection as sqlx::Connection>::connect(&database).await.expect("opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.expect("holds the write lock");
    let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    let body = json!({"token": claims(&token)["jti"], "reason": "x"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &body).await.status, 503, "r_04");
    assert_eq!(post_form(world.public, "/production/token", &[]).await.status, 400, "the form needs no store");
    sqlx::query("ROLLBACK").execute(&mut holder).await.expect("lets go");
    for _ in 0..100 {
        if world.exchange("production", &world.assertion("production"), "orders:read").await.status == 200 {
            // The revocation that was refused left nothing behind.
            assert_eq!(world.introspect("production", &token).await.json()["active"], true, "r_04");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the journal takes work again once it can");
}
