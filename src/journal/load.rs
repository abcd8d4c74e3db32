//! Reading the journal into memory, believing nothing that is not proved.
//!
//! [`load`] is what a start does, and what a running node does when the head is not where it left it. The newest batch and the
//! batch of every change must carry our MAC, every change must name the change before it, and the tree made again from tiles and
//! tail must have the head's root. So whoever can write SQL and has no KEK can stop a node, and cannot make it believe anything.
//! Older issuance entries are not read here; `verify` reads them all. The tables beside the entries must have the sums that the head keeps.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::fault::{OpenFault, StoreFault};
use super::sqlite::column::sql;
use super::sqlite::column::{digest, index};
use super::sqlite::column::{number, time};
use super::sqlite::reader::Reader;
use super::sqlite::schema;
use super::sqlite::side;
use super::store::batch::MacKey;
use super::store::head::Head;
use super::store::sums::Table;
use super::tree::Tree;
use super::tree::merkle::leaf_hash;
use super::tree::tiles::{Tile, WIDTH};
use crate::domain::log::change::What;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::state::State;
use crate::domain::value::digest::Digest;

/// A journal in memory.
pub struct Loaded {
    /// Where it ends.
    pub head: Head,
    /// Its tree.
    pub tree: Tree,
    /// The fold of its changes.
    pub state: State,
    /// Whether the head keeps sums over the tables beside the entries. Without them nothing of those tables is proved yet.
    pub summed: bool,
}

/// The rows of one batch, as they were read.
pub struct StoredBatch {
    pub first: u64,
    pub size_after: u64,
    pub prior_root: Digest,
    pub root: Digest,
    pub prior_change: Option<u64>,
    pub mac: Vec<u8>,
}

/// Reads and proves everything that decisions rest on, in one snapshot; of the tables beside the entries, `tables`.
pub async fn load(reader: &Reader, key: &MacKey, tables: &[Table]) -> Result<Loaded, OpenFault> {
    let mut transaction = reader.pool().begin().await?;
    version(&mut transaction).await?;
    let head = head(&mut transaction).await?;
    let loaded = if head.size == 0 {
        let summed = side::check(&mut transaction, &key.sums, &head, tables).await?;
        Loaded { head, tree: Tree::default(), state: State::default(), summed }
    } else {
        let newest = newest(&mut transaction, &head, key).await?;
        let (mut state, last) = fold(&mut transaction, key).await?;
        // The newest batch's MAC says which change was the last: none was added behind it or taken out before it.
        let is_change = last == Some(newest.first) && newest.size_after == newest.first + 1;
        if last != head.last_change || !(is_change || newest.prior_change == last) {
            let index = newest.prior_change.max(last).unwrap_or(0);
            return Err(inconsistent(index, "the last change is not the one that the newest batch follows"));
        }
        let tree = tree(&mut transaction, head.size).await?;
        if tree.root() != head.root {
            return Err(inconsistent(newest.first, "the tree does not have the head's root"));
        }
        // Last: a fault of an entry says more.
        let summed = side::check(&mut transaction, &key.sums, &head, tables).await?;
        state.forget_expired(head.time);
        Loaded { head, tree, state, summed }
    };
    transaction.commit().await?;
    Ok(loaded)
}

/// Whether the tables are of the version that this program knows.
pub async fn version(connection: &mut SqliteConnection) -> Result<(), OpenFault> {
    match schema::version(connection).await? {
        Some(schema::VERSION) => Ok(()),
        Some(other) => Err(OpenFault::Schema(other.to_string())),
        None => Err(OpenFault::Schema("none".to_owned())),
    }
}

pub fn inconsistent(index: u64, what: impl Into<String>) -> OpenFault {
    OpenFault::Inconsistent { index, what: what.into() }
}

