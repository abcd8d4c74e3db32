//! The life of a token: the minimum of all ceilings.

use crate::domain::value::clock::{Seconds, Timestamp};

/// Less than this left of a token's life: no token (docs/reference/records.md).
pub const SHORTEST_LIFE: Seconds = Seconds(15);

/// No configuration allows a longer life of a token.
pub const LONGEST_LIFE: Seconds = Seconds::hours(1);

/// How far `iat` and `nbf` of our tokens lie back, for verifiers whose clock is late.
pub const BACKDATED: Seconds = Seconds(2);

/// The life of a token: it ends with the first of its ceilings.
pub(in crate::domain) struct Life {
    pub(in crate::domain) ends: Timestamp,
    pub(in crate::domain) ceiling: &'static str,
}

impl Life {
    pub(in crate::domain) fn new() -> Self {
        Self { ends: Timestamp::MAX, ceiling: "none" }
    }

    /// Takes one of the ends of life.
    pub(in crate::domain) fn end(&mut self, ceiling: &'static str, at: Timestamp) {
        if at < self.ends {
            self.ends = at;
            self.ceiling = ceiling;
        }
    }
}
