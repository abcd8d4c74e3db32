//! A compiled set of guardrails, and the answers that it keeps.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy::Entities;

use super::compiled::Compiled;
use super::evaluation::{Group, Ungrouped};
use super::question::{self, Unaskable};
use crate::domain::credential::possession::Possession;
use crate::domain::decision::guard::{Asked, Forbidden, Forbidding, Guard, Judgement, Source};
use crate::domain::decision::guard_check::FreeValues;
use crate::domain::decision::way::Way;
use crate::domain::registry::guardrail::Mode;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{BindingName, EnvironmentName, GuardrailName};
use crate::domain::value::scope::Scope;

/// The most answers that are kept. Beyond it all are forgotten: nothing but time depends on them.
const MOST_KEPT: usize = 20_000;

/// A set of guardrails that can be asked.
pub struct Set {
    digest: Option<Digest>,
    enforced: Groups,
    shadow: Groups,
    free: FreeValues,
    kept: RwLock<HashMap<Key, Arc<Kept>>>,
}

/// Guardrails of one mode, by what they read.
struct Groups {
    /// Neither the address nor the time.
    fixed: Group,
    /// The time, and not the address.
    timed: Group,
    /// The address.
    sourced: Group,
}

/// All that an answer depends on, for guardrails that read neither address nor time.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    record: Digest,
    /// `None` of the built-in API.
    api: Option<Digest>,
    environment: EnvironmentName,
    scope: Scope,
    binding: BindingName,
    way: Way,
    possession: Possession,
    verified: bool,
}

/// An answer that is kept.
struct Kept {
    forbidden: Option<Arc<Forbidden>>,
    shadow: Vec<GuardrailName>,
    /// For the guardrails that are asked each time.
    entities: Result<Entities, Unaskable>,
}

impl Set {
    /// Makes the set that `digest` names.
    ///
    /// `None` if the guardrails cannot stand in one set.
    pub fn of(digest: Option<Digest>, guardrails: &[Arc<Compiled>]) -> Option<Self> {
        let mut free = FreeValues::default();
        guardrails.iter().for_each(|one| free.join(&one.free));
        let groups = |mode: Mode| Groups::of(guardrails, mode).ok();
        let (enforced, shadow) = (groups(Mode::Enforce)?, groups(Mode::Shadow)?);
        Some(Self { digest, enforced, shadow, free, kept: RwLock::default() })
    }

    /// What its guardrails read, and their constants.
    pub fn free_values(&self) -> &FreeValues {
        &self.free
    }

    /// The answer of the guardrails that read neither address nor time.
    fn fixed(&self, asked: &Asked<'_>) -> Arc<Kept> {
        let key = Key {
            record: asked.version,
            api: asked.api_version,
            environment: asked.environment.clone(),
            scope: asked.scope.clone(),
            binding: asked.binding.name.clone(),
            way: asked.way,
            possession: asked.possession,
            verified: asked.verified,
        };
        if let Some(kept) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(kept);
        }
        let made = Arc::new(self.ask_fixed(asked));
        let mut all = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_KEPT {
            all.clear();
        }
        all.insert(key, Arc::clone(&made));
        made
    }

    fn ask_fixed(&self, asked: &Asked<'_>) -> Kept {
        let (request, entities) = (question::request(asked, false), question::entities(asked));
        let refusing = |group: &Group| match (&request, &entities) {
            (Ok(request), Ok(entities)) => group.refusing(Ok((request, entities))),
            (Err(fault), _) | (_, Err(fault)) => group.refusing(Err(fault.clone())),
        };
        let forbidden = Forbidden::of(refusing(&self.enforced.fixed)).map(Arc::new);
        let shadow = names(refusing(&self.shadow.fixed));
        Kept { forbidden, shadow, entities }
    }
}

impl Guard for Set {
    fn digest(&self) -> Option<Digest> {
        self.digest
    }

    fn judge(&self, asked: &Asked<'_>) -> Judgement {
        let kept = self.fixed(asked);
        if [&self.enforced, &self.shadow].into_iter().all(|groups| groups.timed.is_empty() && groups.sourced.is_empty()) {
            return Judgement { forbidden: kept.forbidden.clone(), shadow: kept.shadow.clone() };
        }
        let request = question::request(asked, true);
        let refusing = |groups: &Groups| {
            let ask = |group: &Group| match (&request, &kept.entities) {
                (Ok(request), Ok(entities)) => group.refusing(Ok((request, entities))),
                (Err(fault), _) | (_, Err(fault)) => group.refusing(Err(fault.clone())),
            };
            let mut refusing = ask(&groups.timed);
            if asked.source != Source::Supposed {
                refusing.extend(ask(&groups.sourced));
            }
            refusing
        };
        let mut forbidding = refusing(&self.enforced);
        let forbidden = if forbidding.is_empty() {
            kept.forbidden.clone()
        } else {
            forbidding.extend(kept.forbidden.iter().flat_map(|known| known.by().cloned()));
            Forbidden::of(forbidding).map(Arc::new)
        };
        let shadow = kept.shadow.iter().cloned().chain(names(refusing(&self.shadow))).collect();
        Judgement { forbidden, shadow }
    }
}

fn names(refusing: Vec<Forbidding>) -> Vec<GuardrailName> {
    refusing.into_iter().map(|one| one.guardrail).collect()
}

impl Groups {
    fn of(guardrails: &[Arc<Compiled>], mode: Mode) -> Result<Self, Ungrouped> {
        let of_mode = || guardrails.iter().map(|one| &**one).filter(move |one| one.mode == mode);
        Ok(Self {
            fixed: Group::of(of_mode().filter(|one| !one.free.reads_source && !one.free.reads_clock()))?,
            timed: Group::of(of_mode().filter(|one| !one.free.reads_source && one.free.reads_clock()))?,
            sourced: Group::of(of_mode().filter(|one| one.free.reads_source))?,
        })
    }
}
