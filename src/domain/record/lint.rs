//! Lint: warnings of what is allowed and was probably not meant (docs/how-to/govern/records.md).
//!
//! The rules that refuse stand where they are read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::fault::Faults;
use super::read::place::join;
use crate::domain::reason;
use crate::domain::registry::binding::{Admits, Binding, Condition, JwtKind, JwtRule};
use crate::domain::registry::preset::Preset;
use crate::domain::value::effort::{Effort, Exhausted};

/// Claims that their platforms write in lower case.
const LOWER_CASE: [&str; 7] =
    ["ref_type", "event_name", "repository_visibility", "runner_environment", "namespace", "user_login", "pipeline_source"];

/// Warnings about one rule.
pub(super) fn rule(rule: &JwtRule, at: &str, faults: &mut Faults) {
    let shared = Preset::ALL
        .into_iter()
        .filter_map(|preset| preset.row().shared_issuer())
        .any(|shared| rule.issuer.as_str().strip_prefix(shared).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let matches = join(at, "match");
    for matcher in &rule.matchers {
        let place = join(&matches, matcher.claim.as_str());
        let steps = matcher.claim.steps();
        if shared && steps == ["sub"] {
            let message = "sub of a shared platform is made of names that can be renamed; use the preset's immutable ids";
            faults.warning(&place, &reason::LINT_SUBJECT_STRING, message);
        }
        let lower = steps.last().is_some_and(|step| LOWER_CASE.contains(&step.as_str()));
        if lower && values(&matcher.condition).any(|value| value.chars().any(|c| c.is_ascii_uppercase())) {
            faults.warning(&place, &reason::LINT_LETTER_CASE, "the platform writes this claim in lower case");
        }
    }
    if shared && rule.owner.is_empty() {
        let message =
            "without owner an issuer is taken to be the partner's own, and this one is a platform that others use too";
        faults.warning(&join(at, "owner"), &reason::LINT_SHARED_ISSUER, message);
    }
}

fn values(condition: &Condition) -> impl Iterator<Item = &Arc<str>> {
    let (one, many) = match condition {
        Condition::Equals(value) | Condition::Prefix(value) => (Some(value), [].as_slice()),
        Condition::OneOf(values) => (None, values.as_slice()),
    };
    one.into_iter().chain(many)
}

/// Warns of bindings of which another of the environment admits everything.
///
/// Of two that are the same, the later one is told. A rule that is covered takes some value of each claim that the wider one
/// compares exactly, and no value that the wider one does not: so only those are held against each other that share a value of
/// the wider one's first such claim.
pub(super) fn shadowed(bindings: &[Binding], at: &str, faults: &mut Faults) {
    let mut effort = faults.effort;
    let outcome = covering(bindings, &mut effort);
    faults.effort = effort;
    match outcome {
        Ok(covering) => {
            for (i, other) in covering {
                let (name, other) = (&bindings[i].name, &bindings[other].name);
                let message = format!("{other} admits everything that {name} admits, so this one never decides");
                faults.warning(&format!("{at}[{i}]"), &reason::LINT_UNREACHABLE, message);
            }
        }
        Err(exhausted) => {
            let cost = format!("the {} bindings of {at}", bindings.len());
            let message = exhausted.told(&[(cost, faults.effort.spent())]);
            faults.error(at, &reason::RECORD_EFFORT, message);
        }
    }
}

/// Each binding of which another admits everything, with the first such one.
fn covering(bindings: &[Binding], effort: &mut Effort) -> Result<BTreeMap<usize, usize>, Exhausted> {
    let mut taking: HashMap<(Vec<String>, &str), Vec<usize>> = HashMap::new();
    let mut others: Vec<usize> = Vec::new();
    for (i, binding) in bindings.iter().enumerate() {
        others.extend(exact(binding).next().is_none().then_some(i));
        for (claim, values) in exact(binding) {
            let first = values.iter().min().map(|value| (claim, &**value));
            first.into_iter().for_each(|key| taking.entry(key).or_default().push(i));
        }
    }
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for (j, wide) in bindings.iter().enumerate() {
        let lists: Vec<&Vec<usize>> = match exact(wide).next() {
            Some((claim, values)) => {
                effort.take(values.len())?;
                values.iter().filter_map(|value| taking.get(&(claim.clone(), &**value))).collect()
            }
            None => vec![&others],
        };
        for i in lists.into_iter().flatten().copied() {
            if i == j {
                continue;
            }
            let narrow = &bindings[i];
            effort.take(comparisons(wide, narrow))?;
            let covered = covers(wide, narrow) && (j < i || !covers(narrow, wide));
            if covered {
                found.entry(i).and_modify(|first| *first = j.min(*first)).or_insert(j);
            }
        }
    }
    Ok(found)
}

/// The claims that a binding compares exactly, with the values that it takes.
fn exact(binding: &Binding) -> impl Iterator<Item = (Vec<String>, &[Arc<str>])> {
    let matchers = match &binding.admits {
        Admits::Jwt(rule) => rule.matchers.as_slice(),
        Admits::Certificate => &[],
    };
    matchers.iter().filter_map(|matcher| match &matcher.condition {
        Condition::Equals(value) => Some((matcher.claim.steps(), std::slice::from_ref(value))),
        Condition::OneOf(values) => Some((matcher.claim.steps(), values.as_slice())),
        Condition::Prefix(_) => None,
    })
}

/// The steps of holding two bindings against each other.
///
/// Every condition is compared with every condition, and every value with every value.
fn comparisons(one: &Binding, other: &Binding) -> usize {
    let size = |binding: &Binding| match &binding.admits {
        Admits::Jwt(rule) => rule.matchers.iter().map(|matcher| values(&matcher.condition).count()).sum(),
        Admits::Certificate => 0_usize,
    };
    size(one).saturating_mul(size(other)).saturating_add(1)
}

/// Whether `wide` admits every proof that `narrow` admits.
fn covers(wide: &Binding, narrow: &Binding) -> bool {
    match (&wide.admits, &narrow.admits) {
        (Admits::Certificate, Admits::Certificate) => true,
        (Admits::Jwt(wide), Admits::Jwt(narrow)) => rule_covers(wide, narrow),
        (Admits::Certificate, Admits::Jwt(_)) | (Admits::Jwt(_), Admits::Certificate) => false,
    }
}

fn rule_covers(wide: &JwtRule, narrow: &JwtRule) -> bool {
    let same_source = wide.kind == narrow.kind && wide.issuer == narrow.issuer && wide.keys == narrow.keys;
    let conditions = wide
        .matchers
        .iter()
        .all(|a| narrow.matchers.iter().any(|b| a.claim.is_same(&b.claim) && b.condition.is_within(&a.condition)));
    let forms = narrow.algs.iter().all(|alg| wide.algs.contains(alg))
        && narrow.typ.iter().all(|typ| wide.typ.contains(typ))
        && (narrow.audience.is_none() || narrow.audience == wide.audience)
        // A key rule has no claims to tell its proofs apart; only its source does.
        && (wide.kind == JwtKind::Oidc || wide.matchers.is_empty());
    let times = wide.max_life >= narrow.max_life
        && wide.max_age.is_none_or(|wide| narrow.max_age.is_some_and(|narrow| narrow <= wide))
        && (!wide.single_use || narrow.single_use);
    same_source && conditions && forms && times
}
