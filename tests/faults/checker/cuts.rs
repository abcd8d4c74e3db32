//! Revocations and suspensions: what they bar stays barred until they are lifted, and what they cut is never active again.
//!
//! Two orders are looked at. In the journal, entries come one after the other. For clients, a request that was sent after an
//! acknowledgement was received comes after it, on any node.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Case, at, text};
use crate::faults::history::Event;

/// The operations that bar or cut when they are acknowledged, and those that may end a bar, from the moment when they are sent.
const BEGINS: [&str; 4] = ["revoke", "revoke-own", "suspend", "narrow"];
const ENDS: [&str; 3] = ["lift", "resume", "widen"];

/// Microseconds after which a client gives up.
const LONG: u64 = 5_000_000;

/// Whether a client is the subject of a cut, or of the partner that is.
pub fn covers(cut: &Value, client: &str) -> bool {
    let id =
        ["id", "integration", "partner"].iter().map(|name| text(&cut[*name])).find(|id| !id.is_empty()).unwrap_or_default();
    match text(&cut["of"]) {
        "integration" => client == id,
        "partner" => client.split('/').next() == Some(id),
        _ => false,
    }
}

/// I-10, in the journal: no token of an integration is issued while it is revoked or suspended.
pub fn barred_in_journal(case: &Case) -> Vec<String> {
    let mut bars: BTreeMap<String, Value> = BTreeMap::new();
    let mut broken = Vec::new();
    for entry in &case.entries {
        let own = entry["id"].as_str().map_or_else(|| format!("#{}", entry["index"]), str::to_owned);
        match text(&entry["kind"]) {
            "revocation.added" if entry["tokensOnly"] == false => {
                bars.insert(own, entry["cut"].clone());
            }
            "revocation.lifted" => {
                bars.remove(&own);
            }
            "integration.suspended" => {
                bars.insert(own, serde_json::json!({"of": "integration", "id": entry["integration"], "suspends": true}));
            }
            "partner.suspended" => {
                bars.insert(own, serde_json::json!({"of": "partner", "id": entry["partner"], "suspends": true}));
            }
            "integration.resumed" | "partner.resumed" => {
                let of = text(&entry["kind"]).split('.').next().unwrap_or_default();
                let named: Vec<&str> = entry["suspensions"].as_array().into_iter().flatten().map(text).collect();
                let lifted = |id: &str, bar: &Value| {
                    bar["suspends"] == true
                        && bar["of"] == of
                        && bar["id"] == entry[of]
                        && (named.is_empty() || named.contains(&id))
                };
                bars.retain(|id, bar| !lifted(id, bar));
            }
            "issued" => {
                if let Some((id, _)) = bars.iter().find(|(_, bar)| covers(bar, text(&entry["subject"]))) {
                    broken.push(format!("entry {} is a token of {} after {id}", entry["index"], entry["subject"]));
                }
            }
            _ => {}
        }
    }
    broken
}

/// An acknowledged bar: what it bars, when it was acknowledged, and when it may have ended at the earliest.
struct Bar<'a> {
    event: &'a Event,
    until: u64,
}

fn bars(case: &Case) -> Vec<Bar<'_>> {
    let begun = case.of(&BEGINS).filter(|event| event.status / 100 == 2);
    begun
        .map(|event| {
            // A request that nobody answered for long may be done at any later time.
            let later = |end: &Event| end.received >= event.sent || (end.status == 0 && end.received - end.sent > LONG);
            let ends = |end: &&Event| later(end) && end.ask["cut"] == event.ask["cut"] && same_scope(end, event);
            let until = case.of(&ENDS).filter(ends).map(|end| end.sent).min().unwrap_or(u64::MAX);
            Bar { event, until }
        })
        .collect()
}

fn same_scope(one: &Event, other: &Event) -> bool {
    (&one.ask["integration"], &one.ask["scope"]) == (&other.ask["integration"], &other.ask["scope"])
}

