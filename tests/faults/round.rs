//! A round: load, faults by their schedule, then everything is healed and must work again in time. The load goes on until there are enough
//! tokens, for as long as that at most.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clients::{Held, Reach, jti};
use super::history::Event;
use super::load;
use super::node::is_ready_at;
use super::postgres::Pair;
use super::proxy::Mode;
use super::records::NEVER_BARRED;
use super::schedule::{self, Fault, Parts, Planned};
use super::stage::Stage;
use crate::world::client::unique;

/// The length of a round's load, in milliseconds.
pub const LENGTH: u64 = 2_500;

/// A round with fewer tokens does not count.
pub const ENOUGH: u64 = 100;

/// What came of a round, besides its history.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Tokens that clients got.
    pub minted: u64,
    /// How often each fault was there.
    pub faults: BTreeMap<String, u64>,
    /// What the round itself saw wrong.
    pub wrong: Vec<String>,
    /// How long it took to work again, at the end.
    pub healed: Duration,
}

/// Runs one round on a stage.
pub async fn run(stage: &mut Stage, seed: u64, round: u32) -> Outcome {
    let mut outcome = Outcome::default();
    stage.reach.round.store(round, Ordering::SeqCst);
    stage.reach.minted.store(0, Ordering::SeqCst);
    stage.reach.running.store(true, Ordering::SeqCst);
    let clients = load::start(&stage.reach, seed, round);
    let peers = stage.nodes[0].proxies.keys().copied().collect();
    let postgres = stage.postgres.is_some();
    let parts = Parts { nodes: stage.nodes.len(), redis: stage.redis.len(), postgres, peers };
    let planned = schedule::of_round(seed, round, &parts, LENGTH);
    for planned in &planned {
        *outcome.faults.entry(planned.fault.kind()).or_default() += 1;
    }
    play(stage, round, &planned, &mut outcome).await;
    heal(stage, &mut outcome).await;
    let begun = Instant::now();
    let within = stage.shape.heals_within;
    let works = works(stage, begun).await;
    outcome.healed = begun.elapsed();
    if !works {
        let mut told = Vec::new();
        for at in 0..stage.nodes.len() {
            told.push(stage.told(at).await);
        }
        outcome.wrong.push(format!("it does not work again within {within:?}: {}", told.join("\n")));
    }
    while stage.reach.minted.load(Ordering::SeqCst) < ENOUGH && begun.elapsed() < within {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.reach.running.store(false, Ordering::SeqCst);
    for client in clients {
        if let Err(fault) = client.await {
            outcome.wrong.push(format!("a client ended: {fault}"));
        }
    }
    outcome.minted = stage.reach.minted.load(Ordering::SeqCst);
    outcome
}

/// Begins and ends each fault in its time.
async fn play(stage: &mut Stage, round: u32, planned: &[Planned], outcome: &mut Outcome) {
    let begun = Instant::now();
    let mut steps: Vec<(u64, bool, Fault)> =
        planned.iter().flat_map(|one| [(one.from, true, one.fault), (one.to, false, one.fault)]).collect();
    steps.sort_by_key(|(at, begins, _)| (*at, *begins));
    let mut since: Vec<(Fault, u64)> = Vec::new();
    for (at, begins, fault) in steps {
        tokio::time::sleep(Duration::from_millis(at).saturating_sub(begun.elapsed())).await;
        if begins {
            since.push((fault, stage.reach.history.now()));
            begin(stage, fault).await;
        } else {
            end(stage, fault, outcome).await;
            let place = since.iter().position(|(one, _)| *one == fault).expect("it began");
            let (_, sent) = since.remove(place);
            stage.reach.history.add(&of_fault(round, fault, sent, stage.reach.history.now()));
        }
    }
    tokio::time::sleep(Duration::from_millis(LENGTH).saturating_sub(begun.elapsed())).await;
}

/// A fault as the history has it.
pub fn of_fault(round: u32, fault: Fault, sent: u64, received: u64) -> Event {
    Event {
        round,
        node: fault.silences().unwrap_or(usize::MAX),
        op: "fault".to_owned(),
        sent,
        received,
        status: 0,
        request: String::new(),
        ask: json!({"kind": fault.kind(), "fault": format!("{fault:?}")}),
        answer: Value::Null,
    }
}

async fn begin(stage: &mut Stage, fault: Fault) {
    match fault {
        Fault::KillNode(node) => stage.nodes[node].kill(),
        Fault::RestartNode(node) => {
            // A process that is stopped does not hear SIGTERM.
            stage.nodes[node].signal("-CONT");
            stage.nodes[node].signal("-TERM");
        }
        Fault::StopNode(node) => stage.nodes[node].signal("-STOP"),
        Fault::SetClock(node, seconds) => {
            // One that starts under a wrong clock takes it for the right one, and has to be started again.
            if stage.nodes[node].is_up().await {
                stage.nodes[node].set_clock(seconds);
            }
        }
        Fault::KillRedis(server) => stage.redis[server].process.kill(),
        Fault::StopRedis(server) => stage.redis[server].process.signal("-STOP"),
        Fault::EmptyRedis(server) => {
            let _silent_if_it_is_away = stage.redis[server].try_command(&["flushall"]);
        }
        Fault::Network(node, peer, mode) => stage.nodes[node].proxies[&peer].set(mode),
        Fault::KillPrimary | Fault::RestartPrimary | Fault::StopPrimary | Fault::KillStandby => {
            begin_at_postgres(stage.postgres.as_mut().expect("a fault of PostgreSQL"), fault);
        }
    }
}

fn begin_at_postgres(pair: &mut Pair, fault: Fault) {
    let primary = pair.primary();
    match fault {
        Fault::KillPrimary => pair.kill(primary),
        Fault::KillStandby => pair.kill(1 - primary),
        Fault::RestartPrimary => pair.signal(primary, "-INT"),
        _ => pair.signal_all(primary, "-STOP"),
    }
}

async fn end(stage: &mut Stage, fault: Fault, outcome: &mut Outcome) {
    match fault {
        Fault::KillNode(node) => stage.nodes[node].start(),
        Fault::RestartNode(node) => {
            stage.nodes[node].signal("-CONT");
            if !stage.nodes[node].stop(Duration::from_secs(15)).await {
                outcome.wrong.push(format!("node {node} does not end within 15 s of SIGTERM"));
            }
            stage.nodes[node].start();
        }
        Fault::StopNode(node) => stage.nodes[node].signal("-CONT"),
        Fault::SetClock(node, _) => stage.nodes[node].set_clock(0),
        Fault::KillRedis(server) => stage.redis[server].restart(),
        Fault::StopRedis(server) => stage.redis[server].process.signal("-CONT"),
        Fault::EmptyRedis(_) => {}
        Fault::Network(node, peer, _) => stage.nodes[node].proxies[&peer].set(Mode::Pass),
        Fault::KillPrimary => stage.postgres.as_mut().expect("a fault of PostgreSQL").fail_over().await,
        Fault::RestartPrimary | Fault::StopPrimary | Fault::KillStandby => {
            stage.postgres.as_mut().expect("a fault of PostgreSQL").heal().await;
        }
    }
}

/// Ends every fault that is left.
async fn heal(stage: &mut Stage, outcome: &mut Outcome) {
    if let Some(pair) = &mut stage.postgres {
        pair.heal().await;
    }
    for server in stage.redis.iter_mut().chain(&mut stage.sentinels) {
        server.process.signal("-CONT");
        server.restart();
    }
    for at in 0..stage.nodes.len() {
        stage.nodes[at].pass();
        stage.nodes[at].set_clock(0);
        stage.nodes[at].signal("-CONT");
        if stage.nodes[at].ended_by_itself() {
            outcome.wrong.push(format!("node {at} ended by itself: {}", stage.told(at).await));
        }
        stage.nodes[at].start();
    }
}

/// Waits until each node is ready, and a token is minted, revoked and known as revoked at each of them; false if that takes too long.
///
/// No request is given up on the way: the history has all that were sent.
async fn works(stage: &Stage, begun: Instant) -> bool {
    let (mut nodes, within) = (tokio::task::JoinSet::new(), stage.shape.heals_within);
    for (at, node) in stage.nodes.iter().enumerate() {
        let (reach, public) = (Arc::clone(&stage.reach), node.public);
        nodes.spawn(async move {
            while !(is_ready_at(public).await && lives(&reach, at).await) {
                if begun.elapsed() > within {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            true
        });
    }
    nodes.join_all().await.into_iter().all(|works| works) && begun.elapsed() <= within
}

async fn lives(reach: &Reach, node: usize) -> bool {
    let integration = NEVER_BARRED;
    let answer = reach.exchange(node, integration, "orders:read", &reach.proof(integration)).await;
    let Some(jti) = answer.body["access_token"].as_str().and_then(jti) else { return false };
    let held = Held {
        token: answer.body["access_token"].as_str().unwrap_or_default().to_owned(),
        jti,
        integration: integration.to_owned(),
    };
    let active = reach.introspect(node, &held, false).await.body["active"].clone();
    let revoked = reach.revoke(node, &json!({"of": "token", "id": held.jti}), false, &unique()).await;
    let mut inactive = true;
    for other in 0..reach.nodes() {
        inactive &= reach.introspect(other, &held, false).await.body["active"] == false;
    }
    active == true && revoked.status == 201 && inactive
}
