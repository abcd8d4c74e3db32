//! The life cycle of partners and integrations, and the end of a person's access.
//!
//! The steps are submit, suspend and resume (docs/how-to/govern/records.md#the-life-cycle). A suspension acts at once, and takes
//! one person and a reason. To resume takes an approval. No apply undoes a suspension.

use std::fmt;

use super::Broker;
use super::failure::{Failure, collisions};
use super::review::ask;
use super::revocation::{Cut, Unconfirmed};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::check::conflicts_in;
use crate::domain::decision::stopped;
use crate::domain::log::change::Change;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::actor::{Authorized, Contain, Person, Submit};
use crate::domain::reason;
use crate::domain::registry::approval::Kind;
use crate::domain::state::cut::Reach;
use crate::domain::state::taken::{Conflict, Holder};
use crate::domain::state::{Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, IntegrationId, PartnerName};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// The target of a step in the life cycle.
#[derive(Clone, Debug)]
pub enum Party {
    /// A partner, with everything that belongs to it.
    Partner(PartnerName),
    /// One integration.
    Integration(IntegrationId),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(partner) => partner.fmt(f),
            Self::Integration(id) => id.fmt(f),
        }
    }
}

impl Broker {
    /// Submits a draft. The integration becomes active once its last condition holds.
    pub async fn submit(
        &self,
        by: &Authorized<Submit>,
        id: &IntegrationId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        let asked = id.clone();
        // A draft reserves nothing: another record may have taken what this one needs.
        let judge = move |state: &State, now: Timestamp, effort: &mut Effort| {
            let held = state.integrations.get(&asked).and_then(|integration| integration.held.as_ref());
            held.map(|held| conflicts_in(Holder::Integration(&held.version.record), state, now, effort)).unwrap_or_default()
        };
        let decide = |state: &State, now: Timestamp, conflicts: &Vec<Conflict>| {
            let integration = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
            let phase = integration.phase();
            let held = integration.held.as_ref().filter(|_| phase == Phase::Draft);
            let held =
                held.ok_or_else(|| Failure::State(format!("{id} is {}; only a draft can be submitted.", phase.name())))?;
            if !conflicts.is_empty() {
                return Err(Failure::Faults(collisions(&id.to_string(), conflicts.clone())));
            }
            // Nobody approves a version that they applied or submitted.
            let barred = held.version.by.person().cloned().into_iter().collect();
            let mut approval = ask(&approval, Kind::Integration, id.to_string(), held.version.version, &actor, barred, now);
            approval.reason = Some(Text::from(why));
            Ok(IntegrationChange::Submitted { integration: id.clone(), approval })
        };
        self.change_judged((by, request), &mut Effort::default(), None, judge, decide).await?;
        Ok(approval)
    }

    /// Suspends at once: nothing more is minted, and the tokens that were issued are cut.
    pub async fn suspend(
        &self,
        by: &Authorized<Contain>,
        party: &Party,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Cut, Failure> {
        let mut reach = None;
        let committed = self
            .change_by(by, request, |state, _now| {
                let (target, suspended, change) = match party {
                    Party::Partner(partner) => (
                        RevocationTarget::Partner { partner: partner.clone() },
                        state.partners.get(partner).map(|known| known.suspended.is_some()),
                        Change::from(PartnerChange::Suspended { partner: partner.clone(), reason: why.into() }),
                    ),
                    Party::Integration(id) => (
                        RevocationTarget::Integration { integration: id.clone() },
                        state.integrations.get(id).map(|known| known.suspended.is_some()),
                        Change::from(IntegrationChange::Suspended { integration: id.clone(), reason: why.into() }),
                    ),
                };
                if suspended.ok_or(&reason::NOT_FOUND)? {
                    return Err(Failure::State(format!("{party} is suspended already; only a resume can follow.")));
                }
                reach = Some(Reach::of(&target, state));
                Ok(change)
            })
            .await?;
        Ok(Cut::new(Unconfirmed::at(committed.index), reach))
    }

    /// Opens the approval to lift a suspension.
    ///
    /// One `security` must approve, who neither suspended nor asked.
    pub async fn ask_resume(
        &self,
        by: &Authorized<Submit>,
        party: &Party,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        self.change_by(by, request, |state, now| {
            let (stop, subject) = match party {
                Party::Partner(partner) => {
                    let known = state.partners.get(partner).ok_or(&reason::NOT_FOUND)?;
                    (known.suspended.as_ref(), partner.to_string())
                }
                Party::Integration(id) => {
                    let known = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
                    (known.suspended.as_ref(), id.to_string())
                }
            };
            let stop = stop.ok_or_else(|| {
                Failure::State(match party {
                    Party::Partner(partner) => format!("{partner} is not suspended; only a suspended partner can be resumed."),
                    Party::Integration(id) => {
                        let phase = state.integrations.get(id).map_or("unknown", |known| known.phase().name());
                        format!("{id} is {phase}; only a suspended integration can be resumed.")
                    }
                })
            })?;
            if let Party::Integration(id) = party {
                stopped::suspended(&id.partner, state).map_err(Failure::Stopped)?;
            }
            let version = stop.version(&subject);
            let barred = stop.by.person().cloned().into_iter().collect();
            let approval = ask(&approval, Kind::Resume, subject, version, &actor, barred, now);
            let reason = why.into();
            Ok(match party {
                Party::Partner(partner) => {
                    Change::from(PartnerChange::ResumeAsked { partner: partner.clone(), reason, approval })
                }
                Party::Integration(id) => IntegrationChange::ResumeAsked { integration: id.clone(), reason, approval }.into(),
            })
        })
        .await?;
        Ok(approval)
    }

    /// Ends one person's access at once, whatever their token says.
    pub async fn cut_staff(
        &self,
        by: &Authorized<Contain>,
        person: Person,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<(), Failure> {
        self.change_by(by, request, |_state, _now| Ok(StaffChange::Cut { person: person.clone(), reason: why.into() })).await?;
        Ok(())
    }
}
