//! Proofs that leave the house: that an entry is in a checkpoint (C2SP tlog-proof), and that one checkpoint extends another.
//!
//! [`Journal::checkpoint`], [`Journal::prove`] and [`Journal::prove_consistency`] make them. [`InclusionProof`] is verified with nothing but the verifier key. The entry itself stands beside the proof, not in it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::Unavailable;
use super::handle::Journal;
use super::merkle::{Subtree, consistency_path, inclusion_path, leaf_hash, verify_consistency, verify_inclusion};
use super::note::{Checkpoint, Kept, NoteFault, VerifierKey};
use super::reader::Reader;
use super::signers::Lineage;
use super::tree::Tree;
use super::view::View;
use crate::domain::digest::Digest;

/// The first line of a proof.
const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// A path is as long as the tree is high.
const LONGEST: usize = 64;

/// That an entry is in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// Its place.
    pub index: u64,
    /// Its exact bytes.
    pub entry: String,
    /// The inclusion path, nearest sibling first.
    pub hashes: Vec<Digest>,
    /// The signed note that it is proved into.
    pub checkpoint: String,
}

/// That a checkpoint extends the tree of `size` entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consistency {
    /// The older tree.
    pub size: u64,
    /// The consistency path (RFC 9162 section 2.1.4).
    pub hashes: Vec<Digest>,
    /// The signed note of the newer tree.
    pub checkpoint: String,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofFault {
    /// Not the form of C2SP tlog-proof.
    #[error("not a proof: expected {HEAD}, index N, hashes in base64, an empty line and a checkpoint")]
    Form,
    /// The checkpoint.
    #[error(transparent)]
    Note(#[from] NoteFault),
    /// The path does not lead from the entry to the root.
    #[error("the proof does not lead from the entry to the checkpoint's root")]
    Path,
}

impl Journal {
    /// The newest checkpoint as a signed note (C2SP tlog-checkpoint).
    pub fn checkpoint(&self) -> Result<String, Unavailable> {
        let view = self.view();
        self.signed(view.size, view.root)
    }

    /// The newest checkpoint with its epoch, and the epoch once more: what is kept beside the live index, for [`Past::read`].
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

    /// The key that checkpoints verify with; as text it is what `carnet key show --checkpoint` prints.
    pub fn verifier_key(&self) -> VerifierKey {
        self.signers().verifier().clone()
    }

    /// A proof that the entry stands in the newest checkpoint, which comes with it. Nothing when there is no such entry.
    pub async fn prove(&self, index: u64) -> Result<Option<InclusionProof>, Unavailable> {
        let (head, tree) = self.tree().await?;
        let Some(path) = inclusion_path(index, head.size) else { return Ok(None) };
        let Some(body) = self.body(index).await? else { return Ok(None) };
        let hashes = self.reader().roots(&tree, &path).await?.ok_or(Unavailable::STOPPED)?;
        let checkpoint = self.signed(head.size, head.root)?;
        Ok(Some(InclusionProof { index, entry: body, hashes, checkpoint }))
    }

    /// A proof that the newest checkpoint extends the tree of the first `size` entries. Nothing when there are not so many.
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
        let lineage = self.signers().lineage().clone();
        Ok(Past { reader: self.reader().clone(), tree, size: head.size, view, origin, lineage })
    }
}

fn unsigned(fault: &NoteFault) -> Unavailable {
    tracing::error!(%fault, "the checkpoint cannot be signed");
    Unavailable::BUSY
}

/// That a log once had more entries, or others: a checkpoint of its own key that it does not extend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    /// The signed note.
    pub note: String,
    /// Its epoch.
    pub epoch: u64,
    /// The entries that it is of.
    pub size: u64,
}

/// The finding about a checkpoint that was kept elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compared {
    /// No key of this log signed it.
    Unsigned,
    /// It is of an epoch before the last `reopen`, and says nothing against this log.
    Superseded,
    /// This log extends it.
    Extended,
    /// This log does not extend it.
    Lost(Loss),
    /// This log does not extend it, by an epoch that nobody signed: somebody may have written another one before the note.
    Doubtful {
        /// The epoch that stands beside the note.
        epoch: u64,
        /// The entries that it is of.
        size: u64,
    },
}

