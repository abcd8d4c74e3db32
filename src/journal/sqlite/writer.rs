//! The writer: one connection, one transaction at a time, nothing else awaited inside.
//!
//! [`Store`] is the seam at which the failure table of the tests stands (CONTRIBUTING.md, 19): each step may fail, and a commit may fail
//! and yet be persisted.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection, Transaction};

use super::answers;
use super::column::sql;
use super::column::{digest, number, time};
use super::schema::{self, UPGRADES};
use super::side::{self, Side};
use super::spent::{Memory, Spent};
use super::statement::{self, BEGIN, HEAD, MOST, NOT_NULL, Tail};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers::{Idempotency, Sealed};
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::{Batch, Beside, Row};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::sums::SumKey;
use crate::journal::tree::tiles::WIDTH;

/// Carries the write-ahead log home as far as nobody is kept waiting by it.
pub const CARRY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// How long a sweep waits for others to leave the log, and how often it looks.
const SWEEPING: Duration = Duration::from_secs(2);
const SWEEPING_PAUSE: Duration = Duration::from_millis(20);

/// What became of a batch that was tried at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// It is durable.
    Done,
    /// Nothing was written: the log ends elsewhere, a proof was spent before, or the batch is not one that goes at once. Which of it,
    /// the other calls tell.
    Not,
}

