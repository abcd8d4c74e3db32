//! Describes an approval for its approver in words: the same lines on the page and in the CLI.
//!
//! It reads an approval in the form of `GET /v1/approvals/{id}`. Every value is text that somebody wrote: the caller must
//! escape each line.

use serde_json::Value;

use super::briefing::{self, all, cell, day, some, time, who, words};
use crate::domain::reason::Reason;

/// The kind in words.
pub fn kind(one: &Value) -> &'static str {
    match one["kind"].as_str().unwrap_or_default() {
        "api" => "API, new or changed",
        "change" => "change of an active integration",
        "elevation" => "elevation",
        "guardrail" if one["removes"] == true => "removal of a guardrail",
        "guardrail" => "guardrail, new or changed",
        "enrolment" => "first certificate of a machine",
        "environment" => "end of an environment for everybody",
        "exception" => "end of a static secret at a partner",
        "integration" => "onboarding of an integration",
        "lift" => "end of a revocation",
        "partner" => "partner, new or changed",
        "resume" => "end of a suspension",
        "review" => "campaign of reviews",
        _ => "approval",
    }
}

/// The lines, each with a label.
pub fn lines(one: &Value) -> Vec<(&'static str, String)> {
    let mut lines = vec![("what", format!("{}: {}", kind(one), cell(one, "subject")))];
    lines.extend(exception(one));
    lines.extend(campaign(one));
    lines.extend(reviews(one));
    lines.extend(stopped(one));
    lines.extend(enrolment(one));
    lines.extend(integration(one));
    match (&one["applied"], &one["submitted"]) {
        (Value::Null, _) => lines.push(("asked", deed(&one["requestedBy"], &one["asked"], &one["reason"]))),
        (applied, submitted) => {
            lines.push(("applied", deed(&applied["by"], &applied["at"], &applied["reason"])));
            if !submitted.is_null() {
                lines.push(("submitted", deed(&submitted["by"], &submitted["at"], &submitted["reason"])));
            }
        }
    }
    lines.extend(all(&one["waitsFor"]).filter_map(Value::as_str).map(|code| ("waits for", because(code))));
    lines.push(("needs", needs(one)));
    lines.extend(all(&one["reviews"]).map(|review| {
        let (verdict, by, why) = (cell(review, "verdict"), who(&review["by"]), cell(review, "reason"));
        ("review", format!("{verdict} by {by} on {}: {why}", time(&review["at"])))
    }));
    lines.push(("version", cell(one, "version")));
    lines
}

/// The campaign of reviews that would start.
fn campaign(one: &Value) -> Vec<(&'static str, String)> {
    let campaign = &one["campaign"];
    if campaign.is_null() {
        return Vec::new();
    }
    let (select, silence) = (&campaign["select"], cell(campaign, "onSilence"));
    let of = |name: &str| select[name].as_str().map(|value| format!("{name} {value}"));
    let named: Vec<String> = ["partner", "risk"].into_iter().filter_map(of).collect();
    let covers = if named.is_empty() { "everything".to_owned() } else { named.join(", ") };
    vec![
        ("covers", format!("{covers}: {} environments now", cell(campaign, "covers"))),
        ("due", time(&campaign["due"])),
        ("on silence", if silence == "suspend" { "nothing is issued after the due date".to_owned() } else { silence }),
    ]
}

/// The reviews that a version waits for.
fn reviews(one: &Value) -> Vec<(&'static str, String)> {
    let line = |one: &Value| ("needs review", format!("{} ({})", cell(one, "environment"), cell(one, "review")));
    all(&one["reviewsNeeded"]).map(line).collect()
}

/// The static secret that would be closed.
fn exception(one: &Value) -> Vec<(&'static str, String)> {
    let secret = &one["exception"];
    if secret.is_null() {
        return Vec::new();
    }
    let until = format!("{}, extended {} times", day(&secret["ends"]), cell(secret, "extensions"));
    vec![
        ("secret", cell(secret, "what")),
        ("limited by", cell(secret, "control")),
        ("owner", cell(secret, "owner")),
        ("until", until),
    ]
}

/// The changes of the record with their weights; empty if there is no record, or it is in force.
pub fn differences(one: &Value) -> Vec<(String, String, String)> {
    let change = |one: &Value| match (one["from"].as_str(), one["to"].as_str()) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (Some(from), None) => format!("- {from}"),
        (None, Some(to)) => format!("+ {to}"),
        (None, None) => String::new(),
    };
    all(&one["differences"]).map(|one| (cell(one, "weight"), cell(one, "at"), change(one))).collect()
}

/// The findings of `plan` about the record.
pub fn findings(one: &Value) -> Vec<String> {
    all(&one["warnings"])
        .map(|one| {
            format!("{} at {}: {} ({})", cell(one, "severity"), cell(one, "at"), cell(one, "message"), cell(one, "reason"))
        })
        .collect()
}

/// The sentence that will be recorded.
pub fn sentence(one: &Value, approves: bool) -> String {
    let subject = cell(one, "subject");
    let (does, does_not) = match one["kind"].as_str().unwrap_or_default() {
        "enrolment" => ("lets one machine get a certificate for", "lets no machine get a certificate for"),
        "environment" => ("closes for everybody", "does not close"),
        "exception" => ("agrees that the static secret is gone, of", "does not agree that the static secret is gone, of"),
        "guardrail" if one["removes"] == true => ("agrees to remove", "does not agree to remove"),
        "lift" => ("lets exchanges in again through", "goes on refusing exchanges through"),
        "resume" => ("resumes", "does not resume"),
        "review" => ("starts the reviews of", "does not start the reviews of"),
        _ => ("agrees to this version of", "does not agree to this version of"),
    };
    format!("on record: {} {subject}", if approves { does } else { does_not })
}

