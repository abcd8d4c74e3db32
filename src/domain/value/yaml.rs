//! JSON values as YAML: `-o yaml`, `partner export` and the record that an approver sees. Writing only; `record` reads.

use serde_json::Value;

use super::text::misleads;

/// A value as a block of YAML. Texts stand bare only where no reader of YAML 1.1 or 1.2 could take them for something else;
/// otherwise as JSON strings, which are YAML too.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => members_of(members, 0, false, &mut out),
        Value::Array(items) if !items.is_empty() => items_of(items, 0, &mut out),
        leaf => {
            out.push_str(&scalar(leaf));
            out.push('\n');
        }
    }
    out
}

fn members_of(members: &serde_json::Map<String, Value>, depth: usize, inline: bool, out: &mut String) {
    for (i, (name, value)) in members.iter().enumerate() {
        if i > 0 || !inline {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&text(name));
        out.push(':');
        below(value, depth, out);
    }
}

fn items_of(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        out.push_str(&"  ".repeat(depth));
        out.push('-');
        match item {
            Value::Object(members) if !members.is_empty() => {
                out.push(' ');
                members_of(members, depth + 1, true, out);
            }
            other => below(other, depth, out),
        }
    }
}

fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            members_of(members, depth + 1, false, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            items_of(items, depth + 1, out);
        }
        Value::String(text) if is_block(text) => {
            out.push_str(" |-\n");
            for line in text.lines() {
                if !line.is_empty() {
                    out.push_str(&"  ".repeat(depth + 1));
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        leaf => {
            out.push(' ');
            out.push_str(&scalar(leaf));
            out.push('\n');
        }
    }
}

/// Whether a text of several lines can stand as a literal block, in which a reader sees it as it is.
///
/// The indentation of its first line would be taken for that of the block, and line ends at its end would be lost.
fn is_block(text: &str) -> bool {
    let hides = |c: char| misleads(c) && c != '\n' && c != '\t';
    text.contains('\n') && !text.starts_with([' ', '\t', '\n']) && !text.ends_with('\n') && !text.chars().any(hides)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn text(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    // JSON leaves in place what hides or reorders text on a screen; in a quoted scalar an escape says the same (ABUSE L-05).
    let mut quoted = String::with_capacity(value.len() + 2);
    for c in Value::from(value).to_string().chars() {
        match u32::from(c) {
            code if misleads(c) && code > 0xffff => quoted.push_str(&format!("\\U{code:08x}")),
            code if misleads(c) => quoted.push_str(&format!("\\u{code:04x}")),
            _ => quoted.push(c),
        }
    }
    quoted
}

/// Words that readers of YAML 1.1 take for booleans or null.
const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"];

fn is_plain(value: &str) -> bool {
    let first = value.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let rest = value.chars().all(|c| c.is_ascii_alphanumeric() || " -_./:@+".contains(c));
    let joined = !value.contains(": ") && !value.ends_with(':') && !value.ends_with(' ');
    first && rest && joined && !WORDS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_blocks() {
        let value = json!({"empty": {}, "items": [{"id": 1, "on": true}, "x", [], ["y"]], "name": "globex", "none": null});
        let wanted =
            "empty: {}\nitems:\n  - id: 1\n    \"on\": true\n  - x\n  - []\n  -\n    - \"y\"\nname: globex\nnone: null\n";
        assert_eq!(write(&value), wanted);
    }

    #[test]
    fn what_hides_or_reorders_text_is_escaped_and_read_back() {
        let written = write(&json!("a\u{202e}b\u{200b}\u{7f}\u{85}"));
        assert_eq!(written, "\"a\\u202eb\\u200b\\u007f\\u0085\"\n");
        assert_eq!(serde_json::from_str::<Value>(&written).expect("a JSON string"), "a\u{202e}b\u{200b}\u{7f}\u{85}");
        // Beyond the basic plane YAML has an escape of eight digits (YAML 1.2 section 5.7).
        assert_eq!(write(&json!("a\u{e0041}")), "\"a\\U000e0041\"\n");
    }

    #[test]
    fn texts_that_look_like_something_else_are_quoted() {
        for odd in ["no", "1.0", "", " x", "a: b", "- x", "#", "a #b", "x:", "0x1", "\u{1b}", "é", "true", "{a}"] {
            assert!(write(&json!(odd)).starts_with('"'), "{odd}");
        }
        for plain in ["globex/order-sync", "https://a.example/x", "orders:read", "GET /v1/orders", "refs/heads/main"] {
            assert_eq!(write(&json!(plain)), format!("{plain}\n"));
        }
    }
}
