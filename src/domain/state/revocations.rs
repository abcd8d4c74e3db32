//! Revocations in the state: what is cut, what is refused from then on, and which proofs are barred.

use std::sync::Arc;

use super::barred::Barred;
use super::{Revocation, State};
use crate::domain::credential::revocation::{Further, Reached, RevocationTarget};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::elevation::Ended;
use crate::domain::log::change::{Change, What};
use crate::domain::value::clock::Timestamp;

impl State {
    /// Bars the revoked issuers, what the revoked bindings admitted when they were revoked, and what they admit since under the same
    /// names.
    pub(super) fn bar(&mut self) {
        let mut barred = Barred::default();
        for revocation in self.revocations.values().filter(|revocation| revocation.refuses()) {
            if let RevocationTarget::Issuer { issuer } = &revocation.target {
                barred.add_issuer(issuer, self.history.environments_of(issuer));
            }
            let since = self.history.binding(&revocation.target).filter(|now| revocation.admitted.as_ref() != Some(*now));
            revocation.admitted.iter().chain(since).for_each(|admits| barred.add(&revocation.target, admits));
        }
        self.barred = Arc::new(barred);
    }

    pub(super) fn apply_revocation(&mut self, index: u64, at: Timestamp, change: &Change) {
        match &change.what {
            What::RevocationAdded { id, subject, tokens_only, reason, client: _ } => {
                if let RevocationTarget::Token { environment, id, expires } = subject {
                    self.revoked_tokens.insert(id.clone(), (environment.clone(), *expires));
                    return;
                }
                if let RevocationTarget::Key { environment, kid } = subject {
                    self.keys.taint(environment, kid);
                }
                self.cut(subject, index);
                if let RevocationTarget::Elevation { elevation, .. } = subject {
                    self.elevations.end(elevation, Ended { by: change.by.clone(), reason: Some(reason.clone()), at });
                }
                let revocation = Revocation {
                    id: id.clone(),
                    target: subject.clone(),
                    admitted: self.history.binding(subject).cloned(),
                    tokens_only: *tokens_only,
                    by: change.by.clone(),
                    reason: reason.clone(),
                    at,
                    index,
                    lift: None,
                    lifted: false,
                };
                if let RevocationTarget::Certificate { environment, serial } = subject {
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
                    revocation.lifted = revocation.target.can_be_lifted();
                }
            }
            _ => {}
        }
        let refusing = self.revocations.values().filter(|revocation| revocation.refuses());
        self.refused = refusing.map(|revocation| revocation.target.key()).collect();
        self.bar();
    }

    /// The lines that a revocation of `target` moves: its own, and those of what a reader knows who sees the token alone.
    pub(in crate::domain) fn lines(&self, target: &RevocationTarget) -> Vec<RevocationKey> {
        let Reached { key, environment, further, .. } = target.reached();
        let mut keys = vec![key];
        match further {
            Further::Nothing => {}
            Further::Issuer(issuer) => {
                keys.extend(self.history.keys_of(issuer).cloned());
                keys.extend(self.history.environments_of(issuer).map(RevocationKey::environment));
            }
            Further::Certificate(serial) => {
                let leaf = environment.and_then(|environment| self.certificates.leaf(environment, serial));
                keys.extend(leaf.map(|leaf| RevocationKey::integration_environment(&leaf.integration, &leaf.environment)));
            }
            Further::Environment => keys.extend(environment.map(RevocationKey::environment)),
        }
        keys
    }

    /// Moves the lines of `subject` forward to `index`.
    pub(super) fn cut(&mut self, subject: &RevocationTarget, index: u64) {
        for key in self.lines(subject) {
            let line = self.revoked_before.entry(key).or_default();
            *line = (*line).max(index);
        }
    }

    /// Forgets revoked tokens that expired before `horizon`; they are refused by their `exp` (ABUSE R-16).
    pub fn forget_expired(&mut self, horizon: Timestamp) {
        self.revoked_tokens.retain(|_, (_, expires)| *expires >= horizon);
    }

    /// Whether an unlifted revocation refuses exchanges through `key`.
    pub fn is_refused(&self, key: &RevocationKey) -> bool {
        self.refused.contains(key)
    }
}
