//! Rows from another store: the SQL that puts them here.

use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection, Transaction};

use super::column::sql;
use super::schema;
use super::side;
use super::statement::BEGIN;
use crate::domain::decision::uses::Tally;
use crate::journal::fault::StoreFault;
use crate::journal::key::kek::SealedBlob;
use crate::journal::store::Answer;
use crate::journal::store::head::Head;
use crate::journal::store::people::{PeopleHead, PersonRow, StoredPeople};
use crate::journal::store::restore::{ELSEWHERE, NOT_EMPTY, Portion, Restore};
use crate::journal::store::row::{AnswerRow, LastUse, SearchRow, SpentRow, StoredText};
use crate::journal::store::sums::SumKey;
use crate::journal::store::uses::{StoredUses, UseRow, UseText, UsesHead};

/// A connection that restores.
pub struct SqliteRestore {
    connection: SqliteConnection,
    key: SumKey,
}

const ENTRY: &str = "INSERT INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO NOTHING";
const BATCH: &str = "INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac) VALUES (?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO NOTHING";
const ANSWER: &str = "INSERT INTO answers (person, key, fingerprint, request, since, stage, answer) VALUES (?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO NOTHING";
const TALLY: &str = "INSERT INTO uses (day, use, count, first, last, until) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

impl SqliteRestore {
    /// Connects to the database at `path`, which has our tables.
    pub async fn connect(path: &Path, key: SumKey) -> Result<Self, StoreFault> {
        Ok(Self { connection: schema::writer(path, true).connect().await?, key })
    }
}

impl Restore for SqliteRestore {
    fn restore<'a>(&'a mut self, portion: &'a Portion) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.connection.begin_with(BEGIN).await?;
            let size: i64 = sqlx::query_scalar("SELECT size FROM head WHERE id = 1").fetch_one(&mut *transaction).await?;
            if size != 0 {
                return Err(StoreFault::Failed(NOT_EMPTY.into()));
            }
            put(&mut transaction, portion, &self.key).await?;
            Ok(transaction.commit().await?)
        })
    }
}

