//! Segments: old entries in compressed files beside the database or in a bucket, which are never written again.
//!
//! A file is named by its range and hash. An object of a bucket is put only where there is none of its name, and read as a whole: its digest
//! says whether it is the one that was sealed.
//!
//! A file is a line that says what it is, the number of its bundles, the length of each, and the bundles: of 256 entries in the form of
//! C2SP tlog-tiles, each compressed by itself (zlib, RFC 1950), so that one entry can be read without the others. Numbers are of four
//! bytes, big-endian. The tree's tiles stay in the database, and those over the entries can be made again from them.
//!
//! All calls block, and [`blocking`] waits for one. Deliberately not here: when entries go, and whether they may ([`super`]).

use std::io::{self, Read as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::domain::log::archive::Segment;
use crate::domain::value::digest::{Digest, Hasher};
use crate::journal::fault::Unavailable;
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

/// A store of objects that all nodes see, such as a bucket. Its calls block.
pub trait Objects: fmt::Debug + Send + Sync {
    /// Where it is, as people name it.
    fn name(&self) -> String;
    /// The content of an object.
    ///
    /// # Errors
    /// It is not there, or nothing complete arrived.
    fn get(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Puts an object, durably, unless there is one of this name: then [`io::ErrorKind::AlreadyExists`].
    ///
    /// # Errors
    /// It is not known to be there.
    fn put_new(&self, name: &str, content: Vec<u8>) -> io::Result<()>;
}

/// Where segments are kept.
#[derive(Clone, Debug)]
pub enum ArchivePlace {
    /// The folder of this name with `.segments` behind it.
    Folder(PathBuf),
    /// A store of objects.
    Objects(Arc<dyn Objects>),
}

/// The place of the segments.
#[derive(Clone, Debug)]
pub struct Shelf(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Directory(PathBuf),
    Objects(Arc<dyn Objects>, Arc<Last>),
}

/// The segment that was read last from objects, with its content: neighbours are asked for one after the other.
type Last = Mutex<Option<(Segment, Arc<[u8]>)>>;

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
        Self(Kept::Directory(database.with_file_name(name)))
    }

    /// At a place that all nodes see.
    pub fn at(place: &ArchivePlace) -> Self {
        match place {
            ArchivePlace::Folder(path) => Self::of(path),
            ArchivePlace::Objects(objects) => Self(Kept::Objects(Arc::clone(objects), Arc::default())),
        }
    }

    /// Its name, for faults.
    fn name(&self) -> PathBuf {
        match &self.0 {
            Kept::Directory(directory) => directory.clone(),
            Kept::Objects(objects, _) => objects.name().into(),
        }
    }

    /// The path of a segment, or the name of its object.
    pub fn path(&self, segment: &Segment) -> PathBuf {
        self.name().join(name_of(segment))
    }

    /// Writes the file of a segment, durably: when this returns, a power cut takes nothing away.
    pub fn put(&self, bundles: &Bundles) -> Result<Segment, SegmentFault> {
        let mut hash = Hasher::default();
        bundles.pieces(|piece| hash.write_all(piece)).map_err(|cause| self.fault(cause))?;
        let segment = Segment { first: bundles.first, until: bundles.until(), digest: hash.digest() };
        let written = match &self.0 {
            Kept::Directory(directory) => make(directory)
                .and_then(|()| file::replace_by(&self.path(&segment), |file| bundles.pieces(|piece| file.write_all(piece)))),
            Kept::Objects(objects, _) => {
                let mut content = Vec::new();
                let whole = bundles.pieces(|piece| content.write_all(piece));
                whole.and_then(|()| put_new(&**objects, &segment, content))
            }
        };
        written.map_err(|cause| self.fault_of(&segment, cause))?;
        self.check(&segment)?;
        Ok(segment)
    }

    /// Copies the file of a segment from another place, durably, unless it is here.
    pub fn copy(&self, segment: &Segment, from: &Self) -> Result<(), SegmentFault> {
        if self.check(segment).is_ok() {
            return Ok(());
        }
        let content = from.whole(segment)?;
        let written = match &self.0 {
            Kept::Directory(directory) => make(directory).and_then(|()| file::replace(&self.path(segment), &content)),
            Kept::Objects(objects, _) => put_new(&**objects, segment, content),
        };
        written.map_err(|cause| self.fault_of(segment, cause))?;
        self.check(segment)
    }

    /// The fault of a segment that is being made.
    pub fn fault(&self, cause: io::Error) -> SegmentFault {
        SegmentFault { path: self.name(), cause }
    }

    fn fault_of(&self, segment: &Segment, cause: io::Error) -> SegmentFault {
        SegmentFault { path: self.path(segment), cause }
    }

    /// Whether the file is the one that was sealed. It is read anew.
    pub fn check(&self, segment: &Segment) -> Result<(), SegmentFault> {
        let hashed = match &self.0 {
            Kept::Directory(_) => regular(&self.path(segment)).and_then(|mut file| {
                let mut hash = Hasher::default();
                io::copy(&mut file, &mut hash).map(|_| hash.digest())
            }),
            Kept::Objects(..) => return self.whole(segment).map(drop),
        };
        ensure_sealed(hashed, segment).map_err(|cause| self.fault_of(segment, cause))
    }

    /// The whole content of a file, as it was sealed.
    fn whole(&self, segment: &Segment) -> Result<Vec<u8>, SegmentFault> {
        let read = match &self.0 {
            Kept::Directory(_) => regular(&self.path(segment)).and_then(|mut file| {
                let mut content = Vec::new();
                file.read_to_end(&mut content).map(|_| content)
            }),
            Kept::Objects(objects, _) => objects.get(&name_of(segment)),
        };
        let checked = read.and_then(|content| ensure_sealed(Ok(Digest::of(&content)), segment).map(|()| content));
        checked.map_err(|cause| self.fault_of(segment, cause))
    }

    /// The 256 entries of the bundle that holds `entry`. Their tile proves them.
    pub fn bundle(&self, segment: &Segment, entry: u64) -> Result<Vec<Vec<u8>>, SegmentFault> {
        let bundle = match &self.0 {
            Kept::Directory(_) => regular(&self.path(segment)).and_then(|file| read(file, segment, entry)),
            Kept::Objects(_, last) => {
                // A value is all that the lock guards, so a poisoned one is still good.
                let known = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let content = match known.filter(|(known, _)| known == segment) {
                    Some((_, content)) => content,
                    None => {
                        let content: Arc<[u8]> = self.whole(segment)?.into();
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((segment.clone(), Arc::clone(&content)));
                        content
                    }
                };
                read(io::Cursor::new(content), segment, entry)
            }
        };
        bundle.map_err(|cause| self.fault_of(segment, cause))
    }
}

