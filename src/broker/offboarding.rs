//! Offboards partners and integrations: what people and APIs say of a case (docs/how-to/govern/offboard.md).
//!
//! A start acts at once. What follows by itself (the tests, the sign-off that is asked for, the end) is in `offboarding_run`.

use super::Broker;
use super::cause::Cause;
use super::elevation::Workload;
use super::failure::{Denied, Failure, Fault, away};
use super::review::ask;
use super::revocation::{Cut, Unconfirmed};
use crate::domain::decision::admission::Principal;
use crate::domain::decision::offboarding::abort_version;
use crate::domain::decision::stopped;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::people::actor::{Acknowledge, Authorized, Depend, Offboard};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::record::{Difference, Record, Weight};
use crate::domain::registry::approval::Kind;
use crate::domain::registry::offboarding::Dependency;
use crate::domain::state::cut::Reach;
use crate::domain::state::offboarding::Case;
use crate::domain::state::{Party, Phase, State};
use crate::domain::value::names::{ApiName, ApprovalId, ClientId, IntegrationId, OffboardingId};
use crate::domain::value::quota::Operation;
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// The most things that one acknowledgement names.
const MOST_REMOVED: usize = 100;

/// An offboarding that began.
#[derive(Clone, Debug)]
pub struct Started {
    /// The case.
    pub id: OffboardingId,
    /// What it cut.
    pub cut: Cut,
}

/// An API's word that it removed what it had.
#[derive(Clone, Debug)]
pub struct Removed {
    /// What was removed.
    pub removed: Vec<String>,
    /// What shows it.
    pub evidence: Option<String>,
}

/// A case that waits for an API, or has its word.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// The case.
    pub id: OffboardingId,
    /// Who is offboarded.
    pub subject: Party,
    /// When it began.
    pub started: crate::domain::value::clock::Timestamp,
    /// Whether the API has acknowledged.
    pub acknowledged: bool,
}

/// Why an API's word was not taken.
pub enum NotTaken {
    /// The caller is unknown, or not allowed.
    Denied(Denied),
    /// The word itself has faults.
    Unfit(Vec<Fault>),
    /// The case does not wait for this caller.
    Foreign,
    /// The case has ended.
    Over(String),
}

impl<D: Into<Denied>> From<D> for NotTaken {
    fn from(denied: D) -> Self {
        Self::Denied(denied.into())
    }
}

impl Broker {
    /// Starts an offboarding: with this entry nothing of its subject is to be had any more. Its reason is in plain.
    ///
    /// # Errors
    /// There is no such partner or integration, it was never active, or it is being offboarded already; `confirm` is not its name.
    pub async fn offboard(
        &self,
        by: &Authorized<Offboard>,
        party: &Party,
        (why, confirm): (&str, &str),
        request: Option<ForRequest>,
    ) -> Result<Started, Failure> {
        let id: OffboardingId = self.entropy.name();
        let mut reach = None;
        let committed = self
            .change_by(by, request, |state, _now| {
                ensure_can_end(party, state)?;
                if confirm != party.to_string() {
                    let message = format!("expected {party}: everything that it has is cut at once");
                    return Err(fault("confirm", message));
                }
                reach = Some(Reach::of_suspension(party, &[].into(), state));
                let (offboarding, about, reason) = (id.clone(), party.clone(), Text::from(why));
                Ok(OffboardingChange::Started { offboarding, about, reason })
            })
            .await?;
        self.run_offboardings_soon();
        Ok(Started { id, cut: Cut::new(Unconfirmed::by(&committed), reach) })
    }

    /// Opens the approval to give an offboarding up.
    ///
    /// # Errors
    /// There is no such case, or it has ended.
    pub async fn ask_abort(
        &self,
        by: &Authorized<Depend>,
        id: &OffboardingId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        self.change_by(by, request, |state, now| {
            let case = open(id, state)?;
            // Neither of those who decide started the case.
            let barred = case.by.person().cloned().into_iter().collect();
            let (version, subject) = (abort_version(id), id.to_string());
            let approval = ask(&approval, Kind::Abort, subject, version, &actor, barred, now);
            let (offboarding, reason) = (id.clone(), Text::from(why));
            Ok(OffboardingChange::AbortAsked { offboarding, reason, approval: Box::new(approval) })
        })
        .await?;
        Ok(approval)
    }

