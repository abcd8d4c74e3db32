//! The admin API on the wire: ABUSE rows A, D and L that apply to it, and what the contract promises of it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::http::admin::{OPENAPI, listed};
use serde_json::{Value, json};

use crate::world::client::{get, raw, send};
use crate::world::{Answer, Options, World, records};

/// A refusal of this API: its status, the form of RFC 9457, and nothing that a cache may keep.
pub fn refused(answer: &Answer, status: u16, about: &str) {
    assert_eq!(answer.status, status, "{about}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{about}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{about}");
    assert_eq!(answer.json()["status"], status, "{about}");
}

/// A path of a route with things that are there, where they need to be.
fn filled(template: &str) -> String {
    let filling = [("{p}", "globex"), ("{i}", "order-sync"), ("{environment}", "production"), ("{id}", "nobody")];
    let path = filling.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
    let path = path.replace("{request}", "nothing").replace("{name}", "nothing").replace("{entry}", "nothing");
    assert!(!path.contains('{'), "{template}: `filled` has nothing for a part of this path");
    path
}

#[tokio::test]
async fn a_01_every_route_refuses_who_may_not() {
    let world = World::start().await;
    let described: Value = serde_json::from_str(&OPENAPI).expect("JSON");
    let mut stale = world.staff.sign(&json!({
        "iss": world.staff.issuer, "sub": "ann", "aud": "carnet", "exp": world.clock.seconds() - 1,
        "iat": world.clock.seconds() - 600, "groups": ["owners"],
    }));
    let stranger = world.partner.sign(&json!({
        "iss": world.staff.issuer, "sub": "ann", "aud": "carnet", "exp": world.clock.seconds() + 600, "iat": world.clock.seconds(),
        "groups": ["owners", "security", "admins"],
    }));
    stale.insert_str(0, "Bearer ");
    let bad =
        [stale, format!("Bearer {stranger}"), "Bearer x".into(), "Bearer a.b.c".into(), "Basic YTpi".into(), "Bearer".into()];
    let people = [("ann", "owner"), ("sven", "security"), ("adam", "administrator"), ("alan", "auditor"), ("zoe", "nothing")];
    let size = world.admin_get("/v1/journal/proof?index=0", "alan").await["proof"].clone();
    for (method, template) in listed().into_iter().filter(|(_, path)| *path != "/openapi.json") {
        let (path, about) = (filled(template), format!("{method} {template}"));
        let method = method.to_ascii_uppercase();
        let answer = send(world.admin, &method, &path, &[], b"").await;
        refused(&answer, 401, &about);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{about}");
        for bearer in &bad {
            refused(&send(world.admin, &method, &path, &[("authorization", bearer)], b"").await, 401, &about);
        }
        let roles = described["paths"][template][method.to_ascii_lowercase()]["x-roles"].clone();
        for (person, role) in people {
            // Without a body no POST does anything.
            let answer = world.admin_send(&method, &path, person, None).await;
            if roles.as_array().expect("roles").contains(&role.into()) {
                assert!(![401, 403, 405].contains(&answer.status) && answer.status < 500, "{role} {about}: {}", answer.text());
                assert!(method == "GET" || answer.status >= 400, "{role} {about}: {}", answer.text());
            } else {
                refused(&answer, 403, &format!("{role} {about}"));
            }
        }
        for other in ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"] {
            let answer = world.admin_send(other, &path, "sven", None).await;
            assert_eq!(answer.status, 405, "{other} {about}");
        }
    }
    assert_eq!(world.admin_get("/v1/journal/proof?index=0", "alan").await["proof"], size, "nothing was recorded");
    let answer = get(world.admin, "/openapi.json").await;
    assert_eq!((answer.status, answer.json()), (200, described));
    for path in ["/v1", "/v1/", "/v1/offboarding", "/v1/approvals/", "/v1//approvals", "/v2/keys"] {
        refused(&world.admin_send("GET", path, "sven", None).await, 404, path);
    }
}

