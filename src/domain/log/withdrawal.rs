//! Changes that take something away: those that must not be lost with the end of a log.
//!
//! Revocations, suspensions, taints, ends and denials. After a restore they are recorded again by `--tail` of `carnet journal reopen`. All others
//! may be lost: a right that was given is asked for again. What a version or a guardrail narrows is not among them, since it rests on
//! records that may be lost too; nor is what follows by itself from the state (unused bindings, cut tokens).

use super::approval::ApprovalChange;
use super::certificate::CertificateChange;
use super::change::Change;
use super::directory::DirectoryChange;
use super::elevation::ElevationChange;
use super::environment::EnvironmentChange;
use super::integration::IntegrationChange;
use super::key::KeyChange;
use super::offboarding::OffboardingChange;
use super::partner::PartnerChange;
use super::passkey::PasskeyChange;
use super::revocation::RevocationChange;
use super::signal::SignalChange;
use super::staff::StaffChange;
use crate::domain::registry::approval::Verdict;

impl Change {
    /// Whether it takes something away, and nothing else.
    pub fn is_withdrawal(&self) -> bool {
        match self {
            Self::Revocation(change) => match change {
                RevocationChange::Added { .. } => true,
                // The tokens that it names were signed by keys that every new epoch taints.
                RevocationChange::TokensCut { .. } => false,
                RevocationChange::LiftAsked { .. } | RevocationChange::Lifted { .. } => false,
            },
            Self::Partner(change) => match change {
                PartnerChange::Suspended { .. } => true,
                PartnerChange::Submitted { .. }
                | PartnerChange::Verified { .. }
                | PartnerChange::ResumeAsked { .. }
                | PartnerChange::Resumed { .. } => false,
            },
            Self::Integration(change) => match change {
                IntegrationChange::Suspended { .. } => true,
                IntegrationChange::Drafted { .. }
                | IntegrationChange::Submitted { .. }
                | IntegrationChange::Discarded { .. }
                | IntegrationChange::Activated { .. }
                | IntegrationChange::ChangeHeld { .. }
                | IntegrationChange::Changed { .. }
                | IntegrationChange::Narrowed { .. }
                | IntegrationChange::Unused { .. }
                | IntegrationChange::BindingRetired { .. }
                | IntegrationChange::ResumeAsked { .. }
                | IntegrationChange::Resumed { .. } => false,
            },
            Self::Signal(change) => match change {
                SignalChange::Received { .. } | SignalChange::Confirmed { .. } => true,
                // It acts by its confirmation, which says nothing without it.
                SignalChange::Held { .. } => true,
                SignalChange::Dismissed { .. } => false,
            },
            Self::Key(change) => match change {
                KeyChange::Tainted { .. } => true,
                KeyChange::Created(_) | KeyChange::Activated { .. } | KeyChange::Retired { .. } => false,
            },
            Self::Certificate(change) => match change {
                CertificateChange::AuthorityTainted { .. } => true,
                CertificateChange::AuthorityCreated { .. }
                | CertificateChange::EnrolmentAsked { .. }
                | CertificateChange::Issued { .. }
                | CertificateChange::ServerIssued { .. } => false,
            },
            Self::Elevation(change) => match change {
                ElevationChange::Ended { .. } => true,
                ElevationChange::Reviewed { verdict, .. } => *verdict == Verdict::Deny,
                ElevationChange::Asked { .. } | ElevationChange::Noticed { .. } => false,
            },
            Self::Approval(ApprovalChange::Reviewed { verdict, .. }) => *verdict == Verdict::Deny,
            Self::Offboarding(change) => match change {
                OffboardingChange::Started { .. } | OffboardingChange::Closed { .. } => true,
                OffboardingChange::DependenciesFound { .. }
                | OffboardingChange::Acknowledged { .. }
                | OffboardingChange::Tested { .. }
                | OffboardingChange::Waiting { .. }
                | OffboardingChange::SignOffAsked { .. }
                | OffboardingChange::AbortAsked { .. }
                | OffboardingChange::Aborted { .. }
                | OffboardingChange::Registered { .. } => false,
            },
            Self::Environment(change) => match change {
                EnvironmentChange::Closed { .. } => true,
                EnvironmentChange::CloseAsked { .. } => false,
            },
            Self::Staff(StaffChange::Cut { .. }) => true,
            Self::Passkey(change) => match change {
                PasskeyChange::Revoked { .. } => true,
                PasskeyChange::Registered { .. } => false,
            },
            Self::Directory(change) => match change {
                DirectoryChange::Left { .. } | DirectoryChange::Confirmed { .. } => true,
                DirectoryChange::Returned { .. }
                | DirectoryChange::Resolved { .. }
                | DirectoryChange::Held { .. }
                | DirectoryChange::Imported { .. }
                | DirectoryChange::Heard {}
                | DirectoryChange::Silent { .. } => false,
            },
            Self::Journal(_)
            | Self::Configuration(_)
            | Self::IssuerKey(_)
            | Self::Api(_)
            | Self::Guardrail(_)
            | Self::Evidence(_)
            | Self::Exception(_)
            | Self::Recertification(_)
            | Self::Dates(_)
            | Self::Mail(_)
            | Self::Text(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::examples::Examples;
    use crate::domain::fixture;
    use crate::domain::state::State;

    /// A withdrawal is recorded again on a state that may know nothing of what it is about, and gives nobody a right.
    #[test]
    fn a_withdrawal_folds_into_a_state_that_does_not_know_its_subject() {
        let (mut state, mut folded) = (State::default(), 0);
        for (index, example) in (1..).zip(Examples::sealed().changes()) {
            if example.change.what.is_withdrawal() {
                state.apply(index, fixture::at(0), &example.change);
                folded += 1;
            }
        }
        assert!(folded > 12, "{folded}");
        assert!(state.partners.is_empty() && state.integrations.is_empty() && state.keys.all().next().is_none());
    }
}
