//! After any changes each index is as if made from nothing, and earlier copies are unchanged.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::caller::conditions::conditions as claim_conditions;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::check::conflicts_in;
use crate::domain::examples::{Examples, facts};
use crate::domain::fixture::{approval, at, registry, rule};
use crate::domain::log::api::ApiChange;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::{Actor, Person, Role};
use crate::domain::registry::api::Api;
use crate::domain::registry::approval::{Kind, Verdict};
use crate::domain::registry::binding::{Admits, Binding, Condition, ExtraAudience, JwtRule, KeySource, Matcher};
use crate::domain::registry::environment::Governance;
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::value::alg::Alg;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{BindingName, ClientId};
use crate::domain::value::text::Text;
use taken::Holder;

/// Environments that a change may be about.
const ENVIRONMENTS: [&str; 3] = ["production", "sandbox", "staging"];

/// Issuers of the rules: two of partners, and a trust domain that an environment may have.
const ISSUERS: [&str; 3] = ["https://one.example", "https://two.example", "spiffe://one.example"];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// This change.
    Make(Box<Change>),
    /// The held version of an integration takes force, if it has one.
    Promote(IntegrationId),
    /// The held version of an integration is discarded, if it has one.
    Discard(IntegrationId),
}

/// The bindings in force, the oldest first: the index as a list.
type Listing = Vec<(ClientId, EnvironmentName, Issuer, BindingName)>;

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn integration_ids() -> impl Strategy<Value = IntegrationId> {
    (0..3).prop_map(|at| name(&format!("globex/i{at}")))
}

fn admitted() -> impl Strategy<Value = Admits> {
    let audience = prop_oneof![3 => Just(None), 1 => Just(Some("https://sts.acme.example/staging")), 1 => Just(Some("extra"))];
    let matchers = vec((prop_oneof![Just("id"), Just("/id"), Just("owner"), Just("/k/o")], conditions()), 1..3);
    let owner = prop_oneof![2 => Just(&[][..]), 2 => Just(&["owner"][..]), 1 => Just(&["owner", "id"][..])];
    let jwt = (0..ISSUERS.len(), matchers, audience, owner, 0..2_usize, 1..3_usize);
    let jwt = jwt.prop_map(|(issuer, matchers, audience, owner, keys, algs)| {
        let mut rule = rule(ISSUERS[issuer], &matchers);
        rule.audience = audience.map(|audience| ExtraAudience::Value(name(audience)));
        rule.owner = owner.iter().map(|claim| name(claim)).collect();
        rule.keys = KeySource::Discovery(name(ISSUERS[keys]));
        rule.algs = [Alg::Es256, Alg::Rs256].into_iter().take(algs).collect();
        Admits::Jwt(Arc::new(rule))
    });
    prop_oneof![6 => jwt, 1 => Just(Admits::Certificate)]
}

fn conditions() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => "[ab]".prop_map(|value| Condition::Equals(value.into())),
        2 => vec("[abc]".prop_map(Into::into), 1..3).prop_map(Condition::OneOf),
        1 => Just(Condition::Prefix("a".into())),
    ]
}

fn bindings() -> impl Strategy<Value = Vec<Binding>> {
    vec(admitted(), 0..3).prop_map(|all| {
        let named = |(at, admits)| Binding { name: name(&format!("b{at}")), admits };
        all.into_iter().enumerate().map(named).collect()
    })
}

fn integrations() -> impl Strategy<Value = Integration> {
    (integration_ids(), bindings(), bindings()).prop_map(|(id, production, sandbox)| {
        let what = registry().into_iter().find_map(|change| match change.what {
            Change::Integration(IntegrationChange::Drafted { record, .. }) => Some(*record),
            _ => None,
        });
        let record = what.expect("the fixture drafts one");
        let access = record.environments.values().next().expect("an environment").clone();
        let with = |bindings| Access { bindings, ..access.clone() };
        let environments = [(name("production"), with(production)), (name("sandbox"), with(sandbox))];
        Integration { id, environments: environments.into_iter().collect(), ..record }
    })
}

