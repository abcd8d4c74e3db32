//! A walk over every entry, batch and tile of a store, from the first to the head.
//!
//! Entries that have left the store are read in their segments. They may leave while others are read: after the change that says so, which may
//! come after the head. Their bytes are proved as those of rows are, wherever they were found.
//!
//! An entry whose bytes changed is named exactly: by its leaf hash, or, where that was changed with it, by the tile that holds
//! it. If neither tells (the newest 255 entries are in no stored tile), the MAC names the batch, and the index is its first.

use std::collections::BTreeMap;

use super::super::load;
use super::super::tree::FullTile;
use super::chain::{Chain, REOPENED, Taken, correction};
use super::export::Writer;
use super::fault::VerifyFault;
use super::report::{Progress, STEP};
use crate::domain::log::archive::{Archive, Segment};
use crate::domain::log::change::Change;
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::value::digest::Digest;
use crate::journal::archive::segment::{SegmentFault, Shelf, blocking};
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::{MacKey, Row};
use crate::journal::store::head::Head;
use crate::journal::store::row::{SearchRow, StoredBatch};
use crate::journal::store::snapshot::Snapshot;
use crate::journal::tree::merkle::leaf_hash;
use crate::journal::tree::tiles::{Tile, WIDTH};

/// A batch of which entries are still to come.
struct Open {
    batch: StoredBatch,
    leaves: Vec<Digest>,
    has_change: bool,
}

/// Takes every entry into `chain`, and writes it to `out`. Returns the end of the log.
pub async fn walk(
    (snapshot, shelf): (&mut dyn Snapshot, &Shelf),
    key: &MacKey,
    chain: &mut Chain,
    mut out: Option<&mut Writer>,
    progress: Progress<'_>,
) -> Result<Head, VerifyFault> {
    let head = load::head(snapshot).await?;
    let named = segments(snapshot).await?;
    let archive = archive(&named, head.size);
    let mut left = self::archive(&named, u64::MAX);
    let reopened = snapshot.changes_of_kind(REOPENED).await?;
    let reopened = reopened.iter().filter(|(index, _)| *index < head.size);
    chain.corrections.extend(reopened.filter_map(|(_, body)| correction(body.as_bytes())));
    let mut open: Option<Open> = None;
    while chain.size() < head.size {
        // A page is what one tile of level 0 spans.
        let (page, from) = (chain.size() / u64::from(WIDTH), chain.size());
        let until = head.size.min(from + u64::from(WIDTH));
        let rows = snapshot.page(from).await?;
        if left.holding(from).is_none() && !is_whole(&rows, (from, until)) {
            left = self::archive(&segments(snapshot).await?, u64::MAX);
        }
        let sealed = match left.holding(from) {
            Some(segment) => Some(sealed(shelf, segment, from).await?),
            None => None,
        };
        if rows.is_empty() && sealed.is_none() {
            break;
        }
        let mut batches = batches(snapshot, from).await?;
        let tile = snapshot.tile(0, page).await?;
        for (row, sealed) in page_of(&rows, sealed.as_deref(), (from, until)) {
            let at = chain.size();
            let fault = |what: &str| VerifyFault::entry(at, what);
            let body = body(row, sealed, at)?;
            let leaf = leaf_hash(body);
            if row.is_some_and(|row| row.entry.leaf != Some(leaf)) {
                return Err(fault(HASHLESS));
            }
            // Invariant: a remainder of 256 fits.
            let place = usize::from((at % u64::from(WIDTH)).to_le_bytes()[0]) * 32;
            if tile.as_ref().is_some_and(|tile| tile.get(place..place + 32) != Some(&leaf.0)) {
                return Err(fault("the entry is not the one that its tile was made of"));
            }
            match (&open, batches.remove(&at)) {
                (None, Some(batch)) => open = Some(begin(batch, chain)?),
                (Some(_), None) => {}
                (None, None) => return Err(fault("the entry is in no batch of a node of ours")),
                (Some(_), Some(_)) => return Err(fault("a batch begins within another")),
            }
            let Taken { entry, full } = chain.take(body, leaf)?;
            if at % STEP == STEP - 1 {
                progress(at + 1, head.size);
            }
            match row {
                Some(row) => columns(row, &entry)?,
                None if matches!(entry, Entry::Change(_)) => return Err(fault("the change has left the database")),
                None => {}
            }
            for tile in full {
                filled(snapshot, &tile).await?;
                if let Some(out) = &mut out {
                    out.tile(&tile)?;
                }
            }
            if let Some(out) = &mut out {
                out.entry(body)?;
            }
            let Some(mut started) = open.take() else { continue };
            started.leaves.push(leaf);
            started.has_change |= matches!(entry, Entry::Change(_));
            open = end(started, key, chain)?;
        }
    }
    if let Some(open) = open {
        return Err(VerifyFault::entry(chain.size(), format!("the batch from {} on goes further", open.batch.first)));
    }
    let same = head.size == chain.size() && head.root == chain.tree.root();
    if !same || head.last_change != chain.last_change || head.time != chain.time {
        let at = head.size.min(chain.size()).saturating_sub(1);
        return Err(VerifyFault::entry(at, "the head is not where the entries end"));
    }
    // The list of segments was read before it was proved.
    if archive != chain.state.archive {
        return Err(VerifyFault::entry(0, "the segments are not those that the changes name"));
    }
    if let Some(out) = out {
        out.edge(&chain.tree)?;
    }
    Ok(head)
}

