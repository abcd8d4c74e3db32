//! `carnet inventory`: every way in, for people and for spreadsheets.

use serde_json::Value;

use crate::cli::shell::answer::{Answer, Failure, cell, day, table, time};
use crate::cli::shell::csv::csv;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::PartnerName;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Inventory {
    /// Only those of this partner
    #[arg(long, value_name = "PARTNER")]
    partner: Option<PartnerName>,
    /// Only those that something ends within this time
    #[arg(long, value_name = "TIME", value_parser = length)]
    ends_within: Option<Seconds>,
    /// Only those that nobody used for so long; static secrets are left out: the broker never sees them used
    #[arg(long, value_name = "TIME", value_parser = length)]
    unused: Option<Seconds>,
    /// Only those of this owner
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
}

/// Parses a length of time.
pub fn length(text: &str) -> Result<Seconds, String> {
    Seconds::parse(text).ok_or_else(|| "expected a length of time such as 24h or 30d".to_owned())
}

const HEADINGS: [&str; 11] =
    ["partner", "integration", "environment", "kind", "name", "state", "reach", "last use", "ends next", "by", "owners"];

/// Runs it.
pub async fn run(args: &Inventory, reach: &Reach) -> Result<Answer, Failure> {
    let filters = [
        ("partner", args.partner.as_ref().map(ToString::to_string)),
        ("endsWithin", args.ends_within.map(|time| time.to_string())),
        ("unused", args.unused.map(|time| time.to_string())),
        ("owner", args.owner.clone()),
    ];
    let pairs: Vec<(&str, &str)> = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", url::form(&pairs)) };
    let path = format!("/v1/inventory{query}");
    let items = reach.places()?.admin().await?.list(&path, usize::MAX).await?;
    let shown: Vec<Vec<String>> =
        items.iter().map(|item| row(item, &time(&item["lastUse"]), &day(&item["endsNext"]["at"]))).collect();
    let headings = HEADINGS.map(str::to_uppercase);
    let text = table(&headings.each_ref().map(String::as_str), &shown);
    // Times that sort.
    let exact = |value: &Value| value.as_i64().and_then(Timestamp::from_seconds).map(|at| at.to_string()).unwrap_or_default();
    let nothing = |cell: String| if cell == "-" { String::new() } else { cell };
    let sheet = items.iter().map(|item| row(item, &exact(&item["lastUse"]), &exact(&item["endsNext"]["at"])));
    let sheet: Vec<Vec<String>> = sheet.map(|row| row.into_iter().map(nothing).collect()).collect();
    Ok(Answer::of(items.into(), text).csv(csv(&HEADINGS, &sheet)))
}

fn row(item: &Value, last: &str, ends: &str) -> Vec<String> {
    let causes = cell(item, "causes");
    let state = if causes.is_empty() { cell(item, "state") } else { format!("{} ({causes})", cell(item, "state")) };
    let reach = item["reach"].as_array().into_iter().flatten();
    let reach = reach.map(|one| format!("{}: {}", cell(one, "api"), cell(one, "scopes"))).collect::<Vec<_>>().join("; ");
    let last = match item["used"].as_str() {
        Some("unknown") => "unknown",
        _ if item["lastUse"].is_null() => "never",
        _ => last,
    };
    let owners = [&item["owners"]["business"], &item["owners"]["application"], &item["owner"]];
    let owners = owners.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let name = if item["what"].is_string() { "what" } else { "name" };
    let mut cells: Vec<String> = ["partner", "integration", "environment", "kind", name].map(|name| cell(item, name)).to_vec();
    cells.extend([state, reach, last.to_owned(), ends.to_owned(), cell(&item["endsNext"], "what"), owners]);
    cells
}
