//! The index's answers about a caller and about a token.

use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::proof_key::ProofKey;

/// A proof that a caller shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Its key.
    pub key: ProofKey,
    /// Until when it is marked as seen, if the caller is admitted.
    ///
    /// `None`: something else spends it, such as the entry of a token.
    pub spent_until: Option<Timestamp>,
}

/// The outcome of admitting a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// The proof was seen before.
    ///
    /// Nothing was taken, so a copy of a spent proof costs its owner nothing.
    Seen,
    /// One was taken from the caller's bucket.
    Taken,
    /// The bucket is empty.
    Exceeded {
        /// The time until the next one is free.
        retry_after: Seconds,
    },
}

impl Admission {
    /// For a caller who comes this many microseconds too early.
    pub(super) fn too_early(micros: i64) -> Self {
        let seconds = micros.saturating_add(999_999) / 1_000_000;
        Self::Exceeded { retry_after: Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)) }
    }
}

/// The state of a token in the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Liveness {
    /// It is cut.
    Cut,
    /// Nothing cuts it, and the index is complete.
    Live,
    /// The index is missing or older than five seconds, so it says nothing.
    Unknown,
}
