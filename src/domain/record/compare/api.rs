//! Differences of APIs.
//!
//! A change of audience, callers, token, approval or a scope's risk widens every integration that uses the API, whichever way
//! it goes (docs/reference/records.md).

use litemap::LiteMap;

use super::difference::Weight;
use super::found::{Found, both, by_name, compare_managed, shown_text, union};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::api::{Api, ScopeEntry, TokenForm};
use crate::domain::registry::binding::Binding;
use crate::domain::value::names::EnvironmentName;

pub(super) fn introduce(new: &Api, found: &mut Found) {
    found.push("owner", None, Some(shown_text(&new.owner)), Weight::Widens);
    for (environment, audience) in &new.audience {
        found.push(format!("audience.{environment}"), None, Some(audience.to_string()), Weight::Widens);
    }
    for (scope, entry) in &new.scopes {
        found.push(format!("scopes.{scope}"), None, Some(word(entry.risk)), Weight::Widens);
    }
    compare_callers(&LiteMap::new(), &new.callers, found);
}

pub(super) fn compare(old: &Api, new: &Api, found: &mut Found) {
    both!(Api { owner, audience, token, scopes, callers, approval, managed_by; name } = (old, new));
    compare_managed(managed_by, found);
    found.text("owner", owner, Weight::Widens);
    for environment in union(audience.0.keys(), audience.1.keys()) {
        let (from, to) = (audience.0.get(environment), audience.1.get(environment));
        if from != to {
            let at = format!("audience.{environment}");
            found.push(at, from.map(ToString::to_string), to.map(ToString::to_string), Weight::Widens);
        }
    }
    found.value("token", token, shown, Weight::Widens);
    found.value("approval", approval, |approval| word(approval), Weight::Widens);
    for scope in union(scopes.0.keys(), scopes.1.keys()) {
        let at = format!("scopes.{scope}");
        match (scopes.0.get(scope), scopes.1.get(scope)) {
            (Some(old), Some(new)) => {
                both!(ScopeEntry { meaning, risk } = (old, new));
                found.value(format!("{at}.risk"), risk, |risk| word(risk), Weight::Widens);
                // Approvers decide by the meaning: another meaning is another right.
                found.value(format!("{at}.meaning"), meaning, Clone::clone, Weight::Widens);
            }
            (Some(old), None) => found.push(at, Some(word(old.risk)), None, Weight::Narrows),
            (None, Some(new)) => found.push(at, None, Some(word(new.risk)), Weight::Widens),
            (None, None) => {}
        }
    }
    compare_callers(callers.0, callers.1, found);
}

type Callers = LiteMap<EnvironmentName, Vec<Binding>>;

fn compare_callers(old: &Callers, new: &Callers, found: &mut Found) {
    for environment in union(old.keys(), new.keys()) {
        let (old, new) = (old.get(environment).map_or(&[][..], |list| list), new.get(environment).map_or(&[][..], |list| list));
        let (old, new) = (by_name(old), by_name(new));
        for name in union(old.keys(), new.keys()) {
            let (from, to) = (old.get(*name), new.get(*name));
            if from != to {
                let show = |binding: Option<&&Binding>| binding.map(|binding| super::binding::shown(binding));
                found.push(format!("callers.{environment}.{name}"), show(from), show(to), Weight::Widens);
            }
        }
    }
}

fn shown(form: &TokenForm) -> String {
    let TokenForm { profile, alg, ttl, require_bound } = form;
    let bound = if *require_bound { ", bound" } else { "" };
    format!("{}, {alg}, {ttl}{bound}", word(profile))
}