/// The name of a segment's file or object.
fn name_of(segment: &Segment) -> String {
    format!("{}-{}.{}", segment.first, segment.until.saturating_sub(1), segment.digest)
}

/// Puts an object. One of this name is as good, which whoever put it checks.
fn put_new(objects: &dyn Objects, segment: &Segment, content: Vec<u8>) -> io::Result<()> {
    match objects.put_new(&name_of(segment), content) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes the directory for its owner alone, if it is missing.
fn make(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // Made before, it may not be synced yet.
        _ => fs::File::open(directory.parent().unwrap_or(Path::new(".")))?.sync_all(),
    }
}

fn ensure_sealed(hashed: io::Result<Digest>, segment: &Segment) -> io::Result<()> {
    if hashed? == segment.digest { Ok(()) } else { Err(strange("it is not the file that was sealed")) }
}

/// A file that is one: whoever opens something else may wait for ever.
fn regular(path: &Path) -> io::Result<fs::File> {
    if fs::metadata(path)?.is_file() { fs::File::open(path) } else { Err(strange("it is not a file")) }
}

fn read(mut file: impl io::Read + io::Seek, segment: &Segment, entry: u64) -> io::Result<Vec<Vec<u8>>> {
    let outside = || strange("it does not hold the entry");
    let bundles = segment.until.saturating_sub(segment.first) / u64::from(WIDTH);
    let bundles = usize::try_from(bundles).ok().filter(|bundles| *bundles <= MOST).ok_or_else(outside)?;
    let wanted = entry.checked_sub(segment.first).ok_or_else(outside)? / u64::from(WIDTH);
    let wanted = usize::try_from(wanted).ok().filter(|wanted| *wanted < bundles).ok_or_else(outside)?;

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

/// Reads and writes files on a thread for blocking work.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unavailable> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Unavailable::BUSY)
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
        try_sealed(shelf, bundles).expect("written")
    }

    fn try_sealed(shelf: &Shelf, bundles: std::ops::Range<u64>) -> Result<Segment, SegmentFault> {
        let mut all = Bundles::from(bundles.start * 256);
        for bundle in bundles {
            let entries: Vec<_> = (bundle * 256..(bundle + 1) * 256).map(entry).collect();
            all.push(entries.iter().map(Vec::as_slice)).expect("256 entries");
        }
        shelf.put(&all)
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
        assert_eq!(fs::read_dir(shelf.name()).expect("reads").count(), 1);
        #[cfg(unix)]
        for path in [shelf.name(), shelf.path(&segment)] {
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

    /// A store in memory, which may be away.
    #[derive(Debug, Default)]
    struct Fake(Mutex<(std::collections::BTreeMap<String, Vec<u8>>, bool)>);

    impl Objects for Fake {
        fn name(&self) -> String {
            "s3://bucket".to_owned()
        }

        fn get(&self, name: &str) -> io::Result<Vec<u8>> {
            let (objects, is_away) = &*self.0.lock().expect("a lock");
            let found = objects.get(name).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
            if *is_away { Err(io::ErrorKind::ConnectionRefused.into()) } else { found }
        }

        fn put_new(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
            let (objects, is_away) = &mut *self.0.lock().expect("a lock");
            match objects.entry(name.to_owned()) {
                _ if *is_away => Err(io::ErrorKind::ConnectionRefused.into()),
                std::collections::btree_map::Entry::Occupied(_) => Err(io::ErrorKind::AlreadyExists.into()),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(content);
                    Ok(())
                }
            }
        }
    }

    /// What is in a bucket is never written over, and nothing is taken from there but what was sealed.
    #[test]
    fn a_bucket_gives_what_was_sealed_or_nothing() {
        let objects = Arc::new(Fake::default());
        let shelf = Shelf::at(&ArchivePlace::Objects(Arc::clone(&objects) as Arc<dyn Objects>));
        let segment = sealed(&shelf, 3..6);
        assert_eq!(sealed(&shelf, 3..6), segment, "the same again is as good");
        for index in [768, 1535] {
            assert_eq!(
                shelf.bundle(&segment, index).expect("reads")[usize::try_from(index % 256).expect("small")],
                entry(index)
            );
        }
        let name = objects.0.lock().expect("a lock").0.keys().next().expect("one").clone();
        assert_eq!(shelf.path(&segment), Path::new(&format!("s3://bucket/{name}")));
        let folder = tempfile::tempdir().expect("a directory");
        let beside = self::shelf(&folder);
        beside.copy(&segment, &shelf).expect("copied");
        beside.check(&segment).expect("whole");

        let whole = objects.0.lock().expect("a lock").0[&name].clone();
        let mut changed = whole.clone();
        *changed.last_mut().expect("not empty") ^= 1;
        for content in [changed, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            objects.0.lock().expect("a lock").0.insert(name.clone(), content.clone());
            let anew = Shelf::at(&ArchivePlace::Objects(Arc::clone(&objects) as Arc<dyn Objects>));
            anew.check(&segment).expect_err("another content");
            anew.bundle(&segment, 768).expect_err("another content");
            shelf.check(&segment).expect_err("it is read anew");
            try_sealed(&anew, 3..6).expect_err("it is not written over");
            assert_eq!(objects.0.lock().expect("a lock").0[&name], content);
        }
        objects.0.lock().expect("a lock").0.clear();
        let anew = Shelf::at(&ArchivePlace::Objects(Arc::clone(&objects) as Arc<dyn Objects>));
        assert_eq!(anew.check(&segment).expect_err("gone").cause.kind(), io::ErrorKind::NotFound);
        objects.0.lock().expect("a lock").1 = true;
        for fault in [anew.check(&segment).err(), anew.bundle(&segment, 768).err(), try_sealed(&anew, 3..6).err()] {
            assert_eq!(fault.expect("away").cause.kind(), io::ErrorKind::ConnectionRefused);
        }
        objects.0.lock().expect("a lock").1 = false;
        anew.copy(&segment, &beside).expect("copied back");
        anew.check(&segment).expect("whole");
    }
}
