//! `carnet guardrail`: what must never be granted, what that would refuse, and what it did refuse.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::partner::{Act, acted};
use super::records::readable;
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::domain::value::names::GuardrailName;
use crate::policy::SCHEMA;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Guardrail {
    /// List guardrails
    #[command(before_help = "Examples:\n  carnet guardrail list\n  carnet guardrail list -o json")]
    List,
    /// Tell what the guardrails refuse of all that integrations are allowed; exit 2 if that are too many questions
    #[command(before_help = "Examples:\n  carnet guardrail check\n  carnet guardrail check -f guardrails/ -o json")]
    Check {
        /// File or folder with guardrails, in place of those in force; - for stdin; may be repeated
        #[arg(short, long, value_name = "DIR")]
        file: Vec<PathBuf>,
    },
    /// Print the Cedar schema that guardrails are validated against
    #[command(before_help = "Examples:\n  carnet guardrail schema\n  carnet guardrail schema > carnet.cedarschema")]
    Schema,
    /// Tell what guardrails refused in the last 30 days, and which tokens they would have refused
    #[command(
        before_help = "Examples:\n  carnet guardrail report\n  carnet guardrail report no-standing-high-risk-in-production -o json"
    )]
    Report {
        /// Guardrail; all of them if none is named
        #[arg(value_name = "NAME")]
        name: Option<GuardrailName>,
    },
    /// Request the removal of a guardrail; an owner and somebody of security approve
    #[command(
        before_help = "Examples:\n  carnet guardrail remove dpa-before-addresses --reason \"the agreement is signed\"\n  carnet guardrail remove dpa-before-addresses --reason \"the agreement is signed\" -o json"
    )]
    Remove(Act<GuardrailName>),
}

/// Runs it.
pub async fn run(verb: Guardrail, reach: &Reach) -> Result<Answer, Failure> {
    let admin = async || reach.places()?.admin().await;
    match verb {
        Guardrail::Schema => Ok(Answer::of(json!({"schema": SCHEMA}), SCHEMA)),
        Guardrail::List => list(&admin().await?).await,
        Guardrail::Check { file } => check(&admin().await?, &file).await,
        Guardrail::Report { name } => report(&admin().await?, name).await,
        Guardrail::Remove(act) => acted(&admin().await?, &["guardrails", act.name.as_str(), "remove"], &act.body()).await,
    }
}

async fn list(admin: &Admin) -> Result<Answer, Failure> {
    let items = admin.list("/v1/guardrails", usize::MAX).await?;
    let row = |item: &Value| {
        let waits = if item["held"].is_null() { "" } else { "a version" };
        let waits = if item["removal"].is_null() { waits } else { "its removal" };
        vec![cell(item, "id"), cell(item, "state"), waits.to_owned(), cell(item, "meaning")]
    };
    let text = table(&["GUARDRAIL", "STATE", "WAITS", "MEANING"], &items.iter().map(row).collect::<Vec<_>>());
    Ok(Answer::of(items.into(), text))
}

async fn check(admin: &Admin, files: &[PathBuf]) -> Result<Answer, Failure> {
    let text = if files.is_empty() { String::new() } else { readable(files)?.joined() };
    let checked = admin.post_as("/v1/records/check", ("application/yaml", text.into_bytes()), &[]).await?;
    let asked = cell(&checked, "asked");
    let text = findings(&checked);
    if checked["complete"] == false {
        let note = format!("there are more questions than may be asked: {asked} were asked, and the rest is not known");
        return Ok(Answer::of(checked, text).note(note).exit(Exit::Usage));
    }
    Ok(Answer::of(checked, format!("{text}{asked} questions\n")))
}

fn findings(checked: &Value) -> String {
    let row = |item: &Value| {
        let when: Vec<&str> = item["when"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let verdict =
            if when.is_empty() { cell(item, "verdict") } else { format!("{} ({})", cell(item, "verdict"), when.join("; ")) };
        let shadow = if item["mode"] == "shadow" { " (shadow)" } else { "" };
        vec![
            format!("{}{shadow}", cell(item, "guardrail")),
            cell(item, "integration"),
            cell(item, "environment"),
            format!("{} {}", cell(item, "api"), cell(item, "scope")),
            cell(item, "way"),
            verdict,
        ]
    };
    let rows: Vec<_> = checked["items"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "never: no guardrail refuses anything that a record allows\n".to_owned();
    }
    table(&["GUARDRAIL", "INTEGRATION", "ENVIRONMENT", "SCOPE", "AS", "REFUSED"], &rows)
}

async fn report(admin: &Admin, name: Option<GuardrailName>) -> Result<Answer, Failure> {
    let names = match name {
        Some(name) => vec![name.to_string()],
        None => {
            let items = admin.list("/v1/guardrails", usize::MAX).await?;
            items.iter().filter(|item| item["state"] != "submitted").map(|item| cell(item, "id")).collect()
        }
    };
    let mut reports = Vec::new();
    for name in names {
        reports.push(admin.get(&url::path(&["guardrails", &name, "report"])).await?);
    }
    let text: String = reports.iter().map(one).collect();
    Ok(Answer::of(reports.into(), text))
}

fn one(report: &Value) -> String {
    let mut text = format!(
        "{} ({}): since {} it refused {}; of the tokens that were issued it would have refused {}, of {} that is unknown\n",
        cell(report, "id"),
        cell(report, "state"),
        time(&report["since"]),
        cell(report, "refused"),
        cell(report, "refuses"),
        cell(report, "unknown"),
    );
    for row in report["tokens"].as_array().into_iter().flatten() {
        text += &format!(
            "    {} {} {} {}: {} from {} to {}\n",
            cell(row, "client"),
            cell(row, "environment"),
            cell(row, "api"),
            cell(row, "scope"),
            cell(row, "tokens"),
            time(&row["first"]),
            time(&row["last"]),
        );
    }
    text
}
