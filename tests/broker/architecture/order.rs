//! The order inside `domain`, and that it is pure: values in, values out.

use std::collections::BTreeMap;

use super::compare;
use super::names::Place;
use super::sources::Tree;

/// Nouns from below, each with its files, as paths below `domain` without the ending.
///
/// A folder stands for all that it holds. A file imports only from its own noun and from nouns above it in this list.
const NOUNS: [(&str, &[&str]); 11] = [
    (
        "value",
        &[
            "alg",
            "claim_text",
            "clock",
            "digest",
            "effort",
            "endpoint",
            "hex",
            "jwk",
            "jwk_set",
            "names",
            "network",
            "numeric_date",
            "p256",
            "proof_key",
            "quota",
            "scope",
            "steady",
            "strict_json",
            "text",
            "window",
            "yaml",
        ],
    ),
    ("reason", &["decision", "reason"]),
    ("people", &["actor", "approval", "passkey"]),
    ("credential", &["certificate", "claims", "confirmation", "keys", "resource", "revocation"]),
    ("registry", &["api", "binding", "binding_index", "candidates", "integration", "partner", "state/phase", "stop"]),
    ("elevation", &["elevation/appliers", "elevation/mod", "elevation/rule"]),
    ("log", &["archive", "change", "entry"]),
    ("state", &["about", "barred", "cut", "elevation/fold", "history", "issuer_keys", "opening", "ours", "state", "taken"]),
    ("caller", &["admission", "conditions", "peer", "proof", "spiffe"]),
    ("record", &["record"]),
    (
        "decision",
        &[
            "consequence",
            "effective",
            "elevation/ask",
            "elevation/briefing",
            "elevation/live",
            "enrolment",
            "entitlement",
            "grant",
            "possession",
            "rehearsal",
            "revocable",
            "standing",
            "stopped",
        ],
    ),
];

/// Imports against the order: the file and what it names, with what ends it.
const AGAINST: [(&str, &str); 24] = [
    ("approval -> state", "to be cut by moving `Held` to the registry, and `open` to the state"),
    ("approval -> stop", "to be cut by moving what an approval is about behind the registry"),
    ("barred -> conditions", "to be cut by moving what a binding asks of claims below the state"),
    ("barred -> proof", "to be cut by moving the verified proof's claims below the state"),
    ("barred -> spiffe", "to be cut by moving the verified identity below the state"),
    ("candidates -> change", "to be cut by moving `Environment` to the registry"),
    ("candidates -> ours", "to be cut by moving the look-up of our own audiences to the caller"),
    ("candidates -> state", "to be cut by moving `ApiState` and `IntegrationState` to the registry"),
    ("elevation/appliers -> record/compare/access", "to be cut by moving the comparison of access rules below the elevation"),
    ("elevation/mod -> elevation/briefing", "to be cut by moving the briefing to the decisions"),
    ("elevation/mod -> elevation/fold", "to be cut by moving the fold to the state"),
    ("elevation/mod -> elevation/live", "to be cut by moving what is live to the decisions"),
    ("elevation/mod -> elevation/ask", "to be cut by moving the review to the decisions"),
    ("elevation/mod -> state", "to be cut by moving the review to the decisions"),
    ("elevation/rule -> state", "to be cut by moving who applied and who enrolled to the decisions"),
    ("entry -> grant", "to be cut by moving `Issued::of` to the grant"),
    ("issuer_keys -> admission", "to be cut by moving the principal's key to the caller"),
    ("issuer_keys -> enrolment", "to be cut by moving what is due to a file about rotation"),
    ("issuer_keys -> grant", "to be cut by giving `Life` a file of its own"),
    ("keys -> change", "to be cut by moving `SigningKey` to the keys"),
    ("passkey -> elevation/mod", "to be cut by moving the statement that a passkey signs to the decisions"),
    ("proof_key -> admission", "to be cut by moving the allowed clock difference to the clock"),
    ("resource -> ours", "to be cut by moving the decoding of percent signs to the values"),
    ("steady -> admission", "to be cut by moving the allowed clock difference to the clock"),
];

