//! Batches of other nodes, proved and folded in memory, before this node takes them in.
//!
//! Each must carry our MAC and follow the one before it by size, root and last change. Of an entry that is alone in its batch the bytes are
//! read, and they say whether it is a change, as every change is alone: which kind its row names counts for nothing. Tokens that share a
//! batch are leaf hashes here, and their entries are not read.

use std::sync::Arc;

use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::state::State;
use crate::domain::value::digest::Digest;
use crate::journal::load::may_begin;
use crate::journal::store::batch::MacKey;
use crate::journal::store::head::Head;
use crate::journal::store::row::{News, Since};
use crate::journal::tail::Line;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::leaf_hash;

/// The log after batches that another node wrote.
pub struct Followed {
    /// The end of what was followed.
    pub head: Head,
    /// Its tree.
    pub tree: Tree,
    /// The state after its changes.
    pub state: Arc<State>,
    /// One more than the index of the last erasure among them.
    pub erased: Option<u64>,
    /// The changes among them.
    pub told: Vec<Line>,
    /// Whether that is where the log ends.
    pub is_whole: bool,
}

/// Follows `since` from `head` on. None: something is not as a node of ours leaves it, or is not in the answer.
pub fn follow((head, tree, state): (&Head, &Tree, &Arc<State>), since: &Since, key: &MacKey) -> Option<Followed> {
    let found = &since.found;
    if found.head.size <= head.size || found.rows != found.head.size || since.news.is_empty() {
        return None;
    }
    let mut fold = Fold { head: head.clone(), tree: tree.clone(), state: None, erased: None, told: Vec::new() };
    for news in &since.news {
        fold.batch(news, state, key)?;
    }
    let Fold { head, tree, state: folded, erased, told } = fold;
    let is_whole = head.size == found.head.size;
    if is_whole && (head.root != found.head.root || head.last_change != found.head.last_change) {
        return None;
    }
    // The head row says when, and what lies beside the entries: it must be one of ours too, and no time falls unless a change corrects it.
    if is_whole && (found.head.time < head.time || key.sums.open(&since.sums, &found.head).is_none()) {
        return None;
    }
    let head = if is_whole { found.head.clone() } else { head };
    let state = folded.map_or_else(
        || Arc::clone(state),
        |mut state| {
            state.forget_expired(head.time);
            Arc::new(state)
        },
    );
    Some(Followed { head, tree, state, erased, told, is_whole })
}

/// The log as far as it was followed.
struct Fold {
    head: Head,
    tree: Tree,
    /// The state, once a change was folded.
    state: Option<State>,
    erased: Option<u64>,
    told: Vec<Line>,
}

impl Fold {
    fn batch(&mut self, News { batch, leaves, alone }: &News, before: &State, key: &MacKey) -> Option<()> {
        let Head { size, root, last_change, .. } = self.head;
        let follows = batch.first == size && batch.prior_root == root && batch.prior_change == last_change;
        let is_complete = !leaves.is_empty() && size.checked_add(leaves.len() as u64) == Some(batch.size_after);
        if !follows || !is_complete || !key.verifies(&batch.mac, root, size, last_change, leaves) {
            return None;
        }
        leaves.iter().for_each(|leaf| drop(self.tree.append(*leaf)));
        if self.tree.root() != batch.root {
            return None;
        }
        (self.head.size, self.head.root) = (batch.size_after, batch.root);
        if let [leaf] = leaves[..]
            && let Some(change) = change(alone.as_deref()?, leaf)?
        {
            self.change(&change, (size, last_change), before)?;
            let body = String::from_utf8(alone.clone()?).ok()?;
            self.told.push(Line::of(root, batch.mac[..].try_into().ok()?, body));
        }
        Some(())
    }

    fn change(&mut self, entry: &ChangeEntry, (index, prior): (u64, Option<u64>), before: &State) -> Option<()> {
        let state = self.state.get_or_insert_with(|| before.clone());
        if entry.index != index || entry.prior != prior || !may_begin(state, &entry.change.what) {
            return None;
        }
        state.apply(index, entry.time, &entry.change);
        if !entry.change.what.erased().is_empty() {
            self.erased = Some(index + 1);
        }
        (self.head.last_change, self.head.time) = (Some(index), entry.time);
        Some(())
    }
}

/// The change in these bytes, if it is one. The outer None: they are not those of the leaf, or no entry.
fn change(body: &[u8], leaf: Digest) -> Option<Option<Box<ChangeEntry>>> {
    if leaf_hash(body) != leaf {
        return None;
    }
    match Entry::parse(body).ok()? {
        Entry::Change(entry) => Some(Some(entry)),
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => Some(None),
    }
}
