//! A plan: what an apply of some documents would do, and the name by which an apply asks for it.
//!
//! Not here: making and applying a plan (`registry`).

use serde::Serialize;

use super::effect::Effect;
use super::replayed::Taking;
use super::view::gain::Gain;
use crate::domain::people::owners::OwnerIds;
use crate::domain::record::{Difference, Fault, Record};
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::TextRow;

/// A plan of what an apply of these documents would do.
#[derive(Debug)]
pub struct Plan {
    /// Names the plan by its documents and the versions they change. `apply` refuses another one.
    pub id: String,
    /// Each document, riskiest first.
    pub items: Vec<Item>,
    /// Findings that are not errors.
    pub warnings: Vec<Fault>,
    /// The generation of the state that the documents were judged on.
    ///
    /// See [`State::generation`](crate::domain::state::State::generation).
    pub(super) generation: u64,
    /// The guardrails that it would enforce.
    pub taking: Option<Taking>,
    /// The effects of each item, in the same order; empty if nobody looked.
    pub effects: Vec<Effect>,
    /// The effects of all of them.
    pub all: Effect,
    /// When it was made.
    pub at: Timestamp,
}

/// One document of a plan.
#[derive(Clone, Debug)]
pub struct Item {
    /// `Api`, `Partner`, `Integration` or `Guardrail`.
    pub kind: &'static str,
    /// Its name.
    pub subject: String,
    /// The action of an apply.
    pub action: Action,
    /// The differences, riskiest first.
    pub differences: Vec<Difference>,
    /// Who gains what by each difference; `None` of one that widens nothing.
    pub gains: Vec<Option<Gain>>,
    /// The approval that an apply opened.
    pub approval: Option<ApprovalId>,
    pub(super) record: Record,
    /// True if it takes nothing beyond the version in force.
    pub(super) narrows: bool,
    /// The versions that it was compared with: in force, and newest.
    pub(super) base: (Option<Digest>, Option<Digest>),
    pub(super) rows: Vec<TextRow>,
    /// The owners in the people directory, where it was looked at.
    pub(super) owners: Option<OwnerIds>,
}

impl Item {
    /// Its place in an apply: APIs and partners first, because an integration may name them, and a guardrail all of them.
    pub(super) fn rank(&self) -> u8 {
        match self.record {
            Record::Api(_) => 0,
            Record::Partner(_) => 1,
            Record::Integration(_) => 2,
            Record::Guardrail(_) => 3,
        }
    }

    /// The differences as they are told at `now`, riskiest first, each with its gain.
    pub fn told(&self, now: Timestamp) -> Vec<(&Difference, Option<&Gain>)> {
        let mut told: Vec<_> = self.differences.iter().zip(self.gains.iter().map(Option::as_ref)).collect();
        told.sort_by_key(|(difference, _)| difference.told(now));
        told
    }

    /// Whether a version of the record was in force when the plan was made.
    pub fn has_version_in_force(&self) -> bool {
        self.base.0.is_some()
    }

    /// The guardrail that an apply would enforce, now or once it is approved.
    pub(super) fn enforces(&self) -> Option<&Guardrail> {
        match &self.record {
            Record::Guardrail(guardrail) if guardrail.mode == Mode::Enforce => {
                let is_new = self.action != Action::Unchanged && self.base.0 != Some(Digest::of_json(guardrail));
                Some(guardrail).filter(|_| is_new)
            }
            Record::Api(_) | Record::Guardrail(_) | Record::Integration(_) | Record::Partner(_) => None,
        }
    }
}

/// The action of an apply on one document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A draft is stored or replaced; nothing is in force yet.
    Draft,
    /// It waits for its approvals; the version in force stays.
    Hold,
    /// It is narrower, and in force at once.
    Narrow,
    /// A guardrail is put back to shadow by the person who enforced it: in force at once.
    PutBack,
    /// Nothing changes.
    Unchanged,
}

impl Action {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Hold => "hold",
            Self::Narrow => "narrow",
            Self::PutBack => "put-back",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The content of which a plan's name is the digest: another plan has another name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'p> {
    /// SHA-256 of the text of the documents.
    documents: Digest,
    /// In the order of the documents.
    items: Vec<Identified<'p>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identified<'p> {
    kind: &'static str,
    subject: &'p str,
    in_force: Option<Digest>,
    newest: Option<Digest>,
    action: &'static str,
}

impl<'p> Identified<'p> {
    fn of(item: &'p Item) -> Self {
        let (in_force, newest) = item.base;
        Self { kind: item.kind, subject: &item.subject, in_force, newest, action: item.action.name() }
    }
}

/// Makes the name of a plan; `items` are in the order of the documents.
pub(super) fn name(documents: Digest, items: &[Item]) -> String {
    let id = Digest::of_json(&Identity { documents, items: items.iter().map(Identified::of).collect() }).to_string();
    format!("plan_{}", id.get(..24).unwrap_or(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_plan_is_made_of_this() {
        let version = Digest::of(b"abc");
        let item = Identified {
            kind: "Api",
            subject: "orders-api",
            in_force: Some(version),
            newest: None,
            action: Action::Hold.name(),
        };
        let wanted = format!(
            r#"{{"documents":"{version}","items":[{{"kind":"Api","subject":"orders-api","inForce":"{version}","newest":null,"action":"hold"}}]}}"#
        );
        assert_eq!(serde_json::to_string(&Identity { documents: version, items: vec![item] }).expect("JSON"), wanted);
    }
}
