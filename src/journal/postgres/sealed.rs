//! Rows that are sealed under a data key of their own: texts of people, and blobs of the keyring.
//!
//! A text is its salt, and then its words. A blob is sealed already, as every store has it, and is sealed once more here.

use tokio_postgres::Row;

use super::connection::Connection;
use crate::domain::value::clock::Entropy;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::fault::StoreFault;
use crate::journal::key::data_key::{DataKeys, RowName, SealedRow};
use crate::journal::key::kek::BlobName;
use crate::journal::store::column::hash;
use crate::journal::store::keys::StoreKeys;

/// The salt and the words of a text.
pub type Said = ([u8; 16], String);

/// What is there already stays, with its data key; a data key that is left over from before gives way.
const TEXTS: &str = "WITH put AS (INSERT INTO texts (digest, data_key, sealed) \
     SELECT t.digest, t.data_key, t.sealed FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) AS t (digest, data_key, sealed, key) \
     ON CONFLICT (digest) DO NOTHING RETURNING digest) \
     INSERT INTO data_keys (name, sealed) SELECT t.data_key, t.key \
     FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) AS t (digest, data_key, sealed, key) JOIN put USING (digest) \
     ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed";
const BLOBS: &str = "WITH put AS (INSERT INTO keyring (name, data_key, sealed) \
     SELECT b.name, b.data_key, b.sealed FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) AS b (name, data_key, sealed, key)) \
     INSERT INTO data_keys (name, sealed) SELECT b.data_key, b.key \
     FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) AS b (name, data_key, sealed, key) \
     ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed";
const ERASE: [&str; 2] = [
    "DELETE FROM data_keys WHERE name IN (SELECT data_key FROM texts WHERE digest = ANY($1::bytea[]))",
    "DELETE FROM texts WHERE digest = ANY($1::bytea[])",
];
const DESTROY: [&str; 2] = [
    "DELETE FROM data_keys WHERE name IN (SELECT data_key FROM keyring WHERE name = ANY($1::text[]))",
    "DELETE FROM keyring WHERE name = ANY($1::text[])",
];

/// Writes texts that are not there.
pub async fn put_texts(connection: &mut Connection, keys: &StoreKeys, texts: &[(Digest, Said)]) -> Result<(), StoreFault> {
    let sealed = texts.iter().map(|(digest, (salt, words))| {
        let plain = [salt, words.as_bytes()].concat();
        seal(keys, &RowName::text(*digest), &plain)
    });
    let (names, rows, sealed_keys) = columns(sealed);
    let digests: Vec<&[u8]> = texts.iter().map(|(digest, _)| &digest.0[..]).collect();
    connection.run(TEXTS, &[&digests, &names, &rows, &sealed_keys]).await?;
    Ok(())
}

/// Writes blobs.
pub async fn put_blobs(connection: &mut Connection, keys: &StoreKeys, blobs: &[(&str, &[u8])]) -> Result<(), StoreFault> {
    let (named, rows, sealed_keys) = columns(blobs.iter().map(|(name, blob)| seal(keys, &RowName::blob(name), blob)));
    let names: Vec<&str> = blobs.iter().map(|(name, _)| *name).collect();
    connection.run(BLOBS, &[&names, &named, &rows, &sealed_keys]).await?;
    Ok(())
}

/// Deletes texts, and their data keys.
pub async fn erase(connection: &mut Connection, digests: &[TextDigest]) -> Result<(), StoreFault> {
    let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest.0[..]).collect();
    for statement in ERASE {
        connection.run(statement, &[&digests]).await?;
    }
    Ok(())
}

/// Deletes blobs, and their data keys.
pub async fn destroy(connection: &mut Connection, names: &[BlobName]) -> Result<(), StoreFault> {
    let names: Vec<&str> = names.iter().map(BlobName::as_str).collect();
    for statement in DESTROY {
        connection.run(statement, &[&names]).await?;
    }
    Ok(())
}

fn seal(keys: &StoreKeys, name: &RowName, plain: &[u8]) -> (Vec<u8>, SealedRow) {
    let entropy: &dyn Entropy = &*keys.entropy;
    (name.digest().0.to_vec(), keys.rows.seal(name, plain, entropy))
}

/// Names of data keys, rows and data keys.
type Columns = (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<Vec<u8>>);

fn columns(sealed: impl Iterator<Item = (Vec<u8>, SealedRow)>) -> Columns {
    let mut columns = Columns::default();
    for (name, SealedRow { row, key }) in sealed {
        columns.0.push(name);
        columns.1.push(row);
        columns.2.push(key);
    }
    columns
}

/// The text in the columns digest, row and data key. None: it does not open, and is not what was said.
pub fn text(row: &Row, keys: &DataKeys) -> Result<Option<TextRow>, StoreFault> {
    let digest = hash(row.try_get(0)?)?;
    Ok(said(row, digest, keys)?.map(|(salt, text)| TextRow { digest: TextDigest(digest.0), salt, text }))
}

/// The same without its digest, which the caller has read.
pub fn said(row: &Row, digest: Digest, keys: &DataKeys) -> Result<Option<Said>, StoreFault> {
    let (sealed, key): (&[u8], Option<&[u8]>) = (row.try_get(1)?, row.try_get(2)?);
    let plain = key.and_then(|key| keys.open(&RowName::text(digest), sealed, key));
    let parts = plain.as_deref().and_then(|plain| plain.split_first_chunk::<16>());
    Ok(parts.and_then(|(salt, words)| Some((*salt, std::str::from_utf8(words).ok()?.to_owned()))))
}

/// The blob in two columns, row and data key, from `at` on.
///
/// One that does not open is given as it is: then it is none of this KEK, and its own seal tells so.
pub fn blob(name: &BlobName, (row, at): (&Row, usize), keys: &DataKeys) -> Result<Vec<u8>, StoreFault> {
    let (sealed, key): (Vec<u8>, Option<&[u8]>) = (row.try_get(at)?, row.try_get(at + 1)?);
    let opened = key.and_then(|key| keys.open(&RowName::blob(name.as_str()), &sealed, key));
    Ok(opened.map_or(sealed, |opened| opened.to_vec()))
}
