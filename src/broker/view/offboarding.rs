//! An offboarding, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::ActorView;
use crate::broker::words::{Words, names};
use crate::domain::decision::offboarding::{Step, StepName, StepState, standing, steps};
use crate::domain::registry::offboarding::{Dependency, Run, Test, TestName};
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::state::offboarding::{Acknowledged, Case, Registered};
use crate::domain::state::taken::Holder;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ApprovalId, ClientId, EnvironmentName, IntegrationId, OffboardingId};
use crate::domain::value::text::Text;

/// An offboarding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Offboarding)]
pub struct OffboardingView {
    pub id: OffboardingId,
    /// The partner or integration that is offboarded.
    #[schema(value_type = String)]
    pub subject: Party,
    /// `open`, `ready`, `closed` or `aborted`.
    pub state: &'static str,
    pub started: Timestamp,
    /// Who started it; `broker` if its contract ended long ago.
    pub by: ActorView,
    /// Null if the text was erased.
    #[schema(required)]
    pub reason: Option<String>,
    pub steps: Vec<StepView>,
    /// The APIs whose word it waits for, or has.
    pub dependencies: Vec<DependencyView>,
    /// The last outcome of each test.
    pub tests: Vec<TestView>,
    /// Drafts and versions that wait, and would admit what its subject admitted: they come into force only after it is closed.
    #[schema(value_type = Vec<IntegrationId>)]
    pub may_return_as: Vec<String>,
    /// The newest approval that would sign it off.
    #[schema(required)]
    pub sign_off: Option<ApprovalId>,
    /// The newest approval that would give it up.
    #[schema(required)]
    pub abort: Option<ApprovalId>,
    /// SHA-256 of the manifest of its dossier, once it is closed.
    #[schema(required)]
    pub manifest: Option<Digest>,
}

/// A step of an offboarding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OffboardingStep)]
pub struct StepView {
    #[schema(value_type = String)]
    pub name: StepName,
    /// `done`, `waiting` or `failed`.
    #[schema(value_type = String)]
    pub state: StepState,
    /// When it was done.
    #[schema(required)]
    pub at: Option<Timestamp>,
    pub detail: String,
}

/// An API that an offboarding waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OffboardingDependency)]
pub struct DependencyView {
    pub api: ApiName,
    pub environment: EnvironmentName,
    /// `waiting` or `acknowledged`.
    pub state: &'static str,
    /// The tokens that were ever issued for it.
    #[schema(required)]
    pub tokens: Option<u64>,
    /// When the last one was.
    #[schema(required)]
    pub last_issued: Option<Timestamp>,
    /// What somebody registered there for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub what: Vec<String>,
    /// Who acknowledged: the API's workload, or a person in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ActorView)]
    pub by: Option<ActorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Timestamp)]
    pub at: Option<Timestamp>,
    /// What was removed. A text that was erased is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub evidence: Option<String>,
}

/// A test of an offboarding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OffboardingTest)]
pub struct TestView {
    #[schema(value_type = String)]
    pub name: TestName,
    pub environment: EnvironmentName,
    /// `first` or `again`.
    #[schema(value_type = String)]
    pub run: Run,
    pub at: Timestamp,
    /// How often it was tried.
    pub tried: u64,
    pub expected: String,
    pub seen: String,
    pub passed: bool,
    /// What had another outcome first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub failed: Option<String>,
}

/// A dependency that somebody registered.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Dependency)]
pub struct RegisteredView {
    pub integration: IntegrationId,
    pub api: ApiName,
    pub environment: EnvironmentName,
    /// Null if the text was erased.
    #[schema(required)]
    pub what: Option<String>,
    pub by: ActorView,
    pub at: Timestamp,
}

