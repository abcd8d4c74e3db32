//! The sequencer's work besides commits: anchor, kept answers, entries that leave, each second's work.
//!
//! It is the same task: nothing here runs while a batch is being written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Sequencer;
use super::reply::Reply;
use super::view::View;
use crate::domain::value::clock::Seconds;
use crate::journal::answers::Sealed;
use crate::journal::fault::{Loss, OpenFault, StopReason, StoreFault, Unavailable};
use crate::journal::store::people::PeopleChange;
use crate::journal::store::uses::UsesChange;
use crate::journal::store::write::Probe;
use crate::journal::tail::{self, TailFile};
use crate::journal::tree::note::{Checkpoint, Kept};

/// How long a tail may be read from the log, while nothing is written.
const TAIL_READ_WITHIN: Duration = Duration::from_secs(2);

/// How long the tail grows before old changes are taken out.
const TAIL_GROWS: Seconds = Seconds::hours(1);

/// How often requests are forgotten whose time is over.
const FORGETTING: Seconds = Seconds::minutes(1);

/// A store that took a write within this time needs no probe.
const PROVED_FOR: Duration = Duration::from_millis(750);

/// A reply, and who waits until it is kept.
pub type Waiting = (Sealed, Reply<Result<(), Unavailable>>);

/// Counts of uses on their way to their rows, and who waits until they are there.
pub type Counting = (Option<Box<UsesChange>>, Reply<Result<bool, Unavailable>>);

/// People on their way to their rows, and who waits until they are there.
pub type Writing = (Box<PeopleChange>, Reply<Result<bool, Unavailable>>);

impl Sequencer {
    /// Does the work of each second: counts of the last minute, the anchor, expired requests.
    pub async fn each_second(&mut self) {
        self.shared.watch_clock();
        // A node that writes nothing would else not learn what others wrote, nor that an operator corrected the clock.
        let _later = self.look().await;
        self.write_records(Vec::new(), false).await;
        self.write_anchor().await;
        self.write_lost().await;
        let now = self.shared.now();
        if now >= self.forgot.plus(FORGETTING) {
            self.forgot = now;
            self.keep(Vec::new()).await;
        }
    }

    /// Takes in entries that another node wrote.
    pub async fn look(&mut self) -> Result<(), Unavailable> {
        self.follow().await
    }

    /// Probes whether the disk takes writes, also without work. A node whose disk fails is not ready.
    pub async fn prove_store(&mut self) {
        let was = self.shared.health().writable;
        if self.shared.running().is_err() || (was && self.proved.elapsed() < PROVED_FOR) {
            return;
        }
        // A disk that was full must have room for some tokens; one that was not is asked for as little as there is.
        let writable = self.store.probe(if was { Probe::Line } else { Probe::Room }).await.is_ok();
        self.proved = Instant::now();
        self.shared.set_writable(writable);
    }

    /// Lets the store do the upkeep that it put off while batches were coming.
    pub async fn maintain_store(&mut self) {
        if let Err(fault) = self.store.maintain().await {
            tracing::warn!(%fault, "the store put off its own upkeep");
        }
    }

    /// Keeps answers to requests that may come twice, in one commit, and forgets expired requests.
    pub async fn keep(&mut self, replies: Vec<Waiting>) {
        let (mut replies, waiting): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
        for reply in &mut replies {
            if reply.seen < self.erased {
                reply.answer = None;
            }
        }
        let mut kept = self.shared.running().and_then(|()| self.shared.steady());
        if kept.is_ok()
            && let Err(fault) = self.store.keep(replies, self.shared.now()).await
        {
            kept = Err(fault.into());
        }
        for answer in waiting {
            answer.send(kept);
        }
    }

    /// Writes people of the directory, each write by itself.
    pub async fn put_people(&mut self, changes: Vec<Writing>) {
        for (change, answer) in changes.into_iter().filter(|(_, answer)| answer.take()) {
            answer.send(self.put(&change).await);
        }
    }

    /// Writes people. False if another process was first. Nobody is forgotten by a clock that cannot be believed.
    async fn put(&mut self, change: &PeopleChange) -> Result<bool, Unavailable> {
        self.shared.running()?;
        self.shared.steady()?;
        let put = self.store.put_people(change).await?;
        if put
            && change.forgets
            && let Err(fault) = self.store.scrub().await
        {
            tracing::warn!(%fault, "texts of people stay in the write-ahead log until it is written over");
        }
        Ok(put)
    }

    /// Writes counts of uses, each write by itself. They are of entries that are on record, so a clock in doubt does not matter.
    pub async fn put_uses(&mut self, changes: Vec<Counting>) {
        for (change, answer) in changes.into_iter().filter(|(_, answer)| answer.take()) {
            let put = match self.shared.running() {
                Ok(()) => self.store.put_uses(change.as_deref()).await.map_err(Unavailable::from),
                Err(fault) => Err(fault),
            };
            answer.send(put);
        }
    }

