//! Reads the journal as soon as another node tells of news.
//!
//! What is told is when to look, and never what is there: a word that is missing makes a node later, since it looks each second in any case, and
//! a false one makes it read once for nothing. However many words come, one reading is under way and one more waits, and after a reading
//! that found nothing there is a pause.

use std::time::Duration;

use tokio::sync::watch;

use super::Broker;

/// The pause after a word that was not true.
const PAUSE: Duration = Duration::from_millis(200);

impl Broker {
    /// Looks into the journal whenever another node tells of news, for as long as the node runs.
    pub async fn follow_at_once(self) {
        let heard = watch::Sender::new(0);
        let mut told = heard.subscribe();
        let looks = async {
            while told.changed().await.is_ok() {
                let index = *told.borrow_and_update();
                if self.knows(index) {
                    continue;
                }
                let _later = self.journal.refresh().await;
                if !self.knows(index) {
                    tokio::time::sleep(PAUSE).await;
                    // The next word counts, even if it is of a lower index than a false one was.
                    heard.send_if_modified(|highest| {
                        *highest = 0;
                        false
                    });
                }
            }
        };
        tokio::select! {
            never = self.live.news(&heard) => match never {},
            () = looks => {}
        }
    }

    fn knows(&self, index: u64) -> bool {
        self.journal.view().size > index
    }
}
