//! Rolling upgrades: each node in its turn ends, and starts again with another build, then with another configuration, under a load of valid
//! requests, in the steps of docs/how-to/operate/nodes.md.
//!
//! A request is repeated with a fresh proof, at any node that is ready, as its answer says. It failed if it has no token after ten seconds.
//! Time in which no node is ready does not count: one node alone cannot be replaced without a gap.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::clients::Reach;
use super::dice::Dice;
use super::node::is_ready_at;
use super::records::NEVER_BARRED;
use super::round::of_fault;
use super::schedule::Fault;
use super::stage::{Shape, Stage};

/// The time within which a valid request has its token.
const LONGEST: Duration = Duration::from_secs(10);

/// The time within which a node is ready again, also on a machine with much else to do.
const STARTED: Duration = Duration::from_secs(60);

/// Tokens between the last start of an upgrade and the first of the next.
const BETWEEN: u64 = 20;

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
            stage.nodes[at].program = program.to_owned();
            if let Err(fault) = anew(&mut stage, time, at, false).await {
                rolled.failed.push(fault);
            }
        }
        // The files are there before the first node is started with one.
        let longest_life = if time % 2 == 0 { "9m" } else { "10m" };
        (0..stage.nodes.len()).for_each(|at| stage.configure(at, longest_life));
        for at in 0..stage.nodes.len() {
            // The one node of a journal in a file puts its configuration on record itself.
            let is_first_of_several = at == 0 && stage.nodes.len() > 1;
            if let Err(fault) = anew(&mut stage, time, at, is_first_of_several).await {
                rolled.failed.push(fault);
            }
        }
        println!("upgrade {time}: {} faults, the last is {:?}", rolled.failed.len(), rolled.failed.last());
        if !load_goes_on(&stage).await {
            rolled.failed.push(format!("upgrade {time}: too few tokens within {STARTED:?} of the last start"));
        }
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

/// Ends a node and starts it again, and waits until it is ready. With `applies`, an administrator puts its configuration on record meanwhile.
async fn anew(stage: &mut Stage, time: u32, at: usize, applies: bool) -> Result<(), String> {
    let begun = stage.reach.history.now();
    let has_ended = stage.nodes[at].stop(Duration::from_secs(15)).await;
    stage.nodes[at].start();
    let applied = if applies { stage.applies_configuration(at, STARTED).await } else { Ok(()) };
    let is_ready = stage.becomes_ready(at, STARTED).await;
    let ended = stage.reach.history.now();
    stage.reach.history.add(&of_fault(time, Fault::RestartNode(at), begun, ended));
    match applied {
        _ if !has_ended => Err(format!("upgrade {time}: node {at} does not end within 15 s of SIGTERM")),
        Err(fault) => Err(format!("upgrade {time}: node {at} does not apply its configuration: {fault}")),
        Ok(()) if !is_ready => Err(format!("upgrade {time}: {} is not ready", stage.told(at).await)),
        Ok(()) => Ok(()),
    }
}

/// Waits until clients got some tokens more; false if that takes too long.
async fn load_goes_on(stage: &Stage) -> bool {
    let (begun, before) = (Instant::now(), stage.reach.minted.load(Ordering::SeqCst));
    while begun.elapsed() < STARTED {
        if stage.reach.minted.load(Ordering::SeqCst) >= before + BETWEEN {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Asks for tokens, one after the other, each until it is there.
async fn valid(reach: Arc<Reach>, mut dice: Dice) -> Rolled {
    let mut own = Rolled::default();
    while reach.goes_on() {
        let mut waited = Duration::ZERO;
        let outcome = loop {
            let Some(node) = ready(&reach, &mut dice).await else { break None };
            let asked = Instant::now();
            let answer = reach.exchange(node, NEVER_BARRED, "orders:read", &reach.proof(NEVER_BARRED)).await;
            match answer.status {
                200 => {
                    waited += asked.elapsed();
                    break Some(Ok(()));
                }
                0 | 503 if waited + asked.elapsed() < LONGEST => {
                    // Nobody answered: the next try goes to any node, soon.
                    let wait = answer.retry_after.map_or(Duration::from_millis(100), Duration::from_secs);
                    tokio::time::sleep(wait.min(LONGEST)).await;
                    waited += asked.elapsed();
                }
                status => break Some(Err(format!("{status} {} after {waited:?}", answer.body["reason"]))),
            }
        };
        match outcome {
            Some(Ok(())) => own.granted += 1,
            Some(Err(fault)) => own.failed.push(fault),
            None => {}
        }
        own.slowest = own.slowest.max(waited);
        tokio::time::sleep(Duration::from_millis(dice.between(5, 30))).await;
    }
    own
}

/// A node that is ready, any of them, as soon as there is one; none when the load ends.
async fn ready(reach: &Reach, dice: &mut Dice) -> Option<usize> {
    while reach.goes_on() {
        let node = reach.any(dice);
        if is_ready_at(reach.public(node)).await {
            return Some(node);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}
