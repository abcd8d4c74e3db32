//! Shows that the rules can fail.
//!
//! Each test breaks today's tree in memory, and the rule that forbids it names the place.

use super::sources::Tree;
use super::{arms, chain, circles, floors, homes, notices, order, sizes};

type Rule = fn(&Tree) -> Vec<String>;

/// A tree with code behind the imports of a file.
fn with_code(tree: &Tree, path: &str, code: &str) -> Tree {
    tree.with(path, |text| {
        let start = text.find("\nuse ").map_or(text.len(), |at| at + 1);
        let (before, after) = text.split_at(start);
        format!("{before}{code}\n{after}")
    })
}

/// Today's tree with each code in another file of the folder, and these files.
fn with_each(folder: &str, codes: &[&str]) -> (Tree, Vec<String>) {
    let depth = folder.matches('/').count();
    let here = |path: &str| path.starts_with(folder) && path.matches('/').count() == depth && !path.ends_with("/mod.rs");
    let files: Vec<String> =
        Tree::today().sources().map(|source| source.path.clone()).filter(|path| here(path)).take(codes.len()).collect();
    assert_eq!(files.len(), codes.len(), "{folder} has that many files");
    let tree = files
        .iter()
        .zip(codes)
        .fold(Tree::today().with_manifest(str::to_owned), |tree, (file, code)| with_code(&tree, file, code));
    (tree, files)
}

/// Checks that some fault has all the words.
#[track_caller]
fn assert_told(faults: &[String], words: &[&str]) {
    assert!(faults.iter().any(|fault| words.iter().all(|word| fault.contains(word))), "none of {faults:#?} has {words:?}");
}

/// Checks that the rule fails when the code stands in a file, and says which.
#[track_caller]
fn assert_fails(rule: Rule, path: &str, code: &str, word: &str) {
    assert_told(&rule(&with_code(Tree::today(), path, code)), &[path, word]);
}

/// Checks that the rule fails for each code, and says in which file.
#[track_caller]
fn assert_each_fails(rule: Rule, folder: &str, cases: &[(&str, &str)]) {
    let codes: Vec<&str> = cases.iter().map(|(code, _)| *code).collect();
    let (tree, files) = with_each(folder, &codes);
    let faults = rule(&tree);
    for (file, (_, word)) in files.iter().zip(cases) {
        assert_told(&faults, &[file, word]);
    }
}

#[test]
fn http_in_the_domain_is_seen_in_every_spelling() {
    let codes = [
        "use crate::http::form::Form;",
        "use crate::{domain::value::names::PartnerName, http::form::Form};",
        "use crate::http as shorter;",
        "use super::super::super::http::form::Form;",
        "extern crate self as all; use all::http::form::Form;",
        "use crate as all; fn f() -> all::http::form::Form { panic!() }",
        "fn f() { super::super::super::http::form::read(); }",
        "fn f() { crate::http::form::read(); }",
        "fn f(form: &crate::http::form::Form) {}",
        "fn f() { println!(\"{}\", crate::http::form::LIMIT); }",
        "macro_rules! f { () => { $crate::http::form::read() } }",
        "macro_rules! f { () => { use super::super::super::{http::form}; } }",
        "#[serde(with = \"crate::http::form\")] struct Form;",
        "mod inner { use super::super::super::super::http::form::Form; }",
        "#[cfg(test)] mod early {}\nuse crate::http::form::Form;",
    ];
    assert_each_fails(floors::faults, "domain/value/", &codes.map(|code| (code, "upward")));
}

#[test]
fn a_name_that_is_handed_on_is_followed() {
    let tree = with_code(Tree::today(), "domain/value/digest.rs", "pub use crate::http::form::Form as Paper;");
    let tree = with_code(&tree, "domain/value/hex.rs", "use super::digest::Paper;");
    assert_told(&floors::faults(&tree), &["domain/value/hex.rs", "http::form::Form"]);
    let tree = with_code(Tree::today(), "journal/sqlite/mod.rs", "pub use sqlx::Row as Line;");
    let tree = with_code(&tree, "broker/words.rs", "use crate::journal::sqlite::Line;");
    assert_told(&homes::faults(&tree), &["broker/words.rs", "sqlx"]);
}

#[test]
fn gateways_know_only_their_arrows() {
    let tree = with_code(Tree::today(), "revocation/redis.rs", "use crate::journal::Journal;");
    let faults = floors::faults(&with_code(&tree, "broker/words.rs", "use crate::verifier::Policy;"));
    assert_told(&faults, &["revocation/redis.rs", "sideways"]);
    assert_told(&faults, &["broker/words.rs", "embed"]);
}

