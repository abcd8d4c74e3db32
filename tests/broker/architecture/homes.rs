//! Each dependency has a home: the folders and files that may name it.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Place;
use super::sources::Tree;

/// The homes of each crate of `[dependencies]`, as prefixes of paths below `src`.
///
/// A home whose files do not name the crate has to go.
const HOMES: [(&str, &[&str]); 43] = [
    // HTTP
    ("askama", &["http/console/"]),
    ("axum", &["http/"]),
    ("http", &["authn/", "verifier/"]),
    ("hyper", &["http/front/", "server/"]),
    ("hyper_util", &["server/"]),
    ("rustls", &["authn/", "journal/postgres/", "revocation/", "server/"]),
    ("tokio_rustls", &["journal/postgres/", "revocation/", "server/"]),
    ("tower", &["http/front/", "server/", "verifier/"]),
    ("utoipa", &["broker/view/", "http/admin/"]),
    // Keys, signatures, certificates
    ("aws_lc_rs", &["authn/", "domain/", "http/", "issuance/", "journal/", "outbound/", "server/"]),
    ("curve25519_dalek", &["domain/"]),
    ("josekit", &["issuance/"]),
    ("openidconnect", &["authn/"]),
    ("rcgen", &["issuance/"]),
    ("subtle", &["authn/", "http/"]),
    ("time", &["issuance/authority/"]),
    ("webauthn_rs", &["authn/"]),
    ("x509_parser", &["authn/", "issuance/", "journal/postgres/"]),
    ("yasna", &["issuance/authority/"]),
    ("zeroize", &["authn/", "issuance/", "journal/", "outbound/", "revocation/", "serve/", "server/"]),
    // The outside
    ("flate2", &["journal/"]),
    ("lettre", &["outbound/mail.rs"]),
    ("moka", &["authn/"]),
    ("redis", &["revocation/"]),
    ("reqwest", &["outbound/"]),
    ("rusty_s3", &["outbound/bucket.rs"]),
    ("sqlx", &["journal/sqlite/"]),
    ("tokio_postgres", &["journal/postgres/"]),
    // Guardrails
    ("cedar_policy", &["policy/"]),
    // The state
    ("imbl", &["domain/"]),
    ("litemap", &["domain/"]),
    // Records, configuration, time
    ("jiff", &["cli/", "domain/", "http/admin/"]),
    ("serde_saphyr", &["domain/record/"]),
    ("strsim", &["domain/value/"]),
    ("toml", &["cli/", "config/"]),
    // The program
    ("anyhow", &["issuance/"]),
    ("arc_swap", &["http/front/", "journal/", "server/"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("mimalloc", &["main.rs"]),
    ("prometheus_client", &["http/"]),
    (
        "tokio",
        &[
            "authn/",
            "broker/",
            "cli/",
            "dev/",
            "http/",
            "issuance/",
            "journal/",
            "outbound/",
            "revocation/",
            "serve/",
            "server/",
            "verifier/",
        ],
    ),
    ("tracing_subscriber", &["telemetry/"]),
];

/// Crates whose home is everywhere: encodings, errors, logging. None of them reaches the outside.
const EVERYWHERE: [&str; 5] = ["base64", "serde", "serde_json", "thiserror", "tracing"];

/// Crates without a home, crates named outside of theirs, and homes without their crate.
pub fn faults(tree: &Tree) -> Vec<String> {
    let mut named: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for (source, mentions) in tree.mentions() {
        for mention in mentions {
            if let Place::Crate(name) = &mention.place {
                named.entry(name.clone()).or_default().entry(&source.path).or_insert(mention.line);
            }
        }
    }
    let none = BTreeMap::new();
    let mut faults = Vec::new();
    let dependencies = tree.dependencies();
    let homes: BTreeSet<&str> = HOMES.iter().map(|(name, _)| *name).chain(EVERYWHERE).collect();
    faults.extend(dependencies.iter().filter(|name| !homes.contains(name.as_str())).map(|name| format!("{name} has no home")));
    faults
        .extend(homes.iter().filter(|name| !dependencies.contains(**name)).map(|name| format!("{name} is not in Cargo.toml")));
    faults.extend(homes.iter().filter(|name| !named.contains_key(**name)).map(|name| format!("{name} is named nowhere")));
    for (name, homes) in HOMES {
        let files = named.get(name).unwrap_or(&none);
        for (file, line) in files.iter().filter(|(file, _)| !homes.iter().any(|home| file.starts_with(home))) {
            faults.push(format!("{file}:{line} names {name}, whose home is {homes:?}"));
        }
        for home in homes.iter().filter(|home| !files.keys().any(|file| file.starts_with(**home))) {
            faults.push(format!("{home} is a home of {name}, and nothing in it names {name}"));
        }
    }
    faults
}

#[test]
fn each_dependency_has_its_home() {
    super::assert_none(&faults(Tree::today()));
}
