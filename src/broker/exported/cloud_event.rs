//! An entry as a CloudEvent 1.0 in structured mode.

use serde_json::{Value, json};

use super::told::Told;
use crate::broker::event::{self, Part};

/// What the type of an event begins with.
const TYPES: &str = "dev.carnet.";

pub(super) fn of(told: Told<'_>) -> Value {
    let Told { origin, epoch, entry, recorded, elevation: _ } = told;
    json!({
        "specversion": "1.0", "id": event::id(epoch, entry.index(), Part::Whole), "source": origin,
        "type": format!("{TYPES}{}", entry.kind()), "subject": entry.subject(), "time": entry.time().to_string(),
        "datacontenttype": "application/json", "data": recorded,
    })
}
