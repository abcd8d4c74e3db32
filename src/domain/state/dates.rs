//! The dates of what is in force, in their order, and how far people were told of them.
//!
//! The index holds a moment and whose it is; what happens then is asked of the records ([`State::dates_of`](super::State::dates_of)). So it
//! takes a few words for each moment. `dated` folds it, `decision::dates` reads it, and nothing else does: a date decides nothing here.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::domain::registry::date::{DAYS_BEFORE, Date, Noticed, Place};
use crate::domain::registry::suspension::Party;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{IntegrationId, Issuer};

/// The dates of what is in force.
#[derive(Clone, Debug, Default)]
pub struct Dates {
    /// By moment and party: since when it is known. `None` comes before every party, and stands in no key.
    by_time: OrdMap<(Timestamp, Option<Party>), Timestamp>,
    /// What the index holds of each party.
    of: OrdMap<Party, Arc<Held>>,
    /// The integrations whose records ask that keys of an issuer change.
    by_issuer: OrdMap<Issuer, OrdSet<IntegrationId>>,
    /// The integrations that have no owner any more.
    graced: OrdSet<IntegrationId>,
    /// The integrations that are offboarded by themselves, by when.
    offboards: OrdSet<(Timestamp, IntegrationId)>,
    told: Option<Told>,
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Held {
    times: Vec<Timestamp>,
    issuers: Vec<Issuer>,
    offboards: Option<Timestamp>,
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
        let from = self.told.as_ref().map_or((now, None), |told| {
            let at = told.until.plus(before);
            match &told.last {
                Some(last) if rank(days) == rank(last.days) => (at, Some(last.date.party())),
                Some(last) if rank(days) > rank(last.days) => (at, None),
                Some(_) | None => (at.plus(Seconds(1)), None),
            }
        });
        let until = (now.plus(before).plus(Seconds(1)), None);
        // A clock that went back leaves nothing between the two.
        let range = (from < until).then(|| self.by_time.range(from..until));
        let moments = range.into_iter().flatten();
        moments.filter_map(|((at, party), since)| Some(Moment { at: *at, party: party.as_ref()?, since: *since }))
    }

    /// Every moment of the index with its party, in their order.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (Timestamp, &Party)> {
        self.by_time.keys().filter_map(|(at, party)| Some((*at, party.as_ref()?)))
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

    /// Knows the dates of a party from `now` on, in place of those before. Those that stay are known since they were.
    pub(super) fn index(&mut self, party: &Party, dates: &[(Date, Timestamp)], issuers: Vec<Issuer>, now: Timestamp) {
        let key = |at: Timestamp| (at, Some(party.clone()));
        let before = self.of.get(party).cloned().unwrap_or_default();
        let opens = |(date, at): &(Date, Timestamp)| matches!(date, Date::OffboardingOpens { .. }).then_some(*at);
        let offboards = dates.iter().find_map(opens);
        // What is past when it becomes known is told by the change that made it so.
        let is_known = |at: &Timestamp| *at > now || before.times.contains(at);
        let mut times: Vec<Timestamp> = dates.iter().map(|(_, at)| *at).filter(is_known).collect();
        times.sort_unstable();
        times.dedup();
        for gone in before.times.iter().filter(|at| !times.contains(at)) {
            self.by_time.remove(&key(*gone));
        }
        for new in times.iter().filter(|at| !before.times.contains(at)) {
            self.by_time.insert(key(*new), now);
        }
        if let Party::Integration(id) = party {
            if let Some(gone) = before.offboards {
                self.offboards.remove(&(gone, id.clone()));
            }
            if let Some(at) = offboards {
                self.offboards.insert((at, id.clone()));
            }
            self.index_integration(id, dates, (before.issuers.as_slice(), issuers.as_slice()));
        }
        let held = Held { times, issuers, offboards };
        if held == Held::default() {
            self.of.remove(party);
        } else if held != *before {
            self.of.insert(party.clone(), Arc::new(held));
        }
    }

    fn index_integration(
        &mut self,
        id: &IntegrationId,
        dates: &[(Date, Timestamp)],
        (before, issuers): (&[Issuer], &[Issuer]),
    ) {
        if dates.iter().any(|(date, _)| matches!(date, Date::OwnerGraceEnds { .. })) {
            self.graced.insert(id.clone());
        } else {
            self.graced.remove(id);
        }
        for gone in before.iter().filter(|issuer| !issuers.contains(issuer)) {
            let left = self.by_issuer.get_mut(gone).map(|all| {
                all.remove(id);
                all.len()
            });
            if left == Some(0) {
                self.by_issuer.remove(gone);
            }
        }
        for new in issuers.iter().filter(|issuer| !before.contains(issuer)) {
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