fn apis() -> impl Strategy<Value = Api> {
    bindings().prop_map(|bindings| {
        let what = registry().into_iter().find_map(|change| match change.what {
            Change::Api(ApiChange::Submitted { record, .. }) => Some(*record),
            _ => None,
        });
        Api { callers: [(name("production"), bindings)].into_iter().collect(), ..what.expect("the fixture submits one") }
    })
}

fn configurations() -> impl Strategy<Value = Configuration> {
    (vec(any::<bool>(), 3), 0..2_usize).prop_map(|(there, domain)| {
        let domains = ["one.example", "other.example"];
        let environment = |called: &str| Environment {
            issuer: name(&format!("https://sts.acme.example/{called}")),
            max_ttl: crate::domain::value::clock::Seconds(600),
            trust_domain: name(domains[domain]),
            production: None,
        };
        let named = ENVIRONMENTS.iter().zip(there).filter(|(_, there)| *there);
        let environments = named.map(|(text, _)| (name(text), environment(text))).collect();
        let (staff, governance) = (Digest::of(b"staff"), Governance::default());
        Configuration { environments, staff, signals: Vec::new(), directory: None, governance }
    })
}

fn targets() -> impl Strategy<Value = RevocationTarget> {
    let binding = (integration_ids(), 0..2_usize, 0..2).prop_map(|(id, environment, binding)| RevocationTarget::Binding {
        client: ClientId::Integration(id),
        environment: name(ENVIRONMENTS[environment]),
        binding: name(&format!("b{binding}")),
    });
    let caller = Just(RevocationTarget::Binding {
        client: name("api/orders-api"),
        environment: name("production"),
        binding: name("b0"),
    });
    let token = (0..3, 0..200_i64).prop_map(|(id, expires)| RevocationTarget::Token {
        environment: name("production"),
        id: name(&format!("t{id}")),
        expires: at(expires),
    });
    prop_oneof![
        4 => binding,
        1 => caller,
        3 => (0..ISSUERS.len()).prop_map(|issuer| RevocationTarget::Issuer { issuer: name(ISSUERS[issuer]) }),
        1 => integration_ids().prop_map(|integration| RevocationTarget::Integration { integration }),
        1 => token,
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let in_force = |record| Change::Integration(IntegrationChange::Narrowed { record: Box::new(record), reason: None });
    let drafted = |record| Change::Integration(IntegrationChange::Drafted { record: Box::new(record), reason: None });
    // An approval's id is of one subject alone, as the broker makes them.
    let held = (integrations(), 0..2).prop_map(|(record, asked)| {
        let asked = approval(
            &format!("change-{asked}-{}", record.id.name),
            Kind::Change,
            &record.id.to_string(),
            Digest::of_json(&record),
        );
        Change::Integration(IntegrationChange::ChangeHeld { record: Box::new(record), approval: asked, owners: None })
    });
    let verdicts = prop_oneof![1 => Just(Verdict::Deny), 4 => Just(Verdict::Approve)];
    let kinds = prop_oneof![Just("change"), Just("resume"), Just("lift")];
    let reviewed = (kinds, 0..2, 0..3, verdicts).prop_map(|(kind, asked, subject, verdict)| {
        let subject = if kind == "lift" { format!("r{subject}") } else { format!("i{subject}") };
        let (approval, reason, role) = (name(&format!("{kind}-{asked}-{subject}")), "looked at".into(), Role::Security);
        Change::Approval(ApprovalChange::Reviewed { approval, verdict, reason, roles: [role].into() })
    });
    let stopped = (integration_ids(), 0..2, 0..4_u8).prop_map(|(integration, asked, step)| {
        let reason = Text::from("odd");
        Change::Integration(match step {
            0 => IntegrationChange::suspended(integration, reason),
            1 => IntegrationChange::Resumed { integration, suspensions: Vec::new() },
            _ => {
                let subject = integration.to_string();
                let id = format!("resume-{asked}-{}", integration.name);
                let approval = approval(&id, Kind::Resume, &subject, Digest::of(b"a suspension"));
                IntegrationChange::ResumeAsked { integration, reason, approval, suspensions: Vec::new() }
            }
        })
    });
    let lift_asked = (0..4, 0..2).prop_map(|(id, asked)| {
        let subject = format!("r{id}");
        let approval = approval(&format!("lift-{asked}-{subject}"), Kind::Lift, &subject, Digest::of(b"a revocation"));
        Change::Revocation(RevocationChange::LiftAsked { id: name(&subject), reason: "over".into(), approval })
    });
    let revoked = (0..4, targets(), any::<bool>()).prop_map(|(id, target, tokens_only)| {
        let id = name(&format!("r{id}"));
        Change::Revocation(RevocationChange::Added { id, target, tokens_only, reason: "odd".into(), client: None })
    });
    let examples = Examples::plain().changes();
    let example = (0..examples.len()).prop_map(move |at| examples[at].change.what.clone());
    let what = prop_oneof![
        5 => integrations().prop_map(in_force),
        1 => integrations().prop_map(drafted),
        3 => held,
        4 => reviewed,
        3 => stopped,
        2 => lift_asked,
        2 => apis().prop_map(|record| Change::Api(ApiChange::Narrowed { record: Box::new(record), reason: None })),
        3 => configurations().prop_map(|all| Change::Configuration(ConfigurationChange::Changed(all))),
        5 => revoked,
        2 => (0..4).prop_map(|id| Change::Revocation(RevocationChange::Lifted { id: name(&format!("r{id}")) })),
        4 => example,
    ];
    prop_oneof![
        9 => what.prop_map(|what| Step::Make(Box::new(what))),
        2 => integration_ids().prop_map(Step::Promote),
        1 => integration_ids().prop_map(Step::Discard),
    ]
}

/// The version of an integration that is held.
fn held(state: &State, id: &IntegrationId) -> Option<Digest> {
    state.integrations.get(id).and_then(|known| known.held.as_ref()).map(|held| held.version.version)
}

/// The record whose bindings a change puts in force.
fn put_in_force(what: &Change) -> Option<ClientId> {
    if let Change::Integration(IntegrationChange::Narrowed { record, .. }) = what {
        return Some(ClientId::Integration(record.id.clone()));
    }
    if let Change::Integration(IntegrationChange::Activated { integration, .. })
    | Change::Integration(IntegrationChange::Changed { integration, .. }) = what
    {
        return Some(ClientId::Integration(integration.clone()));
    }
    if let Change::Api(ApiChange::Narrowed { record, .. }) = what {
        return Some(ClientId::Api(record.name.clone()));
    }
    if let Change::Api(ApiChange::Approved { api, .. }) = what { Some(ClientId::Api(api.clone())) } else { None }
}

/// Puts the bindings of `client` at the end of the list, as the record in force has them.
fn list(listing: &mut Listing, client: &ClientId, state: &State) {
    let in_force: Vec<(&EnvironmentName, &[Binding])> = match client {
        ClientId::Integration(id) => {
            let Some(current) = state.integrations.get(id).and_then(|known| known.current.as_ref()) else { return };
            current.record.environments.iter().map(|(environment, access)| (environment, access.bindings.as_slice())).collect()
        }
        ClientId::Api(api) => {
            let Some(current) = state.apis.get(api).and_then(|known| known.current.as_ref()) else { return };
            current.record.callers.iter().map(|(environment, bindings)| (environment, bindings.as_slice())).collect()
        }
    };
    listing.retain(|(known, ..)| known != client);
    for (environment, bindings) in in_force {
        for binding in bindings {
            if let Admits::Jwt(rule) = &binding.admits {
                listing.push((client.clone(), environment.clone(), rule.issuer.clone(), binding.name.clone()));
            }
        }
    }
}

/// The state with every index made from nothing.
fn from_nothing(state: &State) -> State {
    let mut fresh = state.clone();
    fresh.candidates = Candidates::default();
    if let Some(configuration) = &state.configuration {
        fresh.candidates.configure(&configuration.environments);
    }
    (fresh.barred, fresh.revoked) = (Barred::default(), HashMap::default());
    for id in state.revocations.keys() {
        fresh.index_revocation(id, None);
    }
    let granted = state.approvals.values().filter(|approval| approval.is_granted(state));
    fresh.granted = granted.map(|approval| approval.id.clone()).collect();
    (fresh.in_force, fresh.waiting) = (Taken::default(), Taken::default());
    let waits = |approval: Option<&ApprovalId>| state.may_come(approval, at(0));
    for (name, api) in &state.apis {
        fresh.candidates.index_api(api);
        let client = ClientId::Api(name.clone());
        fresh.in_force.replace(&client, api.current.as_ref().map(|current| Holder::Api(&current.record)));
        let held = api.held.as_ref().filter(|held| waits(held.approval.as_ref()));
        fresh.waiting.replace(&client, held.map(|held| Holder::Api(&held.version.record)));
    }
    for (id, integration) in &state.integrations {
        fresh.candidates.index_integration(integration);
        let client = ClientId::Integration(id.clone());
        fresh.in_force.replace(&client, integration.current.as_ref().map(|current| Holder::Integration(&current.record)));
        let held = integration.held.as_ref().filter(|held| waits(held.approval.as_ref()));
        fresh.waiting.replace(&client, held.map(|held| Holder::Integration(&held.version.record)));
    }
    fresh
}

/// The client that claims name, without an index.
fn named(listed: Listed<'_>, source: &KeySource, claims: &Value) -> Option<ClientId> {
    let partner = |client: &ClientId| client.to_string().split('/').next().map(str::to_owned);
    let trusted: Vec<&Candidate> = listed.iter().filter(|candidate| candidate.rule.keys == *source).collect();
    let names = |candidate: &&&Candidate| match candidate.rule.owner.as_slice() {
        [] => trusted.iter().all(|other| partner(&other.client) == partner(&candidate.client)),
        _ => holds_owner(candidate, claims),
    };
    trusted.iter().find(names).map(|candidate| candidate.client.clone())
}

fn holds_owner(candidate: &Candidate, claims: &Value) -> bool {
    let held = |owner| claim_conditions(&candidate.rule, claims).any(|result| result.claim == owner && result.holds);
    candidate.rule.owner.iter().all(held)
}

/// What a look-up by claims finds is what a look at each binding finds.
fn ensure_looked_up(listed: Listed<'_>) {
    let values = ["a", "b", "c"];
    for claims in values.iter().flat_map(|id| values.map(|owner| json!({"id": id, "owner": owner, "k": {"o": id}}))) {
        let meets = |candidate: &&Candidate| claim_conditions(&candidate.rule, &claims).all(|result| result.holds);
        let place = |candidate: &Candidate| std::ptr::from_ref(candidate);
        let expected: Vec<_> = listed.iter().filter(meets).map(place).collect();
        let found: Vec<_> = listed.meeting(&claims).filter(meets).map(place).collect();
        assert_eq!(found, expected, "{claims}");
        for source in ISSUERS.map(|issuer| KeySource::Discovery(name(issuer))) {
            let found = listed.naming(&source, &claims, |candidate| holds_owner(candidate, &claims));
            assert_eq!(found.map(|one| one.client.clone()), named(listed, &source, &claims), "{claims} {source:?}");
        }
    }
    let trusted = |(keys, algs): (&KeySource, &[Alg])| format!("{} {algs:?}", keys.label());
    let each: BTreeSet<String> = listed.iter().map(|one| trusted((&one.rule.keys, &one.rule.algs))).collect();
    let found: Vec<String> = listed.trusted().map(trusted).collect();
    assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (each.len(), each));
    let clients: BTreeSet<&ClientId> = listed.iter().map(|one| &one.client).collect();
    for client in clients {
        let expected: Vec<_> = listed.iter().filter(|one| one.client == *client).map(std::ptr::from_ref).collect();
        assert_eq!(listed.of_client(client).map(std::ptr::from_ref).collect::<Vec<_>>(), expected);
    }
}

