//! The rights that a new version of a record takes away from tokens that were issued under the version before.
//!
//! Enter through [`of_integration`], [`of_partner`] and [`of_api`]. A token stands as long as the new version would grant it as it is. An
//! entry tells a token's binding, API, scope and end, and not the address that it was asked from or the key that it is bound to: a version
//! that asks for more of these takes everything of its environment. A comparison that does not come to its end counts as less. What rests on
//! more than the two versions is told as [`Unsure`], and asked of the state.

use std::collections::{BTreeMap, BTreeSet};

use super::access::widens_binding;
use super::access::widens_elevation;
use super::elevation::is_within;
use crate::domain::registry::api::{Api, Approval};
use crate::domain::registry::binding::{Admits, Binding, JwtKind, JwtRule, KeySource};
use crate::domain::registry::integration::{Access, Eligible, Integration, Limits, OnLate};
use crate::domain::registry::partner::Partner;
use crate::domain::registry::preset::Preset;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::effort::Effort;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, Audience, BindingName, EnvironmentName, Issuer};
use crate::domain::value::scope::Scope;

/// The rights that a version takes away in one place: an environment of an integration or API, or all of a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TakenAway {
    /// Every token there.
    pub everything: bool,
    /// Tokens issued under these bindings.
    pub bindings: BTreeSet<BindingName>,
    /// Tokens bound to an X.509-SVID of these trust domains.
    pub beside: BTreeSet<Issuer>,
    /// Tokens with one of these scopes.
    pub scopes: BTreeSet<(ApiName, Scope)>,
    /// Tokens that live beyond this time.
    pub ends: Option<Timestamp>,
    /// Tokens with a longer life than this.
    pub longest: Option<Seconds>,
    /// The tokens that it takes besides, which the records alone do not tell.
    pub unsure: Unsure,
}

/// What a version changed that takes tokens away only together with what is no part of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Unsure {
    /// It lets less be elevated, or asks for more: an elevation that was approved before may do no longer.
    pub elevations: bool,
    /// It refuses late keys by another cadence than before.
    pub rotation: bool,
    /// It changes what guardrails read.
    pub guardrails: bool,
}

/// By environment; only those where something is taken away.
pub type Places = BTreeMap<EnvironmentName, TakenAway>;

