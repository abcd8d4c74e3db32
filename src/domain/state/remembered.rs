//! Records that came into force: the indexes over their bindings, and the memory of them.

use std::sync::Arc;

use super::State;
use super::taken::Holder;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::registry::binding::Binding;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, IntegrationId};

impl State {
    /// Takes the bindings of an integration that are in force now into the indexes.
    pub(super) fn index_integration(&mut self, id: &IntegrationId) {
        let Some((state, current)) = self.integrations.get(id).and_then(|state| Some((state, state.current.as_ref()?))) else {
            return;
        };
        self.candidates.index_integration(state);
        let current = Arc::clone(&current.record);
        for (environment, access) in &current.environments {
            self.remember(&ClientId::Integration(current.id.clone()), environment, &access.bindings);
        }
        self.take_over(Holder::Integration(&current));
    }

    /// Takes the callers of an API that are in force now into the indexes.
    pub(super) fn index_api(&mut self, name: &ApiName) {
        let Some((state, current)) = self.apis.get(name).and_then(|state| Some((state, state.current.as_ref()?))) else {
            return;
        };
        self.candidates.index_api(state);
        let current = Arc::clone(&current.record);
        for (environment, bindings) in &current.callers {
            self.remember(&ClientId::Api(name.clone()), environment, bindings);
        }
        self.take_over(Holder::Api(&current));
    }

    /// Remembers bindings that are in force now. A revoked one bars all that it admits now as well.
    fn remember(&mut self, client: &ClientId, environment: &EnvironmentName, bindings: &[Binding]) {
        self.history.add_bindings(client, environment, bindings);
        for binding in bindings {
            let key = RevocationKey::binding(client, environment, &binding.name);
            for id in self.revoked.get(&key).cloned().unwrap_or_default() {
                self.bar(&id);
            }
        }
    }
}
