//! Fault rounds: real nodes under load while their machines, stores and networks fail, and a judge of what clients saw.
//!
//! A [`stage`] starts `carnet serve` with its stores, each connection through a [`proxy`] of our own. A [`round`] runs clients against it
//! ([`load`]) and faults by a [`schedule`] that a seed determines, ends every fault, and wants a stage that works again. Every request and
//! its answer goes into the [`history`]. The [`checker`], which shares no code with the broker, holds the history and an export of the
//! journal against the invariants of `docs/security/invariants.md`. docs/security/fault-rounds.md says how to run them and read the table.

mod checker;
mod clients;
mod crowd;
mod dice;
mod effect;
mod history;
mod load;
mod node;
mod postgres;
mod process;
mod promises;
mod proxy;
mod records;
mod redis;
mod report;
mod rolling;
mod round;
mod schedule;
mod settings;
mod speed;
mod stage;
mod wire;

use std::time::Duration;

use report::Report;
use stage::{Shape, Stage, variable};

/// Rounds on one stage: what comes after is a stage, and a journal, of its own.
const SERIES: u32 = 20;

/// A run ends when so much is wrong.
const ENOUGH: usize = 10;

/// Runs rounds and judges them. Rounds that do not count are run again, with a later number.
async fn run(shape: &Shape, seed: u64, first: u32, rounds: u32) -> Report {
    let mut report = Report::default();
    let mut round = first;
    while report.counted < rounds {
        let mut stage = Stage::start(shape.clone()).await;
        let mut left = SERIES;
        while report.counted < rounds && left > 0 && report.wrong.len() < ENOUGH {
            let outcome = round::run(&mut stage, seed, round).await;
            report.add(seed, round, outcome);
            (round, left) = (round + 1, left - 1);
        }
        report.judge(&stage, seed);
        if report.wrong.len() >= ENOUGH {
            break;
        }
        assert!(report.thin <= rounds + 10, "most rounds have too few tokens: {report}");
    }
    report
}

/// I-6, I-7, I-8, I-9, I-10, I-15, I-23, F-02, F-04, F-08, R-07, T-06, L-03, L-08: twenty rounds of three nodes and all their stores.
///
/// How soon a stage works again is for `make faults` to say: other tests, and other work of the machine, run beside this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rounds_of_faults_break_no_invariant() {
    let shape = Shape { heals_within: Duration::from_secs(60), ..Shape::of_nodes(3) };
    let report = run(&shape, 0x5eed_0022, 0, 20).await;
    eprintln!("{report}");
    assert!(report.wrong.is_empty(), "{} violations", report.wrong.len());
}

/// `make faults ROUNDS=n SEED=s`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "make faults"]
async fn rounds_of_make_faults() {
    let number = |name: &str, usual: u64| {
        variable(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (seed, first) = (number("SEED", 1), number("FIRST", 0));
    let rounds = u32::try_from(number("ROUNDS", 20)).expect("a number of rounds");
    if let Some(previous) = variable("PREVIOUS") {
        return roll(&Shape::of_variables(), previous.as_ref(), 20).await;
    }
    let report = run(&Shape::of_variables(), seed, u32::try_from(first).expect("a round"), rounds).await;
    println!("{report}");
    assert!(report.wrong.is_empty(), "seed {seed}: {} violations", report.wrong.len());
}

/// `make bench-nodes`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make bench-nodes"]
async fn speed_of_nodes() {
    speed::compare().await;
}

/// `make bench-nodes`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make bench-nodes"]
async fn effect_of_revocations() {
    effect::measure(&measured(3)).await;
}

/// `make bench-nodes`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make bench-nodes"]
async fn return_of_clients() {
    crowd::come_back(&measured(1)).await;
}

/// `make bench-nodes`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make bench-nodes"]
async fn wait_beside_a_greedy_client() {
    crowd::beside_the_greedy(&measured(1)).await;
}

/// So many nodes of the program that is named, else of this build.
fn measured(nodes: usize) -> Shape {
    let shape = Shape::of_nodes(nodes);
    Shape { program: variable("PROGRAM").map_or(shape.program.clone(), Into::into), ..shape }
}

/// A valid request has a token within ten seconds of a ready node while every node is started again, with another configuration each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_fail_no_valid_request() {
    let shape = Shape::of_nodes(1);
    roll(&shape, &shape.program, 3).await;
}

/// Rolls from one build to the other and back, so many steps.
async fn roll(shape: &Shape, previous: &std::path::Path, times: u32) {
    let (stage, rolled) = rolling::upgrades(shape, previous, times).await;
    println!(
        "{times} steps: {} tokens, the slowest after {:?}, {} failed",
        rolled.granted,
        rolled.slowest,
        rolled.failed.len()
    );
    let mut report = Report::default();
    report.judge(&stage, 0);
    assert!(rolled.failed.is_empty(), "{:#?}", rolled.failed);
    assert!(report.wrong.is_empty(), "{report}");
}
