//! Two builds of the program in turns: what a change is worth, on a machine that is never the same for a minute.

use std::time::Duration;

use crate::bench::floor;
use crate::load::Load;
use crate::server::Server;
use crate::world::World;
use crate::{CALM, CONNECTIONS, MANY_CONNECTIONS, WARM, argument, measure, onboarded};

/// Turns of each program and number of connections; `turns=40` makes them more.
const TURNS: u64 = 12;

/// How long a turn is.
const TURN: Duration = Duration::from_secs(1);

/// Turns of each in which response times are taken, and how long one is.
const LONG_TURNS: usize = 3;
const LONG_TURN: Duration = Duration::from_secs(10);

/// Measures this build's program (`new`) and the one that `CARNET_BENCH_PROGRAM` names (`old`). Each turn's ratio is of neighbours in
/// time; what is printed is the median.
pub async fn two_programs() {
    let turns = argument("turns").unwrap_or(TURNS);
    let old = std::env::var("CARNET_BENCH_PROGRAM").expect("CARNET_BENCH_PROGRAM names the other program");
    let (world_new, world_old) = (onboarded().await, onboarded().await);
    let new = Server::start(&world_new).await;
    let old = Server::start_program(&old, &world_old).await;
    turn(&world_new, &new, WARM, CONNECTIONS).await;
    turn(&world_old, &old, WARM, CONNECTIONS).await;
    println!(
        "{:<12} {:>10} {:>10} {:>10} {:>14} {:>14}",
        "connections", "new, us", "old, us", "new / old", "new of limit", "old of limit"
    );
    for connections in [CONNECTIONS, MANY_CONNECTIONS] {
        let mut figures = [const { Vec::new() }; 5];
        for _ in 0..turns {
            let (new_cpu, new_floor) = turn(&world_new, &new, TURN, connections).await;
            let (old_cpu, old_floor) = turn(&world_old, &old, TURN, connections).await;
            let turn = [new_cpu, old_cpu, new_cpu / old_cpu, new_floor / new_cpu, old_floor / old_cpu];
            figures.iter_mut().zip(turn).for_each(|(figures, figure)| figures.push(figure));
        }
        let [new_cpu, old_cpu, ratio, new_share, old_share] = figures.map(floor::median);
        println!("{connections:<12} {new_cpu:>10.1} {old_cpu:>10.1} {ratio:>10.3} {new_share:>14.3} {old_share:>14.3}");
    }
    response_times((&world_new, &new), (&world_old, &old)).await;
}

/// Response times of the two at one rate, which both can serve: some turns of each, as long as a log takes to fill.
async fn response_times(new: (&World, &Server), old: (&World, &Server)) {
    let full = measure(old.0, old.1, Load::full(TURN), CONNECTIONS).await;
    let load = || Load::paced(LONG_TURN, full.per_second() * CALM);
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..LONG_TURNS {
        for (which, (world, server)) in [new, old].into_iter().enumerate() {
            let outcome = measure(world, server, load(), CONNECTIONS).await.outcome;
            figures[2 * which].push(outcome.quantile(0.5));
            figures[2 * which + 1].push(outcome.quantile(0.99));
        }
    }
    let [new_p50, new_p99, old_p50, old_p99] = figures.map(floor::median);
    println!("at 70 %, ms: new p50 {new_p50:.2}, p99 {new_p99:.2}; old p50 {old_p50:.2}, p99 {old_p99:.2}");
}

/// CPU per exchange, and the floor.
async fn turn(world: &World, server: &Server, time: Duration, connections: usize) -> (f64, f64) {
    let measured = measure(world, server, Load::full(time), connections).await;
    (measured.cpu(), measured.floor)
}
