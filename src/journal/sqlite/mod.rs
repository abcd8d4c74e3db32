//! The store in an SQLite file: every word of SQL that the journal says.
//!
//! [`writer`] commits a batch if the head is still the one that it was made on, and keeps what lies beside the entries; [`reader`] reads
//! by connections that cannot write. [`side`] and [`spent`] are the tables beside the entries. Nothing here decides: a batch comes from
//! the sequencer whole.

pub mod answers;
pub mod column;
pub mod long_reads;
pub mod reader;
pub mod schema;
pub mod side;
pub mod spent;
pub mod statement;
pub mod wal_checkpoint;
pub mod writer;
