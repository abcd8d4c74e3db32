//! Rows from another store: the SQL that puts them here. A portion is one statement, with an array for each column.

use tokio_postgres::types::ToSql;

use super::address::PostgresAddress;
use super::connection::{BEGIN, COMMIT, Connection, in_time};
use super::generations::Generations;
use super::{sealed, side};
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::Answer;
use crate::journal::store::column::sql;
use crate::journal::store::head::Head;
use crate::journal::store::keys::StoreKeys;
use crate::journal::store::restore::{ELSEWHERE, NOT_EMPTY, Portion, Restore};
use crate::journal::store::sums::SumKey;

/// A connection that restores.
pub struct PostgresRestore {
    connection: Connection,
    keys: StoreKeys,
}

const ENTRIES: &str = "INSERT INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) \
     SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[]) ON CONFLICT DO NOTHING";
const BATCHES: &str = "INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac, leaves) \
     SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[], $4::bytea[], $5::int8[], $6::bytea[], $7::bytea[]) ON CONFLICT DO NOTHING";
const TILES: &str =
    "INSERT INTO tiles (level, idx, content) SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[]) ON CONFLICT DO NOTHING";
const SPENT: &str =
    "INSERT INTO spent_0 (proof, gone_after, first) SELECT *, 0 FROM unnest($1::bytea[], $2::int8[]) ON CONFLICT DO NOTHING";
const LAST_USES: &str =
    "INSERT INTO last_use (subject, idx, time) SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[]) ON CONFLICT DO NOTHING";
const ANSWERS: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage, answer) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::int8[], $6::text[], $7::bytea[]) ON CONFLICT DO NOTHING";
const PEOPLE: &str = "INSERT INTO people (id, body) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING";
const DIRECTORY: &str = "UPDATE directory SET generation = $1, tag = $2 WHERE id = 1";
const USE_TEXTS: &str = "INSERT INTO use_texts (use, client, body, newest) \
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::int8[]) ON CONFLICT DO NOTHING";
const USES: &str = "INSERT INTO uses (day, use, count, first, last, until) \
     SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) ON CONFLICT DO NOTHING";
const USE_DAYS: &str = "INSERT INTO use_days (day, tag) SELECT * FROM unnest($1::int8[], $2::bytea[]) ON CONFLICT DO NOTHING";
const USES_HEAD: &str = "UPDATE uses_head SET generation = $1, at = $2, since = $3, tag = $4 WHERE id = 1";

/// Locks the head, so that nobody else restores or begins a log.
const LOCK: &str = "SELECT size FROM head WHERE id = 1 FOR UPDATE";
const ENDS: &str = "SELECT (SELECT max(idx) FROM entries), (SELECT max(gone_after) FROM spent_0)";
const END: &str = "UPDATE head SET size = $1, root = $2, last_change = $3, time = $4, turn = turn + 1, sums = $5, young = 0, \
     until_0 = $6, until_1 = NULL WHERE id = 1";

impl PostgresRestore {
    /// Connects to a database that has our tables.
    pub async fn connect(address: &PostgresAddress, keys: StoreKeys) -> Result<Self, StoreFault> {
        Ok(Self { connection: Connection::to(address).await?, keys })
    }
}

impl Restore for PostgresRestore {
    fn restore<'a>(&'a mut self, portion: &'a Portion) -> Answer<'a, ()> {
        Box::pin(async move {
            let connection = &mut self.connection;
            in_time(connection.simple(BEGIN)).await??;
            let done = put(connection, portion, &self.keys).await;
            let end = if done.is_ok() { COMMIT } else { "ROLLBACK" };
            in_time(connection.simple(end)).await??;
            done
        })
    }
}

/// A column of a portion, as an array.
fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

