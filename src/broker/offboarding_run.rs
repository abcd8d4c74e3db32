//! What an offboarding does by itself: it reads which tokens its subject ever had, tries what should not work any more, and closes.
//!
//! Enter through [`Broker::run_offboardings`], which a task calls, and each word that may move a case. Every step is an entry, and is found
//! from the state alone: a crash between two steps loses nothing, and two nodes take none twice.

use std::collections::{BTreeMap, BTreeSet};

use super::Broker;
use super::cause::Cause;
use super::dossier::unmade;
use super::failure::Failure;
use crate::domain::credential::certificate::Leaf;
use crate::domain::decision::cut::is_cut;
use crate::domain::decision::guard::{Guarded, Guards};
use crate::domain::decision::offboarding::{run_due, signed_off};
use crate::domain::decision::trial::Trial;
use crate::domain::log::entry::Issued;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::registry::offboarding::{Dependency, Found, Run, Test, TestName};
use crate::domain::state::State;
use crate::domain::state::cut::clients_of;
use crate::domain::state::offboarding::Case;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, KeyId, OffboardingId, Serial};
use crate::issuance::authority::revoked_in;
use crate::journal::Unavailable;
use crate::revocation::Liveness;

/// How often a dossier is made anew because another change came first.
const ROUNDS: usize = 3;

/// Nothing is to be recorded: another node was first, or nothing has changed.
struct Nothing;

impl Broker {
    /// Takes the steps that are due, without waiting for them.
    pub(super) fn run_offboardings_soon(&self) {
        let broker = self.clone();
        tokio::spawn(async move { broker.run_offboardings().await });
    }

    /// Takes the steps of all open cases that are due. What fails is tried again by the next call.
    pub async fn run_offboardings(&self) {
        // One at a time: each reads much, and a second one would find the same.
        let _turn = self.offboarding_turn.lock().await;
        let open: Vec<OffboardingId> = self.journal.view().state.offboardings.open().map(|case| case.id.clone()).collect();
        for id in open {
            if let Err(fault) = self.run_offboarding(&id).await {
                tracing::warn!(offboarding = %id, ?fault, "a step of an offboarding could not be taken; trying again");
            }
        }
    }

    async fn run_offboarding(&self, id: &OffboardingId) -> Result<(), Failure> {
        // A case has two runs of tests and a few steps; each comes at most once here.
        for _ in 0..4 {
            let view = self.journal.view();
            let Some(case) = view.state.offboardings.find(id.as_str()).filter(|case| case.is_open()) else { return Ok(()) };
            if case.found.is_none() {
                self.find_tokens(case).await?;
                continue;
            }
            match run_due(case, &view.state, self.now()) {
                Some(run) if self.test(case, run).await? => {}
                Some(_) | None => break,
            }
        }
        self.settle().await?;
        self.close_signed(id).await
    }

