//! Texts and keys in the database of several nodes: what stands there without the KEK, and after an erasure.

use super::*;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::store::batch::Beside;

fn text(number: u8, words: &str) -> TextRow {
    let salt = [number; 16];
    TextRow { digest: TextDigest::of(&salt, words), salt, text: words.to_owned() }
}

/// The first column of all rows, as text.
async fn column(database: &Database, question: &str) -> Vec<String> {
    let rows = database.hand().await.client.query(question, &[]).await.expect("reads");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn said(node: &Node, row: &TextRow) -> Option<String> {
    node.reader.texts(&[row.digest]).await.expect("reads").remove(&row.digest).map(|row| row.text)
}

#[tokio::test]
async fn a_text_is_read_by_its_own_data_key_and_forgotten_with_it() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    let (one, other) = (text(1, "a stolen laptop"), text(2, "left the company"));
    let blob = SealedBlob { name: BlobName::of_journal("checkpoint"), sealed: b"sealed already".to_vec() };
    let beside = Beside { texts: vec![one.clone(), other.clone()], sealed: vec![blob.clone()], ..Beside::default() };
    node.change("{}", beside).await;
    assert_eq!(said(&node, &one).await.as_deref(), Some("a stolen laptop"));
    assert_eq!(node.reader.blob(&blob.name).await.expect("reads"), Some(blob.clone()));
    // Nothing of it stands there in plain.
    let tables = ["SELECT encode(sealed, 'escape') FROM texts", "SELECT encode(sealed, 'escape') FROM keyring"];
    for table in tables {
        for sealed in column(&database, table).await {
            assert!(!["stolen", "company", "already"].iter().any(|word| sealed.contains(word)), "{sealed}");
        }
    }

    // Attack: the row of another text, with its data key, says nothing under this name.
    let moved = "UPDATE texts SET (data_key, sealed) = (SELECT data_key, sealed FROM texts o WHERE o.digest <> texts.digest)";
    database.hand().await.client.batch_execute(moved).await.expect("moves");
    assert_eq!((said(&node, &one).await, said(&node, &other).await), (None, None));
    database.hand().await.client.batch_execute(moved).await.expect("moves back");
    assert!(said(&node, &one).await.is_some());

    // Forgotten: the data key is gone, and the file that it stood in too.
    let file = "SELECT pg_relation_filenode('data_keys')::text";
    let before = column(&database, file).await;
    node.change("{\"erased\":1}", Beside { erased: vec![one.digest], ..Beside::default() }).await;
    node.writer.scrub().await.expect("writes what is left anew");
    assert_ne!(column(&database, file).await, before);
    assert_eq!(column(&database, "SELECT count(*)::text FROM data_keys").await, ["2"]);
    assert_eq!((said(&node, &one).await, said(&node, &other).await.as_deref()), (None, Some("left the company")));
    node.change("{\"destroyed\":1}", Beside { destroyed: vec![blob.name.clone()], ..Beside::default() }).await;
    assert_eq!(column(&database, "SELECT count(*)::text FROM data_keys").await, ["1"]);
    assert_eq!(node.reader.blob(&blob.name).await.expect("reads"), None);
    // Said once more, it is there once more; a data key that was left over gives way.
    let left = "UPDATE data_keys SET sealed = 'left over'; DELETE FROM texts";
    database.hand().await.client.batch_execute(left).await.expect("leaves it");
    node.change("{\"again\":1}", Beside { texts: vec![one.clone(), other.clone()], ..Beside::default() }).await;
    assert_eq!(said(&node, &one).await.as_deref(), Some("a stolen laptop"));
    assert_eq!(said(&node, &other).await.as_deref(), Some("left the company"));
}
