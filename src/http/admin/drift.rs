//! Drift: what differs between the files of a repository and what is in force.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::Written;
use super::problem::Problem;
use super::records::Yaml;
use super::route::{Route, post};
use crate::broker::Broker;
use crate::broker::drift::{Applied, Deed, Drift, Drifted};
use crate::broker::view::person::ActorView;
use crate::broker::view::record::DifferenceView;
use crate::broker::words::{Words, sealed};
use crate::domain::people::actor::Read;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, BindingName, EnvironmentName};
use crate::domain::value::text::Text;

/// The routes.
pub fn routes() -> Vec<Route> {
    let told = "Tell what differs between these records and what is in force, and what made it so";
    vec![post("/v1/records/drift", "driftRecords", told, drift)]
}

/// What differs between files and what is in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Drift)]
struct DriftView {
    /// True if anything differs.
    drift: bool,
    /// The number of records that were sent.
    records: usize,
    /// Each record that differs, by kind and name.
    items: Vec<ItemView>,
}

/// A record that differs.
#[derive(Serialize, ToSchema)]
#[schema(as = DriftItem)]
struct ItemView {
    /// `Api`, `Partner`, `Integration` or `Guardrail`.
    kind: &'static str,
    subject: String,
    /// `differs`; `not-in-force` if it has a file and no version in force; `no-file` if it is in force and was not sent; `stopped` if both are the
    /// same, and something stops what they give.
    state: &'static str,
    /// What an apply of the file would change, riskiest first.
    differences: Vec<DifferenceView>,
    /// What made it so, as far as the journal knows.
    causes: Vec<CauseView>,
}

/// What made a record differ.
#[derive(Serialize, ToSchema)]
#[schema(as = DriftCause)]
struct CauseView {
    /// `applied`, `waits`, `reviewed`, `suspended`, `revoked`, `environment-closed`, `exception-closed` or `binding-retired`.
    what: &'static str,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ActorView)]
    by: Option<ActorView>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Timestamp)]
    at: Option<Timestamp>,
    /// Why; absent if nobody said so, or the text was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    reason: Option<String>,
    /// The review, suspension, revocation or exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    id: Option<String>,
    /// The approval that the version took, or waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ApprovalId)]
    approval: Option<ApprovalId>,
    /// The revoked thing, or the name of the exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    of: Option<String>,
    /// The environments that it covers; absent if it covers all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    environments: Vec<EnvironmentName>,
    /// The binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BindingName)]
    binding: Option<BindingName>,
}

/// `POST /v1/records/drift`. Send all records: what is in force and not sent counts as drift.
async fn drift(State(broker): State<Broker>, by: Admitted<Read>, records: Yaml) -> Result<Written<Json<DriftView>>, Problem> {
    let found = broker.drift(&by.by, records.text()?.to_owned()).await?;
    let texts = found.items.iter().flat_map(|item| item.causes.iter().flat_map(Deed::texts));
    let words = Words::of(&broker, sealed(texts)).await?;
    let text = broker.desk.finish(move || serde_json::json!(show(&found, &words)).to_string()).await?;
    Ok(Written::as_is(([(header::CONTENT_TYPE, "application/json")], text).into_response()))
}

fn show(found: &Drift, words: &Words) -> DriftView {
    let items: Vec<_> = found.items.iter().map(|item| shown(item, found.at, words)).collect();
    DriftView { drift: !items.is_empty(), records: found.records, items }
}

fn shown(item: &Drifted, now: Timestamp, words: &Words) -> ItemView {
    let mut differences: Vec<_> = item.differences.iter().collect();
    differences.sort_by_key(|(one, _)| one.told(now));
    ItemView {
        kind: item.kind.name(),
        subject: item.subject.clone(),
        state: item.state.name(),
        differences: differences.into_iter().map(|(one, gain)| DifferenceView::of(one, gain.clone(), now)).collect(),
        causes: item.causes.iter().map(|cause| cause_of(cause, words)).collect(),
    }
}

fn cause_of(cause: &Deed, words: &Words) -> CauseView {
    let plain = |text: &Text| words.plain(text).map(str::to_owned);
    let empty = |what| CauseView {
        what,
        by: None,
        at: None,
        reason: None,
        id: None,
        approval: None,
        of: None,
        environments: Vec::new(),
        binding: None,
    };
    let made = |what, one: &Applied| CauseView {
        by: Some(words.actor(&one.by)),
        at: Some(one.at),
        reason: one.reason.as_ref().and_then(plain),
        approval: one.approval.clone(),
        ..empty(what)
    };
    match cause {
        Deed::Applied(one) => made("applied", one),
        Deed::Waits(one) => made("waits", one),
        Deed::Reviewed(one) => CauseView {
            by: Some(words.actor(&one.by)),
            at: Some(one.at),
            id: Some(one.review.to_string()),
            environments: vec![one.review.environment.clone()],
            ..empty("reviewed")
        },
        Deed::Suspended(one) => CauseView {
            by: Some(words.actor(&one.by)),
            at: Some(one.at),
            reason: plain(&one.reason),
            id: Some(one.id.to_string()),
            environments: one.environments.iter().cloned().collect(),
            ..empty("suspended")
        },
        Deed::Revoked(one) => CauseView {
            by: Some(words.actor(&one.by)),
            at: Some(one.at),
            reason: plain(&one.reason),
            id: Some(one.id.to_string()),
            of: Some(one.target.key().to_string()),
            ..empty("revoked")
        },
        Deed::EnvironmentClosed(environment, at) => {
            CauseView { at: Some(*at), environments: vec![environment.clone()], ..empty("environment-closed") }
        }
        Deed::ExceptionClosed { id, what, by, at } => CauseView {
            by: Some(words.actor(by)),
            at: Some(*at),
            id: Some(id.to_string()),
            of: Some(what.clone()),
            ..empty("exception-closed")
        },
        Deed::BindingRetired(environment, binding) => {
            CauseView { environments: vec![environment.clone()], binding: Some(binding.clone()), ..empty("binding-retired") }
        }
    }
}
