//! The tail: the changes of the last 24 hours in a file beside the anchor, with the MACs of their batches.
//!
//! A database that was put back from an older copy, or whose failover lost its newest commits, has lost changes that this node has seen.
//! From the tails of the nodes an operator has those recorded again that took something away (`--tail` of `carnet journal reopen`, [`lost`]).
//! The file has no texts of people: an entry names them by digests. It is written before the anchor that covers the same entries, so an
//! anchor never knows a change that its tail lacks.

pub mod lost;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::{OpenFault, StoreFault};
use super::file;
use super::store::batch::{Batch, MacKey, Row};
use super::store::reader::Reader;
use super::store::row::ChangeRow;
use super::tree::merkle::leaf_hash;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// How long a change stays in the file. The newest stays in any case.
pub const KEPT: Seconds = Seconds::hours(24);

/// Changes that one read of the log returns.
const PAGE: u32 = 500;

/// The file.
#[derive(Clone, Debug)]
pub struct TailFile {
    path: PathBuf,
}

/// A change, as a line of the file (JSON).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Line {
    /// The root before it.
    prior_root: Digest,
    /// The MAC of its batch, in which it is alone.
    mac: Digest,
    /// Its exact bytes.
    entry: String,
}

/// A change of a file that a node of ours wrote.
#[derive(Debug)]
pub struct Kept {
    /// The change.
    pub entry: ChangeEntry,
    /// Its exact bytes.
    pub body: String,
}

impl TailFile {
    /// Beside the anchor at `anchor`, with the ending `.tail`.
    pub fn beside(anchor: &Path) -> Self {
        Self { path: anchor.with_extension("tail") }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds changes at the end. Blocks.
    fn append(&self, lines: &[Line]) -> io::Result<()> {
        let mut file = match fs::OpenOptions::new().append(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => file::private(&self.path)?,
            opened => opened?,
        };
        file.write_all(text(lines).as_bytes())?;
        file.sync_data()
    }

    /// Adds changes at the end.
    pub async fn add(&self, lines: Vec<Line>) -> Result<(), OpenFault> {
        self.blocking(move |tail| tail.append(&lines)).await
    }

    /// Takes out what is of an earlier time, but for the newest change.
    pub async fn forget_before(&self, since: Timestamp) -> Result<(), OpenFault> {
        self.blocking(move |tail| {
            let text = fs::read_to_string(&tail.path)?;
            let last = text.lines().count().saturating_sub(1);
            let is_kept = |(number, line): &(usize, &str)| *number == last || time(line).is_none_or(|time| time >= since);
            let kept: String = text.lines().enumerate().filter(is_kept).map(|(_, line)| format!("{line}\n")).collect();
            file::replace(&tail.path, kept.as_bytes())
        })
        .await
    }

    /// Writes the file anew with the changes from the entry `from` on. Returns the last of them, if there are any.
    pub async fn write(&self, reader: &Reader, from: u64) -> Result<Option<u64>, OpenFault> {
        let (mut lines, mut last) = (Vec::new(), None);
        let mut snapshot = reader.snapshot().await?;
        loop {
            let rows = snapshot.changes(last.map_or(from, |last: u64| last + 1), PAGE).await?;
            let Some((newest, _)) = rows.last() else { break };
            last = Some(newest.index);
            for row in rows {
                lines.push(line(row)?);
            }
        }
        snapshot.end_reading().await?;
        self.blocking(move |tail| file::replace(&tail.path, text(&lines).as_bytes())).await?;
        Ok(last)
    }

    async fn blocking(&self, write: impl FnOnce(&Self) -> io::Result<()> + Send + 'static) -> Result<(), OpenFault> {
        let (tail, path) = (self.clone(), self.path.clone());
        let written =
            tokio::task::spawn_blocking(move || write(&tail)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|cause| OpenFault::File { path, cause })
    }
}

impl Line {
    /// Of a change, which is alone in its batch.
    pub fn of_batch(batch: &Batch, row: &Row) -> Self {
        Self::of(batch.prior.root, batch.mac, row.body.clone())
    }

    /// Of a change with these bytes, in a batch with this MAC after this root.
    pub fn of(prior_root: Digest, mac: [u8; 32], entry: String) -> Self {
        Self { prior_root, mac: Digest(mac), entry }
    }
}

fn text(lines: &[Line]) -> String {
    // Invariant: two digests and a text are JSON.
    lines.iter().map(|line| serde_json::to_string(line).expect("a line is JSON") + "\n").collect()
}

fn line((row, batch): ChangeRow) -> Result<Line, StoreFault> {
    let unreadable = || StoreFault::unreadable("a change that no batch of ours begins at");
    let batch = batch.ok_or_else(unreadable)?;
    let mac = batch.mac[..].try_into().map_err(|_| unreadable())?;
    Ok(Line::of(batch.prior_root, mac, String::from_utf8(row.body).map_err(|_| unreadable())?))
}

/// The time of the change in a line, which is not proved.
fn time(line: &str) -> Option<Timestamp> {
    let Line { entry, .. } = serde_json::from_str(line).ok()?;
    match Entry::parse(entry.as_bytes()).ok()? {
        Entry::Change(entry) => Some(entry.time),
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => None,
    }
}

/// Reads the changes of a file, each proved by the MAC of its batch. Blocks.
///
/// # Errors
/// The file cannot be read, or a line is none that a node of this journal wrote.
pub fn read(path: &Path, key: &MacKey) -> Result<Vec<Kept>, OpenFault> {
    let text = fs::read_to_string(path).map_err(|cause| OpenFault::File { path: path.to_owned(), cause })?;
    let foreign = |number: usize| OpenFault::Tail { path: path.to_owned(), line: number + 1 };
    text.lines().enumerate().map(|(number, line)| kept(line, key).ok_or_else(|| foreign(number))).collect()
}

fn kept(line: &str, key: &MacKey) -> Option<Kept> {
    let Line { prior_root, mac, entry: body } = serde_json::from_str(line).ok()?;
    let Ok(Entry::Change(entry)) = Entry::parse(body.as_bytes()) else { return None };
    let leaf = leaf_hash(body.as_bytes());
    key.verifies(&mac.0, prior_root, entry.index, entry.prior, &[leaf]).then_some(Kept { entry: *entry, body })
}
