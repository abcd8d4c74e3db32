//! A plan: what an apply of some documents would do, and the name by which an apply asks for exactly that.
//!
//! Deliberately not here: how a plan is made and done (`registry`).

use serde::Serialize;

use crate::domain::record::{Difference, Fault, Record};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::TextRow;

/// What an apply of these documents would do.
#[derive(Debug)]
pub struct Plan {
    /// Names the plan: documents and the versions that they would change. `apply` with another one is refused.
    pub id: String,
    /// Each document, riskiest first.
    pub items: Vec<Item>,
    /// What is not wrong and yet worth a look.
    pub warnings: Vec<Fault>,
    /// [`State::generation`](crate::domain::state::State::generation) of the state that the documents were judged on.
    pub(super) generation: u64,
}

/// One document of a plan.
#[derive(Clone, Debug)]
pub struct Item {
    /// `Api`, `Partner` or `Integration`.
    pub kind: &'static str,
    /// Its name.
    pub subject: String,
    /// What would be done.
    pub action: Action,
    /// The differences, riskiest first.
    pub differences: Vec<Difference>,
    /// The approval that an apply opened.
    pub approval: Option<ApprovalId>,
    pub(super) record: Record,
    /// It takes nothing beyond what the version in force has.
    pub(super) narrows: bool,
    /// The versions that it was made against: in force, and waiting.
    pub(super) base: (Option<Digest>, Option<Digest>),
    pub(super) rows: Vec<TextRow>,
}

/// What an apply does with one document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A draft is stored or replaced; nothing is in force yet.
    Draft,
    /// Waits for its approvals; the version in force stays.
    Hold,
    /// Narrower: in force at once.
    Narrow,
    /// Nothing.
    Unchanged,
}

impl Action {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Hold => "hold",
            Self::Narrow => "narrow",
            Self::Unchanged => "unchanged",
        }
    }
}

/// All that a plan's name stands for: another plan has another one.
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

/// The name of the plan for documents with this digest; `items` in the order of the documents.
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
