//! The steps of an offboarding: what is done, what is awaited, and what follows by itself.
//!
//! Enter through [`steps`] and [`standing`] to see a case, [`next`] for what the broker records of its own accord. Every step is a function
//! of the case and of `now`. The tests that a case asks for are in [`tests`](super::trial).

use serde::Serialize;

use crate::domain::log::change::Change;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::people::actor::{Actor, Person};
use crate::domain::registry::approval::{Approval, Kind, Opened, Standing as Voted};
use crate::domain::registry::offboarding::{Dependency, Run};
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::state::offboarding::{Case, Outcome};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, ExceptionId, IntegrationId, OffboardingId};
use crate::domain::value::text::Text;

/// A step of an offboarding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// Nothing is to be had any more.
    Frozen,
    /// No elevation counts.
    ElevationsEnded,
    /// No token that was issued counts.
    TokensCut,
    /// No certificate counts.
    CertificatesRevoked,
    /// The static secrets at the partner live no more.
    ExceptionsClosed,
    /// Every API says that it removed what it had.
    DependenciesAcknowledged,
    /// What should not work does not.
    TestsPassed,
    /// The last token is over, also for whoever verifies offline.
    LivesOver,
    /// What should not work still does not.
    TestsPassedAgain,
    /// An owner and a person of security have seen it.
    SignedOff,
    /// It is over for good.
    Closed,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// It is done.
    Done,
    /// It waits for time or for people.
    Waiting,
    /// A test did not pass.
    Failed,
}

/// A step, with where it stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// The step.
    pub name: StepName,
    /// Where it stands.
    pub state: StepState,
    /// When it was done, if it is.
    pub at: Option<Timestamp>,
    /// What it consists of, in words of ours.
    pub detail: String,
}

/// Where an offboarding stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Something is missing.
    Open,
    /// Only people's words are missing.
    Ready,
    /// It is over for good.
    Closed,
    /// It was given up.
    Aborted,
}

impl Standing {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ready => "ready",
            Self::Closed => "closed",
            Self::Aborted => "aborted",
        }
    }
}

/// The days after which security is told that an API has not acknowledged. After the last of them, it is told weekly.
const TOLD_AFTER: [u32; 3] = [7, 14, 30];

/// How long after a denial people are asked again to sign a case off.
const ASKED_AGAIN: Seconds = Seconds::days(1);

/// The APIs whose word a case still waits for.
pub fn missing(case: &Case, state: &State) -> Vec<Dependency> {
    let all = state.offboardings.dependencies(case);
    all.into_iter().filter(|on| !case.acknowledged.contains_key(on)).collect()
}

/// The static secrets that a subject's records in force name, each with when it was closed.
fn exceptions(case: &Case, state: &State) -> Vec<Option<Timestamp>> {
    let known = case.integrations.iter().filter_map(|id| Some((id, state.integrations.get(id)?)));
    let secrets = known.flat_map(|(id, known)| {
        let record = known.current.iter().map(|current| &current.record);
        record.flat_map(|record| &record.exceptions).map(move |secret| {
            let exception = ExceptionId::of(id, &secret.what);
            let is_closed = known.exceptions.is_closed(&exception, secret);
            known.exceptions.closed(&exception).filter(|_| is_closed).map(|closed| closed.at)
        })
    });
    secrets.collect()
}

