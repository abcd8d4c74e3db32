//! Changes that stand or fall together: a new epoch, and what is recorded again after it.

use std::sync::Arc;
use std::time::Instant;

use super::Sequencer;
use crate::domain::log::change::Attributed;
use crate::domain::state::State;
use crate::journal::fault::Unavailable;
use crate::journal::sequencer::queue::ChangeOutcome;
use crate::journal::store::batch::{Batch, Beside};
use crate::journal::tail::Line;

impl Sequencer {
    /// One commit: several changes, each alone in its batch. `beside` stands or falls with the first.
    pub async fn several(&mut self, changes: Vec<Attributed>, beside: Beside) -> Result<ChangeOutcome, Unavailable> {
        let (seen, started) = (self.head.last_change, Instant::now());
        self.begin(&[]).await?;
        if seen != self.head.last_change {
            self.abort().await;
            return Ok(ChangeOutcome::Stale);
        }
        let time = self.time(changes.first().map(|change| &change.what)).await?;
        let (mut head, mut tree, mut state) = (self.head.clone(), self.tree.clone(), State::clone(&self.state));
        let (mut beside, mut told) = (Some(beside), Vec::new());
        for change in changes {
            let (entry, row) = self.entry((head.size, time, head.last_change), None, change).await?;
            let mut batch = Batch::of(vec![row], true, &head, &mut tree, &self.key);
            told.extend(batch.rows.first().map(|row| Line::of_batch(&batch, row)));
            batch.beside = beside.take().unwrap_or_default();
            state.apply(entry.index, time, &entry.change);
            head = batch.after.clone();
            if let Err(fault) = self.store.append(batch).await {
                return Err(self.failed(fault).await);
            }
        }
        state.forget_expired(time);
        if let Err(fault) = self.store.commit().await {
            self.settle(fault, &head).await?;
        }
        self.untold.extend(told);
        let last = head.size.saturating_sub(1);
        self.took(head, tree, Some(Arc::new(state)), started);
        Ok(ChangeOutcome::Done(last))
    }
}
