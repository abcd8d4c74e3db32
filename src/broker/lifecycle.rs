//! The life cycle of partners and integrations: submit, suspend, resume (docs/how-to/govern/records.md#the-life-cycle), and the end of a person's access.
//!
//! Suspend acts at once and takes one person with a reason; resume opens an approval. No apply undoes a suspension.

use super::Broker;
use super::registry::told;
use super::review::ask;
use super::revocation::{Cut, Failure, Unconfirmed};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::stopped;
use crate::domain::log::change::{Change, What};
use crate::domain::people::actor::{Authorized, Contain, Person, Submit};
use crate::domain::reason::{self, Reason};
use crate::domain::record::conflicts_in;
use crate::domain::registry::approval::Kind;
use crate::domain::state::cut::Reach;
use crate::domain::state::taken::{Conflict, Holder};
use crate::domain::state::{Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, IntegrationId, PartnerName};
use crate::domain::value::text::Text;
use crate::journal::{ForRequest, Proposal};

/// What a step of the life cycle is about.
#[derive(Clone, Debug)]
pub enum Party {
    /// A partner with everything of it.
    Partner(PartnerName),
    /// One integration.
    Integration(IntegrationId),
}

impl Broker {
    /// Submits a draft. Allowed at once; activation happens when the last condition holds.
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
        // A draft reserved nothing: what it takes may have gone to somebody else since.
        let judge = move |state: &State, now: Timestamp, effort: &mut Effort| {
            let held = state.integrations.get(&asked).and_then(|integration| integration.held.as_ref());
            held.map(|held| conflicts_in(Holder::Integration(&held.version.record), state, now, effort)).unwrap_or_default()
        };
        let propose = |state: &State, now: Timestamp, conflicts: &Vec<Conflict>| {
            state.ensure_not_cut(&by.staff().person)?;
            let integration = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
            let held = integration.held.as_ref().filter(|_| integration.phase() == Phase::Draft);
            let held = held.ok_or(&reason::LIFECYCLE_STATE)?;
            if !conflicts.is_empty() {
                return Err(Failure::Faults(told(&id.to_string(), conflicts.clone())));
            }
            // Nobody approves what they applied or submitted.
            let barred = held.version.by.person().cloned().into_iter().collect();
            let mut approval = ask(&approval, Kind::Integration, id.to_string(), held.version.version, &actor, barred, now);
            approval.reason = Some(Text::from(why));
            let what = What::IntegrationSubmitted { integration: id.clone(), approval };
            Ok(Proposal::from(Change { by: actor.clone(), what }))
        };
        self.change_judged(request, &mut Effort::default(), None, judge, propose).await?;
        Ok(approval)
    }

    /// Suspends at once: nothing more is minted, and what was issued is cut.
    pub async fn suspend(
        &self,
        by: &Authorized<Contain>,
        party: &Party,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Cut, Failure> {
        let text = Text::from(why);
        let mut reach = None;
        let outcome = self
            .journal
            .change(request, |state, _now| {
                let subject = match party.clone() {
                    Party::Partner(partner) => RevocationTarget::Partner { partner },
                    Party::Integration(integration) => RevocationTarget::Integration { integration },
                };
                reach = Some(Reach::of(&subject, state));
                let what = match party {
                    Party::Partner(partner) => {
                        let known = state.partners.get(partner).ok_or(&reason::NOT_FOUND)?;
                        ensure(known.suspended.is_none())?;
                        What::PartnerSuspended { partner: partner.clone(), reason: text.clone() }
                    }
                    Party::Integration(id) => {
                        let known = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
                        ensure(known.suspended.is_none())?;
                        What::IntegrationSuspended { integration: id.clone(), reason: text.clone() }
                    }
                };
                Ok::<_, &'static Reason>(Proposal::from(Change { by: by.staff().actor(), what }))
            })
            .await?;
        Ok(Cut::new(Unconfirmed::at(outcome?.index), reach))
    }

    /// Asks to lift a suspension: one `security` who neither suspended nor asked approves.
    pub async fn ask_resume(
        &self,
        by: &Authorized<Submit>,
        party: &Party,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        let text = Text::from(why);
        let outcome = self
            .journal
            .change(request, |state, now| {
                state.ensure_not_cut(&by.staff().person)?;
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
                let stop = stop.ok_or(&reason::LIFECYCLE_STATE)?;
                if let Party::Integration(id) = party {
                    stopped::suspended(&id.partner, state).map_err(Failure::Stopped)?;
                }
                let version = stop.version(&subject);
                let barred = stop.by.person().cloned().into_iter().collect();
                let approval = ask(&approval, Kind::Resume, subject, version, &actor, barred, now);
                let reason = text.clone();
                let what = match party {
                    Party::Partner(partner) => What::PartnerResumeAsked { partner: partner.clone(), reason, approval },
                    Party::Integration(id) => What::IntegrationResumeAsked { integration: id.clone(), reason, approval },
                };
                Ok::<_, Failure>(Proposal::from(Change { by: actor.clone(), what }))
            })
            .await?;
        outcome?;
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
        let text = Text::from(why);
        let outcome = self
            .journal
            .change(request, |_state, _now| {
                let what = What::StaffCut { person: person.clone(), reason: text.clone() };
                Ok::<_, &'static Reason>(Proposal::from(Change { by: by.staff().actor(), what }))
            })
            .await?;
        outcome?;
        Ok(())
    }
}

fn ensure(holds: bool) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(&reason::LIFECYCLE_STATE) }
}
