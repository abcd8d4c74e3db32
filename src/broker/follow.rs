//! Keeps the live index in step with the journal, and tells how far it has come.
//!
//! One task ([`Broker::follow`]) applies the cuts of every change and moves the marker; twice a second it renews the marker's time.
//! An index that is missing or behind is rebuilt from the state before any token is called active. An index with values that this
//! journal did not write (`shadow`) is left as it is: the node mints nothing, says what is wrong, and goes on once it is put right
//! (docs/explanation/journal.md#the-live-index). An index that proves that the journal lost entries stops the journal, and the
//! journal stays stopped if that proof is removed. The task never ends by itself.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use super::shadow::{self, Wrong};
use crate::domain::state::cut::all;
use crate::domain::state::recent_cuts::Cut;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::EnvironmentName;
use crate::journal::{Unavailable, View};
use crate::revocation::Away;
use crate::revocation::{Applied, Found, Marker, Snapshot, Update};

/// The longest silence of the live index in which a node mints or says "active" (ABUSE I-16).
pub const LEASE: Seconds = Seconds(5);

/// How often the marker's time is renewed.
///
/// Together with the half second that an answer may take and the quarter second for a connection, it is less than the two seconds
/// after which a node says that it is not ready.
const RENEW_EVERY: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The condition of the live index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It was not asked yet.
    Unheard,
    /// It answers, and is complete.
    Complete,
    /// It is being rebuilt.
    Behind,
    /// A request to it failed.
    Away(Away),
    /// The journal cannot be read, so the right content is not known.
    Unread,
    /// It holds values that this journal did not write.
    Wrong(Arc<[Wrong]>),
}

/// The progress of the live index.
#[derive(Debug)]
pub struct Follower {
    /// The number of journal entries for which the live index is complete.
    reached: watch::Sender<u64>,
    /// When the live index last answered, in seconds.
    heard: AtomicI64,
    /// True if its last known condition is [`Standing::Complete`].
    complete: AtomicBool,
    /// True if the journal may have lost something.
    ///
    /// It is set from the start until the live index is heard, and when the index holds something that the journal does not. Only a
    /// complete index clears it. An index that is away, or by now holds another wrong value, does not.
    doubted: AtomicBool,
    /// The last known condition.
    standing: Mutex<Standing>,
    /// The number of rebuilds.
    rebuilt: AtomicU64,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            reached: watch::Sender::new(0),
            heard: AtomicI64::new(i64::MIN),
            complete: AtomicBool::new(false),
            doubted: AtomicBool::new(true),
            standing: Mutex::new(Standing::Unheard),
            rebuilt: AtomicU64::new(0),
        }
    }
}

impl Follower {
    /// Tells whether the live index was complete when last heard, within the lease.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        self.complete.load(Ordering::Acquire) && now.as_seconds().saturating_sub(heard) <= i64::from(LEASE.0)
    }

    /// Tells whether the live index may hold revocations or more that the journal has lost.
    pub fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire)
    }

    /// The last known condition of the live index, for operators.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the live index has the change at `index`; false if `within` passes first.
    pub async fn reached(&self, index: u64, within: Duration) -> bool {
        let mut reached = self.reached.subscribe();
        let arrived = reached.wait_for(|reached| *reached > index);
        matches!(tokio::time::timeout(within, arrived).await, Ok(Ok(_)))
    }

    fn heard(&self, now: Timestamp, index: u64) {
        self.heard.store(now.as_seconds(), Ordering::Release);
        let next = index + 1;
        self.reached.send_if_modified(|reached| {
            let moved = *reached != next;
            *reached = next;
            moved
        });
        self.stands(Standing::Complete);
    }

    /// Stores the condition of the live index, and logs it if it is a new one.
    fn stands(&self, standing: Standing) {
        self.complete.store(standing == Standing::Complete, Ordering::Release);
        match &standing {
            Standing::Complete => self.doubted.store(false, Ordering::Release),
            Standing::Wrong(wrong) if wrong.iter().any(Wrong::is_ahead) => self.doubted.store(true, Ordering::Release),
            Standing::Wrong(_) | Standing::Unheard | Standing::Behind | Standing::Away(_) | Standing::Unread => {}
        }
        let mut kept = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept == standing {
            return;
        }
        match &standing {
            Standing::Unheard | Standing::Behind => {}
            Standing::Complete => tracing::info!("the live index holds all that it should"),
            Standing::Away(cause) => tracing::error!(%cause, "nothing is minted or called active: the live index is away"),
            Standing::Unread => tracing::error!("nothing is minted or called active: the journal does not answer"),
            Standing::Wrong(wrong) => {
                for wrong in wrong.iter() {
                    tracing::error!(%wrong, "nothing is minted or called active: the live index holds a wrong value");
                }
            }
        }
        *kept = standing;
    }

    fn lost(&self, standing: Standing) {
        self.stands(standing);
        self.reached.send_replace(0);
    }
}

