//! Barred proofs: those that a revoked binding admits, whichever other binding admits them.
//!
//! A revocation of a binding is a word against the workload or key that it admits, not against a name in a record. So it refuses the
//! proof also where the record has a second binding that takes it, and after the revoked binding was renamed, narrowed or removed.
//! A proof is known by each issuer that it names: a JWT-SVID has an `iss` of its issuer's, and the trust domain of its subject. Which of
//! them it was looked up by depends on the bindings of the day, so a revocation of either counts.
//! Enter through [`Barred::jwt`] and its siblings, one for each kind of proof; [`Barred::rule`] says whether a binding has any proof left.

use std::hash::Hash;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use crate::domain::caller::conditions::conditions;
use crate::domain::caller::proof::Assertion;
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::registry::binding::{Admits, JwtKind, JwtRule};
use crate::domain::registry::claim_index::ClaimIndex;
use crate::domain::registry::conditions::Conditions;
use crate::domain::value::names::{ClientId, EnvironmentName, IntegrationId, Issuer, RevocationId};

/// The rules of revoked bindings, by environment and issuer.
///
/// Copies share all that one revocation does not touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Barred {
    jwt: HashMap<EnvironmentName, HashMap<Issuer, Rules>>,
    certificate: HashMap<(IntegrationId, EnvironmentName), Revoked>,
    certificates: HashMap<EnvironmentName, Revoked>,
    issuers: HashMap<Issuer, Revoked>,
    /// The places of each revocation.
    of: HashMap<RevocationId, Arc<Vec<Place>>>,
}

/// A rule that a revocation bars: the binding's at that time, or the one that it has since.
type Barring = (RevocationId, usize);

/// A revoked rule.
#[derive(Debug, PartialEq)]
struct Rule {
    barring: Barring,
    rule: JwtRule,
    /// The key of its revocation.
    key: RevocationKey,
}

/// The revoked rules of one environment and issuer, by the claims that they compare: a proof costs those that it may meet.
#[derive(Clone, Debug, Default)]
struct Rules {
    by_claim: ClaimIndex<Arc<Rule>>,
    places: OrdMap<Barring, u64>,
    /// The place of the next one.
    next: u64,
}

/// The keys of revocations, by their ids.
type Revoked = OrdMap<RevocationId, RevocationKey>;

/// A place of a revocation.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Jwt(EnvironmentName, Issuer, usize),
    Certificate((IntegrationId, EnvironmentName)),
    Certificates(EnvironmentName),
    Issuer(Issuer),
}

