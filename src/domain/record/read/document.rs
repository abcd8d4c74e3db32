//! A file of records: YAML documents, each a record of the kind that it names.

use super::place::Place;
use super::tree::{self, Value};
use crate::domain::reason;
use crate::domain::record::fault::{Fault, Faults, shown};
use crate::domain::record::form::map::Map as _;
use crate::domain::record::kind::{API_VERSION, Kind, Record};
use crate::domain::record::located::Located;
use crate::domain::registry::api::Api;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::partner::Partner;

/// Reads all records of a text of YAML documents.
///
/// `file` is only how faults call it.
///
/// # Errors
/// Every fault of the file, warnings among them, in the order of the text. One error refuses the whole file.
pub fn read(file: &str, yaml: &str) -> Result<Vec<Located>, Vec<Fault>> {
    let mut faults = Faults::new(file);
    let documents = match tree::parse(yaml) {
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
    let expected = "expected kind: Api, Partner, Integration or Guardrail";
    let Some((position, name)) = text("kind") else {
        faults.error("kind", &reason::RECORD_KIND, expected);
        return None;
    };
    match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(Kind::Api) => Api::read(document, faults).map(Record::Api),
        Some(Kind::Partner) => Partner::read(document, faults).map(Record::Partner),
        Some(Kind::Guardrail) => Guardrail::read(document, faults).map(Record::Guardrail),
        Some(Kind::Integration) => Integration::read(document, faults).map(Record::Integration),
        None => {
            faults.error_at(position, "kind", &reason::RECORD_KIND, format!("{expected}, not {}", shown(name)));
            None
        }
    }
}