impl OffboardingView {
    /// The case with its steps at `now`.
    pub fn of(case: &Case, (state, words): (&State, &Words), now: Timestamp) -> Self {
        let manifest = case.manifest();
        let dependencies = state.offboardings.dependencies(case);
        let dependency = |on: &Dependency| DependencyView::of(on, case, (state, words));
        Self {
            id: case.id.clone(),
            subject: case.about.clone(),
            state: standing(case, state, now).name(),
            started: case.at,
            by: words.actor(&case.by),
            reason: words.plain(&case.reason).map(str::to_owned),
            steps: steps(case, state, now).into_iter().map(StepView::from).collect(),
            dependencies: dependencies.iter().map(dependency).collect(),
            tests: tests(case),
            may_return_as: if case.is_open() { may_return_as(case, state) } else { Vec::new() },
            sign_off: case.sign_off.clone(),
            abort: case.abort.as_ref().map(|(approval, _)| approval.clone()),
            manifest,
        }
    }
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        let Step { name, state, at, detail } = step;
        Self { name, state, at, detail }
    }
}

impl DependencyView {
    fn of(on: &Dependency, case: &Case, (state, words): (&State, &Words)) -> Self {
        let found = case.found.iter().flat_map(|found| &found.found).find(|found| found.on == *on);
        let registered = case.integrations.iter().flat_map(|id| state.offboardings.registered(id));
        let what = registered.filter(|(known, _)| *known == on).filter_map(|(_, known)| words.plain(&known.what));
        let word: Option<&Acknowledged> = case.acknowledged.get(on);
        let removed = word.into_iter().flat_map(|word| &word.removed).filter_map(|text| words.plain(text));
        Self {
            api: on.api.clone(),
            environment: on.environment.clone(),
            state: if word.is_some() { "acknowledged" } else { "waiting" },
            tokens: found.map(|found| found.tokens),
            last_issued: found.map(|found| found.last),
            what: what.map(str::to_owned).collect(),
            by: word.map(|word| words.actor(&word.by)),
            at: word.map(|word| word.at),
            removed: removed.map(str::to_owned).collect(),
            evidence: word.and_then(|word| words.plain(word.evidence.as_ref()?)).map(str::to_owned),
        }
    }
}

fn tests(case: &Case) -> Vec<TestView> {
    let view = |run: Run, at: Timestamp, test: &Test| TestView {
        name: test.name,
        environment: test.environment.clone(),
        run,
        at,
        tried: test.tried,
        expected: test.expected.clone(),
        seen: test.seen.clone(),
        passed: test.passed(),
        failed: test.failed.clone(),
    };
    case.tested.iter().flat_map(|(run, tested)| tested.tests.iter().map(|test| view(*run, tested.at, test))).collect()
}

/// The integrations whose draft or waiting version admits what the subject admitted.
fn may_return_as(case: &Case, state: &State) -> Vec<String> {
    let held = state.integrations.iter().filter_map(|(id, known)| Some((id, known.held.as_ref()?)));
    let returns = |record| {
        let clients = state.offboardings.closing().overlapping(Holder::Integration(record));
        clients.iter().any(|client| match client {
            ClientId::Integration(id) => case.covers(id),
            ClientId::Api(_) => false,
        })
    };
    held.filter(|(_, held)| returns(&held.version.record)).map(|(id, _)| id.to_string()).collect()
}

/// The texts that the view of a case shows, but for those that people registered.
pub fn texts(case: &Case) -> impl Iterator<Item = &Text> {
    names(&case.by).chain([&case.reason]).chain(case.acknowledged.values().flat_map(of_word))
}

fn of_word(word: &Acknowledged) -> impl Iterator<Item = &Text> {
    names(&word.by).chain(&word.removed).chain(&word.evidence)
}

/// The texts that people registered for the subject of a case.
pub fn registered<'s>(case: &'s Case, state: &'s State) -> impl Iterator<Item = &'s Text> {
    case.integrations.iter().flat_map(|id| state.offboardings.registered(id)).map(|(_, known)| &known.what)
}

impl RegisteredView {
    /// A dependency in words.
    pub fn of((integration, on, known): (&IntegrationId, &Dependency, &Registered), words: &Words) -> Self {
        Self {
            integration: integration.clone(),
            api: on.api.clone(),
            environment: on.environment.clone(),
            what: words.plain(&known.what).map(str::to_owned),
            by: words.actor(&known.by),
            at: known.at,
        }
    }
}
