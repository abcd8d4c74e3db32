//! Long reads: connections for queries of people, with a time limit that SQLite itself enforces.
//!
//! A caller that gives up does not stop SQLite: the statement would run on and keep its connection, and a few such would leave none for
//! what an exchange, an introspection or a revocation has to read. Here they wait for each other alone, and never for long.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool};

use super::schema;
use crate::journal::fault::StoreFault;

/// How many run at once.
const AT_ONCE: u32 = 2;

/// How long a statement may run, and how long one waits for its turn.
const LONGEST: Duration = Duration::from_secs(5);

/// How many steps of SQLite's machine lie between two looks at the time: well below a millisecond.
const STEPS: i32 = 10_000;

/// Connections for queries of people.
#[derive(Clone)]
pub struct LongReads {
    pool: SqlitePool,
    longest: Duration,
}

impl LongReads {
    /// To the database at `path`. Connections are made when they are needed.
    pub fn of(path: &Path) -> Self {
        let options = SqlitePoolOptions::new().max_connections(AT_ONCE).acquire_timeout(LONGEST);
        Self { pool: options.connect_lazy_with(schema::reader(path)), longest: LONGEST }
    }

    /// A connection whose statements all end before the time is over.
    pub async fn turn(&self) -> Result<PoolConnection<Sqlite>, StoreFault> {
        let mut connection = self.pool.acquire().await?;
        let ends = Instant::now() + self.longest;
        connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < ends);
        Ok(connection)
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;

    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    #[tokio::test]
    async fn an_endless_statement_is_ended_and_its_connection_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        let _writer = schema::writer(&path, false).create_if_missing(true).connect().await.expect("a database");
        let reads = LongReads { longest: Duration::from_millis(200), ..LongReads::of(&path) };
        let begun = Instant::now();
        let endless = async || {
            let mut connection = reads.turn().await?;
            sqlx::query(ENDLESS).fetch_one(&mut *connection).await.map_err(StoreFault::from)
        };
        let (one, other) = tokio::join!(endless(), endless());
        for ended in [one, other] {
            assert!(ended.is_err_and(|fault| matches!(fault, StoreFault::Late(_))));
        }
        // Also after the caller has gone.
        for _ in 0..AT_ONCE {
            drop(tokio::time::timeout(Duration::from_millis(20), endless()).await);
        }
        let mut connection = reads.turn().await.expect("a connection");
        assert!(sqlx::query("SELECT 1").fetch_one(&mut *connection).await.is_ok());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}
