//! Reviewing: four eyes over what was asked for, and what follows when they agree.
//!
//! A review is one change; what it sets in motion (an activation, a lift) is the broker's own change right after it
//! ([`Broker::settle`]), found from the state alone, so that a crash between the two loses nothing.

use super::Broker;
use super::registry::told;
use super::revocation::Failure;
use crate::domain::actor::{Actor, Authorized, Person, Review};
use crate::domain::approval::{Approval, Kind, Opened, Standing, Verdict};
use crate::domain::change::{Change, What};
use crate::domain::clock::Timestamp;
use crate::domain::consequence::next;
use crate::domain::digest::Digest;
use crate::domain::effort::Effort;
use crate::domain::names::ApprovalId;
use crate::domain::reason;
use crate::domain::record::conflicts_in;
use crate::domain::state::State;
use crate::domain::stopped;
use crate::domain::taken::Holder;
use crate::domain::text::Text;
use crate::journal::{ForRequest, Proposal};

/// Opens an approval at `now`.
pub(super) fn ask(
    id: &ApprovalId,
    kind: Kind,
    subject: String,
    version: Digest,
    by: &Actor,
    barred: Vec<Person>,
    now: Timestamp,
) -> Approval {
    Approval {
        id: id.clone(),
        kind,
        subject,
        version,
        requested_by: by.clone(),
        barred,
        slots: kind.slots(),
        expires: now.plus(Kind::PATIENCE),
        reviews: Vec::new(),
        withdrawn: false,
        reason: None,
        opened: Opened::default(),
    }
}

/// Refuses a version that takes what is ours or somebody else's, as it is judged again when it takes force.
fn ensure_free(approval: &Approval, state: &State, now: Timestamp) -> Result<(), Failure> {
    let waits = |asked: Option<&ApprovalId>| asked == Some(&approval.id);
    let conflicts = match approval.kind {
        Kind::Api => {
            let held = state.apis.values().filter_map(|api| api.held.as_ref());
            let mut held = held.filter(|held| waits(held.approval.as_ref()));
            held.next().map(|held| conflicts_in(Holder::Api(&held.version.record), state, now, &mut Effort::default()))
        }
        Kind::Change | Kind::Integration => {
            let held = state.integrations.values().filter_map(|integration| integration.held.as_ref());
            let mut held = held.filter(|held| waits(held.approval.as_ref()));
            held.next().map(|held| conflicts_in(Holder::Integration(&held.version.record), state, now, &mut Effort::default()))
        }
        Kind::Enrolment | Kind::Lift | Kind::Partner | Kind::Resume => None,
    };
    match conflicts {
        Some(conflicts) if !conflicts.is_empty() => Err(Failure::Collides(told(&approval.subject, conflicts))),
        Some(_) | None => Ok(()),
    }
}

impl Broker {
    /// Reviews an approval: `seen` is the version that the reviewer saw. Returns where the approval stands then.
    pub async fn review(
        &self,
        by: &Authorized<Review>,
        id: &ApprovalId,
        verdict: Verdict,
        why: &str,
        seen: Digest,
        request: Option<ForRequest>,
    ) -> Result<Standing, Failure> {
        let text = Text::from(why);
        let outcome = self
            .journal
            .change(request, |state, now| {
                state.ensure_not_cut(&by.staff().person)?;
                let approval = state.approvals.get(id).ok_or(&reason::NOT_FOUND)?;
                let roles = approval.review(by.staff(), seen, now)?;
                // What was shown is not there any more, whatever its version says.
                if !approval.is_current(state) {
                    return Err((&reason::APPROVAL_STALE).into());
                }
                if verdict == Verdict::Approve {
                    stopped::approval(approval, state, &mut Effort::default()).map_err(Failure::Stopped)?;
                    // Nobody approves what could not take force; to deny it is always possible.
                    ensure_free(approval, state, now)?;
                }
                let what = What::ApprovalReviewed { approval: id.clone(), verdict, reason: text.clone(), roles };
                Ok::<_, Failure>(Proposal::from(Change { by: by.staff().actor(), what }))
            })
            .await?;
        let committed = outcome?;
        self.settle().await?;
        let approval = committed.view.state.approvals.get(id).ok_or(&reason::NOT_FOUND)?;
        Ok(approval.standing(self.now()))
    }

    /// Takes every step that follows from the state by itself: activations, held versions that were approved, lifts, resumes. Safe to
    /// call at any time; called after each review and submission, and at start.
    pub async fn settle(&self) -> Result<(), Failure> {
        loop {
            let outcome = self
                .journal
                .change(None, |state, now| match next(state, now) {
                    Some(what) => {
                        // The sealed half of a retired key is destroyed in the transaction that says so.
                        let destroyed = match &what {
                            What::KeyRetired { environment, kid } => vec![crate::issuance::blob_name(environment, kid)],
                            _ => Vec::new(),
                        };
                        Ok(Proposal { destroy: destroyed, ..Change { by: Actor::Broker, what }.into() })
                    }
                    None => Err(()),
                })
                .await?;
            if outcome.is_err() {
                break;
            }
        }
        // An API that came into force may ask for an algorithm that has no key yet.
        self.prepare(None).await
    }
}
