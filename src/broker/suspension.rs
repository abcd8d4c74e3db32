//! Suspends partners and integrations, and asks to let them go on.
//!
//! A suspension acts at once, and takes one person and a reason; another one is always taken. To resume takes an approval, which lifts
//! the suspensions that it names and no other. No apply undoes a suspension.

use std::collections::BTreeSet;

use super::Broker;
use super::failure::{Failure, Fault};
use super::review::ask;
use super::revocation::{Cut, Unconfirmed};
use crate::domain::decision::stopped;
use crate::domain::log::change::Change;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::{Authorized, Contain, Person, Submit};
use crate::domain::reason;
use crate::domain::registry::approval::{Approval, Kind, Opened};
use crate::domain::registry::suspension::{SuspensionCause, version};
use crate::domain::state::cut::Reach;
use crate::domain::state::{Party, State, Suspension, Suspensions};
use crate::domain::value::names::{ApprovalId, EnvironmentName, SuspensionId};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// A suspension on record. Its reason is in plain.
#[derive(Clone, Debug)]
pub struct Suspended {
    /// The suspension.
    pub suspension: Suspension,
    /// What it cut.
    pub cut: Cut,
}

impl Broker {
    /// Suspends at once: nothing more is minted there, and the tokens that were issued there are cut.
    ///
    /// It covers the environments that are named; all, if none is.
    ///
    /// # Errors
    /// There is no such partner, integration or environment, or the journal does not answer.
    pub async fn suspend(
        &self,
        by: &Authorized<Contain>,
        party: &Party,
        environments: &BTreeSet<EnvironmentName>,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Suspended, Failure> {
        let id: SuspensionId = self.entropy.name();
        let mut reach = None;
        let committed = self
            .change_by(by, request, |state, _now| {
                state.suspensions(party).ok_or(&reason::NOT_FOUND)?;
                // A suspension beside an offboarding that may be given up counts; after the end there is nothing to suspend.
                if let Some(ending) = state.ending(party).filter(|ending| ending.is_over()) {
                    return Err(Failure::State(format!("{party} was {}.", ending.told())));
                }
                known(environments, state)?;
                reach = Some(Reach::of_suspension(party, environments, state));
                let (id, reason, environments) = (Some(id.clone()), Text::from(why), environments.clone());
                Ok(match party.clone() {
                    Party::Partner(partner) => Change::from(PartnerChange::Suspended { partner, reason, id, environments }),
                    Party::Integration(integration) => {
                        let cause = SuspensionCause::Decision;
                        IntegrationChange::Suspended { integration, reason, id, environments, cause }.into()
                    }
                })
            })
            .await?;
        let in_force = committed.view.state.suspensions(party).into_iter().flat_map(Suspensions::iter);
        let at = in_force.filter(|one| one.id == id).map(|one| one.at).next().unwrap_or_else(|| self.now());
        let (by, reason) = (by.staff().actor(), Text::from(why));
        let (environments, cause) = (environments.clone(), SuspensionCause::Decision);
        let suspension = Suspension { id, environments, by, reason, at, cause, signal: None };
        Ok(Suspended { suspension, cut: Cut::new(Unconfirmed::by(&committed), reach) })
    }

    /// Opens the approval to lift the suspensions that are named; all that are in force, if none is. Its texts are in plain.
    ///
    /// One `security` must approve, who neither made one of them nor asked.
    ///
    /// # Errors
    /// One that is named is not in force, nothing is in force, or the partner of the integration is suspended as well.
    pub async fn ask_resume(
        &self,
        by: &Authorized<Submit>,
        party: &Party,
        named: &[SuspensionId],
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Approval, Failure> {
        let id: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        let mut opened = None;
        self.change_by(by, request, |state, now| {
            let lifts = in_force(party, named, state)?;
            stopped::resume(party, &lifts, state).map_err(Failure::Stopped)?;
            let subject = party.to_string();
            let version = version(&subject, &lifts);
            let approval = ask(&id, Kind::Resume, subject, version, &actor, authors(&lifts), now);
            let (reason, suspensions) = (Text::from(why), lifts.iter().map(|one| one.id.clone()).collect());
            let opening = Opened { at: now, lifts: lifts.into() };
            opened = Some(Approval { reason: Some(reason.clone()), opened: opening, ..approval.clone() });
            Ok(match party.clone() {
                Party::Partner(partner) => Change::from(PartnerChange::ResumeAsked { partner, reason, approval, suspensions }),
                Party::Integration(integration) => {
                    IntegrationChange::ResumeAsked { integration, reason, approval, suspensions }.into()
                }
            })
        })
        .await?;
        opened.ok_or(Failure::Refused(&reason::STORE_UNAVAILABLE))
    }
}

/// Requires that each environment is configured: a suspension of another one would refuse nothing.
fn known(environments: &BTreeSet<EnvironmentName>, state: &State) -> Result<(), Failure> {
    let unknown = environments.iter().filter(|environment| state.environment(environment).is_none());
    let fault =
        |environment: &EnvironmentName| Fault::invalid("environments", format!("there is no environment {environment}"));
    let faults: Vec<Fault> = unknown.map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Failure::Faults(faults)) }
}

/// The suspensions with these ids; all, if no id is given. Each must be in force.
fn in_force(party: &Party, named: &[SuspensionId], state: &State) -> Result<Vec<Suspension>, Failure> {
    let known = state.suspensions(party).ok_or(&reason::NOT_FOUND)?;
    if known.is_empty() {
        return Err(Failure::State(match party {
            Party::Partner(partner) => format!("{partner} is not suspended; only a suspended partner can be resumed."),
            Party::Integration(id) => {
                let phase = state.integrations.get(id).map_or("unknown", |known| known.phase().name());
                format!("{id} is {phase}; only a suspended integration can be resumed.")
            }
        }));
    }
    let all: Vec<&SuspensionId> = known.iter().map(|one| &one.id).collect();
    if let Some(other) = named.iter().find(|id| !all.contains(id)) {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        let all = all.join(", ");
        return Err(Failure::State(format!("{other} is no suspension of {party} that is in force; those in force are {all}.")));
    }
    Ok(known.named(named))
}

/// The people who made them, each once. None of them may approve the end of any.
fn authors(lifts: &[Suspension]) -> Vec<Person> {
    let mut authors: Vec<Person> = Vec::new();
    for person in lifts.iter().filter_map(|one| one.by.person()) {
        if !authors.iter().any(|known| known.is(person)) {
            authors.push(person.clone());
        }
    }
    authors
}
