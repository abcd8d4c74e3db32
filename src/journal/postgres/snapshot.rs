//! Reading at one moment, by a transaction that sees the database as of its beginning.
//!
//! It holds both generations of spent proofs for reading, so neither is truncated meanwhile: a truncated table is empty for every transaction,
//! however old. It lives as long as the reading, which a start or `verify` ends as soon as it can.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::column::{batch, digest, index, index_if, subjects};
use super::connection::Connection;
use super::generations::TABLES;
use super::pool::Held;
use super::schema;
use super::side::{self, SPENT, used};
use super::statement::{kept, rows};
use crate::domain::credential::revocation::Clients;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::store::Answer;
use crate::journal::store::column::{number, sql, time};
use crate::journal::store::head::Head;
use crate::journal::store::row::{
    AnswerRow, ChangeRow, Counts, End, EntryRow, IssuedPlace, LastUse, SearchRow, SpentPage, SpentPlace, SpentRow, StoredBatch,
    StoredText,
};
use crate::journal::store::snapshot::{Checked, PAGE, Snapshot};
use crate::journal::store::sums::SumKey;
use crate::journal::store::uses::UseText;

/// A transaction that reads.
pub struct Reading(pub Held);

/// Rows of a page of proofs and of texts.
const ROWS: i64 = 1000;

/// The locks come before the first read, whose moment is that of all.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL lock_timeout = '2s'; LOCK TABLE spent_0, spent_1 IN ACCESS SHARE MODE";

const END: &str = "SELECT size, root, last_change, time, turn, sums, young, until_0, until_1, (SELECT max(idx) FROM entries), \
    (SELECT time FROM entries ORDER BY idx DESC LIMIT 1) FROM head WHERE id = 1";
const NEWEST_BATCH: &str =
    "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches ORDER BY first DESC LIMIT 1";
const BATCHES: &str = "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches \
    WHERE first >= $1 AND first < $2 ORDER BY first";
const ENTRIES: &str = "SELECT idx, body, leaf, time FROM entries WHERE idx >= $1 ORDER BY idx";
const SEARCHED: &str =
    "SELECT idx, body, leaf, time, kind, subject, request_id, jti FROM entries WHERE idx >= $1 ORDER BY idx LIMIT $2";
const CHANGES: &str = "SELECT e.idx, e.body, e.leaf, e.time, b.first, b.size_after, b.prior_root, b.root, b.prior_change, b.mac \
    FROM entries e LEFT JOIN batches b ON b.first = e.idx \
    WHERE e.kind NOT IN ('issued', 'refused', 'refusals') AND e.idx >= $1 ORDER BY e.idx LIMIT $2";
const OF_KIND: &str =
    "SELECT idx, body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND kind = $1 ORDER BY idx";
const LEAVES: &str = "SELECT leaf FROM entries WHERE idx >= $1 ORDER BY idx";
const TILE: &str = "SELECT content FROM tiles WHERE level = $1 AND idx = $2";
const COUNTS: &str = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM batches WHERE first < 0 OR first >= $1), \
    (SELECT count(*) FROM tiles)";
const LAST_USES: &str = "SELECT subject, idx, time FROM last_use ORDER BY subject";
const TEXTS: &str = "SELECT digest, salt, text FROM texts WHERE digest > $1 ORDER BY digest LIMIT $2";
const KEYRING: &str = "SELECT name, sealed FROM keyring ORDER BY name";
const BY_PLACE: &str = "SELECT count(*), max(time), subject, body::json ->> 'environment' AS environment, body::json ->> 'api' AS api, \
    body::json ->> 'binding' AS binding FROM entries WHERE idx >= $1 AND idx < $2 AND kind = 'issued' \
    AND subject >= $3 AND subject < $4 AND time >= $5 AND time < $6 GROUP BY 3, 4, 5, 6 ORDER BY 3, 4, 5, 6";

const ANSWERS: &str = "SELECT person, key, fingerprint, request, since, stage, answer FROM answers ORDER BY person, key";
const USE_TEXTS: &str = "SELECT use, client, body, newest FROM use_texts WHERE use > $1 ORDER BY use LIMIT $2";

