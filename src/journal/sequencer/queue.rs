//! The queue for the next commit: grants and changes, each with a channel for its outcome.
//!
//! Enter through [`Inbox`]. The journal's handles put work in; the sequencer takes it out, all that is there at once.

use std::collections::{HashSet, VecDeque};

use tokio::sync::{mpsc, oneshot};

use super::refusals::{Counts, Known};
use super::reply::Reply;
use crate::domain::decision::grant::{Decision, Grant};
use crate::domain::log::change::Attributed;
use crate::domain::log::entry::{Counted, CountedKind, Issued, RefusedEntry, RefusedKind};
use crate::domain::reason::ReasonCode;
use crate::domain::reason::decision::Refused;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers;
use crate::journal::fault::Loss;
use crate::journal::fault::{RecordFault, Unavailable};
use crate::journal::store::batch::{Beside, Row};
use crate::journal::store::head::Head;
use crate::journal::store::people::PeopleChange;
use crate::journal::store::uses::UsesChange;
use crate::journal::store::write::Author;
use crate::journal::tree::Tree;

/// Grants in one commit.
const LARGEST_BATCH: usize = 256;

/// Decides a grant again on a newer state.
pub type Again = Box<dyn Fn(&State, Timestamp) -> Decision + Send>;

/// The channel for the outcome of a grant.
pub type Answer = Reply<Result<Placed, RecordFault>>;

/// A grant in the log.
pub struct Placed {
    pub grant: Box<Grant>,
    pub index: u64,
    pub time: Timestamp,
    /// The bytes of which the entry has the digest.
    pub claims: Vec<u8>,
}

/// A grant on its way into the log.
pub struct Item {
    pub seen: Option<u64>,
    pub grant: Box<Grant>,
    pub again: Again,
    pub answer: Answer,
}

/// A change on its way into the log.
#[derive(Clone)]
pub struct ChangeRequest {
    pub seen: Option<u64>,
    pub request: Option<answers::ForRequest>,
    pub change: Attributed,
    pub beside: Beside,
}

/// The outcome of a change.
pub enum ChangeOutcome {
    /// It stands at this index.
    Done(u64),
    /// Another change was first.
    Stale,
}

