//! An entry with what its event says of its log.

use serde_json::Value;

use crate::domain::elevation::Elevation;
use crate::domain::log::entry::Entry;

/// An entry to write.
pub struct Told<'a> {
    /// The name of the log.
    pub origin: &'a str,
    /// The epoch that the entry belongs to.
    pub epoch: u64,
    /// The entry.
    pub entry: &'a Entry,
    /// The same as it stands in the log.
    pub recorded: Value,
    /// The elevation that the entry is about, if it is about one.
    pub elevation: Option<&'a Elevation>,
}
