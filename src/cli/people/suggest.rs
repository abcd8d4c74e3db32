//! `carnet suggest`: a narrower record from what was issued.

use serde_json::Value;

use crate::cli::shell::answer::{Answer, Failure, cell, day};
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::names::IntegrationId;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Suggest {
    /// Integration
    #[arg(value_name = "PARTNER/INTEGRATION")]
    integration: IntegrationId,
}

/// Runs it: the record on stdout, and what it says of the parts on stderr.
pub async fn run(args: &Suggest, reach: &Reach) -> Result<Answer, Failure> {
    let id = &args.integration;
    let path = url::path(&["integrations", id.partner.as_str(), id.name.as_str(), "suggestion"]);
    let found = reach.places()?.admin().await?.get(&path).await?;
    let parts: Vec<&Value> =
        found["parts"].as_array().into_iter().flatten().filter(|part| part["suggestion"] != "keep").collect();
    let mut notes: Vec<String> = parts.iter().map(|part| note(part)).collect();
    for difference in found["differences"].as_array().into_iter().flatten() {
        let (from, to) = (cell(difference, "from"), cell(difference, "to"));
        notes.push(format!("{} {}: {from} -> {to}", cell(difference, "weight"), cell(difference, "at")));
    }
    if found["record"].is_null() {
        notes.push(format!("nothing would be left of {id}: nobody was issued anything for 90 days"));
    } else if found["applies"] == false {
        notes.push("a text was erased; write another before you apply it".to_owned());
    } else if !parts.iter().any(|part| part["suggestion"] == "remove") {
        notes.push("everything was issued lately: the record is as narrow as this can tell".to_owned());
    }
    let text = found["record"].as_str().unwrap_or_default().to_owned();
    Ok(notes.into_iter().fold(Answer::of(found, text), Answer::note))
}

fn note(part: &Value) -> String {
    let names = ["api", "scope", "binding"].map(|name| part[name].as_str()).into_iter().flatten().collect::<Vec<_>>().join(" ");
    let place = cell(part, "environment");
    let refused = match part["issuedBefore"].as_u64() {
        Some(count) if count > 0 && part["suggestion"] == "remove" => {
            format!("; it would have refused {count} tokens of 400 days, the last of {}", day(&part["lastIssued"]))
        }
        _ => String::new(),
    };
    let what = if names.is_empty() { place } else { format!("{place} {} {names}", cell(part, "what")) };
    format!("{} {what}: {}{refused}", cell(part, "suggestion"), cell(part, "because"))
}
