//! The law of what a version cuts, over what rests on more than the record: elevations, the age of keys, and guardrails.

use super::*;
use crate::domain::decision::guard::{Asked, Forbidden, Forbidding, Guard, Guards, Judgement, Source};
use crate::domain::decision::way::Way;
use crate::domain::elevation::{Elevation, Narrowing, Rule};
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::people::actor::{Person, Role};
use crate::domain::registry::api::Approval;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::{Approvers, Eligible, OnLate, Required, Rotation};

/// What a token can rest on besides two versions of a record.
#[derive(Clone, Debug)]
struct More {
    eligible: bool,
    max: u32,
    window: usize,
    count: u8,
    open_ticket: bool,
    break_glass: bool,
    signed: bool,
    cadence: Option<u32>,
    refuses: bool,
    high: bool,
    classes: bool,
    guardrails: u8,
}

/// How a token came to be: the scopes that it has, and its elevation.
#[derive(Clone, Debug)]
struct Made {
    asked: u8,
    glass: bool,
    duration: u32,
}

const WINDOWS: [Option<&str>; 4] =
    [None, Some("Mon-Sun 00:00-23:00 UTC"), Some("Mon-Sun 00:00-08:04 UTC"), Some("Mon-Sun 09:00-10:00 UTC")];

const RULES: [&str; 5] = ["address", "bearer", "classes", "glass", "standing-high"];

prop_compose! {
    fn more()(
        eligible in proptest::bool::weighted(0.9), max in 60u32..1500, window in 0usize..4, count in 1u8..3,
        open_ticket in proptest::bool::weighted(0.2), break_glass: bool, signed in proptest::bool::weighted(0.2),
        cadence in proptest::option::of(30u32..2000), refuses: bool, high: bool, classes: bool,
        guardrails in proptest::collection::vec(proptest::bool::weighted(0.15), 5),
    ) -> More {
        let guardrails = (0..5).filter(|i| guardrails[*i]).map(|i| 1 << i).sum();
        More { eligible, max, window, count, open_ticket, break_glass, signed, cadence, refuses, high, classes, guardrails }
    }
}

/// The fields that a version changes: each of its own, so that few changes are common.
fn mixed(old: &More, new: More, which: u16) -> More {
    let bit = |i: u16| which >> i & 1 == 1;
    More {
        eligible: if bit(0) { new.eligible } else { old.eligible },
        max: if bit(1) { new.max } else { old.max },
        window: if bit(2) { new.window } else { old.window },
        count: if bit(3) { new.count } else { old.count },
        open_ticket: if bit(4) { new.open_ticket } else { old.open_ticket },
        break_glass: if bit(5) { new.break_glass } else { old.break_glass },
        signed: if bit(6) { new.signed } else { old.signed },
        cadence: if bit(7) { new.cadence } else { old.cadence },
        refuses: if bit(7) { new.refuses } else { old.refuses },
        high: if bit(8) { new.high } else { old.high },
        classes: if bit(9) { new.classes } else { old.classes },
        guardrails: if bit(10) { new.guardrails } else { old.guardrails },
    }
}

fn base(asked: u8) -> Case {
    Case {
        catalogue: 0b11111,
        standing: 1,
        asked,
        api_ttl: 900,
        max_ttl: 900,
        record_ttl: None,
        contract: (-100, 5000),
        verified: 5000,
        assertion: (0, 600),
        max_life: 1200,
        key_from: -1000,
        next_key: None,
        production: true,
        extra_claims: 0,
        revoked: None,
        matches: true,
        owner: None,
        review: None,
    }
}

fn elevated() -> super::super::value::scope::Scope {
    SCOPES[4].parse().expect("a scope")
}

fn api_of(case: &Case, more: &More) -> Api {
    let mut api = super::api(case);
    api.approval = if more.signed { Approval::Signed } else { Approval::Plain };
    if let Some(entry) = api.scopes.get_mut(&SCOPES[0].parse().expect("a scope")) {
        entry.risk = if more.high { Risk::High } else { Risk::Low };
    }
    api
}