/// I-10, by the clock: a request that was sent after a bar was acknowledged gets no token that the bar refuses or has cut.
pub fn barred_by_the_clock(case: &Case) -> Vec<String> {
    let indexes = indexes(case);
    let mut broken = Vec::new();
    let granted: Vec<&Event> = case.of(&["exchange"]).filter(|event| event.status == 200).collect();
    for Bar { event, until } in bars(case) {
        let narrowed = event.op == "narrow";
        let subject =
            |client: &str| if narrowed { event.ask["integration"] == client } else { covers(&event.ask["cut"], client) };
        let scope = text(&event.ask["scope"]);
        for token in granted.iter().filter(|token| token.sent > event.received && subject(text(&token.ask["integration"]))) {
            let in_force = event.ask["tokensOnly"] != true
                && token.received < until
                && (!narrowed || text(&token.ask["scope"]).split(' ').any(|one| one == scope));
            // A cut is a line in the order of the journal: a later token lies beyond it.
            let line = indexes.get(text(&event.answer["id"])).copied().unwrap_or(0);
            if in_force || (!narrowed && entry_of(token) < line) {
                broken.push(format!("{} got a token after {} was acknowledged at {} µs", at(token), at(event), event.received));
            }
        }
    }
    broken
}

/// The `entry` of a granted token.
fn entry_of(event: &Event) -> u64 {
    use base64::Engine as _;
    let payload = text(&event.answer["access_token"]).split('.').nth(1).unwrap_or_default();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice::<Value>(&payload).map_or(u64::MAX, |claims| claims["entry"].as_u64().unwrap_or(u64::MAX))
}

/// The index of each revocation and suspension, by its id.
fn indexes(case: &Case) -> BTreeMap<&str, u64> {
    let named = case
        .entries
        .iter()
        .filter(|entry| ["revocation.added", "integration.suspended", "partner.suspended"].contains(&text(&entry["kind"])));
    named.map(|entry| (text(&entry["id"]), entry["index"].as_u64().unwrap_or(0))).collect()
}

/// Whether an answer says that a token is active, or that it is not; nothing if it says neither.
fn says(event: &Event) -> Option<bool> {
    match (event.op.as_str(), event.status) {
        ("introspect", 200) => event.answer["active"].as_bool(),
        // 403: it is active, and lacks a scope.
        ("verify", 200 | 403) => Some(true),
        ("verify", 401) if event.answer["reason"] == "token.inactive" => Some(false),
        _ => None,
    }
}

/// I-8: no answer to a question that was asked after a cut was acknowledged says that what it cut is active.
pub fn active_after_cut(case: &Case) -> Vec<String> {
    let (issued, indexes) = (case.issued(), indexes(case));
    let cuts: Vec<&Event> = case.of(&["revoke", "revoke-own", "suspend"]).filter(|event| event.status / 100 == 2).collect();
    let mut broken = Vec::new();
    for event in case.of(&["introspect", "verify"]).filter(|event| says(event) == Some(true)) {
        let jti = text(&event.ask["jti"]);
        let Some(entry) = issued.get(jti).and_then(|entries| entries.first()) else {
            broken.push(format!("{} says that {jti} is active, which has no entry", at(event)));
            continue;
        };
        let cut = |cut: &&&Event| {
            let line = || indexes.get(text(&cut.answer["id"])).copied().unwrap_or(0);
            event.sent > cut.received
                && if cut.ask["cut"]["of"] == "token" {
                    cut.ask["cut"]["id"] == jti
                } else {
                    covers(&cut.ask["cut"], text(&entry["subject"])) && entry["index"].as_u64() < Some(line())
                }
        };
        if let Some(cut) = cuts.iter().find(cut) {
            broken.push(format!(
                "{} says that {jti} is active after {} was acknowledged at {} µs",
                at(event),
                at(cut),
                cut.received
            ));
        }
    }
    broken
}

/// How much later than one node another one may learn of a cut that is not acknowledged yet, in microseconds: the lease of a node.
const BEHIND: u64 = 5_000_000;

/// I-9: a token that was inactive is active for nobody who asks the same node later, nor for anybody once every node has followed.
pub fn revived(case: &Case) -> Vec<String> {
    let mut inactive: BTreeMap<(&str, usize), &Event> = BTreeMap::new();
    for event in case.of(&["introspect", "verify"]).filter(|event| says(event) == Some(false)) {
        let first = inactive.entry((text(&event.ask["jti"]), event.node)).or_insert(event);
        if event.received < first.received {
            *first = event;
        }
    }
    let revives = |event: &Event| {
        let is_later = |first: &&&Event| {
            let behind = if first.node == event.node { 0 } else { BEHIND };
            event.sent > first.received + behind
        };
        let jti = text(&event.ask["jti"]);
        let first = inactive.range((jti, 0)..=(jti, usize::MAX)).map(|(_, first)| first).find(is_later)?;
        Some(format!("{} says active after {} said inactive", at(event), at(first)))
    };
    case.of(&["introspect", "verify"]).filter(|event| says(event) == Some(true)).filter_map(revives).collect()
}
