//! Differences of what an integration may do in one environment.

use super::binding;
use super::difference::Weight;
use super::elevation::{self, WHOLE, compare_allow, compare_elevations, is_within};
use super::found::{Found, both, by_name, list, union};
use crate::domain::registry::binding::Binding;
use crate::domain::registry::integration::{Access, Eligible, Limits, ScopeRule};
use crate::domain::value::effort::Effort;
use crate::domain::value::names::ApiName;

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
        found.push(format!("{at}.elevation.{}.{}", one.api, one.scope), None, Some(elevation::shown(one)), Weight::Widens);
    }
    found.end_as(format!("{at}.ends"), (None, new.ends), Weight::Neutral);
}

/// In a few words.
pub(super) fn shown(access: &Access) -> String {
    let scopes: usize = access.scopes.values().map(Vec::len).sum();
    format!("{} bindings, {scopes} scopes, {} elevations", access.bindings.len(), access.elevation.len())
}

pub(super) fn compare(at: &str, old: &Access, new: &Access, found: &mut Found) {
    both!(Access { bindings, limits, require, scopes, elevation, ends } = (old, new));
    found.end(format!("{at}.ends"), *ends.0, *ends.1);
    compare_bindings(&format!("{at}.bindings"), bindings.0, bindings.1, found);
    found.ranked(format!("{at}.require"), require, |require| require.name().to_owned(), |old, new| new >= old);
    if !compare_limits(&format!("{at}.limits"), limits.0, limits.1, found) {
        return;
    }
    for api in union(scopes.0.keys(), scopes.1.keys()) {
        let none = Vec::new();
        let (was, is) = (scopes.0.get(api).unwrap_or(&none), scopes.1.get(api).unwrap_or(&none));
        let eligible: Vec<&Eligible> = elevation.1.iter().filter(|one| one.api == *api).collect();
        compare_scopes(&format!("{at}.scopes.{api}"), (was, is), &eligible, found);
        // An API without a scope gives nothing, and nobody approved to name it.
        if was.is_empty() && is.is_empty() && scopes.0.contains_key(api) != scopes.1.contains_key(api) {
            let shown = |named: bool| named.then(|| "no scope".to_owned());
            let (from, to) = (shown(scopes.0.contains_key(api)), shown(scopes.1.contains_key(api)));
            found.push(format!("{at}.scopes.{api}"), from, to, Weight::Widens);
        }
    }
    compare_elevations(&format!("{at}.elevation"), elevation.0, elevation.1, found);
}

/// Compares ceilings; whether there were steps enough to do so.
fn compare_limits(at: &str, old: &Limits, new: &Limits, found: &mut Found) -> bool {
    // A record that says nothing has the quota of all: quotas are compared as they count.
    both!(Limits { ttl, source_cidrs; exchanges_per_minute } = (old, new));
    found.ceiling(format!("{at}.ttl"), ttl.0.as_ref(), ttl.1.as_ref());
    found.ceiling(format!("{at}.exchangesPerMinute"), Some(&old.per_minute()), Some(&new.per_minute()));
    if !found.spend(source_cidrs.0.len().saturating_mul(source_cidrs.1.len())) {
        return false;
    }
    let shown = |networks: &Vec<_>| list(networks, "anywhere");
    found.ranked(format!("{at}.sourceCidrs"), source_cidrs, shown, |old, new| {
        !new.is_empty() && (old.is_empty() || new.iter().all(|net| old.iter().any(|wide| net.is_within(wide))))
    });
    true
}

fn compare_bindings(at: &str, old: &[Binding], new: &[Binding], found: &mut Found) {
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

fn compare_scopes(at: &str, (old, new): (&[ScopeRule], &[ScopeRule]), eligible: &[&Eligible], found: &mut Found) {
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
            Some(was) => compare_allow(&at, &was.allow, &one.allow, found),
            None => found.push(at, None, Some(list(&one.allow, WHOLE)), Weight::Widens),
        }
    }
}

/// Whether `new` gives more in an environment than `old` did.
///
/// Without `old` it does, and where `effort` does not suffice to tell.
pub fn widens_access(old: Option<&Access>, new: &Access, effort: &mut Effort) -> bool {
    let mut found = Found::with(*effort);
    let Some(old) = old else { return true };
    compare("environment", old, new, &mut found);
    *effort = found.effort;
    found.widens(old, new)
}

/// Whether `new` gives more of one API than `old` did, at once or by an elevation.
///
/// Without `old` it does, and where `effort` does not suffice to tell.
pub fn widens_target(old: Option<&Access>, new: &Access, api: &ApiName, effort: &mut Effort) -> bool {
    let standing = |access: &Access| access.scopes.get(api).cloned().unwrap_or_default();
    let eligible = |access: &Access| access.elevation.iter().filter(|one| one.api == *api).cloned().collect::<Vec<_>>();
    let (was, is) = (old.map(standing).unwrap_or_default(), standing(new));
    let (was_eligible, is_eligible) = (old.map(eligible).unwrap_or_default(), eligible(new));
    let mut found = Found::with(*effort);
    compare_scopes("scopes", (&was, &is), &is_eligible.iter().collect::<Vec<_>>(), &mut found);
    compare_elevations("elevation", &was_eligible, &is_eligible, &mut found);
    *effort = found.effort;
    found.widens(&(was, was_eligible), &(is, is_eligible))
}

/// Whether the binding `new` takes more than `old` did.
///
/// Without `old` it does, and where `effort` does not suffice to tell.
pub fn widens_binding(old: Option<&Binding>, new: &Binding, effort: &mut Effort) -> bool {
    let mut found = Found::with(*effort);
    let Some(old) = old else { return true };
    binding::compare("binding", old, new, &mut found);
    *effort = found.effort;
    found.widens(old, new)
}

/// Whether the elevation `new` gives more than `old` did, or gives it more easily.
///
/// Without `old` it does.
pub fn widens_elevation(old: Option<&Eligible>, new: &Eligible) -> bool {
    let mut found = Found::default();
    let (old, new) = (old.map_or(&[][..], std::slice::from_ref), std::slice::from_ref(new));
    compare_elevations("elevation", old, new, &mut found);
    found.widens(old, new)
}
