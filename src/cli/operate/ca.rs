//! `carnet ca`: authorities, certificates, and the one-time token for a first enrolment.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::names::{EnvironmentName, IntegrationId, Serial};

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Ca {
    /// Show authorities and the certificates on record; --pem prints the roots for relying parties
    #[command(before_help = "Examples:\n  carnet ca show\n  carnet ca show production --pem > production-root.pem")]
    Show {
        /// Environment; all of them if absent
        #[arg(value_name = "ENV")]
        environment: Option<EnvironmentName>,
        /// Print the roots of the environment as PEM, and nothing else
        #[arg(long, requires = "environment")]
        pem: bool,
    },
    /// Request a one-time enrolment token (EST); it works for ten minutes after its approval
    ///
    /// Somebody else of security must approve it.
    #[command(
        before_help = "Examples:\n  carnet ca issue globex/order-sync --env production --reason \"new machine in the data centre\"\n  carnet ca issue globex/order-sync --env sandbox --reason trying -o json"
    )]
    Issue {
        /// Integration that the machine belongs to: PARTNER/INTEGRATION
        #[arg(value_name = "INTEGRATION")]
        integration: IntegrationId,
        /// Environment that the machine belongs to
        #[arg(long = "env", value_name = "ENV")]
        environment: EnvironmentName,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Revoke a certificate for ever, and all tokens that were issued by it
    #[command(
        before_help = "Examples:\n  carnet ca revoke production 4fa0c1d2e3b4a5968778695a4b3c2d1e --reason stolen\n  carnet ca revoke production 4fa0c1d2e3b4a5968778695a4b3c2d1e --reason stolen -o json"
    )]
    Revoke {
        /// Environment
        #[arg(value_name = "ENV")]
        environment: EnvironmentName,
        /// Serial number, as `carnet ca show` names it
        #[arg(value_name = "SERIAL")]
        serial: Serial,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Make the next issuing key under the same root
    ///
    /// It issues at once. Certificates that the earlier key signed stay valid.
    #[command(
        before_help = "Examples:\n  carnet ca rotate production --reason \"yearly\"\n  carnet ca rotate production --reason \"yearly\" -o json"
    )]
    Rotate {
        /// Environment
        #[arg(value_name = "ENV")]
        environment: EnvironmentName,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Runs a verb.
pub async fn run(verb: Ca, reach: &Reach) -> Result<Answer, Failure> {
    match verb {
        Ca::Show { environment, pem } => show(environment.as_ref(), pem, reach).await,
        Ca::Issue { integration, environment, reason } => {
            let body = json!({
                "integration": integration.to_string(), "environment": environment.as_str(), "reason": reason,
            });
            let asked = reach.places()?.admin().await?.post("/v1/enrolments", &body).await?;
            let token = cell(&asked, "token");
            let note = format!(
                "approval {} by somebody else of security: carnet approve {}\nthen, within ten minutes, on the machine: curl --cacert ROOT.pem -u '{integration}' (asks for the token) \
                 -H 'content-type: application/pkcs10' --data-binary @REQUEST MTLS/.well-known/est/{environment}/simpleenroll",
                cell(&asked, "approval"),
                cell(&asked, "approval"),
            );
            Ok(Answer::of(asked, format!("{token}\n")).note(note))
        }
        Ca::Revoke { environment, serial, reason } => {
            let body = json!({"certificate": format!("{environment}/{serial}"), "reason": reason});
            let outcome = reach.places()?.admin().await?.post("/v1/revocations", &body).await?;
            let text = format!("{}  {}  revoked\n", cell(&outcome, "id"), cell(&outcome, "subject"));
            Ok(Answer::of(outcome, text))
        }
        Ca::Rotate { environment, reason } => {
            let path = url::path(&["authorities", environment.as_str(), "rotate"]);
            let made = reach.places()?.admin().await?.post(&path, &json!({"reason": reason})).await?;
            let text = format!("{environment}  {}  {}\n", cell(&made, "kid"), cell(&made, "state"));
            Ok(Answer::of(made, text))
        }
    }
}

async fn show(environment: Option<&EnvironmentName>, pem: bool, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let of = |path: &str| environment.map_or_else(|| path.to_owned(), |name| format!("{path}?environment={name}"));
    let authorities = admin.list(&of("/v1/authorities"), usize::MAX).await?;
    if pem {
        return roots(&authorities);
    }
    let certificates = admin.list(&of("/v1/certificates"), usize::MAX).await?;
    let row = |item: &Value| vec![cell(item, "environment"), cell(item, "kid"), cell(item, "state"), time(&item["ends"])];
    let rows: Vec<_> = authorities.iter().map(row).collect();
    let mut text = table(&["ENVIRONMENT", "AUTHORITY", "STATE", "ENDS"], &rows);
    let row = |item: &Value| {
        let mut cells: Vec<String> =
            ["environment", "integration", "serial", "state"].iter().map(|name| cell(item, name)).collect();
        cells.extend([time(&item["starts"]), time(&item["ends"])]);
        cells
    };
    let rows: Vec<_> = certificates.iter().map(row).collect();
    text.push('\n');
    text += &table(&["ENVIRONMENT", "INTEGRATION", "SERIAL", "STATE", "SINCE", "ENDS"], &rows);
    Ok(Answer::of(json!({"authorities": authorities, "certificates": certificates}), text))
}

/// The roots of active and retiring authorities, each once.
fn roots(authorities: &[Value]) -> Result<Answer, Failure> {
    let mut roots: Vec<String> = Vec::new();
    for authority in authorities.iter().filter(|authority| matches!(cell(authority, "state").as_str(), "active" | "retiring")) {
        let root = cell(authority, "root");
        let lines: Vec<&str> = root.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        if !roots.contains(&pem) {
            roots.push(pem);
        }
    }
    if roots.is_empty() {
        return Err(
            Failure::new(Exit::Missing, "the environment has no authority that counts").fix("make one: carnet ca rotate ENV")
        );
    }
    Ok(Answer::of(json!(roots), roots.concat()))
}
