//! Archives that somebody made to be read in two ways, or to break a reader: each is refused, with a reason, by both verifiers.

use super::sample::{Case, files, remade};
use super::{both, one};

/// One file of an archive with every freedom that the format has.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    /// The name in the central directory.
    listed: Vec<u8>,
    content: Vec<u8>,
    flags: u16,
    method: u16,
    extra: Vec<u8>,
    comment: Vec<u8>,
    crc: Option<u32>,
    lengths: Option<(u32, u32)>,
    descriptor: Vec<u8>,
    stamp: u32,
}

const STAMP: u32 = 0x5d81_645c;

impl Entry {
    fn of(name: &str, content: &[u8]) -> Self {
        let name = name.as_bytes().to_vec();
        Self {
            listed: name.clone(),
            name,
            content: content.to_vec(),
            flags: 0,
            method: 0,
            extra: Vec::new(),
            comment: Vec::new(),
            crc: None,
            lengths: None,
            descriptor: Vec::new(),
            stamp: STAMP,
        }
    }

    fn facts(&self, name: &[u8]) -> Vec<u8> {
        let length = u32::try_from(self.content.len()).expect("small");
        let (packed, whole) = self.lengths.unwrap_or((length, length));
        let mut facts = Vec::new();
        facts.extend(10_u16.to_le_bytes());
        facts.extend(self.flags.to_le_bytes());
        facts.extend(self.method.to_le_bytes());
        facts.extend(self.stamp.to_le_bytes());
        facts.extend(self.crc.unwrap_or_else(|| crc(&self.content)).to_le_bytes());
        facts.extend(packed.to_le_bytes());
        facts.extend(whole.to_le_bytes());
        facts.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
        facts.extend(u16::try_from(self.extra.len()).expect("short").to_le_bytes());
        facts
    }
}

