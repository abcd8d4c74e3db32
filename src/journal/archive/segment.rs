//! Segments: old entries in compressed files beside the database, which are never written again.
//!
//! A file is named by its range and hash.
//!
//! A file is a line that says what it is, the number of its bundles, the length of each, and the bundles: of 256 entries in the form of
//! C2SP tlog-tiles, each compressed by itself (zlib, RFC 1950), so that one entry can be read without the others. Numbers are of four
//! bytes, big-endian. The tree's tiles stay in the database, and those over the entries can be made again from them.
//!
//! All calls block. Deliberately not here: when entries go, and whether they may ([`super`]).

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::domain::log::archive::Segment;
use crate::domain::value::digest::Hasher;
use crate::journal::file;
use crate::journal::tree::tiles::{self, Tile, WIDTH};

/// Bundles of the largest segment: as many entries as a tile of level 1 is over.
pub const MOST: usize = 256;

/// The first line.
const FORM: &[u8] = b"carnet segment 1\n";

/// The longest bundle that a segment may hold, uncompressed: 256 of the longest entries.
const LONGEST_BUNDLE: u64 = WIDTH as u64 * (crate::journal::store::batch::LONGEST as u64 + 2);

/// Why a segment cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct SegmentFault {
    /// The file, or the directory.
    pub path: PathBuf,
    /// The fault.
    pub cause: io::Error,
}

/// The directory of the segments.
#[derive(Clone, Debug)]
pub struct Shelf {
    directory: PathBuf,
}

/// A segment that is being made, in memory: some 20 MB of entries as they are usually.
pub struct Bundles {
    first: u64,
    compressed: Vec<Vec<u8>>,
}

impl Shelf {
    /// The directory for the database at `path`: `journal.db.segments` beside `journal.db`.
    pub fn of(database: &Path) -> Self {
        let mut name = database.file_name().unwrap_or_default().to_owned();
        name.push(".segments");
        Self { directory: database.with_file_name(name) }
    }

    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a segment.
    pub fn path(&self, segment: &Segment) -> PathBuf {
        self.directory.join(format!("{}-{}.{}", segment.first, segment.until.saturating_sub(1), segment.digest))
    }

    /// Writes the file of a segment, durably: when this returns, a power cut takes nothing away.
    pub fn put(&self, bundles: &Bundles) -> Result<Segment, SegmentFault> {
        let mut hash = Hasher::default();
        bundles.pieces(|piece| hash.write_all(piece)).map_err(|cause| self.fault(cause))?;
        let segment = Segment { first: bundles.first, until: bundles.until(), digest: hash.digest() };
        let path = self.path(&segment);
        let written = self.make().and_then(|()| file::replace_by(&path, |file| bundles.pieces(|piece| file.write_all(piece))));
        written.map_err(|cause| SegmentFault { path, cause })?;
        self.check(&segment)?;
        Ok(segment)
    }

    /// Copies the file of a segment from another directory, durably, unless it is here.
    pub fn copy(&self, segment: &Segment, from: &Self) -> Result<(), SegmentFault> {
        if self.check(segment).is_ok() {
            return Ok(());
        }
        let path = self.path(segment);
        let written = self.make().and_then(|()| {
            let mut source = regular(&from.path(segment))?;
            file::replace_by(&path, |file| io::copy(&mut source, file).map(drop))
        });
        written.map_err(|cause| SegmentFault { path, cause })?;
        self.check(segment)
    }

    /// Makes the directory for its owner alone, if it is missing.
    fn make(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // Made before, it may not be synced yet.
            _ => fs::File::open(self.directory.parent().unwrap_or(Path::new(".")))?.sync_all(),
        }
    }

    fn fault(&self, cause: io::Error) -> SegmentFault {
        SegmentFault { path: self.directory.clone(), cause }
    }

    /// Whether the file is the one that was sealed.
    pub fn check(&self, segment: &Segment) -> Result<(), SegmentFault> {
        let path = self.path(segment);
        let hashed = regular(&path).and_then(|mut file| {
            let mut hash = Hasher::default();
            io::copy(&mut file, &mut hash).map(|_| hash.digest())
        });
        match hashed {
            Ok(digest) if digest == segment.digest => Ok(()),
            Ok(_) => Err(SegmentFault { path, cause: strange("it is not the file that was sealed") }),
            Err(cause) => Err(SegmentFault { path, cause }),
        }
    }

    /// The 256 entries of the bundle that holds `entry`. Their tile proves them.
    pub fn bundle(&self, segment: &Segment, entry: u64) -> Result<Vec<Vec<u8>>, SegmentFault> {
        let path = self.path(segment);
        read(&path, segment, entry).map_err(|cause| SegmentFault { path, cause })
    }
}

/// A file that is one: whoever opens something else may wait for ever.
fn regular(path: &Path) -> io::Result<fs::File> {
    if fs::metadata(path)?.is_file() { fs::File::open(path) } else { Err(strange("it is not a file")) }
}

