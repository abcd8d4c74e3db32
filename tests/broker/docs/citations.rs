//! Citations in code, tests and documents: each resolves to a document or an id of this repository.
//!
//! Three forms: `docs/….md`, with `#anchor` where a section is meant; `ABUSE J-31` or a bare id such as `S-3`, which is a row of a page in
//! `docs/security`; a test's name that begins with an id (`j_31_…`).

use std::collections::BTreeSet;

use super::page::{Page, files};
use crate::interop::process::file;

/// Documents that the repository does not have: plans beside it, and earlier names.
const ELSEWHERE: [&str; 12] = [
    "CONTRACT",
    "DESIGN",
    "REFERENCE",
    "STYLE",
    "UX",
    "FAULTS",
    "NODES",
    "GOVERNANCE",
    "PEERS",
    "DEPENDENCIES",
    "MODELS",
    "HOUSE",
];

/// The pages whose tables define ids.
const ROWS: [&str; 4] =
    ["docs/security/abuse.md", "docs/security/invariants.md", "docs/security/findings.md", "docs/security/stack.md"];

/// All ids: the first cells of the tables in [`ROWS`].
pub fn ids() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for path in ROWS {
        let page = Page::read(path);
        let cells = page.prose().into_iter().filter_map(|(_, line)| line.strip_prefix("| ")?.split(" |").next());
        let rows: Vec<String> = cells.filter(|cell| is_id(cell)).map(str::to_owned).collect();
        assert!(rows.len() > 5, "{path}: {} rows", rows.len());
        for row in rows {
            assert!(ids.insert(row.clone()), "{path}: {row} stands twice");
        }
    }
    ids
}

/// `J-31`, `I-3`, `S12`.
fn is_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(|c: char| c.is_ascii_uppercase()) else { return false };
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The ids in a text.
fn ids_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    words.filter(|word| is_id(word) && word.contains('-')).collect()
}

/// The faults of one line; `is_code` where only its comment can cite.
fn faults(line: &str, is_code: bool, ids: &BTreeSet<String>, pages: &[(String, BTreeSet<String>)]) -> Vec<String> {
    let mut faults = Vec::new();
    let said = if is_code { comment(line) } else { line };
    for name in ELSEWHERE.into_iter().chain(["ABUSE"]) {
        for (at, _) in said.match_indices(name) {
            let rest = &said[at + name.len()..];
            let is_word = !said[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '/'));
            let cites =
                rest.starts_with(".md") || rest.starts_with(" section") || name == "FAULTS" && rest.starts_with([' ', '-']);
            if is_word && cites {
                faults.push(format!("{name} is no document of this repository"));
            }
        }
    }
    for (at, _) in said.match_indices("ABUSE ") {
        let cited = said[at..].split([')', ';', ':', '(']).next().unwrap_or_default();
        let words = cited.split([' ', ',', '.']).skip(1).filter(|word| is_id(word));
        faults.extend(words.filter(|id| !ids.contains(*id)).map(|id| format!("ABUSE {id} is no row of docs/security")));
    }
    for id in ids_in(said).into_iter().filter(|id| !ids.contains(*id)) {
        faults.push(format!("{id} is no row of docs/security"));
    }
    for (at, _) in line.match_indices("docs/") {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-')) {
            continue;
        }
        let cited: String =
            line[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '#' | '_')).collect();
        let cited = cited.trim_end_matches('.');
        let (path, anchor) = cited.split_once('#').map_or((cited, None), |(path, anchor)| (path, Some(anchor)));
        if !path.ends_with(".md") {
            continue;
        }
        match pages.iter().find(|(known, _)| known == path) {
            None => faults.push(format!("{path} does not exist")),
            Some((_, anchors)) => {
                faults.extend(
                    anchor.filter(|anchor| !anchors.contains(*anchor)).map(|anchor| format!("{path} has no heading {anchor}")),
                );
            }
        }
    }
    faults
}

/// The comment of a line of code.
fn comment(line: &str) -> &str {
    let starts = line.match_indices("//").chain(line.match_indices("# "));
    let first = starts.map(|(at, _)| at).filter(|at| !line[..*at].ends_with(':')).min();
    first.map_or("", |at| &line[at..])
}

