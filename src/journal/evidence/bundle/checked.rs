//! The proof of a bundle, for a holder who has nothing else but the verifier key.
//!
//! The order is that of trust: the key verifies the checkpoint, the checkpoint proves the closing entry, that has the digest of the manifest,
//! and the manifest has the digest of each file. The first file that differs ends it.

use std::collections::BTreeSet;

use super::fault::BundleFault;
use super::manifest::Manifest;
use super::texts::{Texts, named};
use super::zip::{self, Archive, Files, Stamp};
use super::{CHECKPOINT, CLOSING, Closing, JOURNAL, MANIFEST, README, SUCCESSIONS, TEXTS, entry_index, proof_name};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::journal::key::signers::{Lineage, Succession};
use crate::journal::tree::merkle::{leaf_hash, verify_inclusion};
use crate::journal::tree::note::{Checkpoint, NoteFault, VerifierKey};
use crate::journal::tree::proof::InclusionProof;

/// Lines of a checkpoint with one signature: origin, size, root, nothing, signature.
const LINES: usize = 5;

/// The result of a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BundleReport {
    /// The log's name.
    pub origin: String,
    /// The index of the closing entry, the last of the checkpoint.
    pub closing: u64,
    /// Its kind, as `offboarding.closed`.
    pub kind: String,
    /// Its time.
    pub closed: Timestamp,
    /// The root of the checkpoint.
    pub root: Digest,
    /// Files under the manifest, entries included.
    pub files: usize,
    /// Entries under the manifest.
    pub entries: usize,
    /// Texts that files and entries name.
    pub named: usize,
    /// Those that the bundle has in plain; none if it has no `texts.json`.
    pub told: Option<usize>,
}

/// Proves a bundle: `key`, or one that it leads to, signed its checkpoint, and all that is in it follows from that.
///
/// `README.html` is not proved: nothing of it follows from the rest.
///
/// # Errors
/// The first file that differs, or the fault of the archive.
pub fn verify(bytes: &[u8], key: &VerifierKey) -> Result<BundleReport, BundleFault> {
    let Archive { files, stamp } = zip::read(bytes)?;
    let bundle = Bundle { files };
    let note = bundle.text(CHECKPOINT)?;
    let checkpoint = bundle.checkpoint(note, key)?;
    let index = checkpoint.size.checked_sub(1).ok_or_else(|| BundleFault::file(CHECKPOINT, "it is of an empty log"))?;
    bundle.prove(CLOSING, index, (note, &checkpoint))?;
    let closing = Closing::read(bundle.text(CLOSING)?).filter(|closing| closing.index == index);
    let closing = closing.ok_or_else(|| BundleFault::file(CLOSING, "it closes no bundle: it has no digest of a manifest"))?;
    let manifest = bundle.manifest(&closing)?;
    for (name, digest) in &manifest.files {
        bundle.under(name, *digest)?;
        if name.starts_with(JOURNAL) {
            let index = entry_index(name).filter(|index| *index < closing.index);
            let index =
                index.ok_or_else(|| BundleFault::file(name, "its name is not that of an entry before the closing one"))?;
            bundle.prove(name, index, (note, &checkpoint))?;
        }
    }
    let entries = manifest.files.keys().filter(|name| entry_index(name).is_some()).count();
    bundle.nothing_else(&manifest, index)?;
    let under = manifest.files.keys().map(String::as_str).chain([CLOSING]);
    let names = named(under.filter_map(|name| bundle.files.get(name).copied()));
    let texts = bundle.files.get(TEXTS).map(|texts| Texts::read(texts, &names)).transpose()?;
    if stamp != Stamp::of(closing.time) {
        return Err(BundleFault::file(CLOSING, "the files of the archive do not have the time of this entry"));
    }
    Ok(BundleReport {
        origin: checkpoint.origin,
        closing: index,
        kind: closing.kind,
        closed: closing.time,
        root: checkpoint.root,
        files: manifest.files.len(),
        entries,
        named: names.len(),
        told: texts.map(|texts| texts.count()),
    })
}

/// Whether a bundle makes a file of this name itself, so that none of a case may have it.
pub fn is_own(name: &str) -> bool {
    name.starts_with(JOURNAL) || [MANIFEST, TEXTS, README].contains(&name)
}

struct Bundle<'a> {
    files: Files<'a>,
}

