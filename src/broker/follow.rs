//! Keeps the live index in step with the journal, and tells how far it has come.
//!
//! One task ([`Broker::follow`]) applies the cuts of every change and moves the marker; twice a second it renews the marker's time.
//! Other nodes do so too: a marker that is ahead of this node's view is news, and this node reads the head and follows.
//! An index that is missing or behind is rebuilt from the state before any token is called active. An index with values that this
//! journal did not write (`shadow`) is left as it is: the node mints nothing, says what is wrong, and goes on once it is put right
//! (docs/explanation/journal.md#the-live-index). An index that proves that the journal lost entries stops the journal, and the
//! journal stays stopped if that proof is removed. The task never ends by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Broker;
use super::effect_times::EffectTimes;
use super::shadow::{self, Contents, Wrong};
use crate::domain::state::cut::all;
use crate::domain::state::recent_cuts::Cut;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::EnvironmentName;
use crate::journal::{Unavailable, View};
use crate::revocation::Away;
use crate::revocation::{Applied, Found, Marker, Rebuilt, Snapshot, Update};

/// The longest silence of the live index in which a node mints or says "active" (ABUSE I-16).
pub const LEASE: Seconds = Seconds(5);

/// How often the marker's time is renewed.
///
/// Together with the quarter second that an answer may take and the half second for a connection, it is less than the two seconds
/// after which a node says that it is not ready.
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// How often the store is asked whether it may evict something.
const KEEPS_EVERY: Duration = Duration::from_secs(1);

/// The most times in one step that another node is found to be further.
const NEWS: usize = 16;

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
    /// How long revocations took to reach everybody, until metrics have them.
    pub effects: EffectTimes,
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
            effects: EffectTimes::default(),
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

    /// The number of environments that this node rebuilt since its start.
    pub fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
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

/// Where a follower found or left the live index.
#[derive(Default)]
struct Place {
    /// The marker of each environment.
    markers: BTreeMap<EnvironmentName, Marker>,
    /// Environments that another node was rebuilding. What it puts in place is followed.
    held: BTreeSet<EnvironmentName>,
    /// The checkpoint beside the index that was found to be ours.
    checkpoint: Option<String>,
    /// Epoch and index of the checkpoint that this node stored last.
    stored: Option<(u64, u64)>,
    /// When the store was last found to evict nothing.
    kept: Option<Instant>,
}

impl Broker {
    /// Keeps the live index in step with the journal, until the task is dropped.
    pub async fn follow(self) {
        let mut heads = self.journal.follow();
        let mut place = Place::default();
        loop {
            let change = heads.borrow_and_update().index;
            // Whatever is answered, it was asked no earlier.
            let asked = self.clock.now();
            let pause = match self.step(&mut place).await {
                Ok(marker) => {
                    self.follower.heard(asked, marker.index);
                    if place.stored != Some((marker.epoch, marker.index)) || place.checkpoint.is_none() {
                        self.keep_checkpoint(&mut place, &marker).await;
                    }
                    RENEW_EVERY
                }
                Err(Other::Lost) => {
                    self.follower.lost(Standing::Behind);
                    place = Place::default();
                    continue;
                }
                Err(Other::Held) => {
                    self.follower.lost(Standing::Behind);
                    RETRY_AFTER
                }
                Err(Other::Away(cause)) => {
                    self.follower.stands(Standing::Away(cause));
                    RETRY_AFTER
                }
                Err(Other::Unread) => {
                    self.follower.stands(Standing::Unread);
                    RETRY_AFTER
                }
                Err(Other::Wrong(wrong)) => {
                    self.follower.lost(Standing::Wrong(wrong.into()));
                    place = Place::default();
                    RENEW_EVERY
                }
            };
            // Issuance moves the head too, and cuts nothing. Only a change ends the pause early.
            let _ = tokio::time::timeout(pause, heads.wait_for(|head| head.index != change)).await;
        }
    }

