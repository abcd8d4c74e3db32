//! Differences of guardrails.
//!
//! A new one takes rights away, and so does enforcing one. Any other text may forbid less than the text that was approved, so it widens.

use super::difference::Weight;
use super::found::{Found, both, compare_managed};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::guardrail::{Guardrail, Mode};

pub(super) fn introduce(new: &Guardrail, found: &mut Found) {
    let weight = if new.mode == Mode::Enforce { Weight::Narrows } else { Weight::Neutral };
    found.push("mode", None, Some(word(new.mode)), weight);
    found.push("meaning", None, Some(new.meaning.clone()), weight);
}

pub(super) fn compare(old: &Guardrail, new: &Guardrail, found: &mut Found) {
    both!(Guardrail { meaning, mode, cedar, managed_by; name } = (old, new));
    compare_managed(managed_by, found);
    found.value("meaning", meaning, Clone::clone, Weight::Widens);
    found.ranked("mode", mode, |mode| word(mode), |_, new| *new == Mode::Enforce);
    found.value("cedar", cedar, Clone::clone, Weight::Widens);
}
