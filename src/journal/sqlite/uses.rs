//! The rows of the counts of uses: the SQL of their tables.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::column::{digest, index, sql, time};
use super::statement::BEGIN;
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::uses::{StoredUses, UseRow, UseText, UsesChange, UsesHead, UsesInDays};

const HEAD: &str = "SELECT generation, at, since, tag FROM uses_head WHERE id = 1";
const PUT: &str = "INSERT INTO uses (day, use, count, first, last, until) VALUES (?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO UPDATE SET count = excluded.count, first = excluded.first, last = excluded.last, until = excluded.until";
const PUT_TEXT: &str = "INSERT INTO use_texts (use, client, body, newest) VALUES (?, ?, ?, ?) \
     ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest)";
const PUT_DAY: &str = "INSERT INTO use_days (day, tag) VALUES (?, ?) ON CONFLICT DO UPDATE SET tag = excluded.tag";
const PUT_HEAD: &str = "INSERT INTO uses_head (id, generation, at, since, tag) VALUES (1, ?, ?, ?, ?) \
     ON CONFLICT DO UPDATE SET generation = excluded.generation, at = excluded.at, since = excluded.since, tag = excluded.tag";
const OF_CLIENT: &str = "SELECT day, count, first, last, until, body FROM use_texts CROSS JOIN uses USING (use) \
     WHERE client = ? AND uses.day IN (SELECT day FROM use_days WHERE day >= ?)";

/// The newest day of each use of some clients. A use is counted on few days of many, and this reads one row of it.
const NEWEST: &str = "SELECT client, last, body FROM use_texts JOIN uses ON uses.day = use_texts.newest AND uses.use = use_texts.use \
     WHERE client IN (SELECT value FROM json_each(?)) AND client <> ''";

/// The counts of uses of clients, over days.
const BETWEEN: &str = "SELECT sum(count), max(last), max(until), body FROM use_texts CROSS JOIN uses USING (use) \
     WHERE client >= ? AND client < ? AND client <> '' AND uses.day IN (SELECT day FROM use_days WHERE day BETWEEN ? AND ?) \
     GROUP BY use";

/// Rows that one clearing takes away: no exchange waits long for it.
const CLEARED: i64 = 2_000;

/// The head; none before the first count.
async fn head(connection: &mut SqliteConnection) -> Result<Option<UsesHead>, StoreFault> {
    let row = sqlx::query(HEAD).fetch_optional(connection).await?;
    let head = |row: SqliteRow| {
        Ok(UsesHead { generation: index(&row, 0)?, at: index(&row, 1)?, since: time(row.try_get(2)?)?, tag: row.try_get(3)? })
    };
    row.map(head).transpose()
}

/// Head and days, in a transaction.
pub async fn read(connection: &mut SqliteConnection) -> Result<StoredUses, StoreFault> {
    let head = head(&mut *connection).await?;
    let rows = sqlx::query("SELECT day, tag FROM use_days ORDER BY day").fetch_all(connection).await?;
    let day = |row: &SqliteRow| Ok::<_, StoreFault>((Day(row.try_get(0)?), row.try_get(1)?));
    Ok(StoredUses { head, days: rows.iter().map(day).collect::<Result<_, _>>()? })
}

/// The counts of a day.
pub async fn of_day(connection: &mut SqliteConnection, day: Day) -> Result<Vec<UseRow>, StoreFault> {
    let rows =
        sqlx::query("SELECT count, first, last, until, use FROM uses WHERE day = ?").bind(day.0).fetch_all(connection).await?;
    let row = |row: &SqliteRow| Ok(UseRow { day, key: digest(row, 4)?, tally: tally(row, 0)? });
    rows.iter().map(row).collect()
}

/// The texts of uses.
pub async fn texts(connection: &mut SqliteConnection, keys: &[Digest]) -> Result<Vec<(Digest, String)>, StoreFault> {
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let query = sqlx::query_scalar("SELECT body FROM use_texts WHERE use = ?").bind(key.0.to_vec());
        if let Some(body) = query.fetch_optional(&mut *connection).await? {
            found.push((*key, body));
        }
    }
    Ok(found)
}

/// The counts of a client.
pub async fn of_client(
    connection: &mut SqliteConnection,
    client: &str,
    from: Day,
) -> Result<Vec<(Day, Tally, String)>, StoreFault> {
    let rows = sqlx::query(OF_CLIENT).bind(client.to_owned()).bind(from.0).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((Day(row.try_get(0)?), tally(row, 1)?, row.try_get(5)?))).collect()
}