async fn put(connection: &mut Connection, portion: &Portion, keys: &StoreKeys) -> Result<(), StoreFault> {
    let size: i64 = connection.one(LOCK, &[]).await?.try_get(0)?;
    if size != 0 {
        return Err(StoreFault::Failed(NOT_EMPTY.into()));
    }
    match portion {
        Portion::Entries(rows) => {
            let body = |row: &crate::journal::store::row::SearchRow| String::from_utf8(row.entry.body.clone());
            let bodies = rows.iter().map(body).collect::<Result<Vec<String>, _>>();
            let bodies = bodies.map_err(|_| StoreFault::unreadable("an entry that is not text"))?;
            let columns: [&(dyn ToSql + Sync); 8] = [
                &column(rows, |row| sql(row.entry.index)),
                &column(rows, |row| row.entry.time),
                &column(rows, |row| row.kind.clone()),
                &column(rows, |row| row.subject.clone()),
                &column(rows, |row| row.request.clone()),
                &column(rows, |row| row.token.clone()),
                &bodies,
                &column(rows, |row| row.entry.leaf.map(|leaf| leaf.0.to_vec())),
            ];
            connection.run(ENTRIES, &columns).await?;
        }
        Portion::Batches(rows) => {
            let columns: [&(dyn ToSql + Sync); 7] = [
                &column(rows, |(batch, _)| sql(batch.first)),
                &column(rows, |(batch, _)| sql(batch.size_after)),
                &column(rows, |(batch, _)| batch.prior_root.0.to_vec()),
                &column(rows, |(batch, _)| batch.root.0.to_vec()),
                &column(rows, |(batch, _)| batch.prior_change.map(sql)),
                &column(rows, |(batch, _)| batch.mac.clone()),
                &column(rows, |(_, leaves)| leaves.iter().flat_map(|leaf| leaf.0).collect::<Vec<u8>>()),
            ];
            connection.run(BATCHES, &columns).await?;
        }
        Portion::Tiles(rows) => {
            let (levels, indexes) = (column(rows, |row| i64::from(row.0)), column(rows, |row| sql(row.1)));
            connection.run(TILES, &[&levels, &indexes, &column(rows, |row| row.2.clone())]).await?;
        }
        Portion::Texts(rows) => {
            let said = rows.iter().map(|row| row.said.clone()).collect::<Option<Vec<_>>>();
            let said = said.ok_or_else(|| StoreFault::unreadable("a text that is none"))?;
            let texts: Vec<_> = rows.iter().map(|row| Digest(row.digest.0)).zip(said).collect();
            sealed::put_texts(connection, keys, &texts).await?;
        }
        Portion::Keyring(rows) => {
            let blobs: Vec<(&str, &[u8])> = rows.iter().map(|blob| (blob.name.as_str(), &*blob.sealed)).collect();
            sealed::put_blobs(connection, keys, &blobs).await?;
        }
        Portion::Spent(rows) => {
            let (proofs, until) = (column(rows, |row| row.proof.0.to_vec()), column(rows, |row| row.until));
            connection.run(SPENT, &[&proofs, &until]).await?;
        }
        Portion::LastUses(rows) => {
            let subjects = column(rows, |row| row.subject.clone());
            let (indexes, times) = (column(rows, |row| sql(row.index)), column(rows, |row| row.time.as_seconds()));
            connection.run(LAST_USES, &[&subjects, &indexes, &times]).await?;
        }
        Portion::Answers(rows) => {
            let columns: [&(dyn ToSql + Sync); 7] = [
                &column(rows, |row| row.person.clone()),
                &column(rows, |row| row.key.clone()),
                &column(rows, |row| row.fingerprint.clone()),
                &column(rows, |row| row.request.clone()),
                &column(rows, |row| row.since),
                &column(rows, |row| row.stage.clone()),
                &column(rows, |row| row.answer.clone()),
            ];
            connection.run(ANSWERS, &columns).await?;
        }
        Portion::People(people) => {
            let (ids, bodies) = (column(&people.rows, |row| row.id.clone()), column(&people.rows, |row| row.body.clone()));
            connection.run(PEOPLE, &[&ids, &bodies]).await?;
            if let Some(head) = &people.head {
                connection.run(DIRECTORY, &[&sql(head.generation), &head.tag]).await?;
            }
        }
        Portion::UseTexts(rows) => {
            let (uses, clients) = (column(rows, |row| row.key.0.to_vec()), column(rows, |row| row.client.clone()));
            let (bodies, days) = (column(rows, |row| row.body.clone()), column(rows, |row| row.day.0));
            connection.run(USE_TEXTS, &[&uses, &clients, &bodies, &days]).await?;
        }
        Portion::Uses(rows) => {
            let columns: [&(dyn ToSql + Sync); 6] = [
                &column(rows, |row| row.day.0),
                &column(rows, |row| row.key.0.to_vec()),
                &column(rows, |row| sql(row.tally.count)),
                &column(rows, |row| row.tally.first.as_seconds()),
                &column(rows, |row| row.tally.last.as_seconds()),
                &column(rows, |row| sql(row.tally.until)),
            ];
            connection.run(USES, &columns).await?;
        }
        Portion::UsesHead(uses) => {
            let (days, tags) = (column(&uses.days, |(day, _)| day.0), column(&uses.days, |(_, tag)| tag.clone()));
            connection.run(USE_DAYS, &[&days, &tags]).await?;
            if let Some(head) = &uses.head {
                let (generation, at) = (sql(head.generation), sql(head.at));
                connection.run(USES_HEAD, &[&generation, &at, &head.since.as_seconds(), &head.tag]).await?;
            }
        }
        Portion::End(head) => end(connection, head, &keys.sums).await?,
    }
    Ok(())
}

/// All proofs lie in the first generation, which is the young one.
async fn end(connection: &mut Connection, head: &Head, key: &SumKey) -> Result<(), StoreFault> {
    let row = connection.one(ENDS, &[]).await?;
    let (newest, until): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    if newest != Some(sql(head.size) - 1) {
        return Err(StoreFault::Failed(ELSEWHERE.into()));
    }
    let generations = Generations { young: 0, until: [until, None] };
    let sums = key.seal(&side::sums(connection, key, generations).await?, head);
    let (size, root, last_change) = (sql(head.size), head.root.0.to_vec(), head.last_change.map(sql));
    connection.run(END, &[&size, &root, &last_change, &head.time.as_seconds(), &sums, &until]).await?;
    Ok(())
}
