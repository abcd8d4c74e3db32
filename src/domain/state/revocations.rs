//! Revocations in the state: what is cut, what is refused from then on, and which proofs are barred.

use std::sync::Arc;

use super::barred::Barred;
use super::{Revocation, State};
use crate::domain::credential::revocation::Subject;
use crate::domain::elevation::Ended;
use crate::domain::log::change::{Change, What};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::EnvironmentName;

impl State {
    /// Bars the revoked issuers, what the revoked bindings admitted when they were revoked, and what they admit since under the same
    /// names.
    pub(super) fn bar(&mut self) {
        let mut barred = Barred::default();
        for revocation in self.revocations.values().filter(|revocation| revocation.refuses()) {
            if let Subject::Issuer { issuer } = &revocation.subject {
                barred.add_issuer(issuer, self.history.environments_of(issuer));
            }
            let since = self.history.binding(&revocation.subject).filter(|now| revocation.admitted.as_ref() != Some(*now));
            revocation.admitted.iter().chain(since).for_each(|admits| barred.add(&revocation.subject, admits));
        }
        self.barred = Arc::new(barred);
    }

    pub(super) fn apply_revocation(&mut self, index: u64, at: Timestamp, change: &Change) {
        match &change.what {
            What::RevocationAdded { id, subject, tokens_only, reason, client: _ } => {
                if let Subject::Token { environment, id, expires } = subject {
                    self.revoked_tokens.insert(id.clone(), (environment.clone(), *expires));
                    return;
                }
                if let Subject::Key { environment, kid } = subject {
                    self.keys.taint(environment, kid);
                }
                self.cut(subject, index);
                if let Subject::Elevation { elevation, .. } = subject {
                    self.elevations.end(elevation, Ended { by: change.by.clone(), reason: Some(reason.clone()), at });
                }
                let revocation = Revocation {
                    id: id.clone(),
                    subject: subject.clone(),
                    admitted: self.history.binding(subject).cloned(),
                    tokens_only: *tokens_only,
                    by: change.by.clone(),
                    reason: reason.clone(),
                    at,
                    index,
                    lift: None,
                    lifted: false,
                };
                if let Subject::Certificate { environment, serial } = subject {
                    self.certificates.spoil(environment, serial);
                }
                self.revocations.insert(id.clone(), revocation);
            }
            What::RevocationLiftAsked { id, approval, .. } => {
                let revocation = self.revocations.get_mut(id);
                let earlier = revocation.and_then(|revocation| revocation.lift.replace(approval.id.clone()));
                self.reopen(earlier, Some(approval), at);
            }
            What::RevocationLifted { id } => {
                if let Some(revocation) = self.revocations.get_mut(id) {
                    revocation.lifted = revocation.subject.can_be_lifted();
                }
            }
            _ => {}
        }
        let refusing = self.revocations.values().filter(|revocation| revocation.refuses());
        self.refused = refusing.map(|revocation| revocation.subject.member()).collect();
        self.bar();
    }

    /// The members whose lines a revocation of `subject` moves. A gateway that sees only the token knows neither the proof's issuer nor the
    /// serial number of a certificate, so the lines of what it does know move as well: the issuer's bindings; for a certificate its
    /// integration in that environment; for an authority or a trust domain of ours all of the environment. That cuts more than had to be, and for as long as it
    /// takes to ask again.
    pub(in crate::domain) fn lines(&self, subject: &Subject) -> Vec<String> {
        let mut members = vec![subject.member()];
        match subject {
            Subject::Issuer { issuer } => {
                members.extend(self.history.members_of(issuer).cloned());
                let whole = |environment: &EnvironmentName| Subject::Environment { environment: environment.clone() };
                members.extend(self.history.environments_of(issuer).map(|environment| whole(environment).member()));
            }
            Subject::Certificate { environment, serial } => {
                let integration = self.certificates.leaf(environment, serial).map(|leaf| leaf.integration.clone());
                let whole = |integration| Subject::IntegrationEnvironment { integration, environment: environment.clone() };
                members.extend(integration.map(|integration| whole(integration).member()));
            }
            Subject::Authority { environment, .. } => {
                members.push(Subject::Environment { environment: environment.clone() }.member());
            }
            Subject::Token { .. }
            | Subject::Api { .. }
            | Subject::Binding { .. }
            | Subject::Integration { .. }
            | Subject::IntegrationEnvironment { .. }
            | Subject::Partner { .. }
            | Subject::Elevation { .. }
            | Subject::Environment { .. }
            | Subject::Key { .. } => {}
        }
        members
    }

    /// Moves the lines of `subject` forward to `index`.
    pub(super) fn cut(&mut self, subject: &Subject, index: u64) {
        for member in self.lines(subject) {
            let line = self.revoked_before.entry(member).or_default();
            *line = (*line).max(index);
        }
    }

    /// Forgets revoked tokens that expired before `horizon`; they are refused by their `exp` (ABUSE R-16).
    pub fn forget_expired(&mut self, horizon: Timestamp) {
        self.revoked_tokens.retain(|_, (_, expires)| *expires >= horizon);
    }

    /// Whether an unlifted revocation refuses exchanges through `member`.
    pub fn is_refused(&self, member: &str) -> bool {
        self.refused.contains(member)
    }
}