    /// Entries that a segment on record holds leave the database.
    pub async fn leave(&mut self, from: u64, until: u64) -> Result<(), Unavailable> {
        self.shared.running()?;
        match self.store.leave(from, until.min(self.state.archive.until())).await {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.failed(fault).await),
        }
    }

    /// Stops for good, since the log lost entries. Only `reopen` goes on.
    ///
    /// The proof is kept beside the anchor, so that every start finds it, whatever becomes of the place that it came from.
    pub async fn lost(&mut self, loss: Loss) {
        let Loss { note, epoch, size } = loss;
        let _told = self.shared.stop(StopReason::Lost { epoch, size, head: self.head.size });
        self.loss = Some(note);
        self.write_lost().await;
    }

    /// Puts the proof of a loss beside the anchor, if it is not there.
    pub async fn write_lost(&mut self) {
        let (Some(anchor), Some(note)) = (self.anchor.clone(), self.loss.clone()) else { return };
        let task = tokio::task::spawn_blocking(move || anchor.write_lost(&note).map_err(|error| error.to_string()));
        match task.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => self.loss = None,
            Err(fault) => tracing::error!(fault, "the proof that the journal lost entries cannot be kept beside its anchor"),
        }
        // A journal that stopped writes no anchor: the proof alone is owed to that folder.
        self.shared.set_anchored(self.loss.is_none());
    }

    /// Puts the newest checkpoint in the anchor file, if it is not there.
    pub async fn write_anchor(&mut self) {
        let Some(anchor) = self.anchor.clone() else { return };
        // A journal that stopped has nothing to say of what is newest.
        if self.shared.running().is_err() {
            self.keep_untold(&anchor.tail()).await;
            return;
        }
        if self.anchored == self.head.size {
            return;
        }
        // Before the anchor, which then knows no change that the tail lacks.
        if let Err(fault) = self.write_tail(&anchor.tail()).await {
            tracing::error!(%fault, "the changes of the last hours cannot be kept beside the anchor of the journal");
            self.tailed = None;
            self.shared.set_anchored(false);
            return;
        }
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: self.head.size, root: self.head.root };
        // With its epoch: a copy that is put back and reopened begins a later one.
        let kept = Kept { checkpoint, epoch: Some(self.state.epoch) };
        let signed = self.shared.signers.load().sign_kept(&kept, self.shared.now()).map_err(|fault| fault.to_string());
        let written = match signed {
            Ok(note) => {
                let task = tokio::task::spawn_blocking(move || anchor.write(&note).map_err(|error| error.to_string()));
                task.await.unwrap_or_else(|error| Err(error.to_string()))
            }
            Err(fault) => Err(fault),
        };
        match written {
            Ok(()) => self.anchored = self.head.size,
            Err(fault) => tracing::error!(fault, "the anchor of the journal cannot be written"),
        }
        self.shared.set_anchored(self.anchored == self.head.size);
    }

    /// Adds changes to the tail that this node saw before it stopped: an operator who reopens the log has them recorded again.
    async fn keep_untold(&mut self, tail: &TailFile) {
        let untold = std::mem::take(&mut self.untold);
        if untold.is_empty() {
            return;
        }
        if let Err(fault) = tail.add(untold).await {
            tracing::error!(%fault, "changes that this node saw before it stopped cannot be kept beside the anchor of the journal");
        }
    }

    /// Puts the newest changes into the tail, if they are not there; from time to time old ones are taken out.
    ///
    /// What this node wrote or followed is in memory: no change waits for a connection that reads. Only a tail that is not known to be whole is
    /// read from the log.
    async fn write_tail(&mut self, tail: &TailFile) -> Result<(), OpenFault> {
        let Some(last) = self.head.last_change else { return Ok(()) };
        let untold = std::mem::take(&mut self.untold);
        match self.tailed {
            Some(tailed) if tailed == last => {}
            Some(_) if !untold.is_empty() => {
                tail.add(untold).await?;
                self.tailed = Some(last);
            }
            Some(_) | None => {
                let since = self.head.time.minus(tail::KEPT);
                let reading = async {
                    let view = View::of(&self.head, Arc::clone(&self.state));
                    let from = self.reader.count_until(since, &view).await?;
                    tail.write(&self.reader, from.min(last)).await
                };
                let late = |_| StoreFault::Late("the changes of the last hours were not read in time".into());
                self.tailed = tokio::time::timeout(TAIL_READ_WITHIN, reading).await.map_err(late)??;
                self.tail_began = self.head.time;
            }
        }
        if self.head.time >= self.tail_began.plus(TAIL_GROWS) {
            tail.forget_before(self.head.time.minus(tail::KEPT)).await?;
            self.tail_began = self.head.time;
        }
        Ok(())
    }
}
