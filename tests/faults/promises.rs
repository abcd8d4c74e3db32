//! The promises of a node (docs/how-to/operate/nodes.md), kept by real nodes while what they need is taken away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::clients::{Held, jti};
use super::node::Peer;
use super::proxy::{Mode, Way};
use super::records::{FLEET, NEVER_BARRED};
use super::report::Report;
use super::round::of_fault;
use super::schedule::Fault;
use super::stage::{Index, Shape, Stage};
use super::wire::{Answer, Request};
use crate::world::client::unique;

/// The longest wait for an answer: five seconds for an entry, and a bit for what comes before and after.
const ANSWERED: Duration = Duration::from_millis(7_500);

const TAKEN_OVER: Duration = Duration::from_secs(10);

async fn two_nodes() -> Stage {
    Stage::start(Shape { index: Index::Single, ..Shape::of_nodes(2) }).await
}

/// Waits until it is so.
async fn until(what: &str, longest: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < longest, "{what}: not within {longest:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The node that runs the tasks of which there may be one.
async fn runner(stage: &Stage, asked: usize) -> Option<usize> {
    let listed = stage.reach.staff(asked, "alan", Request::get("/v1/nodes")).await;
    let nodes = listed.body["items"].as_array().cloned().unwrap_or_default();
    let runs = nodes.iter().find(|node| node["runsSingleTasks"] == true)?;
    let number: usize = runs["id"].as_str()?.strip_prefix("sts-")?.parse().ok()?;
    Some(number - 1)
}

async fn exchange(stage: &Stage, node: usize, integration: &str) -> Answer {
    stage.reach.exchange(node, integration, "orders:read", &stage.reach.proof(integration)).await
}

async fn minted(stage: &Stage, node: usize, integration: &str) -> Held {
    let answer = exchange(stage, node, integration).await;
    let token = answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    Held { jti: jti(&token).expect("an id"), token, integration: integration.to_owned() }
}

/// What clients saw and the journal break no rule.
fn judged(stage: &Stage) {
    let mut report = Report::default();
    report.judge(stage, 0);
    assert!(report.wrong.is_empty(), "{report}");
}

fn add(stage: &Stage, fault: Fault, sent: u64) {
    let history = &stage.reach.history;
    history.add(&of_fault(0, fault, sent, history.now()));
}

/// F-02, F-22: after `kill -9` another node runs the tasks of which there may be one, and the killed one has its id again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_02_a_killed_node_is_taken_over_within_ten_seconds() {
    let mut stage = two_nodes().await;
    until("a node runs the tasks", TAKEN_OVER, async || runner(&stage, 0).await.is_some()).await;
    let killed = runner(&stage, 0).await.expect("it did");
    let sent = stage.reach.history.now();
    stage.nodes[killed].kill();
    until("the other runs the tasks", TAKEN_OVER, async || runner(&stage, 1 - killed).await == Some(1 - killed)).await;
    minted(&stage, 1 - killed, NEVER_BARRED).await;
    for _ in 0..2 {
        // The second time its lease has not run out.
        stage.nodes[killed].kill();
        stage.nodes[killed].start();
        until("the killed node has its id again", TAKEN_OVER, async || stage.nodes[killed].is_ready().await).await;
        minted(&stage, killed, NEVER_BARRED).await;
    }
    add(&stage, Fault::KillNode(killed), sent);
    judged(&stage);
}

/// a node that stood still for longer than its lease releases no token that it had decided on before, and calls none active: neither
/// before it renews its lease nor after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_09_a_lease_that_runs_out_during_an_exchange_mints_nothing() {
    let stage = two_nodes().await;
    let (barred, key) = (FLEET[2], unique());
    let held = Arc::new(minted(&stage, 1, barred).await);
    let (mut exchanges, mut introspections) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let (reach, proof) = (Arc::clone(&stage.reach), stage.reach.proof(barred));
        exchanges.push(tokio::spawn(async move {
            let answer = reach.exchange(1, barred, "orders:read", &proof).await;
            (reach.history.now(), answer)
        }));
        let (reach, held) = (Arc::clone(&stage.reach), Arc::clone(&held));
        introspections.push(tokio::spawn(async move {
            let answer = reach.introspect(1, &held, false).await;
            (reach.history.now(), answer)
        }));
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    let stopped = stage.reach.history.now();
    stage.nodes[1].signal("-STOP");
    let cut = json!({"of": "integration", "id": barred});
    until("the revocation is acknowledged", TAKEN_OVER, async || stage.reach.revoke(0, &cut, false, &key).await.status == 201)
        .await;
    let resumed = stage.reach.history.now();
    stage.nodes[1].signal("-CONT");
    for by_proxy in [false, true] {
        let answer = stage.reach.introspect(1, &held, by_proxy).await;
        let is_active = if by_proxy { answer.status == 200 } else { answer.body["active"] == true };
        assert!(!is_active, "{answer:?}");
    }
    let mut late = 0;
    for exchange in exchanges {
        let (received, answer) = exchange.await.expect("a client");
        late += usize::from(received > resumed);
        assert!(received < resumed || answer.status != 200, "a token after the acknowledgement: {answer:?}");
    }
    assert!(late > 0, "no exchange was under way");
    for introspection in introspections {
        let (received, answer) = introspection.await.expect("a client");
        assert!(received < resumed || answer.body["active"] != true, "active after the acknowledgement: {answer:?}");
    }
    add(&stage, Fault::StopNode(1), stopped);
    judged(&stage);
}

