//! Things with conditions on claims, by the most selective claim that each of them compares exactly.
//!
//! Enter through [`ClaimIndex::insert`]; then [`ClaimIndex::meeting`] finds what a proof's claims can meet, and
//! [`ClaimIndex::find`] what has proofs in common with other conditions. An item is listed under one claim and each value that it
//! takes of that claim: the claim whose values fewest others are listed under, and that most others compare as well. So a look-up
//! meets the few items that share the value, and those that do not compare that claim at all. Items that compare no claim exactly
//! are a list of their own, which every look-up reads.
//!
//! A copy of an index shares every list that a change does not touch.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use serde_json::Value;

use super::conditions::{Claim, Conditions, Exact, Values};
use crate::domain::value::claim_text::compared;
use crate::domain::value::effort::{Effort, Exhausted};

/// The places of some items, ascending.
#[derive(Clone, Debug)]
enum Places {
    /// As nearly always, where a value names one workload.
    One(u64),
    /// None, or several.
    Many(Arc<[u64]>),
}

/// The items that are listed under one claim, by its values.
type Under = OrdMap<Arc<str>, Places>;

/// The index. Each item has a place, which is also its order.
#[derive(Clone, Debug)]
pub struct ClaimIndex<T> {
    all: OrdMap<u64, T>,
    /// The number of items that compare a claim exactly, whether or not they are listed under it.
    comparing: HashMap<Arc<str>, usize>,
    keyed: OrdMap<Arc<str>, Under>,
    rest: Places,
}

impl Default for Places {
    fn default() -> Self {
        Self::Many(Arc::default())
    }
}

impl Places {
    fn as_slice(&self) -> &[u64] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn with(&self, place: u64) -> Self {
        let list = self.as_slice();
        if list.is_empty() {
            return Self::One(place);
        }
        let (before, after) = list.split_at(list.partition_point(|other| *other < place));
        Self::Many([before, &[place], after].concat().into())
    }

    fn without(&self, place: u64) -> Self {
        let left: Vec<u64> = self.as_slice().iter().copied().filter(|other| *other != place).collect();
        match left.as_slice() {
            [one] => Self::One(*one),
            _ => Self::Many(left.into()),
        }
    }

    fn has(&self, place: u64) -> bool {
        self.as_slice().binary_search(&place).is_ok()
    }
}

impl<T> Default for ClaimIndex<T> {
    fn default() -> Self {
        Self { all: OrdMap::default(), comparing: HashMap::default(), keyed: OrdMap::default(), rest: Places::default() }
    }
}

impl<T: Clone> ClaimIndex<T> {
    /// Lists an item at `place`, which no other item has.
    pub fn insert(&mut self, place: u64, conditions: &Conditions, item: T) {
        let claim = self.claim_for(conditions);
        match &claim {
            Some(claim) => {
                for value in values(conditions, claim) {
                    let under = self.keyed.entry(Arc::clone(claim)).or_default();
                    let list = under.entry(Arc::clone(value)).or_default();
                    *list = list.with(place);
                }
            }
            None => self.rest = self.rest.with(place),
        }
        for (claim, _) in conditions.exact() {
            *self.comparing.entry(Arc::clone(claim)).or_default() += 1;
        }
        self.all.insert(place, item);
    }

    /// Takes out the item at `place`. `conditions` are those that it was listed with.
    pub fn remove(&mut self, place: u64, conditions: &Conditions) -> Option<T> {
        let item = self.all.remove(&place)?;
        match self.claim_of(place, conditions) {
            Some(claim) => {
                if let Some(under) = self.keyed.get_mut(&claim) {
                    for value in values(conditions, &claim) {
                        let Some(list) = under.get_mut(value) else { continue };
                        *list = list.without(place);
                        if list.as_slice().is_empty() {
                            under.remove(value);
                        }
                    }
                    if under.is_empty() {
                        self.keyed.remove(&claim);
                    }
                }
            }
            None => self.rest = self.rest.without(place),
        }
        for (claim, _) in conditions.exact() {
            let Some(count) = self.comparing.get_mut(claim) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.comparing.remove(claim);
            }
        }
        Some(item)
    }

    /// The item at `place`, to be changed without its conditions.
    pub fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        self.all.get_mut(&place)
    }

    /// The claim under which the item at `place` is listed, which has these conditions.
    ///
    /// It is looked up where the item goes, so that nothing need remember it as long as the item stays.
    fn claim_of(&self, place: u64, conditions: &Conditions) -> Option<Arc<str>> {
        // Under a claim it is listed by each of its values.
        let list = |claim: &str| self.keyed.get(claim)?.get(values(conditions, claim).next()?);
        conditions.exact().map(|(claim, _)| claim).find(|claim| list(claim).is_some_and(|list| list.has(place))).cloned()
    }

    /// The claim under which an item with these conditions costs look-ups least.
    ///
    /// They meet it where they share its value, or do not compare the claim.
    fn claim_for(&self, conditions: &Conditions) -> Option<Arc<str>> {
        let cost = |claim: &str, values: &Exact| {
            let under = self.keyed.get(claim);
            let sharing: usize = values
                .iter()
                .map(|value| under.and_then(|under| under.get(value)).map_or(0, |list| list.as_slice().len()))
                .sum();
            sharing + self.all.len().saturating_sub(self.comparing.get(claim).copied().unwrap_or_default())
        };
        let (claim, _) = conditions.exact().min_by_key(|(claim, values)| cost(claim, values))?;
        // One text for all that are listed under it.
        let known = self.keyed.get_key_value(claim).map(|(known, _)| known);
        Some(Arc::clone(known.unwrap_or(claim)))
    }
}

