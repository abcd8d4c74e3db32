//! The anchor: the newest signed checkpoint in a file outside of the database.
//!
//! A head that does not extend it was restored, cut or forked, and the node does not start (DESIGN.md section 3). Written whole
//! or not at all: a new file, synced, put in the place of the old one, and the directory synced.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::fault::OpenFault;
use super::note::Checkpoint;
use super::signers::Signers;

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
        let next = self.path.with_extension("next");
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = super::kek::private(&next)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&next, &self.path)?;
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// The checkpoint in the file, as `signers` let it count; nothing when there is no file.
    pub fn read(&self, signers: &Signers) -> Result<Option<Checkpoint>, OpenFault> {
        self.text()?.map(|note| self.counts(&note, signers)).transpose()
    }

    /// The text of the file, not believed yet; nothing when there is no file.
    pub fn text(&self) -> Result<Option<String>, OpenFault> {
        match fs::read_to_string(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(error.to_string())),
        }
    }

    /// The checkpoint of a text of the file, as `signers` let it count.
    pub fn counts(&self, note: &str, signers: &Signers) -> Result<Checkpoint, OpenFault> {
        signers.anchored(note).map_err(|fault| self.fault(fault.to_string()))
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
