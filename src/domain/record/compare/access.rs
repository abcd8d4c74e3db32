//! Differences of what an integration may do in one environment.

use std::collections::{BTreeMap, HashSet};

use super::api::union;
use super::{Found, Weight, binding, list};
use crate::domain::registry::binding::Binding;
use crate::domain::registry::integration::{Access, Approvers, Eligible, Require, Required, ScopeRule};
use crate::domain::value::effort::Effort;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName};
use crate::domain::value::network::Cidr;

pub(super) fn introduce(at: &str, new: &Access, found: &mut Found) {
    // An environment that nothing can enter yet is still one that somebody must have agreed to.
    found.push(at, None, Some(shown(new)), Weight::Widens);
    for binding in &new.bindings {
        found.push(format!("{at}.bindings.{}", binding.name), None, Some(binding::shown(binding)), Weight::Widens);
    }
    for (api, rules) in &new.scopes {
        for rule in rules {
            found.push(format!("{at}.scopes.{api}.{}", rule.scope), None, Some(list(&rule.allow, WHOLE)), Weight::Widens);
        }
    }
    for one in &new.elevation {
        found.push(format!("{at}.elevation.{}.{}", one.api, one.scope), None, Some(eligible(one)), Weight::Widens);
    }
}

/// In a few words.
pub(super) fn shown(access: &Access) -> String {
    let scopes: usize = access.scopes.values().map(Vec::len).sum();
    format!("{} bindings, {scopes} scopes, {} elevations", access.bindings.len(), access.elevation.len())
}

const WHOLE: &str = "the whole API";

pub(super) fn compare(at: &str, old: &Access, new: &Access, found: &mut Found) {
    bindings(&format!("{at}.bindings"), &old.bindings, &new.bindings, found);
    let require = |require: &Require| require.name().to_owned();
    found.ranked(format!("{at}.require"), (&old.require, &new.require), require, |old, new| new >= old);
    let (was, is) = (&old.limits, &new.limits);
    found.ceiling(format!("{at}.limits.ttl"), was.ttl.as_ref(), is.ttl.as_ref());
    let per_minute = |limits: &crate::domain::registry::integration::Limits| Some(limits.per_minute());
    found.ceiling(format!("{at}.limits.exchangesPerMinute"), per_minute(was).as_ref(), per_minute(is).as_ref());
    let networks = |list_of: &Vec<Cidr>| list(list_of, "anywhere");
    if !found.spend(was.source_cidrs.len().saturating_mul(is.source_cidrs.len())) {
        return;
    }
    found.ranked(format!("{at}.limits.sourceCidrs"), (&was.source_cidrs, &is.source_cidrs), networks, |old, new| {
        !new.is_empty() && (old.is_empty() || new.iter().all(|net| old.iter().any(|wide| net.is_within(wide))))
    });
    for api in union(&old.scopes, &new.scopes) {
        let none = Vec::new();
        let (was, is) = (old.scopes.get(api).unwrap_or(&none), new.scopes.get(api).unwrap_or(&none));
        let eligible: Vec<&Eligible> = new.elevation.iter().filter(|one| one.api == *api).collect();
        scopes(&format!("{at}.scopes.{api}"), (was, is), &eligible, found);
    }
    elevations(&format!("{at}.elevation"), &old.elevation, &new.elevation, found);
}

fn bindings(at: &str, old: &[Binding], new: &[Binding], found: &mut Found) {
    // All bindings of an environment together say what is taken, and how: a proof that one of them takes no longer may meet another.
    let meets = |lax: &Binding| Some(format!("its proofs may meet {}, which asks for less", lax.name));
    let (before, after) = (by_name(old), by_name(new));
    let rules = binding::Rules::of(new);
    for gone in old.iter().filter(|one| !after.contains_key(&one.name)) {
        let laxer = rules.laxer(gone, found);
        let weight = if laxer.is_some() { Weight::Widens } else { Weight::Narrows };
        found.push(format!("{at}.{}", gone.name), Some(binding::shown(gone)), laxer.and_then(meets), weight);
    }
    for one in new {
        let at = format!("{at}.{}", one.name);
        match before.get(&one.name).copied() {
            Some(was) => {
                binding::compare(&at, was, one, found);
                let laxer = if binding::takes_less(was, one) { rules.laxer(was, found) } else { None };
                if let Some(laxer) = laxer {
                    found.push(at, Some(binding::shown(was)), meets(laxer), Weight::Widens);
                }
            }
            None => found.push(at, None, Some(binding::shown(one)), Weight::Widens),
        }
    }
}

