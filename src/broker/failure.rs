//! Failures that every operation can return.

use super::replayed::Replayed;
use crate::domain::decision::longest::TooLong;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::state::taken::Conflict;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::IntegrationId;
use crate::journal::Unavailable;

/// The failure of an operation that a person asked for.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule forbids it.
    Refused(&'static Reason),
    /// The target is in a state that does not allow it. The sentence names that state, and the one that would.
    State(String),
    /// Its target is stopped (`domain/decision/stopped.rs`), and is given nothing more.
    Stopped(&'static Reason),
    /// The content has these faults.
    Faults(Vec<Fault>),
    /// The state forbids it, for these faults.
    Collides(Vec<Fault>),
    /// Guardrails would have refused these tokens, and the request does not say so.
    Refuses(Box<Replayed>),
}

/// A fault in the content of a request, as the admin API lists it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its place in the content.
    pub at: String,
    /// The reason.
    pub reason: &'static Reason,
    /// The details.
    pub message: String,
}

impl Fault {
    /// Something in a request that is not what was expected there.
    pub fn invalid(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), reason: &reason::REQUEST_INVALID, message: message.into() }
    }
}

/// The denial of a workload's request.
#[derive(Debug)]
pub struct Denied {
    /// The refusal.
    pub refused: Refused,
    /// When to try again, if that helps.
    pub retry_after: Option<Seconds>,
}

impl From<&'static Reason> for Failure {
    fn from(reason: &'static Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<Unavailable> for Failure {
    fn from(fault: Unavailable) -> Self {
        Self::Refused(fault.reason())
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied.refused.reason)
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        Self { refused, retry_after: None }
    }
}

/// Fails for the faults of records.
pub(super) fn failed(faults: Vec<crate::domain::record::Fault>) -> Failure {
    let fault = |fault: crate::domain::record::Fault| Fault {
        at: format!("{}:{} {}", fault.file, fault.line, fault.at),
        reason: fault.reason,
        message: fault.message,
    };
    Failure::Faults(faults.into_iter().map(fault).collect())
}

/// Lists the conflicts of a stored version as faults.
pub(super) fn collisions(subject: &str, conflicts: Vec<Conflict>) -> Vec<Fault> {
    let fault = |Conflict { at, reason, message, stands: _ }| Fault { at: format!("{subject} {at}"), reason, message };
    conflicts.into_iter().map(fault).collect()
}

/// Lists the terms of a stored version that are too long as faults.
pub(super) fn beyond(subject: &IntegrationId, terms: Vec<TooLong>) -> Vec<Fault> {
    let fault = |TooLong { at, message }| Fault { at: format!("{subject} {at}"), reason: &reason::LIMIT_TOO_LONG, message };
    terms.into_iter().map(fault).collect()
}

/// Refuses because a store that is needed does not answer.
pub(crate) fn away() -> Refused {
    busy(&reason::STORE_UNAVAILABLE)
}

/// Refuses for a cause on our side.
pub(crate) fn busy(reason: &'static Reason) -> Refused {
    Refused::unknown(reason)
}
