//! Rules about owners: who an address means, what keeps a version from taking force, and the brake on people who leave.
//!
//! Enter through [`resolve`], [`ensure`] and [`departure`]. They are functions of the state, of the people that are passed and of `now`.

use crate::domain::log::directory::DirectoryChange;
use crate::domain::people::directory::{Directory, Meant};
use crate::domain::people::owners::OwnerIds;
use crate::domain::reason::{self, Reason};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{HoldId, PersonId};

/// A reason why a version cannot name this owner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfit {
    /// `owners.business`, `owners.application`, or `owners` for both.
    pub at: &'static str,
    /// The reason.
    pub reason: &'static Reason,
    /// The details. They hold no address.
    pub message: String,
}

/// The time within which the brake counts.
pub const BRAKE_WITHIN: Seconds = Seconds::hours(1);

/// The number of owners who may leave within [`BRAKE_WITHIN`] however few there are.
const ALWAYS: usize = 3;

/// The share of the owners who may leave within [`BRAKE_WITHIN`]: a tenth.
///
/// Attack: with a stolen token of the source somebody says that everybody left, and ends all access of all partners at once.
const SHARE: usize = 10;

/// Finds the people whom the addresses mean: of the business, and of the application. None: the text was erased.
pub fn resolve(directory: &Directory, addresses: (Option<&str>, Option<&str>), now: Timestamp) -> (OwnerIds, Vec<Unfit>) {
    let mut unfit = Vec::new();
    let mut one = |at: &'static str, address: Option<&str>| {
        let unknown = |seen: &str| Unfit { at, reason: &reason::OWNER_UNKNOWN, message: seen.to_owned() };
        let Some(address) = address else {
            unfit.push(unknown("the address was erased, so nobody knows who is meant"));
            return None;
        };
        match directory.by_address(address, now) {
            Meant::Nobody => {
                unfit.push(unknown("nobody in the people directory has this address"));
                None
            }
            Meant::Several => {
                unfit.push(unknown("more than one person in the people directory has this address"));
                None
            }
            Meant::One(member) => {
                if !member.active {
                    let message = format!("{} left on {}, says the people directory", member.id, member.since.first_day());
                    unfit.push(Unfit { at, reason: &reason::OWNER_GONE, message });
                }
                Some(member.id.clone())
            }
        }
    };
    let business = one("owners.business", addresses.0);
    let application = one("owners.application", addresses.1);
    (OwnerIds { business, application }, unfit)
}

/// Finds what the ids of a version's owners lack by the state alone. Nothing where no directory is configured.
pub fn ensure(ids: &OwnerIds, state: &State) -> Vec<Unfit> {
    if state.directory().is_none() {
        return Vec::new();
    }
    let mut unfit = Vec::new();
    for (at, id) in [("owners.business", &ids.business), ("owners.application", &ids.application)] {
        match id {
            None => {
                let message = "the people directory does not know this owner".to_owned();
                unfit.push(Unfit { at, reason: &reason::OWNER_UNKNOWN, message });
            }
            Some(id) => unfit.extend(state.owners.gone(id).map(|gone| {
                let message = format!("{id} left on {}, says the people directory", gone.since.first_day());
                Unfit { at, reason: &reason::OWNER_GONE, message }
            })),
        }
    }
    if ids.is_one_person() {
        let message = "both addresses are of one person in the people directory".to_owned();
        unfit.push(Unfit { at: "owners", reason: &reason::RECORD_OWNERS, message });
    }
    unfit
}

/// The number of owners of versions in force who may leave within [`BRAKE_WITHIN`].
pub fn bound(state: &State) -> usize {
    ALWAYS.max(state.owners.count() / SHARE)
}

