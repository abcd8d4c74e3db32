//! The services around `carnet dev`: an issuer of demo workloads, an identity provider of demo staff, and a demo API, all on one
//! loopback socket, so that the first token needs no account anywhere.
//!
//! Whoever reaches this socket may have a proof of any demo workload and a bearer of any demo person: it is a toy's front door, on
//! a broker whose keys, journal and people are toys too. `serve` never mounts it. The API beside it is no toy in one respect: it
//! verifies tokens as an API should, by JWKS and introspection over the wire.

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
