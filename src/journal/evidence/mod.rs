//! Evidence: proofs that the log is whole, for verifiers that trust only a key.
//!
//! Enter through [`verify_database`] for the configured journal, [`export()`] for a copy for others, and
//! [`verify_export`] and [`prove_offline`] for a holder of such a copy who has nothing but the verifier key. [`Tail`] proves nothing: it
//! reads on where a reader left off.
//!
//! Everything is read up to one head, and the first thing that does not hold ends it with its place. A database is proved by
//! the MAC of every batch, an export by the signature of its checkpoint; both by the tree made again from the entries' bytes.
//! Entries that were cut off at the end show only against a checkpoint that was kept elsewhere: without one, [`Report::kept`] is none.
//! An export is signed only after all of the journal was found to hold, so an attacker who can write SQL gets no signature.
//!
//! [`bundle`] makes evidence of one case for a reader who is to have that alone, and proves such a bundle.
//!
//! The functions here are for commands: they read and write files on the thread that calls them.

mod beside;
pub mod bundle;
mod chain;
mod export;
mod exported;
mod fault;
mod report;
mod tail;
mod walk;

use std::path::Path;

pub use exported::{exported_changes, prove_offline, verify_export};
pub use fault::VerifyFault;
pub use report::{Progress, Report, SILENT};
pub use tail::Tail;

use self::chain::{Chain, Watched};
use self::export::Writer;
use self::report::{checkpoint, read};
use super::archive::segment::Shelf;
use super::fault::OpenFault;
use super::handle::Journal;
use super::key::anchor::Anchor;
use super::key::data_key::DataKeys;
use super::key::kek::Kek;
use super::key::signers::Signers;
use super::place;
use super::settings::Settings;
use super::store::batch::{MacKey, Spent};
use super::store::head::Head;
use super::store::reader::Reader;
use super::store::snapshot::{Checked, Snapshot};
use super::tree::note::{Checkpoint, VerifierKey};
use crate::domain::log::entry::ChangeEntry;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::proof_key::ProofKey;

/// Proves the configured journal, whether a server runs on it or not.
///
/// `kept`: the text of a checkpoint of this log that was kept elsewhere.
pub async fn verify_database(
    settings: &Settings,
    kek: &Kek,
    kept: Option<&str>,
    progress: Progress<'_>,
) -> Result<Report, VerifyFault> {
    let source = Source::of(settings, kek).await?;
    let report = source.prove(kek, kept, None, progress).await;
    source.reader.close().await?;
    report
}

/// Proves the configured journal and puts a copy of it at `dir`.
///
/// `dir` must be missing or empty. The copy has `checkpoint`, `tile/…` and `entries.ndjson`, without keys and without the texts of people. The copy appears whole or not at all.
pub async fn export(settings: &Settings, kek: &Kek, dir: &Path) -> Result<Report, VerifyFault> {
    let source = Source::of(settings, kek).await?;
    let report = source.export(kek, dir, SILENT).await;
    source.reader.close().await?;
    report
}

/// The key that verifies checkpoints of the configured journal.
///
/// Its private half lies sealed in the keyring.
pub async fn verifier_key(settings: &Settings, kek: &Kek) -> Result<VerifierKey, OpenFault> {
    let (reader, _) = place::read(settings, &DataKeys::of(kek)).await?;
    let signers = Signers::stored(&reader, kek, &settings.origin).await;
    reader.close().await?;
    Ok(signers?.verifier().clone())
}

/// Whether `key` verifies checkpoints of the configured journal, or came before the key that does.
pub async fn leads_to_verifier_key(settings: &Settings, kek: &Kek, key: &VerifierKey) -> Result<bool, OpenFault> {
    let (reader, _) = place::read(settings, &DataKeys::of(kek)).await?;
    let signers = Signers::stored(&reader, kek, &settings.origin).await;
    reader.close().await?;
    Ok(signers?.lineage().reaches(key))
}

