//! The faults of guardrails in a file of records, with their lines.
//!
//! Enter through [`faults`]. A guardrail that names nothing known would never forbid, so it is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::compiled::{Entity, Named, compile};
use crate::domain::decision::target::{BUILT_IN_API, BUILT_IN_SCOPES};
use crate::domain::reason::{self, Reason};
use crate::domain::record::{Fault, Located, Position, Record, Severity};
use crate::domain::registry::guardrail::Guardrail;

/// The faults of the guardrails of `records`.
///
/// What they name must be among these records, or known to `knows`.
pub fn faults(records: &[Located], knows: &dyn Fn(Entity, &str) -> bool) -> Vec<Fault> {
    let beside = Beside::of(records);
    let knows = |named: &Named| beside.knows(named.entity, &named.name) || knows(named.entity, &named.name);
    let mut found = Vec::new();
    for located in records {
        let Record::Guardrail(guardrail) = &located.record else { continue };
        found.extend(of_one(located, guardrail, &knows));
    }
    found
}

fn of_one(located: &Located, guardrail: &Guardrail, knows: &dyn Fn(&Named) -> bool) -> Vec<Fault> {
    let fault = |line: u32, reason: &'static Reason, message: String| {
        let Position { line: first, column } = located.position("cedar[text]");
        let (file, at) = (located.file.clone(), "cedar".to_owned());
        let line = first.saturating_add(line.saturating_sub(1));
        Fault { file, line, column, at, reason, message, severity: Severity::Error }
    };
    match compile(guardrail) {
        Err(flaws) => flaws.into_iter().map(|flaw| fault(flaw.line, &reason::GUARDRAIL_INVALID, flaw.message)).collect(),
        Ok(compiled) => {
            let unknown = compiled.named.iter().filter(|named| !knows(named));
            let say = |named: &Named| {
                let name: String = named.name.chars().filter(|c| !c.is_control()).take(100).collect();
                let message = format!("there is no {} {name:?}, so this would never forbid anything", named.entity.name());
                fault(named.line, &reason::RECORD_UNKNOWN_REFERENCE, message)
            };
            unknown.map(say).collect()
        }
    }
}

/// The names of the records of one file.
struct Beside {
    partners: BTreeSet<String>,
    integrations: BTreeSet<String>,
    scopes: BTreeMap<String, BTreeSet<String>>,
}

impl Beside {
    fn of(records: &[Located]) -> Self {
        let mut beside = Self { partners: BTreeSet::new(), integrations: BTreeSet::new(), scopes: BTreeMap::new() };
        for located in records {
            match &located.record {
                Record::Api(api) => {
                    let scopes = api.scopes.keys().map(ToString::to_string).collect();
                    beside.scopes.insert(api.name.to_string(), scopes);
                }
                Record::Guardrail(_) => {}
                Record::Integration(integration) => drop(beside.integrations.insert(integration.id.to_string())),
                Record::Partner(partner) => drop(beside.partners.insert(partner.name.to_string())),
            }
        }
        let built_in = BUILT_IN_SCOPES.into_iter().map(str::to_owned).collect();
        beside.scopes.insert(BUILT_IN_API.to_owned(), built_in);
        beside
    }

    fn knows(&self, entity: Entity, name: &str) -> bool {
        match entity {
            Entity::Partner => self.partners.contains(name),
            Entity::Integration => self.integrations.contains(name),
            Entity::Api => self.scopes.contains_key(name),
            Entity::Scope => {
                let parts = name.split_once('/');
                parts.is_some_and(|(api, scope)| self.scopes.get(api).is_some_and(|scopes| scopes.contains(scope)))
            }
        }
    }
}
