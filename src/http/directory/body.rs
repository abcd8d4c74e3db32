//! The bodies that a source sends: a whole user (RFC 7644 sections 3.3 and 3.5.1), and a list of operations (section 3.5.2).
//!
//! Enter through [`whole`] and [`patch`]. Both are functions of bytes: they read strict JSON, so a member that stands twice is refused,
//! and nothing of a body is applied if any of it is refused.

use serde_json::{Map, Value};

use super::attribute::Target;
use super::draft::{Draft, How};
use super::fault::Fault;
use crate::domain::people::member::Said;
use crate::domain::value::strict_json;

/// The most JSON values of a body.
const MOST_VALUES: usize = 2_000;

/// The most operations of a body.
const MOST_OPERATIONS: usize = 100;

const OBJECT: Fault = Fault::Syntax("Expected one JSON object, in which no member stands twice");
const OPERATIONS: Fault = Fault::Syntax("Expected Operations, a list of 1 to 100 objects");
const OP: Fault = Fault::Syntax("Expected op to be add, replace or remove");
const PATH: Fault = Fault::Syntax("Expected path to be a text");
const VALUE: Fault = Fault::Syntax("Expected a value, which is an object where there is no path");

/// Reads a whole user: a new one, or in place of what the source said `before`.
///
/// # Errors
/// The body is not a user, or one of its values is not possible.
pub fn whole(body: &[u8], before: Option<Said>) -> Result<Said, Fault> {
    let mut draft = Draft::blank(before);
    draft.members(How::Replace, &object(body)?)?;
    draft.finish()
}

/// Applies operations to what the source said `before`: all of them, or none.
///
/// # Errors
/// The body is not a list of operations, or one of them sets a value that is not possible.
pub fn patch(body: &[u8], before: Said) -> Result<Said, Fault> {
    let body = object(body)?;
    let operations = member(&body, "Operations")?.and_then(Value::as_array).ok_or(OPERATIONS)?;
    if operations.is_empty() || operations.len() > MOST_OPERATIONS {
        return Err(OPERATIONS);
    }
    let mut draft = Draft::of(before);
    for operation in operations {
        apply(&mut draft, operation.as_object().ok_or(OPERATIONS)?)?;
    }
    draft.finish()
}

fn apply(draft: &mut Draft, operation: &Map<String, Value>) -> Result<(), Fault> {
    // RFC 7644 section 3.5.2 has lower case; Entra sends Add, Replace and Remove.
    let op = member(operation, "op")?.and_then(Value::as_str).ok_or(OP)?;
    let path = match member(operation, "path")? {
        None | Some(Value::Null) => None,
        Some(path) => Some(path.as_str().ok_or(PATH)?).filter(|path| !path.trim().is_empty()),
    };
    let target = path.map(Target::of);
    let value = member(operation, "value")?;
    let how = match op.to_ascii_lowercase().as_str() {
        "add" => How::Add,
        "replace" => How::Replace,
        // RFC 7644 section 3.5.2.2: without a path there is nothing to remove.
        "remove" => return draft.remove(&target.ok_or(Fault::Target)?, value),
        _ => return Err(OP),
    };
    match target {
        Some(Target::Unknown) => Ok(()),
        Some(target) => draft.set(how, &target, value.ok_or(VALUE)?),
        None => draft.members(how, value.and_then(Value::as_object).ok_or(VALUE)?),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match strict_json::parse(body, MOST_VALUES) {
        Some(Value::Object(object)) => Ok(object),
        Some(_) | None => Err(OBJECT),
    }
}

/// A member by its name, whose case does not matter (RFC 7643 section 2.1).
fn member<'o>(object: &'o Map<String, Value>, name: &str) -> Result<Option<&'o Value>, Fault> {
    let mut found = object.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let first = found.next().map(|(_, value)| value);
    if found.next().is_some() { Err(OBJECT) } else { Ok(first) }
}

#[cfg(test)]
mod tests;
