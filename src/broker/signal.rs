//! Takes signals from outside, and has people decide on those beyond the bounds of their sender.
//!
//! See `domain/state/signals.rs` for what a signal does. The bounds are here: a machine that is stolen or runs away ends a few
//! integrations, and then a person is asked.

use super::Broker;
use super::cause::Cause;
use super::elevation::Workload;
use super::failure::{Denied, Failure, away};
use super::revocation::{Cut, Unconfirmed};
use crate::domain::decision::admission::Principal;
use crate::domain::log::signal::SignalChange;
use crate::domain::people::actor::{Actor, Authorized, Decide, Report, Role};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::state::cut::Reach;
use crate::domain::state::signal::{Signal, SignalStanding};
use crate::domain::state::{Party, State};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ClientId, SignalId};
use crate::domain::value::quota::Operation;
use crate::domain::value::text::Text;
use crate::journal::{Committed, ForRequest};

/// The most signals of one sender that may wait for a person. A person has to look at each.
const MOST_WAITING: usize = 1000;

/// A signal that somebody sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it says.
    pub says: SignalKind,
    /// Whom it is about.
    pub about: SignalSubject,
    /// The sender's words.
    pub reason: String,
    /// The sender's own name for it.
    pub reference: Option<String>,
}

/// What became of a signal. Its texts are in plain, unless it said the same as an earlier one.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The signal.
    pub signal: Signal,
    /// What it cut, if it acted now.
    pub cut: Option<Cut>,
    /// Whether an earlier signal said the same, and this one did nothing.
    pub repeated: bool,
}

/// Why nothing is recorded.
enum Undone {
    /// An earlier one said the same.
    Repeated(Box<Signal>),
    /// It fails.
    Failed(Failure),
}

impl From<&'static Reason> for Undone {
    fn from(reason: &'static Reason) -> Self {
        Self::Failed(reason.into())
    }
}

impl Sent {
    fn received(&self, id: &SignalId) -> SignalChange {
        let (signal, says, about) = (id.clone(), self.says, self.about.clone());
        SignalChange::Received {
            signal,
            says,
            about,
            reason: Text::from(self.reason.as_str()),
            reference: self.reference.clone(),
        }
    }

    fn held(&self, id: &SignalId) -> SignalChange {
        let (signal, says, about) = (id.clone(), self.says, self.about.clone());
        SignalChange::Held { signal, says, about, reason: Text::from(self.reason.as_str()), reference: self.reference.clone() }
    }
}

impl Broker {
    /// Takes a signal of a person of security, or of a machine that may send it.
    ///
    /// # Errors
    /// There is no such subject, or the machine may not speak of it.
    pub async fn signal(&self, by: &Authorized<Report>, sent: &Sent, request: Option<ForRequest>) -> Result<Taken, Failure> {
        let id: SignalId = self.entropy.name();
        let (staff, actor) = (by.staff(), by.staff().actor());
        let mut reach = None;
        let outcome = self
            .try_change_by(by, request, |state, now| {
                exists(&sent.about, state)?;
                let is_person = staff.roles.contains(&Role::Security);
                if !is_person && !may_send(&staff.person.id, sent, state) {
                    return Err((&reason::SIGNAL_NOT_ALLOWED).into());
                }
                if let Some(same) = state.said_before(&actor, sent.says, &sent.about, sent.reference.as_deref()) {
                    return Err(Undone::Repeated(Box::new(same.clone())));
                }
                if !is_person && is_beyond(&actor, &staff.person.id, &sent.about, state, now) {
                    if state.signals.waiting(&actor) >= MOST_WAITING {
                        return Err((&reason::SIGNAL_TOO_MANY).into());
                    }
                    reach = None;
                    return Ok(sent.held(&id));
                }
                reach = sent.says.suspends().then(|| reach_of(&sent.about, state));
                Ok(sent.received(&id))
            })
            .await?;
        match outcome {
            Ok(committed) => taken(&id, &committed, reach),
            Err(Undone::Repeated(signal)) => Ok(Taken { signal: *signal, cut: None, repeated: true }),
            Err(Undone::Failed(failure)) => Err(failure),
        }
    }

    /// Takes the word of a workload that it is compromised. It speaks of its own integration in this environment alone.
    ///
    /// # Errors
    /// The proof admits nobody.
    pub async fn signal_workload(&self, workload: &Workload, reason: &str, reference: Option<String>) -> Result<Taken, Denied> {
        let outcome = self.taken_from(workload, reason, reference).await;
        if let Err(denied) = &outcome {
            self.note(&workload.environment, &workload.request, &denied.refused);
        }
        outcome
    }

