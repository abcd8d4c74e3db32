//! `carnet partner activity`: what a partner did, and what was done about it.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::reach::Admin;
use crate::cli::shell::url;
use crate::domain::value::names::PartnerName;
use crate::http::console::briefing::who;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Activity {
    /// Partner
    partner: PartnerName,
    /// From so long ago, such as `24h`; or since this day of UTC, RFC 3339 time or second since 1970
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Up to and including this day of UTC, or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Maximum number of changes
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

/// Runs it.
pub async fn run(args: &Activity, admin: &Admin) -> Result<Answer, Failure> {
    let mut pairs = vec![("since", args.since.as_str())];
    pairs.extend(args.until.as_deref().map(|until| ("until", until)));
    let path = format!("{}?{}", url::path(&["partners", args.partner.as_str(), "activity"]), url::form(&pairs));
    let mut first: Option<Value> = None;
    let (mut items, mut cursor) = (Vec::new(), String::new());
    let more = loop {
        let limit = args.limit.saturating_sub(items.len()).clamp(1, 1000);
        let page = admin.get(&format!("{path}&limit={limit}{cursor}")).await?;
        let more = page["more"].clone();
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        let next = page["next"].as_str().map(|next| format!("&cursor={}", url::encode(next)));
        first.get_or_insert(page);
        match next.filter(|_| items.len() < args.limit) {
            Some(next) => cursor = next,
            None => break more,
        }
    };
    let mut told = first.unwrap_or_default();
    let text = text(&told, &items);
    let shown = items.len();
    (told["items"], told["more"], told["next"]) = (items.into(), more.clone(), json!(null));
    let is_late = told["countedFrom"].as_i64() > told["since"].as_i64();
    let late = format!("tokens are counted from {} on: entries before it have left the database", time(&told["countedFrom"]));
    let (refused, counted) = (told["refusedMore"] == true, cell(&told, "more"));
    let mut answer = Answer::of(told, text);
    if is_late {
        answer = answer.note(late);
    }
    if refused {
        answer = answer.note("there are more refusals than are shown: ask about a shorter time");
    }
    Ok(match more.as_u64() {
        Some(0) => answer,
        Some(_) => answer.note(format!("the newest {shown} changes; {counted} older ones match: --limit shows them")),
        None => answer.note(format!("the newest {shown} changes; there are more")),
    })
}

fn text(told: &Value, items: &[Value]) -> String {
    let unknown = |value: &Value, name: &str| match cell(value, name).as_str() {
        "-" => "unknown".to_owned(),
        known => known.to_owned(),
    };
    let rows = |list: &Value, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        list.as_array().into_iter().flatten().map(row).collect()
    };
    let issued = rows(&told["issued"], &|one| {
        let place = ["integration", "environment", "api", "binding", "network"].map(|name| unknown(one, name));
        place.into_iter().chain([cell(one, "count"), time(&one["last"])]).collect()
    });
    let refused = rows(&told["refused"], &|one| {
        let place = ["integration", "environment", "reason", "api", "network"].map(|name| unknown(one, name));
        place.into_iter().chain([cell(one, "count"), time(&one["last"])]).collect()
    });
    let done: Vec<Vec<String>> = items
        .iter()
        .map(|one| {
            let about = one["about"].as_str().map_or_else(|| cell(one, "subject"), str::to_owned);
            vec![time(&one["time"]), cell(one, "kind"), about, who(&one["by"]), cell(one, "reason")]
        })
        .collect();
    let part = |title: &str, headings: &[&str], rows: &[Vec<String>]| match rows {
        [] => format!("{title}: none\n"),
        rows => format!("{title}\n{}", table(headings, rows)),
    };
    [
        part("ISSUED", &["INTEGRATION", "ENVIRONMENT", "API", "BINDING", "NETWORK", "COUNT", "LAST"], &issued),
        part("REFUSED", &["INTEGRATION", "ENVIRONMENT", "REASON", "API", "NETWORK", "COUNT", "LAST"], &refused),
        part("CHANGES", &["TIME", "KIND", "SUBJECT", "WHO", "REASON"], &done),
    ]
    .join("\n")
}
