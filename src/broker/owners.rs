//! Owners as people of the directory: who they are when a version is submitted, and what follows when they leave.
//!
//! Enter through [`Broker::settle_owners`], which records what follows from the directory, and through [`Broker::look_up_owners`] for the
//! versions of an apply. Departures are found by comparing the directory with the state, so a crash between the two loses none. A return
//! is recorded by a word of the source alone: an older copy of the directory that somebody puts back brings nobody back.
//!
//! The rules are in `decision::owners`.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::MutexGuard;

use super::Broker;
use super::cause::Cause;
use super::directory::Refused;
use super::failure::{Failure, Fault};
use super::people::Copied;
use super::plan::{Action, Plan};
use crate::domain::decision::owners::{self, Unfit};
use crate::domain::log::directory::DirectoryChange;
use crate::domain::people::owners::OwnerIds;
use crate::domain::reason;
use crate::domain::record::{self, Located, Record, Severity};
use crate::domain::registry::integration::Owners;
use crate::domain::state::State;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{HoldId, IntegrationId, PersonId};
use crate::domain::value::text::{Text, TextDigest};

/// The owners of a record as somebody wrote it, and its place in the text.
pub(super) struct Named {
    file: String,
    line: u32,
    addresses: (Option<String>, Option<String>),
}

/// Owners whom the directory knows now, and the texts of the record that they were found by.
struct Resolved {
    integration: IntegrationId,
    is_waiting: bool,
    texts: Owners,
    ids: OwnerIds,
}

/// The most integrations in one entry.
const RESOLVED_AT_ONCE: usize = 500;

/// The addresses in the records of an apply, by integration.
pub(super) fn named(located: &[Located]) -> HashMap<String, Named> {
    let one = |located: &Located| {
        let Record::Integration(record) = &located.record else { return None };
        let plain = |text: &Text| text.plain().map(str::to_owned);
        let addresses = (plain(&record.owners.business), plain(&record.owners.application));
        Some((record.id.to_string(), Named { file: located.file.clone(), line: located.line, addresses }))
    };
    located.iter().filter_map(one).collect()
}

/// Refuses owners who do not fit by the state alone. Nothing to refuse where no directory is configured.
pub(super) fn ensure_fit(subject: &str, owners: Option<&OwnerIds>, state: &State) -> Result<(), Failure> {
    let none = OwnerIds::default();
    let unfit = owners::ensure(owners.unwrap_or(&none), state);
    if unfit.is_empty() { Ok(()) } else { Err(Failure::Faults(faults(subject, unfit))) }
}

fn faults(subject: &str, unfit: Vec<Unfit>) -> Vec<Fault> {
    unfit.into_iter().map(|Unfit { at, reason, message }| Fault { at: format!("{subject} {at}"), reason, message }).collect()
}

impl From<Refused<()>> for Failure {
    fn from(refused: Refused<()>) -> Self {
        Self::Refused(match refused {
            Refused::Unknown => &reason::NOT_FOUND,
            Refused::Unsound => &reason::DIRECTORY_UNSOUND,
            Refused::Away | Refused::Clash(_) | Refused::Said(()) => &reason::STORE_UNAVAILABLE,
        })
    }
}

impl Broker {
    /// Looks up the owners of the versions that an apply would submit. Drafts with owners who do not fit are warned of.
    ///
    /// # Errors
    /// A version that would be held names somebody who is unknown or gone, or one person twice.
    pub(super) async fn look_up_owners(&self, plan: &mut Plan, named: &HashMap<String, Named>) -> Result<(), Failure> {
        let view = self.journal.view();
        if view.state.directory().is_none() {
            return Ok(());
        }
        let mut refused = Vec::new();
        for item in &mut plan.items {
            if item.kind != "Integration" || !matches!(item.action, Action::Draft | Action::Hold) {
                continue;
            }
            let Some(Named { file, line, addresses }) = named.get(&item.subject) else { continue };
            let (ids, unfit) = self.resolve((addresses.0.as_deref(), addresses.1.as_deref()), &view.state).await?;
            if item.action == Action::Hold {
                refused.extend(faults(&item.subject, unfit));
            } else {
                plan.warnings.extend(unfit.into_iter().map(|Unfit { at, reason, message }| record::Fault {
                    file: file.clone(),
                    line: *line,
                    column: 1,
                    at: at.to_owned(),
                    reason,
                    message,
                    severity: Severity::Warning,
                }));
            }
            item.owners = Some(ids);
        }
        if refused.is_empty() { Ok(()) } else { Err(Failure::Faults(refused)) }
    }

