//! The writer: one connection, one transaction at a time.

mod tables;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection};
use tokio::sync::Notify;

use super::answers;
use super::column::{digest, sql};
use super::people;
use super::schema;
use super::side::Side;
use super::since;
use super::snapshot::Reading;
use super::spent::Memory;
use super::statement::{self, BEGIN, HEAD, MOST, NOT_NULL, Tail, found};
use super::uses;
use super::wal_checkpoint::{CHECKPOINT, Checkpoints};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers::{Idempotency, Sealed};
use crate::journal::fault::StoreFault;
use crate::journal::store::Answer;
use crate::journal::store::batch::{Batch, Beside, Row, Spent};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::people::PeopleChange;
use crate::journal::store::row::Since;
use crate::journal::store::snapshot::Exclusive;
use crate::journal::store::sums::SumKey;
use crate::journal::store::uses::UsesChange;
use crate::journal::store::write::{Author, Begun, MOST_NEWS, Probe, Tried, Write};
use crate::journal::tree::tiles::WIDTH;

/// How long a scrub waits for readers to leave the log, and how often it looks.
const SCRUBBING: Duration = Duration::from_secs(2);
const SCRUBBING_PAUSE: Duration = Duration::from_millis(20);

/// The fault of a batch on another head than `begin` found, or without the lock.
const OTHER_HEAD: &str = "the log does not end where the batch begins, or is not locked";

/// The write side.
pub struct SqliteWriter {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// The end of the log as `begin` found it, while the lock is held.
    locked: Option<Found>,
    /// The rows that `commit` still has to write.
    tail: Option<Tail>,
    /// The tables beside the entries.
    side: Side,
    checkpoints: Checkpoints,
    key: SumKey,
}

impl SqliteWriter {
    /// Connects to the database at `path`. `key` is that of the sums over the side tables.
    ///
    /// Without `durable` a commit that returned may be lost with the machine.
    pub async fn connect(path: &Path, durable: bool, key: SumKey) -> Result<Self, StoreFault> {
        let options = schema::writer(path, durable);
        let connection = Some(options.connect().await?);
        let checkpoints = Checkpoints::with(schema::checkpointer(path, durable));
        let side = Side::unknown(key.clone());
        Ok(Self { options, connection, locked: None, tail: None, side, checkpoints, key })
    }

    /// The proofs that were spent lately, for the read side.
    pub fn lately(&self) -> Memory {
        self.side.lately()
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreFault> {
        Ok(self.beside().await?.0)
    }

    /// The connection, and the tables beside the entries.
    async fn beside(&mut self) -> Result<(&mut SqliteConnection, &mut Side), StoreFault> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        // Invariant: set above.
        Ok((self.connection.as_mut().expect("a connection was made"), &mut self.side))
    }

