//! The rows of the people directory: the SQL of their tables.

use tokio_postgres::Row;

use super::apart::Fault;
use super::column::index;
use super::connection::{BEGIN, COMMIT, Connection, ROLLBACK};
use crate::journal::fault::StoreFault;
use crate::journal::store::column::sql;
use crate::journal::store::people::{PeopleChange, PeopleHead, PersonRow, StoredPeople};

const HEAD: &str = "SELECT generation, tag FROM directory WHERE id = 1";
const LOCK: &str = "SELECT generation, tag FROM directory WHERE id = 1 FOR UPDATE";
const ALL: &str = "SELECT id, body FROM people ORDER BY id";
const PUT: &str = "INSERT INTO people (id, body) SELECT * FROM unnest($1::text[], $2::text[]) \
     ON CONFLICT (id) DO UPDATE SET body = excluded.body";
const PUT_HEAD: &str = "UPDATE directory SET generation = $1, tag = $2 WHERE id = 1";

/// The head; none before the first person.
pub async fn head(connection: &mut Connection) -> Result<Option<PeopleHead>, StoreFault> {
    read_head(&connection.one(HEAD, &[]).await?)
}

/// Everybody, in a transaction.
pub async fn read(connection: &mut Connection) -> Result<StoredPeople, StoreFault> {
    let head = head(connection).await?;
    let row = |row: &Row| Ok::<_, StoreFault>(PersonRow { id: row.try_get(0)?, body: row.try_get(1)? });
    Ok(StoredPeople { head, rows: connection.rows(ALL, &[]).await?.iter().map(row).collect::<Result<_, _>>()? })
}

/// Writes people, if the directory is as it was before.
pub async fn put(connection: &mut Connection, change: &PeopleChange) -> Result<bool, Fault> {
    connection.simple(BEGIN).await?;
    if read_head(&connection.one(LOCK, &[]).await?)? != change.prior {
        connection.simple(ROLLBACK).await?;
        return Ok(false);
    }
    let ids: Vec<&str> = change.rows.iter().map(|row| &*row.id).collect();
    let bodies: Vec<&str> = change.rows.iter().map(|row| &*row.body).collect();
    connection.run(PUT, &[&ids, &bodies]).await?;
    connection.run(PUT_HEAD, &[&sql(change.after.generation), &change.after.tag]).await?;
    connection.simple(COMMIT).await?;
    Ok(true)
}

/// The first write is of generation 1.
fn read_head(row: &Row) -> Result<Option<PeopleHead>, StoreFault> {
    let generation = index(row, 0)?;
    if generation == 0 { Ok(None) } else { Ok(Some(PeopleHead { generation, tag: row.try_get(1)? })) }
}