/// The last count of each use of these clients.
pub async fn newest(
    connection: &mut SqliteConnection,
    clients: &[String],
) -> Result<Vec<(String, Timestamp, String)>, StoreFault> {
    let wanted = serde_json::to_string(clients).map_err(StoreFault::unreadable)?;
    let rows = sqlx::query(NEWEST).bind(wanted).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, time(row.try_get(1)?)?, row.try_get(2)?))).collect()
}

/// The counts of these clients in ranges of days, in a transaction.
pub async fn between(
    connection: &mut SqliteConnection,
    clients: &Clients,
    days: [(Day, Day); 3],
) -> Result<Option<(u64, [UsesInDays; 3])>, StoreFault> {
    let Some(head) = head(&mut *connection).await? else { return Ok(Some((0, Default::default()))) };
    let (least, beyond) = clients.subjects();
    let mut found: [UsesInDays; 3] = Default::default();
    for (range, rows) in days.into_iter().zip(&mut found) {
        let query = sqlx::query(BETWEEN).bind(least.clone()).bind(beyond.clone()).bind(range.0.0).bind(range.1.0);
        for row in query.fetch_all(&mut *connection).await? {
            if index(&row, 2)? > head.at {
                return Ok(None);
            }
            rows.push((index(&row, 0)?, time(row.try_get(1)?)?, row.try_get(3)?));
        }
    }
    Ok(Some((head.at, found)))
}

/// Writes a portion, or takes some rows away.
pub async fn put_or_clear(connection: &mut SqliteConnection, change: Option<&UsesChange>) -> Result<bool, StoreFault> {
    match change {
        Some(change) => put(connection, change).await,
        None => clear(connection).await,
    }
}

/// Writes a portion, if the head is as it was before.
async fn put(connection: &mut SqliteConnection, change: &UsesChange) -> Result<bool, StoreFault> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    if head(&mut *connection).await? != change.prior {
        sqlx::query("ROLLBACK").execute(connection).await?;
        return Ok(false);
    }
    for UseText { key, client, body, day } in &change.texts {
        let query = sqlx::query(PUT_TEXT).bind(key.0.to_vec()).bind(client.clone()).bind(body.clone()).bind(day.0);
        query.execute(&mut *connection).await?;
    }
    for UseRow { day, key, tally: Tally { count, first, last, until } } in &change.rows {
        let query = sqlx::query(PUT).bind(day.0).bind(key.0.to_vec()).bind(sql(*count));
        let query = query.bind(first.as_seconds()).bind(last.as_seconds()).bind(sql(*until));
        query.execute(&mut *connection).await?;
    }
    for (day, tag) in &change.days {
        sqlx::query(PUT_DAY).bind(day.0).bind(tag.clone()).execute(&mut *connection).await?;
    }
    let oldest = sqlx::query_scalar("SELECT min(day) < ? FROM use_days").bind(change.forgets.0);
    let forgets: Option<bool> = oldest.fetch_one(&mut *connection).await?;
    if forgets == Some(true) {
        for forget in
            ["DELETE FROM uses WHERE day < ?", "DELETE FROM use_days WHERE day < ?", "DELETE FROM use_texts WHERE newest < ?"]
        {
            sqlx::query(forget).bind(change.forgets.0).execute(&mut *connection).await?;
        }
    }
    let UsesHead { generation, at, since, tag } = &change.after;
    let query = sqlx::query(PUT_HEAD).bind(sql(*generation)).bind(sql(*at)).bind(since.as_seconds()).bind(tag.clone());
    query.execute(&mut *connection).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(true)
}

/// Takes head and days away, and some of the rows. True once nothing is left.
async fn clear(connection: &mut SqliteConnection) -> Result<bool, StoreFault> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    for all in ["DELETE FROM uses_head", "DELETE FROM use_days"] {
        sqlx::query(all).execute(&mut *connection).await?;
    }
    for some in [
        "DELETE FROM uses WHERE (day, use) IN (SELECT day, use FROM uses LIMIT ?)",
        "DELETE FROM use_texts WHERE use IN (SELECT use FROM use_texts LIMIT ?)",
    ] {
        sqlx::query(some).bind(CLEARED).execute(&mut *connection).await?;
    }
    let left = "SELECT EXISTS (SELECT 1 FROM uses) OR EXISTS (SELECT 1 FROM use_texts)";
    let left: bool = sqlx::query_scalar(left).fetch_one(&mut *connection).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(!left)
}

fn tally(row: &SqliteRow, from: usize) -> Result<Tally, StoreFault> {
    let at = |column: usize| time(row.try_get(from + column)?);
    Ok(Tally { count: index(row, from)?, first: at(1)?, last: at(2)?, until: index(row, from + 3)? })
}
