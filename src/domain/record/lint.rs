//! Lint: what is allowed and was probably not meant (UX.md 4.3). Warnings only; the rules that refuse stand where they are read.

use super::claims::steps;
use super::fault::Faults;
use super::place::join;
use super::read_preset::{GITHUB, GITLAB};
use crate::domain::binding::{Admits, Binding, Condition, JwtKind, JwtRule};
use crate::domain::reason;

/// Claims that their platforms write in lower case.
const LOWER_CASE: [&str; 7] =
    ["ref_type", "event_name", "repository_visibility", "runner_environment", "namespace", "user_login", "pipeline_source"];

/// Warnings about one rule.
pub(super) fn rule(rule: &JwtRule, at: &str, faults: &mut Faults) {
    let shared = [GITHUB, GITLAB]
        .iter()
        .any(|shared| rule.issuer.as_str().strip_prefix(shared).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let matches = join(at, "match");
    for matcher in &rule.matchers {
        let place = join(&matches, matcher.claim.as_str());
        let steps = steps(&matcher.claim);
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

fn values(condition: &Condition) -> impl Iterator<Item = &String> {
    let (one, many) = match condition {
        Condition::Equals(value) | Condition::Prefix(value) => (Some(value), [].as_slice()),
        Condition::OneOf(values) => (None, values.as_slice()),
    };
    one.into_iter().chain(many)
}

/// Warnings about bindings of one environment of which another admits everything. Of two that are the same, the later one.
pub(super) fn shadowed(bindings: &[Binding], at: &str, faults: &mut Faults) {
    for (i, binding) in bindings.iter().enumerate() {
        let covers = |(j, other): &(usize, &Binding)| *j != i && covers(other, binding) && (*j < i || !covers(binding, other));
        if let Some((_, other)) = bindings.iter().enumerate().find(covers) {
            let message = format!("{} admits everything that {} admits, so this one never decides", other.name, binding.name);
            faults.warning(&format!("{at}[{i}]"), &reason::LINT_UNREACHABLE, message);
        }
    }
}

/// Whether `wide` admits every proof that `narrow` admits.
fn covers(wide: &Binding, narrow: &Binding) -> bool {
    match (&wide.admits, &narrow.admits) {
        (Admits::Certificate, Admits::Certificate) => true,
        (Admits::Jwt(wide), Admits::Jwt(narrow)) => rule_covers(wide, narrow),
        _ => false,
    }
}

fn rule_covers(wide: &JwtRule, narrow: &JwtRule) -> bool {
    let same_source = wide.kind == narrow.kind && wide.issuer == narrow.issuer && wide.keys == narrow.keys;
    let conditions = wide
        .matchers
        .iter()
        .all(|a| narrow.matchers.iter().any(|b| steps(&a.claim) == steps(&b.claim) && b.condition.is_within(&a.condition)));
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