impl Reading {
    /// Begins, if the tables are of the version that this program knows.
    pub async fn begin(mut held: Held) -> Result<Self, OpenFault> {
        held.is_open = true;
        match held.simple(BEGIN).await {
            Ok(()) => {}
            Err(fault) if fault.code() == Some(&SqlState::UNDEFINED_TABLE) => return Err(OpenFault::Schema("none".to_owned())),
            Err(fault) => return Err(StoreFault::from(fault).into()),
        }
        match schema::version(&mut held).await? {
            Some(schema::VERSION) => Ok(Self(held)),
            Some(other) => Err(OpenFault::Schema(other.to_string())),
            None => Err(OpenFault::Schema("none".to_owned())),
        }
    }
}

impl Snapshot for Reading {
    fn end(&mut self) -> Answer<'_, Option<End>> {
        Box::pin(async move {
            let Some(row) = self.0.row(END, &[]).await? else { return Ok(None) };
            Ok(Some(End { head: kept(&row)?.head, rows: rows(&row, 9)?, newest: row.try_get(10)? }))
        })
    }

    fn newest_batch(&mut self) -> Answer<'_, Option<StoredBatch>> {
        Box::pin(async move { self.0.row(NEWEST_BATCH, &[]).await?.map(|row| batch(&row, 0)).transpose() })
    }

    fn batches(&mut self, from: u64, until: u64) -> Answer<'_, Vec<StoredBatch>> {
        Box::pin(async move {
            let rows = self.0.rows(BATCHES, &[&sql(from), &sql(until)]).await?;
            rows.iter().map(|row| batch(row, 0)).collect()
        })
    }

    fn entries(&mut self, from: u64) -> Answer<'_, Vec<EntryRow>> {
        Box::pin(async move { self.0.rows(ENTRIES, &[&sql(from)]).await?.iter().map(entry).collect() })
    }

    fn page(&mut self, from: u64) -> Answer<'_, Vec<SearchRow>> {
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        Box::pin(async move { self.0.rows(SEARCHED, &[&sql(from), &most]).await?.iter().map(searched).collect() })
    }

    fn changes(&mut self, from: u64, most: u32) -> Answer<'_, Vec<ChangeRow>> {
        Box::pin(async move {
            let change = |row: &Row| {
                let begins = index_if(row, 4)?.is_some();
                Ok((entry(row)?, begins.then(|| batch(row, 4)).transpose()?))
            };
            self.0.rows(CHANGES, &[&sql(from), &i64::from(most)]).await?.iter().map(change).collect()
        })
    }

    fn changes_of_kind(&mut self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(changes_of_kind(&mut self.0, kind))
    }

    fn leaves(&mut self, from: u64) -> Answer<'_, Vec<Digest>> {
        Box::pin(async move { self.0.rows(LEAVES, &[&sql(from)]).await?.iter().map(|row| digest(row, 0)).collect() })
    }

    fn tile(&mut self, level: u8, index: u64) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(tile(&mut self.0, level, index))
    }

    fn counts(&mut self, size: u64) -> Answer<'_, Counts> {
        Box::pin(async move {
            let row = self.0.one(COUNTS, &[&sql(size)]).await?;
            Ok(Counts { entries: index(&row, 0)?, batches_outside: index(&row, 1)?, tiles: index(&row, 2)? })
        })
    }

    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault> {
        Box::pin(async move {
            let SpentPlace(place) = from.unwrap_or(SpentPlace(vec![0]));
            let (generation, from) = place.split_first().map_or((0, &[][..]), |(first, rest)| (usize::from(*first != 0), rest));
            let (table, failed) = (TABLES[generation], StoreFault::from);
            let rows = self.0.rows(SPENT[generation], &[&from, &ROWS]).await.map_err(failed)?;
            let next = match rows.last() {
                Some(last) => {
                    let proof: &[u8] = last.try_get(0).map_err(failed)?;
                    Some(SpentPlace([&place[..1], proof].concat()))
                }
                None if generation == 0 => Some(SpentPlace(vec![1])),
                None => None,
            };
            let spent = |row: &Row| {
                let proof = digest(row, 0).map_err(|_| OpenFault::Table { table, what: "a proof that is not of 32 bytes" })?;
                Ok::<_, OpenFault>(SpentRow { table, proof, until: row.try_get(1).map_err(failed)? })
            };
            Ok(SpentPage { rows: rows.iter().map(spent).collect::<Result<_, _>>()?, next })
        })
    }

    fn last_uses(&mut self) -> Answer<'_, Vec<LastUse>> {
        Box::pin(async move {
            let last = |row: &Row| {
                let (subject, (index, at)) = used(row)?;
                Ok(LastUse { subject, index: number(index)?, time: time(at)? })
            };
            self.0.rows(LAST_USES, &[]).await?.iter().map(last).collect()
        })
    }

    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let text = |row: &Row| {
                let (salt, text): (&[u8], Vec<u8>) = (row.try_get(1)?, row.try_get(2)?);
                let said = salt.try_into().ok().zip(String::from_utf8(text).ok());
                Ok(StoredText { digest: digest(row, 0)?, said })
            };
            self.0.rows(TEXTS, &[&after, &ROWS]).await?.iter().map(text).collect()
        })
    }

    fn keyring(&mut self) -> Answer<'_, Vec<SealedBlob>> {
        Box::pin(async move {
            let blob = |row: &Row| Ok(SealedBlob { name: BlobName::stored(row.try_get(0)?), sealed: row.try_get(1)? });
            self.0.rows(KEYRING, &[]).await?.iter().map(blob).collect()
        })
    }

    fn answers(&mut self) -> Answer<'_, Vec<AnswerRow>> {
        Box::pin(async move {
            let answer = |row: &Row| {
                let (person, key, fingerprint) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let (request, since, stage) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
                Ok(AnswerRow { person, key, fingerprint, request, since, stage, answer: row.try_get(6)? })
            };
            self.0.rows(ANSWERS, &[]).await?.iter().map(answer).collect()
        })
    }

    fn use_texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<UseText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let text = |row: &Row| {
                let (client, body) = (row.try_get(1)?, row.try_get(2)?);
                Ok(UseText { key: digest(row, 0)?, client, body, day: Day(row.try_get(3)?) })
            };
            self.0.rows(USE_TEXTS, &[&after, &ROWS]).await?.iter().map(text).collect()
        })
    }

    /// The head of these tables has sums from the beginning.
    fn check_sums<'a>(&'a mut self, key: &'a SumKey, head: &'a Head, tables: Checked) -> Answer<'a, bool, OpenFault> {
        Box::pin(async move {
            let row = self.0.one(END, &[]).await.map_err(StoreFault::from)?;
            side::check(&mut self.0, &kept(&row)?, key, head, tables).await?;
            Ok(true)
        })
    }

    fn end_reading<'a>(mut self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.0.simple("COMMIT").await?;
            self.0.is_open = false;
            Ok(())
        })
    }
}

