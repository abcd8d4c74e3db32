//! Texts of people, and that they are forgotten.

use std::collections::BTreeSet;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::Accepted;
use super::input::Sent;
use super::problem::Problem;
use super::revocations::ApprovalAsked;
use super::route::{Route, post};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::domain::people::actor::Erase;
use crate::domain::value::text::{Text, TextDigest};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![post("/v1/texts/erase", "eraseTexts", "Ask that texts of people are forgotten; security approves", erase)]
}

/// Texts that are to be forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EraseTexts)]
struct Wanted {
    /// The texts as entries name them: `text:` and 64 hexadecimal digits.
    digests: Vec<String>,
    /// The reason. It is recorded.
    reason: String,
}

fn digest((at, text): (usize, &String)) -> Result<TextDigest, Fault> {
    let read = Text::try_from(text.clone()).ok().and_then(|text| text.digest());
    let message = "expected text: and 64 hexadecimal digits";
    read.ok_or_else(|| Fault::invalid(format!("digests[{at}]"), message))
}

/// `POST /v1/texts/erase`.
async fn erase(
    State(broker): State<Broker>,
    by: Admitted<Erase>,
    Sent(wanted): Sent<Wanted>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let digests: Result<BTreeSet<TextDigest>, Fault> = wanted.digests.iter().enumerate().map(digest).collect();
    let digests = digests.map_err(|fault| Problem::faults(vec![fault]))?;
    let approval = broker.ask_erasure(&by.by, &digests, &wanted.reason, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}
