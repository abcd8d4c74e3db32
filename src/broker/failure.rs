//! What every operation can answer when it does not do what was asked.

use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::state::taken::Conflict;
use crate::domain::value::clock::Seconds;
use crate::journal::Unavailable;

/// Why an operation of people did not happen.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule forbids it.
    Refused(&'static Reason),
    /// What it is for is stopped (`domain/decision/stopped.rs`), and is given nothing more.
    Stopped(&'static Reason),
    /// The content has these faults.
    Faults(Vec<Fault>),
    /// The state forbids it, for these faults.
    Collides(Vec<Fault>),
}

/// A fault of what was sent, as the admin API lists it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Where.
    pub at: String,
    /// Why.
    pub reason: &'static Reason,
    /// What exactly.
    pub message: String,
}

/// Why a workload gets nothing.
#[derive(Debug)]
pub struct Denied {
    /// The refusal.
    pub refused: Refused,
    /// When to try again, where that helps.
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

/// Lists the conflicts of a stored version as faults.
pub(super) fn collisions(subject: &str, conflicts: Vec<Conflict>) -> Vec<Fault> {
    let fault = |Conflict { at, reason, message, stands: _ }| Fault { at: format!("{subject} {at}"), reason, message };
    conflicts.into_iter().map(fault).collect()
}

/// Refuses because a store that is needed does not answer. Nothing was done or spent.
pub(crate) fn away() -> Refused {
    busy(&reason::STORE_UNAVAILABLE)
}

/// Refuses for a cause of ours.
pub(crate) fn busy(reason: &'static Reason) -> Refused {
    Refused::unknown(reason)
}