    async fn run(&mut self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<(), StoreFault> {
        query.execute(self.connection().await?).await?;
        Ok(())
    }

    async fn write(&mut self, rows: Vec<Row>) -> Result<(), StoreFault> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            self.run(statement::entries(rows.by_ref().take(MOST).collect())).await?;
        }
        Ok(())
    }

    async fn try_keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Result<(), StoreFault> {
        self.run(sqlx::query(BEGIN)).await?;
        answers::keep(self.connection().await?, all, now).await?;
        self.run(sqlx::query("COMMIT")).await
    }

    async fn write_beside(&mut self, beside: Beside) -> Result<(), StoreFault> {
        for row in beside.texts {
            let insert = sqlx::query("INSERT INTO texts (digest, salt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
            self.run(insert.bind(row.digest.0.to_vec()).bind(row.salt.to_vec()).bind(row.text)).await?;
        }
        if !beside.erased.is_empty() {
            answers::erase(self.connection().await?).await?;
        }
        for digest in beside.erased {
            self.run(sqlx::query("DELETE FROM texts WHERE digest = ?").bind(digest.0.to_vec())).await?;
        }
        for blob in beside.sealed {
            let insert = sqlx::query("INSERT INTO keyring (name, sealed) VALUES (?, ?)");
            self.run(insert.bind(blob.name.as_str().to_owned()).bind(blob.sealed)).await?;
        }
        let (connection, side) = self.beside().await?;
        side.put(connection, &beside.spent).await?;
        for name in beside.destroyed {
            self.run(sqlx::query("DELETE FROM keyring WHERE name = ?").bind(name.as_str().to_owned())).await?;
        }
        Ok(())
    }

    /// Writes what is left of a batch that another one follows in the same transaction.
    async fn end_batch(&mut self) -> Result<(), StoreFault> {
        let Some(tail) = self.tail.take() else { return Ok(()) };
        let (prior, after) = (tail.prior.size, tail.after.clone());
        let sums = self.side.sums_after(prior, &after)?;
        self.run(statement::end_of_batch(tail, self.side.spends(), sums, false)).await?;
        self.side.take(after.clone());
        self.locked = Some(Found { rows: after.size, head: after });
        Ok(())
    }

    /// Takes the lock, and looks where the log ends.
    async fn lock(&mut self, known: &Head, proofs: &[Spent]) -> Result<Begun, StoreFault> {
        if proofs.is_empty() || proofs.len() > MOST {
            self.run(sqlx::query(BEGIN)).await?;
            let found = self.head().await?;
            let (connection, side) = self.beside().await?;
            side.know(connection, &found).await?;
            self.locked = Some(found.clone());
            let fresh = if found.head == *known { self.spend_now(proofs).await? } else { HashSet::new() };
            return self.begun(known, found, fresh).await;
        }
        let mut rows = statement::begin_spending(proofs).fetch_all(self.connection().await?).await?;
        let found = found(rows.pop().as_ref())?;
        let (connection, side) = self.beside().await?;
        side.know(connection, &found).await?;
        let among = rows.iter().map(|row| Ok(ProofKey(digest(row, 0)?))).collect::<Result<_, StoreFault>>()?;
        let fresh = if found.head == *known { side.spend_all_but(&among, proofs) } else { HashSet::new() };
        self.locked = Some(found.clone());
        self.begun(known, found, fresh).await
    }

    /// Reads what was written after `known`, if the log does not end there.
    async fn begun(&mut self, known: &Head, found: Found, fresh: HashSet<ProofKey>) -> Result<Begun, StoreFault> {
        let since = if found.head == *known {
            Since { found, sums: Vec::new(), news: Vec::new() }
        } else {
            since::read(self.connection().await?, known.size, MOST_NEWS).await?
        };
        Ok(Begun { since, fresh })
    }

    async fn spend_now(&mut self, proofs: &[Spent]) -> Result<HashSet<ProofKey>, StoreFault> {
        let mut among = HashSet::new();
        for chunk in proofs.chunks(MOST) {
            for row in statement::among_consumed(chunk).fetch_all(self.connection().await?).await? {
                among.insert(ProofKey(digest(&row, 0)?));
            }
        }
        Ok(self.side.spend_all_but(&among, proofs))
    }

    /// Reads the head, within a transaction or outside.
    async fn head(&mut self) -> Result<Found, StoreFault> {
        let row = sqlx::query(HEAD).fetch_optional(self.connection().await?).await?;
        found(row.as_ref())
    }

    /// Ends a transaction that is no part of the log.
    async fn apart(&mut self, outcome: Result<bool, StoreFault>) -> Result<bool, StoreFault> {
        if outcome.is_err() {
            self.roll_back().await;
        }
        self.checkpoints.committed(0);
        outcome
    }

    async fn roll_back(&mut self) {
        self.locked = None;
        self.tail = None;
        self.side.clear();
        if let Some(connection) = &mut self.connection
            && sqlx::query("ROLLBACK").execute(&mut *connection).await.is_err()
        {
            // Either SQLite rolled back by itself, or the connection is done for. A new one is right in both cases.
            if let Some(connection) = self.connection.take() {
                let _closed = connection.close().await;
            }
        }
    }

    async fn empty_log(&mut self) -> Result<(), StoreFault> {
        let begun = Instant::now();
        loop {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(self.connection().await?).await?;
            // Kept from it by a reader or by another checkpoint, it is no error to SQLite.
            if row.try_get::<i64, _>(0)? == 0 {
                return Ok(());
            }
            if begun.elapsed() > SCRUBBING {
                return Err(StoreFault::Failed("somebody reads in the write-ahead log".into()));
            }
            tokio::time::sleep(SCRUBBING_PAUSE).await;
        }
    }
}