/// The exact bytes of the entries of the page that begins at `from`, each with its hash where it has a row.
pub async fn bodies((snapshot, shelf): (&mut dyn Snapshot, &Shelf), from: u64) -> Result<Vec<Vec<u8>>, VerifyFault> {
    let size = load::head(snapshot).await?.size;
    let rows = snapshot.page(from).await?;
    // After the rows: of an entry that they lack the change is there by now that says where it went.
    let archive = archive(&segments(snapshot).await?, u64::MAX);
    let sealed = match archive.holding(from) {
        Some(segment) => Some(sealed(shelf, segment, from).await?),
        None => None,
    };
    let places = page_of(&rows, sealed.as_deref(), (from, size)).into_iter().zip(from..);
    let read = places.map(|((row, sealed), at)| {
        let body = body(row, sealed, at)?;
        match row {
            Some(row) if row.entry.leaf != Some(leaf_hash(body)) => Err(VerifyFault::entry(at, HASHLESS)),
            Some(_) | None => Ok(body.to_vec()),
        }
    });
    read.collect()
}

/// What is said of an entry whose bytes changed.
const HASHLESS: &str = "the entry does not have its leaf hash";

/// The segments as rows name them, each with the change that does. Changes after the head are among them.
async fn segments(snapshot: &mut dyn Snapshot) -> Result<Vec<(u64, Segment)>, VerifyFault> {
    let mut segments = Vec::new();
    for (at, body) in snapshot.changes_of_kind("journal.archived").await? {
        let strange = || VerifyFault::entry(at, "the row's kind is not that of its entry");
        let Ok(Entry::Change(entry)) = Entry::parse(body.as_bytes()) else { return Err(strange()) };
        let Change::Journal(JournalChange::Archived(segment)) = entry.change.what else { return Err(strange()) };
        segments.push((at, segment));
    }
    Ok(segments)
}

/// The segments that changes before the entry `until` name.
fn archive(named: &[(u64, Segment)], until: u64) -> Archive {
    let mut archive = Archive::default();
    named.iter().filter(|(at, _)| *at < until).for_each(|(_, segment)| archive.take(segment));
    archive
}

/// Whether all entries of a range are in the database.
fn is_whole(rows: &[SearchRow], (from, until): (u64, u64)) -> bool {
    rows.iter().map(|row| row.entry.index).eq(from..until)
}

/// The 256 entries from `from` on, out of their segment: a file, or an object that a server of a bucket may keep us waiting for.
async fn sealed(shelf: &Shelf, segment: &Segment, from: u64) -> Result<Vec<Vec<u8>>, VerifyFault> {
    let (shelf, segment) = (shelf.clone(), segment.clone());
    let read = move || {
        if from == segment.first {
            shelf.check(&segment)?;
        }
        shelf.bundle(&segment, from)
    };
    let read = blocking(read).await.map_err(|ended| StoreFault::Failed(ended.into()))?;
    read.map_err(|fault: SegmentFault| VerifyFault::entry(from, format!("its segment cannot be read: {fault}")))
}

