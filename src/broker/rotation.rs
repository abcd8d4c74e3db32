//! Signing keys: the first of each algorithm, their successors, and tainted ones.
//!
//! The life of a key is docs/explanation/keys-and-caches.md.

use std::collections::BTreeSet;

use super::Broker;
use super::cause::Cause;
use super::change::Decided;
use super::failure::Failure;
use super::revocation::Unconfirmed;
use super::stated::Stated;
use crate::domain::credential::keys::PUBLISHED_BEFORE_USE;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::format;
use crate::domain::log::key::KeyChange;
use crate::domain::people::actor::{Authorized, Operate};
use crate::domain::reason;
use crate::domain::state::State;
use crate::domain::state::closures::Misfit;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::issuance::NewKey;
use crate::journal::ForRequest;

impl Broker {
    /// Records the configuration of a start if it must, makes missing first keys, and opens the keys on record.
    ///
    /// An algorithm needs a key if an API in force asks for it; ES256 always needs one. This runs at start and after
    /// each change of the catalogue. A journal that stopped takes no change. Then the node goes on with what is on
    /// record: it says so, and mints nothing.
    pub async fn prepare(&self, stated: Stated<'_>) -> Result<(), Failure> {
        let missing = stated.missing(self.journal.view().state.configuration.as_ref()).is_some();
        if self.journal.health().stopped.is_none() {
            self.complete(if missing { stated } else { Stated::Nothing }).await?;
        } else if missing {
            tracing::error!("the journal stopped itself and takes no change: the configuration of this start is not on record");
        }
        self.load_authorities().await?;
        self.reload_ring().await
    }

    async fn complete(&self, stated: Stated<'_>) -> Result<(), Failure> {
        if stated.missing(None).is_some() {
            self.tell_lengthened(stated).await?;
            let recorded: Result<_, Option<Misfit>> = self
                .change_as(Cause::Operator, None, |state, _now| {
                    // Another node may have been first.
                    let configuration = stated.missing(state.configuration.as_ref()).ok_or(None)?;
                    state.fits(&configuration.environments).map_err(Some)?;
                    Ok(ConfigurationChange::Changed(configuration.clone()))
                })
                .await?;
            if let Err(Some(misfit)) = recorded {
                return Err(Failure::State(misfit.to_string()));
            }
        }
        while let Some((environment, alg)) = missing(&self.journal.view().state) {
            self.create_first_key(&environment, alg).await?;
        }
        self.prepare_authorities().await
    }

    /// Tells people what lasts longer by this configuration. It comes before the change, so that no crash leaves it out.
    async fn tell_lengthened(&self, stated: Stated<'_>) -> Result<(), Failure> {
        let told = self
            .change_as(Cause::Operator, None, |state, _now| {
                let old = state.configuration.as_ref();
                let settings = old.and_then(|old| Some(stated.missing(Some(old))?.lengthened(old))).unwrap_or_default();
                if settings.is_empty() { Err(()) } else { Ok(ConfigurationChange::Widened { settings }) }
            })
            .await?;
        drop(told);
        Ok(())
    }

    /// Makes the next key of `alg` in `environment`.
    ///
    /// It signs once every verifier can know it, or at once if the operator accepts that verifiers refuse tokens meanwhile.
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
        let now = self.now();
        let usable_from = if accept_outage { now } else { now.plus(PUBLISHED_BEFORE_USE) };
        let mut new = self.new_key(environment, alg, usable_from)?;
        // Who accepts that verifiers refuse its tokens does not wait for a node either.
        let may_await = self.journal.is_shared() && self.journal.view().state.format >= format::KEYS_AWAIT_NODES;
        new.record.awaits_nodes = may_await && !accept_outage;
        let decide =
            |_: &State, _| Ok(Decided::from(KeyChange::Created(new.record.clone())).with_sealed(vec![new.sealed.clone()]));
        self.change_by(by, request, decide).await?;
        self.reload_ring().await?;
        Ok(new.record.kid)
    }

    /// Lets each key sign whose time has come, and that every node that lives has followed.
    ///
    /// A node that lives and does not follow keeps the key before it in use until it does, or its lease has run out. A node that joins
    /// meanwhile begins with the whole log, and so with the key.
    pub async fn activate_keys(&self) -> Result<(), Failure> {
        let (view, now) = (self.journal.view(), self.now());
        for key in view.state.keys.all().filter(|key| key.awaits_nodes(now)) {
            if !self.journal.is_followed(key.published).await? {
                continue;
            }
            let (environment, kid) = (&key.key.environment, &key.key.kid);
            let activated: Result<_, ()> = self
                .change_as(Cause::Broker, None, |state, now| {
                    state.keys.find(environment, kid).filter(|key| key.awaits_nodes(now)).ok_or(())?;
                    Ok(KeyChange::Activated { environment: environment.clone(), kid: kid.clone() })
                })
                .await?;
            drop(activated);
        }
        Ok(())
    }

    /// Taints a key: it signs no more, leaves the JWKS, and the tokens that it signed are revoked.
    pub async fn taint(
        &self,
        by: &Authorized<Operate>,
        environment: &EnvironmentName,
        kid: &KeyId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Unconfirmed, Failure> {
        let committed = self
            .change_by(by, request, |state, _now| {
                let key = state.keys.find(environment, kid).ok_or(&reason::NOT_FOUND)?;
                if key.tainted || key.retired {
                    let seen = if key.retired { "retired" } else { "tainted already" };
                    return Err(Failure::State(format!(
                        "The key {kid} of {environment} is {seen}; only a living key can be tainted."
                    )));
                }
                Ok(KeyChange::Tainted { environment: environment.clone(), kid: kid.clone(), reason: why.into() })
            })
            .await?;
        Ok(Unconfirmed::of_key(&committed))
    }

    /// Makes the first key of `alg` in `environment`, unless another node was first.
    ///
    /// It signs at once: no verifier can hold a key set for it yet.
    async fn create_first_key(&self, environment: &EnvironmentName, alg: Alg) -> Result<(), Failure> {
        let new = self.new_key(environment, alg, self.now())?;
        let outcome = self
            .change_as(Cause::Broker, None, |state, _now| {
                // Checked again on the state that it is written on: two that found none at the same time
                // make one first key (ABUSE Q-03).
                if state.keys.of(environment).any(|key| key.key.alg == alg) {
                    return Err(());
                }
                Ok(Decided::from(KeyChange::Created(new.record.clone())).with_sealed(vec![new.sealed.clone()]))
            })
            .await?;
        if outcome.is_ok() { self.reload_ring().await } else { Ok(()) }
    }

    fn new_key(&self, environment: &EnvironmentName, alg: Alg, usable_from: Timestamp) -> Result<NewKey, Failure> {
        self.issuance.create(environment, alg, usable_from).map_err(|_| Failure::Refused(&reason::KEY_UNAVAILABLE))
    }

    /// Opens every key of the journal that this node has not opened yet, as another node may have made it.
    pub(crate) async fn take_up_keys(&self) -> Result<(), Failure> {
        if !self.issuance.is_complete(&self.journal.view().state) {
            self.reload_ring().await?;
        }
        self.load_authorities().await
    }

    pub(crate) async fn reload_ring(&self) -> Result<(), Failure> {
        let view = self.journal.view();
        self.issuance.load(&self.journal, &view.state).await.map_err(|_| Failure::Refused(&reason::KEY_UNAVAILABLE))
    }
}

/// Finds an algorithm that an environment needs and that never had a key there.
///
/// Only the first key of an algorithm in an environment is active when made (ABUSE I-14). If all of them were
/// tainted, an operator decides.
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
