//! Compiles guardrails on a thread for such work, one job at a time.

use std::sync::Arc;

use crate::journal::View;
use crate::policy::Guardrails;

/// The compiled guardrails, and the one job that compiles more.
#[derive(Default)]
pub struct Compiling {
    known: Arc<Guardrails>,
    turn: tokio::sync::Mutex<()>,
}

impl Compiling {
    /// The guards, after those that decisions on `view` ask were compiled. Whoever needs the same waits for the same job.
    pub(super) async fn for_view(&self, view: &Arc<View>) -> Arc<Guardrails> {
        if self.lacks(view) {
            let _turn = self.turn.lock().await;
            if self.lacks(view) {
                let (known, view) = (Arc::clone(&self.known), Arc::clone(view));
                // What a job that fails did not compile refuses.
                if tokio::task::spawn_blocking(move || known.make(&view.state)).await.is_err() {
                    tracing::error!("the guardrails in force could not be compiled: nothing is granted");
                }
            }
        }
        Arc::clone(&self.known)
    }

    /// Whether a guard that decisions on `view` ask is still to be compiled.
    pub(super) fn lacks(&self, view: &View) -> bool {
        self.known.lacks(&view.state)
    }
}
