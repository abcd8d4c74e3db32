//! A plan as people read it: on a terminal, and as Markdown in a pull request.
//!
//! Markdown is text of others that a program renders. What a record brings comes out as it is and never as Markdown, HTML, a link or a
//! mention: whoever may write a record could otherwise hide a line of the plan from those who review it (ABUSE L-05).

use serde_json::Value;

use crate::cli::shell::answer::{cell, one_line, time};

/// The most characters of one value in Markdown: a comment has a bound of its own.
const LONGEST: usize = 300;

/// The items of a plan.
pub fn items(plan: &Value) -> &[Value] {
    plan.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The differences for people, riskiest first (docs/how-to/govern/records.md).
pub fn diff(plan: &Value) -> String {
    let mut text = String::new();
    let mut widenings = 0;
    for item in items(plan) {
        let sign = match cell(item, "action").as_str() {
            "unchanged" => "=",
            "draft" => "+",
            _ => "~",
        };
        text += &format!("{sign} {} {}  {}\n", cell(item, "kind"), cell(item, "subject"), meaning(item));
        for difference in item.get("differences").and_then(Value::as_array).into_iter().flatten() {
            let weight = cell(difference, "weight");
            widenings += usize::from(weight == "WIDENS");
            let change = change(difference);
            text += &format!("    {weight:<8} {}  {change}\n", cell(difference, "at"));
            if let Some(sentence) = difference.pointer("/gains/sentence").and_then(Value::as_str) {
                text += &format!("             {sentence}\n");
            }
        }
        text += &effects(item, "    ");
    }
    if let Some(refuses) = plan.get("refuses").and_then(Value::as_u64) {
        let unknown = plan.get("unknown").and_then(Value::as_u64).unwrap_or_default();
        text += &format!("guardrails would have refused {refuses} tokens of the last 30 days (of {unknown} that is unknown)\n");
        let said = [("refuses", refuses), ("unknown", unknown)].into_iter().filter(|(_, number)| *number > 0);
        let said: Vec<String> = said.map(|(name, number)| format!("--{name} {number}")).collect();
        if !said.is_empty() {
            text += &format!("  an apply says so: {}\n", said.join(" "));
        }
    }
    for warning in plan.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        text += &format!("warning  {}: {}\n", cell(warning, "at"), cell(warning, "message"));
    }
    if items(plan).len() > 1 {
        text += &effects(plan, "in all: ");
    }
    let records = items(plan).len();
    let changed = items(plan).iter().filter(|item| cell(item, "action") != "unchanged").count();
    text + &format!("{records} records · {changed} to change · {widenings} widenings · plan id {}\n", cell(plan, "id"))
}

/// The values of a difference, before and after.
pub fn change(difference: &Value) -> String {
    match (difference.get("from").and_then(Value::as_str), difference.get("to").and_then(Value::as_str)) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (Some(from), None) => format!("- {from}"),
        (None, Some(to)) => format!("+ {to}"),
        (None, None) => String::new(),
    }
}

/// The tokens that it cuts and the requests that it turns, if there are any.
fn effects(of: &Value, indent: &str) -> String {
    let mut text = String::new();
    if let Some(cuts) = of["cuts"].as_u64().filter(|cuts| *cuts > 0) {
        text += &format!("{indent}cuts {cuts} living {}\n", if cuts == 1 { "token" } else { "tokens" });
    }
    let replay = &of["replay"];
    let number = |name: &str| replay[name].as_u64().unwrap_or_default();
    let (refused, granted, unknown) = (number("refused"), number("granted"), number("unknown"));
    if refused + granted + unknown > 0 {
        text += &format!(
            "{indent}of the last 30 days: {refused} issued would be refused, {granted} refused would be granted, {unknown} unknown\n"
        );
    }
    for row in replay["reasons"].as_array().into_iter().flatten() {
        let (outcome, reason, count) = (cell(row, "outcome"), cell(row, "reason"), cell(row, "count"));
        let (first, last) = (time(&row["first"]), time(&row["last"]));
        text += &format!("      {outcome:<8} {count:>6}  {reason}  {first} to {last}\n");
    }
    if replay["complete"] == false {
        text += &format!("{indent}some requests of that time could not be looked at\n");
    }
    text
}

fn meaning(item: &Value) -> String {
    let action = cell(item, "action");
    match action.as_str() {
        "draft" => "draft: not in force until it is approved",
        "hold" if is_new(item) => "held: it comes into force when it is approved",
        "hold" => "held: the version in force stays until this one is approved",
        "narrow" => "narrower: in force at once",
        "put-back" => "back to shadow: it decides nothing any more, at once",
        other => other,
    }
    .to_owned()
}