#[tokio::test]
async fn a_15_a_16_queries_are_taken_as_described_or_not() {
    let world = World::start().await;
    world.onboard(&records::integration(&world.partner.issuer, "second", "77")).await;
    let token = world.staff_token("sven");
    for path in ["/v1/approvals", "/v1/journal/checkpoint", "/v1/partners/globex"] {
        for name in ["access_token", "id_token"] {
            refused(&world.admin_send("GET", &format!("{path}?{name}={token}"), "sven", None).await, 400, path);
        }
    }
    let body = json!({"partner": "globex", "reason": "x"});
    refused(&world.admin_post(&format!("/v1/revocations?access_token={token}"), "sven", &body).await, 400, "POST");
    refused(&get(world.admin, &format!("/v1/approvals?access_token={token}")).await, 400, "no header");

    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let forged = [
        "x".into(),
        "%00".into(),
        "..%2f".into(),
        encoded("' OR 1=1 --"),
        encoded("\0"),
        encoded("é"),
        encoded(&"a".repeat(300)),
        encoded("a") + "=",
    ];
    for list in
        ["/v1/approvals", "/v1/integrations", "/v1/partners", "/v1/revocations", "/v1/keys", "/v1/journal", "/v1/reviews"]
    {
        for cursor in &forged {
            refused(
                &world.admin_send("GET", &format!("{list}?cursor={cursor}"), "sven", None).await,
                400,
                &format!("{list} {cursor}"),
            );
        }
        for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "sort=id", "limit=1&limit=2", "a", "limit=%zz"] {
            refused(&world.admin_send("GET", &format!("{list}?{query}"), "sven", None).await, 400, &format!("{list} {query}"));
        }
        // Pages of one and the whole list are the same.
        let whole = world.admin_get(&format!("{list}?limit=1000"), "sven").await;
        let (mut paged, mut next) = (Vec::new(), String::new());
        loop {
            let page = world.admin_get(&format!("{list}?limit=1{next}"), "sven").await;
            paged.extend(page["items"].as_array().expect("items").clone());
            let Some(cursor) = page["next"].as_str() else { break };
            next = format!("&cursor={cursor}");
        }
        assert_eq!(json!(paged), whole["items"], "{list}");
        assert_eq!(whole["next"], Value::Null);
    }
    for sql in ["'%20OR%201=1", "%27;DROP%20TABLE%20entries;--"] {
        let found = world.admin_get(&format!("/v1/journal?subject={sql}"), "alan").await;
        assert_eq!(found["items"], json!([]), "{sql}");
    }
    for path in [
        "/v1/approvals/other",
        "/v1/partners/initech",
        "/v1/integrations/globex/none",
        "/v1/integrations/..%2f/x",
        "/v1/revocations/x",
    ] {
        refused(&world.admin_send("GET", path, "sven", None).await, 404, path);
    }
}

#[tokio::test]
async fn a_17_a_23_d_03_bodies_are_of_one_shape() {
    let world = World::start().await;
    let good = json!({"issuer": world.partner.issuer, "tokensOnly": true, "reason": "drill"});
    for (name, value) in
        [("role", json!("security")), ("partner_id", json!(1)), ("created_by", json!("olga")), ("__proto__", json!({}))]
    {
        let mut body = good.clone();
        body[name] = value;
        let answer = world.admin_post("/v1/revocations", "sven", &body).await;
        refused(&answer, 422, name);
        assert_eq!(answer.json()["errors"][0]["reason"], "request.invalid");
        assert!(answer.json()["request_id"].is_string());
    }
    for body in [
        json!({}),
        json!([]),
        json!("x"),
        json!(null),
        json!({"reason": 1}),
        json!({"partner": "globex", "issuer": "x", "reason": ""}),
    ] {
        refused(&world.admin_post("/v1/revocations", "sven", &body).await, 422, &body.to_string());
    }
    let bearer = format!("Bearer {}", world.staff_token("sven"));
    let post = async |kinds: &[&str], body: &[u8]| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(kinds.iter().map(|kind| ("content-type", *kind)));
        send(world.admin, "POST", "/v1/revocations", &headers, body).await
    };
    let text = good.to_string();
    let forms: [&[&str]; 6] = [
        &[],
        &["text/plain"],
        &["application/x-www-form-urlencoded"],
        &["application/yaml"],
        &["application/json", "application/json"],
        &["json"],
    ];
    for kinds in forms {
        refused(&post(kinds, text.as_bytes()).await, 415, &format!("{kinds:?}"));
    }
    let answer = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/json", "{}".into()))).await;
    refused(&answer, 415, "records as JSON");
    refused(&post(&["application/json"], br#"{"issuer":"a","issuer":"b","reason":"x"}"#).await, 422, "a member twice");
    for body in [&b"{"[..], b"", b"\xff\xfe", b"{\"reason\":\"\xff\"}"] {
        let status = post(&["application/json"], body).await.status;
        assert_eq!(status, 400, "{body:?}");
    }
    let answer = world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "PS256"})).await;
    refused(&answer, 422, "an algorithm that no token is signed with");
    let started = Instant::now();
    let deep = format!(r#"{{"reason":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    refused(&post(&["application/json"], deep.as_bytes()).await, 422, "a reason of 10 000 levels");
    refused(&post(&["application/json"], format!("[{}0]", "0,".repeat(1_000_000)).as_bytes()).await, 413, "a million members");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(world.admin_get("/v1/revocations", "alan").await["items"], json!([]), "nothing was cut");
    assert_eq!(post(&["application/json; charset=utf-8"], text.as_bytes()).await.status, 201);
}

