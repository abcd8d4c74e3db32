//! The anchor: the newest signed checkpoint in a file outside of the database.
//!
//! A head that does not extend it was restored, cut or forked, and the node does not start (docs/explanation/journal.md). Written whole
//! or not at all ([`file::replace`]).
//!
//! Beside it, with the ending `.lost`, stands a checkpoint that was kept elsewhere and proves that this log lost entries. Such a journal
//! starts stopped: what the live index holds never keeps a process from starting (S-11), and what it once proved is not forgotten with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::signers::Signers;
use crate::journal::fault::OpenFault;
use crate::journal::file;
use crate::journal::tail::TailFile;
use crate::journal::tree::note::{Checkpoint, Kept};

/// The file.
#[derive(Clone, Debug)]
pub struct Anchor {
    path: PathBuf,
}

impl Anchor {
    /// At `path`, whether or not there is a file yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Replaces the note. Blocks.
    pub fn write(&self, note: &str) -> io::Result<()> {
        file::replace(&self.path, note.as_bytes())
    }

    /// Keeps the note that proves a loss. Blocks.
    pub fn write_lost(&self, note: &str) -> io::Result<()> {
        file::replace(&self.lost(), note.as_bytes())
    }

    /// Forgets the note that proved a loss: the log has all entries again, or was reopened. Blocks.
    pub fn forget_lost(&self) -> io::Result<()> {
        file::remove(&self.lost())
    }

    /// The tail beside it.
    pub fn tail(&self) -> TailFile {
        TailFile::beside(&self.path)
    }

    fn lost(&self) -> PathBuf {
        self.path.with_extension("lost")
    }

    /// The checkpoint in the file, as `signers` let it count; nothing when there is no file.
    pub fn read(&self, signers: &Signers) -> Result<Option<Checkpoint>, OpenFault> {
        Ok(self.text()?.map(|note| self.counts(&note, signers)).transpose()?.map(|kept| kept.checkpoint))
    }

    /// The text of the file, not believed yet; nothing when there is no file.
    pub fn text(&self) -> Result<Option<String>, OpenFault> {
        self.read_text(&self.path)
    }

    /// The note that may prove a loss, not believed yet; nothing when there is no such file.
    pub fn lost_text(&self) -> Result<Option<String>, OpenFault> {
        self.read_text(&self.lost())
    }

    fn read_text(&self, path: &Path) -> Result<Option<String>, OpenFault> {
        match fs::read_to_string(path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenFault::Anchor { path: path.to_owned(), what: error.to_string() }),
        }
    }

    /// The checkpoint of a text of the file with its epoch, as `signers` let it count.
    pub fn counts(&self, note: &str, signers: &Signers) -> Result<Kept, OpenFault> {
        signers.keys().open(note).map_err(|fault| self.fault(fault.to_string()))
    }

    /// Whether there is a file.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Something about the anchor that keeps the journal from starting.
    pub fn fault(&self, what: impl Into<String>) -> OpenFault {
        OpenFault::Anchor { path: self.path.clone(), what: what.into() }
    }
}
