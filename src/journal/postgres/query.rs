//! The statements that find the entries of a query.
//!
//! A condition stands here and in `Query::wants`, which judges the entries that have left the database. A law compares the two.

use tokio_postgres::types::ToSql;

use crate::domain::value::clock::Timestamp;
use crate::journal::store::column::sql;
use crate::journal::store::query::Query;

/// The conditions of a query. A condition that is not set is NULL.
///
/// Each row is judged by itself. JSON is read within `CASE` alone: of other conditions PostgreSQL chooses the order.
macro_rules! conditions {
    ($first:literal) => {
        concat!(
            $first,
            " AND idx >= $2::int8 AND idx < $3::int8 AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR subject = $5)",
            " AND ($6::text IS NULL OR jti = $6) AND ($8::int8 IS NULL OR time >= $8) AND ($9::int8 IS NULL OR time < $9)",
            " AND CASE WHEN $10::text IS NULL THEN true WHEN kind IN ('issued', 'refused', 'refusals') THEN subject = $10",
            " ELSE coalesce(body::json #>> '{by,staff,id}', body::json #>> '{by,machine,id}', body::json #>> '{by,workload}',",
            " body::json #>> '{by,api}', body::json ->> 'by') = $10 END",
            " AND CASE WHEN $11::text[] IS NULL OR subject = $14::text OR (subject >= $12::text AND subject < $13::text) THEN true",
            " WHEN kind IN ('issued', 'refused', 'refusals') THEN false",
            " WHEN subject = ANY($11) THEN true",
            // The same as `About::is_named_in`.
            " WHEN kind IN ('revocation.added', 'tokens.cut') AND (subject IN ('partner:' || $14, 'integration:' || $14)",
            " OR (subject >= 'integration:' || $12 AND subject < 'integration:' || $13)",
            " OR (subject >= 'binding:' || $12 AND subject < 'binding:' || $13)) THEN true",
            " WHEN kind = 'revocation.added' THEN body::json ->> 'client' = $14",
            " OR ((body::json ->> 'client') COLLATE \"C\" >= $12 AND (body::json ->> 'client') COLLATE \"C\" < $13)",
            " WHEN kind = 'dates.noticed' THEN EXISTS (SELECT 1 FROM json_array_elements(body::json -> 'items') AS item",
            " WHERE $14 IN (item #>> '{date,partner}', item #>> '{date,integration}')",
            " OR ((item #>> '{date,integration}') COLLATE \"C\" >= $12 AND (item #>> '{date,integration}') COLLATE \"C\" < $13))",
            " WHEN kind = 'owner.resolved' THEN EXISTS (SELECT 1 FROM",
            " (SELECT json_object_keys(body::json -> 'inForce') UNION ALL SELECT json_object_keys(body::json -> 'waiting'))",
            " AS named (name) WHERE name = $14 OR (name COLLATE \"C\" >= $12 AND name COLLATE \"C\" < $13))",
            " WHEN kind IN ('review.campaign-asked', 'review.campaign-started')",
            " THEN body::json #>> '{terms,select,partner}' = $14 ELSE false END"
        )
    };
}

/// The same statement forwards and backwards.
macro_rules! listing {
    ($first:literal, $order:literal) => {
        concat!("SELECT body FROM entries WHERE ", conditions!($first), " ORDER BY idx ", $order, " LIMIT $7")
    };
}

macro_rules! counted {
    ($first:literal) => {
        concat!("SELECT count(*) FROM (SELECT 1 FROM entries WHERE ", conditions!($first), " LIMIT $7) AS found")
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
pub fn listing(query: &Query) -> &'static str {
    match (FoundBy::of(query), query.newest_first) {
        (FoundBy::Request, false) => listing!("request_id = $1::text", "ASC"),
        (FoundBy::Request, true) => listing!("request_id = $1::text", "DESC"),
        (FoundBy::Kind, false) => listing!("$1::text IS NULL AND kind = $4 AND kind <> 'issued'", "ASC"),
        (FoundBy::Kind, true) => listing!("$1::text IS NULL AND kind = $4 AND kind <> 'issued'", "DESC"),
        (FoundBy::Change, false) => {
            listing!("$1::text IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')", "ASC")
        }
        (FoundBy::Change, true) => {
            listing!("$1::text IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')", "DESC")
        }
        (FoundBy::Place, false) => listing!("$1::text IS NULL", "ASC"),
        (FoundBy::Place, true) => listing!("$1::text IS NULL", "DESC"),
    }
}

/// The statement that counts the entries of `query`.
pub fn counting(query: &Query) -> &'static str {
    match FoundBy::of(query) {
        FoundBy::Request => counted!("request_id = $1::text"),
        FoundBy::Kind => counted!("$1::text IS NULL AND kind = $4 AND kind <> 'issued'"),
        FoundBy::Change => counted!("$1::text IS NULL AND kind NOT IN ('issued', 'refused', 'refusals')"),
        FoundBy::Place => counted!("$1::text IS NULL"),
    }
}

/// The values of a query, as they are bound.
pub struct Values {
    request: Option<String>,
    from: i64,
    to: i64,
    kind: Option<String>,
    subject: Option<String>,
    token: Option<String>,
    limit: i64,
    since: Option<i64>,
    until: Option<i64>,
    actor: Option<String>,
    subjects: Option<Vec<String>>,
    least: Option<String>,
    beyond: Option<String>,
    party: Option<String>,
}

impl Values {
    pub fn of(query: &Query, limit: i64) -> Self {
        let about = query.about.as_ref();
        Self {
            request: query.request_id.as_ref().map(|id| id.as_str().to_owned()),
            from: sql(query.from),
            to: query.to.map_or(i64::MAX, sql),
            kind: query.kind.clone(),
            subject: query.subject.clone(),
            token: query.token.as_ref().map(|id| id.as_str().to_owned()),
            limit,
            since: query.since.map(Timestamp::as_seconds),
            until: query.until.map(Timestamp::as_seconds),
            actor: query.actor.clone(),
            subjects: about.map(|about| about.subjects().iter().cloned().collect()),
            // Everything whose name begins with that of the party and a slash: `/` comes right before `0`.
            least: about.map(|about| format!("{}/", about.party())),
            beyond: about.map(|about| format!("{}0", about.party())),
            party: about.map(|about| about.party().to_string()),
        }
    }

    /// In the order of the places.
    pub fn bound(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.request,
            &self.from,
            &self.to,
            &self.kind,
            &self.subject,
            &self.token,
            &self.limit,
            &self.since,
            &self.until,
            &self.actor,
            &self.subjects,
            &self.least,
            &self.beyond,
            &self.party,
        ]
    }
}
