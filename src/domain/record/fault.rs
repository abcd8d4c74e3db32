//! Faults: what is wrong with a record, where, and how bad. All of a file are told at once.

use std::collections::BTreeMap;
use std::fmt;

use super::read::tree::Position;
use crate::domain::reason::Reason;
use crate::domain::registry::managed::ManagedBy;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::ClientId;

/// One thing that is wrong with a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file, as it was named to [`read`](super::read()).
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// The place in the record; empty for the whole document.
    ///
    /// Such as `environments.production.bindings[0].oidc.issuer`.
    pub at: String,
    /// The stable reason.
    pub reason: &'static Reason,
    /// The wanted and the seen value, for the author.
    ///
    /// At most a few words of the text, without control characters.
    pub message: String,
    /// Whether it stops the record.
    pub severity: Severity,
}

/// Whether a fault stops a record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The record is refused.
    Error,
    /// The record is taken, and its author should know.
    Warning,
}

/// As compilers write it: `records.yaml:12:5: error[record.value] contract.ends: expected …`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{}: {word}[{}] ", self.file, self.line, self.column, self.reason)?;
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.message)
    }
}

/// Where things stand in one document, by their path.
pub(super) type Places = BTreeMap<String, Position>;

/// More than anybody reads at once; bounds the answer to a hostile file.
const MOST_FAULTS: usize = 500;

/// The ground of the bindings that are read.
///
/// The maps around them set it, and their readers use it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// The client that presents their proofs.
    ///
    /// `None` where the name was refused, which refuses the record anyway.
    pub client: Option<ClientId>,
    /// Whether reusable proofs must be bounded here.
    pub production: bool,
    /// Whether tokens must be bound, or source networks are listed.
    pub bounded: bool,
    /// Who applies the record, as its metadata say.
    pub managed_by: Option<ManagedBy>,
}

/// The faults of one file as they are found.
#[derive(Debug)]
pub(super) struct Faults {
    file: String,
    list: Vec<Fault>,
    /// Where the things that were read so far stand, of the document that is being read.
    pub places: Places,
    /// The ground of the binding that is read.
    pub ground: Ground,
    /// The budget for comparing things of one file with each other.
    pub effort: Effort,
}

impl Faults {
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            list: Vec::new(),
            places: Places::new(),
            ground: Ground::default(),
            effort: Effort::default(),
        }
    }

    /// Something that stops the record.
    pub fn error(&mut self, at: &str, reason: &'static Reason, message: impl Into<String>) {
        self.push(at, reason, message.into(), Severity::Error);
    }

    /// Something that its author should know.
    pub fn warning(&mut self, at: &str, reason: &'static Reason, message: impl Into<String>) {
        self.push(at, reason, message.into(), Severity::Warning);
    }

    pub fn error_at(&mut self, position: Position, at: &str, reason: &'static Reason, message: impl Into<String>) {
        self.push_at(position, at, reason, message.into(), Severity::Error);
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// Whether something stops the record that was begun when the list had `from` faults.
    ///
    /// Also where the list is full.
    pub fn errors_since(&self, from: usize) -> bool {
        self.list.len() >= MOST_FAULTS || self.since(from).iter().any(|fault| fault.severity == Severity::Error)
    }

    /// The warnings that were found since the list had `from` faults.
    pub fn since(&self, from: usize) -> Vec<Fault> {
        self.list.get(from..).unwrap_or_default().to_vec()
    }

    /// Whether the list is full: no further fault is told unless it is the first error.
    ///
    /// To look for the best words for one is lost work then.
    pub fn is_full(&self) -> bool {
        self.list.len() >= MOST_FAULTS
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All faults in the order of the text.
    pub fn into_list(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|fault| (fault.line, fault.column));
        self.list
    }

    fn push(&mut self, at: &str, reason: &'static Reason, message: String, severity: Severity) {
        self.push_at(position_of(&self.places, at), at, reason, message, severity);
    }

    fn push_at(&mut self, position: Position, at: &str, reason: &'static Reason, message: String, severity: Severity) {
        // An error is never dropped while there is none, so a refused file cannot look clean.
        if self.list.len() >= MOST_FAULTS && (severity == Severity::Warning || self.has_errors()) {
            return;
        }
        let (line, column, file) = (position.line, position.column, self.file.clone());
        self.list.push(Fault { file, line, column, at: at.to_owned(), reason, message, severity });
    }
}

/// Where `at` stands, or the nearest thing around it that is known.
pub(super) fn position_of(places: &Places, at: &str) -> Position {
    let mut path = at;
    loop {
        if let Some(position) = places.get(path) {
            return *position;
        }
        match path.rfind(['.', '[']) {
            Some(cut) => path = path.get(..cut).unwrap_or_default(),
            None => return places.get("").copied().unwrap_or(Position { line: 1, column: 1 }),
        }
    }
}

/// A piece of somebody's text that may stand in a message.
///
/// It is short and quoted, with control characters escaped (ABUSE L-05).
pub(super) fn shown(text: &str) -> String {
    let mut piece: String = text.chars().take(60).collect();
    if piece.len() < text.len() {
        piece.push('…');
    }
    format!("{piece:?}")
}
