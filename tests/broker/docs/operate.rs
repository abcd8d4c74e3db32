//! Blocks for operators: configurations are valid, records pass `carnet validate`, and the page on a first server runs line by line.

use crate::cli::login::sign_in;
use crate::cli::program::Program;
use crate::docs::page::{Page, files};
use crate::interop::Independent;
use crate::interop::process::{Server, file};
use crate::world::Redis;
use crate::world::client::free_port;

const SERVER: &str = "docs/how-to/operate/server.md";

/// Every configuration of the documents is one that `carnet serve` takes.
#[test]
fn configurations_are_valid() {
    let mut seen = 0;
    for page in Page::all() {
        for block in
            page.blocks().into_iter().filter(|block| block.language == "toml" && block.about.starts_with("carnet.toml"))
        {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::create_dir(folder.path().join("keys")).expect("a folder");
            carnet::journal::Kek::create(&folder.path().join("keys/kek"), &carnet::server::OsEntropy).expect("a KEK");
            for name in [
                "keys/tracker.token",
                "keys/mail.password",
                "keys/pg.password",
                "keys/pg-ca.pem",
                "keys/siem.whsec",
                "keys/console.secret",
                "keys/source.token",
                "keys/public.pem",
                "keys/public.key",
            ] {
                std::fs::write(folder.path().join(name), "x").expect("written");
            }
            let text = block.text.replace("/var/lib/carnet", &folder.path().display().to_string());
            let config = carnet::config::parse(&text, folder.path());
            assert!(config.is_ok(), "{}: {:?}\n{}", page.path, config.err(), block.text);
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} configurations");
}

/// Every record of the documents passes `carnet validate`; a record that stands alone is marked `partial`.
#[tokio::test]
async fn records_are_valid() {
    let mut seen = 0;
    for page in Page::all() {
        let program = Program::alone();
        for (number, block) in page
            .blocks()
            .into_iter()
            .enumerate()
            .filter(|(_, block)| block.language == "yaml" && block.text.contains("apiVersion: carnet/v1"))
        {
            let name = format!("{number}.yaml");
            program.file(&name, &block.text);
            let ran = program.run(&["validate", "-f", &name, "--partial"]).await;
            assert_eq!(ran.code, 0, "{}: {}{}\n{}", page.path, ran.stdout, ran.stderr, block.text);
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen} records");
}

/// The page on a first server, line by line in an empty folder, with a real Redis and a real identity provider. Folder, addresses, provider
/// and group of the example are replaced by those of this test.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_server_runs_as_it_stands() {
    let provider = Independent::start().await;
    let redis = Redis::start().await;
    let mut program = Program::alone();
    let home = program.home().to_owned();
    let (public, admin) = (free_port(), free_port());
    let site = |text: &str| {
        text.replace("127.0.0.1:7400", &format!("127.0.0.1:{public}"))
            .replace("127.0.0.1:7401", &format!("127.0.0.1:{admin}"))
            .replace("127.0.0.1:7443", "127.0.0.1:0")
            .replace("redis://127.0.0.1:6379/0", &redis.url)
            .replace("/var/lib/carnet", &home.display().to_string())
            .replace("https://idp.acme.example", &provider.issuer)
            .replace("audience = \"carnet\"", "audience = \"carnet-cli\"")
            .replace("[\"carnet-admins\"]", "[\"security\"]")
    };
    let page = Page::read(SERVER);
    let of = |language: &str, about: &str| {
        let blocks: Vec<_> = page
            .blocks()
            .into_iter()
            .filter(|block| block.language == language && block.about == about)
            .map(|block| block.text)
            .collect();
        let [block] = blocks.as_slice() else { panic!("one block {language} {about}: {blocks:?}") };
        block.clone()
    };
    // A provider on loopback is one that the operator allows by its exact origin.
    let here = format!("[outbound]\nissuers = [\"{}\"]\n", provider.issuer);
    let text = site(&of("toml", "carnet.toml")) + &here;
    std::fs::write(home.join("carnet.toml"), text).expect("written");
    program.set("CARNET_LOG", "off");

    let (mut server, mut ran) = (None, 0);
    let block = of("sh", "operate");
    for line in site(&block).lines() {
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

/// Every example of the repository is named by a page.
#[test]
fn every_example_is_named() {
    let pages: String = Page::all().into_iter().map(|page| page.text).collect();
    let examples =
        files("examples", &["py", "sh", "toml", "yaml", "conf"]).into_iter().chain(["examples/proxies/Caddyfile".to_owned()]);
    for example in examples {
        assert!(file(&example).exists() && pages.contains(&example), "{example}");
    }
}