impl Write for SqliteWriter {
    /// Nobody else has a node of this journal: it is a file.
    fn write_as(&mut self, _author: Author) {}

    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool {
        // A tile that becomes full is written by itself.
        let fills_tile = prior.size % u64::from(WIDTH) + rows as u64 >= u64::from(WIDTH);
        (1..=MOST).contains(&rows) && proofs.len() <= rows && !fills_tile && self.side.only_adds(prior, proofs)
    }

    fn record<'a>(&'a mut self, batch: Batch, proofs: &'a [Spent]) -> Answer<'a, Tried> {
        Box::pin(async move {
            let goes = self.goes_at_once(&batch.prior, batch.rows.len(), proofs);
            if !batch.tiles.is_empty() || !batch.beside.is_empty() || !goes {
                return Ok(Tried::Not);
            }
            let (prior, after) = (batch.prior.size, batch.after.clone());
            self.side.spend_at_once(proofs);
            self.side.uses(&batch.rows);
            let sums = self.side.sums_after(prior, &after)?;
            let query = statement::at_once(batch, proofs, sums);
            match query.execute(self.connection().await?).await {
                Ok(_) => {
                    self.checkpoints.committed(after.size - prior);
                    self.side.take(after);
                    Ok(Tried::Done)
                }
                Err(sqlx::Error::Database(fault)) if fault.code().as_deref() == Some(NOT_NULL) => {
                    self.roll_back().await;
                    Ok(Tried::Not)
                }
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn begin<'a>(&'a mut self, known: &'a Head, proofs: &'a [Spent]) -> Answer<'a, Begun> {
        self.locked = None;
        self.tail = None;
        self.side.clear();
        Box::pin(self.lock(known, proofs))
    }

    fn spend<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, HashSet<ProofKey>> {
        Box::pin(self.spend_now(proofs))
    }

    fn purge(&mut self, slice: u8, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            let (connection, side) = self.beside().await?;
            side.purge(connection, slice, now).await
        })
    }

