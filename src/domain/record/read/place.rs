//! A value of a document together with its path: what the readers walk.
//!
//! Every function here tells its own fault and answers `None`; a reader asks for all of its fields before it gives up, so
//! that every fault of a file is told at once.

use std::fmt::Display;
use std::str::FromStr;

use super::tree::{Node, Position, Value};
use crate::domain::reason;
use crate::domain::record::fault::{Faults, Ground, position_of, shown};
use crate::domain::value::nearest::nearest;
use crate::domain::value::text::{Text, misleads};

/// A node and where it stands.
#[derive(Clone, Debug)]
pub(in crate::domain::record) struct Place<'a> {
    pub node: &'a Node,
    pub at: String,
}

/// The fields of a map whose shape was checked.
#[derive(Debug)]
pub(in crate::domain::record) struct Fields<'a> {
    pub at: String,
    entries: Vec<(&'a str, Place<'a>)>,
}

/// The keys of one map.
#[derive(Debug)]
pub(in crate::domain::record) struct Shape {
    /// The name of the map in the schema and in messages; empty for a whole record.
    pub name: &'static str,
    /// All keys that are taken.
    pub keys: Vec<Key>,
}

/// One key of a map.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::record) struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Whether the map is refused without it.
    pub required: bool,
}

impl Shape {
    /// The keys without which the map is refused.
    pub fn required(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(|key| key.required).map(|key| key.name)
    }

    /// All keys, as messages list them: the required ones first.
    fn known(&self) -> Vec<&'static str> {
        let optional = self.keys.iter().filter(|key| !key.required).map(|key| key.name);
        self.required().chain(optional).collect()
    }
}

/// The most items of a list: more than any record has, and quadratic checks stay cheap.
pub(in crate::domain::record) const MOST_ITEMS: usize = 500;

impl<'a> Place<'a> {
    /// A whole document.
    pub fn document(node: &'a Node, faults: &mut Faults) -> Self {
        faults.places.clear();
        faults.ground = Ground::default();
        faults.places.insert(String::new(), node.position);
        Self { node, at: String::new() }
    }

