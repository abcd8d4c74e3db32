//! The record of a guardrail: what must never be granted, whatever a record allows.
//!
//! Its text is Cedar. `policy` reads and compiles it; here it is a text that names no person.

use serde::{Deserialize, Serialize};

use super::managed::ManagedBy;
use crate::domain::value::names::GuardrailName;
use crate::domain::value::text::Text;

/// `kind: Guardrail`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guardrail {
    /// `metadata.name`.
    pub name: GuardrailName,
    /// What it forbids, in plain words: a refusal says it.
    pub meaning: String,
    /// Whether it decides.
    pub mode: Mode,
    /// `forbid` policies in Cedar.
    pub cedar: String,
    /// `metadata.managedBy`: who applies it, if it is not left to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// Whether a guardrail decides.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It refuses.
    Enforce,
    /// It decides nothing: tokens that it would have refused are counted.
    Shadow,
}

impl Guardrail {
    /// The texts that people may ask us to forget: none.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self { name: _, meaning: _, mode: _, cedar: _, managed_by: _ } = self;
        Vec::new()
    }

    /// Whether `other` forbids the same, in the same words. The mode may differ.
    pub fn is_same_text(&self, other: &Self) -> bool {
        let Self { name, meaning, mode: _, cedar, managed_by: _ } = self;
        *name == other.name && *meaning == other.meaning && *cedar == other.cedar
    }
}
