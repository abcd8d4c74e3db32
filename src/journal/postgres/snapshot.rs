//! What a reading finds: pages of every table, up to the head that it has fixed.
//!
//! The head bounds every statement. Entries, batches and tiles below it are written once. The rest moves on between two pages, and what is
//! of the head is told from what came after it:
//!
//! - **Entries leave** for segments, after the change that says so. A page lacks them, and [`changes_of_kind`] tells of changes after the head too.
//! - **Spent proofs** say at which entry their batch begins. A generation whose time is over is truncated: the last page has the log's time.
//! - **Last uses** are written over: those that are newer than the head are told apart.
//! - **The keyring** is read by one statement with the last change of the log, and only as of the head.
//! - **Texts** go with their data keys, and a page has both or neither.
//! - **Sums** are compared with those of later heads (`checked`).

use tokio_postgres::Row;

use super::checked;
use super::column::{batch, digest, index, index_if, next_bytes, next_text, subjects};
use super::connection::Connection;
use super::generations::TABLES;
use super::reading::Reading;
use super::sealed;
use super::side::{LAST_USES, SPENT, used};
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
    AnswerRow, ChangeRow, End, EntryRow, IssuedPlace, LastUse, LastUses, Outside, SearchRow, SpentPage, SpentPlace, SpentRow,
    StoredBatch, StoredText,
};
use crate::journal::store::snapshot::{Checked, PAGE, Snapshot};
use crate::journal::store::sums::SumKey;
use crate::journal::store::uses::UseText;

/// Rows of a page of proofs, clients, requests and texts.
const ROWS: i64 = 1000;

const NEWEST_BATCH: &str = "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches \
    WHERE first < $1 ORDER BY first DESC LIMIT 1";
const BATCHES: &str = "SELECT first, size_after, prior_root, root, prior_change, mac FROM batches \
    WHERE first >= $1 AND first < $2 ORDER BY first";
const ENTRIES: &str = "SELECT idx, body, leaf, time FROM entries WHERE idx >= $1 AND idx < $2 ORDER BY idx";
const SEARCHED: &str = "SELECT idx, body, leaf, time, kind, subject, request_id, jti FROM entries \
    WHERE idx >= $1 AND idx < $2 ORDER BY idx LIMIT $3";
const CHANGES: &str = "SELECT e.idx, e.body, e.leaf, e.time, b.first, b.size_after, b.prior_root, b.root, b.prior_change, b.mac \
    FROM entries e LEFT JOIN batches b ON b.first = e.idx \
    WHERE e.kind NOT IN ('issued', 'refused', 'refusals') AND e.idx >= $1 AND e.idx < $2 ORDER BY e.idx LIMIT $3";
const OF_KIND: &str =
    "SELECT idx, body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND kind = $1 ORDER BY idx";
const LEAVES: &str = "SELECT leaf FROM entries WHERE idx >= $1 AND idx < $2 ORDER BY idx";
const TILE: &str = "SELECT content FROM tiles WHERE level = $1 AND idx = $2";
/// Of the log as it is now: batches and tiles are there as soon as their entries are.
const OUTSIDE: &str = "SELECT (SELECT count(*) FROM entries WHERE idx < 0), \
    (SELECT count(*) FROM batches WHERE first < 0) + (SELECT count(*) FROM batches WHERE first >= h.size), \
    (SELECT count(*) FROM tiles WHERE level < 0) + (SELECT count(*) FROM tiles WHERE level > 6) \
    + (SELECT count(*) FROM generate_series(0, 6) AS l JOIN tiles t ON t.level = l WHERE t.idx < 0) \
    + (SELECT count(*) FROM generate_series(0, 6) AS l JOIN tiles t ON t.level = l WHERE t.idx >= (h.size >> (8 * (l + 1)))) \
    FROM head h WHERE h.id = 1";
const TEXTS: &str = "SELECT t.digest, t.sealed, k.sealed FROM texts t LEFT JOIN data_keys k ON k.name = t.data_key \
    WHERE t.digest > $1 ORDER BY t.digest LIMIT $2";
const KEYRING: &str = "SELECT b.name, b.sealed, k.sealed, h.last_change FROM head h LEFT JOIN keyring b ON true \
    LEFT JOIN data_keys k ON k.name = b.data_key WHERE h.id = 1 ORDER BY b.name";
