//! The read side as the journal holds it: parsed answers of a store, and results of several of them.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use super::query::{COUNTED, Query, StoredEntry};
use super::read::Read;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::entry::{ChangeEntry, Entry, Issued};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::fault::StoreFault;
use crate::journal::sequencer::view::View;
use crate::journal::tree::merkle::{NodeAt, Subtree, prove};
use crate::journal::tree::tiles::{Kind, Tile};
use crate::journal::tree::{Contents, Tree};

/// Entries that one call reads.
const PAGE: u32 = 1000;

/// The read side. Cheap to clone.
#[derive(Clone)]
pub struct Reader(Arc<dyn Read>);

impl Deref for Reader {
    type Target = dyn Read;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Reader {
    /// The read side of a store.
    pub fn of(store: impl Read + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The entries of a query that an index or a bound makes short, in order of their index.
    pub async fn list(&self, query: &Query) -> Result<Vec<StoredEntry>, StoreFault> {
        parsed(self.0.list(query).await?)
    }

    /// The entries of a query of people. It fails when it takes too long.
    pub async fn look(&self, query: &Query, view: &View) -> Result<Vec<StoredEntry>, StoreFault> {
        let query = self.within_times(query, view).await?;
        parsed(self.0.look(&query).await?)
    }

    /// The number of entries of a query that are all in the store, at most [`COUNTED`]; none when counting takes too long.
    pub async fn count(&self, query: &Query, view: &View) -> Result<Option<u64>, StoreFault> {
        let query = self.within_times(query, view).await?;
        // The log has no gaps. Its indexes say how many entries lie between two of them, and its times too unless one was corrected.
        let is_timed = query.since.is_some() || query.until.is_some();
        if query.wants_every_one() && (!is_timed || view.state.corrections.is_empty()) {
            let to = query.to.map_or(view.size, |to| to.min(view.size));
            return Ok(Some(to.saturating_sub(query.from).min(u64::from(COUNTED))));
        }
        self.0.count(&query, COUNTED).await
    }

    /// The query, bounded to the entries that its times allow. Halving finds where a time begins.
    async fn within_times(&self, query: &Query, view: &View) -> Result<Query, StoreFault> {
        let mut within = query.clone();
        let before = |time: Timestamp| self.count_until(time.minus(Seconds(1)), view);
        if let Some(until) = query.until {
            let to = before(until).await?;
            within.to = Some(query.to.map_or(to, |wanted| wanted.min(to)));
        }
        // After a correction of time, entries that ran ahead of it stand before the place where it begins.
        if let Some(since) = query.since.filter(|since| *since > Timestamp::default() && view.state.corrections.is_empty()) {
            within.from = query.from.max(before(since).await?);
        }
        Ok(within)
    }

    /// Issuances from the entry `from` on and before `until`, at most 1000; of `clients` alone if given.
    pub async fn issued(&self, (from, until): (u64, u64), clients: Option<&Clients>) -> Result<Vec<Issued>, StoreFault> {
        self.0.issued(from, until, clients, PAGE).await?.iter().map(|body| issued(body)).collect()
    }

    /// The issuances with these indexes; one that has left the store is left out.
    pub async fn issued_at(&self, indexes: &[u64]) -> Result<Vec<Issued>, StoreFault> {
        self.0.bodies_at(indexes).await?.iter().map(|body| issued(body)).collect()
    }

    /// Change entries from `from` on, in order, at most 1000.
    pub async fn changes(&self, from: u64) -> Result<Vec<ChangeEntry>, StoreFault> {
        let bodies = self.0.changes(from, PAGE).await?;
        let entries = bodies.iter().map(|body| match parse(body)? {
            Entry::Change(entry) => Ok(*entry),
            Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => Err(StoreFault::unreadable(OTHER_KIND)),
        });
        entries.collect()
    }

    /// The texts of these digests; erased ones are missing.
    pub async fn texts(&self, digests: &[TextDigest]) -> Result<HashMap<TextDigest, TextRow>, StoreFault> {
        if digests.is_empty() {
            return Ok(HashMap::new());
        }
        // A text that somebody wrote over is not what was said.
        let said = |row: &TextRow| TextDigest::of(&row.salt, &row.text) == row.digest;
        Ok(self.0.texts(digests).await?.into_iter().filter(said).map(|row| (row.digest, row)).collect())
    }

    /// The contents of full tiles; those that are not stored are missing.
    pub async fn tiles(&self, wanted: &[Tile]) -> Result<Contents, StoreFault> {
        let mut contents = Contents::with_capacity(wanted.len());
        for tile in wanted.iter().filter(|tile| tile.kind() != Kind::Entries) {
            if let Some(content) = self.tile(tile).await? {
                contents.insert(*tile, content);
            }
        }
        Ok(contents)
    }

    /// The roots of `subtrees` of `tree`, by way of the stored tiles; nothing when one is missing.
    pub async fn roots(&self, tree: &Tree, subtrees: &[Subtree]) -> Result<Option<Vec<Digest>>, StoreFault> {
        let nodes: Vec<NodeAt> = subtrees.iter().flat_map(Subtree::nodes).collect();
        let contents = self.tiles(&Tree::wanted(&nodes, tree.size())).await?;
        Ok(prove(subtrees, |node| tree.node(node, &contents)))
    }

    /// The number of entries up to `at`, by halving: times never fall.
    ///
    /// Among entries that have left the store it is exact for changes alone, and for those after the last that left.
    pub async fn count_until(&self, at: Timestamp, view: &View) -> Result<u64, StoreFault> {
        // Times fall only where one was corrected: between corrections they are in order.
        let corrections = &view.state.corrections;
        let behind = corrections.iter().rposition(|(_, time)| *time <= at).map_or(0, |last| last + 1);
        let mut low = behind.checked_sub(1).map_or(0, |last| corrections[last].0);
        let mut high = corrections.get(behind).map_or(view.size, |(index, _)| *index);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.time_from(middle).await? {
                Some(time) if time <= at => low = middle + 1,
                Some(_) => high = middle,
                None => return Err(StoreFault::unreadable("an entry that is missing")),
            }
        }
        Ok(low)
    }
}

/// Said of a row under another kind than its entry's.
const OTHER_KIND: &str = "an entry whose kind is not that of its row";

fn parse(body: &str) -> Result<Entry, StoreFault> {
    Entry::parse(body.as_bytes()).map_err(StoreFault::unreadable)
}

fn issued(body: &str) -> Result<Issued, StoreFault> {
    match parse(body)? {
        Entry::Issued(entry) => Ok(*entry),
        Entry::Refused(_) | Entry::Counted(_) | Entry::Change(_) => Err(StoreFault::unreadable(OTHER_KIND)),
    }
}

fn parsed(bodies: Vec<String>) -> Result<Vec<StoredEntry>, StoreFault> {
    bodies.into_iter().map(|json| Ok(StoredEntry { entry: parse(&json)?, json })).collect()
}
