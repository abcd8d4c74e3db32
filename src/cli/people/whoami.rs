//! `carnet whoami`: shows the person you are to the server, your roles, and when the sign-in ends.

use serde_json::Value;

use crate::cli::shell::answer::{Answer, Failure, one_line, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::domain::value::clock::{Clock as _, Seconds, Timestamp};
use crate::server::SystemClock;

/// Runs it.
pub async fn run(reach: &Reach) -> Result<Answer, Failure> {
    let places = reach.places()?;
    let caller = places.admin().await?.get("/v1/whoami").await?;
    let text = told(places.server()?, &caller, SystemClock.now())
        .ok_or_else(|| Failure::new(Exit::Failure, "the server's answer is not that of a Carnet broker"))?;
    Ok(Answer::of(caller, text))
}

/// The answer for people; `None` if it lacks a required member.
fn told(server: &str, caller: &Value, now: Timestamp) -> Option<String> {
    let person = &caller["person"];
    let id = person["id"].as_str()?;
    let name = person["name"].as_str().map_or_else(|| id.to_owned(), |name| format!("{} ({id})", one_line(name)));
    let kind = if caller["machine"].as_bool()? { ", a machine" } else { "" };
    let roles: Vec<&str> = caller["roles"].as_array()?.iter().filter_map(Value::as_str).collect();
    let until = Timestamp::from_seconds(caller["until"].as_i64()?)?;
    let left = Seconds(until.since(now).0 / 60 * 60);
    let reviews = if caller["freshForReviews"].as_bool()? {
        "yes, for 15 minutes after the sign-in"
    } else {
        "no: they need a person's sign-in of the last 15 minutes; `carnet login` makes one"
    };
    Some(format!(
        "server   {server}\nperson   {name}{kind}, of {}\nroles    {}\nleft     {left}, until {}; then `carnet login`\nreviews  {reviews}\n",
        one_line(person["iss"].as_str()?),
        roles.join(", "),
        time(&caller["until"]),
    ))
}
