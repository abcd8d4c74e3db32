//! A record and where it was read.

use super::fault::{Fault, Places, Severity, position_of};
use super::kind::Record;
use super::read::tree::Position;
use crate::domain::reason::Reason;

/// A record and where it was read.
#[derive(Clone, Debug)]
pub struct Located {
    /// The file, as it was named to [`read`](super::read()).
    pub file: String,
    /// The line on which its document begins, from 1.
    pub line: u32,
    /// The record.
    pub record: Record,
    /// Warnings for its author; none of them stops it. [`check`](crate::domain::decision::check) repeats them.
    pub warnings: Vec<Fault>,
    pub(super) places: Places,
}

impl Located {
    /// A record that was not read from a file, such as one that is stored.
    ///
    /// Its faults stand on line 1 of `file`.
    pub fn unplaced(file: &str, record: Record) -> Self {
        Self { file: file.to_owned(), line: 1, record, warnings: Vec::new(), places: Places::new() }
    }

    /// Where a field stands in the file, or the nearest thing around it.
    pub fn position(&self, at: &str) -> Position {
        position_of(&self.places, at)
    }

    pub(in crate::domain) fn error(&self, at: &str, reason: &'static Reason, message: impl Into<String>) -> Fault {
        let Position { line, column } = self.position(at);
        let (file, at, message) = (self.file.clone(), at.to_owned(), message.into());
        Fault { file, line, column, at, reason, message, severity: Severity::Error }
    }

    /// A warning at this place.
    pub fn warning(&self, at: &str, reason: &'static Reason, message: impl Into<String>) -> Fault {
        Fault { severity: Severity::Warning, ..self.error(at, reason, message) }
    }
}
