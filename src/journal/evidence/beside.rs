//! The tables beside the entries: nothing in them may say more, or less, than the entries do.

use std::collections::HashMap;

use super::chain::Chain;
use super::fault::VerifyFault;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::TextDigest;
use crate::journal::fault::StoreFault;
use crate::journal::key::kek::{Kek, SealedBlob};
use crate::journal::load;
use crate::journal::store::batch::MacKey;
use crate::journal::store::head::Head;
use crate::journal::store::reader::Reader;
use crate::journal::store::row::{LastUse, LastUses, Outside, SpentRow, StoredText};
use crate::journal::store::snapshot::Snapshot;

/// How often the keyring is read at most while changes come.
const READS: u32 = 8;

/// Checks all of them.
pub async fn check(
    snapshot: &mut dyn Snapshot,
    reader: &Reader,
    (kek, key): (&Kek, &MacKey),
    chain: &Chain,
    head: &Head,
) -> Result<(), VerifyFault> {
    outside(snapshot).await?;
    spent(snapshot, chain, head).await?;
    used(snapshot, chain).await?;
    texts(snapshot, chain).await?;
    match snapshot.keyring().await? {
        Some(blobs) => keyring(blobs, kek, &chain.state),
        None => later_keyring(reader, (kek, key), chain).await,
    }
}

fn beside(table: &'static str) -> impl Fn(String) -> VerifyFault {
    move |what| VerifyFault::Beside { table, what }
}

/// Refuses rows outside of the log: before it, behind it, or of no level of its tree.
async fn outside(snapshot: &mut dyn Snapshot) -> Result<(), VerifyFault> {
    let Outside { entries, batches, tiles } = snapshot.outside().await?;
    if entries > 0 {
        return Err(VerifyFault::entry(0, "there are rows before the first entry"));
    }
    if batches > 0 {
        return Err(beside("batches")("there are batches without entries".to_owned()));
    }
    if tiles == 0 { Ok(()) } else { Err(beside("tiles")("there are tiles that no tree of this size has".to_owned())) }
}

/// Every proof that paid and is to be remembered is in one of the two tables, and nothing else.
pub async fn spent(snapshot: &mut dyn Snapshot, chain: &Chain, head: &Head) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<Digest, (Timestamp, u64)> = HashMap::new();
    wanted.extend(chain.paid.iter().filter(|(_, (until, _))| *until >= head.time).map(|(proof, paid)| (*proof, *paid)));
    let mut place = None;
    loop {
        let page = snapshot.spent(place).await?;
        for row in &page.rows {
            paid(row, chain, head)?;
            wanted.remove(&row.proof);
        }
        place = page.next;
        if place.is_none() {
            wanted.retain(|_, (until, _)| *until >= page.forgotten_before);
            break;
        }
    }
    match wanted.into_values().map(|(_, index)| index).min() {
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

/// The last use of each client is the one that the entries have. One that is newer than they are is left to the sums.
pub async fn used(snapshot: &mut dyn Snapshot, chain: &Chain) -> Result<(), VerifyFault> {
    let mut wanted: HashMap<&str, (u64, Timestamp)> = chain.used.iter().map(|(subject, last)| (&**subject, *last)).collect();
    let LastUses { at_head, since } = snapshot.last_uses().await?;
    for LastUse { subject, index, time } in at_head {
        if wanted.remove(&*subject) != Some((index, time)) {
            return Err(beside("last_use")(format!("the row of {subject} is not its last token")));
        }
    }
    for subject in &since {
        wanted.remove(&**subject);
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

/// Proves the keyring of a later head, by the changes that came since, each proved as a start proves it.
async fn later_keyring(reader: &Reader, (kek, key): (&Kek, &MacKey), chain: &Chain) -> Result<(), VerifyFault> {
    let mut folded = (chain.state.clone(), chain.last_change);
    for _ in 0..READS {
        let mut later = reader.snapshot().await?;
        folded = load::fold(&mut *later, key, folded).await?;
        let blobs = later.keyring().await?;
        later.end_reading().await?;
        if let Some(blobs) = blobs {
            return keyring(blobs, kek, &folded.0);
        }
    }
    Err(StoreFault::Again("keys change while they are read: read the journal again".into()).into())
}

/// Proves that the keyring has the sealed half of each living key, and no other.
///
/// It is the one that the change of the key names, and it opens. Retired keys have none.
fn keyring(all: Vec<SealedBlob>, kek: &Kek, state: &State) -> Result<(), VerifyFault> {
    let fault = beside("keyring");
    let mut blobs: HashMap<Digest, SealedBlob> = HashMap::new();
    for blob in all {
        if let Err(fault) = kek.open(&blob) {
            return Err(beside("keyring")(fault.to_string()));
        }
        if !blob.name.is_of_journal() {
            blobs.insert(blob.digest(), blob);
        }
    }
    for key in state.keys.all() {
        let name = format!("{}/{}", key.key.environment, key.key.kid);
        match (blobs.remove(&key.key.sealed), key.retired) {
            (Some(_), true) => return Err(fault(format!("the private half of the retired key {name} is still there"))),
            (None, false) => return Err(fault(format!("the private half of the key {name} is missing, or another one"))),
            _ => {}
        }
    }
    let authorities: Vec<_> = state.certificates.all_authorities().map(|known| &known.authority).collect();
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
