//! Laws from entry to entry: order, times, the chain of changes, and one payment per proof.

use std::collections::HashMap;

use super::super::tree::{FullTile, Tree};
use super::fault::VerifyFault;
use super::report::Report;
use crate::domain::log::change::Change;
use crate::domain::log::entry::{Entry, Issued};
use crate::domain::log::journal::JournalChange;
use crate::domain::registry::binding::Admits;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ClientId;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::TextDigest;
use crate::journal::load::{NO_LATER_EPOCH, may_begin};
use crate::journal::store::batch::LONGEST;
use crate::journal::tree::merkle::empty_root;
use crate::journal::tree::note::{Checkpoint, Kept};

/// The entries so far.
#[derive(Default)]
pub struct Chain {
    pub tree: Tree,
    /// The fold of the changes so far.
    pub state: State,
    pub time: Timestamp,
    pub last_change: Option<u64>,
    /// Proofs that may be remembered still: until when, and which entry they paid for.
    pub paid: HashMap<Digest, (Timestamp, u64)>,
    /// The last token of each client: its entry and its time.
    pub used: HashMap<String, (u64, Timestamp)>,
    /// Forgotten texts, and the change that forgot them.
    pub erased: HashMap<TextDigest, u64>,
    /// Entries that correct the time, and their time.
    ///
    /// A proof that expired before such an entry may count again after it.
    pub corrections: Vec<(u64, Timestamp)>,
    /// When `paid` is next cleared of what is over.
    crowded: usize,
    watched: Vec<Watched>,
}

/// A root that the log must have had at a size.
pub struct Watched {
    size: u64,
    root: Digest,
    by: &'static str,
    /// The epoch that it is of, where a later one supersedes it.
    epoch: Option<u64>,
    /// Whether it is of the installation, and goes on with a journal that has left this database.
    moves: bool,
    /// Whether the log had another root at that size.
    differs: bool,
}

/// An entry that follows the one before.
pub struct Taken {
    pub entry: Entry,
    /// Tiles that it filled.
    pub full: Vec<FullTile>,
}

/// The kind of a change that may take time back.
pub const REOPENED: &str = "journal.reopened";

/// Proofs remembered before the first clearing.
const CROWDED: usize = 4096;

impl Watched {
    pub fn of(checkpoint: &Checkpoint, by: &'static str) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root, by, epoch: None, moves: false, differs: false }
    }

    /// The anchor of the installation.
    pub fn of_anchor(checkpoint: &Checkpoint, by: &'static str) -> Self {
        Self { moves: true, ..Self::of(checkpoint, by) }
    }

    /// One that says nothing of a log that was reopened since.
    pub fn of_epoch(kept: &Kept, by: &'static str) -> Self {
        Self { epoch: Some(kept.epoch.unwrap_or(1)), moves: true, ..Self::of(&kept.checkpoint, by) }
    }
}

impl Chain {
    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    pub fn watch(&mut self, watched: Option<Watched>) {
        self.watched.extend(watched);
    }

    /// Takes the next entry, whose hash is `leaf`, if it may follow.
    pub fn take(&mut self, body: &[u8], leaf: Digest) -> Result<Taken, VerifyFault> {
        let at = self.size();
        let fault = |what: &str| VerifyFault::entry(at, what);
        if body.len() > LONGEST {
            return Err(fault("the entry is longer than an entry can be"));
        }
        let entry = Entry::parse(body).map_err(|error| VerifyFault::entry(at, format!("the entry cannot be read: {error}")))?;
        if entry.index() != at {
            return Err(VerifyFault::entry(at, format!("here stands the entry that says it is {}", entry.index())));
        }
        match corrects(&entry) {
            // Time goes back where an operator corrected it, and nowhere else.
            Some(was) if was != self.time => {
                return Err(fault("the entry corrects another time than that of the one before it"));
            }
            None if entry.time() < self.time => return Err(fault("the entry is older than the one before it")),
            _ => {}
        }
        match &entry {
            Entry::Change(change) => {
                if change.prior != self.last_change {
                    return Err(fault("the change does not follow the change before it"));
                }
                if !may_begin(&self.state, &change.change.what) {
                    return Err(fault(NO_LATER_EPOCH));
                }
                self.state.apply(at, change.time, &change.change);
                self.state.forget_expired(change.time);
                self.erased.extend(change.change.what.erased().into_iter().map(|digest| (digest, at)));
                self.last_change = Some(at);
            }
            Entry::Issued(issued) => {
                self.used.insert(issued.subject.to_string(), (at, issued.time));
                self.pay(issued)?;
            }
            Entry::Refused(_) | Entry::Counted(_) => {}
        }
        self.time = entry.time();
        let full = self.tree.append(leaf);
        self.compare_roots();
        Ok(Taken { entry, full })
    }

