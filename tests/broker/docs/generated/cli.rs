//! The commands, as `--help` prints them.

use std::process::Command;

use crate::interop::process::run;

pub async fn commands() -> String {
    let mut page = String::new();
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(path) = waiting.pop() {
        let help = help(&path).await;
        let below = below(&help);
        waiting.extend(below.into_iter().rev().map(|name| [path.clone(), vec![name]].concat()));
        let name = [vec!["carnet".to_owned()], path.clone()].concat().join(" ");
        let text = if path.is_empty() { help.as_str() } else { own(&help) };
        page.push_str(&format!("## {name}\n\n```text\n{}\n```\n\n", text.trim_end()));
    }
    page
}

async fn help(path: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(path).arg("--help").env_clear();
    let output = run(command, String::new()).await;
    assert!(output.status.success(), "{path:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The names under `Commands:`.
fn below(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help without the options that every command has: they are told once, with `carnet` itself.
fn own(help: &str) -> &str {
    let own = help.split("\n  -o, --output <FORMAT>").next().unwrap_or(help);
    own.trim_end().trim_end_matches("Options:")
}
