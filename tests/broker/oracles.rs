//! ABUSE rows O, L-04, L-05, D-03 and D-04: what a stranger can learn, and what a hostile text can do.

use serde_json::{Value, json};

use crate::world::client::{escape, get, post_form, send};
use crate::world::issuer::sign;
use crate::world::{TOKEN_EXCHANGE, TYPE_JWT, World};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Assertions that make nobody known, each for another reason.
async fn strangers(world: &World) -> Vec<(&'static str, String)> {
    let changed = |change: fn(&mut Value)| {
        let mut claims = world.claims("production");
        change(&mut claims);
        world.partner.sign(&claims)
    };
    let good = world.assertion("production");
    let (input, _) = good.rsplit_once('.').expect("three parts");
    let other = crate::world::Provider::start().await;
    let mut foreign = world.claims("production");
    foreign["iss"] = other.issuer.as_str().into();
    let header = json!({"alg": "ES256", "kid": other.key.kid().as_str(), "typ": "JWT"}).to_string();
    vec![
        ("no JWT", "garbage".to_owned()),
        ("unknown issuer", other.sign(&foreign)),
        ("another issuer's key", sign(&other.key, &header, &world.claims("production").to_string())),
        ("no signature", format!("{input}.")),
        ("a signature of zeros", format!("{input}.{}", "A".repeat(86))),
        ("another owner", changed(|claims| claims["repository_owner_id"] = "1".into())),
        ("no owner", changed(|claims| claims["repository_owner_id"] = Value::Null)),
        ("expired and another owner", {
            let mut claims = world.claims("production");
            claims["repository_owner_id"] = "1".into();
            claims["exp"] = (world.clock.seconds() - 10).into();
            world.partner.sign(&claims)
        }),
    ]
}

