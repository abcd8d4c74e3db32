//! The tree of a decision: each check with the value it wanted and the value it saw.
//!
//! A refusal explains itself by it. A decision is pure, so it is taken without a tree first and taken again with one where
//! somebody wants to read it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Reason, ReasonCode};
use crate::domain::value::names::ClientId;

/// One check of a decision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The check, such as `contract.ends` or `claim.repository_id`.
    pub check: String,
    /// The value that the record, catalogue or configuration wants.
    pub want: String,
    /// The value that was seen, in words that are true whether or not the check holds.
    ///
    /// It is taken from the caller's own claims and request, the registry, or the time.
    pub seen: String,
    /// Whether it held.
    pub holds: bool,
}

/// A refusal: why, of whom, after which checks.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub reason: &'static Reason,
    /// The caller, once it is known.
    ///
    /// Its proof verified and met the conditions that name the partner (docs/reference/http.md#refusals).
    pub known: Option<ClientId>,
    /// The checks.
    pub tree: Vec<Step>,
}

/// Steps of a tree that is kept, and characters of each text.
const STEPS: usize = 48;
const TEXT: usize = 256;

impl Refused {
    /// A refusal of a caller who is not known.
    pub fn unknown(reason: &'static Reason) -> Self {
        Self { reason, known: None, tree: Vec::new() }
    }

    /// The same refusal with a tree of bounded size, to be kept.
    ///
    /// Part of the tree is the caller's own words, and a store of many refusals must not be filled by them (ABUSE D-22).
    pub fn bounded(mut self) -> Self {
        let tree = &mut self.tree;
        // The check that failed comes last; what is cut is in the middle of a long list.
        if tree.len() > STEPS {
            tree.drain(STEPS / 2..tree.len() - STEPS / 2);
        }
        for Step { check, want, seen, .. } in tree {
            for text in [check, want, seen] {
                if let Some((at, _)) = text.char_indices().nth(TEXT) {
                    text.truncate(at);
                    text.push('…');
                }
            }
        }
        self
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

/// Collects the steps of a decision, or its causes, or nothing.
#[derive(Debug, Default)]
pub struct Trace {
    steps: Option<Vec<Step>>,
    causes: Option<Vec<&'static Reason>>,
}

impl Trace {
    /// Collects nothing: the hot path.
    pub fn off() -> Self {
        Self { steps: None, causes: None }
    }

    /// Collects every step.
    pub fn on() -> Self {
        Self { steps: Some(Vec::new()), causes: None }
    }

    /// Goes on after a check that fails, and collects the reason of each: what refuses all at once.
    pub(in crate::domain) fn survey() -> Self {
        Self { steps: None, causes: Some(Vec::new()) }
    }

    /// Notes a check and ends the decision where it fails; a survey goes on.
    pub fn ensure(
        &mut self,
        check: impl fmt::Display,
        holds: bool,
        otherwise: &'static Reason,
        texts: impl FnOnce() -> (String, String),
    ) -> Result<(), &'static Reason> {
        if self.check(check, holds, texts) {
            return Ok(());
        }
        match &mut self.causes {
            None => Err(otherwise),
            Some(causes) => {
                causes.push(otherwise);
                Ok(())
            }
        }
    }

    /// Notes a check and returns `holds`; `texts` gives (want, seen) where somebody reads the tree.
    ///
    /// The seen value is shown for a check that holds, too: so `seen` is read from the value that was judged, and is never a
    /// word for the failure alone.
    pub fn check(&mut self, check: impl fmt::Display, holds: bool, texts: impl FnOnce() -> (String, String)) -> bool {
        if let Some(steps) = &mut self.steps {
            let (want, seen) = texts();
            steps.push(Step { check: check.to_string(), want, seen, holds });
        }
        holds
    }

    /// The reasons of the checks of a survey that failed, in the order of the decision.
    pub(in crate::domain) fn into_causes(self) -> Vec<&'static Reason> {
        self.causes.unwrap_or_default()
    }

    /// The steps so far.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason;

    #[test]
    fn d_22_a_tree_that_is_kept_is_bounded_in_steps_and_characters() {
        let step = |n: usize| Step { check: format!("c{n}"), want: "ä".repeat(1000), seen: String::new(), holds: false };
        let long = Refused { tree: (0..500).map(step).collect(), ..Refused::unknown(&reason::ASSERTION_EXPIRED) };
        let tree = long.bounded().tree;
        assert_eq!(tree.len(), STEPS);
        assert_eq!(tree.last().map(|step| step.check.as_str()), Some("c499"));
        assert!(tree.iter().all(|step| step.want.chars().count() == TEXT + 1));
    }
}
