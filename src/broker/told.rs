//! The numbers of tokens that guardrails would have refused, as people were told them.
//!
//! Tokens are issued while somebody reads the number, so the same person may give it back for a while, about the same texts. What one person
//! was told says nothing about another.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::domain::people::actor::Person;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// How long a number that was told may be given back: tokens are issued meanwhile.
const TOLD_FOR: Seconds = Seconds::minutes(10);

/// The most numbers that are remembered.
const MOST_TOLD: usize = 256;

/// The numbers of tokens that an apply of guardrails is told and says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// Tokens that would have been refused.
    pub refuses: u64,
    /// Tokens of which the entries do not say enough.
    pub unknown: u64,
}

/// What one person was told.
#[derive(Debug)]
struct One {
    person: Person,
    /// The guardrails, by name and version.
    about: Digest,
    numbers: Numbers,
    at: Timestamp,
}

/// The numbers of tokens that people were told lately.
#[derive(Debug, Default)]
pub struct Told(Mutex<VecDeque<One>>);

impl Told {
    pub(super) fn note(&self, person: &Person, about: Digest, numbers: Numbers, at: Timestamp) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() == MOST_TOLD {
            told.pop_front();
        }
        told.push_back(One { person: person.clone(), about, numbers, at });
    }

    pub(super) fn holds(&self, person: &Person, about: Digest, numbers: Numbers, now: Timestamp) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |one: &One| one.person.is(person) && (one.about, one.numbers) == (about, numbers);
        told.iter().any(|one| same(one) && now.since(one.at) <= TOLD_FOR)
    }
}
