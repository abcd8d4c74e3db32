//! Tiles of 256 hashes of the Merkle tree, and bundles of 256 entries (C2SP tlog-tiles).
//!
//! Enter through [`Tile::all`] to write an export, and through [`Tile::holding`] to find a node in one. Parsing takes exactly
//! what writing makes: one tile has one name. Deliberately not here: files and SQL.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::domain::value::digest::Digest;

use super::merkle::{self, NodeAt};

/// Hashes or entries of a full tile.
pub const WIDTH: u16 = 256;

/// Levels of the tree that one tile spans: 2^8 is the width.
const HEIGHT: u8 = 8;

/// The highest tile level that a tree of fewer than 2^64 leaves can have: 8 · 7 = 56.
const TOP: u8 = 7;

/// The kind of a tile.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A bundle of entries: `tile/entries/…`.
    Entries,
    /// Hashes of the nodes at level 8 · L of the tree: `tile/L/…`.
    Hashes(u8),
}

/// One tile, by its name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tile {
    kind: Kind,
    index: u64,
    width: u16,
}

/// Why a tile's name or content cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TileFault {
    /// Not a name that C2SP tlog-tiles would give to a tile.
    #[error(
        "expected tile/LEVEL/INDEX or tile/entries/INDEX, in threes with x before all but the last, then .p/WIDTH or nothing"
    )]
    Name,
    /// The content does not have exactly as many hashes or entries as the name says.
    #[error("the content of the tile does not have the width that its name says")]
    Width,
    /// An entry is longer than the 65535 bytes that a bundle can hold.
    #[error("an entry is longer than 65535 bytes")]
    TooLong,
}

impl Tile {
    /// Every tile of a tree of `size` leaves: bundles of entries, then hashes from level 0 upwards.
    ///
    /// The last of each is partial, when the size says so.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let row = move |kind: Kind, count: u64| {
            (0..count.div_ceil(u64::from(WIDTH))).map(move |index| Self { kind, index, width: width_at(index, count) })
        };
        let hashes = (0..=TOP).map(move |level| (level, size >> (level * HEIGHT))).take_while(|(_, count)| *count > 0);
        row(Kind::Entries, size).chain(hashes.flat_map(move |(level, count)| row(Kind::Hashes(level), count)))
    }

    /// The tile that holds `node` of a tree of `size` leaves, and its hashes under the node.
    ///
    /// Their root, by [`Self::hash`], is the node. Nothing when the tree does not have the node complete.
    pub fn holding(node: NodeAt, size: u64) -> Option<(Self, Range<usize>)> {
        let level = node.level / HEIGHT;
        let below = node.level % HEIGHT;
        let count = size.checked_shr(u32::from(level) * u32::from(HEIGHT))?;
        let last = node.index.checked_add(1)?.checked_mul(1 << below)?;
        if last > count {
            return None;
        }
        let first = node.index << below;
        let index = first / u64::from(WIDTH);
        // Invariant: a remainder of 256 fits.
        let start = usize::from((first % u64::from(WIDTH)).to_le_bytes()[0]);
        let tile = Self { kind: Kind::Hashes(level), index, width: width_at(index, count) };
        Some((tile, start..start + (1 << below)))
    }

    /// The full tile of hashes at a tile level and position.
    pub(in crate::journal) fn full(level: u8, index: u64) -> Self {
        Self { kind: Kind::Hashes(level), index, width: WIDTH }
    }

    /// The bundle that holds `entry`, in a log of `size` entries; none if there is no such entry.
    pub(in crate::journal) fn bundle(entry: u64, size: u64) -> Option<Self> {
        let index = entry / u64::from(WIDTH);
        (entry < size).then(|| Self { kind: Kind::Entries, index, width: width_at(index, size) })
    }

    /// The first entry below it.
    pub(in crate::journal) fn covers(&self) -> u64 {
        match self.kind {
            Kind::Entries => self.first(),
            Kind::Hashes(level) => self.first().saturating_mul(1 << (HEIGHT * level)),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its position within its row.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds: 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The first entry of a bundle.
    pub fn first(&self) -> u64 {
        self.index * u64::from(WIDTH)
    }

    /// The nodes whose hashes it holds one after the other (none for a bundle of entries).
    pub fn nodes(&self) -> Vec<NodeAt> {
        let Kind::Hashes(level) = self.kind else { return Vec::new() };
        let first = self.first();
        (first..first + u64::from(self.width)).map(|index| NodeAt { level: level * HEIGHT, index }).collect()
    }

    /// The root of the hashes `range` of its content, as [`Self::holding`] gave it.
    pub fn hash(&self, content: &[u8], range: Range<usize>) -> Result<Digest, TileFault> {
        let hashes = self.hashes(content)?;
        let mut frontier = merkle::Frontier::default();
        for hash in hashes.get(range).ok_or(TileFault::Width)? {
            frontier.append(*hash);
        }
        Ok(frontier.root())
    }

    /// Its content as hashes.
    pub fn hashes(&self, content: &[u8]) -> Result<Vec<Digest>, TileFault> {
        let (hashes, rest) = content.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(TileFault::Width);
        }
        Ok(hashes.iter().map(|hash| Digest(*hash)).collect())
    }

    /// The entries of a bundle: each has two bytes of length, big-endian, and its own.
    pub fn entries<'a>(&self, mut content: &'a [u8]) -> Result<Vec<&'a [u8]>, TileFault> {
        let mut entries = Vec::with_capacity(usize::from(self.width));
        while let Some((length, rest)) = content.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, rest) = rest.split_at_checked(length).ok_or(TileFault::Width)?;
            entries.push(entry);
            content = rest;
        }
        if content.is_empty() && entries.len() == usize::from(self.width) { Ok(entries) } else { Err(TileFault::Width) }
    }
}

