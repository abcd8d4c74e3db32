//! Opens approvals: keeps with each when and why it was opened, and what it would undo, for those who decide.

use std::sync::Arc;

use super::{State, Suspension};
use crate::domain::registry::approval::Standing;
use crate::domain::registry::approval::{Approval, Opened};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

/// An approval that a change opens.
pub(super) struct Opening<'a> {
    /// What must be approved.
    pub approval: &'a Approval,
    /// The change's own reason, where it has one beside that of the approval.
    pub reason: Option<&'a Text>,
    /// The suspensions that the approval would lift.
    pub lifts: Vec<Suspension>,
}

impl<'a> Opening<'a> {
    /// The approval of a version of a record.
    pub fn of_version(approval: &'a Approval) -> Self {
        Self { approval, reason: None, lifts: Vec::new() }
    }
}

impl State {
    /// Withdraws the approval of an `earlier` version and opens that of the new one.
    pub(super) fn open(&mut self, at: Timestamp, earlier: Option<ApprovalId>, opening: Opening<'_>) {
        self.withdraw(at, earlier);
        let Opening { approval, reason, lifts } = opening;
        let reason = reason.or(approval.reason.as_ref()).cloned();
        let mut opened = Approval { reason, opened: Opened { at, lifts: lifts.into() }, ..approval.clone() };
        let people = opened.requested_by.person_mut().into_iter().chain(&mut opened.barred);
        people.for_each(|person| person.share(&mut self.texts));
        self.approvals.insert(approval.id.clone(), Arc::new(opened));
        self.list_granted(Some(&approval.id));
    }

    /// Withdraws an approval whose version was replaced.
    pub(super) fn withdraw(&mut self, at: Timestamp, earlier: Option<ApprovalId>) {
        if let Some(approval) = earlier.as_ref().and_then(|id| self.approvals.get_mut(id)) {
            // What was denied or lapsed stays so (ABUSE I-9).
            Arc::make_mut(approval).withdrawn |= !matches!(approval.standing(at), Standing::Denied | Standing::Expired);
        }
        self.list_granted(earlier.as_ref());
    }
}
