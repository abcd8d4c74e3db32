//! Fields: whether a key must be there, and what stands for one that is not.

use serde_json::{Map, Value as Json};

use super::base::Form;
use super::definitions::Definitions;
use crate::domain::record::fault::Faults;
use crate::domain::record::read::place::{Key, Place};

/// The members of a map that is written, in order.
pub(in crate::domain::record) type Members = Map<String, Json>;

/// The field of a map.
pub(in crate::domain::record) trait Field {
    /// The field as the domain holds it.
    type Value;

    /// Whether a map without its key is refused.
    const REQUIRED: bool;

    /// Its key.
    fn key(&self, name: &'static str) -> Key {
        Key { name, required: Self::REQUIRED }
    }

    /// Reads it. A required one that is missing was told by the map.
    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<Self::Value>;

    /// Writes it, unless a reader assumes it.
    fn write(&self, key: &str, value: &Self::Value, members: &mut Members);

    /// Its JSON Schema.
    fn schema(&self, definitions: &mut Definitions) -> Json;
}

/// A key that must be there.
pub(in crate::domain::record) struct Required<F>(pub F);

/// A key that may be there.
pub(in crate::domain::record) struct Optional<F>(pub F);

/// A key that is written only where its value differs from the default.
pub(in crate::domain::record) struct Or<F: Form>(pub F, pub F::Value);

/// A key that has a default, and is written all the same.
pub(in crate::domain::record) struct Stated<F: Form>(pub F, pub F::Value);

impl<F: Form> Field for Required<F> {
    type Value = F::Value;
    const REQUIRED: bool = true;

    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<F::Value> {
        self.0.read(place?, faults)
    }

    fn write(&self, key: &str, value: &F::Value, members: &mut Members) {
        members.insert(key.to_owned(), self.0.write(value));
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.0.schema(definitions)
    }
}

impl<F: Form> Field for Optional<F> {
    type Value = Option<F::Value>;
    const REQUIRED: bool = false;

    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<Option<F::Value>> {
        match place {
            Some(place) => self.0.read(place, faults).map(Some),
            None => Some(None),
        }
    }

    fn write(&self, key: &str, value: &Option<F::Value>, members: &mut Members) {
        if let Some(value) = value {
            members.insert(key.to_owned(), self.0.write(value));
        }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.0.schema(definitions)
    }
}

impl<F: Form<Value: Clone + PartialEq>> Field for Or<F> {
    type Value = F::Value;
    const REQUIRED: bool = false;

    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<F::Value> {
        place.map_or_else(|| Some(self.1.clone()), |place| self.0.read(place, faults))
    }

    fn write(&self, key: &str, value: &F::Value, members: &mut Members) {
        if *value != self.1 {
            members.insert(key.to_owned(), self.0.write(value));
        }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.0.schema(definitions)
    }
}

impl<F: Form<Value: Clone>> Field for Stated<F> {
    type Value = F::Value;
    const REQUIRED: bool = false;

    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<F::Value> {
        place.map_or_else(|| Some(self.1.clone()), |place| self.0.read(place, faults))
    }

    fn write(&self, key: &str, value: &F::Value, members: &mut Members) {
        members.insert(key.to_owned(), self.0.write(value));
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        self.0.schema(definitions)
    }
}
