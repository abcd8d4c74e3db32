//! The writer: one connection, one transaction at a time, nothing else awaited inside.
//!
//! [`Store`] is the seam at which the failure table of the tests stands (STYLE.md 19): each step may fail, and a commit may fail
//! and yet be persisted.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection};

use super::batch::{Batch, Beside, Head, Row};
use super::fault::StoreFault;
use super::schema::sql;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::proof_key::ProofKey;

/// What the database says of its end: the head row, and where the entries really end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head row.
    pub head: Head,
    /// One more than the greatest index.
    pub rows: u64,
}

/// The write side of the database. Calls come in the order begin, spend, append, commit; abort ends any of them. A fault of `append`
/// may come up in `commit`: an implementation may keep what is to be written until then.
pub trait Store: Send + 'static {
    /// Takes the write lock, reads the head, and marks `proofs` as spent, on the guess that the head is the expected one; returns it,
    /// and those proofs that were not spent before.
    fn begin(
        &mut self,
        proofs: &[(ProofKey, Timestamp)],
    ) -> impl Future<Output = Result<(Found, HashSet<ProofKey>), StoreFault>> + Send;
    /// Marks proofs as spent; returns those that were not spent before.
    fn spend(&mut self, proofs: &[(ProofKey, Timestamp)])
    -> impl Future<Output = Result<HashSet<ProofKey>, StoreFault>> + Send;
    /// Forgets spent proofs of one slice of the key space (0 to 255) whose time is over.
    fn purge(&mut self, slice: u8, now: Timestamp) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Writes a batch.
    fn append(&mut self, batch: Batch) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Makes it durable. After an error it may or may not be: read the head.
    fn commit(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Gives the lock back, nothing written.
    fn abort(&mut self) -> impl Future<Output = ()> + Send;
    /// Reads the head outside of a transaction.
    fn head(&mut self) -> impl Future<Output = Result<Found, StoreFault>> + Send;
    /// Takes the lock, writes some pages and commits: whether the disk has room again.
    fn probe(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Empties the write-ahead log, which else keeps what was deleted from the tables.
    fn sweep(&mut self) -> impl Future<Output = Result<(), StoreFault>> + Send;
    /// Closes the connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// SQLite.
pub struct SqliteStore {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// What `commit` still has to write.
    tail: Option<Tail>,
}

/// The end of a batch: rows that fit into one statement, and the batch's own line.
struct Tail {
    rows: Vec<Row>,
    first: u64,
    prior_root: Digest,
    prior_change: Option<u64>,
    after: Head,
    mac: [u8; 32],
}

/// The head row, where the entries end, and how many rows the statement before it wrote.
const HEAD: &str = "SELECT size, root, last_change, time, (SELECT max(idx) FROM entries), changes() FROM head WHERE id = 1";
const BEGIN: &str = "BEGIN IMMEDIATE";
const BATCH: &str = "INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac) VALUES (?, ?, ?, ?, ?, ?); \
     UPDATE head SET size = ?, root = ?, last_change = ?, time = ? WHERE id = 1; COMMIT";

/// Rows are written in one statement, up to this many; of more, so many at once. Each statement is a hop to the thread of sqlx and
/// back, and it keeps them prepared by their text, so every size has a text of its own that stays.
const CHUNK: usize = 64;

/// Statements that stay prepared: four of every size, and the rest of this file's.
pub const STATEMENTS: usize = 4 * CHUNK + 16;

/// `OR FAIL` and `OR IGNORE`: a statement of many rows that may abort alone makes SQLite keep the old form of each page that it
/// touches in a statement journal, which from 64 KiB on is a temporary file. Here a failure ends the transaction in any case, and a
/// proof that is there already is the one thing that is ignored.
const INTO_ENTRIES: &str = "INSERT OR FAIL INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) VALUES ";
const ENTRY: &str = "(?,?,?,?,?,?,?,?)";
const INTO_CONSUMED: &str = "INSERT OR IGNORE INTO consumed (proof, gone_after) VALUES ";
const FRESH: &str = " RETURNING proof";

static ENTRIES: LazyLock<Vec<&str>> = LazyLock::new(|| sizes(|rows| statement(INTO_ENTRIES, ENTRY, rows, "")));
static CONSUMED: LazyLock<Vec<&str>> = LazyLock::new(|| sizes(|rows| statement(INTO_CONSUMED, "(?,?)", rows, FRESH)));
/// The first hop of a batch: lock, proofs, head.
static BEGIN_SPENDING: LazyLock<Vec<&str>> =
    LazyLock::new(|| sizes(|rows| statement(&format!("{BEGIN}; {INTO_CONSUMED}"), "(?,?)", rows, &format!("; {HEAD}"))));
/// Its second and last: rows, the batch's line, head, commit.
static ENTRIES_AND_COMMIT: LazyLock<Vec<&str>> =
    LazyLock::new(|| sizes(|rows| statement(INTO_ENTRIES, ENTRY, rows, &format!("; {BATCH}"))));

fn sizes(of: impl Fn(usize) -> &'static str) -> Vec<&'static str> {
    (1..=CHUNK).map(of).collect()
}

/// Made once per size and kept as long as the program: `sqlx` takes only such a text without doubt.
fn statement(head: &str, row: &str, rows: usize, tail: &str) -> &'static str {
    format!("{head}{}{tail}", vec![row; rows].join(",")).leak()
}

impl SqliteStore {
    /// Connects.
    pub async fn connect(options: SqliteConnectOptions) -> Result<Self, StoreFault> {
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection, tail: None })
    }

    /// Makes the tables of a new database.
    pub async fn create(&mut self, tables: &'static str) -> Result<(), StoreFault> {
        let head = Head::empty();
        let connection = self.connection().await?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(tables).execute(&mut *transaction).await?;
        let insert = sqlx::query("INSERT INTO head (id, size, root, last_change, time) VALUES (1, 0, ?, NULL, 0)");
        insert.bind(head.root.0.to_vec()).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Sets a limit of this connection, as a full disk would.
    #[cfg(test)]
    pub async fn limit(&mut self, pragma: &'static str) -> Result<(), StoreFault> {
        sqlx::raw_sql(pragma).execute(self.connection().await?).await?;
        Ok(())
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreFault> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        // Invariant: set above.
        Ok(self.connection.as_mut().expect("a connection was made"))
    }

    async fn run(&mut self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<(), StoreFault> {
        query.execute(self.connection().await?).await?;
        Ok(())
    }

    async fn write(&mut self, rows: Vec<Row>) -> Result<(), StoreFault> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let (chunk, text) = fitting(rows.len(), &ENTRIES);
            let query = rows.by_ref().take(chunk).fold(sqlx::query(text), bind_row);
            self.run(query).await?;
        }
        Ok(())
    }

    async fn write_beside(&mut self, beside: Beside) -> Result<(), StoreFault> {
        for row in beside.texts {
            let insert = sqlx::query("INSERT INTO texts (digest, salt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
            self.run(insert.bind(row.digest.0.to_vec()).bind(row.salt.to_vec()).bind(row.text)).await?;
        }
        for digest in beside.erased {
            self.run(sqlx::query("DELETE FROM texts WHERE digest = ?").bind(digest.0.to_vec())).await?;
        }
        for blob in beside.sealed {
            let insert = sqlx::query("INSERT INTO keyring (name, sealed) VALUES (?, ?)");
            self.run(insert.bind(blob.name.as_str().to_owned()).bind(blob.sealed)).await?;
        }
        for name in beside.destroyed {
            self.run(sqlx::query("DELETE FROM keyring WHERE name = ?").bind(name.as_str().to_owned())).await?;
        }
        Ok(())
    }
}

type Statement = Query<'static, Sqlite, SqliteArguments>;

fn bind_row(query: Statement, row: Row) -> Statement {
    query
        .bind(sql(row.index))
        .bind(row.time.as_seconds())
        .bind(row.kind)
        .bind(row.subject)
        .bind(row.request)
        .bind(row.token)
        .bind(row.body)
        .bind(row.leaf.0.to_vec())
}

fn bind_proof(query: Statement, (proof, until): &(ProofKey, Timestamp)) -> Statement {
    query.bind(proof.0.0.to_vec()).bind(until.as_seconds())
}

/// How many of `rows` go at once, and their statement. There is at least one.
fn fitting(rows: usize, statements: &[&'static str]) -> (usize, &'static str) {
    let chunk = rows.clamp(1, CHUNK);
    // Invariant: there is a statement for every size from 1 to `CHUNK`.
    (chunk, statements.get(chunk - 1).expect("a statement of this size"))
}

impl Store for SqliteStore {
    async fn begin(&mut self, proofs: &[(ProofKey, Timestamp)]) -> Result<(Found, HashSet<ProofKey>), StoreFault> {
        self.tail = None;
        if !proofs.is_empty() && proofs.len() <= CHUNK {
            let query = proofs.iter().fold(sqlx::query(fitting(proofs.len(), &BEGIN_SPENDING).1), bind_proof);
            let rows = query.fetch_all(self.connection().await?).await?;
            let (row, found) = (rows.first(), found(rows.first())?);
            let written: i64 = row.map_or(Ok(0), |row| row.try_get(5))?;
            if number(written)? == proofs.len() as u64 {
                return Ok((found, proofs.iter().map(|(proof, _)| *proof).collect()));
            }
            // Some were spent before: which of them costs a second look, that only a replay pays.
            self.run(sqlx::query("ROLLBACK")).await?;
        }
        self.run(sqlx::query(BEGIN)).await?;
        let found = self.head().await?;
        Ok((found, self.spend(proofs).await?))
    }

    async fn spend(&mut self, proofs: &[(ProofKey, Timestamp)]) -> Result<HashSet<ProofKey>, StoreFault> {
        let mut fresh = HashSet::with_capacity(proofs.len());
        let mut rest = proofs;
        while !rest.is_empty() {
            let (chunk, text) = fitting(rest.len(), &CONSUMED);
            let (now, later) = rest.split_at(chunk);
            let query = now.iter().fold(sqlx::query(text), bind_proof);
            for row in query.fetch_all(self.connection().await?).await? {
                fresh.insert(ProofKey(digest(&row, 0)?));
            }
            rest = later;
        }
        Ok(fresh)
    }

    async fn purge(&mut self, slice: u8, now: Timestamp) -> Result<(), StoreFault> {
        let from = vec![slice];
        // Blobs compare byte by byte: all that begin with `slice`, and all that follow the last slice.
        let to = slice.checked_add(1).map_or_else(|| vec![0xff; 33], |next| vec![next]);
        let delete = sqlx::query("DELETE FROM consumed WHERE proof >= ? AND proof < ? AND gone_after < ?");
        self.run(delete.bind(from).bind(to).bind(now.as_seconds())).await
    }

    async fn append(&mut self, batch: Batch) -> Result<(), StoreFault> {
        let Batch { mut rows, tiles, prior_root, prior_change, after, mac, beside } = batch;
        let first = rows.first().map_or(after.size, |row| row.index);
        // What fits into one statement goes with the commit: each statement is a hop to SQLite's thread and back.
        let last = rows.split_off(rows.len() - rows.len().min(CHUNK));
        self.write(rows).await?;
        for tile in tiles {
            let insert = sqlx::query("INSERT INTO tiles (level, idx, content) VALUES (?, ?, ?)");
            self.run(insert.bind(i64::from(tile.level)).bind(sql(tile.index)).bind(tile.content)).await?;
        }
        self.write_beside(beside).await?;
        self.tail = Some(Tail { rows: last, first, prior_root, prior_change, after, mac });
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreFault> {
        let Some(Tail { rows, first, prior_root, prior_change, after, mac }) = self.tail.take() else {
            return self.run(sqlx::query("COMMIT")).await;
        };
        let text = if rows.is_empty() { BATCH } else { fitting(rows.len(), &ENTRIES_AND_COMMIT).1 };
        let query = rows
            .into_iter()
            .fold(sqlx::query(text), bind_row)
            .bind(sql(first))
            .bind(sql(after.size))
            .bind(prior_root.0.to_vec())
            .bind(after.root.0.to_vec())
            .bind(prior_change.map(sql))
            .bind(mac.to_vec())
            .bind(sql(after.size))
            .bind(after.root.0.to_vec())
            .bind(after.last_change.map(sql))
            .bind(after.time.as_seconds());
        self.run(query).await
    }

    async fn abort(&mut self) {
        self.tail = None;
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

    async fn probe(&mut self) -> Result<(), StoreFault> {
        // More than a commit of some tokens: a disk that has room for one page only is full. Deleted pages are written, as zeros.
        let probe = "BEGIN IMMEDIATE; INSERT INTO tiles (level, idx, content) VALUES (-1, 0, zeroblob(262144)); \
                     DELETE FROM tiles WHERE level = -1; COMMIT";
        let outcome = self.run(sqlx::query(probe)).await;
        if outcome.is_err() {
            self.abort().await;
        }
        outcome
    }

    async fn sweep(&mut self) -> Result<(), StoreFault> {
        self.run(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")).await
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

/// A column of 32 bytes.
pub fn digest(row: &SqliteRow, column: usize) -> Result<Digest, StoreFault> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map(Digest).map_err(|_| strange("a hash that is not of 32 bytes"))
}

/// A number that is never negative.
pub fn number(value: i64) -> Result<u64, StoreFault> {
    u64::try_from(value).map_err(|_| strange("a negative number"))
}

/// A time.
pub fn time(value: i64) -> Result<Timestamp, StoreFault> {
    Timestamp::from_seconds(value).ok_or_else(|| strange("a time outside the years 1970 to 9999"))
}

/// A row that nothing of ours writes.
pub fn strange(what: &'static str) -> StoreFault {
    StoreFault(sqlx::Error::Decode(what.into()))
}
