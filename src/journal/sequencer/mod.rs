//! The one task of a node that writes: each commit takes what queued up during the last one.
//!
//! There is no timer on the way of a token: an idle broker commits at once, a busy one in batches, so that one `fsync` serves
//! many (docs/explanation/journal.md). A change is alone in its batch. Order: lock and look at the head, decide again
//! what has not seen the last change, spend proofs, write, commit, publish, answer. Nothing is answered before its outcome is
//! known; a failed commit is settled by reading the head again.

mod changing;
mod followed;
mod following;
pub mod issued;
pub mod queue;
pub mod refusals;
pub mod reply;
mod settling;
mod several;
mod upkeep;
pub mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::fault::{StoreFault, Unavailable};
use super::key::anchor::Anchor;
use super::key::kek::Kek;
use super::store::batch::{Batch, Beside, MacKey, Row};
use super::store::head::Head;
use super::store::reader::Reader;
use super::store::write::{Tried, Write};
use super::tail::Line;
use super::tree::Tree;
use crate::domain::decision::grant::Decision;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use queue::{Answer, Inbox, Item, Placed, Work, answer_refused, answer_replayed, apart, place, replayed, rows, unique};
use refusals::{Counts, Known};
use view::{Shared, View};

/// Refusals that share a commit with grants.
const REFUSALS: usize = 128;

/// How often the same is tried at most, if the store takes it back each time.
const AGAIN: u32 = 3;

/// How often the sequencer shows that it can be asked.
const PULSE: Duration = Duration::from_millis(250);

/// Everything that a sequencer works with.
pub struct Sequencer {
    pub inbox: Inbox,
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
    /// The last change that the tail beside it holds. None: the tail is to be written anew.
    pub tailed: Option<u64>,
    /// Changes that it does not hold yet.
    pub untold: Vec<Line>,
    /// When old changes were last taken out of it.
    pub tail_began: Timestamp,
    /// The slice of spent proofs that is purged next, and the second of the last purge.
    pub purge: (u8, Timestamp),
    /// When requests were last forgotten whose time was over.
    pub forgot: Timestamp,
    /// One more than the index of the last erasure that this node knows of.
    pub erased: u64,
    /// The note that proves a loss, until it is kept beside the anchor.
    pub loss: Option<String>,
    /// Whether the store took back what failed last, and the same may begin again.
    pub is_taken_back: bool,
    /// Whether another node had written when this one took the lock last.
    pub is_contended: bool,
}

impl Sequencer {
    /// Works until the queue closes.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut pulse = tokio::time::interval(PULSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let due = self.store.maintenance();
        let mut closing = None;
        while closing.is_none() {
            self.shared.beat();
            let has_work = tokio::select! {
                has_work = self.inbox.has_work() => has_work,
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
            if !has_work {
                break;
            }
            self.inbox.gather().await;
            closing = self.serve().await;
        }
        self.write_records(Vec::new(), true).await;
        self.write_anchor().await;
        self.write_lost().await;
        // Queued work is answered by the closing of its channel: not written.
        drop(self.inbox);
        if let Err(fault) = self.store.close().await {
            tracing::warn!(%fault, "the journal's store was not closed in order");
        }
        if let Some(closed) = closing {
            let _gone = closed.send(());
        }
    }

    /// Serves what is here, in its order: grants together, each change by itself.
    async fn serve(&mut self) -> Option<oneshot::Sender<()>> {
        let mut items = Vec::new();
        let mut replies = Vec::new();
        let (mut people, mut uses) = (Vec::new(), Vec::new());
        let mut refusals = false;
        while let Some(work) = self.inbox.next() {
            match work {
                Work::Record(item) => items.push(item),
                Work::Refusals => refusals = true,
                Work::Change(asked, answer) => {
                    self.write_records(std::mem::take(&mut items), false).await;
                    if answer.take() {
                        let outcome = self.change(*asked, || answer.is_late()).await;
                        answer.send(outcome);
                    }
                }
                // After the grants: no token waits for an answer to be kept.
                Work::Keep(reply, answer) => replies.push((*reply, answer)),
                // As late: whoever has a token of the directory delays no token of ours.
                Work::People(change, answer) => people.push((change, answer)),
                Work::Uses(change, answer) => uses.push((change, answer)),
                Work::Leave { from, until, answer } => {
                    let _gone = answer.send(self.leave(from, until).await);
                }
                Work::Look(answer) => answer.send(self.look().await),
                Work::Lost(loss, answer) => {
                    self.lost(*loss).await;
                    let _gone = answer.send(());
                }
                Work::Joined(author) => self.store.write_as(author),
                Work::Tree(answer) => answer.send(Ok((self.head.clone(), self.tree.clone()))),
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
        let mut pending: Vec<_> = items.into_iter().filter(|item| item.answer.take()).collect();
        let mut left = AGAIN;
        let recorded = loop {
            left -= 1;
            match self.try_records(&mut pending, &known, &counts).await {
                Err(_) if left > 0 && std::mem::take(&mut self.is_taken_back) => {}
                recorded => break recorded,
            }
        };
        match recorded {
            Ok(recorded) => {
                for (answer, placed) in recorded {
                    answer.send(Ok(placed));
                }
            }
            Err(unavailable) => {
                self.shared.with_refusals(|refusals| refusals.put_back(known, counts));
                for item in pending {
                    item.answer.send(Err(unavailable.into()));
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
        // lock is taken, each is decided again that must be, and then it is written. While other nodes write as well, it would not go, and
        // the wait for the lock would be for nothing.
        let time = self.shared.time_after(self.head.time)?;
        let current = !self.is_contended && pending.iter().all(|item| item.seen == self.head.last_change);
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
        self.is_contended = fresh.is_none();
        let time = self.time(None).await?;
        if self.is_contended {
            // What came while this node waited for the lock needs no lock of its own.
            pending.extend(self.inbox.later(pending.len()).into_iter().filter(|item| item.answer.take()));
        }
        self.decide_again(pending, time);
        let fresh = match fresh {
            Some(fresh) if current => fresh,
            _ => match self.store.spend(&unique(pending)).await {
                Ok(fresh) => fresh,
                Err(fault) => return Err(self.failed(fault).await),
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
        // Nobody would get the token of one that came too late.
        for mut item in std::mem::take(pending).into_iter().filter(|item| !item.answer.is_late()) {
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
        let told = batch.rows.first().filter(|_| state.is_some()).map(|row| Line::of_batch(&batch, row));
        let after = batch.after.clone();
        let (slice, purged) = self.purge;
        if time > purged {
            if let Err(fault) = self.store.purge(slice, time).await {
                return Err(self.failed(fault).await);
            }
            self.purge = (slice.wrapping_add(1), time);
        }
        if let Err(fault) = self.store.append(batch).await {
            return Err(self.failed(fault).await);
        }
        match self.store.commit().await {
            Ok(()) => {}
            Err(fault @ StoreFault::Again(_)) => return Err(self.failed(fault).await),
            Err(fault) => self.settle(fault, &after).await?,
        }
        self.untold.extend(told);
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

    /// Ends a batch that the store did not take.
    pub async fn failed(&mut self, fault: StoreFault) -> Unavailable {
        self.is_taken_back = matches!(fault, StoreFault::Again(_));
        if !self.is_taken_back {
            self.shared.set_writable(false);
        }
        self.abort().await;
        fault.into()
    }

    /// Ends a batch of which nothing was left.
    async fn nothing(&mut self) -> Result<(), Unavailable> {
        self.abort().await;
        Ok(())
    }
}
