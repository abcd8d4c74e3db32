//! Folds changes of the catalogue.

use super::State;
use super::effects::{Effects, Entered, Versions};
use super::opening::Opening;
use super::versions::{hold, promote, version};
use crate::domain::log::api::ApiChange;
use crate::domain::value::names::ClientId;

impl State {
    pub(super) fn apply_api(&mut self, entry: Entered<'_>, change: &ApiChange) -> Effects {
        let client = ClientId::Api(change.api().clone());
        match change {
            ApiChange::Submitted { record, approval } => {
                let api = self.apis.entry(record.name.clone()).or_default();
                let earlier = api.held.replace(hold(record.as_ref(), entry, approval));
                self.open(entry.at, earlier.and_then(|held| held.approval), Opening::of_version(approval));
                Effects::judged().moving(Versions::Waiting(client))
            }
            ApiChange::Approved { api: name, version } => {
                if let Some(api) = self.apis.get_mut(name) {
                    let promoted = promote(&mut api.held, &mut api.current, version);
                    self.index_api(name);
                    self.list_granted(promoted.flatten().as_ref());
                }
                Effects::judged().moving(Versions::InForce(client))
            }
            ApiChange::Narrowed { record, reason } => {
                let api = self.apis.entry(record.name.clone()).or_default();
                api.current = Some(version(record.as_ref(), entry, reason.as_ref()));
                let earlier = api.held.take();
                self.index_api(&record.name);
                self.withdraw(entry.at, earlier.and_then(|held| held.approval));
                Effects::judged().moving(Versions::InForce(client))
            }
        }
    }
}
