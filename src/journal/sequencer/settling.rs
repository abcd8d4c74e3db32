//! A commit whose answer was lost.

use std::sync::Arc;
use std::time::Duration;

use super::Sequencer;
use crate::journal::fault::{StoreFault, Unavailable};
use crate::journal::store::head::Head;

/// How long after it could not be told the outcome of a commit is asked again.
const SETTLING_PAUSE: Duration = Duration::from_millis(200);

impl Sequencer {
    /// When the store does not say that it committed, the log says whether it did.
    ///
    /// Until it does everything is refused: neither a yes nor a no would be true. It is asked again for as long as the journal is open, and
    /// whoever waits longer than [`ANSWERED_WITHIN`](super::reply::ANSWERED_WITHIN) is told so.
    pub async fn settle(&mut self, fault: StoreFault, after: &Head) -> Result<(), Unavailable> {
        tracing::warn!(%fault, "a commit failed; reading the log to learn its outcome");
        self.shared.set_writable(false);
        self.shared.set_unsettled(true);
        let settled = loop {
            let shared = Arc::clone(&self.shared);
            let outcome = tokio::select! {
                outcome = self.outcome(after) => outcome,
                () = shared.closed() => break Err(Unavailable::UNCONFIRMED),
            };
            match outcome {
                Ok(Some(settled)) => break settled,
                // What is there is proved with the next batch.
                Ok(None) => break Err(Unavailable::BUSY),
                Err(fault) => tracing::warn!(%fault, "the log cannot be read"),
            }
            tokio::time::sleep(SETTLING_PAUSE).await;
        };
        self.shared.set_unsettled(false);
        settled
    }

    /// Ensures that no batch that was sent comes in later, and tells whether the one that ends at `after` is in the log.
    ///
    /// None: the log ends before this node's head, or its batches are gone.
    async fn outcome(&mut self, after: &Head) -> Result<Option<Result<(), Unavailable>>, StoreFault> {
        let found = self.store.settle().await?;
        if found.head == *after && found.rows == after.size {
            return Ok(Some(Ok(())));
        }
        if found.head == self.head && found.rows == self.head.size {
            return Ok(Some(Err(Unavailable::BUSY)));
        }
        // Another node wrote since: after ours, or in its place.
        let since = self.reader.since(self.head.size, 1).await?;
        let is_ours = since.news.first().map(|news| news.batch.root == after.root && news.batch.size_after == after.size);
        Ok(is_ours.map(|is_ours| if is_ours { Ok(()) } else { Err(Unavailable::BUSY) }))
    }
}
