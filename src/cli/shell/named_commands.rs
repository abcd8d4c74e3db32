//! Tests that clap accepts every `carnet …` command that a text names (W-1).
//!
//! The texts are the sources of the program (messages, reasons, help, pages, doc comments), the documents and the examples. A
//! command is in backticks, in `<code>`, an example of a help page, or the end of a message. Words in capitals are
//! placeholders for values.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::cli::Cli;

/// The places to search, and the fewest commands that each must have.
///
/// A search that finds nothing proves nothing.
const PLACES: [(&str, usize); 6] =
    [("src", 100), ("README.md", 8), ("CONTRIBUTING.md", 0), ("SECURITY.md", 0), ("docs", 150), ("examples", 1)];

/// A command and the place that names it.
struct Named {
    at: String,
    command: String,
}

#[test]
fn every_command_that_a_text_names_exists_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let verbs: Vec<String> = Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let mut wrong = Vec::new();
    for (place, least) in PLACES {
        let mut named = Vec::new();
        for file in files(&root.join(place)) {
            let text = std::fs::read_to_string(&file).expect("a text");
            let at = file.strip_prefix(root).expect("below the root").display().to_string();
            let is_source = file.extension().is_some_and(|extension| extension == "rs");
            named.extend(
                commands(&text, &verbs, is_source).map(|(line, command)| Named { at: format!("{at}:{line}"), command }),
            );
        }
        assert!(named.len() >= least, "{place}: {} commands", named.len());
        wrong.extend(named.into_iter().filter_map(|Named { at, command }| {
            let fault = fault(&command)?;
            Some(format!("{at}: `{command}`: {fault}"))
        }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_search_sees_a_command_wherever_it_stands() {
    let verbs = ["token".to_owned(), "key".to_owned()];
    let text = "\"run `carnet key list`, or carnet token x.\"\n<code>carnet token {{ id }}</code>\n/// `carnet.toml`, carnet keys\n  carnet key \\\"a b\\\" -o json\\n  carnet token\"";
    let found: Vec<_> = commands(text, &verbs, true).collect();
    let wanted = [(1, "key list"), (1, "token x"), (2, "token x"), (4, "key \"a b\" -o json"), (4, "token")];
    assert_eq!(found, wanted.map(|(line, command)| (line, format!("carnet {command}"))));
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    for good in ["carnet key rotate ENV", "carnet elevate", "carnet partner show PARTNER", "carnet exec -- CMD", "carnet key …"]
    {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in ["carnet key turn", "carnet token --nothing", "carnet partner show PARTNER/INTEGRATION", "carnet status now"] {
        assert!(fault(bad).is_some(), "{bad}");
    }
}

/// The text files at or below `path`.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .expect("a folder")
        .flat_map(|entry| files(&entry.expect("an entry").path()))
        // This file names commands that do not exist, on purpose; that page is the help itself, with its lines of usage.
        .filter(|file| !file.ends_with("named_commands.rs") && !file.ends_with("reference/cli.md"))
        .collect();
    found.sort();
    found
}

/// The commands of a text, with their lines.
fn commands<'t>(text: &'t str, verbs: &'t [String], is_source: bool) -> impl Iterator<Item = (usize, String)> + 't {
    text.lines().enumerate().flat_map(move |(number, line)| {
        line.match_indices("carnet ").filter_map(move |(at, name)| {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '{')) {
                return None;
            }
            let rest = &line[at + name.len()..];
            let verb: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // A sentence may mention carnet; a word in code or one of the verbs makes a command.
            let is_code = before == Some('`') || line[..at].ends_with("<code>");
            if !verbs.contains(&verb) && (verb.is_empty() || !is_code) {
                return None;
            }
            let ends = match (before, is_source) {
                (Some('`'), _) => &["`"][..],
                (_, true) => &MESSAGE_ENDS,
                (_, false) => &LINE_ENDS,
            };
            Some((number + 1, format!("carnet {}", command(rest, ends))))
        })
    })
}

/// The ends of a command in a message of the program, and on a line of a document or script.
const MESSAGE_ENDS: [&str; 12] = ["\"", "\\n", "<", ";", ", ", ". ", " | ", " > ", " #", " ||", "`", ")"];
const LINE_ENDS: [&str; 7] = ["<", " | ", " > ", " #", " ||", "`", ")"];

/// The command at the beginning of `rest`, with each placeholder of a template filled.
fn command(rest: &str, ends: &[&str]) -> String {
    let rest = rest.replace("\\\"", "\u{1}");
    let mut end = rest.len();
    for mark in ends {
        end = rest.find(*mark).map_or(end, |at| end.min(at));
    }
    let mut filled = String::new();
    let mut depth = 0_u8;
    for c in rest[..end].chars() {
        match c {
            '{' => {
                if depth == 0 {
                    filled.push('x');
                }
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '\u{1}' => filled.push('"'),
            other => filled.push(other),
        }
    }
    filled.trim().trim_end_matches(['.', ')', ':', '\\']).trim().to_owned()
}

/// The fault that clap finds in a command. A mention without its values is accepted.
fn fault(command: &str) -> Option<String> {
    let words = crate::cli::tests::words(command.trim_end_matches('…').trim());
    let value = |word: String| match word.as_str() {
        capitals if capitals.len() > 1 && capitals.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '/' | '-')) => {
            capitals.to_ascii_lowercase().replace('_', "-")
        }
        _ => word,
    };
    match Cli::command().try_get_matches_from(words.into_iter().map(value)) {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => None,
            _ => Some(error.to_string().lines().next().unwrap_or_default().to_owned()),
        },
    }
}
