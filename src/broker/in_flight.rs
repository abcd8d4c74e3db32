//! Limits the requests that run to their end even if nobody waits for them any more.
//!
//! A node that ends waits for them first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests at a time.
const MOST: u32 = 256;

/// The requests that are in flight.
pub struct InFlight(Arc<Semaphore>);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST as usize)))
    }
}

impl InFlight {
    /// Begins a request, which lasts as long as the permit; `None` if there are too many.
    pub fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Stops new requests, and waits at most `within` for those in flight.
    ///
    /// Returns whether all of them ended.
    pub async fn end(&self, within: Duration) -> bool {
        let all = tokio::time::timeout(within, self.0.acquire_many(MOST)).await;
        let ended = matches!(all, Ok(Ok(_)));
        self.0.close();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_waited_for_and_nothing_more_begins() {
        let in_flight = InFlight::default();
        let all: Vec<_> = (0..MOST).map(|_| in_flight.begin().expect("not too many")).collect();
        assert!(in_flight.begin().is_none(), "too many");
        assert!(!in_flight.end(Duration::from_millis(20)).await, "they are not done");
        drop(all);
        assert!(in_flight.begin().is_none(), "the node ends");

        let in_flight = InFlight::default();
        let one = in_flight.begin().expect("the first");
        let ends = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(one);
        };
        let (ended, ()) = tokio::join!(in_flight.end(Duration::from_secs(10)), ends);
        assert!(ended);
    }
}
