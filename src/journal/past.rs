//! The state at a point of the past, checkpoints and proofs of an open journal, and the comparison of a log with a kept checkpoint.
//!
//! [`Journal::checkpoint`], [`Journal::prove`] and [`Journal::prove_consistency`] make proofs for others, which `tree::proof` verifies.
//! [`Past::compare`] judges a checkpoint that comes back: the log extends it, or lost entries.

use std::sync::Arc;

use super::fault::Loss;
use super::fault::Unavailable;
use super::handle::{At, Journal};
use super::key::signers::Keys;
use super::sequencer::view::View;
use super::store::reader::Reader;
use super::tree::Tree;
use super::tree::merkle::{Subtree, consistency_path, inclusion_path};
use super::tree::note::{Checkpoint, Kept, NoteFault, VerifierKey};
use super::tree::proof::{Consistency, InclusionProof};
use crate::domain::state::State;
use crate::domain::value::digest::Digest;

impl Journal {
    /// The state at a point of the past.
    pub async fn state_at(&self, at: At) -> Result<State, Unavailable> {
        self.running()?;
        let size = match at {
            At::Index(index) => index.saturating_add(1),
            At::Time(time) => self.reader().count_until(time, &self.view()).await?,
        };
        let mut state = State::default();
        let mut from = 0;
        loop {
            let changes = self.reader().changes(from).await?;
            let Some(last) = changes.last().map(|entry| entry.index) else { return Ok(state) };
            // A past is folded change by change, each time that somebody asks: not on a thread that serves.
            let folded = tokio::task::spawn_blocking(move || {
                for entry in changes.iter().take_while(|entry| entry.index < size) {
                    state.apply(entry.index, entry.time, &entry.change);
                }
                state
            });
            state = folded.await.map_err(|_| Unavailable::BUSY)?;
            if last >= size {
                return Ok(state);
            }
            from = last + 1;
        }
    }

    /// The newest checkpoint as a signed note (C2SP tlog-checkpoint).
    pub fn checkpoint(&self) -> Result<String, Unavailable> {
        let view = self.view();
        self.signed(view.size, view.root)
    }

    /// The newest checkpoint with its epoch, to be kept beside the live index for [`Past::read`].
    ///
    /// The epoch is also returned by itself.
    pub fn checkpoint_to_keep(&self) -> Result<(u64, String), Unavailable> {
        self.running()?;
        let view = self.view();
        let epoch = view.state.epoch;
        let checkpoint = Checkpoint { origin: self.origin().to_owned(), size: view.size, root: view.root };
        let signed = self.signers().sign_kept(&Kept { checkpoint, epoch: Some(epoch) }, self.now());
        Ok((epoch, signed.map_err(|fault| unsigned(&fault))?))
    }

    fn signed(&self, size: u64, root: Digest) -> Result<String, Unavailable> {
        self.running()?;
        let checkpoint = Checkpoint { origin: self.origin().to_owned(), size, root };
        self.signers().sign(&checkpoint, self.now()).map_err(|fault| unsigned(&fault))
    }

    /// The key that verifies checkpoints. `carnet key show --checkpoint` prints its text.
    pub fn verifier_key(&self) -> VerifierKey {
        self.signers().verifier().clone()
    }

    /// A proof that the entry is in the newest checkpoint; none if there is no such entry.
    pub async fn prove(&self, index: u64) -> Result<Option<InclusionProof>, Unavailable> {
        let (head, tree) = self.tree().await?;
        let Some(path) = inclusion_path(index, head.size) else { return Ok(None) };
        let Some(body) = self.body(index).await? else { return Ok(None) };
        let hashes = self.reader().roots(&tree, &path).await?.ok_or(Unavailable::STOPPED)?;
        let checkpoint = self.signed(head.size, head.root)?;
        Ok(Some(InclusionProof { index, entry: body, hashes, checkpoint }))
    }

