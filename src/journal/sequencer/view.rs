//! The newest state and the health of the journal, which all tasks read without asking the sequencer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::issued::IssuedLately;
use super::refusals::Refusals;
use crate::domain::credential::claims::Claims;
use crate::domain::state::State;
use crate::domain::value::clock::{Clock as _, Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::steady::SteadyClock;
use crate::journal::fault::{ClockFault, Health, Leased, StopReason, Unavailable};
use crate::journal::key::signers::Signers;
use crate::journal::lease::Lease;
use crate::journal::store::head::Head;

/// A snapshot: the state after every change of the first `size` entries.
#[derive(Clone, Debug)]
pub struct View {
    /// The state.
    pub state: Arc<State>,
    /// Index of the last change: what a decision on this state has seen.
    pub seen: Option<u64>,
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// Time of the newest entry; no decision uses an earlier `now`.
    pub time: Timestamp,
}

/// How far the journal is, for those who follow it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker {
    /// One more after each `reopen`.
    pub epoch: u64,
    /// The last change.
    pub index: Option<u64>,
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// Time of the newest entry.
    pub time: Timestamp,
}

impl View {
    /// The state at a head.
    pub fn of(head: &Head, state: Arc<State>) -> Self {
        Self { state, seen: head.last_change, size: head.size, root: head.root, time: head.time }
    }

    /// As those who follow see it.
    pub fn marker(&self) -> Marker {
        Marker { epoch: self.state.epoch, index: self.seen, size: self.size, root: self.root, time: self.time }
    }
}

/// The part that the sequencer and the handles share.
pub struct Shared {
    pub view: ArcSwap<View>,
    pub marker: watch::Sender<Marker>,
    pub clock: Arc<SteadyClock>,
    /// The keys that sign checkpoints: another may take the place of one while the node runs.
    pub signers: ArcSwap<Signers>,
    /// The last notice about the clock.
    told: Mutex<ClockNotice>,
    refusals: Mutex<Refusals>,
    issued: Mutex<IssuedLately>,
    writable: AtomicBool,
    anchored: AtomicBool,
    commits: AtomicU64,
    commit_micros: AtomicU64,
    /// When the sequencer showed last that it can be asked.
    beat: Mutex<Instant>,
    stopped: OnceLock<StopReason>,
    held_back: Mutex<Option<String>>,
    unsettled: AtomicBool,
    closing: watch::Sender<bool>,
    /// The lease of this node.
    pub lease: Lease,
}

/// A sequencer that shows nothing for so long is held up by its disk, or dead.
const HELD_UP: Duration = Duration::from_millis(750);

/// A notice about the clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ClockNotice {
    #[default]
    Agrees,
    Drifts,
    Doubted,
}

impl Shared {
    pub fn new(view: View, clock: Arc<SteadyClock>, signers: Signers) -> Self {
        Self {
            marker: watch::Sender::new(view.marker()),
            issued: Mutex::new(IssuedLately::new(view.size)),
            view: ArcSwap::from_pointee(view),
            clock,
            signers: ArcSwap::from_pointee(signers),
            told: Mutex::default(),
            refusals: Mutex::default(),
            writable: AtomicBool::new(true),
            anchored: AtomicBool::new(true),
            commits: AtomicU64::new(0),
            commit_micros: AtomicU64::new(0),
            beat: Mutex::new(Instant::now()),
            stopped: OnceLock::new(),
            held_back: Mutex::default(),
            unsettled: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            lease: Lease::unneeded(),
        }
    }

    /// Shows a new head; whoever is answered afterwards can see it.
    pub fn publish(&self, view: View) {
        let marker = view.marker();
        self.view.store(Arc::new(view));
        self.marker.send_replace(marker);
    }

