//! Openings: the approval that a change opens, why, and what the state keeps of it for those who decide.

use super::{State, Stop};
use crate::domain::log::change::What;
use crate::domain::registry::approval::{Approval, Opened};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::Text;

impl What {
    /// The approval that the change opens, and the change's own reason for it.
    pub fn opens(&self) -> Option<(&Approval, Option<&Text>)> {
        if let Self::ApiSubmitted { approval, .. }
        | Self::PartnerSubmitted { approval, .. }
        | Self::IntegrationSubmitted { approval, .. }
        | Self::IntegrationChangeHeld { approval, .. } = self
        {
            return Some((approval, None));
        }
        if let Self::IntegrationResumeAsked { approval, reason, .. }
        | Self::PartnerResumeAsked { approval, reason, .. }
        | Self::RevocationLiftAsked { approval, reason, .. }
        | Self::EnrolmentAsked { approval, reason, .. } = self
        {
            return Some((approval, Some(reason)));
        }
        None
    }

    /// Why a record was applied, where whoever applied it said so.
    pub fn applied_because(&self) -> Option<&Text> {
        if let Self::ApiNarrowed { reason, .. }
        | Self::IntegrationDrafted { reason, .. }
        | Self::IntegrationNarrowed { reason, .. } = self
        {
            return reason.as_ref();
        }
        if let Self::ApiSubmitted { approval, .. }
        | Self::PartnerSubmitted { approval, .. }
        | Self::IntegrationChangeHeld { approval, .. } = self
        {
            return approval.reason.as_ref();
        }
        None
    }
}

impl State {
    /// Keeps with a new approval when and why it was opened, and the suspension that it would lift: all of it is shown to approvers.
    pub(in crate::domain) fn note_opening(&mut self, at: Timestamp, what: &What) {
        let Some((opened, reason)) = what.opens() else { return };
        let stop = self.stop_to_lift(what).cloned();
        if let Some(approval) = self.approvals.get_mut(&opened.id) {
            approval.reason = reason.or(opened.reason.as_ref()).cloned();
            approval.opened = Opened { at, stop };
        }
    }

    fn stop_to_lift(&self, what: &What) -> Option<&Stop> {
        if let What::PartnerResumeAsked { partner, .. } = what {
            return self.partners.get(partner)?.suspended.as_ref();
        }
        if let What::IntegrationResumeAsked { integration, .. } = what {
            return self.integrations.get(integration)?.suspended.as_ref();
        }
        None
    }
}