/// Where the log ends, if the head row and the entries agree on it.
pub async fn head(connection: &mut SqliteConnection) -> Result<Head, OpenFault> {
    let text = "SELECT size, root, last_change, time, (SELECT max(idx) FROM entries), \
                (SELECT time FROM entries ORDER BY idx DESC LIMIT 1) FROM head WHERE id = 1";
    let row = sqlx::query(text).fetch_optional(connection).await?;
    let row = row.ok_or_else(|| inconsistent(0, "the head row is gone"))?;
    let last_change: Option<i64> = row.try_get(2)?;
    let (newest, newest_time): (Option<i64>, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
    let head = Head {
        size: index(&row, 0)?,
        root: digest(&row, 1)?,
        last_change: last_change.map(number).transpose()?,
        time: time(row.try_get(3)?)?,
    };
    let rows = newest.map(number).transpose()?.map_or(0, |newest| newest + 1);
    if rows != head.size {
        return Err(inconsistent(head.size.min(rows), "entries and head do not end at the same place"));
    }
    if newest_time.is_some_and(|time| time != head.time.as_seconds()) {
        return Err(inconsistent(head.size.saturating_sub(1), "the newest entry does not have the head's time"));
    }
    Ok(head)
}

/// The newest batch, if it is ours and ends where the head says.
async fn newest(connection: &mut SqliteConnection, head: &Head, key: &MacKey) -> Result<StoredBatch, OpenFault> {
    let text = "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches ORDER BY first DESC LIMIT 1";
    let row = sqlx::query(text).fetch_optional(&mut *connection).await?;
    let batch = StoredBatch::read(&row.ok_or_else(|| inconsistent(0, "there is no batch"))?)?;
    let text = "SELECT idx, body, leaf, time FROM entries WHERE idx >= ? ORDER BY idx";
    let rows = sqlx::query(text).bind(sql(batch.first)).fetch_all(connection).await?;
    let mut leaves = Vec::with_capacity(rows.len());
    for (row, expected) in rows.iter().zip(batch.first..) {
        if index(row, 0)? != expected {
            return Err(inconsistent(expected, "the entry is missing"));
        }
        leaves.push(leaf(row)?);
    }
    if batch.first + leaves.len() as u64 != batch.size_after || batch.size_after != head.size || batch.root != head.root {
        return Err(inconsistent(batch.size_after.min(head.size), "the newest batch does not end at the head"));
    }
    batch.verify(key, &leaves)?;
    Ok(batch)
}

/// Said of a change after which [`may_begin`] says no.
pub const NO_LATER_EPOCH: &str = "the epoch that the entry begins is not later than the one before it";

/// Whether a change leaves the epoch as it is, or begins a later one: checkpoints of an earlier one are superseded.
pub fn may_begin(state: &State, what: &What) -> bool {
    !matches!(what, What::JournalReopened { epoch, .. } if *epoch <= state.epoch)
}

/// Folds every change, each proved by the MAC of its batch and chained to the one before.
async fn fold(connection: &mut SqliteConnection, key: &MacKey) -> Result<(State, Option<u64>), OpenFault> {
    let (mut state, mut last) = (State::default(), None);
    loop {
        // Pages, so that a long history is never in memory at once.
        let text = "SELECT e.idx, e.body, e.leaf, e.time, b.first, b.size_after, b.prior_root, b.root, b.prior_change, b.mac \
                    FROM entries e LEFT JOIN batches b ON b.first = e.idx \
                    WHERE e.kind NOT IN ('issued', 'refused', 'refusals') AND e.idx >= ? ORDER BY e.idx LIMIT 500";
        let from = last.map_or(0, |last: u64| last + 1);
        let rows = sqlx::query(text).bind(sql(from)).fetch_all(&mut *connection).await?;
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

fn change(row: &SqliteRow, prior: Option<u64>, key: &MacKey) -> Result<ChangeEntry, OpenFault> {
    let at = index(row, 0)?;
    let leaf = leaf(row)?;
    let body: &str = row.try_get(1)?;
    let entry = match Entry::parse(body.as_bytes()) {
        Ok(Entry::Change(entry)) => entry,
        Ok(_) => return Err(inconsistent(at, "the row's kind is not that of its entry")),
        Err(error) => return Err(inconsistent(at, format!("the entry cannot be read: {error}"))),
    };
    if entry.index != at || entry.prior != prior {
        return Err(inconsistent(at, "the change does not follow the change before it"));
    }
    let stored: i64 = row.try_get(3)?;
    if entry.time.as_seconds() != stored {
        return Err(inconsistent(at, "the row's time is not that of its entry"));
    }
    if row.try_get::<Option<i64>, _>(4)?.is_none() {
        return Err(inconsistent(at, "no batch begins at the change"));
    }
    let batch = StoredBatch::read_at(row, 4)?;
    if batch.size_after != at + 1 || batch.prior_change != prior {
        return Err(inconsistent(at, "the change is not alone in its batch"));
    }
    batch.verify(key, &[leaf])?;
    Ok(*entry)
}

/// Columns index, body, leaf, time: the leaf hash, which must be that of the body.
fn leaf(row: &SqliteRow) -> Result<Digest, OpenFault> {
    let (at, body, stored): (u64, &str, Digest) = (index(row, 0)?, row.try_get(1)?, digest(row, 2)?);
    if leaf_hash(body.as_bytes()) == stored {
        Ok(stored)
    } else {
        Err(inconsistent(at, "the entry does not have its leaf hash"))
    }
}

/// The tree from the stored tiles and the tail.
async fn tree(connection: &mut SqliteConnection, size: u64) -> Result<Tree, OpenFault> {
    let width = u64::from(WIDTH);
    let mut tails = Vec::new();
    let rows = sqlx::query("SELECT leaf FROM entries WHERE idx >= ? ORDER BY idx").bind(sql(size / width * width));
    let rows = rows.fetch_all(&mut *connection).await?;
    tails.push(rows.iter().map(|row| digest(row, 0)).collect::<Result<Vec<_>, StoreFault>>()?);
    let mut below = size / width;
    let mut level = 0_u8;
    while below > 0 {
        // The hashes of a tile that is not full are the roots of the full tiles under it.
        let mut tail = Vec::new();
        for at in below / width * width..below {
            tail.push(tile(connection, level, at).await?);
        }
        tails.push(tail);
        below /= width;
        level += 1;
    }
    Tree::resume(size, tails).ok_or_else(|| inconsistent(size / width * width, "leaves or tiles are missing"))
}

/// The root of a full tile.
async fn tile(connection: &mut SqliteConnection, level: u8, at: u64) -> Result<Digest, OpenFault> {
    let first = at.saturating_mul(u64::from(WIDTH) << (8 * u32::from(level)));
    let fault = |what: &'static str| move || inconsistent(first, what);
    let query = sqlx::query("SELECT content FROM tiles WHERE level = ? AND idx = ?").bind(i64::from(level)).bind(sql(at));
    let row = query.fetch_optional(connection).await?.ok_or_else(fault("a tile is missing"))?;
    let content: Vec<u8> = row.try_get(0)?;
    let root = Tile::full(level, at).hash(&content, 0..usize::from(WIDTH));
    root.map_err(|_| fault("a tile is not of 256 hashes")())
}

impl StoredBatch {
    /// Columns first, size after, prior root, root, prior change, MAC.
    pub fn read(row: &SqliteRow) -> Result<Self, OpenFault> {
        Self::read_at(row, 0)
    }

    fn read_at(row: &SqliteRow, at: usize) -> Result<Self, OpenFault> {
        let prior_change: Option<i64> = row.try_get(at + 4)?;
        Ok(Self {
            first: index(row, at)?,
            size_after: index(row, at + 1)?,
            prior_root: digest(row, at + 2)?,
            root: digest(row, at + 3)?,
            prior_change: prior_change.map(number).transpose()?,
            mac: row.try_get(at + 5)?,
        })
    }

    fn verify(&self, key: &MacKey, leaves: &[Digest]) -> Result<(), OpenFault> {
        if key.verifies(&self.mac, self.prior_root, self.first, self.prior_change, leaves) {
            Ok(())
        } else {
            Err(inconsistent(self.first, "the batch does not have the MAC of a node of ours"))
        }
    }
}
