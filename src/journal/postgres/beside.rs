//! Rows that stand or fall with a change: texts, keys, and proofs that are spent again.

use super::answers;
use super::connection::Connection;
use super::side::Side;
use super::{sealed, spent};
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::Beside;
use crate::journal::store::keys::StoreKeys;

/// Writes them, under the lock.
pub async fn write(
    connection: &mut Connection,
    (side, keys): (&mut Side, &StoreKeys),
    beside: Beside,
) -> Result<(), StoreFault> {
    let Beside { texts, erased, sealed, destroyed, spent } = beside;
    if !texts.is_empty() {
        let texts: Vec<_> = texts.into_iter().map(|row| (Digest(row.digest.0), (row.salt, row.text))).collect();
        sealed::put_texts(connection, keys, &texts).await?;
    }
    if !erased.is_empty() {
        answers::erase(connection).await?;
        sealed::erase(connection, &erased).await?;
    }
    if !sealed.is_empty() {
        let blobs: Vec<(&str, &[u8])> = sealed.iter().map(|blob| (blob.name.as_str(), &*blob.sealed)).collect();
        sealed::put_blobs(connection, keys, &blobs).await?;
    }
    if !spent.is_empty() {
        let among = spent::among(connection, &spent).await?;
        side.spend_too(spent::all_but(&among, &spent));
    }
    if !destroyed.is_empty() {
        sealed::destroy(connection, &destroyed).await?;
    }
    Ok(())
}
