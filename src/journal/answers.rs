//! Requests that may come twice: which of them were done, and what was answered (CONTRACT.md section 6, `Idempotency-Key`).
//!
//! A request with a key is known by its row from the commit of its first change on: the row stands or falls with the entry. So whatever
//! becomes of the answer, of the connection or of the process, nothing is done twice for one key within [`KEPT`]. The answer is written
//! after it was made, and before it leaves ([`Journal::keep_answer`]). Where that did not come to pass, what is told of the request is that it
//! was done, and by which request the entries say so.
//!
//! Answers hold people's names and what they wrote, so they are sealed, go with every erasure, and of one person no more are kept than
//! [`MOST_BYTES`]. Which requests were done stays for its time all the same.
//!
//! Deliberately not here: what makes two requests the same, and how an answer becomes bytes (`http/admin/idempotency`).

use super::fault::Unavailable;
use super::handle::Journal;
use super::queue::Work;
use crate::domain::clock::{Seconds, Timestamp};
use crate::domain::digest::Digest;
use crate::domain::names::RequestId;

/// How long a request is known.
pub const KEPT: Seconds = Seconds::hours(24);

/// Bytes of answers to one person that are kept; the oldest go first.
pub const MOST_BYTES: u32 = 4 * 1024 * 1024;

/// The request that a change is made for.
#[derive(Clone, Debug)]
pub struct ForRequest {
    /// Its name.
    pub id: RequestId,
    /// What it must not be done twice for, if it has a key.
    pub once: Option<Idempotency>,
}

/// An `Idempotency-Key`, and the request that it stands for (draft-ietf-httpapi-idempotency-key-header section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Idempotency {
    /// Whose key.
    pub person: Digest,
    /// The key, and the route that it belongs to.
    pub key: Digest,
    /// All else of the request that a repetition has as well.
    pub fingerprint: Digest,
}

/// A request that was done.
#[derive(Debug)]
pub struct Done {
    /// The fingerprint of the one that did it.
    pub fingerprint: Digest,
    /// Its name: the entries have it.
    pub request: RequestId,
    /// What was answered, where that is kept.
    pub answer: Option<Vec<u8>>,
}

/// An answer on its way to its row.
pub struct Answer {
    pub once: Idempotency,
    pub request: RequestId,
    /// Whether it says that the request was done. Else it is kept only if the request had changed something.
    pub done: bool,
    /// Sealed; nothing where it is not to be kept.
    pub sealed: Option<Vec<u8>>,
}

/// A row as it is read.
pub struct Row {
    pub fingerprint: Digest,
    pub request: RequestId,
    pub sealed: Option<Vec<u8>>,
}

impl From<RequestId> for ForRequest {
    fn from(id: RequestId) -> Self {
        Self { id, once: None }
    }
}

/// Requests that were done then, or before, are not known at `now`.
pub fn forgotten(now: Timestamp) -> Timestamp {
    now.minus(KEPT)
}

impl Idempotency {
    /// What an answer is sealed under: it opens in its own row alone.
    fn name(&self, request: &RequestId) -> String {
        format!("{}/{}/{}/{request}", self.person, self.key, self.fingerprint)
    }
}

impl Journal {
    /// What became of a request with this key, if one was done. `fingerprint` says whether it is the same.
    pub async fn done(&self, once: &Idempotency) -> Result<Option<Done>, Unavailable> {
        self.running()?;
        let Some(row) = self.reader().answer(once, self.now()).await? else { return Ok(None) };
        let Row { fingerprint, request, sealed } = row;
        let sealed_for = Idempotency { fingerprint, ..*once };
        let answer = sealed.and_then(|sealed| {
            let opened = self.sealing().open(&sealed_for.name(&request), &sealed);
            if opened.is_none() {
                tracing::error!(%request, "a kept answer does not open with this KEK");
            }
            opened.map(|plain| plain.to_vec())
        });
        Ok(Some(Done { fingerprint, request, answer }))
    }

    /// Keeps what is answered to `request`; `None`: that it was answered, and not what. With `done` it is known from now on even if it changed
    /// nothing; without it the answer is a refusal, and only kept where something was changed before.
    pub async fn keep_answer(
        &self,
        request: &RequestId,
        once: &Idempotency,
        (done, answer): (bool, Option<&[u8]>),
    ) -> Result<(), Unavailable> {
        self.running()?;
        let sealed = answer.map(|plain| self.sealing().seal(&once.name(request), plain, self.entropy()));
        let answer = Answer { once: *once, request: request.clone(), done, sealed };
        let (told, kept) = tokio::sync::oneshot::channel();
        self.queue(Work::Answer(Box::new(answer), told)).await?;
        kept.await.map_err(|_| Unavailable::BUSY)?
    }
}
