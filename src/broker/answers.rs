//! Keeps the last answers about the status of certificates, with what they were made of.
//!
//! Deliberately not here: whether an answer may be given again ([`certificate_status`](super::certificate_status)).

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::credential::certificate::Authority;
use crate::domain::value::bounded::Bounded;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::issuance::authority::ocsp::Responder;

/// The most answers that are kept, and the most bytes.
const MOST: usize = 8192;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The last answers, by the digest of environment and id of the certificate.
pub struct Answers(Mutex<Bounded<Digest, Arc<Answer>>>);

/// A signed answer, and what it was made of.
pub(super) struct Answer {
    /// The last change of the state.
    pub(super) seen: Option<u64>,
    /// When it was signed.
    pub(super) signed: Timestamp,
    /// The authority that it is about.
    pub(super) authority: Authority,
    /// Its signer.
    pub(super) responder: Arc<Responder>,
    /// The OCSPResponse.
    pub(super) der: Vec<u8>,
}

impl Default for Answers {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MOST, MOST_BYTES)))
    }
}

impl Answers {
    pub(super) fn look(&self, asked: &Digest) -> Option<Arc<Answer>> {
        // Each change of the map is complete, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look(asked)
    }

    pub(super) fn keep(&self, asked: Digest, answer: Answer) {
        let bytes = answer.der.len() + answer.authority.root.0.len() + answer.authority.issuing.0.len();
        let forgotten = self.0.lock().unwrap_or_else(PoisonError::into_inner).remember(asked, Arc::new(answer), bytes);
        drop(forgotten);
    }
}