    /// Tells whether this node may say that the live index is complete, and put a time to it.
    ///
    /// A node whose journal has stopped may not, nor one whose lease on the database has run out: others may be further.
    fn may_renew(&self) -> bool {
        self.journal.health().stopped.is_none() && self.journal.ensure_leased().is_ok()
    }

    /// Brings every environment to the head, and returns the marker of it.
    async fn step(&self, place: &mut Place) -> Result<Marker, Other> {
        if !self.may_renew() {
            return Err(Other::Unread);
        }
        self.keeps_all(place).await?;
        if self.environments().iter().any(|environment| !place.markers.contains_key(environment)) {
            self.adopt(place).await?;
        }
        'again: for _ in 0..NEWS {
            let view = self.journal.view();
            let marker = self.marker(&view).ok_or(Other::Unread)?;
            for environment in self.environments() {
                if self.bring(&environment, place, (&view, &marker)).await? == Brought::News {
                    continue 'again;
                }
            }
            self.checkpoint_holds(place).await?;
            return Ok(marker);
        }
        // Other nodes write so fast that this one comes too late each time.
        Err(Other::Held)
    }

    /// Looks now and then whether the store may evict what it was told.
    async fn keeps_all(&self, place: &mut Place) -> Result<(), Other> {
        if place.kept.is_none_or(|at| at.elapsed() >= KEEPS_EVERY) {
            place.kept = None;
            self.live.keeps_all().await?;
            place.kept = Some(Instant::now());
        }
        Ok(())
    }

    /// Renews the marker of an environment, or applies the cuts of the changes since, in order.
    async fn bring(
        &self,
        environment: &EnvironmentName,
        place: &mut Place,
        (view, marker): (&View, &Marker),
    ) -> Result<Brought, Other> {
        let Some(here) = place.markers.get(environment) else { return Err(Other::Lost) };
        let applied = if (here.epoch, here.index) == (marker.epoch, marker.index) {
            self.live.renew(environment, marker).await?
        } else {
            // An index that is behind all remembered cuts is rebuilt.
            let cuts = view.state.recent_cuts.behind(here.index).ok_or(Other::Lost)?;
            let cuts = cuts.filter(|cut| cut.environment == *environment).cloned().collect();
            let update = Update { environment: environment.clone(), prior: here.clone(), marker: marker.clone(), cuts };
            self.live.apply(&update).await?
        };
        let found = match applied {
            Applied::Done | Applied::AlreadyThere => {
                place.markers.insert(environment.clone(), marker.clone());
                return Ok(Brought::There);
            }
            Applied::Strange(_) => return Err(Other::Lost),
            Applied::Ahead(found) => found,
            // Another node may have left it between the two.
            Applied::Behind => match self.live.marker(environment).await? {
                Found::At(found) if found.epoch == here.epoch && found.index > here.index => found,
                Found::At(_) | Found::Missing | Found::Strange(_) => return Err(Other::Lost),
            },
        };
        // A marker ahead of this node's view is news. The head is read after it, so a head that does not reach it is a fault.
        self.journal.refresh().await?;
        if !shadow::is_ours(&found, &self.journal.past().await?).await? {
            return Err(Other::Lost);
        }
        place.markers.insert(environment.clone(), found);
        Ok(Brought::News)
    }

    /// Checks the checkpoint beside the index, if it differs from the last one seen.
    async fn checkpoint_holds(&self, place: &mut Place) -> Result<(), Other> {
        match self.live.load_checkpoint().await? {
            Found::Missing => place.checkpoint = None,
            Found::At(text) if place.checkpoint.as_ref() == Some(&text) => {}
            Found::At(text) => {
                if shadow::checkpoint(&text, &self.journal.past().await?).await?.is_some() {
                    // Another node may have signed it.
                    self.journal.refresh().await?;
                    if shadow::checkpoint(&text, &self.journal.past().await?).await?.is_some() {
                        return Err(Other::Lost);
                    }
                }
                place.checkpoint = Some(text);
            }
            Found::Strange(_) => return Err(Other::Lost),
        }
        Ok(())
    }

    /// Stores the newest checkpoint beside the index, in place of the one that was found to be older.
    ///
    /// It is an anchor that does not roll back with a restored copy of the journal's own machine. If it cannot be stored now, the
    /// next try stores it. The file beside the configuration is the first anchor.
    async fn keep_checkpoint(&self, place: &mut Place, marker: &Marker) {
        let Ok((epoch, note)) = self.journal.checkpoint_to_keep() else { return };
        let text = format!("{epoch}\n{note}");
        if let Ok(true) = self.live.store_checkpoint(&text, place.checkpoint.as_deref()).await {
            place.checkpoint = Some(text);
            place.stored = Some((marker.epoch, marker.index));
        }
    }

    /// Rebuilds environments from the journal, unless the index holds values that this journal did not write.
    ///
    /// Where another node is rebuilding, or left something newer, this one follows it.
    async fn adopt(&self, place: &mut Place) -> Result<(), Other> {
        let contents = self.compared().await?;
        let view = self.journal.view();
        let marker = self.marker(&view).ok_or(Other::Unread)?;
        let mut cuts: BTreeMap<EnvironmentName, Vec<Cut>> = BTreeMap::new();
        for cut in all(&view.state) {
            cuts.entry(cut.environment.clone()).or_default().push(cut);
        }
        let mut waits = false;
        for environment in self.environments() {
            if place.markers.contains_key(&environment) {
                continue;
            }
            if place.held.contains(&environment)
                && let Some(found) = contents.marker(&environment)
                && shadow::is_ours(found, &self.journal.past().await?).await?
            {
                place.markers.insert(environment, found.clone());
                continue;
            }
            let cuts = cuts.remove(&environment).unwrap_or_default();
            match self.live.rebuild(&Snapshot { environment: environment.clone(), marker: marker.clone(), cuts }).await? {
                Rebuilt::Done => {
                    self.follower.rebuilt.fetch_add(1, Ordering::Relaxed);
                    place.markers.insert(environment, marker.clone());
                }
                Rebuilt::Held | Rebuilt::Newer => {
                    place.held.insert(environment);
                    waits = true;
                }
            }
        }
        if waits { Err(Other::Held) } else { Ok(()) }
    }

    /// Reads the index, and finds the values in it that this journal did not write.
    ///
    /// A value ahead of this node's view may be news. So the head is read again before such a value counts as a fault.
    async fn compared(&self) -> Result<Contents, Other> {
        let contents = shadow::read(&self.live, &self.environments()).await?;
        let mut wrong = shadow::judge(&contents, &self.journal.past().await?).await?;
        if wrong.iter().any(Wrong::is_ahead) {
            self.journal.refresh().await?;
            wrong = shadow::judge(&contents, &self.journal.past().await?).await?;
            if let Some(loss) = wrong.iter().find_map(Wrong::loss) {
                self.journal.stop_lost(loss.clone()).await;
            }
        }
        if wrong.is_empty() { Ok(contents) } else { Err(Other::Wrong(wrong)) }
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

/// Where an environment was brought.
#[derive(Eq, PartialEq)]
enum Brought {
    /// To the head of this node's view.
    There,
    /// Another node is further, or was: the view is newer now.
    News,
}

/// Anything but an index that is complete.
enum Other {
    /// The index is not as the last step left it.
    ///
    /// The next step reads it as at a start, which finds everything that is wrong.
    Lost,
    /// Another node is putting it in order.
    Held,
    Away(Away),
    Unread,
    Wrong(Vec<Wrong>),
}

impl From<Away> for Other {
    fn from(cause: Away) -> Self {
        Self::Away(cause)
    }
}

impl From<Unavailable> for Other {
    fn from(_: Unavailable) -> Self {
        Self::Unread
    }
}
