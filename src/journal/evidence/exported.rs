//! Reading an export, with nothing but the verifier key.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;

use super::super::tree::FullTile;
use super::chain::{Chain, Watched, correction};
use super::export::{CHECKPOINT, ENTRIES};
use super::fault::VerifyFault;
use super::report::{Progress, Report, STEP, checkpoint};
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::journal::key::signers::{Lineage, stated};
use crate::journal::store::batch::LONGEST;
use crate::journal::tree::merkle::{NodeAt, inclusion_path, leaf_hash, prove};
use crate::journal::tree::note::{NoteFault, VerifierKey};
use crate::journal::tree::proof::InclusionProof;
use crate::journal::tree::tiles::{Kind, Tile, WIDTH};

/// The longest tile: a bundle of 256 of the longest entries.
const LONGEST_TILE: u64 = 256 * (LONGEST as u64 + 2);

/// Proves an export: `key` signed its checkpoint, which names its entries, bundles and tiles.
pub fn verify_export(dir: &Path, key: &VerifierKey, kept: Option<&str>, progress: Progress<'_>) -> Result<Report, VerifyFault> {
    let note = note(dir)?;
    let lineage = lineage(dir, key, [Some(&*note), kept])?;
    let signed = checkpoint(lineage.open(&note), key, "export's checkpoint")?;
    let kept = kept.map(|note| checkpoint(lineage.open_kept(note), key, "kept checkpoint")).transpose()?;
    let mut chain = Chain::default();
    chain.watch(Some(Watched::of(&signed, "export's checkpoint")));
    chain.watch(kept.as_ref().map(|kept| Watched::of(kept, "kept checkpoint")));
    let path = dir.join(ENTRIES);
    let mut lines = BufReader::new(fs::File::open(&path).map_err(VerifyFault::file(&path))?);
    for at in 0..signed.size {
        let Some(body) = line(&mut lines, at).map_err(VerifyFault::file(&path))? else { break };
        chain.corrections.extend(correction(&body));
    }
    lines.rewind().map_err(VerifyFault::file(&path))?;
    let mut bundle: Vec<Vec<u8>> = Vec::new();
    let mut full: Vec<FullTile> = Vec::new();
    for at in 0..signed.size {
        if at % STEP == STEP - 1 {
            progress(at + 1, signed.size);
        }
        let line = line(&mut lines, at).map_err(VerifyFault::file(&path))?;
        bundle.push(
            line.ok_or_else(|| VerifyFault::entry(at, format!("the entry is missing; the checkpoint has {}", signed.size)))?,
        );
        // A bundle and the tile over it, before the entries are believed: so a changed entry is named exactly.
        if bundle.len() == usize::from(WIDTH) || at + 1 == signed.size {
            compare(dir, &bundle, chain.size(), signed.size)?;
            for body in bundle.drain(..) {
                full.extend(chain.take(&body, leaf_hash(&body))?.full);
            }
            for tile in full.drain(..).filter(|tile| tile.level > 0) {
                same(dir, Tile::full(tile.level, tile.index), &tile.content)?;
            }
        }
    }
    for tile in Tile::all(signed.size).filter(|tile| tile.width() < WIDTH && tile.kind() != Kind::Entries) {
        let content =
            chain.tree.partial(tile).ok_or_else(|| VerifyFault::entry(tile.covers(), format!("{tile} is missing")))?;
        same(dir, tile, &content)?;
    }
    if line(&mut lines, chain.size()).map_err(VerifyFault::file(&path))?.is_some() {
        return Err(VerifyFault::entry(signed.size, "the entry is behind the end that the checkpoint names"));
    }
    let report = chain.finish(kept.map(|kept| kept.size), None)?;
    if report.origin == signed.origin { Ok(report) } else { Err(VerifyFault::entry(0, "the entry opens another log")) }
}

/// The changes of an export, in order. Prove the export first.
pub fn exported_changes(dir: &Path) -> Result<Vec<ChangeEntry>, VerifyFault> {
    let path = dir.join(ENTRIES);
    let mut lines = BufReader::new(fs::File::open(&path).map_err(VerifyFault::file(&path))?);
    let mut all = Vec::new();
    for at in 0.. {
        let Some(body) = line(&mut lines, at).map_err(VerifyFault::file(&path))? else { break };
        match Entry::parse(&body) {
            Ok(Entry::Change(entry)) => all.push(*entry),
            Ok(_) => {}
            Err(_) => return Err(VerifyFault::entry(at, "the entry cannot be read")),
        }
    }
    Ok(all)
}

