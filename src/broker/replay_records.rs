//! The records that a replay rests on: the versions that were in force when tokens were issued.
//!
//! Enter through [`Broker::records`]. Nearly all of them are still in force. The others are found by folding the changes once more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Broker;
use super::failure::Failure;
use crate::domain::decision::uses::{IssuedUse, Use};
use crate::domain::log::change::Change;
use crate::domain::registry::api::Api;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::state::guardrail::Guardrails;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, IntegrationId};

/// Records, and sets of guardrails.
#[derive(Default)]
pub(super) struct Records {
    integrations: HashMap<(IntegrationId, Digest), Arc<Integration>>,
    apis: HashMap<(ApiName, Digest), Arc<Api>>,
    sets: HashMap<Digest, Guardrails>,
}

/// The records that are not found yet.
#[derive(Default)]
pub(super) struct Wanted {
    integrations: HashMap<IntegrationId, HashSet<Digest>>,
    apis: HashMap<ApiName, HashSet<Digest>>,
    sets: HashSet<Digest>,
}

impl Wanted {
    /// Adds those of a use.
    pub fn add(&mut self, counted: &Use) {
        let Use::Issued(issued) = counted else { return };
        if let ClientId::Integration(id) = &issued.client {
            self.integrations.entry(id.clone()).or_default().insert(issued.record);
        }
        if let Some(version) = issued.api_version {
            self.apis.entry(issued.api.clone()).or_default().insert(version);
        }
        self.sets.extend(issued.guardrails);
    }

    fn is_empty(&self) -> bool {
        self.integrations.is_empty() && self.apis.is_empty() && self.sets.is_empty()
    }

    /// Moves the version in force of an integration to `records`, if it is wanted.
    fn take_integration(&mut self, id: &IntegrationId, state: &State, records: &mut Records) {
        let Some(versions) = self.integrations.get_mut(id) else { return };
        if let Some(current) = state.integrations.get(id).and_then(|known| known.current.as_ref())
            && versions.remove(&current.version)
        {
            records.integrations.insert((id.clone(), current.version), Arc::clone(&current.record));
        }
        if versions.is_empty() {
            self.integrations.remove(id);
        }
    }

    fn take_api(&mut self, name: &ApiName, state: &State, records: &mut Records) {
        let Some(versions) = self.apis.get_mut(name) else { return };
        if let Some(current) = state.apis.get(name).and_then(|known| known.current.as_ref())
            && versions.remove(&current.version)
        {
            records.apis.insert((name.clone(), current.version), Arc::clone(&current.record));
        }
        if versions.is_empty() {
            self.apis.remove(name);
        }
    }

    fn take_set(&mut self, state: &State, records: &mut Records) {
        if let Some(digest) = state.guardrails.digest().filter(|digest| self.sets.remove(digest)) {
            records.sets.insert(digest, state.guardrails.clone());
        }
    }

    /// Moves all that is in force.
    fn take(&mut self, state: &State, records: &mut Records) {
        let integrations: Vec<IntegrationId> = self.integrations.keys().cloned().collect();
        integrations.iter().for_each(|id| self.take_integration(id, state, records));
        let apis: Vec<ApiName> = self.apis.keys().cloned().collect();
        apis.iter().for_each(|name| self.take_api(name, state, records));
        self.take_set(state, records);
    }

    /// Moves what a change may have put in force.
    fn take_after(&mut self, change: &Change, state: &State, records: &mut Records) {
        if let Change::Integration(change) = change {
            self.take_integration(change.integration(), state, records);
        }
        if let Change::Api(_) = change {
            let apis: Vec<ApiName> = self.apis.keys().cloned().collect();
            apis.iter().for_each(|name| self.take_api(name, state, records));
        }
        if let Change::Guardrail(_) = change {
            self.take_set(state, records);
        }
    }
}

impl Records {
    /// The version that allowed these tokens.
    pub fn integration(&self, issued: &IssuedUse) -> Option<&Integration> {
        let ClientId::Integration(id) = &issued.client else { return None };
        self.integrations.get(&(id.clone(), issued.record)).map(|record| &**record)
    }

    /// A version of an API.
    pub fn api(&self, name: &ApiName, version: Digest) -> Option<&Api> {
        self.apis.get(&(name.clone(), version)).map(|record| &**record)
    }

    /// Whether the same text was in shadow in this set.
    pub fn was_in_shadow(&self, one: &Guardrail, set: Option<Digest>) -> bool {
        let then = set.and_then(|set| self.sets.get(&set)?.get(one.name.as_str())?.current.as_ref());
        then.is_some_and(|then| then.record.mode == Mode::Shadow && then.record.is_same_text(one))
    }
}

impl Broker {
    /// Finds records; those that the journal does not have are missing.
    pub(super) async fn records(&self, mut wanted: Wanted) -> Result<Records, Failure> {
        let mut records = Records::default();
        wanted.take(&self.journal.view().state, &mut records);
        let (mut state, mut from) = (State::default(), 0);
        while !wanted.is_empty() {
            let changes = self.journal.changes(from).await?;
            let Some(last) = changes.last() else { break };
            from = last.index.saturating_add(1);
            let work = move || {
                for entry in &changes {
                    state.apply(entry.index, entry.time, &entry.change);
                    wanted.take_after(&entry.change.what, &state, &mut records);
                }
                (state, wanted, records)
            };
            (state, wanted, records) = self.desk.work(work).await?;
        }
        Ok(records)
    }
}
