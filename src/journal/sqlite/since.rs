//! What stands after an entry, for a node that follows the log.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::column::{digest, index, sql};
use super::snapshot::batch;
use super::statement::{HEAD, found};
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::row::{News, Since, StoredBatch};

const SUMS: &str = "SELECT sums FROM head WHERE id = 1";
const BATCHES: &str =
    "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches WHERE first >= ? ORDER BY first LIMIT ?";
const LEAVES: &str = "SELECT idx, leaf FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx";
const ALONE: &str = "SELECT e.idx, e.body FROM batches b JOIN entries e ON e.idx = b.first \
    WHERE b.first >= ? AND b.first < ? AND b.size_after = b.first + 1";

/// Reads it, at one moment if `connection` is in a transaction.
pub async fn read(connection: &mut SqliteConnection, from: u64, most: u32) -> Result<Since, StoreFault> {
    let head = sqlx::query(HEAD).fetch_optional(&mut *connection).await?;
    let found = found(head.as_ref())?;
    let sums = sqlx::query(SUMS).fetch_one(&mut *connection).await?.try_get(0)?;
    let news = if found.head.size > from { news(connection, from, most).await? } else { Vec::new() };
    Ok(Since { found, sums, news })
}

async fn news(connection: &mut SqliteConnection, from: u64, most: u32) -> Result<Vec<News>, StoreFault> {
    let rows = sqlx::query(BATCHES).bind(sql(from)).bind(most).fetch_all(&mut *connection).await?;
    let batches: Vec<StoredBatch> = rows.iter().map(|row| batch(row, 0)).collect::<Result<_, _>>()?;
    let Some(until) = batches.last().map(|last| last.size_after) else { return Ok(Vec::new()) };
    let rows = sqlx::query(LEAVES).bind(sql(from)).bind(sql(until)).fetch_all(&mut *connection).await?;
    let leaf = |row: &SqliteRow| Ok::<(u64, Digest), StoreFault>((index(row, 0)?, digest(row, 1)?));
    let leaves: Vec<(u64, Digest)> = rows.iter().map(leaf).collect::<Result<_, _>>()?;
    let rows = sqlx::query(ALONE).bind(sql(from)).bind(sql(until)).fetch_all(connection).await?;
    let alone = |row: &SqliteRow| Ok::<(u64, Vec<u8>), StoreFault>((index(row, 0)?, row.try_get(1)?));
    let mut alone: HashMap<u64, Vec<u8>> = rows.iter().map(alone).collect::<Result<_, _>>()?;
    let mut left = leaves.into_iter().peekable();
    let news = batches.into_iter().map(|batch| {
        let leaves =
            std::iter::from_fn(|| left.next_if(|(index, _)| *index < batch.size_after)).map(|(_, leaf)| leaf).collect();
        News { alone: alone.remove(&batch.first), leaves, batch }
    });
    Ok(news.collect())
}
