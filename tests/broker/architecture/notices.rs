//! The index of dates is for people: no decision reads it.
//!
//! A decision that read it would rest on what nobody has to record. So its field of the state is named by the fold and by the rule that
//! makes the entries, and that rule is called by the operation that records them.

use super::sources::Tree;

/// Files that may name the field `dates` of the state.
const READERS: [&str; 3] = ["domain/decision/dates.rs", "domain/state/dated.rs", "domain/state/journal.rs"];

/// Files that may call the rule.
const CALLERS: [&str; 1] = ["broker/dates.rs"];

/// Files that read the index, or call the rule, and may not.
pub fn faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    // The pages of reasons are prose.
    for source in tree.sources().filter(|source| !source.path.starts_with("domain/reason/")) {
        let code: String = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        if names(&code, ".dates") && !READERS.contains(&source.path.as_str()) {
            faults.push(format!("{} reads the index of dates, which is for people", source.path));
        }
        if names(&code, "decision::dates") && !CALLERS.contains(&source.path.as_str()) {
            faults.push(format!("{} calls the notice of dates", source.path));
        }
    }
    faults
}

/// Whether the code has this word, and not as the beginning of a longer one.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let next = code.get(at + word.len()..).and_then(|rest| rest.chars().next());
        !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
    })
}

#[test]
fn dates_decide_nothing() {
    super::assert_none(&faults(Tree::today()));
}
