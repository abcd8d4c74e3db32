//! A journal in PostgreSQL, whatever store the other tests have: a broker's life there, and the way to the server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::cli::program::Program;
use crate::world::client::{free_port, get};
use crate::world::store::Database;
use crate::world::store::cluster::{Cluster, PASSWORD, shell};
use crate::world::{Options, World, jti};

/// A token is minted and revoked, and stays so over a restart; its proof stays spent.
async fn lives(world: &mut World) {
    let proof = world.assertion("production");
    let answer = world.exchange("production", &proof, "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(world.introspect("production", &token).await.json()["active"], true);
    let body = json!({"token": jti(&token), "reason": "stolen laptop"});
    let answer = world.admin_post("/v1/revocations", "sven", &body).await;
    assert!(answer.status < 300, "{}", answer.text());
    assert_eq!(world.introspect("production", &token).await.json()["active"], false);
    let issued = world.issued().await;
    world.stop().await;
    world.boot().await;
    world.advance(0).await;
    assert_eq!(world.introspect("production", &token).await.json()["active"], false, "revoked for good");
    let again = world.exchange("production", &proof, "orders:read").await;
    assert_eq!((again.status, again.json()["reason"].as_str()), (400, Some("assertion.replayed")), "{}", again.text());
    assert_eq!(world.issued().await, issued, "nothing was minted");
    world.minted().await;
}

#[tokio::test]
async fn a_broker_lives_on_a_database_of_a_local_server() {
    let database = Database::new();
    let journal = Some(format!("url = \"{}\"\n", database.url));
    let mut world = World::with(Options { journal, ..Options::default() }).await;
    lives(&mut world).await;
    let config = world.folder.path().join("carnet.toml").display().to_string();
    // Beside the server, as an operator does.
    let doctor = Program::alone().run(&["doctor", "-c", &config]).await;
    assert!(doctor.stdout.contains("the PostgreSQL database carnet_"), "{}{}", doctor.stdout, doctor.stderr);
    world.stop().await;
    let confirm = ["journal", "reopen", "-c", &config, "--confirm", "test.example/carnet"];
    Program::alone().run(&confirm).await.ended(0);
    drop(world);
    drop(database);
}

/// A journal moves from a file to PostgreSQL and back: tokens stay what they are, proofs stay spent, and what it left starts no server.
#[tokio::test]
async fn a_journal_is_moved_by_a_command_and_nothing_is_lost() {
    let mut world = World::with(Options { redis: true, file: true, ..Options::default() }).await;
    let proof = world.assertion("production");
    let answer = world.exchange("production", &proof, "orders:read").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    let revoked = world.minted().await;
    let body = json!({"token": jti(&revoked), "reason": "stolen laptop"});
    assert!(world.admin_post("/v1/revocations", "sven", &body).await.status < 300);
    let note = Program::of(&world, "alan").run(&["journal", "checkpoint"]).await.ended(0).stdout;
    let kept = world.folder.path().join("kept").display().to_string();
    std::fs::write(&kept, note).expect("written");
    let issued = world.issued().await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let config = file.display().to_string();
    let (program, database) = (Program::alone(), Database::new());
    let here = format!("sqlite://{}/journal.db", world.folder.path().display());
    let back = format!("sqlite://{}/back.db", world.folder.path().display());
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let at = |place: &str| std::fs::write(&file, text.replace(&here, place)).expect("written");
    for (from, to) in [(&here, &database.url), (&database.url, &back)] {
        let migrate = ["journal", "migrate", "-c", &config, "--from", from, "--to", to, "-o", "json"];
        let strange = ["journal", "migrate", "-c", &config, "--from", "sqlite:///a", "--to", "sqlite:///b"];
        program.run(&strange).await.ended(2);
        let moved = program.run(&migrate).await.ended(0).json();
        assert!(moved["arrived"].as_u64() == moved["entries"].as_u64() && moved["entries"].is_u64(), "{moved}");
        let again = program.run(&migrate).await.ended(1);
        assert!(again.stderr.contains("has arrived"), "{}", again.stderr);
        // Nothing starts on what it left, and the check says where it went.
        let left = world.try_boot().await.expect_err("it does not start").to_string();
        assert!(left.contains("the journal has moved to"), "{left}");
        let (code, told) = doctor(&world).await;
        assert!(code == 1 && told.contains("the journal has moved to"), "{told}");
        let verified = program.run(&["journal", "verify", "-c", &config]).await.ended(0);
        assert!(verified.stderr.contains("the journal has moved to"), "{}", verified.stderr);
        at(to);
        program.run(&["journal", "verify", "-c", &config, "--checkpoint", &kept]).await.ended(0);
        world.boot().await;
        world.advance(0).await;
        assert_eq!(world.introspect("production", &token).await.json()["active"], true, "{to}");
        assert_eq!(world.introspect("production", &revoked).await.json()["active"], false, "{to}");
        let replayed = world.exchange("production", &proof, "orders:read").await;
        assert_eq!((replayed.status, &replayed.json()["reason"]), (400, &json!("assertion.replayed")), "{}", replayed.text());
        assert_eq!(world.issued().await, issued, "nothing was minted");
        world.stop().await;
    }
}

/// An authority's certificate, and those with their keys that it signs.
struct Authority {
    params: rcgen::CertificateParams,
    key: rcgen::KeyPair,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { params, key, pem }
    }

    fn certify(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        (params.signed_by(&key, &issuer).expect("signed").pem(), key.serialize_pem())
    }
}

