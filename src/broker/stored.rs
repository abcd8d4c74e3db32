//! The stored versions of a record that was sent: the one in force, and the one that waits.

use std::collections::HashMap;

use super::failure::Failure;
use crate::domain::decision::stopped;
use crate::domain::people::actor::Staff;
use crate::domain::reason;
use crate::domain::record::Record;
use crate::domain::registry::approval::Standing;
use crate::domain::state::{Held, Party, State, Versioned};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::{Text, TextDigest, TextRow};

/// The stored versions of a record.
pub(super) struct Stored {
    /// The version that waits, else the one in force.
    pub(super) newest: Option<Record>,
    /// The version in force.
    pub(super) in_force: Option<Record>,
}

/// Digests of the versions that a plan was made against: in force, and newest.
pub(super) type Base = (Option<Digest>, Option<Digest>);

impl Stored {
    /// Finds the versions of the record that has the name of `new`.
    pub(super) fn of(new: &Record, state: &State) -> Self {
        let in_force = in_force(new, state);
        Self { newest: waiting(new, state).or_else(|| in_force.clone()), in_force }
    }
}

/// Unseals the texts of a record that `rows` has. Also returns their digests by text.
pub(super) fn joined(mut record: Record, rows: &HashMap<TextDigest, TextRow>) -> (Record, HashMap<String, TextDigest>) {
    let mut known = HashMap::new();
    for text in record.texts_mut() {
        if let Some(row) = text.digest().and_then(|digest| rows.get(&digest)) {
            known.insert(row.text.clone(), row.digest);
            *text = Text::Plain(row.text.clone());
        }
    }
    (record, known)
}

fn waiting(new: &Record, state: &State) -> Option<Record> {
    match new {
        Record::Api(api) => {
            let held = state.apis.get(&api.name)?.held.as_deref();
            held.map(|held| Record::Api(held.version.record.as_ref().clone()))
        }
        Record::Partner(partner) => {
            let held = state.partners.get(&partner.name)?.held.as_deref();
            held.map(|held| Record::Partner(held.version.record.as_ref().clone()))
        }
        Record::Guardrail(guardrail) => {
            let held = state.guardrails.get(guardrail.name.as_str())?.held.as_deref();
            held.map(|held| Record::Guardrail(held.version.record.as_ref().clone()))
        }
        Record::Integration(integration) => {
            let held = state.integrations.get(&integration.id)?.held.as_deref();
            held.map(|held| Record::Integration(held.version.record.as_ref().clone()))
        }
    }
}

fn in_force(new: &Record, state: &State) -> Option<Record> {
    match new {
        Record::Api(api) => {
            let current = state.apis.get(&api.name)?.current.as_ref();
            current.map(|current| Record::Api(current.record.as_ref().clone()))
        }
        Record::Partner(partner) => {
            let current = state.partners.get(&partner.name)?.current.as_ref();
            current.map(|current| Record::Partner(current.record.as_ref().clone()))
        }
        Record::Guardrail(guardrail) => {
            let current = state.guardrails.get(guardrail.name.as_str())?.current.as_ref();
            current.map(|current| Record::Guardrail(current.record.as_ref().clone()))
        }
        Record::Integration(integration) => {
            let current = state.integrations.get(&integration.id)?.current.as_ref();
            current.map(|current| Record::Integration(current.record.as_ref().clone()))
        }
    }
}

