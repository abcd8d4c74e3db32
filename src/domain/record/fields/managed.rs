//! `metadata.managedBy`: who applies the record. It stands in one map with the name, and the domain holds both apart.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use crate::domain::record::fault::Faults;
use crate::domain::record::form::base::Form as _;
use crate::domain::record::form::definitions::Definitions;
use crate::domain::record::form::field::{Field, Members};
use crate::domain::record::form::map::{Map, whole};
use crate::domain::record::form::scalar::Word;
use crate::domain::record::read::place::Place;
use crate::domain::registry::managed::ManagedBy;

/// The key in the map.
const KEY: &str = "managedBy";

/// The form of its value.
pub(super) const MANAGED_BY: Word<ManagedBy> = Word(&[ManagedBy::Git]);

/// The field that takes it out of the map `M`, and puts it back.
///
/// It stands right behind the field of the name, which reads `M` and leaves what it found in the ground.
pub(super) struct Managed<M>(PhantomData<M>);

/// The field that takes it out of the map `M`.
pub(super) const fn managed<M>() -> Managed<M> {
    Managed(PhantomData)
}

impl<M: Map> Field for Managed<M> {
    type Value = Option<ManagedBy>;
    const REQUIRED: bool = true;

    fn read(&self, place: Option<&Place<'_>>, faults: &mut Faults) -> Option<Option<ManagedBy>> {
        place.map(|_| faults.ground.managed_by)
    }

    fn write(&self, key: &str, value: &Option<ManagedBy>, members: &mut Members) {
        let map = members.get_mut(key).and_then(Json::as_object_mut);
        if let (Some(map), Some(value)) = (map, value) {
            map.insert(KEY.to_owned(), json!(value));
        }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        whole::<M>().schema(definitions)
    }
}
