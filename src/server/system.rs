//! The real clock and entropy: the only source of time and randomness (CONTRIBUTING.md, 14).

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;

use crate::domain::value::clock::{Clock, Entropy, Timestamp};

/// The first reading of the monotonic clock in this process.
static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The operating system's wall clock and monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// The present second; 1970 for a clock that is set earlier.
    ///
    /// Every token and record is then in its future, and is refused.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock that `server` makes")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).ok().and_then(Timestamp::from_seconds).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        FIRST.elapsed()
    }
}

/// The operating system's randomness, through aws-lc-rs.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // aws-lc seeds itself from the kernel at start, and fails only if the kernel has no entropy source at all. Then
        // nothing may be made: a guessable identifier is worse than no answer.
        rand::fill(bytes).expect("the operating system gives randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_day_it_was_written_and_identifiers_differ() {
        assert!(SystemClock.now().as_seconds() > 1_700_000_000);
        let entropy: &dyn Entropy = &OsEntropy;
        let (one, two) = (entropy.identifier(), entropy.identifier());
        assert_eq!(one.len(), 22);
        assert_ne!(one, two);
    }
}
