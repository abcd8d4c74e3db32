//! The read side, by a small pool of connections that cannot write.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use sqlx::sqlite::{SqlitePoolOptions, SqliteRow};
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::answers;
use super::column::{index, number, sql, time};
use super::fault::is_interrupted;
use super::long_reads::LongReads;
use super::people;
use super::query::{bind, counting, listing};
use super::schema;
use super::since;
use super::snapshot::{self, Reading};
use super::spent::{self, Memory};
use super::statement::LATELY;
use super::tallies;
use super::uses;
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::hex;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::answers::Idempotency;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::store::Answer;
use crate::journal::store::gathered::Gathered;
use crate::journal::store::people::{PeopleHead, StoredPeople};
use crate::journal::store::query::Query;
use crate::journal::store::read::Read;
use crate::journal::store::row::{Issuance, IssuedPlace, KnownRequest, Since};
use crate::journal::store::snapshot::Snapshot;
use crate::journal::store::uses::{StoredUses, UseRow, UsesInDays};
use crate::journal::tree::tiles::{Kind, Tile};

/// The read side.
pub struct SqliteReader {
    pool: SqlitePool,
    /// For queries of people, which look through many entries.
    long: LongReads,
    /// One entry, by its index.
    bodies: Gathered<u64, Option<String>>,
    /// Whether a proof was spent.
    spent: Gathered<ProofKey, bool>,
}

impl SqliteReader {
    /// Connects to the database at `path`.
    pub async fn connect(path: &Path) -> Result<Self, StoreFault> {
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(schema::reader(path)).await?;
        Ok(Self::of(pool, LongReads::of(path), Memory::default()))
    }

    /// The same beside a writer of this process.
    pub fn beside(self, lately: Memory) -> Self {
        Self::of(self.pool, self.long, lately)
    }

    /// `lately` is of the proofs that were spent lately, if this process writes.
    fn of(pool: SqlitePool, long: LongReads, lately: Memory) -> Self {
        let (of_bodies, of_spent) = (pool.clone(), pool.clone());
        Self {
            pool,
            long,
            bodies: Gathered::by(move |indices| bodies(of_bodies.clone(), indices)),
            spent: Gathered::by(move |proofs| {
                let answers = are_spent(of_spent.clone(), lately.clone(), proofs);
                async { Ok(answers.await?.into_iter().map(Ok).collect()) }
            }),
        }
    }
}

