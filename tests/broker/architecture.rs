//! The plan of the house, held by a test: imports go down, each dependency has one home, and what the compiler cannot wall off has
//! one caller (DESIGN.md sections 1 and 2).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Floors from below; a file may import its own floor's room and lower floors.
const FLOORS: [(&str, &[&str]); 5] = [
    ("domain", &["domain"]),
    ("gateways", &["authn", "issuance", "journal", "outbound", "policy", "revocation", "verifier"]),
    ("broker", &["broker"]),
    ("http", &["http"]),
    ("shell", &["cli", "config", "dev", "serve", "server", "telemetry"]),
];

/// The only arrows between gateways.
const ARROWS: [(&str, &str); 2] = [("issuance", "journal"), ("authn", "outbound")];

/// Where each dependency lives.
const HOMES: [(&str, &[&str]); 18] = [
    ("askama", &["http"]),
    ("axum", &["http"]),
    ("cedar_policy", &["policy"]),
    ("curve25519_dalek", &["domain"]),
    ("flate2", &["journal"]),
    ("josekit", &["issuance"]),
    ("moka", &["authn"]),
    ("openidconnect", &["authn"]),
    ("prometheus_client", &["http"]),
    ("rcgen", &["issuance"]),
    ("redis", &["revocation"]),
    ("reqwest", &["outbound"]),
    ("rustls", &["authn", "server"]),
    ("serde_saphyr", &["domain"]),
    ("sqlx", &["journal"]),
    ("tokio_rustls", &["server"]),
    ("webauthn_rs", &["authn"]),
    ("x509_parser", &["authn", "issuance"]),
];

struct Source {
    path: PathBuf,
    room: String,
    /// Without the tests at its end and without comments.
    code: String,
    /// The files of modules that it declares for tests alone: like code below `#[cfg(test)]` they may reach further.
    tests: Vec<PathBuf>,
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources);
    let of_tests: BTreeSet<PathBuf> = sources.iter().flat_map(|source: &Source| source.tests.clone()).collect();
    sources.retain(|source| !of_tests.contains(&source.path));
    assert!(sources.len() > 50, "the sources are read");
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // Test code stands beside what it tests and may reach further.
            if path.file_name().is_some_and(|name| name != "tests") {
                collect(&path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("below src");
            let room = below.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            let tests = test_modules(below, &text);
            sources.push(Source { path: below.to_owned(), room, code, tests });
        }
    }
}

/// `#[cfg(test)] mod name;` of a file: where those modules lie.
fn test_modules(file: &Path, text: &str) -> Vec<PathBuf> {
    let own = file.with_extension("");
    let folder = if file.ends_with("mod.rs") { file.parent().expect("a folder").to_owned() } else { own };
    let declared = text.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let line = rest.lines().find(|line| !line.trim().is_empty())?;
        line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(|name| folder.join(format!("{name}.rs"))).collect()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// The rooms that a source names by `crate::`.
fn imports(code: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(word).filter(|room| !room.is_empty()).collect()
}

#[test]
fn imports_go_down() {
    let mut faults = Vec::new();
    for source in sources() {
        if source.room == "lib" || source.room == "main" {
            continue;
        }
        let here = floor(&source.room).unwrap_or_else(|| panic!("{:?} is on no floor", source.path));
        for room in imports(&source.code) {
            let Some(there) = floor(&room) else {
                faults.push(format!("{:?} imports {room}, which is on no floor", source.path));
                continue;
            };
            let arrow = ARROWS.contains(&(source.room.as_str(), room.as_str()));
            let sideways = here == there && source.room != room && FLOORS[here].0 != "shell" && !arrow;
            // What an API embeds is no part of the broker.
            let embedded = room == "verifier" && source.room != "verifier";
            if there > here || sideways || embedded {
                faults.push(format!("{:?} imports {room}: upward or sideways", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn each_dependency_has_its_home() {
    let mut faults = Vec::new();
    for source in sources() {
        for (dependency, homes) in HOMES {
            let names = [format!("use {dependency}::"), format!("{dependency}::")];
            let used = source.code.lines().any(|line| {
                names.iter().any(|name| {
                    line.match_indices(name.as_str()).any(|(at, _)| {
                        let before = line[..at].chars().next_back();
                        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
                    })
                })
            });
            if used && !homes.contains(&source.room.as_str()) && source.room != "main" {
                faults.push(format!("{:?} uses {dependency}, whose home is {homes:?}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What the compiler cannot wall off is a function named `assertion()` with one caller each.
#[test]
fn assertions_have_one_caller_each() {
    let mut callers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for proof in ["Verified", "Authorized"] {
            let calls = source.code.matches(&format!("{proof}::assertion(")).count()
                + source.code.matches(&format!("{proof}::<")).filter(|_| source.code.contains(">::assertion(")).count();
            for _ in 0..calls {
                callers.entry(proof).or_default().push(source.path.display().to_string());
            }
        }
    }
    let mut verified = callers.get("Verified").cloned().unwrap_or_default();
    verified.sort();
    assert_eq!(verified, ["authn/certificate.rs", "authn/dpop.rs", "authn/svid.rs", "authn/verify.rs"]);
    let authorized = callers.get("Authorized").cloned().unwrap_or_default();
    assert_eq!(authorized.len(), 1, "{authorized:?}");
    assert!(authorized[0].starts_with("http/admin/"), "{authorized:?}");
}

/// Sync core: nothing waits under `domain`.
#[test]
fn nothing_waits_in_the_domain() {
    for source in sources().into_iter().filter(|source| source.room == "domain") {
        for word in ["async ", ".await", "tokio::", "std::fs", "std::net::Tcp", "std::thread"] {
            assert!(!source.code.contains(word), "{:?} has {word}", source.path);
        }
    }
}

/// A file that grows past its noun is two nouns.
#[test]
fn files_stay_readable() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|source| (source.path, source.code.lines().count()))
        .filter(|(_, lines)| *lines > 450)
        .map(|(path, lines)| format!("{path:?}: {lines}"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Signing an unrecorded grant, or forging a grant, a principal, a record or a token, does not build.
#[test]
fn the_chain_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/unbuildable/*.rs");
}
