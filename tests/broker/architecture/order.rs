//! The order inside `domain`, and that it is pure: values in, values out.

use std::collections::BTreeMap;

use super::compare;
use super::names::Place;
use super::sources::Tree;

/// Nouns, each a folder of `domain`. A file imports only from its own folder and from folders before it in this list.
const NOUNS: [&str; 11] =
    ["value", "reason", "people", "credential", "registry", "caller", "elevation", "record", "log", "state", "decision"];

/// Imports against the order: the file and what it names, with what ends it.
const AGAINST: [(&str, &str); 0] = [];

/// The parts of the standard library that pure code may use.
const PURE: [&str; 22] = [
    "array",
    "borrow",
    "char",
    "cmp",
    "collections",
    "convert",
    "error",
    "fmt",
    "hash",
    "io::Result",
    "io::Write",
    "iter",
    "marker",
    "mem",
    "net::Ip",
    "num",
    "ops",
    "slice",
    "str",
    "string",
    "sync",
    "time::Duration",
];

/// Macros that write to the terminal.
const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

/// The place of a file's noun in the order: that of its folder.
fn noun(path: &str) -> Option<usize> {
    let (folder, _) = path.strip_prefix("domain/")?.split_once('/')?;
    NOUNS.iter().position(|noun| *noun == folder)
}

fn short(path: &str) -> &str {
    path.trim_start_matches("domain/").trim_end_matches(".rs")
}

/// Imports against the order, files without a noun, and names in the list without a file.
pub fn faults(tree: &Tree) -> Vec<String> {
    let domain = || tree.mentions().filter(|(source, _)| source.room() == "domain");
    let mut faults = Vec::new();
    let mut against = BTreeMap::new();
    for (source, mentions) in domain().filter(|(source, _)| source.path != "domain/mod.rs") {
        let Some(here) = noun(&source.path) else {
            faults.push(format!("{} is about none of the nouns", source.path));
            continue;
        };
        for mention in mentions {
            let Place::Ours { file, .. } = &mention.place else { continue };
            if let Some(there) = noun(file).filter(|there| *there > here) {
                let item = mention.trail.last().and_then(|path| path.last()).map_or("", String::as_str);
                let (below, above) = (NOUNS[here], NOUNS[there]);
                let fault = format!("{}:{} ({below}) names {item} of {file} ({above})", source.path, mention.line);
                against.entry(format!("{} -> {}", short(&source.path), short(file))).or_insert(fault);
            }
        }
    }
    for name in NOUNS {
        let folder = format!("domain/{name}/");
        if !domain().any(|(source, _)| source.path.starts_with(&folder)) {
            faults.push(format!("{folder} is missing below src"));
        }
    }
    faults.extend(compare(against.into_iter().collect(), &AGAINST));
    faults
}

/// Code under `domain` that waits, or that reaches the outside by the standard library.
///
/// Other crates are a matter of their homes.
pub fn impure(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (source, mentions) in tree.mentions().filter(|(source, _)| source.room() == "domain") {
        faults.extend(source.waits.iter().map(|(line, word)| format!("{}:{line} has {word}", source.path)));
        let printing = PRINTING.iter().filter(|name| source.scopes.values().any(|scope| scope.words.contains(**name)));
        faults.extend(printing.map(|name| format!("{} has {name}", source.path)));
        for mention in mentions {
            let Some(path) = mention.trail.last().filter(|path| matches!(path[0].as_str(), "std" | "core" | "alloc")) else {
                continue;
            };
            let below = path[1..].join("::");
            // A module may be named; what is taken from it is a path of its own.
            let pure = PURE.iter().any(|pure| below.starts_with(pure) || pure.starts_with(&format!("{below}::")));
            if !pure {
                faults.push(format!("{}:{} names {}", source.path, mention.line, path.join("::")));
            }
        }
    }
    faults
}

#[test]
fn the_domain_stands_in_order() {
    super::assert_none(&faults(Tree::today()));
}

#[test]
fn nothing_waits_in_the_domain() {
    super::assert_none(&impure(Tree::today()));
}
