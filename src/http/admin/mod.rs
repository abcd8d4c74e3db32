//! The admin API (`/v1`, CONTRACT.md section 6): what security teams, owners and operators do, and what auditors read.
//!
//! Enter through [`routes`]. A handler takes an [`Admitted`] of the permission that it needs: who forgot the check does not
//! compile. Here JSON becomes a call of the broker and its outcome JSON again; every rule is below.
//!
//! Not here yet: elevations, enrolment, recertification, offboarding; their paths are answered 404 like any other.

mod admitted;
mod approvals;
mod evidence;
mod input;
mod keys;
mod people;
mod problem;
mod records;
mod registry;
mod revocations;

use axum::Router;
use axum::routing::{get, post};

use crate::broker::Broker;

pub use admitted::Admitted;
pub use problem::Problem;

/// The routes of the admin API. State is the broker alone.
pub fn routes(broker: Broker) -> Router {
    Router::new()
        .route("/v1/records/plan", post(records::plan))
        .route("/v1/records/apply", post(records::apply))
        .route("/v1/partners", get(registry::partners))
        .route("/v1/partners/{p}", get(registry::partner))
        .route("/v1/partners/{p}/suspend", post(registry::suspend_partner))
        .route("/v1/partners/{p}/resume", post(registry::resume_partner))
        .route("/v1/integrations", get(registry::integrations))
        .route("/v1/integrations/{p}/{i}", get(registry::integration))
        .route("/v1/integrations/{p}/{i}/submit", post(registry::submit))
        .route("/v1/integrations/{p}/{i}/suspend", post(registry::suspend_integration))
        .route("/v1/integrations/{p}/{i}/resume", post(registry::resume_integration))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", get(approvals::one))
        .route("/v1/approvals/{id}/reviews", post(approvals::review))
        .route("/v1/revocations", get(revocations::list).post(revocations::revoke))
        .route("/v1/revocations/{id}", get(revocations::one))
        .route("/v1/revocations/{id}/lift", post(revocations::lift))
        .route("/v1/journal", get(evidence::entries))
        .route("/v1/journal/checkpoint", get(evidence::checkpoint))
        .route("/v1/journal/proof", get(evidence::proof))
        .route("/v1/explain/{request}", get(evidence::explain))
        .route("/v1/keys", get(keys::list))
        .route("/v1/keys/{environment}/rotate", post(keys::rotate))
        .route("/v1/keys/{environment}/taint", post(keys::taint))
        .route("/v1/staff/{id}/cut", post(people::cut))
        .with_state(broker)
}
