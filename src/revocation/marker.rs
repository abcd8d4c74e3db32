//! The marker: up to which entry of the journal an environment's index is complete, and what moves it.

use crate::domain::state::recent_cuts::Cut;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::EnvironmentName;
use std::cmp::Ordering;

/// Up to where an environment's index is complete: `carnet:{ENV}:complete`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker {
    /// The journal's epoch.
    pub epoch: u64,
    /// The last change that was applied.
    pub index: u64,
    /// The journal's root after that change.
    pub root: Digest,
    /// When a live node said so last.
    pub time: Timestamp,
}

/// Changes to apply to one environment.
#[derive(Clone, Debug)]
pub struct Update {
    /// Where.
    pub environment: EnvironmentName,
    /// The marker that must be found.
    pub prior: Marker,
    /// The marker afterwards.
    pub marker: Marker,
    /// What the changes between the two cut.
    pub cuts: Vec<Cut>,
}

/// Everything, for a rebuild.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The marker afterwards.
    pub marker: Marker,
    /// The environments, also those without any cut.
    pub environments: Vec<EnvironmentName>,
    /// All cuts.
    pub cuts: Vec<Cut>,
}

/// What came of an update.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The marker is ahead of this view of the journal, or at another root.
    Ahead(Marker),
    /// A key holds something that no node of ours writes there.
    Strange(Strange),
    /// It was applied before.
    AlreadyThere,
    /// The marker is missing or older than expected: rebuild.
    Behind,
    /// Applied.
    Done,
}

/// A key of the index that holds something that no node of ours writes there: its shape, never its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Strange {
    /// The key.
    pub key: String,
    /// The shape of what it holds.
    pub seen: String,
    /// What a node of ours would have written.
    pub wanted: &'static str,
}

/// What a key of the index holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<T> {
    /// Nothing.
    Missing,
    /// Something of ours, by its form.
    At(T),
    /// Something else.
    Strange(Strange),
}

impl<T> From<Option<T>> for Found<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Self::At)
    }
}

/// A reader that finds no newer marker must not say "active" (docs/reference/redis-keys.md).
pub const STALE_AFTER: Seconds = Seconds(5);

/// How long expired tokens stay in the index beyond their `exp`: never shorter than a verifier's clock is late (ABUSE R-16).
pub(super) const KEPT_AFTER_EXPIRY: Seconds = Seconds(120);

/// Where a marker that was found stands to the one that is asked about.
pub(super) fn compare(found: Option<&Marker>, prior: Option<&Marker>, wanted: &Marker) -> Applied {
    let Some(found) = found else { return Applied::Behind };
    let place = |marker: &Marker| (marker.epoch, marker.index);
    let same = |marker: &&Marker| place(marker) == place(found);
    let (other, prior) = (Applied::Ahead(found.clone()), prior.filter(same));
    match place(found).cmp(&place(wanted)) {
        Ordering::Equal if found.root == wanted.root => Applied::AlreadyThere,
        Ordering::Equal | Ordering::Greater => other,
        Ordering::Less => match prior {
            Some(prior) if prior.root == found.root => Applied::Done,
            // Another root at the place where this node left it: another journal wrote it.
            Some(_) => other,
            None => Applied::Behind,
        },
    }
}

/// Whether a live node renewed the marker lately. One from the future says nothing either.
pub(super) fn is_fresh(marker: &Marker, now: Timestamp) -> bool {
    now.since(marker.time) <= STALE_AFTER && marker.time.since(now) <= STALE_AFTER
}
