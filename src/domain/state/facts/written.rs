//! Writes facts as canonical JSON: without spaces, and with the members of each object in the order of their names.
//!
//! A list or an object of many is made one by one while it is written, so the facts of a hundred thousand integrations are never in memory
//! at once.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// A fact, or many.
pub enum Fact<'a> {
    /// One that is made.
    One(Value),
    /// A list, in its order.
    List(Box<dyn Iterator<Item = Value> + 'a>),
    /// An object, in the order of its names. Enter through [`Fact::named`].
    Named(Box<dyn Iterator<Item = (String, Fact<'a>)> + 'a>),
}

impl From<Value> for Fact<'_> {
    fn from(value: Value) -> Self {
        Self::One(value)
    }
}

impl<'a> Fact<'a> {
    /// A list of what `all` makes.
    pub fn list(all: impl Iterator<Item = Value> + 'a) -> Self {
        Self::List(Box::new(all))
    }

    /// An object: a name for each of `all`, and what `make` makes of it.
    pub fn named<T: 'a, V: Into<Self>>(all: impl Iterator<Item = (String, T)>, make: impl Fn(T) -> V + 'a) -> Self {
        let mut all: Vec<(String, T)> = all.collect();
        // By the text of the names, which the types that they are of may order otherwise.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self::Named(Box::new(all.into_iter().map(move |(name, one)| (name, make(one).into()))))
    }

    /// An object of a few facts.
    pub fn object(members: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::named(members.into_iter().map(|(name, fact)| (name.to_owned(), fact)), |fact| fact)
    }

    /// Writes it.
    pub fn write(self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::One(value) => to.write_all(&serde_json::to_vec(&canonical(value))?),
            Self::List(all) => {
                let mut before: &[u8] = b"[";
                for one in all {
                    to.write_all(before)?;
                    to.write_all(&serde_json::to_vec(&canonical(one))?)?;
                    before = b",";
                }
                to.write_all(if before == b"[" { b"[]" } else { b"]" })
            }
            Self::Named(all) => {
                let mut before: &[u8] = b"{";
                for (name, fact) in all {
                    to.write_all(before)?;
                    serde_json::to_writer(&mut *to, &name)?;
                    to.write_all(b":")?;
                    fact.write(to)?;
                    before = b",";
                }
                to.write_all(if before == b"{" { b"{}" } else { b"}" })
            }
        }
    }
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            Value::Object(sorted.into_iter().collect::<Map<String, Value>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(fact: Fact<'_>) -> String {
        let mut bytes = Vec::new();
        fact.write(&mut bytes).expect("memory takes it");
        String::from_utf8(bytes).expect("JSON is text")
    }

    #[test]
    fn what_is_made_one_by_one_is_written_as_what_is_made_at_once() {
        let values =
            || ["b/x", "b-a/x", "a\"q"].map(|name| (name.to_owned(), json!({"z": [1, {"y": null, "x": name}], "a": true})));
        let made = json!({"list": values().map(|(_, value)| value), "named": values().into_iter().collect::<Map<_, _>>(),
            "empty": [], "none": {}, "one": 1});
        let lazy = Fact::object([
            ("named", Fact::named(values().into_iter(), |value| value)),
            ("list", Fact::list(values().into_iter().map(|(_, value)| value))),
            ("none", Fact::named(std::iter::empty::<(String, Value)>(), |value| value)),
            ("empty", Fact::list(std::iter::empty())),
            ("one", json!(1).into()),
        ]);
        let text = written(lazy);
        assert_eq!(text, written(made.into()));
        let at = |name: &str| text.find(name).expect("a member");
        assert!(at(r#""a\"q":{"a":true,"z":"#) < at(r#""b-a/x":{"#) && at(r#""b-a/x":{"#) < at(r#""b/x":{"#), "{text}");
    }
}
