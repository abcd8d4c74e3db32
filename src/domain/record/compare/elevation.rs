//! Differences of scopes that may be had for a while, and of the endpoints that a scope is good for.

use std::collections::HashSet;

use super::difference::Weight;
use super::found::{Found, both, list};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::integration::{Approvers, Eligible, Fallback, Required};
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::window::Window;

/// The reach of a scope without endpoints.
pub(super) const WHOLE: &str = "the whole API";

pub(super) fn compare_elevations(at: &str, old: &[Eligible], new: &[Eligible], found: &mut Found) {
    if !found.spend(old.len().saturating_mul(new.len())) {
        return;
    }
    let same = |a: &Eligible, b: &Eligible| a.api == b.api && a.scope == b.scope;
    for gone in old.iter().filter(|one| !new.iter().any(|other| same(one, other))) {
        found.push(format!("{at}.{}.{}", gone.api, gone.scope), Some(shown(gone)), None, Weight::Narrows);
    }
    for one in new {
        let at = format!("{at}.{}.{}", one.api, one.scope);
        let Some(was) = old.iter().find(|other| same(one, other)) else {
            found.push(at, None, Some(shown(one)), Weight::Widens);
            continue;
        };
        compare(&at, was, one, found);
    }
}

fn compare(at: &str, old: &Eligible, new: &Eligible, found: &mut Found) {
    both!(Eligible { allow, max, window, approvers, require, break_glass; scope, api } = (old, new));
    compare_allow(at, allow.0, allow.1, found);
    found.ceiling(format!("{at}.max"), Some(max.0), Some(max.1));
    // Two windows are not compared hour by hour: only a first one surely narrows.
    let shown_window = |window: &Option<Window>| window.as_ref().map_or_else(|| "any time".to_owned(), ToString::to_string);
    found.ranked(format!("{at}.window"), window, shown_window, |old, _| old.is_none());
    found.ranked(format!("{at}.approvers"), approvers, shown_approvers, asks_more);
    let glass = |allowed: &bool| if *allowed { "allowed" } else { "not allowed" }.to_owned();
    found.ranked(format!("{at}.breakGlass"), break_glass, glass, |old, _| *old);
    let shown_demands = |require: &Vec<Required>| list(&require.iter().map(word).collect::<Vec<_>>(), "nothing");
    found.ranked(format!("{at}.require"), require, shown_demands, |old, new| old.iter().all(|required| new.contains(required)));
}

/// Whether whoever satisfies `new` also satisfied `old`.
fn asks_more(old: &Approvers, new: &Approvers) -> bool {
    both!(Approvers { role, people, count, fallback } = (old, new));
    let fewer = fallback.1.is_none() || fallback.1 == fallback.0;
    role.0 == role.1 && people.0 == people.1 && count.1 >= count.0 && fewer
}

/// In a line.
pub(super) fn shown(one: &Eligible) -> String {
    format!("{} for {}, by {}", list(&one.allow, WHOLE), one.max, shown_approvers(&one.approvers))
}

fn shown_approvers(approvers: &Approvers) -> String {
    let Approvers { role, people, count, fallback } = approvers;
    let named: Vec<_> = role.map(word).into_iter().chain(people.iter().cloned()).collect();
    let stands_in =
        fallback.as_ref().map(|Fallback { after, role }| format!(", after {after} also {}", word(role))).unwrap_or_default();
    format!("{count} of {}{stands_in}", list(&named, "nobody"))
}

/// Endpoints: none means the whole API, so adding the first ones narrows and removing the last one widens.
pub(super) fn compare_allow(at: &str, old: &Vec<Endpoint>, new: &Vec<Endpoint>, found: &mut Found) {
    let shown = |endpoints: &Vec<Endpoint>| list(endpoints, WHOLE);
    found.ranked(format!("{at}.allow"), (old, new), shown, |old, new| is_within(old, new));
}

/// Whether the endpoints `new` are some, and among those that `old` allows.
pub(in crate::domain) fn is_within(old: &[Endpoint], new: &[Endpoint]) -> bool {
    let allowed: HashSet<&Endpoint> = old.iter().collect();
    !new.is_empty() && (old.is_empty() || new.iter().all(|endpoint| allowed.contains(endpoint)))
}
