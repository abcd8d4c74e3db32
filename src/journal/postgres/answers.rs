//! The rows of answers: the SQL of their table.

use std::collections::HashSet;

use super::apart::Fault;
use super::column::digest;
use super::connection::{BEGIN, COMMIT, Connection};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::journal::answers::{Idempotency, KEPT, MOST_ANSWERS, MOST_BYTES, Sealed};
use crate::journal::fault::StoreFault;
use crate::journal::store::row::KnownRequest;

/// Requests that were done so long ago go.
const FORGET: &str = "DELETE FROM answers WHERE since <= $1";

/// A request with this key, of a later time.
const KNOWN: &str =
    "SELECT fingerprint, request, stage <> 'begun', answer FROM answers WHERE person = $1 AND key = $2 AND since > $3";

/// A request is begun, if none was.
const CLAIM: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage) VALUES ($1, $2, $3, $4, $5, 'begun') \
     ON CONFLICT (person, key) DO NOTHING";

/// Which it was. After the claim, it is a statement of its own.
const CLAIMED: &str = "SELECT request FROM answers WHERE person = $1 AND key = $2";

/// The answer to a request that was done.
const KEEP_DONE: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage, answer) \
     VALUES ($1, $2, $3, $4, $5, 'told', $6) ON CONFLICT (person, key) DO UPDATE SET answer = excluded.answer, \
     stage = CASE answers.stage WHEN 'begun' THEN 'done' ELSE answers.stage END WHERE answers.request = excluded.request";

/// The answer to a request, if the request had changed something by then.
const KEEP_CHANGED: &str = "UPDATE answers SET answer = $1, stage = 'done' WHERE person = $2 AND key = $3 AND request = $4";

/// Whether a person has more answers than so many bytes, or so many.
const IS_BEYOND: &str =
    "SELECT coalesce(sum(length(answer)), 0) > $1 OR count(*) > $2 FROM answers WHERE person = $3 AND answer IS NOT NULL";

macro_rules! beyond {
    () => {
        "WHERE person = $1 AND key IN (SELECT key FROM \
         (SELECT key, sum(length(answer)) OVER newest AS bytes, row_number() OVER newest AS place FROM answers \
         WHERE person = $1 AND answer IS NOT NULL WINDOW newest AS (ORDER BY since DESC, key)) AS kept \
         WHERE bytes > $2 OR place > $3)"
    };
}

/// Bounds the answers of one person in bytes and number: the newest stay.
///
/// A request that changed something stays known as done.
const BOUND: [&str; 2] = [
    concat!("DELETE FROM answers ", beyond!(), " AND stage = 'told'"),
    concat!("UPDATE answers SET answer = NULL ", beyond!()),
];

/// Deletes all answers. A request that changed something stays known as done.
const ERASE: &str = "DELETE FROM answers WHERE stage = 'told'; UPDATE answers SET answer = NULL WHERE answer IS NOT NULL";

/// The request with this key, if it is known at `now`.
pub async fn read(connection: &mut Connection, once: &Idempotency, now: Timestamp) -> Result<Option<KnownRequest>, StoreFault> {
    let row = connection.row(KNOWN, &[&&once.person.0[..], &&once.key.0[..], &forgotten(now)]).await?;
    let Some(row) = row else { return Ok(None) };
    let request = row.try_get::<_, &str>(1)?.parse().map_err(|_| StoreFault::unreadable("a request that has no name"))?;
    Ok(Some(KnownRequest { fingerprint: digest(&row, 0)?, request, finished: row.try_get(2)?, sealed: row.try_get(3)? }))
}

/// Claims a key for `request`, in the transaction of a change. False if another request has it.
pub async fn claim(
    connection: &mut Connection,
    (once, request): (&Idempotency, &RequestId),
    now: Timestamp,
) -> Result<bool, tokio_postgres::Error> {
    let (person, key) = (&once.person.0[..], &once.key.0[..]);
    connection.run(FORGET, &[&forgotten(now)]).await?;
    connection.run(CLAIM, &[&person, &key, &&once.fingerprint.0[..], &request.as_str(), &now.as_seconds()]).await?;
    let row = connection.one(CLAIMED, &[&person, &key]).await?;
    Ok(row.try_get::<_, &str>(0)? == request.as_str())
}

/// Keeps answers, and forgets requests whose time is over.
pub async fn keep(connection: &mut Connection, all: &[Sealed], now: Timestamp) -> Result<(), Fault> {
    connection.simple(BEGIN).await?;
    connection.run(FORGET, &[&forgotten(now)]).await?;
    let mut people = HashSet::new();
    for Sealed { once, request, done, answer, .. } in all {
        let (person, key, request) = (&once.person.0[..], &once.key.0[..], request.as_str());
        if *done && answer.is_some() {
            let fingerprint = &once.fingerprint.0[..];
            connection.run(KEEP_DONE, &[&person, &key, &fingerprint, &request, &now.as_seconds(), answer]).await?;
        } else {
            connection.run(KEEP_CHANGED, &[answer, &person, &key, &request]).await?;
        }
        people.insert(once.person);
    }
    let (bytes, most) = (i64::from(MOST_BYTES), i64::from(MOST_ANSWERS));
    for person in people {
        let person = &person.0[..];
        // Looking costs less than bounding, so it comes first.
        if connection.one(IS_BEYOND, &[&bytes, &most, &person]).await?.try_get(0)? {
            for bound in BOUND {
                connection.run(bound, &[&person, &bytes, &most]).await?;
            }
        }
    }
    Ok(connection.simple(COMMIT).await?)
}

/// Erases all answers, in the transaction of an erasure: any of them may have an erased text.
pub async fn erase(connection: &mut Connection) -> Result<(), tokio_postgres::Error> {
    connection.simple(ERASE).await
}

/// Requests that were done then, or before, are not known at `now`.
fn forgotten(now: Timestamp) -> i64 {
    now.minus(KEPT).as_seconds()
}
