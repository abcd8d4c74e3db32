//! Differences of two versions of one binding.

use std::collections::BTreeMap;

use super::difference::Weight;
use super::found::{Found, both, list};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::binding::{Admits, Binding, ClaimPath, Condition, ExtraAudience, JwtKind, JwtRule, KeySource};
use crate::domain::registry::conditions::Conditions;
use crate::domain::registry::preset::Preset;

/// In a line: what it takes, of whom, under which conditions. Key sets by their digest.
pub fn shown(binding: &Binding) -> String {
    let Admits::Jwt(rule) = &binding.admits else { return "mtls".to_owned() };
    let mut parts = vec![format!("{} {}", word(rule.kind), rule.issuer)];
    if rule.keys != KeySource::Discovery(rule.issuer.clone()) {
        parts.push(format!("keys {}", rule.keys.label()));
    }
    parts.extend(rule.matchers.iter().map(|matcher| format!("{} = {}", matcher.claim, matcher.condition)));
    parts.join(", ")
}

pub(super) fn compare(at: &str, old: &Binding, new: &Binding, found: &mut Found) {
    let (Admits::Jwt(was), Admits::Jwt(is)) = (&old.admits, &new.admits) else {
        found.value(at, (old, new), shown, Weight::Widens);
        return;
    };
    if was.kind != is.kind || was.issuer != is.issuer {
        // Another issuer is another binding; its fields have nothing to be compared with.
        found.push(at, Some(shown(old)), Some(shown(new)), Weight::Widens);
        return;
    }
    // Kind and issuer are the same; conditions and types are compared as they count.
    both!(JwtRule {
        keys, owner, audience, algs, single_use, max_life, max_age, preset; kind, issuer, matchers, typ
    } = (was, is));
    found.value(format!("{at}.keys"), keys, |keys| keys.label(), Weight::Widens);
    compare_matchers(&format!("{at}.match"), was, is, found);
    // Who counts as known, and so is told reasons, follows from it.
    let shown_owner = |claims: &Vec<ClaimPath>| list(claims, "the issuer is the partner's own");
    found.value(format!("{at}.owner"), owner, shown_owner, Weight::Widens);
    found.ranked(format!("{at}.audience"), audience, shown_audience, |_, new| new.is_none());
    found.members(&format!("{at}.algs"), algs.0, algs.1);
    found.members(&format!("{at}.typ"), &types(was), &types(is));
    found.ranked(format!("{at}.singleUse"), single_use, ToString::to_string, |_, new| *new);
    found.ceiling(format!("{at}.maxLife"), Some(max_life.0), Some(max_life.1));
    found.ceiling(format!("{at}.maxAge"), max_age.0.as_ref(), max_age.1.as_ref());
    let shown_preset = |preset: &Option<Preset>| preset.map_or_else(|| "none".to_owned(), |preset| preset.to_string());
    // A preset is a note for people, unless it takes X.509-SVIDs besides.
    let weight = if is.takes_svids() { Weight::Widens } else { Weight::Neutral };
    found.value(format!("{at}.preset"), preset, shown_preset, weight);
}

fn shown_audience(audience: &Option<ExtraAudience>) -> String {
    match audience {
        None => "the environment's issuer only".to_owned(),
        Some(ExtraAudience::Value(value)) => value.to_string(),
        Some(ExtraAudience::TokenEndpoint) => "token-endpoint".to_owned(),
    }
}

/// The rules on JWTs among bindings, with their conditions by claim.
pub(super) struct Rules<'a>(Vec<(&'a Binding, &'a JwtRule, Conditions)>);

