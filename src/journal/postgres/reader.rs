//! The read side, by a few connections that cannot write.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;

use super::address::PostgresAddress;
use super::column::{index, index_if, subjects};
use super::connection::Bound;
use super::pool::{Held, Pool, Reads};
use super::query::{Values, counting, listing};
use super::reading::Reading;
use super::snapshot;
use super::statement::{SINCE, kept, news, rows};
use super::{answers, people, sealed, spent, uses};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::answers::Idempotency;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::key::data_key::DataKeys;
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::store::Answer;
use crate::journal::store::column::{number, sql, time};
use crate::journal::store::gathered::Gathered;
use crate::journal::store::head::Found;
use crate::journal::store::people::{PeopleHead, StoredPeople};
use crate::journal::store::query::Query;
use crate::journal::store::read::Read;
use crate::journal::store::row::{Issuance, IssuedPlace, KnownRequest, Since};
use crate::journal::store::snapshot::Snapshot;
use crate::journal::store::uses::{StoredUses, UseRow, UsesInDays};
use crate::journal::tree::tiles::{Kind, Tile};

/// Connections for what an exchange, an introspection or a revocation reads, and for queries of people.
const CONNECTIONS: u32 = 4;
const LONG: u32 = 2;

const BODIES: &str = "SELECT body FROM entries WHERE idx >= $1 AND idx < $2 ORDER BY idx";
const BODIES_AT: &str = "SELECT idx, body FROM entries WHERE idx = ANY($1::int8[]) ORDER BY idx";
const CHANGES: &str =
    "SELECT body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND idx >= $1 ORDER BY idx LIMIT $2";
const ISSUED: &str = "SELECT body FROM entries WHERE idx >= $1 AND idx < $2 AND kind = 'issued' \
     AND ($3::text IS NULL OR (subject >= $3 AND subject < $4::text)) ORDER BY idx LIMIT $5";
const ISSUANCES: &str = "SELECT idx, subject, (body::json ->> 'exp')::int8 FROM entries \
     WHERE idx >= $1 AND idx < $2 AND kind = 'issued' ORDER BY idx";
const BY_DAY: &str = "SELECT time / 86400, count(*) FROM entries WHERE idx >= $1 AND kind = 'issued' AND subject = $2 AND time >= $3 \
     GROUP BY 1 ORDER BY 1";
const FIRST_THAT_MAY_LEAVE: &str =
    "SELECT idx FROM entries WHERE idx < $1 AND kind IN ('issued', 'refused', 'refusals') ORDER BY idx LIMIT 1";
const TIME_FROM: &str = "SELECT time FROM entries WHERE idx >= $1 ORDER BY idx LIMIT 1";
const LAST_USES: &str = "SELECT (SELECT max(time) FROM last_use WHERE subject >= asked.least AND subject < asked.beyond) \
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (least, beyond, place) ORDER BY place";
const LAST_ISSUED: &str = "SELECT max(idx) FROM last_use WHERE subject >= $1 AND subject < $2";
const TEXTS: &str = "SELECT t.digest, t.sealed, k.sealed FROM texts t JOIN data_keys k ON k.name = t.data_key WHERE t.digest = ANY($1::bytea[])";
const BLOB: &str = "SELECT b.sealed, k.sealed FROM keyring b LEFT JOIN data_keys k ON k.name = b.data_key WHERE b.name = $1";

/// Several statements at one moment.
const MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The read side.
pub struct PostgresReader {
    keys: DataKeys,
    pool: Arc<Pool>,
    /// For queries of people, which look through many entries.
    long: Arc<Pool>,
    /// One entry, by its index.
    bodies: Gathered<u64, Option<String>>,
    /// Whether a proof was spent.
    spent: Gathered<ProofKey, bool>,
}

impl PostgresReader {
    /// Of the database at `address`. Connections are made when they are needed.
    pub fn of(address: &PostgresAddress, reads: Reads, keys: DataKeys) -> Self {
        let pool = Pool::of(address.clone(), reads, CONNECTIONS);
        let (of_bodies, of_spent) = (Arc::clone(&pool), Arc::clone(&pool));
        Self {
            keys,
            pool,
            long: Pool::of(address.clone(), reads, LONG),
            bodies: Gathered::by(move |indices| bodies(Arc::clone(&of_bodies), indices)),
            spent: Gathered::by(move |proofs| are_spent(Arc::clone(&of_spent), proofs)),
        }
    }

