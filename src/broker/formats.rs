//! The format of entries on record, and that of each node: the contraction of an upgrade ([`format`](crate::domain::log::format)).

use super::Broker;
use super::failure::Failure;
use crate::domain::log::format::NEWEST;
use crate::domain::log::journal::JournalChange;
use crate::domain::people::actor::{Authorized, Configure};
use crate::domain::reason;
use crate::journal::{ForRequest, KnownNode, Unavailable};

/// The formats of entries.
#[derive(Clone, Debug)]
pub struct Formats {
    /// The newest that entries have.
    pub recorded: u32,
    /// The newest that every node that lives reads.
    pub smallest: u32,
    /// The nodes that live.
    pub nodes: Vec<KnownNode>,
}

impl Broker {
    /// The format on record, and those of the nodes that live.
    pub async fn formats(&self) -> Result<Formats, Unavailable> {
        let mut nodes = self.journal.nodes().await?;
        nodes.retain(|node| node.left.is_some());
        let smallest = nodes.iter().map(|node| node.format).chain([NEWEST]).min().unwrap_or(NEWEST);
        Ok(Formats { recorded: self.journal.view().state.format, smallest, nodes })
    }

    /// Raises the format on record to the newest that every node that lives reads, which must be the one that the person saw.
    ///
    /// True if that changed the record. A node that lives no more, and reads less, does not start again.
    pub async fn raise_formats(
        &self,
        by: &Authorized<Configure>,
        seen: u32,
        request: Option<ForRequest>,
    ) -> Result<bool, Failure> {
        let to = self.formats().await?.smallest;
        if to != seen {
            return Err((&reason::PLAN_STALE).into());
        }
        if self.journal.view().state.format >= to {
            return Ok(false);
        }
        self.change_by(by, request, |state, _now| {
            if state.format >= to {
                return Err(Failure::Refused(&reason::PLAN_STALE));
            }
            Ok(JournalChange::FormatRaised { to })
        })
        .await?;
        Ok(true)
    }
}
