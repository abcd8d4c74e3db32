//! What is known of an integration that nobody uses: since when it counts, of what people were told, and retired bindings.
//!
//! Counts of uses lie beside the journal and decide nothing. What follows from them is an entry, and this is what the entries say.

use imbl::{OrdMap, OrdSet};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{BindingName, EnvironmentName};

/// A binding of an environment; none for all of the environment.
type Place = (EnvironmentName, Option<BindingName>);

/// What is known of an integration that nobody uses.
#[derive(Clone, Debug, Default)]
pub struct NonUse {
    /// It counts from here: the approval of its version, or the lift of a suspension.
    from: Timestamp,
    /// Nearly always nothing.
    known: Option<Box<Known>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Of what people were told, and when.
    warned: OrdMap<Place, Timestamp>,
    /// The bindings that refuse until a version is approved.
    retired: OrdSet<(EnvironmentName, BindingName)>,
}

impl NonUse {
    /// Nothing is known, and it counts from here.
    pub(super) fn from(from: Timestamp) -> Self {
        Self { from, known: None }
    }

    /// It counts from here, and what is retired stays so: a suspension was lifted, and nobody could use it before.
    pub(super) fn again_from(&mut self, from: Timestamp) {
        self.from = from;
        if let Some(known) = &mut self.known {
            known.warned = OrdMap::default();
        }
    }

    /// Since when it counts.
    pub fn counts_from(&self) -> Timestamp {
        self.from
    }

    /// Whether people were told of it after `since`.
    pub fn is_told(&self, environment: &EnvironmentName, binding: Option<&BindingName>, since: Timestamp) -> bool {
        let Some(known) = &self.known else { return false };
        known.warned.get(&(environment.clone(), binding.cloned())).is_some_and(|at| *at > since)
    }

    /// Whether a binding is retired.
    pub fn is_retired(&self, environment: &EnvironmentName, binding: &BindingName) -> bool {
        let Some(known) = &self.known else { return false };
        !known.retired.is_empty() && known.retired.contains(&(environment.clone(), binding.clone()))
    }

    /// The retired bindings.
    pub fn retired(&self) -> impl Iterator<Item = &(EnvironmentName, BindingName)> {
        self.known.iter().flat_map(|known| known.retired.iter())
    }

    pub(super) fn warn(&mut self, environment: &EnvironmentName, binding: Option<&BindingName>, at: Timestamp) {
        self.known().warned.insert((environment.clone(), binding.cloned()), at);
    }

    pub(super) fn retire(&mut self, environment: &EnvironmentName, binding: &BindingName) {
        self.known().retired.insert((environment.clone(), binding.clone()));
    }

    fn known(&mut self) -> &mut Known {
        self.known.get_or_insert_with(Box::default)
    }
}