fn integration_of(case: &Case, more: &More) -> Integration {
    let mut record = super::integration(case);
    record.data_classes = if more.classes { vec!["customer-address".to_owned()] } else { Vec::new() };
    record.rotation = more.cadence.map(|cadence| Rotation {
        issuer_keys: Some(Seconds(cadence)),
        on_late: if more.refuses { OnLate::Refuse } else { OnLate::Report },
        ..Rotation::default()
    });
    let access = record.environments.get_mut(&environment(true)).expect("production");
    let eligible = Eligible {
        scope: elevated(),
        api: "orders".parse().expect("a name"),
        max: Seconds(more.max),
        window: WINDOWS[more.window].map(|window| window.parse().expect("a window")),
        approvers: Approvers { count: more.count, ..Approvers::one_of(Role::Security) },
        require: if more.open_ticket { vec![Required::OpenTicket] } else { Vec::new() },
        break_glass: more.break_glass,
        ..crate::domain::examples::small_eligible()
    };
    access.elevation = Some(eligible).filter(|_| more.eligible).into_iter().collect();
    record
}

fn person(id: &str) -> Actor {
    Actor::Staff(Person { iss: "https://idp.example".parse().expect("an issuer"), id: id.into(), name: None })
}

/// Elevates the scope, as far as the record lets it.
fn elevate(state: &mut State, more: &More, made: &Made) {
    let id: super::super::value::names::ElevationId = "e1".parse().expect("an id");
    let demand = |count| vec![Approvers { count, ..Approvers::one_of(Role::Security) }];
    let elevation = Elevation {
        id: id.clone(),
        integration: "globex/sync".parse().expect("an id"),
        environment: environment(true),
        api: "orders".parse().expect("a name"),
        scopes: [elevated()].into_iter().collect(),
        allow: Vec::new(),
        duration: Seconds(made.duration),
        starts: None,
        reason: "x".into(),
        ticket: None,
        tied: false,
        requested_by: person("olga"),
        binding: None,
        rule: Rule { demands: demand(if made.glass { 1 } else { more.count }), barred: Vec::new() },
        expires: at(3600),
        break_glass: made.glass,
        poll: None,
    };
    state.apply(61, at(-20), &ElevationChange::Asked { elevation: Box::new(elevation) }.by(person("olga")));
    let reviews = if made.glass { 0 } else { more.count };
    for n in 0..reviews {
        let (verdict, roles, narrowing) = (Verdict::Approve, vec![Role::Security], Narrowing::default());
        let reviewed =
            ElevationChange::Reviewed { elevation: id.clone(), verdict, reason: "x".into(), roles, narrowing, signature: None };
        state.apply(62 + u64::from(n), at(-10), &reviewed.by(person(&format!("sec{n}"))));
    }
}

/// Brings API, integration and guardrails into force, each with an entry. Returns the state after each.
fn bring(state: &mut State, case: &Case, more: &More, index: u64) -> Vec<State> {
    let mut after = Vec::new();
    let mut apply = |at_index: u64, change: Change| {
        state.apply(index + at_index, at(0), &change.by(person("ann")));
        after.push(state.clone());
    };
    apply(0, ApiChange::Narrowed { record: Box::new(api_of(case, more)), reason: None }.into());
    apply(1, IntegrationChange::Narrowed { record: Box::new(integration_of(case, more)), reason: None }.into());
    for (i, name) in RULES.iter().enumerate() {
        let mode = if more.guardrails >> i & 1 == 1 { Mode::Enforce } else { Mode::Shadow };
        let (name, meaning) = (name.parse().expect("a name"), "x".to_owned());
        let record = Box::new(Guardrail { name, meaning, mode, cedar: "x".to_owned(), managed_by: None });
        apply(2 + i as u64, GuardrailChange::Applied { record, refuses: 0, unknown: 0, reason: None }.into());
    }
    after
}

/// Guards that know the rules by their names.
struct Fakes;

struct Fake(Option<Digest>, Vec<super::super::value::names::GuardrailName>);

