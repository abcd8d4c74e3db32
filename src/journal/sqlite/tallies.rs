//! Counts of issued tokens by where they were issued, made by one statement over the entries between two bounds.

use sqlx::{Row as _, SqliteConnection};

use super::column::{index, sql, time};
use crate::domain::credential::revocation::Clients;
use crate::domain::value::clock::Timestamp;
use crate::journal::fault::StoreFault;
use crate::journal::store::row::IssuedPlace;

const BY_PLACE: &str = "SELECT count(*), max(time), subject, json_extract(body, '$.environment'), json_extract(body, '$.api'), \
     json_extract(body, '$.binding') FROM entries WHERE idx >= ?1 AND idx < ?2 AND kind = 'issued' \
     AND subject >= ?3 AND subject < ?4 AND time >= ?5 AND time < ?6 GROUP BY 3, 4, 5, 6 ORDER BY 3, 4, 5, 6";

/// The tokens of these clients from the entry `from` on and before `until`, issued from `since` on and before `till`.
pub async fn by_place(
    connection: &mut SqliteConnection,
    clients: &Clients,
    (from, until): (u64, u64),
    (since, till): (Timestamp, Timestamp),
) -> Result<Vec<IssuedPlace>, StoreFault> {
    let (least, beyond) = clients.subjects();
    let query = sqlx::query(BY_PLACE).bind(sql(from)).bind(sql(until)).bind(least).bind(beyond);
    let rows = query.bind(since.as_seconds()).bind(till.as_seconds()).fetch_all(connection).await?;
    let place = |row: &sqlx::sqlite::SqliteRow| {
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
