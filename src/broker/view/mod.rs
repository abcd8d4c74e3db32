//! Views: the parts of answers, as types that have a schema of their own.
//!
//! A view is a struct with [`serde::Serialize`] and [`utoipa::ToSchema`], so the answer and its description have one
//! source. Its doc comments are text of `/openapi.json`. Views of one resource are beside its routes in `http/admin`; the
//! views here are shared with the console.

pub mod activity;
pub mod approval;
pub mod approvals;
pub mod elevation;
pub mod ends;
pub mod evidence;
pub mod gain;
pub mod offboarding;
pub mod past;
pub mod person;
pub mod recertification;
pub mod record;
pub mod review_figures;
pub mod review_report;
pub mod schema;
pub mod suggestion;
pub mod suspension;
pub mod uses;
pub mod way_in;
