//! Proofs for others: inclusion of an entry (C2SP tlog-proof), and consistency of checkpoints.
//!
//! `journal::past` makes them of an open journal. [`InclusionProof`] is verified with nothing but the verifier key. The entry itself stands
//! beside the proof, not in it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use super::note::{Checkpoint, NoteFault, VerifierKey};
use crate::domain::value::digest::Digest;

/// The first line of a proof.
const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// A path is as long as the tree is high.
const LONGEST: usize = 64;

/// A proof that an entry is in the log.
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

/// A proof that a checkpoint extends the tree of `size` entries.
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
    pub(in crate::journal) fn verify_with<'n>(
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
