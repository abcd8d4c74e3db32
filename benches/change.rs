//! One change of the state with ten integrations and with ten thousand: it should cost what it touches.
//!
//! `cargo bench --bench change`; `many=2000` after `--` sets the larger number, another word picks the rows whose names hold it. The
//! broker runs in this process. Each row makes ten changes a round, to ten integrations; a figure is the median of the rounds, for one
//! change. CPU time is that of the whole process until everybody who follows the journal is done; wall time is the caller's, with the
//! `fsync`. Nothing is asserted about speed.

mod bench;
#[path = "change/registry.rs"]
#[expect(dead_code, reason = "the other benches use more of it")]
mod registry;
#[path = "../tests/broker/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod world;

use std::time::{Duration, Instant};

use bench::clock::{Cpu, of_process, status_kilobytes};
use bench::floor::{self, median};
use carnet::broker::Broker;
use carnet::domain::credential::revocation::RevocationTarget;
use carnet::domain::log::change::{Attributed, Change};
use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::log::revocation::RevocationChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::registry::integration::Integration;
use carnet::domain::state::State;
use carnet::domain::value::names::IntegrationId;
use carnet::journal::Proposal;
use serde_json::json;
use world::{Options, World, days};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The smaller number of integrations, which is how many are changed in a round.
const FEW: usize = 10;

/// Rounds of each row, and one before them that is not counted.
const ROUNDS: usize = 9;

/// How long those who follow the journal get after a round.
const AFTERWARDS: Duration = Duration::from_millis(60);

/// How long the journal gets to bring home what was written at once.
const SETTLED: Duration = Duration::from_secs(3);

/// Microseconds of one change.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

/// A broker with some integrations in force.
struct Bench {
    world: World,
    broker: Broker,
    /// The integrations that are changed, spread over all.
    changed: Vec<Integration>,
    wanted: Option<String>,
    costs: Vec<(&'static str, Cost)>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let many = std::env::args().find_map(|argument| argument.strip_prefix("many=")?.parse().ok()).unwrap_or(10_000);
    runtime.block_on(run(many));
}

async fn run(many: usize) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine {}; one verify + one sign {:.1} us", load.trim(), floor::microseconds());
    let few = measured(FEW).await;
    let many_costs = measured(many).await;
    println!("{:<36} {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}", "microseconds of one change", "CPU", "", "", "wall", "", "");
    println!("{:<36} {FEW:>9} {many:>9} {:>6}   {FEW:>9} {many:>9} {:>6}", "integrations in force", "ratio", "ratio");
    for ((name, few), (_, many)) in few.iter().zip(&many_costs) {
        let (cpu, wall) = (many.cpu / few.cpu, many.wall / few.wall);
        println!("{name:<36} {:>9.0} {:>9.0} {cpu:>6.2}   {:>9.0} {:>9.0} {wall:>6.2}", few.cpu, many.cpu, few.wall, many.wall);
    }
}

/// The costs of every row with `number` integrations in force.
async fn measured(number: usize) -> Vec<(&'static str, Cost)> {
    let world = World::with(Options::default()).await;
    let broker = world.running.as_ref().expect("it runs").broker.clone();
    let records = registry::integrations(&world.partner.issuer, number);
    let before = status_kilobytes(std::process::id(), "VmRSS");
    let begun = Instant::now();
    for what in registry::partners(number).flat_map(|partner| registry::verified(&partner)) {
        change(&broker, what.into()).await;
    }
    for record in &records {
        change(&broker, in_force(record)).await;
    }
    let (took, after) = (begun.elapsed().as_secs_f64(), status_kilobytes(std::process::id(), "VmRSS"));
    println!("{number} integrations took force in {took:.1} s; resident {} KiB, {} KiB before", after, before);
    tokio::time::sleep(AFTERWARDS).await;
    // No installation was written within the hour: a cut counts the living tokens among the entries of that time. And the log's
    // pages are home.
    world.advance(2 * 3_600).await;
    tokio::time::sleep(SETTLED).await;
    let changed = records.into_iter().step_by(number.div_ceil(FEW)).collect();
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--") && !argument.contains('='));
    let mut bench = Bench { world, broker, changed, wanted, costs: Vec::new() };
    bench.rows().await;
    bench.world.stop().await;
    bench.costs
}

impl Bench {
    async fn rows(&mut self) {
        self.fold("fold: suspend", |record| IntegrationChange::suspended(record.id.clone(), "odd".into()).into());
        self.fold("fold: revoke", |record| revoked(&record.id));
        self.fold("fold: a version takes force", in_force);
        self.journal().await;
        self.revoke().await;
        self.suspend().await;
        self.submit().await;
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
    }

