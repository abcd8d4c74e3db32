//! `carnet environment`: the environments, and the end of one for everybody.

use serde_json::{Value, json};

use super::partner::acted;
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::reach::{Admin, Reach};
use crate::domain::value::names::EnvironmentName;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Environment {
    /// List environments, closed ones included
    #[command(before_help = "Examples:\n  carnet environment list\n  carnet environment list -o json")]
    List,
    /// Request the end of an environment for everybody; an owner and somebody of security approve, and it never opens again
    #[command(
        before_help = "Examples:\n  carnet environment close staging --confirm staging --reason \"the test system is gone\"\n  carnet environment close staging --confirm staging --reason \"the test system is gone\" -o json"
    )]
    Close {
        /// Environment
        #[arg(value_name = "ENVIRONMENT")]
        name: EnvironmentName,
        /// The name once more
        #[arg(long, value_name = "ENVIRONMENT")]
        confirm: String,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Runs it.
pub async fn run(verb: Environment, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Environment::List => list(&admin).await,
        Environment::Close { name, confirm, reason } => {
            let body = json!({"reason": reason, "confirm": confirm});
            acted(&admin, &["environments", name.as_str(), "close"], &body).await
        }
    }
}

async fn list(admin: &Admin) -> Result<Answer, Failure> {
    let items = admin.list("/v1/environments", usize::MAX).await?;
    let row = |item: &Value| {
        let closed = if item["closed"].is_null() { String::new() } else { time(&item["closed"]) };
        let production = if item["production"] == true { "production" } else { "" };
        vec![cell(item, "id"), cell(item, "state"), closed, production.to_owned(), cell(item, "issuer")]
    };
    let text = table(&["ENVIRONMENT", "STATE", "CLOSED", "COUNTS AS", "ISSUER"], &items.iter().map(row).collect::<Vec<_>>());
    Ok(Answer::of(items.into(), text))
}