/// The next change for people who left by the directory's word: one who counts as gone, or all others who are held.
///
/// People who own nothing, are gone or are held already take no change.
pub fn departure(state: &State, left: &[PersonId], hold: &HoldId, now: Timestamp) -> Option<DirectoryChange> {
    let owners = &state.owners;
    let is_new = |person: &&PersonId| owners.of(person).is_some() && owners.gone(person).is_none() && !owners.is_held(person);
    let left: Vec<&PersonId> = left.iter().filter(is_new).collect();
    let first = *left.first()?;
    let lately = owners.all_gone().filter(|(_, gone)| gone.counted && now < gone.since.plus(BRAKE_WITHIN)).count();
    // An owner of nothing but a version that waits ends nothing that is in force.
    let is_free = |person: &&&PersonId| owners.of(person).is_some_and(|own| own.in_force.is_empty());
    let passes = if lately < bound(state) { Some(first) } else { left.iter().find(is_free).copied() };
    Some(match passes {
        Some(person) => DirectoryChange::Left { person: person.clone() },
        None => DirectoryChange::Held { id: hold.clone(), people: left.into_iter().cloned().collect() },
    })
}

/// How long nothing is said between two events that tell of a silence.
const SILENCE_TOLD_EVERY: Seconds = Seconds::days(1);

/// The silence of the directory, as an entry tells it: once a day.
pub fn silence(state: &State, now: Timestamp) -> Option<DirectoryChange> {
    let since = silent_since(state, now)?;
    let is_told = state.owners.told_silent().is_some_and(|told| told >= since && now < told.plus(SILENCE_TOLD_EVERY));
    (!is_told).then_some(DirectoryChange::Silent { since })
}

/// Since when the source has been silent, if that is longer than it may be.
pub fn silent_since(state: &State, now: Timestamp) -> Option<Timestamp> {
    let source = state.directory()?;
    state.owners.quiet_since().filter(|since| now >= since.plus(source.silent_after))
}

