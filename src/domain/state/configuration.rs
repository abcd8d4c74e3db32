//! Folds changes of the configuration.

use super::State;
use super::effects::{Effects, Entered};
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::registry::environment::{Configuration, Sender, is_production};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::EnvironmentName;
use crate::domain::value::zone::{Local, Zone};

impl State {
    pub(super) fn apply_configuration(&mut self, entry: Entered<'_>, change: &ConfigurationChange) -> Effects {
        match change {
            ConfigurationChange::Changed(configuration) => {
                for (name, environment) in &configuration.environments {
                    self.history.add_environment(name, &environment.trust_domain);
                }
                let known = |name: &EnvironmentName| self.environment(name).is_some();
                if !configuration.environments.keys().all(known) {
                    // Cuts are kept for the environments that were configured at the time. One that comes, or comes back, lacks those
                    // made meanwhile.
                    self.recent_cuts.forget_before(entry.index);
                }
                self.candidates.configure(&configuration.environments);
                if longest_life(configuration) < self.longest_life() {
                    self.lives_shortened = Some(entry.at);
                }
                let grace = self.owner_grace();
                let strict = self.strict_reviews(configuration);
                self.configuration = Some(configuration.clone());
                self.bar_issuers();
                self.owners.configure(configuration.directory.as_ref(), entry.at);
                if configuration.governance.owner_grace < grace {
                    self.cut_past_all_owners(entry);
                }
                if configuration.governance.reviews && self.recertification.since.is_none() {
                    self.count_reviews(entry);
                }
                if configuration.governance.offboarding {
                    self.offboardings.since.get_or_insert(entry.at);
                }
                self.close_everywhere();
                strict.iter().for_each(|(id, ends)| self.cut_past_review(entry, id, ends));
                Effects::judged()
            }
            // The entry is for people. The change itself follows.
            ConfigurationChange::Widened { .. } => Effects::unjudged(),
        }
    }

    /// The machine that may send signals under this id.
    pub fn sender(&self, caller: &str) -> Option<&Sender> {
        self.configuration.as_ref()?.signals.iter().find(|sender| sender.caller == caller)
    }

    /// The local time at `now`, in the zone of the configuration.
    pub fn local(&self, now: Timestamp) -> Option<Local> {
        match &self.configuration {
            Some(configuration) => configuration.governance.zone.local(now),
            None => Zone::default().local(now),
        }
    }

    /// Whether an environment counts as production.
    pub fn is_production(&self, environment: &EnvironmentName) -> bool {
        let configured = self.environment(environment).and_then(|known| known.production);
        is_production(environment, configured)
    }

    /// The longest life of a token in any environment, as configured now. Nothing where there is no environment.
    pub fn longest_life(&self) -> Option<Seconds> {
        self.configuration.as_ref().and_then(longest_life)
    }
}

fn longest_life(configuration: &Configuration) -> Option<Seconds> {
    configuration.environments.values().map(|environment| environment.max_ttl).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credential::revocation::RevocationTarget;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::change::Change;
    use crate::domain::log::revocation::RevocationChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::state::cut;
    use crate::domain::value::clock::Timestamp;

    /// An index that lags behind the return of an environment would lack the cuts that were made while it was away.
    #[test]
    fn an_environment_that_comes_back_has_the_index_built_anew() {
        let mut state = state();
        let all = state.configuration.clone().expect("configured");
        let mut fewer = all.clone();
        let (gone, _) = fewer.environments.pop_first().expect("an environment");
        let target = RevocationTarget::Partner { partner: "globex".parse().expect("a name") };
        let (id, reason) = ("r1".parse().expect("an id"), "odd".into());
        let revoked = RevocationChange::Added { id, target, tokens_only: false, reason, client: None };
        let changes: [Change; 3] =
            [ConfigurationChange::Changed(fewer).into(), revoked.into(), ConfigurationChange::Changed(all).into()];
        for (index, change) in (100..).zip(changes) {
            state.apply(index, at(1), &change.by(Actor::Operator));
        }
        assert!(cut::all(&state).iter().any(|cut| cut.environment == gone));
        assert!(state.recent_cuts.behind(99).is_none(), "an index at 99 would not learn it");
        assert!(state.recent_cuts.behind(102).is_some());
    }

    /// Living tokens are looked for as far back as an earlier configuration allowed, while its tokens may live.
    #[test]
    fn a_shorter_life_is_noted_and_a_longer_one_is_not() {
        let mut state = state();
        let mut configuration = state.configuration.clone().expect("configured");
        let mut change = |state: &mut State, life: u32, time: Timestamp| {
            for environment in configuration.environments.values_mut() {
                environment.max_ttl = Seconds(life);
            }
            state.apply(100, time, &ConfigurationChange::Changed(configuration.clone()).by(Actor::Operator));
            (state.longest_life(), state.lives_shortened)
        };
        assert_eq!(change(&mut state, 3_600, at(1)), (Some(Seconds(3_600)), None));
        assert_eq!(change(&mut state, 600, at(2)), (Some(Seconds(600)), Some(at(2))));
        assert_eq!(change(&mut state, 900, at(3)), (Some(Seconds(900)), Some(at(2))));
    }
}
