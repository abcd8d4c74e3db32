//! The guards of the states that are looked at, each compiled once and before it is asked.
//!
//! To compile takes milliseconds, which no thread that serves has. So [`Guardrails::make`] compiles what a state needs, on a thread for such
//! work, and [`Guards::of`] only looks up. What is not there refuses. A state needs the guard of the guardrails in force, and those of the
//! earlier states that its narrowings ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::compiled::{Compiled, compile};
use super::set::Set;
use crate::domain::decision::guard::{Guard, Guards, NoGuardrails};
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::state::State;
use crate::domain::value::digest::Digest;

/// The sets that are kept beside those that the newest state needs: requests may still look at an earlier one.
const MOST_SETS: usize = 4;

/// Compiled guardrails, by their versions.
#[derive(Default)]
pub struct Guardrails {
    sets: RwLock<Vec<(Digest, Arc<dyn Guard>)>>,
    /// Each guardrail of the newest sets, so that a change of one compiles one.
    compiled: Mutex<HashMap<Digest, Arc<Compiled>>>,
}

impl Guards for Guardrails {
    fn of(&self, state: &State) -> Arc<dyn Guard> {
        let found = state.guardrails.digest().and_then(|digest| self.find(digest));
        found.unwrap_or_else(|| Arc::new(NoGuardrails))
    }
}

impl Guardrails {
    /// Whether a guard that decisions on `state` ask is still to be compiled.
    pub fn lacks(&self, state: &State) -> bool {
        needed(state).any(|(digest, _)| self.find(digest).is_none())
    }

    /// Compiles the guards that decisions on `state` ask.
    ///
    /// If a guardrail cannot be compiled, the guard is of no set, and every decision refuses.
    pub fn make(&self, state: &State) {
        // Whoever comes second finds the work done.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = HashMap::new();
        let mut made = Vec::new();
        for (digest, state) in needed(state) {
            let known = self.find(digest);
            made.push((digest, known.unwrap_or_else(|| make(digest, state, &mut compiled))));
            let versions = state.guardrails.in_force().map(|one| one.version);
            used.extend(versions.filter_map(|version| Some((version, Arc::clone(compiled.get(&version)?)))));
        }
        *compiled = used;
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let kept: Vec<_> = sets.drain(..).filter(|(known, _)| made.iter().all(|(digest, _)| digest != known)).collect();
        let beyond = kept.len().saturating_sub(MOST_SETS);
        sets.extend(kept.into_iter().skip(beyond).chain(made));
    }

    fn find(&self, digest: Digest) -> Option<Arc<dyn Guard>> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.iter().find(|(made, _)| *made == digest).map(|(_, guard)| Arc::clone(guard))
    }
}

/// The sets of guardrails that decisions on `state` ask, each with a state of it.
fn needed(state: &State) -> impl Iterator<Item = (Digest, &State)> {
    let in_force = state.guardrails.digest().map(|digest| (digest, state));
    let earlier = state.narrowings.sets().map(|(digest, then)| (digest, then.state()));
    in_force.into_iter().chain(earlier.filter(move |(digest, _)| Some(*digest) != state.guardrails.digest()))
}

fn make(digest: Digest, state: &State, compiled: &mut HashMap<Digest, Arc<Compiled>>) -> Arc<dyn Guard> {
    let mut all = Vec::new();
    for one in state.guardrails.in_force() {
        let made = match compiled.get(&one.version) {
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
    match Set::of(Some(digest), &all) {
        Some(set) => Arc::new(set),
        None => {
            tracing::error!("the guardrails in force cannot stand in one set: nothing is granted");
            Arc::new(NoGuardrails)
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
