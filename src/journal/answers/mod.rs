//! Requests that may come twice, and their answers (docs/reference/admin-api.md).
//!
//! A request with a key is known by its row from the commit of its first change on: the row stands or falls with the entry. So whatever
//! becomes of the answer, of the connection or of the process, nothing is changed twice for one key within [`KEPT`]. The answer is written
//! after it was made, and before it leaves ([`Journal::keep_answer`](crate::journal::Journal::keep_answer)). If that fails, a repetition is told that the
//! request was begun, and its id, by which the entries tell how far it came.
//!
//! A request that changes nothing in the log (a plan, a probe, a replay of deliveries, which are at least once in any case) is known by its
//! answer alone, and may be done again where that is gone.
//!
//! Answers hold people's names and what they wrote, so they are sealed and go with every erasure; of one person [`MOST_BYTES`] and
//! [`MOST_ANSWERS`] are kept. It stays known that a request changed something. A row has no MAC: an attacker who can write to the
//! database can block a key or free one, and cannot make an answer.
//!
//! Deliberately not here: what makes two requests the same, and how an answer becomes bytes (`http/admin/idempotency`).

mod kept;

use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::RequestId;

/// How long a request is known.
pub const KEPT: Seconds = Seconds::hours(24);

/// Bytes of answers to one person that are kept; the oldest go first.
pub const MOST_BYTES: u32 = 4 * 1024 * 1024;

/// Answers to one person that are kept.
pub const MOST_ANSWERS: u32 = 1024;

/// The request that a change is made for.
#[derive(Clone, Debug)]
pub struct ForRequest {
    /// Its name.
    pub id: RequestId,
    /// Its idempotency key, if it has one.
    pub once: Option<Idempotency>,
}

/// An `Idempotency-Key` and its request (draft-ietf-httpapi-idempotency-key-header section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Idempotency {
    /// The person whose key it is.
    pub person: Digest,
    /// The key, and the route that it belongs to.
    pub key: Digest,
    /// All else of the request that a repetition has as well.
    pub fingerprint: Digest,
}

/// A request that was begun before.
pub struct Before {
    /// The fingerprint of the one that did it.
    pub fingerprint: Digest,
    /// Its name: the entries have it.
    pub request: RequestId,
    /// Whether it came to its end. Else some of its changes may not have been made.
    pub finished: bool,
    /// The answer, if it is kept.
    pub answer: Option<Vec<u8>>,
}

/// The answer to a request with a key.
pub struct Reply<'a> {
    /// The request.
    pub request: &'a RequestId,
    /// Its key.
    pub once: &'a Idempotency,
    /// How many entries the log had when it was begun: what was erased since may be in the answer.
    pub seen: u64,
    /// Whether it was done, even if that changed nothing.
    ///
    /// Else it is a refusal, and kept only if something was changed before.
    pub done: bool,
    /// The answer for the same request when it comes again, if it can be kept.
    pub answer: Option<&'a [u8]>,
}

/// A reply on its way to its row.
pub struct Sealed {
    pub once: Idempotency,
    pub request: RequestId,
    pub seen: u64,
    pub done: bool,
    pub answer: Option<Vec<u8>>,
}

impl ForRequest {
    /// One that may come twice, and is done twice then.
    pub fn without_key(id: RequestId) -> Self {
        Self { id, once: None }
    }
}

impl Idempotency {
    /// The name that an answer is sealed under: it opens in its own row alone.
    pub(super) fn name(&self, request: &RequestId) -> String {
        format!("{}/{}/{}/{request}", self.person, self.key, self.fingerprint)
    }
}
