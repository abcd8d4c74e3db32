//! Where the log ends.

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// Where the log ends.
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

/// What the database says of its end: the head row, and where the entries really end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head row.
    pub head: Head,
    /// One more than the greatest index.
    pub rows: u64,
}
