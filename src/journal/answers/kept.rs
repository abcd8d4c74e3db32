//! Look-ups of known requests in an open journal, and the keeping of their answers.

use std::time::Duration;

use super::{Before, Idempotency, MOST_BYTES, Reply, Sealed};
use crate::journal::fault::Unavailable;
use crate::journal::handle::Journal;
use crate::journal::sequencer::queue::Work;
use crate::journal::store::row::KnownRequest;

/// How long a request that was done waits until its answer is kept. It is kept later all the same.
const KEPT_WITHIN: Duration = Duration::from_secs(1);

impl Journal {
    /// The request that was begun with this key, if any. `fingerprint` says whether it is the same.
    pub async fn before(&self, once: &Idempotency) -> Result<Option<Before>, Unavailable> {
        self.running()?;
        let Some(row) = self.reader().answer(once, self.now()).await? else { return Ok(None) };
        let KnownRequest { fingerprint, request, finished, sealed } = row;
        let sealed_for = Idempotency { fingerprint, ..*once };
        let answer = sealed.and_then(|sealed| {
            let opened = self.sealing().open(&sealed_for.name(&request), &sealed);
            if opened.is_none() {
                tracing::error!(%request, "a kept answer does not open with this KEK");
            }
            opened.map(|plain| plain.to_vec())
        });
        Ok(Some(Before { fingerprint, request, finished, answer }))
    }

    /// Keeps what is answered.
    pub async fn keep_answer(&self, reply: Reply<'_>) -> Result<(), Unavailable> {
        self.running()?;
        let Reply { request, once, seen, done, answer } = reply;
        let fits = |plain: &&[u8]| plain.len() < MOST_BYTES as usize;
        let answer = answer.filter(fits).map(|plain| self.sealing().seal(&once.name(request), plain, self.entropy()));
        let sealed = Sealed { once: *once, request: request.clone(), seen, done, answer };
        self.asked(KEPT_WITHIN, |told| Work::Keep(Box::new(sealed), told)).await
    }
}