    /// Takes a person's word in the place of an API.
    ///
    /// # Errors
    /// There is no such case, it has ended or waits for no such API; nothing shows it; or the person started the case or signed it off.
    pub async fn acknowledge(
        &self,
        by: &Authorized<Acknowledge>,
        id: &OffboardingId,
        (on, word): (&Dependency, &Removed),
        request: Option<ForRequest>,
    ) -> Result<(), Failure> {
        let shows = word.evidence.as_deref().is_some_and(|evidence| !evidence.trim().is_empty());
        if !shows {
            return Err(fault("evidence", "expected what shows it: a person speaks in the place of the API"));
        }
        fit(word).map_err(Failure::Faults)?;
        self.change_by(by, request, |state, _now| {
            let case = open(id, state)?;
            let person = &by.staff().person;
            let signed = case.sign_off.as_ref().and_then(|approval| state.approvals.get(approval));
            let signs = signed.is_some_and(|approval| approval.reviews.iter().any(|review| review.by.is(person)));
            if signs || case.by.person().is_some_and(|starter| starter.is(person)) {
                return Err((&reason::APPROVAL_OWN_REQUEST).into());
            }
            if !state.offboardings.dependencies(case).contains(on) {
                let message = format!("{id} does not wait for {} in {}", on.api, on.environment);
                return Err(fault("api", message));
            }
            Ok(said(id, on, word))
        })
        .await?;
        self.run_offboardings_soon();
        Ok(())
    }

    /// Registers that an integration is relied on by an API in an environment. Its offboarding waits for the API's word.
    ///
    /// # Errors
    /// There is no such integration, API or environment, or the integration has ended.
    pub async fn register_dependency(
        &self,
        by: &Authorized<Depend>,
        integration: &IntegrationId,
        (on, what): (&Dependency, &str),
        request: Option<ForRequest>,
    ) -> Result<(), Failure> {
        if what.trim().is_empty() {
            return Err(fault("what", "expected what is there for the integration"));
        }
        self.change_by(by, request, |state, _now| {
            let known = state.integrations.get(integration).ok_or(&reason::NOT_FOUND)?;
            if known.phase() == Phase::Ended {
                return Err(Failure::Stopped(&reason::INTEGRATION_ENDED));
            }
            let in_force = state.apis.get(&on.api).is_some_and(|api| api.current.is_some());
            if !in_force {
                return Err(fault("api", format!("there is no API {} in force", on.api)));
            }
            if state.environment(&on.environment).is_none() {
                return Err(fault("environment", format!("there is no environment {}", on.environment)));
            }
            let (integration, on, what) = (integration.clone(), on.clone(), Text::from(what));
            Ok(OffboardingChange::Registered { integration, on, what })
        })
        .await?;
        Ok(())
    }

    /// The open cases that concern the API whose workload asks.
    ///
    /// # Errors
    /// The proof admits nobody, or no API.
    pub async fn awaited(&self, workload: &Workload) -> Result<Vec<Awaited>, NotTaken> {
        let outcome = self.awaited_of(workload).await;
        self.note_untaken(workload, outcome)
    }

    async fn awaited_of(&self, workload: &Workload) -> Result<Vec<Awaited>, NotTaken> {
        let (_, api) = self.api_of(workload).await?;
        let on = Dependency { api, environment: workload.environment.clone() };
        let view = self.journal.view();
        let state = &view.state;
        let concern = |case: &&Case| state.offboardings.dependencies(case).contains(&on);
        let awaited = |case: &Case| Awaited {
            id: case.id.clone(),
            subject: case.about.clone(),
            started: case.at,
            acknowledged: case.acknowledged.contains_key(&on),
        };
        Ok(state.offboardings.open().filter(concern).map(awaited).collect())
    }

    /// Takes the word of an API's workload that it removed what it had in this environment. Returns whether the case still waits.
    ///
    /// # Errors
    /// The proof admits nobody, or no API that the case waits for here; or the case has ended.
    pub async fn acknowledge_workload(
        &self,
        workload: &Workload,
        id: &OffboardingId,
        word: &Removed,
    ) -> Result<Awaited, NotTaken> {
        let outcome = self.taken_word(workload, id, word).await;
        let taken = self.note_untaken(workload, outcome)?;
        self.run_offboardings_soon();
        Ok(taken)
    }

    async fn taken_word(&self, workload: &Workload, id: &OffboardingId, word: &Removed) -> Result<Awaited, NotTaken> {
        let Workload { environment, request, .. } = workload;
        let (principal, api) = self.api_of(workload).await?;
        fit(word).map_err(NotTaken::Unfit)?;
        let on = Dependency { api: api.clone(), environment: environment.clone() };
        let decide = |state: &State, _| {
            let case = state.offboardings.find(id.as_str()).ok_or(NotTaken::Foreign)?;
            if !state.offboardings.dependencies(case).contains(&on) {
                return Err(NotTaken::Foreign);
            }
            if !case.is_open() {
                return Err(NotTaken::Over(format!("{id} has ended; nothing waits for a word any more.")));
            }
            Ok(said(id, &on, word))
        };
        let made_for = Some(ForRequest::without_key(request.clone()));
        let outcome = self.change_as(Cause::Api(api.clone()), made_for, decide).await;
        let known = |refused: Refused| Refused { known: Some(principal.client().clone()), ..refused };
        let committed = outcome.map_err(|_| known(away()))??;
        let case = committed.view.state.offboardings.find(id.as_str()).ok_or_else(|| known(away()))?;
        Ok(Awaited { id: id.clone(), subject: case.about.clone(), started: case.at, acknowledged: true })
    }