    /// Looks up the owners of a draft, and returns them with its version. None: no directory is configured, or there is no draft.
    ///
    /// # Errors
    /// It names somebody who is unknown or gone, or one person twice.
    pub(super) async fn owners_of_draft(&self, id: &IntegrationId) -> Result<Option<(Digest, OwnerIds)>, Failure> {
        let view = self.journal.view();
        let held = view.state.integrations.get(id).and_then(|known| known.held.as_ref());
        let Some(held) = held.filter(|_| view.state.directory().is_some()) else { return Ok(None) };
        let Owners { business, application } = &held.version.record.owners;
        let digests: Vec<TextDigest> = [business, application].into_iter().filter_map(Text::digest).collect();
        let rows = self.journal.texts(&digests).await?;
        let plain = |text: &Text| text.digest().and_then(|digest| rows.get(&digest)).map(|row| row.text.as_str());
        let (ids, unfit) = self.resolve((plain(business), plain(application)), &view.state).await?;
        if !unfit.is_empty() {
            return Err(Failure::Faults(faults(&id.to_string(), unfit)));
        }
        Ok(Some((held.version.version, ids)))
    }

    async fn resolve(&self, addresses: (Option<&str>, Option<&str>), state: &State) -> Result<(OwnerIds, Vec<Unfit>), Failure> {
        let mut copy = self.people.lock().await;
        let directory = &self.newest::<()>(&mut copy).await?.directory;
        let (ids, mut unfit) = owners::resolve(directory, addresses, self.now());
        // One fault for each field: an address that is unknown needs no second one.
        let known = |one: &Unfit| unfit.iter().all(|other| other.at != one.at);
        let more: Vec<Unfit> = owners::ensure(&ids, state).into_iter().filter(known).collect();
        unfit.extend(more);
        Ok((ids, unfit))
    }

    /// Records what follows from the directory for the owners of records: who left, and who is known now.
    ///
    /// # Errors
    /// Store or journal are away, or the directory is not as a node of ours left it.
    pub async fn settle_owners(&self) -> Result<(), Refused<()>> {
        if self.journal.view().state.directory().is_none() {
            return Ok(());
        }
        let mut copy = self.people.lock().await;
        self.settle_owners_in(&mut copy, &[]).await
    }

    /// The same after a change that is made. The background repeats it if it fails.
    pub async fn settle_owners_soon(&self) {
        if let Err(fault) = self.settle_owners().await {
            tracing::warn!(?fault, "what follows from the people directory could not be recorded; trying again");
        }
    }

    /// The same, and the returns of the people of whom the source spoke just now.
    pub(super) async fn settle_owners_in<E>(
        &self,
        copy: &mut MutexGuard<'_, Option<Copied>>,
        told: &[PersonId],
    ) -> Result<(), Refused<E>> {
        let mut told = told.to_vec();
        let mut mine = Vec::new();
        loop {
            let hold: HoldId = self.entropy.name();
            let view = self.journal.view();
            if view.state.directory().is_none() {
                return Ok(());
            }
            let resolved = self.resolved(copy, &view.state).await?;
            let directory = &self.newest(copy).await?.directory;
            let is_active = |id: &PersonId| directory.member(id).map(|member| member.active);
            // Another process may have heard that somebody is back between our look and our entry.
            told.extend(mine.iter().filter(|id| is_active(id) == Some(true)).cloned());
            let back: Vec<&PersonId> = told.iter().filter(|id| is_active(id) == Some(true)).collect();
            let left = view.state.owners.all().filter(|(id, _)| is_active(id) == Some(false));
            let left: Vec<PersonId> = left.map(|(id, _)| id.clone()).collect();
            let due = |state: &State, now| {
                returned(state, &back)
                    .or_else(|| known_now(state, &resolved))
                    .or_else(|| owners::departure(state, &left, &hold, now))
            };
            if due(&view.state, self.now()).is_none() {
                return Ok(());
            }
            match self.change_as(Cause::Directory, None, |state, now| due(state, now).ok_or(())).await? {
                Ok(_) => mine = left,
                // Another process recorded it.
                Err(()) => mine.clear(),
            }
        }
    }

