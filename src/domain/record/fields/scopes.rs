//! The scopes of one API, with the endpoints that each is good for.

use serde_json::Value as Json;

use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{self, Definitions, endpoint};
use crate::domain::record::form::field::{Or, Required};
use crate::domain::record::form::list::{Each, Set, some};
use crate::domain::record::form::map::{map, whole};
use crate::domain::record::form::scalar::{Parsed, parsed};
use crate::domain::record::read::place::Place;
use crate::domain::record::read::tree::Value;
use crate::domain::registry::integration::ScopeRule;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::scope::Scope;

map! {
    ScopeRule as "scopeRule" {
        scope: "scope" = Required(parsed(definitions::scope));
        allow: "allow" = Or(endpoints(), Vec::new());
    }
}

/// The operations of an API that a scope is good for.
pub(in crate::domain::record) fn endpoints() -> Set<Parsed<Endpoint>> {
    some(parsed(endpoint), "expected at least one endpoint; leave the key out for the whole API")
}

/// The scopes of one API, none twice.
pub(in crate::domain::record) struct ScopeRules;

impl Form for ScopeRules {
    type Value = Vec<ScopeRule>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<ScopeRule>> {
        let rules = Each(OneScope).read(place, faults)?;
        once(place, &rules, |rule| (&rule.scope, ()), faults).then_some(rules)
    }

    fn write(&self, rules: &Vec<ScopeRule>) -> Json {
        Each(OneScope).write(rules)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        Each(OneScope).schema(definitions)
    }
}

/// `orders:read`, or `{scope: orders:read, allow: […]}`.
struct OneScope;

impl Form for OneScope {
    type Value = ScopeRule;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<ScopeRule> {
        match place.node.value {
            Value::Scalar { .. } => Some(ScopeRule { scope: place.parse(faults)?, allow: Vec::new() }),
            Value::List(_) | Value::Map(_) => whole::<ScopeRule>().read(place, faults),
        }
    }

    fn write(&self, rule: &ScopeRule) -> Json {
        if rule.allow.is_empty() { serde_json::json!(rule.scope) } else { whole::<ScopeRule>().write(rule) }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        serde_json::json!({"anyOf": [definitions::scope(definitions), whole::<ScopeRule>().schema(definitions)]})
    }
}

/// Tells each scope that stands in a list twice: which of the two conditions should hold would be a guess.
pub(in crate::domain::record) fn once<'r, T, K: PartialEq>(
    place: &Place<'_>,
    rules: &'r [T],
    key: impl Fn(&'r T) -> (&'r Scope, K),
    faults: &mut Faults,
) -> bool {
    let mut fine = true;
    for (i, rule) in rules.iter().enumerate() {
        if rules.iter().take(i).any(|other| key(other) == key(rule)) {
            let message = format!("the scope {} stands here twice", key(rule).0);
            faults.error(&format!("{}[{i}]", place.at), &reason::RECORD_VALUE, message);
            fine = false;
        }
    }
    fine
}
