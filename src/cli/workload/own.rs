//! `carnet elevate --own`: a workload requests an elevation for itself and waits.
//!
//! It stores the poll token before it waits, so that neither a time-out nor the end of a job loses it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::assertion::{self, Wanted};
use super::proof::Source;
use crate::cli::shell::answer::{Answer, Failure, cell, time};
use crate::cli::shell::context;
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{client, refusal, unanswered};
use crate::cli::shell::steady::{self, For};
use crate::cli::shell::url;
use crate::domain::value::clock::{Clock as _, Seconds};
use crate::journal::file::{private_folder, replace};
use crate::outbound::operator::{Call, OperatorClient, Reply};
use crate::server::SystemClock;

/// The interval at which a waiting workload polls.
const POLLED: Duration = Duration::from_secs(1);

/// The stored request, in a file of this user's own.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The environment's issuer.
    issuer: String,
    /// The elevation.
    id: String,
    /// The token that polls for its outcome.
    poll_token: String,
}

/// Requests an elevation by the workload's own proof, and waits for at most `wait`.
pub async fn ask(
    issuer: String,
    source: &Source,
    audience: Option<&str>,
    body: &Value,
    wait: Seconds,
) -> Result<Answer, Failure> {
    let (base, path) = url::split(&issuer).ok_or_else(|| Failure::usage("the issuer is not a URL"))?;
    let (client, path) = (client(base)?, format!("{}/elevations", path.trim_end_matches('/')));
    let proof = source.read().await?;
    assertion::look(&proof, &Wanted { issuer: &issuer, audience, now: SystemClock.now() })?;
    let content = Some(("application/json", body.to_string().into_bytes()));
    let call = Call { method: "POST", path: &path, bearer: Some(&proof), body: content, ..Call::default() };
    let reply = client.call(call).await.map_err(|fault| unanswered(&fault))?;
    if reply.status != 202 {
        return Err(refusal(&reply));
    }
    let told = parsed(&reply)?;
    let token = told.get("pollToken").and_then(Value::as_str).map(str::to_owned);
    let token = token.ok_or_else(|| Failure::new(Exit::Failure, "the answer holds no token to ask with"))?;
    let kept = Kept { issuer, id: cell(&told, "id"), poll_token: token };
    let file = keep(&kept);
    outcome(&client, &kept, told, wait, file).await
}

/// Waits for an elevation that was requested before.
pub async fn resume(id: &str, wait: Seconds) -> Result<Answer, Failure> {
    let file = place(id)?;
    let unknown = || {
        Failure::new(Exit::Missing, format!("nothing is kept of an elevation {id}"))
            .why(format!("there is no file {} that can be read", file.display()))
            .fix("ask anew: carnet elevate --own")
    };
    let text = std::fs::read_to_string(&file).map_err(|_| unknown())?;
    let kept: Kept = serde_json::from_str(&text).map_err(|_| unknown())?;
    let (base, _) = url::split(&kept.issuer).ok_or_else(unknown)?;
    let client = client(base)?;
    let told = poll(&client, &kept).await?.ok_or_else(|| Failure::new(Exit::Unavailable, "the broker cannot answer now"))?;
    outcome(&client, &kept, told, wait, Ok(file)).await
}

async fn outcome(
    client: &OperatorClient,
    kept: &Kept,
    mut told: Value,
    wait: Seconds,
    file: Result<PathBuf, Failure>,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    while cell(&told, "state") == "pending" && begun.elapsed().as_secs() < u64::from(wait.0) {
        tokio::time::sleep(POLLED).await;
        // A broker that restarts meanwhile still has the request on record.
        if let Some(newer) = poll(client, kept).await? {
            told = newer;
        }
    }
    let state = cell(&told, "state");
    let mut text = format!("{}  {state}  until {}\n", kept.id, time(&told["ends"]));
    if state == "pending" {
        // The broker shows it once; from here on only this program has it.
        told["pollToken"] = kept.poll_token.clone().into();
        text = format!("{}  {state}\npoll token  {}\n", kept.id, kept.poll_token);
        let exit = if wait == Seconds(0) { Exit::Ok } else { Exit::Unavailable };
        let answer = Answer::of(told, text).exit(exit);
        let answer = if exit == Exit::Ok { answer } else { answer.note("nobody has decided in time; the request stands") };
        return Ok(match file {
            Ok(_) => answer.note(format!("ask again with: carnet elevate --resume {}", kept.id)),
            Err(fault) => answer.note(format!("{}: keep the poll token from stdout", fault.what)),
        });
    }
    // Decided: nobody polls again.
    if let Ok(file) = file {
        let _gone = std::fs::remove_file(file);
    }
    match state.as_str() {
        "active" | "approved" => Ok(Answer::of(told, text)),
        "expired" => Err(Failure::new(Exit::Unavailable, "nobody has decided in time").place_at(&kept.id)),
        _ => Err(Failure::new(Exit::Denied, format!("the elevation is {state}")).place_at(&kept.id)),
    }
}

/// The outcome as it is now; `None` if the broker cannot answer.
async fn poll(client: &OperatorClient, kept: &Kept) -> Result<Option<Value>, Failure> {
    let path = url::split(&kept.issuer).map_or("", |(_, path)| path);
    let place = format!("{}/elevations/{}", path.trim_end_matches('/'), url::encode(&kept.id));
    let call = Call { method: "GET", path: &place, bearer: Some(&kept.poll_token), ..Call::default() };
    match steady::ask(client, call, For::Job).await {
        Ok(reply) if reply.status == 200 => Ok(Some(parsed(&reply)?)),
        Ok(reply) if steady::is_away(reply.status) => Ok(None),
        Ok(reply) => Err(refusal(&reply)),
        Err(_) => Ok(None),
    }
}

fn parsed(reply: &Reply) -> Result<Value, Failure> {
    serde_json::from_slice(&reply.body).map_err(|_| Failure::new(Exit::Failure, "the server's answer is no JSON"))
}

/// Stores the poll token, for this user alone.
fn keep(kept: &Kept) -> Result<PathBuf, Failure> {
    let file = place(&kept.id)?;
    let unwritten = |_| Failure::new(Exit::Failure, format!("{} cannot be written", file.display()));
    if let Some(folder) = file.parent() {
        private_folder(folder).map_err(unwritten)?;
    }
    let text = serde_json::to_vec(kept).map_err(|_| Failure::new(Exit::Failure, "what is kept is no JSON"))?;
    replace(&file, &text).map_err(unwritten)?;
    Ok(file)
}

/// The path of the stored request: beside the contexts, one file for each elevation.
fn place(id: &str) -> Result<PathBuf, Failure> {
    let contexts = context::default_path().map_err(|fault| Failure::usage(fault.to_string()))?;
    file_of(&contexts, id).ok_or_else(|| Failure::usage("this is not the id of an elevation"))
}

fn file_of(contexts: &Path, id: &str) -> Option<PathBuf> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    plain.then(|| contexts.with_file_name("elevations").join(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_token_is_kept_nowhere_else() {
        let contexts = Path::new("/home/x/.config/carnet/contexts.toml");
        assert_eq!(file_of(contexts, "4fJq").expect("a file"), Path::new("/home/x/.config/carnet/elevations/4fJq"));
        for id in ["", "..", "a/b", "../a", "a\0b", "a.next"] {
            assert_eq!(file_of(contexts, id), None, "{id}");
        }
    }
}
