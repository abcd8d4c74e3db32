//! The bound of what one node puts on the shelf, so that nobody fills Redis with what strangers may begin.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// The records that this node put there, by their last use here.
pub struct Bound {
    most: usize,
    lives: Seconds,
    all: Mutex<HashMap<Digest, Timestamp>>,
}

impl Bound {
    /// For at most so many, of which none lives longer without a use.
    pub fn new(most: usize, lives: Seconds) -> Self {
        Self { most, lives, all: Mutex::default() }
    }

    /// Counts one more; returns the one that has to go for it, the one used longest ago.
    pub fn add(&self, one: Digest, now: Timestamp) -> Option<Digest> {
        let mut all = self.lock();
        all.retain(|_, last| now.since(*last) <= self.lives);
        let oldest = if all.len() >= self.most { all.iter().min_by_key(|(_, last)| **last).map(|(one, _)| *one) } else { None };
        if let Some(oldest) = oldest {
            all.remove(&oldest);
        }
        all.insert(one, now);
        oldest
    }

    /// One was used. Those of other nodes count there.
    pub fn used(&self, one: &Digest, now: Timestamp) {
        if let Some(last) = self.lock().get_mut(one) {
            *last = now;
        }
    }

    /// One is gone.
    pub fn gone(&self, one: &Digest) {
        self.lock().remove(one);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Timestamp>> {
        // A poisoned lock is harmless: each entry is complete by itself.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_goes() {
        let at = |seconds| Timestamp::from_seconds(seconds).expect("a time");
        let of = |number: u8| Digest::of(&[number]);
        let bound = Bound::new(2, Seconds(10));
        assert_eq!(bound.add(of(1), at(0)), None);
        assert_eq!(bound.add(of(2), at(1)), None);
        bound.used(&of(1), at(2));
        bound.used(&of(9), at(2));
        assert_eq!(bound.add(of(3), at(3)), Some(of(2)));
        bound.gone(&of(3));
        assert_eq!(bound.add(of(4), at(4)), None);
        // Whatever is over takes no place.
        assert_eq!(bound.add(of(5), at(14)), None);
        assert_eq!(bound.add(of(6), at(14)), Some(of(4)));
    }
}