impl Guards for Fakes {
    fn of(&self, state: &State) -> Arc<dyn Guard> {
        let enforced = state.guardrails.in_force().filter(|one| one.record.mode == Mode::Enforce);
        Arc::new(Fake(state.guardrails.digest(), enforced.map(|one| one.record.name.clone()).collect()))
    }
}

impl Guard for Fake {
    fn digest(&self) -> Option<Digest> {
        self.0
    }

    fn judge(&self, asked: &Asked<'_>) -> Judgement {
        let forbids = |name: &str| match name {
            "address" => asked.source == Source::Unknown && asked.risk == Risk::High,
            "bearer" => asked.possession == crate::domain::credential::possession::Possession::Bearer,
            "classes" => !asked.integration.data_classes.is_empty(),
            "glass" => asked.way == Way::BreakGlass,
            _ => asked.way == Way::Standing && asked.risk == Risk::High,
        };
        let by = self.1.iter().filter(|name| forbids(name.as_str()));
        let by = by.map(|name| Forbidding { guardrail: name.clone(), meaning: "x".to_owned(), failed: None });
        Judgement { forbidden: Forbidden::of(by.collect()).map(Arc::new), shadow: Vec::new() }
    }
}

fn on(case: &Case, state: &State) -> Option<Box<Grant>> {
    granted_on(case, Guarded { state, guard: &*Fakes.of(state) })
}

/// A state with a token that it granted.
fn issue(old: &More, made: &Made) -> Option<(Case, State, Issued)> {
    let case = base(made.asked);
    let mut state = super::state(&case);
    let first_used =
        IssuerKeyChange::FirstUsed { issuer: "https://issuer.example".parse().expect("an issuer"), key: Digest::of(b"k") };
    state.apply(51, at(-25), &first_used.by(Actor::Broker));
    bring(&mut state, &case, old, 52);
    elevate(&mut state, old, made);
    let grant = on(&case, &state)?;
    let (issued, _) = Issued::of(&grant, 70, at(0));
    Some((case, state, issued))
}

/// The law speaks of tokens that were granted, and of versions that cut some of them.
#[test]
fn the_generator_cuts_some_and_leaves_others() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..2000 {
        let (old, new, made, which) = (more(), more(), made(), 0u16..2048).new_tree(&mut runner).expect("a case").current();
        let Some((case, mut state, issued)) = issue(&old, &made) else { continue };
        bring(&mut state, &case, &mixed(&old, new, which), 80);
        let keys = issued.provenance().keys();
        *seen.entry((made.asked, made.glass, is_cut(&issued, &keys, &state, &Fakes))).or_insert(0) += 1;
    }
    assert!(seen.len() == 12 && seen.values().all(|number| *number > 5), "{seen:?}");
}

prop_compose! {
    fn made()(asked in proptest::sample::select(vec![1u8, 16, 17]), glass: bool, duration in 120u32..1500) -> Made {
        Made { asked, glass, duration }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, max_global_rejects: 1, ..ProptestConfig::default() })]

    /// I-2, I-8: elevations, keys and guardrails cut exactly what would not be granted as it is, and it stays cut when they come back.
    #[test]
    fn i_2_i_8_what_more_than_the_record_gave_is_cut_exactly(old in more(), new in more(), made in made(), which in 0u16..2048) {
        let Some((case, mut state, issued)) = issue(&old, &made) else { return Ok(()) };
        let keys = issued.provenance().keys();
        prop_assert!(!is_cut(&issued, &keys, &state, &Fakes), "as it was issued");
        let mut stands = true;
        for state in bring(&mut state, &case, &mixed(&old, new, which), 80) {
            stands &= on(&case, &state).is_some_and(|grant| grant.claims().expires >= issued.exp);
            prop_assert_eq!(is_cut(&issued, &keys, &state, &Fakes), !stands);
        }
        // What comes back may cut on its way: a risk that rises again before its guardrail is put back to shadow.
        bring(&mut state, &case, &old, 90);
        prop_assert!(stands || is_cut(&issued, &keys, &state, &Fakes), "back");
        let later = Issued { index: 200, ..issued };
        prop_assert!(!is_cut(&later, &keys, &state, &Fakes), "what is issued later is not cut");
    }
}
