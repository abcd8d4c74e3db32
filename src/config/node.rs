//! `[node]`: this node among those that share a journal.

use super::fault::Faults;
use super::section::Section;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::NodeId;

/// `[node]`.
#[derive(Clone, Debug)]
pub struct NodeSection {
    /// The name of this node. No two nodes of one journal have the same.
    pub id: NodeId,
    /// How long a node whose file differs from the recorded configuration serves the recorded one.
    pub grace: Seconds,
}

/// The default of `grace`.
const GRACE: Seconds = Seconds::minutes(5);

/// The file in which Linux keeps the name of the host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

const ID_FIX: &str = "write id = \"sts-1\", another one on each node";

/// Reads the section; `shared` says that other nodes may write to the journal.
pub(super) fn read(section: Option<Section<'_>>, shared: bool, faults: &mut Faults<'_>) -> Option<NodeSection> {
    let (mut written, mut grace) = (None, None);
    if let Some(mut section) = section {
        written = section
            .text("id", faults)
            .map(|id| id.parse(faults, |text| text.parse::<NodeId>().map_err(|fault| fault.to_string()), ID_FIX));
        grace = section.duration("grace", (Seconds(10), Seconds::hours(1)), faults);
        section.finish(faults);
    }
    let id = match (written, host()) {
        (Some(written), _) => written?,
        (None, Some(host)) => host,
        // It has no fellow that it must be told from.
        (None, None) if !shared => "node".parse().ok()?,
        (None, None) => {
            faults.add(("node.id", None), "it is missing, and this host has no name that could be one", ID_FIX);
            return None;
        }
    };
    Some(NodeSection { id, grace: grace.unwrap_or(GRACE) })
}

/// The name of this host, in lower case.
fn host() -> Option<NodeId> {
    std::fs::read_to_string(HOST_NAME).ok()?.trim().to_ascii_lowercase().parse().ok()
}