/// There is TLS to the server of the right name, verified by the right roots, or there is no journal.
#[tokio::test]
async fn a_server_that_cannot_be_verified_is_not_spoken_to() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("another"));
    let (certificate, key) = authority.certify("localhost");
    let (port, plain_port) = (free_port(), free_port());
    let listening = |port: u16| format!("port={port}");
    let cluster = Cluster::start(
        &["-c", "listen_addresses=127.0.0.1", "-c", &listening(port), "-c", "ssl=on"],
        &[("server.crt", &certificate), ("server.key", &key)],
    );
    let plain = Cluster::start(&["-c", "listen_addresses=127.0.0.1", "-c", &listening(plain_port)], &[]);
    let name = database(&cluster, port);
    assert_eq!(database(&plain, plain_port), name);
    let files = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (roots, wrong) = (file("roots.pem", &authority.pem), file("wrong.pem", &stranger.pem));
    let (password, other) = (file("password", &format!("{PASSWORD}\n")), file("other", "swordfish\n"));
    let lines = |place: &str, roots: &str, password: &str| {
        format!(
            "url = \"postgres://carnet@{place}/{name}?sslmode=verify-full\"\npassword_file = \"{password}\"\nca_file = \"{roots}\"\n"
        )
    };
    let good = lines(&format!("localhost:{port}"), &roots, &password);
    let mut world = World::with(Options { journal: Some(good.clone()), ..Options::default() }).await;
    lives(&mut world).await;
    assert_eq!(connections(&cluster, port), BTreeMap::from([("t".to_owned(), true)]), "each of ours has TLS");
    world.stop().await;
    let before = head(&cluster, port, &name);
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    for (lines, reason) in [
        (lines(&format!("localhost:{port}"), &wrong, &password), "UnknownIssuer"),
        (lines(&format!("127.0.0.1:{port}"), &roots, &password), "not valid for name"),
        (lines(&format!("localhost:{plain_port}"), &roots, &password), "server does not support TLS"),
        (lines(&format!("localhost:{port}"), &roots, &other), "28P01"),
    ] {
        std::fs::write(&file, text.replace(&good, &lines)).expect("written");
        let refused = refused(&mut world).await;
        assert!(refused.contains(reason), "{reason}: {refused}");
        let doctor = Program::alone().run(&["doctor", "-c", &file.display().to_string()]).await.ended(1);
        assert!(doctor.stdout.contains(reason), "{reason}: {}{}", doctor.stdout, doctor.stderr);
        for secret in [PASSWORD, "swordfish"] {
            assert!(![&doctor.stdout, &doctor.stderr, &refused].iter().any(|said| said.contains(secret)), "{reason}");
        }
        assert_eq!(head(&cluster, port, &name), before, "{reason}: nothing was recorded");
    }
    let tables = ask(&plain, plain_port, &name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
    assert_eq!(tables, "0", "nothing was made on the server without TLS");
    std::fs::write(&file, text).expect("written");
}

fn database(cluster: &Cluster, port: u16) -> String {
    let made = cluster.program("createdb").args(["-p", &port.to_string(), "carnet"]).status().expect("it runs");
    assert!(made.success());
    "carnet".to_owned()
}

