//! What is taken, what is refused, and what a set answers.

use std::sync::Arc;

use super::{Entity, Guardrails, SCHEMA, Set, compile};
use crate::domain::credential::possession::Possession;
use crate::domain::decision::guard::{Asked, Guard as _, Guards as _, Judgement, Source};
use crate::domain::decision::way::Way;
use crate::domain::fixture::{at, production, state};
use crate::domain::registry::api::Risk;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

fn guardrail(name: &str, cedar: &str) -> Guardrail {
    let (name, meaning, cedar) = (name.parse().expect("a name"), "A rule of ours.".to_owned(), cedar.to_owned());
    Guardrail { name, meaning, mode: Mode::Enforce, cedar, managed_by: None }
}

/// A policy with this condition.
fn when(condition: &str) -> String {
    format!("forbid (principal, action == Carnet::Action::\"exchange\", resource)\nwhen {{ {condition} }};")
}

fn set(guardrails: &[Guardrail]) -> Set {
    let compiled: Vec<_> =
        guardrails.iter().map(|one| Arc::new(compile(one).unwrap_or_else(|flaws| panic!("{flaws:?}")))).collect();
    Set::of(Some(Digest::of(b"a set")), &compiled).expect("one set")
}

/// One question, on the fixture's integration.
struct Question {
    state: State,
    way: Way,
    possession: Possession,
    source: Source,
    risk: Risk,
    time: Timestamp,
}

impl Question {
    fn new() -> Self {
        let (way, possession, risk) = (Way::Standing, Possession::Bearer, Risk::High);
        Self { state: state(), way, possession, source: Source::Unknown, risk, time: at(0) }
    }

    fn ask(&self, set: &Set) -> Judgement {
        let known = self.state.integrations.values().next().and_then(|one| one.current.as_ref()).expect("in force");
        let record: &Integration = &known.record;
        let (environment, api, scope) =
            (production(), "orders-api".parse().expect("a name"), "orders:write".parse().expect("a scope"));
        let binding = &record.environments.get(&environment).expect("there").bindings[0];
        set.judge(&Asked {
            integration: record,
            version: known.version,
            verified: true,
            environment: &environment,
            binding,
            api: &api,
            api_version: Some(Digest::of(b"an API")),
            scope: &scope,
            risk: self.risk,
            way: self.way,
            possession: self.possession,
            source: self.source,
            time: self.time,
            local: self.state.local(self.time),
        })
    }

    /// `no`, `forbids` or `failed`.
    fn told(&self, set: &Set) -> &'static str {
        match self.ask(set).forbidden.map(|by| by.told().failed.is_some()) {
            None => "no",
            Some(false) => "forbids",
            Some(true) => "failed",
        }
    }
}

#[test]
fn the_schema_is_one_that_cedar_takes_and_each_thing_in_it_can_be_read() {
    assert!(SCHEMA.contains("contractEnds"));
    for condition in [
        "principal.partner.verified && principal in Carnet::Partner::\"globex\"",
        "principal.dataClasses.contains(\"customer-address\")",
        "principal.contractEnds < datetime(\"2027-01-01\")",
        "resource.risk == \"high\" && resource in Carnet::Api::\"orders-api\"",
        "resource == Carnet::Scope::\"orders-api/orders:write\" && resource.api == Carnet::Api::\"orders-api\"",
        "context.environment == \"production\" && !context.elevated && !context.breakGlass",
        "!context.bound && !context.dual && context.binding == \"oidc\" && context.preset == \"github\"",
        "!context.source.isInRange(ip(\"203.0.113.0/24\"))",
        "context.time > datetime(\"2027-01-01T00:00:00Z\") || context.weekday > 5 || context.minute < 360",
    ] {
        compile(&guardrail("rule", &when(condition))).unwrap_or_else(|flaws| panic!("{condition}: {flaws:?}"));
    }
}