impl Read for SqliteReader {
    fn body(&self, index: u64) -> Answer<'_, Option<String>> {
        Box::pin(self.bodies.ask(index))
    }

    fn bodies(&self, from: u64, until: u64) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let query = sqlx::query("SELECT body FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx").bind(sql(from));
            first_columns(&query.bind(sql(until)).fetch_all(&self.pool).await?)
        })
    }

    fn changes(&self, from: u64, most: u32) -> Answer<'_, Vec<String>> {
        let text =
            "SELECT body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND idx >= ? ORDER BY idx LIMIT ?";
        Box::pin(async move {
            let query = sqlx::query(text).bind(sql(from)).bind(most);
            first_columns(&query.fetch_all(&self.pool).await?)
        })
    }

    fn changes_of_kind(&self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(async move { snapshot::changes_of_kind(&mut *self.pool.acquire().await?, kind).await })
    }

    fn issued<'a>(&'a self, from: u64, until: u64, clients: Option<&'a Clients>, most: u32) -> Answer<'a, Vec<String>> {
        let (least, beyond) = clients.map(Clients::subjects).unzip();
        let text = "SELECT body FROM entries WHERE idx >= ?1 AND idx < ?2 AND kind = 'issued' \
            AND (?3 IS NULL OR (subject >= ?3 AND subject < ?4)) ORDER BY idx LIMIT ?5";
        Box::pin(async move {
            let query = sqlx::query(text).bind(sql(from)).bind(sql(until)).bind(least).bind(beyond).bind(most);
            first_columns(&query.fetch_all(&self.pool).await?)
        })
    }

    fn issuances(&self, from: u64, until: u64) -> Answer<'_, Vec<Issuance>> {
        let text = "SELECT idx, subject, json_extract(body, '$.exp') FROM entries \
            WHERE idx >= ? AND idx < ? AND kind = 'issued' ORDER BY idx";
        Box::pin(async move {
            let rows = sqlx::query(text).bind(sql(from)).bind(sql(until)).fetch_all(&self.pool).await?;
            let issuance = |row: &SqliteRow| {
                let (subject, expires): (&str, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
                let expires = time(expires.ok_or_else(|| StoreFault::unreadable("an issuance without an end"))?)?;
                Ok(Issuance { index: index(row, 0)?, subject: subject.into(), expires })
            };
            rows.iter().map(issuance).collect()
        })
    }

    fn bodies_at<'a>(&'a self, indexes: &'a [u64]) -> Answer<'a, Vec<String>> {
        let text = "SELECT body FROM entries WHERE idx IN (SELECT value FROM json_each(?)) ORDER BY idx";
        Box::pin(async move {
            let wanted = serde_json::to_string(indexes).map_err(StoreFault::unreadable)?;
            first_columns(&sqlx::query(text).bind(wanted).fetch_all(&self.pool).await?)
        })
    }

    fn issued_by_day<'a>(&'a self, subject: &'a str, from: u64, since: Timestamp) -> Answer<'a, Vec<(i64, u64)>> {
        let text = "SELECT time / 86400, count(*) FROM entries WHERE idx >= ? AND kind = 'issued' AND subject = ? AND time >= ? \
            GROUP BY 1 ORDER BY 1";
        Box::pin(async move {
            let query = sqlx::query(text).bind(sql(from)).bind(subject.to_owned()).bind(since.as_seconds());
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))).collect()
        })
    }

    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>> {
        Box::pin(async move { listed(query, &mut *self.pool.acquire().await?).await })
    }

    fn look<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>> {
        Box::pin(async move { listed(query, &mut *self.long.turn().await?).await })
    }

    fn count<'a>(&'a self, query: &'a Query, most: u32) -> Answer<'a, Option<u64>> {
        let text = counting(query);
        Box::pin(async move {
            match bind(text, query, i64::from(most)).fetch_one(&mut *self.long.turn().await?).await {
                Ok(row) => Ok(Some(number(row.try_get(0)?)?)),
                Err(fault) if is_interrupted(&fault) => Ok(None),
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn issued_by_place<'a>(
        &'a self,
        clients: &'a Clients,
        within: (u64, u64),
        times: (Timestamp, Timestamp),
    ) -> Answer<'a, Vec<IssuedPlace>> {
        Box::pin(async move { tallies::by_place(&mut *self.long.turn().await?, clients, within, times).await })
    }

    fn first_that_may_leave(&self, until: u64) -> Answer<'_, Option<u64>> {
        let text = "SELECT idx FROM entries WHERE idx < ? AND kind IN ('issued', 'refused', 'refusals') ORDER BY idx LIMIT 1";
        Box::pin(async move {
            let row = sqlx::query(text).bind(sql(until)).fetch_optional(&self.pool).await?;
            row.map(|row| index(&row, 0)).transpose()
        })
    }

    fn time_from(&self, index: u64) -> Answer<'_, Option<Timestamp>> {
        Box::pin(async move {
            let query = sqlx::query("SELECT time FROM entries WHERE idx >= ? ORDER BY idx LIMIT 1").bind(sql(index));
            query.fetch_optional(&self.pool).await?.map(|row| time(row.try_get(0)?)).transpose()
        })
    }

    fn last_uses<'a>(&'a self, clients: &'a [Clients]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let text = "SELECT (SELECT max(time) FROM last_use WHERE subject >= value ->> 0 AND subject < value ->> 1) \
            FROM json_each(?) ORDER BY key";
        Box::pin(async move {
            // One statement, and one text of it however many are wanted.
            let wanted: Vec<(String, String)> = clients.iter().map(Clients::subjects).collect();
            let wanted = serde_json::to_string(&wanted).map_err(StoreFault::unreadable)?;
            let rows = sqlx::query(text).bind(wanted).fetch_all(&self.pool).await?;
            rows.iter().map(|row| row.try_get::<Option<i64>, _>(0)?.map(time).transpose()).collect()
        })
    }

    fn texts<'a>(&'a self, digests: &'a [TextDigest]) -> Answer<'a, Vec<TextRow>> {
        Box::pin(async move {
            // One statement, and one text of it however many are wanted.
            let wanted: Vec<String> = digests.iter().map(|digest| hex::encode(&digest.0)).collect();
            let wanted = serde_json::to_string(&wanted).map_err(StoreFault::unreadable)?;
            let query =
                sqlx::query("SELECT digest, salt, text FROM texts WHERE digest IN (SELECT unhex(value) FROM json_each(?))");
            query.bind(wanted).fetch_all(&self.pool).await?.iter().map(text).collect()
        })
    }

    fn is_spent<'a>(&'a self, proof: &'a ProofKey) -> Answer<'a, bool> {
        Box::pin(self.spent.ask(*proof))
    }

    fn blob<'a>(&'a self, name: &'a BlobName) -> Answer<'a, Option<SealedBlob>> {
        Box::pin(async move {
            let query = sqlx::query("SELECT sealed FROM keyring WHERE name = ?").bind(name.as_str().to_owned());
            let row = query.fetch_optional(&self.pool).await?;
            row.map(|row| Ok(SealedBlob { name: name.clone(), sealed: row.try_get(0)? })).transpose()
        })
    }

    fn people(&self) -> Answer<'_, StoredPeople> {
        Box::pin(async move { people::read(&mut *self.pool.begin().await?).await })
    }

    fn people_head(&self) -> Answer<'_, Option<PeopleHead>> {
        Box::pin(async move { people::head(&mut *self.pool.acquire().await?).await })
    }

    fn uses(&self) -> Answer<'_, StoredUses> {
        Box::pin(async move { uses::read(&mut *self.pool.begin().await?).await })
    }

    fn uses_of_day(&self, day: Day) -> Answer<'_, Vec<UseRow>> {
        Box::pin(async move { uses::of_day(&mut *self.pool.acquire().await?, day).await })
    }

    fn use_texts<'a>(&'a self, keys: &'a [Digest]) -> Answer<'a, Vec<(Digest, String)>> {
        Box::pin(async move { uses::texts(&mut *self.pool.acquire().await?, keys).await })
    }

    fn uses_of_client<'a>(&'a self, client: &'a str, from: Day) -> Answer<'a, Vec<(Day, Tally, String)>> {
        Box::pin(async move { uses::of_client(&mut *self.pool.acquire().await?, client, from).await })
    }

    fn uses_between<'a>(&'a self, clients: &'a Clients, days: [(Day, Day); 3]) -> Answer<'a, Option<(u64, [UsesInDays; 3])>> {
        Box::pin(async move { uses::between(&mut *self.pool.begin().await?, clients, days).await })
    }

    fn last_issued<'a>(&'a self, clients: &'a Clients) -> Answer<'a, Option<u64>> {
        let (least, beyond) = clients.subjects();
        Box::pin(async move {
            let query =
                sqlx::query("SELECT max(idx) FROM last_use WHERE subject >= ? AND subject < ?").bind(least).bind(beyond);
            let row = query.fetch_one(&self.pool).await?;
            row.try_get::<Option<i64>, _>(0)?.map(number).transpose()
        })
    }

    fn newest_uses<'a>(&'a self, clients: &'a [String]) -> Answer<'a, Vec<(String, Timestamp, String)>> {
        Box::pin(async move { uses::newest(&mut *self.pool.acquire().await?, clients).await })
    }

    fn tile<'a>(&'a self, tile: &'a Tile) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let Kind::Hashes(level) = tile.kind() else { return Ok(None) };
            snapshot::tile(&mut *self.pool.acquire().await?, level, tile.index()).await
        })
    }

    fn answer<'a>(&'a self, once: &'a Idempotency, now: Timestamp) -> Answer<'a, Option<KnownRequest>> {
        Box::pin(answers::read(&self.pool, once, now))
    }

    fn since(&self, from: u64, most: u32) -> Answer<'_, Since> {
        Box::pin(async move { since::read(&mut *self.pool.begin().await?, from, most).await })
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot + '_>, OpenFault> {
        Box::pin(async move {
            let mut reading = Reading(self.pool.begin().await.map_err(StoreFault::from)?);
            reading.ensure_version().await?;
            Ok(Box::new(reading) as Box<dyn Snapshot>)
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.long.close().await;
            self.pool.close().await;
            Ok(())
        })
    }

    #[cfg(test)]
    fn hold(&self) -> Answer<'_, Box<dyn std::any::Any + Send>> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..self.pool.options().get_max_connections() {
                held.push(self.pool.acquire().await?);
            }
            Ok(Box::new(held) as Box<dyn std::any::Any + Send>)
        })
    }
}

