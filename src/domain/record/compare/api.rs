//! Differences of APIs. A change of audience, callers, token, approval or a scope's risk widens every integration that uses the
//! API, whichever way it goes (docs/reference/records.md).

use std::collections::BTreeMap;

use super::access::by_name;
use super::{Found, Weight, shown_text};
use crate::domain::registry::api::{Api, Approval, Profile, Risk, TokenForm};
use crate::domain::registry::binding::Binding;
use crate::domain::value::names::EnvironmentName;

pub(super) fn introduce(new: &Api, found: &mut Found) {
    found.push("owner", None, Some(shown_text(&new.owner)), Weight::Widens);
    for (environment, audience) in &new.audience {
        found.push(format!("audience.{environment}"), None, Some(audience.to_string()), Weight::Widens);
    }
    for (scope, entry) in &new.scopes {
        found.push(format!("scopes.{scope}"), None, Some(risk(entry.risk).to_owned()), Weight::Widens);
    }
    callers(&BTreeMap::new(), &new.callers, found);
}

pub(super) fn compare(old: &Api, new: &Api, found: &mut Found) {
    found.text("owner", (&old.owner, &new.owner), Weight::Widens);
    for environment in union(&old.audience, &new.audience) {
        let (from, to) = (old.audience.get(environment), new.audience.get(environment));
        if from != to {
            let at = format!("audience.{environment}");
            found.push(at, from.map(ToString::to_string), to.map(ToString::to_string), Weight::Widens);
        }
    }
    found.value("token", (&old.token, &new.token), token, Weight::Widens);
    found.value("approval", (&old.approval, &new.approval), |value| approval(*value).to_owned(), Weight::Widens);
    for scope in union(&old.scopes, &new.scopes) {
        let at = format!("scopes.{scope}");
        match (old.scopes.get(scope), new.scopes.get(scope)) {
            (Some(old), Some(new)) => {
                found.value(format!("{at}.risk"), (&old.risk, &new.risk), |value| risk(*value).to_owned(), Weight::Widens);
                // Approvers decide by the meaning: another meaning is another right.
                found.value(format!("{at}.meaning"), (&old.meaning, &new.meaning), Clone::clone, Weight::Widens);
            }
            (Some(old), None) => found.push(at, Some(risk(old.risk).to_owned()), None, Weight::Narrows),
            (None, Some(new)) => found.push(at, None, Some(risk(new.risk).to_owned()), Weight::Widens),
            (None, None) => {}
        }
    }
    callers(&old.callers, &new.callers, found);
}

type Callers = BTreeMap<EnvironmentName, Vec<Binding>>;

fn callers(old: &Callers, new: &Callers, found: &mut Found) {
    for environment in union(old, new) {
        let (old, new) = (old.get(environment).map_or(&[][..], |list| list), new.get(environment).map_or(&[][..], |list| list));
        let (old, new) = (by_name(old), by_name(new));
        for name in union(&old, &new) {
            let (from, to) = (old.get(*name), new.get(*name));
            if from != to {
                let show = |binding: Option<&&Binding>| binding.map(|binding| super::binding::shown(binding));
                found.push(format!("callers.{environment}.{name}"), show(from), show(to), Weight::Widens);
            }
        }
    }
}

/// The keys of both maps, each once, in order.
pub(super) fn union<'a, K: Ord, V, W>(old: &'a BTreeMap<K, V>, new: &'a BTreeMap<K, W>) -> std::collections::BTreeSet<&'a K> {
    old.keys().chain(new.keys()).collect()
}

fn token(form: &TokenForm) -> String {
    let profile = match form.profile {
        Profile::Compat => "compat",
        Profile::Rfc9068 => "rfc9068",
    };
    let bound = if form.require_bound { ", bound" } else { "" };
    format!("{profile}, {}, {}{bound}", form.alg, form.ttl)
}

fn approval(approval: Approval) -> &'static str {
    match approval {
        Approval::Plain => "plain",
        Approval::Signed => "signed",
    }
}

fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}
