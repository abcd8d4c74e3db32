//! The tree of a journal at one size: its growing edge, and the tiles that are not full yet.
//!
//! Enter through [`Tree::append`]. Full tiles leave the tree when they are done and lie in the store; every node of the tree
//! is in one of those or in a tail here ([`Tree::node`]). A clone is some kilobytes, so a batch works on one and a failed
//! batch leaves no trace.

pub mod merkle;
pub mod note;
pub mod proof;
pub mod tiles;

use std::collections::HashMap;

use crate::domain::value::digest::Digest;
use merkle::{Frontier, NodeAt, Subtree};
use tiles::{Kind, Tile, WIDTH};

/// The tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    frontier: Frontier,
    /// By tile level, the hashes of the tile that is not full.
    tails: Vec<Vec<Digest>>,
}

/// A tile that became full: it never changes again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FullTile {
    /// Tile level: its hashes are nodes at level 8 · `level` of the tree.
    pub level: u8,
    /// Position in its row.
    pub index: u64,
    /// Its 256 hashes.
    pub content: Vec<u8>,
}

/// Contents of full tiles, fetched for nodes that lie in them.
pub type Contents = HashMap<Tile, Vec<u8>>;

impl Tree {
    /// Adds a leaf hash; returns the tiles that it filled, lowest level first.
    pub fn append(&mut self, leaf: Digest) -> Vec<FullTile> {
        let mut full = Vec::new();
        for (node, hash) in self.frontier.append(leaf) {
            if node.level % 8 != 0 {
                continue;
            }
            let level = usize::from(node.level / 8);
            if self.tails.len() <= level {
                self.tails.resize(level + 1, Vec::new());
            }
            let Some(tail) = self.tails.get_mut(level) else { continue };
            tail.push(hash);
            if tail.len() == usize::from(WIDTH) {
                let content = tiles::encode_hashes(tail);
                full.push(FullTile { level: node.level / 8, index: node.index / u64::from(WIDTH), content });
                tail.clear();
            }
        }
        full
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root.
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// A tree again from its tails, lowest level first; none if they are too short.
    ///
    /// Peaks lie in tails: a full tile is part of a peak.
    pub fn resume(size: u64, tails: Vec<Vec<Digest>>) -> Option<Self> {
        let mut tree = Self { frontier: Frontier::default(), tails };
        let peaks = Subtree::whole(size).nodes().into_iter().map(|node| tree.node_at(node, size, &Contents::new()));
        tree.frontier = Frontier::of(size, peaks.collect::<Option<Vec<_>>>()?)?;
        Some(tree)
    }

    /// The full tiles with `nodes` of a tree of `size` leaves, to be fetched before [`Self::node`].
    pub fn wanted(nodes: &[NodeAt], size: u64) -> Vec<Tile> {
        let mut wanted: Vec<Tile> = nodes
            .iter()
            .filter_map(|node| Tile::holding(*node, size))
            .map(|(tile, _)| tile)
            .filter(|tile| tile.width() == WIDTH)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// A complete node, from a tail or from `contents`.
    pub fn node(&self, node: NodeAt, contents: &Contents) -> Option<Digest> {
        self.node_at(node, self.size(), contents)
    }

    fn node_at(&self, node: NodeAt, size: u64, contents: &Contents) -> Option<Digest> {
        let (tile, range) = Tile::holding(node, size)?;
        if tile.width() == WIDTH {
            return tile.hash(contents.get(&tile)?, range).ok();
        }
        tile.hash(&self.partial(tile)?, range).ok()
    }

    /// The content of a tile at the edge that is not full.
    pub fn partial(&self, tile: Tile) -> Option<Vec<u8>> {
        let Kind::Hashes(level) = tile.kind() else { return None };
        let tail = self.tails.get(usize::from(level))?;
        (tail.len() == usize::from(tile.width())).then(|| tiles::encode_hashes(tail))
    }
}

#[cfg(test)]
mod tests {
    use super::merkle::{inclusion_path, leaf_hash, prove, verify_inclusion};
    use super::*;

    #[test]
    fn a_tree_resumed_from_tiles_and_tails_is_the_same_tree() {
        let mut tree = Tree::default();
        let mut contents = Contents::new();
        for n in 0..67_000_u64 {
            for tile in tree.append(leaf_hash(&n.to_be_bytes())) {
                let node = NodeAt { level: tile.level * 8, index: tile.index * 256 };
                let (name, _) = Tile::holding(node, tree.size()).expect("full");
                contents.insert(name, tile.content);
            }
            if n % 9_731 == 0 || n == 65_535 {
                let again = Tree::resume(tree.size(), tree.tails.clone()).expect("resumes");
                assert_eq!(again.root(), tree.root());
                let path = inclusion_path(n / 2, tree.size()).expect("in it");
                let proof = prove(&path, |node| tree.node(node, &contents)).expect("all nodes are somewhere");
                let leaf = leaf_hash(&(n / 2).to_be_bytes());
                assert!(verify_inclusion(leaf, n / 2, (tree.size(), tree.root()), &proof));
            }
        }
        assert!(Tree::resume(tree.size() + 1, tree.tails.clone()).is_none());
    }
}
