//! Folds changes of authorities, certificates and enrolments.

use super::State;
use super::effects::{Effects, Entered};
use super::opening::Opening;
use crate::domain::credential::certificate::{Enrolment, Leaf};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::registry::signal::SignalKind;
use crate::domain::value::clock::Timestamp;

/// Why a certificate of a workload does not count, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeafEnd {
    /// It is revoked, for good.
    Revoked(Timestamp),
    /// It is on hold (RFC 5280 section 5.3.1, certificateHold).
    Held(Timestamp),
}

impl State {
    /// Why a certificate of a workload does not count, and since when; `None` if it counts.
    ///
    /// One that is revoked stays so. One whose integration somebody called compromised is on hold until that suspension is lifted.
    pub fn leaf_end(&self, leaf: &Leaf) -> Option<LeafEnd> {
        let revoked = self.revoked_at(leaf).into_iter().chain(self.certificates.ended_at(leaf)).min();
        revoked.map(LeafEnd::Revoked).or_else(|| self.held_since(leaf).map(LeafEnd::Held))
    }

    fn held_since(&self, leaf: &Leaf) -> Option<Timestamp> {
        let partner = self.partners.get(&leaf.integration.partner).map(|known| &known.suspensions);
        let own = self.integrations.get(&leaf.integration).map(|known| &known.suspensions);
        let covering = partner.into_iter().chain(own).flat_map(|known| known.covering(&leaf.environment));
        covering.filter(|one| one.signal == Some(SignalKind::Compromised)).map(|one| one.at).min()
    }

    fn revoked_at(&self, leaf: &Leaf) -> Option<Timestamp> {
        // Nearly always nothing is revoked, and then no key is spelled.
        if self.revoked.is_empty() {
            return None;
        }
        self.revocations_of(&leaf.revocation_key()).map(|revocation| revocation.at).min()
    }

    pub(super) fn apply_certificate(&mut self, entry: Entered<'_>, change: &CertificateChange) -> Effects {
        match change {
            CertificateChange::AuthorityCreated { authority, .. } => {
                self.certificates.add_authority(authority.as_ref().clone());
                Effects::judged()
            }
            CertificateChange::AuthorityTainted { environment, kid, .. } => {
                self.certificates.taint(environment, kid);
                let (environment, kid) = (environment.clone(), kid.clone());
                Effects::judged().revoking([RevocationTarget::Authority { environment, kid }])
            }
            CertificateChange::EnrolmentAsked { id, integration, environment, secret, reason, approval } => {
                let enrolment = Enrolment {
                    integration: integration.clone(),
                    environment: environment.clone(),
                    secret: *secret,
                    approval: approval.id.clone(),
                    used: false,
                };
                self.certificates.add_enrolment(id.clone(), enrolment);
                self.open(entry.at, None, Opening { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::unjudged()
            }
            CertificateChange::Issued { leaf, enrolment } => {
                self.certificates.add_leaf(leaf.clone(), enrolment.as_ref(), entry.at);
                Effects::unjudged()
            }
            CertificateChange::ServerIssued { leaf } => {
                self.certificates.add_server(leaf.clone());
                Effects::unjudged()
            }
        }
    }
}