/// These entries, each where it was asked for. One that cannot be read is a fault for who asked for it.
async fn bodies(pool: SqlitePool, indices: Vec<u64>) -> Result<Vec<Result<Option<String>, StoreFault>>, StoreFault> {
    // One statement, and one text of it however many are wanted.
    let wanted = serde_json::to_string(&indices).map_err(StoreFault::unreadable)?;
    let query = sqlx::query("SELECT idx, body FROM entries WHERE idx IN (SELECT value FROM json_each(?))").bind(wanted);
    let rows = query.fetch_all(&pool).await?;
    let found: HashMap<u64, &SqliteRow> =
        rows.iter().map(|row| Ok((index(row, 0)?, row))).collect::<Result<_, StoreFault>>()?;
    let body = |wanted: &u64| found.get(wanted).map(|row| Ok(row.try_get(1)?)).transpose();
    Ok(indices.iter().map(body).collect())
}

/// Whether each of these proofs was spent.
///
/// Memory is looked into first, since proofs move from there to the table. If it is of another head than the database, the rows are read as
/// well.
async fn are_spent(pool: SqlitePool, lately: Memory, proofs: Vec<ProofKey>) -> Result<Vec<bool>, StoreFault> {
    let held = |lately: &spent::Lately| proofs.iter().map(|proof| lately.holds(proof)).collect::<Vec<_>>();
    let known = lately.look(|head, lately| (head.size, held(lately)));
    let (known, mut spent) = known.map_or_else(|| (None, vec![false; proofs.len()]), |(size, held)| (Some(size), held));
    if spent.iter().all(|spent| *spent) {
        return Ok(spent);
    }
    let (size, home) = consumed(&mut *pool.acquire().await?, &proofs).await?;
    if known == Some(size) {
        note(&mut spent, &proofs, &home);
        return Ok(spent);
    }
    // In one snapshot: what moves from one table to the other in between would be in neither.
    let mut snapshot = pool.begin().await?;
    for row in sqlx::query(LATELY).fetch_all(&mut *snapshot).await? {
        let row = spent::read(row.try_get(0)?).ok_or_else(|| StoreFault::unreadable("a row that is no list of proofs"))?;
        note(&mut spent, &proofs, &row.into_iter().map(|(key, _)| key).collect::<HashSet<_>>());
    }
    let (_, later) = consumed(&mut snapshot, &proofs).await?;
    note(&mut spent, &proofs, &home);
    note(&mut spent, &proofs, &later);
    Ok(spent)
}