fn is_new(item: &Value) -> bool {
    item["inForce"] == false
}

/// A plan as Markdown, for a pull request.
pub fn markdown(plan: &Value) -> String {
    let records = items(plan).len();
    let changed = items(plan).iter().filter(|item| cell(item, "action") != "unchanged").count();
    let widenings = differences(plan).filter(|difference| cell(difference, "weight") == "WIDENS").count();
    let mut text = format!("### Carnet: {records} records, {changed} to change, {widenings} widenings\n\n");
    if changed > 0 {
        text += "| Record | Outcome | Tokens cut | Issued that would be refused | Refused that would be granted | Unknown |\n";
        text += "|---|---|--:|--:|--:|--:|\n";
        for item in items(plan).iter().filter(|item| cell(item, "action") != "unchanged") {
            let name = literal(&format!("{} {}", cell(item, "kind"), cell(item, "subject")));
            text += &format!("| {name} | {} | {} |\n", meaning(item), numbers(item));
        }
        text += &format!("| **In all** | | {} |\n\n", numbers(plan));
    }
    for item in items(plan) {
        text += &item_markdown(item);
    }
    if let Some(refuses) = plan.get("refuses").and_then(Value::as_u64) {
        let unknown = plan.get("unknown").and_then(Value::as_u64).unwrap_or_default();
        text +=
            &format!("Guardrails would have refused {refuses} tokens of the last 30 days; of {unknown} that is unknown.\n\n");
    }
    if plan.pointer("/replay/complete").is_some_and(|complete| complete == false) {
        text += "Some requests of the last 30 days could not be looked at.\n\n";
    }
    let warnings: Vec<&Value> = plan.get("warnings").and_then(Value::as_array).into_iter().flatten().collect();
    for warning in &warnings {
        text += &format!("- warning: {} {}\n", literal(&cell(warning, "at")), literal(&cell(warning, "message")));
    }
    if !warnings.is_empty() {
        text.push('\n');
    }
    text + &format!("Plan {}\n", literal(&cell(plan, "id")))
}

fn differences(plan: &Value) -> impl Iterator<Item = &Value> {
    items(plan).iter().flat_map(|item| item.get("differences").and_then(Value::as_array).into_iter().flatten())
}

/// The numbers of a row.
fn numbers(of: &Value) -> String {
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let replay = &of["replay"];
    [&of["cuts"], &replay["refused"], &replay["granted"], &replay["unknown"]].map(number).join(" | ")
}

fn item_markdown(item: &Value) -> String {
    let differences: Vec<&Value> = item.get("differences").and_then(Value::as_array).into_iter().flatten().collect();
    if differences.is_empty() {
        return String::new();
    }
    let mut text = format!("#### {}\n\n", literal(&format!("{} {}", cell(item, "kind"), cell(item, "subject"))));
    text += "| Risk | Field | Before | After |\n|---|---|---|---|\n";
    for difference in &differences {
        let weight = cell(difference, "weight");
        let weight = if matches!(weight.as_str(), "WIDENS" | "EXPIRES") { format!("**{weight}**") } else { weight };
        let value = |name: &str| difference.get(name).and_then(Value::as_str).map(literal).unwrap_or_default();
        text += &format!("| {weight} | {} | {} | {} |\n", value("at"), value("from"), value("to"));
    }
    text.push('\n');
    let gains = differences.iter().filter_map(|difference| difference.pointer("/gains/sentence").and_then(Value::as_str));
    let gains: Vec<String> = gains.map(|sentence| format!("- {}\n", literal(sentence))).collect();
    if !gains.is_empty() {
        text += &format!("Who gains what:\n\n{}\n", gains.concat());
    }
    let rows: Vec<String> = item["replay"]["reasons"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        text += "| Last 30 days | Requests | Reason | First | Last |\n|---|--:|---|---|---|\n";
        text += &format!("{}\n", rows.concat());
    }
    text
}

fn row(row: &Value) -> String {
    let (outcome, count, reason) = (cell(row, "outcome"), cell(row, "count"), literal(&cell(row, "reason")));
    format!("| {outcome} | {count} | {reason} | {} | {} |\n", time(&row["first"]), time(&row["last"]))
}

