//! The log read once, and judged at each change and date.
//!
//! An integration is judged anew when an entry may have moved something of it ([`moved`]), and when a date of it comes. `tests` judge
//! everything at every step, and find the same.

use std::collections::{BTreeMap, BTreeSet};

use super::criterion::Criterion;
use super::findings::{Count, Exception, Finding, MOST_ENTRIES};
use super::integrations::{self, CRITERIA, Judged, is_of_agent};
use super::moved::{Unit, moved};
use super::{tokens, whole};
use crate::domain::log::change::Change;
use crate::domain::log::entry::{ChangeEntry, Issued};
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::record::{Record, Weight, compare};
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{IntegrationId, Issuer};

/// The exceptions of one criterion that are listed. More are counted.
const MOST_EXCEPTIONS: usize = 1000;

/// The period that is asked about, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period {
    /// Its first second.
    pub from: Timestamp,
    /// Its last second.
    pub to: Timestamp,
}

/// What is known of a unit since it was judged last.
#[derive(Debug)]
struct Known {
    counts: Box<[Count; CRITERIA]>,
    broken: BTreeSet<(Criterion, String)>,
    next: Option<Timestamp>,
    agent: bool,
    /// The newest entry about it.
    entry: Option<u64>,
}

/// Since when an item breaks a criterion.
#[derive(Debug)]
struct Since {
    at: Timestamp,
    entry: Option<u64>,
    agent: bool,
    why: String,
}

/// An assessment under way.
#[derive(Debug)]
pub struct Assessment {
    period: Period,
    state: State,
    /// The time up to which dates were judged.
    now: Timestamp,
    /// The last change, which the next one names.
    last: Option<u64>,
    units: BTreeMap<Unit, Known>,
    /// The integrations with a version that no approval gave, and that is not provably narrower than the one before.
    widened: BTreeSet<IntegrationId>,
    /// The issuers that our people signed in at.
    people: BTreeSet<Issuer>,
    agenda: BTreeSet<(Timestamp, Unit)>,
    open: BTreeMap<(Criterion, String), Since>,
    counts: [Count; CRITERIA],
    /// The greatest numbers within the period; `None` before it.
    peak: Option<[Count; CRITERIA]>,
    found: BTreeMap<Criterion, Found>,
    /// Judge everything at every step.
    thorough: bool,
}

/// What was found of a criterion so far.
#[derive(Debug, Default)]
struct Found {
    /// Items that are counted once and for all: tokens and changes.
    items: Count,
    exceptions: Vec<Exception>,
    more: Count,
    entries: Vec<(u64, bool)>,
}

impl Assessment {
    /// Begins with an empty log.
    pub fn of(period: Period) -> Self {
        Self {
            period,
            state: State::default(),
            now: Timestamp::default(),
            last: None,
            units: BTreeMap::new(),
            widened: BTreeSet::new(),
            people: BTreeSet::new(),
            agenda: BTreeSet::new(),
            open: BTreeMap::new(),
            counts: [Count::default(); CRITERIA],
            peak: None,
            found: BTreeMap::new(),
            thorough: false,
        }
    }

    #[cfg(test)]
    pub(super) fn thorough(period: Period) -> Self {
        Self { thorough: true, ..Self::of(period) }
    }

    /// The state after the entries so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes the next change of the log.
    pub fn change(&mut self, entry: &ChangeEntry) {
        self.until(entry.time);
        self.chain(entry);
        self.narrows(&entry.change.what);
        let (before, wide) = (moved(&entry.change.what, &self.state), self.wide(&entry.change.what));
        self.state.apply(entry.index, entry.time, &entry.change);
        if let Some(person) = entry.change.by.person().filter(|person| !self.people.contains(&person.iss)) {
            self.people.insert(person.iss.clone());
        }
        let after = moved(&entry.change.what, &self.state);
        let mut units: BTreeSet<Unit> = BTreeSet::new();
        for unit in [before.own, after.own].into_iter().flatten() {
            self.known(&unit).entry = Some(entry.index);
            units.insert(unit);
        }
        let all = before.all || after.all || wide != self.wide(&entry.change.what) || self.thorough;
        if all {
            units.extend(self.everything());
        } else {
            units.extend([before.beside, after.beside].into_iter().flatten());
        }
        units.into_iter().for_each(|unit| self.judge(unit, entry.time));
        self.count();
    }

    /// What everything is judged by, and few changes move: the number of the issuers of people, and whether this one is an agent.
    fn wide(&self, change: &Change) -> (usize, bool) {
        let id = if let Change::Integration(change) = change { Some(change.integration()) } else { None };
        (self.people.len(), id.is_some_and(|id| is_of_agent(id, &self.state)))
    }

