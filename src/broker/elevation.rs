//! Just-in-time elevation: request, review and end (docs/explanation/architecture.md#one-approval).
//!
//! The rules are in `domain/decision/elevation`; an operation here applies them and records the change. Nothing runs here when an
//! elevation begins, lapses or ends by itself: that is a function of `now`, evaluated at every mint.

use super::Broker;
use super::caller::Credential;
use super::cause::Cause;
use super::failure::{Denied, Failure, Fault, away};
use super::revocation::{Cut, Unconfirmed};
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::ask::Context;
use crate::domain::decision::elevation::Vote;
use crate::domain::decision::elevation::{ElevationRequest, NewElevation, Unfit, ask, is_signed};
use crate::domain::decision::grant::may_elevate;
use crate::domain::decision::peer::Peer;
use crate::domain::decision::standing::stands;
use crate::domain::decision::stopped;
use crate::domain::elevation::{Elevation, Narrowing, Standing};
use crate::domain::log::elevation::ElevationChange;
use crate::domain::people::actor::{Actor, Authorized, Elevate, Review};
use crate::domain::people::passkey::Signature;
use crate::domain::reason;
use crate::domain::reason::decision::Refused;
use crate::domain::registry::approval::Verdict;
use crate::domain::state::State;
use crate::domain::state::cut::Reach;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, ElevationId, EnvironmentName, IntegrationId, RequestId};
use crate::domain::value::quota::Operation;
use crate::journal::ForRequest;

/// A reviewer's verdict, with its reason and terms.
pub struct Word {
    /// For or against.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// The version that the reviewer saw.
    pub seen: Digest,
    /// The terms that the reviewer takes away.
    pub narrowing: Narrowing,
    /// The signature by the reviewer's passkey, if there is one.
    pub signature: Option<Signature>,
}

/// A workload that requests an elevation for itself.
pub struct Workload {
    /// The environment of the request.
    pub environment: EnvironmentName,
    /// The credential that it presents.
    pub proof: Credential,
    /// The client certificate of its connection.
    pub certificate: Option<Peer>,
    /// The key of its DPoP proof.
    pub possession: Option<Verified<Possession>>,
    /// The address that the request comes from.
    pub source: Option<std::net::IpAddr>,
    /// Its id.
    pub request: RequestId,
}

/// Why a workload's request was refused.
pub enum NotAsked {
    /// The caller is unknown, or not allowed.
    Denied(Denied),
    /// The request itself has faults.
    Unfit(Vec<Fault>),
}

impl Broker {
    /// Requests an elevation of an integration, one for each environment.
    ///
    /// All of them are checked before the first is recorded. If one is refused then, nothing is requested.
    pub async fn elevate(
        &self,
        by: &Authorized<Elevate>,
        integration: &IntegrationId,
        environments: Vec<EnvironmentName>,
        asked: ElevationRequest,
        request: Option<ForRequest>,
    ) -> Result<Vec<ElevationId>, Failure> {
        let actor = by.staff().actor();
        // A break-glass starts without an approval, so it needs a fresh sign-in as an approval does. A
        // machine is refused further on.
        if asked.break_glass && !by.staff().machine && !by.staff().fresh {
            return Err((&reason::STAFF_STALE).into());
        }
        let wanted = |environment| NewElevation {
            id: self.entropy.name(),
            integration: integration.clone(),
            environment,
            request: asked.clone(),
            by: actor.clone(),
            binding: None,
            poll: None,
        };
        let wanted: Vec<NewElevation> = environments.into_iter().map(wanted).collect();
        let make = |wanted: NewElevation, state: &State, now| -> Result<Elevation, Failure> {
            stands(&wanted.integration, &wanted.environment, state, now).map_err(Failure::Stopped)?;
            let elevation = self.ask(wanted, state, now).map_err(|unfit| Failure::Faults(faults(unfit)))?;
            stopped::elevation(&elevation, state, now).map_err(Failure::Stopped)?;
            Ok(elevation)
        };
        // All are checked on the current state before the first is recorded.
        let view = self.journal.view();
        view.state.ensure_not_cut(&by.staff().person)?;
        for one in &wanted {
            make(one.clone(), &view.state, self.now())?;
        }
        let mut ids = Vec::new();
        for one in wanted {
            ids.push(one.id.clone());
            self.change_by(by, request.clone(), |state, now| {
                let elevation = Box::new(make(one.clone(), state, now)?);
                Ok(ElevationChange::Asked { elevation })
            })
            .await?;
            if one.request.break_glass {
                tracing::warn!(integration = %one.integration, environment = %one.environment, elevation = %one.id, "the glass was broken");
            }
        }
        Ok(ids)
    }

