//! The laws of a decision, held over generated records, states and requests (ABUSE I-1, I-2, I-3, I-5 and the metamorphic laws).

mod cut;

use std::sync::Arc;

use proptest::prelude::*;

use super::caller::proof::{Assertion, Verified};
use super::credential::keys::SigningKey;
use super::credential::revocation::RevocationTarget;
use super::decision::admission::{Place, Slot, admit};
use super::decision::ask::{Ask, Context, Target};
use super::decision::cut::is_cut;
use super::decision::dates::due;
use super::decision::effective::effective;
use super::decision::grant::{Decision, Grant, decide};
use super::decision::guard::{Guarded, NoGuardrails};
use super::decision::life::SHORTEST_LIFE;
use super::examples::{Examples, facts};
use super::log::api::ApiChange;
use super::log::change::Change;
use super::log::configuration::ConfigurationChange;
use super::log::directory::DirectoryChange;
use super::log::entry::Issued;
use super::log::integration::IntegrationChange;
use super::log::journal::JournalChange;
use super::log::key::KeyChange;
use super::log::partner::PartnerChange;
use super::log::revocation::RevocationChange;
use super::people::actor::Actor;
use super::people::owners::OwnerIds;
use super::registry::api::{Api, Risk, ScopeEntry, TokenForm};
use super::registry::binding::{Admits, Binding, Condition, JwtRule, KeySource};
use super::registry::environment::{Configuration, Environment, Governance};
use super::registry::integration::{Access, Contract, Integration, Limits, Offboarding, OnSilence, Review, ScopeRule, Trigger};
use super::registry::partner::{Partner, Verification};
use super::state::{Held, State};
use super::value::alg::Alg;
use super::value::clock::{Seconds, Timestamp};
use super::value::digest::Digest;
use super::value::names::EnvironmentName;
use super::value::scope::ScopeSet;

const SCOPES: [&str; 5] = ["a:read", "a:write", "b:read", "b:write", "c"];
const NOW: i64 = 1_800_000_000;

/// Everything that a decision rests on, as small numbers that shrink well.
#[derive(Clone, Debug)]
struct Case {
    catalogue: u8,
    standing: u8,
    asked: u8,
    api_ttl: u32,
    max_ttl: u32,
    record_ttl: Option<u32>,
    contract: (i64, i64),
    verified: i64,
    assertion: (i64, i64),
    max_life: u32,
    key_from: i64,
    next_key: Option<i64>,
    production: bool,
    extra_claims: u8,
    revoked: Option<u8>,
    matches: bool,
    /// The end that an owner who left gives it.
    owner: Option<i64>,
    /// The end that it has where nobody reviews it.
    review: Option<i64>,
}

prop_compose! {
    fn cases()(
        catalogue in 0u8..32, standing in 0u8..32, asked in 1u8..32,
        api_ttl in 15u32..1200, max_ttl in 15u32..1200, record_ttl in proptest::option::of(15u32..1200),
        contract in (-200i64..50, -20i64..900), verified in -20i64..900,
        assertion in (-600i64..40, -20i64..900), max_life in 60u32..1500,
        key_from in -100i64..10, next_key in proptest::option::of(-200i64..600),
        production: bool, extra_claims in 0u8..20, revoked in proptest::option::weighted(0.1, 0u8..8),
        matches in proptest::bool::weighted(0.95), owner in proptest::option::weighted(0.3, -20i64..900),
        review in proptest::option::weighted(0.05, -20i64..900),
        wild in proptest::bool::weighted(0.3),
    ) -> Case {
        // Most requests lie inside the ceilings, so that the laws are about grants and not about refusals.
        let inside = asked & catalogue & standing;
        let asked = if wild || inside == 0 { asked } else { inside };
        Case { catalogue, standing, asked, api_ttl, max_ttl, record_ttl, contract, verified, assertion, max_life, key_from,
            next_key, production, extra_claims, revoked, matches, owner, review }
    }
}

fn at(offset: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + offset).expect("a time")
}

fn scopes(bits: u8) -> ScopeSet {
    (0..5).filter(|i| bits >> i & 1 == 1).map(|i| SCOPES[i].parse().expect("a scope")).collect()
}

fn environment(production: bool) -> EnvironmentName {
    if production { "production" } else { "sandbox" }.parse().expect("a name")
}

