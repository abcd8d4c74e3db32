//! The journal as the rest of the broker holds it: a handle that is cheap to clone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::answers::ForRequest;
use super::archive::segment::Shelf;
use super::fault::{Health, RecordFault, Unavailable};
use super::key::kek::{BlobName, SealedBlob, SealingKey};
use super::key::signers::Signers;
use super::members::Members;
use super::scratch::Scratch;
use super::sequencer::queue::{Again, ChangeOutcome, ChangeRequest, Item, Placed, Work};
use super::sequencer::refusals::RefusalNote;
use super::sequencer::reply::{ANSWERED_WITHIN, reply};
use super::sequencer::view::{Marker, Shared, View};

use super::store::batch::Beside;
use super::store::people::PeopleKey;
use super::store::query::{Query, StoredEntry};
use super::store::reader::Reader;
use super::store::uses::UsesKey;
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::grant::Grant;
use crate::domain::log::change::Attributed;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::state::State;
use crate::domain::value::clock::{Clock, Entropy, Timestamp};
use crate::domain::value::text::{TextDigest, TextRow};

/// A value that stands durably in the journal. Only [`Journal::record`] makes one.
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    index: u64,
    time: Timestamp,
    claims: Vec<u8>,
}

impl<T> Recorded<T> {
    /// The recorded value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Its place in the log.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The bytes of which the entry has the digest, and that a token of it is made of.
    pub fn claims(&self) -> &[u8] {
        &self.claims
    }

    /// The store's time.
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

/// A change that somebody wants to make on a state that they saw.
pub struct Proposal {
    /// The change. Plain texts that its reasons and people hold are sealed on the way.
    pub change: Attributed,
    /// Texts that were sealed already, of records.
    pub texts: Vec<TextRow>,
    /// Rows that the keyring gets in the same transaction.
    pub sealed: Vec<SealedBlob>,
    /// Rows that the keyring loses in the same transaction.
    pub destroy: Vec<BlobName>,
}

impl From<Attributed> for Proposal {
    fn from(change: Attributed) -> Self {
        Self { change, texts: Vec::new(), sealed: Vec::new(), destroy: Vec::new() }
    }
}

/// A change that stands in the log.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its index.
    pub index: u64,
    /// A state that holds it.
    pub view: Arc<View>,
    /// When it was asked for, by the monotonic clock.
    pub asked: std::time::Instant,
}

/// A point of the past.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// After the entry with this index.
    Index(u64),
    /// After the last entry of this second.
    Time(Timestamp),
}

/// The journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Work>,
    reader: Reader,
    shelf: Shelf,
    sealing: Arc<SealingKey>,
    people: PeopleKey,
    uses: UsesKey,
    origin: Arc<str>,
    entropy: Arc<dyn Entropy>,
    members: Arc<Members>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    _scratch: Option<Arc<Scratch>>,
}

/// The parts of a handle.
pub(super) struct Parts {
    pub shared: Arc<Shared>,
    pub queue: mpsc::Sender<Work>,
    pub reader: Reader,
    pub shelf: Shelf,
    /// The key that seals answers.
    pub sealing: SealingKey,
    /// The key of the tag over the people directory.
    pub people: PeopleKey,
    /// The key of the tags over the counts of uses.
    pub uses: UsesKey,
    pub origin: String,
    pub entropy: Arc<dyn Entropy>,
    /// The nodes that share the journal.
    pub members: Arc<Members>,
    pub task: JoinHandle<()>,
    pub scratch: Option<Scratch>,
}

/// Rounds of a change before it gives up. In each round one of its rivals is written.
const ROUNDS: u32 = 1000;

