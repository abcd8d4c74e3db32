//! Reading up to a fixed head, by statements of their own: no transaction of a reader outlives one of them.
//!
//! The head is read once, as a reading begins. An epoch that begins meanwhile may take time back, and ends the reading: it begins again.
//! Deliberately not here: what is read (`snapshot`), and how it is compared with the sums of the head (`checked`).

use std::sync::Arc;

use tokio_postgres::Row;

use super::connection::Bound;
use super::pool::Pool;
use super::schema;
use super::side::Kept;
use super::statement::{kept, rows};
use super::writer::AGAIN;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::key::data_key::DataKeys;
use crate::journal::store::column::sql;
use crate::journal::store::row::End;

/// A reading. It holds no connection between two statements.
pub struct Reading {
    pool: Arc<Pool>,
    keys: DataKeys,
    /// The end of the log as the reading began; none where its row is gone.
    fixed: Option<Fixed>,
}

/// The end of the log, at one moment.
struct Fixed {
    kept: Kept,
    /// One more than the greatest index of an entry, and the time of that entry.
    rows: u64,
    newest: Option<i64>,
}

const END: &str = "SELECT size, root, last_change, time, turn, sums, young, until_0, until_1, (SELECT max(idx) FROM entries), \
    (SELECT time FROM entries ORDER BY idx DESC LIMIT 1) FROM head WHERE id = 1";
/// With whether an epoch began from the entry $1 on.
const NOW: &str = "SELECT size, root, last_change, time, turn, sums, young, until_0, until_1, \
    EXISTS (SELECT 1 FROM entries WHERE kind = 'journal.reopened' AND idx >= $1) FROM head WHERE id = 1";

/// The head went back, or a new epoch began: what was read may be of neither.
pub fn read_again() -> StoreFault {
    StoreFault::Again("the journal was reopened or put back while it was read: read it again".into())
}

impl Reading {
    /// Begins, if the tables are of the version that this program knows.
    pub async fn begin(pool: &Arc<Pool>, keys: DataKeys) -> Result<Self, OpenFault> {
        let mut held = pool.turn().await?;
        held.is_open = true;
        schema::ensure_version(&mut held).await?;
        held.is_open = false;
        drop(held);
        let mut reading = Self { pool: Arc::clone(pool), keys, fixed: None };
        if let Some(row) = reading.row(END, &[]).await? {
            let newest = row.try_get(10).map_err(StoreFault::from)?;
            reading.fixed = Some(Fixed { kept: kept(&row)?, rows: rows(&row, 9)?, newest });
        }
        Ok(reading)
    }

    /// The rows of a statement. It reads alone, so one that was late or taken back is sent again.
    pub async fn rows(&self, text: &'static str, bound: Bound<'_>) -> Result<Vec<Row>, StoreFault> {
        for _ in 1..AGAIN {
            let answer = self.pool.rows(text, bound).await;
            if !matches!(answer, Err(StoreFault::Late(_) | StoreFault::Again(_))) {
                return answer;
            }
        }
        self.pool.rows(text, bound).await
    }

    /// The row of a statement, if it has one.
    pub async fn row(&self, text: &'static str, bound: Bound<'_>) -> Result<Option<Row>, StoreFault> {
        Ok(self.rows(text, bound).await?.into_iter().next())
    }

    /// The end of the log as the reading began.
    pub fn end(&self) -> Option<End> {
        let end = |fixed: &Fixed| End { head: fixed.kept.head.clone(), rows: fixed.rows, newest: fixed.newest };
        self.fixed.as_ref().map(end)
    }

    /// The keys of sealed rows.
    pub fn keys(&self) -> &DataKeys {
        &self.keys
    }

    /// The head at which the reading began.
    pub fn fixed(&self) -> Result<&Kept, StoreFault> {
        self.fixed.as_ref().map(|fixed| &fixed.kept).ok_or_else(|| StoreFault::unreadable("a head that is gone"))
    }

    /// The entries up to the end; no entry is read of a log whose end is gone.
    pub fn size(&self) -> i64 {
        self.fixed.as_ref().map_or(0, |fixed| sql(fixed.kept.head.size))
    }

    /// The head as it is now, which goes on from where the reading began.
    pub async fn now(&self) -> Result<Kept, StoreFault> {
        let row = self.row(NOW, &[&self.size()]).await?.ok_or_else(|| StoreFault::unreadable("a head that is gone"))?;
        let now = kept(&row)?;
        if row.try_get::<_, bool>(9)? || sql(now.head.size) < self.size() { Err(read_again()) } else { Ok(now) }
    }
}
