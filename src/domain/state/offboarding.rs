//! Offboardings as the journal tells them, and the dependencies that people registered.
//!
//! Enter through [`Offboardings`]. A [`Case`] keeps what its entries say; which of its steps are done is a function of it and of the time
//! (`decision::offboarding`).

use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::taken::Taken;
use crate::domain::people::actor::Actor;
use crate::domain::registry::offboarding::{Dependency, Found, Run, Test};
use crate::domain::registry::suspension::Party;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, IntegrationId, OffboardingId};
use crate::domain::value::text::Text;

/// An offboarding.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its id.
    pub id: OffboardingId,
    /// Who is offboarded.
    pub about: Party,
    /// The integrations that end with it.
    pub integrations: Box<[IntegrationId]>,
    /// Who started it.
    pub by: Actor,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
    /// The entry that started it.
    pub index: u64,
    /// The elevations that it ended.
    pub elevations: u64,
    /// The certificates that it revoked.
    pub certificates: u64,
    /// The tokens that its subject ever had, once the broker has read them.
    pub found: Option<TokensFound>,
    /// The words of APIs, the last of each.
    pub acknowledged: BTreeMap<Dependency, Acknowledged>,
    /// The last outcome of each run of the tests.
    pub tested: BTreeMap<Run, Tested>,
    /// The days after which people were last told of what is missing.
    pub told: u32,
    /// The newest approval that would sign it off.
    pub sign_off: Option<ApprovalId>,
    /// The newest approval that would give it up, and why.
    pub abort: Option<(ApprovalId, Text)>,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
}

/// The tokens that the subject of a case ever had.
#[derive(Clone, Debug)]
pub struct TokensFound {
    /// By API and environment.
    pub found: Vec<Found>,
    /// How many lived when the case began.
    pub living: u64,
    /// When the last of them expires.
    pub last: Option<Timestamp>,
    /// When it was on record.
    pub at: Timestamp,
}

/// An API's word that it removed what it had.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The API's workload, or a person in its place.
    pub by: Actor,
    /// What was removed.
    pub removed: Vec<Text>,
    /// What shows it.
    pub evidence: Option<Text>,
    /// When.
    pub at: Timestamp,
}

/// An outcome of the tests.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The tests.
    pub tests: Vec<Test>,
    /// When.
    pub at: Timestamp,
}

/// The end of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was given up.
    Aborted {
        /// When.
        at: Timestamp,
    },
    /// It was signed off.
    Closed {
        /// When.
        at: Timestamp,
        /// The entry.
        index: u64,
        /// SHA-256 of the manifest of its dossier.
        manifest: Digest,
        /// The dossier holds entries before this one.
        until: u64,
    },
}

/// What somebody registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// What is there for the integration.
    pub what: Text,
    /// Who said so.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// All offboardings that ever began.
#[derive(Clone, Debug, Default)]
pub struct Offboardings {
    /// Since when a case opens by itself where a record wants it; `None` if none ever does.
    pub since: Option<Timestamp>,
    all: OrdMap<OffboardingId, Arc<Case>>,
    /// Those that have not ended.
    open: OrdSet<OffboardingId>,
    registered: OrdMap<IntegrationId, OrdMap<Dependency, Registered>>,
    /// When the last case of an integration was given up.
    given_up: OrdMap<IntegrationId, Timestamp>,
    /// What the bindings of open cases ever admitted. Nothing else may admit it.
    pub(super) closing: Taken,
    /// What the bindings of closed cases ever admitted. People are told of what admits it again.
    pub(super) ended: Taken,
}

impl Case {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// The digest of the manifest of its dossier, once it is closed.
    pub fn manifest(&self) -> Option<Digest> {
        match &self.outcome {
            Some(Outcome::Closed { manifest, .. }) => Some(*manifest),
            Some(Outcome::Aborted { .. }) | None => None,
        }
    }

    /// Whether an integration ends with it.
    pub fn covers(&self, integration: &IntegrationId) -> bool {
        self.integrations.contains(integration)
    }

    /// The outcome of a run, if it was made and everything passed.
    pub fn passed(&self, run: Run) -> Option<&Tested> {
        self.tested.get(&run).filter(|tested| tested.tests.iter().all(Test::passed))
    }
}

impl Offboardings {
    /// One of them.
    pub fn find(&self, id: &str) -> Option<&Case> {
        self.all.get(id).map(|case| &**case)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = (&OffboardingId, &Case)> {
        self.all.iter().map(|(id, case)| (id, &**case))
    }

    /// Those that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &Case> {
        self.open.iter().filter_map(|id| self.find(id.as_str()))
    }

    /// Whether none ever began.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What people registered of an integration.
    pub fn registered(&self, integration: &IntegrationId) -> impl Iterator<Item = (&Dependency, &Registered)> {
        self.registered.get(integration).into_iter().flatten()
    }

    /// Everything that people registered.
    pub fn all_registered(&self) -> impl Iterator<Item = (&IntegrationId, &Dependency, &Registered)> {
        self.registered.iter().flat_map(|(id, own)| own.iter().map(move |(on, known)| (id, on, known)))
    }

    /// What a case waits for: where its subject had tokens, and what people registered of it; each once.
    pub fn dependencies(&self, case: &Case) -> BTreeSet<Dependency> {
        let found = case.found.iter().flat_map(|found| &found.found).map(|found| found.on.clone());
        let registered = case.integrations.iter().flat_map(|id| self.registered(id)).map(|(on, _)| on.clone());
        found.chain(registered).collect()
    }

    /// What the bindings of open cases ever admitted.
    pub fn closing(&self) -> &Taken {
        &self.closing
    }

    /// What the bindings of closed cases ever admitted.
    pub fn ended(&self) -> &Taken {
        &self.ended
    }

    pub(super) fn begin(&mut self, case: Case) {
        self.open.insert(case.id.clone());
        self.all.insert(case.id.clone(), Arc::new(case));
    }

    /// Changes a case. One that has ended is open no more.
    pub(super) fn note(&mut self, id: &OffboardingId, note: impl FnOnce(&mut Case)) {
        let Some(case) = self.all.get_mut(id).map(Arc::make_mut) else { return };
        note(case);
        if !case.is_open() {
            self.open.remove(id);
        }
    }

    /// From when on the time of an integration counts after which a case of it opens by itself; `None` if none ever does.
    pub(super) fn counts_from(&self, integration: &IntegrationId) -> Option<Timestamp> {
        Some(self.since?.max(self.given_up(integration).unwrap_or_default()))
    }

    /// When the last case of an integration was given up.
    pub fn given_up(&self, integration: &IntegrationId) -> Option<Timestamp> {
        self.given_up.get(integration).copied()
    }

    pub(super) fn give_up(&mut self, integration: &IntegrationId, at: Timestamp) {
        self.given_up.insert(integration.clone(), at);
    }

    pub(super) fn register(&mut self, integration: &IntegrationId, on: &Dependency, known: Registered) {
        self.registered.entry(integration.clone()).or_default().insert(on.clone(), known);
    }
}
