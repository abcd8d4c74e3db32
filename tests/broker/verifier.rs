//! An API that embeds the verifier: axum behind the layer, keys over HTTP, revocations by Redis and by introspection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::{get, patch};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::domain::value::clock::{Clock, Seconds, Timestamp};
use carnet::domain::value::names::{EnvironmentName, TokenId};
use carnet::domain::value::scope::{Scope, ScopeSet};
use carnet::verifier::keys::{Answer as Future, Fetch, Keys};
use carnet::verifier::layer::Layer;
use carnet::verifier::liveness::{ByIndex, ByIntrospection, Index, Introspect, Lines, Liveness};
use carnet::verifier::{Access, Policy, Verifier};
use serde_json::{Value, json};

use crate::possession::{Holder, bound_token};
use crate::world::client::unique;
use crate::world::{Answer, Options, World, claims, post_form, send};

/// `ISSUER/jwks`.
struct Published(SocketAddr);
impl Fetch for Published {
    fn fetch(&self) -> Future<'_, Option<Vec<u8>>> {
        Box::pin(async {
            let answer = crate::world::get(self.0, "/production/jwks").await;
            (answer.status == 200).then_some(answer.body)
        })
    }
}

/// The documented pipeline, with redis-rs.
struct Lining(redis::aio::ConnectionManager);
impl Index for Lining {
    fn lines<'a>(
        &'a self,
        environment: &'a EnvironmentName,
        id: &'a TokenId,
        members: Vec<String>,
    ) -> Future<'a, Option<Lines>> {
        Box::pin(async move {
            let mut connection = self.0.clone();
            let (complete, revoked, before): (Option<i64>, Option<f64>, Vec<Option<f64>>) = redis::pipe()
                .atomic()
                .hget(format!("carnet:{{{environment}}}:complete"), "time")
                .zscore(format!("carnet:{{{environment}}}:revoked"), id.as_str())
                .zscore_multiple(format!("carnet:{{{environment}}}:before"), &members)
                .query_async(&mut connection)
                .await
                .ok()?;
            let before = before.into_iter().flatten().map(|line| line as u64).collect();
            Some(Lines { complete, revoked: revoked.is_some(), before })
        })
    }
}

/// `ISSUER/introspect`, each time with a fresh proof of the API's own workload.
struct Asking {
    public: SocketAddr,
    proof: Box<dyn Fn() -> String + Send + Sync>,
}
impl Introspect for Asking {
    fn is_active<'a>(&'a self, token: &'a str) -> Future<'a, Option<bool>> {
        Box::pin(async move {
            let proof = (self.proof)();
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let form = [("token", token), ("client_assertion_type", kind), ("client_assertion", proof.as_str())];
            let answer = post_form(self.public, "/production/introspect", &form).await;
            if answer.status == 200 { answer.json()["active"].as_bool() } else { None }
        })
    }
}

struct Wall;
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        Timestamp::from_seconds(i64::try_from(since.as_secs()).expect("a time")).expect("a time")
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::UNIX_EPOCH.elapsed().expect("after 1970")
    }
}