/// The steps of a case.
pub fn steps(case: &Case, state: &State, now: Timestamp) -> Vec<Step> {
    let done = |name, at, detail: String| Step { name, state: StepState::Done, at: Some(at), detail };
    let waiting = |name, detail: String| Step { name, state: StepState::Waiting, at: None, detail };
    let living = case.found.as_ref().map(|found| found.living);
    let tokens = living.map_or_else(|| "every token that lived".to_owned(), |living| format!("{living} living tokens"));
    let mut steps = vec![
        done(StepName::Frozen, case.at, format!("{} integrations", case.integrations.len())),
        done(StepName::ElevationsEnded, case.at, format!("{} elevations", case.elevations)),
        done(StepName::TokensCut, case.at, tokens),
        done(StepName::CertificatesRevoked, case.at, format!("{} certificates", case.certificates)),
    ];
    let secrets = exceptions(case, state);
    let open = secrets.iter().filter(|closed| closed.is_none()).count();
    steps.push(match open {
        0 => {
            let last = secrets.iter().flatten().max().copied();
            let at = last.map_or(case.at, |last| last.max(case.at));
            done(StepName::ExceptionsClosed, at, format!("{} static secrets", secrets.len()))
        }
        open => waiting(StepName::ExceptionsClosed, format!("{open} static secrets are open")),
    });
    let missing = missing(case, state);
    steps.push(match &case.found {
        None => waiting(StepName::DependenciesAcknowledged, "the log is being read".to_owned()),
        Some(found) if missing.is_empty() => {
            let last = case.acknowledged.values().map(|word| word.at).max();
            let at = last.map_or(found.at, |last| last.max(found.at));
            done(StepName::DependenciesAcknowledged, at, format!("{} APIs", case.acknowledged.len()))
        }
        Some(_) => {
            let named: Vec<String> = missing.iter().map(|on| format!("{} in {}", on.api, on.environment)).collect();
            waiting(StepName::DependenciesAcknowledged, named.join(", "))
        }
    });
    steps.push(tested(case, Run::First));
    steps.push(match case.found.as_ref().map(|found| found.last.unwrap_or(case.at)) {
        None => waiting(StepName::LivesOver, "the log is being read".to_owned()),
        Some(last) if last <= now => done(StepName::LivesOver, last.max(case.at), String::new()),
        Some(last) => waiting(StepName::LivesOver, format!("the last token expires {last}")),
    });
    steps.push(tested(case, Run::Again));
    let signed = case.sign_off.as_ref().and_then(|id| state.approvals.get(id)).filter(|approval| approval.is_complete());
    let signed = signed.and_then(|approval| approval.reviews.iter().map(|review| review.at).max());
    steps.push(match signed {
        Some(at) => done(StepName::SignedOff, at, String::new()),
        None => waiting(StepName::SignedOff, "an owner and a person of security, neither of whom started it".to_owned()),
    });
    steps.push(match &case.outcome {
        Some(Outcome::Closed { at, .. }) => done(StepName::Closed, *at, String::new()),
        Some(Outcome::Aborted { at }) => waiting(StepName::Closed, format!("given up {at}")),
        None => waiting(StepName::Closed, String::new()),
    });
    steps
}

fn tested(case: &Case, run: Run) -> Step {
    let name = match run {
        Run::First => StepName::TestsPassed,
        Run::Again => StepName::TestsPassedAgain,
    };
    let Some(tested) = case.tested.get(&run) else {
        return Step { name, state: StepState::Waiting, at: None, detail: String::new() };
    };
    let failed: Vec<_> = tested.tests.iter().filter(|test| !test.passed()).collect();
    match failed.first() {
        None => {
            let tried: u64 = tested.tests.iter().map(|test| test.tried).sum();
            Step {
                name,
                state: StepState::Done,
                at: Some(tested.at),
                detail: format!("{tried} attempts, all refused as expected"),
            }
        }
        Some(test) => {
            let whose = test.failed.as_deref().unwrap_or_default();
            let detail = format!("{} of {} failed: {whose} in {}", failed.len(), tested.tests.len(), test.environment);
            Step { name, state: StepState::Failed, at: None, detail }
        }
    }
}

/// Where a case stands.
pub fn standing(case: &Case, state: &State, now: Timestamp) -> Standing {
    match &case.outcome {
        Some(Outcome::Closed { .. }) => Standing::Closed,
        Some(Outcome::Aborted { .. }) => Standing::Aborted,
        None if is_ready(case, state, now) => Standing::Ready,
        None => Standing::Open,
    }
}

/// Whether only people's words are missing.
pub fn is_ready(case: &Case, state: &State, now: Timestamp) -> bool {
    let before = |step: &&Step| !matches!(step.name, StepName::SignedOff | StepName::Closed);
    steps(case, state, now).iter().filter(before).all(|step| step.state == StepState::Done)
}

/// The run of the tests that a case is due for: one that was not made, or did not pass.
pub fn run_due(case: &Case, state: &State, now: Timestamp) -> Option<Run> {
    let found = case.found.as_ref().filter(|_| case.is_open())?;
    if case.passed(Run::First).is_none() {
        return missing(case, state).is_empty().then_some(Run::First);
    }
    let over = found.last.is_none_or(|last| last <= now);
    (over && case.passed(Run::Again).is_none()).then_some(Run::Again)
}

/// The approval that signed a case off, if it is complete, what it was about still holds, and nothing else is missing.
pub fn signed_off<'s>(case: &Case, state: &'s State, now: Timestamp) -> Option<&'s Approval> {
    let approval = state.approvals.get(case.sign_off.as_ref()?)?;
    let stands = approval.is_complete() && approval.version == version(case) && is_ready(case, state, now);
    stands.then_some(approval)
}

/// The version of the approval that signs a case off: all that people are shown of it.
pub fn version(case: &Case) -> Digest {
    let words: Vec<_> = case.acknowledged.iter().map(|(on, word)| (on, &word.by, &word.removed, &word.evidence)).collect();
    let tests: Vec<_> = case.tested.values().map(|tested| &tested.tests).collect();
    Digest::of_json(&("sign-off", &case.id, words, tests))
}

