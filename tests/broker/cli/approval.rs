//! Approvals from the command line: all that is needed to decide on one screen, a question on a terminal, the version seen in a script.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use super::program::{Program, Ran};
use crate::world::{World, records};

/// Runs the program on a terminal, with these lines typed.
async fn typed(program: &Program, arguments: &[&str], lines: &str) -> Ran {
    let inner = program.command(arguments);
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &format!("'{}' {}", env!("CARGO_BIN_EXE_carnet"), words.join(" ")), "/dev/null"]);
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    command.env("SHELL", "/bin/sh").current_dir(program.home()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let lines = lines.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("script starts");
        let _closed = child.stdin.take().expect("stdin").write_all(lines.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        // A terminal holds both streams, and ends lines in its own way.
        let stdout = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        Ran { code: output.status.code().expect("an exit code"), stdout, stderr: String::new() }
    });
    ran.await.expect("it ran")
}

/// A change of the usual integration that waits; its approval.
async fn waiting(world: &World) -> String {
    let changed = records::integration(&world.partner.issuer, "order-sync", "456789").replace("max: 1h", "max: 2h");
    let ann = Program::of(world, "ann");
    ann.file("change.yaml", &changed);
    ann.run(&["apply", "-f", "change.yaml", "--reason", "nights are long: ä"]).await.ended(0);
    let listed = ann.run(&["approvals", "-o", "json"]).await.ended(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    listed[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_names_the_version_that_was_seen() {
    let world = World::start().await;
    let id = waiting(&world).await;
    let sven = Program::of(&world, "sven");
    for verb in ["approve", "deny"] {
        let blind = sven.run(&[verb, &id, "--reason", "x"]).await.ended(2);
        let says = |what: &str| assert!(blind.stderr.contains(what), "{what}: {blind:?}");
        says(&format!("carnet approvals show {id}"));
        says(&format!("carnet {verb} {id} --version VERSION --reason TEXT"));
        let mute = sven.run(&[verb, &id, "--version", "x"]).await.ended(2);
        assert!(mute.stderr.contains("--reason"), "{mute:?}");
        let wrong = sven.run(&[verb, &id, "--version", &"0".repeat(64), "--reason", "x", "-o", "json"]).await.ended(1);
        assert_eq!(wrong.error()["reason"], "approval.version-seen");
    }
    let told = world.admin_get(&format!("/v1/approvals/{id}"), "alan").await;
    assert_eq!(told["reviews"], json!([]), "nothing was decided: {told}");

    let screen = sven.run(&["approvals", "show", &id]).await.ended(0).stdout;
    for seen in [
        "purpose: Copies orders.",
        "change of an active integration: globex/order-sync",
        "by ann on ",
        "nights are long: ä",
        "WIDENS   environments.production.elevation",
        "1h → 2h",
        "owner and security, two people, not ann",
        &format!("version      {}", told["version"].as_str().expect("a version")),
    ] {
        assert!(screen.contains(seen), "{seen}: {screen}");
    }
    let data = sven.run(&["approvals", "show", &id, "-o", "json"]).await.ended(0).json();
    assert_eq!((&data["record"], &data["version"]), (&told["record"], &told["version"]));
    let listed = sven.run(&["approvals"]).await.ended(0).stdout;
    let row = listed.lines().nth(1).expect("a row");
    assert!(row.starts_with(&id) && row.ends_with(told["version"].as_str().expect("a version")), "{listed}");
    let done = sven.review("approve", &id, &["--reason", "read it"]).await.ended(0);
    assert!(done.stderr.contains("on record: agrees to this version of globex/order-sync"), "{done:?}");
    assert!(done.stderr.contains("Nothing changes yet: owner has still to approve"), "{done:?}");
    sven.run(&["approvals", "show", "nothing"]).await.ended(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_is_shown_and_asked_about() {
    let world = World::start().await;
    let id = waiting(&world).await;
    let (sven, olga) = (Program::of(&world, "sven"), Program::of(&world, "olga"));
    for answer in ["", "\n", "n\n", "no\n", "x\n"] {
        let ran = typed(&sven, &["approve", &id, "--reason", "fine"], answer).await.ended(1);
        assert!(ran.stdout.contains("Approve this? [y/N]") && ran.stdout.contains("nothing was sent"), "{ran:?}");
        assert!(ran.stdout.contains("1h → 2h") && ran.stdout.contains("purpose: Copies orders."), "{ran:?}");
    }
    let mute = typed(&sven, &["approve", &id], "\n").await.ended(1);
    assert!(mute.stdout.contains("no reason was given"), "{mute:?}");
    let told = async || world.admin_get(&format!("/v1/approvals/{id}"), "alan").await;
    assert_eq!(told().await["reviews"], json!([]));
    let ran = typed(&sven, &["approve", &id], "read it all\ny\n").await.ended(0);
    assert!(ran.stdout.contains("Why? It is recorded:"), "{ran:?}");
    assert_eq!(told().await["reviews"][0]["reason"], "read it all");
    typed(&olga, &["deny", &id, "--reason", "too long"], "yes\n").await.ended(0);
    assert_eq!(told().await["state"], "denied");
}

/// Of every kind: what was stopped, by whom and why; which machine.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_shown_in_words() {
    let world = World::start().await;
    let (olga, sven) = (Program::of(&world, "olga"), Program::of(&world, "sven"));
    let shown = async |kind: &str| {
        let all = sven.run(&["approvals", "-o", "json"]).await.ended(0).json();
        let one = all.as_array().expect("a list").iter().find(|one| one["kind"] == kind).cloned();
        let one = one.unwrap_or_else(|| panic!("{kind}: {all}"));
        sven.run(&["approvals", "show", one["id"].as_str().expect("an id")]).await.ended(0).stdout
    };
    // Asked for before the stop: nothing that is stopped is given more.
    olga.run(&["ca", "issue", "globex/order-sync", "--env", "production", "--reason", "a new machine"]).await.ended(0);
    sven.run(&["integration", "suspend", "globex/order-sync", "--reason", "odd calls at night"]).await.ended(0);
    olga.run(&["integration", "resume", "globex/order-sync", "--reason", "explained"]).await.ended(0);
    let cut = sven.run(&["revoke", "binding", "globex/order-sync/production/ci-main", "--reason", "taken over", "-o", "json"]);
    let cut = cut.await.ended(0).json()["id"].as_str().expect("an id").to_owned();
    sven.run(&["revoke", "lift", &cut, "--reason", "recovered"]).await.ended(0);
    for (kind, wanted) in [
        ("resume", ["suspension of globex/order-sync, by sven on ", ": odd calls at night", "by olga on ", ": explained"]),
        (
            "lift",
            [
                "revocation of binding:globex/order-sync/production/ci-main, by sven",
                ": taken over",
                "by sven on ",
                ": recovered",
            ],
        ),
        ("enrolment", ["one machine of globex/order-sync in production", "spiffe://", "by olga on ", ": a new machine"]),
    ] {
        let screen = shown(kind).await;
        for wanted in wanted {
            assert!(screen.contains(wanted), "{wanted}: {screen}");
        }
    }
    let listed = sven.run(&["approvals"]).await.ended(0).stdout;
    assert!(listed.contains("binding:globex/order-sync/production/ci-main") && !listed.contains(&cut), "{listed}");
}