/// The bindings by their names; of two of one name the first.
pub(super) fn by_name(bindings: &[Binding]) -> BTreeMap<&BindingName, &Binding> {
    bindings.iter().rev().map(|binding| (&binding.name, binding)).collect()
}

fn scopes(at: &str, (old, new): (&[ScopeRule], &[ScopeRule]), eligible: &[&Eligible], found: &mut Found) {
    if !found.spend(old.len().saturating_mul(new.len().saturating_add(eligible.len()))) {
        return;
    }
    for gone in old.iter().filter(|one| !new.iter().any(|other| other.scope == one.scope)) {
        // A scope that stands in the contract is never elevated: without its rule the elevation's endpoints count.
        let elevated = eligible.iter().find(|one| one.scope == gone.scope);
        let wider = elevated.is_some_and(|one| !is_within(&gone.allow, &one.allow) && gone.allow != one.allow);
        let to = elevated.filter(|_| wider).map(|one| format!("by elevation: {}", list(&one.allow, WHOLE)));
        let weight = if wider { Weight::Widens } else { Weight::Narrows };
        found.push(format!("{at}.{}", gone.scope), Some(list(&gone.allow, WHOLE)), to, weight);
    }
    for one in new {
        let at = format!("{at}.{}", one.scope);
        match old.iter().find(|other| other.scope == one.scope) {
            Some(was) => allow(&at, &was.allow, &one.allow, found),
            None => found.push(at, None, Some(list(&one.allow, WHOLE)), Weight::Widens),
        }
    }
}

/// Endpoints: none means the whole API, so adding the first ones narrows and removing the last one widens.
fn allow(at: &str, old: &Vec<Endpoint>, new: &Vec<Endpoint>, found: &mut Found) {
    let shown = |endpoints: &Vec<Endpoint>| list(endpoints, WHOLE);
    found.ranked(format!("{at}.allow"), (old, new), shown, |old, new| is_within(old, new));
}

/// Whether the endpoints `new` are some, and among those that `old` allows.
fn is_within(old: &[Endpoint], new: &[Endpoint]) -> bool {
    let allowed: HashSet<&Endpoint> = old.iter().collect();
    !new.is_empty() && (old.is_empty() || new.iter().all(|endpoint| allowed.contains(endpoint)))
}

/// Whether `new` gives more in an environment than `old` did. Without `old` it does, and where `effort` does not suffice to tell.
pub fn widens_access(old: Option<&Access>, new: &Access, effort: &mut Effort) -> bool {
    let mut found = Found::with(*effort);
    match old {
        Some(old) => compare("environment", old, new, &mut found),
        None => introduce("environment", new, &mut found),
    }
    *effort = found.effort;
    found.widens()
}

/// Whether `new` gives more of one API than `old` did, at once or by an elevation. Without `old` it does, and where `effort` does not
/// suffice to tell.
pub fn widens_target(old: Option<&Access>, new: &Access, api: &ApiName, effort: &mut Effort) -> bool {
    let standing = |access: &Access| access.scopes.get(api).cloned().unwrap_or_default();
    let eligible = |access: &Access| access.elevation.iter().filter(|one| one.api == *api).cloned().collect::<Vec<_>>();
    let (was, is) = (old.map(standing).unwrap_or_default(), standing(new));
    let (was_eligible, is_eligible) = (old.map(eligible).unwrap_or_default(), eligible(new));
    let mut found = Found::with(*effort);
    scopes("scopes", (&was, &is), &is_eligible.iter().collect::<Vec<_>>(), &mut found);
    elevations("elevation", &was_eligible, &is_eligible, &mut found);
    *effort = found.effort;
    found.widens()
}

