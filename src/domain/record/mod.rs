//! Records as people write them: YAML text to the domain's types, every fault of a file at once, and what compares records.
//!
//! Enter through [`read`] for one file, [`check`] for what a record needs of the others (APIs, scopes, environments, overlap and
//! its own `tests:`), [`compare`] for what a new version changes, and [`schema`] for editors. [`Record::texts_mut`] lists the
//! personal texts, so that they can be sealed and joined again. [`document`] is a record as its author would write it.
//!
//! Deliberately not here: fetching anything, whether an address may be reached (`outbound`), approvals and life cycle, and
//! the layout of YAML that is written. There is no `now`: dates are compared with each other only.

mod check;
mod claims;
mod compare;
mod fault;
mod lint;
mod read;
mod rehearse;
mod schema;
mod texts;
mod write;

#[cfg(test)]
mod hostile;

pub use check::{Surroundings, check, check_each, collisions, collisions_in_force, conflicts_in};
pub use compare::{
    Difference, Weight, compare, is_provably_narrowing, widens_access, widens_binding, widens_elevation, widens_target,
};
pub use fault::{Fault, Severity};
#[cfg(test)]
pub(crate) use read::keyset::judge as judge_keys;
pub use read::tree::Position;
pub use rehearse::run as run_tests;
pub use schema::schema;
pub use write::document;

use serde::Serialize;

use super::reason::{self, Reason};
use super::registry::api::Api;
use super::registry::integration::Integration;
use super::registry::partner::Partner;
use super::state::taken::Holder;
use fault::{Faults, Places, position_of, shown};
use read::place::Place;
use read::tree::Value;

/// A record of any kind. As JSON it is the record itself, so its digest is the digest of the version that is stored.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// `kind: Api`.
    Api(Api),
    /// `kind: Integration`.
    Integration(Integration),
    /// `kind: Partner`.
    Partner(Partner),
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An API of the catalogue.
    Api,
    /// A partner's integration.
    Integration,
    /// A partner.
    Partner,
}

impl Kind {
    /// As `kind:` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "Api",
            Self::Integration => "Integration",
            Self::Partner => "Partner",
        }
    }
}

impl Record {
    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Api(_) => Kind::Api,
            Self::Integration(_) => Kind::Integration,
            Self::Partner(_) => Kind::Partner,
        }
    }

    /// The record as one that can take what must be unique.
    pub fn holder(&self) -> Option<Holder<'_>> {
        match self {
            Self::Api(api) => Some(Holder::Api(api)),
            Self::Integration(integration) => Some(Holder::Integration(integration)),
            Self::Partner(_) => None,
        }
    }

    /// Its kind, and its name within it: `orders-api`, `globex`, `globex/order-sync`.
    pub fn name(&self) -> (&'static str, String) {
        let name = match self {
            Self::Api(api) => api.name.to_string(),
            Self::Integration(integration) => integration.id.to_string(),
            Self::Partner(partner) => partner.name.to_string(),
        };
        (self.kind().name(), name)
    }
}

/// A record and where it was read.
#[derive(Clone, Debug)]
pub struct Located {
    /// The file, as it was named to [`read`].
    pub file: String,
    /// The line on which its document begins, from 1.
    pub line: u32,
    /// The record.
    pub record: Record,
    /// What its author should know (lint); nothing here stops it. [`check`] repeats them.
    pub warnings: Vec<Fault>,
    places: Places,
}

impl Located {
    /// A record that was not read from a file, such as one that is stored: its faults stand on line 1 of `file`.
    pub fn unplaced(file: &str, record: Record) -> Self {
        Self { file: file.to_owned(), line: 1, record, warnings: Vec::new(), places: Places::new() }
    }

    /// Where a field stands in the file, or the nearest thing around it.
    pub fn position(&self, at: &str) -> Position {
        position_of(&self.places, at)
    }

    fn error(&self, at: &str, reason: &'static Reason, message: impl Into<String>) -> Fault {
        let Position { line, column } = self.position(at);
        let (file, at, message) = (self.file.clone(), at.to_owned(), message.into());
        Fault { file, line, column, at, reason, message, severity: Severity::Error }
    }

    fn warning(&self, at: &str, reason: &'static Reason, message: impl Into<String>) -> Fault {
        Fault { severity: Severity::Warning, ..self.error(at, reason, message) }
    }
}

/// Reads all records of a text of YAML documents.
///
/// `file` is only how faults call it.
///
/// # Errors
/// Every fault of the file, warnings among them, in the order of the text. One error refuses the whole file.
pub fn read(file: &str, yaml: &str) -> Result<Vec<Located>, Vec<Fault>> {
    let mut faults = Faults::new(file);
    let documents = match read::tree::parse(yaml) {
        Ok(documents) => documents,
        Err(syntax) => {
            for fault in syntax {
                faults.error_at(fault.position, "", &reason::RECORD_SYNTAX, fault.message);
            }
            return Err(faults.into_list());
        }
    };
    let mut records = Vec::new();
    for document in &documents {
        let place = Place::document(document, &mut faults);
        let from = faults.len();
        if let Some(record) = record(&place, &mut faults) {
            let (file, line) = (file.to_owned(), document.position.line);
            let (warnings, places) = (faults.since(from), std::mem::take(&mut faults.places));
            records.push(Located { file, line, record, warnings, places });
        } else if !faults.errors_since(from) {
            // A document is read or refused, never dropped: one that vanished would look applied.
            faults.error("", &reason::RECORD_VALUE, "this document could not be read");
        }
    }
    if faults.has_errors() { Err(faults.into_list()) } else { Ok(records) }
}

const API_VERSION: &str = "carnet/v1";

fn record(document: &Place<'_>, faults: &mut Faults) -> Option<Record> {
    let Value::Map(entries) = &document.node.value else {
        document.refuse("expected a record: a map with apiVersion, kind and metadata", faults);
        return None;
    };
    let text = |name: &str| {
        let (key, node) = entries.iter().find(|(key, _)| key.text == name)?;
        match &node.value {
            Value::Scalar { text, .. } => Some((key.position, text.as_str())),
            Value::List(_) | Value::Map(_) => Some((key.position, "")),
        }
    };
    match text("apiVersion") {
        Some((_, API_VERSION)) => {}
        Some((position, other)) => {
            let message = format!("expected apiVersion: {API_VERSION}, not {}", shown(other));
            faults.error_at(position, "apiVersion", &reason::RECORD_KIND, message);
        }
        None => faults.error("apiVersion", &reason::RECORD_KIND, format!("expected apiVersion: {API_VERSION}")),
    }
    match text("kind") {
        Some((_, "Api")) => {
            let api = read::api::api(document, faults)?;
            read::api::judge(&api, faults);
            Some(Record::Api(api))
        }
        Some((_, "Partner")) => read::partner::partner(document, faults).map(Record::Partner),
        Some((_, "Integration")) => read::integration::integration(document, faults).map(Record::Integration),
        Some((position, "Guardrail")) => {
            faults.error_at(
                position,
                "kind",
                &reason::RECORD_KIND,
                "guardrails are not supported yet; leave this document out",
            );
            None
        }
        Some((position, other)) => {
            let message = format!("expected kind: Api, Partner or Integration, not {}", shown(other));
            faults.error_at(position, "kind", &reason::RECORD_KIND, message);
            None
        }
        None => {
            faults.error("kind", &reason::RECORD_KIND, "expected kind: Api, Partner or Integration");
            None
        }
    }
}
