//! Folds the closing of environments, and judges which configuration can follow.

use std::collections::BTreeMap;

use super::State;
use super::closures::{Closed, Misfit};
use super::effects::{Effects, Entered};
use super::opening::Opening;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::registry::environment::Environment;
use crate::domain::value::names::EnvironmentName;

impl State {
    /// Whether `next` can follow the configuration on record.
    ///
    /// # Errors
    /// An environment would end without an approval, or come again.
    pub fn fits(&self, next: &BTreeMap<EnvironmentName, Environment>) -> Result<(), Misfit> {
        let dropped = self.environments().find(|name| !next.contains_key(*name) && self.closures.of(name).is_none());
        if let Some(name) = dropped {
            return Err(Misfit::Dropped(name.clone()));
        }
        for (name, new) in next {
            for (closed, closing) in self.closures.iter() {
                let stays = name == closed && new.issuer == closing.issuer && self.environment(name).is_some();
                if name == closed && !stays {
                    return Err(Misfit::Again(name.clone()));
                }
                if name != closed && new.issuer == closing.issuer {
                    return Err(Misfit::IssuerOf { environment: name.clone(), closed: closed.clone() });
                }
            }
        }
        Ok(())
    }

    pub(super) fn apply_environment(&mut self, entry: Entered<'_>, change: &EnvironmentChange) -> Effects {
        match change {
            EnvironmentChange::CloseAsked { environment, reason, approval } => {
                let earlier = self.closures.asked.insert(environment.clone(), approval.id.clone());
                self.open(entry.at, earlier, Opening { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::judged()
            }
            EnvironmentChange::Closed { environment, issuer } => {
                let asked = self.closures.asked.remove(environment);
                self.list_granted(asked.as_ref());
                self.closures.closed.insert(environment.clone(), Closed { at: entry.at, issuer: issuer.clone() });
                Effects::judged().revoking([RevocationTarget::Environment { environment: environment.clone() }])
            }
        }
    }
}
