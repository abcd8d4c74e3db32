//! The answers and failures of commands, and the only functions that print them.
//!
//! A command builds an [`Answer`] or a [`Failure`]; [`print()`] and [`complain`] write them, data to stdout and everything else
//! to stderr. Text of others (names, reasons, claims) is escaped on its way to a terminal (ABUSE L-05); in JSON and YAML the
//! format escapes it.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::exit::Exit;
use crate::cli::yaml;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::text::visible;

/// The format of the output, `-o`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON text.
    Json,
    /// The same as YAML.
    Yaml,
    /// For pull requests; of `plan` and `drift`.
    Markdown,
    /// A page for reading and printing; of `review report` and `evidence`.
    Html,
    /// For spreadsheets; of `inventory`.
    Csv,
}

/// The answer of a command.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code. An answer may be "no".
    pub exit: Exit,
    /// The data; `None` if the command prints none.
    pub data: Option<Value>,
    /// The same, for people.
    pub text: String,
    /// The same as Markdown, of a command that has it.
    pub markdown: Option<String>,
    /// The same as a page, of a command that has it.
    pub html: Option<String>,
    /// The same as CSV, of a command that has it.
    pub csv: Option<String>,
    /// Remarks, for stderr.
    pub notes: Vec<String>,
}

/// The reason why a command has no answer. It never has a secret: it goes to stderr.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The stable reason, if the broker named one.
    pub reason: Option<String>,
    /// A sentence about what happened.
    pub what: String,
    /// The cause.
    pub why: Option<String>,
    /// The fix.
    pub fix: Option<String>,
    /// The request, file or server that it is about.
    pub place: Option<String>,
    /// The seconds that the server asks the client to wait.
    pub wait: Option<u32>,
    /// Single faults, each for people and as data.
    pub faults: Vec<(String, Value)>,
}

impl Answer {
    /// An answer of data with its text.
    pub fn of(data: Value, text: impl Into<String>) -> Self {
        Self { exit: Exit::Ok, data: Some(data), text: text.into(), markdown: None, html: None, csv: None, notes: Vec::new() }
    }

    /// An answer with nothing to print: the command succeeded.
    pub fn done() -> Self {
        Self { exit: Exit::Ok, data: None, text: String::new(), markdown: None, html: None, csv: None, notes: Vec::new() }
    }

    /// Sets another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds the same as Markdown.
    #[must_use]
    pub fn markdown(mut self, markdown: impl Into<String>) -> Self {
        self.markdown = Some(markdown.into());
        self
    }