fn read(path: &Path, segment: &Segment, entry: u64) -> io::Result<Vec<Vec<u8>>> {
    let outside = || strange("it does not hold the entry");
    let bundles = segment.until.saturating_sub(segment.first) / u64::from(WIDTH);
    let bundles = usize::try_from(bundles).ok().filter(|bundles| *bundles <= MOST).ok_or_else(outside)?;
    let wanted = entry.checked_sub(segment.first).ok_or_else(outside)? / u64::from(WIDTH);
    let wanted = usize::try_from(wanted).ok().filter(|wanted| *wanted < bundles).ok_or_else(outside)?;

    let mut file = regular(path)?;
    let mut head = vec![0; FORM.len() + 4 + 4 * bundles];
    file.read_exact(&mut head)?;
    let numbers = head.strip_prefix(FORM).ok_or_else(|| strange("it is no segment of this form"))?;
    let (numbers, _) = numbers.as_chunks::<4>();
    let mut lengths = numbers.iter().map(|number| u32::from_be_bytes(*number));
    if lengths.next().map(u64::from) != Some(bundles as u64) {
        return Err(strange("it does not have as many bundles as its name says"));
    }
    let before: u64 = lengths.by_ref().take(wanted).map(u64::from).sum();
    let length = lengths.next().ok_or_else(outside)?;
    file.seek(SeekFrom::Start(head.len() as u64 + before))?;
    let mut content = Vec::new();
    ZlibDecoder::new(file.take(length.into())).take(LONGEST_BUNDLE + 1).read_to_end(&mut content)?;
    let bundle = Tile::bundle(entry, segment.until).ok_or_else(outside)?;
    let entries = bundle.entries(&content).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
    Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
}

impl Bundles {
    /// None yet; `first` is the first entry of a tile.
    pub fn from(first: u64) -> Self {
        Self { first, compressed: Vec::new() }
    }

    /// The entry after the last.
    pub fn until(&self) -> u64 {
        self.first + self.compressed.len() as u64 * u64::from(WIDTH)
    }

    /// Takes the next 256 entries.
    pub fn push<'a>(&mut self, entries: impl ExactSizeIterator<Item = &'a [u8]>) -> io::Result<()> {
        if entries.len() != usize::from(WIDTH) || self.compressed.len() >= MOST {
            return Err(strange("a bundle is of 256 entries, and a segment of 256 bundles at the most"));
        }
        let content = tiles::encode_entries(entries).map_err(io::Error::other)?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&content)?;
        self.compressed.push(encoder.finish()?);
        Ok(())
    }

    /// The file, piece by piece.
    fn pieces(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        // Invariant: 256 bundles at the most, and none of 4 GiB.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        take(FORM)?;
        take(&number(self.compressed.len()))?;
        self.compressed.iter().try_for_each(|bundle| take(&number(bundle.len())))?;
        self.compressed.iter().try_for_each(|bundle| take(bundle))
    }
}

fn strange(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(directory: &tempfile::TempDir) -> Shelf {
        Shelf::of(&directory.path().join("journal.db"))
    }

    fn entry(number: u64) -> Vec<u8> {
        format!("entry {number}").into_bytes()
    }

    fn sealed(shelf: &Shelf, bundles: std::ops::Range<u64>) -> Segment {
        let mut all = Bundles::from(bundles.start * 256);
        for bundle in bundles {
            let entries: Vec<_> = (bundle * 256..(bundle + 1) * 256).map(entry).collect();
            all.push(entries.iter().map(Vec::as_slice)).expect("256 entries");
        }
        shelf.put(&all).expect("written")
    }

    #[test]
    fn a_segment_reads_back_bundle_by_bundle() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = shelf(&directory);
        let segment = sealed(&shelf, 3..6);
        assert_eq!((segment.first, segment.until), (768, 1536));
        for index in 768..1536 {
            let bundle = shelf.bundle(&segment, index).expect("reads");
            assert_eq!((bundle.len(), &bundle[usize::try_from(index % 256).expect("small")]), (256, &entry(index)));
        }
        for outside in [767, 1536, u64::MAX] {
            shelf.bundle(&segment, outside).expect_err("not in it");
        }
        shelf.check(&segment).expect("whole");
        // The same entries are the same file, however often they are sealed.
        assert_eq!(sealed(&shelf, 3..6), segment);
        assert_eq!(fs::read_dir(&shelf.directory).expect("reads").count(), 1);
        #[cfg(unix)]
        for path in [shelf.directory.clone(), shelf.path(&segment)] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o077, 0, "{path:?}");
        }
    }

    /// Reading any file ends with an answer and with no more memory than a bundle takes.
    #[test]
    fn a_file_that_was_touched_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = shelf(&directory);
        let segment = sealed(&shelf, 0..2);
        let whole = fs::read(shelf.path(&segment)).expect("reads");
        for at in 0..whole.len() {
            let mut touched = whole.clone();
            touched[at] ^= 0x41;
            fs::write(shelf.path(&segment), &touched).expect("writes");
            shelf.check(&segment).expect_err("another hash");
            let _any = shelf.bundle(&segment, 300);
            touched.truncate(at);
            fs::write(shelf.path(&segment), &touched).expect("writes");
            assert!(shelf.bundle(&segment, 300).is_err(), "cut at {at}");
        }
        // A file that says it is short and unpacks to very much is cut off where a bundle ends.
        let mut bomb = ZlibEncoder::new(Vec::new(), Compression::default());
        bomb.write_all(&vec![0; 64 << 20]).expect("compresses");
        let all = Bundles { first: 0, compressed: vec![bomb.finish().expect("compresses"); 2] };
        let mut content = Vec::new();
        all.pieces(|piece| content.write_all(piece)).expect("writes");
        fs::write(shelf.path(&segment), content).expect("writes");
        shelf.bundle(&segment, 0).expect_err("longer than a bundle");
        fs::remove_file(shelf.path(&segment)).expect("removed");
        assert_eq!(shelf.check(&segment).expect_err("gone").cause.kind(), io::ErrorKind::NotFound);
        fs::create_dir(shelf.path(&segment)).expect("made");
        shelf.check(&segment).expect_err("not a file");
        shelf.bundle(&segment, 0).expect_err("not a file");
        let few: Vec<_> = (0..255).map(entry).collect();
        Bundles::from(0).push(few.iter().map(Vec::as_slice)).expect_err("no full bundle");
    }
}
