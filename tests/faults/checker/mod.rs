//! The judge of a run: what clients saw and what the journal says, held against the invariants.
//!
//! It shares no code with the broker: entries are JSON texts to it, and it makes leaves, roots and digests by itself. Enter through
//! [`judge`]. Each rule is a function from a [`Case`] to its violations, and has a name; `tests.rs` has a clean case, and one broken case
//! for each rule.

mod answers;
mod cuts;
mod log;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::history::Event;

/// What is judged.
#[derive(Clone)]
pub struct Case {
    /// The history, in the order of its answers.
    pub events: Vec<Event>,
    /// The journal's entries, byte for byte.
    pub lines: Vec<String>,
    /// The same, as values.
    pub entries: Vec<Value>,
    /// The signed checkpoint.
    pub note: String,
    /// The key that it verifies with.
    pub key: String,
    /// The reasons that are documented.
    pub reasons: BTreeSet<String>,
}

/// A broken rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.rule, self.seen)
    }
}

/// A rule: its name, and what finds its violations.
type Rule = (&'static str, fn(&Case) -> Vec<String>);

/// Every rule.
pub const RULES: [Rule; 17] = [
    ("order", log::order),
    ("time", log::time),
    ("chain", log::chain),
    ("root", log::root),
    ("signature", log::signature),
    ("on-record", tokens::on_record),
    ("signed", tokens::signed),
    ("one-token-per-proof", tokens::one_token_per_proof),
    ("unspent", tokens::unspent),
    ("other-caller", tokens::other_caller),
    ("barred-in-journal", cuts::barred_in_journal),
    ("barred-by-the-clock", cuts::barred_by_the_clock),
    ("active-after-cut", cuts::active_after_cut),
    ("revived", cuts::revived),
    ("acknowledged-change", answers::acknowledged_change),
    ("done-once", answers::done_once),
    ("documented", answers::documented),
];

/// Every violation; of one rule the first ones.
pub fn judge(case: &Case) -> Vec<Violation> {
    let broken = |(rule, find): &Rule| {
        let found: Vec<String> = find(case);
        let more = (found.len() > 5).then(|| format!("and {} more", found.len() - 5));
        found.into_iter().take(5).chain(more).map(|seen| Violation { rule, seen }).collect::<Vec<_>>()
    };
    RULES.iter().flat_map(broken).collect()
}

impl Case {
    /// Reads an export of the journal, and the page of reasons.
    pub fn read(events: Vec<Event>, export: &Path, key: &str, reasons: &Path) -> Self {
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines: Vec<String> = text(&export.join("entries.ndjson")).lines().map(str::to_owned).collect();
        let entries = lines.iter().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect();
        let reasons = text(reasons).lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
        Self { events, lines, entries, note: text(&export.join("checkpoint")), key: key.to_owned(), reasons }
    }

    /// The events of an operation.
    fn of<'a>(&'a self, op: &'a [&'a str]) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(|event| op.contains(&event.op.as_str()))
    }

    /// The entries of a kind.
    fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.entries.iter().filter(move |entry| entry["kind"] == kind)
    }

    /// The entries of issued tokens, by the token's id.
    fn issued(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut issued: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for entry in self.kind("issued") {
            issued.entry(text(&entry["jti"])).or_default().push(entry);
        }
        issued
    }
}

/// A text; empty if the value is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let whole = parts.concat();
    digest(&SHA256, &whole).as_ref().try_into().expect("32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The place of an event, for people.
fn at(event: &Event) -> String {
    format!("round {}, node {}, {} sent at {} µs (request {})", event.round, event.node, event.op, event.sent, event.request)
}
