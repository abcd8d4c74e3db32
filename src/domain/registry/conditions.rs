//! The conditions of a rule by the claims that they compare, and whether they exclude or contain those of another.
//!
//! Enter through [`Conditions::of`].

use std::sync::Arc;

use super::binding::{ClaimPath, Condition, JwtRule};
use crate::domain::value::effort::{Effort, Exhausted};

/// A claim as a JSON Pointer: `ref` and `/ref` are one claim.
pub type Claim = Arc<str>;

/// The conditions of a rule, ordered by the claims that they compare. All of them must hold.
///
/// An index keeps one for each binding in force, so it takes no more room than its texts.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Box<[(Claim, Values)]>);

/// The values that a claim may have.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Exact(Exact),
    Prefix(Arc<str>),
}

/// Some values, each once and in order, so that one is found fast among many.
#[derive(Clone, Debug)]
pub(super) enum Exact {
    /// As nearly always.
    One(Arc<str>),
    Many(Box<[Arc<str>]>),
}

impl Conditions {
    /// The conditions of `rule`.
    pub fn of(rule: &JwtRule) -> Self {
        Self::new(rule.matchers.iter().map(|matcher| (&matcher.claim, &matcher.condition)))
    }

    fn new<'r>(conditions: impl Iterator<Item = (&'r ClaimPath, &'r Condition)>) -> Self {
        let mut all: Vec<_> = conditions.map(|(claim, condition)| (claim.pointer().into(), Values::of(condition))).collect();
        // Of two conditions on one claim the first stays the first.
        all.sort_by(|(one, _): &(Claim, _), (other, _)| one.cmp(other));
        Self(all.into())
    }

    /// The conditions on owner claims that a proof must meet to name its owner; `None` if no proof of this rule names one.
    ///
    /// A claim with several conditions is left out, because one of them is enough ([`known`](crate::domain::decision::admission)).
    pub fn of_owner(rule: &JwtRule) -> Option<Self> {
        let mut conditions = Vec::new();
        for owner in &rule.owner {
            let mut on_owner = rule.matchers.iter().filter(|matcher| matcher.claim == *owner);
            let first = on_owner.next()?;
            if on_owner.next().is_none() {
                conditions.push((owner, &first.condition));
            }
        }
        (!rule.owner.is_empty()).then(|| Self::new(conditions.into_iter()))
    }

    /// The claims that are compared exactly, with the values that are taken. Of two conditions on one claim both must hold, so
    /// either of them is a way to find the entry.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&Claim, &Exact)> {
        self.by_claim().filter_map(|(claim, conditions)| Some((claim, exact(conditions).next()?)))
    }

    /// The exact conditions on `claim`: the values that each takes.
    pub(super) fn exact_on(&self, claim: &str) -> impl Iterator<Item = &Exact> {
        exact(self.all_on(claim))
    }

    /// Takes the texts of claims from `known`, where it has them: nearly all rules of an issuer compare the same few claims.
    pub(super) fn share_claims<'k>(&mut self, known: impl Fn(&str) -> Option<&'k Claim>) {
        for (claim, _) in &mut self.0 {
            if let Some(known) = known(claim) {
                *claim = Arc::clone(known);
            }
        }
    }

    /// The first condition on `claim`.
    pub(super) fn on(&self, claim: &str) -> Option<&Values> {
        self.all_on(claim).first().map(|(_, values)| values)
    }

    /// Every condition on `claim`.
    fn all_on(&self, claim: &str) -> &[(Claim, Values)] {
        let from = self.0.partition_point(|(other, _)| &**other < claim);
        let until = self.0.partition_point(|(other, _)| &**other <= claim);
        self.0.get(from..until).unwrap_or_default()
    }

    /// The conditions on each claim, in the order of the claims.
    fn by_claim(&self) -> impl Iterator<Item = (&Claim, &[(Claim, Values)])> {
        self.0.chunk_by(|(one, _), (other, _)| one == other).filter_map(|list| Some((&list.first()?.0, list)))
    }

    /// Whether all claims that meet these conditions meet those of `wide` as well.
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn is_within(&self, wide: &Self, effort: &mut Effort) -> Result<bool, Exhausted> {
        for (claim, wide) in wide.by_claim() {
            effort.take(1)?;
            let own = self.all_on(claim);
            for (_, wide) in wide {
                let mut found = false;
                for (_, one) in own {
                    effort.take(one.len())?;
                    found = found || one.is_within(wide);
                }
                if !found {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether no proof meets the conditions of both: there is a claim on which they take different values. A claim that only one
    /// of them compares separates nothing, because the other takes any value of it.
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn is_disjoint(&self, other: &Self, effort: &mut Effort) -> Result<bool, Exhausted> {
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        for (claim, ours) in few.by_claim() {
            effort.take(1)?;
            let theirs = many.all_on(claim);
            for (_, one) in ours {
                for (_, another) in theirs {
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
            Condition::Equals(value) => Self::Exact(Exact::new(std::slice::from_ref(value))),
            Condition::OneOf(values) => Self::Exact(Exact::new(values)),
            Condition::Prefix(prefix) => Self::Prefix(Arc::clone(prefix)),
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
            (Self::Exact(set), Self::Prefix(prefix)) => set.iter().all(|value| value.starts_with(&**prefix)),
            (Self::Prefix(prefix), Self::Prefix(wide)) => prefix.starts_with(&**wide),
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
                !set.from(prefix).first().is_some_and(|value| value.starts_with(&**prefix))
            }
            (Self::Prefix(a), Self::Prefix(b)) => !a.starts_with(&**b) && !b.starts_with(&**a),
        }
    }
}

impl Exact {
    fn new(values: &[Arc<str>]) -> Self {
        if let [one] = values {
            return Self::One(Arc::clone(one));
        }
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        Self::Many(values.into())
    }

    fn all(&self) -> &[Arc<str>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all().len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Arc<str>> {
        self.all().iter()
    }

    fn contains(&self, value: &str) -> bool {
        self.all().binary_search_by(|one| (**one).cmp(value)).is_ok()
    }

    /// The values from the first one on that is not less than `least`.
    fn from(&self, least: &str) -> &[Arc<str>] {
        let from = self.all().partition_point(|value| &**value < least);
        self.all().get(from..).unwrap_or_default()
    }
}

/// The exact conditions of a list.
fn exact(list: &[(Claim, Values)]) -> impl Iterator<Item = &Exact> {
    list.iter().filter_map(|(_, values)| match values {
        Values::Exact(exact) => Some(exact),
        Values::Prefix(_) => None,
    })
}