/// Finds the versions that a plan is made against.
///
/// It reads nothing of the records themselves, so it may run where nothing may take long.
pub(super) fn base(new: &Record, state: &State) -> Base {
    fn of<T>(current: Option<&Versioned<T>>, held: Option<&Held<T>>) -> Base {
        let current = current.map(|current| current.version);
        (current, held.map(|held| held.version.version).or(current))
    }
    match new {
        Record::Api(api) => state.apis.get(&api.name).map(|api| of(api.current.as_ref(), api.held.as_deref())),
        Record::Partner(partner) => {
            state.partners.get(&partner.name).map(|partner| of(partner.current.as_ref(), partner.held.as_deref()))
        }
        Record::Guardrail(guardrail) => {
            state.guardrails.get(guardrail.name.as_str()).map(|one| of(one.current.as_ref(), one.held.as_deref()))
        }
        Record::Integration(integration) => {
            state.integrations.get(&integration.id).map(|one| of(one.current.as_ref(), one.held.as_deref()))
        }
    }
    .unwrap_or_default()
}

/// Refuses a version of a record whose subject is being offboarded or was, and to let a person apply one that is managed elsewhere: by this
/// version, the one in force, or the one that waits.
pub(super) fn ensure_may_apply(by: &Staff, new: &Record, state: &State, now: Timestamp) -> Result<(), Failure> {
    let party = match new {
        Record::Integration(integration) => Some(Party::Integration(integration.id.clone())),
        Record::Partner(partner) => Some(Party::Partner(partner.name.clone())),
        Record::Api(_) | Record::Guardrail(_) => None,
    };
    party.map_or(Ok(()), |party| stopped::open_still(&party, state)).map_err(Failure::Stopped)?;
    if by.machine {
        return Ok(());
    }
    let (in_force, waiting) = managed(new, state);
    let is_managed = new.managed_by().is_some() || in_force || (waiting && !is_turned_down(new, state, now));
    if is_managed { Err((&reason::RECORD_MANAGED).into()) } else { Ok(()) }
}

/// Whether the version in force is managed elsewhere, and whether the one that waits is. It copies nothing.
fn managed(new: &Record, state: &State) -> (bool, bool) {
    fn of<T>(current: Option<&Versioned<T>>, held: Option<&Held<T>>, is_managed: impl Fn(&T) -> bool) -> (bool, bool) {
        (current.is_some_and(|one| is_managed(&one.record)), held.is_some_and(|held| is_managed(&held.version.record)))
    }
    let known = match new {
        Record::Api(api) => {
            let known = state.apis.get(&api.name);
            known.map(|one| of(one.current.as_ref(), one.held.as_deref(), |record| record.managed_by.is_some()))
        }
        Record::Partner(partner) => {
            let known = state.partners.get(&partner.name);
            known.map(|one| of(one.current.as_ref(), one.held.as_deref(), |record| record.managed_by.is_some()))
        }
        Record::Guardrail(guardrail) => {
            let known = state.guardrails.get(guardrail.name.as_str());
            known.map(|one| of(one.current.as_ref(), one.held.as_deref(), |record| record.managed_by.is_some()))
        }
        Record::Integration(integration) => {
            let known = state.integrations.get(&integration.id);
            known.map(|one| of(one.current.as_ref(), one.held.as_deref(), |record| record.managed_by.is_some()))
        }
    };
    known.unwrap_or_default()
}

/// Tells whether the waiting version was denied, or not answered in time.
pub(super) fn is_turned_down(new: &Record, state: &State, now: Timestamp) -> bool {
    let standing = asked(new, state).and_then(|id| state.approvals.get(id)).map(|approval| approval.standing(now));
    matches!(standing, Some(Standing::Denied | Standing::Expired))
}

/// The approval that the waiting version needs.
fn asked<'a>(new: &Record, state: &'a State) -> Option<&'a ApprovalId> {
    match new {
        Record::Api(api) => state.apis.get(&api.name)?.held.as_deref()?.approval.as_ref(),
        Record::Partner(partner) => state.partners.get(&partner.name)?.held.as_deref()?.approval.as_ref(),
        Record::Guardrail(guardrail) => state.guardrails.get(guardrail.name.as_str())?.held.as_deref()?.approval.as_ref(),
        Record::Integration(integration) => state.integrations.get(&integration.id)?.held.as_deref()?.approval.as_ref(),
    }
}
