//! Reading the journal into memory, believing nothing that is not proved.
//!
//! [`load`] is what a start does, and what a running node does when the head is not where it left it. The newest batch and the
//! batch of every change must carry our MAC, every change must name the change before it, and the tree made again from tiles and
//! tail must have the head's root. So whoever can write SQL and has no KEK can stop a node, and cannot make it believe anything.
//! Older issuance entries are not read here; `verify` reads them all. The tables beside the entries must have the sums that the head keeps.

use super::fault::{OpenFault, StoreFault};
use super::store::batch::MacKey;
use super::store::head::Head;
use super::store::reader::Reader;
use super::store::row::{ChangeRow, EntryRow, StoredBatch};
use super::store::snapshot::{Checked, Snapshot};
use super::tree::Tree;
use super::tree::merkle::leaf_hash;
use super::tree::tiles::{Tile, WIDTH};
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::log::journal::JournalChange;
use crate::domain::state::State;
use crate::domain::value::digest::Digest;

/// A journal in memory.
pub struct Loaded {
    /// The end of the log.
    pub head: Head,
    /// Its tree.
    pub tree: Tree,
    /// The fold of its changes.
    pub state: State,
    /// Whether the head keeps sums over the side tables, which else are not proved yet.
    pub summed: bool,
}

/// Changes of a page, so that a long history is never in memory at once.
const PAGE: u32 = 500;

/// How often a log is read at most that goes on and is found inconsistent.
const READS: u32 = 5;

/// Reads and proves everything that decisions rest on, up to one head.
///
/// `tables`: the side tables to check. What is not right may be no more than entries of the end that left the store while it was read. So
/// it is told once it was found at a head that stands, or once more at a later one.
pub async fn load(reader: &Reader, key: &MacKey, tables: Checked) -> Result<Loaded, OpenFault> {
    let mut doubt = Doubt::default();
    for _ in 0..READS {
        let mut snapshot = reader.snapshot().await?;
        let head = head(&mut *snapshot).await?;
        if let Some(fault) = doubt.stands(&head) {
            return Err(fault);
        }
        match read(&mut *snapshot, &head, key, tables).await {
            Ok(loaded) => {
                snapshot.end_reading().await?;
                return Ok(loaded);
            }
            Err(fault) => {
                if let Some(fault) = doubt.is_told(head, fault) {
                    return Err(fault);
                }
            }
        }
    }
    Err(StoreFault::Again("the log goes on while it is read: read it again".into()).into())
}

/// What was not right at an earlier head, and may have been no more than a log that went on.
#[derive(Default)]
struct Doubt(Option<(Head, OpenFault)>);

impl Doubt {
    /// The fault that was found at this head: nothing was written meanwhile, so it is true.
    fn stands(&mut self, head: &Head) -> Option<OpenFault> {
        self.0.take_if(|(at, _)| at == head).map(|(_, fault)| fault)
    }

    /// Returns the fault if it is true at a head that may have been left by now: it was found before, or is none of rows.
    fn is_told(&mut self, head: Head, fault: OpenFault) -> Option<OpenFault> {
        let again = self.0.as_ref().is_some_and(|(_, told)| told.to_string() == fault.to_string());
        if again || !fault.is_of_rows() {
            return Some(fault);
        }
        self.0 = Some((head, fault));
        None
    }
}

async fn read(snapshot: &mut dyn Snapshot, head: &Head, key: &MacKey, tables: Checked) -> Result<Loaded, OpenFault> {
    if head.size == 0 {
        let summed = snapshot.check_sums(&key.sums, head, tables).await?;
        return Ok(Loaded { head: head.clone(), tree: Tree::default(), state: State::default(), summed });
    }
    let (newest, is_change) = newest(snapshot, head, key).await?;
    let (mut state, last) = fold(snapshot, key, (State::default(), None)).await?;
    // The newest batch's MAC says which change was the last: none was added behind it or taken out before it. Whether it is one itself
    // its bytes say, and not the kind of its row.
    if is_change != (last == Some(newest.first)) {
        return Err(inconsistent(newest.first, "the row's kind is not that of its entry"));
    }
    if last != head.last_change || !(is_change || newest.prior_change == last) {
        let index = newest.prior_change.max(last).unwrap_or(0);
        return Err(inconsistent(index, "the last change is not the one that the newest batch follows"));
    }
    let tree = tree(snapshot, head.size).await?;
    if tree.root() != head.root {
        return Err(inconsistent(newest.first, "the tree does not have the head's root"));
    }
    // Last: a fault of an entry says more.
    let summed = snapshot.check_sums(&key.sums, head, tables).await?;
    state.forget_expired(head.time);
    Ok(Loaded { head: head.clone(), tree, state, summed })
}