/// A proof that entry `index` is in the export's checkpoint, made from its tiles and verified.
pub fn prove_offline(dir: &Path, index: u64, key: &VerifierKey) -> Result<InclusionProof, VerifyFault> {
    let note = note(dir)?;
    let lineage = lineage(dir, key, [Some(&*note), None])?;
    let size = checkpoint(lineage.open(&note), key, "export's checkpoint")?.size;
    let none = || VerifyFault::NoEntry { index, size };
    let bundle = Tile::bundle(index, size).ok_or_else(none)?;
    let path = inclusion_path(index, size).ok_or_else(none)?;
    let fault = |what: String| VerifyFault::entry(index, what);

    let content = content(dir, bundle)?;
    let entries = bundle.entries(&content).map_err(|cause| fault(format!("{bundle}: {cause}")))?;
    let place = usize::try_from(index - bundle.first()).map_err(|_| none())?;
    let entry = entries.get(place).ok_or_else(none)?;
    let entry = String::from_utf8(entry.to_vec()).map_err(|_| fault("the entry is not text".to_owned()))?;

    let nodes = path.iter().flat_map(|subtree| subtree.nodes());
    let mut wanted: Vec<Tile> = nodes.filter_map(|node| Tile::holding(node, size)).map(|(tile, _)| tile).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let tiles = wanted.into_iter().map(|tile| Ok((tile, self::content(dir, tile)?)));
    let tiles = tiles.collect::<Result<HashMap<Tile, Vec<u8>>, VerifyFault>>()?;
    let node = |node| {
        let (tile, range) = Tile::holding(node, size)?;
        tile.hash(tiles.get(&tile)?, range).ok()
    };
    let hashes = prove(&path, node).ok_or_else(|| fault("a tile on its way to the root is not of its width".to_owned()))?;
    let proof = InclusionProof { index, entry, hashes, checkpoint: note };
    proof.verify_with(|note| lineage.open(note)).map_err(|cause| fault(cause.to_string()))?;
    Ok(proof)
}

fn note(dir: &Path) -> Result<String, VerifyFault> {
    let path = dir.join(CHECKPOINT);
    fs::read_to_string(&path).map_err(VerifyFault::file(&path))
}

/// The keys that open the notes of an export: `key`, and those of recorded successions.
///
/// The latter are as good as their signatures; whether the log has them, its checkpoint tells.
fn lineage(dir: &Path, key: &VerifierKey, notes: [Option<&str>; 2]) -> Result<Lineage, VerifyFault> {
    let mut successions = Vec::new();
    if notes.into_iter().flatten().any(|note| key.open(note) == Err(NoteFault::Unsigned)) {
        let path = dir.join(ENTRIES);
        let mut lines = BufReader::new(fs::File::open(&path).map_err(VerifyFault::file(&path))?);
        for at in 0.. {
            let Some(body) = line(&mut lines, at).map_err(VerifyFault::file(&path))? else { break };
            successions.extend(stated(&body).map(|(succession, _)| succession));
        }
    }
    Ok(Lineage::around(key, &successions))
}

/// The next line without its end, or none at the end of the file. Each line must have an end.
fn line(lines: &mut BufReader<fs::File>, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.by_ref().take(LONGEST as u64 + 2).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("entry {at} has no end, or is too long"))),
    }
}

/// The entries from `first` on, in lines, must be those of their bundle and of their tile.
fn compare(dir: &Path, lines: &[Vec<u8>], first: u64, size: u64) -> Result<(), VerifyFault> {
    let missing = || VerifyFault::entry(first, "there is no tile for the entry");
    let bundle = Tile::bundle(first, size).ok_or_else(missing)?;
    let node = NodeAt { level: 0, index: first };
    let (tile, _) = Tile::holding(node, size).ok_or_else(missing)?;
    let (bundled, hashed) = (content(dir, bundle)?, content(dir, tile)?);
    let bundled = bundle.entries(&bundled).map_err(|fault| VerifyFault::entry(first, format!("{bundle}: {fault}")))?;
    let hashed = tile.hashes(&hashed).map_err(|fault| VerifyFault::entry(first, format!("{tile}: {fault}")))?;
    let all = lines.iter().zip(bundled).zip(hashed).zip(first..);
    for (((line, bundled), hash), index) in all {
        if line != bundled {
            return Err(VerifyFault::entry(index, format!("{ENTRIES} and {bundle} hold different entries")));
        }
        if leaf_hash(line) != hash {
            return Err(VerifyFault::entry(index, format!("the entry does not have the hash that {tile} holds")));
        }
    }
    Ok(())
}

fn same(dir: &Path, tile: Tile, content: &[u8]) -> Result<(), VerifyFault> {
    if self::content(dir, tile)? == content {
        Ok(())
    } else {
        Err(VerifyFault::entry(tile.covers(), format!("{tile} is not that of its entries")))
    }
}

fn content(dir: &Path, tile: Tile) -> Result<Vec<u8>, VerifyFault> {
    let path = dir.join(tile.to_string());
    let mut content = Vec::new();
    let read = fs::File::open(&path).and_then(|file| file.take(LONGEST_TILE + 1).read_to_end(&mut content));
    match read {
        Ok(_) => Ok(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(VerifyFault::entry(tile.covers(), format!("{tile} is missing")))
        }
        Err(cause) => Err(VerifyFault::File { path, cause }),
    }
}
