//! `carnet evidence`: which controls of security frameworks hold, and what shows it.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::{Map, Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, field, one_line, stdout_bytes, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::journal::bundle::html;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Evidence {
    /// One framework alone
    #[arg(long, value_name = "FRAMEWORK", value_parser = ["owasp-nhi", "nist-csf", "sp800-207", "ai-rmf"])]
    framework: Option<String>,
    /// First day of a period, or a time in RFC 3339; without it, the state at its end alone
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last day of the period, or a time in RFC 3339; now, if it is left out
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Take it away as a bundle, a ZIP archive that `carnet journal verify` verifies; the journal keeps that you did
    #[arg(long)]
    bundle: bool,
    /// Leave the names and words of people out of the bundle
    #[arg(long, requires = "bundle")]
    for_partner: bool,
}

/// Runs it.
pub async fn run(asked: &Evidence, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    if asked.bundle {
        let mut body = json!({"about": "controls"});
        for (name, value) in [("framework", &asked.framework), ("from", &asked.from), ("to", &asked.to)] {
            if let Some(value) = value {
                body[name] = value.as_str().into();
            }
        }
        return take_away(&admin, &body, asked.for_partner).await;
    }
    let mut path = "/v1/evidence".to_owned();
    for (name, value) in [("framework", &asked.framework), ("from", &asked.from), ("to", &asked.to)] {
        if let Some(value) = value {
            let join = if path.contains('?') { '&' } else { '?' };
            let _ = write!(path, "{join}{name}={}", url::encode(value));
        }
    }
    let found = admin.get(&path).await?;
    let text = screen(&found);
    let page = html::page("Evidence for frameworks", &printed(&found));
    Ok(Answer::of(found, text).html(page))
}

/// Has a bundle made, and writes it to stdout.
pub async fn take_away(admin: &Admin, body: &Value, for_partner: bool) -> Result<Answer, Failure> {
    if std::io::stdout().is_terminal() {
        return Err(Failure::usage("a bundle is a ZIP archive: write it to a file, as `> evidence.zip`"));
    }
    let given = admin.post("/v1/evidence", body).await?;
    let path = url::path(&["evidence", &cell(&given, "entry"), "bundle"]);
    let path = if for_partner { format!("{path}?for=partner") } else { path };
    let file = admin.file(&path).await?;
    stdout_bytes(&file).map_err(|fault| Failure::new(Exit::Failure, format!("the bundle was not written: {fault}")))?;
    Ok(Answer::done())
}

fn all(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn screen(found: &Value) -> String {
    let mut text = field("from", &time(&found["from"])) + &field("to", &time(&found["to"]));
    for framework in all(&found["frameworks"]) {
        let _ = write!(text, "\n{} ({})\n", cell(framework, "title"), cell(framework, "id"));
        let row = |control: &Value| {
            vec![cell(control, "id"), cell(control, "verdict"), cell(control, "result"), cell(control, "control")]
        };
        let rows: Vec<Vec<String>> = all(&framework["controls"]).map(row).collect();
        text += &table(&["CONTROL", "VERDICT", "RESULT", "ASKS"], &rows);
        let rows: Vec<Vec<String>> = exceptions(framework).map(|(control, one)| exception(control, one)).collect();
        if !rows.is_empty() {
            text += "\n";
            text += &table(&["CONTROL", "ITEM", "SINCE", "UNTIL", "WHY"], &rows);
        }
    }
    text
}

/// The intervals of a framework, with their controls.
fn exceptions(framework: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    all(&framework["controls"]).flat_map(|control| all(&control["intervals"]).map(move |one| (control, one)))
}

fn exception(control: &Value, one: &Value) -> Vec<String> {
    let until = if one["until"].is_null() { "now".to_owned() } else { time(&one["until"]) };
    vec![cell(control, "id"), one_line(&cell(one, "item")), time(&one["from"]), until, one_line(&cell(one, "why"))]
}

/// The same for reading and printing: a table of controls and one of intervals for each framework.
fn printed(found: &Value) -> Value {
    let mut page = Map::new();
    for name in ["from", "to", "until", "checkpoint"] {
        page.insert(name.to_owned(), found[name].clone());
    }
    for framework in all(&found["frameworks"]) {
        let row = |control: &Value| {
            json!({"control": control["id"], "asks for": control["control"], "verdict": control["verdict"],
                "result": control["result"], "query": control["query"], "entries": control["entries"],
                "criteria": all(&control["criteria"]).map(|one| &one["says"]).collect::<Vec<_>>()})
        };
        page.insert(cell(framework, "title"), all(&framework["controls"]).map(row).collect());
        let row = |(control, one): (&Value, &Value)| {
            json!({"control": control["id"], "item": one["item"], "why": one["why"], "since": one["from"],
                "until": one["until"], "entry": one["entry"]})
        };
        page.insert(format!("Exceptions: {}", cell(framework, "title")), exceptions(framework).map(row).collect());
    }
    Value::Object(page)
}
