//! `carnet drift`: what differs between files and what is in force, and who or what made it so.

use std::path::PathBuf;

use serde_json::Value;

use super::planned::{change, items, literal};
use super::records::{readable, send};
use crate::cli::shell::answer::{Answer, Failure, cell, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::http::console::briefing::who;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Drift {
    /// File or folder with records; - for stdin; may be repeated
    #[arg(short, long, value_name = "DIR", required = true)]
    file: Vec<PathBuf>,
    /// The files are not all the records: what is in force and not in them is no drift
    #[arg(long)]
    partial: bool,
}

/// Shows the drift. Exit 6 if there is some.
pub async fn run(args: &Drift, reach: &Reach) -> Result<Answer, Failure> {
    let files = readable(&args.file)?;
    let admin = reach.places()?.admin().await?;
    let mut found = send(&admin, "/v1/records/drift", &files, &[]).await?;
    if args.partial {
        if let Some(items) = found["items"].as_array_mut() {
            items.retain(|item| item["state"] != "no-file");
        }
        found["drift"] = (!items(&found).is_empty()).into();
    }
    let exit = if found["drift"] == false { Exit::Ok } else { Exit::Changes };
    let (text, markdown) = (text(&found), markdown(&found));
    Ok(Answer::of(found, text).markdown(markdown).exit(exit))
}

fn text(found: &Value) -> String {
    let mut text = String::new();
    for item in items(found) {
        text += &format!("~ {} {}  {}\n", cell(item, "kind"), cell(item, "subject"), meaning(item));
        for cause in list(item, "causes") {
            text += &format!("    {}\n", told(cause));
        }
        for difference in list(item, "differences") {
            let weight = cell(difference, "weight");
            text += &format!("    {weight:<8} {}  {}\n", cell(difference, "at"), change(difference));
        }
    }
    text + &summary(found)
}

fn summary(found: &Value) -> String {
    format!("{} records in the files · {} differ\n", cell(found, "records"), items(found).len())
}

fn markdown(found: &Value) -> String {
    let mut text = format!("### Carnet drift: {}", summary(found));
    for item in items(found) {
        text += &format!("\n- {} {}\n", literal(&format!("{} {}", cell(item, "kind"), cell(item, "subject"))), meaning(item));
        for cause in list(item, "causes") {
            text += &format!("  - {}\n", literal(&told(cause)));
        }
        for difference in list(item, "differences") {
            let weight = cell(difference, "weight");
            text += &format!("  - **{weight}** {} {}\n", literal(&cell(difference, "at")), literal(&change(difference)));
        }
    }
    text
}

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn meaning(item: &Value) -> String {
    match cell(item, "state").as_str() {
        "differs" => "the version in force is another one",
        "not-in-force" => "no version is in force",
        "no-file" => "in force, and no file has it",
        "stopped" => "the same version, and stopped",
        other => other,
    }
    .to_owned()
}

/// A cause in a line.
fn told(cause: &Value) -> String {
    let environments = list(cause, "environments").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let of = |name: &str| cause.get(name).and_then(Value::as_str).unwrap_or_default();
    let what = match of("what") {
        "applied" => "the version in force was applied".to_owned(),
        "waits" => "a version was applied, and waits".to_owned(),
        "reviewed" => format!("a review of {environments} narrowed it ({})", of("id")),
        "suspended" if environments.is_empty() => format!("suspended ({})", of("id")),
        "suspended" => format!("suspended in {environments} ({})", of("id")),
        "revoked" => format!("{} is revoked ({})", of("of"), of("id")),
        "environment-closed" => format!("{environments} is closed for everybody"),
        "exception-closed" => format!("exception {:?} is closed ({})", of("of"), of("id")),
        "binding-retired" => format!("binding {} in {environments} is retired: nobody used it", of("binding")),
        other => other.to_owned(),
    };
    let by = cause.get("by").map(|by| format!(" by {}", who(by))).unwrap_or_default();
    let at = cause.get("at").map(|at| format!(" at {}", time(at))).unwrap_or_default();
    let approval = cause.get("approval").and_then(Value::as_str).map(|id| format!(", approval {id}")).unwrap_or_default();
    let reason = cause.get("reason").and_then(Value::as_str).map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{what}{by}{at}{approval}{reason}")
}