/// The content of a tile of hashes.
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The content of a bundle of entries.
pub fn encode_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileFault> {
    let mut content = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| TileFault::TooLong)?;
        content.extend_from_slice(&length.to_be_bytes());
        content.extend_from_slice(entry);
    }
    Ok(content)
}

/// `tile/0/x001/067`, `tile/entries/000.p/5`: the path below an export's directory.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Entries => f.write_str("tile/entries/")?,
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut threes = Vec::new();
        let mut rest = self.index;
        while rest > 0 || threes.is_empty() {
            threes.push(rest % 1000);
            rest /= 1000;
        }
        for three in threes.iter().skip(1).rev() {
            write!(f, "x{three:03}/")?;
        }
        write!(f, "{:03}", threes[0])?;
        if self.width < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = TileFault;
    fn from_str(path: &str) -> Result<Self, TileFault> {
        let tile = parse(path).ok_or(TileFault::Name)?;
        // Written again it must be the same: no other spelling of a number, no needless `x000`, no sign.
        if tile.to_string() == path { Ok(tile) } else { Err(TileFault::Name) }
    }
}

fn parse(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(level.parse().ok().filter(|level| *level <= TOP)?),
    };
    let (threes, width) = match rest.split_once(".p/") {
        None => (rest, WIDTH),
        Some((threes, width)) => (threes, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
    };
    let mut index = 0_u64;
    for three in threes.split('/') {
        let digits = three.strip_prefix('x').unwrap_or(three);
        index = index.checked_mul(1000)?.checked_add(digits.parse::<u16>().ok().filter(|three| *three < 1000)?.into())?;
    }
    // No tree of fewer than 2^64 leaves has a tile with a greater index; so that leaf numbers cannot overflow.
    (index < 1 << 56).then_some(Tile { kind, index, width })
}

