//! The store in a PostgreSQL database: all SQL of the journal there.
//!
//! [`writer`] writes by one connection, and `write` makes a `store::write::Write` of it; [`reader`] implements `store::read::Read`
//! by a few connections that cannot write. [`side`] keeps the sums over the tables beside the entries, [`generations`] says where spent proofs
//! lie, [`health`] how the server keeps what it confirms, [`statement`] has the statements of a batch, and [`apart`] the transactions that are none. Nothing here decides: the sequencer makes
//! the batches.
//!
//! **No transaction of ours lives for long.** What goes through all of the log reads by pages up to a fixed head (`reading`, `snapshot`,
//! `checked`).
//!
//! Of SQL this uses tables, `ON CONFLICT`, arrays with `unnest`, row locks and READ COMMITTED; for two or three reads at one moment
//! REPEATABLE READ. It uses no LISTEN/NOTIFY, advisory locks, partitions, sequences, triggers or unlogged tables, and connects directly or
//! through a session pooler.

mod address;
mod answers;
mod apart;
mod beside;
mod checked;
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
mod reading;
mod restore;
pub mod schema;
mod sealed;
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
pub use health::look;
pub use nodes::PostgresNodes;
pub use reader::PostgresReader;
pub use restore::PostgresRestore;
pub use writer::PostgresWriter;

use connection::Connection;
use pool::Reads;

use super::fault::StoreFault;
use super::key::data_key::DataKeys;
use super::store::keys::StoreKeys;

/// Opens both sides of the database at `address`. None: it is empty, and none was to be made.
pub async fn open(
    address: &PostgresAddress,
    may_create: bool,
    keys: &StoreKeys,
) -> Result<Option<(PostgresWriter, PostgresReader)>, StoreFault> {
    let mut connection = Connection::to(address).await?;
    if !schema::exists(&mut connection).await? {
        if !may_create {
            return Ok(None);
        }
        schema::create(&mut connection, &keys.sums).await?;
    }
    schema::expand(&mut connection).await?;
    connection.confirm(address).await?;
    let writer = PostgresWriter::by(connection, address.clone(), keys.clone());
    Ok(Some((writer, PostgresReader::of(address, Reads::Confirmed, keys.rows.clone()))))
}

/// The read side of the database at `address`; none where it is empty.
pub async fn read(address: &PostgresAddress, keys: &DataKeys) -> Result<Option<PostgresReader>, StoreFault> {
    let exists = schema::exists(&mut Connection::to(address).await?).await?;
    Ok(exists.then(|| PostgresReader::of(address, Reads::AsItIs, keys.clone())))
}
