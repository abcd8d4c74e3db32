//! `carnet exception`: static secrets that still live at partners, and the end of one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::partner::acted;
use crate::cli::shell::answer::{Answer, Failure, cell, day, table};
use crate::cli::shell::reach::{Admin, Reach};
use crate::domain::value::names::ExceptionId;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Exception {
    /// List static secrets that live at partners, and how many are left by month if nothing is extended
    #[command(before_help = "Examples:\n  carnet exception list\n  carnet exception list --all -o json")]
    List {
        /// Closed ones too
        #[arg(long)]
        all: bool,
    },
    /// Say that a static secret lives no more; somebody of security approves
    #[command(
        before_help = "Examples:\n  carnet exception close EXCEPTION --evidence \"the account is deleted, CHG-17\"\n  carnet exception close EXCEPTION --evidence \"the account is deleted, CHG-17\" -o json"
    )]
    Close {
        /// Exception, as `carnet exception list` shows it
        #[arg(value_name = "EXCEPTION")]
        name: ExceptionId,
        /// What shows it; it is recorded, and shown to the person who approves
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
}

/// Runs it.
pub async fn run(verb: Exception, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Exception::List { all } => list(&admin, all).await,
        Exception::Close { name, evidence } => {
            acted(&admin, &["exceptions", name.as_str(), "close"], &json!({"evidence": evidence})).await
        }
    }
}

async fn list(admin: &Admin, all: bool) -> Result<Answer, Failure> {
    let items = admin.list("/v1/exceptions", usize::MAX).await?;
    let shown: Vec<Value> = items.into_iter().filter(|item| all || item["state"] != "closed").collect();
    let row = |item: &Value| {
        vec![
            cell(item, "id"),
            cell(item, "state"),
            cell(item, "integration"),
            cell(item, "what"),
            day(&item["ends"]),
            cell(item, "extensions"),
            cell(item, "owner"),
        ]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    let heads = ["EXCEPTION", "STATE", "INTEGRATION", "WHAT", "UNTIL", "EXTENDED", "OWNER"];
    let text = table(&heads, &rows) + &left(&shown);
    Ok(Answer::of(shown.into(), text))
}

/// How many of the open ones are left after each month in which one ends.
fn left(items: &[Value]) -> String {
    let open: Vec<&Value> = items.iter().filter(|item| item["state"] != "closed").collect();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for item in &open {
        *ends.entry(day(&item["ends"]).chars().take(7).collect()).or_default() += 1;
    }
    let mut left = open.len();
    let mut text = format!("{left} open\n");
    for (month, number) in ends {
        left -= number;
        text += &format!("{month}  {number} to close, {left} left\n");
    }
    text
}
