//! Reading at one moment, by a transaction that sees the database as of its first read.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};

use super::column::{digest, index, number, sql, time};
use super::schema;
use super::side;
use super::spent;
use super::statement::LATELY;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::store::Answer;
use crate::journal::store::batch::Spent;
use crate::journal::store::head::Head;
use crate::journal::store::row::{
    AnswerRow, ChangeRow, End, EntryRow, LastUse, LastUses, Outside, SearchRow, SpentPage, SpentPlace, SpentRow, StoredBatch,
    StoredText,
};
use crate::journal::store::snapshot::{Checked, Exclusive, PAGE, Snapshot};
use crate::journal::store::sums::{SumKey, Table};
use crate::journal::store::uses::UseText;

/// A transaction that reads.
pub struct Reading<'c>(pub Transaction<'c, Sqlite>);

/// Rows of a page of proofs and of texts.
const ROWS: i64 = 1000;

const END: &str = "SELECT size, root, last_change, time, (SELECT max(idx) FROM entries), \
    (SELECT time FROM entries ORDER BY idx DESC LIMIT 1) FROM head WHERE id = 1";
const NEWEST_BATCH: &str =
    "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches ORDER BY first DESC LIMIT 1";
const BATCHES: &str =
    "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches WHERE first >= ? AND first < ?";
const ENTRIES: &str = "SELECT idx, body, leaf, time FROM entries WHERE idx >= ? ORDER BY idx";
const SEARCHED: &str =
    "SELECT idx, body, leaf, time, kind, subject, request_id, jti FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?";
const CHANGES: &str = "SELECT e.idx, e.body, e.leaf, e.time, b.first, b.size_after, b.prior_root, b.root, b.prior_change, b.mac \
    FROM entries e LEFT JOIN batches b ON b.first = e.idx \
    WHERE e.kind NOT IN ('issued', 'refused', 'refusals') AND e.idx >= ? ORDER BY e.idx LIMIT ?";
/// The first condition is that of the index.
const OF_KIND: &str =
    "SELECT idx, body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND kind = ? ORDER BY idx";
const OUTSIDE: &str = "SELECT (SELECT count(*) FROM entries WHERE idx < 0), \
    (SELECT count(*) FROM batches WHERE first < 0 OR first >= h.size), \
    (SELECT count(*) FROM tiles WHERE level < 0 OR level > 6 OR idx < 0 OR idx >= (h.size >> (8 * (level + 1)))) \
    FROM head h WHERE h.id = 1";
const CONSUMED: &str = "SELECT proof, gone_after FROM consumed WHERE proof > ? ORDER BY proof LIMIT ?";
const TEXTS: &str = "SELECT digest, salt, text FROM texts WHERE digest > ? ORDER BY digest LIMIT ?";

const ANSWERS: &str = "SELECT person, key, fingerprint, request, since, stage, answer FROM answers ORDER BY person, key";
const USE_TEXTS: &str = "SELECT use, client, body, newest FROM use_texts WHERE use > ? ORDER BY use LIMIT ?";

impl Reading<'_> {
    /// Whether the tables are of the version that this program knows.
    pub async fn ensure_version(&mut self) -> Result<(), OpenFault> {
        match schema::version(&mut self.0).await.map_err(StoreFault::from)? {
            Some(version) if schema::READABLE.contains(&version) => Ok(()),
            Some(other) => Err(OpenFault::Schema(other.to_string())),
            None => Err(OpenFault::Schema("none".to_owned())),
        }
    }
}

