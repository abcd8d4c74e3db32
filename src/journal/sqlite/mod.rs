//! The store in an SQLite file: all SQL of the journal there.
//!
//! [`writer`] implements `store::write::Write` by one connection, and [`reader`] implements `store::read::Read` by connections that cannot
//! write. [`since`] reads what other processes wrote, [`side`] maintains the side tables (spent proofs, last uses, sums) and [`spent`] the copy of recent proofs in memory;
//! [`wal_checkpoint`] keeps the write-ahead log short. Nothing here decides: the sequencer makes the batches.

pub mod answers;
pub mod column;
#[cfg(test)]
mod contract;
pub mod fault;
pub mod long_reads;
pub mod people;
mod query;
pub mod reader;
pub mod restore;
pub mod schema;
pub mod side;
mod since;
pub mod snapshot;
pub mod spent;
pub mod statement;
mod tallies;
pub mod uses;
pub mod wal_checkpoint;
pub mod writer;

use std::path::Path;

use reader::SqliteReader;
use writer::SqliteWriter;

use super::fault::StoreFault;
use super::store::sums::SumKey;

/// Opens both sides of the database at `path`.
///
/// An existing one is upgraded to the present tables; a new one gets them.
pub async fn open(path: &Path, durable: bool, exists: bool, key: &SumKey) -> Result<(SqliteWriter, SqliteReader), StoreFault> {
    // The writer comes first: it recovers the write-ahead log of a process that was killed.
    let mut writer = SqliteWriter::connect(path, durable, key.clone()).await?;
    if exists {
        writer.upgrade().await?;
    } else {
        writer.create().await?;
    }
    let reader = SqliteReader::connect(path).await?.beside(writer.lately());
    Ok((writer, reader))
}
