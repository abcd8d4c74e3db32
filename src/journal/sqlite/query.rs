//! The statements that find the entries of a query.
//!
//! A condition stands here and in `Query::wants`, which judges the entries that have left the database. A test compares the two.

use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

use super::column::sql;
use crate::domain::value::clock::Timestamp;
use crate::journal::store::query::Query;

/// The conditions of a query. A condition that is not set is NULL.
///
/// Each row is judged by itself. A look-up among other rows for each row would let a caller make a query as long as they like. The
/// revocation of a single token names its client.
macro_rules! conditions {
    ($first:literal) => {
        concat!(
            $first,
            " AND idx >= ?2 AND idx < ?3 AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR subject = ?5)",
            " AND (?6 IS NULL OR jti = ?6) AND (?8 IS NULL OR time >= ?8) AND (?9 IS NULL OR time < ?9)",
            " AND (?10 IS NULL OR CASE WHEN kind IN ('issued', 'refused', 'refusals') THEN subject = ?10 ELSE",
            " coalesce(json_extract(body, '$.by.staff.id'), json_extract(body, '$.by.machine.id'),",
            " json_extract(body, '$.by.workload'), json_extract(body, '$.by.api'), json_extract(body, '$.by')) = ?10 END)",
            " AND (?11 IS NULL OR subject = ?14 OR (subject >= ?12 AND subject < ?13)",
            " OR (kind NOT IN ('issued', 'refused', 'refusals') AND subject IN (SELECT value FROM json_each(?11)))",
            // The same as `About::is_named_in`.
            " OR (kind = 'revocation.added' AND (json_extract(body, '$.client') = ?14",
            " OR (json_extract(body, '$.client') >= ?12 AND json_extract(body, '$.client') < ?13)))",
            " OR (kind IN ('revocation.added', 'tokens.cut') AND (subject IN ('partner:' || ?14, 'integration:' || ?14)",
            " OR (subject >= 'integration:' || ?12 AND subject < 'integration:' || ?13)",
            " OR (subject >= 'binding:' || ?12 AND subject < 'binding:' || ?13)))",
            " OR (kind = 'dates.noticed' AND EXISTS (SELECT 1 FROM json_each(body, '$.items')",
            " WHERE ?14 IN (json_extract(value, '$.date.partner'), json_extract(value, '$.date.integration'))",
            " OR (json_extract(value, '$.date.integration') >= ?12 AND json_extract(value, '$.date.integration') < ?13)))",
            " OR (kind = 'owner.resolved' AND (",
            "EXISTS (SELECT 1 FROM json_each(body, '$.inForce') WHERE key = ?14 OR (key >= ?12 AND key < ?13))",
            " OR EXISTS (SELECT 1 FROM json_each(body, '$.waiting') WHERE key = ?14 OR (key >= ?12 AND key < ?13))))",
            " OR (kind IN ('review.campaign-asked', 'review.campaign-started')",
            " AND json_extract(body, '$.terms.select.partner') = ?14))"
        )
    };
}

/// The same statement forwards and backwards.
macro_rules! listing {
    ($first:literal, $order:literal) => {
        concat!("SELECT body FROM entries WHERE ", conditions!($first), " ORDER BY idx ", $order, " LIMIT ?7")
    };
}

macro_rules! counted {
    ($first:literal) => {
        concat!("SELECT count(*) FROM (SELECT 1 FROM entries WHERE ", conditions!($first), " LIMIT ?7)")
    };
}

/// The index by which entries are found: the condition that fewest entries meet.
enum FoundBy {
    Request,
    Kind,
    /// Changes are few, and have an index of their own.
    Change,
    /// Each entry of `from..to` is looked at.
    Place,
}

impl FoundBy {
    fn of(query: &Query) -> Self {
        match query {
            Query { request_id: Some(_), .. } => Self::Request,
            Query { kind: Some(kind), .. } if kind != "issued" => Self::Kind,
            Query { changes_alone: true, .. } => Self::Change,
            Query { .. } => Self::Place,
        }
    }
}

/// The statement that lists the entries of `query`.
pub(super) fn listing(query: &Query) -> &'static str {
    match (FoundBy::of(query), query.newest_first) {
        (FoundBy::Request, false) => listing!("request_id = ?1", "ASC"),
        (FoundBy::Request, true) => listing!("request_id = ?1", "DESC"),
        (FoundBy::Kind, false) => listing!("?1 IS NULL AND kind = ?4 AND kind <> 'issued'", "ASC"),
        (FoundBy::Kind, true) => listing!("?1 IS NULL AND kind = ?4 AND kind <> 'issued'", "DESC"),
        (FoundBy::Change, false) => {
            listing!("?1 IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')", "ASC")
        }
        (FoundBy::Change, true) => {
            listing!("?1 IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')", "DESC")
        }
        (FoundBy::Place, false) => listing!("?1 IS NULL", "ASC"),
        (FoundBy::Place, true) => listing!("?1 IS NULL", "DESC"),
    }
}

/// The statement that counts the entries of `query`.
pub(super) fn counting(query: &Query) -> &'static str {
    match FoundBy::of(query) {
        FoundBy::Request => counted!("request_id = ?1"),
        FoundBy::Kind => counted!("?1 IS NULL AND kind = ?4 AND kind <> 'issued'"),
        FoundBy::Change => counted!("?1 IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')"),
        FoundBy::Place => counted!("?1 IS NULL"),
    }
}

/// The statement with the conditions of `query`.
pub(super) fn bind<'q>(text: &'static str, query: &Query, limit: i64) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let about = query.about.as_ref();
    sqlx::query(text)
        .bind(query.request_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(sql(query.from))
        .bind(query.to.map_or(i64::MAX, sql))
        .bind(query.kind.clone())
        .bind(query.subject.clone())
        .bind(query.token.as_ref().map(|id| id.as_str().to_owned()))
        .bind(limit)
        .bind(query.since.map(Timestamp::as_seconds))
        .bind(query.until.map(Timestamp::as_seconds))
        .bind(query.actor.clone())
        .bind(about.and_then(|about| serde_json::to_string(about.subjects()).ok()))
        // Everything whose name begins with that of the party and a slash: `/` comes right before `0`.
        .bind(about.map(|about| format!("{}/", about.party())))
        .bind(about.map(|about| format!("{}0", about.party())))
        .bind(about.map(|about| about.party().to_string()))
}
