//! What must be unique, kept beside the versions of records: of those in force, and of those that wait for people.

use super::State;
use super::taken::Holder;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::change::What;
use crate::domain::registry::approval::{Kind, Standing, Verdict};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ClientId};

/// Whether a judgement of records, or what follows from the state, can come out otherwise after `what`. Certificates, keys of partners'
/// issuers and revocations of single tokens come as often as workloads like, and no judgement looks at them: each that counted here would
/// have whatever is judged meanwhile judged anew.
pub(super) fn is_judged_by(what: &What) -> bool {
    !matches!(
        what,
        What::CertificateIssued { .. }
            | What::CheckpointKeySucceeded { .. }
            | What::EnrolmentAsked { .. }
            | What::IssuerKeyFirstUsed { .. }
            | What::JournalArchived(_)
            | What::PasskeyRegistered { .. }
            | What::PasskeyRevoked { .. }
            | What::RevocationAdded { subject: RevocationTarget::Token { .. }, .. }
            | What::ServerCertificateIssued { .. }
            | What::TextErased { .. }
    )
}

impl State {
    /// Follows with what must be unique where a version of a record came, went, was denied or took force. What reserves nothing is not
    /// in the index: whoever is judged would pay for it with the steps of their own request.
    pub(super) fn take(&mut self, what: &What, at: Timestamp) {
        let Some(client) = self.judged_anew(what) else { return };
        let (current, held) = match &client {
            ClientId::Api(name) => {
                let Some(api) = self.apis.get(name) else { return };
                let held = api.held.as_ref().filter(|held| self.may_come(held.approval.as_ref(), at));
                let held = held.map(|held| Holder::Api(&held.version.record));
                (api.current.as_ref().map(|current| Holder::Api(&current.record)), held)
            }
            ClientId::Integration(id) => {
                let Some(integration) = self.integrations.get(id) else { return };
                let held = integration.held.as_ref().filter(|held| self.may_come(held.approval.as_ref(), at));
                let held = held.map(|held| Holder::Integration(&held.version.record));
                (integration.current.as_ref().map(|current| Holder::Integration(&current.record)), held)
            }
        };
        self.waiting.replace(&client, held);
        // A version that only waits leaves what is in force as it is.
        let waits = matches!(
            what,
            What::ApiSubmitted { .. }
                | What::ApprovalReviewed { .. }
                | What::IntegrationDrafted { .. }
                | What::IntegrationSubmitted { .. }
                | What::IntegrationChangeHeld { .. }
        );
        if !waits {
            self.in_force.replace(&client, current);
        }
    }

    /// The record of which `what` changes the versions, or how one of them stands.
    fn judged_anew(&self, what: &What) -> Option<ClientId> {
        match what {
            What::ApiSubmitted { record, .. } | What::ApiNarrowed { record, .. } => Some(ClientId::Api(record.name.clone())),
            What::ApiApproved { api, .. } => Some(ClientId::Api(api.clone())),
            What::IntegrationDrafted { record, .. }
            | What::IntegrationChangeHeld { record, .. }
            | What::IntegrationNarrowed { record, .. } => Some(ClientId::Integration(record.id.clone())),
            What::IntegrationSubmitted { integration, .. }
            | What::IntegrationActivated { integration, .. }
            | What::IntegrationChanged { integration, .. } => Some(ClientId::Integration(integration.clone())),
            What::ApprovalReviewed { approval, verdict: Verdict::Deny, .. } => {
                let approval = self.approvals.get(approval)?;
                match approval.kind {
                    Kind::Api => Some(ClientId::Api(approval.subject.parse().ok()?)),
                    Kind::Change | Kind::Integration => Some(ClientId::Integration(approval.subject.parse().ok()?)),
                    Kind::Enrolment | Kind::Lift | Kind::Partner | Kind::Resume => None,
                }
            }
            // They bring or change no version, and deny none. Elevations and enrolments have approvals of their own.
            What::ApprovalReviewed { verdict: Verdict::Approve, .. }
            | What::AuthorityCreated { .. }
            | What::AuthorityTainted { .. }
            | What::CertificateIssued { .. }
            | What::CheckpointKeySucceeded { .. }
            | What::ConfigurationChanged(_)
            | What::ElevationAsked { .. }
            | What::ElevationEnded { .. }
            | What::ElevationNoticed { .. }
            | What::ElevationReviewed { .. }
            | What::EnrolmentAsked { .. }
            | What::IntegrationResumeAsked { .. }
            | What::IntegrationResumed { .. }
            | What::IntegrationSuspended { .. }
            | What::IssuerKeyFirstUsed { .. }
            | What::JournalArchived(_)
            | What::JournalOpened { .. }
            | What::JournalReopened { .. }
            | What::KeyCreated(_)
            | What::KeyRetired { .. }
            | What::KeyTainted { .. }
            | What::PartnerResumeAsked { .. }
            | What::PartnerResumed { .. }
            | What::PartnerSubmitted { .. }
            | What::PartnerSuspended { .. }
            | What::PartnerVerified { .. }
            | What::PasskeyRegistered { .. }
            | What::PasskeyRevoked { .. }
            | What::RevocationAdded { .. }
            | What::RevocationLiftAsked { .. }
            | What::RevocationLifted { .. }
            | What::ServerCertificateIssued { .. }
            | What::StaffCut { .. }
            | What::TextErased { .. } => None,
        }
    }

    /// Whether a version that waits for `approval` may still come. A draft waits for none; what was denied, withdrawn, or not answered
    /// in time does not come.
    pub fn may_come(&self, approval: Option<&ApprovalId>, at: Timestamp) -> bool {
        let standing = approval.and_then(|id| self.approvals.get(id)).map(|approval| approval.standing(at));
        matches!(standing, Some(Standing::Pending | Standing::Approved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, production, state};
    use crate::domain::log::change::Change;
    use crate::domain::people::actor::Actor;

    /// S-2: a workload that revokes its own tokens all day has nobody judged anew; whoever revokes a partner has.
    #[test]
    fn what_workloads_do_often_has_no_judgement_made_again() {
        let mut state = state();
        let mut moves = |subject: RevocationTarget| {
            let before = state.generation;
            let (id, reason) = (format!("r{before}").parse().expect("an id"), "x".into());
            let what = What::RevocationAdded { id, subject, tokens_only: false, reason, client: None };
            state.apply(50, at(0), &Change { by: Actor::Operator, what });
            state.generation - before
        };
        let token = RevocationTarget::Token { environment: production(), id: "t1".parse().expect("an id"), expires: at(600) };
        assert_eq!(moves(token), 0);
        assert_eq!(moves(RevocationTarget::Partner { partner: "globex".parse().expect("a name") }), 1);
    }
}
