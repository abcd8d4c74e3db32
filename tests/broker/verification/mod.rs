//! Forward-auth: what a proxy is told of a token, who is told anything, and two real proxies (docs/reference/http.md, `I/verify`).

mod proxies;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::possession::{Holder, bound_token};
use crate::world::client::unique;
use crate::world::issuer::twin;
use crate::world::{Answer, Options, World, claims, records, send};

const LISTED: &str = "verify_callers = [\"127.0.0.0/8\"]\n";
const READ: &str = "/production/verify?api=orders-api&scope=orders:read";

async fn listing() -> World {
    World::with(Options { configuration: LISTED.to_owned(), redis: true, ..Options::default() }).await
}

/// A question about `GET /v1/orders/42` with these headers.
async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders/42?full=1")];
    let named = |name: &str| headers.iter().any(|(given, _)| *given == name);
    let all: Vec<(&str, &str)> = request.iter().filter(|(name, _)| !named(name)).chain(headers).copied().collect();
    send(world.public, "GET", path, &all, b"").await
}

async fn ask_with(world: &World, token: &str, more: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    ask(world, READ, &[&[("authorization", bearer.as_str())], more].concat()).await
}

#[track_caller]
fn challenged(answer: &Answer, status: u16, error: &str, reason: &str) {
    let text = answer.text();
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{text}");
    assert_eq!(answer.json()["reason"], reason, "{text}");
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
    assert!(answer.header("x-carnet-client").is_none() && answer.header("cache-control") == Some("no-store"));
}

