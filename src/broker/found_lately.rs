//! Remembers tokens of ours that were found on record, with what can never change about them.
//!
//! A signature that verified and an entry that is on record stay so, for these bytes and this key. They are kept by the digest of the
//! token's text, so an API that asks about a token again pays for neither. A token is remembered only once it was found on record, so
//! strangers cannot fill the memory. Deliberately not here: whether a token is active ([`found`](super::found)).

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::credential::claims::Payload;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::entry::Issued;
use crate::domain::value::alg::Alg;
use crate::domain::value::bounded::Bounded;
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
pub struct FoundLately(Mutex<Bounded<Digest, Arc<Found>>>);

/// The most tokens in memory, and the most bytes: those of a busy API's clients.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The bytes that a token takes in memory for each byte of its text, and beside them: claims, entry and lines repeat it.
const FOLD: usize = 3;
const BESIDE: usize = 1024;

impl Default for FoundLately {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MOST, MOST_BYTES)))
    }
}

impl FoundLately {
    pub(super) fn look(&self, text: &Digest) -> Option<Arc<Found>> {
        // Each change of the map is complete, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look(text)
    }

    pub(super) fn remember(&self, text: Digest, found: &Arc<Found>, length: usize) {
        let bytes = length.saturating_mul(FOLD).saturating_add(BESIDE);
        let forgotten = self.0.lock().unwrap_or_else(PoisonError::into_inner).remember(text, Arc::clone(found), bytes);
        drop(forgotten);
    }
}
