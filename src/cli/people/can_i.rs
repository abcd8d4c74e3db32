//! `carnet can-i`: asks if an integration would get a scope now. Exit 3 for no.
//!
//! The broker rehearses an exchange by each binding in force; it issues and records nothing. Proofs and quotas are not part
//! of the question; `carnet explain REQUEST_ID` explains a real exchange.

use std::net::IpAddr;

use serde_json::Value;

use super::explain::checks;
use crate::cli::shell::answer::{Answer, Failure, cell};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::reason::Reason;
use crate::domain::value::names::{EnvironmentName, IntegrationId};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct CanI {
    /// Scope
    #[arg(value_name = "SCOPE")]
    scope: String,
    /// API
    #[arg(long, value_name = "API")]
    api: String,
    /// Integration
    #[arg(short, long, value_name = "PARTNER/INTEGRATION")]
    integration: IntegrationId,
    /// Environment
    #[arg(long, value_name = "ENV")]
    env: EnvironmentName,
    /// Client address, if the record names source networks
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
}

/// Runs it.
pub async fn run(args: &CanI, reach: &Reach) -> Result<Answer, Failure> {
    let (integration, source) = (args.integration.to_string(), args.source.map(|source| source.to_string()));
    let mut asked = vec![
        ("integration", integration.as_str()),
        ("environment", args.env.as_str()),
        ("api", args.api.as_str()),
        ("scope", args.scope.as_str()),
    ];
    asked.extend(source.as_deref().map(|source| ("source", source)));
    let told = reach.places()?.admin().await?.get(&format!("/v1/can-i?{}", url::form(&asked))).await?;
    if told.get("allowed") == Some(&Value::Bool(true)) {
        return Ok(Answer::of(told, "yes\n"));
    }
    let reason = cell(&told, "reason");
    let what = Reason::find(&reason).map_or("", |page| page.what);
    let text = format!("no  {reason}  {what}\n{}", checks(&told));
    Ok(Answer::of(told, text).exit(Exit::Denied))
}