/// What a look-up among revoked rules finds is what a look at each of them finds, for the proofs and rules of `probes`.
fn ensure_barred(state: &State, probes: &[Integration]) {
    let bindings = probes.iter().flat_map(|probe| probe.environments.values()).flat_map(|access| &access.bindings);
    for binding in bindings {
        let Admits::Jwt(rule) = &binding.admits else { continue };
        for environment in ENVIRONMENTS.map(name::<EnvironmentName>) {
            let refusing = state.revocations.values().filter(|one| one.refuses());
            let mut expected = Vec::new();
            for one in refusing {
                let admitted = one.admitted.iter().chain(state.history.binding(&one.target));
                let of_binding = admitted.filter_map(|admits| match admits {
                    Admits::Jwt(revoked) if revoked.issuer == rule.issuer => Some(revoked),
                    Admits::Jwt(_) | Admits::Certificate => None,
                });
                let here = one.target.reached().environment == Some(&environment);
                let contains = |revoked: &Arc<JwtRule>| {
                    revoked.matchers.iter().all(|wide| {
                        let within = |own: &Matcher| own.claim.is_same(&wide.claim) && own.condition.is_within(&wide.condition);
                        rule.matchers.iter().any(within)
                    })
                };
                let of_issuer = matches!(&one.target, RevocationTarget::Issuer { issuer } if *issuer == rule.issuer);
                if of_issuer || (here && of_binding.into_iter().any(contains)) {
                    expected.push(one.target.key());
                }
            }
            let found = state.barred.rule(&environment, rule);
            assert_eq!(found.is_some(), !expected.is_empty(), "{rule:?} in {environment}");
            assert!(found.is_none_or(|key| expected.contains(key)), "{found:?} {expected:?}");
        }
    }
}