impl Snapshot for Reading<'_> {
    fn end(&mut self) -> Answer<'_, Option<End>> {
        Box::pin(async move {
            let Some(row) = sqlx::query(END).fetch_optional(&mut *self.0).await? else { return Ok(None) };
            let (last_change, newest): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(4)?);
            let head = Head {
                size: index(&row, 0)?,
                root: digest(&row, 1)?,
                last_change: last_change.map(number).transpose()?,
                time: time(row.try_get(3)?)?,
            };
            let rows = newest.map(number).transpose()?.map_or(0, |newest| newest + 1);
            Ok(Some(End { head, rows, newest: row.try_get(5)? }))
        })
    }

    fn newest_batch(&mut self) -> Answer<'_, Option<StoredBatch>> {
        Box::pin(async move {
            let row = sqlx::query(NEWEST_BATCH).fetch_optional(&mut *self.0).await?;
            row.map(|row| batch(&row, 0)).transpose()
        })
    }

    fn batches(&mut self, from: u64, until: u64) -> Answer<'_, Vec<StoredBatch>> {
        Box::pin(async move {
            let rows = sqlx::query(BATCHES).bind(sql(from)).bind(sql(until)).fetch_all(&mut *self.0).await?;
            rows.iter().map(|row| batch(row, 0)).collect()
        })
    }

    fn entries(&mut self, from: u64) -> Answer<'_, Vec<EntryRow>> {
        Box::pin(async move {
            let rows = sqlx::query(ENTRIES).bind(sql(from)).fetch_all(&mut *self.0).await?;
            rows.iter().map(entry).collect()
        })
    }

    fn page(&mut self, from: u64) -> Answer<'_, Vec<SearchRow>> {
        Box::pin(async move {
            let rows = sqlx::query(SEARCHED).bind(sql(from)).bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
            rows.fetch_all(&mut *self.0).await?.iter().map(searched).collect()
        })
    }

    fn changes(&mut self, from: u64, most: u32) -> Answer<'_, Vec<ChangeRow>> {
        Box::pin(async move {
            let rows = sqlx::query(CHANGES).bind(sql(from)).bind(most).fetch_all(&mut *self.0).await?;
            let change = |row: &SqliteRow| {
                let begins = row.try_get::<Option<i64>, _>(4)?.is_some();
                Ok((entry(row)?, begins.then(|| batch(row, 4)).transpose()?))
            };
            rows.iter().map(change).collect()
        })
    }

    fn changes_of_kind(&mut self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(changes_of_kind(&mut self.0, kind))
    }

    fn leaves(&mut self, from: u64) -> Answer<'_, Vec<Digest>> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT leaf FROM entries WHERE idx >= ? ORDER BY idx").bind(sql(from));
            rows.fetch_all(&mut *self.0).await?.iter().map(|row| digest(row, 0)).collect()
        })
    }

    fn tile(&mut self, level: u8, index: u64) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(tile(&mut self.0, level, index))
    }

    fn outside(&mut self) -> Answer<'_, Outside> {
        Box::pin(async move {
            let Some(row) = sqlx::query(OUTSIDE).fetch_optional(&mut *self.0).await? else { return Ok(Outside::default()) };
            Ok(Outside { entries: index(&row, 0)?, batches: index(&row, 1)?, tiles: index(&row, 2)? })
        })
    }

    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault> {
        Box::pin(async move {
            let SpentPlace(from) = from.unwrap_or(SpentPlace(Vec::new()));
            let rows = sqlx::query(CONSUMED).bind(from).bind(ROWS).fetch_all(&mut *self.0).await.map_err(StoreFault::from)?;
            if let Some(last) = rows.last() {
                let next = Some(SpentPlace(last.try_get(0).map_err(StoreFault::from)?));
                let rows = rows.iter().map(consumed).collect::<Result<_, _>>()?;
                return Ok(SpentPage { rows, next, ..SpentPage::default() });
            }
            let (mut page, rows) = (SpentPage::default(), sqlx::query(LATELY).fetch_all(&mut *self.0).await);
            for row in rows.map_err(StoreFault::from)? {
                let table = "consumed_lately";
                let strange = OpenFault::Table { table, what: "there is a row that is no list of proofs" };
                let spent = spent::read(row.try_get(0).map_err(StoreFault::from)?).ok_or(strange)?;
                let row = |(ProofKey(proof), until): Spent| SpentRow { table, proof, until: until.as_seconds() };
                page.rows.extend(spent.into_iter().map(row));
            }
            Ok(page)
        })
    }

    fn last_uses(&mut self) -> Answer<'_, LastUses> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT subject, idx, time FROM last_use ORDER BY subject").fetch_all(&mut *self.0).await?;
            let last =
                |row: &SqliteRow| Ok(LastUse { subject: row.try_get(0)?, index: index(row, 1)?, time: time(row.try_get(2)?)? });
            let at_head = rows.iter().map(last).collect::<Result<_, StoreFault>>()?;
            Ok(LastUses { at_head, since: Vec::new() })
        })
    }

    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let rows = sqlx::query(TEXTS).bind(after).bind(ROWS).fetch_all(&mut *self.0).await?;
            let text = |row: &SqliteRow| {
                let salt: &[u8] = row.try_get(1)?;
                let said = salt.try_into().ok().zip(row.try_get(2).ok());
                Ok(StoredText { digest: digest(row, 0)?, said })
            };
            rows.iter().map(text).collect()
        })
    }

    fn keyring(&mut self) -> Answer<'_, Option<Vec<SealedBlob>>> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT name, sealed FROM keyring ORDER BY name").fetch_all(&mut *self.0).await?;
            let blob = |row: &SqliteRow| Ok(SealedBlob { name: BlobName::stored(row.try_get(0)?), sealed: row.try_get(1)? });
            rows.iter().map(blob).collect::<Result<_, StoreFault>>().map(Some)
        })
    }

    fn answers(&mut self) -> Answer<'_, Vec<AnswerRow>> {
        Box::pin(async move {
            let rows = sqlx::query(ANSWERS).fetch_all(&mut *self.0).await?;
            let answer = |row: &SqliteRow| {
                let (person, key, fingerprint) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let (request, since, stage) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
                Ok(AnswerRow { person, key, fingerprint, request, since, stage, answer: row.try_get(6)? })
            };
            rows.iter().map(answer).collect()
        })
    }

    fn use_texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<UseText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let rows = sqlx::query(USE_TEXTS).bind(after).bind(ROWS).fetch_all(&mut *self.0).await?;
            let text = |row: &SqliteRow| {
                let (client, body) = (row.try_get(1)?, row.try_get(2)?);
                Ok(UseText { key: digest(row, 0)?, client, body, day: Day(row.try_get(3)?) })
            };
            rows.iter().map(text).collect()
        })
    }

    fn check_sums<'a>(&'a mut self, key: &'a SumKey, head: &'a Head, tables: Checked) -> Answer<'a, bool, OpenFault> {
        let tables: &[Table] = match tables {
            Checked::All => &Table::ALL,
            Checked::InMemory => &Table::READ_AGAIN,
        };
        Box::pin(side::check(&mut self.0, key, head, tables))
    }

    fn end_reading<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move { Ok(self.0.commit().await?) })
    }
}

