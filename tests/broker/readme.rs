//! The README is true: its records and configuration are valid, its commands exist, and those marked `dev` run as they stand.
//!
//! A fence's word after the language says what it is: a file's name, or `dev` for what runs against `carnet dev`. A command that does
//! not end well says so itself, as `# exit 3`.

use std::path::Path;
use std::process::Command;

use crate::cli::login::sign_in;
use crate::cli::program::Program;
use crate::interop::Independent;
use crate::interop::process::{Server, file, run};
use crate::world::Redis;
use crate::world::client::free_port;

const README: &str = include_str!("../../README.md");

/// A fenced block.
struct Block {
    language: String,
    about: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                let (language, about) = info.split_once(' ').unwrap_or((info, ""));
                open = Some(Block { language: language.to_owned(), about: about.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "every fence is closed");
    blocks
}

fn of(language: &str, about: &str) -> Vec<String> {
    let found = blocks().into_iter().filter(|block| block.language == language && block.about == about);
    found.map(|block| block.text).collect()
}

fn carnet() -> Command {
    Command::new(env!("CARGO_BIN_EXE_carnet"))
}

/// Puts the blocks that are files where they say.
fn write_files(folder: &Path) {
    for block in blocks().iter().filter(|block| block.about.contains('.')) {
        let path = folder.join(&block.about);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, &block.text).expect("written");
    }
}

#[test]
fn its_configuration_is_valid_and_its_links_lead_somewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    write_files(folder.path());
    let text = std::fs::read_to_string(folder.path().join("carnet.toml")).expect("a configuration");
    // What must be there before: the journal's folder and the KEK.
    let text = text.replace("/var/lib/carnet", &folder.path().display().to_string());
    std::fs::create_dir(folder.path().join("keys")).expect("a folder");
    carnet::journal::Kek::create(&folder.path().join("keys/kek"), &carnet::server::OsEntropy).expect("a KEK");
    let config = carnet::config::parse(&text, folder.path()).expect("a valid configuration");
    assert_eq!(config.environments.len(), 2);

    let links: Vec<&str> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 4, "{links:?}");
    for link in links.iter().filter(|link| !link.contains("://")) {
        assert!(file(link).exists(), "{link}");
    }
    let makefile = std::fs::read_to_string(file("Makefile")).expect("a Makefile");
    for target in ["demo", "test", "bench"] {
        assert!(README.contains(&format!("make {target}")) && makefile.contains(&format!("\n{target}:")), "{target}");
    }
}

#[tokio::test]
async fn its_commands_exist() {
    let mut seen = 0;
    for line in blocks().iter().filter(|block| block.language == "sh").flat_map(|block| block.text.lines()) {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        // Loops and pipes are for the test that runs them.
        if words.first() != Some(&"carnet") || line.contains(['"', '|', '>', '$']) {
            continue;
        }
        let mut command = carnet();
        command.args(&words[1..]).arg("--help");
        let output = run(command, String::new()).await;
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen > 8, "{seen} commands");
}

#[tokio::test]
async fn what_it_shows_against_a_development_broker_happens() {
    let folder = tempfile::tempdir().expect("a folder");
    write_files(folder.path());
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_carnet"), bin.join("carnet")).expect("a link");
    let around = |command: &mut Command| {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        command.env_clear().env("PATH", path).env("HOME", folder.path()).current_dir(folder.path());
    };
    let mut dev = carnet();
    dev.args(["dev", "--public", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--mtls", "127.0.0.1:0", "--demo", "127.0.0.1:0"]);
    around(&mut dev);
    let _dev = Server::start(dev).await;

    let scripts = of("sh", "dev");
    assert!(scripts.len() > 2, "there is something to run");
    for script in scripts {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-e", "-c", &expecting(&script)]);
        around(&mut shell);
        let output = run(shell, String::new()).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{out}\n{err}");
    }
}

/// The operator's block, line by line in an empty folder, with a real Redis and a real identity provider. What belongs to the site is put
/// in the place of the example's: folder, addresses, provider and group.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_tells_operators_to_run_works_in_an_empty_folder() {
    let provider = Independent::start().await;
    let redis = Redis::start().await;
    let mut program = Program::alone();
    let home = program.home().to_owned();
    let (public, admin) = (free_port(), free_port());
    let site = |text: &str| {
        text.replace("127.0.0.1:7400", &format!("127.0.0.1:{public}"))
            .replace("127.0.0.1:7401", &format!("127.0.0.1:{admin}"))
            .replace("redis://127.0.0.1:6379/0", &redis.url)
            .replace("/var/lib/carnet", &home.display().to_string())
            .replace("https://idp.acme.example", &provider.issuer)
            .replace("audience = \"carnet\"", "audience = \"carnet-cli\"")
            .replace("[\"carnet-admins\"]", "[\"security\"]")
    };
    let configuration = &of("toml", "carnet.toml")[0];
    // A provider on loopback is one that the operator allows by its exact origin; the mTLS socket's port is whatever is free.
    let here = format!("[outbound]\nissuers = [\"{}\"]\n", provider.issuer);
    let text = site(configuration).replacen("[listen]", "[listen]\nmtls = \"127.0.0.1:0\"", 1) + &here;
    std::fs::write(home.join("carnet.toml"), text).expect("written");
    program.set("CARNET_LOG", "off");

    let blocks = of("sh", "operate");
    let [block] = blocks.as_slice() else { panic!("one block: {blocks:?}") };
    let (mut server, mut ran) = (None, 0);
    for line in site(block).lines() {
        let command = line.split(" #").next().expect("a command").trim();
        let words: Vec<&str> = command.split(" > ").next().expect("a command").split_whitespace().skip(1).collect();
        if command.starts_with("carnet serve") {
            server = Some(Server::start(program.command(&words)).await);
        } else if command.starts_with("carnet login") {
            sign_in(&program, &words).await;
        } else {
            let done = program.run(&words).await.ended(0);
            if let Some((_, file)) = command.split_once(" > ") {
                program.file(file, &done.stdout);
            }
        }
        ran += 1;
    }
    assert!(ran > 8 && server.is_some(), "{block}");
}

/// The script, with each `# exit N` demanded.
fn expecting(script: &str) -> String {
    let line = |line: &str| match line.rsplit_once("# exit ") {
        Some((command, code)) => {
            format!(
                "code=0; {command} || code=$?; [ $code = {code} ] || {{ echo \"exit $code: {line}\" >&2; exit 1; }}\n",
                line = command.replace('"', "'")
            )
        }
        None => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}
