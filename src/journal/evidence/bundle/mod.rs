//! Evidence bundles: a case in one file, which a reader verifies with nothing but the verifier key.
//!
//! A bundle is a ZIP archive ([`zip`]) of three kinds of files.
//!
//! - **Under the manifest:** what the case consists of, and journal entries with their exact bytes (`journal/INDEX.json`). `manifest.json` has
//!   the SHA-256 of each ([`Manifest`]). People and free text stand in them as `text:` and a digest.
//! - **What holds the manifest:** the closing entry (`journal/closing.json`), a change of the log that has the digest of `manifest.json` as its
//!   member `manifest`; a proof of inclusion for it and for each entry (`journal/INDEX.proof`, C2SP tlog-proof); the checkpoint that they lead
//!   to (`journal/checkpoint`); and, where the checkpoint key was ever succeeded, the statements of that (`journal/successions.json`).
//! - **For readers:** `texts.json` has the plain texts as far as they are kept and the reader may have them ([`texts`]), each proved by its
//!   digest. `README.html` ([`page`]) is made from the rest, and proves nothing.
//!
//! **Making one takes two steps.** [`Journal::bundle_manifest`] makes the manifest when the case ends. The caller records its digest in the
//! closing entry, and keeps the [`Parts`]. At any time later [`Journal::bundle`] makes the archive of them.
//!
//! **The same state gives the same bytes.** The checkpoint is of size closing index + 1, whatever the log has become since, and an Ed25519
//! signature of the same text is the same. One key signs, the present one, also while another is handed over. Two things change the bytes:
//! an erased text takes itself out of `texts.json` and `README.html`, and a succession of the checkpoint key gives the checkpoint (and the
//! proofs, which repeat it) another signature. It must: a reader who trusts the new key believes nothing that only the old one signed. The
//! statements lead a reader who trusts an old key to the new one.
//!
//! **Nothing is signed that does not follow from the head.** The root at the size of the checkpoint is proved consistent with the root of the
//! head, which is in memory, and each entry is proved in it, before the key signs: a hand that can write to the store gets no signature.
//!
//! [`verify`] is for the holder of a bundle; `examples/verify_dossier.py` does the same and shares no code with it.
//! docs/reference/bundle.md has the form.
//!
//! Deliberately not here: what a case consists of and which entries belong to it (the caller's), and who may have a bundle.

mod case;
mod checked;
mod fault;
pub mod html;
mod made;
mod manifest;
mod page;
mod proved;
mod texts;
pub mod zip;

use std::collections::{BTreeMap, BTreeSet};

pub use checked::{BundleReport, verify};
pub use fault::BundleFault;
pub use made::assemble;
pub use manifest::Manifest;
pub use proved::Proved;

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
#[cfg(doc)]
use crate::journal::Journal;

/// The files that a bundle makes itself.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const CLOSING: &str = "journal/closing.json";
pub(crate) const CHECKPOINT: &str = "journal/checkpoint";
pub(crate) const SUCCESSIONS: &str = "journal/successions.json";
pub(crate) const TEXTS: &str = "texts.json";
pub(crate) const README: &str = "README.html";

/// The folder of the journal's files.
const JOURNAL: &str = "journal/";

/// What a bundle is made of, apart from the journal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The heading of `README.html`: "Offboarding of globex/order-sync".
    pub title: String,
    /// The files under the manifest by their names, which have letters, digits and `. _ - /` alone. None is in `journal/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The entries under the manifest, by their indexes. All are before the closing entry.
    pub entries: BTreeSet<u64>,
}

/// Whether a bundle has the plain texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlainTexts {
    /// Those that were not erased.
    Told,
    /// None, for a partner.
    LeftOut,
}

/// What a closing entry says of itself.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize)]
struct Closing {
    index: u64,
    kind: String,
    time: Timestamp,
    manifest: Digest,
}

impl Closing {
    /// Reads an entry; none if it closes no bundle.
    fn read(entry: &str) -> Option<Self> {
        serde_json::from_str(entry).ok()
    }
}

/// The name of an entry's file.
fn entry_name(index: u64) -> String {
    format!("{JOURNAL}{index}.json")
}

/// The name of its proof.
fn proof_name(index: u64) -> String {
    format!("{JOURNAL}{index}.proof")
}

/// The index that a file of an entry is named by.
fn entry_index(name: &str) -> Option<u64> {
    let index = name.strip_prefix(JOURNAL)?.strip_suffix(".json")?.parse().ok()?;
    (entry_name(index) == name).then_some(index)
}
