//! The life cycle of integrations (docs/how-to/govern/records.md#the-life-cycle), and the end of a person's access.
//!
//! Suspensions stand beside the life cycle, and have a file of their own.

use super::Broker;
use super::failure::{Failure, beyond, collisions};
use super::owners::ensure_fit;
use super::review::ask;
use super::revocation::Unconfirmed;
use crate::domain::decision::check::conflicts_in;
use crate::domain::decision::longest;
use crate::domain::decision::stopped;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::actor::{Authorized, Contain, Person, Submit};
use crate::domain::reason;
use crate::domain::registry::approval::Kind;
use crate::domain::state::integration::Kept;
use crate::domain::state::taken::{Conflict, Holder};
use crate::domain::state::{Party, Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, IntegrationId};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

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
        let owners = self.owners_of_draft(id).await?;
        let asked = id.clone();
        // A draft reserves nothing: another record may have taken what this one needs.
        let judge = move |state: &State, now: Timestamp, effort: &mut Effort| {
            let held = state.integrations.get(&asked).and_then(|integration| integration.held.as_ref());
            held.map(|held| conflicts_in(Holder::Integration(&held.version.record), state, now, effort)).unwrap_or_default()
        };
        let decide = |state: &State, now: Timestamp, conflicts: &Vec<Conflict>| {
            let integration = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
            stopped::open_still(&Party::Integration(id.clone()), state).map_err(Failure::Stopped)?;
            let phase = integration.phase();
            let held = integration.held.as_ref().filter(|_| phase == Phase::Draft);
            let held =
                held.ok_or_else(|| Failure::State(format!("{id} is {}; only a draft can be submitted.", phase.name())))?;
            if integration.suspensions.first_of_all().is_some() {
                return Err(Failure::Stopped(&reason::INTEGRATION_SUSPENDED));
            }
            if !conflicts.is_empty() {
                return Err(Failure::Faults(collisions(&id.to_string(), conflicts.clone())));
            }
            let too_long = longest::in_state(&held.version.record, state, now);
            if !too_long.is_empty() {
                return Err(Failure::Faults(beyond(id, too_long)));
            }
            // The owners that were looked up are those of another draft.
            if owners.as_ref().is_some_and(|(version, _)| *version != held.version.version) {
                return Err((&reason::PLAN_STALE).into());
            }
            let owners = owners.as_ref().map(|(_, ids)| ids.clone());
            ensure_fit(&id.to_string(), owners.as_ref(), state)?;
            // Nobody approves a version that they applied or submitted.
            let barred = held.version.by.person().cloned().into_iter().collect();
            let mut approval = ask(&approval, Kind::Integration, id.to_string(), held.version.version, &actor, barred, now);
            approval.reason = Some(Text::from(why));
            Ok(IntegrationChange::Submitted { integration: id.clone(), approval, owners })
        };
        self.change_judged((by, request), &mut Effort::default(), None, judge, decide).await?;
        self.settle_owners_soon().await;
        Ok(approval)
    }

    /// Discards a draft that was never active. Its name stays free: nothing of the draft counts for a later one.
    ///
    /// # Errors
    /// There is no such integration, it is no draft any more, or it is suspended: to discard it would end the suspension.
    pub async fn discard(
        &self,
        by: &Authorized<Submit>,
        id: &IntegrationId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<(), Failure> {
        self.change_by(by, request, |state, _now| {
            let known = state.integrations.get(id).ok_or(&reason::NOT_FOUND)?;
            let draft = known.discardable().map_err(|kept| match kept {
                Kept::Phase(phase) => Failure::State(format!("{id} is {}; only a draft can be discarded.", phase.name())),
                Kept::Suspended => Failure::Stopped(&reason::INTEGRATION_SUSPENDED),
            })?;
            Ok(IntegrationChange::Discarded { integration: id.clone(), version: draft.version, reason: why.into() })
        })
        .await?;
        Ok(())
    }

    /// Ends one person's access at once, whatever their token says.
    pub async fn cut_staff(
        &self,
        by: &Authorized<Contain>,
        person: Person,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Unconfirmed, Failure> {
        let cut = |_state: &_, _now| Ok(StaffChange::Cut { person: person.clone(), reason: why.into() });
        Ok(Unconfirmed::of_person(&self.change_by(by, request, cut).await?))
    }
}