    fn claim<'a>(&'a mut self, once: &'a Idempotency, request: &'a RequestId, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { answers::claim(self.connection().await?, (once, request), now).await })
    }

    fn append(&mut self, batch: Batch) -> Answer<'_, ()> {
        Box::pin(async move {
            let Batch { mut rows, tiles, prior, after, mac, beside } = batch;
            self.end_batch().await?;
            // Without the lock each statement would be a transaction of its own, and on another head this would be a fork.
            if self.locked.as_ref() != Some(&Found { head: prior.clone(), rows: prior.size }) {
                return Err(StoreFault::Failed(OTHER_HEAD.into()));
            }
            self.side.uses(&rows);
            // The rows that fit into one statement go with the commit: each statement is a hop to SQLite's thread and back.
            let last = rows.split_off(rows.len() - rows.len().min(MOST));
            self.write(rows).await?;
            for tile in tiles {
                let insert = sqlx::query("INSERT INTO tiles (level, idx, content) VALUES (?, ?, ?)");
                self.run(insert.bind(i64::from(tile.level)).bind(sql(tile.index)).bind(tile.content)).await?;
            }
            self.write_beside(beside).await?;
            let (connection, side) = self.beside().await?;
            side.move_proofs(connection, prior.size, after.time).await?;
            self.tail = Some(Tail { rows: last, prior, after, mac });
            Ok(())
        })
    }

    fn commit(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.locked = None;
            let Some(tail) = self.tail.take() else {
                return self.run(sqlx::query("COMMIT")).await;
            };
            let (prior, after) = (tail.prior.size, tail.after.clone());
            let sums = self.side.sums_after(prior, &after)?;
            self.run(statement::end_of_batch(tail, self.side.spends(), sums, true)).await?;
            self.checkpoints.committed(after.size - prior);
            self.side.take(after);
            Ok(())
        })
    }

    fn abort(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.roll_back().await;
            Ok(())
        })
    }

    /// After a rollback, or with the connection closed, no batch can come in any more.
    fn settle(&mut self) -> Answer<'_, Found> {
        Box::pin(async move {
            self.roll_back().await;
            self.head().await
        })
    }

    fn leave(&mut self, from: u64, until: u64) -> Answer<'_, ()> {
        let delete = "DELETE FROM entries WHERE idx >= ? AND idx < ? AND kind IN ('issued', 'refused', 'refusals')";
        Box::pin(async move {
            self.run(sqlx::query(delete).bind(sql(from)).bind(sql(until))).await?;
            // A page of the table for three entries, and one of the index for each.
            self.checkpoints.committed(2 * until.saturating_sub(from));
            Ok(())
        })
    }

    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            let kept = self.try_keep(all, now).await;
            if kept.is_err() {
                self.roll_back().await;
            }
            kept
        })
    }

    fn put_people<'a>(&'a mut self, change: &'a PeopleChange) -> Answer<'a, bool> {
        Box::pin(async move {
            let put = people::put(self.connection().await?, change).await;
            self.apart(put).await
        })
    }

    fn put_uses<'a>(&'a mut self, change: Option<&'a UsesChange>) -> Answer<'a, bool> {
        Box::pin(async move {
            let put = uses::put_or_clear(self.connection().await?, change).await;
            self.apart(put).await
        })
    }

    fn probe(&mut self, probe: Probe) -> Answer<'_, ()> {
        let text = statement::probe(probe);
        Box::pin(async move {
            let outcome = self.run(sqlx::query(text)).await;
            if outcome.is_err() {
                self.roll_back().await;
            }
            self.checkpoints.committed(0);
            outcome
        })
    }

    /// Empties the write-ahead log, which else keeps deleted rows. It fails while it is being read.
    fn scrub(&mut self) -> Answer<'_, ()> {
        Box::pin(self.empty_log())
    }

    fn maintenance(&self) -> Arc<Notify> {
        self.checkpoints.due()
    }

    /// Checkpoints what is left in the write-ahead log, so that the next commit begins it anew.
    fn maintain(&mut self) -> Answer<'_, ()> {
        Box::pin(self.run(sqlx::query(CHECKPOINT)))
    }

    fn exclusive(&mut self) -> Answer<'_, Box<dyn Exclusive + '_>> {
        Box::pin(async move {
            let transaction = self.connection().await?.begin_with(BEGIN).await?;
            Ok(Box::new(Reading(transaction)) as Box<dyn Exclusive>)
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.checkpoints.end().await;
            // The readers close last and cannot write: without this an orderly end leaves the newest entries in the write-ahead log,
            // and whoever then copies the one file that they know about loses them.
            if self.connection.is_some()
                && let Err(fault) = self.empty_log().await
            {
                tracing::warn!(%fault, "the newest entries stay in the write-ahead log");
            }
            if let Some(connection) = self.connection.take() {
                let _closed = connection.close().await;
            }
            Ok(())
        })
    }

    #[cfg(test)]
    fn limit_room(&mut self, is_full: bool) -> Answer<'_, ()> {
        // The limit is that of a connection, and a failed one is replaced. SQLite takes the present size for a smaller limit.
        let limit = if is_full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 4294967294" };
        Box::pin(async move {
            sqlx::raw_sql(limit).execute(self.connection().await?).await?;
            Ok(())
        })
    }
}
