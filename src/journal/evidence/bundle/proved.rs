//! Entries of an open journal with their proofs in a checkpoint that ends with the closing one.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::BundleFault;
use crate::domain::value::digest::Digest;
use crate::journal::fault::Unavailable;
use crate::journal::handle::Journal;
use crate::journal::key::signers::{SUCCEEDED, statement};
use crate::journal::store::head::Head;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::{
    Subtree, consistency_path, inclusion_path, leaf_hash, verify_consistency, verify_inclusion,
};
use crate::journal::tree::note::Checkpoint;
use crate::journal::tree::proof::InclusionProof;

/// Entries and what proves them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proved {
    /// The closing entry. Every proof has the same checkpoint, of which this entry is the last.
    pub closing: InclusionProof,
    /// The entries under the manifest, by their indexes.
    pub entries: Vec<InclusionProof>,
    /// The statements of each succession of the checkpoint key, in their order.
    pub successions: Vec<String>,
}

/// Paths that are read together: many share a tile.
const TOGETHER: usize = 64;

impl Journal {
    /// The entry `closing` and those of `entries`, each proved in a checkpoint of size `closing` + 1.
    ///
    /// # Errors
    /// The log lacks an entry, its tree does not lead to its head, or it does not answer.
    pub async fn proved(&self, closing: u64, entries: &BTreeSet<u64>) -> Result<Proved, BundleFault> {
        self.running()?;
        if let Some(late) = entries.last().filter(|last| **last >= closing) {
            return Err(BundleFault::NoEntry(*late));
        }
        let signers = self.signers();
        let successions = self.statements(signers.number()).await?;
        let (head, tree) = self.tree().await?;
        let root = self.root_of(&head, &tree, closing).await?;
        let size = closing.saturating_add(1);
        let checkpoint = Checkpoint { origin: self.origin().to_owned(), size, root };

        let indexes: BTreeSet<u64> = entries.iter().copied().chain([closing]).collect();
        let bodies = self.bodies(&indexes).await?;
        let mut paths = self.paths(&tree, &indexes, size).await?;
        // Every entry leads to the root before the key signs anything.
        for index in &indexes {
            let body = bodies.get(index).ok_or(BundleFault::NoEntry(*index))?;
            let path = paths.get(index).ok_or(BundleFault::Tree)?;
            if !verify_inclusion(leaf_hash(body.as_bytes()), *index, (size, root), path) {
                return Err(BundleFault::Tree);
            }
        }
        let signed = signers.sign_alone(&checkpoint);
        let checkpoint = signed.map_err(BundleFault::Note)?;
        let mut all: Vec<InclusionProof> = bodies
            .into_iter()
            .map(|(index, entry)| {
                let hashes = paths.remove(&index).unwrap_or_default();
                InclusionProof { index, entry, hashes, checkpoint: checkpoint.clone() }
            })
            .collect();
        let closing = all.pop().ok_or(BundleFault::NoEntry(closing))?;
        Ok(Proved { closing, entries: all, successions })
    }

    /// The root of the tree that ends with the entry `closing`, which the tree of the head extends.
    async fn root_of(&self, head: &Head, tree: &Tree, closing: u64) -> Result<Digest, BundleFault> {
        let none = || BundleFault::NoEntry(closing);
        let size = closing.checked_add(1).ok_or_else(none)?;
        let path = consistency_path(size, head.size).ok_or_else(none)?;
        let subtrees: Vec<Subtree> = path.into_iter().chain([Subtree::whole(size)]).collect();
        let roots = self.reader().roots(tree, &subtrees).await.map_err(Unavailable::from)?;
        let mut roots = roots.ok_or(BundleFault::Tree)?;
        let root = roots.pop().ok_or(BundleFault::Tree)?;
        let is_ours = verify_consistency((size, root), (head.size, head.root), &roots);
        if is_ours { Ok(root) } else { Err(BundleFault::Tree) }
    }

    /// The inclusion path of each entry in the tree of the first `size` entries.
    async fn paths(&self, tree: &Tree, indexes: &BTreeSet<u64>, size: u64) -> Result<BTreeMap<u64, Vec<Digest>>, BundleFault> {
        let all: Vec<u64> = indexes.iter().copied().collect();
        let mut paths = BTreeMap::new();
        for some in all.chunks(TOGETHER) {
            let wanted: Option<Vec<Vec<Subtree>>> = some.iter().map(|index| inclusion_path(*index, size)).collect();
            let wanted = wanted.ok_or(BundleFault::Tree)?;
            let subtrees = wanted.concat();
            let roots = self.reader().roots(tree, &subtrees).await.map_err(Unavailable::from)?;
            let mut roots = roots.ok_or(BundleFault::Tree)?.into_iter();
            for (index, path) in some.iter().zip(wanted) {
                paths.insert(*index, roots.by_ref().take(path.len()).collect());
            }
        }
        Ok(paths)
    }

    /// The statements of the successions that lead to the key with this number.
    async fn statements(&self, number: usize) -> Result<Vec<String>, BundleFault> {
        let changes = self.reader().changes_of_kind(SUCCEEDED).await.map_err(Unavailable::from)?;
        let all: Vec<String> = changes.into_iter().filter_map(|(_, body)| statement(body.as_bytes())).collect();
        // Another node may have succeeded the key since: this one takes it over with its next commit.
        if all.len() == number { Ok(all) } else { Err(Unavailable::BUSY.into()) }
    }
}

impl Proved {
    /// The entries and the closing one.
    pub(super) fn all(&self) -> impl Iterator<Item = &InclusionProof> {
        self.entries.iter().chain([&self.closing])
    }
}