    /// Adds the same as a page in HTML.
    #[must_use]
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// Adds the same as CSV.
    #[must_use]
    pub fn csv(mut self, csv: impl Into<String>) -> Self {
        self.csv = Some(csv.into());
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Failure {
    /// A failure with a sentence about what happened.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, reason: None, what: what.into(), why: None, fix: None, place: None, wait: None, faults: Vec::new() }
    }

    /// A failure because the command was used wrongly.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds the cause.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds the fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the request, file or server that it is about.
    #[must_use]
    pub fn place_at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    fn text(&self) -> String {
        let mut text = String::from("error");
        if let Some(reason) = &self.reason {
            text += &format!(" {}", one_line(reason));
        }
        text += &format!("  {}\n", one_line(&self.what));
        for (word, line) in [("why  ", &self.why), ("fix  ", &self.fix), ("where", &self.place)] {
            if let Some(line) = line {
                text += &format!("  {word}  {}\n", block(line).replace('\n', "\n         "));
            }
        }
        for (fault, _) in &self.faults {
            text += &format!("  {}\n", block(fault).replace('\n', "\n    "));
        }
        text
    }

    fn json(&self) -> Value {
        let mut error = serde_json::Map::new();
        let mut member = |name: &str, value: Option<Value>| value.map(|value| error.insert(name.to_owned(), value));
        member("reason", self.reason.clone().map(Value::from));
        member("message", Some(self.what.clone().into()));
        member("why", self.why.clone().map(Value::from));
        member("fix", self.fix.clone().map(Value::from));
        member("where", self.place.clone().map(Value::from));
        member("exit", Some(self.exit.code().into()));
        let faults: Vec<Value> = self.faults.iter().map(|(_, value)| value.clone()).collect();
        member("faults", (!faults.is_empty()).then(|| faults.into()));
        json!({ "error": error })
    }
}

/// Prints an answer. A reader of stdout that went away (`| head`) is not a failure.
pub fn print(answer: &Answer, format: Format) -> Exit {
    let text = match (&answer.data, format) {
        (_, Format::Table) => block(&answer.text),
        (_, Format::Markdown) => block(answer.markdown.as_deref().unwrap_or_default()),
        (_, Format::Html) => block(answer.html.as_deref().unwrap_or_default()),
        // Not made visible: a program reads it, and its own rules keep cells apart.
        (_, Format::Csv) => answer.csv.clone().unwrap_or_default(),
        (None, _) => String::new(),
        (Some(data), Format::Json) => data.to_string(),
        (Some(data), Format::Yaml) => yaml::write(data),
    };
    for note in &answer.notes {
        stderr(&block(note));
    }
    stdout(&text);
    answer.exit
}

/// Prints a failure on stderr.
pub fn complain(failure: &Failure, format: Format) -> Exit {
    match format {
        Format::Table | Format::Markdown | Format::Html | Format::Csv => stderr(&failure.text()),
        Format::Json | Format::Yaml => stderr(&failure.json().to_string()),
    }
    failure.exit
}

/// Prints data, with exactly one line end.
pub fn stdout(text: &str) {
    let _gone = written(&mut io::stdout().lock(), text);
}

/// Prints the bytes of a file, and nothing else.
///
/// # Errors
/// They could not be written: a part of the file would pass for all of it.
pub fn stdout_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// Prints lines of JSON as they are, and says if nobody took them.
///
/// # Errors
/// They could not be written.
pub fn lines(text: &str) -> io::Result<()> {
    written(&mut io::stdout().lock(), text)
}

/// Prints a message.
pub fn stderr(text: &str) {
    let _gone = written(&mut io::stderr().lock(), text);
}

/// Asks on the terminal. Returns the typed text without surrounding blanks.
pub fn prompt(question: &str) -> String {
    let mut out = io::stderr().lock();
    let _gone = out.write_all(block(question).as_bytes()).and_then(|()| out.flush());
    let mut line = String::new();
    io::stdin().read_line(&mut line).map(|_| line.trim().to_owned()).unwrap_or_default()
}

fn written(out: &mut impl Write, text: &str) -> io::Result<()> {
    let text = text.trim_end_matches('\n');
    if !text.is_empty() {
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Rows under their headings, with aligned columns; the headings alone if there are no rows.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>();
    let mut lines = vec![headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| cells(row)));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>();
        text += padded.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The text of a member, for a table; `-` if it is absent.
pub fn cell(value: &Value, member: &str) -> String {
    match value.get(member) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// A time of the API (seconds since 1970) for people: `2026-12-01 12:00:00 UTC`.
pub fn time(value: &Value) -> String {
    value.as_i64().and_then(Timestamp::from_seconds).map_or_else(|| "-".to_owned(), |time| plain(&time.to_string()))
}

/// The end of something, for people: the last day, as a record writes it, if it ends with a day.
pub fn day(value: &Value) -> String {
    value.as_i64().and_then(Timestamp::from_seconds).map_or_else(|| "-".to_owned(), |time| plain(&time.last_day()))
}

fn plain(text: &str) -> String {
    text.strip_suffix('Z').map_or_else(|| text.to_owned(), |rest| rest.replace('T', " ") + " UTC")
}

/// A line of a screen: a label and a text.
pub fn field(name: &str, value: &str) -> String {
    format!("{name:<12} {}\n", one_line(value))
}

/// The time after which to try again, in words. A proof does not live as long as a long wait.
pub fn again(seconds: u32, now: Timestamp) -> String {
    let wait = Seconds(seconds);
    if seconds <= 120 {
        return format!("try again in {}; the proof is not spent", wait.in_words());
    }
    format!("try again with a new proof in {}, at {}", wait.in_words(), now.plus(wait))
}

/// Escapes control characters and characters that reorder text; lines stay lines.
pub fn block(text: &str) -> String {
    visible(text, |c| c == '\n')
}

/// The same, on one line.
pub fn one_line(text: &str) -> String {
    visible(text, |_| false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_05_text_of_others_drives_no_terminal() {
        let rows = vec![vec!["a\u{1b}[2Jb\nc".to_owned(), "x\u{202e}y".to_owned()]];
        let text = table(&["NAME", "STATE"], &rows);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        let failure = Failure::new(Exit::Denied, "a\nb").why("c\u{1b}d\ne");
        assert_eq!(failure.text(), "error  a\\nb\n  why    c\\u{1b}d\n         e\n");
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(time(&json!(1_796_126_400)), "2026-12-01 12:00:00 UTC");
        assert_eq!(day(&json!(1_796_083_200)), "2026-11-30");
        assert_eq!(day(&json!(1_796_126_400)), "2026-12-01 12:00:00 UTC");
        assert_eq!((time(&json!(null)), day(&json!("x"))), ("-".to_owned(), "-".to_owned()));
    }

    #[test]
    fn a_failure_is_told_in_four_parts_and_as_one_json_line() {
        let mut failure = Failure::new(Exit::Denied, "refused").why("ref is dev").fix("run from main");
        failure.place = Some("request r1".to_owned());
        failure.reason = Some("binding.no-match".to_owned());
        let wanted = "error binding.no-match  refused\n  why    ref is dev\n  fix    run from main\n  where  request r1\n";
        assert_eq!(failure.text(), wanted);
        let value = failure.json();
        assert_eq!(value["error"]["reason"], "binding.no-match");
        assert_eq!(value["error"]["exit"], 3);
        assert!(!value.to_string().contains('\n'));
    }
}