impl Journal {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            shared: parts.shared,
            queue: parts.queue,
            reader: parts.reader,
            shelf: parts.shelf,
            sealing: Arc::new(parts.sealing),
            people: parts.people,
            uses: parts.uses,
            origin: parts.origin.into(),
            entropy: parts.entropy,
            members: parts.members,
            task: Arc::new(Mutex::new(Some(parts.task))),
            _scratch: parts.scratch.map(Arc::new),
        }
    }

    /// The newest state.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// The present second, never before the newest entry's.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The clock that the journal goes by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock) as Arc<dyn Clock>
    }

    /// Refuses while the time cannot be believed.
    pub fn ensure_steady(&self) -> Result<(), Unavailable> {
        self.shared.steady()
    }

    /// Records a grant and spends its proof, durably and in one commit.
    ///
    /// `seen` is [`View::seen`] of the state that the grant was decided on. If a change came since, `again` decides on the newer state while
    /// the batch holds the head.
    ///
    /// Dropping the future takes nothing back: the grant may be recorded, and its token never leaves, which is harmless. The same goes for
    /// one whose record is not confirmed in time ([`ANSWERED_WITHIN`]).
    pub async fn record(
        &self,
        seen: Option<u64>,
        grant: Box<Grant>,
        again: Again,
    ) -> Result<Recorded<Box<Grant>>, RecordFault> {
        self.shared.running()?;
        self.shared.settled()?;
        self.shared.steady()?;
        let (answer, outcome) = reply();
        let last = Instant::now() + ANSWERED_WITHIN;
        // A full queue means a store that does not keep up: say so at once instead of letting callers pile up (ABUSE L-07).
        self.queue.try_send(Work::Record(Item { seen, grant, again, answer })).map_err(|_| Unavailable::BUSY)?;
        let Placed { grant, index, time, claims } = outcome.until(last).await??;
        Ok(Recorded { value: grant, index, time, claims })
    }

    /// Makes a change. `propose` is called again whenever another change came first.
    ///
    /// Its error ends the call. If another request was done with the key of `request`, nothing is changed and the journal is unavailable:
    /// [`Self::before`] came too early.
    ///
    /// Dropping the future takes nothing back.
    pub async fn change<E>(
        &self,
        request: Option<ForRequest>,
        mut propose: impl FnMut(&State, Timestamp) -> Result<Proposal, E> + Send,
    ) -> Result<Result<Committed, E>, Unavailable> {
        let asked = Instant::now();
        for _ in 0..ROUNDS {
            self.shared.running()?;
            self.shared.settled()?;
            let view = self.view();
            let proposal = match propose(&view.state, self.now()) {
                Ok(proposal) => proposal,
                Err(error) => return Ok(Err(error)),
            };
            self.shared.steady()?;
            // Another node may not read it yet.
            if self.is_shared() && proposal.change.what.format() > view.state.format {
                tracing::error!(
                    kind = proposal.change.what.kind(),
                    format = view.state.format,
                    "no entry may have a newer format yet"
                );
                return Err(Unavailable::BUSY);
            }
            let proposed = self.proposed(proposal, view.seen, request.clone());
            let (answer, outcome) = reply();
            self.queue.try_send(Work::Change(Box::new(proposed), answer)).map_err(|_| Unavailable::BUSY)?;
            match outcome.until(asked + ANSWERED_WITHIN).await?? {
                ChangeOutcome::Done(index) => {
                    return Ok(Ok(Committed { index, view: self.view(), asked: asked.into_std() }));
                }
                ChangeOutcome::Stale => {}
            }
        }
        Err(Unavailable::BUSY)
    }

    fn proposed(&self, proposal: Proposal, seen: Option<u64>, request: Option<ForRequest>) -> ChangeRequest {
        let Proposal { mut change, mut texts, sealed, destroy } = proposal;
        texts.extend(change.texts_mut().into_iter().filter_map(|text| text.seal(&*self.entropy)));
        let beside = Beside { texts, erased: change.what.erased(), sealed, destroyed: destroy, spent: Vec::new() };
        ChangeRequest { seen, request, change, beside }
    }

    /// Puts a refusal on record soon, as an entry or in a count. Never waits.
    pub fn refuse(&self, note: RefusalNote) {
        let now = self.shared.now();
        if self.shared.with_refusals(|refusals| refusals.take(note, now)) {
            // A full queue is being worked on, and the sequencer looks for refusals each second anyway.
            let _later = self.queue.try_send(Work::Refusals);
        }
    }

    /// One entry, in the database or in its segment.
    pub async fn entry(&self, index: u64) -> Result<Option<Entry>, Unavailable> {
        let Some(body) = self.body(index).await? else { return Ok(None) };
        // An unreadable entry of our own log is an inconsistency, never an absence.
        Entry::parse(body.as_bytes()).map(Some).map_err(|error| {
            tracing::error!(index, %error, "an entry cannot be read");
            Unavailable::STOPPED
        })
    }

    /// Entries of the database that a query asks for; [`Self::page`] reads on in segments.
    pub async fn entries(&self, query: &Query) -> Result<Vec<StoredEntry>, Unavailable> {
        self.shared.running()?;
        Ok(self.reader.list(query).await?)
    }

    /// The time at which this client was last issued a token; of a partner, the latest of its integrations.
    pub async fn last_use_of(&self, clients: Clients) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.last_uses_of(vec![clients]).await?.into_iter().next().flatten())
    }

    /// The times at which these clients were last issued a token, in their order; of a partner, the latest of its integrations.
    pub async fn last_uses_of(&self, clients: Vec<Clients>) -> Result<Vec<Option<Timestamp>>, Unavailable> {
        self.shared.running()?;
        Ok(self.reader.last_uses(&clients).await?)
    }

    /// The number of tokens of `subject` on each day (days since 1970) from `since` on.
    ///
    /// It counts among the newest `among` entries in the database, and returns the time from which on that is all of them. That is later than
    /// `since` if there are more entries, or they have left.
    pub async fn issued_by_day(
        &self,
        subject: &str,
        among: u64,
        since: Timestamp,
    ) -> Result<(Vec<(i64, u64)>, Timestamp), Unavailable> {
        self.shared.running()?;
        let view = self.view();
        let from = view.size.saturating_sub(among).max(view.state.archive.until());
        let first = if from > 0 { self.reader.time_from(from).await? } else { None };
        let days = self.reader.issued_by_day(subject, from, since).await?;
        Ok((days, first.map_or(since, |first| first.max(since))))
    }

    /// Changes from the index `from` on, in order, at most 1000 at a time.
    pub async fn changes(&self, from: u64) -> Result<Vec<ChangeEntry>, Unavailable> {
        self.shared.running()?;
        Ok(self.reader.changes(from).await?)
    }

    /// The texts of these digests; erased ones are missing.
    pub async fn texts(&self, digests: &[TextDigest]) -> Result<HashMap<TextDigest, TextRow>, Unavailable> {
        Ok(self.reader.texts(digests).await?)
    }

    /// A sealed blob of the keyring.
    pub async fn blob(&self, name: &BlobName) -> Result<Option<SealedBlob>, Unavailable> {
        Ok(self.reader.blob(name).await?)
    }

    /// Whether a token was paid for with this proof.
    pub async fn is_spent(&self, proof: &crate::domain::value::proof_key::ProofKey) -> Result<bool, Unavailable> {
        self.shared.running()?;
        Ok(self.reader.is_spent(proof).await?)
    }

    /// Follows the head: it changes with every commit, and who is late sees the newest.
    pub fn follow(&self) -> watch::Receiver<Marker> {
        self.shared.marker.subscribe()
    }

    /// How far the journal is.
    pub fn marker(&self) -> Marker {
        self.shared.marker.borrow().clone()
    }

    /// How the journal is.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn shared_arc(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn members(&self) -> &Arc<Members> {
        &self.members
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn signers(&self) -> Arc<Signers> {
        self.shared.signers.load_full()
    }

    pub(super) fn sealing(&self) -> &SealingKey {
        &self.sealing
    }

    pub(super) fn people_key(&self) -> &PeopleKey {
        &self.people
    }

    pub(super) fn uses_key(&self) -> &UsesKey {
        &self.uses
    }

    /// An id that nobody can guess.
    pub(super) fn fresh_id(&self) -> String {
        self.entropy.identifier()
    }

    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Refuses once the journal has stopped.
    pub fn running(&self) -> Result<(), Unavailable> {
        self.shared.running()
    }

    /// Puts work in the queue once there is space.
    pub(super) async fn queue(&self, work: Work) -> Result<(), Unavailable> {
        self.queue.send(work).await.map_err(|_| Unavailable::BUSY)
    }

    /// Holds every connection that reads, as slow statements do.
    #[cfg(test)]
    pub(crate) async fn hold_readers(&self) -> Box<dyn std::any::Any + Send> {
        self.reader.hold().await.expect("connections")
    }

    /// Ends the sequencer wherever it is, as `kill -9` does.
    pub(super) fn kill(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
