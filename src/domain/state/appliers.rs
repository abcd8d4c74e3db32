//! Appliers: who had a hand in the record that makes a scope eligible, and so approves no elevation to it.
//!
//! Counted is everybody who applied a version since the eligible scope last widened: the versions that waited for that widening, the one
//! that brought it, and all later ones. So an edit by somebody else clears nobody. To approve a version is no hand in it.

use std::collections::BTreeMap;

use crate::domain::people::actor::{Actor, Person};
use crate::domain::record::widens_elevation;
use crate::domain::registry::integration::{Eligible, Integration};
use crate::domain::value::names::{ApiName, EnvironmentName};
use crate::domain::value::scope::Scope;
use crate::domain::value::seldom::Seldom;

/// The appliers of one integration's record: a fold of the journal.
#[derive(Clone, Debug, Default)]
pub struct Appliers {
    /// By eligible scope of the version in force.
    since: BTreeMap<(EnvironmentName, ApiName, Scope), Vec<Person>>,
    /// Those who applied a version since the one in force came into force.
    waiting: Seldom<Person>,
}

impl Appliers {
    /// Somebody applied a version: a draft, one that is held, or one that comes into force at once.
    pub(super) fn applied(&mut self, by: &Actor) {
        if let Some(person) = by.person().filter(|person| !self.waiting.iter().any(|known| known.is(person))) {
            self.waiting.push(person.clone());
        }
    }

    /// `new` came into force in place of `old`.
    pub(super) fn came_into_force(&mut self, old: Option<&Integration>, new: &Integration) {
        let mut before = std::mem::take(&mut self.since);
        let mut since = BTreeMap::new();
        for (environment, access) in &new.environments {
            let earlier = old.and_then(|old| old.environments.get(environment)).map_or(&[][..], |access| &access.elevation);
            for eligible in &access.elevation {
                let key = (environment.clone(), eligible.api.clone(), eligible.scope.clone());
                let same = |one: &&Eligible| one.api == eligible.api && one.scope == eligible.scope;
                let widened = widens_elevation(earlier.iter().find(same), eligible);
                let mut people = if widened { Vec::new() } else { before.remove(&key).unwrap_or_default() };
                self.waiting.iter().for_each(|person| add(&mut people, person));
                since.insert(key, people);
            }
        }
        self.since = since;
        self.waiting.clear();
    }

    /// Those who approve no elevation to `scope`.
    pub fn of<'a>(
        &'a self,
        environment: &EnvironmentName,
        api: &ApiName,
        scope: &Scope,
    ) -> impl Iterator<Item = &'a Person> + use<'a> {
        let since = self.since.get(&(environment.clone(), api.clone(), scope.clone()));
        since.into_iter().flatten().chain(&self.waiting)
    }
}

fn add(people: &mut Vec<Person>, person: &Person) {
    if !people.iter().any(|known| known.is(person)) {
        people.reserve_exact(1);
        people.push(person.clone());
    }
}