/// A follower's last marker, and the checkpoint beside it that was found to be ours.
#[derive(Default)]
struct Place {
    marker: Option<Marker>,
    checkpoint: Option<String>,
}

impl Broker {
    /// Keeps the live index in step with the journal, until the task is dropped.
    pub async fn follow(self) {
        let mut heads = self.journal.follow();
        let mut place = Place::default();
        loop {
            let change = heads.borrow_and_update().index;
            let pause = match self.step(&mut place).await {
                Followed::At(marker) => {
                    self.follower.heard(self.clock.now(), marker.index);
                    let is_news = place.marker.as_ref().is_none_or(|last| last.index != marker.index);
                    if is_news || place.checkpoint.is_none() {
                        self.keep_checkpoint(&mut place).await;
                    }
                    place.marker = Some(marker);
                    RENEW_EVERY
                }
                Followed::Lost => {
                    self.follower.lost(Standing::Behind);
                    place = Place::default();
                    continue;
                }
                Followed::Away(cause) => {
                    self.follower.stands(Standing::Away(cause));
                    RETRY_AFTER
                }
                Followed::Unread => {
                    self.follower.stands(Standing::Unread);
                    RETRY_AFTER
                }
                Followed::Wrong(wrong) => {
                    self.follower.lost(Standing::Wrong(wrong.into()));
                    place = Place::default();
                    RENEW_EVERY
                }
            };
            // Issuance moves the head too, and cuts nothing. Only a change ends the pause early.
            let _ = tokio::time::timeout(pause, heads.wait_for(|head| head.index != change)).await;
        }
    }

    async fn step(&self, place: &mut Place) -> Followed {
        let view = self.journal.view();
        let Some(marker) = &place.marker else { return self.adopt().await };
        let followed = if marker.index + 1 == view.size && marker.epoch == view.state.epoch {
            self.renew(marker).await
        } else {
            self.advance(marker, &view).await
        };
        if !matches!(followed, Followed::At(_)) {
            return followed;
        }
        match self.checkpoint_holds(place).await {
            Ok(()) => followed,
            Err(other) => other,
        }
    }

    /// Checks the checkpoint beside the index, if it differs from the last one seen.
    async fn checkpoint_holds(&self, place: &mut Place) -> Result<(), Followed> {
        match self.live.load_checkpoint().await? {
            Found::Missing => place.checkpoint = None,
            Found::At(text) if place.checkpoint.as_ref() == Some(&text) => {}
            Found::At(text) => {
                if shadow::checkpoint(&text, &self.journal.past().await?).await?.is_some() {
                    return Err(Followed::Lost);
                }
                place.checkpoint = Some(text);
            }
            Found::Strange(_) => return Err(Followed::Lost),
        }
        Ok(())
    }

    /// Renews the marker's time in every environment.
    async fn renew(&self, marker: &Marker) -> Followed {
        let marker = Marker { time: self.clock.now(), ..marker.clone() };
        for environment in self.environments() {
            if let Some(other) = other(self.live.renew(&environment, &marker).await) {
                return other;
            }
        }
        Followed::At(marker)
    }