/// The next step in its present state.
pub fn next(one: &Value) -> String {
    if one["kind"] == "elevation" {
        return briefing::next(one);
    }
    let open = some(words(&one["openSlots"]), "nobody", " and ");
    match (one["state"].as_str().unwrap_or_default(), one["kind"].as_str().unwrap_or_default()) {
        ("pending", _) => format!("Nothing changes yet: {open} has still to approve, by {}.", time(&one["expires"])),
        ("denied", _) => "Nothing changes. It can be asked for again.".to_owned(),
        ("expired", _) => "Nobody answered in time, so nothing changes. It can be asked for again.".to_owned(),
        ("withdrawn", _) => "It was replaced by a newer one, which waits in the queue.".to_owned(),
        ("approved", "enrolment") => "The enrolment token works now, once, for ten minutes.".to_owned(),
        ("approved", "environment") => "It is closed, and never opens again. What was issued there is cut.".to_owned(),
        ("approved", "exception") => "It is closed: it refuses nothing, and may leave the record.".to_owned(),
        ("approved", "guardrail") if one["record"].is_null() => "It was removed or replaced.".to_owned(),
        ("approved", "lift") => "New tokens can be had again. Tokens that were cut do not come back.".to_owned(),
        ("approved", "resume") => {
            "These suspensions are lifted, and no other. Tokens that were cut do not come back.".to_owned()
        }
        ("approved", "review") => "Its reviews are open.".to_owned(),
        ("approved", _) if all(&one["waitsFor"]).next().is_some() => {
            "It comes into force by itself when what it waits for is there.".to_owned()
        }
        ("approved", _) => "This version is in force.".to_owned(),
        _ => String::new(),
    }
}

/// The people who may decide, and those who may not.
pub fn needs(one: &Value) -> String {
    let open = some(words(&one["openSlots"]), "nobody", " and ");
    let barred = barred(one);
    let not = if barred.is_empty() { String::new() } else { format!(", not {}", barred.join(" or ")) };
    let another = if words(&one["openSlots"]).len() > 1 { ", two people" } else { "" };
    format!("{open}{another}{not}; unanswered it is denied at {}", time(&one["expires"]))
}

/// The people who may not decide, each once: who applied a version often also submitted it.
pub fn barred(one: &Value) -> Vec<String> {
    let mut barred: Vec<String> = Vec::new();
    for person in all(&one["barred"]).map(who) {
        if !barred.contains(&person) {
            barred.push(person);
        }
    }
    barred
}

fn stopped(one: &Value) -> Vec<(&'static str, String)> {
    if one["suspensions"].is_array() {
        return all(&one["suspensions"]).map(|suspension| ("stopped", suspended(one, suspension))).collect();
    }
    let stopped = &one["stopped"];
    if stopped.is_null() {
        return Vec::new();
    }
    let only = if stopped["tokensOnly"] == true { ", of issued tokens alone" } else { "" };
    let what = format!("{} of {}{only}", cell(stopped, "how"), cell(stopped, "subject"));
    vec![("stopped", format!("{what}, {}", deed(&stopped["by"], &stopped["at"], &stopped["reason"])))]
}

fn suspended(one: &Value, suspension: &Value) -> String {
    let places = words(&suspension["environments"]);
    let place = if places.is_empty() { String::new() } else { format!(" in {}", places.join(" and ")) };
    let deed = deed(&suspension["by"], &suspension["at"], &suspension["reason"]);
    format!("suspension of {}{place}, {deed}", cell(one, "subject"))
}

fn enrolment(one: &Value) -> Vec<(&'static str, String)> {
    let enrolment = &one["enrolment"];
    if enrolment.is_null() {
        return Vec::new();
    }
    let whom = format!("{} in {}", cell(enrolment, "integration"), cell(enrolment, "environment"));
    let life = (cell(enrolment, "usableFor"), cell(enrolment, "certificateLife"));
    vec![
        ("machine", format!("one machine of {whom}, as {}", cell(enrolment, "spiffeId"))),
        ("gets", format!("a token for one enrolment within {}, then certificates of {} that it renews itself", life.0, life.1)),
    ]
}

fn integration(one: &Value) -> Vec<(&'static str, String)> {
    let about = &one["integration"];
    if about.is_null() {
        return Vec::new();
    }
    let owner = |kind: &str| cell(&about["owners"], kind);
    vec![
        ("for", format!("{}: {}", cell(about, "id"), cell(about, "purpose"))),
        ("owners", format!("{} (business), {} (application)", owner("business"), owner("application"))),
        ("contract", format!("{} until {}", cell(&about["contract"], "ref"), day(&about["contract"]["ends"]))),
    ]
}

/// An action in words: by whom, when and why.
fn deed(by: &Value, at: &Value, why: &Value) -> String {
    format!("by {} on {}: {}", who(by), time(at), why.as_str().unwrap_or("no reason was given"))
}

/// A reason in words, with its code.
fn because(code: &str) -> String {
    Reason::find(code).map_or_else(|| code.to_owned(), |reason| format!("{} ({code})", reason.what))
}
