//! Cursors that all nodes see: how far each receiver of webhooks and mail are.
//!
//! A task keeps its cursor in memory and in a file, as on a single node. On a journal that nodes share, one task of each node
//! ([`Broker::share_cursors`]) also brings cursors to the database and from there, each second, and once more as the node stops. So whoever takes
//! the tasks over from a node that died goes on at most a second before the place where that one was: something may be told again, with the
//! same id, and nothing is left out. A cursor that a
//! person moves at any node wins over the one that the running node puts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Broker;
use super::cursor::{Known, Told};
use crate::journal::{Cursor, Unavailable};

/// How often cursors are brought to the others.
const EVERY: Duration = Duration::from_secs(1);

impl Broker {
    /// Shares the cursors of this node with the others, for as long as the node runs.
    pub async fn share_cursors(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.share_cursors_once().await;
        }
    }

    /// Shares them once more after the tasks have ended, so that the next node repeats nothing.
    pub async fn share_cursors_at_the_end(&self) {
        if tokio::time::timeout(EVERY, self.share_cursors_once()).await.is_err() {
            tracing::warn!("the cursors are not shared at the end; what was told last may be told again");
        }
    }

    async fn share_cursors_once(&self) {
        let mut all = self.cursors.0.lock().await;
        if all.is_empty() {
            let receivers = self.receivers.iter().map(|receiver| Arc::clone(receiver) as Arc<dyn Told>);
            let mail = self.mail.iter().map(|mail| Arc::clone(mail) as Arc<dyn Told>);
            all.extend(receivers.chain(mail).map(|told| Known { body: told.cursor(), told, generation: 0 }));
        }
        for known in &mut *all {
            if self.share(known).await.is_err() {
                tracing::warn!(cursor = known.told.cursor_name(), "a cursor is not shared now; trying again");
            }
        }
    }

    async fn share(&self, known: &mut Known) -> Result<(), Unavailable> {
        let name = known.told.cursor_name();
        let Some(there) = self.journal.shared_cursor(&name).await? else { return Ok(()) };
        let own = known.told.cursor();
        let there = match there {
            // Another node, or a person there, moved it since this one looked.
            Some(there) if there.generation != known.generation && self.follows(&own, known) => {
                if known.told.go_on_from(&there.body) {
                    (known.generation, known.body) = (there.generation, known.told.cursor());
                } else {
                    tracing::error!(cursor = name, "the cursor of another node cannot be read, or not be kept here");
                }
                return Ok(());
            }
            there => there.map_or(0, |there| there.generation),
        };
        let is_first = there == 0 && self.journal.runs().is_some();
        if own == known.body && !is_first {
            return Ok(());
        }
        let next = Cursor { generation: there + 1, body: own };
        if self.journal.put_cursor(&name, &next).await? {
            (known.generation, known.body) = (next.generation, next.body);
        }
        Ok(())
    }

    /// Whether this node takes the cursor of the others over: it runs the task and others moved it, or it only follows and moved nothing itself.
    fn follows(&self, own: &[u8], known: &Known) -> bool {
        self.journal.runs().is_some() || own == known.body
    }
}