/// O-01: before the caller is known, one grant has one answer, whatever the cause; O-03: and it names nothing that exists or not.
#[tokio::test]
async fn o_01_o_03_strangers_get_one_answer_per_grant() {
    let world = World::start().await;
    let before = world.issued().await;
    for grant in ["exchange", "bearer", "credentials"] {
        let mut shapes = std::collections::BTreeMap::new();
        for (name, assertion) in strangers(&world).await {
            for client in ["", "globex/order-sync", "globex/nothing", "nobody/nothing", "api/orders-api"] {
                let mut form = match grant {
                    "exchange" => vec![
                        ("grant_type", TOKEN_EXCHANGE),
                        ("subject_token", assertion.as_str()),
                        ("subject_token_type", TYPE_JWT),
                    ],
                    "bearer" => {
                        vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())]
                    }
                    _ => vec![
                        ("grant_type", "client_credentials"),
                        ("client_assertion_type", ASSERTION_TYPE),
                        ("client_assertion", assertion.as_str()),
                    ],
                };
                form.extend([("audience", "orders-api"), ("scope", "orders:read")]);
                if !client.is_empty() {
                    form.push(("client_id", client));
                }
                let answer = world.token("production", &form).await;
                shapes.entry(format!("{:?}", answer.shape())).or_insert_with(Vec::new).push(format!("{name} {client}"));
            }
        }
        assert_eq!(shapes.len(), 1, "o_01 {grant}: {shapes:#?}");
    }
    assert_eq!(world.issued().await, before, "nothing was minted");
    // O-04: introspection and revocation are as silent to those who are nobody.
    for endpoint in ["introspect", "revoke"] {
        let mut shapes = std::collections::BTreeSet::new();
        for (_, assertion) in strangers(&world).await {
            let form = [("token", "x"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
            let answer = post_form(world.public, &format!("/production/{endpoint}"), &form).await;
            assert_eq!(answer.status, 401, "o_04 {endpoint}");
            shapes.insert(format!("{:?}", answer.shape()));
        }
        assert_eq!(shapes.len(), 1, "o_04 {endpoint}: {shapes:#?}");
    }
}

/// O-05: no error shows what the house is built of.
#[tokio::test]
async fn o_05_errors_show_no_stack_crate_host_or_sql() {
    let world = World::start().await;
    let mut bodies = Vec::new();
    for (_, assertion) in strangers(&world).await {
        bodies.push(world.exchange("production", &assertion, "orders:read").await);
    }
    for path in ["/", "/production", "/production/token", "/%00", "/production/status/1", "/nowhere/jwks", "/production/jwks/x"]
    {
        bodies.push(get(world.public, path).await);
    }
    for body in ["", "a=b", "grant_type=%ff", "grant_type=x", "grant_type=client_credentials&client_secret=x"] {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        bodies.push(send(world.public, "POST", "/production/token", &headers, body.as_bytes()).await);
    }
    for path in ["/v1/integrations/a/b", "/v1/journal?from=x", "/v1/approvals/x", "/v1/revocations/'%20OR%201=1", "/v1/x"] {
        bodies.push(world.admin_send("GET", path, "alan", None).await);
    }
    for body in ["{", "[]", "null", "{\"token\":1}", "{\"partner\":\"'; DROP TABLE entries\",\"reason\":\"x\"}"] {
        let sent = Some(("application/json", body.to_owned()));
        bodies.push(world.admin_send("POST", "/v1/revocations", "sven", sent).await);
    }
    bodies.push(world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", "a: [".to_owned()))).await);
    let telling = [
        "sqlx",
        "sqlite",
        "SQLITE",
        "tokio",
        "hyper",
        "axum",
        "serde",
        "src/",
        ".rs:",
        "panicked",
        "RUST_BACKTRACE",
        "journal.db",
    ];
    for answer in bodies {
        let body = answer.text();
        // It is an error that says something: of nothing nothing can be seen.
        let says = ["error", "title"].iter().any(|name| answer.json()[*name].is_string());
        assert!(answer.status >= 400 && says, "o_05: {body}");
        for word in telling {
            assert!(!body.contains(word), "o_05 {word}: {body}");
        }
    }
}

/// D-03, D-04: deep and wide JSON costs little and is refused; a stranger's is not even read.
#[tokio::test]
async fn d_03_d_04_deep_and_wide_json_is_refused_early() {
    let world = World::start().await;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let wide = format!("{{{}}}", (0..4_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
    let nested = format!("{{\"partner\":{}\"x\"{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    for (name, body) in [("deep", deep), ("wide", wide), ("nested", nested)] {
        let answer = world.admin_send("POST", "/v1/revocations", "sven", Some(("application/json", body.clone()))).await;
        assert_eq!(answer.status, 422, "d_03 {name}: {}", answer.text());
        let answer =
            send(world.admin, "POST", "/v1/revocations", &[("content-type", "application/json")], body.as_bytes()).await;
        assert_eq!(answer.status, 401, "d_04 {name}");
    }
    let deep_yaml = format!("apiVersion: carnet/v1\nkind: Api\nmetadata: {}x{}\n", "{a: ".repeat(5_000), "}".repeat(5_000));
    let answer = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", deep_yaml))).await;
    assert_eq!(answer.status, 422, "d_03 yaml");
    world.minted().await;
}

/// L-05: control characters, markup and line ends of a caller stay inside one record and one header.
#[tokio::test]
async fn l_05_hostile_texts_are_inert_wherever_they_are_kept() {
    let world = World::start().await;
    let hostile = "refs/heads/\r\nX-Injected: 1\u{1b}[31m\u{2028}<script>\",}{\u{0}";
    let mut claims = world.claims("production");
    claims["ref"] = hostile.into();
    let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
    assert_eq!(answer.json()["reason"], "binding.no-match", "{}", answer.text());
    assert!(answer.header("x-injected").is_none());
    let description = answer.json()["error_description"].as_str().expect("text").to_owned();
    assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "l_05 {description:?}");
    let request = answer.header("x-request-id").expect("an id").to_owned();
    let explained = world.admin_send("GET", &format!("/v1/explain/{request}"), "alan", None).await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    assert!(explained.body.iter().all(|byte| *byte >= 0x20 || *byte == b'\n'), "l_05: raw control characters in JSON");
    // One entry of one line, that reads back as what was sent; it is written a moment after the refusal was told.
    let mut entries = world.admin_get("/v1/journal?kind=refused", "alan").await;
    for _ in 0..100 {
        if entries["items"].as_array().is_some_and(|items| !items.is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        entries = world.admin_get("/v1/journal?kind=refused", "alan").await;
    }
    assert_eq!(entries["items"].as_array().map(Vec::len), Some(1), "{entries}");
    assert!(escape(hostile).len() > hostile.len());
}
