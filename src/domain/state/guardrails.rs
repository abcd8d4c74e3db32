//! Folds changes of guardrails.

use super::State;
use super::effects::{Effects, Entered};
use super::opening::Opening;
use super::versions::{hold, promote, version};
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::registry::guardrail::Mode;

impl State {
    pub(super) fn apply_guardrail(&mut self, entry: Entered<'_>, change: &GuardrailChange) -> Effects {
        let name = change.guardrail();
        match change {
            GuardrailChange::Submitted { record, approval, refuses: _, unknown: _ } => {
                let one = self.guardrails.at(name);
                let earlier = one.take_waiting();
                one.held = Some(hold(record.as_ref().clone(), entry, approval));
                self.open(entry.at, earlier, Opening::of_version(approval));
            }
            GuardrailChange::Approved { guardrail: _, version } => {
                let set = self.guardrails.digest();
                let one = self.guardrails.at(name);
                let before = one.current.clone();
                let promoted = promote(&mut one.held, &mut one.current, version);
                if promoted.is_some() {
                    (one.enforced, one.begun) = (None, None);
                }
                self.guardrails.seal();
                self.enforced(entry, name, (before.as_ref(), set));
                self.list_granted(promoted.flatten().as_ref());
            }
            GuardrailChange::Applied { record, refuses: _, unknown: _, reason } => {
                let set = self.guardrails.digest();
                let one = self.guardrails.at(name);
                let before = one.current.clone();
                let earlier = one.take_waiting();
                let applied = version(record.as_ref().clone(), entry, reason.as_ref());
                // The version in force again: only what waited is withdrawn, and nobody enforced anything.
                if one.current.as_ref().is_none_or(|current| current.version != applied.version) {
                    let enforces = record.mode == Mode::Enforce;
                    // The day to put it back begins once: who puts it back and enforces it again has no longer.
                    let same = one.current.as_ref().is_some_and(|was| was.record.is_same_text(record));
                    one.begun = one.begun.filter(|_| same).or(enforces.then_some(entry.at));
                    let by = entry.by.person().filter(|_| enforces);
                    one.enforced = by.map(|person| (person.clone(), entry.at));
                    one.current = Some(applied);
                }
                self.guardrails.seal();
                self.enforced(entry, name, (before.as_ref(), set));
                self.withdraw(entry.at, earlier);
            }
            GuardrailChange::RemovalAsked { guardrail: _, reason, approval } => {
                let one = self.guardrails.at(name);
                let earlier = one.take_waiting();
                one.removal = Some(approval.id.clone());
                self.open(entry.at, earlier, Opening { approval, reason: Some(reason), lifts: Vec::new() });
            }
            GuardrailChange::Removed { .. } => {
                let asked = self.guardrails.all.remove(name).and_then(|mut one| one.take_waiting());
                self.guardrails.seal();
                self.list_granted(asked.as_ref());
            }
        }
        Effects::judged()
    }
}
