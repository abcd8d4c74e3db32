//! Rows that stand or fall with a change: texts, keys, and proofs that are spent again.

use super::answers;
use super::connection::Connection;
use super::side::Side;
use super::spent;
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::Beside;

const TEXTS: &str = "INSERT INTO texts (digest, salt, text) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) \
     ON CONFLICT (digest) DO NOTHING";
const ERASE: &str = "DELETE FROM texts WHERE digest = ANY($1::bytea[])";
const SEAL: &str = "INSERT INTO keyring (name, sealed) SELECT * FROM unnest($1::text[], $2::bytea[])";
const DESTROY: &str = "DELETE FROM keyring WHERE name = ANY($1::text[])";

/// Writes them, under the lock.
pub async fn write(connection: &mut Connection, side: &mut Side, beside: Beside) -> Result<(), StoreFault> {
    let Beside { texts, erased, sealed, destroyed, spent } = beside;
    if !texts.is_empty() {
        let digests: Vec<&[u8]> = texts.iter().map(|row| &row.digest.0[..]).collect();
        let salts: Vec<&[u8]> = texts.iter().map(|row| &row.salt[..]).collect();
        let said: Vec<&[u8]> = texts.iter().map(|row| row.text.as_bytes()).collect();
        connection.run(TEXTS, &[&digests, &salts, &said]).await?;
    }
    if !erased.is_empty() {
        answers::erase(connection).await?;
        let digests: Vec<&[u8]> = erased.iter().map(|digest| &digest.0[..]).collect();
        connection.run(ERASE, &[&digests]).await?;
    }
    if !sealed.is_empty() {
        let names: Vec<&str> = sealed.iter().map(|blob| blob.name.as_str()).collect();
        let blobs: Vec<&[u8]> = sealed.iter().map(|blob| &*blob.sealed).collect();
        connection.run(SEAL, &[&names, &blobs]).await?;
    }
    if !spent.is_empty() {
        let among = spent::among(connection, &spent).await?;
        side.spend_too(spent::all_but(&among, &spent));
    }
    if !destroyed.is_empty() {
        let names: Vec<&str> = destroyed.iter().map(|name| name.as_str()).collect();
        connection.run(DESTROY, &[&names]).await?;
    }
    Ok(())
}
