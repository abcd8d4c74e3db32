//! The life of a token: the minimum of all ceilings.

use crate::domain::value::clock::{Seconds, Timestamp};

/// The shortest life that is left to a new token (docs/reference/records.md).
pub const SHORTEST_LIFE: Seconds = Seconds(15);

/// The life of a token: it ends with the first of its ceilings.
pub(in crate::domain) struct Life {
    pub(in crate::domain) ends: Timestamp,
    pub(in crate::domain) ceiling: &'static str,
}

impl Life {
    pub(in crate::domain) fn new() -> Self {
        Self { ends: Timestamp::MAX, ceiling: "none" }
    }

    /// Adds one ceiling.
    pub(in crate::domain) fn end(&mut self, ceiling: &'static str, at: Timestamp) {
        if at < self.ends {
            self.ends = at;
            self.ceiling = ceiling;
        }
    }
}
