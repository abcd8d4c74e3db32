//! What a node does while something that it needs is wrong or away: it stays up, mints nothing, says what is wrong, and goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carnet::domain::value::clock::Seconds;
use carnet::domain::value::clock::{Clock, Entropy};
use carnet::journal::{Given, Journal, Kek, Rest, Settings};
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::world::{Options, World, get};

/// Not ready within so long of losing what minting needs, and ready again within so long of having it (S-20).
const SOON: Duration = Duration::from_secs(2);

async fn ready(world: &World) -> bool {
    get(world.admin, "/readyz").await.status == 200
}

/// Waits until the node is ready, or not, and says how long that took.
async fn becomes(world: &World, wanted: bool, what: &str) -> Duration {
    let begun = Instant::now();
    while ready(world).await != wanted {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {}", get(world.admin, "/readyz?verbose").await.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// What a check of `/readyz?verbose` says is wrong; nothing where it holds.
async fn wrong(world: &World, check: &str) -> Option<String> {
    let told = get(world.admin, "/readyz?verbose").await.json();
    let found = told["checks"].as_array().expect("checks").iter().find(|one| one["name"] == check).expect("the check").clone();
    (found["ok"] == false).then(|| found["detail"].as_str().expect("a detail").to_owned())
}

/// What is said of the live index, once it holds `words`: a wrong value is read in whole after it was noticed.
async fn says(world: &World, words: &str) -> String {
    told_by(world, "live-index", words).await
}

/// What a check says is wrong, once it holds `words`.
async fn told_by(world: &World, check: &str, words: &str) -> String {
    let begun = Instant::now();
    loop {
        let said = wrong(world, check).await.unwrap_or_default();
        if said.contains(words) {
            return said;
        }
        assert!(begun.elapsed() < SOON, "{words}: {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Up, and minting nothing.
async fn stands_still(world: &World, token: &str, what: &str) {
    let exchanged = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!((exchanged.status, exchanged.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "{what}");
    assert!(exchanged.header("retry-after").is_some(), "{what}");
    assert_eq!(world.introspect("production", token).await.status, 503, "{what}: nothing is called active");
    for path in ["/livez", "/production/jwks", "/production/.well-known/openid-configuration"] {
        assert_eq!(get(world.public, path).await.status, 200, "{what}: {path}");
    }
    assert_eq!(get(world.public, "/readyz").await.status, 503, "{what}");
}

/// What another hand does to Redis, the key that is named, and a word of what is said about it.
fn hands() -> Vec<(Vec<Vec<String>>, &'static str, &'static str)> {
    let said = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (marker, checkpoint) = ("carnet:{production}:complete", "carnet:checkpoint");
    vec![
        (vec![said("HSET carnet:{production}:complete index 999999")], marker, "index 999999 of epoch 1"),
        (vec![said("HSET carnet:{sandbox}:complete index 999999")], "carnet:{sandbox}:complete", "reopen"),
        (vec![said("HSET carnet:{production}:complete epoch 7")], marker, "of epoch 7"),
        (vec![said("HSET carnet:{production}:complete epoch banana")], marker, "its epoch is no number"),
        (vec![said("HSET carnet:{production}:complete index 007")], marker, "its index is no number"),
        (vec![said("HSET carnet:{production}:complete index -1 root nan")], marker, "its root is no SHA-256"),
        (vec![said("HDEL carnet:{production}:complete index")], marker, "its index is missing"),
        (vec![["HSET", marker, "root", &"0".repeat(64)].map(str::to_owned).to_vec()], marker, "with another root"),
        (vec![["HSET", marker, "root", &"x".repeat(100_000)].map(str::to_owned).to_vec()], marker, "100000 bytes"),
        (vec![said("DEL carnet:{production}:complete"), said("SET carnet:{production}:complete x")], marker, "a string"),
        (
            vec![said("DEL carnet:{production}:before"), said("LPUSH carnet:{production}:before x")],
            "carnet:{production}:before",
            "a list",
        ),
        (
            vec![said("DEL carnet:{production}:revoked"), said("SADD carnet:{production}:revoked x")],
            "carnet:{production}:revoked",
            "a set",
        ),
        (vec![said("ZADD carnet:{production}:before +inf partner:globex")], "carnet:{production}:before", "a line beyond"),
        (vec![said("SET carnet:checkpoint garbage")], checkpoint, "7 bytes that is no checkpoint"),
        (vec![vec!["SET".to_owned(), checkpoint.to_owned(), format!("1\n{}", "x".repeat(500))]], checkpoint, "no key of this"),
        (vec![vec!["SET".to_owned(), checkpoint.to_owned(), "x".repeat(100_000)]], checkpoint, "100000 bytes"),
        (vec![said("DEL carnet:checkpoint"), said("LPUSH carnet:checkpoint x")], checkpoint, "a list"),
    ]
}

/// S-11: a wrong value in Redis ends no server and stops no start.
#[tokio::test]
async fn s_11_a_wrong_value_in_redis_is_named_and_outlived() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let token = world.minted().await;
    for (number, (commands, key, words)) in hands().into_iter().enumerate() {
        let what = format!("{number}: {key}, {words}");
        becomes(&world, true, &what).await;
        let redis = world.redis.as_ref().expect("redis");
        for command in &commands {
            redis.command(&command.iter().map(String::as_str).collect::<Vec<_>>());
        }
        assert!(becomes(&world, false, &what).await < SOON, "{what}");
        let told = says(&world, words).await;
        assert!(told.contains(key) && told.contains(&format!("DEL {key}")), "{what}: {told}");
        stands_still(&world, &token, &what).await;
        // The running node outlives it, and so does a start.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(world.running.as_mut().expect("it runs").is_sound(), "{what}");
        world.stop().await;
        world.boot().await;
        stands_still(&world, &token, &what).await;
        assert!(says(&world, words).await.contains(key), "{what}");
        // As the message says.
        world.redis.as_ref().expect("redis").command(&["DEL", key]);
        assert!(becomes(&world, true, &what).await < SOON, "{what}");
        assert_eq!(world.introspect("production", &token).await.json()["active"], true, "{what}");
        world.minted().await;
    }
}

/// S-11: a value that is put right again by the hand that made it wrong needs nobody else.
#[tokio::test]
async fn s_11_a_marker_that_is_put_back_is_taken_as_it_is() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let redis = world.redis.as_ref().expect("redis");
    becomes(&world, true, "start").await;
    let key = "carnet:{production}:complete";
    let index = redis.command(&["HGET", key, "index"]).trim().to_owned();
    redis.command(&["HSET", key, "index", "999999"]);
    becomes(&world, false, "ahead").await;
    redis.command(&["HSET", key, "index", &index]);
    assert!(becomes(&world, true, "put back").await < SOON);
    world.minted().await;
}

/// A marker that is ahead of a node's view is news: another process wrote to this journal (docs/explanation/journal.md#the-live-index).
#[tokio::test]
async fn s_11_a_marker_of_a_reopened_journal_is_followed() {
    let world = World::with(Options { redis: true, ..Options::default() }).await;
    let redis = world.redis.as_ref().expect("redis");
    becomes(&world, true, "start").await;
    redis.command(&["HSET", "carnet:{production}:complete", "index", "999999"]);
    becomes(&world, false, "ahead").await;
    // Another process reopens, as the message says for a journal that was restored.
    reopen(&world, Seconds(60)).await;
    for _ in 0..100 {
        if wrong(&world, "live-index").await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", wrong(&world, "live-index").await);
}

/// As `carnet journal reopen` does.
async fn reopen(world: &World, lasts: Seconds) {
    let config = carnet::config::load(&world.folder.path().join("carnet.toml")).expect("a configuration");
    let kek = Kek::load(&config.keys.kek_file).expect("the key");
    let clock: Arc<dyn Clock> = world.clock.clone();
    let entropy: Arc<dyn Entropy> = Arc::new(carnet::server::OsEntropy);
    let settings = Settings { create: false, ..carnet::serve::journal_settings(&config).expect("settings") };
    let journal =
        Journal::reopen(&settings, &kek, (clock, entropy), (Rest { lasts, corrects: false }, &Given::default())).await;
    journal.expect("reopens").close().await;
}

/// Journal and anchor of a server that was stopped.
fn copied(world: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = ["journal.db", "journal.anchor"].map(|name| world.folder.path().join(name));
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).expect("a file"))).collect()
}

/// Nothing is minted, signed, called good or recorded.
async fn is_stopped(world: &World, token: &str, what: &str) {
    stands_still(world, token, what).await;
    let revocation = json!({"partner": "globex", "reason": "stolen laptop"});
    let before = world.running.as_ref().expect("runs").broker.journal.view().size;
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revocation).await.status, 503, "{what}");
    assert_eq!(world.running.as_ref().expect("runs").broker.journal.view().size, before, "{what}");
    assert_eq!(get(world.public, "/production/crl").await.status, 503, "{what}");
    let told = told_by(world, "journal", "put back from an older copy").await;
    assert!(told.contains("carnet journal reopen --help"), "{what}: {told}");
}

