//! JSON Schemas (2020-12) of the records, made of the statements in `fields`.
//!
//! Editors and other programs use them. They say the form of each value. Rules that need more than one value stand with the
//! readers.

use serde_json::{Value, json};

use super::form::definitions::Definitions;
use super::form::map::{Map, schema_of};
use super::kind::Kind;
use crate::domain::registry::api::Api;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::partner::Partner;

/// The JSON Schema of a kind.
pub fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Api => of::<Api>(kind),
        Kind::Guardrail => of::<Guardrail>(kind),
        Kind::Integration => of::<Integration>(kind),
        Kind::Partner => of::<Partner>(kind),
    }
}

fn of<T: Map>(kind: Kind) -> Value {
    let mut definitions = Definitions::default();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("https://carnet.example/schema/v1/{}.json", kind.name().to_lowercase()),
        "title": format!("carnet/v1 {}", kind.name()),
    });
    if let (Value::Object(schema), Value::Object(record)) = (&mut schema, schema_of::<T>(&mut definitions)) {
        schema.extend(record);
        schema.insert("$defs".to_owned(), definitions.into_value());
    }
    schema
}
