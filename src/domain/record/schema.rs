//! JSON Schemas (2020-12) of the records, for editors and other programs. They say the form; rules that need more than one
//! value stand in the readers.

use super::Kind;

/// The JSON Schema of a kind, as text.
pub const fn schema(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => include_str!("schema/api.json"),
        Kind::Integration => include_str!("schema/integration.json"),
        Kind::Partner => include_str!("schema/partner.json"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::domain::record::read::keys::{API_SHAPES, BINDING_SHAPES, INTEGRATION_SHAPES, PARTNER_SHAPES, Shape};

    /// Keys and required keys of every closed map of a schema, by the name of its definition.
    fn closed(schema: &Value) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
        let own = std::iter::once((String::new(), schema.clone()));
        let named = schema["$defs"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
        let keys = |value: &Value| {
            let known = value["properties"].as_object().expect("properties").keys().cloned().collect();
            let required = value["required"].as_array().into_iter().flatten();
            (known, required.map(|key| key.as_str().expect("a key").to_owned()).collect())
        };
        own.chain(named)
            .filter(|(_, value)| value.get("properties").is_some())
            .map(|(name, value)| {
                assert_eq!(value["additionalProperties"], false, "{name} takes unknown keys");
                (name, keys(&value))
            })
            .collect()
    }

    #[test]
    fn schemas_and_readers_know_the_same_keys() {
        let lists: [(Kind, &[&[&Shape]]); 3] = [
            (Kind::Api, &[API_SHAPES, BINDING_SHAPES]),
            (Kind::Integration, &[INTEGRATION_SHAPES, BINDING_SHAPES]),
            (Kind::Partner, &[PARTNER_SHAPES]),
        ];
        for (kind, shapes) in lists {
            let schema: Value = serde_json::from_str(schema(kind)).expect("JSON");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            let texts = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
            let read: BTreeMap<_, _> = shapes
                .iter()
                .flat_map(|list| list.iter())
                .map(|shape| (shape.name.to_owned(), (texts(shape.keys), texts(shape.required))))
                .collect();
            assert_eq!(closed(&schema), read, "{kind:?}");
        }
    }

    /// No nested map of a schema is written in place, where the comparison above would not see it.
    #[test]
    fn every_closed_map_is_a_definition() {
        fn inner(value: &Value) -> usize {
            let below = match value {
                Value::Object(members) => members.values().map(inner).sum(),
                Value::Array(items) => items.iter().map(inner).sum(),
                _ => 0,
            };
            below + usize::from(value.get("additionalProperties") == Some(&Value::Bool(false)))
        }
        for kind in [Kind::Api, Kind::Integration, Kind::Partner] {
            let schema: Value = serde_json::from_str(schema(kind)).expect("JSON");
            assert_eq!(inner(&schema), closed(&schema).len(), "{kind:?}");
        }
    }
}