/// One entry: its row, what its segment says, or both.
type Place<'a> = (Option<&'a SearchRow>, Option<&'a [u8]>);

/// The entries of a page, up to `until`. Without a segment there are as many as rows; a missing row gives neither.
fn page_of<'a>(rows: &'a [SearchRow], sealed: Option<&'a [Vec<u8>]>, (from, until): (u64, u64)) -> Vec<Place<'a>> {
    let is_at = |row: &&SearchRow, at: u64| row.entry.index == at;
    let Some(sealed) = sealed else {
        return rows.iter().zip(from..until).map(|(row, at)| (Some(row).filter(|row| is_at(row, at)), None)).collect();
    };
    let mut rows = rows.iter().peekable();
    sealed.iter().zip(from..until).map(|(sealed, at)| (rows.next_if(|row| is_at(row, at)), Some(sealed.as_slice()))).collect()
}

fn body<'a>(row: Option<&'a SearchRow>, sealed: Option<&'a [u8]>, at: u64) -> Result<&'a [u8], VerifyFault> {
    let row = row.map(|row| &*row.entry.body);
    match (row, sealed) {
        (Some(row), Some(sealed)) if row != sealed => {
            Err(VerifyFault::entry(at, "the entry and its segment say different things"))
        }
        (Some(body), _) | (None, Some(body)) => Ok(body),
        (None, None) => Err(VerifyFault::entry(at, "the entry is missing")),
    }
}

async fn batches(snapshot: &mut dyn Snapshot, from: u64) -> Result<BTreeMap<u64, StoredBatch>, VerifyFault> {
    let batches = snapshot.batches(from, from + u64::from(WIDTH)).await?;
    Ok(batches.into_iter().map(|batch| (batch.first, batch)).collect())
}

fn begin(batch: StoredBatch, chain: &Chain) -> Result<Open, VerifyFault> {
    if batch.prior_root != chain.tree.root() || batch.prior_change != chain.last_change || batch.size_after <= batch.first {
        return Err(VerifyFault::entry(batch.first, "the batch does not follow the entries before it"));
    }
    Ok(Open { batch, leaves: Vec::new(), has_change: false })
}

/// Proves the batch when its last entry is there.
fn end(open: Open, key: &MacKey, chain: &Chain) -> Result<Option<Open>, VerifyFault> {
    let Open { batch, leaves, has_change } = &open;
    if chain.size() < batch.size_after {
        return Ok(Some(open));
    }
    if *has_change && leaves.len() != 1 {
        return Err(VerifyFault::entry(batch.first, "a change is not alone in its batch"));
    }
    if !key.verifies(&batch.mac, batch.prior_root, batch.first, batch.prior_change, leaves) {
        let last = batch.size_after - 1;
        let what = format!("the batch of entries {} to {last} does not have the MAC of a node of ours", batch.first);
        return Err(VerifyFault::entry(batch.first, what));
    }
    if batch.root == chain.tree.root() { Ok(None) } else { Err(VerifyFault::entry(batch.first, "the batch has another root")) }
}

/// Refuses a row whose columns for searches differ from its entry.
fn columns(row: &SearchRow, entry: &Entry) -> Result<(), VerifyFault> {
    let ours = match entry {
        Entry::Issued(entry) => Row::issued(entry),
        Entry::Refused(entry) => Row::refused(entry),
        Entry::Counted(entry) => Row::counted(entry),
        Entry::Change(entry) => Row::change(entry),
    };
    let same = row.entry.time == ours.time.as_seconds()
        && row.kind.as_deref() == Some(ours.kind)
        && row.subject.as_deref() == Some(&*ours.subject)
        && row.request.as_deref() == ours.request.as_deref()
        && row.token.as_deref() == ours.token.as_deref();
    if same { Ok(()) } else { Err(VerifyFault::entry(ours.index, "the row's columns are not those of its entry")) }
}

/// Whether a tile that is full now is stored as the tree has it.
async fn filled(snapshot: &mut dyn Snapshot, tile: &FullTile) -> Result<(), VerifyFault> {
    if snapshot.tile(tile.level, tile.index).await?.as_deref() == Some(&tile.content) {
        return Ok(());
    }
    let name = Tile::full(tile.level, tile.index);
    Err(VerifyFault::entry(name.covers(), format!("{name} is missing or not that of its entries")))
}
