//! What is wrong with a configuration file: all of it at once, each fault with field, line, reason and fix.

use std::fmt;

/// One fault of `carnet.toml`. Never quotes a value of a field that may hold a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigFault {
    /// `environments.production.issuer`; empty for faults of the file as a whole.
    pub field: String,
    /// Counted from 1; absent when the field is.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub fix: String,
}

/// `carnet.toml:12: environments.production.issuer: reason. fix` without the file's name, which the caller knows.
impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: ")?,
            None => f.write_str("file: ")?,
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.reason, self.fix)
    }
}

/// Faults found so far, and the text that they are counted in.
pub(super) struct Faults<'t> {
    text: &'t str,
    list: Vec<ConfigFault>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, list: Vec::new() }
    }

    /// The line of a byte position.
    pub(super) fn line_at(&self, position: usize) -> usize {
        self.text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
    }

    pub(super) fn add(&mut self, at: (&str, Option<usize>), reason: impl Into<String>, fix: impl Into<String>) {
        let (field, line) = at;
        self.list.push(ConfigFault { field: field.to_owned(), line, reason: reason.into(), fix: fix.into() });
    }

    /// In the order of the file; what is missing comes last.
    pub(super) fn into_list(mut self) -> Vec<ConfigFault> {
        self.list.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        self.list
    }
}
