//! `carnet status`: shows which broker this is, if it is ready, and if you are signed in.

use serde_json::{Value, json};

use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Reach, unanswered};
use crate::outbound::operator::Call;

/// Runs the command. Exit 7 if the broker is not ready.
pub async fn run(reach: &Reach) -> Result<Answer, Failure> {
    let places = reach.places()?;
    let client = places.health()?;
    let reply = client.call(Call { method: "GET", path: "/readyz?verbose", ..Call::default() }).await;
    let reply = reply.map_err(|fault| unanswered(&fault))?;
    let readiness: Value = serde_json::from_slice(&reply.body)
        .map_err(|_| Failure::new(Exit::Failure, format!("{} does not answer as a broker's admin address", client.base())))?;
    let ready = reply.status == 200;
    let staff = match places.admin().await {
        Err(failure) => format!("not signed in: {}", failure.what),
        Ok(admin) => match admin.get("/v1/approvals?limit=1").await {
            Ok(_) => "signed in".to_owned(),
            Err(failure) if failure.exit == Exit::SignIn => "the staff token does not count (any more)".to_owned(),
            Err(failure) => failure.what,
        },
    };
    let mut text = format!("server  {}\nready   {}\nstaff   {staff}\n", client.base(), if ready { "yes" } else { "NO" });
    for check in readiness["checks"].as_array().into_iter().flatten() {
        text += &line(check["ok"] == true, check["name"].as_str().unwrap_or("-"), check["detail"].as_str().unwrap_or_default());
    }
    let data = json!({"server": client.base(), "ready": ready, "checks": readiness["checks"], "staff": staff});
    Ok(Answer::of(data, text).exit(if ready { Exit::Ok } else { Exit::Unavailable }))
}

/// A line with `ok` or `NO`, the name of a check, and its detail.
pub fn line(ok: bool, name: &str, detail: &str) -> String {
    let word = if ok { "ok" } else { "NO" };
    format!("  {word}  {name:<14} {detail}").trim_end().to_owned() + "\n"
}
