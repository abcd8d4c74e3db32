//! Folds changes of the configuration.

use super::State;
use super::effects::Effects;
use crate::domain::log::configuration::ConfigurationChange;

impl State {
    pub(super) fn apply_configuration(&mut self, change: &ConfigurationChange) -> Effects {
        match change {
            ConfigurationChange::Changed(configuration) => {
                for (name, environment) in &configuration.environments {
                    self.history.add_environment(name, &environment.trust_domain);
                }
                self.candidates.configure(&configuration.environments);
                self.configuration = Some(configuration.clone());
                self.bar_issuers();
                Effects::judged()
            }
        }
    }
}
