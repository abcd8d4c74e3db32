//! The place of the journal: the one file that knows a location and its engine.

use std::path::{Path, PathBuf};

use super::archive::segment::Shelf;
use super::fault::OpenFault;
use super::file;
use super::key::data_key::DataKeys;
use super::postgres::{self, PostgresAddress, PostgresNodes};
use super::scratch::Scratch;
use super::settings::{Location, Settings};
use super::sqlite;
use super::store::keys::StoreKeys;
use super::store::nodes::Nodes;
use super::store::reader::Reader;
use super::store::restore::Restore;
use super::store::write::Write;
use crate::domain::value::clock::Entropy;

/// Both sides of a store, and what lies beside it.
pub struct Opened {
    pub writer: Box<dyn Write>,
    pub reader: Reader,
    pub shelf: Shelf,
    /// The nodes that share the journal; none where it is in a file.
    pub nodes: Option<Box<dyn Nodes>>,
    /// The directory of a temporary journal.
    pub scratch: Option<Scratch>,
}

/// Opens the store for writing. Makes one if there is none and `may_create`.
pub async fn open(settings: &Settings, may_create: bool, keys: &StoreKeys) -> Result<Opened, OpenFault> {
    let (path, scratch) = match &settings.location {
        Location::Postgres { address, segments } => {
            let opened = postgres::open(address, may_create, keys).await?;
            let (writer, reader) = opened.ok_or_else(|| missing(address))?;
            let shelf = Shelf::at(segments);
            return Ok(Opened {
                writer: Box::new(writer),
                reader: Reader::of(reader),
                shelf,
                nodes: nodes(settings),
                scratch: None,
            });
        }
        Location::File(path) => (path.clone(), None),
        Location::Temporary => temporary(&*keys.entropy)?,
    };
    let exists = exists(&path)?;
    if !exists {
        if !may_create {
            return Err(OpenFault::Missing(path));
        }
        file::private(&path).map_err(|cause| OpenFault::File { path: path.clone(), cause })?;
    }
    let (writer, reader) = sqlite::open(&path, scratch.is_none(), exists, &keys.sums).await?;
    Ok(Opened { writer: Box::new(writer), reader: Reader::of(reader), shelf: Shelf::of(&path), nodes: None, scratch })
}

/// The nodes that share the journal; none where it is in a file.
pub fn nodes(settings: &Settings) -> Option<Box<dyn Nodes>> {
    match &settings.location {
        Location::Postgres { address, .. } => Some(Box::new(PostgresNodes::at(PostgresAddress::clone(address)))),
        Location::File(_) | Location::Temporary => None,
    }
}

/// Opens the read side of a store that is there.
pub async fn read(settings: &Settings, keys: &DataKeys) -> Result<(Reader, Shelf), OpenFault> {
    match &settings.location {
        Location::Postgres { address, segments } => {
            let reader = postgres::read(address, keys).await?.ok_or_else(|| missing(address))?;
            Ok((Reader::of(reader), Shelf::at(segments)))
        }
        Location::File(path) if exists(path)? => {
            Ok((Reader::of(sqlite::reader::SqliteReader::connect(path).await?), Shelf::of(path)))
        }
        Location::File(path) => Err(OpenFault::Missing(path.clone())),
        Location::Temporary => Err(OpenFault::Missing(std::env::temp_dir())),
    }
}

/// A store for rows of another one. Its tables are made if there are none, and its log may be empty or not.
pub async fn restore(settings: &Settings, keys: &StoreKeys) -> Result<Box<dyn Restore>, OpenFault> {
    match &settings.location {
        Location::Postgres { address, .. } => {
            postgres::open(address, true, keys).await?;
            Ok(Box::new(postgres::PostgresRestore::connect(address, keys.clone()).await?))
        }
        Location::File(path) => {
            let exists = exists(path)?;
            if !exists {
                file::private(path).map_err(|cause| OpenFault::File { path: path.clone(), cause })?;
            }
            sqlite::open(path, true, exists, &keys.sums).await?;
            Ok(Box::new(sqlite::restore::SqliteRestore::connect(path, keys.sums.clone()).await?))
        }
        Location::Temporary => Err(OpenFault::Missing(std::env::temp_dir())),
    }
}

fn missing(address: &PostgresAddress) -> OpenFault {
    OpenFault::Missing(address.to_string().into())
}

/// Whether a start brings tables of this version up.
pub fn is_brought_up(version: &str) -> bool {
    version == postgres::schema::EARLIER || sqlite::schema::UPGRADES.iter().any(|(before, _)| before.to_string() == version)
}

fn exists(path: &Path) -> Result<bool, OpenFault> {
    path.try_exists().map_err(|cause| OpenFault::File { path: path.to_owned(), cause })
}

/// The path of a database that goes with the journal, in a directory for its owner alone.
fn temporary(entropy: &(dyn Entropy + 'static)) -> Result<(PathBuf, Option<Scratch>), OpenFault> {
    let directory = std::env::temp_dir().join(format!("carnet-{}", entropy.identifier()));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory).map_err(|cause| OpenFault::File { path: directory.clone(), cause })?;
    Ok((directory.join("journal.db"), Some(Scratch(directory))))
}
