//! What the state of a broker holds in memory, part by part, with many integrations.
//!
//! `cargo bench --bench memory`; `integrations=100000` after `--` sets their number. An environment is configured in which reviews count and
//! offboardings open by themselves. Each integration is drafted, submitted, reviewed twice and activated, by changes that are written as an
//! entry and read again, as a start does; no broker runs. Then the parts of the state are
//! given up one by one, and each counts for what was freed with it: what two parts share counts for the one that is given up last. Bytes are
//! those that were asked of the allocator; RSS is what the process has then.

#[path = "bench/clock.rs"]
mod clock;
#[path = "../tests/broker/world/days.rs"]
mod days;
#[path = "change/registry.rs"]
#[expect(dead_code, reason = "the bench of changes uses more of it")]
mod registry;

use std::alloc::System;
use std::sync::Arc;

use carnet::domain::log::approval::ApprovalChange;
use carnet::domain::log::change::Attributed;
use carnet::domain::log::configuration::ConfigurationChange;
use carnet::domain::log::entry::{ChangeEntry, Entry};
use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::people::actor::{Actor, Person, Role};
use carnet::domain::registry::approval::{Approval, Kind, Opened, Review, Verdict};
use carnet::domain::registry::binding::JwtRule;
use carnet::domain::registry::environment::{Configuration, Environment, Governance};
use carnet::domain::registry::integration::{Access, Integration};
use carnet::domain::state::facts;
use carnet::domain::state::integration::IntegrationState;
use carnet::domain::state::{Candidate, State};
use carnet::domain::value::clock::{Entropy, Seconds, Timestamp};
use carnet::domain::value::digest::Digest;
use carnet::domain::value::names::IntegrationId;
use carnet::domain::value::text::Text;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A part of the state, and how it is given up.
type Part = (&'static str, fn(&mut State));

/// In an order in which no part is given up before what points into it.
const PARTS: [Part; 11] = [
    ("bindings by issuer and claim (admission)", |state| state.candidates = Default::default()),
    ("unique texts and rules in force", |state| state.in_force = Default::default()),
    ("unique texts and rules that wait", |state| state.waiting = Default::default()),
    ("proofs of revoked bindings", |state| state.barred = Default::default()),
    ("what was ever in force", |state| state.history = Default::default()),
    ("dates", |state| state.dates = Default::default()),
    ("approvals", |state| state.approvals = Default::default()),
    ("records of integrations", give_up_records),
    ("integrations besides", |state| state.integrations = Default::default()),
    ("partners", |state| state.partners = Default::default()),
    ("all else", |state| *state = State::default()),
];

fn give_up_records(state: &mut State) {
    let all: Vec<IntegrationId> = state.integrations.keys().cloned().collect();
    for id in all {
        let known = state.integrations.get_mut(&id).map(Arc::make_mut);
        known.into_iter().for_each(|known| known.current = None);
    }
}

/// Salts that need not be secret here.
struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn main() {
    let number = std::env::args().find_map(|argument| argument.strip_prefix("integrations=")?.parse().ok()).unwrap_or(100_000);
    let mut fold = Fold { state: State::default(), entries: 0 };
    let begun = std::time::Instant::now();
    fold.take(ConfigurationChange::Changed(configuration()).by(Actor::Operator));
    for partner in registry::partners(number) {
        registry::verified(&partner).into_iter().for_each(|change| fold.take(change.by(Actor::Operator)));
    }
    for at in 0..number {
        fold.activate(at, registry::job(at, number, "https://token.actions.example"));
    }
    let entries = fold.entries;
    println!("{number} integrations by {entries} changes, folded in {:.1} s", begun.elapsed().as_secs_f64());
    println!("RSS {:.0} MB, peak {:.0} MB", megabytes("VmRSS"), megabytes("VmHWM"));
    let begun = std::time::Instant::now();
    let digest = facts::shared_digest(&fold.state);
    println!(
        "the digest that nodes compare, {digest}: {:.1} s, peak {:.0} MB then",
        begun.elapsed().as_secs_f64(),
        megabytes("VmHWM")
    );
    println!("{}", sizes());
    println!("{:<44}{:>8}{:>20}{:>22}", "part", "MB", "bytes of each", "allocations of each");
    let mut state = fold.state;
    let all = Region::new(ALLOCATOR);
    for (name, give_up) in PARTS {
        let region = Region::new(ALLOCATOR);
        give_up(&mut state);
        row(name, &region, number);
    }
    row("all of it", &all, number);
}

/// What single values take, without what they point to.
fn sizes() -> String {
    let of = [
        ("the state of an integration", size_of::<IntegrationState>()),
        ("its record", size_of::<Integration>()),
        ("an environment of it", size_of::<Access>()),
        ("a rule", size_of::<JwtRule>()),
        ("an approval", size_of::<Approval>()),
        ("a review", size_of::<Review>()),
        ("a binding in force", size_of::<Candidate>()),
        ("a person", size_of::<Person>()),
    ];
    let words: Vec<String> = of.into_iter().map(|(what, size)| format!("{what} {size}")).collect();
    format!("bytes: {}", words.join(", "))
}

fn row(name: &str, region: &Region<'_, System>, number: usize) {
    let freed = region.change();
    let bytes = freed.bytes_deallocated.saturating_sub(freed.bytes_allocated) as f64;
    let pieces = freed.deallocations.saturating_sub(freed.allocations) as f64;
    let each = number as f64;
    println!("{name:<44}{:>8.1}{:>20.0}{:>22.1}", bytes / 1e6, bytes / each, pieces / each);
}

fn megabytes(name: &str) -> f64 {
    clock::status_kilobytes(std::process::id(), name) as f64 / 1e3
}

fn configuration() -> Configuration {
    let environment = Environment {
        issuer: "https://sts.acme.example/production".parse().expect("an issuer"),
        max_ttl: Seconds::minutes(10),
        trust_domain: "production.acme.example".parse().expect("a trust domain"),
        production: None,
    };
    let environments = [("production".parse().expect("a name"), environment)].into();
    let governance = Governance { reviews: true, offboarding: true, ..Governance::default() };
    Configuration { environments, staff: Digest::of(b"staff"), signals: Vec::new(), directory: None, governance }
}

/// A fold of entries.
struct Fold {
    state: State,
    entries: u64,
}

impl Fold {
    /// Folds a change as a start does: from the bytes of its entry.
    fn take(&mut self, mut change: Attributed) {
        change.texts_mut().into_iter().for_each(seal);
        let time = Timestamp::from_seconds(1_790_000_000 + self.entries as i64).expect("a time");
        let subject = change.what.subject();
        let entry = ChangeEntry { index: self.entries, time, subject, request_id: None, prior: None, change };
        let bytes = serde_json::to_vec(&entry).expect("JSON");
        let Ok(Entry::Change(entry)) = Entry::parse(&bytes) else { panic!("a change") };
        self.state.apply(entry.index, entry.time, &entry.change);
        self.entries += 1;
    }

    /// Brings an integration into force, by the people that it takes.
    fn activate(&mut self, at: usize, mut record: Integration) {
        record.texts_mut().into_iter().for_each(seal);
        let (integration, version) = (record.id.clone(), Digest::of_json(&record));
        let id = format!("{}{at:08}", "Zm9vYmFyZm9vYm").parse().expect("an id");
        let approval = Approval {
            id,
            kind: Kind::Integration,
            subject: integration.to_string(),
            version,
            requested_by: staff(0),
            barred: vec![person(0)],
            slots: Kind::Integration.slots(),
            expires: Timestamp::MAX,
            reviews: Vec::new(),
            withdrawn: false,
            reason: None,
            opened: Opened::default(),
        };
        let review = |role, by| {
            let (verdict, reason) = (Verdict::Approve, "as agreed".into());
            ApprovalChange::Reviewed { approval: approval.id.clone(), verdict, reason, roles: [role].into() }.by(staff(by))
        };
        let reviews = [review(Role::Owner, 1), review(Role::Security, 2)];
        self.take(IntegrationChange::Drafted { record: Box::new(record), reason: None }.by(staff(0)));
        self.take(IntegrationChange::Submitted { integration: integration.clone(), approval, owners: None }.by(staff(0)));
        reviews.into_iter().for_each(|review| self.take(review));
        self.take(IntegrationChange::Activated { integration, version, owners: None }.by(Actor::Broker));
    }
}

fn seal(text: &mut Text) {
    text.seal(&Zeros);
}

fn person(number: usize) -> Person {
    let name = Some(format!("Person {number}").as_str().into());
    Person { iss: "https://idp.acme.example".parse().expect("an issuer"), id: format!("person-{number}").into(), name }
}

fn staff(number: usize) -> Actor {
    Actor::Staff(person(number))
}