impl<T> ClaimIndex<T> {
    /// The item with the least place.
    pub fn first(&self) -> Option<&T> {
        self.all.get_min().map(|(_, item)| item)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The text of a claim that items compare.
    pub(super) fn claim(&self, claim: &str) -> Option<&Claim> {
        self.comparing.get_key_value(claim).map(|(known, _)| known)
    }

    /// The item at `place`.
    pub fn get(&self, place: u64) -> Option<&T> {
        self.all.get(&place)
    }

    /// Each item with its place, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.all.iter().map(|(place, item)| (*place, item))
    }

    /// The items whose conditions `claims` can meet, in their order: every one that they meet, and few others.
    ///
    /// It costs a look-up for each claim that items are listed under, and what it finds.
    pub fn meeting(&self, claims: &Value) -> Vec<(u64, &T)> {
        let seen = |claim: &str| claims.pointer(claim).and_then(|value| compared(value).ok());
        let lists = self.keyed.iter().filter_map(|(claim, under)| under.get(&*seen(claim)?));
        let mut places: Vec<u64> = lists.flat_map(|list| list.as_slice().iter().copied()).collect();
        places.extend_from_slice(self.rest.as_slice());
        places.sort_unstable();
        places.into_iter().filter_map(|place| Some((place, self.get(place)?))).collect()
    }

    /// Every item whose conditions contain `narrow`, in their order, and few others.
    ///
    /// An item that is listed under a claim contains conditions that compare the same claim exactly, with values that it takes. So one of
    /// those values finds it.
    pub fn around(&self, narrow: &Conditions) -> Vec<(u64, &T)> {
        let mut places: Vec<u64> = self.rest.as_slice().to_vec();
        for (claim, under) in &self.keyed {
            for set in narrow.exact_on(claim) {
                match set.iter().next() {
                    Some(value) => places.extend(under.get(value).into_iter().flat_map(Places::as_slice)),
                    // No value at all is within any values.
                    None => places.extend(under.values().flat_map(Places::as_slice)),
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| Some((place, self.get(place)?))).collect()
    }

    /// The first item for which `meets` holds.
    ///
    /// It leaves out the items that the claim they are listed under keeps apart from `probe`.
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn find(
        &self,
        probe: &Conditions,
        effort: &mut Effort,
        meets: &mut dyn FnMut(&T, &mut Effort) -> Result<bool, Exhausted>,
    ) -> Result<Option<&T>, Exhausted> {
        let mut first = |list: &Places, effort: &mut Effort| {
            for item in list.as_slice().iter().filter_map(|place| self.get(*place)) {
                effort.take(1)?;
                if meets(item, effort)? {
                    return Ok(Some(item));
                }
            }
            Ok(None)
        };
        for (claim, under) in &self.keyed {
            effort.take(1)?;
            let lists: Box<dyn Iterator<Item = &Places>> = match probe.on(claim) {
                None => Box::new(under.values()),
                Some(Values::Exact(set)) => {
                    effort.take(set.len())?;
                    Box::new(set.iter().filter_map(|value| under.get(value)))
                }
                Some(Values::Prefix(prefix)) => Box::new(
                    under
                        .range::<_, str>((Bound::Included(&**prefix), Bound::Unbounded))
                        .take_while(|(value, _)| value.starts_with(&**prefix))
                        .map(|(_, list)| list),
                ),
            };
            for list in lists {
                if let Some(found) = first(list, effort)? {
                    return Ok(Some(found));
                }
            }
        }
        first(&self.rest, effort)
    }
}

/// The values of `claim` that the conditions take.
fn values<'c>(conditions: &'c Conditions, claim: &str) -> impl Iterator<Item = &'c Arc<str>> {
    conditions.exact_on(claim).take(1).flat_map(Exact::iter)
}

#[cfg(test)]
impl Places {
    /// Whether nobody made a copy of either.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::Many(one), Self::Many(other)) => Arc::ptr_eq(one, other),
            (Self::One(_), Self::Many(_)) | (Self::Many(_), Self::One(_)) => false,
        }
    }
}

#[cfg(test)]
impl<T> ClaimIndex<T> {
    /// How many of the lists under claims are those of `other`, and how many there are.
    pub(super) fn shared_with(&self, other: &Self) -> (usize, usize) {
        let lists = |index: &Self| -> Vec<Places> { index.keyed.values().flat_map(|under| under.values().cloned()).collect() };
        let (ours, theirs) = (lists(self), lists(other));
        (ours.iter().filter(|list| theirs.iter().any(|other| list.is_same(other))).count(), ours.len())
    }
}
