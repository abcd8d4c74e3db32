//! The times of the next fetch, as pure functions, so that tests need not wait.

use std::time::Duration;

use crate::domain::value::clock::{Seconds, Timestamp};

/// The longest pause after failures, in seconds, unless the broker asks for more.
const LONGEST: u32 = 60;

/// The time to fetch again something that was fetched at `fetched` and ends at `ends`.
///
/// Two thirds of its life, up to a tenth of it earlier, so that a fleet that started together does not return together.
/// `jitter` is 0 to 255.
pub fn renewal(fetched: Timestamp, ends: Timestamp, jitter: u8) -> Timestamp {
    let life = ends.since(fetched).0;
    let early = u64::from(life / 10) * u64::from(jitter) / 255;
    let wait = u64::from(life) * 2 / 3 - early.min(u64::from(life) * 2 / 3);
    fetched.plus(Seconds(u32::try_from(wait).unwrap_or(u32::MAX)))
}

/// The pause after this many failures in a row.
///
/// One second, doubled each time, at most a minute; or as long as the broker asks, at most ten minutes. Up to a fifth is added.
pub fn pause(failures: u32, told: Option<u32>, jitter: u8) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(LONGEST).min(LONGEST);
    let base = u64::from(doubled.max(told.unwrap_or(0).min(600))) * 1000;
    Duration::from_millis(base + base / 5 * u64::from(jitter) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_comes_before_two_thirds_of_life_and_after_half() {
        let at = |seconds| Timestamp::from_seconds(seconds).expect("a time");
        assert_eq!(renewal(at(1000), at(1300), 0), at(1200));
        assert_eq!(renewal(at(1000), at(1300), 255), at(1170));
        assert_eq!(renewal(at(1000), at(1000), 255), at(1000));
        assert_eq!(renewal(at(1000), at(900), 9), at(1000));
        for jitter in 0..=255 {
            let next = renewal(at(0), at(86_400), jitter);
            assert!(next > at(43_200) && next <= at(57_600), "{next}");
        }
    }

    #[test]
    fn pauses_grow_are_bounded_and_as_long_as_the_broker_says() {
        let seconds = |failures, told| pause(failures, told, 0).as_secs();
        assert_eq!([1, 2, 3, 4, 7, 8, 100].map(|failures| seconds(failures, None)), [1, 2, 4, 8, 60, 60, 60]);
        assert_eq!((seconds(1, Some(30)), seconds(1, Some(100_000))), (30, 600));
        assert!(pause(1, None, 255) > pause(1, None, 0));
    }
}
