//! Retention: old issuance and refusal entries leave the database for segments beside it.
//!
//! docs/explanation/journal.md has the reasons.
//!
//! Enter through [`Journal::archive`], which somebody calls each minute, and [`Journal::page`], which reads on where entries have left.
//! Changes and tiles stay, so the state, proofs and [`Journal::verify`] need nothing of a segment but the entries that they prove.
//!
//! **The order, and what a power cut leaves.** The file is written and synced; a change puts it on record with its hash; another node, if
//! there is one, reads the file back ([`leaving`]); its entries leave the database, some at a time. Cut short before the change, an unused file is left. Cut short after it, the
//! entries that are still there leave at the next call, once the file was found whole again: what a restored backup lacks, it keeps.
//!
//! **What is refused.** A bundle that does not lead to the head's root by way of its tile is neither sealed nor told out of a file: somebody
//! else wrote it, or its tile. A file that is missing or damaged is told as a failure, never as an entry that is not there.
//!
//! Deliberately not here: the form of the files ([`segment`]), when entries leave ([`leaving`]), and the consumed proofs, which go once their time is over.

pub mod fault;
mod leaving;
pub mod segment;

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Unavailable;
use super::handle::{Journal, Proposal};
use super::store::query::{COUNTED, Query, StoredEntry};
use super::tree::merkle::{inclusion_path, leaf_hash, verify_inclusion};
use super::tree::tiles::{Tile, WIDTH};
use crate::domain::log::archive::Segment;
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::people::actor::Actor;
use crate::domain::state::about::About;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use fault::ArchiveFault;
use segment::{Bundles, blocking};

/// The time after which a segment is sealed that is not full.
///
/// It runs from when the first entry is due. A quiet broker seals once a day, and a busy one whenever a segment is full.
const PATIENCE: Seconds = Seconds::days(1);

/// Bundles that one page looks through: matching entries may be rare.
const BUNDLES: usize = 64;

const BUNDLE: u64 = WIDTH as u64;

/// A page of entries.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order that was asked for.
    pub entries: Vec<StoredEntry>,
    /// The last entry that was looked at, from which to read on. None at the end.
    ///
    /// The next page is after it, or before it if the newest come first.
    pub after: Option<u64>,
}

impl Journal {
    /// Seals the next entries older than `retention`, if they are enough for a segment.
    ///
    /// Sealed entries leave the database, at once or with a later call: once another node has read their file back. Returns the new segment;
    /// there may be more to seal, and nothing more is while one awaits that.
    ///
    /// # Errors
    /// A reason to leave entries where they are. Nothing is lost, and the next call goes on.
    pub async fn archive(&self, retention: Seconds) -> Result<Option<Segment>, ArchiveFault> {
        self.leave().await?;
        let Some((first, until)) = self.due(retention).await? else { return Ok(None) };
        let bundles = self.collect(first, until).await?;
        let shelf = self.shelf().clone();
        let segment = blocking(move || shelf.put(&bundles)).await??;
        let proposal = |state: &crate::domain::state::State, _| {
            let change = JournalChange::Archived(segment.clone()).by(Actor::Broker);
            (state.archive.until() == segment.first).then(|| Proposal::from(change)).ok_or(())
        };
        if self.change(None, proposal).await?.is_err() {
            // Another process was first.
            return Ok(None);
        }
        match self.leave().await {
            // It is on record only now, so no other node can have read it.
            Ok(()) | Err(ArchiveFault::Awaited(_)) => Ok(Some(segment)),
            Err(fault) => Err(fault),
        }
    }

    /// The entries to seal now.
    async fn due(&self, retention: Seconds) -> Result<Option<(u64, u64)>, Unavailable> {
        self.ensure_steady()?;
        let (view, now) = (self.view(), self.now());
        let first = view.state.archive.until();
        // Before the epoch nothing was written.
        let old = now.as_seconds().checked_sub(i64::from(retention.0)).and_then(Timestamp::from_seconds);
        let Some(old) = old else { return Ok(None) };
        let count = self.reader().count_until(old, &view).await?;
        let bundles = (count / BUNDLE).saturating_sub(first / BUNDLE).min(segment::MOST as u64);
        let Some(oldest) = self.reader().time_from(first).await?.filter(|_| bundles > 0) else { return Ok(None) };
        let is_full = bundles == segment::MOST as u64;
        let is_due = is_full || oldest.plus(PATIENCE) <= old;
        Ok(is_due.then_some((first, first + bundles * BUNDLE)))
    }

