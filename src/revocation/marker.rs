//! The marker: the entry of the journal up to which an environment's index is complete.

use crate::domain::state::recent_cuts::Cut;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::EnvironmentName;
use std::cmp::Ordering;

/// The marker of an environment: `carnet:{ENV}:complete`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marker {
    /// The journal's epoch.
    pub epoch: u64,
    /// The last change that was applied.
    pub index: u64,
    /// The journal's root after that change.
    pub root: Digest,
    /// The time at which a live node last renewed it, by the clock of the store.
    ///
    /// Redis takes its own, whatever a caller says.
    pub time: Timestamp,
}

/// Changes to apply to one environment.
#[derive(Clone, Debug)]
pub struct Update {
    /// The environment.
    pub environment: EnvironmentName,
    /// The marker that the index must have before.
    pub prior: Marker,
    /// The marker afterwards.
    pub marker: Marker,
    /// The cuts of the changes between the two.
    pub cuts: Vec<Cut>,
}

/// The whole index of an environment, for a rebuild.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The environment.
    pub environment: EnvironmentName,
    /// The marker afterwards.
    pub marker: Marker,
    /// All its cuts.
    pub cuts: Vec<Cut>,
}

/// The outcome of a rebuild.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rebuilt {
    /// It is in place.
    Done,
    /// Another process is rebuilding it; this one waits, and follows what that one puts in place.
    Held,
    /// What is there is newer than the snapshot, or forked, and stays.
    Newer,
}

/// The outcome of an update.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The marker is ahead of this view of the journal, or at another root.
    Ahead(Marker),
    /// A key has a value that no node of ours writes there.
    Strange(Strange),
    /// It was applied before.
    AlreadyThere,
    /// The marker is missing or older than expected: rebuild the index.
    Behind,
    /// Applied.
    Done,
}

/// A key of the index with a value that no node of ours writes: its shape, never its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Strange {
    /// The key.
    pub key: String,
    /// The shape of its value.
    pub seen: String,
    /// The shape that a node of ours would have written.
    pub wanted: &'static str,
}

/// The value of a key of the index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<T> {
    /// Nothing.
    Missing,
    /// A value of ours, by its form.
    At(T),
    /// Any other value.
    Strange(Strange),
}

impl<T> From<Option<T>> for Found<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Self::At)
    }
}

/// The age above which a marker is stale.
///
/// A reader without a newer one must not answer "active" (docs/reference/redis-keys.md).
pub const STALE_AFTER: Seconds = Seconds(5);

/// The time that tokens stay in the index beyond their `exp` (ABUSE R-16).
///
/// It must exceed the delay of any verifier's clock.
pub(super) const KEPT_AFTER_EXPIRY: Seconds = Seconds(120);

/// Compares the marker that was found with the wanted one, and with the one expected before it.
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

/// True if a live node renewed the marker lately. A marker from the future is not fresh either.
pub(super) fn is_fresh(marker: &Marker, now: Timestamp) -> bool {
    now.since(marker.time) <= STALE_AFTER && marker.time.since(now) <= STALE_AFTER
}
