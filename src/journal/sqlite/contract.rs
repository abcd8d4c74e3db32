//! The laws of a store, on SQLite.

use sqlx::{ConnectOptions as _, Row as _};

use super::query::listing;
use super::schema;
use crate::journal::key::kek::Kek;
use crate::journal::store::Answer;
use crate::journal::store::contract::{Candidate, figures, laws};
use crate::journal::store::query::Query;
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

#[tokio::test]
#[ignore = "a measurement"]
async fn figures_of_a_batch() {
    figures(&Database(tempfile::tempdir().expect("a directory"))).await;
}

/// Entries of a request or a rare kind are found by an index; a million issued entries do not slow them down.
#[tokio::test]
async fn queries_use_the_index_of_what_they_ask_for() {
    let database = Database(tempfile::tempdir().expect("a directory"));
    let key = SumKey::of(&Kek::from_bytes([7; 32]));
    drop(database.open(&key).await.expect("opens"));
    let mut connection = schema::reader(&database.0.path().join("journal.db")).connect().await.expect("connects");
    let request = || Query { request_id: Some("r".parse().expect("an id")), ..Query::default() };
    let kind = || Query { kind: Some("key.retired".to_owned()), ..Query::default() };
    let changes = || Query { changes_alone: true, ..Query::default() };
    for (query, index) in [(request(), "entries_request"), (kind(), "entries_kind"), (changes(), "entries_changes")] {
        for newest_first in [false, true] {
            let text = format!("EXPLAIN QUERY PLAN {}", listing(&Query { newest_first, ..query.clone() }));
            let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.expect("a plan");
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{query:?}: {plan:?}");
        }
    }
}

/// An entry that cannot be read is a fault for who asks for it, and for nobody whose question went with the same statement.
#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_caller_alone() {
    let database = Database(tempfile::tempdir().expect("a directory"));
    let key = SumKey::of(&Kek::from_bytes([7; 32]));
    let (_writer, reader) = database.open(&key).await.expect("opens");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database.0.path().join("journal.db"));
    let mut hand = options.connect().await.expect("connects");
    let insert = "INSERT INTO entries (idx, time, kind, subject, body, leaf) VALUES (0, 0, 'issued', 's', 'sound', X''), \
        (1, 0, 'issued', 's', CAST(X'ff' AS TEXT), X''), (2, 0, 'issued', 's', 'sound too', X'')";
    sqlx::query(insert).execute(&mut hand).await.expect("written");
    let (before, broken, after, missing) = tokio::join!(reader.body(0), reader.body(1), reader.body(2), reader.body(3));
    assert_eq!(before.expect("reads").as_deref(), Some("sound"));
    assert!(broken.is_err(), "{broken:?}");
    assert_eq!((after.expect("reads").as_deref(), missing.expect("reads")), (Some("sound too"), None));
}
