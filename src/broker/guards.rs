//! Has the guards of a view compiled before it is asked.
//!
//! Enter through [`Broker::guards`]. A node that follows the journal comes here with each change, so that nearly always nothing is left to do
//! when an exchange asks.

use std::sync::Arc;

use super::Broker;
use crate::journal::View;
use crate::policy::Guardrails;

impl Broker {
    /// The guards, after those that decisions on `view` ask were compiled.
    pub async fn guards(&self, view: &Arc<View>) -> Arc<Guardrails> {
        self.guardrails.for_view(view).await
    }

    /// Whether a guard of the newest view is still to be compiled.
    pub(super) fn lacks_guards(&self) -> bool {
        self.guardrails.lacks(&self.journal.view())
    }
}