#[tokio::test]
async fn a_18_what_was_seen_is_what_is_changed() {
    let world = World::start().await;
    let yaml = |text: &str| Some(("application/yaml", text.to_owned()));
    let usual = records::usual(&world.partner.issuer);
    let (mine, theirs) = (usual.replace("Copies orders.", "Mine."), usual.replace("Copies orders.", "Theirs."));
    let plan = world.admin_send("POST", "/v1/records/plan", "ann", yaml(&mine)).await.json();
    assert_eq!(world.admin_send("POST", "/v1/records/apply", "olga", yaml(&theirs)).await.status, 200);
    let bearer = format!("Bearer {}", world.staff_token("ann"));
    let seen = format!("\"{}\"", plan["id"].as_str().expect("an id"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml"), ("if-match", seen.as_str())];
    let answer = send(world.admin, "POST", "/v1/records/apply", &headers, mine.as_bytes()).await;
    refused(&answer, 412, "apply");
    assert_eq!(answer.json()["reason"], "plan.stale");
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "ann").await;
    assert_ne!(shown["record"]["purpose"], "Mine.");

    // Somebody else stops it and asks to resume; a review names the version that was seen.
    let why = json!({"reason": "odd"});
    assert_eq!(world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &why).await.status, 201);
    let asked = world.admin_post("/v1/integrations/globex/order-sync/resume", "ann", &why).await.json();
    let id = asked["approval"].as_str().expect("an approval").to_owned();
    let body = json!({"verdict": "approve", "reason": "fine", "version": "0".repeat(64)});
    let answer = world.admin_post(&format!("/v1/approvals/{id}/reviews"), "sara", &body).await;
    refused(&answer, 412, "review");
    let approval = world.admin_get(&format!("/v1/approvals/{id}"), "alan").await;
    assert_eq!((&approval["reviews"], &approval["state"]), (&json!([]), &json!("pending")));
    assert_eq!(approval["requestedBy"], json!({"iss": world.staff.issuer, "id": "ann", "name": "ann"}));
}