/// An API on a port of its own.
async fn api(world: &World, liveness: Arc<dyn Liveness>) -> SocketAddr {
    let policy = Policy {
        issuer: world.issuer("production").parse().expect("an issuer"),
        environment: "production".parse().expect("a name"),
        api: "orders-api".parse().expect("a name"),
        audience: "https://orders.example".parse().expect("an audience"),
        typ: "at+jwt",
        leeway: Seconds(30),
    };
    let verifier = Arc::new(Verifier::new(policy, Keys::new(Published(world.public)), liveness, Arc::new(Wall)));
    let guard = |scope: &str| {
        let scope: ScopeSet = [scope.parse::<Scope>().expect("a scope")].into_iter().collect();
        Layer::new(Arc::clone(&verifier), scope).at("https://orders.example")
    };
    let whose = |Extension(access): Extension<Access>| async move { access.client.to_string() };
    let router = Router::new()
        .route("/v1/orders/{id}", get(whose).layer(guard("orders:read")))
        .route("/v1/orders", get(whose).layer(guard("orders:list")))
        .route("/v1/orders/{id}/status", patch(whose).layer(guard("orders:write")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn call(api: SocketAddr, method: &str, path: &str, token: &str) -> Answer {
    send(api, method, path, &[("authorization", format!("Bearer {token}").as_str())], b"").await
}

/// What an API behind the layer serves, whatever way it learns of revocations.
async fn guards(world: &World, api: SocketAddr) {
    let token = world.minted().await;
    let answer = call(api, "GET", "/v1/orders/42", &token).await;
    assert_eq!((answer.status, answer.text().contains("globex/order-sync")), (200, true), "{}", answer.text());
    let write = call(api, "PATCH", "/v1/orders/42/status", &token).await;
    assert_eq!((write.status, write.header("cache-control")), (403, Some("no-store")), "{}", write.text());
    assert!(write.header("www-authenticate").expect("a challenge").contains("scope=\"orders:write\""));
    let listed = world.exchange("production", &world.assertion("production"), "orders:list orders:read").await.json();
    let both = listed["access_token"].as_str().expect("a token");
    assert_eq!(call(api, "GET", "/v1/orders", both).await.status, 200, "admitted by the conditions of orders:read");
    for (path, headers) in [("/v1/orders/42", vec![]), ("/v1/orders/42?access_token=x", vec![("authorization", "Bearer x")])] {
        let answer = send(api, "GET", path, &headers, b"").await;
        assert!(matches!(answer.status, 400 | 401), "{path}: {}", answer.text());
    }
    // Another environment's token, with the other environment's key.
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await.json();
    assert_eq!(call(api, "GET", "/v1/orders/42", sandbox["access_token"].as_str().expect("a token")).await.status, 401);

    // DPoP at the API itself.
    let holder = Holder::new();
    let bound = bound_token(world, &holder).await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bound.as_bytes());
    let proof = holder.sign(
        &holder.header(),
        &json!({
            "jti": unique(), "htm": "GET", "htu": "https://orders.example/v1/orders/42", "iat": world.clock.seconds(),
            "ath": URL_SAFE_NO_PAD.encode(digest.as_ref()),
        }),
    );
    assert_eq!(call(api, "GET", "/v1/orders/42", &bound).await.status, 401, "as a bearer token");
    let credential = format!("DPoP {bound}");
    let headers = [("authorization", credential.as_str()), ("dpop", proof.as_str())];
    assert_eq!(send(api, "GET", "/v1/orders/42", &headers, b"").await.status, 200);
    assert_eq!(send(api, "GET", "/v1/orders/42", &headers, b"").await.status, 401, "once");

    // What an elevation gives is served while it runs, and not a moment after its end was acknowledged (or introspection asked again).
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "10m", "reason": "order 42 is stuck",
    });
    let asked = world.admin_post("/v1/elevations", "olga", &wish).await.json();
    let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
    let word = json!({"verdict": "approve", "reason": "seen", "version": asked["version"]});
    assert_eq!(world.admin_post(&format!("{path}/reviews"), "sven", &word).await.status, 200);
    let elevated = world.exchange("production", &world.assertion("production"), "orders:write").await.json();
    let elevated = elevated["access_token"].as_str().expect("a token");
    assert_eq!(call(api, "PATCH", "/v1/orders/42/status", elevated).await.status, 200);
    assert_eq!(world.admin_post(&format!("{path}/end"), "sara", &json!({"reason": "done"})).await.status, 200);
    let since = Instant::now();
    while call(api, "PATCH", "/v1/orders/42/status", elevated).await.status != 401 {
        assert!(since.elapsed() < Duration::from_secs(4), "the end of an elevation is not seen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Revoked by its id, and by what it was made from.
    let revoke = async |body: Value, token: &str| {
        assert_eq!(world.admin_post("/v1/revocations", "sven", &body).await.status, 201);
        let since = Instant::now();
        while call(api, "GET", "/v1/orders/42", token).await.status != 401 {
            assert!(since.elapsed() < Duration::from_secs(4), "{body}: still served");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    };
    let one = revoke(json!({"token": claims(&token)["jti"], "reason": "leaked"}), &token).await;
    let whole = json!({"binding": "globex/order-sync/production/ci-main", "tokensOnly": true, "reason": "leaked"});
    let other = world.minted().await;
    assert_eq!(call(api, "GET", "/v1/orders/42", &other).await.status, 200);
    let two = revoke(whole, &other).await;
    // Introspection is believed for two seconds, by a clock of whole seconds.
    assert!(one < Duration::from_millis(3300) && two < Duration::from_millis(3300), "{one:?} {two:?}");
}

async fn world() -> World {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    world.follow_the_wall();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_learns_of_revocations_from_redis_within_a_second_and_serves_nobody_without_it() {
    let mut world = world().await;
    let client = redis::Client::open(world.redis.as_ref().expect("redis").url.as_str()).expect("a client");
    let settings = redis::aio::ConnectionManagerConfig::new()
        .set_response_timeout(Some(Duration::from_millis(500)))
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_number_of_retries(1);
    let manager = redis::aio::ConnectionManager::new_with_config(client, settings).await.expect("connects");
    let api = api(&world, Arc::new(ByIndex(Lining(manager)))).await;
    guards(&world, api).await;
    let token = world.minted().await;
    assert_eq!(call(api, "GET", "/v1/orders/42", &token).await.status, 200);
    let revoke = json!({"token": claims(&token)["jti"], "reason": "leaked"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    assert_eq!(call(api, "GET", "/v1/orders/42", &token).await.status, 401, "at once: it was acknowledged");
    let other = world.minted().await;
    assert_eq!(call(api, "GET", "/v1/orders/42", &other).await.status, 200);
    world.redis.as_mut().expect("redis").kill();
    let answer = call(api, "GET", "/v1/orders/42", &other).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_learns_of_revocations_by_introspection_within_two_seconds() {
    let mut world = world().await;
    let (key, issuer, audience) = (world.partner.key.clone(), world.partner.issuer.clone(), world.issuer("production"));
    let proof = move || {
        let now = Wall.now().as_seconds();
        let header = json!({"alg": "ES256", "kid": key.kid().as_str(), "typ": "JWT"}).to_string();
        let claims = json!({
            "iss": issuer, "sub": "system:serviceaccount:orders:api", "aud": audience, "exp": now + 300, "iat": now, "jti": unique(),
        });
        crate::world::issuer::sign(&key, &header, &claims.to_string())
    };
    let asking = Asking { public: world.public, proof: Box::new(proof) };
    let api = api(&world, Arc::new(ByIntrospection::new(asking))).await;
    guards(&world, api).await;
    let token = world.minted().await;
    assert_eq!(call(api, "GET", "/v1/orders/42", &token).await.status, 200);
    let next = world.minted().await;
    world.redis.as_mut().expect("redis").kill();
    assert_eq!(call(api, "GET", "/v1/orders/42", &next).await.status, 503, "a broker that cannot say is no yes");
    world.stop().await;
}