    /// Requests an elevation for a workload that presents its own proof.
    ///
    /// Returns the id, and the token for polling its state, which is shown once. The proof is spent in the live index, as for a
    /// read: it does not pay for a token.
    pub async fn elevate_workload(
        &self,
        workload: Workload,
        asked: ElevationRequest,
    ) -> Result<(ElevationId, String), NotAsked> {
        let Workload { environment, request, .. } = &workload;
        let outcome = self.ask_for(&workload, asked).await.map_err(|fault| match fault {
            NotAsked::Denied(denied) => NotAsked::Denied(self.until_minting(denied)),
            NotAsked::Unfit(faults) => NotAsked::Unfit(faults),
        });
        if let Err(NotAsked::Denied(denied)) = &outcome {
            self.note(environment, request, &denied.refused);
        }
        outcome
    }

    async fn ask_for(&self, workload: &Workload, asked: ElevationRequest) -> Result<(ElevationId, String), NotAsked> {
        let Workload { environment, request, .. } = workload;
        let shown = self.establish(environment, &workload.proof, workload.certificate.as_ref()).await?;
        let view = self.journal.view();
        let principal = Self::identify(environment, &shown, &view.state, self.now())?;
        let known = |refused: Refused| Refused { known: Some(principal.client().clone()), ..refused };
        let gate = self.pass_gate(&principal, Operation::ElevationRequest).await;
        gate.map_err(|denied| Denied { refused: known(denied.refused), ..denied })?;
        let context = Context {
            request: request.clone(),
            token: self.entropy.name(),
            source: workload.source,
            certificate: workload.certificate.clone(),
            possession: workload.possession.clone(),
        };
        let (id, poll): (ElevationId, String) = (self.entropy.name(), self.entropy.identifier());
        let digest = Digest::of(poll.as_bytes());
        let first = principal.client().clone();
        // Judged twice: before the proof is spent, and on the newest state while the journal holds its head.
        let make = |state: &State, now| -> Result<ElevationChange, NotAsked> {
            let principal = Self::identify(environment, &shown, state, now)?;
            if *principal.client() != first {
                // The proof admits another client by now: the entry would name the first one, whose quota paid for it (I-23).
                return Err(Refused::unknown(&reason::BINDING_NO_MATCH).into());
            }
            let known = |reason| Refused { known: Some(principal.client().clone()), ..Refused::unknown(reason) };
            may_elevate(&principal, &context, state, now).map_err(known)?;
            let ClientId::Integration(integration) = principal.client() else {
                return Err(known(&reason::TARGET_UNKNOWN).into());
            };
            let wanted = NewElevation {
                id: id.clone(),
                integration: integration.clone(),
                environment: environment.clone(),
                request: asked.clone(),
                by: Actor::Workload(integration.clone()),
                binding: Some(principal.binding().clone()),
                poll: Some(digest),
            };
            let elevation = Box::new(self.ask(wanted, state, now).map_err(|unfit| NotAsked::Unfit(faults(unfit)))?);
            stopped::elevation(&elevation, state, now).map_err(known)?;
            Ok(ElevationChange::Asked { elevation })
        };
        make(&view.state, self.now())?;
        self.spend_possession(workload.possession.as_ref()).await.map_err(known)?;
        self.spend_read(&principal).await?;
        let ClientId::Integration(integration) = principal.client() else {
            return Err(known(Refused::unknown(&reason::TARGET_UNKNOWN)).into());
        };
        let cause = Cause::Workload(integration.clone());
        let made_for = Some(ForRequest::without_key(request.clone()));
        self.change_as(cause, made_for, make).await.map_err(|_| known(away()))??;
        Ok((id, poll))
    }

