//! Reviews approvals, and takes the steps that follow from them.
//!
//! A review is one change. Each step that it sets in motion (an activation, a lift) is the broker's own change right after it
//! ([`Broker::settle`]). It is found from the state alone, so a crash between the two loses nothing.

use super::Broker;
use super::cause::Cause;
use super::change::Decided;
use super::failure::{Failure, collisions};
use super::stated::Stated;
use crate::domain::decision::check::conflicts_in;
use crate::domain::decision::consequence::{judges, next, next_judged};
use crate::domain::decision::stopped;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::change::Change;
use crate::domain::log::key::KeyChange;
use crate::domain::people::actor::{Actor, Authorized, Person, Review};
use crate::domain::reason;
use crate::domain::registry::approval::{Approval, Kind, Opened, Standing, Verdict};
use crate::domain::state::State;
use crate::domain::state::taken::Holder;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, IntegrationId};
use crate::journal::ForRequest;

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

/// Refuses a version that takes something of ours or of another record.
///
/// The same judgement is made again when the version comes into force.
fn ensure_free(approval: &Approval, state: &State, now: Timestamp, effort: &mut Effort) -> Result<(), Failure> {
    let waits = |asked: Option<&ApprovalId>| asked == Some(&approval.id);
    let conflicts = match approval.kind {
        Kind::Api => {
            let held = state.apis.get(approval.subject.as_str()).and_then(|api| api.held.as_ref());
            let held = held.filter(|held| waits(held.approval.as_ref()));
            held.map(|held| conflicts_in(Holder::Api(&held.version.record), state, now, effort))
        }
        Kind::Change | Kind::Integration => {
            let named: Option<IntegrationId> = approval.subject.parse().ok();
            let held = named.and_then(|id| state.integrations.get(&id)?.held.as_ref());
            let held = held.filter(|held| waits(held.approval.as_ref()));
            held.map(|held| conflicts_in(Holder::Integration(&held.version.record), state, now, effort))
        }
        Kind::Abort
        | Kind::Enrolment
        | Kind::Environment
        | Kind::Erasure
        | Kind::Exception
        | Kind::Guardrail
        | Kind::Lift
        | Kind::Offboarding
        | Kind::Partner
        | Kind::Resume
        | Kind::Review => None,
    };
    match conflicts {
        Some(conflicts) if !conflicts.is_empty() => Err(Failure::Collides(collisions(&approval.subject, conflicts))),
        Some(_) | None => Ok(()),
    }
}

/// Refuses to approve a version that could not come into force.
pub(super) fn could_take_force(approval: &Approval, state: &State, now: Timestamp, effort: &mut Effort) -> Result<(), Failure> {
    stopped::approval(approval, state, effort).map_err(Failure::Stopped)?;
    ensure_free(approval, state, now, effort)
}

impl Broker {
    /// Reviews an approval, and returns its state after that.
    ///
    /// `seen` is the version that the reviewer saw.
    pub async fn review(
        &self,
        by: &Authorized<Review>,
        id: &ApprovalId,
        verdict: Verdict,
        why: &str,
        seen: Digest,
        request: Option<ForRequest>,
    ) -> Result<Standing, Failure> {
        let decide = |state: &State, now: Timestamp, failure: &Option<Failure>| {
            let approval = state.approvals.get(id).ok_or(&reason::NOT_FOUND)?;
            let roles = approval.review(by.staff(), seen, now)?;
            // The content that was reviewed is gone, even if the approval still has the version that the reviewer saw.
            if !approval.is_current(state) {
                return Err((&reason::APPROVAL_STALE).into());
            }
            if let Some(failure) = failure {
                return Err(failure.clone());
            }
            Ok(ApprovalChange::Reviewed { approval: id.clone(), verdict, reason: why.into(), roles })
        };
        let committed = match verdict {
            Verdict::Approve => {
                let asked = id.clone();
                let judge = move |state: &State, now: Timestamp, effort: &mut Effort| {
                    could_take_force(state.approvals.get(&asked)?, state, now, effort).err()
                };
                self.change_judged((by, request), &mut Effort::default(), None, judge, decide).await?.0
            }
            // A denial is always possible, however much there is to judge.
            Verdict::Deny => self.change_by(by, request, |state, now| decide(state, now, &None)).await?,
        };
        self.settle().await?;
        let approval = committed.view.state.approvals.get(id).ok_or(&reason::NOT_FOUND)?;
        if approval.kind == Kind::Offboarding {
            self.run_offboardings_soon();
        }
        Ok(approval.standing(self.now()))
    }

    /// Takes each step that follows from the state: activations, approved versions, lifts, resumes.
    ///
    /// It may be called at any time. It runs after each review and each apply, at start, and in the background.
    pub async fn settle(&self) -> Result<(), Failure> {
        loop {
            let (view, now) = (self.journal.view(), self.now());
            let generation = view.state.generation;
            // Steps that need no place at the desk come first, so that none of them waits for one. A suspension is among them.
            let due = next(&view.state, now);
            let what = if due.is_none() && judges(&view.state) {
                match self.desk.work(move || next_judged(&view.state, now)).await {
                    Ok(what) => what,
                    // The broker's next look finds the step. The caller's own change is made, and the caller is told so.
                    Err(Failure::Refused(reason)) if *reason == reason::RECORDS_BUSY => None,
                    Err(
                        failure @ (Failure::Refused(_)
                        | Failure::State(_)
                        | Failure::Stopped(_)
                        | Failure::Faults(_)
                        | Failure::Collides(_)
                        | Failure::Refuses(_)),
                    ) => return Err(failure),
                }
            } else {
                due
            };
            let Some(what) = what else { break };
            let outcome = self
                .change_as(Cause::Broker, None, |state, _now| {
                    // Another change came first: the steps are found anew.
                    if state.generation != generation {
                        return Err(());
                    }
                    // The sealed half of a retired key is destroyed in the transaction that records its retirement.
                    let destroyed = if let Change::Key(KeyChange::Retired { environment, kid }) = &what {
                        vec![crate::issuance::blob_name(environment, kid)]
                    } else {
                        Vec::new()
                    };
                    Ok(Decided::from(what.clone()).destroying(destroyed))
                })
                .await?;
            drop(outcome);
        }
        // An API that came into force may ask for an algorithm that has no key yet.
        self.prepare(Stated::Nothing).await
    }
}
