//! The tutorials and the README run as they stand: each page in a folder of its own, with a development broker of its own.
//!
//! A fence's words after the language say what it is: a file's name for a file that the reader writes, `dev` for commands that the reader
//! runs. A command that does not end well says so itself, as `# exit 3`. Ports are chosen anew for each page, so that pages run beside
//! each other: the addresses of the text are replaced by those, and nothing else.

use std::path::Path;
use std::process::Command;

use super::page::{Block, Page};
use crate::interop::process::{Server, file, run};
use crate::world::client::free_port;

/// The pages that run against a development broker, and how many blocks each must have.
const PAGES: [(&str, usize); 6] = [
    ("README.md", 2),
    ("docs/tutorial/first-token.md", 3),
    ("docs/tutorial/first-partner.md", 4),
    ("docs/tutorial/first-verified-api.md", 2),
    ("docs/tutorial/first-elevation.md", 4),
    ("docs/how-to/platform/key-pair.md", 3),
];

#[tokio::test]
async fn the_readme_runs_as_it_stands() {
    follow(PAGES[0]).await;
}

#[tokio::test]
async fn the_first_token_is_given_as_it_stands() {
    follow(PAGES[1]).await;
}

#[tokio::test]
async fn the_first_partner_is_onboarded_as_it_stands() {
    follow(PAGES[2]).await;
}

#[tokio::test]
async fn the_first_api_verifies_as_it_stands() {
    follow(PAGES[3]).await;
}

#[tokio::test]
async fn the_first_elevation_is_given_as_it_stands() {
    follow(PAGES[4]).await;
}

#[tokio::test]
async fn a_key_pair_is_used_as_it_stands() {
    follow(PAGES[5]).await;
}

/// Does what the page says, block by block.
async fn follow((path, least): (&str, usize)) {
    let page = Page::read(path);
    let folder = tempfile::tempdir().expect("a folder");
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_carnet"), bin.join("carnet")).expect("a link");
    // The examples stand beside the reader, as in a checkout; Python has the packages that the page asks for.
    std::os::unix::fs::symlink(file("examples"), folder.path().join("examples")).expect("a link");
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", bin.display(), file(".tools/python/bin").display());
    let around = |command: &mut Command| {
        command.env_clear().env("PATH", &path).env("HOME", folder.path()).current_dir(folder.path());
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    };
    let ports = [7400, 7401, 7443, 7402].map(|port| (port, free_port()));
    let address = |port: usize| format!("127.0.0.1:{}", ports[port].1);
    let mut dev = Command::new(env!("CARGO_BIN_EXE_carnet"));
    dev.args(["dev", "--public", &address(0), "--admin", &address(1), "--mtls", &address(2), "--demo", &address(3)]);
    around(&mut dev);
    let _dev = Server::start(dev).await;
    let here = |text: &str| {
        let text = ports.iter().fold(text.to_owned(), |text, (known, port)| {
            text.replace(&format!("127.0.0.1:{known}"), &format!("127.0.0.1:{port}"))
        });
        ports.iter().fold(text, |text, (known, port)| text.replace(&format!("localhost:{known}"), &format!("localhost:{port}")))
    };
    let mut ran = 0;
    for block in page.blocks() {
        if block.about == "dev" {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-e", "-c", &expecting(&here(&block.text))]);
            around(&mut shell);
            let output = run(shell, String::new()).await;
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{}: {}\n{out}\n{err}", page.path, block.text);
            ran += 1;
        } else {
            write_file(folder.path(), &block, &here(&block.text));
        }
    }
    assert!(ran >= least, "{}: {ran} blocks ran", page.path);
}

/// Writes a block that is a file.
fn write_file(folder: &Path, block: &Block, text: &str) {
    if block.about.contains('.') {
        let path = folder.join(&block.about);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
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
