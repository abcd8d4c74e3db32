//! The rows of the counts of uses: the SQL of their tables.

use tokio_postgres::Row;

use super::apart::Fault;
use super::column::{digest, index, subjects};
use super::connection::{BEGIN, COMMIT, Connection, ROLLBACK};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::column::{sql, time};
use crate::journal::store::uses::{StoredUses, UseRow, UsesChange, UsesHead, UsesInDays};

const HEAD: &str = "SELECT generation, at, since, tag FROM uses_head WHERE id = 1";
const LOCK: &str = "SELECT generation, at, since, tag FROM uses_head WHERE id = 1 FOR UPDATE";
const DAYS: &str = "SELECT day, tag FROM use_days ORDER BY day";
const OF_DAY: &str = "SELECT count, first, last, until, use FROM uses WHERE day = $1 ORDER BY use";
const TEXTS: &str = "SELECT use, body FROM use_texts WHERE use = ANY($1::bytea[])";
const PUT: &str = "INSERT INTO uses (day, use, count, first, last, until) \
     SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) \
     ON CONFLICT (day, use) DO UPDATE SET count = excluded.count, first = excluded.first, last = excluded.last, until = excluded.until";
const PUT_TEXT: &str = "INSERT INTO use_texts (use, client, body, newest) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (use) DO UPDATE SET newest = greatest(use_texts.newest, excluded.newest)";
const PUT_DAY: &str = "INSERT INTO use_days (day, tag) VALUES ($1, $2) ON CONFLICT (day) DO UPDATE SET tag = excluded.tag";
const PUT_HEAD: &str = "UPDATE uses_head SET generation = $1, at = $2, since = $3, tag = $4 WHERE id = 1";
const FORGETS: &str = "SELECT coalesce(min(day) < $1, false) FROM use_days";
const FORGET: [&str; 3] =
    ["DELETE FROM uses WHERE day < $1", "DELETE FROM use_days WHERE day < $1", "DELETE FROM use_texts WHERE newest < $1"];
const OF_CLIENT: &str = "SELECT uses.day, count, first, last, until, body FROM use_texts JOIN uses USING (use) \
     WHERE client = $1 AND client <> '' AND uses.day IN (SELECT day FROM use_days WHERE day >= $2)";

/// The newest day of each use of some clients. A use is counted on few days of many, and this reads one row of it.
const NEWEST: &str = "SELECT client, last, body FROM use_texts JOIN uses ON uses.day = use_texts.newest AND uses.use = use_texts.use \
     WHERE client = ANY($1::text[]) AND client <> ''";

/// The counts of uses of clients, over days.
const BETWEEN: &str = "SELECT sum(count)::int8, max(last), max(until), min(body) FROM use_texts JOIN uses USING (use) \
     WHERE client >= $1 AND client < $2 AND client <> '' AND uses.day IN (SELECT day FROM use_days WHERE day BETWEEN $3 AND $4) \
     GROUP BY use";

const CLEAR: &str = "UPDATE uses_head SET generation = 0, at = 0, since = 0, tag = '' WHERE id = 1";
const CLEAR_DAYS: &str = "DELETE FROM use_days";
const CLEAR_SOME: [&str; 2] = [
    "DELETE FROM uses WHERE (day, use) IN (SELECT day, use FROM uses LIMIT $1)",
    "DELETE FROM use_texts WHERE use IN (SELECT use FROM use_texts LIMIT $1)",
];
const LEFT: &str = "SELECT EXISTS (SELECT 1 FROM uses) OR EXISTS (SELECT 1 FROM use_texts)";

/// Rows that one clearing takes away: no transaction is long.
const CLEARED: i64 = 2_000;

/// The head; none before the first count.
async fn head(connection: &mut Connection) -> Result<Option<UsesHead>, StoreFault> {
    read_head(&connection.one(HEAD, &[]).await?)
}

/// The first write is of generation 1.
fn read_head(row: &Row) -> Result<Option<UsesHead>, StoreFault> {
    let generation = index(row, 0)?;
    if generation == 0 {
        return Ok(None);
    }
    Ok(Some(UsesHead { generation, at: index(row, 1)?, since: time(row.try_get(2)?)?, tag: row.try_get(3)? }))
}

/// Head and days, in a transaction.
pub async fn read(connection: &mut Connection) -> Result<StoredUses, StoreFault> {
    let head = head(connection).await?;
    let day = |row: &Row| Ok::<_, StoreFault>((Day(row.try_get(0)?), row.try_get(1)?));
    Ok(StoredUses { head, days: connection.rows(DAYS, &[]).await?.iter().map(day).collect::<Result<_, _>>()? })
}

