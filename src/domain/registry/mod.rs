//! The registry: APIs, partners and integrations with their bindings, their life cycle, and the approvals that they wait for.

pub mod api;
pub mod approval;
pub mod binding;
pub mod binding_index;
pub mod claim_index;
pub mod conditions;
pub mod date;
pub mod differing;
pub mod environment;
pub mod evidence;
pub mod framework;
pub mod guardrail;
pub mod integration;
pub mod lifecycle;
pub mod managed;
pub mod offboarding;
pub mod partner;
pub mod phase;
pub mod preset;
pub mod recertification;
mod share;
pub mod signal;
pub mod stop;
pub mod suspension;
pub mod workload;