/// The ids that a test's name begins with: `e_09_e_12_…`, and all between two of them: `t_01_to_t_04_…`.
pub fn ids_of_name(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut parts = name.split('_').peekable();
    let mut last: Option<(char, u8)> = None;
    let mut through = false;
    while let Some(part) = parts.next() {
        if part == "to" && last.is_some() {
            through = true;
            continue;
        }
        let letter = part.chars().next().filter(|c| part.len() == 1 && c.is_ascii_lowercase());
        let number = parts.peek().filter(|number| number.len() <= 2).and_then(|number| number.parse::<u8>().ok());
        let (Some(letter), Some(number)) = (letter, number) else { break };
        let digits = parts.next().map_or(2, str::len);
        let letter = letter.to_ascii_uppercase();
        if let Some((first, from)) = last.filter(|(first, _)| through && *first == letter) {
            ids.extend((from + 1..number).map(|between| format!("{first}-{between:02}")));
        }
        ids.push(format!("{letter}-{number:0digits$}"));
        (last, through) = (Some((letter, number)), false);
    }
    ids
}

/// The id as its page spells it: findings have no leading zero (`s_09_…` is S-9).
pub fn spelled(id: &str, ids: &BTreeSet<String>) -> Option<String> {
    let short = id.replace("-0", "-");
    [id.to_owned(), short].into_iter().find(|id| ids.contains(id))
}

#[test]
fn every_citation_resolves() {
    let ids = ids();
    let pages: Vec<(String, BTreeSet<String>)> =
        Page::all().into_iter().map(|page| (page.path.clone(), page.anchors())).collect();
    let mut wrong = Vec::new();
    let mut lines = 0;
    let code = ["rs", "py", "sh", "mjs", "toml", "yaml", "html", "js", "css", "conf"];
    let mut paths: Vec<String> =
        ["src", "tests", "benches", "examples"].iter().flat_map(|folder| files(folder, &code)).collect();
    paths.extend(["Makefile", "Cargo.toml", "deny.toml", "clippy.toml"].map(str::to_owned));
    // This file names what it forbids.
    for path in paths.iter().filter(|path| *path != "tests/broker/docs/citations.rs") {
        let text = std::fs::read_to_string(file(path)).expect("a text");
        for (number, line) in text.lines().enumerate() {
            lines += 1;
            let name = line.trim_start().strip_prefix("async fn ").or(line.trim_start().strip_prefix("fn "));
            let named = ids_of_name(name.unwrap_or_default());
            // Ids between the ends of `t_01_to_t_04_…` are rows where the page has them.
            let is_written = |id: &&String| name.is_some_and(|name| name.contains(&id.to_ascii_lowercase().replace('-', "_")));
            let unknown = named.iter().filter(is_written).filter(|id| spelled(id, &ids).is_none());
            let unknown = unknown.map(|id| format!("{id} is no row of docs/security"));
            let found = faults(line, true, &ids, &pages).into_iter().chain(unknown);
            wrong.extend(found.map(|fault| format!("{path}:{}: {fault}", number + 1)));
        }
    }
    for page in Page::all() {
        for (number, line) in page.text.lines().enumerate() {
            wrong.extend(
                faults(line, false, &ids, &pages).into_iter().map(|fault| format!("{}:{}: {fault}", page.path, number + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 50_000, "{lines} lines");
}

#[test]
fn a_citation_that_leads_nowhere_is_named() {
    let ids: BTreeSet<String> = ["J-31", "S-9", "S9"].map(str::to_owned).into();
    let pages = [("docs/a.md".to_owned(), BTreeSet::from(["one".to_owned()]))];
    for good in
        ["// (ABUSE J-31, S9)", "/// docs/a.md#one.", "//! S-9", "let x = \"J-99\";", "// see https://x.example/docs/b.md"]
    {
        assert!(faults(good, true, &ids, &pages).is_empty(), "{good}");
    }
    for bad in [
        "// (ABUSE J-31, J-32)",
        "// CONTRACT.md",
        "// DESIGN section 3",
        "// docs/b.md",
        "// docs/a.md#two",
        "// T-09",
        "// ABUSE S8",
    ] {
        assert!(!faults(bad, true, &ids, &pages).is_empty(), "{bad}");
    }
    assert_eq!(ids_of_name("e_09_e_12_once"), ["E-09", "E-12"]);
    assert_eq!(ids_of_name("t_01_to_t_04_a_proof"), ["T-01", "T-02", "T-03", "T-04"]);
    assert_eq!(ids_of_name("s_3_no_certificate"), ["S-3"]);
    assert!(ids_of_name("a_key_is_kept").is_empty());
    assert_eq!(spelled("S-09", &ids).as_deref(), Some("S-9"));
}