impl TakenAway {
    fn all() -> Self {
        Self { everything: true, ..Self::default() }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The rights that version `new` of an integration takes away, if it comes into force at `now`.
pub fn of_integration(old: &Integration, new: &Integration, now: Timestamp) -> Places {
    let mut effort = Effort::default();
    let place = |(environment, was): (&EnvironmentName, &Access)| {
        let is = new.environments.get(environment).filter(|_| new.contract.starts <= now);
        let mut away = is.map_or_else(TakenAway::all, |is| of_access(was, is, &mut effort));
        let (before, after) = (old.ends_in(environment), new.ends_in(environment));
        away.ends = (after < before).then_some(after);
        away.unsure.rotation = rotates_otherwise(old, new);
        away.unsure.guardrails |= reads_otherwise(old, new);
        (environment.clone(), away)
    };
    old.environments.iter().map(place).filter(|(_, away)| !away.is_nothing()).collect()
}

/// The rights that version `new` of a partner takes away from all its integrations.
pub fn of_partner(old: &Partner, new: &Partner) -> Option<TakenAway> {
    let (before, after) = (old.verification.expires, new.verification.expires);
    (after < before).then(|| TakenAway { ends: Some(after), ..TakenAway::default() })
}

/// The rights that version `new` of an API takes away from all integrations.
pub fn of_api(old: &Api, new: &Api) -> Places {
    let gone = old.scopes.keys().filter(|scope| !new.scopes.contains_key(*scope));
    let scopes: BTreeSet<_> = gone.map(|scope| (old.name.clone(), scope.clone())).collect();
    let bound = new.token.require_bound && !old.token.require_bound;
    let risks = old.scopes.iter().any(|(scope, was)| new.scopes.get(scope).is_some_and(|is| is.risk != was.risk));
    let signed = new.approval == Approval::Signed && old.approval != Approval::Signed;
    let unsure = Unsure { elevations: signed, rotation: false, guardrails: risks };
    let place = |(environment, audience): (&EnvironmentName, &Audience)| {
        let everything = bound || new.audience.get(environment) != Some(audience);
        let longest = (new.token.ttl < old.token.ttl).then_some(new.token.ttl);
        (environment.clone(), TakenAway { everything, scopes: scopes.clone(), longest, unsure, ..TakenAway::default() })
    };
    old.audience.iter().map(place).filter(|(_, away)| !away.is_nothing()).collect()
}

fn of_access(old: &Access, new: &Access, effort: &mut Effort) -> TakenAway {
    if new.require > old.require || lists_less(&old.limits, &new.limits, effort) {
        return TakenAway::all();
    }
    let longest = new.limits.ttl.filter(|ttl| old.limits.ttl.is_none_or(|before| *ttl < before));
    let less = |was: &&Binding| {
        let is = new.bindings.iter().find(|is| is.name == was.name);
        is.is_none_or(|is| takes_less(was, is, effort))
    };
    let bindings = old.bindings.iter().filter(less).map(|gone| gone.name.clone()).collect();
    let mut beside = BTreeSet::new();
    for was in &old.bindings {
        let is = new.bindings.iter().find(|is| is.name == was.name);
        let gone = svids(was).filter(|rule| is.and_then(svids).is_none_or(|is| takes_fewer_svids(&was.name, rule, is, effort)));
        beside.extend(gone.map(|rule| rule.issuer.clone()));
    }
    let unsure = Unsure { elevations: elevates_less(old, new), rotation: false, guardrails: shapes(old) != shapes(new) };
    TakenAway { bindings, beside, scopes: scopes(old, new), longest, unsure, ..TakenAway::default() }
}

/// The rule of a binding that takes X.509-SVIDs.
fn svids(binding: &Binding) -> Option<&JwtRule> {
    match &binding.admits {
        Admits::Jwt(rule) if rule.takes_svids() => Some(rule),
        Admits::Jwt(_) | Admits::Certificate => None,
    }
}

/// Whether `new` could refuse an X.509-SVID that `old` takes. What it asks of JWTs is no matter of one.
fn takes_fewer_svids(name: &BindingName, old: &JwtRule, new: &JwtRule, effort: &mut Effort) -> bool {
    let keys = if has_all(&old.keys, &new.keys) { old.keys.clone() } else { new.keys.clone() };
    // Without a condition a binding takes no SVID.
    let issuer = new.issuer.clone();
    let alike = JwtRule { keys, issuer, matchers: new.matchers.clone(), ..old.clone() };
    let binding = |rule: JwtRule| Binding { name: name.clone(), admits: Admits::Jwt(rule.into()) };
    let fewer = alike != *old;
    fewer && (alike.matchers.is_empty() || widens_binding(Some(&binding(alike)), &binding(old.clone()), effort))
}

/// Whether a scope that can be elevated in both is harder to elevate in `new`, or for a shorter time.
fn elevates_less(old: &Access, new: &Access) -> bool {
    let less = |was: &Eligible| {
        let same = new.elevation.iter().find(|is| is.api == was.api && is.scope == was.scope);
        same.is_some_and(|is| is != was && widens_elevation(Some(is), was))
    };
    old.elevation.iter().any(less)
}

/// Whether late keys are refused by another cadence.
fn rotates_otherwise(old: &Integration, new: &Integration) -> bool {
    old.rotation != new.rotation && new.rotation.as_ref().is_some_and(|rotation| rotation.on_late == OnLate::Refuse)
}

/// Whether guardrails read other facts about the integration, in every environment.
fn reads_otherwise(old: &Integration, new: &Integration) -> bool {
    let classes = |record: &Integration| record.data_classes.iter().cloned().collect::<BTreeSet<_>>();
    old.contract.ends != new.contract.ends || classes(old) != classes(new)
}

/// What guardrails read of bindings, by name. Those that are gone take their tokens with them.
fn shapes(access: &Access) -> BTreeMap<&BindingName, Option<(JwtKind, Option<Preset>)>> {
    let shape = |binding: &Binding| match &binding.admits {
        Admits::Jwt(rule) => Some((rule.kind, rule.preset)),
        Admits::Certificate => None,
    };
    access.bindings.iter().map(|binding| (&binding.name, shape(binding))).collect()
}

/// Whether `new` lists networks, and a network of `old` is outside of them.
fn lists_less(old: &Limits, new: &Limits, effort: &mut Effort) -> bool {
    let (was, is) = (&old.source_cidrs, &new.source_cidrs);
    if is.is_empty() || was == is {
        return false;
    }
    let tired = effort.take(was.len().saturating_mul(is.len())).is_err();
    tired || was.is_empty() || !was.iter().all(|network| is.iter().any(|wide| network.is_within(wide)))
}

/// Whether `new` could refuse a proof that `old` takes.
fn takes_less(old: &Binding, new: &Binding, effort: &mut Effort) -> bool {
    let (Admits::Jwt(was), Admits::Jwt(is)) = (&old.admits, &new.admits) else { return old.admits != new.admits };
    if was == is {
        return false;
    }
    // One more key takes nothing away, and who counts as known is no matter of a token.
    let keys = if has_all(&was.keys, &is.keys) { was.keys.clone() } else { is.keys.clone() };
    let alike = JwtRule { keys, owner: was.owner.clone(), ..is.as_ref().clone() };
    let alike = Binding { name: new.name.clone(), admits: Admits::Jwt(alike.into()) };
    alike.admits != old.admits && widens_binding(Some(&alike), old, effort)
}

/// Whether `new` has every key of `old`, as far as the record tells.
fn has_all(old: &KeySource, new: &KeySource) -> bool {
    let keys = |text: &str| {
        let set: Option<serde_json::Value> = serde_json::from_str(text).ok();
        set.and_then(|mut set| Some(set.get_mut("keys")?.as_array_mut()?.split_off(0)))
    };
    match (old, new) {
        (KeySource::Inline(was), KeySource::Inline(is)) | (KeySource::InlineBundle(was), KeySource::InlineBundle(is)) => {
            let both = keys(was).zip(keys(is));
            both.is_some_and(|(was, is)| was.iter().all(|key| is.contains(key)))
        }
        (
            KeySource::Discovery(_)
            | KeySource::JwksUri(_)
            | KeySource::Inline(_)
            | KeySource::BundleUrl(_)
            | KeySource::InlineBundle(_),
            _,
        ) => old == new,
    }
}

/// The scopes that `new` gives no longer, for fewer endpoints, or only by an elevation.
fn scopes(old: &Access, new: &Access) -> BTreeSet<(ApiName, Scope)> {
    let reaches = |was: &[Endpoint], is: &[Endpoint]| is.is_empty() || was == is || is_within(is, was);
    let stands = |api: &ApiName, scope: &Scope, allow: &[Endpoint]| {
        let rules = new.scopes.get(api).into_iter().flatten();
        rules.filter(|rule| rule.scope == *scope).any(|rule| reaches(allow, &rule.allow))
    };
    let mut gone = BTreeSet::new();
    for (api, rules) in &old.scopes {
        let less = rules.iter().filter(|rule| !stands(api, &rule.scope, &rule.allow));
        gone.extend(less.map(|rule| (api.clone(), rule.scope.clone())));
    }
    for was in &old.elevation {
        let same = new.elevation.iter().filter(|is| is.api == was.api && is.scope == was.scope);
        let eligible = same.into_iter().any(|is| reaches(&was.allow, &is.allow));
        if !eligible && !stands(&was.api, &was.scope, &was.allow) {
            gone.insert((was.api.clone(), was.scope.clone()));
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::Examples;
    use crate::domain::fixture::at;
    use crate::domain::value::names::BindingName;

    /// The bindings of production whose tokens are cut when `change` is made to the one of this name.
    fn cut_by(name: &str, change: impl FnOnce(&mut JwtRule)) -> Vec<String> {
        let old = Examples::plain().integration();
        let mut new = old.clone();
        let production: EnvironmentName = "production".parse().expect("a name");
        let access = new.environments.get_mut(&production).expect("production");
        let binding = access.bindings.iter_mut().find(|binding| binding.name.as_str() == name).expect("the binding");
        let Admits::Jwt(rule) = &mut binding.admits else { panic!("a rule") };
        change(std::sync::Arc::make_mut(rule));
        let places = of_integration(&old, &new, at(0));
        assert!(places.keys().all(|environment| *environment == production), "{places:?}");
        let away = places.get(&production).cloned().unwrap_or_default();
        let rest = TakenAway { bindings: BTreeSet::new(), beside: BTreeSet::new(), ..away.clone() };
        assert_eq!(rest, TakenAway::default());
        away.bindings.iter().map(BindingName::to_string).collect()
    }

    /// A token bound to an X.509-SVID rests on the rule that took the SVID, and not on what that rule asks of JWTs.
    #[test]
    fn a_rule_on_svids_takes_the_tokens_beside_them() {
        let beside = |change: fn(&mut JwtRule)| {
            let old = Examples::plain().integration();
            let mut new = old.clone();
            let production: EnvironmentName = "production".parse().expect("a name");
            let access = new.environments.get_mut(&production).expect("production");
            let binding = access.bindings.iter_mut().find(|one| svids(one).is_some()).expect("a rule on SVIDs");
            let Admits::Jwt(rule) = &mut binding.admits else { panic!("a rule") };
            let issuer = rule.issuer.clone();
            change(std::sync::Arc::make_mut(rule));
            let away = of_integration(&old, &new, at(0));
            assert!(away.values().all(|one| one.beside.is_empty() || one.beside == BTreeSet::from([issuer.clone()])));
            away.values().any(|one| !one.beside.is_empty())
        };
        assert!(!beside(|_| {}));
        assert!(!beside(|rule| rule.max_life = Seconds(1)), "it is about JWTs");
        assert!(!beside(|rule| rule.algs.clear()), "it is about JWTs");
        assert!(beside(|rule| rule.matchers.clear()), "without a condition it takes none");
        assert!(beside(|rule| rule.preset = None));
        assert!(beside(|rule| rule.keys = KeySource::InlineBundle("no set".to_owned())));
        assert!(beside(|rule| rule.issuer = "spiffe://other.example".parse().expect("an issuer")));
    }

    /// One more key or algorithm takes nothing from a binding; one key, algorithm or value less does.
    #[test]
    fn a_binding_takes_less_where_a_proof_of_before_could_be_refused() {
        let keys = |rule: &mut JwtRule, set: &str| rule.keys = KeySource::InlineBundle(set.to_owned());
        let whole = r#"{"spiffe_sequence":8,"keys":[{"kid":"a"},{"kid":"b"}]}"#;
        assert_eq!(cut_by("edge", |_| {}), Vec::<String>::new());
        assert_eq!(cut_by("edge", |rule| keys(rule, whole)), Vec::<String>::new(), "the set of before has no key");
        assert_eq!(cut_by("edge", |rule| keys(rule, "no set")), ["edge"]);
        assert_eq!(cut_by("ci", |rule| rule.keys = KeySource::JwksUri("https://keys.example".to_owned())), ["ci"]);
        assert_eq!(cut_by("ci", |rule| rule.owner.clear()), Vec::<String>::new(), "who is known is no matter of a token");
        assert_eq!(cut_by("ci", |rule| rule.max_life = Seconds(60)), ["ci"]);
        assert_eq!(cut_by("ci", |rule| rule.matchers.clear()), Vec::<String>::new(), "fewer conditions admit more");
        let set = |keys: &str| KeySource::Inline(format!("{{\"keys\":[{keys}]}}"));
        let (a, b) = (r#"{"kid":"a"}"#, r#"{"kid":"b"}"#);
        assert!(has_all(&set(a), &set(&format!("{b},{a}"))) && has_all(&set(""), &set(a)));
        assert!(!has_all(&set(&format!("{a},{b}")), &set(a)) && !has_all(&KeySource::Inline("x".to_owned()), &set(a)));
    }
}