/// D-04: nothing of a text reaches the stack of Cedar's readers unbounded.
#[test]
fn d_04_a_text_is_bounded_before_it_is_read() {
    let deep = |open: &str, close: &str, times: usize| when(&format!("{}true{}", open.repeat(times), close.repeat(times)));
    let chain = |operator: &str, times: usize| when(&vec!["context.bound"; times].join(operator));
    for (text, wanted) in [
        (deep("(", ")", 4000), "brackets"),
        (deep("[", "]", 30), "brackets"),
        (deep("!", "", 4000), "operators"),
        (deep("if true then ", " else true", 500), "operators"),
        (chain(" && ", 300), "operators"),
        (chain(" || ", 300), "operators"),
        (when(&format!("context{}", ".bound".repeat(1000))), "operators"),
        (format!("forbid (principal, action, resource) {};", "when {true} ".repeat(500)), "conditions"),
        (format!("forbid (principal, action, resource) {};", "unless{true}when{true}".repeat(33)), "conditions"),
    ] {
        let flaws = compile(&guardrail("rule", &text)).expect_err(wanted);
        assert!(flaws.len() == 1 && flaws[0].message.contains(wanted), "{wanted}: {flaws:?}");
    }
    // What stays below the bounds is read, on a thread with the stack of a serving one.
    let long = format!("{};", chain(" && ", 120).trim_end_matches(';').to_owned() + &" when { true }".repeat(60));
    let read = std::thread::Builder::new().stack_size(2 << 20).spawn(move || compile(&guardrail("rule", &long)).map(|_| ()));
    assert_eq!(read.expect("a thread").join().expect("it ends"), Ok(()));
    // Brackets in texts and comments do not count.
    let quoted = when(&format!("context.environment != \"{}\" // {}\n", "(".repeat(50), "(".repeat(50)));
    assert!(compile(&guardrail("rule", &quoted)).is_ok());
}

#[test]
fn what_cannot_be_enforced_is_refused_with_its_line() {
    for (text, line, wanted) in [
        ("permit (principal, action, resource);".to_owned(), 1, "forbid policies only"),
        ("// nothing".to_owned(), 1, "expected 1 to 16"),
        ("forbid (principal == ?principal, action, resource);".to_owned(), 1, "slots"),
        ("forbid (principal, action, resource)\nwhen { context.enviroment == \"x\" };".to_owned(), 2, "enviroment"),
        ("forbid (principal, action, resource)\nwhen { ;".to_owned(), 2, "unexpected"),
        (when("resource.risk == 3"), 2, "types"),
        (when("resource.owner == \"team:orders\""), 2, "owner"),
        (when("context.source.isInRange(ip(\"300.0.0.1\"))"), 2, "IP address"),
        (when("principal is Carnet::Nobody"), 2, "Nobody"),
        // It can never forbid.
        (when("principal is Carnet::Scope"), 1, "impossible"),
        ("forbid (principal, action == Carnet::Action::\"enrol\", resource);".to_owned(), 1, "enrol"),
        (vec!["forbid (principal, action, resource);"; 17].join("\n"), 1, "expected 1 to 16"),
    ] {
        let flaws = compile(&guardrail("rule", &text)).err().unwrap_or_default();
        let told = flaws.iter().any(|flaw| flaw.line == line && flaw.message.contains(wanted));
        assert!(told, "{text}: expected {wanted} on line {line}: {flaws:?}");
    }
}

#[test]
fn what_a_text_names_is_told_with_its_line() {
    let text = "forbid (principal in Carnet::Partner::\"globex\", action, resource)\nunless { resource in Carnet::Api::\"orders-api\" ||\n\
                principal == Carnet::Integration::\"globex/order-sync\" || resource == Carnet::Scope::\"orders-api/x\" };";
    let compiled = compile(&guardrail("rule", text)).expect("sound");
    let mut named: Vec<_> = compiled.named.iter().map(|one| (one.line, one.entity.name(), one.name.as_str())).collect();
    named.sort();
    let partner = Entity::Partner.name();
    assert_eq!(
        named,
        [
            (1, partner, "globex"),
            (2, "API", "orders-api"),
            (3, "integration", "globex/order-sync"),
            (3, "scope", "orders-api/x")
        ]
    );
}