    /// Takes the next token of the log, where it lived in the period.
    pub fn token(&mut self, issued: &Issued) {
        self.until(issued.time);
        if issued.time > self.period.to || issued.exp <= self.period.from {
            return;
        }
        let Judged { counts, broken, next: _ } = tokens::judge(issued, &self.state);
        for criterion in Criterion::ALL {
            let count = counts.get(criterion.place()).copied().unwrap_or_default();
            if count != Count::default() {
                let found = self.found.entry(criterion).or_default();
                found.items.all += count.all;
                found.items.agents += count.agents;
                found.evidence(issued.index, count.agents > 0);
            }
        }
        for one in broken {
            let (item, agent, why) = (one.item, one.agent, one.why);
            let (from, until, entry) = (issued.time, Some(issued.exp), Some(issued.index));
            self.found.entry(one.criterion).or_default().except(Exception { item, agent, why, from, until, entry });
        }
    }

    /// Ends at the end of the period, and tells what was found, in the order of the criteria.
    pub fn finish(mut self) -> Vec<Finding> {
        self.until(self.period.to);
        self.enter(self.period.to);
        self.count();
        let open = std::mem::take(&mut self.open);
        for ((criterion, item), since) in open {
            self.close(criterion, item, since, None);
        }
        let peak = self.peak.unwrap_or(self.counts);
        let mut findings = Vec::new();
        for criterion in Criterion::ALL {
            let Found { items, mut exceptions, more, mut entries } = self.found.remove(&criterion).unwrap_or_default();
            let held = peak.get(criterion.place()).copied().unwrap_or_default();
            let population = Count { all: items.all + held.all, agents: items.agents + held.agents };
            let has = |known: &&Known| known.counts.get(criterion.place()).is_some_and(|count| count.all > 0);
            entries.extend(self.units.values().filter(has).filter_map(|known| Some((known.entry?, known.agent))));
            entries.extend(exceptions.iter().filter_map(|one| Some((one.entry?, one.agent))));
            entries.sort_unstable_by(|one, other| other.cmp(one));
            entries.dedup_by_key(|(index, _)| *index);
            let agents: Vec<(u64, bool)> = entries.iter().filter(|(_, agent)| *agent).take(MOST_ENTRIES).copied().collect();
            entries.truncate(MOST_ENTRIES);
            entries.extend(agents.into_iter().filter(|one| !entries.contains(one)).collect::<Vec<_>>());
            exceptions.sort_by(|one, other| (other.from, &one.item).cmp(&(one.from, &other.item)));
            findings.push(Finding { criterion, population, exceptions, more, unjudged: false, entries });
        }
        findings
    }

    /// Judges what dates up to `time` move.
    fn until(&mut self, time: Timestamp) {
        let until = time.min(self.period.to);
        while let Some((at, _)) = self.agenda.first().filter(|(at, _)| *at <= until) {
            let at = *at;
            self.enter(at);
            let mut units = BTreeSet::new();
            while let Some((_, unit)) = self.agenda.first().filter(|(due, _)| *due == at).cloned() {
                self.agenda.remove(&(at, unit.clone()));
                units.insert(unit);
            }
            if self.thorough {
                units.extend(self.everything());
            }
            units.into_iter().for_each(|unit| self.judge(unit, at));
            self.count();
        }
        self.enter(time);
    }

    /// Knows that it is `time`. With the first second of the period what there is begins to count.
    fn enter(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
        if self.peak.is_none() && time >= self.period.from {
            self.peak = Some(self.counts);
        }
    }

    /// Counts what there is now, within the period.
    fn count(&mut self) {
        let counts = &self.counts;
        for (peak, count) in self.peak.iter_mut().flatten().zip(counts) {
            *peak = peak.max(*count);
        }
    }

    /// A change names the one before it. A gap in the record stays one.
    fn chain(&mut self, entry: &ChangeEntry) {
        let broken = entry.prior != self.last;
        self.last = Some(entry.index);
        let found = self.found.entry(Criterion::LogUnbroken).or_default();
        found.items.all += 1;
        found.evidence(entry.index, false);
        if broken {
            let why = match entry.prior {
                Some(prior) => format!("it names {prior} as the change before it, and that is another"),
                None => "it names no change before it, and there is one".to_owned(),
            };
            let (item, from, entry) = (format!("entry {}", entry.index), entry.time, Some(entry.index));
            found.except(Exception { item, agent: false, why, from, until: None, entry });
        }
    }

