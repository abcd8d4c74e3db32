//! Compares the conditions of a rule with claims: the wanted value, the seen value, the result.
//!
//! Enter through [`conditions`]. Admission, the tests of a record and `explain` all read the same results, so an explanation tells
//! what was decided. Not here: issuer, audience, times and signature.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::registry::binding::{ClaimPath, Condition, JwtRule};
use crate::domain::value::claim_text::{Unfit, compared};

/// The result of one condition of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConditionResult<'a> {
    /// The claim.
    pub claim: &'a ClaimPath,
    /// The condition in the record.
    pub want: &'a Condition,
    /// The claim's value as text, or why it is not compared; `None` if it is missing.
    seen: Option<Result<Cow<'a, str>, Unfit>>,
    /// True if the condition holds. It is judged on the whole value, never on the shortened one.
    pub holds: bool,
}

impl ConditionResult<'_> {
    /// The claim's value for people: at most 256 characters, or why it is not compared.
    pub fn seen(&self) -> Option<String> {
        self.seen.as_ref().map(|seen| match seen {
            Ok(value) => value.chars().take(MOST_SHOWN).collect(),
            Err(unfit) => format!("a value that is not compared (expected {unfit})"),
        })
    }
}

/// Judges every condition of `rule` against `claims`, in the order of the record.
///
/// The rule's conditions hold if all of these do.
///
/// Time is linear in the size of the claims: there are no patterns, only comparisons (ABUSE D-13).
pub fn conditions<'a>(rule: &'a JwtRule, claims: &'a Value) -> impl Iterator<Item = ConditionResult<'a>> {
    rule.matchers.iter().map(|matcher| {
        let seen = matcher.claim.find(claims).map(compared);
        ConditionResult {
            claim: &matcher.claim,
            want: &matcher.condition,
            holds: matches!(&seen, Some(Ok(value)) if matcher.condition.holds(value)),
            seen,
        }
    })
}

const MOST_SHOWN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::rule;
    use serde_json::json;

    fn holds(claim: &str, condition: Condition, claims: &Value) -> bool {
        conditions(&rule("https://issuer.example", &[(claim, condition)]), claims).all(|result| result.holds)
    }

    #[test]
    fn scalars_compare_by_their_json_text_and_nothing_else_matches() {
        let claims = json!({"id": 456789, "ok": true, "list": ["a"], "map": {"a": "b"}, "none": null, "a/b": "x", "k.io": {"ns": "shop"}});
        let equals = |value: &str| Condition::Equals(value.into());
        assert!(holds("id", equals("456789"), &claims));
        assert!(holds("ok", equals("true"), &claims));
        assert!(holds("/k.io/ns", equals("shop"), &claims));
        assert!(holds("/a~1b", equals("x"), &claims));
        for (claim, value) in [("list", "a"), ("list", "[\"a\"]"), ("map", "b"), ("none", "null"), ("none", ""), ("gone", "")] {
            assert!(!holds(claim, equals(value), &claims), "{claim} {value}");
        }
        assert!(!holds("/list/0x", equals("a"), &claims));
    }

    /// J-21: a prefix condition admits no value with misleading characters after the prefix.
    #[test]
    fn j_21_a_value_that_misleads_meets_no_condition() {
        let prefix = || Condition::Prefix("prod".into());
        assert!(holds("env", prefix(), &json!({"env": "prod eu"})));
        for value in ["prod\u{202e}tset", "prod\u{200b}", "prod ", "prod\n", "prod\u{0}"] {
            assert!(!holds("env", prefix(), &json!({ "env": value })), "{value:?}");
        }
        // Unicode twins are different texts.
        let equals = Condition::Equals("caf\u{e9}".into());
        assert!(holds("sub", equals.clone(), &json!({"sub": "caf\u{e9}"})));
        for twin in ["cafe\u{301}", "c\u{430}f\u{e9}", "CAF\u{c9}"] {
            assert!(!holds("sub", equals.clone(), &json!({ "sub": twin })), "{twin}");
        }
    }

    /// P-06: values with delimiters are compared whole; nothing is split or joined.
    #[test]
    fn p_06_delimiters_in_values_do_not_collide() {
        let prefix = || Condition::Prefix("org-123/".into());
        assert!(!holds("sub", prefix(), &json!({"sub": "org-123"})));
        assert!(!holds("sub", prefix(), &json!({"sub": "org-1234/x"})));
        assert!(!holds("sub", Condition::Equals("a:b".into()), &json!({"sub": "a", "b": "b"})));
        // A member whose name looks like a path is not the path.
        assert!(!holds("/k8s/ns", Condition::Equals("shop".into()), &json!({"/k8s/ns": "shop"})));
        assert!(!holds("k8s", Condition::Equals("shop".into()), &json!({"k8s": {"": "shop"}})));
    }

    /// D-13: a 100 kB claim against many long conditions is a comparison, not a search.
    #[test]
    fn d_13_huge_claims_take_linear_time() {
        let huge = "a".repeat(100_000);
        let many: Vec<_> = (0..200).map(|_| ("sub", Condition::Prefix(format!("{}b", "a".repeat(99_999)).into()))).collect();
        let started = std::time::Instant::now();
        let (rule, claims) = (rule("https://issuer.example", &many), json!({ "sub": huge }));
        assert!(
            conditions(&rule, &claims)
                .all(|result| !result.holds && result.seen().is_some_and(|seen| seen.contains("1 to 1024 bytes")))
        );
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }
}
