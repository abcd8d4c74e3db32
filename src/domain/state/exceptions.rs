//! Folds the closing of static secrets that lived at partners, and says which are open.

use std::sync::Arc;

use super::State;
use super::effects::{Effects, Entered};
use super::exception::ExceptionStanding;
use super::integration::IntegrationState;
use super::opening::Opening;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::registry::integration::{Integration, OnPastDue, StaticSecret};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ExceptionId, IntegrationId};

impl IntegrationState {
    /// The static secrets of the version in force that live on, by the record.
    pub fn open_exceptions(&self) -> impl Iterator<Item = (ExceptionId, &StaticSecret)> {
        let record = self.current.as_ref().map(|current| current.record.as_ref());
        let all = record
            .into_iter()
            .flat_map(|record| record.exceptions.iter().map(|secret| (ExceptionId::of(&record.id, &secret.what), secret)));
        all.filter(|(id, secret)| !self.exceptions.is_closed(id, secret))
    }

    /// The open static secret that ends first among those that refuse after their end.
    pub fn first_due(&self) -> Option<&StaticSecret> {
        // Nearly every record has none, and then no id is made.
        if self.current.as_ref().is_none_or(|current| current.record.exceptions.is_empty()) {
            return None;
        }
        let refusing = self.open_exceptions().filter(|(_, one)| one.on_past_due == OnPastDue::Refuse);
        refusing.map(|(_, one)| one).min_by_key(|one| one.ends)
    }

    /// Whether a version lacks a static secret that lives on.
    pub fn lacks_open(&self, version: &Integration) -> bool {
        self.open_exceptions().any(|(_, open)| version.exceptions.iter().all(|one| one.what != open.what))
    }

    /// A version without the static secrets that are closed, to be compared with another one.
    pub fn without_closed(&self, version: &Integration) -> Integration {
        let mut version = version.clone();
        let id = version.id.clone();
        version.exceptions.retain(|one| !self.exceptions.is_closed(&ExceptionId::of(&id, &one.what), one));
        version
    }

    /// The static secrets whose end a version moves to a later day, with the number of times that this makes.
    pub fn extends<'v>(&'v self, version: &'v Integration) -> impl Iterator<Item = (usize, &'v StaticSecret, u32)> {
        let current = self.current.as_ref().map(|current| current.record.as_ref());
        version.exceptions.iter().enumerate().filter_map(move |(at, new)| {
            let before = current?.exceptions.iter().find(|one| one.what == new.what)?;
            let times = self.exceptions.extended(&ExceptionId::of(&version.id, &new.what));
            (before.ends < new.ends).then_some((at, new, times + 1))
        })
    }

    /// Notes what a version that came into force does to them.
    pub(super) fn exceptions_came_into_force(&mut self, old: Option<&Integration>) {
        if let Some(current) = &self.current {
            let new = Arc::clone(&current.record);
            self.exceptions.came_into_force(old, &new);
        }
    }
}

/// The version of an approval that closes a static secret: another end or control has another one.
pub fn version(id: &ExceptionId, secret: &StaticSecret) -> Digest {
    Digest::of_json(&("close", id, secret))
}

impl State {
    /// The integration of a static secret that a record in force names, or that was closed, and its description.
    pub fn exception(&self, id: &ExceptionId) -> Option<(&IntegrationId, &StaticSecret)> {
        let integration = self.exceptions.get(id)?;
        let known = self.integrations.get(integration)?;
        let of_record = known
            .current
            .as_ref()
            .and_then(|current| current.record.exceptions.iter().find(|one| ExceptionId::of(integration, &one.what) == *id));
        Some((integration, of_record.or_else(|| known.exceptions.closed(id).map(|closed| &closed.secret))?))
    }

    /// Where a static secret stands at `now`.
    pub fn exception_standing(&self, id: &ExceptionId, now: Timestamp) -> Option<ExceptionStanding> {
        let (integration, secret) = self.exception(id)?;
        let closed = self.integrations.get(integration)?.exceptions.closed(id).is_some();
        Some(match (closed, secret.ends <= now) {
            (true, _) => ExceptionStanding::Closed,
            (false, true) => ExceptionStanding::PastDue,
            (false, false) => ExceptionStanding::Open,
        })
    }

    /// Lists the static secrets of an integration, after a version came into force. Those that were closed stay listed.
    pub(super) fn list_exceptions(&mut self, id: &IntegrationId, old: Option<&Integration>) {
        let Some(known) = self.integrations.get(id) else { return };
        let named = |record: &Integration| -> Vec<ExceptionId> {
            record.exceptions.iter().map(|one| ExceptionId::of(id, &one.what)).collect()
        };
        let new = known.current.as_ref().map(|current| named(&current.record)).unwrap_or_default();
        let gone: Vec<ExceptionId> = old.map(named).unwrap_or_default();
        let gone = gone.into_iter().filter(|one| !new.contains(one) && known.exceptions.closed(one).is_none());
        let gone: Vec<ExceptionId> = gone.collect();
        gone.iter().for_each(|one| drop(self.exceptions.remove(one)));
        new.into_iter().for_each(|one| drop(self.exceptions.insert(one, id.clone())));
    }

    pub(super) fn apply_exception(&mut self, entry: Entered<'_>, change: &ExceptionChange) -> Effects {
        match change {
            ExceptionChange::CloseAsked { exception, integration, evidence, approval } => {
                let known = self.integration_mut(integration).map(|known| &mut known.exceptions);
                let earlier = known.and_then(|known| known.ask(exception, &approval.id, entry.by, evidence));
                self.open(entry.at, earlier, Opening { approval, reason: Some(evidence), lifts: Vec::new() });
                Effects::judged()
            }
            ExceptionChange::Closed { exception, integration } => {
                let secret = self.exception(exception).map(|(_, secret)| secret.clone());
                let known = self.integration_mut(integration).map(|known| &mut known.exceptions);
                let asked = known.zip(secret).and_then(|(known, secret)| known.close(exception, secret, entry.at));
                self.list_granted(asked.as_ref());
                Effects::judged()
            }
        }
    }
}
