//! The result of a proof, how far it is, and the notes that the log is compared with.

use super::fault::VerifyFault;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::journal::fault::OpenFault;
use crate::journal::tree::note::{Checkpoint, Kept, NoteFault, VerifierKey};
use crate::journal::tree::tiles::WIDTH;

/// Hears now and then how far a proof is: the entries that are proved, of all.
pub type Progress<'p> = &'p (dyn Fn(u64, u64) + Send + Sync);

/// Hears nothing: for callers that need only the result.
pub const SILENT: Progress<'static> = &|_, _| {};

/// Entries between two words of a [`Progress`].
pub const STEP: u64 = WIDTH as u64;

/// The result of a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// 1, and a later one after each `reopen`.
    pub epoch: u64,
    /// The newest entry's time.
    pub newest: Timestamp,
    /// Size of the kept checkpoint that this extends, if one was given.
    ///
    /// Without one nothing shows whether later entries exist.
    pub kept: Option<u64>,
    /// The database that it has left for, where it has.
    pub moved: Option<String>,
    /// Size of the anchored checkpoint that this extends. An export has none.
    pub anchored: Option<u64>,
}

/// The checkpoint of a note that was opened, of the log that `key` is named after.
pub fn checkpoint(opened: Result<&str, NoteFault>, key: &VerifierKey, which: &'static str) -> Result<Checkpoint, VerifyFault> {
    Ok(read(opened.and_then(Kept::parse), key, which)?.checkpoint)
}

/// The same of a note that was read, with its epoch.
pub fn read(opened: Result<Kept, NoteFault>, key: &VerifierKey, which: &'static str) -> Result<Kept, VerifyFault> {
    let kept = opened.map_err(|fault| VerifyFault::Note { which, fault })?;
    if kept.checkpoint.origin == key.name() {
        Ok(kept)
    } else {
        Err(OpenFault::Origin { found: kept.checkpoint.origin, configured: key.name().to_owned() }.into())
    }
}