/// Journal and anchor are put back from an older copy, and Redis still holds a checkpoint of the lost part. That proves it for good: neither
/// the loss of Redis nor a start takes it back, and `reopen` alone does.
#[tokio::test]
async fn s_11_a_journal_that_redis_proved_rolled_back_stays_stopped_when_redis_forgets() {
    for with_epoch in [true, false] {
        let mut world = World::with(Options { redis: true, file: true, ..Options::default() }).await;
        becomes(&world, true, "start").await;
        let token = world.minted().await;
        world.stop().await;
        let older = copied(&world);
        world.boot().await;
        let revocation = json!({"partner": "globex", "reason": "stolen laptop"});
        assert!(world.admin_post("/v1/revocations", "sven", &revocation).await.status < 300);
        let journal = world.running.as_ref().expect("runs").broker.journal.clone();
        let size = journal.view().size;
        // As earlier versions kept it, without a signed epoch.
        let plain = format!("1\n{}", journal.checkpoint().expect("signs"));
        let redis = world.redis.as_ref().expect("redis");
        while !redis.command(&["GET", "carnet:checkpoint"]).contains(&format!("\n{size}\n")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let kept = redis.command(&["GET", "carnet:checkpoint"]).trim_end().to_owned() + "\n";
        world.stop().await;
        for (file, bytes) in &older {
            std::fs::write(file, bytes).expect("put back");
        }
        if !with_epoch {
            world.redis.as_ref().expect("redis").command(&["FLUSHALL"]);
            world.redis.as_ref().expect("redis").command(&["SET", "carnet:checkpoint", &plain]);
        }

        world.boot().await;
        becomes(&world, false, "put back").await;
        is_stopped(&world, &token, "found").await;
        let entries = world.running.as_ref().expect("runs").broker.journal.view().size;
        assert!(entries < size);
        world.redis.as_ref().expect("redis").command(&["FLUSHALL"]);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        is_stopped(&world, &token, "forgotten").await;
        assert_eq!(world.running.as_ref().expect("runs").broker.journal.view().size, entries, "nothing was recorded");
        assert!(world.running.as_mut().expect("runs").is_sound());
        world.stop().await;
        // A start without Redis' word finds the proof where the journal keeps it: up, and stopped, also with another configuration, which
        // cannot be recorded.
        let file = world.folder.path().join("carnet.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let changed = text.replace("[\"audit\"]", "[\"audit\", \"revision\"]");
        assert_ne!(changed, text);
        std::fs::write(&file, changed).expect("written");
        world.boot().await;
        is_stopped(&world, &token, "started again").await;
        assert_eq!(world.running.as_ref().expect("runs").broker.journal.view().size, entries, "nothing was recorded");
        assert!(world.running.as_mut().expect("runs").is_sound());
        world.stop().await;
        // Doctor says so while nothing runs (E-6).
        let config = world.folder.path().join("carnet.toml").display().to_string();
        let told = Program::alone().run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
        let journal = told["checks"].as_array().expect("checks").iter().find(|check| check["check"] == "journal");
        let journal = journal.expect("the journal");
        assert_eq!(journal["ok"], false, "{journal}");
        assert!(journal["fix"].as_str().is_some_and(|fix| fix.contains("carnet journal reopen")), "{journal}");

        if with_epoch {
            reopen(&world, Seconds(0)).await;
            world.boot().await;
        } else {
            // The same for a node that runs: it begins anew, and not before.
            world.boot().await;
            world.running.as_mut().expect("runs").go_on().await;
            is_stopped(&world, &token, "not reopened").await;
            reopen(&world, Seconds(0)).await;
            world.running.as_mut().expect("runs").go_on().await;
            is_stopped(&world, &token, "looked at a moment ago").await;
            tokio::time::sleep(Duration::from_millis(2100)).await;
            world.running.as_mut().expect("runs").go_on().await;
        }
        let redis = world.redis.as_ref().expect("redis");
        if with_epoch {
            // The lost history is no proof against the new one, whatever epoch somebody writes before it.
            redis.command(&["SET", "carnet:checkpoint", &format!("9{}", kept.trim_start_matches('1'))]);
        }
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!((wrong(&world, "live-index").await, wrong(&world, "journal").await), (None, None));
        assert_eq!(world.introspect("production", &token).await.json()["active"], false, "its key is tainted");
        assert!(world.admin_post("/v1/revocations", "sven", &revocation).await.status < 300);
    }
}

/// S-20: what Redis does, how it is taken back, and what is said meanwhile.
#[tokio::test]
async fn s_20_a_node_without_redis_is_not_ready_within_two_seconds_and_ready_again_within_two() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let token = world.minted().await;
    let policy = ["CONFIG", "SET", "maxmemory-policy"];
    let (evicts, keeps) = ([&policy[..], &["allkeys-lru"]].concat(), [&policy[..], &["noeviction"]].concat());
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&evicts, &keeps, "maxmemory-policy is not noeviction"),
        (&["-STOP"], &["-CONT"], "does not answer in time"),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "maxmemory"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "read-only replica"),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"], "durably"),
        (&["ACL", "SETUSER", "default", "-evalsha"], &["ACL", "SETUSER", "default", "+evalsha"], "ACL"),
    ];
    for (lose, have, words) in cases {
        becomes(&world, true, words).await;
        let redis = world.redis.as_ref().expect("redis");
        let act = |arguments: &[&str]| match arguments {
            [signal] => redis.signal(signal),
            command => drop(redis.command(command)),
        };
        act(lose);
        assert!(becomes(&world, false, words).await < SOON, "{words}");
        says(&world, words).await;
        stands_still(&world, &token, words).await;
        act(have);
        assert!(becomes(&world, true, words).await < SOON, "{words}");
        world.minted().await;
    }
    world.redis.as_mut().expect("redis").kill();
    assert!(becomes(&world, false, "killed").await < SOON);
    stands_still(&world, &token, "killed").await;
    world.redis.as_mut().expect("redis").restart_empty().await;
    assert!(becomes(&world, true, "started anew").await < SOON);
    assert_eq!(world.introspect("production", &token).await.json()["active"], Value::Bool(true));
    world.minted().await;
}

