//! Reasons that documents and comments name exist, and each has a row of the reference.

use std::collections::BTreeSet;

use carnet::domain::reason::Reason;

use super::page::{Page, files};
use crate::interop::process::file;

/// Dotted words that begin like a reason and are none: members, keys of files and changes of the journal have their own tests.
const OTHERS: [&str; 13] = ["toml", "rs", "md", "json", "yaml", "pem", "key", "db", "anchor", "lost", "tail", "txt", "sh"];

#[test]
fn every_reason_that_a_text_names_exists() {
    let reasons: BTreeSet<&str> = Reason::all().iter().map(|reason| reason.code).collect();
    let firsts: BTreeSet<&str> = reasons.iter().filter_map(|code| code.split('.').next()).collect();
    let changes = super::generated::kinds();
    let mut wrong = Vec::new();
    let mut seen = 0;
    let sources = ["src", "tests"].iter().flat_map(|folder| files(folder, &["rs"]));
    let texts = sources.map(|path| (std::fs::read_to_string(file(&path)).expect("a text"), path, true));
    let pages = Page::all().into_iter().map(|page| (page.text, page.path, false));
    for (text, path, is_code) in texts.chain(pages) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if is_code && !line.starts_with("//") || path == "CHANGELOG.md" {
                continue;
            }
            for word in line.split('`').skip(1).step_by(2).filter(|word| is_dotted(word)) {
                let (first, last) = (word.split('.').next().unwrap_or_default(), word.rsplit('.').next().unwrap_or_default());
                if !firsts.contains(first) || OTHERS.contains(&last) {
                    continue;
                }
                seen += 1;
                if !reasons.contains(word) && !changes.contains(&word) && !CHECKS.contains(&word) {
                    wrong.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "{seen} reasons");
}

/// Checks of a decision, which are no reasons.
const CHECKS: [&str; 1] = ["contract.ends"];

/// `binding.no-match`: two words of lower-case letters and hyphens with a dot between them.
fn is_dotted(word: &str) -> bool {
    let fine = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    word.split_once('.').is_some_and(|(first, second)| fine(first) && fine(second))
}
