//! Signals from outside, and what a sender said before.
//!
//! A signal that acts is a suspension with a kind: its subject is refused with `signal.KIND`, what was issued is cut, and `resume` lifts
//! it as any other.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::domain::people::actor::Actor;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{SignalId, SuspensionId};
use crate::domain::value::text::Text;

/// A signal, and what became of it.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Its id.
    pub id: SignalId,
    /// What it says.
    pub says: SignalKind,
    /// Whom it is about.
    pub about: SignalSubject,
    /// The sender's words.
    pub reason: Text,
    /// The sender's own name for it.
    pub reference: Option<String>,
    /// The sender.
    pub by: Actor,
    /// When it came.
    pub at: Timestamp,
    /// Whether it acted: at once, or when a person confirmed it.
    pub acted: bool,
    /// The suspension that it made.
    pub suspension: Option<SuspensionId>,
    /// What a person decided, if it was held.
    pub decided: Option<Decided>,
}

/// What a person decided of a signal that was held.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
}

/// Where a signal stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignalStanding {
    /// It ended something.
    Acted,
    /// It waits for a person.
    Held,
    /// A person did not believe it.
    Dismissed,
}

/// All signals that ever came.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    all: OrdMap<SignalId, Arc<Signal>>,
    /// By sender, the oldest first.
    senders: OrdMap<Arc<str>, Vector<SignalId>>,
    /// The newest of what a sender said of a subject.
    said: OrdMap<Said, SignalId>,
}

/// What makes two signals the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Said {
    sender: Arc<str>,
    says: SignalKind,
    about: SignalSubject,
    reference: Option<String>,
}

impl SignalStanding {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acted => "acted",
            Self::Held => "held",
            Self::Dismissed => "dismissed",
        }
    }
}

impl Signal {
    /// Where it stands.
    pub fn standing(&self) -> SignalStanding {
        match (self.acted, &self.decided) {
            (true, _) => SignalStanding::Acted,
            (false, None) => SignalStanding::Held,
            (false, Some(_)) => SignalStanding::Dismissed,
        }
    }
}

impl Signals {
    /// One signal.
    pub fn find(&self, id: &str) -> Option<&Signal> {
        self.all.get(id).map(|signal| &**signal)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = (&SignalId, &Signal)> {
        self.all.iter().map(|(id, signal)| (id, &**signal))
    }

    /// The signals of a sender that came after `from`, the newest first.
    pub fn since(&self, by: &Actor, from: Timestamp) -> impl Iterator<Item = &Signal> {
        let own = self.senders.get(&*sender(by));
        let newest = own.into_iter().flat_map(|own| own.iter().rev()).filter_map(|id| self.find(id.as_str()));
        newest.take_while(move |signal| signal.at > from)
    }

    /// The newest signal of this sender, kind, subject and reference.
    pub(super) fn said(&self, by: &Actor, says: SignalKind, about: &SignalSubject, reference: Option<&str>) -> Option<&Signal> {
        let reference = reference.map(str::to_owned);
        let said = Said { sender: sender(by), says, about: about.clone(), reference };
        self.find(self.said.get(&said)?.as_str())
    }

    /// Notes what a person decided, and the name of the suspension that this makes, if it was believed.
    ///
    /// Returns what the signal says, and its words.
    pub(super) fn decide(
        &mut self,
        id: &SignalId,
        decided: Decided,
        believed: Option<SuspensionId>,
    ) -> Option<(SignalKind, Text)> {
        let known = self.all.get_mut(id).map(Arc::make_mut)?;
        known.decided = Some(decided);
        known.acted = believed.is_some();
        known.suspension = believed.filter(|_| known.says.suspends());
        Some((known.says, known.reason.clone()))
    }

    /// How many signals of a sender wait for a person.
    pub fn waiting(&self, by: &Actor) -> usize {
        let own = self.senders.get(&*sender(by)).into_iter().flatten();
        own.filter_map(|id| self.find(id.as_str())).filter(|signal| signal.standing() == SignalStanding::Held).count()
    }

    pub(super) fn receive(&mut self, signal: Signal) {
        let by = sender(&signal.by);
        let (says, about, reference) = (signal.says, signal.about.clone(), signal.reference.clone());
        self.said.insert(Said { sender: Arc::clone(&by), says, about, reference }, signal.id.clone());
        self.senders.entry(by).or_default().push_back(signal.id.clone());
        self.all.insert(signal.id.clone(), Arc::new(signal));
    }
}

/// The sender of a signal, as two of the same sender are compared: by issuer and id, never by name.
fn sender(by: &Actor) -> Arc<str> {
    match by {
        Actor::Staff(person) | Actor::Machine(person) => format!("{} {}", person.iss, person.id).into(),
        Actor::Workload(id) => format!("workload {id}").into(),
        Actor::Api(api) => format!("api {api}").into(),
        Actor::Directory => "directory".into(),
        Actor::Operator => "operator".into(),
        Actor::Broker => "broker".into(),
    }
}
