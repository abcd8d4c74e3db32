//! The admin API (`/v1`, docs/reference/admin-api.md): what security teams, owners and operators do, and what auditors read.
//!
//! Enter through [`routes`]. A handler takes an [`Admitted`] of the permission that it needs: who forgot the check does not
//! compile. Here JSON becomes a call of the broker and its outcome JSON again; every rule is below.
//!
//! Not here yet: recertification, offboarding; their paths are answered 404 like any other.

mod admitted;
pub mod approvals;
mod certificates;
pub mod elevations;
mod evidence;
mod gate;
mod idempotency;
pub mod input;
mod issuers;
mod keys;
mod missing;
mod passkeys;
mod past;
pub mod people;
mod problem;
mod records;
mod registry;
mod revocations;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;

use crate::broker::Broker;
use crate::http::cached::{self, Kept};

pub use admitted::Admitted;
pub use problem::Problem;

/// The description of this API (OpenAPI 3.1), as it stands beside the code; a test holds it to [`ROUTES`].
pub const OPENAPI: &str = include_str!("openapi.json");

/// The routes, once for the router and once for whoever compares them with the description.
macro_rules! routes {
    ($($path:literal: $($method:ident $handler:path),+;)+) => {
        /// Every route with its method.
        pub const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),+];

        fn table() -> Router<Broker> {
            Router::new()$(.route($path, MethodRouter::new()$(.$method($handler))+))+
        }
    };
}

routes! {
    "/openapi.json": get description;
    "/v1/approvals": get approvals::list;
    "/v1/approvals/{id}": get approvals::one;
    "/v1/approvals/{id}/reviews": post approvals::review;
    "/v1/authorities": get certificates::authorities;
    "/v1/authorities/{environment}/rotate": post certificates::rotate;
    "/v1/can-i": get evidence::can_i;
    "/v1/certificates": get certificates::list;
    "/v1/elevations": get elevations::list, post elevations::ask;
    "/v1/elevations/{id}": get elevations::one;
    "/v1/elevations/{id}/end": post elevations::end;
    "/v1/elevations/{id}/reviews": post elevations::review;
    "/v1/enrolments": post certificates::ask;
    "/v1/explain/{request}": get evidence::explain;
    "/v1/integrations": get registry::integrations;
    "/v1/integrations/{p}/{i}": get registry::integration;
    "/v1/integrations/{p}/{i}/resume": post registry::resume_integration;
    "/v1/integrations/{p}/{i}/submit": post registry::submit;
    "/v1/integrations/{p}/{i}/suspend": post registry::suspend_integration;
    "/v1/issuers/probe": post issuers::probe;
    "/v1/journal": get evidence::entries;
    "/v1/journal/at": get past::at;
    "/v1/journal/checkpoint": get evidence::checkpoint;
    "/v1/journal/proof": get evidence::proof;
    "/v1/keys": get keys::list;
    "/v1/keys/{environment}/rotate": post keys::rotate;
    "/v1/keys/{environment}/taint": post keys::taint;
    "/v1/passkeys": get passkeys::list;
    "/v1/passkeys/{id}/revoke": post passkeys::revoke;
    "/v1/partners": get registry::partners;
    "/v1/partners/{p}": get registry::partner;
    "/v1/partners/{p}/resume": post registry::resume_partner;
    "/v1/partners/{p}/suspend": post registry::suspend_partner;
    "/v1/records/apply": post records::apply;
    "/v1/records/plan": post records::plan;
    "/v1/revocations": get revocations::list, post revocations::revoke;
    "/v1/revocations/{id}": get revocations::one;
    "/v1/revocations/{id}/lift": post revocations::lift;
    "/v1/staff/{id}/cut": post people::cut;
    "/v1/tokens/{id}": get evidence::token;
    "/v1/webhooks": get webhooks::list;
    "/v1/webhooks/{name}/replay": post webhooks::replay;
    "/v1/whoami": get people::whoami;
}

/// The routes of the admin API.
pub fn routes(broker: Broker) -> Router {
    let gate = Arc::new(gate::Gate::new(broker.clone()));
    // Inside the gate: an answer that is kept says it, too.
    table().route_layer(from_fn(missing::named)).route_layer(from_fn_with_state(gate, gate::pass)).with_state(broker)
}

/// `GET /openapi.json`: what the API is, of no house in particular; the one route without a bearer.
async fn description(headers: HeaderMap) -> Response {
    cached::document(&headers, Kept { media: "application/json", control: "no-cache" }, OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::from_str(OPENAPI).expect("JSON")
    }

    #[test]
    fn a_01_the_description_has_exactly_the_routes() {
        let mut found = BTreeSet::new();
        for (path, methods) in described()["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                assert!(found.insert((method.clone(), path.clone())));
                let named = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
                let named: Vec<_> = named.map(|one| format!("{{{}}}", one["name"].as_str().expect("a name"))).collect();
                let parts: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
                assert_eq!(named, parts, "{method} {path}");
                let is_open = operation["security"] == Value::Array(Vec::new());
                assert_eq!(operation["x-roles"].is_array(), !is_open, "{method} {path}");
                assert_eq!(is_open, path == "/openapi.json");
            }
        }
        let built: BTreeSet<_> = ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(found, built);
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let described = described();
        let mut found = BTreeSet::new();
        references(&described, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            assert!(reference.strip_prefix('#').and_then(|pointer| described.pointer(pointer)).is_some(), "{reference}");
        }
    }
}