#[tokio::test]
async fn a_listed_proxy_is_told_whose_token_it_is() {
    let world = listing().await;
    let token = world.minted().await;
    let answer = ask_with(&world, &token, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let known = claims(&token);
    for (name, value) in [
        ("x-carnet-client", "globex/order-sync"),
        ("x-carnet-partner", "globex"),
        ("x-carnet-integration", "order-sync"),
        ("x-carnet-environment", "production"),
        ("x-carnet-api", "orders-api"),
        ("x-carnet-binding", "ci-main"),
        ("x-carnet-scope", "orders:read"),
        ("x-carnet-token", known["jti"].as_str().expect("an id")),
        ("x-carnet-expires", known["exp"].to_string().as_str()),
        ("x-carnet-entry", known["entry"].to_string().as_str()),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    // The proxy may ask by POST as well, whatever body it passes on.
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders")];
    assert_eq!(send(world.public, "POST", READ, &headers, b"{}").await.status, 200);
    // A client's upload may be coded; the proxy keeps the body and passes the header on.
    let coded = ask_with(&world, &token, &[("content-encoding", "gzip")]).await;
    assert_eq!(coded.status, 200, "{}", coded.text());
    // C-10: or by the method of the request that it holds back, whatever that is.
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        assert_eq!(send(world.public, method, READ, &headers, b"").await.status, 200, "{method}");
    }

    // Revoked is refused at once, by a token's id and by whatever it was made from.
    let revoke = json!({"token": known["jti"], "reason": "leaked"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    challenged(&ask_with(&world, &token, &[]).await, 401, "invalid_token", "token.inactive");
}

#[tokio::test]
async fn what_a_request_must_not_reach_is_refused_with_the_challenge_of_its_kind() {
    let world = listing().await;
    let token = world.minted().await;
    // No credential, another scheme: nothing to find fault with. Two, or one in the query: none that counts.
    for headers in [vec![], vec![("authorization", "Basic eA==")], vec![("authorization", "Bearer ")]] {
        let answer = ask(&world, READ, &headers).await;
        let challenge = answer.header("www-authenticate").expect("a challenge").to_owned();
        assert!(answer.status == 401 && !challenge.contains("error"), "{headers:?}: {} {challenge}", answer.text());
    }
    let bearer = format!("Bearer {token}");
    let twice = ask_with(&world, &token, &[("authorization", &bearer)]).await;
    challenged(&twice, 401, "invalid_token", "token.inactive");
    let in_query = ask_with(&world, &token, &[("x-forwarded-uri", "/v1/orders/42?a=b&access_token=x")]).await;
    challenged(&in_query, 401, "invalid_token", "token.inactive");
    let mut bent = token.clone().into_bytes();
    let last = bent.len() - 10;
    bent[last] = if bent[last] == b'A' { b'B' } else { b'A' };
    let bent = String::from_utf8(bent).expect("ASCII");
    for garbage in ["x", "a.b.c", &bent, &twin(&token), &world.assertion("production")] {
        challenged(&ask_with(&world, garbage, &[]).await, 401, "invalid_token", "token.inactive");
    }
    // Another environment's, another API's.
    let other = ask(&world, "/sandbox/verify?api=orders-api&scope=orders:read", &[("authorization", &bearer)]).await;
    challenged(&other, 401, "invalid_token", "token.inactive");
    let other = ask(&world, "/production/verify?api=billing-api&scope=orders:read", &[("authorization", &bearer)]).await;
    challenged(&other, 401, "invalid_token", "token.other-api");
    // Scope and endpoint conditions.
    for scope in ["orders:write", "orders:read%20orders:list"] {
        let answer =
            ask(&world, &format!("/production/verify?api=orders-api&scope={scope}"), &[("authorization", &bearer)]).await;
        challenged(&answer, 403, "insufficient_scope", "access.scope");
        let wanted = format!("scope=\"{}\"", scope.replace("%20", " "));
        let challenge = answer.header("www-authenticate").expect("a challenge");
        // A set has one order, and it is not the caller's.
        assert!(scope.contains("%20") || challenge.contains(&wanted), "{challenge}");
    }
    for (method, uri) in [
        ("POST", "/v1/orders"),
        ("GET", "/v1/orders/42/lines"),
        ("GET", "/v1/orders/..%2f..%2fadmin"),
        ("GET", "/v1/orders/.."),
        ("GET", "/v1/orders/1;a=b"),
        ("get", "/v1/orders"),
        ("GET", "//v1/orders"),
        ("GET", "/V1/orders"),
    ] {
        let answer = ask_with(&world, &token, &[("x-forwarded-method", method), ("x-forwarded-uri", uri)]).await;
        challenged(&answer, 403, "insufficient_scope", "access.endpoint");
    }
    // A token with conditions reaches nothing where the proxy does not say what is asked; one without them does.
    let untold = send(world.public, "GET", READ, &[("authorization", bearer.as_str())], b"").await;
    challenged(&untold, 403, "insufficient_scope", "access.endpoint");
    let free = world.exchange("production", &world.assertion("production"), "orders:list").await.json();
    let free = format!("Bearer {}", free["access_token"].as_str().expect("a token"));
    let list = "/production/verify?api=orders-api&scope=orders:list";
    assert_eq!(send(world.public, "GET", list, &[("authorization", free.as_str())], b"").await.status, 200);
}

#[tokio::test]
async fn a_question_that_is_not_asked_soundly_has_no_answer() {
    let world = listing().await;
    let token = world.minted().await;
    let bearer = format!("Bearer {token}");
    for query in [
        "",
        "?api=orders-api",
        "?scope=orders:read",
        "?api=orders-api&scope=",
        "?api=orders-api&api=orders-api&scope=orders:read",
        "?api=orders-api&scope=orders:read&scope=orders:list",
        "?api=Orders&scope=orders:read",
        "?api=orders-api&scope=%zz",
    ] {
        let answer = ask(&world, &format!("/production/verify{query}"), &[("authorization", &bearer)]).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("proxy.request")), "{query}: {}", answer.text());
    }
    // Half of a request, one told twice, one that is no path: a client's header beside the proxy's must not choose.
    for headers in [
        vec![("x-forwarded-uri", "/v1/orders")],
        vec![("x-forwarded-method", "GET")],
        vec![("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders"), ("x-forwarded-uri", "/v1/orders/42")],
        vec![("x-forwarded-method", "GET"), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders")],
        vec![("x-forwarded-method", "GET"), ("x-forwarded-uri", "v1/orders")],
        vec![("x-forwarded-method", "GET"), ("x-forwarded-uri", "http://orders.example/v1/orders")],
    ] {
        let all = [headers.as_slice(), &[("authorization", bearer.as_str())]].concat();
        let answer = send(world.public, "GET", READ, &all, b"").await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("proxy.request")), "{headers:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn only_a_proxy_of_the_api_is_told_anything() {
    let world = World::start().await;
    let token = world.minted().await;
    // No proxy that anybody named: whatever it asks, one answer.
    let strange = ask_with(&world, &token, &[]).await;
    assert_eq!((strange.status, &strange.json()["error"]), (401, &json!("invalid_client")), "{}", strange.text());
    let ignorant = ask_with(&world, "x", &[]).await;
    assert_eq!(strange.shape(), ignorant.shape());
    for proof in ["x", world.assertion("production").as_str(), world.api_proof("sandbox").as_str(), token.as_str()] {
        let answer = ask_with(&world, &token, &[("x-carnet-caller", proof)]).await;
        assert_eq!(answer.shape(), strange.shape(), "{}", answer.text());
    }
    // The API's own workload, once per proof; for its own API alone.
    let proof = world.api_proof("production");
    assert_eq!(ask_with(&world, &token, &[("x-carnet-caller", &proof)]).await.status, 200);
    assert_eq!(ask_with(&world, &token, &[("x-carnet-caller", &proof)]).await.shape(), strange.shape());
    let other = world.api_proof("production");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-carnet-caller", other.as_str())];
    let answer = ask(&world, "/production/verify?api=billing-api&scope=orders:read", &headers).await;
    assert_eq!(answer.shape(), strange.shape());
}

/// I-15: a store that does not answer is no verdict.
#[tokio::test]
async fn without_redis_nobody_is_let_through() {
    let mut world = listing().await;
    let token = world.minted().await;
    assert_eq!(ask_with(&world, &token, &[]).await.status, 200);
    world.redis.as_mut().expect("redis").kill();
    let answer = ask_with(&world, &token, &[]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("temporarily_unavailable")), "{}", answer.text());
}

/// M-24: the certificate that a token is bound to must be that of the connection, as the proxy names it (RFC 9440).
#[tokio::test(flavor = "multi_thread")]
async fn m_24_a_token_bound_to_a_certificate_is_worth_nothing_beside_another() {
    let world = World::with(Options { configuration: LISTED.to_owned(), ..Options::default() }).await;
    let (token, field, other) = crate::certificates::bound_by_proxy(&world).await;
    let ask = async |fields: &[&str]| {
        let more: Vec<(&str, &str)> = fields.iter().map(|field| ("client-cert", *field)).collect();
        ask_with(&world, &token, &more).await
    };
    assert_eq!(ask(&[&field]).await.status, 200);
    for fields in [vec![], vec![other.as_str()]] {
        challenged(&ask(&fields).await, 401, "invalid_token", "token.not-held");
    }
    let forged = format!(":{}:", STANDARD.encode("not a certificate"));
    let unreadable = [
        vec![field.as_str(), other.as_str()],
        vec![field.as_str(), field.as_str()],
        vec!["::"],
        vec![""],
        vec![field.trim_matches(':')],
        vec![forged.as_str()],
    ];
    // S-12: one that cannot be read is no question, for a token that is bound to nothing either.
    let free = world.minted().await;
    for fields in unreadable {
        let more: Vec<(&str, &str)> = fields.iter().map(|field| ("client-cert", *field)).collect();
        for answer in [ask(&fields).await, ask_with(&world, &free, &more).await] {
            assert_eq!(
                (answer.status, &answer.json()["reason"]),
                (400, &json!("proxy.request")),
                "{fields:?}: {}",
                answer.text()
            );
        }
    }
    let as_dpop = format!("DPoP {token}");
    let answer = self::ask(&world, READ, &[("authorization", &as_dpop), ("client-cert", &field)]).await;
    challenged(&answer, 401, "invalid_token", "token.not-held");
}

/// S-12: `verify_callers` may ask, `trusted_proxies` name clients and certificates, and neither list stands for the other.
#[tokio::test(flavor = "multi_thread")]
async fn s_12_who_may_ask_and_who_may_name_a_client_are_two_lists() {
    // A proxy that ends TLS for Carnet itself passes strangers on; they get no verdict for that.
    let trusted = "trusted_proxies = [\"127.0.0.0/8\"]\nverify_callers = [\"10.0.7.0/24\"]\n";
    let world = World::with(Options { configuration: trusted.to_owned(), ..Options::default() }).await;
    let token = world.minted().await;
    let strange = ask_with(&world, &token, &[]).await;
    assert_eq!((strange.status, &strange.json()["error"]), (401, &json!("invalid_client")), "{}", strange.text());
    for (forwarded, status) in [
        ("for=10.0.7.9", 200),
        ("for=203.0.113.9, for=10.0.7.9;proto=https", 200),
        ("for=203.0.113.9", 401),
        ("for=10.0.7.9, for=203.0.113.9", 401),
        ("for=unknown", 401),
        ("for=_hidden", 401),
        ("proto=https", 401),
        ("nonsense", 400),
        ("for=10.0.7.9;for=10.0.7.9", 400),
    ] {
        let answer = ask_with(&world, &token, &[("forwarded", forwarded)]).await;
        assert_eq!(answer.status, status, "{forwarded}: {}", answer.text());
    }
    // On both lists (the contract's example has such networks) a question without Forwarded is the proxy's own.
    let both = "trusted_proxies = [\"127.0.0.0/8\"]\nverify_callers = [\"127.0.0.1/32\", \"10.0.7.0/24\"]\n";
    let world = World::with(Options { configuration: both.to_owned(), ..Options::default() }).await;
    let token = world.minted().await;
    assert_eq!(ask_with(&world, &token, &[]).await.status, 200);
    for (forwarded, status) in [("for=203.0.113.9", 401), ("for=unknown", 401), ("for=10.0.7.9", 200)] {
        assert_eq!(ask_with(&world, &token, &[("forwarded", forwarded)]).await.status, status, "{forwarded}");
    }
    let proof = world.api_proof("production");
    assert_eq!(ask_with(&world, &token, &[("x-carnet-caller", &proof)]).await.status, 200);

    // The other way round: what may ask names no client and no certificate at the token endpoint.
    let world = World::with(Options { configuration: LISTED.to_owned(), ..Options::default() }).await;
    let (token, field, _) = crate::certificates::bound_by_proxy(&world).await;
    assert_eq!(ask_with(&world, &token, &[("client-cert", &field)]).await.status, 200);
    let form = b"grant_type=client_credentials&client_id=globex%2Forder-sync&audience=orders-api&scope=orders%3Aread";
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("client-cert", field.as_str())];
    let answer = send(world.public, "POST", "/production/token", &headers, form).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_client")), "{}", answer.text());
    assert_eq!(ask_with(&world, &world.minted().await, &[("forwarded", "nonsense")]).await.status, 200);
}

