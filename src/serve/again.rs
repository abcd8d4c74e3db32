//! Going on after a journal stopped itself: behind the same sockets, once an operator has reopened it.

use std::time::{Duration, Instant};

use super::inside::{self, Inside};
use super::tasks::Tasks;
use super::{Running, SHORTEST_END};

/// How long after a look the journal is looked at again that is not to be begun on yet.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Running {
    /// Begins anew behind the same sockets, if an operator has reopened the journal since it stopped itself.
    ///
    /// Whoever owns the node calls this about once a second; mostly there is nothing to do. What the stopped node held is given up before
    /// anything is loaded: journal, state, tasks and routes are those of a start. Nothing is minted or called active in between. Where
    /// nothing can be loaded yet, the node says why and the next call tries again.
    pub async fn go_on(&mut self) {
        if self.is_loaded && !self.may_go_on().await {
            return;
        }
        if self.is_loaded {
            tracing::warn!("the journal was reopened: this node begins anew on it");
            self.shell.waits.tell("the journal was reopened, and is loaded again");
            self.shell.close();
            self.is_loaded = false;
            // Before they are ended: whoever gives this call up leaves none that is known to have ended.
            let mut ended: Tasks = std::mem::take(&mut self.background);
            ended.shutdown().await;
            if !self.broker.in_flight.end(SHORTEST_END).await {
                tracing::warn!("some requests do not come to their end; they find no journal any more");
            }
            self.broker.journal.close().await;
        }
        match inside::load(&self.shell, Some(self.tls.clone())).await {
            Ok(Inside { broker, background, tls }) => {
                (self.broker, self.background, self.tls) = (broker, background, tls);
                (self.is_loaded, self.looked) = (true, None);
                tracing::warn!("this node goes on with the journal as it was reopened");
            }
            Err(fault) => {
                tracing::error!(%fault, "the journal was reopened, and this node cannot go on yet");
                self.shell.waits.tell(fault);
            }
        }
    }

    async fn may_go_on(&mut self) -> bool {
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if self.broker.journal.running().is_ok() || !is_due {
            return false;
        }
        let (settings, kek) = (&self.shell.foundation.journal, &self.shell.foundation.kek);
        let may = self.broker.journal.may_begin_anew(settings, kek).await;
        self.looked = Some(Instant::now());
        may
    }
}
