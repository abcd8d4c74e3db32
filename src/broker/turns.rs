//! Turns: how many exchanges a node works at, and when those that were refused for want of something of ours come back.
//!
//! Ten thousand clients that lost their node come to another in the same second (ABUSE D-20). If all of them were worked at together, each would
//! wait for all others at each store, every one past its deadline, and they would be refused and come again together. So a node works at
//! [`AT_WORK`] of them; the others wait in the order in which they came, at most [`PATIENCE`]. Who has no turn by then, or is refused because a
//! store is away, is told a time of its own to come back: as many come in a second as got a token lately.
//!
//! Enter through [`Turns::take`]. A turn begins after the proof was verified: neither a stranger nor an issuer whose keys do not come holds one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::domain::value::clock::Seconds;

/// The exchanges at work.
///
/// A commit takes in that many at once. More of them would only make each wait longer.
const AT_WORK: usize = 256;

/// How long an exchange waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// The latest time to come back.
const LATEST: Duration = Duration::from_secs(10);

/// The fewest exchanges in a second that come back, whatever was done lately.
const SLOWEST: u64 = 32;

/// How long exchanges are counted to know how many are done in a second.
const COUNTED: Duration = Duration::from_millis(200);

/// The turns of a node.
pub struct Turns {
    places: Semaphore,
    patience: Duration,
    /// The exchanges that ended with a token.
    done: AtomicU64,
    coming: Mutex<Coming>,
}

/// Those who will come back.
struct Coming {
    /// When the next of them comes.
    next: Instant,
    /// The exchanges that got a token in a second.
    pace: u64,
    /// When that was counted, and how many had one by then.
    counted: (Instant, u64),
}

impl Default for Turns {
    fn default() -> Self {
        Self::of(AT_WORK, PATIENCE, Instant::now())
    }
}

impl Turns {
    fn of(places: usize, patience: Duration, now: Instant) -> Self {
        let coming = Mutex::new(Coming { next: now, pace: SLOWEST, counted: (now, 0) });
        Self { places: Semaphore::new(places), patience, done: AtomicU64::new(0), coming }
    }

    /// Waits for a turn, in the order of calls. None if there was none in time.
    pub async fn take(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes them.
        timeout(self.patience, self.places.acquire()).await.ok()?.ok()
    }

    /// Counts an exchange that ended with a token.
    pub fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// When somebody comes back who has no token.
    pub fn later(&self) -> Seconds {
        self.later_than(Instant::now())
    }

    /// The next time at which nobody else was told to come.
    fn later_than(&self, now: Instant) -> Seconds {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the count of an earlier caller is never ahead of it.
        let done = self.done.load(Ordering::Relaxed);
        let (since, before) = coming.counted;
        let passed = now.duration_since(since);
        if passed >= COUNTED {
            let each_second = u128::from(done.saturating_sub(before)) * 1_000 / passed.as_millis().max(1);
            coming.pace = u64::try_from(each_second).unwrap_or(u64::MAX).max(SLOWEST);
            coming.counted = (now, done);
        }
        let step = Duration::from_nanos(1_000_000_000 / coming.pace);
        coming.next = coming.next.max(now) + step;
        if coming.next > now + LATEST {
            // More than can be done until then. They come evenly all the same, and not all of them at the latest time.
            coming.next = now + step;
        }
        let wait = coming.next - now;
        drop(coming);
        Seconds(u32::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    /// How many come back after how many seconds.
    fn told(turns: &Turns, number: usize, now: Instant) -> BTreeMap<u32, usize> {
        let mut told = BTreeMap::new();
        (0..number).for_each(|_| *told.entry(turns.later_than(now).0).or_default() += 1);
        told
    }

    #[tokio::test]
    async fn a_turn_is_waited_for_and_not_for_long() {
        let turns = Turns::of(2, SOON, Instant::now());
        let (first, second) = (turns.take().await, turns.take().await);
        assert!(first.is_some() && second.is_some());
        let begun = Instant::now();
        assert!(turns.take().await.is_none());
        assert!(begun.elapsed() >= SOON);
        drop(first);
        assert!(turns.take().await.is_some(), "a place is free");
    }

    #[tokio::test]
    async fn turns_are_given_in_the_order_of_calls() {
        let turns = Turns::of(1, Duration::from_secs(10), Instant::now());
        let held = turns.take().await;
        let order = Mutex::new(Vec::new());
        let waits = |name: u8| {
            let (turns, order) = (&turns, &order);
            async move {
                let turn = turns.take().await;
                order.lock().expect("the lock").push((name, turn.is_some()));
            }
        };
        let frees = async { drop(held) };
        tokio::join!(waits(1), waits(2), waits(3), frees);
        assert_eq!(*order.lock().expect("the lock"), [(1, true), (2, true), (3, true)]);
    }

    #[test]
    fn as_many_come_back_in_a_second_as_were_done_in_one() {
        let begun = Instant::now();
        let turns = Turns::of(1, SOON, begun);
        (0..2_000).for_each(|_| turns.count());
        let now = begun + Duration::from_secs(2);
        assert_eq!(told(&turns, 3_000, now), BTreeMap::from([(1, 1_000), (2, 1_000), (3, 1_000)]));
        assert_eq!(told(&turns, 1, now + Duration::from_secs(1)), BTreeMap::from([(3, 1)]), "after those who come");
        assert_eq!(told(&turns, 1, now + Duration::from_secs(60)), BTreeMap::from([(1, 1)]), "nobody comes any more");
    }

    #[test]
    fn nobody_is_told_to_come_back_at_once() {
        let begun = Instant::now();
        let turns = Turns::of(1, SOON, begun);
        (0..4_000).for_each(|_| turns.count());
        assert_eq!(told(&turns, 10, begun + Duration::from_secs(1)), BTreeMap::from([(1, 10)]));
    }

    /// Where nothing is done, as while a store is away, and where more come than can be done until the latest time.
    #[test]
    fn they_come_evenly_also_where_too_many_come() {
        let begun = Instant::now();
        let turns = Turns::of(1, SOON, begun);
        let told = told(&turns, 3_200, begun + Duration::from_secs(1));
        assert_eq!(told, (1..=10).map(|seconds| (seconds, 320)).collect());
    }
}
