//! Carnet: a credential broker for partner workloads.
pub mod authn;
pub mod config;
pub mod domain;
pub mod http;
pub mod outbound;
pub mod revocation;
pub mod server;
pub mod telemetry;
