//! The chain of facts: each is a type that one room makes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

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
///
/// Each program beside a `.stderr` is compiled against the library of this build, and refused in these words.
#[test]
fn the_chain_cannot_be_forged() {
    let library = library();
    let dependencies = library.parent().expect("a folder");
    let programs =
        std::fs::read_dir(ROOT.to_owned() + UNBUILDABLE).expect("a folder").map(|entry| entry.expect("an entry").path());
    let programs: Vec<PathBuf> = programs.filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect();
    assert!(!programs.is_empty());
    for program in programs {
        let ran = Command::new("rustc")
            .args(["--edition=2024", "--cap-lints=allow", "--emit=metadata", "--error-format=short", "-o", "/dev/null"])
            .arg("--extern")
            .arg(format!("carnet={}", library.display()))
            .arg("-L")
            .arg(format!("dependency={}", dependencies.display()))
            .arg(program.strip_prefix(ROOT).expect("in the project"))
            .current_dir(ROOT)
            .output()
            .expect("rustc runs");
        let told = String::from_utf8(ran.stderr).expect("text");
        let expected = std::fs::read_to_string(program.with_extension("stderr")).expect("what the compiler says");
        assert!(!ran.status.success() && told == expected, "{}: {}\n{told}", program.display(), ran.status);
    }
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/");
const UNBUILDABLE: &str = "tests/unbuildable";

/// The library that the tests of this build use. Cargo knows which of several it is, and builds nothing that is there.
fn library() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ran = Command::new(cargo)
        .args(["test", "--locked", "--no-run", "--quiet", "--test", "broker", "--message-format=json"])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    let told = String::from_utf8(ran.stdout).expect("text");
    let mut made = told.lines().filter_map(|line| {
        let artifact: Value = serde_json::from_str(line).ok()?;
        let is_library = artifact["target"]["name"] == "carnet" && artifact["target"]["kind"] == json!(["lib"]);
        let files = artifact["filenames"].as_array().filter(|_| is_library)?;
        files.iter().find_map(|file| {
            Some(PathBuf::from(file.as_str()?)).filter(|file| file.extension().is_some_and(|kind| kind == "rlib"))
        })
    });
    made.next_back().unwrap_or_else(|| panic!("no library: {}", String::from_utf8_lossy(&ran.stderr)))
}