/// Whether the binding `new` takes more than `old` did. Without `old` it does, and where `effort` does not suffice to tell.
pub fn widens_binding(old: Option<&Binding>, new: &Binding, effort: &mut Effort) -> bool {
    let mut found = Found::with(*effort);
    let Some(old) = old else { return true };
    binding::compare("binding", old, new, &mut found);
    *effort = found.effort;
    found.widens()
}

/// Whether `new` lets more be had for a while than `old` did, or lets it be had more easily. Without `old` it does.
pub fn widens_elevation(old: Option<&Eligible>, new: &Eligible) -> bool {
    let mut found = Found::default();
    elevations("elevation", old.map_or(&[][..], std::slice::from_ref), std::slice::from_ref(new), &mut found);
    found.widens()
}

fn elevations(at: &str, old: &[Eligible], new: &[Eligible], found: &mut Found) {
    if !found.spend(old.len().saturating_mul(new.len())) {
        return;
    }
    let same = |a: &Eligible, b: &Eligible| a.api == b.api && a.scope == b.scope;
    for gone in old.iter().filter(|one| !new.iter().any(|other| same(one, other))) {
        found.push(format!("{at}.{}.{}", gone.api, gone.scope), Some(eligible(gone)), None, Weight::Narrows);
    }
    for one in new {
        let at = format!("{at}.{}.{}", one.api, one.scope);
        let Some(was) = old.iter().find(|other| same(one, other)) else {
            found.push(at, None, Some(eligible(one)), Weight::Widens);
            continue;
        };
        allow(&at, &was.allow, &one.allow, found);
        found.ceiling(format!("{at}.max"), Some(&was.max), Some(&one.max));
        // Two windows are not compared hour by hour: only a first one surely narrows.
        let window = |window: &Option<crate::domain::value::window::Window>| {
            window.as_ref().map_or_else(|| "any time".to_owned(), ToString::to_string)
        };
        found.ranked(format!("{at}.window"), (&was.window, &one.window), window, |old, _| old.is_none());
        found.ranked(format!("{at}.approvers"), (&was.approvers, &one.approvers), approvers, |old, new| {
            let fewer = new.fallback.is_none() || new.fallback == old.fallback;
            old.role == new.role && old.people == new.people && new.count >= old.count && fewer
        });
        let glass = |allowed: &bool| if *allowed { "may be broken" } else { "whole" }.to_owned();
        found.ranked(format!("{at}.breakGlass"), (&was.break_glass, &one.break_glass), glass, |old, _| *old);
        found.ranked(
            format!("{at}.require"),
            (&was.require, &one.require),
            |require| required(require),
            |old, new| old.iter().all(|required| new.contains(required)),
        );
    }
}

fn eligible(one: &Eligible) -> String {
    format!("{} for {}, by {}", list(&one.allow, WHOLE), one.max, approvers(&one.approvers))
}

fn approvers(approvers: &Approvers) -> String {
    let role = approvers.role.map(|role| format!("{role:?}").to_lowercase());
    let named: Vec<_> = role.into_iter().chain(approvers.people.iter().cloned()).collect();
    let stands_in = approvers
        .fallback
        .as_ref()
        .map(|fallback| format!(", after {} also {}", fallback.after, format!("{:?}", fallback.role).to_lowercase()));
    format!("{} of {}{}", approvers.count, list(&named, "nobody"), stands_in.unwrap_or_default())
}

fn required(require: &[Required]) -> String {
    let word = |required: &Required| match required {
        Required::Reason => "reason".to_owned(),
        Required::Ticket => "ticket".to_owned(),
        Required::OpenTicket => "open-ticket".to_owned(),
    };
    let words: Vec<_> = require.iter().map(word).collect();
    list(&words, "nothing")
}
