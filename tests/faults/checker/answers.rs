//! Answers: acknowledged changes are on record, once, and nothing is said that the documents do not have.

use std::collections::{BTreeMap, BTreeSet};

use super::cuts::covers;
use super::{Case, at, text};
use crate::faults::history::Event;

/// I-23: what was acknowledged as changed is in the journal.
pub fn acknowledged_change(case: &Case) -> Vec<String> {
    let ids: BTreeSet<&str> = case.entries.iter().map(|entry| text(&entry["id"])).collect();
    let requests: BTreeSet<&str> = case.entries.iter().map(|entry| text(&entry["requestId"])).collect();
    let missing = |event: &Event| {
        let on_record = match event.op.as_str() {
            "revoke" | "suspend" => ids.contains(text(&event.answer["id"])),
            // Of a token that was cut before, nothing more is recorded.
            "revoke-own" => is_cut(case, text(&event.ask["cut"]["id"])),
            _ => requests.contains(event.request.as_str()),
        };
        (!on_record).then(|| format!("{} was acknowledged, and is not in the journal", at(event)))
    };
    let changes = ["revoke", "revoke-own", "suspend", "lift", "resume", "widen"];
    case.of(&changes).filter(|event| event.status / 100 == 2).filter_map(missing).collect()
}

/// Whether an entry after a token's cuts it.
fn is_cut(case: &Case, jti: &str) -> bool {
    let Some(token) = case.kind("issued").find(|entry| entry["jti"] == jti) else { return false };
    let (client, index) = (text(&token["subject"]), token["index"].as_u64());
    case.entries.iter().filter(|entry| entry["index"].as_u64() > index).any(|entry| match text(&entry["kind"]) {
        "revocation.added" => entry["cut"]["id"] == jti || covers(&entry["cut"], client),
        "integration.suspended" => entry["integration"] == client,
        "partner.suspended" => client.split('/').next() == entry["partner"].as_str(),
        "integration.narrowed" => entry["record"]["id"] == client,
        _ => false,
    })
}

/// L-08: requests with one idempotency key are one change with one answer, and a token is revoked once for each.
pub fn done_once(case: &Case) -> Vec<String> {
    let mut keys: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in case.of(&["revoke"]) {
        keys.entry(text(&event.ask["key"])).or_default().push(event);
    }
    let mut revoked: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in case.kind("revocation.added").filter(|entry| entry["cut"]["of"] == "token" && entry["by"]["staff"].is_object())
    {
        *revoked.entry(text(&entry["cut"]["id"])).or_default() += 1;
    }
    // A token may be revoked under several keys: there is one entry for each key at most.
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    for (key, events) in keys {
        let answers: BTreeSet<&str> =
            events.iter().filter(|event| event.status / 100 == 2).map(|event| text(&event.answer["id"])).collect();
        if answers.len() > 1 {
            broken.push(format!("key {key} was answered with {answers:?}"));
        }
        if let Some(first) = events.first().filter(|first| first.ask["cut"]["of"] == "token") {
            *wanted.entry(text(&first.ask["cut"]["id"])).or_default() += 1;
        }
    }
    for (jti, count) in revoked {
        let most = wanted.get(jti).copied().unwrap_or(0);
        if count > most {
            broken.push(format!("token {jti} was revoked {count} times, with {most} keys"));
        }
    }
    broken
}

/// The statuses that the documents name for an operation; 0 is no answer.
fn statuses(op: &str) -> &'static [u16] {
    match op {
        "exchange" => &[0, 200, 400, 429, 503],
        "introspect" | "revoke-own" => &[0, 200, 400, 401, 429, 503],
        "verify" => &[0, 200, 401, 403, 429, 503],
        _ => &[0, 200, 201, 202, 204, 401, 403, 404, 409, 412, 422, 429, 503],
    }
}

/// I-15, O-05: only documented statuses and reasons; and an answer, but from a node that was killed, stopped or restarted meanwhile.
pub fn documented(case: &Case) -> Vec<String> {
    let mut broken = Vec::new();
    for event in case.events.iter().filter(|event| event.op != "fault") {
        // Of an answer without error, `reason` is what somebody wrote.
        let reason = if event.status >= 400 { text(&event.answer["reason"]) } else { "" };
        if !statuses(&event.op).contains(&event.status) || !(reason.is_empty() || case.reasons.contains(reason)) {
            broken.push(format!("{} was answered with {} {}", at(event), event.status, event.answer));
        }
        if event.status == 0 && !was_away(case, event) {
            broken.push(format!("{} was not answered, and the node was there", at(event)));
        }
    }
    broken
}

/// Whether a fault silenced the node during the request, or had before and the node had not answered anybody yet.
fn was_away(case: &Case, event: &Event) -> bool {
    let silences = |fault: &&Event| fault.op == "fault" && fault.node == event.node && fault.sent <= event.received;
    case.events.iter().filter(silences).any(|fault| {
        let answered = |other: &&Event| other.node == event.node && other.status != 0 && other.sent > fault.received;
        let back = case.events.iter().filter(answered).map(|other| other.received).min().unwrap_or(u64::MAX);
        event.sent <= back
    })
}