fn issuer(environment: &EnvironmentName) -> super::value::names::Issuer {
    format!("https://sts.example/{environment}").parse().expect("an issuer")
}

fn api(case: &Case) -> Api {
    let audience = ["sandbox", "production"].map(|name| {
        let audience = format!("https://orders.{name}.example").parse().expect("an audience");
        (name.parse().expect("a name"), audience)
    });
    let entry = || ScopeEntry { meaning: "something".into(), risk: Risk::Low };
    let small = Examples::plain().small_api();
    Api {
        name: "orders".parse().expect("a name"),
        audience: audience.into_iter().collect(),
        token: TokenForm { ttl: Seconds(case.api_ttl), ..TokenForm::DEFAULT },
        scopes: scopes(case.catalogue).iter().map(|scope| (scope.clone(), entry())).collect(),
        ..small
    }
}

fn integration(case: &Case) -> Integration {
    let condition = Condition::Equals("1".into());
    let rule =
        JwtRule { max_life: Seconds(case.max_life), ..super::fixture::rule("https://issuer.example", &[("repo", condition)]) };
    let access = Access {
        bindings: vec![Binding { name: "ci".parse().expect("a name"), admits: Admits::Jwt(Arc::new(rule)) }],
        limits: Limits { ttl: case.record_ttl.map(Seconds), ..Limits::default() },
        scopes: [("orders".parse().expect("a name"), rules(case.standing))].into_iter().collect(),
        ..Access::default()
    };
    let small = Examples::plain().small_integration();
    Integration {
        id: "globex/sync".parse().expect("an id"),
        contract: Contract { starts: at(case.contract.0), ends: at(case.contract.1), ..small.contract },
        offboarding: Offboarding { trigger: Trigger::ContractEnd, ..small.offboarding },
        environments: [(environment(case.production), access)].into_iter().collect(),
        // It came into force at -1000.
        review: case.review.map_or(small.review, |due| Review {
            every: Seconds(u32::try_from(due + 1000).expect("a time")),
            on_silence: OnSilence::Suspend,
        }),
        ..small
    }
}

fn rules(standing: u8) -> Vec<ScopeRule> {
    scopes(standing).iter().map(|scope| ScopeRule { scope: scope.clone(), allow: vec![] }).collect()
}

fn partner(case: &Case) -> Partner {
    let globex = Examples::plain().partner("globex");
    let verification = Verification { on: at(-1000), expires: at(case.verified), ..globex.verification };
    Partner { verification, ..globex }
}

fn key(case: &Case, kid: &str, from: i64) -> KeyChange {
    KeyChange::Created(SigningKey {
        environment: environment(case.production),
        kid: kid.parse().expect("a key id"),
        alg: Alg::Es256,
        public: serde_json::Value::Null,
        sealed: Digest::of(b""),
        usable_from: at(from),
        awaits_nodes: false,
    })
}

/// The state of a case, by way of the fold alone.
fn state(case: &Case) -> State {
    let mut state = State::default();
    let mut index = 0;
    let mut fold = |what: Change| {
        state.apply(index, at(-1000), &what.by(Actor::Operator));
        index += 1;
        state.clone()
    };
    let configured = ["sandbox", "production"].map(|name| {
        let name: EnvironmentName = name.parse().expect("a name");
        let environment = Environment {
            issuer: issuer(&name),
            max_ttl: Seconds(case.max_ttl),
            trust_domain: "e.example".parse().expect("a name"),
            production: None,
        };
        (name, environment)
    });
    fold(JournalChange::Opened { origin: "x".into(), dev: false, format: 1 }.into());
    let environments = configured.into_iter().collect();
    fold(
        ConfigurationChange::Changed(Configuration {
            environments,
            staff: Digest::of(b""),
            signals: Vec::new(),
            directory: None,
            governance: Governance { reviews: case.review.is_some(), ..Governance::default() },
        })
        .into(),
    );
    fold(key(case, "k1", case.key_from).into());
    if let Some(next) = case.next_key {
        fold(key(case, "k2", next).into());
    }
    fold(ApiChange::Narrowed { record: Box::new(api(case)), reason: None }.into());
    let mut state = fold(IntegrationChange::Narrowed { record: Box::new(integration(case)), reason: None }.into());
    verify(&mut state, case, 50);
    leave(&mut state, case);
    if let Some(what) = case.revoked {
        revoke(&mut state, case, what);
    }
    state
}

