//! `kind: Guardrail`.

use serde_json::{Value as Json, json};

use super::managed::{MANAGED_BY, managed};
use crate::domain::record::fault::Faults;
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{Definitions, label};
use crate::domain::record::form::field::{Optional, Required};
use crate::domain::record::form::map::{map, through};
use crate::domain::record::form::scalar::{Word, Words, parsed};
use crate::domain::record::kind::Kind;
use crate::domain::record::read::place::Place;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::managed::ManagedBy;
use crate::domain::value::names::GuardrailName;

/// The most bytes of a guardrail's text: one that nobody can read at once is not one rule.
const MOST_BYTES: usize = 8192;

map! {
    Guardrail as "" document Kind::Guardrail {
        name: "metadata" = Required(through::<Metadata, _>());
        managed_by: "metadata" = managed::<Metadata>();
        meaning: "meaning" = Required(Words);
        mode: "mode" = Required(Word(&[Mode::Enforce, Mode::Shadow]));
        cedar: "cedar" = Required(CedarText);
    }
}

struct Metadata {
    name: GuardrailName,
    managed_by: Option<ManagedBy>,
}

map! {
    Metadata as "metadata" {
        name: "name" = Required(parsed(label));
        managed_by: "managedBy" = Optional(MANAGED_BY);
    }
    judge |_fields, faults| {
        faults.ground.managed_by = managed_by.flatten();
    }
}

impl From<Metadata> for GuardrailName {
    fn from(metadata: Metadata) -> Self {
        metadata.name
    }
}

impl From<&GuardrailName> for Metadata {
    fn from(name: &GuardrailName) -> Self {
        Self { name: name.clone(), managed_by: None }
    }
}

/// A text in Cedar. Whether it says anything is for `policy`.
struct CedarText;

impl Form for CedarText {
    type Value = String;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
        let text = place.lines(MOST_BYTES, faults)?;
        Some(text.to_owned())
    }

    fn write(&self, text: &String) -> Json {
        json!(text)
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"description": "forbid policies in Cedar", "type": "string", "minLength": 1, "maxLength": MOST_BYTES})
    }
}
