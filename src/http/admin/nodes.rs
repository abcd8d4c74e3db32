//! The nodes that share the journal.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::Listed;
use super::input::Page;
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::domain::people::actor::Read;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::NodeId;
use crate::journal::{KnownNode, split_of};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![get("/v1/nodes", "listNodes", "The nodes that share the journal, and how far each is", list)]
}

/// A node of the broker.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Node {
    /// `[node] id` of its configuration.
    id: NodeId,
    version: Digest,
    state: NodeState,
    /// The version of its program.
    program: String,
    /// The number of entries that it had followed when it renewed its lease last.
    size: u64,
    /// How long its lease still is, in milliseconds; null once it has run out or was given back.
    #[schema(required)]
    lease_left: Option<u64>,
    /// How far its clock is ahead of the database's, in seconds.
    clock_ahead: i64,
    /// The newest format of entries that it reads.
    format: u32,
    /// Why it is not ready, where that is for a reason of its own: settings of its file that differ from those on record, or a state of the
    /// journal that other nodes fold otherwise.
    #[schema(required)]
    unready: Option<String>,
    /// Whether it runs the tasks of which there may be one: webhooks, mail, entries of time.
    runs_single_tasks: bool,
}

/// Whether a node lives.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum NodeState {
    /// It renews its lease.
    Live,
    /// Its lease has run out, or was given back.
    Gone,
}

/// `GET /v1/nodes`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<()>) -> Result<Listed<Node>, Problem> {
    let nodes = broker.journal.nodes().await?;
    let all = nodes.iter().map(|node| (node.id.to_string(), node));
    Ok(page.part(all).map(|node| show(node, &nodes)))
}

fn show(node: &KnownNode, all: &[KnownNode]) -> Node {
    let split = split_of(node, all).map(|split| split.to_string());
    let KnownNode { id, instance, version, size, ahead, unready, format, folded: _, left, gone: _, runs } = node;
    Node {
        id: id.clone(),
        version: Digest::of(instance.as_bytes()),
        state: if left.is_some() { NodeState::Live } else { NodeState::Gone },
        program: version.clone(),
        size: *size,
        lease_left: *left,
        clock_ahead: *ahead,
        format: *format,
        // What a node that is gone told is over.
        unready: unready
            .clone()
            .filter(|_| left.is_some())
            .into_iter()
            .chain(split)
            .reduce(|told, split| format!("{told}; {split}")),
        runs_single_tasks: *runs,
    }
}
