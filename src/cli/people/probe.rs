//! `carnet probe`: has the server fetch an issuer's discovery document and keys.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure, cell, table};
use crate::cli::shell::reach::Reach;
use crate::domain::value::names::Issuer;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Probe {
    /// Issuer, as the claim `iss` of its tokens has it
    #[arg(value_name = "ISSUER")]
    issuer: Issuer,
}

/// Runs it.
pub async fn run(args: &Probe, reach: &Reach) -> Result<Answer, Failure> {
    let found = reach.places()?.admin().await?.post("/v1/issuers/probe", &json!({"issuer": args.issuer})).await?;
    let keys = found["keys"].as_array().map_or(&[][..], Vec::as_slice);
    let algs =
        |key: &Value| key["algs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let rows: Vec<_> = keys.iter().map(|key| vec![cell(key, "kid"), algs(key), cell(key, "thumbprint")]).collect();
    let text = format!("keys  {}\n{}", cell(&found, "jwksUri"), table(&["KID", "ALG", "THUMBPRINT"], &rows));
    let notes = found["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let answer = notes.fold(Answer::of(found.clone(), text), |answer, note| answer.note(note.to_owned()));
    Ok(match found["ignored"].as_u64() {
        Some(ignored) if ignored > 0 => {
            answer.note(format!("{ignored} more entries of its key set are no keys that could be used"))
        }
        _ => answer,
    })
}