    async fn taken_from(&self, workload: &Workload, reason: &str, reference: Option<String>) -> Result<Taken, Denied> {
        let Workload { environment, request, .. } = workload;
        let shown = self.establish(environment, &workload.proof, workload.certificate.as_ref()).await?;
        let view = self.journal.view();
        let principal = Self::identify(environment, &shown, &view.state, self.now())?;
        let known = |refused: Refused| Refused { known: Some(principal.client().clone()), ..refused };
        let gate = self.pass_gate(&principal, Operation::Signal).await;
        gate.map_err(|denied| Denied { refused: known(denied.refused), ..denied })?;
        let integration = integration(&principal).map_err(known)?;
        self.spend_possession(workload.possession.as_ref()).await.map_err(known)?;
        self.spend_read(&principal).await?;
        let sent = Sent {
            says: SignalKind::Compromised,
            about: SignalSubject::Environment(integration.clone(), environment.clone()),
            reason: reason.to_owned(),
            reference,
        };
        let (id, actor): (SignalId, _) = (self.entropy.name(), Actor::Workload(integration.clone()));
        let mut reach = None;
        let decide = |state: &State, now: Timestamp| {
            let again = Self::identify(environment, &shown, state, now).map_err(|_| Undone::from(&reason::BINDING_NO_MATCH))?;
            if again.client() != principal.client() {
                return Err((&reason::BINDING_NO_MATCH).into());
            }
            // Whatever it refers to: whoever holds its proof could make suspensions without end.
            let before = state.said_before(&actor, sent.says, &sent.about, sent.reference.as_deref());
            if let Some(same) = before.or_else(|| state.says_already(&actor, &sent.about)) {
                return Err(Undone::Repeated(Box::new(same.clone())));
            }
            reach = Some(reach_of(&sent.about, state));
            Ok(sent.received(&id))
        };
        let made_for = Some(ForRequest::without_key(request.clone()));
        let outcome = self.change_as(Cause::Workload(integration.clone()), made_for, decide).await;
        match outcome.map_err(|_| known(away()))? {
            Ok(committed) => taken(&id, &committed, reach).map_err(|_| known(away()).into()),
            Err(Undone::Repeated(signal)) => Ok(Taken { signal: *signal, cut: None, repeated: true }),
            Err(Undone::Failed(_)) => Err(Refused::unknown(&reason::BINDING_NO_MATCH).into()),
        }
    }

    /// Decides on a signal that was held: to believe it suspends its subject.
    ///
    /// # Errors
    /// There is no such signal, or it does not wait.
    pub async fn decide_signal(
        &self,
        by: &Authorized<Decide>,
        id: &SignalId,
        (believed, why): (bool, &str),
        request: Option<ForRequest>,
    ) -> Result<Taken, Failure> {
        let mut reach = None;
        let committed = self
            .change_by(by, request, |state, _now| {
                let known = state.signals.find(id.as_str()).ok_or(&reason::NOT_FOUND)?;
                if known.standing() != SignalStanding::Held {
                    let seen = known.standing().name();
                    return Err(Failure::State(format!("The signal {id} is {seen}; only one that is held can be decided.")));
                }
                let (signal, about, reason) = (id.clone(), known.about.clone(), Text::from(why));
                if believed {
                    reach = known.says.suspends().then(|| reach_of(&about, state));
                    return Ok(SignalChange::Confirmed { signal, about, reason });
                }
                Ok(SignalChange::Dismissed { signal, about, reason })
            })
            .await?;
        taken(id, &committed, reach)
    }
}

fn taken(id: &SignalId, committed: &Committed, reach: Option<Reach>) -> Result<Taken, Failure> {
    let signal = committed.view.state.signals.find(id.as_str()).cloned();
    let signal = signal.ok_or(Failure::Refused(&reason::STORE_UNAVAILABLE))?;
    let cut = reach.map(|reach| Cut::new(Unconfirmed::by(committed), Some(reach)));
    Ok(Taken { signal, cut, repeated: false })
}

fn integration(principal: &Principal) -> Result<&crate::domain::value::names::IntegrationId, Refused> {
    match principal.client() {
        ClientId::Integration(integration) => Ok(integration),
        // An API has no access of its own that could end.
        ClientId::Api(_) => Err(Refused::unknown(&reason::BINDING_NO_MATCH)),
    }
}

fn reach_of(about: &SignalSubject, state: &State) -> Reach {
    let (party, environment) = Party::of_signal(about);
    Reach::of_suspension(&party, &environment.into_iter().cloned().collect(), state)
}

/// Requires that the subject is on record, and its environment configured.
fn exists(about: &SignalSubject, state: &State) -> Result<(), &'static Reason> {
    let (party, environment) = Party::of_signal(about);
    let known = environment.is_none_or(|environment| state.environment(environment).is_some());
    if known && state.suspensions(&party).is_some() { Ok(()) } else { Err(&reason::NOT_FOUND) }
}

/// Whether a machine may send this.
fn may_send(caller: &str, sent: &Sent, state: &State) -> bool {
    state.sender(caller).is_some_and(|sender| {
        sender.kinds.contains(&sent.says) && sender.subjects.iter().any(|pattern| pattern.takes(&sent.about))
    })
}

/// Whether a machine says more than it may before a person is asked.
fn is_beyond(by: &Actor, caller: &str, about: &SignalSubject, state: &State, now: Timestamp) -> bool {
    let per_hour = state.sender(caller).map_or(0, |sender| sender.per_hour);
    let lately = state.signals.since(by, now.minus(Seconds::hours(1))).take(usize::try_from(per_hour).unwrap_or(usize::MAX));
    lately.count() >= usize::try_from(per_hour).unwrap_or(usize::MAX) || state.beyond_a_days_share(by, about, now)
}
