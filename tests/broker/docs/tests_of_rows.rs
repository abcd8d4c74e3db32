//! `docs/security/abuse.md` and the pages beside it name the tests of each row; the last column is written from the sources.

use std::collections::{BTreeMap, BTreeSet};

use super::citations::{ids, ids_of_name, spelled};
use super::page::{Page, files};
use crate::interop::process::file;

/// The pages whose last column names tests.
const PAGES: [&str; 3] = ["docs/security/abuse.md", "docs/security/findings.md", "docs/security/invariants.md"];

/// Rows without a test of that name, each with the reason. The list only shrinks.
const WITHOUT: &str = "docs/security/untested.md";

/// The tests of each row: by name, or by an id in a comment on the test or inside it. A file of tests whose first comment has an id is named
/// by its own name.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let ids = ids();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in ["src", "tests"].iter().flat_map(|folder| files(folder, &["rs"])) {
        // The tests of the documents cite ids as examples.
        if path.starts_with("tests/broker/docs/") {
            continue;
        }
        let text = std::fs::read_to_string(file(&path)).expect("a text");
        let stem = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit('/').next().unwrap_or_default();
        let of_tests = path.starts_with("tests/") || path.contains("/tests") || matches!(stem, "laws" | "model");
        let mut add = |id: &str, name: &str| {
            if let Some(id) = spelled(id, &ids) {
                found.entry(id).or_default().insert(name.to_owned());
            }
        };
        let (mut above, mut test): (Vec<&str>, Option<&str>) = (Vec::new(), None);
        for line in text.lines().map(str::trim_start) {
            if let Some(said) = line.strip_prefix("//!").filter(|_| of_tests) {
                words(said).for_each(|id| add(id, &format!("{stem}.rs")));
            } else if line.starts_with("///") || line.starts_with("#[") {
                above.push(line);
            } else if let Some(name) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
                let name = name.split('(').next().unwrap_or_default();
                test = above.iter().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test")).then_some(name);
                if let Some(test) = test {
                    ids_of_name(test).iter().for_each(|id| add(id, test));
                    above
                        .iter()
                        .filter(|line| line.starts_with("///"))
                        .flat_map(|line| words(line))
                        .for_each(|id| add(id, test));
                }
                above.clear();
            } else {
                above.clear();
                if let (Some(test), Some(said)) = (test, line.strip_prefix("//")) {
                    words(said).for_each(|id| add(id, test));
                }
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
}

/// The page with its last column as the sources have it.
fn written(page: &Page) -> String {
    let tests = tests();
    let ids = ids();
    let mut text = String::new();
    for line in page.text.lines() {
        let id = line.strip_prefix("| ").and_then(|rest| rest.split(" |").next()).filter(|id| ids.contains(*id));
        match id.and_then(|id| Some((id, line.trim_end().strip_suffix('|')?.rsplit_once('|')?.0))) {
            Some((id, rest)) => {
                let names = tests.get(id).into_iter().flatten().map(|name| format!("`{name}`"));
                let names: Vec<String> = names.collect();
                let cell = if names.is_empty() { "–".to_owned() } else { names.join(", ") };
                text.push_str(&format!("{rest}| {cell} |\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

#[test]
fn rows_name_the_tests_that_hold_them() {
    for path in PAGES {
        let page = Page::read(path);
        assert!(page.text == written(&page), "{path} names other tests than the sources have: run `make docs-reference`");
    }
}

#[test]
fn every_row_has_a_test_or_says_why_not() {
    let tests = tests();
    let rows: BTreeSet<String> = PAGES
        .iter()
        .flat_map(|path| {
            let page = Page::read(path);
            let cells: Vec<String> = page
                .prose()
                .into_iter()
                .filter_map(|(_, line)| line.strip_prefix("| ")?.split(" |").next().map(str::to_owned))
                .collect();
            cells
        })
        .collect();
    let ids = ids();
    let bare: BTreeSet<String> = rows.into_iter().filter(|id| ids.contains(id) && !tests.contains_key(id)).collect();
    let page = Page::read(WITHOUT);
    let told: BTreeSet<String> = page
        .prose()
        .into_iter()
        .filter_map(|(_, line)| line.strip_prefix("| **")?.split("** |").next().map(str::to_owned))
        .collect();
    let silent: Vec<_> = bare.difference(&told).collect();
    assert!(silent.is_empty(), "rows without a test that {WITHOUT} does not explain: {silent:?}");
    let sources: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .map(|path| std::fs::read_to_string(file(&path)).expect("a text"))
        .collect();
    for name in page.text.split('`').skip(1).step_by(2).filter(|name| name.len() > 15 && name.contains('_')) {
        let name = name.rsplit("::").next().unwrap_or_default();
        assert!(sources.contains(&format!("fn {name}(")), "{WITHOUT} names a test that is not there: {name}");
    }
    let tested: Vec<_> = told.difference(&bare).collect();
    assert!(tested.is_empty(), "{WITHOUT} explains rows that have a test: {tested:?}");
}

/// `make docs-reference` runs it.
#[test]
#[ignore = "writes docs/security"]
fn write() {
    for path in PAGES {
        let page = Page::read(path);
        std::fs::write(file(path), written(&page)).expect("written");
    }
}
