//! The tables beside the entries: nothing in them may say more, or less, than the entries do.

use std::collections::HashMap;

use sqlx::{Row as _, SqliteConnection};

use super::chain::Chain;
use super::fault::VerifyFault;
use super::walk::Walked;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::TextDigest;
use crate::journal::key::kek::{BlobName, Kek, SealedBlob};
use crate::journal::sqlite::column::time;
use crate::journal::sqlite::column::{digest, index};
use crate::journal::sqlite::spent;
use crate::journal::sqlite::statement::LATELY;
use crate::journal::store::head::Head;
use crate::journal::tree::tiles::WIDTH;

/// Checks all of them.
pub async fn check(
    connection: &mut SqliteConnection,
    kek: &Kek,
    chain: &Chain,
    Walked { head, rows }: &Walked,
) -> Result<(), VerifyFault> {
    counts(connection, head.size, *rows).await?;
    spent(connection, chain, head).await?;
    used(connection, chain).await?;
    texts(connection, chain).await?;
    keyring(connection, kek, chain).await
}

fn beside(table: &'static str) -> impl Fn(String) -> VerifyFault {
    move |what| VerifyFault::Beside { table, what }
}

/// Rows that the walk, which came by `seen` entries, did not come by: before the first, behind the last, or of a level that no tree has.
async fn counts(connection: &mut SqliteConnection, size: u64, seen: u64) -> Result<(), VerifyFault> {
    let text = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM batches WHERE first < 0 OR first >= ?1), \
                (SELECT count(*) FROM tiles)";
    let row = sqlx::query(text).bind(crate::journal::sqlite::column::sql(size)).fetch_one(connection).await?;
    let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let mut full = 0;
    let mut below = size / u64::from(WIDTH);
    while below > 0 {
        full += below;
        below /= u64::from(WIDTH);
    }
    if count(0)? != seen {
        return Err(VerifyFault::entry(0, "there are rows before the first entry"));
    }
    if count(1)? > 0 {
        return Err(beside("batches")("there are batches without entries".to_owned()));
    }
    if count(2)? == full { Ok(()) } else { Err(beside("tiles")("there are tiles that no tree of this size has".to_owned())) }
}

/// Every proof that paid and is to be remembered is in one of the two tables, and nothing else.
pub async fn spent(connection: &mut SqliteConnection, chain: &Chain, head: &Head) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<Digest, u64> = HashMap::new();
    for (proof, (until, index)) in &chain.paid {
        if *until >= head.time {
            wanted.insert(*proof, *index);
        }
    }
    let mut from: Vec<u8> = Vec::new();
    loop {
        let query = sqlx::query("SELECT proof, gone_after FROM consumed WHERE proof > ? ORDER BY proof LIMIT 1000");
        let rows = query.bind(from).fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { break };
        from = last.try_get(0)?;
        for row in &rows {
            let proof = digest(row, 0).map_err(|fault| beside("consumed")(fault.to_string()))?;
            paid("consumed", proof, row.try_get(1)?, chain, head)?;
            wanted.remove(&proof);
        }
    }
    for row in sqlx::query(LATELY).fetch_all(&mut *connection).await? {
        let strange = || beside("consumed_lately")("there is a row that is no list of proofs".to_owned());
        for (ProofKey(proof), until) in spent::read(row.try_get(0)?).ok_or_else(strange)? {
            paid("consumed_lately", proof, until.as_seconds(), chain, head)?;
            wanted.remove(&proof);
        }
    }
    match wanted.into_values().min() {
        None => Ok(()),
        Some(index) => Err(VerifyFault::entry(index, "its proof is not among the spent ones: it could pay once more")),
    }
}

/// Whether an entry was paid with the proof, and it is remembered for as long as it must be.
fn paid(table: &'static str, proof: Digest, until: i64, chain: &Chain, head: &Head) -> Result<(), VerifyFault> {
    match chain.paid.get(&proof) {
        Some((paid, index)) if paid.as_seconds() != until => {
            Err(VerifyFault::entry(*index, "its proof is remembered for another time than it must be"))
        }
        // What is over may lie there: until its slice is purged, or its round is over.
        None if until >= head.time.as_seconds() => Err(beside(table)(format!("no entry was paid with the proof {proof}"))),
        _ => Ok(()),
    }
}

