//! Bindings by issuer and audience, and among those by their most selective claim.
//!
//! Enter through [`BindingIndex::insert`] and [`BindingIndex::overlapping`]. [`ClaimIndex`] says what a look-up costs.

use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use super::binding::{ExtraAudience, JwtRule};
use super::claim_index::ClaimIndex;
use super::conditions::Conditions;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{Audience, BindingName, ClientId, EnvironmentName, Issuer};

/// A rule on JWTs, with the client and the environment that it admits to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The client that it admits.
    pub client: ClientId,
    /// Where.
    pub environment: EnvironmentName,
    /// The binding.
    pub binding: BindingName,
    groups: Arc<[Group]>,
    conditions: Conditions,
}

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
        Self { client, environment, binding, groups: groups.into(), conditions: Conditions::of(rule) }
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
        self.conditions.is_within(&other.conditions, effort)
    }
}

/// An entry with its place in the first of its groups. Its place in the next group is the next number.
#[derive(Clone, Debug)]
struct Standing {
    first: u64,
    entry: Arc<Entry>,
}

impl Standing {
    fn places(&self) -> impl Iterator<Item = (&Group, u64)> {
        self.entry.groups.iter().zip(self.first..)
    }
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct BindingIndex {
    groups: HashMap<Group, ClaimIndex<Arc<Entry>>>,
    of: OrdMap<ClientId, Arc<[Standing]>>,
    /// The place of the next entry.
    next: u64,
}

impl BindingIndex {
    /// Puts `entries`, all of them of `client`, in the place of those that it has.
    pub fn replace(&mut self, client: &ClientId, entries: impl Iterator<Item = Entry>) {
        for standing in self.of.remove(client).iter().flat_map(|own| own.iter()) {
            for (group, place) in standing.places() {
                let Some(known) = self.groups.get_mut(group) else { continue };
                known.remove(place, &standing.entry.conditions);
                if known.is_empty() {
                    self.groups.remove(group);
                }
            }
        }
        let own: Arc<[Standing]> = entries.map(|entry| self.insert(entry)).collect();
        if !own.is_empty() {
            self.of.insert(client.clone(), own);
        }
    }

    fn insert(&mut self, mut entry: Entry) -> Standing {
        if let Some(known) = entry.groups.first().and_then(|group| self.groups.get(group)) {
            entry.conditions.share_claims(|claim| known.claim(claim));
            if let Some(other) = known.first().filter(|other| other.groups == entry.groups) {
                entry.groups = Arc::clone(&other.groups);
            }
        }
        let standing = Standing { first: self.next, entry: Arc::new(entry) };
        for (group, place) in standing.places() {
            let known = self.groups.entry(group.clone()).or_default();
            known.insert(place, &standing.entry.conditions, Arc::clone(&standing.entry));
            self.next = place + 1;
        }
        standing
    }

    /// The entry of one binding of a client, if it has one.
    pub fn entry(&self, client: &ClientId, environment: &EnvironmentName, binding: &BindingName) -> Option<&Entry> {
        let mut own = self.of.get(client).into_iter().flat_map(|own| own.iter()).map(|standing| &*standing.entry);
        own.find(|entry| entry.environment == *environment && entry.binding == *binding)
    }

    /// Finds an entry that `counts` and could admit a proof that `probe` admits too.
    ///
    /// Both have the same issuer, take one audience (or a proof that names none), and no claim keeps them apart. Algorithms, `typ`,
    /// key sources, life and networks separate nothing (docs/reference/records.md: "they must differ on a claim by disjoint
    /// matchers").
    ///
    /// # Errors
    /// It takes more than `effort` has left.
    pub fn overlapping(
        &self,
        probe: &Entry,
        effort: &mut Effort,
        mut counts: impl FnMut(&Entry) -> bool,
    ) -> Result<Option<&Entry>, Exhausted> {
        for group in probe.groups.iter() {
            let Some(known) = self.groups.get(group) else { continue };
            let mut meets = |other: &Arc<Entry>, effort: &mut Effort| {
                Ok(counts(other) && !probe.conditions.is_disjoint(&other.conditions, effort)?)
            };
            if let Some(found) = known.find(&probe.conditions, effort, &mut meets)? {
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
    use crate::domain::registry::binding::Condition;

    impl BindingIndex {
        fn put(&mut self, entry: Entry) {
            self.replace(&entry.client.clone(), std::iter::once(entry));
        }

        fn remove(&mut self, client: &ClientId) {
            self.replace(client, std::iter::empty());
        }
    }

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
            3 => value.prop_map(|value| Condition::Equals(value.into())),
            2 => proptest::collection::vec(value.prop_map(Into::into), 1..4).prop_map(Condition::OneOf),
            1 => "[ab]{1,2}".prop_map(|prefix| Condition::Prefix(prefix.into())),
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
                index.put(entry(at, environment, rule));
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
        let one_of = |values: &[&str]| Condition::OneOf(values.iter().map(|value| (*value).into()).collect());
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
        let of = |at: usize, issuer: &str| rule(issuer, &[("id", Condition::Equals(at.to_string().into()))], None);
        let mut index = BindingIndex::default();
        for at in 0..100 {
            index.put(entry(
                at,
                "production",
                &of(at, if at % 2 == 0 { "https://one.example" } else { "https://two.example" }),
            ));
        }
        let copy = index.clone();
        index.remove(&entry(0, "production", &of(0, "https://one.example")).client);
        index.put(entry(100, "production", &of(2, "https://one.example")));
        let of_issuer = |index: &BindingIndex, issuer: &str| {
            let group = entry(0, "production", &of(0, issuer)).groups[0].clone();
            index.groups[&group].clone()
        };
        let (one, two) = ("https://one.example", "https://two.example");
        let kept = |issuer: &str| of_issuer(&index, issuer).shared_with(&of_issuer(&copy, issuer));
        // The first of fifty went, and one came under the value of another.
        assert_eq!((kept(one), kept(two)), ((48, 49), (50, 50)));
        for at in 1..100 {
            index.remove(&entry(at, "production", &of(at, "https://one.example")).client);
        }
        index.remove(&entry(100, "production", &of(2, "https://one.example")).client);
        assert!(index.groups.is_empty() && index.of.is_empty());
    }

    /// S-2: two thousand repositories of one owner at one issuer cost a few steps each, whatever stands first in the record.
    #[test]
    fn many_bindings_of_one_issuer_cost_a_few_steps_each() {
        let of = |at: usize| {
            let equals = |value: &str| Condition::Equals(value.into());
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
            index.put(entry(at, "production", &of(at)));
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
            index.put(own);
        }
        assert!((100..600).contains(&compared), "{compared}");
    }
}