pub fn inconsistent(index: u64, what: impl Into<String>) -> OpenFault {
    OpenFault::Inconsistent { index, what: what.into() }
}

/// The end of the log, if the head row and the entries agree on it.
pub async fn head(snapshot: &mut dyn Snapshot) -> Result<Head, OpenFault> {
    let end = snapshot.end().await?.ok_or_else(|| inconsistent(0, "the head row is gone"))?;
    let head = end.head;
    if end.rows != head.size {
        return Err(inconsistent(head.size.min(end.rows), "entries and head do not end at the same place"));
    }
    if end.newest.is_some_and(|time| time != head.time.as_seconds()) {
        return Err(inconsistent(head.size.saturating_sub(1), "the newest entry does not have the head's time"));
    }
    Ok(head)
}

/// The newest batch, if it is ours and ends where the head says, and whether it is a change: then it has that entry alone.
async fn newest(snapshot: &mut dyn Snapshot, head: &Head, key: &MacKey) -> Result<(StoredBatch, bool), OpenFault> {
    let batch = snapshot.newest_batch().await?.ok_or_else(|| inconsistent(0, "there is no batch"))?;
    let rows = snapshot.entries(batch.first).await?;
    let mut leaves = Vec::with_capacity(rows.len());
    for (row, expected) in rows.iter().zip(batch.first..) {
        if row.index != expected {
            return Err(inconsistent(expected, "the entry is missing"));
        }
        leaves.push(leaf(row)?);
    }
    if batch.first + leaves.len() as u64 != batch.size_after || batch.size_after != head.size || batch.root != head.root {
        return Err(inconsistent(batch.size_after.min(head.size), "the newest batch does not end at the head"));
    }
    verify(&batch, key, &leaves)?;
    let is_change = match &rows[..] {
        [alone] => matches!(Entry::parse(&alone.body), Ok(Entry::Change(_))),
        _ => false,
    };
    Ok((batch, is_change))
}

/// Said of a change after which [`may_begin`] says no.
pub const NO_LATER_EPOCH: &str = "the epoch that the entry begins is not later than the one before it";

/// Whether a change keeps the epoch or begins a later one, which supersedes earlier checkpoints.
pub fn may_begin(state: &State, what: &Change) -> bool {
    !matches!(what, Change::Journal(JournalChange::Reopened { epoch, .. }) if *epoch <= state.epoch)
}

/// A state, and the last change in it.
pub type Folded = (State, Option<u64>);

/// Folds every later change, each proved by the MAC of its batch and chained to the one before.
pub async fn fold(snapshot: &mut dyn Snapshot, key: &MacKey, (mut state, mut last): Folded) -> Result<Folded, OpenFault> {
    loop {
        let from = last.map_or(0, |last| last + 1);
        let rows = snapshot.changes(from, PAGE).await?;
        for row in &rows {
            let entry = change(row, last, key)?;
            if !may_begin(&state, &entry.change.what) {
                return Err(inconsistent(entry.index, NO_LATER_EPOCH));
            }
            state.apply(entry.index, entry.time, &entry.change);
            last = Some(entry.index);
        }
        if rows.is_empty() {
            return Ok((state, last));
        }
    }
}

