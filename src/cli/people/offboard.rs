//! `carnet offboard` and `carnet dependency`: the end of a partner or an integration, and what it waits for.

use std::io::IsTerminal as _;

use serde_json::{Value, json};

use super::partner::acted;
use crate::cli::shell::answer::{Answer, Failure, cell, stdout_bytes, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::domain::registry::suspension::Party;
use crate::domain::value::names::{ApiName, EnvironmentName, IntegrationId, OffboardingId};

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Offboard {
    /// End a partner or an integration for good: nothing of it is to be had from now on, and what it had is cut
    #[command(
        before_help = "Examples:\n  carnet offboard start globex/order-sync --confirm globex/order-sync --reason \"the contract is over\"\n  carnet offboard start globex --confirm globex --reason \"the contract is over\" -o json"
    )]
    Start {
        /// PARTNER or PARTNER/INTEGRATION
        #[arg(value_name = "SUBJECT", value_parser = party)]
        subject: Party,
        /// The name once more
        #[arg(long, value_name = "SUBJECT")]
        confirm: String,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List offboardings
    #[command(before_help = "Examples:\n  carnet offboard list\n  carnet offboard list --all -o json")]
    List {
        /// Closed and given-up ones too
        #[arg(long)]
        all: bool,
    },
    /// Show an offboarding: what is done, and what it waits for
    #[command(before_help = "Examples:\n  carnet offboard show OFFBOARDING\n  carnet offboard show OFFBOARDING -o json")]
    Show {
        /// Offboarding
        #[arg(value_name = "OFFBOARDING")]
        name: OffboardingId,
    },
    /// Say in the place of an API that it removed what it had for the subject
    #[command(
        before_help = "Examples:\n  carnet offboard acknowledge OFFBOARDING --api orders-api --environment production --removed \"the line globex of the allow list\" --evidence CHG-17\n  carnet offboard acknowledge OFFBOARDING --api orders-api --environment production --evidence \"it had nothing\" -o json"
    )]
    Acknowledge {
        /// Offboarding
        #[arg(value_name = "OFFBOARDING")]
        name: OffboardingId,
        /// API
        #[arg(long, value_name = "API")]
        api: ApiName,
        /// Environment
        #[arg(long, value_name = "ENVIRONMENT")]
        environment: EnvironmentName,
        /// What was removed; may be given several times
        #[arg(long, value_name = "TEXT")]
        removed: Vec<String>,
        /// What shows it; it is recorded
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
    /// Print the dossier of a closed offboarding, a ZIP archive; `carnet journal verify` verifies it anywhere
    #[command(
        before_help = "Examples:\n  carnet offboard dossier OFFBOARDING > globex.zip\n  carnet offboard dossier OFFBOARDING --for-partner > globex.zip"
    )]
    Dossier {
        /// Offboarding
        #[arg(value_name = "OFFBOARDING")]
        name: OffboardingId,
        /// Leave the names and words of people out
        #[arg(long)]
        for_partner: bool,
    },
    /// Request that an offboarding is given up; an owner and somebody of security approve, and its subject comes back suspended
    #[command(
        before_help = "Examples:\n  carnet offboard abort OFFBOARDING --reason \"the contract is renewed\"\n  carnet offboard abort OFFBOARDING --reason \"the contract is renewed\" -o json"
    )]
    Abort {
        /// Offboarding
        #[arg(value_name = "OFFBOARDING")]
        name: OffboardingId,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Verbs of dependencies.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Dependencies {
    /// Register that an API has something for an integration; its offboarding waits for the API's word
    #[command(
        before_help = "Examples:\n  carnet dependency add globex/order-sync --api orders-api --environment production --what \"a line of the allow list\"\n  carnet dependency add globex/order-sync --api orders-api --environment sandbox --what \"a test account\" -o json"
    )]
    Add {
        /// PARTNER/INTEGRATION
        #[arg(value_name = "INTEGRATION")]
        integration: IntegrationId,
        /// API
        #[arg(long, value_name = "API")]
        api: ApiName,
        /// Environment
        #[arg(long, value_name = "ENVIRONMENT")]
        environment: EnvironmentName,
        /// What is there; it is recorded
        #[arg(long, value_name = "TEXT")]
        what: String,
    },
    /// List what was registered
    #[command(before_help = "Examples:\n  carnet dependency list\n  carnet dependency list -o json")]
    List,
}

fn party(text: &str) -> Result<Party, String> {
    Party::of_subject(text).ok_or_else(|| "expected PARTNER or PARTNER/INTEGRATION".to_owned())
}

