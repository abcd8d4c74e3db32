//! What the index answers about a caller and about a token.

use crate::domain::value::clock::Seconds;

/// What the batcher says of a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// The proof was seen before. Nothing was taken: a copy of a spent proof costs its owner nothing.
    Seen,
    /// One was taken from the caller's bucket.
    Taken,
    /// Nothing is left in the bucket for so long.
    Exceeded {
        /// Until the next.
        retry_after: Seconds,
    },
}

impl Admission {
    /// For a caller who comes so many microseconds too early.
    pub(super) fn too_early(micros: i64) -> Self {
        let seconds = micros.saturating_add(999_999) / 1_000_000;
        Self::Exceeded { retry_after: Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)) }
    }
}

/// Whether a token is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Liveness {
    /// It is cut.
    Cut,
    /// Nothing cuts it, and the index is complete.
    Live,
    /// The index is missing or older than five seconds: it says nothing.
    Unknown,
}