/// The index of owners is what a look at each integration finds.
fn ensure_owned(state: &State) {
    let (mut expected, mut unresolved) = (BTreeMap::<_, [BTreeSet<IntegrationId>; 2]>::new(), BTreeSet::new());
    for (id, known) in &state.integrations {
        let ids = known.owners.ids();
        for (place, ids) in [(0, &ids), (1, &known.held_owners())] {
            for person in ids.people() {
                expected.entry(person.clone()).or_default()[place].insert(id.clone());
            }
        }
        let waits = known.held.as_ref().is_some_and(|held| held.approval.is_some());
        if (known.current.is_some() && !ids.is_complete()) || (waits && !known.held_owners().is_complete()) {
            unresolved.insert(id.clone());
        }
    }
    let set = |all: &OrdSet<IntegrationId>| all.iter().cloned().collect();
    let found = state.owners.all().map(|(person, own)| (person.clone(), [set(&own.in_force), set(&own.waiting)]));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(state.owners.unresolved().cloned().collect::<BTreeSet<_>>(), unresolved);
}

/// The index of dates is what a look at each record finds: all are known since the one time of these histories.
fn ensure_dated(state: &State) {
    let partners = state.partners.keys().cloned().map(Party::Partner);
    let parties = partners.chain(state.integrations.keys().cloned().map(Party::Integration));
    let dates = parties.flat_map(|party| state.dates_of(&party).into_iter().map(move |(_, at)| (at, party.clone())));
    let expected: BTreeSet<_> = dates.filter(|(time, _)| *time > at(0)).collect();
    let found: BTreeSet<_> = state.dates.all().map(|(time, party)| (time, party.clone())).collect();
    assert_eq!(found, expected);
}

