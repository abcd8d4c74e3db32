//! The Merkle tree of the journal: RFC 6962 section 2.1 hashing, its growing edge, and proofs.
//!
//! Enter through [`Frontier`] to grow the tree, [`inclusion_path`] and [`consistency_path`] to prove, and
//! [`verify_inclusion`] and [`verify_consistency`] to believe. A proof is made in three steps, so that the store may be
//! asynchronous: the path says which [`Subtree`]s it needs, [`Subtree::nodes`] which stored nodes those are made of, and
//! [`prove`] hashes what was fetched. Deliberately not here: where nodes are kept (the journal's schema) and how tiles are
//! named ([`super::tiles`]).

use crate::domain::value::digest::Digest;

/// A complete node: the root of the 2^`level` leaves from `index` · 2^`level` on.
///
/// Level 0 is a leaf's hash.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeAt {
    /// Height above the leaves, below 64.
    pub level: u8,
    /// Position within the level, from the left.
    pub index: u64,
}

/// The leaves `begin..end`: one element of a proof.
///
/// Its root is made of one complete node, or of several at the right edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subtree {
    begin: u64,
    end: u64,
}

/// The growing edge: the roots of the complete subtrees of a tree, largest first.
///
/// There is one per binary digit of its
/// size. All that appending and the root need.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

/// The hash of an entry: SHA-256(0x00 ‖ entry).
///
/// The prefix keeps leaves and nodes apart, so that no node can be shown as an entry.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of no entries: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

impl Frontier {
    /// The edge of a tree of `size` entries, with the hashes of [`Subtree::whole`]`(size).nodes()` in their order. Nothing
    /// when there are too few or too many of them.
    pub fn of(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (u32::try_from(peaks.len()) == Ok(size.count_ones())).then_some(Self { size, peaks })
    }

