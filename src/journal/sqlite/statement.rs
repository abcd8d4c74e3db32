//! The statements that many rows share, with what is bound to them.
//!
//! A statement is a hop to the thread of `sqlx` and back, so a batch is one of them, or a few. Each is kept prepared by its text, and there
//! is a text for every number of places in [`PLACES`]: places that are left over are NULL, and pass for no row.
//!
//! Deliberately not here: in which order they run, and what an answer means (`store`).

use std::iter::repeat_n;
use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite};

use super::column::{digest, number, sql, time};
use super::spent;
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::{Batch, Row, Spent};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::write::Probe;

/// The end of a batch: rows that fit into one statement, and the batch's own line.
pub struct Tail {
    pub rows: Vec<Row>,
    pub prior: Head,
    pub after: Head,
    pub mac: [u8; 32],
}

pub type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Numbers of places. More rows than the last of them go in several statements.
const PLACES: [usize; 12] = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, MOST];

/// The most rows of a statement.
pub const MOST: usize = 128;

/// Statements that stay prepared: six of every number of places, and the writer's others.
pub const KEPT: usize = 6 * PLACES.len() + 28;

/// The head row, and where the entries end.
pub const HEAD: &str = "SELECT size, root, last_change, time, (SELECT max(idx) FROM entries) FROM head WHERE id = 1";

/// Takes the lock.
pub const BEGIN: &str = "BEGIN IMMEDIATE";

/// The proofs that batches spent lately.
pub const LATELY: &str = "SELECT proofs FROM consumed_lately ORDER BY first";

/// How far the round has come.
pub const ROUND: &str = "SELECT moved, first FROM round WHERE id = 1";

/// SQLite's code for a forbidden NULL: the failure of [`at_once`] if its condition does not hold.
pub const NOT_NULL: &str = "1299";

const BATCH: &str = "INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac) VALUES (?, ?, ?, ?, ?, ?)";
const REST: &str = "INSERT INTO consumed_lately (first, proofs) SELECT column1, column2 FROM (VALUES (?, ?)) WHERE column2 NOTNULL; \
     REPLACE INTO last_use (subject, idx, time) SELECT subject, max(idx), max(time) FROM entries WHERE idx >= ? AND kind = 'issued' \
     GROUP BY subject; \
     UPDATE head SET size = ?, root = ?, last_change = ?, time = ?, sums = ? WHERE id = 1";

/// The line of a batch that is tried at once.
///
/// It has a MAC, and so can be written, only if the log ends where it begins and none of these proofs is in `consumed`. A place that is
/// left over is equal to nothing.
const BATCH_IF: &str = "INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac) VALUES (?, ?, ?, ?, ?, iif( \
     (SELECT size = ? AND root = ? AND last_change IS ? AND time = ? FROM head WHERE id = 1) \
     AND (SELECT max(idx) FROM entries) = ? AND NOT EXISTS (SELECT 1 FROM consumed WHERE proof IN (";
const THEN: &str = ")), ?, NULL))";

/// Inserts entries, as a statement that SQLite runs without a statement journal.
///
/// A statement of many rows that may abort alone makes SQLite keep the old form of each page that it touches in a statement journal, which
/// from 64 KiB on is a temporary file. `OR FAIL` and `OR IGNORE` avoid that. Here a failure ends the transaction in any case, and a
/// proof that is there already is the one thing that is ignored.
const INTO_ENTRIES: &str =
    "INSERT OR FAIL INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) SELECT * FROM (VALUES ";
const INTO_CONSUMED: &str = "INSERT OR IGNORE INTO consumed (proof, gone_after) SELECT * FROM (VALUES ";
const THAT_ARE: &str = ") WHERE column1 NOTNULL";
const RETURNING: &str = " RETURNING proof, gone_after";
const ENTRY: &str = "(?,?,?,?,?,?,?,?)";
const PROOF: &str = "(?,?)";
const AMONG: &str = "SELECT proof FROM consumed WHERE proof IN (";

/// A statement, by its number of places.
type Texts = LazyLock<Vec<&'static str>>;

static INSERT_ENTRIES: Texts = LazyLock::new(|| texts(|places| [INTO_ENTRIES, &row(ENTRY, places), THAT_ARE].concat()));
static ENTRIES_AND_COMMIT: Texts = LazyLock::new(|| {
    texts(|places| [INTO_ENTRIES, &row(ENTRY, places), THAT_ARE, "; ", BATCH, "; ", REST, "; COMMIT"].concat())
});
static ENTRIES_AND_BATCH: Texts =
    LazyLock::new(|| texts(|places| [INTO_ENTRIES, &row(ENTRY, places), THAT_ARE, "; ", BATCH, "; ", REST].concat()));
static INSERT_CONSUMED: Texts =
    LazyLock::new(|| texts(|places| [INTO_CONSUMED, &row(PROOF, places), THAT_ARE, RETURNING].concat()));
static AMONG_CONSUMED: Texts = LazyLock::new(|| texts(|places| [AMONG, &row("?", places), ")"].concat()));
static BEGIN_SPENDING: Texts = LazyLock::new(|| texts(|places| [BEGIN, "; ", AMONG, &row("?", places), "); ", HEAD].concat()));
static AT_ONCE: Texts = LazyLock::new(|| {
    texts(|places| {
        let line = [BEGIN, "; ", BATCH_IF, &row("?", places), THEN].concat();
        [&line, "; ", INTO_ENTRIES, &row(ENTRY, places), THAT_ARE, "; ", REST, "; COMMIT"].concat()
    })
});