/// CRC-32 bit by bit (RFC 1952 section 8).
fn crc(content: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !content.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// The files, and the list of those for which `is_listed`.
fn archive(entries: &[Entry], is_listed: impl Fn(usize) -> bool, comment: &[u8]) -> Vec<u8> {
    let (mut body, mut rows, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (at, entry) in entries.iter().enumerate() {
        let begins = u32::try_from(body.len()).expect("small");
        body.extend(b"PK\x03\x04");
        body.extend(entry.facts(&entry.name));
        for part in [&entry.name, &entry.extra, &entry.content, &entry.descriptor] {
            body.extend(part);
        }
        if is_listed(at) {
            rows.extend(b"PK\x01\x02\x0a\x00");
            rows.extend(entry.facts(&entry.listed));
            rows.extend(u16::try_from(entry.comment.len()).expect("short").to_le_bytes());
            rows.extend([0; 8]);
            rows.extend(begins.to_le_bytes());
            for part in [&entry.listed, &entry.extra, &entry.comment] {
                rows.extend(part);
            }
            count = count.wrapping_add(1);
        }
    }
    let begins = u32::try_from(body.len()).expect("small");
    let length = u32::try_from(rows.len()).expect("small");
    body.extend(rows);
    body.extend(b"PK\x05\x06\0\0\0\0");
    body.extend(count.to_le_bytes());
    body.extend(count.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(begins.to_le_bytes());
    body.extend(u16::try_from(comment.len()).expect("short").to_le_bytes());
    body.extend(comment);
    body
}

fn entries(bundle: &[u8]) -> Vec<Entry> {
    files(bundle).iter().map(|(name, content)| Entry::of(name, content)).collect()
}

fn place(entries: &[Entry], name: &str) -> usize {
    entries.iter().position(|entry| entry.name == name.as_bytes()).expect("a file")
}

#[tokio::test]
async fn an_archive_that_may_be_read_in_two_ways_is_refused() {
    let case = Case::new();
    let sound = entries(&case.told());
    let all = |entries: &[Entry]| archive(entries, |_| true, b"");
    assert!(all(&sound) == case.told(), "this maker makes sound ones too");
    let changed = |name: &str, change: &dyn Fn(&mut Entry)| {
        let mut entries = sound.clone();
        let at = place(&entries, name);
        change(&mut entries[at]);
        all(&entries)
    };
    let added = |entry: Entry| {
        let mut entries = sound.clone();
        entries.push(entry);
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        all(&entries)
    };
    let renamed = |name: &str| {
        let mut entries = sound.clone();
        entries.retain(|entry| entry.name != b"tests.json");
        entries.push(Entry::of(name, b"[]"));
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        all(&entries)
    };
    let deflated = changed("tests.json", &|entry| {
        // A stored block of deflate (RFC 1951 section 3.2.4) of the same two bytes.
        (entry.method, entry.crc, entry.lengths) = (8, Some(crc(b"[]")), Some((7, 2)));
        entry.content = b"\x01\x02\x00\xfd\xff[]".to_vec();
    });
    let twice = {
        let mut entries = sound.clone();
        let at = place(&entries, "case.json");
        entries.insert(at, Entry::of("case.json", b"{}"));
        entries
    };
    let mut out_of_order = sound.clone();
    out_of_order.swap(1, 2);
    let whole = case.told();
    let directory = whole.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("deflated", deflated, "tests.json: it is compressed"),
        ("compressed otherwise", changed("case.json", &|entry| entry.method = 12), "case.json: it is compressed"),
        ("encrypted", changed("case.json", &|entry| entry.flags = 1), "case.json: it"),
        ("length behind it", changed("case.json", &|entry| entry.flags = 8), "case.json: it"),
        ("flag for UTF-8", changed("case.json", &|entry| entry.flags = 0x800), "case.json: it"),
        ("extra field", changed("case.json", &|entry| entry.extra = b"up\x04\0abcd".to_vec()), "case.json: it"),
        ("comment of a file", changed("case.json", &|entry| entry.comment = b"x".to_vec()), "the central directory"),
        ("two lengths", changed("case.json", &|entry| entry.lengths = Some((9, 8))), "case.json: it"),
        ("endless", changed("case.json", &|entry| entry.lengths = Some((u32::MAX, u32::MAX))), "case.json: it is cut off"),
        ("another checksum", changed("case.json", &|entry| entry.crc = Some(7)), "case.json: it is not the file"),
        ("another time", changed("case.json", &|entry| entry.stamp = 1), "case.json: it has another time"),
        (
            "another name in the list",
            changed("case.json", &|entry| entry.listed = b"mask.json".to_vec()),
            "the central directory",
        ),
        ("bytes between files", changed("case.json", &|entry| entry.descriptor = b"x".to_vec()), "the central directory"),
        ("up", renamed("../tests.json"), "../tests.json: its name leads out"),
        ("up, deeper", renamed("tests/../../x"), "tests/../../x: its name leads out"),
        ("absolute", renamed("/tests.json"), "/tests.json: its name"),
        ("backslash", renamed("a\\tests.json"), "its name"),
        ("a drive", renamed("C:tests.json"), "C:tests.json: its name"),
        ("another alphabet", renamed("t\u{435}sts.json"), "its name"),
        ("control", renamed("tests\n.json"), "its name"),
        ("no name", renamed(""), "its name"),
        ("a folder", added(Entry::of("records/", b"")), "records/: "),
        ("a file and a folder", added(Entry::of("records", b"")), "records/order-sync.1.yaml: a folder"),
        ("upper case", added(Entry::of("CASE.json", b"{}")), "case.json: another name"),
        ("twice", all(&twice), "case.json: it is there twice"),
        ("twice, one listed", archive(&twice, |at| at != 1, b""), "case.json: it is there twice"),
        ("out of order", all(&out_of_order), "it does not stand in the order"),
        ("one not listed", archive(&sound, |at| at != 3, b""), "the central directory"),
        ("none listed", archive(&sound, |_| false, b""), "the central directory"),
        ("a comment", archive(&sound, |_| true, b"PK"), ""),
        ("bytes behind", [&whole[..], b"\n"].concat(), "1 bytes stand behind"),
        ("bytes before", [b"#!/bin/sh\n", &whole[..]].concat(), "this is not a bundle"),
        ("a second directory", [&whole[..], &whole[directory..]].concat(), "bytes stand behind"),
        ("another archive behind", [&whole[..], &all(&twice)].concat(), "bytes stand behind"),
        ("no directory", whole[..directory].to_vec(), "the central directory"),
        ("cut", whole[..whole.len() - 1].to_vec(), "the central directory"),
        ("cut within a file", whole[..100].to_vec(), ""),
        ("nothing", Vec::new(), "this is not a bundle"),
        ("an empty archive", archive(&[], |_| true, b""), "this is not a bundle"),
        ("no archive", b"<html>".to_vec(), "this is not a bundle"),
    ];
    let bundles: Vec<(String, Vec<u8>)> = cases.iter().map(|(name, bundle, _)| ((*name).to_owned(), bundle.clone())).collect();
    for ((ours, theirs), (name, _, wanted)) in both(&bundles, case.key()).await.into_iter().zip(&cases) {
        let fault = ours.expect_err(name);
        assert!(fault.contains(wanted), "{name}: {wanted} {fault}");
        assert!(!theirs.is_empty());
    }
}

#[tokio::test]
async fn an_archive_that_is_too_large_is_refused() {
    let case = Case::new();
    let mut large = files(&case.told());
    let entries: Vec<Entry> = (0..10_001).map(|number| Entry::of(&format!("x{number:05}"), b"")).collect();
    let many = archive(&entries, |_| true, b"");
    let (ours, theirs) = one(&many, case.key()).await;
    assert!(ours.expect_err("many").contains("more than 10000 files") && theirs.contains("more than 10000 files"), "{theirs}");
    // Not one byte more than it may have, so that length alone decides.
    let room = (64 << 20) - remade(&large).len() - 30 - 46 - 2 * "zeros".len();
    large.insert("zeros".to_owned(), vec![0; room]);
    let full = remade(&large);
    assert_eq!(full.len(), 64 << 20);
    let (ours, theirs) = one(&full, case.key()).await;
    assert!(
        ours.expect_err("a file too much").starts_with("zeros: the manifest does not have it") && theirs.contains("zeros: "),
        "{theirs}"
    );
    let (ours, theirs) = one(&[&full[..], b"x"].concat(), case.key()).await;
    assert!(ours.expect_err("large").contains("longer than 64 MiB") && theirs.contains("longer than 64 MiB"), "{theirs}");
}