/// A text of others in Markdown, as it is: on one line, as code, each character that could mean something spelled as an entity.
///
/// Between `<code>` and `</code>` nothing is made a mention, a link or an emoji.
pub fn literal(text: &str) -> String {
    let line = one_line(text);
    let shown: String = line.chars().take(LONGEST).collect();
    let mut literal = String::with_capacity(shown.len() + 16);
    let mut before = String::new();
    let mut rest = shown.chars().peekable();
    while let Some(c) = rest.next() {
        // Within a word it means nothing, and names have it.
        let inside =
            c == '_' && before.ends_with(char::is_alphanumeric) && rest.peek().is_some_and(|next| next.is_alphanumeric());
        let link = c == '.' && before.to_ascii_lowercase().ends_with("www");
        let word = before.to_ascii_lowercase();
        let scheme = c == ':' && ["http", "https", "ftp", "mailto", "xmpp"].iter().any(|scheme| word.ends_with(scheme));
        if link || scheme || !inside && "&<>|\\`*_[]~!#@${}\"'".contains(c) {
            literal += &format!("&#{};", u32::from(c));
        } else {
            literal.push(c);
        }
        before.push(c);
    }
    let more = if line.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("<code>{literal}{more}</code>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_told_with_its_weights_and_its_id() {
        let plan = json!({"id": "plan_1", "warnings": [], "items": [
            {"kind": "Integration", "subject": "globex/order-sync", "action": "hold", "differences": [
                {"at": "environments.production.limits.ttl", "from": "5m", "to": "10m", "weight": "WIDENS"},
                {"at": "environments.production.scopes.orders-api", "from": "orders:write", "to": null, "weight": "narrows"},
            ]},
            {"kind": "Partner", "subject": "globex", "action": "unchanged", "differences": []},
        ]});
        let wanted = "~ Integration globex/order-sync  held: the version in force stays until this one is approved\n    \
                      WIDENS   environments.production.limits.ttl  5m → 10m\n    \
                      narrows  environments.production.scopes.orders-api  - orders:write\n= Partner globex  unchanged\n\
                      2 records · 1 to change · 1 widenings · plan id plan_1\n";
        assert_eq!(diff(&plan), wanted);
    }

    /// L-05: nothing that a record brings ends a cell, a line or an element, or becomes a link or a mention.
    #[test]
    fn l_05_text_of_others_is_no_markdown() {
        let texts = [
            "a|b",
            "a\\|b",
            "`x` ``",
            "one\n\n# two\r\n| three |",
            "<script>alert(1)</script></code><!--",
            "[click](https://evil.example) ![i](http://x) www.evil.example mailto:a@b @everyone #1 :+1: $x$",
            "&lt;&#124;",
            "\u{202e}right",
        ];
        for text in texts {
            let shown = literal(text);
            let inner = shown.strip_prefix("<code>").and_then(|rest| rest.strip_suffix("</code>")).expect("code");
            assert!(
                !inner.contains(['<', '>', '|', '`', '\\', '\n', '\r', '[', ']', '*', '@', '!', '$', '\u{202e}']),
                "{shown}"
            );
            assert!(
                !inner.contains("http:") && !inner.contains("https:") && !inner.contains("www.") && !inner.contains("mailto:"),
                "{shown}"
            );
            assert!(inner.split('&').skip(1).all(|rest| rest.starts_with('#') && rest.contains(';')), "{shown}");
            let plan = json!({"id": text, "warnings": [{"at": text, "message": text}], "items": [{
                "kind": "Integration", "subject": text, "action": "hold", "cuts": 2,
                "replay": {"refused": 1, "granted": 0, "unknown": 3, "complete": true, "reasons": [
                    {"outcome": "refused", "reason": text, "count": 1, "first": 0, "last": 0}]},
                "differences": [{"at": text, "from": text, "to": text, "weight": "WIDENS", "gains": {"sentence": text}}]}]});
            let told = markdown(&plan);
            let lines: Vec<&str> = told.lines().collect();
            assert_eq!(lines.len(), 24, "{told}");
            let columns = |line: &&str| line.matches('|').count();
            assert_eq!(lines.iter().map(columns).sum::<usize>(), 4 * 7 + 3 * 5 + 3 * 6, "{told}");
            assert!(told.contains("| 2 | 1 | 0 | 3 |"), "{told}");
        }
        let long = literal(&"x".repeat(400));
        assert!(long.ends_with("x…</code>") && long.chars().count() == 300 + 1 + 13, "{long}");
    }
}