#[tokio::test]
async fn a_11_a_19_pages_of_others_get_nothing() {
    let world = World::start().await;
    let token = world.staff_token("sven");
    for host in ["evil.example", "evil.example:7401", "127.0.0.1.evil.example"] {
        let head =
            format!("GET /v1/keys HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        refused(&raw(world.admin, head.as_bytes()).await, 421, host);
    }
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    let answer = send(world.admin, "GET", "/v1/keys", &headers, b"").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{:?}", answer.headers);
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    assert_eq!(send(world.admin, "OPTIONS", "/v1/revocations", &preflight, b"").await.status, 405);
}

#[tokio::test]
async fn l_05_hostile_texts_stay_texts() {
    let world = World::start().await;
    let hostile = "a\r\nX: y\u{1b}[31m\u{2028}\u{2029}\"}],\u{0}<script>\u{202e}";
    let body = json!({"partner": "globex", "tokensOnly": true, "reason": hostile});
    let made = world.admin_post("/v1/revocations", "sven", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/v1/revocations/{}", made.json()["id"].as_str().expect("an id"));
    let answer = world.admin_send("GET", &path, "alan", None).await;
    assert_eq!(answer.json()["reason"], hostile);
    assert!(answer.body.iter().all(|byte| *byte >= 0x20), "control characters are escaped");
    let entries = world.admin_get("/v1/journal?kind=revocation.added", "alan").await;
    assert_eq!(entries["items"].as_array().map(Vec::len), Some(1), "{entries}");
    assert!(!entries["items"].to_string().contains("script"), "an entry has a digest of what people write");
    assert!(entries["texts"].to_string().contains("script"), "and its text stands beside it, until it is forgotten");
    let why = json!({"reason": "x"});
    for (path, person, body) in [
        ("/v1/staff/a%0d%0ab/cut", "sven", &why),
        ("/v1/staff/a%20b/cut", "sven", &why),
        ("/v1/integrations/glo%0d%0abex/x/suspend", "sven", &why),
        ("/v1/keys/pro%1bduction/taint", "adam", &json!({"reason": "x", "kid": "k"})),
        ("/v1/keys/production/taint", "adam", &json!({"reason": "x", "kid": "k\r\n"})),
    ] {
        refused(&world.admin_post(path, person, body).await, 404, path);
    }
}

#[tokio::test]
async fn the_past_is_as_it_was() {
    let world = World::with(Options::default()).await;
    let state = async |query: String| {
        let past = world.admin_get(&format!("/v1/journal/at?{query}"), "alan").await;
        let integration = &past["integrations"][0];
        let suspended = integration["suspensions"].as_array().is_some_and(|all| !all.is_empty());
        assert!(!suspended || (integration["tokens"] == false && integration["state"] == "active"), "{integration}");
        if suspended { "suspended".to_owned() } else { integration["state"].as_str().unwrap_or("none").to_owned() }
    };
    let before = world.clock.seconds();
    world.clock.advance(60);
    let answer = world.admin_post("/v1/integrations/globex/order-sync/suspend", "sven", &json!({"reason": "odd"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(state(format!("time={before}")).await, "active");
    assert_eq!(state(format!("time={}", before + 60)).await, "suspended");
    assert_eq!(state("index=0".into()).await, "none");
    let entries = world.admin_get("/v1/journal?kind=integration.suspended", "alan").await;
    let index = entries["items"][0]["index"].as_u64().expect("an index");
    assert_eq!(state(format!("index={}", index - 1)).await, "active");
    assert_eq!(state(format!("index={index}")).await, "suspended");
    for (query, status) in [
        (format!("time={}", before + 61), 404),
        (format!("index={}", index + 1000), 404),
        ("time=yesterday".into(), 400),
        (String::new(), 400),
        ("time=1&index=1".into(), 400),
        ("time=-1".into(), 400),
        ("index=-1".into(), 400),
    ] {
        let answer = world.admin_send("GET", &format!("/v1/journal/at?{query}"), "alan", None).await;
        refused(&answer, status, &query);
    }
    assert_eq!(state("time=2001-01-01T00:00:00Z".into()).await, "none");
}

#[tokio::test]
async fn can_i_says_what_an_exchange_would_come_to() {
    let world = World::start().await;
    let ask = async |environment: &str, api: &str, scope: &str| {
        let query = format!("integration=globex/order-sync&environment={environment}&api={api}&scope={scope}");
        world.admin_get(&format!("/v1/can-i?{query}"), "alan").await
    };
    let size = world.issued().await;
    let yes = ask("production", "orders-api", "orders:read").await;
    assert_eq!((&yes["allowed"], &yes["binding"]), (&json!(true), &json!("ci-main")), "{yes}");
    let cases = [
        ("production", "orders-api", "orders:write"),
        ("production", "orders-api", "orders:delete"),
        ("production", "payroll", "orders:read"),
    ];
    for (environment, api, scope) in cases {
        let told = ask(environment, api, scope).await;
        let real = world
            .token(
                environment,
                &[
                    ("grant_type", crate::world::TOKEN_EXCHANGE),
                    ("subject_token", &world.assertion(environment)),
                    ("subject_token_type", crate::world::TYPE_JWT),
                    ("audience", api),
                    ("scope", scope),
                ],
            )
            .await;
        assert_eq!((&told["allowed"], &told["reason"]), (&json!(false), &real.json()["reason"]), "{told}");
    }
    assert_eq!(ask("sandbox", "orders-api", "orders:write").await["allowed"], true);
    let stop = json!({"environment": "globex/order-sync/production", "reason": "drill"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &stop).await.status, 201);
    assert_eq!(ask("production", "orders-api", "orders:read").await["reason"], "trust.revoked");
    assert_eq!(ask("sandbox", "orders-api", "orders:read").await["allowed"], true);
    assert_eq!(world.issued().await, size, "nothing was minted");
    for (query, status) in [
        ("integration=globex/none&environment=production&api=a&scope=b", 404),
        ("integration=globex/order-sync&environment=none&api=a&scope=b", 404),
        ("integration=globex/order-sync&environment=production&api=a", 400),
        ("integration=globex/order-sync&environment=production&api=a&scope=b&source=x", 400),
    ] {
        refused(&world.admin_send("GET", &format!("/v1/can-i?{query}"), "alan", None).await, status, query);
    }
}

#[tokio::test]
async fn the_inventory_says_whose_it_is_and_what_ends_next() {
    let world = World::start().await;
    let listed = world.admin_get("/v1/integrations", "alan").await["items"][0].clone();
    let one = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    assert_eq!(listed["owners"], json!({"business": "jane@acme.example", "application": "raj@acme.example"}));
    assert_eq!((&listed["state"], &listed["endsNext"]["what"]), (&json!("active"), &json!("review")));
    assert_eq!((&one["owners"], &one["endsNext"], &one["lastUse"]), (&listed["owners"], &listed["endsNext"], &Value::Null));
    let partner = world.admin_get("/v1/partners", "alan").await["items"][0].clone();
    assert_eq!((&partner["state"], &partner["endsNext"]), (&json!("active"), &listed["endsNext"]));
    assert_eq!((&partner["lastUse"], &listed["lastUse"]), (&Value::Null, &Value::Null));
    world.clock.advance(5);
    world.minted().await;
    let last = world.clock.seconds();
    world.clock.advance(5);
    for path in ["/v1/integrations", "/v1/partners"] {
        let listed = world.admin_get(path, "alan").await;
        let used: Vec<_> = listed["items"].as_array().expect("items").iter().map(|item| item["lastUse"].clone()).collect();
        assert_eq!(used.iter().filter(|used| **used == last).count(), 1, "{path}: {listed}");
    }
    for path in ["/v1/integrations/globex/order-sync", "/v1/partners/globex"] {
        assert_eq!(world.admin_get(path, "alan").await["lastUse"], last, "{path}");
    }
}

/// S-16: a review takes a positive sign of a person. That no sign of a machine is seen shows nothing: a client's own token has a fresh `iat`
/// whenever it likes, and an `azp` that need not be its `sub`. It may submit all the same.
#[tokio::test]
async fn a_machine_reviews_nothing_whatever_its_token_looks_like() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let bearer = |person: &str, groups: &str, changes: Value| {
        let mut claims = json!({
            "iss": world.staff.issuer, "sub": person, "aud": "carnet", "exp": now + 600, "iat": now, "groups": [groups], "azp": "automation",
            "scope": "carnet", "client_id": "automation",
        });
        for (name, value) in changes.as_object().expect("changes") {
            claims[name] = value.clone();
        }
        format!("Bearer {}", world.staff.sign(&claims))
    };
    let post = async |bearer: &str, path: &str, kind: &str, body: &str| {
        send(world.admin, "POST", path, &[("authorization", bearer), ("content-type", kind)], body.as_bytes()).await
    };
    // A machine applies and submits.
    let robot = bearer("robot-17", "owners", json!({}));
    let record = records::integration(&world.partner.issuer, "stock-sync", "456790");
    let applied = post(&robot, "/v1/records/apply", "application/yaml", &record).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let submitted =
        post(&robot, "/v1/integrations/globex/stock-sync/submit", "application/json", &json!({"reason": "ready"}).to_string())
            .await;
    assert!(submitted.status < 300, "{}", submitted.text());
    let approvals = world.admin_get("/v1/approvals?limit=1000", "sven").await;
    let pending =
        approvals["items"].as_array().expect("items").iter().find(|one| one["state"] == "pending").expect("one").clone();
    let path = format!("/v1/approvals/{}/reviews", pending["id"].as_str().expect("an id"));
    let verdict = json!({"verdict": "approve", "reason": "looked at", "version": pending["version"]}).to_string();
    for (changes, status) in [
        (json!({}), 403),
        (json!({"iat": now - 1}), 403),
        (json!({"auth_time": now - 901}), 403),
        (json!({"auth_time": 0}), 403),
        (json!({"auth_time": now - 5, "azp": "sven"}), 403),
        (json!({"auth_time": now - 5, "gty": "client-credentials"}), 403),
        (json!({"auth_time": now - 5, "idtyp": "app"}), 403),
        (json!({"auth_time": now + 31}), 401),
        (json!({"auth_time": null}), 401),
        (json!({"auth_time": now.to_string()}), 401),
        (json!({"auth_time": true}), 401),
        (json!({"auth_time": -1}), 401),
    ] {
        for verdict in [&verdict, &verdict.replace("approve", "deny")] {
            let answer = post(&bearer("sven", "security", changes.clone()), &path, "application/json", verdict).await;
            refused(&answer, status, &changes.to_string());
        }
    }
    // Nor does it have an elevation begin without an approval.
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "10m", "reason": "order 42 is stuck", "breakGlass": true,
    });
    let asked = post(&robot, "/v1/elevations", "application/json", &wish.to_string()).await;
    refused(&asked, 403, "break-glass by what may be a machine");
    assert_eq!(asked.json()["reason"], "staff.sign-in-too-old");
    assert_ne!(world.admin_post("/v1/elevations", "olga", &wish).await.status, 403, "a person's is judged by the record");
    // The same person, signed in a moment ago.
    let person = bearer("sven", "security", json!({"auth_time": now as f64 - 4.5}));
    let answer = post(&person, &path, "application/json", &verdict).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// S-19 (A-01, I-21): a stranger's body is not read. What is announced here is never sent, and the answer comes all the same.
#[tokio::test]
async fn s_19_who_sends_is_known_before_what_is_sent() {
    let world = World::start().await;
    let (reader, person) = (world.staff_token("alan"), world.staff_token("ann"));
    let ask = async |path: &str, kind: &str, more: &str, length: usize| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}\r\nx",
            world.admin
        );
        let asked = crate::world::client::raw(world.admin, head.as_bytes());
        tokio::time::timeout(std::time::Duration::from_secs(4), asked).await.expect("an answer without the body")
    };
    let bad = format!("authorization: Bearer {person}x\r\n");
    let read_only = format!("authorization: Bearer {reader}\r\n");
    let key = "idempotency-key: 0123456789abcdef\r\n";
    for (path, kind) in [
        ("/v1/records/apply", "application/yaml"),
        ("/v1/records/plan", "application/yaml"),
        ("/v1/revocations", "application/json"),
        ("/v1/elevations", "application/json"),
        ("/v1/approvals/x/reviews", "application/json"),
        ("/v1/enrolments", "application/json"),
    ] {
        for more in ["", key, &bad, &format!("{bad}{key}")] {
            for length in [60_000, 1_000_000, 100_000_000] {
                let answer = ask(path, kind, more, length).await;
                assert_eq!((answer.status, answer.header("connection")), (401, Some("close")), "{path} {}", answer.text());
            }
        }
        // A person who may not is told so as soon.
        assert_eq!(ask(path, kind, &read_only, 60_000).await.status, 403, "{path}");
    }
    for path in ["/console/approvals/x", "/console/passkeys", "/console/sign-out", "/nowhere"] {
        let answer = ask(path, "application/x-www-form-urlencoded", "", 1_000_000).await;
        assert!(
            matches!(answer.status, 303 | 401 | 403 | 404) && answer.header("connection") == Some("close"),
            "{}",
            answer.text()
        );
    }
    // Who may is held to the limit of the route, with a key and without.
    let good = format!("authorization: Bearer {person}\r\n");
    for more in [good.clone(), format!("{good}{key}")] {
        let answer = ask("/v1/records/plan", "application/yaml", &more, 1024 * 1024 + 1).await;
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "{}", answer.text());
    }
}