    /// Makes an elevation, if it can be requested.
    ///
    /// If its API accepts only signed approvals, passkeys must be configured: otherwise nobody could sign.
    fn ask(&self, wanted: NewElevation, state: &State, now: Timestamp) -> Result<Elevation, Vec<Unfit>> {
        let elevation = ask(wanted, state, now)?;
        if is_signed(state, &elevation.api) && self.passkeys.is_none() {
            let message = format!("{} says approval: signed, and no sign-in in a browser is configured", elevation.api);
            return Err(vec![Unfit { at: "api", reason: &reason::ELEVATION_SIGNATURE, message }]);
        }
        Ok(elevation)
    }

    /// Reviews an elevation. A denial may cut issued tokens, so its cut is to be confirmed.
    pub async fn review_elevation(
        &self,
        by: &Authorized<Review>,
        id: &ElevationId,
        word: Word,
        request: Option<ForRequest>,
    ) -> Result<Option<Unconfirmed>, Failure> {
        let Word { verdict, why, seen, narrowing, signature } = word;
        if let Some(signature) = &signature {
            self.judge_signature(by, id, &narrowing, signature)?;
        }
        if verdict == Verdict::Approve {
            self.ask_ticket(id).await?;
        }
        let committed = self
            .change_by(by, request, |state, now| {
                let request = state.elevations.find(id).ok_or(&reason::NOT_FOUND)?;
                let vote = Vote { verdict, seen, narrowing: &narrowing, signature: signature.as_ref() };
                let roles = request.review(by.staff(), vote, state, now)?;
                // The later review of a break-glass grants nothing, and is due whatever was stopped meanwhile.
                if verdict == Verdict::Approve && !request.lacks_review() {
                    stopped::elevation(&request.elevation, state, now).map_err(Failure::Stopped)?;
                }
                let reason = why.as_str().into();
                let (narrowing, signature) = (narrowing.clone(), signature.clone().map(Box::new));
                Ok(ElevationChange::Reviewed { elevation: id.clone(), verdict, reason, roles, narrowing, signature })
            })
            .await?;
        // A denial of a break-glass cuts the tokens that were issued under it.
        Ok((verdict == Verdict::Deny).then_some(Unconfirmed::by(&committed)))
    }

    /// Ends an elevation, or withdraws the request.
    ///
    /// Every reader of the live index that knows of the end refuses the tokens that were issued under it.
    pub async fn end_elevation(
        &self,
        by: &Authorized<Elevate>,
        id: &ElevationId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Cut, Failure> {
        let mut reach = None;
        let committed = self
            .change_by(by, request, |state, now| {
                let request = state.elevations.find(id).ok_or(&reason::NOT_FOUND)?;
                let environment = request.elevation.environment.clone();
                let subject = RevocationTarget::Elevation { environment, elevation: id.clone() };
                reach = Some(Reach::of(&subject, state));
                if !matches!(request.standing(now), Standing::Active | Standing::Approved | Standing::Pending) {
                    return Err((&reason::ELEVATION_OVER).into());
                }
                Ok(ElevationChange::Ended { elevation: id.clone(), reason: why.into() })
            })
            .await?;
        Ok(Cut::new(Unconfirmed::by(&committed), reach))
    }
}

fn faults(unfit: Vec<Unfit>) -> Vec<Fault> {
    let fault = |one: Unfit| Fault { at: one.at.to_owned(), reason: one.reason, message: one.message };
    unfit.into_iter().map(fault).collect()
}

impl From<Refused> for NotAsked {
    fn from(refused: Refused) -> Self {
        Self::Denied(refused.into())
    }
}

impl From<Denied> for NotAsked {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}