#[test]
fn rooms_and_floors_are_the_same() {
    let tree = Tree::today().with("cellar/mod.rs", |_| String::new()).without("telemetry/").without("issuance/");
    let faults = floors::faults(&tree);
    assert_told(&faults, &["cellar", "no floor"]);
    assert_told(&faults, &["telemetry", "missing"]);
    assert_told(&faults, &["issuance names journal no more"]);
}

#[test]
fn code_that_hides_what_is_named_is_seen() {
    let cases = [
        ("use super::state::*;", "all of"),
        ("use super::change::Change::*;", "all of"),
        ("include!(\"../http/form.rs\");", "include!"),
        ("#[path = \"../http/form.rs\"] mod form;", "#[path]"),
    ];
    assert_each_fails(floors::hidden, "domain/value/", &cases);
}

#[test]
fn the_domain_neither_waits_nor_reaches_out() {
    let cases = [
        ("fn f() { std::fs::read(\"a\"); }", "std::fs::read"),
        ("use std::{fs, fmt};", "std::fs"),
        ("fn f() { std::net::TcpStream::connect(\"a\"); }", "TcpStream"),
        ("use std::time::Instant;", "Instant"),
        ("fn f() { println!(\"{}\", 1); }", "println"),
        ("async fn f() {}", "async"),
        ("fn f() -> impl Future { async { 1 } }", "async"),
        ("macro_rules! f { ($f:expr) => { $f.await } }", "await"),
    ];
    assert_each_fails(order::impure, "domain/value/", &cases);
}

#[test]
fn a_dependency_is_named_at_home() {
    let cases = [
        ("use sqlx::Row;", "sqlx"),
        ("fn f() { sqlx::query(\"\"); }", "sqlx"),
        ("use ::sqlx as database;", "sqlx"),
        ("extern crate sqlx as database;", "sqlx"),
        ("#[derive(sqlx::FromRow)] struct S;", "sqlx"),
        ("fn f() { tokio::spawn(g()); }", "tokio"),
    ];
    assert_each_fails(homes::faults, "domain/value/", &cases);
    // The rest of the journal knows its store by traits alone.
    for folder in ["journal/", "journal/store/", "journal/sequencer/", "journal/evidence/"] {
        assert_each_fails(homes::faults, folder, &[("use sqlx::SqliteConnection;", "sqlx")]);
    }
}

#[test]
fn each_dependency_is_at_home_somewhere() {
    let tree = Tree::today().without("verifier/").with_manifest(|text| {
        text.replace("[dependencies]\n", "[dependencies]\nleft-pad = \"1\"\n").replace("\nflate2 = ", "\nother-than-flate2 = ")
    });
    let faults = homes::faults(&tree);
    assert_told(&faults, &["left_pad", "no home"]);
    assert_told(&faults, &["flate2", "not in Cargo.toml"]);
    assert_told(&faults, &["verifier/", "home of tower"]);
}

#[test]
fn a_file_that_grows_is_seen() {
    let longer = "fn more() {}\n".repeat(800);
    assert_fails(sizes::faults, "domain/value/hex.rs", &longer, "lines");
    let every: Vec<String> = Tree::today().sources().map(|source| source.path.clone()).collect();
    let every = every
        .iter()
        .fold(Tree::today().with_manifest(str::to_owned), |tree, path| tree.with(path, |_| "fn f() {}\n".repeat(151)));
    assert_told(&sizes::faults(&every), &["median"]);
}

#[test]
fn a_second_caller_of_an_assertion_is_seen() {
    let codes = [
        "use crate::domain::caller::proof::Verified; fn f() { Verified::assertion(1); }",
        "fn f() { crate::domain::caller::proof::Verified::assertion(1); }",
        "use crate::domain::caller::proof::Verified; fn f() { Verified::<u8>::assertion(1); }",
        "use crate::domain::caller::proof::Verified; fn f() { <Verified<u8>>::assertion(1); }",
        "use crate::domain::caller::proof::Verified; fn f() { Some(1).map(Verified::assertion); }",
        "use crate::domain::caller::proof::Verified; type Fact = Verified<u8>; fn f() { Fact::assertion(1); }",
        "use crate::domain::caller::proof::Verified as Fact; fn f() { Fact::assertion(1); }",
        "fn f() { crate::domain::people::actor::Authorized::assertion(1); }",
    ];
    assert_each_fails(chain::faults, "broker/", &codes.map(|code| (code, "assertion")));
    // Once more in a file that may call it once.
    assert_fails(chain::faults, "authn/verify.rs", "fn f() { Verified::assertion(1); }", "assertion");
}

