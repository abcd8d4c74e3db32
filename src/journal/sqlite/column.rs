//! Values of columns, as SQLite has them.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::column::hash;
pub use crate::journal::store::column::{number, sql, time};

/// A column of 32 bytes.
pub fn digest(row: &SqliteRow, column: usize) -> Result<Digest, StoreFault> {
    hash(row.try_get(column)?)
}

/// The index column of a row.
pub fn index(row: &SqliteRow, column: usize) -> Result<u64, StoreFault> {
    number(row.try_get(column)?)
}
