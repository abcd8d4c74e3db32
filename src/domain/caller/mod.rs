//! Callers: a verified proof, the SPIFFE ID of a workload, and the conditions of a binding on claims.

pub mod conditions;
pub mod proof;
pub mod spiffe;
