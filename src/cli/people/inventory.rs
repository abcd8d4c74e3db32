//! Describes partners, integrations and the outcome of a cut in words.
//!
//! The record below them is printed as its author writes it, so that dates are dates. Times are in UTC.

use serde_json::Value;

use crate::cli::shell::answer::{cell, day, field, time};
use crate::cli::yaml;
use crate::domain::reason::Reason;
use crate::domain::record::{self, Record};
use crate::domain::value::clock::Timestamp;
use crate::http::console::briefing::who;

/// A partner: its state and its record.
pub fn partner(found: &Value) -> String {
    let mut text = field("partner", &format!("{}  {}", cell(found, "id"), cell(found, "state")));
    text += &effective(&found["effective"]);
    text += &suspended(found);
    text += &field("verified", &format!("until {}", day(&found["verification"])));
    text += &field("integrations", &cell(found, "integrations"));
    text += &common(found);
    text + &document(serde_json::from_value(found["record"].clone()).ok().map(Record::Partner))
}

/// An integration: its state, the reasons that it waits for, and its record.
pub fn integration(found: &Value) -> String {
    let mut text = field("integration", &format!("{}  {}", cell(found, "id"), cell(found, "state")));
    text += &effective(&found["effective"]);
    text += &suspended(found);
    for code in found["waitsFor"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text += &field("waits for", &format!("{code}: {}", Reason::find(code).map_or("", |reason| reason.what)));
    }
    let held = &found["held"];
    if held.is_object() {
        let approval = held["approval"].as_str().map_or_else(|| "its submission".to_owned(), |id| format!("approval {id}"));
        text += &field("change", &format!("one is held and waits for {approval}; the record below is in force"));
    }
    text += &common(found);
    for key in found["keys"].as_array().into_iter().flatten() {
        let what = if key["binding"].is_string() {
            format!("of {}, binding {}", cell(key, "issuer"), cell(key, "binding"))
        } else {
            format!("of certificate {}, which ends {}", cell(key, "certificate"), time(&key["ends"]))
        };
        let due = match (key["late"] == true, &key["due"]) {
            (_, Value::Null) => String::new(),
            (late, due) => format!("; {} {}", if late { "LATE since" } else { "due to change at" }, time(due)),
        };
        text += &field("key", &format!("in {} {what}, in use since {}{due}", cell(key, "environment"), time(&key["since"])));
    }
    text + &document(serde_json::from_value(found["record"].clone()).ok().map(Record::Integration))
}

fn common(found: &Value) -> String {
    let last = if found["lastUse"].is_null() { "never".to_owned() } else { time(&found["lastUse"]) };
    let ends = &found["endsNext"];
    let next = if ends.is_null() { "nothing".to_owned() } else { format!("{} {}", cell(ends, "what"), day(&ends["at"])) };
    field("last token", &last) + &field("ends next", &next) + &field("version", &cell(found, "version"))
}

