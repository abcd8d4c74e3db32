//! Carnet: a credential broker for partner workloads.
pub mod domain;
pub mod journal;