/// Runs it.
pub async fn run(verb: Offboard, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Offboard::Start { subject, confirm, reason } => {
            let body = json!({"reason": reason, "confirm": confirm});
            let path = match &subject {
                Party::Partner(partner) => url::path(&["partners", partner.as_str(), "offboard"]),
                Party::Integration(id) => url::path(&["integrations", id.partner.as_str(), id.name.as_str(), "offboard"]),
            };
            Ok(shown(admin.post(&path, &body).await?))
        }
        Offboard::List { all } => list(&admin, all).await,
        Offboard::Show { name } => Ok(shown(admin.get(&url::path(&["offboardings", name.as_str()])).await?)),
        Offboard::Acknowledge { name, api, environment, removed, evidence } => {
            let body = json!({"api": api, "environment": environment, "removed": removed, "evidence": evidence});
            Ok(shown(admin.post(&url::path(&["offboardings", name.as_str(), "acknowledgements"]), &body).await?))
        }
        Offboard::Dossier { name, for_partner } => {
            if std::io::stdout().is_terminal() {
                return Err(Failure::usage("a dossier is a ZIP archive: write it to a file, as `> globex.zip`"));
            }
            let path = url::path(&["offboardings", name.as_str(), "dossier"]);
            let path = if for_partner { format!("{path}?for=partner") } else { path };
            let file = admin.file(&path).await?;
            stdout_bytes(&file)
                .map_err(|fault| Failure::new(Exit::Failure, format!("the dossier was not written: {fault}")))?;
            Ok(Answer::done())
        }
        Offboard::Abort { name, reason } => {
            acted(&admin, &["offboardings", name.as_str(), "abort"], &json!({"reason": reason})).await
        }
    }
}

async fn list(admin: &Admin, all: bool) -> Result<Answer, Failure> {
    let items = admin.list("/v1/offboardings", usize::MAX).await?;
    let open = |item: &Value| item["state"] == "open" || item["state"] == "ready";
    let items: Vec<Value> = items.into_iter().filter(|item| all || open(item)).collect();
    let row = |item: &Value| {
        let steps = item["steps"].as_array();
        let next = steps.and_then(|steps| steps.iter().find(|step| step["state"] != "done"));
        let waits = next.filter(|_| open(item)).map_or_else(String::new, |step| cell(step, "name"));
        vec![cell(item, "id"), cell(item, "state"), cell(item, "subject"), time(&item["started"]), waits]
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let text = table(&["OFFBOARDING", "STATE", "SUBJECT", "STARTED", "WAITS FOR"], &rows);
    Ok(Answer::of(items.into(), text))
}

/// A case as a checklist.
fn shown(case: Value) -> Answer {
    let mut text = format!("{}  offboarding {}: {}\n", cell(&case, "subject"), cell(&case, "id"), cell(&case, "state"));
    let none = Vec::new();
    let items = |name: &str| case[name].as_array().unwrap_or(&none);
    let step = |item: &Value| {
        let at = if item["at"].is_null() { String::new() } else { time(&item["at"]) };
        vec![cell(item, "name"), cell(item, "state"), at, cell(item, "detail")]
    };
    text += &table(&["STEP", "STATE", "AT", "DETAIL"], &items("steps").iter().map(step).collect::<Vec<_>>());
    let dependency = |item: &Value| {
        let last = if item["lastIssued"].is_null() { String::new() } else { time(&item["lastIssued"]) };
        vec![cell(item, "api"), cell(item, "environment"), cell(item, "state"), cell(item, "tokens"), last]
    };
    if !items("dependencies").is_empty() {
        let rows: Vec<_> = items("dependencies").iter().map(dependency).collect();
        text += "\n";
        text += &table(&["API", "ENVIRONMENT", "STATE", "TOKENS", "LAST"], &rows);
    }
    let failed: Vec<&Value> = items("tests").iter().filter(|test| test["passed"] == false).collect();
    for test in failed {
        let name = |field| cell(test, field);
        text += &format!(
            "\n{} in {}: expected {}, saw {} ({})\n",
            name("name"),
            name("environment"),
            name("expected"),
            name("seen"),
            name("failed")
        );
    }
    for id in items("mayReturnAs").iter().filter_map(Value::as_str) {
        text += &format!("\n{id} would admit what this subject admitted; it comes into force only after the case is closed\n");
    }
    Answer::of(case, text)
}

/// Runs a verb of dependencies.
pub async fn dependencies(verb: Dependencies, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Dependencies::Add { integration, api, environment, what } => {
            let body = json!({"integration": integration, "api": api, "environment": environment, "what": what});
            let made = admin.post("/v1/dependencies", &body).await?;
            let text = format!("{integration}  {api} in {environment}: its offboarding waits for the API's word\n");
            Ok(Answer::of(made, text))
        }
        Dependencies::List => {
            let items = admin.list("/v1/dependencies", usize::MAX).await?;
            let row = |item: &Value| {
                vec![
                    cell(item, "integration"),
                    cell(item, "api"),
                    cell(item, "environment"),
                    time(&item["at"]),
                    cell(item, "what"),
                ]
            };
            let rows: Vec<_> = items.iter().map(row).collect();
            Ok(Answer::of(items.into(), table(&["INTEGRATION", "API", "ENVIRONMENT", "SINCE", "WHAT"], &rows)))
        }
    }
}
