//! Days of records, counted from the day of the test: a record may not name ends that are many years away.

use std::fmt;
use std::sync::LazyLock;

use carnet::domain::value::clock::Timestamp;

/// A day, so many days from the one on which the tests began.
#[derive(Clone, Copy)]
pub struct Day(pub i64);

/// The day on which the usual partner was verified.
pub const VERIFIED_ON: Day = Day(-30);
/// The last day of that.
pub const VERIFIED_UNTIL: Day = Day(360);
/// The last day of the usual contract.
pub const CONTRACT_ENDS: Day = Day(1400);

static TODAY: LazyLock<i64> = LazyLock::new(|| {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    i64::try_from(since.as_secs() / 86_400).expect("before the end of time")
});

/// As a record writes it.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Timestamp::from_seconds((*TODAY + self.0) * 86_400).expect("a time");
        f.write_str(&first.first_day())
    }
}
