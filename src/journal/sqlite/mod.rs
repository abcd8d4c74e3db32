//! The store in an SQLite file: every word of SQL that the journal says.
//!
//! [`writer`] commits a batch if the head is still the one that it was made on, and keeps what lies beside the entries; [`reader`] reads
//! by connections that cannot write. [`side`] and [`spent`] are the tables beside the entries. Nothing here decides: a batch comes from
//! the sequencer whole.

pub mod answers;
pub mod column;
#[cfg(test)]
mod contract;
pub mod fault;
pub mod long_reads;
pub mod reader;
pub mod schema;
pub mod side;
pub mod snapshot;
pub mod spent;
pub mod statement;
pub mod wal_checkpoint;
pub mod writer;

use std::path::Path;

use reader::SqliteReader;
use writer::SqliteWriter;

use super::fault::StoreFault;
use super::store::sums::SumKey;

/// Opens both sides of the database at `path`. One that `exists` is brought to the present tables; else they are made.
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
