//! The admin API (docs/reference/admin-api.md), for security teams, owners, operators and auditors.
//!
//! Enter through [`routes`]. A handler takes an [`Admitted`] of the permission that it needs; a handler without that check is
//! described as open, and the tests refuse it. This module turns JSON into a call of the broker and the outcome into JSON;
//! every rule is in the layers below.
//!
//! # Add an admin route
//!
//! 1. The file of the resource, such as `webhooks.rs`: the handler, and a line in its `routes()` with path, name, one sentence and
//!    handler, and with `.names(…)` where the path has a variable part. The arguments give the rest: [`Admitted<P>`](Admitted) the
//!    roles, [`input::Page`] or [`input::Asked`] the query, [`input::Sent`] the body. So does the answer: `Json`, `Created`,
//!    `Accepted`, `NoContent`, `Listed`, each of a struct with `Serialize` and `ToSchema`, whose doc comments are the description.
//! 2. For a new resource: `mod` and the line in [`table`] here.
//! 3. A test in `tests/broker`; its client checks every answer against the description.
//!
//! The router, `/openapi.json`, the tests' matrix of routes and roles, and the words of a 404 all come from that line.

mod activity;
mod admitted;
mod answer;
mod approvals;
pub mod asked;
mod at_work;
mod certificates;
mod configuration;
mod describe;
mod directory;
mod document;
mod drift;
mod elevations;
mod environments;
mod evidence;
mod exceptions;
mod formats;
mod gate;
mod guardrails;
mod idempotency;
pub mod input;
mod inventory;
mod issuers;
mod journal;
mod keys;
mod missing;
mod nodes;
mod offboardings;
mod passkeys;
mod past;
mod people;
mod problem;
mod records;
mod registry;
mod reviews;
mod revocations;
mod route;
pub mod signals;
mod suggestions;
mod suspensions;
mod texts;
mod ways_in;
mod webhooks;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;

use self::answer::Written;
use self::document::Document;
use self::route::{Route, get};
use crate::broker::Broker;
use crate::http::cached::{self, Kept};

pub use admitted::Admitted;
pub use problem::Problem;

/// All routes: the only source of the router, the description and the tests.
fn table() -> Vec<Route> {
    let resources = [
        vec![get("/openapi.json", "description", "This description", description)],
        activity::routes(),
        approvals::routes(),
        certificates::routes(),
        configuration::routes(),
        directory::routes(),
        drift::routes(),
        elevations::routes(),
        environments::routes(),
        evidence::routes(),
        exceptions::routes(),
        offboardings::routes(),
        formats::routes(),
        guardrails::routes(),
        issuers::routes(),
        journal::routes(),
        keys::routes(),
        passkeys::routes(),
        past::routes(),
        people::routes(),
        records::routes(),
        registry::routes(),
        reviews::routes(),
        revocations::routes(),
        signals::routes(),
        suggestions::routes(),
        suspensions::routes(),
        texts::routes(),
        ways_in::routes(),
        webhooks::routes(),
        nodes::routes(),
    ];
    resources.into_iter().flatten().collect()
}

/// The description as it is served. It is made once: it depends on the program alone.
pub static OPENAPI: LazyLock<String> = LazyLock::new(|| document::of(table()));

/// Every route with its method.
pub fn listed() -> Vec<(&'static str, &'static str)> {
    table().iter().map(|route| (route.method, route.path)).collect()
}

/// The routes of the admin API.
pub fn routes(broker: Broker) -> Router {
    let gate = Arc::new(gate::Gate::new(broker.clone()));
    let router = table().into_iter().fold(Router::new(), |router, route| route.mount(router));
    // The routes are inside the gate, so an answer that is stored is complete.
    router.route_layer(from_fn_with_state(gate, gate::pass)).with_state(broker)
}

/// `GET /openapi.json`: describes the API and no particular installation. The one open route.
async fn description(headers: HeaderMap) -> Result<Written<Document>, Problem> {
    let kept = Kept { media: "application/json", control: "no-cache" };
    Ok(Written::as_is(cached::document(&headers, kept, OPENAPI.as_str())))
}