    /// A version comes into force without an approval if nobody can do more by it, and in no other way.
    fn narrows(&mut self, change: &Change) {
        if let Change::Integration(IntegrationChange::Narrowed { record, .. })
        | Change::Recertification(RecertificationChange::Decided { record: Some(record), .. }) = change
            && self.widens(record)
        {
            self.widened.insert(record.id.clone());
        }
        if let Change::Integration(
            IntegrationChange::Activated { integration, .. } | IntegrationChange::Changed { integration, .. },
        ) = change
        {
            self.widened.remove(integration);
        }
    }

    /// Whether somebody can do more by a version than by the one in force.
    fn widens(&self, new: &Integration) -> bool {
        let Some(known) = self.state.integrations.get(&new.id) else { return true };
        let Some(old) = &known.current else { return true };
        let open = |version: &Integration| Record::Integration(known.without_closed(version));
        let differences = compare(Some(&open(&old.record)), &open(new), &mut Effort::default());
        // What takes too long to compare is not known to be narrower.
        differences.map_or(true, |all| all.iter().any(|one| one.weight == Weight::Widens))
    }

    /// Judges a unit, and notes what broke and what was mended.
    fn judge(&mut self, unit: Unit, at: Timestamp) {
        let (judged, agent) = match &unit {
            Unit::Catalogue => (whole::judge_catalogue(&self.state), false),
            Unit::Cases => (whole::judge_cases(&self.state), false),
            Unit::Integration(id) => (
                integrations::judge(id, &self.state, &self.people, self.widened.contains(id), at),
                is_of_agent(id, &self.state),
            ),
            Unit::Signals => (whole::judge_signals(&self.state, at), false),
        };
        let Judged { counts, broken, next } = judged;
        let known = self.units.entry(unit.clone()).or_insert_with(Known::new);
        for ((all, old), new) in self.counts.iter_mut().zip(known.counts.iter()).zip(&counts) {
            all.all = (all.all + new.all).saturating_sub(old.all);
            all.agents = (all.agents + new.agents).saturating_sub(old.agents);
        }
        if let Some(gone) = known.next.filter(|_| known.next != next) {
            self.agenda.remove(&(gone, unit.clone()));
        }
        let before = std::mem::take(&mut known.broken);
        let entry = known.entry;
        (*known.counts, known.next, known.agent) = (counts, next, agent);
        known.broken = broken.iter().map(|one| (one.criterion, one.item.clone())).collect();
        let mended: Vec<_> = before.difference(&known.broken).cloned().collect();
        if let Some(next) = next {
            self.agenda.insert((next, unit));
        }
        for key in mended {
            if let Some(since) = self.open.remove(&key) {
                self.close(key.0, key.1, since, Some(at));
            }
        }
        for one in broken {
            let (agent, why) = (one.agent, one.why);
            self.open.entry((one.criterion, one.item)).or_insert(Since { at, entry, agent, why });
        }
    }

    /// Keeps an exception, if some of it lies in the period.
    fn close(&mut self, criterion: Criterion, item: String, since: Since, until: Option<Timestamp>) {
        let Since { at, entry, agent, why } = since;
        if at > self.period.to || until.is_some_and(|until| until <= self.period.from || until == at) {
            return;
        }
        let found = self.found.entry(criterion).or_default();
        found.except(Exception { item, agent, why, from: at, until, entry });
    }

    fn known(&mut self, unit: &Unit) -> &mut Known {
        self.units.entry(unit.clone()).or_insert_with(Known::new)
    }

    fn everything(&self) -> Vec<Unit> {
        let integrations = self.state.integrations.keys().cloned().map(Unit::Integration);
        integrations.chain([Unit::Catalogue, Unit::Cases, Unit::Signals]).chain(self.units.keys().cloned()).collect()
    }
}

impl Known {
    fn new() -> Self {
        let counts = Box::new([Count::default(); CRITERIA]);
        Self { counts, broken: BTreeSet::new(), next: None, agent: false, entry: None }
    }
}

impl Found {
    fn except(&mut self, exception: Exception) {
        if self.exceptions.len() < MOST_EXCEPTIONS {
            self.exceptions.push(exception);
        } else {
            self.more.add(exception.agent);
        }
    }

    /// Keeps an entry among the newest. Entries come in their order.
    fn evidence(&mut self, index: u64, agent: bool) {
        self.entries.push((index, agent));
        if self.entries.len() > 8 * MOST_ENTRIES {
            let newest = self.entries.split_off(self.entries.len() - MOST_ENTRIES);
            let others = self.entries.iter().rev().filter(|(_, agent)| *agent).take(MOST_ENTRIES).copied();
            let mut kept: Vec<_> = others.collect();
            kept.reverse();
            kept.extend(newest);
            self.entries = kept;
        }
    }
}
