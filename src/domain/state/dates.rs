//! The dates of what is in force, in their order, and how far people were told of them.
//!
//! The index holds a moment and whose it is; what happens then is asked of the records ([`State::dates_of`](super::State::dates_of)), and so is
//! what a change takes out of the index. So it takes a few words for each moment. `dated` folds it, `decision::dates` reads it, and nothing else does: a date decides nothing here.

use imbl::{OrdMap, OrdSet};

use crate::domain::registry::date::{DAYS_BEFORE, Date, Noticed, Place};
use crate::domain::registry::suspension::Party;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{IntegrationId, Issuer};

/// The dates of what is in force.
#[derive(Clone, Debug, Default)]
pub struct Dates {
    /// By moment and party: since when it is known.
    by_time: OrdMap<(Timestamp, Party), Timestamp>,
    /// The integrations whose records ask that keys of an issuer change.
    by_issuer: OrdMap<Issuer, OrdSet<IntegrationId>>,
    /// The integrations that have no owner any more.
    graced: OrdSet<IntegrationId>,
    /// The integrations that are offboarded by themselves, by when.
    offboards: OrdSet<(Timestamp, IntegrationId)>,
    told: Option<Told>,
}

/// What the records say of a party.
#[derive(Debug, Default)]
pub(super) struct Dated {
    /// The moments, each once and in their order.
    times: Vec<Timestamp>,
    /// When its offboarding opens by itself.
    offboards: Option<Timestamp>,
    is_graced: bool,
    /// The issuers whose keys the record in force asks to change.
    issuers: Vec<Issuer>,
}

impl Dated {
    pub(super) fn new(dates: &[(Date, Timestamp)], issuers: Vec<Issuer>) -> Self {
        let mut times: Vec<Timestamp> = dates.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        times.dedup();
        let opens = |(date, at): &(Date, Timestamp)| matches!(date, Date::OffboardingOpens { .. }).then_some(*at);
        let is_graced = dates.iter().any(|(date, _)| matches!(date, Date::OwnerGraceEnds { .. }));
        Self { times, offboards: dates.iter().find_map(opens), is_graced, issuers }
    }
}

/// How far people were told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// When, by the newest entry.
    pub at: Timestamp,
    /// The moment up to which everything was told.
    pub until: Timestamp,
    /// The newest date of which people were told, if some of that moment may be left.
    pub last: Option<Noticed>,
}

/// A moment at which something is due.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// When the date comes.
    pub at: Timestamp,
    /// Whose it is.
    pub party: &'a Party,
    /// Since when it is known. A notice for an earlier moment is not made up for.
    pub since: Timestamp,
}

impl Told {
    /// Whether people were told of this.
    pub fn covers(&self, place: Place<'_>) -> bool {
        match &self.last {
            None => place.0 <= self.until,
            Some(last) => {
                let party = last.date.party();
                place <= (last.instant(), rank(last.days), &party, &last.date)
            }
        }
    }
}

/// The place of a warning among the others of one moment.
fn rank(days: u32) -> usize {
    DAYS_BEFORE.iter().position(|known| *known == days).unwrap_or(DAYS_BEFORE.len())
}

impl Dates {
    /// How far people were told; `None` before the first entry.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// The moments whose notice, by so many days before, is due at `now` and may not have been told, in their order.
    pub fn due(&self, days: u32, now: Timestamp) -> impl Iterator<Item = Moment<'_>> {
        let before = Seconds::days(days);
        let from = self.told.as_ref().map_or((now, Party::least()), |told| {
            let at = told.until.plus(before);
            match &told.last {
                Some(last) if rank(days) == rank(last.days) => (at, last.date.party()),
                Some(last) if rank(days) > rank(last.days) => (at, Party::least()),
                Some(_) | None => (at.plus(Seconds(1)), Party::least()),
            }
        });
        let until = (now.plus(before).plus(Seconds(1)), Party::least());
        // A clock that went back leaves nothing between the two.
        let range = (from < until).then(|| self.by_time.range(from..until));
        range.into_iter().flatten().map(|((at, party), since)| Moment { at: *at, party, since: *since })
    }

    /// Every moment of the index with its party, in their order.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (Timestamp, &Party)> {
        self.by_time.keys().map(|(at, party)| (*at, party))
    }

    /// The first integration whose offboarding opens by itself at `now`, and when it was due.
    pub(super) fn offboards(&self, now: Timestamp) -> Option<(&IntegrationId, Timestamp)> {
        self.offboards.get_min().filter(|(at, _)| *at <= now).map(|(at, id)| (id, *at))
    }

    /// The integrations that have no owner any more.
    pub(super) fn graced(&self) -> impl Iterator<Item = &IntegrationId> {
        self.graced.iter()
    }

    /// The integrations whose records ask that keys of this issuer change.
    pub(super) fn trusting(&self, issuer: &Issuer) -> impl Iterator<Item = &IntegrationId> {
        self.by_issuer.get(issuer).into_iter().flatten()
    }

    /// Knows the dates of a party from `now` on, in place of those that its records said `before`. Those that stay are known since they were.
    pub(super) fn index(&mut self, party: &Party, before: &Dated, dated: &Dated, now: Timestamp) {
        let key = |at: Timestamp| (at, party.clone());
        for gone in before.times.iter().filter(|at| !dated.times.contains(at)) {
            self.by_time.remove(&key(*gone));
        }
        // What is past when it becomes known is told by the change that made it so.
        for known in dated.times.iter().filter(|at| **at > now) {
            self.by_time.entry(key(*known)).or_insert(now);
        }
        match party {
            Party::Integration(id) => self.index_integration(id, before, dated),
            Party::Partner(_) => {}
        }
    }

    fn index_integration(&mut self, id: &IntegrationId, before: &Dated, dated: &Dated) {
        if before.offboards != dated.offboards {
            before.offboards.into_iter().for_each(|gone| drop(self.offboards.remove(&(gone, id.clone()))));
            self.offboards.extend(dated.offboards.map(|at| (at, id.clone())));
        }
        if dated.is_graced {
            self.graced.insert(id.clone());
        } else {
            self.graced.remove(id);
        }
        for gone in before.issuers.iter().filter(|issuer| !dated.issuers.contains(issuer)) {
            let left = self.by_issuer.get_mut(gone).map(|all| {
                all.remove(id);
                all.len()
            });
            if left == Some(0) {
                self.by_issuer.remove(gone);
            }
        }
        for new in dated.issuers.iter().filter(|issuer| !before.issuers.contains(issuer)) {
            self.by_issuer.entry(new.clone()).or_default().insert(id.clone());
        }
    }

    /// Knows that people were told of these, in their order. The first entry tells of nothing: it begins here.
    pub(super) fn tell(&mut self, items: &[Noticed], more: bool, at: Timestamp) {
        let before = self.told.as_ref().map(|told| told.until);
        let until = items.last().map(Noticed::instant).or(before).unwrap_or(at);
        self.told = Some(Told { at, until, last: items.last().filter(|_| more).cloned() });
    }

    /// Knows that the time of the log was ahead, and is `now`. What people were told too early they are told again in time.
    pub(super) fn correct(&mut self, now: Timestamp) {
        // It looks at all of them, as a reopening does at all keys and elevations.
        let later: Vec<_> = self.by_time.iter().filter(|(_, since)| **since > now).map(|(key, _)| key.clone()).collect();
        for key in later {
            self.by_time.insert(key, now);
        }
        if let Some(told) = &mut self.told {
            told.at = told.at.min(now);
            if told.until > now {
                (told.until, told.last) = (now, None);
            }
        }
    }
}
