//! Whether the file of this node agrees with the configuration on record, and what the node does while it does not.
//!
//! Decisions rest on the configuration on record, so every node decides the same way, whatever its file says. A change of a file is first
//! a difference of one node, and comes on record by an administrator ([`Broker::apply_configuration`]). The exception is a journal in a
//! file: it has one node, which an operator has just started with the very file, so each start records what that file says, as before there
//! were several nodes. The first start of an empty journal records in both cases: nobody could sign in before.
//!
//! What is compared is said in [`differing`](crate::domain::registry::differing).
//!
//! A node whose file differs
//!
//! - records no configuration, and serves that on record: its issuers, their keys, lives and trust domains;
//! - is not ready, and tells which settings differ in `/readyz?verbose` and `carnet nodes`;
//! - mints for `[node] grace` from the time at which it found the difference, and nothing after it. An approved change ends the
//!   difference at nodes that have the new file, and begins one at those that have the old file: each of the two has its own grace, so a
//!   file is changed node by node and no request fails. A difference that becomes another one goes on: the grace does not begin again;
//! - lets staff read, cut and put the configuration on record, and nothing else, while `[staff]` differs: only the digest of that section is
//!   on record, so the node tells people and their roles by its own file, and roles that nobody recorded decide nothing.

use std::any::TypeId;
use std::sync::Arc;

use super::Broker;
use super::failure::Failure;
use super::stated::{Standing, Stated};
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::people::actor::{Authorized, Configure, Contain, Permission, Read};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::differing::{Difference, STAFF};
use crate::domain::registry::environment::Configuration;
use crate::domain::state::State;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::journal::ForRequest;

/// A configuration that a person has seen, on record and in the file of a node.
#[derive(Clone, Debug)]
pub struct SeenConfigurations {
    /// The one on record.
    pub recorded: Digest,
    /// That of the file.
    pub file: Digest,
}

impl Broker {
    /// From now on compares the record with what the file of this node says.
    pub fn keep_to(&self, file: Configuration, grace: Seconds) {
        // A node has one file, read at its start.
        let _once = self.agreement.file.set((file, grace));
        self.compare_configurations();
    }

    /// Compares with each change, for as long as the node runs.
    pub async fn watch_configuration(self) {
        let mut heads = self.journal.follow();
        loop {
            let change = heads.borrow_and_update().index;
            self.compare_configurations();
            if heads.wait_for(|head| head.index != change).await.is_err() {
                return;
            }
        }
    }

    fn compare_configurations(&self) {
        let Some((file, grace)) = self.agreement.file.get() else { return };
        let before = self.configuration_standing();
        let differs = differences(&self.journal.view().state, file);
        let until = if before.differs.is_empty() { self.clock.now().plus(*grace) } else { before.until };
        let standing = if differs.is_empty() { Standing::default() } else { Standing { differs, until } };
        if *before == standing {
            return;
        }
        match standing.names().as_str() {
            "" => tracing::info!("the file of this node agrees with the configuration on record"),
            settings => tracing::error!(
                settings,
                %until,
                "the file of this node differs from the configuration on record, and it mints by the record until then"
            ),
        }
        let unready = Some(standing.names()).filter(|names| !names.is_empty());
        self.journal.tell_unready(unready.map(|names| format!("its file differs: {names}")));
        self.agreement.put(standing);
    }

    /// How the file of this node stands to the record.
    pub fn configuration_standing(&self) -> Arc<Standing> {
        self.agreement.standing()
    }

    /// Whether the node mints by the configuration on record.
    pub(super) fn keeps_configuration(&self) -> bool {
        self.agreement.standing().mints(self.clock.now())
    }

    /// Refuses once the file of this node has differed for longer than its grace.
    pub(super) fn ensure_agreed(&self) -> Result<(), &'static Reason> {
        if self.keeps_configuration() { Ok(()) } else { Err(&reason::CONFIGURATION_DIFFERS) }
    }

    /// Refuses what staff want, unless it is to read, to cut or to record, while people's roles are not those on record.
    pub fn ensure_roles_recorded<P: Permission>(&self) -> Result<(), &'static Reason> {
        let always = [TypeId::of::<Read>(), TypeId::of::<Contain>(), TypeId::of::<Configure>()];
        let differs = || self.agreement.standing().differs.iter().any(|one| one.setting == STAFF);
        if !always.contains(&TypeId::of::<P>()) && differs() { Err(&reason::CONFIGURATION_DIFFERS) } else { Ok(()) }
    }

    /// The digest of the configuration on record, and that of the file of this node.
    pub fn configurations(&self) -> (Option<Digest>, Option<Digest>) {
        let recorded = self.journal.view().state.configuration.as_ref().map(Configuration::identity);
        (recorded, self.agreement.file.get().map(|(file, _)| file.identity()))
    }

    /// Puts the configuration of this node's file on record, which the person has seen. True if that changed the record.
    ///
    /// # Errors
    /// The record or the file is another one than the person saw, or the file leaves out an environment that is open.
    pub async fn apply_configuration(
        &self,
        by: &Authorized<Configure>,
        seen: &SeenConfigurations,
        request: Option<ForRequest>,
    ) -> Result<bool, Failure> {
        let (file, _) = self.agreement.file.get().ok_or(&reason::NOT_FOUND)?;
        if file.identity() != seen.file {
            return Err((&reason::PLAN_STALE).into());
        }
        let judged = |state: &State| {
            let recorded = state.configuration.as_ref();
            if recorded.map(Configuration::identity) != Some(seen.recorded) {
                return Err(Failure::Refused(&reason::PLAN_STALE));
            }
            state.fits(&file.environments).map_err(|misfit| Failure::State(misfit.to_string()))?;
            Ok(recorded.filter(|recorded| adds_nothing(recorded, file)).is_none())
        };
        if !judged(&self.journal.view().state)? {
            return Ok(false);
        }
        // People are told of what lasts longer before it does, so that no crash leaves it out.
        let settings = |state: &State| state.configuration.as_ref().map(|old| file.lengthened(old)).unwrap_or_default();
        if !settings(&self.journal.view().state).is_empty() {
            self.change_by(by, None, |state, _now| {
                judged(state)?;
                Ok(ConfigurationChange::Widened { settings: settings(state) })
            })
            .await?;
        }
        self.change_by(by, request, |state, _now| {
            judged(state)?;
            Ok(ConfigurationChange::Changed(file.clone()))
        })
        .await?;
        self.compare_configurations();
        // A new environment has no keys yet.
        self.prepare(Stated::Nothing).await?;
        Ok(true)
    }
}

fn differences(state: &State, file: &Configuration) -> Vec<Difference> {
    state.configuration.as_ref().map(|recorded| recorded.differences(file)).unwrap_or_default()
}

/// Whether to record the file would add nothing: neither a setting nor what its program says of the governance.
fn adds_nothing(recorded: &Configuration, file: &Configuration) -> bool {
    recorded.identity() == file.identity() && recorded.governance == file.governance
}
