//! The states that a plan would lead to, one after the other, if each of its versions came into force now.
//!
//! Enter through [`Broker::suppose`]. The changes are those of the journal, applied to a copy: nothing is recorded.

use super::Broker;
use super::plan::{Action, Item};
use super::review::ask;
use crate::domain::log::api::ApiChange;
use crate::domain::log::change::Change;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::Actor;
use crate::domain::record::Record;
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::state::State;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;

/// One version that comes into force.
#[derive(Clone)]
pub(super) struct Supposed {
    /// The place of its item in the plan.
    pub item: usize,
    /// The record.
    pub record: Record,
    /// The state before it, and after.
    pub before: State,
    /// The state after it.
    pub after: State,
    /// Entries from this one on would bring it into force.
    pub index: u64,
}

impl Broker {
    /// Supposes that each version of `items` comes into force, in the order of an apply. Drafts come into force by another step.
    pub(super) fn suppose(&self, items: &[Item], state: &State, size: u64) -> Vec<Supposed> {
        let mut order: Vec<(usize, &Item)> = items.iter().enumerate().filter(|(_, item)| comes(item)).collect();
        order.sort_by_key(|(_, item)| item.rank());
        let (mut state, mut index, now) = (state.clone(), size, self.now());
        let mut all = Vec::with_capacity(order.len());
        for (place, item) in order {
            let before = state.clone();
            let first = index;
            for change in self.bringing(item, now) {
                state.apply(index, now, &change.by(Actor::Broker));
                index = index.saturating_add(1);
            }
            all.push(Supposed { item: place, record: item.record.clone(), before, after: state.clone(), index: first });
        }
        all
    }

    /// The changes that bring a version into force.
    fn bringing(&self, item: &Item, now: crate::domain::value::clock::Timestamp) -> Vec<Change> {
        let id: ApprovalId = self.entropy.name();
        let approval = |kind: Kind, version: Digest| -> Approval {
            ask(&id, kind, item.subject.clone(), version, &Actor::Broker, Vec::new(), now)
        };
        match &item.record {
            Record::Api(record) => vec![ApiChange::Narrowed { record: Box::new(record.clone()), reason: None }.into()],
            Record::Guardrail(record) => {
                let (record, refuses, unknown, reason) = (Box::new(record.clone()), 0, 0, None);
                vec![GuardrailChange::Applied { record, refuses, unknown, reason }.into()]
            }
            Record::Partner(record) => {
                let version = Digest::of_json(record);
                let submitted =
                    PartnerChange::Submitted { approval: approval(Kind::Partner, version), record: Box::new(record.clone()) };
                vec![submitted.into(), PartnerChange::Verified { partner: record.name.clone(), version }.into()]
            }
            Record::Integration(record) if item.action == Action::Narrow => {
                vec![IntegrationChange::Narrowed { record: Box::new(record.clone()), reason: None }.into()]
            }
            Record::Integration(record) => {
                let version = Digest::of_json(record);
                let (approval, owners) = (approval(Kind::Change, version), item.owners.clone());
                let held = IntegrationChange::ChangeHeld { record: Box::new(record.clone()), approval, owners: owners.clone() };
                vec![held.into(), IntegrationChange::Changed { integration: record.id.clone(), version, owners }.into()]
            }
        }
    }
}

/// Whether an apply of the item leads to a version in force, at once or by approvals.
fn comes(item: &Item) -> bool {
    match item.action {
        Action::Draft | Action::Unchanged => false,
        Action::Hold | Action::Narrow | Action::PutBack => true,
    }
}
