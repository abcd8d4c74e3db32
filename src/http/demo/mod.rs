//! The demo services of `carnet dev`, so that the first token needs no account anywhere.
//!
//! They are an issuer of demo workloads, an identity provider of demo staff, and a demo API, all on one loopback socket.
//!
//! Any client that reaches this socket can get a token of any demo workload and of any demo person. The keys, journal and
//! people of that broker are for demonstration too, and `serve` never mounts these routes. The demo API verifies tokens as a
//! real API should, by JWKS and introspection over the wire.

mod issuer;
mod orders;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

pub use issuer::{DemoIssuer, Kind, PEOPLE, WORKLOAD_REPOSITORY};
pub use orders::{Introspect, Orders};
pub use sign_in::{CONSOLE, SignIn};

/// The routes of the demo socket.
pub fn routes(workloads: Arc<DemoIssuer>, staff: Arc<DemoIssuer>, sign_in: Arc<SignIn>, orders: Arc<Orders>) -> Router {
    Router::new()
        .merge(issuer::routes("/workloads", workloads, MethodRouter::new()))
        .merge(issuer::routes("/staff", staff, sign_in::taken(Arc::clone(&sign_in))))
        .merge(sign_in::routes("/staff", sign_in))
        .merge(orders::routes(orders))
}
