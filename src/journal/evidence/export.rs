//! Writing an export: a directory that is made beside its place and put there by one rename.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::super::tree::{FullTile, Tree};
use super::fault::VerifyFault;
use crate::journal::tree::tiles::{self, Kind, Tile, WIDTH};

/// Checkpoint and entries in an export.
pub const CHECKPOINT: &str = "checkpoint";
pub const ENTRIES: &str = "entries.ndjson";

/// An export that is being made; gone when it is dropped before [`Writer::place`].
pub struct Writer {
    staging: PathBuf,
    lines: BufWriter<fs::File>,
    /// Entries of the bundle that is not full.
    bundle: Vec<Vec<u8>>,
    size: u64,
}

impl Writer {
    /// Begins beside `dir`, which must not be there or be empty.
    pub fn beside(dir: &Path) -> Result<Self, VerifyFault> {
        let fault = |kind: io::ErrorKind| VerifyFault::file(dir)(kind.into());
        match fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => return Err(fault(io::ErrorKind::AlreadyExists)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(VerifyFault::file(dir)(error)),
        }
        let name = dir.file_name().ok_or_else(|| fault(io::ErrorKind::InvalidFilename))?;
        let staging = dir.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        fs::create_dir(&staging).map_err(VerifyFault::file(&staging))?;
        let lines = staging.join(ENTRIES);
        let file = fs::File::create_new(&lines).map_err(VerifyFault::file(&lines))?;
        Ok(Self { staging, lines: BufWriter::new(file), bundle: Vec::new(), size: 0 })
    }

    /// The next entry.
    pub fn entry(&mut self, body: &[u8]) -> Result<(), VerifyFault> {
        // JSON as we write it has no line feed: it would be escaped.
        let written = self.lines.write_all(body).and_then(|()| self.lines.write_all(b"\n"));
        written.map_err(VerifyFault::file(&self.staging.join(ENTRIES)))?;
        self.bundle.push(body.to_vec());
        self.size += 1;
        if self.bundle.len() < usize::from(WIDTH) {
            return Ok(());
        }
        self.bundled()
    }

    /// A tile that became full.
    pub fn tile(&mut self, tile: &FullTile) -> Result<(), VerifyFault> {
        self.file(&Tile::full(tile.level, tile.index).to_string(), &tile.content)
    }

    /// The tiles at the edge, which are not full.
    pub fn edge(&mut self, tree: &Tree) -> Result<(), VerifyFault> {
        if !self.bundle.is_empty() {
            self.bundled()?;
        }
        for tile in Tile::all(tree.size()).filter(|tile| tile.width() < WIDTH && tile.kind() != Kind::Entries) {
            let content = tree.partial(tile).ok_or_else(|| VerifyFault::entry(tile.covers(), format!("{tile} is missing")))?;
            self.file(&tile.to_string(), &content)?;
        }
        Ok(())
    }

    /// Puts the export in its place, with its checkpoint.
    ///
    /// A power cut soon after may leave holes; `verify_export` finds them.
    pub fn place(mut self, note: &str, dir: &Path) -> Result<(), VerifyFault> {
        self.lines.flush().map_err(VerifyFault::file(&self.staging.join(ENTRIES)))?;
        self.file(CHECKPOINT, note.as_bytes())?;
        fs::rename(&self.staging, dir).map_err(VerifyFault::file(dir))
    }

    fn bundled(&mut self) -> Result<(), VerifyFault> {
        let first = self.size - self.bundle.len() as u64;
        let content = tiles::encode_entries(self.bundle.iter().map(Vec::as_slice));
        let content = content.map_err(|fault| VerifyFault::entry(first, fault.to_string()))?;
        self.bundle.clear();
        let tile = Tile::bundle(first, self.size).ok_or_else(|| VerifyFault::entry(first, "there is no such bundle"))?;
        self.file(&tile.to_string(), &content)
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<(), VerifyFault> {
        let path = self.staging.join(name);
        let folder = path.parent().unwrap_or(&self.staging);
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(VerifyFault::file(&path))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Not there any more once it was put in its place.
        let _gone = fs::remove_dir_all(&self.staging);
    }
}