    /// Applies the cuts of the changes since `last`, in order.
    async fn advance(&self, last: &Marker, view: &View) -> Followed {
        // An index that is behind all remembered cuts is rebuilt.
        let Some(changed) = view.state.recent_cuts.behind(last.index) else { return Followed::Lost };
        let changed: Vec<&Cut> = changed.collect();
        let Some(marker) = self.marker(view) else { return Followed::Lost };
        for environment in self.environments() {
            let cuts = changed.iter().filter(|cut| cut.environment == environment).map(|cut| (*cut).clone()).collect();
            let update = Update { environment, prior: last.clone(), marker: marker.clone(), cuts };
            if let Some(other) = other(self.live.apply(&update).await) {
                return other;
            }
        }
        Followed::At(marker)
    }

    /// Stores the newest checkpoint beside the index.
    ///
    /// It is an anchor that does not roll back with a restored copy of the journal's own machine. If it cannot be stored now, the
    /// next try stores it. The file beside the configuration is the first anchor.
    async fn keep_checkpoint(&self, place: &mut Place) {
        let Ok((epoch, note)) = self.journal.checkpoint_to_keep() else { return };
        let text = format!("{epoch}\n{note}");
        if self.live.store_checkpoint(&text).await.is_ok() {
            place.checkpoint = Some(text);
        }
    }

    /// Rebuilds the index from the journal, unless it holds values that this journal did not write.
    async fn adopt(&self) -> Followed {
        match self.compared().await {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => return Followed::Wrong(wrong),
            Err(other) => return other,
        }
        let view = self.journal.view();
        let Some(marker) = self.marker(&view) else { return Followed::Unread };
        let snapshot = Snapshot { marker: marker.clone(), environments: self.environments(), cuts: all(&view.state) };
        match self.live.rebuild(&snapshot).await {
            Ok(()) => {
                self.follower.rebuilt.fetch_add(1, Ordering::Relaxed);
                Followed::At(marker)
            }
            Err(cause) => Followed::Away(cause),
        }
    }

    /// Finds the values in the index that this journal did not write.
    ///
    /// A value ahead of this node's view may be news. So the head is read again before such a value counts as a fault.
    async fn compared(&self) -> Result<Vec<Wrong>, Followed> {
        let contents = shadow::read(&self.live, &self.environments()).await?;
        let wrong = shadow::judge(&contents, &self.journal.past().await?).await?;
        if !wrong.iter().any(Wrong::is_ahead) {
            return Ok(wrong);
        }
        self.journal.refresh().await?;
        let wrong = shadow::judge(&contents, &self.journal.past().await?).await?;
        if let Some(loss) = wrong.iter().find_map(Wrong::loss) {
            self.journal.stop_lost(loss.clone()).await;
        }
        Ok(wrong)
    }

    fn marker(&self, view: &View) -> Option<Marker> {
        let index = view.size.checked_sub(1)?;
        Some(Marker { epoch: view.state.epoch, index, root: view.root, time: self.clock.now() })
    }

    fn environments(&self) -> Vec<EnvironmentName> {
        let view = self.journal.view();
        view.state.configuration.iter().flat_map(|configuration| configuration.environments.keys().cloned()).collect()
    }
}

/// The outcome of one step.
enum Followed {
    At(Marker),
    /// The index is not as the last step left it.
    ///
    /// The next step reads it as at a start, which finds everything that is wrong.
    Lost,
    Away(Away),
    Unread,
    Wrong(Vec<Wrong>),
}

impl From<Away> for Followed {
    fn from(cause: Away) -> Self {
        Self::Away(cause)
    }
}

impl From<Unavailable> for Followed {
    fn from(_: Unavailable) -> Self {
        Self::Unread
    }
}

/// The outcome of a failed call; `None` if it succeeded.
fn other(applied: Result<Applied, Away>) -> Option<Followed> {
    match applied {
        Ok(Applied::Done | Applied::AlreadyThere) => None,
        Ok(Applied::Behind | Applied::Ahead(_) | Applied::Strange(_)) => Some(Followed::Lost),
        Err(cause) => Some(Followed::Away(cause)),
    }
}