impl Barred {
    /// Bars all that a revoked binding admitted and admits, in place of all that `id` barred.
    pub(in crate::domain) fn bar<'a>(
        &mut self,
        id: &RevocationId,
        target: &RevocationTarget,
        admits: impl Iterator<Item = &'a Admits>,
    ) {
        self.remove(id);
        let RevocationTarget::Binding { client, environment, .. } = target else { return };
        let mut places = Vec::new();
        for (nth, admits) in admits.enumerate() {
            match (admits, client) {
                (Admits::Jwt(rule), _) => {
                    let issuer = rule.issuer.clone();
                    let rules = self.jwt.entry(environment.clone()).or_default().entry(issuer.clone()).or_default();
                    let (barring, rule) = ((id.clone(), nth), rule.as_ref().clone());
                    rules.insert(Rule { barring, rule, key: target.key() });
                    places.push(Place::Jwt(environment.clone(), issuer, nth));
                }
                (Admits::Certificate, ClientId::Integration(integration)) => {
                    let place = (integration.clone(), environment.clone());
                    self.certificate.entry(place.clone()).or_default().insert(id.clone(), target.key());
                    places.push(Place::Certificate(place));
                }
                // Our authority names integrations only.
                (Admits::Certificate, ClientId::Api(_)) => {}
            }
        }
        self.of.insert(id.clone(), Arc::new(places));
    }

    /// Bars the proofs of a revoked issuer everywhere, in place of all that `id` barred.
    ///
    /// Where the issuer is a trust domain of ours, it bars all certificates of the environments that have or had it.
    pub(in crate::domain) fn bar_issuer<'a>(
        &mut self,
        id: &RevocationId,
        issuer: &Issuer,
        own: impl Iterator<Item = &'a EnvironmentName>,
    ) {
        self.remove(id);
        let key = RevocationKey::issuer(issuer);
        let mut places = Vec::new();
        for environment in own {
            self.certificates.entry(environment.clone()).or_default().insert(id.clone(), key.clone());
            places.push(Place::Certificates(environment.clone()));
        }
        self.issuers.entry(issuer.clone()).or_default().insert(id.clone(), key);
        places.push(Place::Issuer(issuer.clone()));
        self.of.insert(id.clone(), Arc::new(places));
    }

    /// Takes a revocation out.
    pub(in crate::domain) fn remove(&mut self, id: &RevocationId) {
        for place in self.of.remove(id).unwrap_or_default().iter() {
            match place {
                Place::Jwt(environment, issuer, nth) => {
                    let Some(issuers) = self.jwt.get_mut(environment) else { continue };
                    let Some(rules) = issuers.get_mut(issuer) else { continue };
                    rules.remove(&(id.clone(), *nth));
                    if rules.places.is_empty() {
                        issuers.remove(issuer);
                    }
                    if issuers.is_empty() {
                        self.jwt.remove(environment);
                    }
                }
                Place::Certificate(place) => forget(&mut self.certificate, place, id),
                Place::Certificates(environment) => forget(&mut self.certificates, environment, id),
                Place::Issuer(issuer) => forget(&mut self.issuers, issuer, id),
            }
        }
    }

    /// The revocation that bars `assertion` in `environment`: its key.
    ///
    /// Issuer and claims decide. Slot, audience, algorithm, times and `jti` do not: the holder of a revoked identity can choose them, or
    /// wait until the proof is older than the revoked binding takes it. Nor do the keys. The claims of an issuer mean the same workload
    /// whichever key set has its keys. A revoked `key` binding bars every `key` proof of its client: the same key may stand in a second
    /// set, under another `kid`, and the revoked set may be out of reach. So the client has no `key` proofs until the lift.
    pub(in crate::domain) fn jwt(&self, environment: &EnvironmentName, assertion: &Assertion) -> Option<&RevocationKey> {
        if self.jwt.is_empty() && self.issuers.is_empty() {
            return None;
        }
        let bars = |rule: &JwtRule| match rule.kind {
            JwtKind::Key => true,
            JwtKind::Oidc => conditions(rule, &assertion.claims).all(|result| result.holds),
        };
        let mut issuers = assertion.issuers().into_iter();
        issuers.find_map(|issuer| self.find(environment, &issuer, |rules| rules.by_claim.meeting(&assertion.claims), bars))
    }

    /// The revocation that bars every proof of `rule` in `environment`: its key.
    ///
    /// Several revocations that bar them between them are not put together: each of the proofs is refused all the same.
    pub(in crate::domain) fn rule(&self, environment: &EnvironmentName, rule: &JwtRule) -> Option<&RevocationKey> {
        let bars = |revoked: &JwtRule| match revoked.kind {
            JwtKind::Key => true,
            JwtKind::Oidc => revoked.matchers.iter().all(|wide| {
                let steps = wide.claim.steps();
                rule.matchers.iter().any(|one| one.claim.steps() == steps && one.condition.is_within(&wide.condition))
            }),
        };
        self.find(environment, &rule.issuer, |rules| rules.by_claim.around(&Conditions::of(rule)), bars)
    }

    /// The revocation that bars an X.509-SVID in `environment`: its key.
    pub(in crate::domain) fn svid(&self, environment: &EnvironmentName, shown: &Svid) -> Option<&RevocationKey> {
        let claims = serde_json::json!({"sub": shown.id.as_str()});
        let bars = |rule: &JwtRule| rule.takes_svids() && conditions(rule, &claims).all(|result| result.holds);
        self.find(environment, &shown.id.issuer(), |rules| rules.by_claim.meeting(&claims), bars)
    }

    /// The revocation that bars the certificates of `integration` in `environment`: its key.
    pub(in crate::domain) fn certificate(
        &self,
        integration: &IntegrationId,
        environment: &EnvironmentName,
    ) -> Option<&RevocationKey> {
        if self.certificate.is_empty() && self.certificates.is_empty() {
            return None;
        }
        let own = self.certificate.get(&(integration.clone(), environment.clone()));
        own.or_else(|| self.certificates.get(environment)).and_then(last)
    }

    /// The revocation of `issuer`, or the first of a binding of it in `environment` whose rule `bars`. `among` finds the rules that may.
    fn find<'b>(
        &'b self,
        environment: &EnvironmentName,
        issuer: &Issuer,
        among: impl Fn(&'b Rules) -> Vec<(u64, &'b Arc<Rule>)>,
        bars: impl Fn(&JwtRule) -> bool,
    ) -> Option<&'b RevocationKey> {
        if let Some(revoked) = self.issuers.get(issuer) {
            return last(revoked);
        }
        let barring = among(self.jwt.get(environment)?.get(issuer)?).into_iter().filter(|(_, rule)| bars(&rule.rule));
        barring.min_by(|(_, one), (_, other)| one.barring.cmp(&other.barring)).map(|(_, rule)| &rule.key)
    }
}

