//! Rolling upgrades: each node in its turn ends, and starts again with another build and another configuration, under a load of valid requests.
//!
//! A request is repeated with a fresh proof, at any node, as its answer says. It failed if it has no token after ten seconds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::clients::Reach;
use super::dice::Dice;
use super::records::NEVER_BARRED;
use super::round::of_fault;
use super::schedule::Fault;
use super::stage::{Shape, Stage};

/// The time within which a valid request has its token.
const LONGEST: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug, Default)]
pub struct Rolled {
    /// Requests that got a token.
    pub granted: usize,
    /// How each of the others ended.
    pub failed: Vec<String>,
    /// The longest time to a token.
    pub slowest: Duration,
}

/// Upgrades and goes back so often, and returns the stage with what came of it.
pub async fn upgrades(shape: &Shape, previous: &Path, times: u32) -> (Stage, Rolled) {
    let mut stage = Stage::start(Shape { program: previous.to_owned(), ..shape.clone() }).await;
    stage.reach.running.store(true, Ordering::SeqCst);
    let clients: Vec<_> = (0..3).map(|client| tokio::spawn(valid(Arc::clone(&stage.reach), Dice::of(client, 0)))).collect();
    let mut rolled = Rolled::default();
    for time in 0..times {
        stage.reach.round.store(time, Ordering::SeqCst);
        let program = if time % 2 == 0 { shape.program.as_path() } else { previous };
        for at in 0..stage.nodes.len() {
            let begun = stage.reach.history.now();
            if !stage.nodes[at].stop(Duration::from_secs(15)).await {
                rolled.failed.push(format!("node {at} does not end within 15 s of SIGTERM"));
            }
            stage.nodes[at].program = program.to_owned();
            stage.configure(at, if time % 2 == 0 { "9m" } else { "10m" });
            stage.nodes[at].start();
            if !stage.becomes_ready(at, LONGEST).await {
                rolled.failed.push(format!("upgrade {time}: {} is not ready", stage.told(at).await));
            }
            let ended = stage.reach.history.now();
            stage.reach.history.add(&of_fault(time, Fault::RestartNode(at), begun, ended));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stage.reach.running.store(false, Ordering::SeqCst);
    for client in clients {
        let own = client.await.expect("a client");
        rolled.granted += own.granted;
        rolled.slowest = rolled.slowest.max(own.slowest);
        rolled.failed.extend(own.failed);
    }
    (stage, rolled)
}

/// Asks for tokens, one after the other, each until it is there.
async fn valid(reach: Arc<Reach>, mut dice: Dice) -> Rolled {
    let mut own = Rolled::default();
    while reach.goes_on() {
        let begun = Instant::now();
        let outcome = loop {
            let node = reach.any(&mut dice);
            let answer = reach.exchange(node, NEVER_BARRED, "orders:read", &reach.proof(NEVER_BARRED)).await;
            match answer.status {
                200 => break Ok(()),
                0 | 503 if begun.elapsed() < LONGEST => {
                    // Nobody answered: the next try goes to any node, soon.
                    let wait = answer.retry_after.map_or(Duration::from_millis(100), Duration::from_secs);
                    tokio::time::sleep(wait.min(LONGEST.saturating_sub(begun.elapsed()))).await;
                }
                status => break Err(format!("{status} {} after {:?}", answer.body["reason"], begun.elapsed())),
            }
        };
        match outcome {
            Ok(()) => own.granted += 1,
            Err(fault) => own.failed.push(fault),
        }
        own.slowest = own.slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(dice.between(5, 30))).await;
    }
    own
}
