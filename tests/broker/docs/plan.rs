//! Where the plan of the project lies beside the repository, its ids, reasons and routes are those of `docs/`.

use std::collections::BTreeSet;
use std::path::Path;

use carnet::domain::reason::Reason;

use super::citations::ids;
use super::page::Page;
use crate::interop::process::file;

/// The plan, where it is laid: beside the checkout, or at the place of the build.
fn plan(name: &str) -> Option<String> {
    let places = [file("../shared"), Path::new("/work/shared").to_owned()];
    places.iter().find_map(|folder| std::fs::read_to_string(folder.join(name)).ok())
}

#[test]
fn rows_of_the_plan_are_rows_of_the_documents() {
    let Some(abuse) = plan("ABUSE.md") else { return };
    let rows = abuse.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let rows: BTreeSet<String> =
        rows.filter(|cell| cell.len() <= 4 && cell.ends_with(|c: char| c.is_ascii_digit())).map(str::to_owned).collect();
    assert!(rows.len() > 200, "{} rows", rows.len());
    let missing: Vec<_> = rows.difference(&ids()).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn reasons_that_the_plan_names_exist() {
    let Some(contract) = plan("CONTRACT.md") else { return };
    let section = contract.split("## 5. ").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("section 5");
    let codes: Vec<&str> =
        section.split('`').skip(1).step_by(2).filter(|word| word.contains('.') && !word.contains([' ', '/', '…'])).collect();
    let codes: Vec<&str> =
        codes.into_iter().filter(|word| !word.ends_with(".md") && !word.contains(char::is_numeric)).collect();
    assert!(codes.len() > 2, "{codes:?}");
    for code in codes {
        assert!(Reason::find(code).is_some(), "{code}");
    }
}

/// Routes that the plan has and the program does not: plans for later.
const LATER: [&str; 2] = ["/v1/reviews", "/offboard"];

#[test]
fn routes_of_the_plan_are_in_the_reference() {
    let Some(contract) = plan("CONTRACT.md") else { return };
    let section = contract.split("## 6. ").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("section 6");
    let page = Page::read("docs/reference/admin-api.md");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).flat_map(|words| words.split(' '));
    let nouns: BTreeSet<String> = words
        .filter_map(|word| word.strip_prefix("/v1/"))
        .filter_map(|rest| rest.split(['/', '[', '?', '{']).next())
        .map(|noun| format!("/v1/{noun}"))
        .filter(|route| !LATER.contains(&route.as_str()))
        .collect();
    assert!(nouns.len() > 10, "{nouns:?}");
    for route in nouns {
        assert!(page.text.contains(&route), "{route}");
    }
}
