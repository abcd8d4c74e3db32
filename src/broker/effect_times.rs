//! How long revocations took to reach every node and the live index, until metrics have them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The times since they were last taken.
#[derive(Debug, Default)]
pub struct EffectTimes(Mutex<Vec<Duration>>);

/// The most that are kept: nobody takes them where there are no metrics.
const MOST: usize = 10_000;

impl EffectTimes {
    /// A revocation took so long.
    pub fn add(&self, took: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() < MOST {
            times.push(took);
        }
    }

    /// Takes them.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
