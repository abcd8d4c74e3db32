//! Counts uses: follows the log into the counts beside it, at most a minute behind, and makes them anew where they cannot be believed.
//!
//! Enter through [`Broker::count_uses`], which a task calls, and whoever needs counts that are up to date (`counted`). No exchange
//! waits for it: entries are read some at a time on connections that only read, and rows are written some at a time between the commits of
//! others. Several nodes may count: each write compares the head, and a node that comes second reads again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::sync::MutexGuard;

use super::Broker;
use super::counting::{Changed, Counting};
use super::seen::Taken;
use crate::domain::decision::uses::{KEPT, Tally};
use crate::domain::log::entry::Entry;
use crate::domain::state::State;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::{At, Portion, Query, Unavailable, UseRow, UsesFault};

/// How often uses are counted. With the time that it takes, counts are less than a minute behind.
const COUNT_EVERY: Duration = Duration::from_secs(30);

/// Entries that are read at a time: reading them holds no thread for long.
const READ: u32 = 250;

/// Entries of which the counts are written together.
const WRITTEN_AFTER: u64 = 100_000;

/// Rows of one write, and how long others have the store to themselves between two of them.
const ROWS: usize = 256;
const PAUSE: Duration = Duration::from_millis(5);

impl Broker {
    /// Keeps counting until the task is dropped.
    pub async fn keep_counting(self) {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(fault) = self.count_uses().await {
                tracing::warn!(%fault, "uses are not counted; trying again");
            }
        }
    }

    /// Counts everything up to now.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn count_uses(&self) -> Result<(), UsesFault> {
        self.counted().await.map(drop)
    }

    /// The counts, up to date, for as long as the answer is held.
    pub(super) async fn counted(&self) -> Result<MutexGuard<'_, Option<Counting>>, UsesFault> {
        let mut counting = self.uses.counting.lock().await;
        let seen = self.uses.seen.take();
        let counted = self.catch_up(&mut counting, &seen).await;
        if counted.is_err() {
            // What is stored may be other than is known.
            *counting = None;
            self.uses.seen.put_back(seen);
        }
        self.uses.note(|progress| progress.fault = counted.as_ref().err().map(ToString::to_string));
        counted.map(|()| counting)
    }

    /// The counts of the days from `from` on, by use: each as often as it was counted on a day.
    pub(super) async fn tallies(&self, counting: &Counting, from: Day) -> Result<HashMap<Digest, Vec<Tally>>, UsesFault> {
        let mut tallies: HashMap<Digest, Vec<Tally>> = HashMap::new();
        for day in counting.known.days(from) {
            for (key, tally) in self.journal.uses_of(&counting.known, day).await?.rows {
                tallies.entry(key).or_default().push(tally);
            }
        }
        Ok(tallies)
    }

    async fn catch_up(&self, kept: &mut Option<Counting>, seen: &Taken) -> Result<(), UsesFault> {
        // A second node may write between any two steps, and counts that cannot be believed are made anew once.
        let mut tries = 0;
        loop {
            let mut counting = match kept.take() {
                Some(counting) => counting,
                None => self.begin().await?,
            };
            match self.follow_log(&mut counting, seen).await {
                Ok(true) => {
                    *kept = Some(counting);
                    return Ok(());
                }
                Ok(false) => tries += 1,
                Err(UsesFault::Unsound) if self.is_newest(&counting).await? => {
                    tries += 1;
                    self.clear().await?;
                }
                Err(UsesFault::Unsound) => tries += 1,
                Err(fault @ UsesFault::Unavailable(_)) => return Err(fault),
            }
            if tries > 3 {
                return Err(UsesFault::Unsound);
            }
        }
    }

    /// Whether nobody wrote since the counts were read: what does not fit then was changed by another hand.
    async fn is_newest(&self, counting: &Counting) -> Result<bool, UsesFault> {
        match self.journal.uses().await {
            Ok(stored) => Ok(stored.head == counting.known.head),
            Err(UsesFault::Unsound) => Ok(true),
            Err(fault @ UsesFault::Unavailable(_)) => Err(fault),
        }
    }

    async fn clear(&self) -> Result<(), UsesFault> {
        tracing::error!("the counts of uses are not as this server left them: they are made anew from the journal");
        self.uses.note(|progress| progress.rebuilt += 1);
        self.remove_all().await
    }

    async fn remove_all(&self) -> Result<(), UsesFault> {
        while !self.journal.clear_uses().await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Reads how far the counts are; where they do not fit the log, they begin anew.
    async fn begin(&self) -> Result<Counting, UsesFault> {
        let size = self.journal.view().size;
        let known = match self.journal.uses().await {
            Ok(known) if known.head.as_ref().is_none_or(|head| head.at <= size) => known,
            Ok(_) | Err(UsesFault::Unsound) => {
                self.clear().await?;
                self.journal.uses().await?
            }
            Err(fault @ UsesFault::Unavailable(_)) => return Err(fault),
        };
        let (at, since) = match &known.head {
            Some(head) => (head.at, head.since),
            None => {
                // A clearing may have been cut short.
                self.remove_all().await?;
                let since = self.now().minus(KEPT);
                (self.journal.first_from(since).await?, since)
            }
        };
        Ok(Counting { known, at, since, open: BTreeMap::new(), state: None, unwritten: 0 })
    }

    /// Counts up to the end of the log, and what APIs were told. False: another node wrote.
    async fn follow_log(&self, counting: &mut Counting, seen: &Taken) -> Result<bool, UsesFault> {
        loop {
            let view = self.journal.view();
            if counting.at >= view.size {
                counting.state = Some((*view.state).clone());
                let today = Day::of(self.now());
                // A day without uses is written once, to say that a node was there.
                if counting.known.days(today).next().is_none() {
                    counting.open_day(&self.journal, today).await?;
                    counting.open.entry(today).or_default();
                    counting.unwritten += 1;
                }
                for ((day, seen), tally) in seen {
                    counting.open_day(&self.journal, *day).await?;
                    counting.count_seen(*day, seen, *tally);
                    counting.unwritten += 1;
                }
                if counting.unwritten > 0 && !self.write_counts(counting).await? {
                    return Ok(false);
                }
                self.uses.note(|progress| {
                    (progress.counted, progress.since, progress.reached) = (counting.at, counting.since, self.now());
                });
                return Ok(true);
            }
            let state = match counting.state.take() {
                Some(state) => state,
                None => self.state_before(counting.at).await?,
            };
            self.read_some(counting, state, view.size).await?;
            if counting.unwritten >= WRITTEN_AFTER && !self.write_counts(counting).await? {
                return Ok(false);
            }
        }
    }

    async fn state_before(&self, index: u64) -> Result<State, UsesFault> {
        let view = self.journal.view();
        if view.seen.is_some_and(|seen| seen < index) {
            return Ok((*view.state).clone());
        }
        Ok(match index.checked_sub(1) {
            Some(before) => self.journal.state_at(At::Index(before)).await?,
            None => State::default(),
        })
    }

    /// Reads some entries, the first of them at `at`, in the state before it.
    async fn read_some(&self, counting: &mut Counting, mut state: State, size: u64) -> Result<(), UsesFault> {
        let query = Query { from: counting.at, to: Some(size), limit: Some(READ), ..Query::default() };
        let page = match self.journal.page(&query).await {
            Ok(page) => page,
            Err(fault) => return self.skip(counting, fault).await,
        };
        let days: std::collections::BTreeSet<Day> = page.entries.iter().map(|stored| Day::of(stored.entry.time())).collect();
        for day in days {
            counting.open_day(&self.journal, day).await?;
        }
        for stored in &page.entries {
            match &stored.entry {
                Entry::Change(change) => state.apply(change.index, change.time, &change.change),
                Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => counting.count(&stored.entry, &state),
            }
        }
        counting.state = Some(state);
        let next = page.after.map_or(size, |after| after.saturating_add(1));
        counting.unwritten += next.saturating_sub(counting.at);
        counting.at = next;
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Entries of a file that is away cannot be counted: counting goes on behind it, and says since when nothing is missing.
    async fn skip(&self, counting: &mut Counting, fault: Unavailable) -> Result<(), UsesFault> {
        let view = self.journal.view();
        self.journal.running()?;
        let Some(segment) = view.state.archive.holding(counting.at) else { return Err(fault.into()) };
        let Some(since) = self.journal.time_of(segment.until).await? else { return Err(fault.into()) };
        tracing::error!(
            first = segment.first,
            until = segment.until,
            "entries that are away are missing in the counts of uses"
        );
        (counting.since, counting.at) = (counting.since.max(since), segment.until);
        counting.unwritten += 1;
        Ok(())
    }

    /// Writes what was counted, some rows at a time, and says with the last of them how far it goes.
    async fn write_counts(&self, counting: &mut Counting) -> Result<bool, UsesFault> {
        let forgets = Day::of(self.now().minus(KEPT));
        let before = counting.known.head.as_ref().map_or(0, |head| head.at);
        let mut portions: Vec<(Day, Vec<Changed>)> = Vec::new();
        for (day, open) in &mut counting.open {
            let changed: Vec<_> =
                std::mem::take(&mut open.changed).into_iter().map(|(key, (tally, text))| (key, tally, text)).collect();
            let is_there = !changed.is_empty() || counting.known.days(*day).next() != Some(*day);
            portions.extend(changed.chunks(ROWS).map(|chunk| (*day, chunk.to_vec())));
            if changed.is_empty() && is_there {
                portions.push((*day, Vec::new()));
            }
        }
        if portions.is_empty() {
            portions.extend(counting.open.keys().next_back().map(|day| (*day, Vec::new())));
        }
        let last = portions.len().saturating_sub(1);
        for (number, (day, chunk)) in portions.into_iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let rows = chunk.iter().map(|(key, tally, _)| UseRow { day, key: *key, tally: *tally }).collect();
            let texts = chunk.into_iter().filter_map(|(_, _, text)| text).collect();
            let at = if number == last { counting.at } else { before };
            let portion = Portion { at, since: counting.since, texts, rows, forgets };
            let Some(open) = counting.open.get_mut(&day) else { return Ok(false) };
            if !self.journal.put_uses(&mut counting.known, (day, &mut open.stored), portion).await? {
                return Ok(false);
            }
        }
        counting.unwritten = 0;
        while counting.open.len() > 2 {
            counting.open.pop_first();
        }
        Ok(true)
    }
}
