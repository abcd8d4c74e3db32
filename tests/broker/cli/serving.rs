//! `carnet serve` and `doctor` as processes of their own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use super::program::Program;

/// A configuration on free ports, with no Redis and a staff issuer that is away.
fn configuration(program: &Program) {
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nmtls = \"127.0.0.1:0\"\n[journal]\nurl = \"sqlite://{}/journal.db\"\n\
         [keys]\nkek_file = \"kek\"\n[staff]\nissuer = \"http://127.0.0.1:9/idp\"\naudience = \"carnet\"\n\
         roles = {{ security = [\"security\"] }}\n[outbound]\nissuers = [\"http://127.0.0.1:9\"]\n\
         [environments.production]\nissuer = \"https://sts.acme.example/production\"\nmax_ttl = \"10m\"\n",
        program.home().display()
    );
    program.file("carnet.toml", &text);
}

/// Starts a server and waits for its addresses.
fn start(program: &Program) -> (Child, Value) {
    let mut child = program.command(&["serve", "-c", "carnet.toml", "-o", "json"]).spawn().expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("stdout")).read_line(&mut line).expect("a line");
    let addresses = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (child, addresses)
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[tokio::test]
async fn a_server_tells_its_addresses_once_they_answer_and_drains_on_a_signal() {
    for name in ["-TERM", "-INT"] {
        let program = Program::alone();
        configuration(&program);
        program.run(&["key", "init", "kek"]).await.ended(0);
        let (mut child, addresses) = start(&program);
        for socket in ["public", "admin"] {
            let address = addresses[socket].as_str().expect("an address").strip_prefix("http://").expect("http");
            let answer = crate::world::send(address.parse().expect("an address"), "GET", "/livez", &[], b"").await;
            assert_eq!(answer.status, 200, "{socket}");
        }
        assert!(addresses["mtls"].as_str().expect("an address").starts_with("https://127.0.0.1:"));
        signal(&child, name);
        let ended = tokio::task::spawn_blocking(move || {
            let status = child.wait().expect("it ends");
            let mut rest = String::new();
            child.stdout.take().expect("stdout").read_to_string(&mut rest).expect("text");
            (status.code(), rest)
        });
        let (code, rest) = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("in time").expect("it ended");
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{name}");
    }
}

#[tokio::test]
async fn a_server_refuses_with_every_fault_of_its_configuration() {
    let program = Program::alone();
    program.file("carnet.toml", "[listen]\npublic = \"nowhere\"\n[keys]\nkek = \"x\"\n");
    let ran = program.run(&["serve", "-o", "json"]).await.ended(2);
    assert!(ran.stdout.is_empty(), "{ran:?}");
    let faults = ran.error()["faults"].clone();
    let fields: Vec<_> = faults.as_array().expect("faults").iter().filter_map(|fault| fault["field"].as_str()).collect();
    for field in ["listen.public", "keys.kek", "keys.kek_file", "journal", "staff", "environments"] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    for fault in faults.as_array().expect("faults") {
        assert!(fault["reason"].as_str().is_some_and(|text| !text.is_empty()) && fault["fix"].is_string(), "{fault}");
    }
    // What the files are is told with what the addresses are.
    configuration(&program);
    program.file("kek", "too short");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = program.run(&["serve", "--admin", &address, "-o", "json"]).await.ended(2);
    let faults = ran.error()["faults"].clone();
    assert_eq!((faults[0]["field"].as_str(), faults[1]["field"].as_str()), (Some("keys.kek_file"), Some("listen.admin")));
}

#[tokio::test]
async fn the_doctor_tells_what_is_wrong_and_how_to_right_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::alone();
    program.run(&["doctor"]).await.ended(2);
    configuration(&program);
    program.run(&["key", "init", "kek"]).await.ended(0);
    std::fs::set_permissions(program.home().join("kek"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let ran = program.run(&["doctor"]).await.ended(1);
    let lines: Vec<_> = ran.stdout.lines().map(str::trim).collect();
    for wanted in ["ok  configuration", "NO  kek", "ok  journal", "NO  staff issuer", "ok  live index"] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {ran:?}");
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with("fix: ")).count(), 2, "{ran:?}");
    let told = program.run(&["doctor", "-o", "json"]).await.ended(1).json();
    assert_eq!(told["ok"], false);
}

#[tokio::test]
async fn a_whole_world_is_healthy_to_the_doctor() {
    let world = crate::world::World::start().await;
    let program = Program::alone();
    let config = world.folder.path().join("carnet.toml");
    let ran = program.run(&["doctor", "-c", config.to_str().expect("a path")]).await;
    // The fake identity provider publishes keys and no sign-in endpoints; everything else holds.
    let wrong: Vec<_> = ran.stdout.lines().filter(|line| line.trim_start().starts_with("NO")).collect();
    assert!(wrong.iter().all(|line| line.contains("staff issuer")), "{ran:?}");
    assert!(ran.stdout.contains("ok  server") && ran.stdout.contains("ok  clock"), "{ran:?}");
}