/// Every change of a kind as rows have it, with its index.
pub async fn changes_of_kind(connection: &mut Connection, kind: &'static str) -> Result<Vec<(u64, String)>, StoreFault> {
    connection.rows(OF_KIND, &[&kind]).await?.iter().map(|row| Ok((index(row, 0)?, row.try_get(1)?))).collect()
}

/// The content of a full tile of hashes.
pub async fn tile(connection: &mut Connection, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let row = connection.row(TILE, &[&i64::from(level), &sql(index)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The tokens of these clients by place, of some entries and times.
pub async fn by_place(
    connection: &mut Connection,
    clients: &Clients,
    (from, until): (u64, u64),
    (since, till): (Timestamp, Timestamp),
) -> Result<Vec<IssuedPlace>, StoreFault> {
    let (least, beyond) = subjects(clients);
    let (since, till) = (since.as_seconds(), till.as_seconds());
    let rows = connection.rows(BY_PLACE, &[&sql(from), &sql(until), &least, &beyond, &since, &till]).await?;
    let place = |row: &Row| {
        let text = |column: usize| Ok::<String, StoreFault>(row.try_get(column)?);
        Ok(IssuedPlace {
            count: index(row, 0)?,
            last: time(row.try_get(1)?)?,
            client: text(2)?,
            environment: text(3)?,
            api: text(4)?,
            binding: text(5)?,
        })
    };
    rows.iter().map(place).collect()
}

/// Columns index, body, leaf, time.
fn entry(row: &Row) -> Result<EntryRow, StoreFault> {
    let body: String = row.try_get(1)?;
    Ok(EntryRow { index: index(row, 0)?, time: row.try_get(3)?, body: body.into_bytes(), leaf: digest(row, 2).ok() })
}

/// Columns index, body, leaf, time, kind, subject, request, token.
fn searched(row: &Row) -> Result<SearchRow, StoreFault> {
    let text = |column: usize| row.try_get::<_, Option<String>>(column).ok().flatten();
    Ok(SearchRow { entry: entry(row)?, kind: text(4), subject: text(5), request: text(6), token: text(7) })
}
