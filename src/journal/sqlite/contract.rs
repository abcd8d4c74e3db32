//! The laws of a store, on SQLite.

use crate::journal::store::Answer;
use crate::journal::store::contract::{Candidate, laws};
use crate::journal::store::reader::Reader;
use crate::journal::store::sums::SumKey;
use crate::journal::store::write::Write;

/// A database in a directory of its own.
struct Database(tempfile::TempDir);

impl Candidate for Database {
    fn open<'a>(&'a self, key: &'a SumKey) -> Answer<'a, (Box<dyn Write>, Reader)> {
        Box::pin(async move {
            let path = self.0.path().join("journal.db");
            let exists = path.exists();
            if !exists {
                std::fs::File::create_new(&path).expect("makes a file");
            }
            let (writer, reader) = super::open(&path, true, exists, key).await?;
            Ok((Box::new(writer) as Box<dyn Write>, Reader::of(reader)))
        })
    }
}

laws!(Database(tempfile::tempdir().expect("a directory")));