/// The log at one moment: every head that it ever had, and no later one.
pub struct Past {
    pub(super) reader: Reader,
    pub(super) tree: Tree,
    pub(super) size: u64,
    pub(super) view: Arc<View>,
    pub(super) origin: String,
    pub(super) lineage: Lineage,
}

impl Past {
    /// Entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// 1, and one more after each `reopen`.
    pub fn epoch(&self) -> u64 {
        self.view.state.epoch
    }

    /// The state, and the time of the newest entry.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether a node whose checkpoints verify with `key` runs on this log.
    pub fn is_of(&self, key: &str) -> bool {
        key.parse().is_ok_and(|key| self.lineage.reaches(&key))
    }

    /// The root over the first `size` entries. Nothing when there are not so many.
    pub async fn root(&self, size: u64) -> Result<Option<Digest>, Unavailable> {
        if size > self.size {
            return Ok(None);
        }
        let roots = self.reader.roots(&self.tree, &[Subtree::whole(size)]).await?;
        Ok(roots.and_then(|roots| roots.first().copied()))
    }

    /// Compares this log with a note that was kept elsewhere. `beside` is the epoch that stands beside the note; one under the signature
    /// takes its place. Without either a signed checkpoint counts as one of the first epoch.
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
        let text = self.lineage.open_kept(note).ok()?;
        Kept::parse(text).ok().filter(|kept| kept.checkpoint.origin == self.origin)
    }
}

impl InclusionProof {
    /// The proof as text, without the entry.
    pub fn text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| format!("{}\n", STANDARD.encode(hash.0))).collect();
        format!("{HEAD}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads a proof of `entry`. Nothing is believed yet.
    pub fn parse(text: &str, entry: String) -> Result<Self, ProofFault> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofFault::Form)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEAD) {
            return Err(ProofFault::Form);
        }
        let mut line = lines.next().ok_or(ProofFault::Form)?;
        if line.starts_with("extra ") {
            line = lines.next().ok_or(ProofFault::Form)?;
        }
        let index = line.strip_prefix("index ").and_then(|index| index.parse().ok()).ok_or(ProofFault::Form)?;
        let hashes = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok().map(Digest)).collect::<Option<Vec<_>>>();
        let hashes = hashes.filter(|hashes| hashes.len() <= LONGEST).ok_or(ProofFault::Form)?;
        Ok(Self { index, entry, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// The checkpoint, once its signature and the path to it were found right.
    pub fn verify(&self, key: &VerifierKey) -> Result<Checkpoint, ProofFault> {
        self.verify_with(|note| key.open(note))
    }

    /// The same where `open` says whose signature counts.
    pub(super) fn verify_with<'n>(
        &'n self,
        open: impl FnOnce(&'n str) -> Result<&'n str, NoteFault>,
    ) -> Result<Checkpoint, ProofFault> {
        let checkpoint = Checkpoint::parse(open(&self.checkpoint)?)?;
        let tree = (checkpoint.size, checkpoint.root);
        if verify_inclusion(leaf_hash(self.entry.as_bytes()), self.index, tree, &self.hashes) {
            Ok(checkpoint)
        } else {
            Err(ProofFault::Path)
        }
    }
}

impl Consistency {
    /// The newer checkpoint, once it was found to extend `older`.
    pub fn verify(&self, older: &Checkpoint, key: &VerifierKey) -> Result<Checkpoint, ProofFault> {
        let newer = Checkpoint::parse(key.open(&self.checkpoint)?)?;
        let same = older.size == self.size && older.origin == newer.origin;
        if same && verify_consistency((older.size, older.root), (newer.size, newer.root), &self.hashes) {
            Ok(newer)
        } else {
            Err(ProofFault::Path)
        }
    }
}

/// As [`InclusionProof::text`].
impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