/// The width of tile `index` in a row of `count` hashes that reaches into it.
fn width_at(index: u64, count: u64) -> u16 {
    u16::try_from(count - index * u64::from(WIDTH)).map_or(WIDTH, |left| left.min(WIDTH))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_tlog_tiles() {
        let tile = |kind, index, width| Tile { kind, index, width };
        for (path, expected) in [
            ("tile/0/x001/067", tile(Kind::Hashes(0), 1067, 256)),
            ("tile/0/x001/x234/067", tile(Kind::Hashes(0), 1_234_067, 256)),
            ("tile/0/x001/067.p/1", tile(Kind::Hashes(0), 1067, 1)),
            ("tile/1/000.p/255", tile(Kind::Hashes(1), 0, 255)),
            ("tile/entries/x273/112", tile(Kind::Entries, 273_112, 256)),
            ("tile/entries/000.p/5", tile(Kind::Entries, 0, 5)),
        ] {
            assert_eq!(path.parse(), Ok(expected));
            assert_eq!(expected.to_string(), path);
        }
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/+0/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/001/067",
            "tile/0/x000/067",
            "tile/0/x001/x067",
            "tile/0/X001/067",
            "tile/0/x01/067",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000.p/1/2",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/+01",
            "tile/0/ 01",
            "tile/data/000",
            "tile/0/../000",
            "tile/0/x001//067",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/x072/x057/x594/x037/x927/936",
            "tile/0/٠٠٠",
        ] {
            assert_eq!(bad.parse::<Tile>(), Err(TileFault::Name), "{bad}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_its_size_says() {
        let paths = |size| Tile::all(size).map(|tile| tile.to_string()).collect::<Vec<_>>();
        assert!(paths(0).is_empty());
        assert_eq!(paths(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(paths(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            paths(70_000).into_iter().filter(|path| !path.starts_with("tile/entries/")).skip(271).collect::<Vec<_>>(),
            ["tile/0/271", "tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        // The largest size must not overflow on the way to the first tile.
        assert!(Tile::all(u64::MAX).next().is_some());
    }

    #[test]
    fn bundles_hold_what_was_put_in_and_refuse_any_other_length() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 65_535]];
        let content = encode_entries(entries).expect("short enough");
        let bundle = |width| Tile { kind: Kind::Entries, index: 0, width };
        assert_eq!(bundle(3).entries(&content).as_deref(), Ok(&entries[..]));
        assert_eq!(&content[..5], b"\x00\x03one");
        assert_eq!(bundle(2).entries(&content), Err(TileFault::Width));
        assert_eq!(bundle(4).entries(&content), Err(TileFault::Width));
        assert_eq!(bundle(3).entries(&content[..content.len() - 1]), Err(TileFault::Width));
        assert_eq!(bundle(3).entries(&[&content[..], &[0]].concat()), Err(TileFault::Width));
        assert_eq!(encode_entries([&[0_u8; 65_536][..]]), Err(TileFault::TooLong));
        assert_eq!(bundle(1).hashes(&[0; 31]), Err(TileFault::Width));
        assert_eq!(bundle(1).hashes(&[0; 64]), Err(TileFault::Width));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_complete_node_is_found_in_its_tile(size in 1u64..1500) {
            let mut frontier = merkle::Frontier::default();
            let mut nodes = HashMap::new();
            for n in 0..size {
                nodes.extend(frontier.append(merkle::leaf_hash(&n.to_be_bytes())));
            }
            let contents: HashMap<Tile, Vec<u8>> = Tile::all(size)
                .filter(|tile| tile.kind() != Kind::Entries)
                .map(|tile| (tile, encode_hashes(&tile.nodes().iter().map(|node| nodes[node]).collect::<Vec<_>>())))
                .collect();
            for (node, hash) in &nodes {
                let (tile, range) = Tile::holding(*node, size).expect("complete");
                prop_assert_eq!(tile.hash(&contents[&tile], range), Ok(*hash));
            }
            prop_assert_eq!(Tile::holding(NodeAt { level: 0, index: size }, size), None);
        }

        #[test]
        fn any_tile_reads_back(level in 0u8..8, index in 0u64..1 << 56, width in 1u16..=256) {
            let tile = Tile { kind: Kind::Hashes(level), index, width };
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }
    }
}
