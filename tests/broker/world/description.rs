//! The description of the admin API, and every answer of the tests against it.
//!
//! Enter through [`holds`]: the client calls it for each answer.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use carnet::http::admin::OPENAPI;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::client::Answer;

/// The description as it is served.
pub static DESCRIBED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&OPENAPI).expect("JSON"));

/// Panics if an answer is not as the description has it: its status is one of the route's, and its body has the shape of that status. A
/// member that is not described is a fault too.
///
/// An answer of another socket is left alone, and so is one to a method that the route does not have.
pub fn holds(method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(path) else { return };
    let operation = &DESCRIBED["paths"][template][method.to_ascii_lowercase()];
    if operation.is_null() || answer.status == 0 {
        return;
    }
    let about = format!("{method} {template} answered {}", answer.text());
    let status = answer.status.to_string();
    let known = &operation["responses"][&status];
    let response = if known.is_null() && answer.status >= 400 { &operation["responses"]["default"] } else { known };
    assert!(!response.is_null(), "{about}: this status is not described");
    let response = resolved(response, &DESCRIBED);
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body.is_empty(), "{about}: no body is described");
        return;
    };
    let media = answer.header("content-type").unwrap_or_default();
    let schema = content.get(media).unwrap_or_else(|| panic!("{about}: {media} is not described"))["schema"].clone();
    if !media.contains("json") {
        assert!(!answer.body.is_empty(), "{method} {template}: no {media}");
        return;
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{about}: no JSON"));
    let faults = faults(format!("{method} {template} {media} {status}"), schema, &body);
    assert!(faults.is_empty(), "{about}: {}", faults.join("; "));
}

/// The template that a path fits: one without a variable part before others.
fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let template: Vec<&str> = template.split('/').collect();
        let same = |(template, part): (&&str, &&str)| template.starts_with('{') && !part.is_empty() || template == part;
        template.len() == parts.len() && template.iter().zip(&parts).all(same)
    };
    let found = DESCRIBED["paths"].as_object().expect("paths").keys().filter(fits);
    found.min_by_key(|template| template.matches('{').count()).map(String::as_str)
}

fn faults(key: String, schema: Value, body: &Value) -> Vec<String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = known.entry(key).or_insert_with(|| jsonschema::validator_for(&strict(schema)).expect("a schema"));
    validator.iter_errors(body).map(|error| format!("at {}: {error}", error.instance_path())).collect()
}

/// A schema or a response with everything in it that it refers to; what is said in several ways is said in one:
/// `allOf` is one object, "this or null" is a second type, `const` is an `enum`.
pub fn resolved(value: &Value, document: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| resolved(item, document)).collect(),
        Value::Object(members) => {
            let mut members: Map<String, Value> = members.clone();
            if let Some(Value::String(reference)) = members.remove("$ref") {
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                let found = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
                for (name, value) in found.as_object().expect("an object") {
                    members.entry(name).or_insert_with(|| value.clone());
                }
                return resolved(&Value::Object(members), document);
            }
            let mut members: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name, resolved(&value, document))).collect();
            if let Some(word) = members.remove("const") {
                members.insert("enum".to_owned(), json!([word]));
            }
            for parts in ["oneOf", "anyOf"].map(|name| members.remove(name)).into_iter().flatten() {
                alternatives(&mut members, parts);
            }
            if let Some(Value::Array(parts)) = members.remove("allOf") {
                parts.into_iter().for_each(|part| both(&mut members, part));
            }
            Value::Object(members)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn alternatives(members: &mut Map<String, Value>, parts: Value) {
    let Value::Array(mut parts) = parts else { panic!("alternatives: {parts}") };
    let all = parts.len();
    parts.retain(|part| part["type"] != "null");
    match (parts.len() < all, parts.as_slice()) {
        (true, [only]) => {
            let mut only = only.clone();
            if only["type"].is_string() {
                only["type"] = json!([only["type"], "null"]);
            }
            if let Some(words) = only.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
            both(members, only);
        }
        (true, _) => {
            parts.push(json!({"type": "null"}));
            members.insert("anyOf".to_owned(), parts.into());
        }
        (false, _) => {
            members.insert("anyOf".to_owned(), parts.into());
        }
    }
}

fn both(members: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { panic!("a schema: {part}") };
    for (name, value) in part {
        match (members.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
            (Some(_), _) => {}
            (None, value) => {
                members.insert(name, value);
            }
        }
    }
}

/// A resolved schema that lets no member be that it does not name.
fn strict(schema: Value) -> Value {
    match schema {
        Value::Array(items) => items.into_iter().map(strict).collect(),
        Value::Object(members) => {
            let mut members: Map<String, Value> = members.into_iter().map(|(name, value)| (name, strict(value))).collect();
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            Value::Object(members)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema,
    }
}