/// C-10: Envoy's `ext_authz` sends the method of the request, appends its path and query, and leaves the host as it was.
#[tokio::test]
async fn c_10_a_proxy_that_appends_the_path_is_told_of_that_path() {
    let world = listing().await;
    let token = world.minted().await;
    let bearer = format!("Bearer {token}");
    let ask = async |method: &str, path: &str, more: &[(&str, &str)]| {
        let headers = [&[("authorization", bearer.as_str())], more].concat();
        send(world.public, method, &format!("/production/verify{path}"), &headers, b"").await
    };
    let named = [("x-carnet-api", "orders-api"), ("x-carnet-scope", "orders:read")];
    // By query, as docs/how-to/verify/nginx.md has it; by headers, where the query is the client's.
    for (path, more) in [
        ("/v1/orders/42?api=orders-api&scope=orders:read", &[][..]),
        ("/v1/orders/42", &named),
        ("/v1/orders/42?full=1&flag", &named),
        ("/v1/orders", &named),
        // An API may have parameters of these names: beside the proxy's headers they say nothing, whatever they hold.
        ("/v1/orders?api=v2&scope=all&scope=mine", &named),
        ("/v1/orders?api=billing-api&scope=orders:list", &named),
    ] {
        let answer = ask("GET", path, more).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-carnet-client"), Some("globex/order-sync"));
    }
    // Envoy leaves the host of the API.
    let raw = format!(
        "GET /production/verify/v1/orders HTTP/1.1\r\nhost: orders.example\r\nconnection: close\r\nauthorization: {bearer}\r\n\
         x-carnet-api: orders-api\r\nx-carnet-scope: orders:read\r\ncontent-length: 0\r\n\r\n"
    );
    let answer = crate::world::client::raw(world.public, raw.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Every other method is judged as what it is.
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        challenged(&ask(method, "/v1/orders", &named).await, 403, "insufficient_scope", "access.endpoint");
    }
    assert_eq!(ask("HEAD", "/v1/orders", &named).await.status, 403);
    // D-17: another spelling of a path is another path, and none of them is a route of ours.
    for path in [
        "",
        "/",
        "//v1/orders",
        "/v1//orders",
        "/v1/orders/",
        "/v1/orders//",
        "/v1/./orders",
        "/x/../v1/orders",
        "/v1/orders/..",
        "/v1/orders/42/../../admin",
        "/v1/orders/%2e%2e",
        "/v1/orders/..%2fadmin",
        "/v1/orders%2f42",
        "/%76%31/orders",
        "/v1/orders/42;a=b",
        "/v1/orders/4%5c2",
        "/V1/orders",
        "/../token",
        "/../verify/v1/orders",
        "/production/verify/v1/orders",
    ] {
        let answer = ask("GET", path, &named).await;
        let refused = matches!(answer.status, 400 | 403);
        assert!(refused && answer.header("x-carnet-client").is_none(), "{path}: {}", answer.text());
    }
    // What a client writes into its own request chooses nothing: it agrees with what the proxy says, or there is no verdict.
    for (path, more) in [
        ("/v1/orders?api=orders-api&scope=orders:read&scope=orders:list", &[][..]),
        ("/v1/orders", &[]),
        ("/v1/orders", &named[..1]),
        ("/v1/orders", &named[1..]),
        ("/v1/orders", &[named[0], named[0], named[1]]),
        ("/v1/orders", &[named[0], named[1], ("x-forwarded-uri", "/v1/orders"), ("x-forwarded-uri", "/v1/orders")]),
    ] {
        let answer = ask("GET", path, more).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("proxy.request")), "{path}: {}", answer.text());
    }
    let free = world.exchange("production", &world.assertion("production"), "orders:list").await.json();
    let free = format!("Bearer {}", free["access_token"].as_str().expect("a token"));
    for (path, more) in [
        ("/v1/admin", &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders")][..]),
        ("/v1/admin", &[("x-original-method", "GET"), ("x-original-uri", "/v1/orders")]),
        ("/v1/admin", &[("x-forwarded-uri", "/v1/orders")]),
        ("/v1/admin", &[("x-original-url", "https://orders.example/v1/orders")]),
        ("/v1/orders", &[("x-forwarded-method", "POST")]),
        ("/v1/orders", &[("x-forwarded-uri", "/v1/orders/")]),
    ] {
        let answer = ask("GET", path, &[&named, more].concat()).await;
        challenged(&answer, 403, "insufficient_scope", "access.endpoint");
        // A token without conditions is refused with it: the proxy of that request does not know what it asks.
        let headers = [&[("authorization", free.as_str()), named[0], ("x-carnet-scope", "orders:list")], more].concat();
        let answer = send(world.public, "GET", &format!("/production/verify{path}"), &headers, b"").await;
        challenged(&answer, 403, "insufficient_scope", "access.endpoint");
    }
    for agreed in [
        &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders?x=y")][..],
        &[("x-forwarded-uri", "/v1/orders")],
        &[("x-original-method", "GET")],
    ] {
        assert_eq!(ask("GET", "/v1/orders", &[&named, agreed].concat()).await.status, 200);
    }
    for query in ["access_token=x", "a=b&acc%65ss_token=x", "a=b;access_token=x"] {
        challenged(&ask("GET", &format!("/v1/orders?{query}"), &named).await, 401, "invalid_token", "token.inactive");
    }
    let admin = ask("GET", "/v1/admin?api=orders-api&scope=orders:read", &named).await;
    challenged(&admin, 403, "insufficient_scope", "access.endpoint");
    let other = [named[0], ("x-carnet-scope", "orders:write")];
    let other = ask("GET", "/v1/orders?scope=orders:read", &other).await;
    challenged(&other, 403, "insufficient_scope", "access.scope");
    // A stranger is told nothing, whatever the path.
    let closed = World::start().await;
    let headers = [("authorization", bearer.as_str()), named[0], named[1]];
    assert_eq!(send(closed.public, "PUT", "/production/verify/v1/orders", &headers, b"").await.status, 401);
    // The API's own workload may ask so too.
    let proof = world.api_proof("production");
    let own = [named[0], named[1], ("x-carnet-caller", proof.as_str())];
    assert_eq!(ask("GET", "/v1/orders", &own).await.status, 200);
}