impl<'a> Rules<'a> {
    pub(super) fn of(bindings: &'a [Binding]) -> Self {
        let rule = |binding: &'a Binding| match &binding.admits {
            Admits::Jwt(rule) => Some((binding, &**rule, Conditions::of(rule))),
            // No certificate of our authority is a proof that a rule on JWTs takes.
            Admits::Certificate => None,
        };
        Self(bindings.iter().filter_map(rule).collect())
    }

    /// The other binding that could take the proofs of `old`, and asks for less.
    ///
    /// A proof that `old` takes no longer then meets that one: a proof that was used once is used again, or an older one
    /// counts. Two bindings that no claims can meet both are no danger to each other.
    pub(super) fn laxer(&self, old: &Binding, found: &mut Found) -> Option<&'a Binding> {
        let Admits::Jwt(was) = &old.admits else { return None };
        let conditions = Conditions::of(was);
        let others = self.0.iter().filter(|(other, is, _)| {
            // A JWT-SVID meets the binding of its trust domain where no binding names its `iss` any more.
            let falls_back = was.kind == JwtKind::Oidc && is.takes_svids();
            other.name != old.name && (was.issuer == is.issuer || falls_back)
        });
        for (other, is, theirs) in others {
            let forms =
                was.algs.len().saturating_mul(is.algs.len()).saturating_add(types(was).len().saturating_mul(types(is).len()));
            if !found.spend(forms.saturating_add(1)) {
                return None;
            }
            if asks_as_much(was, is) {
                continue;
            }
            match conditions.is_disjoint(theirs, &mut found.effort) {
                Ok(true) => {}
                Ok(false) => return Some(other),
                Err(exhausted) => {
                    found.exhausted = Some(exhausted);
                    return None;
                }
            }
        }
        None
    }
}

/// Whether `is` asks at least as much of a proof as `was`, but for issuer, keys and claims.
fn asks_as_much(was: &JwtRule, is: &JwtRule) -> bool {
    // Keys and owner ask nothing of a proof that is verified. Types and presets are compared as they count.
    both!(JwtRule {
        kind, audience, algs, single_use, max_life, max_age; issuer, keys, matchers, owner, typ, preset
    } = (was, is));
    // A single-use binding decides before a reusable one (`admission`), so what both take met `is` before.
    if is.single_use && !was.single_use {
        return true;
    }
    let young = match max_age {
        (None, _) => true,
        (Some(was), Some(is)) => is <= was,
        (Some(_), None) => false,
    };
    let types_before = types(was);
    kind.0 == kind.1
        && (*single_use.1 || !*single_use.0)
        && max_life.1 <= max_life.0
        && young
        && algs.1.iter().all(|alg| algs.0.contains(alg))
        && types(is).iter().all(|typ| types_before.contains(typ))
        && (audience.1.is_none() || audience.1 == audience.0)
        && (!is.takes_svids() || was.takes_svids())
}

/// Whether `new` could refuse a proof that `old` takes.
pub(super) fn takes_less(old: &Binding, new: &Binding) -> bool {
    let (Admits::Jwt(old), Admits::Jwt(new)) = (&old.admits, &new.admits) else { return old.admits != new.admits };
    // To be used once takes no proof away that has a `jti`, and one without was never the stricter of two.
    let alike = JwtRule { single_use: old.single_use, preset: old.preset, owner: old.owner.clone(), ..new.as_ref().clone() };
    alike != **old
}

/// The types that a rule takes beyond those that its kind always takes.
///
/// A `key` binding that lists none takes three, and one that lists some takes only those (docs/security/standards.md#typ-of-a-client-assertion).
fn types(rule: &JwtRule) -> Vec<String> {
    let of_keys = ["none", "JWT", "client-authentication+jwt"];
    let silent = rule.kind == JwtKind::Key && rule.typ.is_empty();
    if silent { of_keys.map(str::to_owned).to_vec() } else { rule.typ.clone() }
}

/// Compares conditions: all must hold, so one more narrows and one less widens.
///
/// A claim may be conditioned more than once.
fn compare_matchers(at: &str, old: &JwtRule, new: &JwtRule, found: &mut Found) {
    let mut claims: BTreeMap<&ClaimPath, (Vec<Condition>, Vec<Condition>)> = BTreeMap::new();
    for matcher in &old.matchers {
        claims.entry(&matcher.claim).or_default().0.push(matcher.condition.clone());
    }
    for matcher in &new.matchers {
        claims.entry(&matcher.claim).or_default().1.push(matcher.condition.clone());
    }
    for (claim, (was, is)) in claims {
        if was == is {
            continue;
        }
        // Each with each, and each value of both.
        let values = |conditions: &[Condition]| conditions.iter().map(Condition::size).sum::<usize>();
        let each = values(&was).saturating_mul(is.len()).saturating_add(values(&is).saturating_mul(was.len()));
        if !found.spend(each) {
            return;
        }
        let kept = was.iter().all(|was| is.iter().any(|is| is.is_within(was)));
        let show = |conditions: &[Condition]| (!conditions.is_empty()).then(|| list(conditions, ""));
        let weight = if kept { Weight::Narrows } else { Weight::Widens };
        found.push(format!("{at}.{claim}"), show(&was), show(&is), weight);
    }
}
