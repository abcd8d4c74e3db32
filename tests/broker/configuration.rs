//! One configuration for several nodes: only the first start and an administrator put it on record.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::nodes::{Fellow, minted, world};
use crate::world::client::get;
use crate::world::{Answer, World, claims};

/// The life of tokens in production, in a file.
fn live(file: &std::path::Path, life: &str) {
    let text = std::fs::read_to_string(file).expect("a configuration");
    let (before, after) = text.split_once("[environments.production]\n").expect("an environment");
    let lines = after.lines().filter(|line| !line.starts_with("max_ttl"));
    let after: String = lines.map(|line| format!("{line}\n")).collect();
    std::fs::write(file, format!("{before}[environments.production]\nmax_ttl = \"{life}\"\n{after}")).expect("written");
}

/// Where the next requests of the admin API go.
async fn at<T>(world: &mut World, node: SocketAddr, ask: impl AsyncFnOnce(&World) -> T) -> T {
    let before = std::mem::replace(&mut world.admin, node);
    let answer = ask(world).await;
    world.admin = before;
    answer
}

/// The settings that differ, as the node says.
async fn differing(world: &mut World, node: SocketAddr) -> Vec<String> {
    let told = at(world, node, async |world| world.admin_get("/v1/configuration", "alan").await).await;
    let differs = told["differs"].as_array().expect("a list").iter();
    differs.map(|one| one["setting"].as_str().expect("a name").to_owned()).collect()
}

async fn applied(world: &mut World, node: SocketAddr, person: &str) -> Answer {
    at(world, node, async |world| {
        let found = world.admin_get("/v1/configuration", "alan").await;
        let seen = json!({"recorded": found["recorded"], "file": found["file"]});
        world.admin_post("/v1/configuration/apply", person, &seen).await
    })
    .await
}

/// The changes of the configuration on record.
async fn recorded(world: &World) -> Vec<Value> {
    let listed = world.admin_get("/v1/journal?kind=configuration.changed", "alan").await;
    listed["items"].as_array().expect("items").clone()
}

