//! The rows of the people directory: the SQL of their tables.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::column::{index, sql};
use super::statement::BEGIN;
use crate::journal::fault::StoreFault;
use crate::journal::store::people::{PeopleChange, PeopleHead, PersonRow, StoredPeople};

const HEAD: &str = "SELECT generation, tag FROM directory WHERE id = 1";
const PUT: &str = "INSERT INTO people (id, body) VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body";
const PUT_HEAD: &str = "INSERT INTO directory (id, generation, tag) VALUES (1, ?, ?) \
     ON CONFLICT DO UPDATE SET generation = excluded.generation, tag = excluded.tag";

/// The head; none before the first person.
pub async fn head(connection: &mut SqliteConnection) -> Result<Option<PeopleHead>, StoreFault> {
    let row = sqlx::query(HEAD).fetch_optional(connection).await?;
    row.map(|row| Ok(PeopleHead { generation: index(&row, 0)?, tag: row.try_get(1)? })).transpose()
}

/// Everybody, in a transaction.
pub async fn read(connection: &mut SqliteConnection) -> Result<StoredPeople, StoreFault> {
    let head = head(&mut *connection).await?;
    let rows = sqlx::query("SELECT id, body FROM people ORDER BY id").fetch_all(connection).await?;
    let row = |row: &SqliteRow| Ok::<_, StoreFault>(PersonRow { id: row.try_get(0)?, body: row.try_get(1)? });
    Ok(StoredPeople { head, rows: rows.iter().map(row).collect::<Result<_, _>>()? })
}

/// Writes people, if the directory is as it was before.
pub async fn put(connection: &mut SqliteConnection, change: &PeopleChange) -> Result<bool, StoreFault> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    if head(&mut *connection).await? != change.prior {
        sqlx::query("ROLLBACK").execute(connection).await?;
        return Ok(false);
    }
    for PersonRow { id, body } in &change.rows {
        sqlx::query(PUT).bind(id.clone()).bind(body.clone()).execute(&mut *connection).await?;
    }
    let PeopleHead { generation, tag } = &change.after;
    sqlx::query(PUT_HEAD).bind(sql(*generation)).bind(tag.clone()).execute(&mut *connection).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(true)
}