/// The parts of the standard library that pure code may use.
const PURE: [&str; 22] = [
    "array",
    "borrow",
    "char",
    "cmp",
    "collections",
    "convert",
    "error",
    "fmt",
    "hash",
    "io::Result",
    "io::Write",
    "iter",
    "marker",
    "mem",
    "net::Ip",
    "num",
    "ops",
    "slice",
    "str",
    "string",
    "sync",
    "time::Duration",
];

/// Macros that write to the terminal.
const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

/// The place of a file's noun in the order.
fn noun(path: &str) -> Option<usize> {
    let path = path.strip_prefix("domain/")?.trim_end_matches(".rs");
    let length = |name: &str| {
        let rest = path.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(name.len())
    };
    let placed = NOUNS.iter().enumerate().flat_map(|(place, (_, names))| names.iter().map(move |name| (length(name), place)));
    placed.filter(|(length, _)| length.is_some()).max().map(|(_, place)| place)
}

fn short(path: &str) -> &str {
    path.trim_start_matches("domain/").trim_end_matches(".rs")
}

/// Imports against the order, files without a noun, and names in the list without a file.
pub fn faults(tree: &Tree) -> Vec<String> {
    let domain = || tree.mentions().filter(|(source, _)| source.room() == "domain");
    let mut faults = Vec::new();
    let mut against = BTreeMap::new();
    for (source, mentions) in domain().filter(|(source, _)| source.path != "domain/mod.rs") {
        let Some(here) = noun(&source.path) else {
            faults.push(format!("{} is about none of the nouns", source.path));
            continue;
        };
        for mention in mentions {
            let Place::Ours { file, .. } = &mention.place else { continue };
            if let Some(there) = noun(file).filter(|there| *there > here) {
                let item = mention.trail.last().and_then(|path| path.last()).map_or("", String::as_str);
                let (below, above) = (NOUNS[here].0, NOUNS[there].0);
                let fault = format!("{}:{} ({below}) names {item} of {file} ({above})", source.path, mention.line);
                against.entry(format!("{} -> {}", short(&source.path), short(file))).or_insert(fault);
            }
        }
    }
    for name in NOUNS.iter().flat_map(|(_, names)| *names) {
        let file = format!("domain/{name}");
        if !domain().any(|(source, _)| source.path.strip_prefix(&file).is_some_and(|rest| rest.starts_with(['.', '/']))) {
            faults.push(format!("{file} is missing below src"));
        }
    }
    faults.extend(compare(against.into_iter().collect(), &AGAINST));
    faults
}

/// Code under `domain` that waits, or that reaches the outside by the standard library.
///
/// Other crates are a matter of their homes.
pub fn impure(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (source, mentions) in tree.mentions().filter(|(source, _)| source.room() == "domain") {
        faults.extend(source.waits.iter().map(|(line, word)| format!("{}:{line} has {word}", source.path)));
        let printing = PRINTING.iter().filter(|name| source.scopes.values().any(|scope| scope.words.contains(**name)));
        faults.extend(printing.map(|name| format!("{} has {name}", source.path)));
        for mention in mentions {
            let Some(path) = mention.trail.last().filter(|path| matches!(path[0].as_str(), "std" | "core" | "alloc")) else {
                continue;
            };
            let below = path[1..].join("::");
            // A module may be named; what is taken from it is a path of its own.
            let pure = PURE.iter().any(|pure| below.starts_with(pure) || pure.starts_with(&format!("{below}::")));
            if !pure {
                faults.push(format!("{}:{} names {}", source.path, mention.line, path.join("::")));
            }
        }
    }
    faults
}

#[test]
fn the_domain_stands_in_order() {
    super::assert_none(&faults(Tree::today()));
}

#[test]
fn nothing_waits_in_the_domain() {
    super::assert_none(&impure(Tree::today()));
}
