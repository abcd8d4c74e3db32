//! Records the dates of which people are told, at most once a minute (docs/how-to/govern/dates.md).
//!
//! Enter through [`Broker::notice_dates`], which a start and a task call. The rule is `domain::decision::dates`; it is asked again on the
//! state that the entry follows, so several nodes tell of each date once, and a start goes on where the last entry ended.

use std::time::Duration;

use super::Broker;
use super::cause::Cause;
use super::failure::Failure;
use crate::domain::decision::dates::due;

/// How often it is looked at: a little more than the time between two entries, so that no look comes too early.
const LOOK_EVERY: Duration = Duration::from_secs(61);

/// Nothing is due.
struct Nothing;

impl Broker {
    /// Tells of dates, until the task is dropped.
    pub async fn watch_dates(self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // A start has looked.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.notice_dates().await.is_err() {
                // No right begins or ends by it.
                tracing::warn!("dates that are due could not be recorded; trying again");
            }
        }
    }

    /// Records the dates that are due, if any. Returns whether there were some.
    ///
    /// # Errors
    /// The journal does not answer, or the clock cannot be believed.
    pub async fn notice_dates(&self) -> Result<bool, Failure> {
        // Nearly always nothing is due, and then no writer is asked.
        if due(&self.journal.view().state, self.now()).is_none() {
            return Ok(false);
        }
        let recorded = self.change_as(Cause::Broker, None, |state, now| due(state, now).ok_or(Nothing)).await?;
        Ok(recorded.is_ok())
    }
}
