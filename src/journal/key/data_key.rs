//! Data keys: a key of its own for each row that people may want forgotten, or that must end with a key.
//!
//! A database server leaves rows behind that were deleted, in the files of a table, until it cleans them. So what a row says is sealed under a
//! data key, which lies in one small table, itself sealed under the KEK. To forget a row its data key is deleted, and that table is written
//! anew. Write-ahead logs in an archive, standbys and backups keep both until their own retention ends (docs/how-to/operate/postgresql.md).
//!
//! A row is sealed under its name, so one that was moved to another name does not open.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::kek::{Kek, SealingKey};
use crate::domain::value::clock::Entropy;
use crate::domain::value::digest::Digest;

/// Opens and seals rows.
#[derive(Clone)]
pub struct DataKeys(Arc<SealingKey>);

/// The name of a row: what it is of, and which one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RowName(String);

/// A sealed row, and its sealed data key.
pub struct SealedRow {
    /// The row.
    pub row: Vec<u8>,
    /// Its data key.
    pub key: Vec<u8>,
}

impl RowName {
    /// Of a text of people.
    pub fn text(digest: Digest) -> Self {
        Self(format!("text/{digest}"))
    }

    /// Of a blob of the keyring.
    pub fn blob(name: &str) -> Self {
        Self(format!("key/{name}"))
    }

    /// The name of the data key.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl DataKeys {
    /// Those that are sealed under this KEK.
    pub fn of(kek: &Kek) -> Self {
        Self(Arc::new(kek.of_data_keys()))
    }

    /// Seals a row under a fresh data key.
    pub fn seal(&self, name: &RowName, plain: &[u8], entropy: &dyn Entropy) -> SealedRow {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let row = SealingKey::of(&bytes).seal(&name.0, plain, entropy);
        SealedRow { row, key: self.0.seal(&name.0, &*bytes, entropy) }
    }

    /// Opens a row by its data key; nothing that was not sealed under this name.
    pub fn open(&self, name: &RowName, row: &[u8], key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = self.0.open(&name.0, key)?;
        SealingKey::of(bytes.as_slice().try_into().ok()?).open(&name.0, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::Seeded;

    #[test]
    fn a_row_opens_by_its_own_data_key_under_its_own_name() {
        let (keys, entropy) = (DataKeys::of(&Kek::from_bytes([7; 32])), Seeded::new(1));
        let (name, other) = (RowName::text(Digest::of(b"one")), RowName::text(Digest::of(b"other")));
        let sealed = keys.seal(&name, b"a stolen laptop", &entropy);
        assert_eq!(keys.open(&name, &sealed.row, &sealed.key).expect("opens").as_slice(), b"a stolen laptop");
        assert!(!sealed.row.windows(6).any(|bytes| bytes == b"stolen"));
        assert!(keys.open(&other, &sealed.row, &sealed.key).is_none(), "moved");
        let again = keys.seal(&name, b"a stolen laptop", &entropy);
        assert!(keys.open(&name, &sealed.row, &again.key).is_none(), "the key of another row");
        let foreign = DataKeys::of(&Kek::from_bytes([8; 32]));
        assert!(foreign.open(&name, &sealed.row, &sealed.key).is_none(), "another KEK");
        assert!(keys.open(&name, &sealed.row, &[]).is_none() && keys.open(&name, &[], &sealed.key).is_none());
    }
}