/// An item of the queue.
pub enum Work {
    Record(Item),
    Change(Box<ChangeRequest>, Reply<Result<ChangeOutcome, Unavailable>>),
    /// An answer to a request that may come twice.
    Keep(Box<answers::Sealed>, Reply<Result<(), Unavailable>>),
    /// People of the directory.
    People(Box<PeopleChange>, Reply<Result<bool, Unavailable>>),
    /// Counts of uses; none to take them away.
    Uses(Option<Box<UsesChange>>, Reply<Result<bool, Unavailable>>),
    /// Refusals wait.
    Refusals,
    /// Issuance and refusal entries of this range leave the database.
    Leave {
        from: u64,
        until: u64,
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Somebody else may have written: the head is read anew.
    Look(Reply<Result<(), Unavailable>>),
    /// The log is not all of it: nothing is written any more.
    Lost(Box<Loss>, oneshot::Sender<()>),
    /// This node has joined: what it writes counts as long as this instance has the id.
    Joined(Author),
    /// The tree as it is, for proofs.
    Tree(Reply<Result<(Head, Tree), Unavailable>>),
    Close(oneshot::Sender<()>),
}

/// The proofs that items spend, each once.
pub fn unique(items: &[Item]) -> Vec<(ProofKey, Timestamp)> {
    let mut seen = HashSet::new();
    items.iter().filter_map(|item| item.grant.spends()).filter(|(key, _)| seen.insert(*key)).collect()
}

/// Says of each item whether its proof was spent before, in this batch or in the database.
///
/// An item that spends no proof is never a replay.
pub fn replayed(items: &[Item], mut fresh: HashSet<ProofKey>) -> Vec<bool> {
    // The first takes its proof out of the set, so a second one with the same proof does not find it.
    items.iter().map(|item| item.grant.spends().is_some_and(|(key, _)| !fresh.remove(&key))).collect()
}

/// Separates the winners from the items whose proof was spent before.
///
/// The latter are answered after the commit: the entry that beat them may be in this very batch.
pub fn apart(items: Vec<Item>, replayed: Vec<bool>) -> (Vec<Item>, Vec<Item>) {
    let (losers, winners): (Vec<_>, Vec<_>) = items.into_iter().zip(replayed).partition(|(_, lost)| *lost);
    let items = |these: Vec<(Item, bool)>| these.into_iter().map(|(item, _)| item).collect();
    (items(winners), items(losers))
}

/// The rows of a batch that begins at `first`, and the bytes to sign for each of `items`.
pub fn rows(items: &[Item], (known, counts): (&[Known], &Counts), first: u64, time: Timestamp) -> (Vec<Row>, Vec<Vec<u8>>) {
    let mut index = first..;
    let mut next = || index.next().unwrap_or(u64::MAX);
    let mut rows = Vec::with_capacity(items.len() + known.len() + counts.len());
    let mut claims = Vec::with_capacity(items.len());
    for item in items {
        let (entry, bytes) = Issued::of(&item.grant, next(), time);
        rows.push(Row::issued(&entry));
        claims.push(bytes);
    }
    rows.extend(known.iter().map(|Known { client, note }| {
        Row::refused(&RefusedEntry {
            index: next(),
            time,
            kind: RefusedKind::Refused,
            subject: client.clone(),
            request_id: note.request.clone(),
            environment: note.environment.clone(),
            reason: ReasonCode(note.refused.reason),
            tree: note.refused.tree.clone(),
        })
    }));
    rows.extend(counts.iter().map(|(subject, counts)| {
        let (subject, counts) = (subject.clone(), counts.clone());
        Row::counted(&Counted { index: next(), time, kind: CountedKind::Refusals, subject, counts })
    }));
    (rows, claims)
}

/// Those that are in the log, from `first` on.
pub fn place(items: Vec<Item>, claims: Vec<Vec<u8>>, first: u64, time: Timestamp) -> Vec<(Answer, Placed)> {
    let placed =
        |((item, claims), index): ((Item, Vec<u8>), u64)| (item.answer, Placed { grant: item.grant, index, time, claims });
    items.into_iter().zip(claims).zip(first..).map(placed).collect()
}

pub fn answer_replayed(items: Vec<Item>) {
    for item in items {
        item.answer.send(Err(RecordFault::Replayed));
    }
}

pub fn answer_refused(item: Item, refused: Refused) {
    item.answer.send(Err(RecordFault::Refused(Box::new(refused))));
}

/// Turns that a gathering gives the rest of the process without anything new coming of it.
const IDLE_TURNS: u32 = 3;

/// What was put in the queue and is not served yet, in its order.
pub struct Inbox {
    queue: mpsc::Receiver<Work>,
    waiting: VecDeque<Work>,
}

impl Inbox {
    pub fn of(queue: mpsc::Receiver<Work>) -> Self {
        Self { queue, waiting: VecDeque::new() }
    }

    /// Waits for work. Returns false once the queue is closed and empty.
    pub async fn has_work(&mut self) -> bool {
        if self.waiting.is_empty() {
            self.waiting.extend(self.queue.recv().await);
        }
        !self.waiting.is_empty()
    }

    /// Takes everything from the queue, and lets tasks that are ready add to it.
    ///
    /// Work that is about to come joins this commit instead of waiting out its `fsync`. There is no timer: an idle broker gets a few turns
    /// that cost nothing, a busy one is done when nothing new comes.
    pub async fn gather(&mut self) {
        let mut idle = 0;
        while idle < IDLE_TURNS {
            let before = self.waiting.len();
            while self.waiting.len() < LARGEST_BATCH
                && let Ok(work) = self.queue.try_recv()
            {
                self.waiting.push_back(work);
            }
            if self.waiting.len() >= LARGEST_BATCH {
                return;
            }
            idle = if self.waiting.len() > before { 0 } else { idle + 1 };
            tokio::task::yield_now().await;
        }
    }

    /// The next work, of what is here.
    pub fn next(&mut self) -> Option<Work> {
        self.waiting.pop_front()
    }

    /// Takes the grants that came since, for a batch that has so many already. Takes none while other work waits, which came first.
    pub fn later(&mut self, already: usize) -> Vec<Item> {
        let mut items = Vec::new();
        while self.waiting.is_empty()
            && already + items.len() < LARGEST_BATCH
            && let Ok(work) = self.queue.try_recv()
        {
            match work {
                Work::Record(item) => items.push(item),
                Work::Change(..)
                | Work::Keep(..)
                | Work::People(..)
                | Work::Uses(..)
                | Work::Refusals
                | Work::Leave { .. }
                | Work::Look(_)
                | Work::Lost(..)
                | Work::Joined(_)
                | Work::Tree(_)
                | Work::Close(_) => self.waiting.push_back(work),
            }
        }
        items
    }
}
