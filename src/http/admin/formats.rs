//! The formats of the journal's entries.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::Sent;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::formats::Formats;
use crate::domain::people::actor::{Configure, Read};
use crate::domain::value::names::NodeId;
use crate::journal::KnownNode;

/// The routes.
pub fn routes() -> Vec<Route> {
    let raised = "Let entries have the newest format that every node reads; nodes that read less start no more";
    vec![
        get("/v1/journal/formats", "getFormats", "The format of entries, and those that the nodes read", show),
        post("/v1/journal/formats/raise", "raiseFormat", raised, raise),
    ]
}

/// The formats of entries.
#[derive(Serialize, ToSchema)]
#[schema(as = EntryFormats)]
struct View {
    /// The newest format that entries have.
    recorded: u32,
    /// The newest format that every node that lives reads.
    smallest: u32,
    /// The nodes that live.
    nodes: Vec<Reads>,
}

/// What a node reads.
#[derive(Serialize, ToSchema)]
#[schema(as = NodeFormat)]
struct Reads {
    id: NodeId,
    /// The version of its program.
    program: String,
    /// The newest format of entries that it reads.
    format: u32,
}

/// The format that the person has seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RaiseFormat)]
struct Wanted {
    /// The newest format that every node that lives reads. If it is another one now, nothing is recorded.
    to: u32,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = FormatRaised)]
struct Raised {
    /// Whether the record changed.
    changed: bool,
}

/// `GET /v1/journal/formats`.
async fn show(State(broker): State<Broker>, _by: Admitted<Read>) -> Result<Json<View>, Problem> {
    let Formats { recorded, smallest, nodes } = broker.formats().await?;
    let reads = |KnownNode { id, version, format, .. }: KnownNode| Reads { id, program: version, format };
    Ok(Json(View { recorded, smallest, nodes: nodes.into_iter().map(reads).collect() }))
}

/// `POST /v1/journal/formats/raise`.
async fn raise(
    State(broker): State<Broker>,
    by: Admitted<Configure>,
    Sent(Wanted { to }): Sent<Wanted>,
) -> Result<Json<Raised>, Problem> {
    Ok(Json(Raised { changed: broker.raise_formats(&by.by, to, by.made_for()).await? }))
}
