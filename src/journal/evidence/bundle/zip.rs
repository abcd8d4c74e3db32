//! The archive of a bundle: a ZIP file of which there is one for the same files and time.
//!
//! [`write()`] stores the files in the order of their names, with one time for all, and nothing else: no compression, no extra fields, no
//! comments. [`read`] goes through the headers that stand before the files, and then demands that [`write()`] makes exactly these bytes of what
//! it found. So the list at the end, which other programs go by, says the same as the headers, and no reader sees other files than we do.

use std::collections::{BTreeMap, BTreeSet};

use flate2::Crc;

use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::visible;

/// The longest archive: 64 MiB.
pub const MOST_BYTES: usize = 64 << 20;

/// Files of the largest archive.
pub const MOST_FILES: usize = 10_000;

/// Characters of the longest name.
const LONGEST_NAME: usize = 200;

/// The beginnings of a file, of its row in the central directory, and of the end (APPNOTE.TXT sections 4.3.7, 4.3.12 and 4.3.16).
const FILE: &[u8; 4] = b"PK\x03\x04";
const ROW: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";

/// Version 1.0 of the format, which knows stored files.
const VERSION: u16 = 10;

/// Lengths of the three without names.
const FILE_LENGTH: usize = 30;
const ROW_LENGTH: usize = 46;
const END_LENGTH: usize = 22;

/// Contents by their names.
pub type Files<'a> = BTreeMap<&'a str, &'a [u8]>;

/// The time of all files of an archive, in two seconds, UTC: time in the lower half, date in the upper (MS-DOS).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp(u32);

/// An archive as it was read.
#[derive(Debug)]
pub struct Archive<'a> {
    /// Its files.
    pub files: Files<'a>,
    /// Their time.
    pub stamp: Stamp,
}

/// Why a file is not an archive of our form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ZipFault {
    /// More bytes than it may have.
    #[error("the archive is longer than 64 MiB")]
    TooLong,
    /// More files than it may have.
    #[error("the archive has more than {MOST_FILES} files")]
    TooMany,
    /// Something else stands at the beginning.
    #[error("this is not a bundle: expected a ZIP archive, and a file at its very beginning")]
    Other,
    /// A file is not stored as we store files.
    #[error("{name}: {what}")]
    File {
        /// Its name, as it may be shown.
        name: String,
        /// The fault.
        what: &'static str,
    },
    /// The list at the end is not that of the files.
    #[error("the central directory, at the end of the archive, is not that of the files before it")]
    Directory,
    /// Bytes follow the end.
    #[error("{0} bytes stand behind the end of the archive")]
    Trailing(usize),
}

impl ZipFault {
    pub(super) fn file(name: &str, what: &'static str) -> Self {
        let name = if name.is_empty() { "a file".to_owned() } else { visible(name, |_| false) };
        Self::File { name, what }
    }
}

impl Stamp {
    /// The even second of `time` or the one before, within the years 1980 to 2107 that the format can say.
    pub fn of(time: Timestamp) -> Self {
        let [year, month, day, hour, minute, second] = time.civil();
        match year {
            ..1980 => Self(0x0021_0000),
            1980..=2107 => {
                let date = (year - 1980) << 9 | month << 5 | day;
                Self(date << 16 | hour << 11 | minute << 5 | (second / 2))
            }
            // The last two seconds of 2107.
            2108.. => Self(0xff9f_bf7d),
        }
    }
}

