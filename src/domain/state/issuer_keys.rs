//! How old the keys are that partners sign their proofs with: measured from the first proof by which a key was seen here, because an
//! issuer publishes no dates.
//!
//! Kept for the issuers of records that ask for it (`rotation.issuerKeys`), and bounded: a partner that changes its key with every proof
//! cannot fill the journal. Of certificates `certificate.rs` knows it better.

use std::sync::Arc;

use imbl::OrdMap;

use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::Issuer;

/// Keys that are remembered of one issuer: more are in use nowhere.
const MOST: usize = 16;

/// One first use is on record in so long, of one issuer.
const AT_MOST_EVERY: Seconds = Seconds::hours(1);

/// The first uses of keys, by issuer: a fold of the journal, as the state is.
#[derive(Clone, Debug, Default)]
pub struct IssuerKeys(OrdMap<Issuer, Arc<Vec<(Digest, Timestamp)>>>);

impl IssuerKeys {
    /// The time of the first use of a key.
    pub fn since(&self, issuer: &Issuer, key: Digest) -> Option<Timestamp> {
        self.0.get(issuer)?.iter().find(|(known, _)| *known == key).map(|(_, since)| *since)
    }

    /// The newest key of an issuer, and when it was first used.
    pub fn newest(&self, issuer: &Issuer) -> Option<(Digest, Timestamp)> {
        self.0.get(issuer)?.last().copied()
    }

    /// Whether the first use of this key is to be put on record at `now`.
    pub fn is_news(&self, issuer: &Issuer, key: Digest, now: Timestamp) -> bool {
        self.since(issuer, key).is_none() && self.newest(issuer).is_none_or(|(_, since)| now >= since.plus(AT_MOST_EVERY))
    }

    pub(in crate::domain) fn add(&mut self, issuer: &Issuer, key: Digest, at: Timestamp) {
        let known = Arc::make_mut(self.0.entry(issuer.clone()).or_default());
        if known.len() == MOST {
            known.remove(0);
        }
        known.push((key, at));
    }
}
