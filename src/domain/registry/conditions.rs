//! The conditions of a rule by the claims that they compare, and whether they exclude or contain those of another.
//!
//! Enter through [`Conditions::of`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::binding::{Condition, JwtRule};
use crate::domain::value::effort::{Effort, Exhausted};

/// A claim as a JSON Pointer: `ref` and `/ref` are one claim.
pub type Claim = String;

/// The conditions of a rule, by the claims that they compare. All of them must hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions(pub(super) BTreeMap<Claim, Vec<Values>>);

/// The values that a claim may have.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Exact(BTreeSet<String>),
    Prefix(String),
}

impl Conditions {
    /// The conditions of `rule`.
    pub fn of(rule: &JwtRule) -> Self {
        let mut conditions: BTreeMap<Claim, Vec<Values>> = BTreeMap::new();
        for matcher in &rule.matchers {
            conditions.entry(matcher.claim.pointer()).or_default().push(Values::of(&matcher.condition));
        }
        Self(conditions)
    }

    /// The conditions on owner claims that a proof must meet to name its owner; `None` if no proof of this rule names one.
    ///
    /// A claim with several conditions is left out, because one of them is enough ([`known`](crate::domain::decision::admission)).
    pub fn of_owner(rule: &JwtRule) -> Option<Self> {
        let mut conditions: BTreeMap<Claim, Vec<Values>> = BTreeMap::new();
        for owner in &rule.owner {
            let mut on_owner = rule.matchers.iter().filter(|matcher| matcher.claim == *owner);
            let first = on_owner.next()?;
            if on_owner.next().is_none() {
                conditions.entry(owner.pointer()).or_default().push(Values::of(&first.condition));
            }
        }
        (!rule.owner.is_empty()).then_some(Self(conditions))
    }

    /// The claims that are compared exactly, with the values that are taken. Of two conditions on one claim both must hold, so
    /// either of them is a way to find the entry.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&Claim, &BTreeSet<String>)> {
        self.0.iter().filter_map(|(claim, conditions)| {
            let exact = conditions.iter().find_map(|values| match values {
                Values::Exact(set) => Some(set),
                Values::Prefix(_) => None,
            });
            exact.map(|set| (claim, set))
        })
    }

    /// The exact conditions on `claim`: the values that each takes.
    pub(super) fn exact_on(&self, claim: &str) -> impl Iterator<Item = &BTreeSet<String>> {
        self.0.get(claim).into_iter().flatten().filter_map(|values| match values {
            Values::Exact(set) => Some(set),
            Values::Prefix(_) => None,
        })
    }

    /// The first condition on `claim`.
    pub(super) fn on(&self, claim: &str) -> Option<&Values> {
        self.0.get(claim).and_then(|conditions| conditions.first())
    }

    /// Whether no proof meets the conditions of both: there is a claim on which they take different values. A claim that only one
    /// of them compares separates nothing, because the other takes any value of it.
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn is_disjoint(&self, other: &Self, effort: &mut Effort) -> Result<bool, Exhausted> {
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        for (claim, ours) in &few.0 {
            effort.take(1)?;
            let Some(theirs) = many.0.get(claim) else { continue };
            for one in ours {
                for another in theirs {
                    effort.take(one.len().min(another.len()))?;
                    if one.is_disjoint(another) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

impl Values {
    fn of(condition: &Condition) -> Self {
        match condition {
            Condition::Equals(value) => Self::Exact(BTreeSet::from([value.clone()])),
            Condition::OneOf(values) => Self::Exact(values.iter().cloned().collect()),
            Condition::Prefix(prefix) => Self::Prefix(prefix.clone()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Exact(set) => set.len(),
            Self::Prefix(_) => 1,
        }
    }

    /// As [`Condition::is_within`], in time that grows with this list alone.
    pub(super) fn is_within(&self, wide: &Self) -> bool {
        match (self, wide) {
            (Self::Exact(set), Self::Exact(wide)) => set.iter().all(|value| wide.contains(value)),
            (Self::Exact(set), Self::Prefix(prefix)) => set.iter().all(|value| value.starts_with(prefix.as_str())),
            (Self::Prefix(prefix), Self::Prefix(wide)) => prefix.starts_with(wide.as_str()),
            (Self::Prefix(_), Self::Exact(_)) => false,
        }
    }

    /// As [`Condition::is_disjoint`], in time that grows with the shorter list alone.
    fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => {
                let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
                few.iter().all(|value| !many.contains(value))
            }
            (Self::Exact(set), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Exact(set)) => {
                !beginning_with(set, prefix).next().is_some_and(|value| value.starts_with(prefix.as_str()))
            }
            (Self::Prefix(a), Self::Prefix(b)) => !a.starts_with(b.as_str()) && !b.starts_with(a.as_str()),
        }
    }
}

/// The values from the first one on that could begin with `prefix`.
fn beginning_with<'s>(set: &'s BTreeSet<String>, prefix: &str) -> impl Iterator<Item = &'s String> {
    set.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
}