/// Makes the archive.
///
/// # Errors
/// There are too many bytes or files, or a name is not of our few characters, leads elsewhere, or meets another one.
pub fn write(files: &Files<'_>, stamp: Stamp) -> Result<Vec<u8>, ZipFault> {
    if files.len() > MOST_FILES {
        return Err(ZipFault::TooMany);
    }
    ensure_names(files)?;
    let all = files.iter().map(|(name, content)| FILE_LENGTH + ROW_LENGTH + 2 * name.len() + content.len());
    let length = all.sum::<usize>() + END_LENGTH;
    if length > MOST_BYTES {
        return Err(ZipFault::TooLong);
    }
    let mut archive = Vec::with_capacity(length);
    let mut rows = Vec::new();
    for (name, content) in files {
        let begins = small(archive.len());
        let facts = facts(name, content, stamp);
        archive.extend_from_slice(FILE);
        archive.extend_from_slice(&facts);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(content);
        rows.extend_from_slice(ROW);
        rows.extend_from_slice(&VERSION.to_le_bytes());
        rows.extend_from_slice(&facts);
        // No comment, the first disk, and no attributes.
        rows.extend_from_slice(&[0; 10]);
        rows.extend_from_slice(&begins.to_le_bytes());
        rows.extend_from_slice(name.as_bytes());
    }
    let (begins, count) = (small(archive.len()), small(files.len()).to_le_bytes());
    archive.extend_from_slice(&rows);
    archive.extend_from_slice(END);
    archive.extend_from_slice(&[0; 4]);
    archive.extend_from_slice(&[count[0], count[1], count[0], count[1]]);
    archive.extend_from_slice(&small(rows.len()).to_le_bytes());
    archive.extend_from_slice(&begins.to_le_bytes());
    archive.extend_from_slice(&[0; 2]);
    Ok(archive)
}

/// Reads an archive that [`write()`] made. No other bytes are one.
///
/// # Errors
/// The first thing that is not as [`write()`] makes it.
pub fn read(bytes: &[u8]) -> Result<Archive<'_>, ZipFault> {
    if bytes.len() > MOST_BYTES {
        return Err(ZipFault::TooLong);
    }
    let mut archive = Archive { files: Files::new(), stamp: Stamp(0) };
    let mut rest = bytes;
    while rest.starts_with(FILE) {
        if archive.files.len() == MOST_FILES {
            return Err(ZipFault::TooMany);
        }
        let Stored { name, content, stamp, after } = stored(rest)?;
        let last = archive.files.last_key_value().map(|(name, _)| *name);
        if archive.files.contains_key(name) {
            return Err(ZipFault::file(name, "it is there twice"));
        }
        match last {
            None => archive.stamp = stamp,
            Some(last) if last > name => return Err(ZipFault::file(name, "it does not stand in the order of names")),
            Some(_) if stamp != archive.stamp => return Err(ZipFault::file(name, "it has another time than the first file")),
            Some(_) => {}
        }
        archive.files.insert(name, content);
        rest = after;
    }
    if archive.files.is_empty() {
        return Err(ZipFault::Other);
    }
    let wanted = write(&archive.files, archive.stamp)?;
    match bytes.strip_prefix(wanted.as_slice()) {
        Some([]) => Ok(archive),
        Some(trailing) => Err(ZipFault::Trailing(trailing.len())),
        // Each header was as we write it, so the difference lies behind the files.
        None => Err(ZipFault::Directory),
    }
}

/// A file with the header before it.
struct Stored<'a> {
    name: &'a str,
    content: &'a [u8],
    stamp: Stamp,
    after: &'a [u8],
}

/// The file at the beginning of `bytes`.
fn stored(bytes: &[u8]) -> Result<Stored<'_>, ZipFault> {
    let cut = || ZipFault::file("the archive", "it is cut off within a file");
    let (header, rest) = bytes.split_first_chunk::<FILE_LENGTH>().ok_or_else(cut)?;
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let whole = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (name, rest) = rest.split_at_checked(usize::from(half(26))).ok_or_else(cut)?;
    let name = std::str::from_utf8(name).map_err(|_| ZipFault::file("a file", "its name is not text"))?;
    let fault = |what| Err(ZipFault::file(name, what));
    if half(8) != 0 {
        return fault("it is compressed, and a bundle stores its files as they are");
    }
    if half(6) & 1 != 0 {
        return fault("it is encrypted");
    }
    if half(6) & 8 != 0 {
        return fault("its length stands behind it (a data descriptor)");
    }
    if half(4) != VERSION || half(6) != 0 {
        return fault("its header has a version or flags that a bundle does not use");
    }
    if half(28) != 0 {
        return fault("its header has extra fields");
    }
    if whole(18) != whole(22) {
        return fault("its header says two lengths");
    }
    let length = usize::try_from(whole(18)).unwrap_or(usize::MAX);
    let Some((content, after)) = rest.split_at_checked(length) else {
        return fault("it is cut off, or its header says a wrong length");
    };
    if checksum(content) != whole(14) {
        return fault("it is not the file that was put in: its checksum (CRC-32) is another one");
    }
    Ok(Stored { name, content, stamp: Stamp(whole(10)), after })
}