/// The version of the approval that gives a case up.
pub fn abort_version(id: &OffboardingId) -> Digest {
    Digest::of_json(&("abort", id))
}

/// What follows from the cases by themselves: one is given up, opens, is to be signed off, or waits for long.
pub fn next(state: &State, now: Timestamp) -> Option<Change> {
    aborted(state).or_else(|| opened(state, now)).or_else(|| asked(state, now)).or_else(|| waits(state, now)).map(Change::from)
}

fn aborted(state: &State) -> Option<OffboardingChange> {
    let mut granted = state.granted().filter(|approval| approval.kind == Kind::Abort);
    granted.find_map(|approval| Some(OffboardingChange::Aborted { offboarding: approval.subject.parse().ok()? }))
}

/// The case of an integration whose contract ended long ago, where its record wants one.
fn opened(state: &State, now: Timestamp) -> Option<OffboardingChange> {
    let (integration, at) = state.offboards(now)?;
    let about = Party::Integration(integration.clone());
    let offboarding = case_of(integration, at)?;
    Some(OffboardingChange::Started { offboarding, about, reason: Text::from("the contract has ended") })
}

/// The id of the case that the broker opens by itself: the same on every node.
fn case_of(integration: &IntegrationId, at: Timestamp) -> Option<OffboardingId> {
    let mut id = Digest::of_json(&("offboarding", integration, at)).to_string();
    id.truncate(32);
    format!("off_{id}").parse().ok()
}

fn asked(state: &State, now: Timestamp) -> Option<OffboardingChange> {
    state.offboardings.open().filter(|case| is_ready(case, state, now)).find_map(|case| {
        let known = case.sign_off.as_ref().and_then(|id| state.approvals.get(id));
        let due = match known.map(|known| (known.standing(now), known)) {
            None | Some((Voted::Expired | Voted::Withdrawn, _)) => true,
            Some((Voted::Denied, known)) => {
                known.reviews.iter().map(|review| review.at).max().is_none_or(|denied| now >= denied.plus(ASKED_AGAIN))
            }
            // A word that came in since makes another case of it.
            Some((Voted::Pending, known)) => known.version != version(case),
            // A word that came in after it makes another case of it too: what was signed is no longer what there is.
            Some((Voted::Approved, known)) => known.version != version(case),
        };
        let mut id = Digest::of_json(&("sign-off", &case.id, &case.sign_off)).to_string();
        id.truncate(32);
        let id: ApprovalId = format!("apr_{id}").parse().ok().filter(|_| due)?;
        let approval = Approval {
            id,
            kind: Kind::Offboarding,
            subject: case.id.to_string(),
            version: version(case),
            requested_by: Actor::Broker,
            barred: involved(case),
            slots: Kind::Offboarding.slots(),
            expires: now.plus(Kind::PATIENCE),
            reviews: Vec::new(),
            withdrawn: false,
            reason: None,
            opened: Opened::default(),
        };
        Some(OffboardingChange::SignOffAsked { offboarding: case.id.clone(), approval: Box::new(approval) })
    })
}

/// The people who sign no case off: who started it, and who spoke in the place of an API.
fn involved(case: &Case) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    let words = case.acknowledged.values().map(|word| &word.by);
    for person in std::iter::once(&case.by).chain(words).filter_map(Actor::person) {
        if !people.iter().any(|known| known.is(person)) {
            people.push(person.clone());
        }
    }
    people
}

/// The case of whose missing words people are told now.
fn waits(state: &State, now: Timestamp) -> Option<OffboardingChange> {
    state.offboardings.open().find_map(|case| {
        let days = now.since(case.at).0 / Seconds::days(1).0;
        let due = told_after(days).filter(|due| *due > case.told)?;
        let missing = missing(case, state);
        (!missing.is_empty()).then(|| OffboardingChange::Waiting { offboarding: case.id.clone(), days: due, missing })
    })
}

/// The last of the days, up to `days`, after which people are told.
fn told_after(days: u32) -> Option<u32> {
    let [.., last] = TOLD_AFTER;
    if days < last {
        return TOLD_AFTER.into_iter().rev().find(|after| *after <= days);
    }
    Some(last + (days - last) / 7 * 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_after_7_14_and_30_days_and_then_weekly() {
        let told: Vec<_> = [0, 6, 7, 13, 14, 29, 30, 36, 37, 44, 100].into_iter().map(told_after).collect();
        let wanted = [None, None, Some(7), Some(7), Some(14), Some(14), Some(30), Some(30), Some(37), Some(44), Some(100)];
        assert_eq!(told, wanted);
    }
}
