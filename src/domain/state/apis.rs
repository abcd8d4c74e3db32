//! Folds changes of the catalogue.

use std::sync::Arc;

use super::State;
use super::effects::{Effects, Entered, Versions};
use super::narrowings::Whose;
use super::opening::Opening;
use super::versions::{hold, promote, version};
use crate::domain::log::api::ApiChange;
use crate::domain::record::taken_away;
use crate::domain::registry::api::Api;
use crate::domain::value::names::{ApiName, ClientId};

impl State {
    /// Cuts the tokens of the version before that the one in force now would not grant as they are.
    fn take_away_of_api(&mut self, entry: Entered<'_>, name: &ApiName, old: Option<&Api>) {
        let current = self.apis.get(name).and_then(|api| api.current.as_ref());
        let Some((old, current)) = old.zip(current) else { return };
        let places = taken_away::of_api(old, &current.record);
        self.narrowed(entry, places.into_iter().map(|(environment, away)| (Whose::Api(name.clone(), environment), away)));
    }

    pub(super) fn apply_api(&mut self, entry: Entered<'_>, change: &ApiChange) -> Effects {
        let client = ClientId::Api(change.api().clone());
        match change {
            ApiChange::Submitted { record, approval } => {
                let api = self.apis.entry(record.name.clone()).or_default();
                let earlier = api.held.replace(hold(record.as_ref().clone(), entry, approval));
                self.open(entry.at, earlier.and_then(|held| held.approval), Opening::of_version(approval));
                Effects::judged().moving(Versions::Waiting(client))
            }
            ApiChange::Approved { api: name, version } => {
                if let Some(api) = self.apis.get_mut(name) {
                    let old = api.current.as_ref().map(|current| Arc::clone(&current.record));
                    let promoted = promote(&mut api.held, &mut api.current, version);
                    self.take_away_of_api(entry, name, old.as_deref());
                    self.index_api(name);
                    self.list_granted(promoted.flatten().as_ref());
                }
                Effects::judged().moving(Versions::InForce(client))
            }
            ApiChange::Narrowed { record, reason } => {
                let api = self.apis.entry(record.name.clone()).or_default();
                let old = api.current.replace(version(record.as_ref().clone(), entry, reason.as_ref())).map(|old| old.record);
                let earlier = api.held.take();
                self.take_away_of_api(entry, &record.name, old.as_deref());
                self.index_api(&record.name);
                self.withdraw(entry.at, earlier.and_then(|held| held.approval));
                Effects::judged().moving(Versions::InForce(client))
            }
        }
    }
}
