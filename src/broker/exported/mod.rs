//! Entries of the journal in the forms that other systems read: CloudEvents and OCSF (docs/reference/exports.md).
//!
//! Enter through [`line()`]. An event says what its entry says, and nothing else: texts of people stand in it as their digests, as in every
//! copy of the journal. It is made of the entry alone, so the same entry is the same event whenever and wherever it is made.
//!
//! A new kind of change needs an arm in [`class`], and nothing else here.

mod class;
mod cloud_event;
mod ocsf;
mod told;

pub use told::Told;

use serde_json::Value;

use crate::domain::elevation::Elevation;
use crate::domain::log::change::Change;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::value::names::ElevationId;

/// A form of events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// CloudEvents 1.0, structured, in JSON.
    CloudEvents,
    /// The Open Cybersecurity Schema Framework.
    Ocsf,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 2] = [Self::CloudEvents, Self::Ocsf];

    /// Its word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloudevents",
            Self::Ocsf => "ocsf",
        }
    }
}

/// The entry as an event.
pub fn line(form: Form, told: Told<'_>) -> Value {
    match form {
        Form::CloudEvents => cloud_event::of(told),
        Form::Ocsf => ocsf::of(told),
    }
}

/// The epoch that begins with this entry, if one does.
pub fn begins(entry: &Entry) -> Option<u64> {
    let Entry::Change(entry) = entry else { return None };
    let Change::Journal(JournalChange::Reopened { epoch, .. }) = &entry.change.what else { return None };
    Some(*epoch)
}

/// The elevation that an entry asks for.
pub fn asked(entry: &Entry) -> Option<&Elevation> {
    let Entry::Change(entry) = entry else { return None };
    let Change::Elevation(ElevationChange::Asked { elevation }) = &entry.change.what else { return None };
    Some(elevation)
}

/// The id of the elevation that an entry is about.
pub fn about(entry: &Entry) -> Option<&ElevationId> {
    let Entry::Change(entry) = entry else { return None };
    let Change::Elevation(change) = &entry.change.what else { return None };
    Some(change.elevation())
}
