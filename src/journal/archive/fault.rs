//! Why entries are not sealed, or stay in the database.

use std::fmt;

use super::segment::SegmentFault;
use crate::domain::log::archive::Segment;
use crate::domain::value::names::NodeId;
use crate::journal::fault::Unavailable;

/// Why nothing was sealed, or nothing left.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// An entry is not the one that the tree was made of, or is missing.
    #[error("entry {0} is not the one that the tree was made of: it is not sealed, and `carnet journal verify` says more")]
    Foreign(u64),
    /// A file.
    #[error(transparent)]
    Segment(#[from] SegmentFault),
    /// No other node has read a sealed file back yet.
    #[error("{0}")]
    Awaited(Box<Awaited>),
    /// The journal.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Sealed entries stay in the database, since no other node has read their file back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Awaited {
    /// What was sealed.
    pub segment: Segment,
    /// The nodes of which one must read it back, and what each says.
    pub nodes: Vec<(NodeId, Reading)>,
}

/// What another node says of a sealed file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Nothing yet.
    Nothing,
    /// It cannot read it, or found another content.
    Failed(String),
    /// The node does not live.
    Gone,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment { first, until, digest: _ } = self.segment;
        write!(
            f,
            "entries {first} to {} are sealed and stay in the database until another node reads their file back",
            until - 1
        )?;
        for (id, reading) in &self.nodes {
            match reading {
                Reading::Nothing => write!(f, "; {id} has said nothing of it yet")?,
                Reading::Failed(why) => write!(f, "; {id} cannot read it: {why}")?,
                Reading::Gone => write!(f, "; {id} does not live")?,
            }
        }
        Ok(())
    }
}
