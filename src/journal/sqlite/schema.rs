//! The tables, their versions, and the options of connections to them.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};

/// The version of these tables. Any other is refused.
///
/// No node guesses at rows that decide who gets a token.
pub const VERSION: i64 = 8;

/// Versions whose tables read alike: version 6 has one more index, version 7 the people directory, and version 8 the counts of uses, which
/// are no evidence. Evidence of an older program verifies as it is.
pub const READABLE: [i64; 4] = [5, 6, 7, VERSION];

/// When each client was last issued a token: a row of it is written with every batch.
macro_rules! last_use {
    () => {
        "CREATE TABLE last_use (subject TEXT PRIMARY KEY, idx INTEGER NOT NULL, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    };
}

/// Recent requests of staff with an `Idempotency-Key`, with their answers.
///
/// A request is `begun` with its first change, and `done` when it is answered; one that changed nothing is `told`.
macro_rules! answers {
    () => {
        "
CREATE TABLE answers (
    person BLOB NOT NULL, key BLOB NOT NULL, fingerprint BLOB NOT NULL, request TEXT NOT NULL, since INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('begun', 'done', 'told')), answer BLOB, PRIMARY KEY (person, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_since ON answers (since);
CREATE INDEX answers_kept ON answers (person, since) WHERE answer NOTNULL;"
    };
}

/// The progress of the round in which spent proofs move (`spent`).
///
/// It is the last key that moved in this round, and the first entry after its beginning.
macro_rules! round {
    () => {
        "
CREATE TABLE round (id INTEGER PRIMARY KEY CHECK (id = 1), moved BLOB, first INTEGER NOT NULL) STRICT;"
    };
}

/// The end of the log, with the sums over the side tables (`sums`).
///
/// Without sums a start proves those tables by all entries, and writes the sums.
macro_rules! head {
    () => {
        "
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL, last_change INTEGER, time INTEGER NOT NULL,
    sums BLOB NOT NULL
) STRICT;"
    };
}

/// The index by which entries of a kind are found. Issued entries are nearly all, and need none: no token pays for it.
macro_rules! found_by {
    () => {
        "
CREATE INDEX IF NOT EXISTS entries_kind ON entries (kind, idx) WHERE kind <> 'issued';"
    };
}

/// The people directory: a row for each person, and the generation of all rows with the tag over them (`journal::people`).
macro_rules! people {
    () => {
        "
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS directory (
    id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, tag BLOB NOT NULL
) STRICT;"
    };
}

/// The counts of uses by day, the texts of the uses, and the tags of days and head (`journal::uses`).
macro_rules! uses {
    () => {
        "
CREATE TABLE IF NOT EXISTS uses (
    day INTEGER NOT NULL, use BLOB NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    until INTEGER NOT NULL, PRIMARY KEY (day, use)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS use_texts (
    use BLOB PRIMARY KEY, client TEXT NOT NULL, body TEXT NOT NULL, newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS use_texts_client ON use_texts (client) WHERE client <> '';
CREATE TABLE IF NOT EXISTS use_days (day INTEGER PRIMARY KEY, tag BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS uses_head (
    id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, at INTEGER NOT NULL, since INTEGER NOT NULL, tag BLOB NOT NULL
) STRICT;"
    };
}

/// Versions that a writer upgrades, each with the statements that lead to the next.
///
/// Version 2 gets the last use of each client; 3 the answers and the round; 4 the column of the sums, which need the KEK; 5 the
/// index by kind; 6 the people directory; 7 the counts of uses.
pub const UPGRADES: [(i64, &str); 6] = [
    (
        2,
        concat!(
            last_use!(),
            "
INSERT INTO last_use (subject, idx, time) SELECT subject, max(idx), max(time) FROM entries WHERE kind = 'issued' GROUP BY subject;
UPDATE meta SET version = 3;
"
        ),
    ),
    (3, concat!(answers!(), round!(), "\nINSERT INTO round SELECT 1, NULL, size FROM head; UPDATE meta SET version = 4;")),
    (
        4,
        concat!(
            "ALTER TABLE head RENAME TO head_before;",
            head!(),
            "
INSERT INTO head (id, size, root, last_change, time, sums) SELECT id, size, root, last_change, time, x'' FROM head_before;
DROP TABLE head_before;
UPDATE meta SET version = 5;
"
        ),
    ),
    (5, concat!(found_by!(), "\nUPDATE meta SET version = 6;")),
    (6, concat!(people!(), "\nUPDATE meta SET version = 7;")),
    (7, concat!(uses!(), "\nUPDATE meta SET version = 8;")),
];

/// The tables of a new database.
///
/// Entries, tiles and consumed proofs lie apart, so that old issuance entries can leave for sealed segments while changes and tiles stay. Secondary indexes are few: each is paid by every token. A proof has no index on its expiry; the writer
/// purges slices of the primary key instead. Proofs come to `consumed` by way of `consumed_lately`, a row for each batch (`spent`).
pub const TABLES: &str = concat!(
    last_use!(),
    answers!(),
    round!(),
    head!(),
    people!(),
    uses!(),
    "
CREATE TABLE meta (version INTEGER NOT NULL) STRICT;
INSERT INTO meta (version) VALUES (8);
INSERT INTO round (id, first) VALUES (1, 0);
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT, jti TEXT,
    body TEXT NOT NULL, leaf BLOB NOT NULL
) STRICT;
CREATE INDEX entries_changes ON entries (idx) WHERE kind NOT IN ('issued', 'refused', 'refusals');
CREATE INDEX entries_request ON entries (request_id) WHERE request_id IS NOT NULL;",
    found_by!(),
    "
CREATE TABLE batches (
    first INTEGER PRIMARY KEY, size_after INTEGER NOT NULL, prior_root BLOB NOT NULL, root BLOB NOT NULL, prior_change INTEGER,
    mac BLOB NOT NULL
) STRICT;
CREATE TABLE tiles (level INTEGER NOT NULL, idx INTEGER NOT NULL, content BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT;
CREATE TABLE consumed (proof BLOB PRIMARY KEY, gone_after INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE consumed_lately (first INTEGER PRIMARY KEY, proofs BLOB NOT NULL) STRICT;
CREATE TABLE texts (digest BLOB PRIMARY KEY, salt BLOB NOT NULL, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE keyring (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
"
);

/// The one connection that writes.
///
/// `durable`: a commit that returned is on the disk (WAL, synchronous=FULL). Without it only a journal that ends with its process may run.
/// Deleted bytes are overwritten: erased texts and destroyed keys.
pub fn writer(path: &Path, durable: bool) -> SqliteConnectOptions {
    let synchronous = if durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
    connection(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("secure_delete", "ON")
        // The log stays out of temporary files: their place is not configured, and may not exist.
        .pragma("temp_store", "MEMORY")
        // The keys of spent proofs are random, so pages of `consumed` stay in memory. Without `wal_checkpoint` the writer checkpoints
        // once in 32 MB of log (SQLite's default is 4), so that a page is copied once for many tokens. The cache is no larger,
        // because SQLite walks its table at each commit.
        .pragma("cache_size", "-8192")
        .pragma("wal_autocheckpoint", "8192")
        .statement_cache_capacity(super::statement::KEPT)
        .thread_name(|_| "journal-writer".to_owned())
}

/// The connection that checkpoints the write-ahead log, and writes nothing else.
pub fn checkpointer(path: &Path, durable: bool) -> SqliteConnectOptions {
    writer(path, durable).thread_name(|_| "journal-checkpointer".to_owned())
}

/// A connection that cannot write.
pub fn reader(path: &Path) -> SqliteConnectOptions {
    connection(path).read_only(true).thread_name(|_| "journal-reader".to_owned())
}

fn connection(path: &Path) -> SqliteConnectOptions {
    // A file that is not there is never made by accident (ABUSE F-14: silent new database).
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(Duration::from_secs(2));
    options.disable_statement_logging()
}

/// The version of the tables; none where they are not ours.
pub async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    match sqlx::query("SELECT version FROM meta").fetch_optional(connection).await {
        Ok(row) => row.map(|row| row.try_get(0)).transpose(),
        Err(sqlx::Error::Database(error)) if error.message().starts_with("no such table") => Ok(None),
        Err(error) => Err(error),
    }
}
