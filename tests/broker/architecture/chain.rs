//! The chain of facts: each is a type that one room makes.

use std::collections::BTreeMap;

use super::names::Names;
use super::sources::Tree;

/// Types with a constructor `assertion`, with each file that calls it, once per call.
///
/// The compiler cannot wall such a constructor off: it is public, for one room alone.
const CALLERS: [(&str, &[&str]); 2] = [
    ("Authorized", &["http/admin/admitted.rs"]),
    ("Verified", &["authn/certificate.rs", "authn/dpop.rs", "authn/svid.rs", "authn/verify.rs"]),
];

/// Compares the calls of `assertion` with the list. A mention of the function counts as a call.
pub fn faults(tree: &Tree) -> Vec<String> {
    let names = Names::of(tree);
    let mut callers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for source in names.sources() {
        for (module, scope) in &source.scopes {
            for (path, lines) in scope.paths.iter().filter(|(path, _)| path.last().is_some_and(|last| last == "assertion")) {
                // A type's name may be an import's, or `Self`.
                let meant = names.meant(module, path).unwrap_or_else(|| path.clone());
                let [.., owner, _] = meant.as_slice() else { continue };
                if owner.starts_with(char::is_uppercase) {
                    callers.entry(owner.clone()).or_default().extend(lines.iter().map(|_| source.path.as_str()));
                }
            }
        }
    }
    let expected = CALLERS.iter().map(|(owner, files)| ((*owner).to_owned(), files.to_vec())).collect();
    if callers == expected { Vec::new() } else { vec![format!("assertion is called by {callers:?}")] }
}

/// The file that proposes all changes of `broker` to the journal.
const DOOR: &str = "broker/change.rs";

/// Calls of `Journal::change` in `broker`.
///
/// `Broker::change_by` refuses the change of a person who was cut since the route let them in. An operation that calls the journal itself
/// could forget that.
pub fn direct_changes(tree: &Tree) -> Vec<String> {
    let calls = |text: &str| {
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        code.contains("journal.change(") || code.contains("Journal::change(")
    };
    let callers: Vec<&str> = tree
        .sources()
        .filter(|source| source.room() == "broker" && calls(&source.text))
        .map(|source| source.path.as_str())
        .collect();
    let mut faults: Vec<String> = callers
        .iter()
        .filter(|path| **path != DOOR)
        .map(|path| format!("{path} calls the journal's `change`; use `Broker::change_by` or `change_as`"))
        .collect();
    if !callers.contains(&DOOR) {
        faults.push(format!("{DOOR} calls the journal's `change` no more"));
    }
    faults
}

#[test]
fn a_change_goes_through_one_door() {
    super::assert_none(&direct_changes(Tree::today()));
}

#[test]
fn assertions_have_one_caller_each() {
    super::assert_none(&faults(Tree::today()));
}

/// Nobody can sign an unrecorded grant, or forge a grant, a principal, a record or a token.
#[test]
fn the_chain_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/unbuildable/*.rs");
}
