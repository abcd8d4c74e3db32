//! Overlap of two rules: whether one set of claims could meet the conditions of both. Many rules are compared by
//! [`binding_index`](crate::domain::binding_index).

use crate::domain::binding::{JwtRule, Matcher};

/// Whether no claims meet the conditions of both rules.
pub(super) fn disjoint(a: &JwtRule, b: &JwtRule) -> bool {
    let separates = |a: &Matcher| b.matchers.iter().any(|b| a.claim.is_same(&b.claim) && a.condition.is_disjoint(&b.condition));
    a.matchers.iter().any(separates)
}