    async fn rows(&self, text: &'static str, bound: Bound<'_>) -> Result<Vec<Row>, StoreFault> {
        self.pool.rows(text, bound).await
    }

    async fn row(&self, text: &'static str, bound: Bound<'_>) -> Result<Option<Row>, StoreFault> {
        Ok(self.pool.rows(text, bound).await?.into_iter().next())
    }

    /// A connection that reads at one moment until [`end`].
    async fn moment(&self) -> Result<Held, StoreFault> {
        let mut held = self.pool.turn().await?;
        held.is_open = true;
        held.simple(MOMENT).await?;
        Ok(held)
    }
}

/// Ends the moment, and gives the connection back.
async fn end<T>(mut held: Held, read: T) -> Result<T, StoreFault> {
    held.simple("COMMIT").await?;
    held.is_open = false;
    Ok(read)
}

impl Read for PostgresReader {
    fn body(&self, index: u64) -> Answer<'_, Option<String>> {
        Box::pin(self.bodies.ask(index))
    }

    fn bodies(&self, from: u64, until: u64) -> Answer<'_, Vec<String>> {
        Box::pin(async move { column(&self.rows(BODIES, &[&sql(from), &sql(until)]).await?, 0) })
    }

    fn changes(&self, from: u64, most: u32) -> Answer<'_, Vec<String>> {
        Box::pin(async move { column(&self.rows(CHANGES, &[&sql(from), &i64::from(most)]).await?, 0) })
    }

    fn changes_of_kind(&self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(async move { snapshot::changes_of_kind(&mut *self.pool.turn().await?, kind).await })
    }

    fn issued<'a>(&'a self, from: u64, until: u64, clients: Option<&'a Clients>, most: u32) -> Answer<'a, Vec<String>> {
        let (least, beyond) = clients.map(subjects).unzip();
        Box::pin(
            async move { column(&self.rows(ISSUED, &[&sql(from), &sql(until), &least, &beyond, &i64::from(most)]).await?, 0) },
        )
    }

    fn issuances(&self, from: u64, until: u64) -> Answer<'_, Vec<Issuance>> {
        Box::pin(async move {
            let issuance = |row: &Row| {
                let (subject, expires): (&str, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
                let expires = time(expires.ok_or_else(|| StoreFault::unreadable("an issuance without an end"))?)?;
                Ok(Issuance { index: index(row, 0)?, subject: subject.into(), expires })
            };
            self.rows(ISSUANCES, &[&sql(from), &sql(until)]).await?.iter().map(issuance).collect()
        })
    }

    fn bodies_at<'a>(&'a self, indexes: &'a [u64]) -> Answer<'a, Vec<String>> {
        let wanted: Vec<i64> = indexes.iter().map(|index| sql(*index)).collect();
        Box::pin(async move { column(&self.rows(BODIES_AT, &[&wanted]).await?, 1) })
    }

    fn issued_by_day<'a>(&'a self, subject: &'a str, from: u64, since: Timestamp) -> Answer<'a, Vec<(i64, u64)>> {
        Box::pin(async move {
            let rows = self.rows(BY_DAY, &[&sql(from), &subject, &since.as_seconds()]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, index(row, 1)?))).collect()
        })
    }

    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>> {
        Box::pin(async move { listed(query, self.pool.turn().await?).await })
    }

    fn look<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>> {
        Box::pin(async move { listed(query, self.long.turn().await?).await })
    }

    fn count<'a>(&'a self, query: &'a Query, most: u32) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let values = Values::of(query, i64::from(most));
            let counted = self.long.turn().await?.one(counting(query), &values.bound()).await.map_err(StoreFault::from);
            match counted {
                Ok(row) => Ok(Some(index(&row, 0)?)),
                Err(StoreFault::Late(_)) => Ok(None),
                Err(
                    fault @ (StoreFault::Failed(_)
                    | StoreFault::Away(_)
                    | StoreFault::Again(_)
                    | StoreFault::Foreign(_)
                    | StoreFault::Superseded),
                ) => Err(fault),
            }
        })
    }

    fn issued_by_place<'a>(
        &'a self,
        clients: &'a Clients,
        within: (u64, u64),
        times: (Timestamp, Timestamp),
    ) -> Answer<'a, Vec<IssuedPlace>> {
        Box::pin(async move { snapshot::by_place(&mut *self.long.turn().await?, clients, within, times).await })
    }

    fn first_that_may_leave(&self, until: u64) -> Answer<'_, Option<u64>> {
        Box::pin(async move { self.row(FIRST_THAT_MAY_LEAVE, &[&sql(until)]).await?.map(|row| index(&row, 0)).transpose() })
    }

    fn time_from(&self, index: u64) -> Answer<'_, Option<Timestamp>> {
        Box::pin(async move { self.row(TIME_FROM, &[&sql(index)]).await?.map(|row| time(row.try_get(0)?)).transpose() })
    }

    fn last_uses<'a>(&'a self, clients: &'a [Clients]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let (least, beyond): (Vec<String>, Vec<String>) = clients.iter().map(subjects).unzip();
        Box::pin(async move {
            let rows = self.rows(LAST_USES, &[&least, &beyond]).await?;
            rows.iter().map(|row| row.try_get::<_, Option<i64>>(0)?.map(time).transpose()).collect()
        })
    }

    fn texts<'a>(&'a self, digests: &'a [TextDigest]) -> Answer<'a, Vec<TextRow>> {
        let wanted: Vec<&[u8]> = digests.iter().map(|digest| &digest.0[..]).collect();
        Box::pin(async move {
            let rows = self.rows(TEXTS, &[&wanted]).await?;
            rows.iter().filter_map(|row| sealed::text(row, &self.keys).transpose()).collect()
        })
    }

    fn is_spent<'a>(&'a self, proof: &'a ProofKey) -> Answer<'a, bool> {
        Box::pin(self.spent.ask(*proof))
    }

    fn blob<'a>(&'a self, name: &'a BlobName) -> Answer<'a, Option<SealedBlob>> {
        Box::pin(async move {
            let row = self.row(BLOB, &[&name.as_str()]).await?;
            row.map(|row| Ok(SealedBlob { name: name.clone(), sealed: sealed::blob(name, (&row, 0), &self.keys)? })).transpose()
        })
    }

    fn people(&self) -> Answer<'_, StoredPeople> {
        Box::pin(async move {
            let mut held = self.moment().await?;
            let read = people::read(&mut held).await?;
            end(held, read).await
        })
    }

    fn people_head(&self) -> Answer<'_, Option<PeopleHead>> {
        Box::pin(async move { people::head(&mut *self.pool.turn().await?).await })
    }

    fn uses(&self) -> Answer<'_, StoredUses> {
        Box::pin(async move {
            let mut held = self.moment().await?;
            let read = uses::read(&mut held).await?;
            end(held, read).await
        })
    }

    fn uses_of_day(&self, day: Day) -> Answer<'_, Vec<UseRow>> {
        Box::pin(async move { uses::of_day(&mut *self.pool.turn().await?, day).await })
    }

    fn use_texts<'a>(&'a self, keys: &'a [Digest]) -> Answer<'a, Vec<(Digest, String)>> {
        Box::pin(async move { uses::texts(&mut *self.pool.turn().await?, keys).await })
    }

    fn uses_of_client<'a>(&'a self, client: &'a str, from: Day) -> Answer<'a, Vec<(Day, Tally, String)>> {
        Box::pin(async move { uses::of_client(&mut *self.pool.turn().await?, client, from).await })
    }

    fn uses_between<'a>(&'a self, clients: &'a Clients, days: [(Day, Day); 3]) -> Answer<'a, Option<(u64, [UsesInDays; 3])>> {
        Box::pin(async move {
            let mut held = self.moment().await?;
            let read = uses::between(&mut held, clients, days).await?;
            end(held, read).await
        })
    }

    fn last_issued<'a>(&'a self, clients: &'a Clients) -> Answer<'a, Option<u64>> {
        let (least, beyond) = subjects(clients);
        Box::pin(async move {
            let row = self.row(LAST_ISSUED, &[&least, &beyond]).await?;
            row.map_or(Ok(None), |row| index_if(&row, 0))
        })
    }

    fn newest_uses<'a>(&'a self, clients: &'a [String]) -> Answer<'a, Vec<(String, Timestamp, String)>> {
        Box::pin(async move { uses::newest(&mut *self.pool.turn().await?, clients).await })
    }

    fn tile<'a>(&'a self, tile: &'a Tile) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let Kind::Hashes(level) = tile.kind() else { return Ok(None) };
            snapshot::tile(&mut *self.pool.turn().await?, level, tile.index()).await
        })
    }

    fn answer<'a>(&'a self, once: &'a Idempotency, now: Timestamp) -> Answer<'a, Option<KnownRequest>> {
        Box::pin(async move { answers::read(&mut *self.pool.turn().await?, once, now).await })
    }

    fn since(&self, from: u64, most: u32) -> Answer<'_, Since> {
        Box::pin(async move {
            let rows_since = self.rows(SINCE, &[&sql(from), &i64::from(most)]).await?;
            let head = rows_since.first().ok_or_else(|| StoreFault::unreadable("a head that is gone"))?;
            let at_head = kept(head)?;
            let found = Found { head: at_head.head, rows: rows(head, 9)? };
            let after = rows_since.iter().filter_map(|row| news(row, 10).transpose()).collect::<Result<_, _>>()?;
            Ok(Since { found, sums: at_head.sums, news: after })
        })
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot + '_>, OpenFault> {
        Box::pin(async move { Ok(Box::new(Reading::begin(&self.pool, self.keys.clone()).await?) as Box<dyn Snapshot>) })
    }

    fn close(&self) -> Answer<'_, ()> {
        self.long.close();
        self.pool.close();
        Box::pin(async { Ok(()) })
    }

    #[cfg(test)]
    fn hold(&self) -> Answer<'_, Box<dyn std::any::Any + Send>> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..self.pool.most() {
                held.push(self.pool.turn().await?);
            }
            Ok(Box::new(held) as Box<dyn std::any::Any + Send>)
        })
    }
}

