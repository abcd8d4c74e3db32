//! Transactions that are no batch.
//!
//! Each function ends the transaction that it begins, unless it fails.

use super::connection::{BEGIN, COMMIT, Connection, ROLLBACK};
use super::side::Side;
use super::statement::{LOCK, kept};
use crate::journal::fault::StoreFault;
use crate::journal::store::column::sql;
use crate::journal::store::write::Probe;

/// Why it was not done.
pub enum Fault {
    /// Everything was taken back, and the same may go well again.
    Again(StoreFault),
    /// Any other reason.
    Other(StoreFault),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        StoreFault::from(error).into()
    }
}

impl From<StoreFault> for Fault {
    fn from(fault: StoreFault) -> Self {
        if matches!(fault, StoreFault::Again(_)) { Self::Again(fault) } else { Self::Other(fault) }
    }
}

const LEAVE: &str = "DELETE FROM entries WHERE idx >= $1 AND idx < $2 AND kind IN ('issued', 'refused', 'refusals')";
const PROBE: &str = "INSERT INTO tiles (level, idx, content) VALUES (-1, 0, decode(repeat('00', $1::int4), 'hex'))";
const PROBED: &str = "DELETE FROM tiles WHERE level = -1";

/// A generation is truncated only where nobody reads it: the lock of the head is not held for longer than an exchange notices.
const TRUNCATES: &str = "SET LOCAL lock_timeout = '100ms'";
const TRUNCATE: [&str; 2] = ["TRUNCATE spent_0", "TRUNCATE spent_1"];
const TRUNCATED: [&str; 2] = [
    "UPDATE head SET sums = $1, until_0 = NULL, turn = turn + 1 WHERE id = 1",
    "UPDATE head SET sums = $1, until_1 = NULL, turn = turn + 1 WHERE id = 1",
];

/// Where people's words were. A table that is being read keeps what its readers still see.
const SCRUB: [&str; 4] = ["VACUUM texts", "VACUUM keyring", "VACUUM answers", "VACUUM people"];

/// Writes the data keys that are left into a file of their own. Readers of texts wait for it, and it does not wait long for them.
const REWRITE: [&str; 3] = ["SET lock_timeout = '1s'", "VACUUM FULL data_keys", "RESET lock_timeout"];

/// Deletes the issuance and refusal entries of a range.
pub async fn leave(connection: &mut Connection, from: u64, until: u64) -> Result<(), Fault> {
    connection.simple(BEGIN).await?;
    connection.run(LEAVE, &[&sql(from), &sql(until)]).await?;
    Ok(connection.simple(COMMIT).await?)
}

/// Takes the lock, writes, and deletes what it wrote.
pub async fn probe(connection: &mut Connection, probe: Probe) -> Result<(), Fault> {
    // More than a commit of some tokens: a disk that has room for one page only is full.
    let bytes: i32 = match probe {
        Probe::Line => 1,
        Probe::Room => 262_144,
    };
    connection.simple(BEGIN).await?;
    connection.one(LOCK, &[]).await?;
    connection.run(PROBE, &[&bytes]).await?;
    connection.run(PROBED, &[]).await?;
    Ok(connection.simple(COMMIT).await?)
}

/// Truncates the old generation of spent proofs. False, and nothing is done, unless it has expired by the log's time.
///
/// Else `side` is right no more.
pub async fn truncate(connection: &mut Connection, side: &mut Side) -> Result<bool, StoreFault> {
    connection.simple(BEGIN).await?;
    connection.simple(TRUNCATES).await?;
    side.know(&kept(&connection.one(LOCK, &[]).await?)?)?;
    let Some((old, sums)) = side.emptied() else {
        connection.simple(ROLLBACK).await?;
        return Ok(false);
    };
    connection.simple(TRUNCATE[old]).await?;
    connection.run(TRUNCATED[old], &[&sums]).await?;
    connection.simple(COMMIT).await?;
    Ok(true)
}

/// Takes deleted rows out of the tables.
pub async fn scrub(connection: &mut Connection) -> Result<(), Fault> {
    for statement in REWRITE.into_iter().chain(SCRUB) {
        connection.simple(statement).await?;
    }
    Ok(())
}

/// As on a full disk, no entry can be written, and what is there is read.
#[cfg(test)]
pub async fn limit_room(connection: &mut Connection, is_full: bool) -> Result<(), Fault> {
    let is_limited = connection.row("SELECT 1 FROM pg_constraint WHERE conname = 'room'", &[]).await?.is_some();
    match (is_full, is_limited) {
        (true, false) => connection.simple("ALTER TABLE entries ADD CONSTRAINT room CHECK (false) NOT VALID").await?,
        (false, true) => connection.simple("ALTER TABLE entries DROP CONSTRAINT room").await?,
        (true, true) | (false, false) => {}
    }
    Ok(())
}
