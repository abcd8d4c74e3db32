//! Folds changes of approvals, passkeys and people's access.

use std::sync::Arc;

use super::State;
use super::effects::{Effects, Entered, Versions};
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::passkey::PasskeyChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::passkey::Passkey;
use crate::domain::registry::approval::{Approval, Kind, Review, Verdict};
use crate::domain::value::names::ClientId;

impl State {
    pub(super) fn apply_approval(&mut self, entry: Entered<'_>, change: &ApprovalChange) -> Effects {
        match change {
            ApprovalChange::Reviewed { approval: id, verdict, reason, roles } => {
                let Some(approval) = self.approvals.get_mut(id).map(Arc::make_mut) else { return Effects::judged() };
                if let Some(by) = entry.by.person() {
                    let (by, reason) = (by.clone(), reason.clone());
                    approval.reviews.reserve_exact(1);
                    approval.reviews.push(Review { by, verdict: *verdict, reason, roles: *roles, at: entry.at });
                }
                // A denied version does not come: what it would take is free.
                let denied = (*verdict == Verdict::Deny).then(|| record(approval)).flatten();
                self.list_granted(Some(id));
                let effects = Effects::judged();
                if let Some(client) = denied { effects.moving(Versions::Waiting(client)) } else { effects }
            }
        }
    }

    pub(super) fn apply_passkey(&mut self, entry: Entered<'_>, change: &PasskeyChange) -> Effects {
        match change {
            PasskeyChange::Registered { passkey, label, credential } => {
                if let Some(by) = entry.by.person() {
                    let (id, by, label, credential) = (passkey.clone(), by.clone(), label.clone(), credential.clone());
                    let passkey = Passkey { id, by, label, credential, registered: entry.at, revoked: None, counter: 0 };
                    self.passkeys.register(passkey);
                }
            }
            PasskeyChange::Revoked { passkey, .. } => self.passkeys.revoke(passkey, entry.at),
        }
        Effects::unjudged()
    }

    pub(super) fn apply_staff(&mut self, entry: Entered<'_>, change: &StaffChange) -> Effects {
        match change {
            StaffChange::Cut { person, .. } => {
                Arc::make_mut(&mut self.staff_cuts).push((person.clone(), entry.at));
                Effects::judged()
            }
        }
    }
}

/// The record that an approval is about. Elevations and enrolments have approvals of their own.
fn record(approval: &Approval) -> Option<ClientId> {
    match approval.kind {
        Kind::Api => Some(ClientId::Api(approval.subject.parse().ok()?)),
        Kind::Change | Kind::Integration => Some(ClientId::Integration(approval.subject.parse().ok()?)),
        Kind::Abort
        | Kind::Enrolment
        | Kind::Environment
        | Kind::Erasure
        | Kind::Exception
        | Kind::Guardrail
        | Kind::Lift
        | Kind::Offboarding
        | Kind::Partner
        | Kind::Resume
        | Kind::Review => None,
    }
}