/// The write side of the database. Either `record`, or calls in the order begin, spend, append, commit; abort ends any of them. A fault
/// of `append` may come up in `commit`: an implementation may keep what is to be written until then.
pub trait Store: Send + 'static {
    /// Whether it is worth while to make a batch of so many rows after `prior` for [`Self::record`].
    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool;
    /// Takes the lock, looks whether the log ends where `batch` begins and none of `proofs` was spent, writes it, spends them and commits.
    /// After an error it may or may not be durable: read the head.
    fn record(&mut self, batch: Batch, proofs: &[Spent]) -> impl Future<Output = Result<Tried, StoreFault>> + Send;
    /// Takes the write lock, reads the head, and spends `proofs`, on the guess that the head is the expected one; returns it, and
    /// those proofs that were not spent before.
    fn begin(&mut self, proofs: &[Spent]) -> impl Future<Output = Result<(Found, HashSet<ProofKey>), StoreFault>> + Send;
    /// Spends proofs, as the commit says; returns those that were not spent before.
    fn spend(&mut self, proofs: &[Spent]) -> impl Future<Output = Result<HashSet<ProofKey>, StoreFault>> + Send;
    /// Forgets spent proofs of one slice of the key space (0 to 255) whose time is over.
    fn purge(&mut self, slice: u8, now: Timestamp) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Issuance and refusal entries of this range leave the table. All, or after an error perhaps none.
    fn leave(&mut self, from: u64, until: u64) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// After begin: `request` is the one that is done for its key, as the commit says. False where another one was.
    fn claim(
        &mut self,
        once: &Idempotency,
        request: &RequestId,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreFault>> + Send;
    /// Keeps answers, and forgets requests whose time is over, in a transaction of its own. After an error perhaps not.
    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Writes a batch.
    fn append(&mut self, batch: Batch) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Makes it durable. After an error it may or may not be: read the head.
    fn commit(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Gives the lock back, nothing written.
    fn abort(&mut self) -> impl Future<Output = ()> + Send;
    /// Reads the head outside of a transaction.
    fn head(&mut self) -> impl Future<Output = Result<Found, StoreFault>> + Send;
    /// Takes the lock, writes and commits: whether the disk takes writes.
    fn probe(&mut self, probe: Probe) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Carries home what is left in the write-ahead log, so that it begins anew.
    fn carry(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Empties the write-ahead log, which else keeps what was deleted from the tables. An error: somebody reads in it, and it stays.
    fn sweep(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Closes the connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// What a probe writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A line.
    Line,
    /// As much as a commit of some tokens.
    Room,
}

/// SQLite.
pub struct SqliteStore {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// What `commit` still has to write.
    tail: Option<Tail>,
    /// The tables beside the entries.
    side: Side,
    key: SumKey,
}

impl SqliteStore {
    /// Connects. `key` is that of the sums over the tables beside the entries.
    pub async fn connect(options: SqliteConnectOptions, key: SumKey) -> Result<Self, StoreFault> {
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection, tail: None, side: Side::unknown(key.clone()), key })
    }

    /// The proofs that were spent lately, for who reads.
    pub fn lately(&self) -> Memory {
        self.side.lately()
    }

    /// Makes the tables of a new database.
    pub async fn create(&mut self, tables: &'static str) -> Result<(), StoreFault> {
        let (head, key) = (Head::empty(), self.key.clone());
        let connection = self.connection().await?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(tables).execute(&mut *transaction).await?;
        let insert = sqlx::query("INSERT INTO head (id, size, root, last_change, time, sums) VALUES (1, 0, ?, NULL, 0, x'')");
        insert.bind(head.root.0.to_vec()).execute(&mut *transaction).await?;
        side::found(&mut transaction, &key, &head).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes the lock for what writes before there is a sequencer.
    pub async fn alone(&mut self) -> Result<Transaction<'_, Sqlite>, StoreFault> {
        Ok(self.connection().await?.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Brings tables of earlier versions to this one. Any other is left for whoever reads it to refuse.
    pub async fn upgrade(&mut self) -> Result<(), StoreFault> {
        for (before, upgrade) in UPGRADES {
            let connection = self.connection().await?;
            if schema::version(connection).await? != Some(before) {
                continue;
            }
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            // Another process may have been first.
            if schema::version(&mut transaction).await? == Some(before) {
                sqlx::raw_sql(upgrade).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Sets a limit of this connection, as a full disk would.
    #[cfg(test)]
    pub async fn limit(&mut self, pragma: &'static str) -> Result<(), StoreFault> {
        sqlx::raw_sql(pragma).execute(self.connection().await?).await?;
        Ok(())
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
}

impl Store for SqliteStore {
    fn goes_at_once(&self, prior: &Head, rows: usize, proofs: &[Spent]) -> bool {
        // A tile that becomes full is written by itself.
        let fills_tile = prior.size % u64::from(WIDTH) + rows as u64 >= u64::from(WIDTH);
        (1..=MOST).contains(&rows) && proofs.len() <= rows && !fills_tile && self.side.only_adds(prior, proofs)
    }

    async fn record(&mut self, batch: Batch, proofs: &[Spent]) -> Result<Tried, StoreFault> {
        if !batch.tiles.is_empty() || !batch.beside.is_empty() || !self.goes_at_once(&batch.prior, batch.rows.len(), proofs) {
            return Ok(Tried::Not);
        }
        let after = batch.after.clone();
        self.side.spend_at_once(proofs);
        self.side.uses(&batch.rows);
        let sums = self.side.sums_after(batch.prior.size, &after)?;
        match self.run(statement::at_once(batch, proofs, sums)).await {
            Ok(()) => {
                self.side.take(after);
                Ok(Tried::Done)
            }
            Err(StoreFault(sqlx::Error::Database(fault))) if fault.code().as_deref() == Some(NOT_NULL) => {
                self.abort().await;
                Ok(Tried::Not)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn begin(&mut self, proofs: &[Spent]) -> Result<(Found, HashSet<ProofKey>), StoreFault> {
        self.tail = None;
        self.side.clear();
        if proofs.is_empty() || proofs.len() > MOST {
            self.run(sqlx::query(BEGIN)).await?;
            let found = self.head().await?;
            let (connection, side) = self.beside().await?;
            side.know(connection, &found).await?;
            return Ok((found, self.spend(proofs).await?));
        }
        let mut rows = statement::begin_spending(proofs).fetch_all(self.connection().await?).await?;
        let found = found(rows.pop().as_ref())?;
        let (connection, side) = self.beside().await?;
        side.know(connection, &found).await?;
        let among = rows.iter().map(|row| Ok(ProofKey(digest(row, 0)?))).collect::<Result<_, StoreFault>>()?;
        Ok((found, side.spend_all_but(&among, proofs)))
    }

    async fn spend(&mut self, proofs: &[Spent]) -> Result<HashSet<ProofKey>, StoreFault> {
        let mut among = HashSet::new();
        for chunk in proofs.chunks(MOST) {
            for row in statement::among_consumed(chunk).fetch_all(self.connection().await?).await? {
                among.insert(ProofKey(digest(&row, 0)?));
            }
        }
        Ok(self.side.spend_all_but(&among, proofs))
    }

    async fn purge(&mut self, slice: u8, now: Timestamp) -> Result<(), StoreFault> {
        let (connection, side) = self.beside().await?;
        side.purge(connection, slice, now).await
    }

    async fn leave(&mut self, from: u64, until: u64) -> Result<(), StoreFault> {
        let delete = "DELETE FROM entries WHERE idx >= ? AND idx < ? AND kind IN ('issued', 'refused', 'refusals')";
        self.run(sqlx::query(delete).bind(sql(from)).bind(sql(until))).await
    }

    async fn claim(&mut self, once: &Idempotency, request: &RequestId, now: Timestamp) -> Result<bool, StoreFault> {
        answers::claim(self.connection().await?, (once, request), now).await
    }

    async fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Result<(), StoreFault> {
        let kept = self.try_keep(all, now).await;
        if kept.is_err() {
            self.abort().await;
        }
        kept
    }

    async fn append(&mut self, batch: Batch) -> Result<(), StoreFault> {
        let Batch { mut rows, tiles, prior, after, mac, beside } = batch;
        self.side.uses(&rows);
        // What fits into one statement goes with the commit: each statement is a hop to SQLite's thread and back.
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
    }

    async fn commit(&mut self) -> Result<(), StoreFault> {
        let Some(tail) = self.tail.take() else {
            return self.run(sqlx::query("COMMIT")).await;
        };
        let after = tail.after.clone();
        let sums = self.side.sums_after(tail.prior.size, &after)?;
        self.run(statement::entries_and_commit(tail, self.side.spends(), sums)).await?;
        self.side.take(after);
        Ok(())
    }

    async fn abort(&mut self) {
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

    async fn head(&mut self) -> Result<Found, StoreFault> {
        let row = sqlx::query(HEAD).fetch_optional(self.connection().await?).await?;
        found(row.as_ref())
    }

    async fn probe(&mut self, probe: Probe) -> Result<(), StoreFault> {
        let probe = match probe {
            Probe::Line => {
                "BEGIN IMMEDIATE; INSERT INTO tiles (level, idx, content) VALUES (-1, 0, zeroblob(1)); \
                 DELETE FROM tiles WHERE level = -1; COMMIT"
            }
            // More than a commit of some tokens: a disk that has room for one page only is full. Deleted pages are written, as zeros.
            Probe::Room => {
                "BEGIN IMMEDIATE; INSERT INTO tiles (level, idx, content) VALUES (-1, 0, zeroblob(262144)); \
                 DELETE FROM tiles WHERE level = -1; COMMIT"
            }
        };
        let outcome = self.run(sqlx::query(probe)).await;
        if outcome.is_err() {
            self.abort().await;
        }
        outcome
    }

    async fn carry(&mut self) -> Result<(), StoreFault> {
        self.run(sqlx::query(CARRY)).await
    }

    async fn sweep(&mut self) -> Result<(), StoreFault> {
        let begun = Instant::now();
        loop {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(self.connection().await?).await?;
            // Kept from it by a reader or by the carrier, it is no error to SQLite.
            if row.try_get::<i64, _>(0)? == 0 {
                return Ok(());
            }
            if begun.elapsed() > SWEEPING {
                return Err(StoreFault(sqlx::Error::Protocol("somebody reads in the write-ahead log".to_owned())));
            }
            tokio::time::sleep(SWEEPING_PAUSE).await;
        }
    }

    async fn close(&mut self) {
        // The readers close last and cannot write: without this an orderly end leaves the newest entries in the write-ahead log,
        // and whoever then copies the one file that they know about loses them.
        if self.connection.is_some()
            && let Err(fault) = self.sweep().await
        {
            tracing::warn!(%fault, "the newest entries stay in the write-ahead log");
        }
        if let Some(connection) = self.connection.take() {
            let _closed = connection.close().await;
        }
    }
}

/// The columns of [`HEAD`].
fn found(row: Option<&SqliteRow>) -> Result<Found, StoreFault> {
    let row = row.ok_or(StoreFault(sqlx::Error::RowNotFound))?;
    let newest: Option<i64> = row.try_get(4)?;
    let last_change: Option<i64> = row.try_get(2)?;
    let head = Head {
        size: number(row.try_get(0)?)?,
        root: digest(row, 1)?,
        last_change: last_change.map(number).transpose()?,
        time: time(row.try_get(3)?)?,
    };
    Ok(Found { head, rows: newest.map(number).transpose()?.map_or(0, |newest| newest + 1) })
}
