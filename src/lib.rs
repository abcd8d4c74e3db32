//! Carnet: a credential broker for partner workloads.
pub mod authn;
pub mod broker;
pub mod cli;
pub mod config;
pub mod dev;
pub mod domain;
pub mod http;
pub mod issuance;
pub mod journal;
pub mod outbound;
pub mod revocation;
pub mod serve;
pub mod server;
pub mod telemetry;
