//! Folds changes of our signing keys, and of those of partners' issuers.

use super::State;
use super::effects::{Effects, Entered};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::log::key::KeyChange;

impl State {
    pub(super) fn apply_key(&mut self, entry: Entered<'_>, change: &KeyChange) -> Effects {
        match change {
            KeyChange::Created(key) => {
                self.keys.add(key.clone(), (entry.index, entry.at));
                Effects::judged()
            }
            KeyChange::Activated { environment, kid } => {
                self.keys.activate(environment, kid, entry.at);
                Effects::judged()
            }
            KeyChange::Tainted { environment, kid, .. } => {
                self.keys.taint(environment, kid);
                Effects::judged().revoking([RevocationTarget::Key { environment: environment.clone(), kid: kid.clone() }])
            }
            KeyChange::Retired { environment, kid } => {
                self.keys.retire(environment, kid);
                Effects::judged()
            }
        }
    }

    pub(super) fn apply_issuer_key(&mut self, entry: Entered<'_>, change: &IssuerKeyChange) -> Effects {
        match change {
            IssuerKeyChange::FirstUsed { issuer, key } => {
                self.issuer_keys.add(issuer, *key, entry.at);
                Effects::unjudged()
            }
        }
    }
}