impl Rules {
    fn insert(&mut self, rule: Rule) {
        self.places.insert(rule.barring.clone(), self.next);
        self.by_claim.insert(self.next, &found_by(&rule.rule), Arc::new(rule));
        self.next += 1;
    }

    fn remove(&mut self, barring: &Barring) {
        let Some(place) = self.places.remove(barring) else { return };
        if let Some(conditions) = self.by_claim.get(place).map(|rule| found_by(&rule.rule)) {
            self.by_claim.remove(place, &conditions);
        }
    }
}

/// The same rules for the same revocations, whatever places they have.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let rules = |all: &Self| -> Vec<Option<Arc<Rule>>> {
            all.places.values().map(|place| all.by_claim.get(*place).cloned()).collect()
        };
        self.places.keys().eq(other.places.keys()) && rules(self) == rules(other)
    }
}

/// The conditions that a rule is found by. A `key` rule bars every proof of its issuer, so it has none.
fn found_by(rule: &JwtRule) -> Conditions {
    match rule.kind {
        JwtKind::Key => Conditions::default(),
        JwtKind::Oidc => Conditions::of(rule),
    }
}

/// The key of the last revocation of some.
fn last(revoked: &Revoked) -> Option<&RevocationKey> {
    revoked.get_max().map(|(_, key)| key)
}