#[test]
fn a_change_past_the_one_door_is_seen() {
    let codes = [
        "fn f(&self) { self.journal.change(None, propose) }",
        "fn f(&self) { self\n    .journal\n    .change(None, propose) }",
        "fn f(journal: &Journal) { Journal::change(journal, None, propose) }",
    ];
    assert_each_fails(chain::direct_changes, "broker/", &codes.map(|code| (code, "change_by")));
    let tree = Tree::today().with("broker/change.rs", |_| String::new());
    assert_told(&chain::direct_changes(&tree), &["broker/change.rs", "no more"]);
}

#[test]
fn a_new_circle_is_seen() {
    let tree = with_code(Tree::today(), "domain/value/hex.rs", "use super::digest::Digest;");
    let tree = with_code(&tree, "domain/value/digest.rs", "fn f() { super::hex::encode(&[]); }");
    assert_told(&circles::faults(&tree), &["new circle", "domain/value/hex.rs", "domain/value/digest.rs"]);
}

#[test]
fn a_circle_that_grows_or_shrinks_is_seen() {
    // The broker needs `window` by way of the records; now `window` needs the broker.
    assert_fails(circles::faults, "domain/value/window.rs", "use crate::broker::Broker;", "grew");
    let smaller = Tree::today().with("broker/ticket.rs", |_| String::new());
    assert_told(&circles::faults(&smaller), &["smaller", "broker/ticket.rs"]);
}

#[test]
fn an_upward_import_inside_the_domain_is_seen() {
    let tree = with_code(Tree::today(), "domain/value/hex.rs", "use crate::domain::state::State;")
        .with("domain/stray.rs", |_| String::new());
    let faults = order::faults(&tree);
    assert_told(&faults, &["domain/value/hex.rs", "State"]);
    assert_told(&faults, &["domain/stray.rs", "none of the nouns"]);
}

#[test]
fn a_catch_all_arm_is_seen() {
    let codes = [
        "fn f() { match x { KeyChange::Retired { .. } => 1, _ => 2 } }",
        "fn f() { match x { KeyChange::Retired { .. } => 1, other => f(other) } }",
        "fn f() { match x { Some(KeyChange::Retired { .. }) => 1, Some(_) => 2, None => 3 } }",
        "fn f() { match (x, y) { (KeyChange::Retired { .. }, true) => 1, (_, _) => 2 } }",
        "fn f() { match (y, x) { (true, KeyChange::Retired { .. }) => 1, (true, _) => 2, (false, _) => 3 } }",
        "fn f() { match x { One { what: KeyChange::Retired { .. }, .. } => 1, One { .. } => 3 } }",
        "fn f() { println!(\"{}\", match x { KeyChange::Retired { .. } => 1, _ => 2 }) }",
        "use KeyChange as Happened; fn f() { match x { Happened::Retired { .. } => 1, _ => 2 } }",
        "use KeyChange::Retired; fn f() { match x { Retired { .. } => 1, _ => 2 } }",
    ];
    let codes = codes.map(|code| format!("use crate::domain::log::key::KeyChange;\n{code}"));
    let cases: Vec<(&str, &str)> = codes.iter().map(|code| (code.as_str(), "KeyChange")).collect();
    assert_each_fails(arms::faults, "broker/", &cases);
}

#[test]
fn an_exhaustive_match_passes() {
    let codes = [
        "fn f() { match x { KeyChange::Retired { .. } => 1, KeyChange::Created { .. } => 2 } }",
        "fn f() { match (x, y) { (KeyChange::Retired { .. }, KeyChange::Retired { .. }) => 1, (KeyChange::Retired { .. }, _) => 2 } }",
        "fn f() { match (y, x) { (Some(1), _) => 1, (None, KeyChange::Retired { .. }) => 2 } }",
        "fn f() { match x { KeyChange::Retired { .. } => 1, KeyChange::Created { .. } => 2, _ if y => 3 } }",
        "fn f() { match x { Some(1) => 1, _ => 2 } }",
        "fn f() { if let KeyChange::Retired { .. } = x {} }",
    ];
    let codes = codes.map(|code| format!("use crate::domain::log::key::KeyChange;\n{code}"));
    let (tree, _) = with_each("broker/", &codes.each_ref().map(String::as_str));
    assert_eq!(arms::faults(&tree).len(), arms::faults(Tree::today()).len());
}

#[test]
fn a_decision_that_reads_the_index_of_dates_is_seen() {
    let code = "pub fn soon(state: &State) -> bool {\n    state\n        .dates\n        .told()\n        .is_some()\n}";
    assert_fails(notices::faults, "domain/decision/standing.rs", code, "index of dates");
    assert_fails(notices::faults, "broker/exchange.rs", "use crate::domain::decision::dates::due;", "calls the notice");
}
