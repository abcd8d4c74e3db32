//! What a handle asks of the sequencer, and the end of both.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::fault::{Loss, Unavailable};
use super::handle::Journal;
use super::sequencer::queue::Work;
use super::sequencer::reply::{ANSWERED_WITHIN, Reply, reply};
use super::store::head::Head;
use super::tree::Tree;

/// How long the end of the sequencer is waited for: a store that does not answer keeps no process from ending.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

impl Journal {
    /// Puts work in the queue once there is space, and waits for its outcome; not longer than this in all.
    pub(super) async fn asked<T>(
        &self,
        within: Duration,
        work: impl FnOnce(Reply<Result<T, Unavailable>>) -> Work,
    ) -> Result<T, Unavailable> {
        let last = Instant::now() + within;
        let (answer, outcome) = reply();
        timeout_at(last, self.queue(work(answer))).await.map_err(|_| Unavailable::BUSY)??;
        outcome.until(last).await?
    }

    /// Reads the head anew, and takes in what another process of ours wrote since.
    pub async fn refresh(&self) -> Result<(), Unavailable> {
        self.running()?;
        self.asked(ANSWERED_WITHIN, Work::Look).await
    }

    /// Stops this journal for good, by the proof that it lost entries. Only `reopen` goes on.
    ///
    /// The proof stays beside the anchor.
    pub async fn stop_lost(&self, loss: Loss) {
        let (answer, stopped) = tokio::sync::oneshot::channel();
        if self.queue(Work::Lost(Box::new(loss), answer)).await.is_ok() {
            let _stopped = stopped.await;
        }
    }

    pub(super) async fn tree(&self) -> Result<(Head, Tree), Unavailable> {
        self.running()?;
        self.asked(ANSWERED_WITHIN, Work::Tree).await
    }

    /// Writes what waits, anchors it, and closes the database. Later calls are refused.
    ///
    /// What a store that does not answer leaves open is as after a crash: the next start finds what was committed.
    pub async fn close(&self) {
        self.shared().close();
        let (answer, closed) = tokio::sync::oneshot::channel();
        let ended = async {
            if self.queue(Work::Close(answer)).await.is_ok() {
                let _done = closed.await;
            }
        };
        if timeout(CLOSED_WITHIN, ended).await.is_err() {
            tracing::warn!("the journal's store does not answer: the journal is closed as it is");
            self.kill();
        }
        self.give_lease_back().await;
        // The journal is closed: a fault changes nothing for the caller.
        let _closed = self.reader().close().await;
    }
}
