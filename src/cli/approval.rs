//! `carnet approvals`, `approve` and `deny`: four eyes from the command line.

use serde_json::{Value, json};

use super::answer::{Answer, Failure, cell, table, time};
use super::elevation;
use super::exit::Exit;
use super::reach::{Admin, Reach};
use super::url;
use crate::http::console::briefing::{self, who};

/// Arguments of `approvals`.
#[derive(Clone, Debug, clap::Args)]
pub struct Approvals {
    /// Those that are decided, too
    #[arg(long)]
    all: bool,
}

/// Arguments of `approve` and `deny`.
#[derive(Clone, Debug, clap::Args)]
pub struct Review {
    /// Approval, as `carnet approvals` lists it
    #[arg(value_name = "APPROVAL")]
    id: String,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Approve only so long, for an elevation
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Approve only this scope of an elevation; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Approve only this endpoint of an elevation; may be repeated
    #[arg(long, value_name = "METHOD /PATH")]
    allow: Vec<String>,
    /// The version that you saw; without it, the one that is current now and is shown
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

/// What a review says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// Lists approvals.
pub async fn list(args: &Approvals, reach: &Reach) -> Result<Answer, Failure> {
    let mut items = reach.places()?.admin().await?.list("/v1/approvals", usize::MAX).await?;
    if !args.all {
        items.retain(|item| cell(item, "state") == "pending");
    }
    let rows: Vec<_> = items.iter().map(row).collect();
    let text = table(&["APPROVAL", "KIND", "SUBJECT", "STATE", "NEEDS", "REQUESTED BY", "EXPIRES"], &rows);
    Ok(Answer::of(items.into(), text))
}

fn row(item: &Value) -> Vec<String> {
    let mut cells: Vec<String> = ["id", "kind", "subject", "state", "openSlots"].iter().map(|name| cell(item, name)).collect();
    cells.push(who(&item["requestedBy"]));
    cells.push(time(&item["expires"]));
    cells
}

/// Reviews one.
pub async fn review(args: &Review, verdict: Verdict, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.places()?.admin().await?;
    let word = if verdict == Verdict::Approve { "approve" } else { "deny" };
    let (current, note) = current(&admin, &args.id, verdict).await?;
    let (version, note) = match &args.version {
        Some(version) => (Value::from(version.clone()), None),
        None => (current, note),
    };
    let mut body = json!({"verdict": word, "reason": args.reason, "version": version});
    let lists = [("scopes", &args.scope), ("allow", &args.allow)];
    for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        body[name] = json!(values);
    }
    if let Some(duration) = &args.duration {
        body["duration"] = duration.clone().into();
    }
    let outcome = admin.post(&url::path(&["approvals", &args.id, "reviews"]), &body).await?;
    let state = cell(&outcome, "state");
    let mut answer = Answer::of(outcome, format!("{}  {state}\n", args.id));
    answer.notes.extend(note);
    Ok(answer)
}

/// The version that is current, and what it is about.
async fn current(admin: &Admin, id: &str, verdict: Verdict) -> Result<(Value, Option<String>), Failure> {
    let found = admin.get(&url::path(&["approvals", id])).await?;
    if cell(&found, "kind") == "elevation" {
        // All that an approver must see, on one screen; what is approved is this version and no later one.
        let whole = admin.get(&url::path(&["elevations", id])).await?;
        let version = whole.get("version").cloned().unwrap_or(Value::Null);
        let approves = verdict == Verdict::Approve;
        // A passkey signs in a browser, at the console's own address.
        if let Some(page) = whole["page"].as_str().filter(|_| approves) {
            let about = format!("{}{}", elevation::screen(&whole), briefing::sentence(&whole, true));
            let failure = Failure::new(Exit::SignIn, "this API takes approvals with the approver's passkey alone");
            return Err(failure.why(about).fix(format!("approve at {page}")));
        }
        return Ok((version, Some(format!("{}{}", elevation::screen(&whole), briefing::sentence(&whole, approves)))));
    }
    let version = found.get("version").cloned().unwrap_or(Value::Null);
    let about = format!("{} {}, version {}", cell(&found, "kind"), cell(&found, "subject"), cell(&found, "version"));
    Ok((version, Some(about)))
}
