//! Overlap of two rules: whether one set of claims could meet the conditions of both. Many rules are compared by
//! [`binding_index`](crate::domain::binding_index).

use crate::domain::binding::JwtRule;

/// Whether no claims meet the conditions of both rules.
pub(super) fn disjoint(a: &JwtRule, b: &JwtRule) -> bool {
    a.matchers.iter().any(|a| {
        let steps_of_a = a.claim.steps();
        b.matchers.iter().any(|b| b.claim.steps() == steps_of_a && a.condition.is_disjoint(&b.condition))
    })
}