/// The content of the indexes, in an order of its own.
#[derive(Debug, PartialEq)]
struct Said {
    candidates: BTreeSet<String>,
    sources: BTreeSet<String>,
    revoked: BTreeMap<RevocationKey, Vec<RevocationId>>,
    barred: Barred,
    granted: Vec<ApprovalId>,
    conflicts: Vec<Vec<(String, &'static str)>>,
}

impl Said {
    fn by(state: &State, probes: &[Integration]) -> Self {
        let conflicts = probes.iter().map(|probe| {
            let found = conflicts_in(Holder::Integration(probe), state, at(0), &mut Effort::default());
            found.into_iter().map(|conflict| (conflict.at, conflict.reason.code)).collect()
        });
        Self {
            candidates: state.candidates.all().map(|candidate| format!("{candidate:?}")).collect(),
            sources: state.candidates.sources().iter().map(|source| format!("{source:?}")).collect(),
            revoked: state.revoked.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect())).collect(),
            barred: state.barred.clone(),
            granted: state.granted.iter().cloned().collect(),
            conflicts: conflicts.collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_index_is_as_if_it_were_made_from_nothing(
        steps in vec(steps(), 1..24),
        probes in vec(integrations(), 3),
    ) {
        let by = Actor::Staff(Person { iss: name("https://idp.example"), id: "ann".into(), name: None });
        let (mut state, mut listing) = (State::default(), Listing::new());
        // A state that nobody holds a copy of, and copies that are held of the other.
        let (mut alone, mut copies) = (State::default(), Vec::new());
        for (index, step) in steps.into_iter().enumerate() {
            let what = match step {
                Step::Make(what) => *what,
                Step::Promote(id) => {
                    let Some(version) = held(&state, &id) else { continue };
                    Change::Integration(IntegrationChange::Changed { integration: id, version, owners: None })
                }
                // Also of what is no draft: that changes nothing.
                Step::Discard(id) => {
                    let Some(version) = held(&state, &id) else { continue };
                    Change::Integration(IntegrationChange::Discarded { integration: id, version, reason: "odd".into() })
                }
            };
            let change = what.by(by.clone());
            copies.push((state.clone(), facts::text(&state)));
            for state in [&mut state, &mut alone] {
                state.apply(index as u64, at(0), &change);
                state.forget_expired(at(0));
            }
            if let Some(client) = put_in_force(&change.what) {
                list(&mut listing, &client, &state);
            }
            let fresh = from_nothing(&state);
            prop_assert_eq!(Said::by(&state, &probes), Said::by(&fresh, &probes), "after {:?}", change);
            ensure_barred(&state, &probes);
            ensure_owned(&state);
            ensure_dated(&state);
            let places: BTreeSet<_> = state.candidates.all().map(|one| (&one.environment, &one.rule.issuer)).collect();
            let listed = places.iter().flat_map(|(environment, issuer)| state.candidates(environment, issuer).iter());
            let listed: Vec<_> = listed.map(|one| (&one.client, &one.environment, &one.rule.issuer, &one.binding)).collect();
            let mut expected: Vec<_> = listing.iter().map(|(a, b, c, d)| (a, b, c, d)).collect();
            expected.sort_by_key(|(_, environment, issuer, _)| (*environment, *issuer));
            prop_assert_eq!(listed, expected, "after {:?}", change);
            places.iter().for_each(|(environment, issuer)| ensure_looked_up(state.candidates(environment, issuer)));
        }
        prop_assert_eq!(facts::text(&state), facts::text(&alone));
        for (copy, before) in copies {
            prop_assert_eq!(facts::text(&copy), before, "a copy changed");
        }
    }
}