/// The changes of the configured journal, in order. Prove the journal first.
pub async fn changes(settings: &Settings, kek: &Kek) -> Result<Vec<ChangeEntry>, VerifyFault> {
    let (reader, _) = place::read(settings, &DataKeys::of(kek)).await?;
    let mut all: Vec<ChangeEntry> = Vec::new();
    loop {
        let from = all.last().map_or(0, |entry| entry.index + 1);
        let page = reader.changes(from).await.map_err(OpenFault::from)?;
        if page.is_empty() {
            reader.close().await?;
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Proves all entries, and returns their spent proofs that are remembered until `from` or longer.
pub(super) async fn spent_since(
    reader: &Reader,
    shelf: &Shelf,
    key: &MacKey,
    from: Timestamp,
) -> Result<Vec<Spent>, OpenFault> {
    let mut chain = Chain::default();
    // As if the correction stood there: nothing is cleared that is wanted after it.
    chain.corrections.push((u64::MAX, from));
    let mut snapshot = reader.snapshot().await?;
    walk::walk((&mut *snapshot, shelf), key, &mut chain, None, SILENT).await.map_err(OpenFault::from)?;
    snapshot.end_reading().await?;
    let remembered = chain.paid.into_iter().filter(|(_, (until, _))| *until >= from);
    Ok(remembered.map(|(proof, (until, _))| (ProofKey(proof), until)).collect())
}

/// Proves all entries, and by them spent proofs and last uses, and returns the end of the log.
///
/// It is for a journal that keeps no sums over its side tables yet, and reads in the caller's snapshot.
pub(super) async fn proves_beside((snapshot, shelf): (&mut dyn Snapshot, &Shelf), key: &MacKey) -> Result<Head, VerifyFault> {
    let mut chain = Chain::default();
    let head = walk::walk((&mut *snapshot, shelf), key, &mut chain, None, SILENT).await?;
    beside::spent(snapshot, &chain, &head).await?;
    beside::used(snapshot, &chain).await?;
    Ok(head)
}

impl Journal {
    /// As [`verify_database`], on an open journal. The anchor is left to [`verify_database`].
    pub async fn verify(&self, kek: &Kek, kept: Option<&str>) -> Result<Report, VerifyFault> {
        self.source(kek).await?.prove(kek, kept, None, SILENT).await
    }

    /// As [`export()`], of an open journal.
    pub async fn export(&self, kek: &Kek, dir: &Path) -> Result<Report, VerifyFault> {
        self.source(kek).await?.export(kek, dir, SILENT).await
    }

    /// As [`Self::export`], and tells how far it is.
    #[cfg(test)]
    pub(super) async fn export_told(&self, kek: &Kek, dir: &Path, progress: Progress<'_>) -> Result<Report, VerifyFault> {
        self.source(kek).await?.export(kek, dir, progress).await
    }

    async fn source(&self, kek: &Kek) -> Result<Source, VerifyFault> {
        let reader = self.reader().clone();
        let signers = Signers::stored(&reader, kek, self.origin()).await?;
        Ok(Source { reader, shelf: self.shelf().clone(), signers, anchor: None })
    }
}

/// The checkpoint of lost entries that stands beside the anchor, as faults name it.
const BESIDE: &str = "checkpoint of lost entries";

/// A database to prove.
struct Source {
    reader: Reader,
    shelf: Shelf,
    signers: Signers,
    anchor: Option<Anchor>,
}

impl Source {
    async fn of(settings: &Settings, kek: &Kek) -> Result<Self, VerifyFault> {
        let (reader, shelf) = place::read(settings, &DataKeys::of(kek)).await?;
        let signers = Signers::stored(&reader, kek, &settings.origin).await?;
        Ok(Self { reader, shelf, signers, anchor: settings.anchor.clone().map(Anchor::at) })
    }

    async fn prove(
        &self,
        kek: &Kek,
        kept: Option<&str>,
        out: Option<&mut Writer>,
        progress: Progress<'_>,
    ) -> Result<Report, VerifyFault> {
        let (verifier, lineage) = (self.signers.verifier(), self.signers.lineage());
        let kept = kept.map(|note| checkpoint(lineage.open_kept(note), verifier, "kept checkpoint")).transpose()?;
        // Before the snapshot: a running node moves both on, and the log must be the later of the two.
        let anchored = self.anchor.as_ref().map(|anchor| anchor.read(&self.signers)).transpose()?.flatten();
        let lost = self.anchor.as_ref().map(Anchor::lost_text).transpose()?.flatten();
        let lost = lost.as_deref().map(|note| read(self.signers.keys().open(note), verifier, BESIDE)).transpose()?;
        let mut chain = Chain::default();
        chain.watch(kept.as_ref().map(|kept| Watched::of(kept, "kept checkpoint")));
        chain.watch(anchored.as_ref().map(|anchored| Watched::of_anchor(anchored, "anchor")));
        chain.watch(lost.as_ref().map(|lost| Watched::of_epoch(lost, BESIDE)));

        let mut snapshot = self.reader.snapshot().await?;
        let key = MacKey::of(kek);
        let head = walk::walk((&mut *snapshot, &self.shelf), &key, &mut chain, out, progress).await?;
        beside::check(&mut *snapshot, &self.reader, (kek, &key), &chain, &head).await?;
        // Without sums the entries have shown all that a start asks for.
        let _summed = snapshot.check_sums(&key.sums, &head, Checked::All).await?;
        snapshot.end_reading().await?;

        let report = chain.finish(kept.map(|kept| kept.size), anchored.map(|anchored| anchored.size))?;
        if report.origin != verifier.name() {
            return Err(OpenFault::Origin { found: report.origin, configured: verifier.name().to_owned() }.into());
        }
        match &self.anchor {
            // As at a start: a journal with a past has an anchor.
            Some(anchor) if report.anchored.is_none() && report.size > 1 => {
                Err(anchor.fault("the file is not there, although the journal has a past").into())
            }
            _ => Ok(report),
        }
    }

    async fn export(&self, kek: &Kek, dir: &Path, progress: Progress<'_>) -> Result<Report, VerifyFault> {
        let mut writer = Writer::beside(dir)?;
        let report = self.prove(kek, None, Some(&mut writer), progress).await?;
        let checkpoint = Checkpoint { origin: report.origin.clone(), size: report.size, root: report.root };
        let note =
            self.signers.sign(&checkpoint, report.newest).map_err(|fault| VerifyFault::Note { which: "checkpoint", fault })?;
        writer.place(&note, dir)?;
        Ok(report)
    }
}
