//! The store in a PostgreSQL database: all SQL of the journal there.
//!
//! [`writer`] writes by one connection, and `write` makes a `store::write::Write` of it; [`reader`] implements `store::read::Read`
//! by a few connections that cannot write. [`side`] keeps the sums over the tables beside the entries, [`generations`] says where spent proofs
//! lie, [`health`] how the server keeps what it confirms, [`statement`] has the statements of a batch, and [`apart`] the transactions that are none. Nothing here decides: the sequencer makes
//! the batches.
//!
//! Of SQL this uses tables, `ON CONFLICT`, arrays with `unnest`, row locks and READ COMMITTED; for reading at one moment REPEATABLE READ. It
//! uses no LISTEN/NOTIFY, advisory locks, partitions, sequences, triggers or unlogged tables, and connects directly or through a session pooler.

mod address;
mod answers;
mod apart;
mod beside;
#[cfg(test)]
mod cluster;
mod column;
mod connection;
#[cfg(test)]
mod contract;
mod fault;
mod generations;
mod health;
mod nodes;
mod people;
mod pool;
mod query;
mod reader;
mod restore;
mod schema;
#[cfg(test)]
pub mod server;
mod side;
mod snapshot;
mod spent;
mod statement;
mod tls;
mod uses;
mod write;
mod writer;

pub use address::{PostgresAddress, PostgresPlace};
pub use health::{Defect, Health, look};
pub use nodes::PostgresNodes;
pub use reader::PostgresReader;
pub use restore::PostgresRestore;
pub use writer::PostgresWriter;

use connection::Connection;

use super::fault::StoreFault;
use super::store::sums::SumKey;

/// Opens both sides of the database at `address`. None: it is empty, and none was to be made.
pub async fn open(
    address: &PostgresAddress,
    may_create: bool,
    key: &SumKey,
) -> Result<Option<(PostgresWriter, PostgresReader)>, StoreFault> {
    let mut connection = Connection::to(address).await?;
    if !schema::exists(&mut connection).await? {
        if !may_create {
            return Ok(None);
        }
        schema::create(&mut connection, key).await?;
    }
    let writer = PostgresWriter::by(connection, address.clone(), key.clone());
    Ok(Some((writer, PostgresReader::of(address))))
}

/// The read side of the database at `address`; none where it is empty.
pub async fn read(address: &PostgresAddress) -> Result<Option<PostgresReader>, StoreFault> {
    let exists = schema::exists(&mut Connection::to(address).await?).await?;
    Ok(exists.then(|| PostgresReader::of(address)))
}