    /// The API whose workload presents a proof, after its quota and the proof were spent.
    async fn api_of(&self, workload: &Workload) -> Result<(Principal, ApiName), NotTaken> {
        let Workload { environment, .. } = workload;
        let shown = self.establish(environment, &workload.proof, workload.certificate.as_ref()).await?;
        let view = self.journal.view();
        let principal = Self::identify(environment, &shown, &view.state, self.now())?;
        let known = |refused: Refused| Refused { known: Some(principal.client().clone()), ..refused };
        let gate = self.pass_gate(&principal, Operation::Offboarding).await;
        gate.map_err(|denied| Denied { refused: known(denied.refused), ..denied })?;
        let ClientId::Api(api) = principal.client().clone() else { return Err(NotTaken::Foreign) };
        self.spend_possession(workload.possession.as_ref()).await.map_err(known)?;
        self.spend_read(&principal).await?;
        Ok((principal, api))
    }

    fn note_untaken<T>(&self, workload: &Workload, outcome: Result<T, NotTaken>) -> Result<T, NotTaken> {
        if let Err(NotTaken::Denied(denied)) = &outcome {
            self.note(&workload.environment, &workload.request, &denied.refused);
        }
        outcome
    }
}

fn fault(at: &str, message: impl Into<String>) -> Failure {
    Failure::Faults(vec![Fault::invalid(at, message)])
}

/// The case, if it can still change.
fn open<'s>(id: &OffboardingId, state: &'s State) -> Result<&'s Case, Failure> {
    let case = state.offboardings.find(id.as_str()).ok_or(&reason::NOT_FOUND)?;
    if case.is_open() { Ok(case) } else { Err(Failure::State(format!("{id} has ended."))) }
}

/// Requires that a party can be offboarded: it was active, and neither it nor anything of it is being offboarded.
pub(super) fn ensure_can_end(party: &Party, state: &State) -> Result<(), Failure> {
    stopped::open_still(party, state).map_err(Failure::Stopped)?;
    match party {
        Party::Integration(id) => {
            let known = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
            if known.current.is_none() {
                let phase = known.phase().name();
                return Err(Failure::State(format!("{id} is {phase}: it never had anything; discard the draft, or deny it.")));
            }
        }
        Party::Partner(partner) => {
            let known: Option<&Reason> = state.partners.get(partner).is_none().then_some(&reason::NOT_FOUND);
            known.map_or(Ok(()), Err)?;
            let ending = state.integrations_of(partner).find(|(_, known)| known.phase() == Phase::Offboarding);
            if let Some((id, _)) = ending {
                return Err(Failure::State(format!("{id} is being offboarded: close that case, or have it given up, first.")));
            }
        }
    }
    Ok(())
}

fn said(id: &OffboardingId, on: &Dependency, word: &Removed) -> OffboardingChange {
    OffboardingChange::Acknowledged {
        offboarding: id.clone(),
        on: on.clone(),
        removed: word.removed.iter().map(|one| Text::from(one.as_str())).collect(),
        evidence: word.evidence.as_deref().map(Text::from),
    }
}

/// Requires a word that can be recorded.
fn fit(word: &Removed) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    if word.removed.len() > MOST_REMOVED {
        faults.push(Fault::invalid("removed", "expected at most 100 things"));
    }
    let sound = |text: &str| !text.trim().is_empty() && text.chars().count() <= 1000;
    for (at, _) in word.removed.iter().enumerate().filter(|(_, one)| !sound(one)) {
        faults.push(Fault::invalid(format!("removed[{at}]"), "expected 1 to 1000 characters"));
    }
    if word.evidence.as_deref().is_some_and(|evidence| !sound(evidence)) {
        faults.push(Fault::invalid("evidence", "expected 1 to 1000 characters"));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// What a version admits that somebody admitted who was offboarded since, in words: whoever approves it lets them in again.
///
/// What the version in force admits already was approved before.
pub(super) fn returned(new: &Record, in_force: Option<&Record>, state: &State) -> Vec<Difference> {
    let ended = state.offboardings.ended();
    let before = in_force.and_then(Record::holder).map(|holder| ended.overlapping(holder)).unwrap_or_default();
    let admits = new.holder().map(|holder| ended.overlapping(holder)).unwrap_or_default();
    let told = admits.into_iter().filter(|client| !before.contains(client)).map(|client| {
        let over = match &client {
            ClientId::Integration(id) => state.ending_of(id).and_then(|ending| ending.over),
            ClientId::Api(_) => None,
        };
        let until = over.map_or_else(String::new, |over| format!(" until {}", over.last_day()));
        Difference {
            at: "bindings".to_owned(),
            from: None,
            to: Some(format!("was {client}{until}")),
            weight: Weight::Widens,
            ends: None,
        }
    });
    told.collect()
}
