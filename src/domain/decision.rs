//! The tree of a decision: each check with what was wanted and what was seen, so that a refusal explains itself.
//!
//! A decision is pure, so it is taken without a tree first and taken again with one where somebody wants to read it.

use serde::{Deserialize, Serialize};

use super::names::ClientId;
use super::reason::{Reason, ReasonCode};

/// One check of a decision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which check, such as `contract.ends` or `claim.repository_id`.
    pub check: String,
    /// What the record, catalogue or configuration wants.
    pub want: String,
    /// What was seen: the caller's own claims and request, and the time.
    pub seen: String,
    /// Whether it held.
    pub holds: bool,
}

/// A refusal: why, of whom, after which checks.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub reason: &'static Reason,
    /// The caller, once it is known: its proof verified and met the conditions that name the partner (CONTRACT.md section 5).
    pub known: Option<ClientId>,
    /// The checks.
    pub tree: Vec<Step>,
}

impl Refused {
    /// A refusal of a caller who is not known.
    pub fn unknown(reason: &'static Reason) -> Self {
        Self { reason, known: None, tree: Vec::new() }
    }

    /// The check that failed, as `check: wanted …, seen …`.
    pub fn detail(&self) -> Option<String> {
        let step = self.tree.iter().find(|step| !step.holds)?;
        Some(format!("{}: wanted {}, seen {}", step.check, step.want, step.seen))
    }
}

/// The serialised form of a refusal's cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// Why.
    pub reason: ReasonCode,
    /// The checks.
    pub tree: Vec<Step>,
}

/// Collects the steps of a decision, or nothing.
#[derive(Debug, Default)]
pub struct Trace {
    steps: Option<Vec<Step>>,
}

impl Trace {
    /// Collects nothing: the hot path.
    pub fn off() -> Self {
        Self { steps: None }
    }

    /// Collects every step.
    pub fn on() -> Self {
        Self { steps: Some(Vec::new()) }
    }

    /// Notes a check; `texts` gives (want, seen) and is called only when somebody reads the tree. Returns `holds`.
    pub fn check(&mut self, check: &str, holds: bool, texts: impl FnOnce() -> (String, String)) -> bool {
        if let Some(steps) = &mut self.steps {
            let (want, seen) = texts();
            steps.push(Step { check: check.to_owned(), want, seen, holds });
        }
        holds
    }

    /// The steps so far.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }
}
