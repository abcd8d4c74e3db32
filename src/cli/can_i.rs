//! `carnet can-i`: would this integration get this scope now? Exit 3 for no.
//!
//! Told from the inventory: what is in force, and what ended or suspends it. A proof, its binding and quotas are not part of the
//! question; `carnet explain REQUEST_ID` tells about a real exchange.

use serde_json::{Value, json};

use super::answer::{Answer, Failure, cell};
use super::exit::Exit;
use super::reach::Reach;
use super::url;
use crate::domain::clock::{Clock as _, Timestamp};
use crate::domain::names::{EnvironmentName, IntegrationId};
use crate::domain::reason::{self, Reason};
use crate::server::SystemClock;

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
}

/// Runs it.
pub async fn run(args: &CanI, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let IntegrationId { partner, name } = &args.integration;
    let found = admin.get(&url::path(&["integrations", partner.as_str(), name.as_str()])).await?;
    let partner = admin.get(&url::path(&["partners", partner.as_str()])).await?;
    Ok(told(args, judge(args, &found, &partner, SystemClock.now())))
}

fn judge(args: &CanI, found: &Value, partner: &Value, now: Timestamp) -> Result<(), &'static Reason> {
    match cell(found, "state").as_str() {
        "active" => {}
        "suspended" => return Err(&reason::INTEGRATION_SUSPENDED),
        "offboarding" | "ended" => return Err(&reason::INTEGRATION_ENDED),
        _ => return Err(&reason::INTEGRATION_NOT_ACTIVE),
    }
    match cell(partner, "state").as_str() {
        "verified" => {}
        "suspended" => return Err(&reason::PARTNER_SUSPENDED),
        _ => return Err(&reason::PARTNER_UNVERIFIED),
    }
    let record = found.get("record").unwrap_or(&Value::Null);
    let time = |name: &str| record["contract"][name].as_i64().and_then(Timestamp::from_seconds);
    if time("starts").is_some_and(|starts| now < starts) {
        return Err(&reason::CONTRACT_NOT_STARTED);
    }
    if time("ends").is_some_and(|ends| now >= ends) {
        return Err(&reason::CONTRACT_ENDED);
    }
    let access = &record["environments"][args.env.as_str()];
    let has = |rules: &Value| rules.as_array().into_iter().flatten().any(|rule| rule["scope"] == args.scope);
    if has(&access["scopes"][&args.api]) {
        return Ok(());
    }
    let eligible = access["elevation"].as_array().into_iter().flatten();
    if eligible.into_iter().any(|rule| rule["api"] == args.api.as_str() && rule["scope"] == args.scope) {
        return Err(&reason::SCOPE_NEEDS_ELEVATION);
    }
    Err(if access["scopes"].get(&args.api).is_none() { &reason::TARGET_UNKNOWN } else { &reason::SCOPE_NOT_CONTRACTED })
}

fn told(args: &CanI, verdict: Result<(), &'static Reason>) -> Answer {
    let reason = verdict.err();
    let data = json!({
        "allowed": reason.is_none(), "reason": reason.map(|reason| reason.code), "integration": args.integration.to_string(),
        "environment": args.env.as_str(), "api": args.api, "scope": args.scope,
    });
    match reason {
        None => Answer::of(data, "yes\n"),
        Some(reason) => Answer::of(data, format!("no  {}  {}\n", reason.code, reason.what)).exit(Exit::Denied),
    }
}
