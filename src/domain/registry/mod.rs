//! Records in force: APIs, partners, integrations with their bindings, and the indexes that find them.

pub mod api;
pub mod binding;
pub mod binding_index;
pub mod candidates;
pub mod integration;
pub mod lifecycle;
pub mod partner;
pub mod phase;
pub mod stop;
