//! The definitions (`$defs`) of a schema, and those that several forms share.

use serde_json::{Map, Value as Json, json};

use crate::domain::value::alg::Alg;

/// The definitions of one schema, as forms ask for them.
#[derive(Default)]
pub(in crate::domain::record) struct Definitions(Map<String, Json>);

impl Definitions {
    /// A reference to the definition `name`, which `make` writes where it is not there yet.
    pub fn refer(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.0.contains_key(name) {
            // Its place is taken first: a definition may refer to itself.
            self.0.insert(name.to_owned(), Json::Null);
            let made = make(self);
            self.0.insert(name.to_owned(), made);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    pub fn into_value(self) -> Json {
        Json::Object(self.0)
    }
}

/// A definition that several forms share.
pub(in crate::domain::record) type Shared = fn(&mut Definitions) -> Json;

/// A list of at most 500 items.
pub(in crate::domain::record) fn list(items: &Json, least: usize) -> Json {
    let mut list = json!({"type": "array", "items": items, "maxItems": crate::domain::record::read::place::MOST_ITEMS});
    if least > 0 {
        list["minItems"] = least.into();
    }
    list
}

/// A map whose keys have one form, and whose values have another.
pub(in crate::domain::record) fn named(keys: &Json, values: &Json, least: usize) -> Json {
    let mut map = json!({"type": "object", "propertyNames": keys, "additionalProperties": values});
    if least > 0 {
        map["minProperties"] = least.into();
    }
    map
}

/// A name: a DNS label.
pub(in crate::domain::record) fn label(definitions: &mut Definitions) -> Json {
    definitions.refer("label", |_| json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}))
}

/// Words for people.
pub(in crate::domain::record) fn text(definitions: &mut Definitions) -> Json {
    definitions.refer("text", |_| json!({"type": "string", "minLength": 1, "maxLength": 2000}))
}

/// A day or a time.
pub(in crate::domain::record) fn date(definitions: &mut Definitions) -> Json {
    definitions.refer("date", |_| {
        json!({
            "description": "A whole UTC day (an end is inclusive), or an RFC 3339 time to the second.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}))?$",
        })
    })
}

/// How long something lasts.
pub(in crate::domain::record) fn duration(definitions: &mut Definitions) -> Json {
    definitions.refer("duration", |_| {
        json!({
            "description": "One number and one unit: 90s, 5m, 1h, 90d.",
            "type": "string",
            "pattern": "^[0-9]{1,7}[smhd]$",
        })
    })
}

/// A scope.
pub(in crate::domain::record) fn scope(definitions: &mut Definitions) -> Json {
    definitions.refer("scope", |_| json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9:._/-]{0,63}$"}))
}

/// The URL of an issuer or of a bundle.
pub(in crate::domain::record) fn url(definitions: &mut Definitions) -> Json {
    definitions.refer("url", |_| json!({"type": "string", "pattern": "^https?://[^*?#@\\s]+$", "maxLength": 255}))
}

/// The URL of a key set.
pub(in crate::domain::record) fn key_url(definitions: &mut Definitions) -> Json {
    definitions.refer("keyUrl", |_| {
        json!({
            "description": "Where a key set is fetched; a query is taken.",
            "type": "string",
            "pattern": "^https?://[^*?#@\\s]+(\\?[A-Za-z0-9._~%&=+/:,;@!$()?-]+)?$",
            "maxLength": 255,
        })
    })
}

/// The exact value of a claim.
pub(in crate::domain::record) fn value(definitions: &mut Definitions) -> Json {
    definitions.refer("value", |_| {
        json!({
            "description": "Compared byte for byte; no patterns.",
            "type": ["string", "number", "boolean"],
            "pattern": "^[^*]+$",
            "maxLength": 1024,
        })
    })
}

/// The path of a claim.
pub(in crate::domain::record) fn claim(definitions: &mut Definitions) -> Json {
    definitions.refer("claim", |_| {
        json!({
            "description": "A claim's name, or a JSON Pointer (RFC 6901).",
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
        })
    })
}

/// A signature algorithm that a binding takes.
pub(in crate::domain::record) fn alg(definitions: &mut Definitions) -> Json {
    definitions.refer("alg", |_| json!({"enum": Alg::WORKLOAD}))
}

/// A text of which only the reader knows the form.
pub(in crate::domain::record) fn any_text(_: &mut Definitions) -> Json {
    json!({"type": "string"})
}

/// An operation of an API.
pub(in crate::domain::record) fn endpoint(_: &mut Definitions) -> Json {
    json!({"type": "string", "pattern": "^(DELETE|GET|HEAD|PATCH|POST|PUT) /"})
}

/// When an elevation may run.
pub(in crate::domain::record) fn window(_: &mut Definitions) -> Json {
    json!({"description": "Mon-Fri 06:00-20:00 Europe/Berlin", "type": "string"})
}