/// A line for each suspension that is in force.
fn suspended(found: &Value) -> String {
    let line = |one: &Value| {
        let places: Vec<&str> = one["environments"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let place = if places.is_empty() { String::new() } else { format!("in {} ", places.join(", ")) };
        let (at, by, reason, id) = (time(&one["at"]), who(&one["by"]), cell(one, "reason"), cell(one, "id"));
        field("suspended", &format!("{place}at {at} by {by}: {reason} (suspension {id})"))
    };
    found["suspensions"].as_array().into_iter().flatten().map(line).collect()
}

/// A record, as its author writes it.
fn document(record: Option<Record>) -> String {
    record.map(|record| format!("\n{}", yaml::write(&record::document(&record)))).unwrap_or_default()
}

/// By environment, a line with the causes.
fn effective(effective: &Value) -> String {
    let mut text = String::new();
    for (environment, one) in effective.as_object().into_iter().flatten() {
        let causes: Vec<String> = one["causes"].as_array().into_iter().flatten().map(cause).collect();
        let first = if causes.is_empty() { "grants tokens".to_owned() } else { format!("refuses: {}", causes.join("; ")) };
        text += &field(environment, &first);
    }
    text
}

/// One cause in words: what refuses, since when, and which role lifts it.
fn cause(cause: &Value) -> String {
    let code = cell(cause, "reason");
    let what = match cause["subject"].as_str().and_then(|subject| subject.split_once(':')) {
        Some((kind, name)) => format!("{kind} {name} is revoked"),
        None => Reason::find(&code).map_or("-", |reason| reason.what).trim_end_matches('.').to_owned(),
    };
    let since = if cause["since"].is_null() { String::new() } else { format!(" since {}", time(&cause["since"])) };
    let until = if cause["until"].is_null() { String::new() } else { format!(" until {}", time(&cause["until"])) };
    let lifted = &cause["liftedBy"];
    let way = if lifted.is_object() {
        format!(", lifted by: {}, {}", cell(lifted, "action"), cell(lifted, "role"))
    } else {
        String::new()
    };
    format!("{what} ({code}{since}{until}{way})")
}

/// The same, short enough for a cell of a list.
pub fn now(item: &Value) -> String {
    let mut words: Vec<(String, Vec<String>)> = Vec::new();
    for (environment, one) in item["effective"].as_object().into_iter().flatten() {
        let reason = one["causes"][0]["reason"].as_str();
        let word = reason.map_or_else(|| "grants".to_owned(), |reason| format!("refuses ({reason})"));
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, places)) => places.push(environment.clone()),
            None => words.push((word, vec![environment.clone()])),
        }
    }
    match words.as_slice() {
        [] => "-".to_owned(),
        [(word, _)] => word.clone(),
        several => several.iter().map(|(word, places)| format!("{}: {word}", places.join(" "))).collect::<Vec<_>>().join("; "),
    }
}

/// A sentence about the tokens that a cut ended; `None` if the answer is not about a cut.
pub fn ended(outcome: &Value) -> Option<String> {
    let cut = outcome.get("cut")?;
    let last = outcome["lastExpires"].as_i64().and_then(Timestamp::from_seconds);
    Some(match (cut.as_u64(), last) {
        (None, _) => "what was issued is cut; how many living tokens that was could not be counted in time".to_owned(),
        (Some(0), _) | (Some(_), None) => "no token that it cuts was alive".to_owned(),
        (Some(1), Some(_)) => {
            format!("1 living token is cut; who only verifies it offline takes it until {}", time(&outcome["lastExpires"]))
        }
        (Some(cut), Some(_)) => format!(
            "{cut} living tokens are cut; who only verifies them offline takes the last until {}",
            time(&outcome["lastExpires"])
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_refuses_is_told_in_words() {
        let revoked = json!({"reason": "trust.revoked", "subject": "partner:globex", "since": 1_796_126_400,
            "liftedBy": {"action": "lift", "role": "security"}});
        let told = cause(&revoked);
        let wanted = "partner globex is revoked (trust.revoked since 2026-12-01 12:00:00 UTC, lifted by: lift, security)";
        assert_eq!(told, wanted);
        let mixed = json!({"effective": {"production": {"causes": [revoked]}, "sandbox": {"causes": []}}});
        assert_eq!(now(&mixed), "production: refuses (trust.revoked); sandbox: grants");
        assert_eq!(now(&json!({"effective": {"production": {"causes": []}, "sandbox": {"causes": []}}})), "grants");
    }

    #[test]
    fn a_cut_says_how_many_tokens_it_ended() {
        assert_eq!(ended(&json!({"approval": "x"})), None);
        assert!(ended(&json!({"cut": null})).is_some_and(|text| text.contains("could not be counted")));
        assert!(ended(&json!({"cut": 0, "lastExpires": null})).is_some_and(|text| text.starts_with("no token")));
        let three = ended(&json!({"cut": 3, "lastExpires": 1_796_126_400}));
        assert!(three.is_some_and(|text| text.starts_with("3 living") && text.ends_with("2026-12-01 12:00:00 UTC")));
    }
}