/// Marks those that were found.
fn note(spent: &mut [bool], proofs: &[ProofKey], found: &HashSet<ProofKey>) {
    for (spent, proof) in spent.iter_mut().zip(proofs) {
        *spent |= found.contains(proof);
    }
}

/// The size of the log, and those of these proofs that are in `consumed`, by one statement.
async fn consumed(connection: &mut SqliteConnection, proofs: &[ProofKey]) -> Result<(u64, HashSet<ProofKey>), StoreFault> {
    let wanted: Vec<String> = proofs.iter().map(|ProofKey(digest)| digest.to_string()).collect();
    let wanted = serde_json::to_string(&wanted).map_err(StoreFault::unreadable)?;
    let text =
        "SELECT size, proof FROM head LEFT JOIN consumed ON proof IN (SELECT unhex(value) FROM json_each(?)) WHERE id = 1";
    let rows = sqlx::query(text).bind(wanted).fetch_all(connection).await?;
    let first = rows.first().ok_or_else(|| StoreFault::unreadable("a log without a head"))?;
    let found = rows.iter().filter_map(|row| {
        let proof = row.try_get::<Option<&[u8]>, _>(1).map_err(StoreFault::from).transpose()?;
        let read = |proof: &[u8]| proof.try_into().map(|bytes| ProofKey(Digest(bytes)));
        Some(proof.and_then(|proof| read(proof).map_err(|_| StoreFault::unreadable("a proof that is not of 32 bytes"))))
    });
    Ok((number(first.try_get(0)?)?, found.collect::<Result<_, _>>()?))
}

async fn listed(query: &Query, connection: &mut SqliteConnection) -> Result<Vec<String>, StoreFault> {
    let text = listing(query);
    let bound = bind(text, query, i64::try_from(query.limit()).unwrap_or(i64::MAX));
    first_columns(&bound.fetch_all(connection).await?)
}

fn first_columns(rows: &[SqliteRow]) -> Result<Vec<String>, StoreFault> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn text(row: &SqliteRow) -> Result<TextRow, StoreFault> {
    let (digest, salt): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
    let digest = TextDigest(digest.try_into().map_err(|_| StoreFault::unreadable("a digest that is not of 32 bytes"))?);
    let salt = salt.try_into().map_err(|_| StoreFault::unreadable("a salt that is not of 16 bytes"))?;
    Ok(TextRow { digest, salt, text: row.try_get(2)? })
}