/// Brings the partner's version of a case into force.
fn verify(state: &mut State, case: &Case, index: u64) {
    let held = super::state::Versioned {
        version: Digest::of(b"p"),
        record: std::sync::Arc::new(partner(case)),
        by: Actor::Operator,
        at: at(-1000),
        reason: None,
    };
    state.partners.entry("globex".parse().expect("a name")).or_default().held =
        Some(Box::new(Held { version: held, approval: None }));
    let verified = PartnerChange::Verified { partner: "globex".parse().expect("a name"), version: Digest::of(b"p") };
    state.apply(index, at(-1000), &verified.by(Actor::Broker));
}

/// An owner leaves so long before the end that the grace lasts until then.
fn leave(state: &mut State, case: &Case) {
    let Some(end) = case.owner else { return };
    let person: super::value::names::PersonId = "psn_jane".parse().expect("an id");
    let ids = OwnerIds { business: Some(person.clone()), application: None };
    let in_force = [("globex/sync".parse().expect("an id"), ids)].into_iter().collect();
    let left = at(end).minus(Governance::OWNER_GRACE);
    let known = DirectoryChange::Resolved { in_force, waiting: std::collections::BTreeMap::new() };
    state.apply(51, left, &known.by(Actor::Directory));
    state.apply(52, left, &DirectoryChange::Left { person }.by(Actor::Directory));
}

fn revoke(state: &mut State, case: &Case, what: u8) {
    let environment = environment(case.production);
    let integration: super::value::names::IntegrationId = "globex/sync".parse().expect("an id");
    let subject = match what {
        0 => RevocationTarget::Partner { partner: "globex".parse().expect("a name") },
        1 => RevocationTarget::Integration { integration },
        2 => RevocationTarget::IntegrationEnvironment { integration, environment },
        3 => RevocationTarget::Environment { environment },
        4 => RevocationTarget::Issuer { issuer: "https://issuer.example".parse().expect("an issuer") },
        5 => RevocationTarget::Key { environment, kid: "k1".parse().expect("a key id") },
        6 => {
            let client = super::value::names::ClientId::Integration(integration);
            RevocationTarget::Binding { client, environment, binding: "ci".parse().expect("a name") }
        }
        _ => {
            let what = IntegrationChange::suspended(integration, "x".into());
            state.apply(60, at(0), &what.by(Actor::Operator));
            return;
        }
    };
    let id = "r1".parse().expect("an id");
    let what = RevocationChange::Added { id, target: subject, tokens_only: false, reason: "x".into(), client: None };
    state.apply(60, at(0), &what.by(Actor::Operator));
}

fn assertion(case: &Case) -> Verified<Assertion> {
    let mut claims = serde_json::json!({"repo": if case.matches { "1" } else { "2" }});
    for extra in 0..case.extra_claims {
        claims[format!("x{extra}")] = "scope env aud exp".into();
    }
    Verified::assertion(Assertion {
        issuer: "https://issuer.example".parse().expect("an issuer"),
        subject: "w".parse().expect("a subject"),
        audience: vec![issuer(&environment(case.production)).to_string()],
        expires: at(case.assertion.1),
        issued: Some(at(case.assertion.0)),
        not_before: None,
        id: Some("j".parse().expect("a jti")),
        claims,
        alg: Alg::Es256,
        typ: None,
        source: KeySource::Discovery("https://issuer.example".parse().expect("an issuer")),
        key: Digest::of(b"k"),
    })
}

/// Admission and decision of a case, at its `NOW`.
fn run(case: &Case) -> Option<Box<Grant>> {
    granted(case, &state(case))
}

/// The same in this state.
fn granted(case: &Case, state: &State) -> Option<Box<Grant>> {
    granted_on(case, Guarded::without(state))
}