    async fn collect(&self, first: u64, until: u64) -> Result<Bundles, ArchiveFault> {
        let mut bundles = Bundles::from(first);
        while bundles.until() < until {
            let from = bundles.until();
            let rows = self.reader().bodies(from, from + BUNDLE).await.map_err(Unavailable::from)?;
            let bodies: Vec<Vec<u8>> = rows.into_iter().map(String::into_bytes).collect();
            self.ensure_ours(from, &bodies).await?;
            bundles = blocking(move || bundles.push(bodies.iter().map(Vec::as_slice)).map(|()| bundles))
                .await?
                .map_err(|cause| self.shelf().fault(cause))?;
        }
        Ok(bundles)
    }

    /// Whether the 256 entries from `first` on are those of their tile, and the tile is the log's.
    async fn ensure_ours(&self, first: u64, bodies: &[Vec<u8>]) -> Result<(), ArchiveFault> {
        let tile = Tile::full(0, first / BUNDLE);
        let contents = self.reader().tiles(&[tile]).await.map_err(Unavailable::from)?;
        let hashes = contents.get(&tile).and_then(|content| tile.hashes(content).ok()).ok_or(ArchiveFault::Foreign(first))?;
        let leaves: Vec<Digest> = bodies.iter().map(|body| leaf_hash(body)).collect();
        let mut found = leaves.iter();
        if let Some((_, index)) = hashes.iter().zip(first..).find(|(hash, _)| found.next() != Some(*hash)) {
            return Err(ArchiveFault::Foreign(index));
        }
        // A tile is a row like any other. The way from one of its leaves to the root of the head, which is in memory, goes by way of all
        // the others.
        let (head, tree) = self.tree().await?;
        let path = inclusion_path(first, head.size).ok_or(ArchiveFault::Foreign(first))?;
        let path = self.reader().roots(&tree, &path).await.map_err(Unavailable::from)?.ok_or(ArchiveFault::Foreign(first))?;
        match leaves.first() {
            Some(leaf) if verify_inclusion(*leaf, first, (head.size, head.root), &path) => Ok(()),
            _ => Err(ArchiveFault::Foreign(first)),
        }
    }

    /// The exact bytes of one entry, in the database or in its segment.
    pub async fn body(&self, index: u64) -> Result<Option<String>, Unavailable> {
        self.running()?;
        if let Some(body) = self.reader().body(index).await? {
            return Ok(Some(body));
        }
        let Some(segment) = self.view().state.archive.holding(index).cloned() else { return Ok(None) };
        let bundle = self.sealed_bundle(&segment, index).await?;
        Ok(bundle.into_iter().zip(index / BUNDLE * BUNDLE..).find(|(_, at)| *at == index).map(|(body, _)| body))
    }