    /// A copy of the state and one change of it, as the sequencer makes them; the copy before it is let go.
    fn fold(&mut self, name: &'static str, what: impl Fn(&Integration) -> Change) {
        if !self.wants(name) {
            return;
        }
        let view = self.broker.journal.view();
        let mut rounds = Vec::new();
        for _ in 0..=ROUNDS {
            let changes: Vec<Attributed> = self.changed.iter().map(|one| what(one).by(Actor::Operator)).collect();
            let mut last = State::clone(&view.state);
            let (begun, clock) = (Cpu::of_thread(), Instant::now());
            for (at, change) in changes.iter().enumerate() {
                let mut next = last.clone();
                next.apply(view.size + at as u64, view.time, change);
                last = next;
            }
            rounds.push(Cost { cpu: begun.microseconds(), wall: clock.elapsed().as_secs_f64() * 1e6 });
        }
        self.keep(name, &rounds);
    }

    /// A version takes force through the journal, and everybody who follows it learns of it.
    async fn journal(&mut self) {
        let name = "journal: a version takes force";
        if !self.wants(name) {
            return;
        }
        let mut rounds = Vec::new();
        for _ in 0..=ROUNDS {
            let (begun, clock) = (of_process(), Instant::now());
            for record in &self.changed {
                change(&self.broker, in_force(record)).await;
            }
            rounds.push(after(begun, clock).await);
        }
        self.keep(name, &rounds);
    }

    /// Security revokes by the admin API, and the live index confirms it.
    async fn revoke(&mut self) {
        let name = "admin: revoke";
        if !self.wants(name) {
            return;
        }
        let mut rounds = Vec::new();
        for _ in 0..=ROUNDS {
            let (begun, clock) = (of_process(), Instant::now());
            for record in &self.changed {
                let revoke = json!({"integration": record.id, "tokensOnly": true, "reason": "odd"});
                let answer = self.world.admin_post("/v1/revocations", "sven", &revoke).await;
                assert_eq!(answer.status, 201, "{}", answer.text());
            }
            rounds.push(after(begun, clock).await);
        }
        self.keep(name, &rounds);
    }

    /// Security suspends by the admin API, and the live index confirms it.
    async fn suspend(&mut self) {
        let name = "admin: suspend";
        if !self.wants(name) {
            return;
        }
        let mut rounds = Vec::new();
        for _ in 0..=ROUNDS {
            let (begun, clock) = (of_process(), Instant::now());
            self.post("suspend", "sven").await;
            rounds.push(after(begun, clock).await);
            for record in &self.changed {
                change(
                    &self.broker,
                    IntegrationChange::Resumed { integration: record.id.clone(), suspensions: Vec::new() }.into(),
                )
                .await;
            }
            tokio::time::sleep(AFTERWARDS).await;
        }
        self.keep(name, &rounds);
    }

    /// An owner submits a draft by the admin API.
    async fn submit(&mut self) {
        let name = "admin: submit";
        if !self.wants(name) {
            return;
        }
        let mut rounds = Vec::new();
        for round in 0..=ROUNDS {
            let drafts = registry::drafts(&self.world.partner.issuer, round);
            for record in &drafts {
                change(&self.broker, IntegrationChange::Drafted { record: Box::new(record.clone()), reason: None }.into())
                    .await;
            }
            tokio::time::sleep(AFTERWARDS).await;
            self.changed = drafts;
            let (begun, clock) = (of_process(), Instant::now());
            self.post("submit", "ann").await;
            rounds.push(after(begun, clock).await);
        }
        self.keep(name, &rounds);
    }

    async fn post(&self, step: &str, person: &str) {
        for record in &self.changed {
            let path = format!("/v1/integrations/{}/{step}", record.id);
            let answer = self.world.admin_post(&path, person, &json!({"reason": "odd"})).await;
            assert!(answer.status < 300, "{}", answer.text());
        }
    }

    /// Takes the median of the rounds, of which the first warmed up.
    fn keep(&mut self, name: &'static str, rounds: &[Cost]) {
        let each = |figure: fn(&Cost) -> f64| median(rounds.iter().skip(1).map(figure).collect()) / FEW as f64;
        self.costs.push((name, Cost { cpu: each(|cost| cost.cpu), wall: each(|cost| cost.wall) }));
    }
}

/// The wall time until now, and the CPU time until those who follow are done.
async fn after(begun: u64, clock: Instant) -> Cost {
    let wall = clock.elapsed().as_secs_f64() * 1e6;
    tokio::time::sleep(AFTERWARDS).await;
    Cost { cpu: (of_process() - begun) as f64 / 1e3, wall }
}

fn in_force(record: &Integration) -> Change {
    IntegrationChange::Narrowed { record: Box::new(record.clone()), reason: None }.into()
}

fn revoked(integration: &IntegrationId) -> Change {
    let subject = RevocationTarget::Integration { integration: integration.clone() };
    let id = format!("r-{}-{}", integration.partner, integration.name).parse().expect("an id");
    RevocationChange::Added { id, target: subject, tokens_only: false, reason: "odd".into(), client: None }.into()
}

/// Puts a change on record without the approvals, which are not what is measured.
async fn change(broker: &Broker, what: Change) {
    let mut what = Some(what);
    let made = broker.journal.change(None, |_, _| {
        let what = what.take().expect("nobody else changes anything");
        Ok::<_, ()>(Proposal::from(what.by(Actor::Operator)))
    });
    made.await.expect("the journal writes").expect("a change");
}
