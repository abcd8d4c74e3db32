//! The background tasks of a broker, each with a name by which one that ended is reported.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// The names of tasks that ended.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<Mutex<Vec<&'static str>>>);

impl Ended {
    /// The names of the tasks that ended so far.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Running tasks. Dropping this value ends them.
#[derive(Default)]
pub struct Tasks {
    running: JoinSet<()>,
    ended: Ended,
}

/// Records the task's name when it ends, even by a panic.
struct Told(Ended, &'static str);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.1);
    }
}

impl Tasks {
    /// Starts a task that is not meant to end.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let told = Told(self.ended.clone(), name);
        self.running.spawn(async move {
            let _told = told;
            task.await;
        });
    }

    /// The tasks that ended, as a handle that stays current.
    pub fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// Ends all tasks, and waits for them.
    pub async fn shutdown(&mut self) {
        self.running.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_known_by_its_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("lasting", std::future::pending());
        tasks.spawn("short", async {});
        tasks.spawn("broken", async { assert_eq!(1, 2, "it panics") });
        let ended = tasks.ended();
        while ended.names().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut names = ended.names();
        names.sort_unstable();
        assert_eq!(names, ["broken", "short"]);
        tasks.shutdown().await;
    }
}