/// The texts, made once and kept as long as the program: `sqlx` takes only static texts as safe.
fn texts(of: impl Fn(usize) -> String) -> Vec<&'static str> {
    PLACES.into_iter().map(|places| -> &'static str { of(places).leak() }).collect()
}

fn row(one: &str, places: usize) -> String {
    vec![one; places].join(",")
}

/// The statement for so many rows, and its places.
fn fitting(texts: &Texts, rows: usize) -> (Statement, usize) {
    let fits = |(places, _): &(usize, _)| *places >= rows;
    // Invariant: there is a text for each of `PLACES`, and no caller has more rows than the last of them.
    let (places, text) = PLACES.into_iter().zip(texts.iter()).find(fits).expect("a text for every number of places");
    (sqlx::query(*text), places)
}

/// Writes entries, at most [`MOST`].
pub fn entries(rows: Vec<Row>) -> Statement {
    let (query, places) = fitting(&INSERT_ENTRIES, rows.len());
    bind_rows(query, rows, places)
}

/// Ends a batch: at most [`MOST`] last rows, its line, its spent proofs, the head with its sums; and commits if it is the `last` one.
pub fn end_of_batch(Tail { rows, prior, after, mac }: Tail, spends: &[Spent], sums: Vec<u8>, last: bool) -> Statement {
    let (query, places) = fitting(if last { &ENTRIES_AND_COMMIT } else { &ENTRIES_AND_BATCH }, rows.len());
    let query = bind_batch(bind_rows(query, rows, places), &prior, &after).bind(mac.to_vec());
    bind_commit(query, (&prior, &after), spends, sums)
}

/// Moves proofs to `consumed`, at most [`MOST`]. Its rows: what was not there before.
pub fn consumed(proofs: &[Spent]) -> Statement {
    let (query, places) = fitting(&INSERT_CONSUMED, proofs.len());
    let query = proofs.iter().fold(query, |query, (proof, until)| query.bind(proof.0.0.to_vec()).bind(until.as_seconds()));
    bind_nothing(query, 2 * (places - proofs.len()))
}

/// Those of `proofs`, at most [`MOST`], that are in `consumed`.
pub fn among_consumed(proofs: &[Spent]) -> Statement {
    let (query, places) = fitting(&AMONG_CONSUMED, proofs.len());
    bind_proofs(query, proofs, places)
}

/// Takes the lock; then the same rows, and the head's as the last.
pub fn begin_spending(proofs: &[Spent]) -> Statement {
    let (query, places) = fitting(&BEGIN_SPENDING, proofs.len());
    bind_proofs(query, proofs, places)
}

/// Writes a whole batch of at most [`MOST`] rows and proofs.
///
/// It fails with [`NOT_NULL`] if the log does not end where it begins, or one of `proofs` is in `consumed`.
pub fn at_once(batch: Batch, proofs: &[Spent], sums: Vec<u8>) -> Statement {
    let Batch { rows, prior, after, mac, .. } = batch;
    let (query, places) = fitting(&AT_ONCE, rows.len());
    let query = bind_batch(query, &prior, &after);
    let query = query.bind(sql(prior.size)).bind(prior.root.0.to_vec()).bind(prior.last_change.map(sql));
    let query = query.bind(prior.time.as_seconds()).bind(sql(prior.size) - 1);
    let query = bind_proofs(query, proofs, places).bind(mac.to_vec());
    bind_commit(bind_rows(query, rows, places), (&prior, &after), proofs, sums)
}

fn bind_rows(query: Statement, rows: Vec<Row>, places: usize) -> Statement {
    let left = places - rows.len();
    bind_nothing(rows.into_iter().fold(query, bind_row), 8 * left)
}

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

fn bind_proofs(query: Statement, proofs: &[Spent], places: usize) -> Statement {
    let query = proofs.iter().fold(query, |query, (proof, _)| query.bind(proof.0.0.to_vec()));
    bind_nothing(query, places - proofs.len())
}

fn bind_nothing(query: Statement, times: usize) -> Statement {
    repeat_n(None::<i64>, times).fold(query, Query::bind)
}

fn bind_batch(query: Statement, prior: &Head, after: &Head) -> Statement {
    query
        .bind(sql(prior.size))
        .bind(sql(after.size))
        .bind(prior.root.0.to_vec())
        .bind(after.root.0.to_vec())
        .bind(prior.last_change.map(sql))
}

fn bind_commit(query: Statement, (prior, after): (&Head, &Head), spends: &[Spent], sums: Vec<u8>) -> Statement {
    query
        .bind(sql(prior.size))
        .bind(spent::row(spends))
        .bind(sql(prior.size))
        .bind(sql(after.size))
        .bind(after.root.0.to_vec())
        .bind(after.last_change.map(sql))
        .bind(after.time.as_seconds())
        .bind(sums)
}

/// Takes the lock, writes, and deletes what it wrote.
pub fn probe(probe: Probe) -> &'static str {
    match probe {
        Probe::Line => {
            "BEGIN IMMEDIATE; INSERT INTO tiles (level, idx, content) VALUES (-1, 0, zeroblob(1)); \
             DELETE FROM tiles WHERE level = -1; COMMIT"
        }
        // More than a commit of some tokens: a disk that has room for one page only is full. Deleted pages are written, as zeros.
        Probe::Room => {
            "BEGIN IMMEDIATE; INSERT INTO tiles (level, idx, content) VALUES (-1, 0, zeroblob(262144)); \
             DELETE FROM tiles WHERE level = -1; COMMIT"
        }
    }
}

/// The columns of [`HEAD`].
pub fn found(row: Option<&SqliteRow>) -> Result<Found, StoreFault> {
    let row = row.ok_or(StoreFault::from(sqlx::Error::RowNotFound))?;
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