#[test]
fn a_set_forbids_by_each_of_its_guardrails_and_names_them() {
    let elevated = guardrail(
        "b-elevated",
        &when("context.environment == \"production\" && resource.risk == \"high\" && !context.elevated"),
    );
    let bound = guardrail("a-bound", &when("!context.bound"));
    let both = set(&[elevated.clone(), bound]);
    let names = |question: &Question, set: &Set| -> Vec<String> {
        question.ask(set).forbidden.iter().flat_map(|by| by.by().map(|one| one.guardrail.to_string())).collect()
    };
    let mut question = Question::new();
    // Asked twice: the second answer is one that was kept.
    for _ in 0..2 {
        assert_eq!(names(&question, &both), ["a-bound", "b-elevated"]);
    }
    question.possession = Possession::Bound;
    assert_eq!(names(&question, &both), ["b-elevated"]);
    question.way = Way::Elevated;
    assert!(names(&question, &both).is_empty());
    question.way = Way::Standing;
    question.risk = Risk::Low;
    // The version of an API that says another risk is another version; here it is the same, so the kept answer stands.
    let fresh = set(std::slice::from_ref(&elevated));
    assert!(names(&question, &fresh).is_empty());
    let shadow = Guardrail { mode: Mode::Shadow, ..elevated };
    let (question, set) = (Question::new(), set(&[shadow]));
    let judgement = question.ask(&set);
    assert!(judgement.forbidden.is_none());
    assert_eq!(judgement.shadow.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b-elevated"]);
}

/// Cedar skips a policy that fails. A guard refuses.
#[test]
fn a_policy_that_fails_refuses() {
    let overflow = guardrail("rule", &when("context.minute + 9223372036854775807 > 0"));
    let mut question = Question::new();
    // At midnight nothing overflows, and the condition holds.
    question.time = Timestamp::from_seconds(86_400).expect("a time");
    assert_eq!(question.told(&set(std::slice::from_ref(&overflow))), "forbids");
    question.time = Timestamp::from_seconds(86_400 + 3600).expect("a time");
    assert_eq!(question.told(&set(std::slice::from_ref(&overflow))), "failed");
    // Beside another that forbids, the one that forbids is told.
    let always = guardrail("z-always", "forbid (principal, action, resource);");
    assert_eq!(question.told(&set(&[overflow.clone(), always])), "forbids");
    // An entity that is not part of the question.
    let stranger = guardrail("rule", &when("Carnet::Partner::\"acme\".verified"));
    assert_eq!(question.told(&set(&[stranger])), "failed");
    let shadow = Guardrail { mode: Mode::Shadow, ..overflow };
    let judgement = question.ask(&set(&[shadow]));
    assert!(judgement.forbidden.is_none() && judgement.shadow.len() == 1);
}

#[test]
fn address_and_time_are_asked_each_time() {
    let network = set(&[guardrail("rule", &when("!context.source.isInRange(ip(\"203.0.113.0/24\"))"))]);
    let mut question = Question::new();
    for (source, told) in [
        (Source::Known("203.0.113.9".parse().expect("ip")), "no"),
        (Source::Known("::ffff:203.0.113.9".parse().expect("ip")), "no"),
        (Source::Known("203.0.114.1".parse().expect("ip")), "forbids"),
        (Source::Unknown, "failed"),
        (Source::Supposed, "no"),
    ] {
        question.source = source;
        assert_eq!(question.told(&network), told, "{source:?}");
    }
    // 29 November 2026 is a Sunday.
    let weekend = set(&[guardrail("rule", &when("context.weekday > 5 || context.minute < 360"))]);
    for (time, told) in
        [("2026-11-29T12:00:00Z", "forbids"), ("2026-11-30T05:59:59Z", "forbids"), ("2026-11-30T06:00:00Z", "no")]
    {
        question.time = time.parse().expect("a time");
        assert_eq!(question.told(&weekend), told, "{time}");
    }
    let after = set(&[guardrail("rule", &when("context.time >= datetime(\"2026-11-30T06:00:00Z\")"))]);
    assert_eq!(question.told(&after), "forbids");
}

/// A policy whose reads of the address are hidden is still asked each time.
#[test]
fn reads_are_found_wherever_they_stand() {
    for condition in [
        "{\".\": context.source, \"has\": 1}[\".\"] == ip(\"10.0.0.1\")",
        "[context.source].contains(ip(\"10.0.0.1\"))",
        "if context has source then context[\"source\"] == ip(\"10.0.0.1\") else false",
        "(if true then context else context).source == ip(\"10.0.0.1\")",
    ] {
        let Ok(compiled) = compile(&guardrail("rule", &when(condition))) else { continue };
        assert!(compiled.free.reads_source, "{condition}");
    }
    let compiled = compile(&guardrail("rule", &when("context.bound && resource.risk == \"high\""))).expect("sound");
    assert!(!compiled.free.reads_source && !compiled.free.reads_clock());
}

#[test]
fn constants_are_found_with_a_value_on_either_side() {
    let text = when(
        "context.source.isInRange(ip(\"10.0.0.0/30\")) || context.source == ip(\"192.0.2.7\") || context.minute > 539 || \
         context.time > datetime(\"2027-01-01\")",
    );
    let free = compile(&guardrail("rule", &text)).expect("sound").free;
    let shown = |all: Vec<String>| all.join(" ");
    assert_eq!(
        shown(free.sources.iter().map(ToString::to_string).collect()),
        "9.255.255.255 10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 192.0.2.6 192.0.2.7 192.0.2.8"
    );
    assert_eq!(shown(free.minutes.iter().map(ToString::to_string).collect()), "538 539 540");
    let at: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
    assert!(free.times.contains(&at) && free.times.len() == 3);
}

/// A guard answers for one set: each set of a state is made once, and an unreadable one is of no set.
#[test]
fn a_guard_is_of_the_set_in_force_or_of_none() {
    use crate::domain::log::guardrail::GuardrailChange;
    use crate::domain::people::actor::Actor;
    let known = Guardrails::default();
    let mut state = state();
    assert_eq!(known.of(&state).digest(), None);
    let apply = |state: &mut State, record: Guardrail| {
        let change = GuardrailChange::Applied { record: Box::new(record), refuses: 0, unknown: 0, reason: None };
        state.apply(100, at(0), &change.by(Actor::Operator));
    };
    apply(&mut state, guardrail("rule", &when("context.bound")));
    assert_eq!((known.lacks(&state), known.of(&state).digest()), (true, None), "nothing is compiled where it is asked");
    known.make(&state);
    assert!(!known.lacks(&state));
    let (first, again) = (known.of(&state), known.of(&state));
    assert_eq!(first.digest(), state.guardrails.digest());
    assert!(Arc::ptr_eq(&first, &again));
    let earlier = state.clone();
    apply(&mut state, guardrail("rule", &when("context.dual")));
    known.make(&state);
    assert_ne!(known.of(&state).digest(), first.digest());
    assert!(Arc::ptr_eq(&known.of(&earlier), &first));
    apply(&mut state, guardrail("rule", "this is no Cedar"));
    known.make(&state);
    assert!(state.guardrails.digest().is_some() && !known.lacks(&state), "it is tried once");
    assert_eq!(known.of(&state).digest(), None, "of no set: every decision refuses");
}

/// Constants whose product no machine can hold are refused before any of it is made.
#[test]
fn a_product_of_constants_is_counted_before_it_is_made() {
    use crate::domain::decision::guard_check::{Enumeration, FreeValues, Ground, Subject};
    let state = state();
    let current = state.integrations.values().find_map(|known| known.current.clone()).expect("in force");
    let subject = Subject { record: Arc::clone(&current.record), version: current.version, verified: true };
    let whole = |sources: u32, times: i64| FreeValues {
        reads_source: true,
        reads_time: true,
        reads_weekday: true,
        reads_minute: true,
        sources: (0..sources).map(|bits| std::net::Ipv4Addr::from_bits(bits).into()).collect(),
        times: (0..times).map(at).collect(),
        minutes: (0..1440).collect(),
    };
    let (rules, ground) = (set(&[guardrail("rule", &when("context.bound"))]), Ground::of(&state, at(0)));
    // Two and a half thousand million values, some 80 GB.
    let free = whole(600, 400);
    let mut all = Enumeration::new(&rules, &free, &ground, 1_000_000);
    assert!(all.ask_all([&subject]).is_err() && all.asked == 0);
    let free = whole(1, 1);
    let mut few = Enumeration::new(&rules, &free, &ground, 1_000_000);
    assert!(few.ask_all([&subject]).is_ok() && few.asked > 0);
}
