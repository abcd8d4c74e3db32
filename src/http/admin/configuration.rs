//! The configuration on record, and that of this node's file.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::Sent;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::agreement::SeenConfigurations;
use crate::domain::people::actor::{Configure, Read};
use crate::domain::registry::differing::Difference;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// The routes.
pub fn routes() -> Vec<Route> {
    let apply = "Put the configuration of this node's file on record, for all nodes";
    vec![
        get("/v1/configuration", "getConfiguration", "What this node's file says, and what is on record", show),
        post("/v1/configuration/apply", "applyConfiguration", apply, put),
    ]
}

/// The configuration on record beside that of a node's file.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationStanding)]
struct View {
    /// What the record says, as a digest over its settings.
    #[schema(required)]
    recorded: Option<Digest>,
    /// The same of the file of this node.
    #[schema(required)]
    file: Option<Digest>,
    /// The settings that differ.
    differs: Vec<DifferenceView>,
    /// Until when this node mints by the record, although its file differs.
    #[schema(required)]
    until: Option<Timestamp>,
}

/// A setting that differs.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationDifference)]
struct DifferenceView {
    /// Its name, such as `environments.production.max_ttl`. Times are in seconds; of `staff` there is a digest.
    setting: String,
    /// The value on record.
    #[schema(required)]
    recorded: Option<String>,
    /// The value of the file.
    #[schema(required)]
    file: Option<String>,
}

/// The configurations that the person has seen. If one of them is another now, nothing is recorded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplyConfiguration)]
struct Seen {
    recorded: Digest,
    file: Digest,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationApplied)]
struct Applied {
    /// Whether the record changed.
    changed: bool,
}

/// `GET /v1/configuration`.
async fn show(State(broker): State<Broker>, _by: Admitted<Read>) -> Result<Json<View>, Problem> {
    let (recorded, file) = broker.configurations();
    let standing = broker.configuration_standing();
    let until = (!standing.differs.is_empty()).then_some(standing.until);
    let view = |Difference { setting, recorded, file }: Difference| DifferenceView { setting, recorded, file };
    Ok(Json(View { recorded, file, differs: standing.differs.iter().cloned().map(view).collect(), until }))
}

/// `POST /v1/configuration/apply`.
async fn put(
    State(broker): State<Broker>,
    by: Admitted<Configure>,
    Sent(Seen { recorded, file }): Sent<Seen>,
) -> Result<Json<Applied>, Problem> {
    let seen = SeenConfigurations { recorded, file };
    Ok(Json(Applied { changed: broker.apply_configuration(&by.by, &seen, by.made_for()).await? }))
}
