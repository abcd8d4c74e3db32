//! The numbers of tokens that guardrails would have refused, as people were told them.
//!
//! Tokens are issued while somebody reads the number, so it may be given back for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// How long a number that was told may be given back: tokens are issued meanwhile.
const TOLD_FOR: Seconds = Seconds::minutes(10);

/// The most numbers that are remembered.
const MOST_TOLD: usize = 256;

/// The numbers of tokens that people were told lately, by the guardrails that they are about.
#[derive(Debug, Default)]
pub struct Told(Mutex<VecDeque<(Digest, u64, Timestamp)>>);

impl Told {
    pub(super) fn note(&self, about: Digest, refuses: u64, now: Timestamp) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() == MOST_TOLD {
            told.pop_front();
        }
        told.push_back((about, refuses, now));
    }

    pub(super) fn holds(&self, about: Digest, refuses: u64, now: Timestamp) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().any(|(known, number, at)| (*known, *number) == (about, refuses) && now.since(*at) <= TOLD_FOR)
    }
}
