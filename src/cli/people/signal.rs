//! `carnet signal`: what systems outside say of a partner's access, and what people decide of it.

use serde_json::{Value, json};

use super::partner::Act;
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::value::names::SignalId;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Signal {
    /// List signals
    #[command(before_help = "Examples:\n  carnet signal list --held\n  carnet signal list -o json")]
    List {
        /// Only those that wait for a person
        #[arg(long)]
        held: bool,
    },
    /// Say that a partner's access has lost its reason; it is suspended at once, and what was issued is cut
    #[command(
        before_help = "Examples:\n  carnet signal send globex/order-sync compromised --reason \"a stolen laptop\"\n  carnet signal send globex contract-ended --reason \"not renewed\" --reference CRM-77 -o json"
    )]
    Send {
        /// PARTNER, PARTNER/INTEGRATION or PARTNER/INTEGRATION/ENVIRONMENT
        #[arg(value_name = "SUBJECT")]
        subject: SignalSubject,
        /// contract-ended, use-case-ended, environment-ended, owner-left or compromised
        #[arg(value_name = "KIND")]
        kind: SignalKind,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Own name for it; another signal with the same one does nothing
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
    },
    /// Believe a signal that was held; its subject is suspended
    #[command(
        before_help = "Examples:\n  carnet signal confirm SIGNAL --reason \"the account manager says so\"\n  carnet signal confirm SIGNAL --reason \"the account manager says so\" -o json"
    )]
    Confirm(Act<SignalId>),
    /// Do not believe a signal that was held
    #[command(
        before_help = "Examples:\n  carnet signal dismiss SIGNAL --reason \"a test of the CRM\"\n  carnet signal dismiss SIGNAL --reason \"a test of the CRM\" -o json"
    )]
    Dismiss(Act<SignalId>),
}

/// Runs it.
pub async fn run(verb: Signal, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    match verb {
        Signal::List { held } => list(&admin, held).await,
        Signal::Send { subject, kind, reason, reference } => {
            let mut body = json!({"subject": subject, "kind": kind, "reason": reason});
            if let Some(reference) = reference {
                body["reference"] = reference.into();
            }
            told(admin.post("/v1/signals", &body).await?)
        }
        Signal::Confirm(act) => decided(&admin, &act, "confirm").await,
        Signal::Dismiss(act) => decided(&admin, &act, "dismiss").await,
    }
}

async fn decided(admin: &Admin, act: &Act<SignalId>, verb: &str) -> Result<Answer, Failure> {
    told(admin.post(&url::path(&["signals", act.name.as_str(), verb]), &act.body()).await?)
}

fn told(signal: Value) -> Result<Answer, Failure> {
    let next = match signal["state"].as_str() {
        Some("acted") if signal["suspension"].is_null() => "without another owner it ends after the grace",
        Some("acted") => "its subject is suspended, and what was issued is cut",
        Some("held") => "nothing is suspended until security confirms it",
        _ => "nothing is suspended",
    };
    let text = format!("{}  signal {} {}: {next}\n", cell(&signal, "subject"), cell(&signal, "id"), cell(&signal, "state"));
    Ok(Answer::of(signal, text))
}

async fn list(admin: &Admin, held: bool) -> Result<Answer, Failure> {
    let path = if held { "/v1/signals?state=held" } else { "/v1/signals" };
    let items = admin.list(path, usize::MAX).await?;
    let row = |item: &Value| {
        vec![
            cell(item, "id"),
            cell(item, "state"),
            cell(item, "subject"),
            cell(item, "kind"),
            time(&item["at"]),
            cell(item, "reason"),
        ]
    };
    let text = table(&["SIGNAL", "STATE", "SUBJECT", "KIND", "AT", "REASON"], &items.iter().map(row).collect::<Vec<_>>());
    Ok(Answer::of(items.into(), text))
}
