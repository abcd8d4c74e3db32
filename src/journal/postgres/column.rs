//! Values of columns, as PostgreSQL has them.

use tokio_postgres::Row;

use crate::domain::credential::revocation::Clients;
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::column::{hash, number};
use crate::journal::store::row::StoredBatch;

/// A column of 32 bytes.
pub fn digest(row: &Row, column: usize) -> Result<Digest, StoreFault> {
    hash(row.try_get(column)?)
}

/// The index column of a row.
pub fn index(row: &Row, column: usize) -> Result<u64, StoreFault> {
    number(row.try_get(column)?)
}

/// The index column of a row, where there is one.
pub fn index_if(row: &Row, column: usize) -> Result<Option<u64>, StoreFault> {
    row.try_get::<_, Option<i64>>(column)?.map(number).transpose()
}

/// The subjects of these clients: from the first on, and before the second.
///
/// No text has a zero byte here, so the first that is greater than a text is the text with the smallest byte there is.
pub fn subjects(clients: &Clients) -> (String, String) {
    let (least, beyond) = clients.subjects();
    (least, beyond.replace('\0', "\u{1}"))
}

/// The smallest key of bytes that is greater.
pub fn next_bytes(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The smallest text that is greater: no text has a zero byte here.
pub fn next_text(text: &str) -> String {
    format!("{text}\u{1}")
}

/// Columns first, size after, prior root, root, prior change, MAC, from `at` on.
pub fn batch(row: &Row, at: usize) -> Result<StoredBatch, StoreFault> {
    Ok(StoredBatch {
        first: index(row, at)?,
        size_after: index(row, at + 1)?,
        prior_root: digest(row, at + 2)?,
        root: digest(row, at + 3)?,
        prior_change: index_if(row, at + 4)?,
        mac: row.try_get(at + 5)?,
    })
}