    /// The present second, never before the head's.
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(self.view.load().time)
    }

    /// Why the time cannot be believed, if it cannot.
    pub fn clock_fault(&self) -> Option<ClockFault> {
        self.time_after(self.view.load().time).err()
    }

    /// The time of an entry after one of `head`: never before it, and never one in doubt.
    pub fn time_after(&self, head: Timestamp) -> Result<Timestamp, ClockFault> {
        let wall = self.believed()?;
        ClockFault::behind(wall, head).map_or(Ok(wall.max(head)), Err)
    }

    /// The wall clock's time, wherever the log ends.
    pub fn believed(&self) -> Result<Timestamp, ClockFault> {
        let reading = self.clock.read();
        if reading.jumped() {
            return Err(ClockFault::Jumped(reading));
        }
        self.lease.apart().map_or(Ok(reading.wall), |ahead| Err(ClockFault::Apart { ahead }))
    }

    /// Tells of a clock that begins to be in doubt, and of the end of it.
    pub fn watch_clock(&self) {
        let (fault, drift) = (self.clock_fault(), self.clock.read());
        let now = match fault {
            Some(_) => ClockNotice::Doubted,
            None if drift.drifts() => ClockNotice::Drifts,
            None => ClockNotice::Agrees,
        };
        // A word is all that the lock guards, so a poisoned one is still good.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == now {
            return;
        }
        *told = now;
        match fault {
            Some(fault) => tracing::error!(%fault, "the clock cannot be believed: nothing is minted or recorded"),
            None if now == ClockNotice::Drifts => {
                let Seconds(apart) = drift.apart();
                tracing::warn!(apart, wall = %drift.wall, monotonic = %drift.steady, "wall clock and monotonic clock drift apart");
            }
            None => tracing::info!(time = %drift.wall, "the clock can be believed again"),
        }
    }

    pub fn with_refusals<T>(&self, act: impl FnOnce(&mut Refusals) -> T) -> T {
        // Counting leaves no half-done state behind, so a poisoned lock is still good.
        act(&mut self.refusals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers the tokens that are in the log from `first` on. A change that cuts them comes later.
    pub fn remember<'a>(&self, first: u64, tokens: impl Iterator<Item = &'a Claims>, time: Timestamp) {
        self.with_issued(|issued| {
            for (index, claims) in (first..).zip(tokens) {
                issued.add(index, &claims.client.to_string(), claims.expires, time);
            }
        });
    }

    pub fn with_issued<T>(&self, act: impl FnOnce(&mut IssuedLately) -> T) -> T {
        // Only a panic between two lines of `issued` could poison it, and there is none that can happen there.
        act(&mut self.issued.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_writable(&self, writable: bool) {
        if self.writable.swap(writable, Ordering::Relaxed) != writable {
            tracing::warn!(writable, "the journal's store changed its mind about writes");
        }
    }

    /// Whether the outcome of a commit is not known.
    pub fn set_unsettled(&self, unsettled: bool) {
        self.unsettled.store(unsettled, Ordering::Relaxed);
    }

    /// Refuses while the outcome of a commit is not known.
    pub fn settled(&self) -> Result<(), Unavailable> {
        if self.unsettled.load(Ordering::Relaxed) { Err(Unavailable::BUSY) } else { Ok(()) }
    }

    /// The journal is being closed: nothing is asked for ever any more.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the journal is being closed.
    pub async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as `self`.
        let _closed = closing.wait_for(|closing| *closing).await;
    }

    pub fn set_anchored(&self, anchored: bool) {
        self.anchored.store(anchored, Ordering::Relaxed);
    }

    /// The sequencer can be asked.
    pub fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A batch became durable in this time.
    pub fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Stops for good. The first reason counts.
    pub fn stop(&self, reason: StopReason) -> Unavailable {
        tracing::error!(?reason, "the journal stopped itself");
        let _first = self.stopped.set(reason);
        Unavailable::STOPPED
    }

    /// Says why a journal that stopped does not begin anew, although the log was reopened.
    pub fn hold_back(&self, why: Option<String>) {
        let mut known = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == why {
            return;
        }
        if let Some(why) = &why {
            tracing::error!(why, "the journal was reopened, and this node does not go on");
        }
        *known = why;
    }

    /// Refuses what rests on the time while that cannot be believed.
    pub fn steady(&self) -> Result<(), Unavailable> {
        if self.clock_fault().is_some() { Err(Unavailable::CLOCK) } else { Ok(()) }
    }

    /// Refuses once the journal has stopped.
    pub fn running(&self) -> Result<(), Unavailable> {
        if self.stopped.get().is_some() { Err(Unavailable::STOPPED) } else { Ok(()) }
    }

    pub fn health(&self) -> Health {
        Health {
            writable: self.writable.load(Ordering::Relaxed),
            anchored: self.anchored.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            commit_time: Duration::from_micros(self.commit_micros.load(Ordering::Relaxed)),
            unsettled: self.unsettled.load(Ordering::Relaxed),
            database: self.lease.database(),
            is_database_known: self.lease.is_looked_at(),
            leased: match (self.lease.is_fresh(), self.lease.holds()) {
                (true, _) => Leased::Held,
                (false, true) => Leased::Late,
                (false, false) => Leased::Lost,
            },
            clock: self.clock_fault(),
            held_up: self.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > HELD_UP,
            stopped: self.stopped.get().cloned(),
            held_back: self.held_back.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
