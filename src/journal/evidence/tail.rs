//! Reading the entries of the configured journal in their order, beside a server that may run on it.

use super::super::archive::segment::Shelf;
use super::super::fault::OpenFault;
use super::super::key::data_key::DataKeys;
use super::super::key::kek::Kek;
use super::super::open::examine;
use super::super::place;
use super::super::settings::Settings;
use super::super::store::query::{Query, StoredEntry};
use super::super::store::reader::Reader;
use super::fault::VerifyFault;
use super::walk;
use crate::journal::tree::tiles::WIDTH;

/// The entries of the configured journal, including those that have left the database.
///
/// They are read, and not proved: a start's checks are made once, and `verify` makes the others.
pub struct Tail {
    reader: Reader,
    shelf: Shelf,
}

impl Tail {
    /// Opens the journal for reading, after the checks of a start.
    ///
    /// # Errors
    /// There is no such journal, or a server would not start on it.
    pub async fn open(settings: &Settings, kek: &Kek) -> Result<Self, OpenFault> {
        let (reader, shelf) = place::read(settings, &DataKeys::of(kek)).await?;
        drop(examine(settings, kek).await?);
        Ok(Self { reader, shelf })
    }

    /// Some entries from `from` on, as their exact bytes; none if there are none yet.
    ///
    /// # Errors
    /// An entry cannot be read, or does not have its hash.
    pub async fn from(&self, from: u64) -> Result<Vec<Vec<u8>>, VerifyFault> {
        let width = u64::from(WIDTH);
        let begins = from / width * width;
        let mut snapshot = self.reader.snapshot().await?;
        let found = walk::bodies((&mut *snapshot, &self.shelf), begins).await?;
        snapshot.end_reading().await?;
        Ok(found.into_iter().zip(begins..).filter(|(_, at)| *at >= from).map(|(body, _)| body).collect())
    }

    /// Changes of a query: all of them are in the database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(&self, query: &Query) -> Result<Vec<StoredEntry>, VerifyFault> {
        Ok(self.reader.list(query).await?)
    }
}
