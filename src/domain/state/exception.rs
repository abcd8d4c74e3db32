//! Static secrets that still live at a partner: which are open, which people closed, and how often each was extended.
//!
//! A record names them. One leaves the record by being closed, and in no other way: a version without an open one waits until it is
//! closed ([`IntegrationState::lacks_open`](super::integration::IntegrationState::lacks_open)). A closed one refuses nothing. If a later
//! version names it again after it left the record, or says anything else of it, it is another secret, and open.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::people::actor::Actor;
use crate::domain::registry::integration::{Integration, StaticSecret};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ExceptionId};
use crate::domain::value::text::Text;

/// What is known of an integration's static secrets besides its record. Nearly always nothing, and then it takes the room of a pointer.
#[derive(Clone, Debug, Default)]
pub struct Exceptions(Option<Box<Known>>);

#[derive(Clone, Debug, Default)]
struct Known {
    asked: BTreeMap<ExceptionId, Asked>,
    closed: BTreeMap<ExceptionId, Closed>,
    extended: BTreeMap<ExceptionId, u32>,
}

/// Somebody says that a static secret lives no more.
#[derive(Clone, Debug)]
struct Asked {
    approval: ApprovalId,
    by: Actor,
    evidence: Text,
}

/// A static secret that is closed.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The secret as the record had it.
    pub secret: StaticSecret,
    /// Who said that it lives no more.
    pub by: Actor,
    /// What shows it.
    pub evidence: Text,
    /// When the approval came.
    pub at: Timestamp,
    /// Whether it has left the record since.
    has_left: bool,
}

/// Where a static secret stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExceptionStanding {
    /// It lives, and its end is to come.
    Open,
    /// It lives beyond its end.
    PastDue,
    /// It is closed.
    Closed,
}

impl ExceptionStanding {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::PastDue => "past-due",
            Self::Closed => "closed",
        }
    }
}

impl Exceptions {
    /// How a static secret was closed, if it was.
    pub fn closed(&self, id: &ExceptionId) -> Option<&Closed> {
        self.0.as_ref()?.closed.get(id)
    }

    /// The newest approval that would close one.
    pub fn asked(&self, id: &ExceptionId) -> Option<&ApprovalId> {
        self.0.as_ref()?.asked.get(id).map(|asked| &asked.approval)
    }

    /// The static secret that an approval would close.
    pub fn asked_by(&self, approval: &ApprovalId) -> Option<&ExceptionId> {
        let mut asked = self.0.as_ref()?.asked.iter();
        asked.find(|(_, asked)| asked.approval == *approval).map(|(id, _)| id)
    }

    /// How often the end of one was moved to a later day.
    pub fn extended(&self, id: &ExceptionId) -> u32 {
        self.0.as_ref().and_then(|known| known.extended.get(id).copied()).unwrap_or_default()
    }

    /// What is known of all of them, for the facts of a state.
    pub fn facts(&self) -> serde_json::Value {
        let Some(known) = &self.0 else { return serde_json::Value::Null };
        let asked = known.asked.iter().map(|(id, one)| (id, (&one.approval, &one.by, &one.evidence)));
        let closed = known.closed.iter().map(|(id, one)| (id, (&one.secret, &one.by, &one.evidence, one.at, one.has_left)));
        let (asked, closed): (BTreeMap<_, _>, BTreeMap<_, _>) = (asked.collect(), closed.collect());
        serde_json::json!({"asked": asked, "closed": closed, "extended": known.extended})
    }

    /// Notes that somebody says of one that it lives no more. Returns the approval in whose place the new one comes.
    pub(super) fn ask(&mut self, id: &ExceptionId, approval: &ApprovalId, by: &Actor, evidence: &Text) -> Option<ApprovalId> {
        let asked = Asked { approval: approval.clone(), by: by.clone(), evidence: evidence.clone() };
        self.known().asked.insert(id.clone(), asked).map(|earlier| earlier.approval)
    }

    /// Closes one. Returns the approval that waited for it.
    pub(super) fn close(&mut self, id: &ExceptionId, secret: StaticSecret, at: Timestamp) -> Option<ApprovalId> {
        let known = self.known();
        let Asked { approval, by, evidence } = known.asked.remove(id)?;
        known.closed.insert(id.clone(), Closed { secret, by, evidence, at, has_left: false });
        Some(approval)
    }

    fn known(&mut self) -> &mut Known {
        self.0.get_or_insert_with(Box::default)
    }

    /// Whether one of a record is closed: what people closed is this line of it, and no other under the same name.
    pub fn is_closed(&self, id: &ExceptionId, secret: &StaticSecret) -> bool {
        let is_same = |closed: &StaticSecret| {
            closed.control == secret.control && closed.ends == secret.ends && closed.on_past_due == secret.on_past_due
        };
        self.closed(id).is_some_and(|closed| !closed.has_left && is_same(&closed.secret))
    }

    pub(super) fn came_into_force(&mut self, old: Option<&Integration>, new: &Integration) {
        let name = |secret: &StaticSecret| ExceptionId::of(&new.id, &secret.what);
        for secret in &new.exceptions {
            let before = old.and_then(|old| old.exceptions.iter().find(|one| one.what == secret.what));
            if before.is_some_and(|before| before.ends < secret.ends) {
                *self.known().extended.entry(name(secret)).or_default() += 1;
            }
        }
        let Some(known) = &mut self.0 else { return };
        let named: BTreeSet<ExceptionId> = new.exceptions.iter().map(name).collect();
        known.closed.iter_mut().for_each(|(id, closed)| closed.has_left |= !named.contains(id));
        let still = |id: &ExceptionId, exceptions: &Exceptions| {
            new.exceptions.iter().filter(|one| name(one) == *id).all(|one| exceptions.is_closed(id, one))
        };
        let reopened: Vec<ExceptionId> = named.iter().filter(|id| !still(id, self)).cloned().collect();
        let Some(known) = &mut self.0 else { return };
        reopened.iter().for_each(|id| drop(known.closed.remove(id)));
    }
}
