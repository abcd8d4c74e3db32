//! Whoever put work in the queue is answered in time.
//!
//! Work belongs to one side at a time. The sequencer takes it before it begins to write; whoever waits takes it back when
//! [`ANSWERED_WITHIN`] is over, and then it is not done, and they may say so. If the sequencer has it by then, nobody knows yet what comes of
//! it: it is told as unconfirmed, and its outcome reaches nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::journal::fault::Unavailable;

/// How long whoever asks the sequencer waits for an answer.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// The sequencer's end.
pub struct Reply<T> {
    is_taken: Arc<AtomicBool>,
    sender: oneshot::Sender<T>,
}

/// The end of whoever asked.
pub struct Outcome<T> {
    is_taken: Arc<AtomicBool>,
    receiver: oneshot::Receiver<T>,
}

/// Both ends.
pub fn reply<T>() -> (Reply<T>, Outcome<T>) {
    let (sender, receiver) = oneshot::channel();
    let is_taken = Arc::new(AtomicBool::new(false));
    (Reply { is_taken: Arc::clone(&is_taken), sender }, Outcome { is_taken, receiver })
}

impl<T> Reply<T> {
    /// Takes the work. False: it was taken back, and must not be done.
    pub fn take(&self) -> bool {
        !self.is_taken.swap(true, Ordering::SeqCst)
    }

    /// Whether nobody waits for the outcome any more.
    pub fn is_late(&self) -> bool {
        self.sender.is_closed()
    }

    /// Tells the outcome, if somebody still waits for it.
    pub fn send(self, outcome: T) {
        let _gone = self.sender.send(outcome);
    }
}

impl<T> Outcome<T> {
    /// The outcome, if it comes until then. Else the work is taken back, or told as unconfirmed.
    pub async fn until(self, last: Instant) -> Result<T, Unavailable> {
        let Self { is_taken, receiver } = self;
        match timeout_at(last, receiver).await {
            Ok(Ok(outcome)) => Ok(outcome),
            // The sequencer ended.
            Ok(Err(_)) | Err(_) if is_taken.swap(true, Ordering::SeqCst) => Err(Unavailable::UNCONFIRMED),
            Ok(Err(_)) | Err(_) => Err(Unavailable::BUSY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    /// F-11: work that nobody took in time is not done, and work that was taken is not said to be undone.
    #[tokio::test]
    async fn f_11_work_belongs_to_one_side() {
        let (late, outcome) = reply::<()>();
        assert_eq!(outcome.until(soon()).await, Err(Unavailable::BUSY));
        assert!(!late.take() && late.is_late(), "it was taken back");

        let (taken, outcome) = reply::<()>();
        assert!(taken.take());
        assert_eq!(outcome.until(soon()).await, Err(Unavailable::UNCONFIRMED));
        assert!(taken.is_late(), "its outcome reaches nobody");

        let (ended, outcome) = reply::<()>();
        drop(ended);
        assert_eq!(outcome.until(soon()).await, Err(Unavailable::BUSY));
        let (ended, outcome) = reply::<()>();
        assert!(ended.take());
        drop(ended);
        assert_eq!(outcome.until(soon()).await, Err(Unavailable::UNCONFIRMED));

        let (told, outcome) = reply();
        assert!(told.take());
        told.send(7);
        assert_eq!(outcome.until(soon()).await, Ok(7));
    }
}