fn change((row, batch): &ChangeRow, prior: Option<u64>, key: &MacKey) -> Result<ChangeEntry, OpenFault> {
    let at = row.index;
    let leaf = leaf(row)?;
    let entry = match Entry::parse(&row.body) {
        Ok(Entry::Change(entry)) => entry,
        Ok(Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_)) => {
            return Err(inconsistent(at, "the row's kind is not that of its entry"));
        }
        Err(error) => return Err(inconsistent(at, format!("the entry cannot be read: {error}"))),
    };
    if entry.index != at || entry.prior != prior {
        return Err(inconsistent(at, "the change does not follow the change before it"));
    }
    if entry.time.as_seconds() != row.time {
        return Err(inconsistent(at, "the row's time is not that of its entry"));
    }
    let batch = batch.as_ref().ok_or_else(|| inconsistent(at, "no batch begins at the change"))?;
    if batch.size_after != at + 1 || batch.prior_change != prior {
        return Err(inconsistent(at, "the change is not alone in its batch"));
    }
    verify(batch, key, &[leaf])?;
    Ok(*entry)
}

/// The leaf hash of an entry, which must be that of its bytes.
fn leaf(row: &EntryRow) -> Result<Digest, OpenFault> {
    let unreadable = |what: &'static str| move || OpenFault::Store(StoreFault::unreadable(what));
    let stored = row.leaf.ok_or_else(unreadable("a hash that is not of 32 bytes"))?;
    std::str::from_utf8(&row.body).ok().ok_or_else(unreadable("an entry that is not text"))?;
    if leaf_hash(&row.body) == stored {
        Ok(stored)
    } else {
        Err(inconsistent(row.index, "the entry does not have its leaf hash"))
    }
}

/// The tree from the stored tiles and the tail.
async fn tree(snapshot: &mut dyn Snapshot, size: u64) -> Result<Tree, OpenFault> {
    let width = u64::from(WIDTH);
    let mut tails = vec![snapshot.leaves(size / width * width).await?];
    let mut below = size / width;
    let mut level = 0_u8;
    while below > 0 {
        // The hashes of a tile that is not full are the roots of the full tiles under it.
        let mut tail = Vec::new();
        for at in below / width * width..below {
            tail.push(tile(snapshot, level, at).await?);
        }
        tails.push(tail);
        below /= width;
        level += 1;
    }
    Tree::resume(size, tails).ok_or_else(|| inconsistent(size / width * width, "leaves or tiles are missing"))
}

/// The root of a full tile.
async fn tile(snapshot: &mut dyn Snapshot, level: u8, at: u64) -> Result<Digest, OpenFault> {
    let first = at.saturating_mul(u64::from(WIDTH) << (8 * u32::from(level)));
    let fault = |what: &'static str| move || inconsistent(first, what);
    let content = snapshot.tile(level, at).await?.ok_or_else(fault("a tile is missing"))?;
    let root = Tile::full(level, at).hash(&content, 0..usize::from(WIDTH));
    root.map_err(|_| fault("a tile is not of 256 hashes")())
}

fn verify(batch: &StoredBatch, key: &MacKey, leaves: &[Digest]) -> Result<(), OpenFault> {
    if key.verifies(&batch.mac, batch.prior_root, batch.first, batch.prior_change, leaves) {
        Ok(())
    } else {
        Err(inconsistent(batch.first, "the batch does not have the MAC of a node of ours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64) -> Head {
        Head { size, ..Head::empty() }
    }

    /// Entries of the end may leave while it is read: what is missing then is missing at that head alone.
    #[test]
    fn a_fault_is_told_where_it_stands_and_not_where_the_log_went_on() {
        let fault = |at| inconsistent(at, "leaves or tiles are missing");
        let mut doubt = Doubt::default();
        assert!(doubt.stands(&head(512)).is_none());
        assert!(doubt.is_told(head(512), fault(511)).is_none(), "it is read once more");
        assert!(doubt.stands(&head(513)).is_none(), "the log went on");
        assert!(doubt.is_told(head(513), fault(512)).is_none(), "another fault at another end");
        let told = doubt.stands(&head(513)).expect("nothing was written, and it is there");
        assert!(matches!(told, OpenFault::Inconsistent { index: 512, .. }), "{told}");
        // An attacker who writes to a log that goes on is told all the same.
        assert!(doubt.is_told(head(600), fault(7)).is_none());
        assert!(doubt.stands(&head(601)).is_none());
        assert!(matches!(doubt.is_told(head(601), fault(7)), Some(OpenFault::Inconsistent { index: 7, .. })));
        let away = OpenFault::Store(StoreFault::Away("away".into()));
        assert!(doubt.is_told(head(700), away).is_some(), "nothing is said of rows");
    }
}
