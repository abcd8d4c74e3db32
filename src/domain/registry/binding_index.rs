//! Bindings by issuer, audience, and the most selective claim that each of them compares exactly.
//!
//! Enter through [`BindingIndex::insert`] and [`BindingIndex::overlapping`]. An entry stands under one claim and each value that it
//! takes of that claim: the claim whose values fewest others stand under, and that most others compare as well. A look-up therefore
//! meets the few entries that share the value, and those that do not compare that claim at all. Entries that compare no claim exactly
//! are a list of their own, which every look-up reads.
//!
//! A copy of an index shares every bucket, and within a bucket every list of entries, that a change does not touch.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use super::binding::{Condition, ExtraAudience, JwtRule};
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{Audience, BindingName, ClientId, EnvironmentName, Issuer};

/// A claim by its steps from the top: `ref` and `/ref` are one claim.
type Claim = Vec<String>;

/// A rule on JWTs, with the client and the environment that it admits to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The client that it admits.
    pub client: ClientId,
    /// Where.
    pub environment: EnvironmentName,
    /// The binding.
    pub binding: BindingName,
    groups: Vec<Group>,
    conditions: Conditions,
}

/// The conditions of a rule, by the claims that they compare. All of them must hold.
#[derive(Clone, Debug)]
pub struct Conditions(BTreeMap<Claim, Vec<Values>>);

/// Proofs of one issuer that name one audience, or none.
///
/// Two rules can take the same proof only if they have a group in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Group {
    issuer: Issuer,
    audience: Reach,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Reach {
    /// The environment's own issuer URL, which no other environment has.
    Environment(EnvironmentName),
    /// The value that a binding adds.
    Value(Audience),
    /// No audience: every environment that has the certificate's ID takes it (X509-SVID section 4).
    Unnamed,
}

/// The values that a claim may have.
#[derive(Clone, Debug)]
enum Values {
    Exact(BTreeSet<String>),
    Prefix(String),
}

impl Entry {
    /// An entry for `rule`.
    pub fn new(client: ClientId, environment: EnvironmentName, binding: BindingName, rule: &JwtRule) -> Self {
        let group = |audience| Group { issuer: rule.issuer.clone(), audience };
        let mut groups = vec![group(Reach::Environment(environment.clone()))];
        if let Some(ExtraAudience::Value(value)) = &rule.audience {
            groups.push(group(Reach::Value(value.clone())));
        }
        if rule.takes_svids() {
            groups.push(group(Reach::Unnamed));
        }
        Self { client, environment, binding, groups, conditions: Conditions::of(rule) }
    }
}

impl Entry {
    /// Whether it admits by an X.509-SVID too, which names no audience.
    pub fn takes_certificates(&self) -> bool {
        self.groups.iter().any(|group| group.audience == Reach::Unnamed)
    }