/// These entries, each where it was asked for.
async fn bodies(pool: Arc<Pool>, indices: Vec<u64>) -> Result<Vec<Result<Option<String>, StoreFault>>, StoreFault> {
    let wanted: Vec<i64> = indices.iter().map(|index| sql(*index)).collect();
    let rows = pool.rows(BODIES_AT, &[&wanted]).await?;
    let found: HashMap<u64, &Row> =
        rows.iter().map(|row| Ok((number(row.try_get(0)?)?, row))).collect::<Result<_, StoreFault>>()?;
    let body = |wanted: &u64| found.get(wanted).map(|row| Ok(row.try_get(1)?)).transpose();
    Ok(indices.iter().map(body).collect())
}

/// Whether each of these proofs was spent.
async fn are_spent(pool: Arc<Pool>, proofs: Vec<ProofKey>) -> Result<Vec<Result<bool, StoreFault>>, StoreFault> {
    let keys: Vec<&[u8]> = proofs.iter().map(|proof| &proof.0.0[..]).collect();
    let found = spent::found(&pool.rows(spent::AMONG, &[&keys]).await?)?;
    Ok(proofs.iter().map(|proof| Ok(found.contains(proof))).collect())
}

async fn listed(query: &Query, mut connection: Held) -> Result<Vec<String>, StoreFault> {
    let values = Values::of(query, i64::try_from(query.limit()).unwrap_or(i64::MAX));
    column(&connection.rows(listing(query), &values.bound()).await?, 0)
}

fn column(rows: &[Row], column: usize) -> Result<Vec<String>, StoreFault> {
    rows.iter().map(|row| Ok(row.try_get(column)?)).collect()
}