    /// Adds a leaf hash, and returns the nodes that it completed: the leaf itself first, then upwards. They never change
    /// again; whoever stores nodes stores these. O(log n).
    pub fn append(&mut self, leaf: Digest) -> Vec<(NodeAt, Digest)> {
        let mut index = self.size;
        let mut hash = leaf;
        let mut level = 0;
        let mut complete = vec![(NodeAt { level, index }, hash)];
        // Each set low bit of the size is a peak of that height, which the new node closes.
        while index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            (hash, index, level) = (node_hash(&left, &hash), index >> 1, level + 1);
            complete.push((NodeAt { level, index }, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        complete
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The peaks, largest subtree first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The root of the tree.
    pub fn root(&self) -> Digest {
        fold(&self.peaks).unwrap_or_else(empty_root)
    }
}

impl Subtree {
    /// The whole tree of `size` leaves. Its nodes are the peaks of its frontier.
    pub fn whole(size: u64) -> Self {
        Self { begin: 0, end: size }
    }

    /// The complete nodes that it is made of, from left to right: one per binary digit of its size.
    pub fn nodes(&self) -> Vec<NodeAt> {
        let mut nodes = Vec::new();
        let mut at = self.begin;
        while at < self.end {
            // The largest power of two that is left; `begin` is aligned to it, as RFC 6962 splits there.
            let level = (self.end - at).ilog2();
            nodes.push(NodeAt { level: level.to_le_bytes()[0], index: at >> level });
            at += 1 << level;
        }
        nodes
    }

    /// Its root; nothing when `node` does not know one of [`Self::nodes`].
    pub fn root(&self, node: impl FnMut(NodeAt) -> Option<Digest>) -> Option<Digest> {
        if self.begin == self.end {
            return Some(empty_root());
        }
        fold(&self.nodes().into_iter().map(node).collect::<Option<Vec<_>>>()?)
    }
}

/// The subtrees of an inclusion proof of leaf `index` in a tree (RFC 6962 section 2.1.1), nearest
/// sibling first. Nothing when the tree has no such leaf.
pub fn inclusion_path(index: u64, size: u64) -> Option<Vec<Subtree>> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(Subtree { begin: middle, end });
            end = middle;
        } else {
            path.push(Subtree { begin, end: middle });
            begin = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees of a proof that a tree extends the tree of `first` leaves.
///
/// RFC 6962 section 2.1.2. Empty
/// when `first` is 0 or equal to `second`; nothing when it is greater.
pub fn consistency_path(first: u64, second: u64) -> Option<Vec<Subtree>> {
    if first > second {
        return None;
    }
    if first == 0 {
        return Some(Vec::new());
    }
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, second);
    while end > first {
        let middle = begin + split(end - begin);
        if first <= middle {
            path.push(Subtree { begin: middle, end });
            end = middle;
        } else {
            path.push(Subtree { begin, end: middle });
            begin = middle;
        }
    }
    // The reader holds the root of `0..first` already; any other last subtree has to be told.
    if begin > 0 {
        path.push(Subtree { begin, end });
    }
    path.reverse();
    Some(path)
}

/// The hashes of a path; nothing when `node` does not know one of the nodes of its subtrees.
pub fn prove(path: &[Subtree], mut node: impl FnMut(NodeAt) -> Option<Digest>) -> Option<Vec<Digest>> {
    path.iter().map(|subtree| subtree.root(&mut node)).collect()
}

/// Whether `proof` shows that `leaf` is leaf `index` of the tree of `size` leaves with this `root`
/// (RFC 9162 section 2.1.3.2). A proof that is too long or too short is no proof.
pub fn verify_inclusion(leaf: Digest, index: u64, (size, root): (u64, Digest), proof: &[Digest]) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A right edge without sibling: go up to where one is.
            let up = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            (node, last) = (node >> up, last >> up);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree `second` (size and root) extends the tree `first` (RFC 9162 section 2.1.4.2). Every
/// tree extends the empty one.
pub fn verify_consistency(first: (u64, Digest), second: (u64, Digest), proof: &[Digest]) -> bool {
    let ((first_size, first_root), (second_size, second_root)) = (first, second);
    if first_size == 0 {
        return proof.is_empty() && first_root == empty_root() && (second_size > 0 || second_root == first_root);
    }
    if first_size == second_size {
        return proof.is_empty() && first_root == second_root;
    }
    if first_size > second_size {
        return false;
    }
    // A first tree that is a complete subtree of the second is its own first element.
    let (start, rest) = match (first_size.is_power_of_two(), proof.split_first()) {
        (true, _) => (first_root, proof),
        (false, Some((start, rest))) => (*start, rest),
        (false, None) => return false,
    };
    let up = (first_size - 1).trailing_ones();
    let (mut node, mut last) = ((first_size - 1) >> up, (second_size - 1) >> up);
    let (mut old, mut new) = (start, start);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (old, new) = (node_hash(sibling, &old), node_hash(sibling, &new));
            let up = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            (node, last) = (node >> up, last >> up);
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old == first_root && new == second_root
}

/// The largest power of two below `size`, which is at least 2: where RFC 6962 divides.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over peaks, largest first: the right edge is hashed up from its smallest subtree.
fn fold(peaks: &[Digest]) -> Option<Digest> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// RFC 6962 section 2.1 word by word, over all leaves.
    fn naive(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                node_hash(&naive(left), &naive(right))
            }
        }
    }

    fn naive_inclusion(at: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = split(leaves.len() as u64) as usize;
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) =
            if at < k { (naive_inclusion(at, left), right) } else { (naive_inclusion(at - k, right), left) };
        path.push(naive(sibling));
        path
    }

    fn naive_consistency(first: usize, leaves: &[Digest], known: bool) -> Vec<Digest> {
        if first == leaves.len() {
            return if known { Vec::new() } else { vec![naive(leaves)] };
        }
        let k = split(leaves.len() as u64) as usize;
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if first <= k {
            (naive_consistency(first, left, known), right)
        } else {
            (naive_consistency(first - k, right, false), left)
        };
        path.push(naive(sibling));
        path
    }

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// The tree grown leaf by leaf, and every node that was complete on the way.
    fn grown(leaves: &[Digest]) -> (Frontier, HashMap<NodeAt, Digest>) {
        let mut frontier = Frontier::default();
        let mut nodes = HashMap::new();
        for leaf in leaves {
            nodes.extend(frontier.append(*leaf));
        }
        (frontier, nodes)
    }

    /// The test tree of Certificate Transparency's reference implementation.
    #[test]
    fn the_published_roots_come_out() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (entry, root) in entries.iter().zip(roots) {
            frontier.append(leaf_hash(entry));
            assert_eq!(frontier.root().to_string(), root);
        }
    }

    #[test]
    fn all_small_trees_agree_with_the_rfc_and_verify() {
        let all = leaves(40);
        for size in 0..=all.len() {
            let (frontier, nodes) = grown(&all[..size]);
            let lookup = |node: NodeAt| nodes.get(&node).copied();
            let root = naive(&all[..size]);
            let tree = (size as u64, root);
            assert_eq!(frontier.root(), root);
            assert_eq!(Subtree::whole(size as u64).root(lookup), Some(root));
            let peaks = Subtree::whole(size as u64).nodes().into_iter().map(|n| nodes[&n]).collect();
            assert_eq!(Frontier::of(size as u64, peaks), Some(frontier));
            for index in 0..size {
                let path = inclusion_path(index as u64, size as u64).expect("in the tree");
                let proof = prove(&path, lookup).expect("nodes known");
                assert_eq!(proof, naive_inclusion(index, &all[..size]));
                assert!(verify_inclusion(all[index], index as u64, tree, &proof));
            }
            for first in 0..=size {
                let path = consistency_path(first as u64, size as u64).expect("not greater");
                let proof = prove(&path, lookup).expect("nodes known");
                if first > 0 {
                    assert_eq!(proof, naive_consistency(first, &all[..size], true));
                }
                assert!(verify_consistency((first as u64, naive(&all[..first])), tree, &proof), "{first} {size}");
            }
        }
        assert_eq!(inclusion_path(5, 5), None);
        assert_eq!(consistency_path(6, 5), None);
        assert_eq!(Frontier::of(5, leaves(3)), None);
    }

    #[test]
    fn sizes_at_the_end_of_the_number_line_do_not_overflow() {
        for size in [1 << 63, u64::MAX, u64::MAX - 1, (1 << 63) + 1] {
            assert!(inclusion_path(size - 1, size).is_some_and(|path| path.len() <= 64));
            assert!(consistency_path(size / 2 + 1, size).is_some_and(|path| path.len() <= 65));
            assert!(!verify_inclusion(empty_root(), size - 1, (size, empty_root()), &leaves(64)));
            assert!(!verify_consistency((size - 1, empty_root()), (size, empty_root()), &leaves(64)));
            assert!(!verify_inclusion(empty_root(), 0, (size, empty_root()), &leaves(100)));
        }
    }

    proptest! {
        #[test]
        fn larger_trees_agree_and_any_change_is_seen(size in 1u64..700, a in any::<u64>(), b in any::<u64>(), bit in 0usize..256) {
            let all = leaves(size);
            let (_, nodes) = grown(&all);
            let lookup = |node: NodeAt| nodes.get(&node).copied();
            let tree = (size, naive(&all));
            let (index, first) = (a % size, 1 + b % size);
            let flip = |hash: Digest| { let mut hash = hash; hash.0[bit / 8] ^= 1 << (bit % 8); hash };

            let proof = prove(&inclusion_path(index, size).expect("in the tree"), lookup).expect("nodes known");
            let leaf = all[index as usize];
            prop_assert_eq!(&proof, &naive_inclusion(index as usize, &all));
            prop_assert!(verify_inclusion(leaf, index, tree, &proof));
            prop_assert!(!verify_inclusion(flip(leaf), index, tree, &proof));
            prop_assert!(!verify_inclusion(leaf, index, (size, flip(tree.1)), &proof));
            prop_assert!(size == 1 || !verify_inclusion(leaf, (index + 1) % size, tree, &proof));
            let longer = [proof.clone(), vec![leaf]].concat();
            prop_assert!(!verify_inclusion(leaf, index, tree, &longer));
            for at in 0..proof.len() {
                let mut bad = proof.clone();
                bad[at] = flip(bad[at]);
                prop_assert!(!verify_inclusion(leaf, index, tree, &bad));
                bad.remove(at);
                prop_assert!(!verify_inclusion(leaf, index, tree, &bad));
            }

            let old = (first, naive(&all[..first as usize]));
            let proof = prove(&consistency_path(first, size).expect("not greater"), lookup).expect("nodes known");
            prop_assert_eq!(&proof, &naive_consistency(first as usize, &all, true));
            prop_assert!(verify_consistency(old, tree, &proof));
            prop_assert!(!verify_consistency((first, flip(old.1)), tree, &proof));
            prop_assert!(!verify_consistency(old, (size, flip(tree.1)), &proof));
            prop_assert!(first == size || !verify_consistency(tree, old, &proof));
            for at in 0..proof.len() {
                let mut bad = proof.clone();
                bad[at] = flip(bad[at]);
                prop_assert!(!verify_consistency(old, tree, &bad));
                bad.remove(at);
                prop_assert!(!verify_consistency(old, tree, &bad));
            }
        }
    }
}