    /// A proof that the newest checkpoint extends the first `size` entries; none if there are fewer.
    pub async fn prove_consistency(&self, size: u64) -> Result<Option<Consistency>, Unavailable> {
        let (head, tree) = self.tree().await?;
        let Some(path) = consistency_path(size, head.size) else { return Ok(None) };
        let hashes = self.reader().roots(&tree, &path).await?.ok_or(Unavailable::STOPPED)?;
        Ok(Some(Consistency { size, hashes, checkpoint: self.signed(head.size, head.root)? }))
    }

    /// The log as it is now, for comparing with what was kept elsewhere.
    pub async fn past(&self) -> Result<Past, Unavailable> {
        let (head, tree) = self.tree().await?;
        let (view, origin) = (self.view(), self.origin().to_owned());
        let keys = self.signers().keys().clone();
        Ok(Past { reader: self.reader().clone(), tree, size: head.size, view, origin, keys })
    }
}

fn unsigned(fault: &NoteFault) -> Unavailable {
    tracing::error!(%fault, "the checkpoint cannot be signed");
    Unavailable::BUSY
}

/// The finding about a checkpoint that was kept elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compared {
    /// No key of this log signed it, or one that had been succeeded when the log was as long.
    Unsigned,
    /// It is of an epoch before the last `reopen`, and says nothing against this log.
    Superseded,
    /// This log extends it.
    Extended,
    /// This log does not extend it.
    Lost(Loss),
    /// This log does not extend it, by an unsigned epoch, which may have been altered.
    Doubtful {
        /// The epoch that stands beside the note.
        epoch: u64,
        /// The entries that it is of.
        size: u64,
    },
}

/// The log at one moment: every head that it ever had, and no later one.
pub struct Past {
    pub(in crate::journal) reader: Reader,
    pub(in crate::journal) tree: Tree,
    pub(in crate::journal) size: u64,
    pub(in crate::journal) view: Arc<View>,
    pub(in crate::journal) origin: String,
    pub(in crate::journal) keys: Keys,
}

impl Past {
    /// Entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// 1, and a later one after each `reopen`.
    pub fn epoch(&self) -> u64 {
        self.view.state.epoch
    }

    /// The state, and the time of the newest entry.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether a node whose checkpoints verify with `key` runs on this log.
    pub fn is_of(&self, key: &str) -> bool {
        key.parse().is_ok_and(|key| self.keys.reaches(&key))
    }

    /// The root over the first `size` entries. Nothing when there are not so many.
    pub async fn root(&self, size: u64) -> Result<Option<Digest>, Unavailable> {
        if size > self.size {
            return Ok(None);
        }
        let roots = self.reader.roots(&self.tree, &[Subtree::whole(size)]).await?;
        Ok(roots.and_then(|roots| roots.first().copied()))
    }

    /// Compares this log with a note that was kept elsewhere.
    ///
    /// `beside` is the epoch beside the note; one under the signature takes its place. Without either a signed checkpoint counts as one of the first epoch.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn compare(&self, note: &str, beside: Option<u64>) -> Result<Compared, Unavailable> {
        let kept = self.read(note);
        let signed = kept.as_ref().and_then(|kept| kept.epoch);
        let Some(epoch) = signed.or(beside).or(kept.is_some().then_some(1)) else { return Ok(Compared::Unsigned) };
        if epoch < self.epoch() {
            return Ok(Compared::Superseded);
        }
        let Some(Kept { checkpoint, .. }) = kept else { return Ok(Compared::Unsigned) };
        let extends = self.root(checkpoint.size).await? == Some(checkpoint.root);
        if extends && epoch == self.epoch() {
            return Ok(Compared::Extended);
        }
        // A log that was never reopened left no other behind, so any checkpoint that it signed counts.
        let proves = signed.is_some() || (!extends && self.epoch() == 1);
        let size = checkpoint.size;
        Ok(if proves {
            Compared::Lost(Loss { note: note.to_owned(), epoch, size })
        } else {
            Compared::Doubtful { epoch, size }
        })
    }

    /// The checkpoint of a note that was kept elsewhere, if this log signed it.
    pub fn read(&self, note: &str) -> Option<Kept> {
        self.keys.open(note).ok().filter(|kept| kept.checkpoint.origin == self.origin)
    }
}
