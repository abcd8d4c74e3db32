//! The one task of a node that writes: each commit takes what queued up during the last one.
//!
//! There is no timer on the way of a token: an idle broker commits at once, a busy one in batches, so that one `fsync` serves
//! many (docs/explanation/journal.md). A change is alone in its batch. Order: lock and look at the head, decide again
//! what has not seen the last change, spend proofs, write, commit, publish, answer. Nothing is answered before its outcome is
//! known; a failed commit is settled by reading the head again.

mod followed;
mod following;
pub mod issued;
pub mod queue;
pub mod refusals;
mod settling;
mod upkeep;
pub mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::answers::ForRequest;
use super::fault::Unavailable;
use super::key::anchor::Anchor;
use super::key::kek::Kek;
use super::store::batch::{Batch, Beside, LONGEST, MacKey, Row};
use super::store::head::Head;
use super::store::reader::Reader;
use super::store::write::{Tried, Write};
use super::tree::Tree;
use crate::domain::decision::grant::Decision;
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::log::journal::JournalChange;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use queue::{
    Answer, ChangeOutcome, ChangeRequest, Item, Placed, Work, answer_refused, answer_replayed, apart, gather, place, replayed,
    rows, unique,
};
use refusals::{Counts, Known};
use view::{Shared, View};

/// Refusals that share a commit with grants.
const REFUSALS: usize = 128;

/// How often the sequencer shows that it can be asked.
const PULSE: Duration = Duration::from_millis(250);

/// Everything that a sequencer works with.
pub struct Sequencer {
    pub store: Box<dyn Write>,
    pub reader: Reader,
    pub shared: Arc<Shared>,
    pub key: MacKey,
    /// Opens the key that takes the place of the one that signs checkpoints.
    pub kek: Kek,
    pub origin: String,
    pub anchor: Option<Anchor>,
    pub head: Head,
    pub tree: Tree,
    pub state: Arc<State>,
    /// When the store last took a write.
    pub proved: Instant,
    /// Entries that the anchor covers.
    pub anchored: u64,
    /// The slice of spent proofs that is purged next, and the second of the last purge.
    pub purge: (u8, Timestamp),
    /// When requests were last forgotten whose time was over.
    pub forgot: Timestamp,
    /// One more than the index of the last erasure that this node knows of.
    pub erased: u64,
    /// The note that proves a loss, until it is kept beside the anchor.
    pub loss: Option<String>,
}

