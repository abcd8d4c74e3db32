//! Following: the live index is kept where the journal is, and whoever needs it learns how far it is.
//!
//! One task ([`Broker::follow`]): with every change it applies what the change cuts and moves the marker; every second it renews the
//! marker's time. An index that is missing or behind is rebuilt from the state before anybody is told "active"; one that is ahead
//! or forked stops the node (DESIGN.md section 4). A node whose last word from the index is older than its lease says nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use crate::domain::clock::{Seconds, Timestamp};
use crate::domain::cut::{all, cuts};
use crate::domain::names::EnvironmentName;
use crate::journal::{Unavailable, View};
use crate::revocation::{Applied, Marker, Snapshot, Update};

/// A node that has not heard of the live index for so long neither mints nor says "active" (ABUSE I-16).
pub const LEASE: Seconds = Seconds(5);

const RENEW_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How far the live index has followed.
#[derive(Debug)]
pub struct Follower {
    /// One more than the index of the last entry up to which the live index is complete; 0 before the first.
    reached: watch::Sender<u64>,
    /// When the live index last answered, in seconds.
    heard: AtomicI64,
    /// The index is ahead of this journal, or of another one.
    forked: AtomicBool,
    /// How often it was rebuilt.
    rebuilt: AtomicU64,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            reached: watch::Sender::new(0),
            heard: AtomicI64::new(i64::MIN),
            forked: AtomicBool::new(false),
            rebuilt: AtomicU64::new(0),
        }
    }
}

impl Follower {
    /// Whether the live index answered within the lease, and is this journal's.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        !self.forked.load(Ordering::Acquire) && now.as_seconds().saturating_sub(heard) <= i64::from(LEASE.0)
    }

    /// Whether the index belongs to another journal than this node's: the node is stopped.
    pub fn is_forked(&self) -> bool {
        self.forked.load(Ordering::Acquire)
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
    }

    fn lost(&self) {
        self.reached.send_replace(0);
    }
}

impl Broker {
    /// Keeps the live index where the journal is, until the task is dropped.
    pub async fn follow(self) {
        let mut heads = self.journal.follow();
        let mut last: Option<Marker> = None;
        loop {
            let change = heads.borrow_and_update().index;
            let view = self.journal.view();
            let done = match &last {
                Some(marker) if marker.index + 1 == view.size && marker.epoch == view.state.epoch => self.renew(marker).await,
                Some(marker) => self.advance(marker, &view).await,
                None => self.adopt(&view).await,
            };
            let pause = match done {
                Followed::At(marker) => {
                    self.follower.heard(self.clock.now(), marker.index);
                    if last.as_ref().is_none_or(|last| last.index != marker.index) {
                        self.keep_checkpoint().await;
                    }
                    last = Some(marker);
                    RENEW_EVERY
                }
                Followed::Lost => {
                    self.follower.lost();
                    last = None;
                    continue;
                }
                Followed::Away => RETRY_AFTER,
                Followed::Forked => {
                    self.follower.forked.store(true, Ordering::Release);
                    tracing::error!("the live index is ahead of this journal: the node says and mints nothing");
                    return;
                }
            };
            // Issuance moves the head as well, and cuts nothing: only a change is worth hurrying for.
            let _ = tokio::time::timeout(pause, heads.wait_for(|head| head.index != change)).await;
        }
    }

    /// Renews the marker's time in every environment.
    async fn renew(&self, marker: &Marker) -> Followed {
        let marker = Marker { time: self.clock.now(), ..marker.clone() };
        for environment in self.environments() {
            match self.live.renew(&environment, &marker).await {
                Ok(Applied::Done | Applied::AlreadyThere) => {}
                Ok(Applied::Behind) => return Followed::Lost,
                Ok(Applied::Ahead(_)) => return Followed::Forked,
                Err(_) => return Followed::Away,
            }
        }
        Followed::At(marker)
    }

    /// Applies the changes since `last`, in order.
    async fn advance(&self, last: &Marker, view: &View) -> Followed {
        let mut changed = Vec::new();
        let mut from = last.index + 1;
        while from < view.size {
            let Ok(entries) = self.journal.changes(from).await else { return Followed::Away };
            let Some(newest) = entries.last().map(|entry| entry.index) else { break };
            // A change after the view's is applied by the next round, on a state that has it.
            let known = entries.iter().filter(|entry| entry.index < view.size);
            changed.extend(known.flat_map(|entry| cuts(&entry.change, entry.index, &view.state)));
            from = newest + 1;
        }
        let Some(marker) = self.marker(view) else { return Followed::Lost };
        for environment in self.environments() {
            let cuts = changed.iter().filter(|cut| cut.environment == environment).cloned().collect();
            let update = Update { environment, prior: last.clone(), marker: marker.clone(), cuts };
            match self.live.apply(&update).await {
                Ok(Applied::Done | Applied::AlreadyThere) => {}
                Ok(Applied::Behind) => return Followed::Lost,
                Ok(Applied::Ahead(_)) => return Followed::Forked,
                Err(_) => return Followed::Away,
            }
        }
        Followed::At(marker)
    }

    /// Keeps the newest checkpoint beside the index: the anchor that a restored copy of the journal's own machine does not roll back.
    /// Not kept this time is kept next time; the file beside the configuration is the first anchor.
    async fn keep_checkpoint(&self) {
        let epoch = self.journal.view().state.epoch;
        if let Ok(note) = self.journal.checkpoint() {
            let _later = self.live.store_checkpoint(&format!("{epoch}\n{note}")).await;
        }
    }

    /// Whether the checkpoint beside the index is one that this journal extends. What cannot be read is nobody's of ours.
    async fn extends_kept(&self, kept: Option<String>) -> Result<bool, Unavailable> {
        let Some(kept) = kept else { return Ok(true) };
        let Some((epoch, note)) = kept.split_once('\n') else { return Ok(false) };
        let Ok(epoch) = epoch.parse() else { return Ok(false) };
        self.journal.extends(epoch, note).await
    }

    /// Takes over an index: a marker ahead of the journal, or at another root, is somebody else's; anything else is rebuilt.
    async fn adopt(&self, view: &View) -> Followed {
        let Some(marker) = self.marker(view) else { return Followed::Away };
        let Ok(kept) = self.live.load_checkpoint().await else { return Followed::Away };
        match self.extends_kept(kept).await {
            Ok(true) => {}
            Ok(false) => return Followed::Forked,
            Err(_) => return Followed::Away,
        }
        for environment in self.environments() {
            match self.live.marker(&environment).await {
                Ok(Some(found)) if self.is_foreign(&found, &marker).await => return Followed::Forked,
                Ok(_) => {}
                Err(_) => return Followed::Away,
            }
        }
        let snapshot = Snapshot { marker: marker.clone(), environments: self.environments(), cuts: all(&view.state) };
        match self.live.rebuild(&snapshot).await {
            Ok(()) => {
                self.follower.rebuilt.fetch_add(1, Ordering::Relaxed);
                Followed::At(marker)
            }
            Err(_) => Followed::Away,
        }
    }

    /// Whether `found` is a marker that this journal never wrote.
    async fn is_foreign(&self, found: &Marker, ours: &Marker) -> bool {
        if found.epoch != ours.epoch {
            return found.epoch > ours.epoch;
        }
        if found.index > ours.index {
            return true;
        }
        !matches!(self.journal.root(found.index + 1).await, Ok(Some(root)) if root == found.root)
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
    Lost,
    Away,
    Forked,
}
