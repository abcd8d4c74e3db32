//! The counts of uses on their way: what was read and not written yet, and how far it is.
//!
//! `broker::uses` reads and writes; here is what it keeps in between.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::seen::Seen;
use crate::domain::decision::uses::{KEPT, SeenUse, Tally, Use};
use crate::domain::log::entry::Entry;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::{Journal, KnownDay, KnownUses, UseText, UsesFault};
/// The counts of uses, as this node keeps them.
#[derive(Default)]
pub struct Uses {
    pub(super) counting: tokio::sync::Mutex<Option<Counting>>,
    /// What APIs were told since it was counted last.
    pub(super) seen: Seen,
    progress: Mutex<Progress>,
}

/// How far the counts are, for operators.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Entries before this one are counted.
    pub counted: u64,
    /// Nothing is missing from this time on.
    pub since: Timestamp,
    /// When the counts had reached the end of the log.
    pub reached: Timestamp,
    /// The number of times that this node made them anew because they could not be believed.
    pub rebuilt: u64,
    /// The fault of the last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Counts on their way.
pub(super) struct Counting {
    pub(super) known: KnownUses,
    pub(super) at: u64,
    pub(super) since: Timestamp,
    /// The days that were read, and may change.
    pub(super) open: BTreeMap<Day, Open>,
    /// The state before the entry `at`, once it is known.
    pub(super) state: Option<State>,
    pub(super) unwritten: u64,
}

/// A count that is not written yet, with the text of a use that is new on its day.
pub(super) type Changed = (Digest, Tally, Option<UseText>);

/// A day that may change.
#[derive(Default)]
pub(super) struct Open {
    pub(super) stored: KnownDay,
    /// The counts that are not written yet, with the texts of those that are new.
    pub(super) changed: BTreeMap<Digest, (Tally, Option<UseText>)>,
}

impl Progress {
    /// What is wrong with the counts, in words, if something is.
    pub fn fault(&self, now: Timestamp) -> Option<String> {
        let Self { counted, since, reached, rebuilt, fault } = self;
        if let Some(fault) = fault {
            return Some(format!("uses are not counted: {fault}; counted up to entry {counted}"));
        }
        // Before the first count there is nothing to say.
        if *reached == Timestamp::default() {
            return None;
        }
        let gap = (*since > now.minus(KEPT)).then(|| format!("uses before {since} are missing: entries were away"));
        let anew = (*rebuilt > 0).then(|| "uses were made anew, because another hand had changed their counts".to_owned());
        anew.or(gap)
    }
}

impl Uses {
    /// How far the counts are.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Counting {
    /// Entries before this one are counted.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The time from which on nothing is missing.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether nothing is missing from this time on.
    pub(super) fn is_whole_from(&self, time: Timestamp) -> bool {
        self.since <= time
    }

    /// Reads and proves a day, if it is not known yet.
    pub(super) async fn open_day(&mut self, journal: &Journal, day: Day) -> Result<(), UsesFault> {
        if !self.open.contains_key(&day) {
            let stored = journal.uses_of(&self.known, day).await?;
            self.open.insert(day, Open { stored, changed: BTreeMap::new() });
        }
        Ok(())
    }

    /// Counts an entry, in the state before it.
    pub(super) fn count(&mut self, entry: &Entry, state: &State) {
        let Some(counted) = Use::of(entry, state) else { return };
        let (index, time) = (entry.index(), entry.time());
        self.put(Day::of(time), &counted, |known| Tally::with(known, index, time));
    }

    /// Counts what APIs were told on a day that is open.
    pub(super) fn count_seen(&mut self, day: Day, seen: &SeenUse, tally: Tally) {
        self.put(day, &Use::Seen(Box::new(seen.clone())), |known| known.map_or(tally, |known| known.and(tally)));
    }

    fn put(&mut self, day: Day, counted: &Use, next: impl FnOnce(Option<Tally>) -> Tally) {
        // Invariant: a use serialises to JSON, like every record of the domain.
        let body = serde_json::to_string(counted).expect("a use is JSON");
        let key = Digest::of(body.as_bytes());
        let open = self.open.entry(day).or_default();
        match open.changed.get_mut(&key) {
            Some((tally, _)) => *tally = next(Some(*tally)),
            None => {
                let stored = open.stored.rows.get(&key).copied();
                let client = || counted.client().map(ToString::to_string).unwrap_or_default();
                let text = stored.is_none().then(|| UseText { key, client: client(), body, day });
                open.changed.insert(key, (next(stored), text));
            }
        }
    }
}
