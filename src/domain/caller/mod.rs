//! Callers: verified proofs, SPIFFE IDs of workloads, and conditions on claims.

pub mod conditions;
pub mod proof;
pub mod spiffe;