/// C-10: where environments are told apart by host alone, a proxy that leaves the host of the API cannot be served, and is told why.
#[tokio::test]
async fn c_10_environments_on_hosts_of_their_own_are_out_of_reach_for_an_appended_path() {
    let two = "[environments.blue]\nissuer = \"https://blue.example/shared\"\n[environments.green]\nissuer = \"https://green.example/shared\"\n";
    let world = World::with(Options { configuration: format!("{LISTED}{two}"), ..Options::default() }).await;
    let ask = async |host: &str, path: &str| {
        let raw = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        crate::world::client::raw(world.public, raw.as_bytes()).await
    };
    let lost = ask("orders.example", "/shared/verify/v1/orders").await;
    assert_eq!(lost.status, 421, "{}", lost.text());
    assert!(lost.text().contains("give each issuer a path of its own"), "{}", lost.text());
    // By the issuer's host, the question gets there and lacks API and scope; so it does wherever one environment has the path.
    for (host, path) in [("green.example", "/shared/verify/v1/orders"), ("orders.example", "/production/verify/v1/orders")] {
        let found = ask(host, path).await;
        assert_eq!((found.status, &found.json()["reason"]), (400, &json!("proxy.request")), "{}", found.text());
    }
    let other = ask("orders.example", "/shared/jwks").await;
    assert!(other.status == 421 && other.text().contains("This host is not served here"), "{}", other.text());
}

