//! Imports go down: a file names its own room, and rooms on lower floors.

use std::collections::BTreeSet;

use super::names::Names;
use super::sources::Tree;

/// Floors from below, with their rooms: the folders and files directly under `src`.
const FLOORS: [(&str, &[&str]); 5] = [
    ("domain", &["domain"]),
    ("gateways", &["authn", "issuance", "journal", "outbound", "policy", "revocation", "verifier"]),
    ("broker", &["broker"]),
    ("http", &["http"]),
    ("shell", &["cli", "config", "dev", "serve", "server", "telemetry"]),
];

/// The only arrows between gateways.
const ARROWS: [(&str, &str); 2] = [("issuance", "journal"), ("authn", "outbound")];

/// The crate's root and the program name every room.
const ABOVE_ALL: [&str; 2] = ["lib", "main"];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// The reason why `from` may not name `to`.
fn objection(from: &str, to: &str) -> Option<&'static str> {
    let (Some(here), Some(there)) = (floor(from), floor(to)) else {
        return Some("it is on no floor");
    };
    if from == to {
        None
    } else if to == "verifier" {
        Some("the verifier is for APIs to embed, not for the broker")
    } else if there > here {
        Some("that is upward")
    } else if here == there && FLOORS[here].0 != "shell" && !ARROWS.contains(&(from, to)) {
        Some("that is sideways")
    } else {
        None
    }
}

/// Imports that go up or sideways, rooms without a floor, floors without a room, unused arrows.
pub fn faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let mut arrows = BTreeSet::new();
    for (source, mentions) in tree.mentions().filter(|(source, _)| !ABOVE_ALL.contains(&source.room())) {
        if floor(source.room()).is_none() {
            faults.push(format!("{}: {} is on no floor", source.path, source.room()));
        }
        for mention in mentions {
            let ours = || mention.trail.iter().filter(|path| path[0] == "crate");
            arrows.extend(ours().filter_map(|path| Some((source.room(), path.get(1)?.as_str()))));
            let named = ours().filter_map(|path| Some((path, objection(source.room(), path.get(1)?)?)));
            let told = named.map(|(path, why)| format!("{}:{} names {}: {why}", source.path, mention.line, path.join("::")));
            faults.extend(told);
        }
    }
    for (floor, rooms) in FLOORS {
        let gone = rooms.iter().filter(|room| !tree.sources().any(|source| source.room() == **room));
        faults.extend(gone.map(|room| format!("{room}, on the floor {floor}, is missing below src")));
    }
    let unused = ARROWS.iter().filter(|arrow| !arrows.contains(*arrow));
    faults.extend(unused.map(|(from, to)| format!("{from} names {to} no more: take the arrow away")));
    faults
}

/// Code that hides what a file names, from a reader and from these tests.
///
/// That is an import of everything that a module of ours has (`use …::*`; a module may hand on all of one of its own children),
/// `include!`, and a module in a file of another name.
pub fn hidden(tree: &Tree) -> Vec<String> {
    let names = Names::of(tree);
    let mut faults = Vec::new();
    for source in tree.sources() {
        let own = [&["crate".to_owned()], source.module.as_slice()].concat();
        let foreign = names.globs(source).into_iter().filter(|(_, path)| !(path.starts_with(&own) && path.len() > own.len()));
        faults.extend(foreign.map(|(line, path)| format!("{}:{line} imports all of {}", source.path, path.join("::"))));
        faults.extend(source.hidden.iter().map(|(line, what)| format!("{}:{line} has {what}", source.path)));
    }
    faults
}

#[test]
fn imports_go_down() {
    super::assert_none(&faults(Tree::today()));
}

#[test]
fn imports_say_what_they_bring() {
    super::assert_none(&hidden(Tree::today()));
}