    /// Checks that a record in force allows the token, and that a single-use proof pays once.
    fn pay(&mut self, issued: &Issued) -> Result<(), VerifyFault> {
        let spent = spent(&self.state, issued).map_err(|what| VerifyFault::entry(issued.index, what))?;
        let Some(id) = spent else { return Ok(()) };
        let until = ProofKey::remembered_until(issued.proof.expires);
        if let Some((earlier, index)) = self.paid.insert(id, (until, issued.index))
            && earlier >= issued.time
        {
            return Err(VerifyFault::entry(issued.index, format!("the proof had paid for entry {index} already")));
        }
        if self.paid.len() > self.crowded.max(CROWDED) {
            let later = self.corrections.iter().filter(|(index, _)| *index > issued.index).map(|(_, time)| *time);
            let horizon = later.chain([issued.time]).min().unwrap_or(issued.time);
            self.paid.retain(|_, (until, _)| *until >= horizon);
            self.crowded = 2 * self.paid.len();
        }
        Ok(())
    }

    fn compare_roots(&mut self) {
        let size = self.size();
        let mut here = self.watched.iter_mut().filter(|watched| watched.size == size).peekable();
        if here.peek().is_some() {
            let root = self.tree.root();
            here.for_each(|watched| watched.differs = watched.root != root);
        }
    }

    /// Ends the log here, and compares kept checkpoints. A fault of an entry, told before, says more.
    pub fn finish(&self, kept: Option<u64>, anchored: Option<u64>) -> Result<Report, VerifyFault> {
        let size = self.size();
        let has_left = |watched: &&Watched| watched.moves && self.state.moved.is_some() && watched.size > size;
        let counts = |watched: &&Watched| watched.epoch.is_none_or(|epoch| epoch >= self.state.epoch) && !has_left(watched);
        for &Watched { size: known, root, by, differs, .. } in self.watched.iter().filter(counts) {
            if differs || (known == 0 && root != empty_root()) {
                return Err(VerifyFault::Forked { known, by });
            }
            if known > size {
                return Err(VerifyFault::Cut { size, known, by });
            }
        }
        if size == 0 {
            return Err(VerifyFault::entry(0, "the log is empty"));
        }
        let (root, newest) = (self.tree.root(), self.time);
        let (origin, epoch, moved) = (self.state.origin.clone(), self.state.epoch, self.state.moved.clone());
        Ok(Report { origin, size, root, epoch, newest, kept, moved, anchored })
    }
}

/// The time of the entry before, where the entry takes time back.
fn corrects(entry: &Entry) -> Option<Timestamp> {
    let Entry::Change(change) = entry else { return None };
    let Change::Journal(JournalChange::Reopened { corrects, .. }) = &change.change.what else { return None };
    *corrects
}

/// The correction that an entry is, for [`Chain::corrections`].
pub fn correction(body: &[u8]) -> Option<(u64, Timestamp)> {
    // Few of many entries are worth parsing.
    std::str::from_utf8(body).ok().filter(|text| text.contains(REOPENED))?;
    let entry = Entry::parse(body).ok()?;
    corrects(&entry).map(|_| (entry.index(), entry.time()))
}

/// The proof that the token spent, by the binding of the record in force that admitted its caller.
///
/// `Ok(None)` where the proof may be presented again: a client certificate always, a JWT where the binding says so.
fn spent(state: &State, issued: &Issued) -> Result<Option<Digest>, &'static str> {
    const NOT_ALLOWED: &str = "no binding of a record in force allows the token";
    let ClientId::Integration(id) = &issued.subject else { return Err("the token is not an integration's") };
    let current = state.integrations.get(id).and_then(|integration| integration.current.as_ref());
    let record = &current.filter(|current| current.version == issued.record).ok_or(NOT_ALLOWED)?.record;
    let bindings = record.environments.get(&issued.environment).map(|access| &access.bindings).ok_or(NOT_ALLOWED)?;
    match &bindings.iter().find(|binding| binding.name == issued.binding).ok_or(NOT_ALLOWED)?.admits {
        Admits::Certificate if issued.certificate.is_none() => {
            Err("its binding admits a certificate, and the entry names none")
        }
        Admits::Certificate => Ok(None),
        // One SPIFFE ID is proved by a JWT-SVID or by an X.509-SVID. A certificate has no `jti`, and spends nothing.
        Admits::Jwt(rule) if rule.takes_svids() && is_by_svid(issued) => Ok(None),
        Admits::Jwt(rule) if rule.single_use => issued.proof.id.map(Some).ok_or("the proof is for single use and has no id"),
        Admits::Jwt(_) => Ok(None),
    }
}

/// Whether the X.509-SVID of the connection was the proof, and not a JWT beside it.
fn is_by_svid(issued: &Issued) -> bool {
    issued.proof.id.is_none() && issued.beside.as_ref() == Some(&issued.proof.issuer)
}