/// S-20: a journal that takes no writes is known while nobody asks for a token.
#[tokio::test]
async fn s_20_a_node_whose_journal_takes_no_writes_is_not_ready() {
    let world = World::in_file().await;
    becomes(&world, true, "start").await;
    let program = "import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)\n\
                   c.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\ntime.sleep(60)";
    let database = world.folder.path().join("journal.db");
    let mut holder = std::process::Command::new("python3");
    let holder = holder.args(["-c", program]).arg(&database).stdout(std::process::Stdio::piped()).spawn();
    let mut holder = holder.expect("python3 runs");
    let mut line = String::new();
    let stdout = holder.stdout.as_mut().expect("stdout");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    assert_eq!(line, "held\n");
    assert!(becomes(&world, false, "held").await < SOON);
    let told = wrong(&world, "journal").await.expect("it is the journal");
    assert!(told.contains("disk"), "{told}");
    let exchanged = world.exchange("production", &world.assertion("production"), "orders:read").await;
    assert_eq!(exchanged.status, 503, "{}", exchanged.text());
    assert_eq!(get(world.public, "/production/jwks").await.status, 200);
    holder.kill().expect("it ends");
    holder.wait().expect("it ended");
    assert!(becomes(&world, true, "let go").await < SOON);
    world.minted().await;
}
