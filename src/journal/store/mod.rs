//! The store: every word of SQL that the journal says.
//!
//! [`writer`] commits a batch if the head is still the one that it was made on, and keeps what lies beside the entries; [`reader`] reads
//! by connections that cannot write. [`batch`] is what is written at once, with its MAC; [`spent`] and [`sums`] are the tables beside
//! the entries and their keyed sums. Nothing here decides: a batch comes from the sequencer whole.

pub mod answers;
pub mod batch;
pub mod beside;
pub mod column;
pub mod head;
pub mod lane;
pub mod reader;
pub mod schema;
pub mod spent;
pub mod statement;
pub mod sums;
pub mod writer;