fn forget<K: Clone + Eq + Hash>(all: &mut HashMap<K, Revoked>, place: &K, id: &RevocationId) {
    let Some(revoked) = all.get_mut(place) else { return };
    revoked.remove(id);
    if revoked.is_empty() {
        all.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, production, state};
    use crate::domain::log::change::Change;
    use crate::domain::log::configuration::ConfigurationChange;
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::log::revocation::RevocationChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::registry::binding::Condition;
    use crate::domain::state::State;

    fn apply(state: &mut State, change: impl Into<Change>) {
        state.apply(100, at(0), &change.into().by(Actor::Operator));
    }

    /// The rule of the fixture's binding, for another repository and with more conditions.
    fn rule(state: &State, repository: &str) -> JwtRule {
        let known = state.integrations.values().next().and_then(|known| known.current.as_ref()).expect("in force");
        let Admits::Jwt(rule) = &known.record.environments[&production()].bindings[0].admits else { panic!("a rule on JWTs") };
        let mut rule = rule.as_ref().clone();
        rule.matchers[0].condition = Condition::Equals(repository.into());
        rule
    }

    fn revoke(state: &mut State, subject: RevocationTarget) {
        let id = format!("r{}", state.revocations.len()).parse().expect("an id");
        apply(state, RevocationChange::Added { id, target: subject, tokens_only: false, reason: "x".into(), client: None });
    }

    fn binding() -> RevocationTarget {
        let (client, binding) = ("globex/order-sync".parse().expect("a client"), "ci".parse().expect("a name"));
        RevocationTarget::Binding { client, environment: production(), binding }
    }

    /// S-4, S-14: a rule is barred where each of its proofs is, and no other rule of the same issuer and claim.
    #[test]
    fn a_rule_is_barred_by_a_revoked_binding_that_takes_all_of_it() {
        let mut state = state();
        let barred = |state: &State, rule: &JwtRule| state.barred.rule(&production(), rule).is_some();
        let (same, other) = (rule(&state, "456789"), rule(&state, "1"));
        let mut narrower = same.clone();
        narrower.matchers.push(crate::domain::registry::binding::Matcher {
            claim: "ref".parse().expect("a claim"),
            condition: Condition::Prefix("refs/".into()),
        });
        let mut open = same.clone();
        open.matchers.clear();
        assert!(!barred(&state, &same));
        revoke(&mut state, binding());
        let told: Vec<_> = [&same, &narrower, &other, &open].into_iter().map(|rule| barred(&state, rule)).collect();
        assert_eq!(told, [true, true, false, false]);
        assert!(state.barred.rule(&"sandbox".parse().expect("a name"), &same).is_none(), "another environment");
        revoke(&mut state, RevocationTarget::Issuer { issuer: same.issuer.clone() });
        assert!(barred(&state, &other) && barred(&state, &open), "its issuer");
    }

    /// S-4: an environment that takes a revoked trust domain as its own has all its certificates barred.
    #[test]
    fn a_revoked_issuer_bars_the_certificates_of_an_environment_that_has_it_later() {
        let mut state = state();
        revoke(&mut state, RevocationTarget::Issuer { issuer: "spiffe://later.example".parse().expect("an issuer") });
        let integration = "globex/order-sync".parse().expect("an id");
        assert_eq!(state.barred.certificate(&integration, &production()), None);
        let mut configuration = state.configuration.clone().expect("configured");
        let environment = configuration.environments.get_mut(&production()).expect("an environment");
        environment.trust_domain = "later.example".parse().expect("a trust domain");
        apply(&mut state, Change::Configuration(ConfigurationChange::Changed(configuration)));
        let barred = state.barred.certificate(&integration, &production());
        assert_eq!(barred, Some(&RevocationKey::issuer(&"spiffe://later.example".parse().expect("an issuer"))));
    }

    /// S-4: what a revoked binding admits since, under the same name, is barred too, besides what it admitted when it was revoked.
    #[test]
    fn a_revoked_binding_bars_what_it_admits_since() {
        let mut state = state();
        revoke(&mut state, binding());
        let (before, since) = (rule(&state, "456789"), rule(&state, "1"));
        let known = state.integrations.values().next().and_then(|known| known.current.as_ref()).expect("in force");
        let mut record = known.record.as_ref().clone();
        let access = record.environments.get_mut(&production()).expect("an environment");
        access.bindings[0].admits = Admits::Jwt(Arc::new(since.clone()));
        apply(&mut state, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
        for rule in [&before, &since] {
            assert!(state.barred.rule(&production(), rule).is_some(), "{rule:?}");
        }
    }

    /// S-2: a proof and a rule are compared with the revoked rules that share their values, however many of the issuer are revoked.
    #[test]
    fn many_revoked_bindings_of_one_issuer_cost_a_few_comparisons() {
        let mut state = state();
        let number = 2000;
        for at in 0..number {
            let id = format!("m{at}").parse().expect("an id");
            let admits = Admits::Jwt(Arc::new(rule(&state, &format!("other-{at}"))));
            state.barred.bar(&id, &binding(), std::iter::once(&admits));
        }
        let compared = std::cell::Cell::new(0);
        let (own, stranger) = (rule(&state, "other-7"), rule(&state, "1"));
        for (wanted, of) in [(true, &own), (false, &stranger)] {
            let Condition::Equals(value) = &of.matchers[0].condition else { panic!("one value") };
            let claims = serde_json::json!({"repository_id": value});
            let bars = |rule: &JwtRule| {
                compared.set(compared.get() + 1);
                conditions(rule, &claims).all(|result| result.holds)
            };
            let found = state.barred.find(&production(), &of.issuer, |rules| rules.by_claim.meeting(&claims), bars);
            assert_eq!((found.is_some(), state.barred.rule(&production(), of).is_some()), (wanted, wanted));
            let rules = &state.barred.jwt[&production()][&of.issuer];
            compared.set(compared.get() + rules.by_claim.around(&Conditions::of(of)).len());
        }
        assert_eq!(compared.get(), 2, "the one that shares the value, by each look-up");
        for at in 0..number {
            state.barred.remove(&format!("m{at}").parse().expect("an id"));
        }
        assert_eq!(state.barred, Barred::default());
    }
}
