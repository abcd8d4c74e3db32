//! The guards of the states that are looked at, each compiled once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::compiled::{Compiled, compile};
use super::set::Set;
use crate::domain::decision::guard::{Guard, NoGuardrails};
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::state::State;
use crate::domain::value::digest::Digest;

/// The sets that are kept: that of the newest state, and those of requests that still look at an earlier one.
const MOST_SETS: usize = 4;

/// Compiled guardrails, by their versions.
#[derive(Default)]
pub struct Guardrails {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sets: Vec<(Digest, Arc<dyn Guard>)>,
    /// Each guardrail of the newest set, so that a change of one compiles one.
    compiled: HashMap<Digest, Arc<Compiled>>,
}

impl Guardrails {
    /// The guard of the guardrails in force in `state`.
    ///
    /// If one of them cannot be compiled, the guard is of no set, and every decision refuses.
    pub fn of(&self, state: &State) -> Arc<dyn Guard> {
        let Some(digest) = state.guardrails.digest() else { return Arc::new(NoGuardrails) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, guard)) = known.sets.iter().find(|(made, _)| *made == digest) {
            return Arc::clone(guard);
        }
        let guard = known.make(digest, state);
        if known.sets.len() >= MOST_SETS {
            known.sets.remove(0);
        }
        known.sets.push((digest, Arc::clone(&guard)));
        guard
    }
}

impl Known {
    fn make(&mut self, digest: Digest, state: &State) -> Arc<dyn Guard> {
        let mut compiled = HashMap::new();
        let mut all = Vec::new();
        for one in state.guardrails.in_force() {
            let made = match self.compiled.get(&one.version) {
                Some(made) => Arc::clone(made),
                None => match compile(&one.record) {
                    Ok(made) => Arc::new(made),
                    Err(flaws) => {
                        let flaw = flaws.first().map(|flaw| flaw.message.as_str()).unwrap_or_default();
                        tracing::error!(guardrail = %one.record.name, flaw, "a guardrail in force cannot be compiled: nothing is granted");
                        return Arc::new(NoGuardrails);
                    }
                },
            };
            compiled.insert(one.version, Arc::clone(&made));
            all.push(made);
        }
        self.compiled = compiled;
        match Set::of(Some(digest), &all) {
            Some(set) => Arc::new(set),
            None => {
                tracing::error!("the guardrails in force cannot stand in one set: nothing is granted");
                Arc::new(NoGuardrails)
            }
        }
    }
}

/// A set of these guardrails, under the digest that they have together.
///
/// `None` if one of them cannot be compiled.
pub fn set_of(guardrails: &[Guardrail]) -> Option<Set> {
    let compiled: Option<Vec<_>> = guardrails.iter().map(|one| compile(one).ok().map(Arc::new)).collect();
    let versions = guardrails.iter().map(|one| (&one.name, Digest::of_json(one)));
    Set::of(crate::domain::state::guardrail::digest(versions), &compiled?)
}
