//! The tables beside the entries: nothing in them may say more, or less, than the entries do.

use std::collections::HashMap;

use super::chain::Chain;
use super::fault::VerifyFault;
use super::walk::Walked;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::TextDigest;
use crate::journal::key::kek::{Kek, SealedBlob};
use crate::journal::store::head::Head;
use crate::journal::store::row::{LastUse, SpentRow, StoredText};
use crate::journal::store::snapshot::Snapshot;
use crate::journal::tree::tiles::WIDTH;

/// Checks all of them.
pub async fn check(
    snapshot: &mut dyn Snapshot,
    kek: &Kek,
    chain: &Chain,
    Walked { head, rows }: &Walked,
) -> Result<(), VerifyFault> {
    counts(snapshot, head.size, *rows).await?;
    spent(snapshot, chain, head).await?;
    used(snapshot, chain).await?;
    texts(snapshot, chain).await?;
    keyring(snapshot, kek, chain).await
}

fn beside(table: &'static str) -> impl Fn(String) -> VerifyFault {
    move |what| VerifyFault::Beside { table, what }
}

/// Refuses rows outside of the log: before it, behind it, or of no level of its tree.
///
/// `seen`: the entries of the database that the walk saw.
async fn counts(snapshot: &mut dyn Snapshot, size: u64, seen: u64) -> Result<(), VerifyFault> {
    let counts = snapshot.counts(size).await?;
    let mut full = 0;
    let mut below = size / u64::from(WIDTH);
    while below > 0 {
        full += below;
        below /= u64::from(WIDTH);
    }
    if counts.entries != seen {
        return Err(VerifyFault::entry(0, "there are rows before the first entry"));
    }
    if counts.batches_outside > 0 {
        return Err(beside("batches")("there are batches without entries".to_owned()));
    }
    if counts.tiles == full { Ok(()) } else { Err(beside("tiles")("there are tiles that no tree of this size has".to_owned())) }
}

/// Every proof that paid and is to be remembered is in one of the two tables, and nothing else.
pub async fn spent(snapshot: &mut dyn Snapshot, chain: &Chain, head: &Head) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<Digest, u64> = HashMap::new();
    for (proof, (until, index)) in &chain.paid {
        if *until >= head.time {
            wanted.insert(*proof, *index);
        }
    }
    let mut place = None;
    loop {
        let page = snapshot.spent(place).await?;
        for row in &page.rows {
            paid(row, chain, head)?;
            wanted.remove(&row.proof);
        }
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    match wanted.into_values().min() {
        None => Ok(()),
        Some(index) => Err(VerifyFault::entry(index, "its proof is not among the spent ones: it could pay once more")),
    }
}

/// Whether an entry was paid with the proof, and it is remembered for as long as it must be.
fn paid(SpentRow { table, proof, until }: &SpentRow, chain: &Chain, head: &Head) -> Result<(), VerifyFault> {
    match chain.paid.get(proof) {
        Some((paid, index)) if paid.as_seconds() != *until => {
            Err(VerifyFault::entry(*index, "its proof is remembered for another time than it must be"))
        }
        // An expired proof may lie there until its slice is purged, or its round ends.
        None if *until >= head.time.as_seconds() => Err(beside(table)(format!("no entry was paid with the proof {proof}"))),
        _ => Ok(()),
    }
}

/// The last use of each client is the one that the entries have.
pub async fn used(snapshot: &mut dyn Snapshot, chain: &Chain) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<&str, (u64, Timestamp)> = chain.used.iter().map(|(subject, last)| (&**subject, *last)).collect();
    for LastUse { subject, index, time } in snapshot.last_uses().await? {
        if wanted.remove(&*subject) != Some((index, time)) {
            return Err(beside("last_use")(format!("the row of {subject} is not its last token")));
        }
    }
    match wanted.into_values().min() {
        None => Ok(()),
        Some((index, _)) => Err(VerifyFault::entry(index, "it is not kept as its client's last token")),
    }
}

/// A text is what its digest says, and a forgotten one is gone.
async fn texts(snapshot: &mut dyn Snapshot, chain: &Chain) -> Result<(), VerifyFault> {
    let mut after = None;
    loop {
        let rows = snapshot.texts(after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.digest);
        for StoredText { digest: Digest(digest), said } in &rows {
            let digest = TextDigest(*digest);
            if let Some(index) = chain.erased.get(&digest) {
                return Err(VerifyFault::entry(*index, "a text that the change forgot is still there"));
            }
            if said.as_ref().is_none_or(|(salt, text)| TextDigest::of(salt, text) != digest) {
                return Err(beside("texts")(format!("the row of {} is not what was said", Digest(digest.0))));
            }
        }
    }
}

/// Proves that the keyring has the sealed half of each living key, and no other.
///
/// It is the one that the change of the key names, and it opens. Retired keys have none.
async fn keyring(snapshot: &mut dyn Snapshot, kek: &Kek, chain: &Chain) -> Result<(), VerifyFault> {
    let fault = beside("keyring");
    let mut blobs: HashMap<Digest, SealedBlob> = HashMap::new();
    for blob in snapshot.keyring().await? {
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
