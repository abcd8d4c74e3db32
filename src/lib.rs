//! Carnet: a credential broker for partner workloads.
pub mod authn;
pub mod domain;
pub mod outbound;
