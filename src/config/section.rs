//! Reads one table of the file key by key, so that every fault is found and not only the first.
//!
//! serde would stop at the first fault, and would not give the line of a value that has the right type but is wrong.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use crate::domain::value::clock::Seconds;

/// A table that is being read. A key that is never read is unknown.
pub(super) struct Section<'t> {
    path: String,
    line: Option<usize>,
    entries: Vec<(String, usize, DeValue<'t>)>,
    known: Vec<&'static str>,
}

/// A value with its place.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) field: String,
    pub(super) line: usize,
}

impl<T> Located<T> {
    pub(super) fn at(&self) -> (&str, Option<usize>) {
        (&self.field, Some(self.line))
    }

    /// Parses the value; a failure becomes a fault with this fix.
    pub(super) fn parse<U>(
        &self,
        faults: &mut Faults<'_>,
        parse: impl FnOnce(&T) -> Result<U, String>,
        fix: &str,
    ) -> Option<U> {
        parse(&self.value).map_err(|reason| faults.add(self.at(), reason, fix)).ok()
    }
}

impl<'t> Section<'t> {
    pub(super) fn new(path: &str, line: Option<usize>, table: DeTable<'t>, faults: &Faults<'_>) -> Self {
        let entry = |(key, value): (Spanned<_>, Spanned<_>)| {
            let line = faults.line_at(key.span().start);
            let key: std::borrow::Cow<'t, str> = key.into_inner();
            (key.into_owned(), line, value.into_inner())
        };
        Self { path: path.to_owned(), line, entries: table.into_iter().map(entry).collect(), known: Vec::new() }
    }

    /// The place of the table itself.
    pub(super) fn at(&self) -> (&str, Option<usize>) {
        (&self.path, self.line)
    }

    fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &str) -> Option<Located<DeValue<'t>>> {
        let at = self.entries.iter().position(|(name, ..)| name == key)?;
        let (_, line, value) = self.entries.remove(at);
        Some(Located { value, field: self.field(key), line })
    }

    /// The names of the keys that are left, in the order of the file.
    pub(super) fn keys(&self) -> Vec<(String, usize)> {
        let mut keys: Vec<_> = self.entries.iter().map(|(key, line, _)| (key.clone(), *line)).collect();
        keys.sort_by_key(|(_, line)| *line);
        keys
    }

    /// Takes a table below this one.
    pub(super) fn section(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<Section<'t>> {
        self.known.push(key);
        self.named_section(key, faults)
    }

    /// Takes a table below this one, under a name that the file chose.
    pub(super) fn named_section(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Section<'t>> {
        let found = self.take(key)?;
        let Located { value, field, line } = found;
        match value {
            DeValue::Table(table) => Some(Section::new(&field, Some(line), table, faults)),
            other => {
                wrong_type(faults, (&field, Some(line)), "a table", &other);
                None
            }
        }
    }

    /// Takes a list of tables; an absent one is empty.
    pub(super) fn sections(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Section<'t>> {
        self.known.push(key);
        let Some(Located { value, field, line }) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            wrong_type(faults, (&field, Some(line)), "a list of tables", &value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (number, item) in items.into_iter().enumerate() {
            let (field, line) = (format!("{field}[{number}]"), faults.line_at(item.span().start));
            match item.into_inner() {
                DeValue::Table(table) => sections.push(Section::new(&field, Some(line), table, faults)),
                other => wrong_type(faults, (&field, Some(line)), "a table", &other),
            }
        }
        sections
    }

    /// Takes a text.
    pub(super) fn text(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<Located<String>> {
        self.known.push(key);
        let Located { value, field, line } = self.take(key)?;
        match value {
            DeValue::String(text) => Some(Located { value: text.into_owned(), field, line }),
            other => {
                wrong_type(faults, (&field, Some(line)), "a text in quotes", &other);
                None
            }
        }
    }

    /// Takes a text that is required.
    pub(super) fn required(&mut self, key: &'static str, fix: &str, faults: &mut Faults<'_>) -> Option<Located<String>> {
        let is_there = self.entries.iter().any(|(name, ..)| name == key);
        let found = self.text(key, faults);
        if !is_there {
            faults.add((&self.field(key), self.line), "it is missing", fix);
        }
        found
    }

    /// Takes a list of texts; an absent one is empty.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Located<String>> {
        self.known.push(key);
        self.take(key).map(|found| texts_of(found, faults)).unwrap_or_default()
    }

    /// Takes a list of texts under a name that the file chose.
    pub(super) fn named_texts(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<Located<String>> {
        self.take(key).map(|found| texts_of(found, faults)).unwrap_or_default()
    }

    /// Takes a whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, bounds: (usize, usize), faults: &mut Faults<'_>) -> Option<usize> {
        self.known.push(key);
        let Located { value, field, line } = self.take(key)?;
        let fix = format!("write a whole number from {} to {}", bounds.0, bounds.1);
        let number = match &value {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            other => {
                wrong_type(faults, (&field, Some(line)), "a whole number", other);
                return None;
            }
        };
        let within = number.filter(|number| (bounds.0..=bounds.1).contains(number));
        if within.is_none() {
            faults.add((&field, Some(line)), "the number is out of bounds", fix);
        }
        within
    }

    /// Takes `true` or `false`.
    pub(super) fn truth(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<bool> {
        self.known.push(key);
        let Located { value, field, line } = self.take(key)?;
        match value {
            DeValue::Boolean(truth) => Some(truth),
            other => {
                wrong_type(faults, (&field, Some(line)), "true or false", &other);
                None
            }
        }
    }

    /// Takes a listen address such as `127.0.0.1:7400`; port 0 is allowed.
    pub(super) fn address(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<SocketAddr> {
        let parse = |text: &String| SocketAddr::from_str(text).map_err(|_| "this is not an address and port".to_owned());
        self.text(key, faults)?.parse(faults, parse, "write an IP address and a port, such as 127.0.0.1:7400 or [::1]:7400")
    }

    /// Takes a length of time within bounds.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        bounds: (Seconds, Seconds),
        faults: &mut Faults<'_>,
    ) -> Option<Seconds> {
        let (least, most) = bounds;
        let parse = |text: &String| {
            let time = Seconds::parse(text).ok_or_else(|| "this is not a length of time".to_owned())?;
            if (least..=most).contains(&time) { Ok(time) } else { Err(format!("{time} is out of bounds")) }
        };
        let fix = format!("write one number and one unit from {least} to {most}, such as 90s, 10m, 1h or 30d");
        self.text(key, faults)?.parse(faults, parse, &fix)
    }

    /// Takes the path of a file that must exist, relative to the folder of the configuration.
    pub(super) fn file(&mut self, key: &'static str, folder: &Path, fix: &str, faults: &mut Faults<'_>) -> Option<PathBuf> {
        let found = self.text(key, faults)?;
        let path = folder.join(&found.value);
        if !path.is_file() {
            faults.add(found.at(), format!("there is no file {}", path.display()), fix);
        }
        Some(path)
    }

    /// Refuses every key that was not read: a misspelt key would silently be a default.
    pub(super) fn finish(self, faults: &mut Faults<'_>) {
        let known = if self.known.is_empty() { "nothing".to_owned() } else { self.known.join(", ") };
        for (key, line, _) in &self.entries {
            faults.add((&self.field(key), Some(*line)), "this key is not known", format!("known here: {known}"));
        }
    }
}

fn texts_of(found: Located<DeValue<'_>>, faults: &mut Faults<'_>) -> Vec<Located<String>> {
    let Located { value, field, line } = found;
    let list = match value {
        DeValue::Array(list) => list,
        other => {
            wrong_type(faults, (&field, Some(line)), "a list of texts", &other);
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for element in list {
        let line = faults.line_at(element.span().start);
        match element.into_inner() {
            DeValue::String(text) => texts.push(Located { value: text.into_owned(), field: field.clone(), line }),
            other => wrong_type(faults, (&field, Some(line)), "a list of texts", &other),
        }
    }
    texts
}

fn wrong_type(faults: &mut Faults<'_>, at: (&str, Option<usize>), wanted: &str, seen: &DeValue<'_>) {
    faults.add(at, format!("expected {wanted}, found {}", seen.type_str()), format!("write {wanted}"));
}