/// The same in this state under this guard.
fn granted_on(case: &Case, on: Guarded<'_>) -> Option<Box<Grant>> {
    let state = on.state;
    let environment = environment(case.production);
    let issuer = issuer(&environment);
    let assertion = assertion(case);
    let place = Place { environment: &environment, issuer: &issuer, barred: &state.barred };
    let candidates = state.candidates(&environment, &assertion.issuer);
    let principal = admit(candidates, &assertion, Slot::SubjectToken, place, at(0)).ok()?;
    let ask = Ask { target: Some(Target::Name("orders".into())), scope: Some(scopes(case.asked).to_string()), client: None };
    let context = Context {
        request: "q".parse().expect("an id"),
        token: "t".parse().expect("an id"),
        source: None,
        certificate: None,
        possession: None,
    };
    match decide(&principal, &ask, &context, on, at(0)) {
        Decision::Granted(grant) => Some(grant),
        Decision::NeedsElevation(_) | Decision::Refused(_) => None,
    }
}

/// The ceilings, computed beside the code that is tested.
fn ceilings(case: &Case) -> Vec<i64> {
    let mut ceilings =
        vec![i64::from(case.api_ttl) - 2, i64::from(case.max_ttl) - 2, case.contract.1, case.verified, case.assertion.1];
    ceilings.extend(case.record_ttl.map(|ttl| i64::from(ttl) - 2));
    ceilings.extend(case.owner);
    ceilings.extend(case.review);
    ceilings
}