    /// Closes a case that two people signed off: its dossier is made, and the closing entry has the digest of its manifest.
    async fn close_signed(&self, id: &OffboardingId) -> Result<(), Failure> {
        for _ in 0..ROUNDS {
            let view = self.journal.view();
            let Some(case) = view.state.offboardings.find(id.as_str()).filter(|case| case.is_open()) else { return Ok(()) };
            if signed_off(case, &view.state, self.now()).is_none() {
                return Ok(());
            }
            let (until, generation) = (view.size, view.state.generation);
            let parts = self.dossier_parts(case, until).await?;
            let manifest = self.journal.bundle_manifest(&parts).await.map_err(unmade)?.digest();
            let decide = |state: &State, now: Timestamp| -> Result<OffboardingChange, Nothing> {
                let known = state.offboardings.find(id.as_str()).filter(|_| state.generation == generation).ok_or(Nothing)?;
                signed_off(known, state, now).ok_or(Nothing)?;
                Ok(OffboardingChange::Closed { offboarding: id.clone(), manifest, until })
            };
            if self.change_as(Cause::Broker, None, decide).await?.is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Records which tokens a subject ever had. It is frozen, so none comes after them.
    async fn find_tokens(&self, case: &Case) -> Result<(), Failure> {
        let mut found: BTreeMap<Dependency, (u64, Timestamp)> = BTreeMap::new();
        let (mut living, mut last) = (0_u64, None);
        let began = case.at;
        let each = |issued: &Issued| {
            let on = Dependency { api: issued.api.clone(), environment: issued.environment.clone() };
            let (tokens, newest) = found.entry(on).or_insert((0, issued.time));
            *tokens += 1;
            *newest = (*newest).max(issued.time);
            living += u64::from(began < issued.exp);
            last = last.max(Some(issued.exp));
        };
        self.journal.each_issued(&clients_of(&case.about), case.index, each).await?;
        // A token for the built-in API opens the broker itself, and nobody else has anything to remove for it.
        let catalogue = |on: &Dependency| on.api.as_str() != crate::domain::decision::target::BUILT_IN_API;
        let found: Vec<Found> =
            found.into_iter().filter(|(on, _)| catalogue(on)).map(|(on, (tokens, last))| Found { on, tokens, last }).collect();
        let last = last.filter(|last| began < *last);
        let id = &case.id;
        let decide = |state: &State, _: Timestamp| -> Result<OffboardingChange, Nothing> {
            let known = state.offboardings.find(id.as_str()).filter(|case| case.is_open() && case.found.is_none());
            known.ok_or(Nothing)?;
            let found = found.clone();
            Ok(OffboardingChange::DependenciesFound { offboarding: id.clone(), found, living, last })
        };
        drop(self.change_as(Cause::Broker, None, decide).await?);
        Ok(())
    }

    /// Runs the tests of a case. Records the outcome if it is another one than before, and returns whether all passed.
    async fn test(&self, case: &Case, run: Run) -> Result<bool, Failure> {
        let tests = self.tried(case).await?;
        let passed = tests.iter().all(Test::passed);
        let before = case.tested.get(&run).map(|tested| &tested.tests);
        if before == Some(&tests) {
            return Ok(passed);
        }
        let id = &case.id;
        let decide = |state: &State, now: Timestamp| -> Result<OffboardingChange, Nothing> {
            let known = state.offboardings.find(id.as_str()).filter(|case| run_due(case, state, now) == Some(run));
            known.ok_or(Nothing)?;
            Ok(OffboardingChange::Tested { offboarding: id.clone(), run, tests: tests.clone() })
        };
        let recorded = self.change_as(Cause::Broker, None, decide).await?;
        Ok(recorded.is_ok() && passed)
    }

    /// Tries everything that should not work any more.
    async fn tried(&self, case: &Case) -> Result<Vec<Test>, Unavailable> {
        let view = self.journal.view();
        let guards = self.guards(&view).await;
        let guard = guards.of(&view.state);
        let (state, now) = (&view.state, self.now());
        let mut tokens: Vec<Issued> = Vec::new();
        self.journal.each_living(Some(&clients_of(&case.about)), case.index, |issued| tokens.push(issued.clone())).await?;
        let mut seen = Vec::with_capacity(tokens.len());
        for issued in &tokens {
            let keys = issued.provenance().keys();
            let by_log = is_cut(issued, &keys, state, &*guards);
            let listed = self.live.is_cut(&issued.environment, &issued.jti, &keys, issued.index, now).await;
            let listed = match listed {
                Ok(Liveness::Cut) => Ok(()),
                Ok(Liveness::Live | Liveness::Unknown) => Err("not in the live index"),
                Err(_) => Err("the live index does not answer"),
            };
            seen.push(if by_log { listed } else { Err("active") });
        }
        let of_case = |leaf: &&Leaf| case.covers(&leaf.integration) && now < leaf.ends;
        let leaves: Vec<&Leaf> = state.certificates.leaves().filter(of_case).collect();
        let certificates = self.looked_up(&leaves).await;
        let mut trial = Trial::of(case, Guarded { state, guard: &*guard }, now);
        for (issued, seen) in tokens.iter().zip(seen) {
            trial.saw(TestName::Tokens, &issued.environment, issued.jti.as_str(), seen);
        }
        for (leaf, seen) in leaves.iter().zip(certificates) {
            trial.saw(TestName::Certificates, &leaf.environment, leaf.serial.as_str(), seen);
        }
        Ok(trial.into_tests())
    }
    /// Looks each certificate up as a relying party does: in the signed list of its authority, and at the responder.
    async fn looked_up(&self, leaves: &[&Leaf]) -> Vec<Result<(), &'static str>> {
        let mut lists: BTreeMap<(&EnvironmentName, &KeyId), BTreeSet<Serial>> = BTreeMap::new();
        let mut seen = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let list = lists.entry((&leaf.environment, &leaf.authority)).or_insert_with(|| {
                let list = self.revocation_list(&leaf.environment, Some(leaf.authority.as_str()));
                list.ok().and_then(|list| revoked_in(&list.der)).unwrap_or_default()
            });
            seen.push(if list.contains(&leaf.serial) {
                match self.ask_responder(leaf).await {
                    Some(true) => Ok(()),
                    Some(false) => Err("not revoked for the responder"),
                    None => Err("the responder does not answer"),
                }
            } else {
                Err("not in the list")
            });
        }
        seen
    }
}
