//! Forms of lists and of maps whose keys are names.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use litemap::LiteMap;
use serde_json::Value as Json;

use super::base::Form;
use super::definitions::{self, Definitions};
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::read::place::Place;
use crate::domain::value::names::{ApiName, EnvironmentName};
use crate::domain::value::scope::Scope;

/// A list; a value may stand in it more than once.
pub(in crate::domain::record) struct Each<F>(pub F);

impl<F: Form> Form for Each<F> {
    type Value = Vec<F::Value>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<F::Value>> {
        let read: Vec<_> = place.items(faults)?.iter().map(|item| self.0.read(item, faults)).collect();
        read.into_iter().collect()
    }

    fn write(&self, value: &Vec<F::Value>) -> Json {
        value.iter().map(|item| self.0.write(item)).collect()
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::list(&self.0.schema(definitions), 0)
    }
}

/// A list in which no value stands twice.
pub(in crate::domain::record) struct Set<F> {
    of: F,
    /// The message for an empty list, which is refused then.
    empty: Option<&'static str>,
}

/// A list in which no value stands twice.
pub(in crate::domain::record) const fn set<F>(of: F) -> Set<F> {
    Set { of, empty: None }
}

/// A list of at least one value, none twice, with what is told of an empty one.
pub(in crate::domain::record) const fn some<F>(of: F, empty: &'static str) -> Set<F> {
    Set { of, empty: Some(empty) }
}

impl<F: Form<Value: PartialEq>> Form for Set<F> {
    type Value = Vec<F::Value>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<F::Value>> {
        let mut list = Vec::new();
        let mut whole = true;
        for item in place.items(faults)? {
            match self.of.read(&item, faults) {
                Some(value) if list.contains(&value) => {
                    faults.error(&item.at, &reason::RECORD_VALUE, "this stands in the list twice");
                    whole = false;
                }
                Some(value) => list.push(value),
                None => whole = false,
            }
        }
        if let (Some(expected), true) = (self.empty, whole && list.is_empty()) {
            place.refuse(expected, faults);
            return None;
        }
        whole.then_some(list)
    }

    fn write(&self, value: &Vec<F::Value>) -> Json {
        value.iter().map(|item| self.of.write(item)).collect()
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::list(&self.of.schema(definitions), usize::from(self.empty.is_some()))
    }
}

/// A name that stands as a key of a map.
pub(in crate::domain::record) trait Name: FromStr<Err: Display> + Display + Ord {
    /// The thing that it names, as messages begin.
    const OF: &'static str;

    /// Its JSON Schema.
    fn schema(definitions: &mut Definitions) -> Json;

    /// Tells the readers of the value below which name it has.
    fn enter(_key: &str, _faults: &mut Faults) {}

    /// Refuses a name that is taken.
    fn is_free(_key: &str, _place: &Place<'_>, _faults: &mut Faults) -> bool {
        true
    }
}

impl Name for EnvironmentName {
    const OF: &'static str = "the name of an environment: ";

    fn schema(definitions: &mut Definitions) -> Json {
        definitions::label(definitions)
    }

    fn enter(key: &str, faults: &mut Faults) {
        faults.ground.production = key == PRODUCTION;
    }
}

/// The environment in which a reusable proof must be bounded.
const PRODUCTION: &str = "production";

impl Name for ApiName {
    const OF: &'static str = "the name of an API: ";

    fn schema(definitions: &mut Definitions) -> Json {
        definitions::label(definitions)
    }
}

impl Name for Scope {
    const OF: &'static str = "";

    fn schema(definitions: &mut Definitions) -> Json {
        definitions::scope(definitions)
    }

    fn is_free(key: &str, place: &Place<'_>, faults: &mut Faults) -> bool {
        let ours = key.starts_with("carnet:");
        if ours {
            place.refuse("scopes that begin with carnet: are built in", faults);
        }
        !ours
    }
}

/// A map whose keys are names of the type `K`.
pub(in crate::domain::record) struct ByName<K, F> {
    of: F,
    /// The message for an empty map, which is refused then.
    empty: Option<&'static str>,
    /// How many entries the schema demands.
    least: usize,
    keys: PhantomData<K>,
}

impl<K, F> ByName<K, F> {
    /// One that may be empty.
    pub const fn any(of: F) -> Self {
        Self { of, empty: None, least: 0, keys: PhantomData }
    }

    /// One with at least one entry, and what is told of an empty one.
    pub const fn some(of: F, empty: &'static str) -> Self {
        Self { of, empty: Some(empty), least: 1, keys: PhantomData }
    }

    /// One of which the schema demands an entry; the map around it tells the fault.
    pub const fn judged(of: F) -> Self {
        Self { of, empty: None, least: 1, keys: PhantomData }
    }
}

impl<K: Name, F: Form> Form for ByName<K, F> {
    type Value = LiteMap<K, F::Value>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<LiteMap<K, F::Value>> {
        let mut map = BTreeMap::new();
        let mut whole = true;
        for (key, place) in place.entries(faults)? {
            let name: Option<K> = key.parse().map_err(|fault| place.refuse(&format!("{}{fault}", K::OF), faults)).ok();
            whole &= K::is_free(key, &place, faults);
            K::enter(key, faults);
            match name.zip(self.of.read(&place, faults)) {
                Some((name, value)) => whole &= map.insert(name, value).is_none(),
                None => whole = false,
            }
        }
        if let (Some(expected), true) = (self.empty, whole && map.is_empty()) {
            place.refuse(expected, faults);
            return None;
        }
        whole.then(|| map.into_iter().collect())
    }

    fn write(&self, value: &LiteMap<K, F::Value>) -> Json {
        Json::Object(value.iter().map(|(name, value)| (name.to_string(), self.of.write(value))).collect())
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        let names = K::schema(definitions);
        definitions::named(&names, &self.of.schema(definitions), self.least)
    }
}
