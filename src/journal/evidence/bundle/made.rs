//! The archive, made of parts and proofs.

use std::collections::BTreeMap;

use super::checked::is_own;
use super::fault::BundleFault;
use super::manifest::Manifest;
use super::page::Page;
use super::proved::Proved;
use super::texts::Texts;
use super::zip::{self, Files, Stamp};
use super::{CHECKPOINT, CLOSING, Closing, JOURNAL, MANIFEST, Parts, README, SUCCESSIONS, TEXTS, entry_name, proof_name};
use crate::domain::value::text::TextRow;

/// Makes the archive. `texts` are the plain texts that it has; none if they are left out.
///
/// # Errors
/// The entries are not those of the parts, the closing entry has another manifest, or the archive would be too large.
pub fn assemble(parts: &Parts, proved: &Proved, texts: Option<Vec<TextRow>>) -> Result<Vec<u8>, BundleFault> {
    parts.ensure_names()?;
    if !proved.entries.iter().map(|proof| proof.index).eq(parts.entries.iter().copied()) {
        return Err(BundleFault::file(JOURNAL, "the proved entries are not those of the parts"));
    }
    let entries: Vec<(String, &str)> = proved.entries.iter().map(|one| (entry_name(one.index), &*one.entry)).collect();
    let under: Files<'_> = parts.named().chain(entries.iter().map(|(name, entry)| (&**name, entry.as_bytes()))).collect();
    let manifest = Manifest::of(&under);
    let closing = Closing::read(&proved.closing.entry);
    let closing =
        closing.ok_or_else(|| BundleFault::file(CLOSING, "the entry closes no bundle: it has no digest of a manifest"))?;
    if closing.manifest != manifest.digest() {
        return Err(BundleFault::file(MANIFEST, "the parts are not those that the closing entry has the digest of"));
    }
    let texts = texts.map(Texts::of);
    let origin = proved.closing.checkpoint.lines().next().unwrap_or_default();
    let page = Page { title: &parts.title, origin, closing: &closing, files: &under, texts: texts.as_ref() };

    let mut made: BTreeMap<String, String> = proved.all().map(|proof| (proof_name(proof.index), proof.text())).collect();
    made.insert(MANIFEST.to_owned(), manifest.text());
    made.insert(CLOSING.to_owned(), proved.closing.entry.clone());
    made.insert(CHECKPOINT.to_owned(), proved.closing.checkpoint.clone());
    made.insert(README.to_owned(), page.html());
    if let Some(texts) = &texts {
        made.insert(TEXTS.to_owned(), texts.file());
    }
    if !proved.successions.is_empty() {
        // Invariant: strings alone.
        made.insert(SUCCESSIONS.to_owned(), serde_json::to_string(&proved.successions).expect("statements are JSON"));
    }
    let beside = made.iter().map(|(name, content)| (&**name, content.as_bytes()));
    let all: Files<'_> = under.iter().map(|(name, content)| (*name, *content)).chain(beside).collect();
    Ok(zip::write(&all, Stamp::of(closing.time))?)
}

impl Parts {
    /// The files with their names.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, content)| (&**name, &**content))
    }

    /// Refuses names that the bundle itself uses, or that no archive of ours has.
    pub(super) fn ensure_names(&self) -> Result<(), BundleFault> {
        match self.files.keys().find(|name| is_own(name)) {
            Some(name) => Err(BundleFault::file(name, "the bundle itself uses this name")),
            None => Ok(zip::ensure_names(&self.named().collect())?),
        }
    }
}
