//! The fields of each map of a record: one file for each noun, each field stated once.

pub(super) mod access;
pub(super) mod api;
pub(super) mod binding;
pub(super) mod elevation;
pub(super) mod guardrail;
pub(super) mod integration;
mod managed;
pub(super) mod partner;
pub(super) mod preset;
pub(super) mod rule;
pub(super) mod scopes;