/// The facts that a file's header and its row share: 26 bytes.
fn facts(name: &str, content: &[u8], stamp: Stamp) -> [u8; FILE_LENGTH - 4] {
    let mut facts = [0; FILE_LENGTH - 4];
    let length = small(content.len()).to_le_bytes();
    let version = VERSION.to_le_bytes();
    facts[..2].copy_from_slice(&version);
    // No flags, and stored.
    facts[6..10].copy_from_slice(&stamp.0.to_le_bytes());
    facts[10..14].copy_from_slice(&checksum(content).to_le_bytes());
    facts[14..18].copy_from_slice(&length);
    facts[18..22].copy_from_slice(&length);
    facts[22..24].copy_from_slice(&small(name.len()).to_le_bytes()[..2]);
    facts
}

fn checksum(content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(content);
    crc.sum()
}

/// A length that [`MOST_BYTES`] bounds.
fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Names that mean the same wherever the archive is unpacked, also where upper and lower case are one.
pub(super) fn ensure_names(files: &Files<'_>) -> Result<(), ZipFault> {
    let mut lower = BTreeSet::new();
    for name in files.keys() {
        if let Some(what) = strange(name) {
            return Err(ZipFault::file(name, what));
        }
        if !lower.insert(name.to_ascii_lowercase()) {
            return Err(ZipFault::file(name, "another name differs from its own in upper and lower case alone"));
        }
    }
    for name in files.keys() {
        let folders = name.match_indices('/').map(|(at, _)| name[..at].to_ascii_lowercase());
        if folders.into_iter().any(|folder| lower.contains(&folder)) {
            return Err(ZipFault::file(name, "a folder of its name is a file"));
        }
    }
    Ok(())
}