impl Exclusive for Reading<'_> {
    /// The round is proved by nothing, and begins anew.
    fn write_sums<'a>(mut self: Box<Self>, key: &'a SumKey, head: &'a Head) -> Answer<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            side::begin_round(&mut self.0, head).await?;
            side::write_sums(&mut self.0, key, head).await?;
            Ok(self.0.commit().await?)
        })
    }
}

/// Every change of a kind as rows have it, with its index.
pub async fn changes_of_kind(connection: &mut SqliteConnection, kind: &'static str) -> Result<Vec<(u64, String)>, StoreFault> {
    let rows = sqlx::query(OF_KIND).bind(kind).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((index(row, 0)?, row.try_get(1)?))).collect()
}

/// The content of a full tile of hashes.
pub async fn tile(connection: &mut SqliteConnection, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let query = sqlx::query("SELECT content FROM tiles WHERE level = ? AND idx = ?").bind(i64::from(level));
    let row = query.bind(sql(index)).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Columns index, body, leaf, time.
fn entry(row: &SqliteRow) -> Result<EntryRow, StoreFault> {
    let body: &[u8] = row.try_get(1)?;
    Ok(EntryRow { index: index(row, 0)?, time: row.try_get(3)?, body: body.to_vec(), leaf: digest(row, 2).ok() })
}

/// Columns index, body, leaf, time, kind, subject, request, token.
fn searched(row: &SqliteRow) -> Result<SearchRow, StoreFault> {
    let text = |column: usize| row.try_get::<Option<String>, _>(column).ok().flatten();
    Ok(SearchRow { entry: entry(row)?, kind: text(4), subject: text(5), request: text(6), token: text(7) })
}

/// Columns first, size after, prior root, root, prior change, MAC, from `at` on.
pub fn batch(row: &SqliteRow, at: usize) -> Result<StoredBatch, StoreFault> {
    let prior_change: Option<i64> = row.try_get(at + 4)?;
    Ok(StoredBatch {
        first: index(row, at)?,
        size_after: index(row, at + 1)?,
        prior_root: digest(row, at + 2)?,
        root: digest(row, at + 3)?,
        prior_change: prior_change.map(number).transpose()?,
        mac: row.try_get(at + 5)?,
    })
}

/// Columns proof, end.
fn consumed(row: &SqliteRow) -> Result<SpentRow, OpenFault> {
    let table = "consumed";
    let proof = digest(row, 0).map_err(|_| OpenFault::Table { table, what: "a proof that is not of 32 bytes" })?;
    Ok(SpentRow { table, proof, until: row.try_get(1).map_err(StoreFault::from)? })
}
