//! What reviewers were shown: since when they know a review, and the card that they saw last.
//!
//! It is kept in this node's memory alone and decides nothing: a decision that it knows no view of is recorded without one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::people::actor::Person;
use crate::domain::registry::recertification::ReviewId;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// The most views that are remembered. A reviewer looks at a few at a time.
const MOST: usize = 10_000;

/// What somebody was shown of a review.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Viewed {
    /// When they were first shown it.
    pub first: Timestamp,
    /// The digest of the card as they saw it last.
    pub card: Digest,
}

/// The views of all reviewers.
#[derive(Debug, Default)]
pub struct Views(Mutex<BTreeMap<(ReviewId, String, String), Viewed>>);

impl Views {
    /// Notes that a person is shown a card.
    pub fn note(&self, review: &ReviewId, person: &Person, card: Digest, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(&key(review, person)) {
            known.card = card;
            return;
        }
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, viewed)| viewed.first).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(key(review, person), Viewed { first: now, card });
    }

    /// What a person was shown of a review.
    pub fn of(&self, review: &ReviewId, person: &Person) -> Option<Viewed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key(review, person)).copied()
    }
}

fn key(review: &ReviewId, person: &Person) -> (ReviewId, String, String) {
    (review.clone(), person.iss.to_string(), person.id.to_string())
}
