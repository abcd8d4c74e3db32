//! Revocations in the state: the cuts, the refusals of later exchanges, and the barred proofs.

use super::effects::{Effects, Entered};
use super::opening::Opening;
use super::recent_cuts::{Cut, CutWhat};
use super::{Revocation, State};
use crate::domain::credential::revocation::{Further, Reached, RevocationTarget};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::elevation::Ended;
use crate::domain::log::revocation::{CutToken, RevocationChange};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{IntegrationId, RevocationId};
use crate::domain::value::text::Text;

impl State {
    /// Bars the proofs that a revocation is against, in place of those that it barred before.
    ///
    /// That is a revoked issuer; or what a revoked binding admitted when it was revoked, and what it admits since under the same name. A
    /// revocation that refuses nothing later bars nothing.
    pub(super) fn bar(&mut self, id: &RevocationId) {
        let Some(revocation) = self.revocations.get(id).filter(|revocation| revocation.refuses()) else {
            return self.barred.remove(id);
        };
        if let RevocationTarget::Issuer { issuer } = &revocation.target {
            return self.barred.bar_issuer(id, issuer, self.history.environments_of(issuer));
        }
        let since = self.history.binding(&revocation.target).filter(|now| revocation.admitted.as_ref() != Some(*now));
        let admits = revocation.admitted.iter().chain(since);
        self.barred.bar(id, &revocation.target, admits);
    }

    /// Bars the revoked issuers again: one may be an environment's trust domain by now.
    pub(super) fn bar_issuers(&mut self) {
        let of_issuer = |revocation: &&Revocation| matches!(revocation.target, RevocationTarget::Issuer { .. });
        let revoked: Vec<RevocationId> = self.revocations.values().filter(of_issuer).map(|one| one.id.clone()).collect();
        revoked.iter().for_each(|id| self.bar(id));
    }

    /// Takes a revocation into the indexes. `before` is the one that had its id so far.
    pub(super) fn index_revocation(&mut self, id: &RevocationId, before: Option<&Revocation>) {
        if let Some(key) = before.map(|before| before.target.key())
            && let Some(known) = self.revoked.get_mut(&key)
        {
            known.remove(id);
            if known.is_empty() {
                self.revoked.remove(&key);
            }
        }
        if let Some(revocation) = self.revocations.get(id) {
            self.revoked.entry(revocation.target.key()).or_default().insert(id.clone());
        }
        self.bar(id);
    }

    pub(super) fn apply_revocation(&mut self, entry: Entered<'_>, change: &RevocationChange) -> Effects {
        if let RevocationChange::Added { target: target @ RevocationTarget::Token { .. }, .. } = change {
            // Workloads revoke their own tokens as often as they like.
            return Effects::unjudged().revoking([target.clone()]);
        }
        match change {
            // The rule cut them when the version came into force. Nothing is judged by their names.
            RevocationChange::TokensCut { target: _, because: _, tokens } => {
                let target =
                    |CutToken { environment, id, expires }: CutToken| RevocationTarget::Token { environment, id, expires };
                Effects::unjudged().revoking(tokens.iter().cloned().map(target))
            }
            RevocationChange::Added { id, target, tokens_only, reason, client: _ } => {
                self.revoke(entry, target, reason);
                self.ask_review_after(entry, target);
                let revocation = Revocation {
                    id: id.clone(),
                    target: target.clone(),
                    admitted: self.history.binding(target).cloned(),
                    integration: self.certified(target),
                    tokens_only: *tokens_only,
                    by: entry.by.clone(),
                    reason: reason.clone(),
                    at: entry.at,
                    index: entry.index,
                    lift: None,
                    lifted: false,
                };
                let before = self.revocations.insert(id.clone(), revocation);
                self.index_revocation(id, before.as_ref());
                self.list_granted(before.and_then(|before| before.lift).as_ref());
                Effects::judged().revoking([target.clone()])
            }
            RevocationChange::LiftAsked { id, reason, approval } => {
                let revocation = self.revocations.get_mut(id);
                let earlier = revocation.and_then(|revocation| revocation.lift.replace(approval.id.clone()));
                self.open(entry.at, earlier, Opening { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::judged()
            }
            RevocationChange::Lifted { id } => {
                if let Some(revocation) = self.revocations.get_mut(id) {
                    let before = revocation.clone();
                    revocation.lifted = revocation.target.can_be_lifted();
                    self.index_revocation(id, Some(&before));
                    self.list_granted(before.lift.as_ref());
                }
                Effects::judged()
            }
        }
    }

    /// The integration that a certificate was issued to, if the target is one.
    fn certified(&self, target: &RevocationTarget) -> Option<IntegrationId> {
        let RevocationTarget::Certificate { environment, serial } = target else { return None };
        self.certificates.leaf(environment, serial).map(|leaf| leaf.integration.clone())
    }

    /// Ends what a revocation ends beside tokens.
    fn revoke(&mut self, entry: Entered<'_>, target: &RevocationTarget, reason: &Text) {
        match target {
            RevocationTarget::Key { environment, kid } => self.keys.taint(environment, kid),
            RevocationTarget::Elevation { elevation, .. } => {
                self.elevations.end(elevation, Ended { by: entry.by.clone(), reason: Some(reason.clone()), at: entry.at });
            }
            RevocationTarget::Certificate { environment, serial } => self.certificates.spoil(environment, serial),
            RevocationTarget::Token { .. }
            | RevocationTarget::Api { .. }
            | RevocationTarget::Binding { .. }
            | RevocationTarget::Integration { .. }
            | RevocationTarget::IntegrationEnvironment { .. }
            | RevocationTarget::Partner { .. }
            | RevocationTarget::Environment { .. }
            | RevocationTarget::Issuer { .. }
            | RevocationTarget::Authority { .. } => {}
        }
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

    /// Cuts the tokens of `target` that are older than the entry `index`. Returns what the live index has to learn of it.
    pub(super) fn cut(&mut self, target: &RevocationTarget, index: u64) -> Vec<Cut> {
        if let RevocationTarget::Token { environment, id, expires } = target {
            self.revoked_tokens.add(id, environment, *expires);
            return vec![Cut { environment: environment.clone(), what: CutWhat::Token { id: id.clone(), expires: *expires } }];
        }
        let keys = self.lines(target);
        for key in &keys {
            let line = self.revoked_before.entry(key.clone()).or_default();
            *line = (*line).max(index);
        }
        let place = target.reached().environment;
        let here = self.environments().filter(|environment| place.is_none_or(|place| place == *environment));
        here.flat_map(|environment| keys.iter().map(move |key| (environment.clone(), key.clone())))
            .map(|(environment, key)| Cut { environment, what: CutWhat::Before { key, index } })
            .collect()
    }

    /// Forgets what cut tokens that expired before `horizon`: their `exp` refuses them (ABUSE R-16).
    pub fn forget_expired(&mut self, horizon: Timestamp) {
        self.revoked_tokens.forget_expired(horizon);
        self.narrowings.forget_expired(horizon);
    }

    /// The revocations of one target, also those that are lifted or cut tokens alone.
    pub fn revocations_of(&self, key: &RevocationKey) -> impl Iterator<Item = &Revocation> {
        self.revoked.get(key).into_iter().flatten().filter_map(|id| self.revocations.get(id))
    }

    /// Whether an unlifted revocation refuses exchanges through `key`.
    pub fn is_refused(&self, key: &RevocationKey) -> bool {
        self.revocations_of(key).any(Revocation::refuses)
    }
}
