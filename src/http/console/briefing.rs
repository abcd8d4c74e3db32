//! Describes an elevation for its approver in words: the same lines on the page and in the CLI.
//!
//! See docs/how-to/govern/approve.md. It reads an elevation in the form of `GET /v1/elevations/{id}`. Every value is text
//! that somebody wrote: the caller must escape each line.

use serde_json::Value;

use crate::broker::unsealed::ERASED;
use crate::domain::value::clock::{Seconds, Timestamp};

/// The sentence for each flag.
const FLAGS: [(&str, &str); 7] = [
    ("break-glass", "It began without an approval."),
    ("high-risk", "A scope of it is of high risk."),
    ("first-for-scope", "This integration never had it before."),
    ("new-requester", "Who asks has not asked before."),
    ("contract-ends-soon", "The contract ends within 30 days."),
    ("others-running", "Another elevation of this integration runs, or will."),
    ("whole-api", "It is not limited to endpoints."),
];

/// The lines, each with a label.
pub fn lines(one: &Value) -> Vec<(&'static str, String)> {
    let seen = &one["briefing"];
    let mut lines = vec![("who", who_asks(one)), ("for", purpose(one)), ("owners", owners(seen))];
    lines.extend(all(&seen["asked"]).map(|asked| ("scope", scope(one, asked))));
    if all(&one["allow"]).next().is_some() {
        lines.push(("only", cell(one, "allow")));
    }
    let has = all(&seen["standing"]).map(|rule| rule["scope"].as_str().map_or_else(|| rule.to_string(), str::to_owned));
    lines.push(("has now", some(has.collect(), "nothing at this API", " ")));
    lines.push(("data", some(words(&seen["dataClasses"]), "no class of data is named", ", ")));
    lines.push(("how long", how_long(one)));
    lines.push(("why", format!("{}  ticket {}", said(one, "reason"), cell(one, "ticket"))));
    if let Some(state) = one["ticketState"].as_str() {
        lines.push(("ticket", state.to_owned()));
    }
    let (contract, ends, verified) = (cell(seen, "contract"), day(&seen["contractEnds"]), day(&seen["partnerVerified"]));
    lines.push(("contract", format!("{contract} until {ends}; partner verified until {verified}")));
    lines.push(("running", requests(&seen["running"])));
    lines.push(("before", requests(&seen["precedents"])));
    lines.extend(usual(&seen["usual"]));
    let needs = all(&one["needs"]).map(demand).collect();
    lines.push(("needs", format!("{}; unanswered it is denied at {}", some(needs, "nobody", ", and "), time(&one["expires"]))));
    lines.extend(all(&one["reviews"]).map(|review| {
        let (verdict, by, why) = (cell(review, "verdict"), who(&review["by"]), said(review, "reason"));
        let signed = if review["signed"] == true { ", signed" } else { "" };
        ("review", format!("{verdict} by {by}{signed}: {why}"))
    }));
    lines
}

/// The sentences for the flags.
pub fn flags(one: &Value) -> Vec<String> {
    let flags = words(&one["briefing"]["flags"]);
    let say = |flag: &String| {
        FLAGS.iter().find(|(code, _)| code == flag).map_or_else(|| flag.clone(), |(_, says)| (*says).to_owned())
    };
    flags.iter().map(say).collect()
}

/// The sentence that will be recorded.
pub fn sentence(one: &Value, approves: bool) -> String {
    format!(
        "on record: {} {} have {} at {} in {} for {}",
        if approves { "lets" } else { "does not let" },
        cell(one, "integration"),
        cell(one, "scopes"),
        cell(one, "api"),
        cell(one, "environment"),
        cell(one, "duration")
    )
}

/// The next step in its present state.
pub fn next(one: &Value) -> String {
    let open = some(all(&one["open"]).map(demand).collect(), "nobody", ", and ");
    let when = || format!("from {} to {}", time(&one["starts"]), time(&one["ends"]));
    match one["state"].as_str().unwrap_or_default() {
        "active" | "approved" if !one["ended"].is_null() => "It was ended; what was issued under it is cut.".to_owned(),
        "active" | "approved" => {
            format!("It runs {}: a token that the workload asks for in that time can carry the scope.", when())
        }
        "pending" if one["ends"].is_null() => {
            format!("Nothing is given yet: {open} has still to agree, by {}.", time(&one["expires"]))
        }
        "pending" => format!("It began without anybody, {}, and waits for a look at it: {open}.", when()),
        "denied" => "Nothing is given. It can be asked for again.".to_owned(),
        "ended" => "It is over; what was issued under it is cut or has expired.".to_owned(),
        "expired" => "Nobody answered in time, so nothing is given. It can be asked for again.".to_owned(),
        "withdrawn" => "It was taken back before anybody decided.".to_owned(),
        _ => String::new(),
    }
}

/// A person's name or id, or the name of another actor.
pub fn who(actor: &Value) -> String {
    let named = ["name", "id", "integration"].iter().find_map(|name| actor[*name].as_str());
    named.or_else(|| actor.as_str()).unwrap_or("-").to_owned()
}

/// A required approval in words.
pub fn demand(demand: &Value) -> String {
    let of = demand["role"].as_str().map_or_else(|| cell(demand, "people"), |role| format!("role {role}"));
    let fallback = &demand["fallback"];
    let stands_in = if fallback.is_null() {
        String::new()
    } else {
        format!(", after {} also role {}", cell(fallback, "after"), cell(fallback, "role"))
    };
    format!("{} of {of}{stands_in}", demand["count"])
}