async fn until_ready(node: SocketAddr, is_ready: bool) {
    let status = if is_ready { 200 } else { 503 };
    for _ in 0..200 {
        if get(node, "/readyz").await.status == status {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{node} is not ready={is_ready}: {}", get(node, "/readyz?verbose").await.text());
}

async fn life(world: &World, node: SocketAddr) -> i64 {
    let token = claims(&minted(world, node).await);
    token["exp"].as_i64().expect("a time") - token["iat"].as_i64().expect("a time")
}

async fn refused(world: &World, node: SocketAddr, reason: &str) {
    let issued = world.issued().await;
    let answer = world.exchange_proof_at(node, &world.assertion("production")).await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (503, Some(reason)), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(world.issued().await, issued, "nothing was minted");
}

/// A change of the configuration, node by node: nothing fails in between, and only the administrator's word changes what is decided.
#[tokio::test]
async fn a_file_is_changed_node_by_node_and_an_administrator_records_it() {
    let (_database, mut world) = world().await;
    let (first, first_admin) = (world.public, world.admin);
    let mut second = Fellow::of(&world, "sts-2");
    let usual = life(&world, first).await;
    let before = recorded(&world).await.len();
    assert_eq!(before, 1, "the first start");

    // The second node starts with a changed file: it serves the record, says what differs, and records nothing.
    live(&second.file(), "2m");
    second.try_boot(&world).await.expect("it starts");
    let (other, other_admin) = (second.public, second.admin);
    until_ready(other, false).await;
    let verbose = get(other_admin, "/readyz?verbose").await;
    let checks = verbose.json()["checks"].as_array().expect("checks").clone();
    let check = checks.iter().find(|check| check["name"] == "configuration").expect("a check");
    assert!(
        check["ok"] == false && check["detail"].as_str().is_some_and(|why| why.contains("environments.production.max_ttl")),
        "{check}"
    );
    assert_eq!(differing(&mut world, other_admin).await, ["environments.production.max_ttl"]);
    assert_eq!(differing(&mut world, first_admin).await, [""; 0]);
    assert_eq!(life(&world, other).await, usual, "as on record");
    assert_eq!(recorded(&world).await.len(), before, "a start records nothing");
    crate::webhooks::until("the other nodes know why", async || {
        let listed = world.admin_get("/v1/nodes", "alan").await;
        let unready = listed["items"][1]["unready"].as_str().unwrap_or_default().to_owned();
        unready.contains("environments.production.max_ttl")
    })
    .await;

    // Only an administrator, who has seen both, puts it on record, at the node whose file it is.
    let refused = applied(&mut world, other_admin, "sven").await;
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (403, Some("staff.role")), "{}", refused.text());
    let found = at(&mut world, other_admin, async |world| world.admin_get("/v1/configuration", "alan").await).await;
    for seen in [
        json!({"recorded": found["file"], "file": found["file"]}),
        json!({"recorded": found["recorded"], "file": found["recorded"]}),
    ] {
        let stale =
            at(&mut world, other_admin, async |world| world.admin_post("/v1/configuration/apply", "adam", &seen).await).await;
        assert_eq!((stale.status, stale.json()["reason"].as_str()), (412, Some("plan.stale")), "{}", stale.text());
    }
    assert_eq!(recorded(&world).await.len(), before);
    let done = applied(&mut world, other_admin, "adam").await;
    assert_eq!((done.status, done.json()), (200, json!({"changed": true})), "{}", done.text());
    let entries = recorded(&world).await;
    assert_eq!(entries.len(), before + 1);
    assert!(entries.iter().any(|entry| entry["by"]["staff"]["id"] == "adam"), "{entries:?}");

    // Now the first node has the old file. It serves the new record as well, for its grace.
    until_ready(other, true).await;
    until_ready(first, false).await;
    for node in [first, other] {
        assert_eq!(life(&world, node).await, 120, "both as on record");
    }
    world.stop().await;
    live(&world.folder.path().join("carnet.toml"), "2m");
    world.boot().await;
    until_ready(first, true).await;
    let again = applied(&mut world, first_admin, "adam").await;
    assert_eq!((again.status, again.json()), (200, json!({"changed": false})), "nothing is left to record");
    assert_eq!(recorded(&world).await.len(), before + 1);
    second.stop().await;
    world.stop().await;
}

/// Past its grace a node mints nothing, and does again as soon as it agrees.
#[tokio::test]
async fn a_node_that_differs_for_longer_than_its_grace_mints_nothing() {
    let (_database, mut world) = world().await;
    let first = world.public;
    let mut second = Fellow::of(&world, "sts-2");
    live(&second.file(), "2m");
    second.try_boot(&world).await.expect("it starts");
    world.clock.advance(299);
    crate::webhooks::until("it mints in its grace", async || {
        world.exchange_proof_at(second.public, &world.assertion("production")).await.status == 200
    })
    .await;
    world.advance(2).await;
    crate::webhooks::until("its live index is heard of", async || {
        let told = get(second.admin, "/readyz?verbose").await.json();
        told["checks"].as_array().expect("checks").iter().all(|check| check["ok"] == true || check["name"] == "configuration")
    })
    .await;
    refused(&world, second.public, "configuration.differs").await;
    minted(&world, first).await;
    assert_eq!(applied(&mut world, second.admin, "adam").await.status, 200);
    until_ready(second.public, true).await;
    minted(&world, second.public).await;
    second.stop().await;
    world.stop().await;
}

/// An environment that comes on record is served by every node without a restart, whatever its file says, and with keys of its own.
#[tokio::test]
async fn an_environment_that_comes_on_record_is_served_by_running_nodes() {
    let (_database, mut world) = world().await;
    let (first, first_admin) = (world.public, world.admin);
    let mut second = Fellow::of(&world, "sts-2");
    let text = std::fs::read_to_string(second.file()).expect("a configuration");
    let issuer = format!("http://{first}/trial");
    std::fs::write(second.file(), format!("{text}\n[environments.trial]\nissuer = \"{issuer}\"\n")).expect("written");
    second.try_boot(&world).await.expect("it starts");
    let keys = async |world: &World, node: SocketAddr| world.get_at(node, "/trial/jwks").await;
    for node in [first, second.public] {
        assert_eq!(keys(&world, node).await.status, 404, "not on record");
    }
    assert_eq!(applied(&mut world, second.admin, "adam").await.status, 200);
    for node in [first, second.public] {
        crate::webhooks::until("it is served", async || {
            let answer = keys(&world, node).await;
            answer.status == 200 && answer.json()["keys"].as_array().is_some_and(|keys| !keys.is_empty())
        })
        .await;
    }
    assert_eq!(
        differing(&mut world, first_admin).await,
        ["environments.trial.issuer", "environments.trial.max_ttl", "environments.trial.trust_domain"]
    );
    minted(&world, first).await;
    second.stop().await;
    world.stop().await;
}

/// Roles that stand only in the file of a node decide nothing there: people read, cut and put the file on record.
#[tokio::test]
async fn people_whose_roles_are_not_on_record_decide_nothing() {
    let (_database, mut world) = world().await;
    let admin = world.admin;
    let mut second = Fellow::of(&world, "sts-2");
    let text = std::fs::read_to_string(second.file()).expect("a configuration");
    let changed = text.replace("[\"audit\"]", "[\"audit\", \"owners\"]");
    assert_ne!(changed, text, "the file has other roles");
    std::fs::write(second.file(), changed).expect("written");
    second.try_boot(&world).await.expect("it starts");
    assert_eq!(differing(&mut world, second.admin).await, ["staff"]);
    let before = world.admin_get("/v1/keys", "alan").await;
    let rotated = at(&mut world, second.admin, async |world| {
        world.admin_post("/v1/keys/production/rotate", "adam", &json!({"alg": "ES256"})).await
    })
    .await;
    assert_eq!((rotated.status, rotated.json()["reason"].as_str()), (503, Some("configuration.differs")), "{}", rotated.text());
    assert_eq!(world.admin_get("/v1/keys", "alan").await, before, "no key was made");
    let cut = at(&mut world, second.admin, async |world| {
        world.admin_post("/v1/revocations", "sven", &json!({"integration": "globex/order-sync", "reason": "a laptop"})).await
    })
    .await;
    assert!(cut.status < 300, "a right ends all the same: {}", cut.text());
    assert_eq!(applied(&mut world, second.admin, "adam").await.status, 200);
    assert_eq!(differing(&mut world, second.admin).await, [""; 0]);
    crate::webhooks::until("the other node finds the difference", async || differing(&mut world, admin).await == ["staff"])
        .await;
    second.stop().await;
    world.stop().await;
}

/// A journal in a file has one node, which records what its file says.
#[tokio::test]
async fn the_one_node_of_a_file_records_its_configuration_by_itself() {
    let mut world = World::in_file().await;
    world.stop().await;
    live(&world.folder.path().join("carnet.toml"), "2m");
    world.boot().await;
    assert_eq!(recorded(&world).await.len(), 2);
    assert_eq!(life(&world, world.public).await, 120);
    let admin = world.admin;
    assert_eq!(differing(&mut world, admin).await, [""; 0]);
    let applied = applied(&mut world, admin, "adam").await;
    assert_eq!((applied.status, applied.json()), (200, json!({"changed": false})));
}

/// The program asks the node of the file, prints what changes, and records nothing that the node does not run with.
#[tokio::test]
async fn the_program_shows_what_differs_and_applies_the_file_of_a_node() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::of(&world, "sts-2");
    live(&second.file(), "2m");
    second.try_boot(&world).await.expect("it starts");
    let mut adam = Program::of(&world, "adam");
    // The file says where its node is.
    adam.set("CARNET_SERVER", "");
    let file = second.file().display().to_string();
    let apply = ["config", "apply", "-c", &file];
    let checked = adam.run(&[&apply[..], &["--check"]].concat()).await.ended(0);
    for text in ["environments.production.max_ttl", "600", "120"] {
        assert!(checked.stdout.contains(text), "{checked:?}");
    }
    assert_eq!(recorded(&world).await.len(), 1, "it only looked");
    let (other, server) = (world.folder.path().join("carnet.toml"), format!("http://{}", second.admin));
    let other = other.display().to_string();
    let refused = adam.run(&["config", "apply", "-c", &other, "--server", &server]).await.ended(1);
    assert!(refused.stderr.contains("does not run with this file"), "{refused:?}");
    assert_eq!(recorded(&world).await.len(), 1);
    let applied = adam.run(&[&apply[..], &["-o", "json"]].concat()).await.ended(0).json();
    assert_eq!(applied["changed"], true, "{applied}");
    assert_eq!(applied["differs"][0]["setting"], "environments.production.max_ttl");
    assert_eq!(recorded(&world).await.len(), 2);
    let again = adam.run(&[&apply[..], &["-o", "json"]].concat()).await.ended(0).json();
    assert_eq!((&again["changed"], recorded(&world).await.len()), (&json!(false), 2));
    second.stop().await;
    world.stop().await;
}
