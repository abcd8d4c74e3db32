//! Elevations that are tied to a ticket: agreed to while it is open, ended when it is closed, and worth nothing while nobody knows.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::webhooks::until;
use crate::world::{Answer, World, records};

/// A ticket system: the state of its one ticket, or no answer at all.
type Tracker = Arc<Mutex<Option<&'static str>>>;

async fn ticket(State(tracker): State<Tracker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer tracker-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let state = *tracker.lock().expect("the tracker");
    match state {
        None => StatusCode::BAD_GATEWAY.into_response(),
        Some(_) if id != "INC-7" => StatusCode::NOT_FOUND.into_response(),
        Some(state) => axum::Json(json!({"key": id, "fields": {"summary": "Orders are\nstuck", "status": {"name": state}}}))
            .into_response(),
    }
}

/// A world with such a system, and a record that ties `orders:write` to it.
async fn world() -> (World, Tracker) {
    let tracker: Tracker = Arc::new(Mutex::new(Some("open")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    let router = axum::Router::new().route("/api/tickets/{id}", axum::routing::get(ticket)).with_state(Arc::clone(&tracker));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut world = World::start().await;
    world.onboard(&records::usual(&world.partner.issuer).replace("require: [reason]", "require: [open-ticket]")).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(world.folder.path().join("tracker"), "tracker-token\n").expect("written");
    let text = text.replace("[outbound]\n", &format!("[outbound]\ntickets = [\"{origin}\"]\n"));
    let section = format!(
        "[tickets]\nurl = \"{origin}/api/tickets/{{ticket}}\"\ntoken_file = \"tracker\"\npointer = \"/fields/status/name\"\ntitle = \"/fields/summary\"\nopen = [\"open\", \"in progress\"]\n"
    );
    std::fs::write(&file, text + &section).expect("written");
    world.boot().await;
    (world, tracker)
}

async fn ask(world: &World, ticket: &str) -> Answer {
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "x", "ticket": ticket,
    });
    world.admin_post("/v1/elevations", "olga", &wish).await
}

async fn approve(world: &World, asked: &Value) -> Answer {
    let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
    let version = world.admin_get(&path, "alan").await["version"].clone();
    let word = json!({"verdict": "approve", "reason": "x", "version": version});
    world.admin_post(&format!("{path}/reviews"), "sven", &word).await
}

async fn exchange(world: &World) -> Answer {
    world.exchange("production", &world.assertion("production"), "orders:write").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_ticket_ends_its_elevation_within_five_seconds() {
    let (world, tracker) = world().await;
    let set = |state: Option<&'static str>| *tracker.lock().expect("the tracker") = state;
    let missing = ask(&world, "INC-8").await.json();
    let refused = approve(&world, &missing).await;
    assert_eq!((refused.status, &refused.json()["reason"]), (409, &json!("elevation.ticket-closed")), "{}", refused.text());
    // Not somebody else's path.
    let sly = ask(&world, "../tickets/INC-7").await.json();
    assert_eq!(approve(&world, &sly).await.json()["reason"], "elevation.ticket-closed");
    let asked = ask(&world, "INC-7").await.json();
    // The approver sees how it stands, and what it is about.
    let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
    assert_eq!(world.admin_get(&path, "sven").await["ticketState"], "open: Orders arestuck");
    for (state, status, reason) in [(None, 503, "elevation.ticket-unknown"), (Some("done"), 409, "elevation.ticket-closed")] {
        set(state);
        let refused = approve(&world, &asked).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (status, &json!(reason)), "{}", refused.text());
    }
    set(Some("in progress"));
    let approved = approve(&world, &asked).await;
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("active")), "{}", approved.text());
    let answer = exchange(&world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();

    // Nobody says that it is open: no token, and nothing has ended.
    set(None);
    let before = world.issued().await;
    until("nobody knows", async || exchange(&world).await.json()["reason"] == "elevation.ticket-unknown").await;
    let refused = exchange(&world).await;
    assert_eq!((refused.status, &refused.json()["error"]), (503, &json!("temporarily_unavailable")), "{}", refused.text());
    let during = world.issued().await;
    exchange(&world).await;
    assert_eq!(world.issued().await, during);
    assert!(during >= before);
    set(Some("open"));
    until("it goes on", async || exchange(&world).await.status == 200).await;

    set(Some("done"));
    let closed = Instant::now();
    until("it is cut", async || world.introspect("production", &token).await.json() == json!({"active": false})).await;
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
    assert_eq!(exchange(&world).await.json()["reason"], "scope.needs-elevation");
    let shown = world.admin_get(&format!("/v1/elevations/{}", asked["id"].as_str().expect("an id")), "alan").await;
    assert_eq!((&shown["state"], &shown["ended"]["by"]), (&json!("ended"), &json!("broker")), "{shown}");
    // Opened again, it does not come back.
    set(Some("open"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(exchange(&world).await.json()["reason"], "scope.needs-elevation");
}

/// Where no ticket system is configured, what is tied to one is never given.
#[tokio::test]
async fn without_a_ticket_system_nothing_that_is_tied_is_given() {
    let world = World::start().await;
    world.onboard(&records::usual(&world.partner.issuer).replace("require: [reason]", "require: [open-ticket]")).await;
    let asked = ask(&world, "INC-7").await.json();
    let refused = approve(&world, &asked).await;
    assert_eq!((refused.status, &refused.json()["reason"]), (503, &json!("elevation.ticket-unknown")), "{}", refused.text());
}