    /// The exact bytes of these entries, in the database or in their segments; those that the log lacks are missing.
    pub async fn bodies(&self, indexes: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, Unavailable> {
        self.running()?;
        let mut bodies = BTreeMap::new();
        let archive = self.view().state.archive.clone();
        // The bundle of the entry before: neighbours are in the same one.
        let mut open: (u64, Vec<String>) = (0, Vec::new());
        for index in indexes.iter().copied() {
            let begins = index / BUNDLE * BUNDLE;
            let body = match (self.reader().body(index).await?, archive.holding(index)) {
                (Some(body), _) => Some(body),
                // It may have left since the segments were looked at.
                (None, None) => self.body(index).await?,
                (None, Some(segment)) => {
                    if open.0 != begins || open.1.is_empty() {
                        open = (begins, self.sealed_bundle(segment, index).await?);
                    }
                    open.1.iter().zip(begins..).find(|(_, at)| *at == index).map(|(body, _)| body.clone())
                }
            };
            bodies.extend(body.map(|body| (index, body)));
        }
        Ok(bodies)
    }

    /// The entries of the bundle that holds `index`, from their segment.
    async fn sealed_bundle(&self, segment: &Segment, index: u64) -> Result<Vec<String>, Unavailable> {
        let (shelf, from) = (self.shelf().clone(), segment.clone());
        let read = async {
            let bodies = blocking(move || shelf.bundle(&from, index)).await??;
            self.ensure_ours(index / BUNDLE * BUNDLE, &bodies).await?;
            Ok(bodies)
        };
        let bodies = read.await.map_err(|fault: ArchiveFault| {
            tracing::error!(%fault, index, "an entry that left the database cannot be read");
            Unavailable::BUSY
        })?;
        let text = |body| String::from_utf8(body).map_err(|_| Unavailable::STOPPED);
        bodies.into_iter().map(text).collect()
    }

    /// A page of the entries of a query, whether or not they have left the database.
    ///
    /// The page may be short, or empty, and have more after it.
    pub async fn page(&self, query: &Query) -> Result<Page, Unavailable> {
        loop {
            let until = self.view().state.archive.until();
            let page = if query.newest_first { self.newest_once(query).await? } else { self.page_once(query).await? };
            // Entries that were sealed meanwhile may have left the part of the database that was read.
            if self.view().state.archive.until() == until {
                return Ok(page);
            }
        }
    }

    /// Entries of the database for queries of people, with a time limit.
    async fn look(&self, query: &Query) -> Result<Vec<StoredEntry>, Unavailable> {
        self.running()?;
        let Some(parts) = parts(query) else { return Ok(self.reader().look(query, &self.view()).await?) };
        let mut entries = Vec::new();
        for mut part in parts {
            if part.kind.as_deref() == Some(ISSUED) {
                // Nobody looks through the tokens of others for a partner that has none, or none any more.
                let about = part.about.as_ref().map(About::clients);
                let Some(clients) = about else { continue };
                let Some(last) = self.reader().last_issued(&clients).await.map_err(Unavailable::from)? else { continue };
                part.to = Some(part.to.map_or(last + 1, |to| to.min(last + 1)));
            }
            entries.extend(self.reader().look(&part, &self.view()).await?);
        }
        entries.sort_by_key(|stored| stored.entry.index());
        if query.newest_first {
            entries.reverse();
        }
        entries.truncate(query.limit());
        Ok(entries)
    }

    /// The number of entries of a query that are all in the database, at most 100 000. None if counting takes too long.
    async fn count(&self, query: &Query) -> Result<Option<u64>, Unavailable> {
        let Some(parts) = parts(query).filter(|_| query.actor.is_none() && query.subject.is_none()) else {
            return Ok(self.reader().count(query, &self.view()).await?);
        };
        let mut all = 0_u64;
        for part in parts {
            let about = part.about.as_ref().map(About::clients);
            let number = match about.filter(|_| part.kind.as_deref() == Some(ISSUED)) {
                Some(clients) => {
                    let times = (part.since.unwrap_or_default(), part.until.unwrap_or(Timestamp::MAX));
                    Some(self.count_issued(&clients, (part.from, part.to.unwrap_or(u64::MAX)), times).await?)
                }
                None => self.reader().count(&part, &self.view()).await?,
            };
            let Some(number) = number else { return Ok(None) };
            all = all.saturating_add(number);
        }
        Ok(Some(all.min(u64::from(COUNTED))))
    }

    /// The number of entries of a query beyond those of `page`, at most 100 000.
    ///
    /// None if some may have left the database, or counting takes too long.
    pub async fn beyond(&self, query: &Query, page: &Page) -> Result<Option<u64>, Unavailable> {
        let Some(after) = page.after else { return Ok(Some(0)) };
        let rest = if query.newest_first {
            Query { to: Some(after), ..query.clone() }
        } else {
            Query { from: after.saturating_add(1), ..query.clone() }
        };
        if query.may_have_left() && rest.from < self.view().state.archive.until() {
            return Ok(None);
        }
        self.count(&rest).await
    }

    /// The newest first: the database, and below what has left it bundle by bundle.
    async fn newest_once(&self, query: &Query) -> Result<Page, Unavailable> {
        let limit = query.limit();
        let archive = self.view().state.archive.clone();
        let until = if query.may_have_left() { archive.until() } else { 0 };
        let recent = Query { from: query.from.max(until), ..query.clone() };
        let mut entries = self.look(&recent).await?;
        if entries.len() >= limit || query.from >= until {
            let after = entries.last().filter(|_| entries.len() >= limit).map(|last| last.entry.index());
            return Ok(Page { entries, after });
        }
        let mut at = until.min(query.to.unwrap_or(u64::MAX));
        for _ in 0..BUNDLES {
            let Some(last) = at.checked_sub(1).filter(|last| *last >= query.from) else { break };
            let Some(segment) = archive.holding(last) else { break };
            let begins = last / BUNDLE * BUNDLE;
            let bundle: Vec<(String, u64)> = self.sealed_bundle(segment, last).await?.into_iter().zip(begins..).collect();
            for (json, index) in bundle.into_iter().rev() {
                if index >= at || index < query.from || entries.len() >= limit {
                    continue;
                }
                at = index;
                let entry = Entry::parse(json.as_bytes()).map_err(|_| Unavailable::STOPPED)?;
                if query.wants(&entry) {
                    entries.push(StoredEntry { json, entry });
                }
            }
            if entries.len() >= limit {
                break;
            }
        }
        Ok(Page { entries, after: (at > query.from).then_some(at) })
    }

    async fn page_once(&self, query: &Query) -> Result<Page, Unavailable> {
        let limit = query.limit();
        let archive = self.view().state.archive.clone();
        let until = archive.until().min(query.to.unwrap_or(u64::MAX));
        let (mut entries, mut at) = (Vec::new(), query.from);
        if query.may_have_left() {
            for _ in 0..BUNDLES {
                let Some(segment) = archive.holding(at).filter(|_| at < until && entries.len() < limit) else { break };
                let begins = at / BUNDLE * BUNDLE;
                for (json, index) in self.sealed_bundle(segment, at).await?.into_iter().zip(begins..) {
                    if index < at || index >= until || entries.len() >= limit {
                        continue;
                    }
                    at = index + 1;
                    let entry = Entry::parse(json.as_bytes()).map_err(|_| Unavailable::STOPPED)?;
                    if query.wants(&entry) {
                        entries.push(StoredEntry { json, entry });
                    }
                }
            }
            if at < until || entries.len() >= limit {
                return Ok(Page { entries, after: at.checked_sub(1) });
            }
        }
        let rest = Query {
            from: at,
            limit: Some(u32::try_from(limit - entries.len()).unwrap_or(u32::MAX)),
            newest_first: false,
            ..query.clone()
        };
        entries.extend(self.look(&rest).await?);
        let after = entries.last().filter(|_| entries.len() >= limit).map(|last| last.entry.index());
        Ok(Page { entries, after })
    }
}

const ISSUED: &str = "issued";

/// A query about a partner, in parts that an index finds each, but for its tokens. None of any other query.
fn parts(query: &Query) -> Option<Vec<Query>> {
    query.about.as_ref()?;
    if query.request_id.is_some() || query.token.is_some() {
        return None;
    }
    let of = |kind: &str| Query { kind: Some(kind.to_owned()), changes_alone: false, ..query.clone() };
    match query.kind.as_deref() {
        Some(ISSUED) if !query.changes_alone => Some(vec![of(ISSUED)]),
        Some(_) => None,
        None if query.changes_alone => None,
        None => {
            let changes = Query { changes_alone: true, ..query.clone() };
            Some(vec![changes, of("refused"), of("refusals"), of(ISSUED)])
        }
    }
}
