//! Remembers tokens of ours that were found on record, with what can never change about them.
//!
//! A signature that verified and an entry that is on record stay so, for these bytes and this key. They are kept by the digest of the
//! token's text, so an API that asks about a token again pays for neither. A token is remembered only once it was found on record, so
//! strangers cannot fill the memory. Deliberately not here: whether a token is active ([`found`](super::found)).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::credential::claims::Payload;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::entry::Issued;
use crate::domain::value::alg::Alg;
use crate::domain::value::bounded::Bounded;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// A token on record.
pub struct Found {
    /// Its claims.
    pub claims: Payload,
    /// Its entry.
    pub entry: Box<Issued>,
    /// The algorithm by which the key of its entry verified it.
    pub(super) alg: Alg,
    /// The lines that cut it.
    pub(super) keys: Vec<RevocationKey>,
}

/// The tokens that were found on record lately, by the digest of their text.
pub struct FoundLately {
    tokens: Mutex<Bounded<Digest, Arc<Found>>>,
    /// The second at which the last read of an entry that succeeded began.
    read: AtomicI64,
}

/// The most tokens in memory, and the most bytes: those of a busy API's clients.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The bytes that a token takes in memory for each byte of its text, and beside them: claims, entry and lines repeat it.
const FOLD: usize = 3;
const BESIDE: usize = 1024;

impl Default for FoundLately {
    fn default() -> Self {
        Self { tokens: Mutex::new(Bounded::new(MOST, MOST_BYTES)), read: AtomicI64::new(i64::MIN) }
    }
}

impl FoundLately {
    /// The token with this text, if it is remembered and the journal was read within `lease`.
    ///
    /// Without the lease a node would go on saying "active" while it cannot read its journal (ABUSE I-16). A read in the future, of a
    /// clock that was set back, counts for nothing.
    pub(super) fn look(&self, text: &Digest, now: Timestamp, lease: Seconds) -> Option<Arc<Found>> {
        let since = now.as_seconds().checked_sub(self.read.load(Ordering::Acquire))?;
        if !(0..=i64::from(lease.0)).contains(&since) {
            return None;
        }
        // Each change of the map is complete, so a poisoned lock is still good.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).look(text)
    }

    /// Begins the lease anew: an entry was read from the journal, and the read began at `began`.
    pub(super) fn heard(&self, began: Timestamp) {
        self.read.store(began.as_seconds(), Ordering::Release);
    }

    /// Ends the lease: the journal did not answer.
    pub(super) fn unheard(&self) {
        self.read.store(i64::MIN, Ordering::Release);
    }

    pub(super) fn remember(&self, text: Digest, found: &Arc<Found>, length: usize) {
        let bytes = length.saturating_mul(FOLD).saturating_add(BESIDE);
        let forgotten = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remember(text, Arc::clone(found), bytes);
        drop(forgotten);
    }
}
