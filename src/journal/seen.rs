//! What a node has seen taken away, in a log that an operator reopened without it.
//!
//! A node keeps the changes of the last hours in the tail beside its anchor. Where the log is of a later epoch than the node, the part of it that
//! this node saw last may be lost. The node takes such a log only with all that it saw taken away.

use std::collections::BTreeSet;
use std::io;

use super::fault::{OpenFault, StoreFault};
use super::store::batch::MacKey;
use super::store::reader::Reader;
use super::tail::{self, TailFile};
use super::tree::Tree;
use super::tree::merkle::{inclusion_path, leaf_hash, verify_inclusion};
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::log::journal::JournalChange;
use crate::domain::value::digest::Digest;

/// The beginning of an epoch, as a database shows it.
pub struct Reopening {
    /// Its entry.
    index: u64,
    /// The bytes of that.
    body: String,
    /// The epoch.
    pub epoch: u64,
    /// How much was given up with it.
    forgotten: u64,
}

/// The beginnings of epochs, in their order. Nothing is proved.
pub async fn reopenings(reader: &Reader) -> Result<Vec<Reopening>, StoreFault> {
    let all = reader.changes_of_kind("journal.reopened").await?;
    Ok(all.into_iter().filter_map(reopening).collect())
}

fn reopening((index, body): (u64, String)) -> Option<Reopening> {
    let Ok(Entry::Change(entry)) = Entry::parse(body.as_bytes()) else { return None };
    let Change::Journal(JournalChange::Reopened { epoch, forgotten, .. }) = entry.change.what else { return None };
    Some(Reopening { index, body, epoch, forgotten })
}

/// Ensures that a log which was reopened after the epoch `before` has all that a node with this tail saw taken away, unless it was given up.
///
/// Every entry is proved into the tree, whatever the database says later: the lost part has MACs of ours too.
pub async fn covers(tail: &TailFile, key: &MacKey, (reader, tree): (&Reader, &Tree), before: u64) -> Result<(), OpenFault> {
    let kept = match tail::read(tail.path(), key) {
        Err(OpenFault::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        kept => kept?,
    };
    let mut lost = BTreeSet::new();
    for kept in kept.iter().filter(|kept| kept.entry.change.what.is_withdrawal()) {
        if !has(reader, tree, kept.entry.index, &kept.body).await? {
            lost.insert(Digest::of_json(&kept.entry.change));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let (mut first, mut forgotten) = (None, 0_u64);
    for begun in reopenings(reader).await?.into_iter().filter(|begun| begun.epoch > before) {
        if has(reader, tree, begun.index, &begun.body).await? {
            first = first.or(Some(begun.index));
            forgotten = forgotten.saturating_add(begun.forgotten);
        }
    }
    let mut from = first;
    while let Some(at) = from.filter(|_| !lost.is_empty()) {
        let changes = reader.changes(at).await?;
        // Whatever a row says of its place, it goes on.
        from = changes.last().map(|last| last.index.max(at).saturating_add(1));
        let may_be = |entry: &&ChangeEntry| entry.index >= at && lost.contains(&Digest::of_json(&entry.change));
        let places: Vec<u64> = changes.iter().filter(may_be).map(|entry| entry.index).collect();
        for index in places {
            if let Some(body) = reader.body(index).await?
                && has(reader, tree, index, &body).await?
                && let Ok(Entry::Change(proved)) = Entry::parse(body.as_bytes())
            {
                lost.remove(&Digest::of_json(&proved.change));
            }
        }
    }
    let number = lost.len() as u64;
    if number <= forgotten { Ok(()) } else { Err(OpenFault::Uncovered { number, tail: tail.path().to_owned() }) }
}

/// Whether the entry with these bytes is at this place of the log with this tree.
async fn has(reader: &Reader, tree: &Tree, index: u64, body: &str) -> Result<bool, StoreFault> {
    let Some(path) = inclusion_path(index, tree.size()) else { return Ok(false) };
    let Some(hashes) = reader.roots(tree, &path).await? else { return Ok(false) };
    Ok(verify_inclusion(leaf_hash(body.as_bytes()), index, (tree.size(), tree.root()), &hashes))
}