/// The answer of a server, over its local socket.
fn ask(cluster: &Cluster, port: u16, database: &str, question: &str) -> String {
    let mut psql = cluster.program("psql");
    let ran = psql.args(["-p", &port.to_string(), "-XAtqc", question, database]).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

fn head(cluster: &Cluster, port: u16, database: &str) -> String {
    ask(cluster, port, database, "SELECT size, encode(root, 'hex') FROM head")
}

/// Whether connections of the broker have TLS, and whether there are such connections.
fn connections(cluster: &Cluster, port: u16) -> BTreeMap<String, bool> {
    let question = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'carnet'";
    ask(cluster, port, "postgres", question).lines().map(|line| (line.to_owned(), true)).collect()
}

/// What `carnet doctor` says of a stopped world, and its exit code.
async fn doctor(world: &World) -> (i32, String) {
    let file = world.folder.path().join("carnet.toml").display().to_string();
    let ran = Program::alone().run(&["doctor", "-c", &file]).await;
    (ran.code, ran.stdout + &ran.stderr)
}

/// The faults for which a world does not start; none if it does.
async fn refused(world: &mut World) -> String {
    match world.try_boot().await {
        Ok(()) => {
            world.stop().await;
            String::new()
        }
        Err(carnet::serve::StartFault::Configuration(faults)) => {
            faults.iter().map(|fault| fault.to_string()).collect::<Vec<_>>().join("\n")
        }
        Err(other) => panic!("{other}"),
    }
}

/// A server that may lose what it confirms keeps no journal, and neither does one whose standbys may lack it, unless that is written down.
#[tokio::test]
async fn a_server_that_may_lose_commits_is_refused() {
    let port = free_port();
    let listening = format!("port={port}");
    let cluster = Cluster::start(&["-c", "listen_addresses=", "-c", &listening, "-c", "wal_level=replica"], &[]);
    let name = database(&cluster, port);
    let place = format!("url = \"postgres://carnet@/{name}?host={}&port={port}\"\n", cluster.folder.display());
    let mut world = World::with(Options { journal: Some(place.clone()), ..Options::default() }).await;
    world.stop().await;
    let (_, told) = doctor(&world).await;
    assert!(told.contains("commits wait for the disk; no standby"), "{told}");
    let before = head(&cluster, port, &name);
    for (bad, good, words) in [
        ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM RESET fsync", "fsync is off"),
        ("ALTER SYSTEM SET full_page_writes = off", "ALTER SYSTEM RESET full_page_writes", "full_page_writes is off"),
        ("ALTER SYSTEM SET synchronous_commit = local", "ALTER SYSTEM RESET synchronous_commit", "what is not on disk"),
        ("ALTER ROLE carnet SET synchronous_commit = off", "ALTER ROLE carnet RESET synchronous_commit", "what is not on disk"),
    ] {
        set(&cluster, port, bad);
        let (code, told) = doctor(&world).await;
        assert!(code == 1 && told.contains(words), "{bad}: {told}");
        let fault = refused(&mut world).await;
        assert!(fault.contains(words), "{bad}: {fault}");
        set(&cluster, port, good);
    }
    assert_eq!(head(&cluster, port, &name), before, "nothing was recorded");
    // A receiver of the log is a standby like any other.
    let kept = tempfile::tempdir().expect("a folder");
    let mut receiver = cluster.program("pg_receivewal");
    let receiver = receiver.args(["-p", &port.to_string(), "--no-loop", "--synchronous", "-D"]).arg(kept.path());
    let mut receiver = receiver.stderr(Stdio::null()).spawn().expect("it runs");
    let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    while ask(&cluster, port, "postgres", count) != "1" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (code, told) = doctor(&world).await;
    assert!(code == 1 && told.contains("no commit waits for them"), "{told}");
    assert!(refused(&mut world).await.contains("replication = \"asynchronous\" if that may be"));
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace(&place, &format!("{place}replication = \"asynchronous\"\n"))).expect("written");
    let (_, told) = doctor(&world).await;
    assert!(told.contains("may lose acknowledged revocations and stop issuance for up to 24 h"), "{told}");
    assert_eq!(refused(&mut world).await, "");
    std::fs::write(&file, text).expect("written");
    set(&cluster, port, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    let (_, told) = doctor(&world).await;
    assert!(told.contains("1 standbys, and commits wait for them") && !told.contains("24 h"), "{told}");
    assert_eq!(refused(&mut world).await, "");
    set(&cluster, port, "ALTER SYSTEM RESET synchronous_standby_names");
    receiver.kill().expect("killed");
    receiver.wait().expect("ended");
}

/// A server that renews the lease of a node, and does not say how it keeps what it confirms, makes no ready node.
#[tokio::test]
async fn a_server_that_does_not_say_what_it_keeps_makes_no_ready_node() {
    let (database, mut world) = crate::nodes::world().await;
    let rename = |from: &str, to: &str| {
        database.ask(&format!("SET allow_system_table_mods = on; ALTER VIEW pg_catalog.{from} RENAME TO {to}"))
    };
    let becomes = async |world: &World, status: u16| {
        let begun = std::time::Instant::now();
        while get(world.public, "/readyz").await.status != status {
            let told = get(world.admin, "/readyz?verbose").await.text();
            assert!(begun.elapsed() < std::time::Duration::from_secs(15), "not {status}: {told}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        begun.elapsed()
    };
    becomes(&world, 200).await;
    rename("pg_prepared_xacts", "hidden");
    let took = becomes(&world, 503).await;
    assert!(took > std::time::Duration::from_secs(3), "its last word counts for as long as a lease: {took:?}");
    let told = get(world.admin, "/readyz?verbose").await.text();
    assert!(told.contains("has not said for five seconds how it keeps what it confirms"), "{told}");
    rename("hidden", "pg_prepared_xacts");
    becomes(&world, 200).await;
    world.minted().await;
    world.stop().await;
}

/// Changes a setting, and waits until new sessions have it.
fn set(cluster: &Cluster, port: u16, change: &str) {
    ask(cluster, port, "postgres", change);
    ask(cluster, port, "postgres", "SELECT pg_reload_conf()");
    // The postmaster reloads by a signal; sessions that begin after it have read the file see the new values.
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// PgBouncer before the server of this test process.
struct Pooler {
    folder: tempfile::TempDir,
    _shell: Child,
}

impl Pooler {
    fn start(cluster: &Path, mode: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display().to_string();
        let settings = format!(
            "[databases]\n* = host={}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {at}\nlogfile = {at}/log\n\
             auth_type = trust\nauth_file = {at}/users\npool_mode = {mode}\n{more}",
            cluster.display()
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings).expect("written");
        std::fs::write(folder.path().join("users"), "\"carnet\" \"\"\n").expect("written");
        let script = r#"PATH=$PATH:/usr/sbin pgbouncer -q "$1/pgbouncer.ini" & read -r _; kill -KILL $!"#;
        let mut shell = shell(folder.path());
        let shell = shell.args(["-c", script, "sh", &at]).stdin(Stdio::piped()).spawn();
        let pooler = Self { folder, _shell: shell.expect("a shell") };
        for _ in 0..200 {
            if pooler.folder.path().join(".s.PGSQL.6432").exists() {
                return pooler;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("pgbouncer does not start; is it installed? (make setup)");
    }
}

/// A pooler that gives a session to one client is a way to the server; one that gives it to another after each transaction is not.
#[tokio::test]
async fn a_pooler_of_transactions_is_refused_and_one_of_sessions_is_not() {
    let database = Database::new();
    let direct = database.url.clone();
    let (place, cluster) = direct.split_once("?host=").expect("a local server");
    let through = |pooler: &Pooler| format!("{place}?host={}&port=6432", pooler.folder.path().display());
    let sessions = Pooler::start(Path::new(cluster), "session", "");
    let usual = through(&sessions);
    let journal = Some(format!("url = \"{usual}\"\n"));
    let mut world = World::with(Options { journal, ..Options::default() }).await;
    lives(&mut world).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    for more in ["", "default_pool_size = 1\n", "server_round_robin = 1\n"] {
        let pooler = Pooler::start(Path::new(cluster), "transaction", more);
        std::fs::write(&file, text.replace(&usual, &through(&pooler))).expect("written");
        let (code, told) = doctor(&world).await;
        assert!(code == 1 && told.contains("pool_mode = session"), "{more}: {told}");
        let fault = refused(&mut world).await;
        assert!(fault.contains("gives our session to others"), "{more}: {fault}");
    }
    std::fs::write(&file, text).expect("written");
    drop(world);
    drop(sessions);
    drop(database);
}
