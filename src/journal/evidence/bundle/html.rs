//! Values of JSON as HTML: a page that stands alone, for reading and printing.
//!
//! No script, no picture, nothing from elsewhere. Everything is escaped, and characters that hide or reorder text stand as escapes, so that a
//! text says no more than its words.

use serde_json::{Map, Number, Value};

use super::texts::{Texts, pieces};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::visible;

/// Rows of the longest table. More are in the data.
pub(super) const MOST_ROWS: usize = 500;

/// Values inside of others, deeper than which they are shown as JSON.
const DEEPEST: usize = 6;

/// Seconds since 1970 that are shown as times too: from 2017 to 2099. Data has them as numbers.
const TIMES: std::ops::Range<i64> = 1_500_000_000..4_102_444_800;

const STYLE: &str = "body{font:10.5pt/1.45 system-ui,sans-serif;color:#111;background:#fff;max-width:62em;margin:2em auto;padding:0 1em}\
h1{font-size:1.6em;margin:0 0 .3em}h2{font-size:1.15em;margin:2em 0 .4em;border-bottom:1px solid #999;break-after:avoid}\
table{border-collapse:collapse;margin:.3em 0}th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left;vertical-align:top;\
overflow-wrap:anywhere}th{background:#f2f2f2;font-weight:600}tr{break-inside:avoid}\
pre{font:9pt/1.35 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;background:#f7f7f7;border:1px solid #ddd;padding:.6em}\
code{font:9pt ui-monospace,monospace;overflow-wrap:anywhere}.said{background:#eef5ff}.gone{color:#777;font-style:italic}\
.note{border:2px solid #333;padding:.5em .8em;margin:1em 0}@media print{body{margin:0;max-width:none;padding:0}@page{margin:18mm}}";

/// A page of one value, as `-o html` prints it.
pub fn page(title: &str, value: &Value) -> String {
    let html = Html { texts: None };
    document(title, &format!("<h1>{}</h1>\n{}\n", escaped(title), html.value(value, 0)))
}

/// A document with this body, which is HTML.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// Values in HTML, with words in place of digests.
pub(super) struct Html<'a> {
    /// The plain texts; none if they are left out.
    pub texts: Option<&'a Texts>,
}

impl Html<'_> {
    /// A text in which each digest is replaced by the words that it stands for.
    pub fn words(&self, text: &str) -> String {
        let mut html = String::new();
        for piece in pieces(text) {
            html.push_str(&escaped(piece.before));
            let Some(digest) = piece.digest else { continue };
            let said = self.texts.and_then(|texts| texts.plain(&digest));
            match (said, self.texts) {
                (Some(said), _) => html.push_str(&format!("<span class=\"said\">{}</span>", escaped(said))),
                (None, Some(_)) => html.push_str(&format!("<span class=\"gone\" title=\"{digest}\">erased</span>")),
                (None, None) => html.push_str(&format!("<span class=\"gone\" title=\"{digest}\">left out</span>")),
            }
        }
        html
    }

    pub fn value(&self, value: &Value, depth: usize) -> String {
        match value {
            Value::Null => "–".to_owned(),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Number(found) => number(found),
            Value::String(text) => self.words(text),
            Value::Array(_) | Value::Object(_) if depth >= DEEPEST => {
                format!("<code>{}</code>", self.words(&value.to_string()))
            }
            Value::Array(items) => self.array(items, depth),
            Value::Object(members) => self.object(members, depth),
        }
    }

    fn object(&self, members: &Map<String, Value>, depth: usize) -> String {
        let row = |(name, value): (&String, &Value)| {
            format!("<tr><th>{}</th><td>{}</td></tr>\n", self.words(name), self.value(value, depth + 1))
        };
        format!("<table>\n{}</table>", members.iter().map(row).collect::<String>())
    }

    /// Objects are rows of one table, and other values a list with commas.
    fn array(&self, items: &[Value], depth: usize) -> String {
        if items.is_empty() {
            return "none".to_owned();
        }
        let rows: Option<Vec<&Map<String, Value>>> = items.iter().map(Value::as_object).collect();
        let shown = &items[..items.len().min(MOST_ROWS)];
        let more = match items.len() - shown.len() {
            0 => String::new(),
            more => format!("<p>… and {more} more.</p>"),
        };
        let Some(rows) = rows else {
            let all: Vec<String> = shown.iter().map(|item| self.value(item, depth + 1)).collect();
            return all.join(", ") + &more;
        };
        let rows = &rows[..shown.len()];
        let mut names: Vec<&String> = Vec::new();
        for name in rows.iter().flat_map(|row| row.keys()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let head: String = names.iter().map(|name| format!("<th>{}</th>", self.words(name))).collect();
        let cell = |row: &Map<String, Value>, name: &String| {
            row.get(name).map_or_else(|| "<td></td>".to_owned(), |value| format!("<td>{}</td>", self.value(value, depth + 1)))
        };
        let line =
            |row: &&Map<String, Value>| format!("<tr>{}</tr>\n", names.iter().map(|name| cell(row, name)).collect::<String>());
        let body: String = rows.iter().map(line).collect();
        format!("<table>\n<tr>{head}</tr>\n{body}</table>{more}")
    }
}

/// A number, and the time that it may be.
fn number(number: &Number) -> String {
    let time = number.as_i64().filter(|seconds| TIMES.contains(seconds)).and_then(Timestamp::from_seconds);
    time.map_or_else(|| number.to_string(), |time| format!("{time} <span class=\"gone\">({number})</span>"))
}

/// Text for HTML. Line feeds stay; other characters that mislead stand as escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in visible(text, |c| c == '\n').chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}