    /// Finds owners whom the directory did not know when their version was recorded, and knows now.
    async fn resolved<E>(&self, copy: &mut MutexGuard<'_, Option<Copied>>, state: &State) -> Result<Vec<Resolved>, Refused<E>> {
        let wanted: Vec<(IntegrationId, bool, Owners, OwnerIds)> =
            state.owners.unresolved().flat_map(|id| lacking(state, id)).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.newest(copy).await?;
        let Some(copied) = copy.as_mut() else { return Ok(Vec::new()) };
        let texts = wanted.iter().flat_map(|(_, _, owners, _)| [&owners.business, &owners.application]);
        let digests = texts.filter_map(Text::digest).filter(|digest| !copied.addresses.contains_key(digest));
        let digests: Vec<TextDigest> = digests.collect();
        if !digests.is_empty() {
            let mut rows = self.journal.texts(&digests).await?;
            copied.addresses.extend(digests.into_iter().map(|digest| (digest, rows.remove(&digest).map(|row| row.text))));
        }
        let now = self.now();
        let one = |(integration, is_waiting, texts, known): (IntegrationId, bool, Owners, OwnerIds)| {
            let address = |text: &Text| text.digest().and_then(|digest| copied.addresses.get(&digest)?.as_deref());
            let addresses = (address(&texts.business), address(&texts.application));
            let (found, _) = owners::resolve(&copied.directory, addresses, now);
            let ids = OwnerIds {
                business: found.business.filter(|_| known.business.is_none()),
                application: found.application.filter(|_| known.application.is_none()),
            };
            (ids != OwnerIds::default()).then_some(Resolved { integration, is_waiting, texts, ids })
        };
        Ok(wanted.into_iter().filter_map(one).take(RESOLVED_AT_ONCE).collect())
    }
}

/// The versions of an integration with an owner who is not known yet: whether it waits, its texts, and who is known.
fn lacking(state: &State, id: &IntegrationId) -> Vec<(IntegrationId, bool, Owners, OwnerIds)> {
    let Some(known) = state.integrations.get(id) else { return Vec::new() };
    let in_force = known.current.as_ref().map(|current| (false, &current.record.owners, known.owners.ids()));
    let held = known.held.as_ref().filter(|held| held.approval.is_some());
    let waiting = held.map(|held| (true, &held.version.record.owners, known.held_owners()));
    let all = in_force.into_iter().chain(waiting).filter(|(_, _, ids)| !ids.is_complete());
    all.map(|(is_waiting, owners, ids)| (id.clone(), is_waiting, owners.clone(), ids)).collect()
}

/// The entry for those whose versions are still the same.
fn known_now(state: &State, resolved: &[Resolved]) -> Option<DirectoryChange> {
    let (mut in_force, mut waiting) = (BTreeMap::new(), BTreeMap::new());
    for Resolved { integration, is_waiting, texts, ids } in resolved {
        let still =
            lacking(state, integration).into_iter().find(|(_, waits, owners, _)| waits == is_waiting && owners == texts);
        let Some((_, _, _, known)) = still else { continue };
        let is_new =
            (known.business.is_none() && ids.business.is_some()) || (known.application.is_none() && ids.application.is_some());
        if is_new {
            let versions = if *is_waiting { &mut waiting } else { &mut in_force };
            versions.insert(integration.clone(), ids.clone());
        }
    }
    (!in_force.is_empty() || !waiting.is_empty()).then_some(DirectoryChange::Resolved { in_force, waiting })
}

/// The entry for somebody who had left, or whom the brake holds, and of whom the source says that they are here.
fn returned(state: &State, back: &[&PersonId]) -> Option<DirectoryChange> {
    let is_away = |id: &PersonId| state.owners.gone(id).is_some() || state.owners.is_held(id);
    let person = back.iter().find(|id| is_away(id))?;
    Some(DirectoryChange::Returned { person: (*person).clone() })
}
