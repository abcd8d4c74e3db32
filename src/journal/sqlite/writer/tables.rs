//! The tables of a new database, and those of earlier versions brought up.

use sqlx::Connection as _;

use super::SqliteWriter;
use crate::journal::fault::StoreFault;
use crate::journal::sqlite::schema::{self, UPGRADES};
use crate::journal::sqlite::side;
use crate::journal::store::head::Head;

impl SqliteWriter {
    /// Makes the tables of a new database.
    pub async fn create(&mut self) -> Result<(), StoreFault> {
        let (head, key) = (Head::empty(), self.key.clone());
        let connection = self.connection().await?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(schema::TABLES).execute(&mut *transaction).await?;
        let insert = sqlx::query("INSERT INTO head (id, size, root, last_change, time, sums) VALUES (1, 0, ?, NULL, 0, x'')");
        insert.bind(head.root.0.to_vec()).execute(&mut *transaction).await?;
        side::write_sums(&mut transaction, &key, &head).await?;
        Ok(transaction.commit().await?)
    }

    /// Upgrades tables of earlier versions. Any other version is left for the read side to refuse.
    pub async fn upgrade(&mut self) -> Result<(), StoreFault> {
        for (before, upgrade) in UPGRADES {
            let connection = self.connection().await?;
            if schema::version(connection).await? != Some(before) {
                continue;
            }
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            // Another process may have been first.
            if schema::version(&mut transaction).await? == Some(before) {
                sqlx::raw_sql(upgrade).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }
}
