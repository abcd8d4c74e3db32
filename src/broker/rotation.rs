//! Signing keys: the first of each algorithm, the next ones, and those that are tainted (docs/explanation/keys-and-caches.md).

use std::collections::BTreeSet;

use super::Broker;
use super::revocation::{Failure, Unconfirmed};
use crate::domain::credential::keys::PUBLISHED_BEFORE_USE;
use crate::domain::log::change::{Change, What};
use crate::domain::people::actor::{Actor, Authorized, Operate};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::environment::Configuration;
use crate::domain::state::State;
use crate::domain::value::alg::Alg;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::domain::value::text::Text;
use crate::journal::{ForRequest, Proposal};

impl Broker {
    /// Records the configuration where it differs from the last one, makes the first key of every algorithm that an API in force asks for,
    /// and opens what keys there are. Called at start and after each change of the catalogue. A journal that stopped takes no change, and
    /// the node goes on with what is on record: it says so, and mints nothing.
    pub async fn prepare(&self, configuration: Option<&Configuration>) -> Result<(), Failure> {
        let is_recorded =
            |configuration: &&Configuration| self.journal.view().state.configuration.as_ref() == Some(*configuration);
        let other = configuration.filter(|configuration| !is_recorded(configuration));
        if self.journal.health().stopped.is_none() {
            self.complete(other).await?;
        } else if other.is_some() {
            tracing::error!("the journal stopped itself and takes no change: the configuration of this start is not on record");
        }
        self.load_authorities().await?;
        self.reload_ring().await
    }

    async fn complete(&self, other: Option<&Configuration>) -> Result<(), Failure> {
        if let Some(configuration) = other {
            let recorded = self
                .journal
                .change(None, |state, _now| {
                    if state.configuration.as_ref() == Some(configuration) {
                        return Err(());
                    }
                    let what = What::ConfigurationChanged(configuration.clone());
                    Ok(Proposal::from(Change { by: Actor::Operator, what }))
                })
                .await?;
            drop(recorded);
        }
        while let Some((environment, alg)) = missing(&self.journal.view().state) {
            self.create_key(Actor::Broker, &environment, alg, When::First, None).await?;
        }
        self.prepare_authorities().await
    }

    /// Makes the next key of `alg` in `environment`. It signs when every verifier can know it; at once only where it is the first, or
    /// where the operator accepts that verifiers refuse tokens meanwhile.
    pub async fn rotate(
        &self,
        by: &Authorized<Operate>,
        environment: &EnvironmentName,
        alg: Alg,
        accept_outage: bool,
        request: Option<ForRequest>,
    ) -> Result<KeyId, Failure> {
        if self.journal.view().state.environment(environment).is_none() {
            return Err((&reason::NOT_FOUND).into());
        }
        let when = if accept_outage { When::Now } else { When::Published };
        let made = self.create_key(by.staff().actor(), environment, alg, when, request).await?;
        made.ok_or(Failure::Refused(&reason::LIFECYCLE_STATE))
    }

    /// Taints a key: it signs no more, leaves the JWKS, and what it signed is revoked.
    pub async fn taint(
        &self,
        by: &Authorized<Operate>,
        environment: &EnvironmentName,
        kid: &KeyId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Unconfirmed, Failure> {
        let text = Text::from(why);
        let outcome = self
            .journal
            .change(request, |state, _now| {
                let key = state.keys.find(environment, kid).ok_or(&reason::NOT_FOUND)?;
                if key.tainted || key.retired {
                    return Err(&reason::LIFECYCLE_STATE);
                }
                let what = What::KeyTainted { environment: environment.clone(), kid: kid.clone(), reason: text.clone() };
                Ok::<_, &'static Reason>(Proposal::from(Change { by: by.staff().actor(), what }))
            })
            .await?;
        let committed = outcome?;
        Ok(Unconfirmed::of_key(committed.index))
    }

    async fn create_key(
        &self,
        by: Actor,
        environment: &EnvironmentName,
        alg: Alg,
        when: When,
        request: Option<ForRequest>,
    ) -> Result<Option<KeyId>, Failure> {
        let now = self.now();
        let usable_from = if when == When::Published { now.plus(PUBLISHED_BEFORE_USE) } else { now };
        let new =
            self.issuance.create(environment, alg, usable_from).map_err(|_| Failure::Refused(&reason::KEY_UNAVAILABLE))?;
        let outcome = self
            .journal
            .change(request, |state, _now| {
                // Asked again on the state that it is written on: two that found none at one time make one first key (ABUSE Q-03).
                if when == When::First && state.keys.of(environment).any(|key| key.key.alg == alg) {
                    return Err(());
                }
                let what = What::KeyCreated(new.record.clone());
                let mut proposal = Proposal::from(Change { by: by.clone(), what });
                proposal.sealed.push(new.sealed.clone());
                Ok(proposal)
            })
            .await?;
        if outcome.is_err() {
            return Ok(None);
        }
        self.reload_ring().await?;
        Ok(Some(new.record.kid))
    }

    pub(crate) async fn reload_ring(&self) -> Result<(), Failure> {
        let view = self.journal.view();
        self.issuance.load(&self.journal, &view.state).await.map_err(|_| Failure::Refused(&reason::KEY_UNAVAILABLE))
    }
}

/// From when a new key signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    /// At once, if it is the first of its algorithm in its environment: no verifier can hold a set for it.
    First,
    /// At once, by an operator who accepts that verifiers refuse tokens meanwhile.
    Now,
    /// When every verifier can know it.
    Published,
}

/// An environment and an algorithm that some API there asks for and that never had a key. Only the first key of an algorithm in an
/// environment is active when made (ABUSE I-14); where all were tainted, an operator decides.
fn missing(state: &State) -> Option<(EnvironmentName, Alg)> {
    let configuration = state.configuration.as_ref()?;
    let wanted = |environment: &EnvironmentName| {
        let apis = state.apis.values().filter_map(|api| api.current.as_ref());
        let here = apis.filter(|api| api.record.audience.contains_key(environment));
        here.map(|api| api.record.token.alg).chain([Alg::Es256]).collect::<BTreeSet<_>>()
    };
    configuration.environments.keys().find_map(|environment| {
        let has = |alg: Alg| state.keys.of(environment).any(|key| key.key.alg == alg);
        wanted(environment).into_iter().find(|alg| !has(*alg)).map(|alg| (environment.clone(), alg))
    })
}
