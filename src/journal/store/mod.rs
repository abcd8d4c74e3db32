//! The store: the seam between the journal and a database, as traits of values.
//!
//! [`write::Write`] appends a batch if the log ends where the batch begins, and with the same commit everything that stands or falls
//! with it. [`read::Read`] reads what is committed; a [`snapshot::Snapshot`] reads up to a fixed head. [`reader::Reader`] is the read side as the
//! journal holds it. All of them take and give values: [`batch`] is what is written at once, with its MAC, [`row`] what is read back,
//! [`query`] a choice of entries, [`head`] the end of the log, and [`sums`] the keyed sums over the side tables: spent proofs and last uses,
//! which lie beside the entries. [`gathered`] asks for many callers at once. [`nodes`] are those that share the journal, with their leases.
//! [`restore`] takes what another store had. [`people`] has the rows of the people directory, [`uses`] those of the counts of uses.
//!
//! **A writer's epoch** is the head that it knows. `journal reopen` appends an entry, so the heads of two epochs never agree, and a batch on
//! the head of an earlier one is refused by the store, whoever sends it.
//!
//! `journal/sqlite` and `journal/postgres` implement it; `contract` has the laws that every implementation passes. Deliberately not here: SQL, and any
//! decision: a batch comes from the sequencer whole.

use std::pin::Pin;

use crate::journal::fault::StoreFault;

pub mod batch;
pub mod column;
#[cfg(test)]
pub mod contract;
pub mod gathered;
pub mod head;
pub mod health;
pub mod keys;
pub mod nodes;
pub mod people;
pub mod query;
pub mod read;
pub mod reader;
pub mod restore;
pub mod row;
pub mod snapshot;
pub mod sums;
pub mod uses;
pub mod write;

/// The answer of a store. The traits are used as objects, so a call costs one allocation.
pub type Answer<'a, T, E = StoreFault> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;