    /// Whether every proof that this entry could admit, `other` could admit as well.
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn is_within(&self, other: &Self, effort: &mut Effort) -> Result<bool, Exhausted> {
        if !self.groups.iter().all(|group| other.groups.contains(group)) {
            return Ok(false);
        }
        for (claim, wide) in &other.conditions.0 {
            effort.take(1)?;
            let Some(own) = self.conditions.0.get(claim) else { return Ok(false) };
            for wide in wide {
                let mut found = false;
                for one in own {
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
}

impl Conditions {
    /// The conditions of `rule`.
    pub fn of(rule: &JwtRule) -> Self {
        let mut conditions: BTreeMap<Claim, Vec<Values>> = BTreeMap::new();
        for matcher in &rule.matchers {
            conditions.entry(matcher.claim.steps()).or_default().push(Values::of(&matcher.condition));
        }
        Self(conditions)
    }

    /// The claims that are compared exactly, with the values that are taken. Of two conditions on one claim both must hold, so
    /// either of them is a way to find the entry.
    fn exact(&self) -> impl Iterator<Item = (&Claim, &BTreeSet<String>)> {
        self.0.iter().filter_map(|(claim, conditions)| {
            let exact = conditions.iter().find_map(|values| match values {
                Values::Exact(set) => Some(set),
                Values::Prefix(_) => None,
            });
            exact.map(|set| (claim, set))
        })
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

    fn len(&self) -> usize {
        match self {
            Self::Exact(set) => set.len(),
            Self::Prefix(_) => 1,
        }
    }

    /// As [`Condition::is_within`], in time that grows with this list alone.
    fn is_within(&self, wide: &Self) -> bool {
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

/// Entries of one group.
#[derive(Clone, Debug, Default)]
struct Bucket {
    size: usize,
    /// The number of entries that compare a claim exactly, whether or not they stand under it.
    comparing: HashMap<Claim, usize>,
    keyed: OrdMap<Claim, Under>,
    rest: Arc<Vec<Arc<Entry>>>,
}

/// The entries that stand under one claim, by its values.
///
/// A copy shares the lists of all values that do not change.
type Under = OrdMap<Arc<str>, Arc<Vec<Arc<Entry>>>>;

impl Bucket {
    /// The claim under which `entry` costs look-ups least.
    ///
    /// They meet it where they share its value, or do not compare the claim.
    fn key_for(&self, entry: &Entry) -> Option<Claim> {
        let cost = |claim: &Claim, values: &BTreeSet<String>| {
            let under = self.keyed.get(claim);
            let sharing: usize =
                values.iter().map(|value| under.and_then(|under| under.get(value.as_str())).map_or(0, |list| list.len())).sum();
            sharing + self.size.saturating_sub(self.comparing.get(claim).copied().unwrap_or_default())
        };
        entry.conditions.exact().min_by_key(|(claim, values)| cost(claim, values)).map(|(claim, _)| claim.clone())
    }

    fn insert(&mut self, entry: &Arc<Entry>) -> Option<Claim> {
        let key = self.key_for(entry);
        match &key {
            Some(claim) => {
                let under = self.keyed.entry(claim.clone()).or_default();
                for value in entry.conditions.exact().filter(|(exact, _)| *exact == claim).flat_map(|(_, values)| values) {
                    Arc::make_mut(under.entry(value.as_str().into()).or_default()).push(Arc::clone(entry));
                }
            }
            None => Arc::make_mut(&mut self.rest).push(Arc::clone(entry)),
        }
        self.size += 1;
        for (claim, _) in entry.conditions.exact() {
            *self.comparing.entry(claim.clone()).or_default() += 1;
        }
        key
    }

    fn remove(&mut self, entry: &Arc<Entry>, key: Option<&Claim>) {
        let gone = |list: &mut Arc<Vec<Arc<Entry>>>| Arc::make_mut(list).retain(|other| !Arc::ptr_eq(other, entry));
        match key {
            Some(claim) => {
                if let Some(under) = self.keyed.get_mut(claim) {
                    for value in entry.conditions.exact().filter(|(exact, _)| *exact == claim).flat_map(|(_, values)| values) {
                        let Some(list) = under.get_mut(value.as_str()) else { continue };
                        gone(list);
                        if list.is_empty() {
                            under.remove(value.as_str());
                        }
                    }
                    if under.is_empty() {
                        self.keyed.remove(claim);
                    }
                }
            }
            None => gone(&mut self.rest),
        }
        self.size = self.size.saturating_sub(1);
        for (claim, _) in entry.conditions.exact() {
            let Some(count) = self.comparing.get_mut(claim) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.comparing.remove(claim);
            }
        }
    }

    /// The first entry for which `meets` holds.
    ///
    /// It leaves out the entries that the claim they stand under keeps apart from `probe`.
    fn find<'b>(
        &'b self,
        probe: &Entry,
        effort: &mut Effort,
        meets: &mut dyn FnMut(&Entry, &mut Effort) -> Result<bool, Exhausted>,
    ) -> Result<Option<&'b Entry>, Exhausted> {
        let mut first = |list: &'b [Arc<Entry>], effort: &mut Effort| {
            for entry in list {
                effort.take(1)?;
                if meets(entry, effort)? {
                    return Ok(Some(&**entry));
                }
            }
            Ok(None)
        };
        for (claim, under) in &self.keyed {
            effort.take(1)?;
            let lists: Box<dyn Iterator<Item = &'b Arc<Vec<Arc<Entry>>>>> =
                match probe.conditions.0.get(claim).and_then(|conditions| conditions.first()) {
                    None => Box::new(under.values()),
                    Some(Values::Exact(set)) => {
                        effort.take(set.len())?;
                        Box::new(set.iter().filter_map(|value| under.get(value.as_str())))
                    }
                    Some(Values::Prefix(prefix)) => Box::new(
                        under
                            .range::<_, str>((Bound::Included(prefix.as_str()), Bound::Unbounded))
                            .take_while(|(value, _)| value.starts_with(prefix.as_str()))
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

/// The place of an entry.
#[derive(Clone, Debug)]
struct Standing {
    group: Group,
    key: Option<Claim>,
    entry: Arc<Entry>,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct BindingIndex {
    buckets: HashMap<Group, Arc<Bucket>>,
    of: HashMap<ClientId, Arc<Vec<Standing>>>,
}

impl BindingIndex {
    /// Adds an entry.
    pub fn insert(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        for group in &entry.groups {
            let key = Arc::make_mut(self.buckets.entry(group.clone()).or_default()).insert(&entry);
            let standing = Standing { group: group.clone(), key, entry: Arc::clone(&entry) };
            Arc::make_mut(self.of.entry(entry.client.clone()).or_default()).push(standing);
        }
    }

    /// Removes all entries of a client.
    pub fn remove(&mut self, client: &ClientId) {
        for Standing { group, key, entry } in self.of.remove(client).unwrap_or_default().iter() {
            let Some(bucket) = self.buckets.get_mut(group) else { continue };
            Arc::make_mut(bucket).remove(entry, key.as_ref());
            if bucket.size == 0 {
                self.buckets.remove(group);
            }
        }
    }

    /// The entry of one binding of a client, if it has one.
    pub fn entry(&self, client: &ClientId, environment: &EnvironmentName, binding: &BindingName) -> Option<&Entry> {
        let mut own = self.of.get(client).into_iter().flat_map(|own| own.iter()).map(|standing| &*standing.entry);
        own.find(|entry| entry.environment == *environment && entry.binding == *binding)
    }

    /// An entry that `counts` and that could admit a proof which `probe` admits: the same issuer, an audience that both take (or a proof that names
    /// none), and no claim on which they are disjoint. Algorithms, `typ`, key sources, life and networks separate nothing (docs/reference/records.md:
    /// "they must differ on a claim by disjoint matchers").
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn overlapping(
        &self,
        probe: &Entry,
        effort: &mut Effort,
        mut counts: impl FnMut(&Entry) -> bool,
    ) -> Result<Option<&Entry>, Exhausted> {
        for group in &probe.groups {
            let Some(bucket) = self.buckets.get(group) else { continue };
            let mut meets = |other: &Entry, effort: &mut Effort| {
                Ok(counts(other) && !probe.conditions.is_disjoint(&other.conditions, effort)?)
            };
            if let Some(found) = bucket.find(probe, effort, &mut meets)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fixture;

    fn rule(issuer: &str, matchers: &[(&str, Condition)], audience: Option<&str>) -> JwtRule {
        let audience = audience.map(|audience| ExtraAudience::Value(audience.parse().expect("an audience")));
        JwtRule { audience, ..fixture::rule(issuer, matchers) }
    }

    fn entry(client: usize, environment: &str, rule: &JwtRule) -> Entry {
        let client = format!("globex/i{client}").parse().expect("a client");
        Entry::new(client, environment.parse().expect("a name"), "ci".parse().expect("a name"), rule)
    }

    /// The definition, without any index: what the old check compared pair by pair.
    fn overlap(a: (&str, &JwtRule), b: (&str, &JwtRule)) -> bool {
        let disjoint = a.1.matchers.iter().any(|one| {
            b.1.matchers
                .iter()
                .any(|other| one.claim.steps() == other.claim.steps() && one.condition.is_disjoint(&other.condition))
        });
        let shares = a.0 == b.0 || a.1.audience.is_some() && a.1.audience == b.1.audience;
        a.1.issuer == b.1.issuer && shares && !disjoint
    }

    fn conditions() -> impl Strategy<Value = Condition> {
        let value = "[ab]{1,3}";
        prop_oneof![
            3 => value.prop_map(Condition::Equals),
            2 => proptest::collection::vec(value, 1..4).prop_map(Condition::OneOf),
            1 => "[ab]{1,2}".prop_map(Condition::Prefix),
        ]
    }

    fn rules() -> impl Strategy<Value = (&'static str, JwtRule)> {
        let claim = prop_oneof![Just("sub"), Just("/sub"), Just("id"), Just("/k/ns"), Just("ref")];
        let environment = prop_oneof![Just("production"), Just("sandbox")];
        let issuer = prop_oneof![4 => Just("https://one.example"), 1 => Just("https://two.example")];
        let audience = prop_oneof![3 => Just(None), 1 => Just(Some("extra")), 1 => Just(Some("other"))];
        (environment, issuer, proptest::collection::vec((claim, conditions()), 0..4), audience)
            .prop_map(|(environment, issuer, matchers, audience)| (environment, rule(issuer, &matchers, audience)))
    }

    proptest! {
        /// S-2: the index finds an overlap where a comparison with each single binding finds one, also after others came and went.
        #[test]
        fn the_index_finds_what_comparing_with_everything_finds(
            all in proptest::collection::vec(rules(), 1..25),
            gone in proptest::collection::vec(any::<bool>(), 25),
            probe in rules(),
        ) {
            let mut index = BindingIndex::default();
            for (at, (environment, rule)) in all.iter().enumerate() {
                index.insert(entry(at, environment, rule));
            }
            let before = index.clone();
            for at in (0..all.len()).filter(|at| gone[*at]) {
                index.remove(&entry(at, "production", &all[at].1).client);
            }
            let asked = entry(99, probe.0, &probe.1);
            let overlaps = |at: usize| overlap((probe.0, &probe.1), (all[at].0, &all[at].1));
            for (index, kept) in [(&before, false), (&index, true)] {
                let mut expected = (0..all.len()).filter(|at| !(kept && gone[*at])).filter(|at| overlaps(*at));
                let found = index.overlapping(&asked, &mut Effort::default(), |_| true).expect("little work");
                prop_assert_eq!(found.is_some(), expected.next().is_some());
                // Each one is found, not just any.
                for at in (0..all.len()).filter(|at| !(kept && gone[*at])) {
                    let only = entry(at, "production", &all[at].1).client;
                    let found = index.overlapping(&asked, &mut Effort::default(), |other| other.client == only);
                    prop_assert_eq!(found.expect("little work").is_some(), overlaps(at));
                }
            }
        }
    }

    /// S-1: an entry is within another where it adds nothing to what that one admits.
    #[test]
    fn an_entry_is_within_another_that_admits_all_of_it() {
        let equals = |value: &str| Condition::Equals(value.into());
        let one_of = |values: &[&str]| Condition::OneOf(values.iter().map(|value| (*value).to_owned()).collect());
        let prefix = |value: &str| Condition::Prefix(value.into());
        let wide = [("id", one_of(&["a", "b"])), ("ref", prefix("re"))];
        let within = |environment: &str, matchers: &[(&str, Condition)], audience: Option<&str>| {
            let known = entry(1, "production", &rule("https://one.example", &wide, None));
            let own = entry(1, environment, &rule("https://one.example", matchers, audience));
            own.is_within(&known, &mut Effort::default()).expect("little work")
        };
        let rows = [
            (true, wide.to_vec()),
            (true, vec![("id", equals("a")), ("ref", prefix("refs/"))]),
            (true, vec![("/id", equals("b")), ("ref", one_of(&["re", "rest"])), ("more", prefix("x"))]),
            (false, vec![("id", one_of(&["a", "c"])), ("ref", prefix("re"))]),
            (false, vec![("id", prefix("a")), ("ref", prefix("re"))]),
            (false, vec![("id", equals("a")), ("ref", prefix("r"))]),
            (false, vec![("id", equals("a"))]),
            (false, vec![]),
        ];
        for (expected, matchers) in rows {
            assert_eq!(within("production", &matchers, None), expected, "{matchers:?}");
        }
        assert!(!within("sandbox", &wide, None) && !within("production", &wide, Some("more")));
        assert!(
            entry(1, "production", &rule("https://one.example", &wide, None))
                .is_within(&entry(1, "production", &rule("https://one.example", &wide, None)), &mut Effort::of(1))
                .is_err()
        );
    }

    /// S-2: a change while somebody holds a copy copies what it touches, and nothing is left behind by what went.
    #[test]
    fn a_change_shares_with_copies_what_it_does_not_touch() {
        let of = |at: usize, issuer: &str| rule(issuer, &[("id", Condition::Equals(at.to_string()))], None);
        let mut index = BindingIndex::default();
        for at in 0..100 {
            index.insert(entry(
                at,
                "production",
                &of(at, if at % 2 == 0 { "https://one.example" } else { "https://two.example" }),
            ));
        }
        let copy = index.clone();
        index.remove(&entry(0, "production", &of(0, "https://one.example")).client);
        index.insert(entry(100, "production", &of(2, "https://one.example")));
        let lists = |index: &BindingIndex| -> Vec<Arc<Vec<Arc<Entry>>>> {
            index.buckets.values().flat_map(|bucket| bucket.keyed.values()).flat_map(|under| under.values().cloned()).collect()
        };
        let shared = index.buckets.iter().filter(|(group, bucket)| Arc::ptr_eq(bucket, &copy.buckets[*group])).count();
        let (before, after) = (lists(&copy), lists(&index));
        let kept = after.iter().filter(|list| before.iter().any(|other| Arc::ptr_eq(other, list))).count();
        assert_eq!((shared, before.len(), after.len(), kept), (1, 100, 99, 98));
        for at in 1..100 {
            index.remove(&entry(at, "production", &of(at, "https://one.example")).client);
        }
        index.remove(&entry(100, "production", &of(2, "https://one.example")).client);
        assert!(index.buckets.is_empty() && index.of.is_empty());
    }

    /// S-2: two thousand repositories of one owner at one issuer cost a few steps each, whatever stands first in the record.
    #[test]
    fn many_bindings_of_one_issuer_cost_a_few_steps_each() {
        let of = |at: usize| {
            let equals = |value: &str| Condition::Equals(value.to_owned());
            let main = Condition::OneOf(vec!["refs/heads/main".into(), "refs/heads/release".into()]);
            let repository = at.to_string();
            rule(
                "https://one.example",
                &[("owner", equals("998877")), ("ref", main), ("repository", equals(&repository))],
                None,
            )
        };
        let mut index = BindingIndex::default();
        for at in 0..2000 {
            index.insert(entry(at, "production", &of(at)));
        }
        let mut effort = Effort::default();
        for at in 0..2000 {
            let own = entry(at, "production", &of(at));
            let found = index.overlapping(&own, &mut effort, |other| other.client != own.client);
            assert!(found.expect("little work").is_none());
        }
        assert!(effort.spent() < 2000 * 50, "{}", effort.spent());
    }

    /// S-2: where no two rules compare the same claim no index helps, and the budget ends the search.
    #[test]
    fn rules_that_compare_different_claims_use_up_the_budget() {
        let mut index = BindingIndex::default();
        let mut effort = Effort::of(100_000);
        let mut compared = 0;
        for at in 0..600_usize {
            let claim = format!("c{at}");
            let own = entry(at, "production", &rule("https://one.example", &[(&claim, Condition::Equals("x".into()))], None));
            // Each of them overlaps with each other one; nothing here counts, so that the search goes on to its end.
            if index.overlapping(&own, &mut effort, |_| false).is_err() {
                break;
            }
            compared += 1;
            index.insert(own);
        }
        assert!((100..600).contains(&compared), "{compared}");
    }
}