/// Whether a word of the source at `now` is to be recorded. So many fewer entries than words, and none too few to tell a silence.
pub fn is_news(state: &State, now: Timestamp) -> bool {
    let Some(source) = state.directory() else { return false };
    let every = Seconds(source.silent_after.0 / 8).min(Seconds::days(1));
    state.owners.heard().is_none_or(|heard| now >= heard.plus(every))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::registry::integration::Integration;
    use crate::domain::value::names::IntegrationId;

    fn person(at: usize) -> PersonId {
        format!("psn_{at:03}").parse().expect("an id")
    }

    /// A state in which so many people own an integration each, and `psn_last` owns nothing but a version that waits.
    fn owned(people: usize) -> State {
        let mut state = state();
        let known = state.integrations.values().next().and_then(|known| known.current.clone()).expect("in force");
        let mut in_force = BTreeMap::new();
        for at_person in 0..people {
            let id: IntegrationId = format!("globex/i{at_person}").parse().expect("an id");
            let record = Integration { id: id.clone(), ..known.record.as_ref().clone() };
            let what = IntegrationChange::Narrowed { record: Box::new(record), reason: None };
            state.apply(100, at(0), &what.by(Actor::Operator));
            in_force.insert(id, OwnerIds { business: Some(person(at_person)), application: None });
        }
        let resolved = DirectoryChange::Resolved { in_force, waiting: BTreeMap::new() };
        state.apply(101, at(0), &resolved.by(Actor::Directory));
        state
    }

    /// Lets all of `left` leave at `now`, as far as the brake lets them. Returns how many are gone and how many are held.
    fn leave(state: &mut State, left: &[PersonId], now: Timestamp, hold: &str) -> (usize, usize) {
        let hold: HoldId = hold.parse().expect("an id");
        while let Some(change) = departure(state, left, &hold, now) {
            state.apply(200, now, &change.by(Actor::Directory));
        }
        let held = state.owners.holds().map(|(_, hold)| hold.people.len()).sum();
        (state.owners.all_gone().count(), held)
    }

    #[test]
    fn the_brake_lets_the_first_ones_through_and_holds_the_others() {
        let all: Vec<PersonId> = (0..40).map(person).collect();
        for (people, most) in [(3, 3), (5, 3), (30, 3), (40, 4)] {
            let mut state = owned(people);
            let left = &all[..people];
            assert_eq!(leave(&mut state, left, at(10), "hold-1"), (most, people - most), "{people}");
            // The same word again changes nothing, nor does another batch within the hour.
            assert_eq!(leave(&mut state, left, at(3609), "hold-2"), (most, people - most));
        }
    }

    /// Each hour has a bound of its own, however the departures are spread over it.
    #[test]
    fn the_brake_counts_an_hour_and_no_less() {
        let mut state = owned(10);
        for (number, (second, gone, held)) in
            [(0, 1, 0), (1800, 2, 0), (3599, 3, 0), (3600, 4, 0), (3601, 4, 1), (5400, 5, 1)].into_iter().enumerate()
        {
            let left = [person(number)];
            assert_eq!(leave(&mut state, &left, at(second), &format!("hold-{number}")), (gone, held), "{second}");
        }
    }

    /// Those who are confirmed count from then on, and leave room for others within the hour.
    #[test]
    fn a_hold_counts_once_it_is_confirmed_and_who_is_back_is_held_no_more() {
        let all: Vec<PersonId> = (0..6).map(person).collect();
        let mut state = owned(6);
        assert_eq!(leave(&mut state, &all[..5], at(0), "hold-1"), (3, 2));
        state.apply(201, at(5), &DirectoryChange::Returned { person: person(4) }.by(Actor::Directory));
        assert_eq!(state.owners.hold(&"hold-1".parse().expect("an id")).map(|hold| hold.people.len()), Some(1));
        let (id, people, reason) = ("hold-1".parse().expect("an id"), vec![person(3)], "sold".into());
        state.apply(202, at(10), &DirectoryChange::Confirmed { id, people, reason }.by(Actor::Operator));
        assert_eq!(state.owners.gone(&person(3)).map(|gone| (gone.since, gone.counted)), Some((at(10), false)));
        assert_eq!((state.owners.holds().count(), state.owners.gone(&person(4))), (0, None));
        assert_eq!(leave(&mut state, &all[5..], at(11), "hold-2"), (4, 1), "the bound is used up");
    }

    /// The end of an integration is that of its owner; a grace shorter than a token's life cuts what would outlive it.
    #[test]
    fn the_grace_begins_with_the_entry_and_not_before_the_owner_was_known() {
        let mut state = owned(1);
        let id: IntegrationId = "globex/i0".parse().expect("an id");
        let day = Seconds::days(14);
        assert_eq!(state.owner_end(&id), None);
        state.apply(300, at(60), &DirectoryChange::Left { person: person(0) }.by(Actor::Directory));
        assert_eq!(state.owner_end(&id).map(|end| end.at), Some(at(60).plus(day)));
        state.apply(301, at(90), &DirectoryChange::Left { person: person(0) }.by(Actor::Directory));
        assert_eq!(state.owner_end(&id).map(|end| end.at), Some(at(60).plus(day)), "once");
        // The fixture's integration is found to be theirs a week later.
        let other = state.integrations.keys().find(|id| id.name.as_str() == "order-sync").cloned().expect("an id");
        let week = at(0).plus(Seconds::days(7));
        let in_force = [(other.clone(), OwnerIds { business: Some(person(0)), application: None })].into_iter().collect();
        state.apply(302, week, &DirectoryChange::Resolved { in_force, waiting: BTreeMap::new() }.by(Actor::Directory));
        assert_eq!(state.owner_end(&other).map(|end| end.at), Some(week.plus(day)));
        assert_eq!(state.narrowings.since(0).count(), 0, "nothing is cut");
        let mut configuration = state.configuration.clone().expect("configured");
        configuration.governance.owner_grace = Seconds::days(6);
        let changed = crate::domain::log::configuration::ConfigurationChange::Changed(configuration);
        state.apply(303, week, &changed.by(Actor::Operator));
        assert_eq!(state.owner_end(&id).map(|end| end.at), Some(at(60).plus(Seconds::days(6))));
        assert_eq!(state.narrowings.since(303).count(), 1, "that which is over is cut");
        state.apply(304, week, &DirectoryChange::Returned { person: person(0) }.by(Actor::Directory));
        assert_eq!((state.owner_end(&id), state.owner_end(&other)), (None, None));
    }
}