/// Why a name is not allowed.
fn strange(name: &str) -> Option<&'static str> {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let is_odd = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with('.');
    Some(match name {
        "" => "its name is empty",
        _ if name.len() > LONGEST_NAME => "its name is longer than 200 characters",
        _ if name.contains('\\') => "its name has a backslash",
        _ if name.starts_with('/') => "its name is absolute",
        _ if name.split('/').any(|part| part == "..") => "its name leads out of its folder (..)",
        _ if !name.chars().all(is_ours) => "its name has other characters than letters, digits and . _ - /",
        _ if name.split('/').any(is_odd) => "a part of its name is empty, or begins or ends with a dot",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Stamp {
        Stamp::of(text.parse().expect("a time"))
    }

    fn sample() -> Vec<u8> {
        let files =
            Files::from([("README.html", &b"read me"[..]), ("a/b.json", b"{}"), ("a/c.json", b""), ("z", b"PK\x03\x04")]);
        write(&files, at("2026-12-01T12:34:57Z")).expect("writes")
    }

    #[test]
    fn the_same_files_are_the_same_bytes_and_read_back() {
        let archive = sample();
        let read = read(&archive).expect("reads");
        assert_eq!(read.files.keys().copied().collect::<Vec<_>>(), ["README.html", "a/b.json", "a/c.json", "z"]);
        assert_eq!(read.files["z"], b"PK\x03\x04");
        assert_eq!(read.stamp, at("2026-12-01T12:34:56Z"));
        assert_eq!(write(&read.files, read.stamp).expect("writes"), archive);
        assert_eq!(archive, sample());
    }

    /// Values that other programs write: 0x5d81 is 2026-12-01.
    #[test]
    fn a_time_is_that_of_the_format() {
        for (text, stamp) in [
            ("1970-01-01T00:00:00Z", 0x0021_0000_u32),
            ("1980-01-01T00:00:01Z", 0x0021_0000),
            ("2026-12-01T12:34:57Z", 0x5d81_645c),
            ("2107-12-31T23:59:59Z", 0xff9f_bf7d),
            ("2300-01-01T00:00:00Z", 0xff9f_bf7d),
        ] {
            assert_eq!(at(text), Stamp(stamp), "{text}");
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for (name, said) in [
            ("../x", "leads out"),
            ("a/../x", "leads out"),
            ("/x", "absolute"),
            ("a\\x", "backslash"),
            ("C:x", "other characters"),
            ("é", "other characters"),
            ("a\u{202e}b", "other characters"),
            ("", "name is empty"),
            ("a//b", "empty"),
            ("a/", "empty"),
            (".x", "dot"),
            ("a./b", "dot"),
        ] {
            let fault = write(&Files::from([(name, &b""[..])]), Stamp(0)).expect_err(name);
            assert!(fault.to_string().contains(said), "{name}: {fault}");
        }
        let long = "x".repeat(201);
        write(&Files::from([(&*long, &b""[..])]), Stamp(0)).expect_err("too long");
        write(&Files::from([(&long[1..], &b""[..])]), Stamp(0)).expect("as long as it may be");
        for pair in [["a", "A"], ["a", "a/b"], ["A", "a/b"], ["a/b", "a/b/c"]] {
            write(&Files::from(pair.map(|name| (name, &b""[..]))), Stamp(0)).expect_err(pair[0]);
        }
    }

    /// Each byte of an archive says something, and each end of one is missed.
    #[test]
    fn no_byte_may_differ() {
        let whole = sample();
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[place] ^= 1 << bit;
                read(&bent).expect_err("a bit of an archive");
            }
            read(&whole[..place]).expect_err("cut off");
        }
        let more = [&whole[..], b"x"].concat();
        assert_eq!(read(&more).expect_err("more"), ZipFault::Trailing(1));
        assert_eq!(read(&[b"x", &whole[..]].concat()).expect_err("before"), ZipFault::Other);
        assert_eq!(read(&whole.repeat(2)).expect_err("twice"), ZipFault::Trailing(whole.len()));
        assert_eq!(read(b"").expect_err("nothing"), ZipFault::Other);
    }

    #[test]
    fn an_archive_is_no_larger_than_it_may_be() {
        let names: Vec<String> = (0..=MOST_FILES).map(|number| number.to_string()).collect();
        let files = |count: usize| names.iter().take(count).map(|name| (&**name, &b""[..])).collect::<Files<'_>>();
        let full = write(&files(MOST_FILES), Stamp(0)).expect("as many as it may have");
        assert_eq!(read(&full).expect("reads").files.len(), MOST_FILES);
        assert_eq!(write(&files(MOST_FILES + 1), Stamp(0)), Err(ZipFault::TooMany));
        let long = vec![0; MOST_BYTES - FILE_LENGTH - ROW_LENGTH - END_LENGTH - 2];
        let full = write(&Files::from([("a", &*long)]), Stamp(0)).expect("as long as it may be");
        assert_eq!(full.len(), MOST_BYTES);
        read(&full).expect("reads");
        assert_eq!(write(&Files::from([("ab", &*long)]), Stamp(0)), Err(ZipFault::TooLong));
        assert_eq!(read(&[&full[..], b"x"].concat()).expect_err("too long"), ZipFault::TooLong);
    }

    proptest! {
        /// Whatever is read is what is written of it: an archive has one reading.
        #[test]
        fn files_read_back_and_bytes_have_one_reading(
            files in proptest::collection::btree_map("[a-z]{1,3}(/[a-z]{1,2})?", proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            place in any::<prop::sample::Index>(), byte in any::<u8>(), stamp in any::<u32>(),
        ) {
            let files: Files<'_> = files.iter().map(|(name, content)| (&**name, &**content)).collect();
            if let Ok(mut bytes) = write(&files, Stamp(stamp)) {
                let back = read(&bytes).expect("reads");
                prop_assert_eq!(&back.files, &files);
                let at = place.index(bytes.len());
                bytes[at] = byte;
                if let Ok(other) = read(&bytes) {
                    prop_assert_eq!(write(&other.files, other.stamp).expect("writes"), bytes.clone());
                }
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = read(&bytes);
            let _any = read(&[&FILE[..], &bytes].concat());
        }
    }
}