/// The counts of a day.
pub async fn of_day(connection: &mut Connection, day: Day) -> Result<Vec<UseRow>, StoreFault> {
    let row = |row: &Row| Ok(UseRow { day, key: digest(row, 4)?, tally: tally(row, 0)? });
    connection.rows(OF_DAY, &[&day.0]).await?.iter().map(row).collect()
}

/// The texts of uses.
pub async fn texts(connection: &mut Connection, keys: &[Digest]) -> Result<Vec<(Digest, String)>, StoreFault> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    connection.rows(TEXTS, &[&keys]).await?.iter().map(|row| Ok((digest(row, 0)?, row.try_get(1)?))).collect()
}

/// The counts of a client.
pub async fn of_client(connection: &mut Connection, client: &str, from: Day) -> Result<Vec<(Day, Tally, String)>, StoreFault> {
    let rows = connection.rows(OF_CLIENT, &[&client, &from.0]).await?;
    rows.iter().map(|row| Ok((Day(row.try_get(0)?), tally(row, 1)?, row.try_get(5)?))).collect()
}

/// The last count of each use of these clients.
pub async fn newest(connection: &mut Connection, clients: &[String]) -> Result<Vec<(String, Timestamp, String)>, StoreFault> {
    let rows = connection.rows(NEWEST, &[&clients]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, time(row.try_get(1)?)?, row.try_get(2)?))).collect()
}

/// The counts of these clients in ranges of days, in a transaction.
pub async fn between(
    connection: &mut Connection,
    clients: &Clients,
    days: [(Day, Day); 3],
) -> Result<Option<(u64, [UsesInDays; 3])>, StoreFault> {
    let Some(head) = head(connection).await? else { return Ok(Some((0, Default::default()))) };
    let (least, beyond) = subjects(clients);
    let mut found: [UsesInDays; 3] = Default::default();
    for ((first, last), uses) in days.into_iter().zip(&mut found) {
        for row in connection.rows(BETWEEN, &[&least, &beyond, &first.0, &last.0]).await? {
            if index(&row, 2)? > head.at {
                return Ok(None);
            }
            uses.push((index(&row, 0)?, time(row.try_get(1)?)?, row.try_get(3)?));
        }
    }
    Ok(Some((head.at, found)))
}

/// Writes a portion, or takes some rows away.
pub async fn put_or_clear(connection: &mut Connection, change: Option<&UsesChange>) -> Result<bool, Fault> {
    connection.simple(BEGIN).await?;
    let locked = read_head(&connection.one(LOCK, &[]).await?)?;
    match change {
        Some(change) if locked != change.prior => {
            connection.simple(ROLLBACK).await?;
            Ok(false)
        }
        Some(change) => put(connection, change).await,
        None => clear(connection).await,
    }
}

async fn put(connection: &mut Connection, change: &UsesChange) -> Result<bool, Fault> {
    for text in &change.texts {
        connection.run(PUT_TEXT, &[&&text.key.0[..], &text.client, &text.body, &text.day.0]).await?;
    }
    let all = |of: fn(&UseRow) -> i64| change.rows.iter().map(of).collect::<Vec<i64>>();
    let keys: Vec<&[u8]> = change.rows.iter().map(|row| &row.key.0[..]).collect();
    let (days, counts, until) = (all(|row| row.day.0), all(|row| sql(row.tally.count)), all(|row| sql(row.tally.until)));
    let (first, last) = (all(|row| row.tally.first.as_seconds()), all(|row| row.tally.last.as_seconds()));
    connection.run(PUT, &[&days, &keys, &counts, &first, &last, &until]).await?;
    for (day, tag) in &change.days {
        connection.run(PUT_DAY, &[&day.0, tag]).await?;
    }
    if connection.one(FORGETS, &[&change.forgets.0]).await?.try_get(0)? {
        for forget in FORGET {
            connection.run(forget, &[&change.forgets.0]).await?;
        }
    }
    let UsesHead { generation, at, since, tag } = &change.after;
    connection.run(PUT_HEAD, &[&sql(*generation), &sql(*at), &since.as_seconds(), tag]).await?;
    connection.simple(COMMIT).await?;
    Ok(true)
}

/// Takes head and days away, and some of the rows. True once nothing is left.
async fn clear(connection: &mut Connection) -> Result<bool, Fault> {
    connection.run(CLEAR, &[]).await?;
    connection.run(CLEAR_DAYS, &[]).await?;
    for some in CLEAR_SOME {
        connection.run(some, &[&CLEARED]).await?;
    }
    let left: bool = connection.one(LEFT, &[]).await?.try_get(0)?;
    connection.simple(COMMIT).await?;
    Ok(!left)
}

fn tally(row: &Row, from: usize) -> Result<Tally, StoreFault> {
    let at = |column: usize| time(row.try_get(from + column)?);
    Ok(Tally { count: index(row, from)?, first: at(1)?, last: at(2)?, until: index(row, from + 3)? })
}
