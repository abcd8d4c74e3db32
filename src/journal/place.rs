//! The place of the journal: the one file that knows a location and its engine.

use std::path::{Path, PathBuf};

use super::archive::segment::Shelf;
use super::fault::OpenFault;
use super::file;
use super::scratch::Scratch;
use super::settings::{Location, Settings};
use super::sqlite;
use super::store::reader::Reader;
use super::store::sums::SumKey;
use super::store::write::Write;
use crate::domain::value::clock::Entropy;

/// Both sides of a store, and what lies beside it.
pub struct Opened {
    pub writer: Box<dyn Write>,
    pub reader: Reader,
    pub shelf: Shelf,
    /// The directory of a temporary journal.
    pub scratch: Option<Scratch>,
}

/// Opens the store for writing. Makes one if there is none and `may_create`.
pub async fn open(
    settings: &Settings,
    may_create: bool,
    key: &SumKey,
    entropy: &(dyn Entropy + 'static),
) -> Result<Opened, OpenFault> {
    let (path, scratch) = place(settings, entropy)?;
    let exists = exists(&path)?;
    if !exists {
        if !may_create {
            return Err(OpenFault::Missing(path));
        }
        file::private(&path).map_err(|cause| OpenFault::File { path: path.clone(), cause })?;
    }
    let (writer, reader) = sqlite::open(&path, scratch.is_none(), exists, key).await?;
    Ok(Opened { writer: Box::new(writer), reader: Reader::of(reader), shelf: Shelf::of(&path), scratch })
}

/// Opens the read side of a store that is there.
pub async fn read(settings: &Settings) -> Result<(Reader, Shelf), OpenFault> {
    let Location::File(path) = &settings.location else { return Err(OpenFault::Missing(std::env::temp_dir())) };
    if !exists(path)? {
        return Err(OpenFault::Missing(path.clone()));
    }
    Ok((Reader::of(sqlite::reader::SqliteReader::connect(path).await?), Shelf::of(path)))
}

/// Whether a start brings tables of this version up.
pub fn is_brought_up(version: &str) -> bool {
    sqlite::schema::UPGRADES.iter().any(|(before, _)| before.to_string() == version)
}

fn exists(path: &Path) -> Result<bool, OpenFault> {
    path.try_exists().map_err(|cause| OpenFault::File { path: path.to_owned(), cause })
}

/// The path of the database. A temporary one gets a directory for its owner alone.
fn place(settings: &Settings, entropy: &(dyn Entropy + 'static)) -> Result<(PathBuf, Option<Scratch>), OpenFault> {
    let Location::File(path) = &settings.location else {
        let directory = std::env::temp_dir().join(format!("carnet-{}", entropy.identifier()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&directory).map_err(|cause| OpenFault::File { path: directory.clone(), cause })?;
        return Ok((directory.join("journal.db"), Some(Scratch(directory))));
    };
    Ok((path.clone(), None))
}
