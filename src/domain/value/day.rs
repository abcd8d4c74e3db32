//! A day of UTC, by which uses are counted.

use super::clock::{Seconds, Timestamp};

/// A day of UTC: days since 1970.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(pub i64);

impl Day {
    /// The day of this second.
    pub fn of(time: Timestamp) -> Self {
        Self(time.as_seconds().div_euclid(i64::from(Seconds::days(1).0)))
    }
}