impl Sequencer {
    /// Works until the queue closes.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut pulse = tokio::time::interval(PULSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let due = self.store.maintenance();
        let mut closing = None;
        while closing.is_none() {
            self.shared.beat();
            let first = tokio::select! {
                work = queue.recv() => work,
                _ = pulse.tick() => {
                    self.prove_store().await;
                    continue;
                }
                _ = tick.tick() => {
                    self.each_second().await;
                    continue;
                }
                () = due.notified() => {
                    self.maintain_store().await;
                    continue;
                }
            };
            let Some(first) = first else { break };
            let mut waiting = VecDeque::from([first]);
            gather(&mut queue, &mut waiting).await;
            closing = self.serve(waiting).await;
        }
        self.write_records(Vec::new(), true).await;
        self.write_anchor().await;
        self.write_lost().await;
        // Queued work is answered by the closing of its channel: not written.
        drop(queue);
        if let Err(fault) = self.store.close().await {
            tracing::warn!(%fault, "the journal's store was not closed in order");
        }
        if let Some(closed) = closing {
            let _gone = closed.send(());
        }
    }

    /// Serves what was drained, in its order: grants together, each change by itself.
    async fn serve(&mut self, waiting: VecDeque<Work>) -> Option<oneshot::Sender<()>> {
        let mut items = Vec::new();
        let mut replies = Vec::new();
        let (mut people, mut uses) = (Vec::new(), Vec::new());
        let mut refusals = false;
        for work in waiting {
            match work {
                Work::Record(item) => items.push(item),
                Work::Refusals => refusals = true,
                Work::Change(asked, answer) => {
                    self.write_records(std::mem::take(&mut items), false).await;
                    // The caller may be gone; the change stands all the same.
                    let _gone = answer.send(self.change(*asked).await);
                }
                // After the grants: no token waits for an answer to be kept.
                Work::Keep(reply, answer) => replies.push((*reply, answer)),
                // As late: whoever has a token of the directory delays no token of ours.
                Work::People(change, answer) => people.push((change, answer)),
                Work::Uses(change, answer) => uses.push((change, answer)),
                Work::Leave { from, until, answer } => {
                    let _gone = answer.send(self.leave(from, until).await);
                }
                Work::Look(answer) => {
                    let _gone = answer.send(self.look().await);
                }
                Work::Lost(loss, answer) => {
                    self.lost(*loss).await;
                    let _gone = answer.send(());
                }
                Work::Joined { id, instance } => self.store.write_as(id, instance),
                Work::Tree(answer) => {
                    let _gone = answer.send((self.head.clone(), self.tree.clone()));
                }
                Work::Close(answer) => {
                    self.write_records(items, false).await;
                    self.keep(replies).await;
                    self.put_people(people).await;
                    self.put_uses(uses).await;
                    return Some(answer);
                }
            }
        }
        if refusals || !items.is_empty() {
            self.write_records(items, false).await;
        }
        if !replies.is_empty() {
            self.keep(replies).await;
        }
        self.put_people(people).await;
        self.put_uses(uses).await;
        None
    }

    /// One commit: `items`, and refusals that wait. Answers every item.
    pub async fn write_records(&mut self, items: Vec<Item>, everything: bool) {
        let now = self.shared.now();
        let (known, counts) = self.shared.with_refusals(|refusals| refusals.due(now, REFUSALS, everything));
        if items.is_empty() && known.is_empty() && counts.is_empty() {
            return;
        }
        let mut pending = items;
        match self.try_records(&mut pending, &known, &counts).await {
            Ok(recorded) => {
                for (answer, placed) in recorded {
                    let _gone = answer.send(Ok(placed));
                }
            }
            Err(unavailable) => {
                self.shared.with_refusals(|refusals| refusals.put_back(known, counts));
                for item in pending {
                    let _gone = item.answer.send(Err(unavailable.into()));
                }
            }
        }
    }

    /// Writes `pending`, and takes out each item that is refused or written. Those left were not.
    async fn try_records(
        &mut self,
        pending: &mut Vec<Item>,
        known: &[Known],
        counts: &Counts,
    ) -> Result<Vec<(Answer, Placed)>, Unavailable> {
        // If all have seen the last change, the batch is tried at once: one hop to the store. Else, and if it did not go, the
        // lock is taken, each is decided again that must be, and then it is written.
        let time = self.shared.time_after(self.head.time)?;
        let current = pending.iter().all(|item| item.seen == self.head.last_change);
        if current
            && time <= self.purge.1
            && let Some(recorded) = self.try_at_once(pending, known, counts, time).await?
        {
            return Ok(recorded);
        }
        // Grants that have seen the last change spend their proofs as the lock is taken. Should the head be another one all the same,
        // that is taken back with the lock, and each is decided again before it spends.
        let guess = if current { unique(pending) } else { Vec::new() };
        let fresh = self.begin(&guess).await?;
        let time = self.time(None).await?;
        self.decide_again(pending, time);
        let fresh = match fresh {
            Some(fresh) if current => fresh,
            _ => match self.store.spend(&unique(pending)).await {
                Ok(fresh) => fresh,
                Err(fault) => return Err(self.failed(fault.into()).await),
            },
        };
        let replayed = replayed(pending, fresh);
        let (winners, losers) = apart(std::mem::take(pending), replayed);
        let (rows, claims) = rows(&winners, (known, counts), self.head.size, time);
        let outcome = if rows.is_empty() { self.nothing().await } else { self.write(rows, None, time).await };
        if let Err(unavailable) = outcome {
            pending.extend(winners.into_iter().chain(losers));
            return Err(unavailable);
        }
        answer_replayed(losers);
        let first = self.head.size - (winners.len() + known.len() + counts.len()) as u64;
        self.shared.remember(first, winners.iter().map(|item| item.grant.claims()), time);
        Ok(place(winners, claims, first, time))
    }

    /// Writes items that have seen the last change in one hop to the store. None: nothing was written.
    async fn try_at_once(
        &mut self,
        pending: &mut Vec<Item>,
        known: &[Known],
        counts: &Counts,
        time: Timestamp,
    ) -> Result<Option<Vec<(Answer, Placed)>>, Unavailable> {
        self.shared.running()?;
        let started = Instant::now();
        let proofs = unique(pending);
        let replayed = replayed(pending, proofs.iter().map(|(proof, _)| *proof).collect());
        let count = replayed.iter().filter(|lost| !**lost).count() + known.len() + counts.len();
        if !self.store.goes_at_once(&self.head, count, &proofs) {
            return Ok(None);
        }
        let (winners, losers) = apart(std::mem::take(pending), replayed);
        let mut tree = self.tree.clone();
        let (rows, claims) = rows(&winners, (known, counts), self.head.size, time);
        let batch = Batch::of(rows, false, &self.head, &mut tree, &self.key);
        let (first, after) = (self.head.size, batch.after.clone());
        let outcome = match self.store.record(batch, &proofs).await {
            Ok(Tried::Done) => Ok(()),
            Ok(Tried::Not) => {
                pending.extend(winners.into_iter().chain(losers));
                return Ok(None);
            }
            Err(fault) => self.settle(fault, &after).await,
        };
        if let Err(unavailable) = outcome {
            pending.extend(winners.into_iter().chain(losers));
            return Err(unavailable);
        }
        self.took(after, tree, None, started);
        self.shared.remember(first, winners.iter().map(|item| item.grant.claims()), time);
        answer_replayed(losers);
        Ok(Some(place(winners, claims, first, time)))
    }

    /// Takes decisions again that have not seen the last change, while this batch holds the head.
    fn decide_again(&self, pending: &mut Vec<Item>, now: Timestamp) {
        for mut item in std::mem::take(pending) {
            if item.seen != self.head.last_change {
                match (item.again)(&self.state, now) {
                    Decision::Granted(grant) => item.grant = grant,
                    Decision::NeedsElevation(refused) | Decision::Refused(refused) => {
                        answer_refused(item, refused);
                        continue;
                    }
                }
            }
            pending.push(item);
        }
    }

    /// One commit: a change alone.
    pub async fn change(&mut self, asked: ChangeRequest) -> Result<ChangeOutcome, Unavailable> {
        self.begin(&[]).await?;
        if asked.seen != self.head.last_change {
            self.abort().await;
            return Ok(ChangeOutcome::Stale);
        }
        let index = self.head.size;
        let time = self.time(Some(&asked.change.what)).await?;
        if let Some(ForRequest { id, once: Some(once) }) = &asked.request {
            match self.store.claim(once, id, time).await {
                Ok(true) => {}
                Ok(false) => {
                    // Another node did it since somebody looked here.
                    self.abort().await;
                    return Err(Unavailable::BUSY);
                }
                Err(fault) => return Err(self.failed(fault.into()).await),
            }
        }
        let entry = ChangeEntry {
            index,
            time,
            subject: asked.change.what.subject(),
            request_id: asked.request.map(|request| request.id),
            prior: self.head.last_change,
            change: asked.change,
        };
        let row = Row::change(&entry);
        if row.body.len() > LONGEST {
            self.abort().await;
            return Err(Unavailable::TOO_LONG);
        }
        // A change that cannot be read again would keep every later start from the journal.
        if let Err(error) = Entry::parse(row.body.as_bytes()) {
            tracing::error!(%error, kind = row.kind, "a change that cannot be read again is not written");
            self.abort().await;
            return Err(Unavailable::BUSY);
        }
        let mut state = State::clone(&self.state);
        state.apply(index, time, &entry.change);
        state.forget_expired(time);
        let erases = !asked.beside.erased.is_empty();
        let deletes = erases || !asked.beside.destroyed.is_empty();
        self.write(vec![row], Some((asked.beside, Arc::new(state))), time).await?;
        if erases {
            self.erased = index + 1;
        }
        if deletes && let Err(fault) = self.store.scrub().await {
            tracing::warn!(%fault, "what was deleted stays in the write-ahead log until it is written over");
        }
        self.write_anchor().await;
        Ok(ChangeOutcome::Done(index))
    }

    /// The time of an entry that is written now, after [`Self::begin`].
    ///
    /// Only the change that corrects the time of the log may go back behind the head.
    async fn time(&mut self, what: Option<&Change>) -> Result<Timestamp, Unavailable> {
        let time = match what {
            Some(Change::Journal(JournalChange::Reopened { corrects: Some(_), .. })) => self.shared.believed(),
            _ => self.shared.time_after(self.head.time),
        };
        if time.is_err() {
            self.abort().await;
        }
        Ok(time?)
    }

    /// Writes and commits `rows`; on success this node's head, tree and state are those after them.
    async fn write(
        &mut self,
        rows: Vec<Row>,
        change: Option<(Beside, Arc<State>)>,
        time: Timestamp,
    ) -> Result<(), Unavailable> {
        let started = Instant::now();
        let mut tree = self.tree.clone();
        let mut batch = Batch::of(rows, change.is_some(), &self.head, &mut tree, &self.key);
        let state = change.map(|(beside, state)| {
            batch.beside = beside;
            state
        });
        let after = batch.after.clone();
        let (slice, purged) = self.purge;
        if time > purged {
            if let Err(fault) = self.store.purge(slice, time).await {
                return Err(self.failed(fault.into()).await);
            }
            self.purge = (slice.wrapping_add(1), time);
        }
        if let Err(fault) = self.store.append(batch).await {
            return Err(self.failed(fault.into()).await);
        }
        if let Err(fault) = self.store.commit().await {
            self.settle(fault, &after).await?;
        }
        self.took(after, tree, state, started);
        Ok(())
    }

    /// A batch is durable: this node's head, tree and state are those after it.
    fn took(&mut self, after: Head, tree: Tree, state: Option<Arc<State>>, started: Instant) {
        self.shared.committed(started.elapsed());
        self.proved = Instant::now();
        self.shared.set_writable(true);
        (self.head, self.tree) = (after, tree);
        if let Some(state) = state {
            self.state = state;
        }
        self.shared.publish(View::of(&self.head, Arc::clone(&self.state)));
    }

    /// Gives the lock back, nothing written.
    pub async fn abort(&mut self) {
        if let Err(fault) = self.store.abort().await {
            tracing::warn!(%fault, "a batch could not be given up");
        }
    }

    pub async fn failed(&mut self, unavailable: Unavailable) -> Unavailable {
        self.shared.set_writable(false);
        self.abort().await;
        unavailable
    }

    /// Ends a batch of which nothing was left.
    async fn nothing(&mut self) -> Result<(), Unavailable> {
        self.abort().await;
        Ok(())
    }
}