fn who_asks(one: &Value) -> String {
    let by = who(&one["requestedBy"]);
    match (one["binding"].as_str(), one["briefing"]["issuer"].as_str()) {
        (Some(binding), Some(issuer)) => format!("{by}, by its own proof: binding {binding}, issuer {issuer}"),
        (Some(binding), None) => format!("{by}, by its own proof: binding {binding}"),
        _ => format!("{by}, signed in"),
    }
}

fn purpose(one: &Value) -> String {
    format!("{} in {}: {}", cell(one, "integration"), cell(one, "environment"), said(&one["briefing"], "purpose"))
}

fn owners(seen: &Value) -> String {
    let owner = |kind: &str| said(&seen["owners"], kind);
    format!("{} (business), {} (application)", owner("business"), owner("application"))
}

fn scope(one: &Value, asked: &Value) -> String {
    let allow = some(words(&asked["allow"]), "the whole API", ", ");
    let (scope, api, meaning, risk) = (cell(asked, "scope"), cell(one, "api"), cell(asked, "meaning"), cell(asked, "risk"));
    format!("{scope} at {api}: {meaning} (risk {risk}; {allow}; at most {})", span(&asked["max"]))
}

fn how_long(one: &Value) -> String {
    let (duration, asked) = (cell(one, "duration"), cell(&one["asked"], "duration"));
    let (starts, ends) = (&one["starts"], &one["ends"]);
    let when = match (starts.is_null(), ends.is_null()) {
        (true, _) => "from its approval on".to_owned(),
        (false, true) => format!("from {}, or its approval if that is later", time(starts)),
        (false, false) => format!("from {} to {}", time(starts), time(ends)),
    };
    format!("{duration} (asked for {asked}), {when}")
}

fn usual(usual: &Value) -> Vec<(&'static str, String)> {
    let refusals = all(&usual["lastRefusals"]).map(|one| format!("{} ({})", cell(one, "reason"), time(&one["at"])));
    // An answer to a decision does not count the tokens; then this line is left out.
    let mut lines: Vec<_> = usual["tokensByDay"].as_array().map(|_| ("calls", calls(usual))).into_iter().collect();
    lines.extend([("last token", time(&usual["lastToken"])), ("refused", some(refusals.collect(), "not lately", ", "))]);
    lines
}

/// The tokens of the last days, as a row of bars and in numbers.
fn calls(usual: &Value) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    // Days that are not fully known are null. They come before the others.
    let days: Vec<u64> = all(&usual["tokensByDay"]).filter_map(Value::as_u64).collect();
    let (sum, most) = (days.iter().sum::<u64>(), days.iter().copied().max().unwrap_or(0));
    let last = match days.len() {
        0 => return "not known: older entries have left the database".to_owned(),
        1 => "today".to_owned(),
        some => format!("in the last {some} days"),
    };
    if sum == 0 {
        return format!("no token {last}");
    }
    // Zero is the lowest bar, and every other number is above it.
    let bar = |day: &u64| BARS[usize::try_from((day * 7).div_ceil(most)).unwrap_or(0).min(7)];
    let today = days.last().copied().unwrap_or(0);
    format!("{} {sum} tokens {last}, {most} on the busiest, {today} today", days.iter().map(bar).collect::<String>())
}

fn requests(list: &Value) -> String {
    let one = |item: &Value| format!("{} {} ({})", cell(item, "id"), cell(item, "state"), time(&item["asked"]));
    some(all(list).map(one).collect(), "none", ", ")
}

pub(super) fn all(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub(super) fn words(list: &Value) -> Vec<String> {
    all(list).filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn some(list: Vec<String>, nothing: &str, between: &str) -> String {
    if list.is_empty() { nothing.to_owned() } else { list.join(between) }
}

/// A member as text, or a dash if it is absent.
pub(super) fn cell(one: &Value, name: &str) -> String {
    match &one[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        list @ Value::Array(_) => some(words(list), "-", ", "),
        other => other.to_string(),
    }
}

/// A text that somebody wrote. It is always required, so if it is absent it was erased.
fn said(one: &Value, name: &str) -> String {
    one[name].as_str().unwrap_or(ERASED).to_owned()
}

/// A time for people: to the minute, in UTC.
pub(super) fn time(value: &Value) -> String {
    let text = value.as_i64().and_then(|seconds| Timestamp::from_seconds(seconds).map(|time| time.to_string()));
    let text = text.or_else(|| value.as_str().map(str::to_owned));
    text.map_or_else(|| "-".to_owned(), |text| text.get(..16).map_or(text.clone(), |start| start.replace('T', " ") + " UTC"))
}

/// An end of a record: its last day, as the record writes it.
pub(super) fn day(value: &Value) -> String {
    let end = value.as_i64().and_then(Timestamp::from_seconds);
    end.filter(|end| end.last_day().len() == "2027-11-30".len()).map_or_else(|| time(value), Timestamp::last_day)
}

fn span(seconds: &Value) -> String {
    let seconds = seconds.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    seconds.map_or_else(|| "-".to_owned(), |seconds| Seconds(seconds).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_that_are_not_known_are_not_shown_as_idle() {
        let shown = |days: Vec<Option<u64>>| calls(&json!({"tokensByDay": days}));
        let of = |unknown: usize, known: &[u64]| {
            shown(vec![None; unknown].into_iter().chain(known.iter().copied().map(Some)).collect())
        };
        assert_eq!(of(0, &[0; 30]), "no token in the last 30 days");
        assert_eq!(of(27, &[0, 4, 1]), "▁█▃ 5 tokens in the last 3 days, 4 on the busiest, 1 today");
        assert_eq!(of(28, &[0, 0]), "no token in the last 2 days");
        assert_eq!(of(29, &[0]), "no token today");
        assert_eq!(of(30, &[]), "not known: older entries have left the database");
    }
}
