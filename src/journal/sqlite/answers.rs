//! The rows of answers: the SQL of their table.

use std::collections::HashSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::column::digest;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::journal::answers::{Idempotency, KEPT, MOST_ANSWERS, MOST_BYTES, Sealed};
use crate::journal::fault::StoreFault;
use crate::journal::store::row::KnownRequest;

/// Requests that were done so long ago go.
const FORGET: &str = "DELETE FROM answers WHERE since <= ?";

/// A request with this key, of a later time.
const KNOWN: &str =
    "SELECT fingerprint, request, stage != 'begun', answer FROM answers WHERE person = ? AND key = ? AND since > ?";

/// A request is begun, if none was; and which it was.
const CLAIM: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage) VALUES (?, ?, ?, ?, ?, 'begun') \
     ON CONFLICT DO NOTHING; SELECT request FROM answers WHERE person = ? AND key = ?";

/// The answer to a request that was done.
const KEEP_DONE: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage, answer) \
     VALUES (?, ?, ?, ?, ?, 'told', ?) ON CONFLICT DO UPDATE SET answer = excluded.answer, \
     stage = iif(stage = 'begun', 'done', stage) WHERE request = excluded.request";

/// The answer to a request, if the request had changed something by then.
const KEEP_CHANGED: &str = "UPDATE answers SET answer = ?, stage = 'done' WHERE person = ? AND key = ? AND request = ?";

macro_rules! beyond {
    () => {
        "WHERE person = ? AND key IN (SELECT key FROM \
         (SELECT key, sum(length(answer)) OVER newest AS bytes, row_number() OVER newest AS place FROM answers \
         WHERE person = ? AND answer NOTNULL WINDOW newest AS (ORDER BY since DESC, key)) WHERE bytes > ? OR place > ?)"
    };
}

/// Whether a person has more answers than so many bytes, or so many.
const IS_BEYOND: &str =
    "SELECT coalesce(sum(length(answer)), 0) > ? OR count(*) > ? FROM answers WHERE person = ? AND answer NOTNULL";

/// Bounds the answers of one person in bytes and number: the newest stay.
///
/// A request that changed something stays known as done.
const BOUND_TOLD: &str = concat!("DELETE FROM answers ", beyond!(), " AND stage = 'told'");
const BOUND_DONE: &str = concat!("UPDATE answers SET answer = NULL ", beyond!());

/// Deletes all answers. A request that changed something stays known as done.
const FORGET_ANSWERS: &str = "DELETE FROM answers WHERE stage = 'told'; UPDATE answers SET answer = NULL WHERE answer NOTNULL";

/// The request with this key, if it is known at `now`.
pub async fn read(pool: &SqlitePool, once: &Idempotency, now: Timestamp) -> Result<Option<KnownRequest>, StoreFault> {
    let query = sqlx::query(KNOWN).bind(once.person.0.to_vec()).bind(once.key.0.to_vec());
    let row = query.bind(forgotten(now)).fetch_optional(pool).await?;
    let read = |row: SqliteRow| {
        let request = row.try_get::<&str, _>(1)?.parse().map_err(|_| StoreFault::unreadable("a request that has no name"))?;
        Ok(KnownRequest { fingerprint: digest(&row, 0)?, request, finished: row.try_get(2)?, sealed: row.try_get(3)? })
    };
    row.map(read).transpose()
}

/// Claims a key for `request`, in the transaction of a change. False if another request has it.
pub async fn claim(
    connection: &mut SqliteConnection,
    (once, request): (&Idempotency, &RequestId),
    now: Timestamp,
) -> Result<bool, StoreFault> {
    sqlx::query(FORGET).bind(forgotten(now)).execute(&mut *connection).await?;
    let claim = sqlx::query(CLAIM).bind(once.person.0.to_vec()).bind(once.key.0.to_vec()).bind(once.fingerprint.0.to_vec());
    let claim = claim.bind(request.to_string()).bind(now.as_seconds());
    let row = claim.bind(once.person.0.to_vec()).bind(once.key.0.to_vec()).fetch_one(connection).await?;
    Ok(row.try_get::<&str, _>(0)? == request.as_str())
}

/// Keeps answers, in a transaction, and forgets requests whose time is over.
pub async fn keep(connection: &mut SqliteConnection, all: Vec<Sealed>, now: Timestamp) -> Result<(), StoreFault> {
    sqlx::query(FORGET).bind(forgotten(now)).execute(&mut *connection).await?;
    let mut people = HashSet::new();
    for Sealed { once, request, done, answer, .. } in all {
        let (person, key, request) = (once.person.0.to_vec(), once.key.0.to_vec(), request.to_string());
        let keep = if done && answer.is_some() {
            let keep = sqlx::query(KEEP_DONE).bind(person.clone()).bind(key).bind(once.fingerprint.0.to_vec());
            keep.bind(request).bind(now.as_seconds()).bind(answer)
        } else {
            sqlx::query(KEEP_CHANGED).bind(answer).bind(person.clone()).bind(key).bind(request)
        };
        keep.execute(&mut *connection).await?;
        people.insert(person);
    }
    for person in people {
        bound(connection, person).await?;
    }
    Ok(())
}

/// Bounds the answers of one person. Looking costs less than bounding, so it comes first.
async fn bound(connection: &mut SqliteConnection, person: Vec<u8>) -> Result<(), StoreFault> {
    let look = sqlx::query(IS_BEYOND).bind(MOST_BYTES).bind(MOST_ANSWERS).bind(person.clone());
    if look.fetch_one(&mut *connection).await?.try_get(0)? {
        for bound in [BOUND_TOLD, BOUND_DONE] {
            let bound = sqlx::query(bound).bind(person.clone()).bind(person.clone());
            bound.bind(MOST_BYTES).bind(MOST_ANSWERS).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Erases all answers, in the transaction of an erasure: any of them may have an erased text.
pub async fn erase(connection: &mut SqliteConnection) -> Result<(), StoreFault> {
    sqlx::query(FORGET_ANSWERS).execute(connection).await?;
    Ok(())
}

/// Requests that were done then, or before, are not known at `now`.
fn forgotten(now: Timestamp) -> i64 {
    now.minus(KEPT).as_seconds()
}
