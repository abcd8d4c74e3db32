//! How long a plan takes, and how long token requests take meanwhile: two thousand integrations of one issuer, and hostile files.
//!
//! `cargo bench --bench plan`; `seconds=10` after `--` sets how long plans go on for each row. The broker runs in this process, with as
//! many threads that serve as the machine has cores; plans and token requests come over HTTP, and this program's own share of them runs
//! on the same cores. Times are the wall's, because somebody waits for them. Nothing is asserted about speed.

mod bench;
#[path = "plan/files.rs"]
mod files;
#[path = "../tests/broker/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod world;

use std::cell::Cell;
use std::time::{Duration, Instant};

use bench::floor::{self, median};
use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::record::{self, Record};
use carnet::journal::Proposal;
use world::{Answer, Options, World, records};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Integrations of the one issuer.
const MANY: usize = 2000;

/// The size of the file that took 42 s before there was an index (S-2).
const HOSTILE: usize = 361 * 1024;

/// Those who plan: what one of them sends at a time, and how many there are.
struct Load<'t> {
    texts: &'t [String],
    senders: usize,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

fn seconds() -> u64 {
    std::env::args().find_map(|argument| argument.strip_prefix("seconds=")?.parse().ok()).unwrap_or(5)
}

async fn run() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine {}; one verify + one sign {:.1} us", load.trim(), floor::microseconds());
    let mut world = World::with(Options::default()).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    let bench = &world;
    let rows: [&str; 8] = ["", "KiB", "plans", "median ms", "worst ms", "tokens", "median ms", "worst ms"];
    let [name, size, plans, plan, slowest_plan, tokens, token, slowest] = rows;
    println!("{name:<44} {size:>6} {plans:>6} {plan:>10} {slowest_plan:>9} {tokens:>7} {token:>10} {slowest:>9}  answer");

    let none = Load { texts: &[], senders: 0 };
    measure(bench, "no plan", &none).await;
    let new = files::integrations(&bench.partner.issuer, 0..MANY);
    measure(bench, &format!("{MANY} new"), &Load { texts: &new, senders: 1 }).await;
    let apart = [files::no_claim_in_common(&bench.partner.issuer, HOSTILE)];
    measure(bench, "hostile: no claim in common", &Load { texts: &apart, senders: 1 }).await;
    let alike = [files::all_alike(&bench.partner.issuer, HOSTILE)];
    measure(bench, "hostile: one record, bindings alike", &Load { texts: &alike, senders: 1 }).await;
    let tested = [files::many_tests(&bench.partner.issuer)];
    measure(bench, "hostile: one record, many tests", &Load { texts: &tested, senders: 1 }).await;
    let lists = files::long_lists(&bench.partner.issuer);
    in_force(bench, &lists[..1]).await;
    measure(bench, "hostile: change of long lists", &Load { texts: &lists[1..], senders: 1 }).await;

    let begun = Instant::now();
    in_force(bench, &files::integrations(&bench.partner.issuer, MANY..2 * MANY)).await;
    println!("{MANY} records took force in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    measure(bench, &format!("no plan, {MANY} in force"), &none).await;
    let one = files::integrations(&bench.partner.issuer, 0..1);
    measure(bench, &format!("one new, {MANY} in force"), &Load { texts: &one, senders: 1 }).await;
    measure(bench, &format!("{MANY} new, {MANY} in force"), &Load { texts: &new, senders: 1 }).await;
    measure(bench, &format!("{MANY} new, {MANY} in force, two at once"), &Load { texts: &new, senders: 2 }).await;
    let same = files::integrations(&bench.partner.issuer, MANY..2 * MANY);
    measure(bench, &format!("the {MANY} in force again"), &Load { texts: &same, senders: 1 }).await;
    measure(bench, "hostile: no claim in common, two at once", &Load { texts: &apart, senders: 2 }).await;
    measure(bench, "no plan", &none).await;
    world.stop().await;
}

/// Puts integrations in force without the approvals, which are not what is measured.
async fn in_force(world: &World, texts: &[String]) {
    let journal = &world.running.as_ref().expect("it runs").broker.journal;
    for located in texts.iter().flat_map(|text| record::read("bench", text).expect("sound records")) {
        let Record::Integration(record) = located.record else { continue };
        let made = journal.change(None, |_, _| {
            let what = IntegrationChange::Narrowed { record: Box::new(record.clone()), reason: None };
            Ok::<_, ()>(Proposal::from(what.by(Actor::Operator)))
        });
        made.await.expect("the journal writes").expect("a change");
    }
}

/// Sends plans back to back, and token requests one after the other until the plans end. A plan of several files is their sum.
async fn measure(world: &World, name: &str, load: &Load<'_>) {
    let until = Instant::now() + Duration::from_secs(seconds());
    let ended = Cell::new(false);
    let plans = async {
        let (one, two) = tokio::join!(plans(world, load, until), plans_if(load.senders > 1, world, load, until));
        if load.senders == 0 {
            tokio::time::sleep_until(until.into()).await;
        }
        ended.set(true);
        (one.0.into_iter().chain(two.0).collect::<Vec<_>>(), one.1)
    };
    let ((planned, answer), times) = tokio::join!(plans, tokens(world, &ended));
    let worst = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    let size = load.texts.iter().map(String::len).sum::<usize>() / 1024;
    let middle = if planned.is_empty() { 0.0 } else { median(planned.clone()) };
    println!(
        "{name:<44} {size:>6} {:>6} {middle:>10.0} {:>9.0} {:>7} {:>10.1} {:>9.1}  {answer}",
        planned.len(),
        worst(&planned),
        times.len(),
        median(times.clone()),
        worst(&times),
    );
}

async fn plans_if(wanted: bool, world: &World, load: &Load<'_>, until: Instant) -> (Vec<f64>, String) {
    if wanted { plans(world, load, until).await } else { (Vec::new(), String::new()) }
}

/// Milliseconds of each plan, and the last answer in a few words.
async fn plans(world: &World, load: &Load<'_>, until: Instant) -> (Vec<f64>, String) {
    let (mut times, mut last) = (Vec::new(), String::new());
    while load.senders > 0 && (times.is_empty() || Instant::now() < until) {
        let begun = Instant::now();
        for text in load.texts {
            let body = Some(("application/yaml", text.clone()));
            last = in_words(&world.admin_send("POST", "/v1/records/plan", "ann", body).await);
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    (times, last)
}

/// The status, and for a refusal the first fault.
fn in_words(answer: &Answer) -> String {
    if answer.status == 200 {
        return "200".to_owned();
    }
    let body = answer.json();
    let errors = body["errors"].as_array();
    let fault = errors.and_then(|errors| errors.iter().find(|one| one["reason"] == "record.effort").or(errors.first()));
    let fault = fault.unwrap_or(&body);
    let message: String = fault["message"].as_str().unwrap_or_default().chars().take(90).collect();
    format!("{} {} {message}", answer.status, fault["reason"].as_str().unwrap_or_default())
}

/// Milliseconds of each token request.
async fn tokens(world: &World, ended: &Cell<bool>) -> Vec<f64> {
    let mut times = Vec::new();
    while times.is_empty() || !ended.get() {
        let assertion = world.assertion("production");
        let begun = Instant::now();
        let answer = world.exchange("production", &assertion, "orders:read").await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    times
}