async fn put(into: &mut Transaction<'_, Sqlite>, portion: &Portion, key: &SumKey) -> Result<(), StoreFault> {
    match portion {
        Portion::Entries(rows) => {
            for SearchRow { entry, kind, subject, request, token } in rows {
                let leaf = entry.leaf.map(|leaf| leaf.0.to_vec());
                let body = std::str::from_utf8(&entry.body).map_err(|_| StoreFault::unreadable("an entry that is not text"))?;
                let query = sqlx::query(ENTRY).bind(sql(entry.index)).bind(entry.time).bind(kind.clone()).bind(subject.clone());
                let query = query.bind(request.clone()).bind(token.clone()).bind(body.to_owned()).bind(leaf);
                query.execute(&mut **into).await?;
            }
        }
        Portion::Batches(rows) => {
            for (batch, _) in rows {
                let query = sqlx::query(BATCH).bind(sql(batch.first)).bind(sql(batch.size_after));
                let query = query.bind(batch.prior_root.0.to_vec()).bind(batch.root.0.to_vec());
                let query = query.bind(batch.prior_change.map(sql)).bind(batch.mac.clone());
                query.execute(&mut **into).await?;
            }
        }
        Portion::Tiles(rows) => {
            let insert = "INSERT INTO tiles (level, idx, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            for (level, index, content) in rows {
                let query = sqlx::query(insert).bind(i64::from(*level)).bind(sql(*index)).bind(content.clone());
                query.execute(&mut **into).await?;
            }
        }
        Portion::Texts(rows) => {
            let insert = "INSERT INTO texts (digest, salt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            for StoredText { digest, said } in rows {
                let (salt, text) = said.as_ref().ok_or_else(|| StoreFault::unreadable("a text that is none"))?;
                let query = sqlx::query(insert).bind(digest.0.to_vec()).bind(salt.to_vec()).bind(text.clone());
                query.execute(&mut **into).await?;
            }
        }
        Portion::Keyring(rows) => {
            let insert = "INSERT INTO keyring (name, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING";
            for SealedBlob { name, sealed } in rows {
                sqlx::query(insert).bind(name.to_string()).bind(sealed.clone()).execute(&mut **into).await?;
            }
        }
        Portion::Spent(rows) => {
            let insert = "INSERT INTO consumed (proof, gone_after) VALUES (?, ?) ON CONFLICT DO NOTHING";
            for SpentRow { proof, until, .. } in rows {
                sqlx::query(insert).bind(proof.0.to_vec()).bind(*until).execute(&mut **into).await?;
            }
        }
        Portion::LastUses(rows) => {
            let insert = "INSERT INTO last_use (subject, idx, time) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            for LastUse { subject, index, time } in rows {
                let query = sqlx::query(insert).bind(subject.clone()).bind(sql(*index)).bind(time.as_seconds());
                query.execute(&mut **into).await?;
            }
        }
        Portion::Answers(rows) => {
            for AnswerRow { person, key, fingerprint, request, since, stage, answer } in rows {
                let query = sqlx::query(ANSWER).bind(person.clone()).bind(key.clone()).bind(fingerprint.clone());
                let query = query.bind(request.clone()).bind(*since).bind(stage.clone()).bind(answer.clone());
                query.execute(&mut **into).await?;
            }
        }
        Portion::People(StoredPeople { head, rows }) => people(into, head.as_ref(), rows).await?,
        Portion::UseTexts(rows) => {
            let insert = "INSERT INTO use_texts (use, client, body, newest) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
            for UseText { key, client, body, day } in rows {
                let query = sqlx::query(insert).bind(key.0.to_vec()).bind(client.clone()).bind(body.clone()).bind(day.0);
                query.execute(&mut **into).await?;
            }
        }
        Portion::Uses(rows) => {
            for UseRow { day, key, tally: Tally { count, first, last, until } } in rows {
                let query = sqlx::query(TALLY).bind(day.0).bind(key.0.to_vec()).bind(sql(*count));
                let query = query.bind(first.as_seconds()).bind(last.as_seconds()).bind(sql(*until));
                query.execute(&mut **into).await?;
            }
        }
        Portion::UsesHead(StoredUses { head, days }) => {
            let insert = "INSERT INTO use_days (day, tag) VALUES (?, ?) ON CONFLICT DO NOTHING";
            for (day, tag) in days {
                sqlx::query(insert).bind(day.0).bind(tag.clone()).execute(&mut **into).await?;
            }
            let insert = "INSERT INTO uses_head (id, generation, at, since, tag) VALUES (1, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
            if let Some(UsesHead { generation, at, since, tag }) = head {
                let query =
                    sqlx::query(insert).bind(sql(*generation)).bind(sql(*at)).bind(since.as_seconds()).bind(tag.clone());
                query.execute(&mut **into).await?;
            }
        }
        Portion::End(head) => end(into, head, key).await?,
    }
    Ok(())
}

async fn people(into: &mut Transaction<'_, Sqlite>, head: Option<&PeopleHead>, rows: &[PersonRow]) -> Result<(), StoreFault> {
    let insert = "INSERT INTO people (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING";
    for PersonRow { id, body } in rows {
        sqlx::query(insert).bind(id.clone()).bind(body.clone()).execute(&mut **into).await?;
    }
    let insert = "INSERT INTO directory (id, generation, tag) VALUES (1, ?, ?) ON CONFLICT DO NOTHING";
    if let Some(PeopleHead { generation, tag }) = head {
        sqlx::query(insert).bind(sql(*generation)).bind(tag.clone()).execute(&mut **into).await?;
    }
    Ok(())
}

/// All proofs lie in `consumed`, and the round begins anew.
async fn end(into: &mut Transaction<'_, Sqlite>, head: &Head, key: &SumKey) -> Result<(), StoreFault> {
    let row = sqlx::query("SELECT max(idx) FROM entries").fetch_one(&mut **into).await?;
    if row.try_get::<Option<i64>, _>(0)? != Some(sql(head.size) - 1) {
        return Err(StoreFault::Failed(ELSEWHERE.into()));
    }
    let update = sqlx::query("UPDATE head SET size = ?, root = ?, last_change = ?, time = ? WHERE id = 1");
    let update = update.bind(sql(head.size)).bind(head.root.0.to_vec()).bind(head.last_change.map(sql));
    update.bind(head.time.as_seconds()).execute(&mut **into).await?;
    side::begin_round(into, head).await?;
    side::write_sums(into, key, head).await
}