/// C-10: the controller of nginx for Kubernetes says it in headers of its own.
#[tokio::test]
async fn c_10_original_headers_say_the_same_or_nothing() {
    let world = listing().await;
    let bearer = format!("Bearer {}", world.minted().await);
    let url = "https://orders.example/v1/orders/42?a=b";
    for (more, status) in [
        (vec![("x-original-method", "GET"), ("x-original-url", url)], 200),
        (vec![("x-original-method", "GET"), ("x-original-uri", "/v1/orders/42?a=b")], 200),
        (vec![("x-original-method", "DELETE"), ("x-original-url", url)], 403),
        (vec![("x-original-method", "GET"), ("x-original-url", "https://orders.example/v1/admin")], 403),
        (vec![("x-original-method", "GET"), ("x-original-url", "https://orders.example//v1/orders")], 403),
        (vec![("x-original-url", url)], 400),
        (vec![("x-original-method", "GET")], 400),
        (vec![("x-original-method", "GET"), ("x-original-url", "/v1/orders")], 400),
        (vec![("x-original-method", "GET"), ("x-original-url", "https://orders.example")], 400),
        (vec![("x-original-method", "GET"), ("x-original-url", "gopher://orders.example/v1/orders")], 400),
        (vec![("x-original-method", "GET"), ("x-original-url", url), ("x-original-uri", "/v1/orders")], 400),
        (vec![("x-original-method", "GET"), ("x-original-url", url), ("x-original-url", url)], 400),
        (
            vec![
                ("x-original-method", "GET"),
                ("x-original-url", url),
                ("x-forwarded-method", "GET"),
                ("x-forwarded-uri", "/v1/orders"),
            ],
            403,
        ),
        (vec![("x-original-uri", "/v1/orders"), ("x-forwarded-method", "GET")], 400),
        (vec![("x-original-uri", "/v1/orders"), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/orders")], 200),
        (vec![("x-original-uri", "/v1/orders"), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/admin")], 403),
    ] {
        let headers = [more.as_slice(), &[("authorization", bearer.as_str())]].concat();
        let answer = send(world.public, "GET", READ, &headers, b"").await;
        assert_eq!(answer.status, status, "{more:?}: {}", answer.text());
    }
}

fn resource_proof(world: &World, token: &str) -> Value {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    json!({
        "jti": unique(), "htm": "GET", "htu": "https://orders.example/v1/orders/42", "iat": world.clock.seconds(),
        "ath": URL_SAFE_NO_PAD.encode(digest.as_ref()),
    })
}

async fn ask_bound(world: &World, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
    let credential = format!("{scheme} {token}");
    let mut headers =
        vec![("authorization", credential.as_str()), ("x-forwarded-proto", "https"), ("x-forwarded-host", "orders.example")];
    headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
    ask(world, READ, &headers).await
}

/// docs/security/standards.md#dpop-negative-cases at a resource: each must be refused, and a last good request succeeds.
#[tokio::test]
async fn dpop_matrix_at_a_resource() {
    let world = listing().await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let token = bound_token(&world, &holder).await;
    let good = || resource_proof(&world, &token);
    let sign = |claims: &Value| holder.sign(&holder.header(), claims);
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = good();
        claims.as_object_mut().expect("claims").remove(name);
        sign(&claims)
    };
    let now = world.clock.seconds();
    let first = sign(&good());
    assert_eq!(ask_bound(&world, "DPoP", &token, &[&first]).await.status, 200);
    challenged(&ask_bound(&world, "DPoP", &token, &[&first]).await, 401, "invalid_dpop_proof", "dpop.replayed");
    for (row, proof, reason) in [
        ("missing ath", without("ath"), "dpop.malformed"),
        ("missing jti", without("jti"), "dpop.malformed"),
        ("missing htm", without("htm"), "dpop.malformed"),
        ("missing htu", without("htu"), "dpop.malformed"),
        ("missing iat", without("iat"), "dpop.malformed"),
        ("wrong ath", with("ath", json!(URL_SAFE_NO_PAD.encode([7; 32]))), "dpop.other-request"),
        ("wrong htm", with("htm", "POST".into()), "dpop.other-request"),
        ("another path", with("htu", "https://orders.example/v1/orders/43".into()), "dpop.other-request"),
        ("another host", with("htu", "https://evil.example/v1/orders/42".into()), "dpop.other-request"),
        ("another scheme", with("htu", "http://orders.example/v1/orders/42".into()), "dpop.other-request"),
        ("an hour ahead", with("iat", json!(now + 3600)), "dpop.stale"),
        ("an hour behind", with("iat", json!(now - 3600)), "dpop.stale"),
        ("not a JWT", "x".into(), "dpop.malformed"),
        ("another key's signature", thief.sign(&holder.header(), &good()), "dpop.signature"),
    ] {
        let answer = ask_bound(&world, "DPoP", &token, &[&proof]).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (401, &json!(reason)), "{row}: {}", answer.text());
        challenged(&answer, 401, "invalid_dpop_proof", reason);
    }
    // A proof that was refused for the scope was not used up.
    let (credential, again) = (format!("DPoP {token}"), sign(&good()));
    let narrow = [
        ("authorization", credential.as_str()),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "orders.example"),
        ("dpop", again.as_str()),
    ];
    let write = ask(&world, "/production/verify?api=orders-api&scope=orders:write", &narrow).await;
    challenged(&write, 403, "insufficient_scope", "access.scope");
    assert_eq!(ask(&world, READ, &narrow).await.status, 200);
    let two = ask_bound(&world, "DPoP", &token, &[&sign(&good()), &sign(&good())]).await;
    challenged(&two, 401, "invalid_dpop_proof", "dpop.malformed");
    // A key of the caller's own, no proof at all, and the token as a bearer token.
    let thiefs = thief.sign(&thief.header(), &good());
    challenged(&ask_bound(&world, "DPoP", &token, &[&thiefs]).await, 401, "invalid_token", "token.not-held");
    challenged(&ask_bound(&world, "DPoP", &token, &[]).await, 401, "invalid_token", "token.not-held");
    challenged(&ask_bound(&world, "Bearer", &token, &[]).await, 401, "invalid_token", "token.not-held");
    challenged(&ask_bound(&world, "Bearer", &token, &[&sign(&good())]).await, 401, "invalid_token", "token.not-held");
    let bearer = world.minted().await;
    let beside = sign(&resource_proof(&world, &bearer));
    challenged(&ask_bound(&world, "DPoP", &bearer, &[&beside]).await, 401, "invalid_token", "token.not-held");
    // What is spelled otherwise and means the same.
    for (row, proof) in [
        ("a query and a fragment", with("htu", "https://orders.example/v1/orders/42?a=b#c".into())),
        ("upper case", with("htu", "HTTPS://Orders.Example/v1/orders/42".into())),
        ("a default port", with("htu", "https://orders.example:443/v1/orders/42".into())),
        ("a nonce of somebody's", with("nonce", "x".into())),
        ("ten seconds ahead", with("iat", json!(now + 10))),
        ("more members", with("more", json!([1]))),
        ("plain", sign(&good())),
    ] {
        let answer = ask_bound(&world, "dpop", &token, &[&proof]).await;
        assert_eq!(answer.status, 200, "{row}: {}", answer.text());
    }
}

/// S-9: DPoP proofs that a proxy shows for a client take from a bucket of that client's own, and one over it leaves nothing.
#[tokio::test]
async fn s_9_proofs_at_a_resource_have_a_bucket_of_their_own() {
    let world = listing().await;
    let holder = Holder::new();
    let token = bound_token(&world, &holder).await;
    let show = async || {
        let proof = holder.sign(&holder.header(), &resource_proof(&world, &token));
        ask_bound(&world, "DPoP", &token, &[&proof]).await
    };
    assert_eq!(show().await.status, 200);
    // It holds 6000 a minute, too many to send: a value that is no number counts as an empty bucket.
    let redis = world.redis.as_ref().expect("redis");
    redis.command(&["SET", "carnet:{production}:quota:possession:globex/order-sync", "x"]);
    let seen = || redis.command(&["KEYS", "carnet:{seen:*"]).lines().count();
    let before = seen();
    let over = show().await;
    assert_eq!((over.status, &over.json()["reason"]), (429, &json!("quota.exceeded")), "{}", over.text());
    assert_eq!((over.header("retry-after"), seen()), (Some("1"), before));
    // Exchanges have another one, and a second brings a hundred back.
    world.minted().await;
    world.advance(2).await;
    assert_eq!(show().await.status, 200);
}

/// A token that may ask about others is worth as much as they are: bound, it needs its key at introspection too.
#[tokio::test]
async fn a_bound_token_asks_only_with_its_key() {
    let world = World::start().await;
    let usual = records::usual(&world.partner.issuer);
    let asks = usual.replacen(
        "        - scope: orders:list\n",
        "        - scope: orders:list\n      carnet: [carnet:introspect]\n",
        1,
    );
    assert_ne!(asks, usual);
    world.onboard(&asks).await;
    let token = world.minted().await;
    let holder = Holder::new();
    let asking = crate::possession::bound_token_for(&world, &holder, "carnet", "carnet:introspect").await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, asking.as_bytes());
    let proof = || {
        let claims = json!({
            "jti": unique(), "htm": "POST", "htu": format!("{}/introspect", world.issuer("production")),
            "iat": world.clock.seconds(), "ath": URL_SAFE_NO_PAD.encode(digest.as_ref()),
        });
        holder.sign(&holder.header(), &claims)
    };
    let ask = async |scheme: &str, proofs: &[&str]| {
        let credential = format!("{scheme} {asking}");
        let mut headers = vec![("authorization", credential.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        send(world.public, "POST", "/production/introspect", &headers, format!("token={token}").as_bytes()).await
    };
    for (scheme, proofs) in [("Bearer", vec![]), ("DPoP", vec![]), ("Bearer", vec![proof()])] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        assert_eq!(ask(scheme, &proofs).await.status, 401, "{scheme} {proofs:?}");
    }
    // An unbound one asks as it is, and not with the twin of its signature.
    let answer = world
        .token(
            "production",
            &[
                ("grant_type", crate::world::TOKEN_EXCHANGE),
                ("subject_token", &world.assertion("production")),
                ("subject_token_type", crate::world::TYPE_JWT),
                ("audience", "carnet"),
                ("scope", "carnet:introspect"),
            ],
        )
        .await;
    let unbound = answer.json()["access_token"].as_str().expect("a token").to_owned();
    for (bearer, status) in [(twin(&unbound), 401), (unbound, 200)] {
        let credential = format!("Bearer {bearer}");
        let headers = [("authorization", credential.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let told = send(world.public, "POST", "/production/introspect", &headers, format!("token={token}").as_bytes()).await;
        assert_eq!(told.status, status, "{}", told.text());
    }
    let good = proof();
    let answer = ask("DPoP", &[&good]).await;
    assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{}", answer.text());
    assert_ne!(ask("DPoP", &[&good]).await.status, 200, "once");
}