    /// The map's fields: unknown keys and missing required ones are told here.
    pub fn fields(&self, shape: &Shape, faults: &mut Faults) -> Option<Fields<'a>> {
        let known = shape.known();
        let Value::Map(map) = &self.node.value else {
            let name = if shape.name.is_empty() { "record" } else { shape.name };
            self.expected(&format!("{name}: a map with the keys {}", known.join(", ")), faults);
            return None;
        };
        let mut entries = Vec::new();
        for (key, node) in map {
            let at = join(&self.at, &key.text);
            if known.contains(&key.text.as_str()) {
                faults.places.insert(at.clone(), key.position);
                entries.push((key.text.as_str(), Place { node, at }));
            } else {
                if faults.is_full() {
                    faults.error_at(key.position, &at, &reason::RECORD_UNKNOWN_KEY, "unknown key");
                    continue;
                }
                let message = match nearest(&key.text, known.iter().copied()) {
                    Some(meant) => format!("unknown key {}; did you mean {meant}?", shown(&key.text)),
                    None => format!("unknown key {}; known are {}", shown(&key.text), known.join(", ")),
                };
                faults.error_at(key.position, &at, &reason::RECORD_UNKNOWN_KEY, message);
            }
        }
        for required in shape.required() {
            if !entries.iter().any(|(key, _)| *key == required) {
                let at = join(&self.at, required);
                faults.error(&at, &reason::RECORD_MISSING, format!("the key {required} is missing"));
            }
        }
        Some(Fields { at: self.at.clone(), entries })
    }

    /// The entries of a map whose keys are names.
    pub fn entries(&self, faults: &mut Faults) -> Option<Vec<(&'a str, Place<'a>)>> {
        let Value::Map(map) = &self.node.value else {
            self.expected("a map", faults);
            return None;
        };
        if map.len() > MOST_ITEMS {
            self.expected("at most 500 entries", faults);
            return None;
        }
        let entry = |(key, node): &'a (super::tree::Key, Node)| {
            let at = join(&self.at, &key.text);
            faults.places.insert(at.clone(), key.position);
            (key.text.as_str(), Place { node, at })
        };
        Some(map.iter().map(entry).collect())
    }

    /// The items of a list.
    pub fn items(&self, faults: &mut Faults) -> Option<Vec<Place<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.expected("a list", faults);
            return None;
        };
        if items.len() > MOST_ITEMS {
            self.expected("at most 500 items", faults);
            return None;
        }
        let item = |(index, node): (usize, &'a Node)| {
            let at = format!("{}[{index}]", self.at);
            faults.places.insert(at.clone(), node.position);
            Place { node, at }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The text of a scalar: not null, of at least one character.
    pub fn scalar(&self, faults: &mut Faults) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() && !text.is_empty() => Some(text),
            Value::Scalar { .. } => {
                self.expected("a value, and nothing stands there", faults);
                None
            }
            Value::List(_) => {
                self.expected("one value, not a list", faults);
                None
            }
            Value::Map(_) => {
                self.expected("one value, not a map", faults);
                None
            }
        }
    }

    /// A scalar that parses.
    pub fn parse<T: FromStr<Err: Display>>(&self, faults: &mut Faults) -> Option<T> {
        let text = self.scalar(faults)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(expected) => {
                self.refuse(&format!("{expected}, not {}", shown(text)), faults);
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<W: AsRef<str>, T: Copy>(&self, words: &[(W, T)], faults: &mut Faults) -> Option<T> {
        let text = self.scalar(faults)?;
        let found = words.iter().find(|(word, _)| word.as_ref() == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| word.as_ref()).collect();
            self.refuse(&format!("expected {}, not {}", known.join(" or "), shown(text)), faults);
        }
        found
    }

    /// JSON, written in YAML or as one string.
    ///
    /// It is returned as it was parsed here, so that a member that stands twice cannot be read in two ways.
    pub fn json(&self) -> serde_json::Value {
        match &self.node.value {
            Value::Scalar { text, .. } => serde_json::from_str(text).unwrap_or(serde_json::Value::Null),
            Value::List(_) | Value::Map(_) => self.node.to_json(),
        }
    }

    /// `true` or `false`, without quotes.
    pub fn flag(&self, faults: &mut Faults) -> Option<bool> {
        self.word(&[("true", true), ("false", false)], faults)
    }

    /// A whole number between two bounds.
    pub fn number(&self, least: u32, most: u32, faults: &mut Faults) -> Option<u32> {
        let text = self.scalar(faults)?;
        let digits = text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok().filter(|number| (least..=most).contains(number)) } else { None };
        if number.is_none() {
            self.refuse(&format!("expected a number from {least} to {most}, not {}", shown(text)), faults);
        }
        number
    }

    /// Words for people: at most 2000 bytes.
    ///
    /// Control characters are refused, and characters that hide or reorder text on a screen.
    pub fn words(&self, faults: &mut Faults) -> Option<&'a str> {
        let text = self.scalar(faults)?;
        // Exactly one line end at the end is what a block scalar leaves.
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.len() > 2000 || text.trim() != text || text.is_empty() || text.chars().any(misleads) {
            self.refuse(
                "expected 1 to 2000 bytes of text without control characters, not beginning or ending with a space",
                faults,
            );
            return None;
        }
        Some(text)
    }

    /// Text of several lines, such as a program: at most `most` bytes.
    ///
    /// Characters are refused as in [`words`](Self::words), but for line ends and tabs.
    /// The place of its first line is kept under the path of the text with `[text]`.
    pub fn lines(&self, most: usize, faults: &mut Faults) -> Option<&'a str> {
        let whole = self.scalar(faults)?;
        let text = whole.strip_suffix('\n').unwrap_or(whole);
        let hides = |c: char| misleads(c) && c != '\n' && c != '\t';
        if text.len() > most || text.trim().is_empty() || text.chars().any(hides) {
            self.refuse(
                &format!("expected 1 to {most} bytes of text, without control characters but line ends and tabs"),
                faults,
            );
            return None;
        }
        // A block scalar begins on the line after its key.
        let Position { line, column } = position_of(&faults.places, &self.at);
        let line = if whole.contains('\n') { line + 1 } else { line };
        faults.places.insert(format!("{}[text]", self.at), Position { line, column });
        Some(text)
    }

    /// Words that may be forgotten.
    pub fn personal(&self, faults: &mut Faults) -> Option<Text> {
        let text = self.words(faults)?;
        // `text:` is how a sealed text is stored: a plain one must not look like it.
        if text.starts_with("text:") {
            self.refuse("expected a text that does not begin with text:", faults);
            return None;
        }
        Some(Text::from(text))
    }

    /// Tells that the value is not of its form.
    pub fn refuse(&self, message: &str, faults: &mut Faults) {
        faults.error(&self.at, &reason::RECORD_VALUE, message);
    }

    fn expected(&self, what: &str, faults: &mut Faults) {
        self.refuse(&format!("expected {what}"), faults);
    }
}

impl<'a> Fields<'a> {
    /// The field, if it is there. A missing required one was told already.
    pub fn get(&self, key: &str) -> Option<&Place<'a>> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, place)| place)
    }

    /// The path of a field, there or not.
    pub fn path(&self, key: &str) -> String {
        join(&self.at, key)
    }
}

/// `at` and one more key.
pub(in crate::domain::record) fn join(at: &str, key: &str) -> String {
    let simple = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c));
    match (at, simple) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{at}.{key}"),
        (_, false) => format!("{at}[{key:?}]"),
    }
}