/// The last use of each client is the one that the entries have.
pub async fn used(connection: &mut SqliteConnection, chain: &Chain) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<&str, (u64, Timestamp)> = chain.used.iter().map(|(subject, last)| (&**subject, *last)).collect();
    for row in sqlx::query("SELECT subject, idx, time FROM last_use ORDER BY subject").fetch_all(connection).await? {
        let subject: &str = row.try_get(0)?;
        let said = (index(&row, 1)?, time(row.try_get(2)?)?);
        if wanted.remove(subject) != Some(said) {
            return Err(beside("last_use")(format!("the row of {subject} is not its last token")));
        }
    }
    match wanted.into_values().min() {
        None => Ok(()),
        Some((index, _)) => Err(VerifyFault::entry(index, "it is not kept as its client's last token")),
    }
}

/// A text is what its digest says, and a forgotten one is gone.
async fn texts(connection: &mut SqliteConnection, chain: &Chain) -> Result<(), VerifyFault> {
    let mut from: Vec<u8> = Vec::new();
    loop {
        let query = sqlx::query("SELECT digest, salt, text FROM texts WHERE digest > ? ORDER BY digest LIMIT 1000");
        let rows = query.bind(from).fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        from = last.try_get(0)?;
        for row in &rows {
            let digest = TextDigest(digest(row, 0)?.0);
            if let Some(index) = chain.erased.get(&digest) {
                return Err(VerifyFault::entry(*index, "a text that the change forgot is still there"));
            }
            let salt: &[u8] = row.try_get(1)?;
            let said = row.try_get::<&str, _>(2).ok().zip(salt.try_into().ok());
            if said.is_none_or(|(text, salt)| TextDigest::of(&salt, text) != digest) {
                return Err(beside("texts")(format!("the row of {} is not what was said", Digest(digest.0))));
            }
        }
    }
}

/// Living keys have exactly the sealed half that their change names, and it opens; retired keys have none; nobody else has one.
async fn keyring(connection: &mut SqliteConnection, kek: &Kek, chain: &Chain) -> Result<(), VerifyFault> {
    let fault = beside("keyring");
    let rows = sqlx::query("SELECT name, sealed FROM keyring ORDER BY name").fetch_all(connection).await?;
    let mut blobs: HashMap<Digest, SealedBlob> = HashMap::new();
    for row in rows {
        let blob = SealedBlob { name: BlobName::stored(row.try_get(0)?), sealed: row.try_get(1)? };
        if let Err(fault) = kek.open(&blob) {
            return Err(beside("keyring")(fault.to_string()));
        }
        if !blob.name.is_of_journal() {
            blobs.insert(blob.digest(), blob);
        }
    }
    for key in chain.state.keys.all() {
        let name = format!("{}/{}", key.key.environment, key.key.kid);
        match (blobs.remove(&key.key.sealed), key.retired) {
            (Some(_), true) => return Err(fault(format!("the private half of the retired key {name} is still there"))),
            (None, false) => return Err(fault(format!("the private half of the key {name} is missing, or another one"))),
            _ => {}
        }
    }
    let authorities: Vec<_> = chain.state.certificates.all_authorities().map(|known| &known.authority).collect();
    // Several issuing keys may stand under one root.
    let halves: std::collections::BTreeSet<_> = authorities.iter().flat_map(|one| [one.sealed, one.sealed_root]).collect();
    for sealed in halves {
        if blobs.remove(&sealed).is_none() {
            let named = authorities.iter().find(|one| one.sealed == sealed || one.sealed_root == sealed);
            let name = named.map(|one| format!("{}/{}", one.environment, one.kid)).unwrap_or_default();
            return Err(fault(format!("a private half of the authority {name} is missing, or another one")));
        }
    }
    match blobs.into_values().next() {
        None => Ok(()),
        Some(blob) => Err(fault(format!("no change made {}", blob.name))),
    }
}
