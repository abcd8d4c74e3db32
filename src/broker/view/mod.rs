//! Views: what an answer shows, as types that describe themselves.
//!
//! A view is a struct with [`serde::Serialize`] and [`utoipa::ToSchema`]: what is written and what is described have one source. Views of
//! one resource stand beside its routes in `http/admin`; here stand those that the console shows too.

pub mod approval;
pub mod approvals;
pub mod elevation;
pub mod person;
pub mod record;
pub mod schema;