/// The laws speak of grants, so the generator must make many.
#[test]
fn the_generator_makes_grants() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let granted = (0..1000).filter(|_| run(&cases().new_tree(&mut runner).expect("a case").current()).is_some()).count();
    assert!(granted > 100, "{granted} of 1000");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, max_global_rejects: 1, ..ProptestConfig::default() })]

    /// I-1, I-2, I-3: scope within every ceiling and exactly what was asked; life the minimum of all; one environment.
    #[test]
    fn i_1_i_2_i_3_a_grant_lies_within_every_ceiling(case in cases()) {
        let Some(grant) = run(&case) else { return Ok(()) };
        let claims = grant.claims();
        prop_assert_eq!(&claims.scope, &scopes(case.asked));
        prop_assert!(claims.scope.is_within(&scopes(case.catalogue)) && claims.scope.is_within(&scopes(case.standing)));
        let expires = claims.expires.as_seconds() - NOW;
        prop_assert_eq!(Some(expires), ceilings(&case).into_iter().min());
        prop_assert!(expires >= i64::from(SHORTEST_LIFE.0));
        prop_assert!(case.contract.0 <= 0 && case.assertion.0 <= 30 && case.matches && case.revoked.is_none_or(|r| r == 5));
        let environment = environment(case.production);
        prop_assert_eq!(&claims.environment, &environment);
        prop_assert_eq!(claims.audience.to_string(), format!("https://orders.{environment}.example"));
        prop_assert_eq!(&claims.issuer, &issuer(&environment));
        prop_assert_eq!(claims.issued, at(-2));
        // Revoked keys sign nothing.
        prop_assert!(case.revoked != Some(5) || grant.provenance().kid.as_str() == "k2");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_global_rejects: 1, ..ProptestConfig::default() })]

    /// The metamorphic laws: whatever narrows never widens, and what is not asked about changes nothing.
    #[test]
    fn narrowing_never_widens(case in cases(), bit in 0u8..5, less in 1u32..600) {
        let base = run(&case);
        let life = |grant: &Option<Box<Grant>>| grant.as_ref().map(|grant| grant.claims().expires);
        let fewer = Case { standing: case.standing & !(1 << bit), ..case.clone() };
        prop_assert!(run(&fewer).is_none() || base.is_some());
        let revoked = Case { revoked: Some(1), ..case.clone() };
        prop_assert!(run(&revoked).is_none());
        for shorter in [
            Case { api_ttl: case.api_ttl.saturating_sub(less), ..case.clone() },
            Case { max_ttl: case.max_ttl.saturating_sub(less), ..case.clone() },
            Case { contract: (case.contract.0, case.contract.1 - i64::from(less)), ..case.clone() },
            Case { verified: case.verified - i64::from(less), ..case.clone() },
            Case { owner: Some(case.owner.unwrap_or(900) - i64::from(less)), ..case.clone() },
            Case { review: Some(case.review.unwrap_or(900) - i64::from(less)), ..case.clone() },
        ] {
            let shorter = run(&shorter);
            prop_assert!(shorter.is_none() || (base.is_some() && life(&shorter) <= life(&base)));
        }
        let talkative = run(&Case { extra_claims: case.extra_claims + 7, ..case.clone() });
        let payload = |grant: &Option<Box<Grant>>| grant.as_ref().map(|grant| grant.claims().payload(1).bytes());
        prop_assert_eq!(payload(&talkative), payload(&base));
        let asked = case.asked & !(1 << bit);
        if asked != 0 {
            let narrower = run(&Case { asked, ..case.clone() });
            prop_assert!(base.is_none() || narrower.is_some_and(|grant| grant.claims().scope == scopes(asked)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, max_global_rejects: 1, ..ProptestConfig::default() })]

    /// I-2, I-8: a token is cut by versions that would not grant it as it is, and by no others. It stays cut when the first ones come back.
    #[test]
    fn i_2_i_8_a_version_cuts_exactly_what_it_would_not_grant(case in cases(), other in cases(), which in 1u8..8) {
        let mut state = state(&case);
        let Some(grant) = granted(&case, &state) else { return Ok(()) };
        let (issued, _) = Issued::of(&grant, 70, at(0));
        let new = Case {
            standing: if which & 1 == 0 { case.standing } else { other.standing },
            record_ttl: if which & 2 == 0 { case.record_ttl } else { other.record_ttl },
            contract: if which & 2 == 0 { case.contract } else { other.contract },
            verified: if which & 4 == 0 { case.verified } else { other.verified },
            api_ttl: if which & 4 == 0 { case.api_ttl } else { other.api_ttl },
            catalogue: if which & 4 == 0 { case.catalogue } else { other.catalogue },
            ..case.clone()
        };
        let bring = |state: &mut State, case: &Case, index: u64| {
            let record = Box::new(api(case));
            state.apply(index, at(0), &ApiChange::Narrowed { record, reason: None }.by(Actor::Operator));
            let record = Box::new(integration(case));
            state.apply(index + 1, at(0), &IntegrationChange::Narrowed { record, reason: None }.by(Actor::Operator));
            verify(state, case, index + 2);
        };
        bring(&mut state, &new, 80);
        let again = granted(&new, &state).map(|grant| grant.claims().expires);
        let stands = again.is_some_and(|expires| expires >= issued.exp);
        let keys = issued.provenance().keys();
        prop_assert_eq!(is_cut(&issued, &keys, &state, &NoGuardrails), !stands);
        bring(&mut state, &case, 90);
        prop_assert_eq!(is_cut(&issued, &keys, &state, &NoGuardrails), !stands, "back");
        let later = Issued { index: 100, ..issued };
        prop_assert!(!is_cut(&later, &keys, &state, &NoGuardrails), "what is issued later is not cut");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 1, ..ProptestConfig::default() })]

    /// Entries of time are for people: every decision and all that is said of an integration is the same with and without them.
    #[test]
    fn notices_of_dates_decide_nothing(case in cases(), days in proptest::collection::vec(0i64..400, 1..4)) {
        let bare = state(&case);
        let mut noticed = bare.clone();
        let mut later = 0;
        for (index, days) in (70..).zip(days) {
            later += days * 86_400 + 60;
            if let Some(change) = due(&noticed, at(later)) {
                noticed.apply(index, at(later), &change.by(Actor::Broker));
            }
        }
        prop_assert!(noticed.dates.told().is_some());
        prop_assert_eq!(noticed.generation, bare.generation, "no judgement begins again");
        let payload = |state: &State| granted(&case, state).map(|grant| grant.claims().payload(1).bytes().to_vec());
        prop_assert_eq!(payload(&noticed), payload(&bare));
        let (id, place) = ("globex/sync".parse().expect("an id"), environment(case.production));
        let said = |state: &State| {
            let effective = effective(&id, &place, Guarded::without(state), at(0));
            serde_json::to_string(&(effective, state.owner_end(&id).map(|end| end.at))).expect("JSON")
        };
        prop_assert_eq!(said(&noticed), said(&bare));
        let facts = |state: &State| {
            let mut facts: serde_json::Value = serde_json::from_str(&facts::text(state)).expect("JSON");
            facts.as_object_mut().expect("an object").remove("dates");
            facts
        };
        prop_assert_eq!(facts(&noticed), facts(&bare));
    }
}
