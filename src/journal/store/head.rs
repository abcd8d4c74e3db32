//! The end of the log.

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// The end of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// The last change.
    pub last_change: Option<u64>,
    /// Time of the newest entry.
    pub time: Timestamp,
}

/// The end of the log as the database has it: the head row, and the last entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head row.
    pub head: Head,
    /// One more than the greatest index.
    pub rows: u64,
}
