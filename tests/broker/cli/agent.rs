//! `carnet agent` and `carnet exec`, as a workload's operator starts them.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::Program;
use crate::certificates::tool::Machine;
use crate::world::{World, claims, records};

/// A world whose clock goes with the wall's, as the program's does.
async fn world() -> World {
    let world = World::start().await;
    world.follow_the_wall();
    world
}

fn workload(world: &World) -> Program {
    let mut program = Program::alone();
    program.set("CARNET_PUBLIC_SERVER", &format!("http://{}", world.public));
    program
}

const ASKED: [&str; 8] = ["--env", "production", "--api", "orders-api", "--scope", "orders:read", "-i", "globex/order-sync"];

/// A child that is ended with its handle.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

impl Running {
    /// SIGTERM, and the exit code.
    async fn terminate(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        // Longer than the agent waits for a connection that is still open.
        for _ in 0..600 {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it does not end");
    }
}

async fn until(what: &str, seconds: u64, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(seconds), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_container_writes_a_token_or_says_why_not() {
    let mut world = world().await;
    let program = workload(&world);
    let assertion = program.file("assertion", &world.assertion("production")).display().to_string();
    let token = program.home().join("token");
    let path = token.display().to_string();
    let arguments = [&["agent", "--once", "--token-file", &path, "--assertion-file", &assertion], &ASKED[..]].concat();
    let ran = program.run(&arguments).await.ended(0);
    let written = std::fs::read_to_string(&token).expect("a token");
    assert!(!ran.stdout.contains(&written) && !ran.stderr.contains(&written), "{ran:?}");
    assert_eq!(mode(&token), 0o600);
    assert_eq!(world.introspect("production", &written).await.json()["active"], json!(true));

    // The proof was single-use: the next try is denied, with its reason, and what was written stays until it ends.
    let denied = program.run(&arguments).await.ended(3);
    assert!(denied.stderr.contains("assertion.replayed"), "{denied:?}");
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    let wide: Vec<&str> = arguments.iter().map(|word| if *word == "orders:read" { "orders:delete" } else { word }).collect();
    program.run(&wide).await.ended(3);
    world.stop().await;
    program.run(&arguments).await.ended(7);
    program.run(&["agent", "--once", "--token-file", &path]).await.ended(2);
    program.run(&["agent"]).await.ended(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_in_time_and_takes_away_what_has_ended() {
    let mut world = world().await;
    let usual = records::usual(&world.partner.issuer);
    let short = usual.replacen("ttl: 5m}", "ttl: 30s}", 1);
    assert_ne!(short, usual);
    world.onboard(&short).await;
    let program = workload(&world);
    let assertion = program.file("assertion", &world.assertion("production"));
    let token = program.home().join("token");
    let mut command = program.command(&["agent", "-o", "json", "--ready", "127.0.0.1:0"]);
    command.arg("--token-file").arg(&token).arg("--assertion-file").arg(&assertion).args(ASKED);
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    let log = BufReader::new(child.stderr.take().expect("stderr"));
    let log = std::thread::spawn(move || log.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n"));
    let agent = Running(child);
    let announced: Value = serde_json::from_str(&line).expect("JSON");
    let ready = announced["ready"].as_str().expect("a URL").trim_start_matches("http://").parse().expect("an address");
    let status = async || crate::world::get(ready, "/readyz").await.status;
    until("ready", 30, async || status().await == 200).await;
    let first = std::fs::read_to_string(&token).expect("a token");
    assert_eq!(mode(&token), 0o600);

    // A fresh proof is read from the same file, and the token is another one before the first has ended.
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    until("renewed", 29, async || std::fs::read_to_string(&token).is_ok_and(|now| now != first)).await;
    assert!(claims(&first)["exp"].as_i64().expect("a time") > world.clock.seconds(), "renewed before its end");
    let second = std::fs::read_to_string(&token).expect("a token");

    // The broker is away: the file is there while the token lives, and not a second longer.
    world.stop().await;
    let ends = claims(&second)["exp"].as_i64().expect("a time");
    until("taken away", 40, async || !token.exists()).await;
    let late = world.clock.seconds() - ends;
    // The agent counts the life from before it asked, so a slow answer makes it early by as much.
    assert!((-5..=3).contains(&late), "taken away {late} s after its end");
    assert_eq!(status().await, 503);
    let told = crate::world::get(ready, "/readyz?verbose").await.text();
    assert!(told.contains("token") && told.contains("does not answer") && !told.contains("eyJ"), "{told}");

    world.boot().await;
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    until("back", 60, async || status().await == 200).await;
    assert!(token.exists());
    assert_eq!(agent.terminate().await, Some(0));
    // Started again while the broker is away, after the old token has ended: nobody finds that one any more.
    world.stop().await;
    std::fs::write(&token, &first).expect("written");
    let mut command = program.command(&["agent"]);
    command.arg("--token-file").arg(&token).arg("--assertion-file").arg(&assertion).args(ASKED);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let _again = Running(command.spawn().expect("it starts"));
    until("taken away at once", 30, async || !token.exists()).await;
    let log = log.join().expect("a log");
    assert!(log.contains("written") && log.contains("not renewed") && !log.contains("eyJ"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_renews_with_another_key_and_asks_for_bound_tokens() {
    let world = world().await;
    crate::certificates::onboard(&world).await;
    let machine = Machine::new(&world).await;
    let secret = crate::certificates::enrolment_token(&world, "production").await;
    let program = workload(&world);
    program.file("ca.pem", &machine.read("ca.pem"));
    program.file("secret", &secret);
    let home = program.home().display().to_string();
    let config = program.file(
        "agent.toml",
        &format!(
            r#"
[[token]]
file = "{home}/token"
env = "production"
integration = "globex/order-sync"
api = "orders-api"
scope = ["orders:read"]
by_certificate = true
[certificate]
file = "{home}/identity.pem"
env = "production"
integration = "globex/order-sync"
server = "{}"
ca_file = "{home}/ca.pem"
enrolment_token_file = "{home}/secret"
"#,
            machine.mtls
        ),
    );
    let config = config.display().to_string();
    let ran = program.run(&["agent", "--once", "--config", &config]).await.ended(0);
    assert!(!ran.stderr.contains(&secret) && !ran.stderr.contains("PRIVATE"), "{ran:?}");
    let identity = program.home().join("identity.pem");
    assert_eq!(mode(&identity), 0o600);
    let first = std::fs::read_to_string(&identity).expect("an identity");
    // One file, as curl and openssl take it.
    std::fs::write(machine.path("agent.pem"), &first).expect("written");
    std::fs::write(machine.path("agent.key"), &first).expect("written");
    machine.openssl("verify -x509_strict -purpose sslclient -CAfile ca.pem agent.pem").await;
    assert_eq!(machine.token(Some("agent"), "production", &[]).await.status, 200);
    let token = std::fs::read_to_string(program.home().join("token")).expect("a token");
    assert_eq!(claims(&token)["cnf"]["x5t#S256"], machine.thumbprint("agent").await);

    // Again: by the certificate in use, with another key; the one-time token is used up and not needed.
    std::fs::remove_file(program.home().join("secret")).expect("removed");
    program.run(&["agent", "--once", "--config", &config]).await.ended(0);
    let second = std::fs::read_to_string(&identity).expect("an identity");
    let key = |pem: &str| pem.split("-----END PRIVATE KEY-----").next().map(str::to_owned);
    assert_ne!(key(&first), key(&second));
    let again = std::fs::read_to_string(program.home().join("token")).expect("a token");
    std::fs::write(machine.path("agent.pem"), &second).expect("written");
    assert_eq!(claims(&again)["cnf"]["x5t#S256"], machine.thumbprint("agent").await);

    // Revoked: denied, and the pair that was there is left as it was. Without an identity and a token: told what to do.
    let revoke = json!({"certificate": format!("production/{}", machine.serial("agent").await), "reason": "stolen"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoke).await.status, 201);
    let denied = program.run(&["agent", "--once", "--config", &config]).await;
    assert!(matches!(denied.code, 3 | 4) && denied.stderr.contains("certificate.revoked"), "{denied:?}");
    assert_eq!(std::fs::read_to_string(&identity).expect("an identity"), second);
    std::fs::remove_file(&identity).expect("removed");
    program.run(&["agent", "--once", "--config", &config]).await.ended(2);
    // Another authority's roots: no connection, and no trust on first use.
    program.file("secret", "x.y");
    program.file("ca.pem", &std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("the system's roots"));
    program.run(&["agent", "--once", "--config", &config]).await.ended(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_runs_a_command_with_a_token_that_nobody_else_sees() {
    let world = world().await;
    let program = workload(&world);
    let assertion = program.file("assertion", &world.assertion("production")).display().to_string();
    let exec = async |more: &[&str], script: &str| {
        let head = [&["exec", "--assertion-file", &assertion], &ASKED[..], more, &["--", "sh", "-c", script]].concat();
        program.run(&head).await
    };
    let ran = exec(&[], "printf %s \"$CARNET_TOKEN\" > seen; echo out; exit 42").await.ended(42);
    let token = std::fs::read_to_string(program.home().join("seen")).expect("a token");
    assert_eq!((ran.stdout.as_str(), ran.stderr.contains(&token)), ("out\n", false));
    assert_eq!(world.introspect("production", &token).await.json()["active"], json!(true));
    // Denied: nothing runs.
    let denied = exec(&[], "echo ran").await.ended(3);
    assert_eq!(denied.stdout, "");
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    let named = exec(&["--variable", "ORDERS"], "test -n \"$ORDERS\" && test -z \"$CARNET_TOKEN\"").await;
    named.ended(0);
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    let arguments = [&["exec", "--assertion-file", &assertion], &ASKED[..], &["--", "no-such-command"]].concat();
    program.run(&arguments).await.ended(5);

    // What an agent could not ask for again is refused before anything is fetched.
    let kept = async |more: &[&str]| {
        program
            .run(
                &[&["exec", "--file-variable", "F", "--env", "production", "--scope", "orders:read"], more, &["--", "true"]]
                    .concat(),
            )
            .await
    };
    kept(&["--resource", "https://orders.example", "--assertion-file", &assertion]).await.ended(2);
    kept(&["--api", "orders-api", "--assertion-file", "-"]).await.ended(2);
    kept(&["--api", "orders-api", "--grant", "client-credentials", "--assertion-file", &assertion]).await.ended(2);

    // A command that cannot be started leaves nothing behind: no file, and no agent that goes on.
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    let head =
        [&["exec", "--assertion-file", &assertion], &ASKED[..], &["--file-variable", "F", "--", "no-such-command"]].concat();
    let mut command = program.command(&head);
    command.env("XDG_RUNTIME_DIR", program.home());
    let status = tokio::task::spawn_blocking(move || command.status().expect("it runs")).await.expect("it ran");
    assert_eq!(status.code(), Some(5));
    let left = || {
        let entries = std::fs::read_dir(program.home()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        entries.filter(|name| name.to_string_lossy().starts_with("carnet-")).count()
    };
    until("nothing is left", 5, async || left() == 0).await;

    // In a file that is there as long as the command runs, readable for its owner alone; a signal reaches the command itself.
    std::fs::write(&assertion, world.assertion("production")).expect("written");
    std::fs::remove_file(program.home().join("seen")).expect("removed");
    let script =
        "trap 'exit 7' TERM; echo \"$F\" > where; stat -c %a \"$F\" > mode; cat \"$F\" > seen; while :; do sleep 0.1; done";
    let head =
        [&["exec", "--assertion-file", &assertion], &ASKED[..], &["--file-variable", "F", "--", "sh", "-c", script]].concat();
    let mut command = program.command(&head);
    command.env("XDG_RUNTIME_DIR", program.home());
    let running = Running(command.spawn().expect("it starts"));
    until("it runs", 10, async || std::fs::read_to_string(program.home().join("seen")).is_ok_and(|seen| seen.len() > 100))
        .await;
    let read = |name: &str| std::fs::read_to_string(program.home().join(name)).expect("a file").trim().to_owned();
    assert_eq!(read("mode"), "600");
    let file = read("where");
    assert_eq!(world.introspect("production", &read("seen")).await.json()["active"], json!(true));
    assert!(Path::new(&file).exists());
    assert_eq!(running.terminate().await, Some(7));
    let folder = Path::new(&file).parent().expect("a folder").to_owned();
    until("the file is taken away", 5, async || !folder.exists()).await;
}
