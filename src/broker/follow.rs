//! Following: the live index is kept where the journal is, and everybody who needs it learns how far it is.
//!
//! One task ([`Broker::follow`]): with every change it applies what the change cuts and moves the marker; twice a second it renews the
//! marker's time. An index that is missing or behind is rebuilt from the state before anybody is told "active". One that this journal
//! did not write (`shadow`) is left as it is: the node mints nothing, says what is wrong, and goes on once it is put right (docs/explanation/journal.md#the-live-index).
//! One that proves that the journal lost entries stops the journal, and its absence lifts nothing. The task never ends by itself.

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

/// A node that has not heard of the live index for so long neither mints nor says "active" (ABUSE I-16).
pub const LEASE: Seconds = Seconds(5);

/// With the half second that an answer may take, and the quarter that a connection may, below the two in which a node says that it is
/// not ready.
const RENEW_EVERY: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How the live index stands to the journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It was not asked yet.
    Unheard,
    /// It answers, and holds all that it should.
    Complete,
    /// It is being built anew.
    Behind,
    /// It does not do what it is asked for.
    Away(Away),
    /// The journal does not say what should be in it.
    Unread,
    /// It holds what this journal did not write.
    Wrong(Arc<[Wrong]>),
}

/// How far the live index has followed.
#[derive(Debug)]
pub struct Follower {
    /// One more than the index of the last entry up to which the live index is complete; 0 before the first.
    reached: watch::Sender<u64>,
    /// When the live index last answered, in seconds.
    heard: AtomicI64,
    /// Whether the last word was a good one.
    complete: AtomicBool,
    /// Whether the journal may have lost something: the live index was not heard since the start, or held what the journal does not. Only an
    /// index that is complete takes it back; one that is away, or holds another wrong value by now, does not.
    doubted: AtomicBool,
    /// The last word.
    standing: Mutex<Standing>,
    /// How often it was rebuilt.
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
    /// Whether the last word of the live index was a good one, within the lease.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        self.complete.load(Ordering::Acquire) && now.as_seconds().saturating_sub(heard) <= i64::from(LEASE.0)
    }

    /// Whether the live index may hold what the journal has lost. Revocations may be among it.
    pub fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire)
    }

    /// The last word of the live index, for operators.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the live index has the change at `index`; false when `within` passes first.
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

    /// Takes the last word, and logs it where it is another one.
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

/// Where a follower is: the last marker, and the checkpoint beside it that was found to be ours.
#[derive(Default)]
struct Place {
    marker: Option<Marker>,
    checkpoint: Option<String>,
}

impl Broker {
    /// Keeps the live index where the journal is, until the task is dropped.
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
            // Issuance moves the head as well, and cuts nothing: only a change is worth hurrying for.
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

    /// Looks at the checkpoint beside the index, if it is another one than the last time.
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

    /// Applies what the changes since `last` cut, in order.
    async fn advance(&self, last: &Marker, view: &View) -> Followed {
        // One that lags behind all that is remembered is built anew.
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

    /// Keeps the newest checkpoint beside the index: the anchor that a restored copy of the journal's own machine does not roll back.
    /// Not kept this time is kept next time; the file beside the configuration is the first anchor.
    async fn keep_checkpoint(&self, place: &mut Place) {
        let Ok((epoch, note)) = self.journal.checkpoint_to_keep() else { return };
        let text = format!("{epoch}\n{note}");
        if self.live.store_checkpoint(&text).await.is_ok() {
            place.checkpoint = Some(text);
        }
    }

    /// Takes an index over: builds it anew from the journal, unless it holds what this journal did not write.
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

    /// What the index holds that this journal did not write. Ahead of this node's view is news: the head is read anew before it is a fault.
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

/// What came of one step.
enum Followed {
    At(Marker),
    /// It is not where it was left: it is read as at a start, and told what is wrong, all of it.
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

/// What else than the wanted came of a call.
fn other(applied: Result<Applied, Away>) -> Option<Followed> {
    match applied {
        Ok(Applied::Done | Applied::AlreadyThere) => None,
        Ok(Applied::Behind | Applied::Ahead(_) | Applied::Strange(_)) => Some(Followed::Lost),
        Err(cause) => Some(Followed::Away(cause)),
    }
}
