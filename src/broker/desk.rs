//! The desk: runs long work on submitted records away from the threads that serve tokens.
//!
//! Reading, checking and comparing records takes processor time, up to the budget of
//! [`Effort`](crate::domain::value::effort::Effort). On a serving thread, every token there would wait for it.
//! Enter through [`Desk::work`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use crate::domain::reason;

/// The number of jobs that run at a time.
///
/// More of them would take the processor from the threads that serve, whichever thread they run on.
const PLACES: usize = 2;

/// How long a job waits for its turn.
///
/// If it were longer, a sender of many requests would keep the connections of all others open.
const PATIENCE: Duration = Duration::from_secs(5);

/// Limits how many jobs run at a time.
pub struct Desk {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Desk {
    fn default() -> Self {
        Self::of(PLACES)
    }
}

impl Desk {
    /// A desk with so many places.
    pub(super) fn of(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), patience: PATIENCE }
    }

    /// Runs a job on a thread of its own.
    ///
    /// A job that has begun runs to its end and keeps its place until then, even if nobody waits for it any more.
    ///
    /// # Errors
    /// No place came free in time (`records.busy`).
    pub async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        at(place, job).await
    }

    /// Runs the last step of work that was done already, such as building its answer.
    ///
    /// It waits for a place as long as it takes, because "busy" would be a wrong answer for work that was done.
    ///
    /// # Errors
    /// The process ends.
    pub async fn finish<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        at(Arc::clone(&self.places).acquire_owned().await.map_err(|_| busy())?, job).await
    }
}

async fn at<T: Send + 'static>(place: OwnedSemaphorePermit, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(move || {
        let outcome = job();
        drop(place);
        outcome
    });
    done.await.or_else(|fault| match fault.try_into_panic() {
        // The HTTP front answers a panic.
        Ok(panic) => std::panic::resume_unwind(panic),
        // The process ends.
        Err(_) => Err(busy()),
    })
}

fn busy() -> Failure {
    Failure::Refused(&reason::RECORDS_BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-2: jobs leave the runtime's one thread free, and at most one job runs for each place.
    #[tokio::test(flavor = "current_thread")]
    async fn jobs_leave_the_runtime_alone_and_wait_for_a_place() {
        let desk = Arc::new(Desk::default());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let jobs: Vec<_> = (0..PLACES)
            .map(|_| {
                let (desk, held) = (Arc::clone(&desk), Arc::clone(&held));
                tokio::spawn(async move { desk.work(move || held.lock().expect("the lock").recv().is_ok()).await })
            })
            .collect();
        while desk.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // The runtime's only thread runs this line, so it is not in a job.
        let third = tokio::time::timeout(Duration::from_millis(50), desk.work(|| ())).await;
        assert!(third.is_err(), "no place is free");
        for _ in 0..PLACES {
            release.send(()).expect("a job waits");
        }
        for job in jobs {
            assert!(matches!(job.await.expect("it ends"), Ok(true)));
        }
        assert!(matches!(desk.work(|| 5).await, Ok(5)));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let desk = Desk { patience: Duration::from_millis(10), ..Desk::default() };
        let taken = Arc::clone(&desk.places).acquire_many_owned(2).await.expect("places");
        let refused = desk.work(|| ()).await.expect_err("no place");
        assert!(matches!(refused, Failure::Refused(reason) if reason.code == "records.busy"));
        // The answer to work that was done still comes, once a place is free.
        let finish = tokio::time::timeout(Duration::from_millis(50), desk.finish(|| ())).await;
        assert!(finish.is_err(), "it waits");
        drop(taken);
        assert!(matches!(desk.finish(|| 5).await, Ok(5)));
        assert!(desk.work(|| ()).await.is_ok());
    }
}
