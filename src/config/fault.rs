//! The faults of a configuration file: all at once, each with field, line, reason and fix.

use std::fmt;

/// One fault of `carnet.toml`. It never quotes the value of a field that may have a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigFault {
    /// `environments.production.issuer`; empty for faults of the file as a whole.
    pub field: String,
    /// The line, counted from 1; absent if the field is.
    pub line: Option<usize>,
    /// A sentence about the fault.
    pub reason: String,
    /// The fix: what to write instead.
    pub fix: String,
}

/// Formats as `line 12: environments.production.issuer: reason; fix`.
///
/// The caller knows the file's name.
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

/// The faults found so far, and the text in which their lines are counted.
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

    /// All faults in the order of the file; those of absent fields come last.
    pub(super) fn into_list(mut self) -> Vec<ConfigFault> {
        self.list.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        self.list
    }
}