/// R-09, F-05, F-11: a store that falls silent: not ready within two seconds, no token, none active, and every request is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_09_a_node_without_its_stores_says_so_and_goes_on_with_them() {
    let stage = two_nodes().await;
    let held = minted(&stage, 1, NEVER_BARRED).await;
    for peers in [vec![Peer::Postgres(0), Peer::Postgres(1)], vec![Peer::Redis(0)]] {
        let set = |mode| peers.iter().for_each(|peer| stage.nodes[1].proxies[peer].set(mode));
        set(Mode::Hold(Way::Both));
        let lost = Instant::now();
        until("not ready", Duration::from_millis(2_500), async || !stage.nodes[1].is_ready().await).await;
        let answer = exchange(&stage, 1, NEVER_BARRED).await;
        assert!(answer.status == 503 && lost.elapsed() < Duration::from_secs(10), "{peers:?}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5_200).saturating_sub(lost.elapsed())).await;
        for by_proxy in [false, true] {
            let answer = stage.reach.introspect(1, &held, by_proxy).await;
            assert_eq!(answer.status, 503, "{peers:?}: {answer:?}");
        }
        assert!(stage.reach.introspect(0, &held, false).await.body["active"] == true, "the other node has its stores");
        set(Mode::Pass);
        until("ready again", TAKEN_OVER, async || stage.nodes[1].is_ready().await).await;
        minted(&stage, 1, NEVER_BARRED).await;
    }
    judged(&stage);
}

/// F-03, F-11, F-15: while no commit is confirmed every request is answered, a node ends when it is told to, and one that starts says that it
/// lives and is not ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_15_without_a_standby_nodes_answer_end_and_start() {
    let mut stage = two_nodes().await;
    let pair = stage.postgres.as_mut().expect("PostgreSQL");
    pair.kill(1 - pair.primary());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let asked = Instant::now();
        let cut = json!({"of": "token", "id": "none"});
        let tokens = json!({"of": "integration", "id": FLEET[2]});
        let (key, other) = (unique(), unique());
        let (first, second, third, fourth) = tokio::join!(
            exchange(&stage, 0, NEVER_BARRED),
            exchange(&stage, 1, NEVER_BARRED),
            stage.reach.revoke(0, &tokens, true, &key),
            stage.reach.revoke(1, &cut, false, &other),
        );
        assert!(asked.elapsed() < ANSWERED, "{:?}", asked.elapsed());
        for answer in [first, second, third] {
            assert_eq!(answer.status, 503, "{answer:?}");
        }
        assert!([404, 503].contains(&fourth.status), "{fourth:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let sent = stage.reach.history.now();
    assert!(stage.nodes[1].stop(Duration::from_secs(12)).await, "it does not end");
    stage.nodes[1].start();
    until("it says that it lives", Duration::from_secs(5), async || stage.nodes[1].is_alive().await).await;
    assert!(!stage.nodes[1].is_ready().await);
    let checks = stage.nodes[1].checks().await;
    assert!(checks.contains("this node starts"), "{checks}");
    let answer = exchange(&stage, 1, NEVER_BARRED).await;
    assert!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}");
    assert!(stage.nodes[1].stop(Duration::from_secs(5)).await, "it does not end while it waits");
    stage.nodes[1].start();
    stage.postgres.as_mut().expect("PostgreSQL").heal().await;
    for node in 0..2 {
        until("ready again", TAKEN_OVER, async || stage.nodes[node].is_ready().await).await;
        minted(&stage, node, NEVER_BARRED).await;
    }
    add(&stage, Fault::RestartNode(1), sent);
    judged(&stage);
}
