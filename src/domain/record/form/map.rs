//! Maps with known keys: the statement `map!`, of which reader, writer and schema are made.

use std::marker::PhantomData;

use serde_json::{Map as Object, Value as Json, json};

use super::base::Form;
use super::definitions::Definitions;
use super::field::{Field, Members};
use crate::domain::record::fault::Faults;
use crate::domain::record::kind::{API_VERSION, Kind};
use crate::domain::record::read::place::{Key, Place, Shape};

/// A map with known keys.
pub(in crate::domain::record) trait Map: Sized {
    /// Its name in the schema and in messages; empty for a whole record.
    const NAME: &'static str;
    /// The kind, of a whole record.
    const DOCUMENT: Option<Kind> = None;
    /// Keys of which a map has exactly one; empty where there is no such choice.
    ///
    /// The reader of the map holds it.
    const CHOICE: &'static [&'static str] = &[];

    /// Its keys, in the order in which they are written.
    fn keys() -> Vec<Key>;

    /// Reads it. Tells every fault.
    fn read(place: &Place<'_>, faults: &mut Faults) -> Option<Self>;

    /// Its members, as an author would write them.
    fn members(&self) -> Members;

    /// The schemas of its keys.
    fn properties(definitions: &mut Definitions) -> Object<String, Json>;

    /// The shape that the reader checks.
    fn shape() -> Shape {
        let head = ["apiVersion", "kind"].map(|name| Key { name, required: true });
        let head = head.into_iter().filter(|_| Self::DOCUMENT.is_some());
        let mut keys: Vec<Key> = head.chain(Self::keys()).collect();
        // Two fields may stand in one map.
        keys.dedup_by(|one, before| one.name == before.name);
        Shape { name: Self::NAME, keys }
    }
}

/// The JSON Schema of a map.
pub(in crate::domain::record) fn schema_of<T: Map>(definitions: &mut Definitions) -> Json {
    let mut properties = Object::new();
    if let Some(kind) = T::DOCUMENT {
        properties.insert("apiVersion".to_owned(), json!({"const": API_VERSION}));
        properties.insert("kind".to_owned(), json!({"const": kind.name()}));
    }
    properties.extend(T::properties(definitions));
    object(&T::shape(), properties, T::CHOICE)
}

/// The JSON Schema of a map of this shape.
pub(in crate::domain::record) fn object(shape: &Shape, properties: Object<String, Json>, choice: &[&str]) -> Json {
    let mut object = json!({"type": "object", "additionalProperties": false, "properties": properties});
    let required: Vec<&str> = shape.required().collect();
    if !required.is_empty() {
        object["required"] = required.into();
    }
    if !choice.is_empty() {
        object["oneOf"] = choice.iter().map(|key| json!({"required": [key]})).collect();
    }
    object
}

/// The form of a map.
pub(in crate::domain::record) struct Whole<T>(PhantomData<T>);

/// The form of the map `T`.
pub(in crate::domain::record) const fn whole<T>() -> Whole<T> {
    Whole(PhantomData)
}

impl<T: Map> Form for Whole<T> {
    type Value = T;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<T> {
        T::read(place, faults)
    }

    fn write(&self, value: &T) -> Json {
        Json::Object(value.members())
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions.refer(T::NAME, schema_of::<T>)
    }
}

/// The form of a value that a record holds as the map `M`.
pub(in crate::domain::record) struct Through<M, V>(PhantomData<(M, V)>);

/// The form of a value that a record holds as the map `M`.
pub(in crate::domain::record) const fn through<M, V>() -> Through<M, V> {
    Through(PhantomData)
}

impl<M: Map + Into<V> + for<'v> From<&'v V>, V> Form for Through<M, V> {
    type Value = V;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<V> {
        M::read(place, faults).map(Into::into)
    }

    fn write(&self, value: &V) -> Json {
        Json::Object(M::from(value).members())
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        whole::<M>().schema(definitions)
    }
}

/// The field, whose type follows from where it stands in the map.
pub(in crate::domain::record) fn field_of<T, V, F: Field<Value = V>>(_: impl Fn(&T) -> &V, field: F) -> F {
    field
}

/// States a map once: the type, its name in the schema, and each field with its key and form.
///
/// `before` runs before the fields are read. `judge` sees each field as an `Option`, `None` where it was refused; it holds what needs more
/// than one of them, and refuses the map by `return None`. `exactly one of` tells the schema what `judge` holds.
///
/// A field of the type that is missing here does not compile: the reader builds the type, and the writer takes it apart.
macro_rules! map {
    (
        $type:ident as $name:literal $(document $kind:path)? {
            $($field:ident: $key:literal = $form:expr;)*
        }
        $(exactly one of [$($choice:literal),+])?
        $(before |$before_place:ident, $before_faults:ident| $before:block)?
        $(judge |$judged:ident, $judge_faults:ident| $judge:block)?
    ) => {
        impl $crate::domain::record::form::map::Map for $type {
            const NAME: &'static str = $name;
            $(const DOCUMENT: Option<$crate::domain::record::kind::Kind> = Some($kind);)?
            $(const CHOICE: &'static [&'static str] = &[$($choice),+];)?

            fn keys() -> Vec<$crate::domain::record::read::place::Key> {
                use $crate::domain::record::form::{field::Field as _, map::field_of};
                vec![$(field_of(|it: &Self| &it.$field, $form).key($key)),*]
            }

            fn read(
                place: &$crate::domain::record::read::place::Place<'_>,
                faults: &mut $crate::domain::record::fault::Faults,
            ) -> Option<Self> {
                use $crate::domain::record::form::{field::Field as _, map::field_of};
                $(let ($before_place, $before_faults) = (place, &mut *faults); $before)?
                let fields = place.fields(&Self::shape(), faults)?;
                $(let $field = field_of(|it: &Self| &it.$field, $form).read(fields.get($key), faults);)*
                $(let ($judged, $judge_faults) = (&fields, &mut *faults); $judge)?
                Some(Self { $($field: $field?),* })
            }

            fn members(&self) -> $crate::domain::record::form::field::Members {
                use $crate::domain::record::form::{field::Field as _, map::field_of};
                let Self { $($field),* } = self;
                let mut members = $crate::domain::record::form::field::Members::new();
                $(field_of(|it: &Self| &it.$field, $form).write($key, $field, &mut members);)*
                members
            }

            fn properties(
                definitions: &mut $crate::domain::record::form::definitions::Definitions,
            ) -> serde_json::Map<String, serde_json::Value> {
                use $crate::domain::record::form::{field::Field as _, map::field_of};
                [$(($key.to_owned(), field_of(|it: &Self| &it.$field, $form).schema(definitions))),*].into_iter().collect()
            }
        }
    };
}

pub(in crate::domain::record) use map;
