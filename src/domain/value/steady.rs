//! The wall clock under guard: the time that the house goes by, and whether the wall clock can be believed.
//!
//! Enter through [`SteadyClock`]. It takes the wall clock's time once, when the process starts, and from then on knows by the monotonic clock
//! what the time must be. A wall clock that is further from it than [`CLOCK_AHEAD`] was set while the process ran: an entry
//! with such a time would stand in the log for ever, and no entry may be earlier than the one before it. The base never moves, so many
//! small steps are as far as one large one. NTP that slews moves both clocks alike and is no jump. A machine that was suspended, or
//! put back from a snapshot, looks like a jump, and the process that woke up is to be proved again by a start.

use std::sync::Arc;
use std::time::Duration;

use super::clock::CLOCK_AHEAD;
use super::clock::{Clock, Seconds, Timestamp};

/// From so far apart on the difference is told, before it is too much (ABUSE T-13).
const TOLD: Seconds = Seconds(CLOCK_AHEAD.0 / 2);

/// A clock whose wall time is compared with its monotonic time at every reading.
pub struct SteadyClock {
    clock: Arc<dyn Clock>,
    began: Timestamp,
    base: Duration,
}

/// Two readings of one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The wall clock's.
    pub wall: Timestamp,
    /// The wall clock's at the start of the process, and what has passed since by the monotonic clock.
    pub steady: Timestamp,
}

impl SteadyClock {
    /// Over `clock`, whose wall time is believed now.
    pub fn over(clock: Arc<dyn Clock>) -> Self {
        let (began, base) = (clock.now(), clock.monotonic());
        Self { clock, began, base }
    }

    /// Reads both clocks.
    pub fn read(&self) -> Reading {
        let passed = self.clock.monotonic().saturating_sub(self.base).as_secs();
        let steady = self.began.plus(Seconds(u32::try_from(passed).unwrap_or(u32::MAX)));
        Reading { wall: self.clock.now(), steady }
    }
}

impl Reading {
    /// How far the clocks are apart.
    pub fn apart(self) -> Seconds {
        self.wall.since(self.steady).max(self.steady.since(self.wall))
    }

    /// Whether the wall clock was set while the process ran.
    pub fn jumped(self) -> bool {
        self.apart() > CLOCK_AHEAD
    }

    /// Whether the clocks drift apart so far that somebody should know.
    pub fn drifts(self) -> bool {
        self.apart() >= TOLD
    }

    /// The time to go by: the wall clock's, unless it was set; then what it should be.
    pub fn time(self) -> Timestamp {
        if self.jumped() { self.steady } else { self.wall }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.read().time()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{SetClock, at};

    #[test]
    fn a_clock_that_passes_is_believed_and_one_that_is_set_is_not() {
        let set = Arc::new(SetClock::new());
        let clock = SteadyClock::over(Arc::clone(&set) as Arc<dyn Clock>);
        for second in [0, 1, 86_400, 40_000_000] {
            set.set(second);
            let reading = clock.read();
            assert!(!reading.jumped() && !reading.drifts() && clock.now() == at(second), "{reading:?}");
        }
        for (by, drifts, jumped) in
            [(14, false, false), (15, true, false), (30, true, false), (31, true, true), (86_400, true, true)]
        {
            for by in [by, -by] {
                set.jump(by);
                let reading = clock.read();
                assert_eq!((reading.drifts(), reading.jumped()), (drifts, jumped), "{by}");
                assert_eq!(clock.now(), at(if jumped { 40_000_000 } else { 40_000_000 + by }), "{by}");
                set.jump(-by);
            }
        }
    }

    /// The base stays where it was: small steps add up.
    #[test]
    fn many_small_steps_are_a_jump() {
        let set = Arc::new(SetClock::new());
        let clock = SteadyClock::over(Arc::clone(&set) as Arc<dyn Clock>);
        for step in 0..=31 {
            assert_eq!(clock.read().jumped(), step == 31, "{step}");
            set.set(60 * i64::from(step));
            set.jump(1);
        }
    }
}