const BY_PLACE: &str = "SELECT count(*), max(time), subject, body::json ->> 'environment' AS environment, body::json ->> 'api' AS api, \
    body::json ->> 'binding' AS binding FROM entries WHERE idx >= $1 AND idx < $2 AND kind = 'issued' \
    AND subject >= $3 AND subject < $4 AND time >= $5 AND time < $6 GROUP BY 3, 4, 5, 6 ORDER BY 3, 4, 5, 6";
const ANSWERS: &str = "SELECT person, key, fingerprint, request, since, stage, answer FROM answers \
    WHERE (person, key) > ($1, $2) ORDER BY person, key LIMIT $3";
const USE_TEXTS: &str = "SELECT use, client, body, newest FROM use_texts WHERE use > $1 ORDER BY use LIMIT $2";

impl Snapshot for Reading {
    fn end(&mut self) -> Answer<'_, Option<End>> {
        let end = Reading::end(self);
        Box::pin(async { Ok(end) })
    }

    fn newest_batch(&mut self) -> Answer<'_, Option<StoredBatch>> {
        Box::pin(async move { self.row(NEWEST_BATCH, &[&self.size()]).await?.map(|row| batch(&row, 0)).transpose() })
    }

    fn batches(&mut self, from: u64, until: u64) -> Answer<'_, Vec<StoredBatch>> {
        Box::pin(async move {
            let rows = self.rows(BATCHES, &[&sql(from), &sql(until).min(self.size())]).await?;
            rows.iter().map(|row| batch(row, 0)).collect()
        })
    }

    fn entries(&mut self, from: u64) -> Answer<'_, Vec<EntryRow>> {
        Box::pin(async move { self.rows(ENTRIES, &[&sql(from), &self.size()]).await?.iter().map(entry).collect() })
    }

    fn page(&mut self, from: u64) -> Answer<'_, Vec<SearchRow>> {
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        Box::pin(async move { self.rows(SEARCHED, &[&sql(from), &self.size(), &most]).await?.iter().map(searched).collect() })
    }

    fn changes(&mut self, from: u64, most: u32) -> Answer<'_, Vec<ChangeRow>> {
        Box::pin(async move {
            let change = |row: &Row| {
                let begins = index_if(row, 4)?.is_some();
                Ok((entry(row)?, begins.then(|| batch(row, 4)).transpose()?))
            };
            self.rows(CHANGES, &[&sql(from), &self.size(), &i64::from(most)]).await?.iter().map(change).collect()
        })
    }

    fn changes_of_kind(&mut self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(async move { self.rows(OF_KIND, &[&kind]).await?.iter().map(of_kind).collect() })
    }

    fn leaves(&mut self, from: u64) -> Answer<'_, Vec<Digest>> {
        Box::pin(
            async move { self.rows(LEAVES, &[&sql(from), &self.size()]).await?.iter().map(|row| digest(row, 0)).collect() },
        )
    }

    fn tile(&mut self, level: u8, index: u64) -> Answer<'_, Option<Vec<u8>>> {
        // No log has a full tile of level 7.
        let is_full = level < 7 && (u128::from(index) + 1) << (8 * (u32::from(level) + 1)) <= self.size().unsigned_abs().into();
        Box::pin(async move {
            if !is_full {
                return Ok(None);
            }
            let row = self.row(TILE, &[&i64::from(level), &sql(index)]).await?;
            Ok(row.map(|row| row.try_get(0)).transpose()?)
        })
    }

    fn outside(&mut self) -> Answer<'_, Outside> {
        Box::pin(async move {
            let Some(row) = self.row(OUTSIDE, &[]).await? else { return Ok(Outside::default()) };
            Ok(Outside { entries: index(&row, 0)?, batches: index(&row, 1)?, tiles: index(&row, 2)? })
        })
    }

    fn spent(&mut self, from: Option<SpentPlace>) -> Answer<'_, SpentPage, OpenFault> {
        Box::pin(async move {
            let SpentPlace(place) = from.unwrap_or(SpentPlace(vec![0]));
            let (generation, from) = place.split_first().map_or((0, &[][..]), |(first, rest)| (usize::from(*first != 0), rest));
            let (table, failed) = (TABLES[generation], StoreFault::from);
            let rows = self.rows(SPENT[generation], &[&from, &ROWS]).await?;
            let next = match rows.last() {
                Some(last) => {
                    let proof: &[u8] = last.try_get(0).map_err(failed)?;
                    Some(SpentPlace([&place[..1], &next_bytes(proof)].concat()))
                }
                None if generation == 0 => Some(SpentPlace(vec![1])),
                None => None,
            };
            let forgotten_before = if next.is_none() { self.now().await?.head.time } else { Timestamp::default() };
            let spent = |row: &Row| {
                let proof = digest(row, 0).map_err(|_| OpenFault::Table { table, what: "a proof that is not of 32 bytes" })?;
                Ok::<_, OpenFault>(SpentRow { table, proof, until: row.try_get(1).map_err(failed)? })
            };
            let mut page = SpentPage { rows: Vec::new(), next, forgotten_before };
            for row in &rows {
                if row.try_get::<_, i64>(2).map_err(failed)? < self.size() {
                    page.rows.push(spent(row)?);
                }
            }
            Ok(page)
        })
    }

    fn last_uses(&mut self) -> Answer<'_, LastUses> {
        Box::pin(async move {
            let (mut uses, mut from) = (LastUses::default(), String::new());
            loop {
                let rows = self.rows(LAST_USES, &[&from, &ROWS]).await?;
                for row in &rows {
                    let (subject, (index, at)) = used(row)?;
                    if index < self.size() {
                        uses.at_head.push(LastUse { subject, index: number(index)?, time: time(at)? });
                    } else {
                        uses.since.push(subject);
                    }
                }
                let Some(last) = rows.last() else { return Ok(uses) };
                from = next_text(last.try_get(0)?);
            }
        })
    }

    fn texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<StoredText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let text = |row: &Row| {
                let digest = digest(row, 0)?;
                Ok(StoredText { digest, said: sealed::said(row, digest, self.keys())? })
            };
            self.rows(TEXTS, &[&after, &ROWS]).await?.iter().map(text).collect()
        })
    }

    fn keyring(&mut self) -> Answer<'_, Option<Vec<SealedBlob>>> {
        Box::pin(async move {
            let (rows, mut blobs) = (self.rows(KEYRING, &[]).await?, Vec::new());
            for row in &rows {
                if index_if(row, 3)? != self.fixed()?.head.last_change {
                    return Ok(None);
                }
                let Some(name) = row.try_get::<_, Option<&str>>(0)? else { continue };
                let name = BlobName::stored(name.to_owned());
                let sealed = sealed::blob(&name, (row, 1), self.keys())?;
                blobs.push(SealedBlob { name, sealed });
            }
            Ok(Some(blobs))
        })
    }

    fn answers(&mut self) -> Answer<'_, Vec<AnswerRow>> {
        Box::pin(async move {
            let mut answers: Vec<AnswerRow> = Vec::new();
            loop {
                let (person, key) = answers.last().map_or((&[][..], &[][..]), |last| (&last.person[..], &last.key[..]));
                let rows = self.rows(ANSWERS, &[&person, &key, &ROWS]).await?;
                if rows.is_empty() {
                    return Ok(answers);
                }
                for row in &rows {
                    let (person, key, fingerprint) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                    let (request, since, stage) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
                    answers.push(AnswerRow { person, key, fingerprint, request, since, stage, answer: row.try_get(6)? });
                }
            }
        })
    }

    fn use_texts(&mut self, after: Option<Digest>) -> Answer<'_, Vec<UseText>> {
        Box::pin(async move {
            let after = after.map_or_else(Vec::new, |Digest(after)| after.to_vec());
            let text = |row: &Row| {
                let (client, body) = (row.try_get(1)?, row.try_get(2)?);
                Ok(UseText { key: digest(row, 0)?, client, body, day: Day(row.try_get(3)?) })
            };
            self.rows(USE_TEXTS, &[&after, &ROWS]).await?.iter().map(text).collect()
        })
    }

    /// The head of these tables has sums from the beginning.
    fn check_sums<'a>(&'a mut self, key: &'a SumKey, head: &'a Head, tables: Checked) -> Answer<'a, bool, OpenFault> {
        Box::pin(async move {
            checked::check(self, key, head, tables).await?;
            Ok(true)
        })
    }

    fn end_reading<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async { Ok(()) })
    }
}

/// Every change of a kind as rows have it, with its index.
pub async fn changes_of_kind(connection: &mut Connection, kind: &'static str) -> Result<Vec<(u64, String)>, StoreFault> {
    connection.rows(OF_KIND, &[&kind]).await?.iter().map(of_kind).collect()
}

fn of_kind(row: &Row) -> Result<(u64, String), StoreFault> {
    Ok((index(row, 0)?, row.try_get(1)?))
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