impl<'a> Bundle<'a> {
    fn content(&self, name: &str) -> Result<&'a [u8], BundleFault> {
        self.files.get(name).copied().ok_or_else(|| BundleFault::file(name, "it is missing"))
    }

    fn text(&self, name: &str) -> Result<&'a str, BundleFault> {
        std::str::from_utf8(self.content(name)?).map_err(|_| BundleFault::file(name, "it is not text"))
    }

    /// The checkpoint of a note that `key` signed, or a key that it leads to.
    fn checkpoint(&self, note: &str, key: &VerifierKey) -> Result<Checkpoint, BundleFault> {
        let lineage = Lineage::around(key, &self.successions()?);
        let checkpoint = lineage.open(note).and_then(Checkpoint::parse).map_err(BundleFault::Note)?;
        if checkpoint.origin != key.name() {
            return Err(BundleFault::Note(NoteFault::Unsigned));
        }
        if note.lines().count() != LINES {
            return Err(BundleFault::file(CHECKPOINT, "it has other lines than a checkpoint with one signature"));
        }
        Ok(checkpoint)
    }

    fn successions(&self) -> Result<Vec<Succession>, BundleFault> {
        let Some(file) = self.files.get(SUCCESSIONS) else { return Ok(Vec::new()) };
        let fault = |what| BundleFault::file(SUCCESSIONS, what);
        let statements: Vec<String> = serde_json::from_slice(file).map_err(|_| fault("it is not a list of statements"))?;
        let again = serde_json::to_vec(&statements).map_err(|_| fault("it is not a list of statements"))?;
        if statements.is_empty() || again != *file {
            return Err(fault("it is not written as a bundle writes it"));
        }
        let read = statements.iter().map(|statement| Succession::read(statement)).collect::<Result<_, _>>();
        read.map_err(|_| fault("a statement is not signed by both keys that it names"))
    }

    /// Proves that a file is the entry `index` of the log.
    fn prove(&self, name: &str, index: u64, (note, checkpoint): (&str, &Checkpoint)) -> Result<(), BundleFault> {
        let place = proof_name(index);
        let text = self.text(&place)?;
        let form =
            || BundleFault::file(&place, "it is not a proof of this entry in journal/checkpoint, as a bundle writes one");
        let proof = InclusionProof::parse(text, self.text(name)?.to_owned()).map_err(|_| form())?;
        if proof.index != index || proof.checkpoint != note || proof.text() != text {
            return Err(form());
        }
        let leaf = leaf_hash(proof.entry.as_bytes());
        if verify_inclusion(leaf, index, (checkpoint.size, checkpoint.root), &proof.hashes) {
            return Ok(());
        }
        Err(BundleFault::file(name, format!("it is not entry {index} of the log, or {place} is not its proof")))
    }

    fn manifest(&self, closing: &Closing) -> Result<Manifest, BundleFault> {
        let content = self.content(MANIFEST)?;
        let found = Digest::of(content);
        if found != closing.manifest {
            let wanted = closing.manifest;
            let what =
                format!("it is not the one of entry {}: its SHA-256 is {found}, and that entry has {wanted}", closing.index);
            return Err(BundleFault::file(MANIFEST, what));
        }
        Manifest::parse(content).ok_or_else(|| BundleFault::file(MANIFEST, "it is not written as a bundle writes it"))
    }

    /// Proves a file by its digest in the manifest.
    fn under(&self, name: &str, wanted: Digest) -> Result<(), BundleFault> {
        let found = Digest::of(self.content(name)?);
        if found == wanted {
            return Ok(());
        }
        Err(BundleFault::file(name, format!("its SHA-256 is {found}, and the manifest has {wanted}")))
    }

    /// Refuses a file that has no place.
    fn nothing_else(&self, manifest: &Manifest, closing: u64) -> Result<(), BundleFault> {
        let mut known: BTreeSet<String> = [MANIFEST, CLOSING, CHECKPOINT, SUCCESSIONS, TEXTS, README].map(str::to_owned).into();
        known.insert(proof_name(closing));
        known.extend(manifest.files.keys().filter_map(|name| entry_index(name)).map(proof_name));
        if let Some(own) = manifest.files.keys().find(|name| is_own(name) && entry_index(name).is_none()) {
            return Err(BundleFault::file(own, "the manifest has a file that a bundle makes itself"));
        }
        let is_known = |name: &&str| known.contains(*name) || manifest.files.contains_key(*name);
        match self.files.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(BundleFault::file(name, "the manifest does not have it")),
        }
    }
}
