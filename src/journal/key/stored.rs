//! The checkpoint keys of a store: opened with the KEK, and compared with the recorded successions.

use zeroize::Zeroizing;

use super::kek::{Kek, KekFault};
use super::signers::{HANDOVER, SUCCEEDED, Signers, Succession, name, stated};
use crate::domain::value::clock::Timestamp;
use crate::journal::fault::OpenFault;
use crate::journal::load;
use crate::journal::store::reader::Reader;
use crate::journal::tree::note::SignerKey;

impl Signers {
    /// The key that signs now, the one before it, and all of their line.
    pub async fn stored(reader: &Reader, kek: &Kek, origin: &str) -> Result<Self, OpenFault> {
        let (successions, succeeded_at, last) = successions(reader).await?;
        let number = successions.len();
        let current = signer(reader, kek, origin, number).await?;
        let earlier = match (number.checked_sub(1), last) {
            (Some(before), Some(at)) => Some((signer(reader, kek, origin, before).await?, at.plus(HANDOVER))),
            _ => None,
        };
        let signers = Self::of_line((current, earlier), &successions, succeeded_at);
        signers.ok_or_else(|| load::inconsistent(0, "the checkpoint key is not the one that the changes name"))
    }
}

async fn signer(reader: &Reader, kek: &Kek, origin: &str, number: usize) -> Result<SignerKey, OpenFault> {
    let name = name(number);
    let blob = reader.blob(&name).await?;
    let blob = blob.ok_or_else(|| load::inconsistent(0, "the checkpoint key is not in the keyring"))?;
    let plain = kek.open(&blob)?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(plain.as_slice().try_into().map_err(|_| KekFault::Sealed(name))?);
    SignerKey::from_seed(origin, &seed).map_err(|_| load::inconsistent(0, "the origin is not a name for a key"))
}

/// The successions of a store, their entries, and the time of the last.
///
/// Their signatures prove them; the chain of changes proves that none is missing.
async fn successions(reader: &Reader) -> Result<(Vec<Succession>, Vec<u64>, Option<Timestamp>), OpenFault> {
    let (mut all, mut entries, mut last) = (Vec::new(), Vec::new(), None);
    for (at, body) in reader.changes_of_kind(SUCCEEDED).await? {
        let stated = stated(body.as_bytes());
        let (succession, time) =
            stated.ok_or_else(|| load::inconsistent(at, "the succession of the checkpoint key is not signed by both keys"))?;
        all.push(succession);
        entries.push(at);
        last = Some(time);
    }
    Ok((all, entries, last))
}
