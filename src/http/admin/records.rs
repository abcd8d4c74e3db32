//! Records as code: `plan` tells, `apply` does.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::REASON;
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::plan::{Item, Plan};
use crate::domain::people::actor::Submit;
use crate::domain::reason;
use crate::domain::registry::approval::Approval;
use crate::http::form::Form;
use crate::http::media;

/// `POST /v1/records/plan`.
pub async fn plan(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let told = async {
        let plan = broker.plan(&by.by, yaml(&headers, &body)?).await?;
        // As large as the records: to write it out is no work for a thread that serves tokens either.
        Ok(json(broker.desk.finish(move || show(&plan).to_string()).await?))
    };
    told.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `POST /v1/records/apply`; with `If-Match: PLAN_ID` only while the plan is still that one. The reason of `Carnet-Reason` is recorded, and
/// shown to who approves.
pub async fn apply(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let told = async {
        let expected = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim_matches('"'));
        let why = why(&headers)?;
        Ok(broker.apply(&by.by, yaml(&headers, &body)?, expected, why.as_deref(), by.made_for()).await?)
    };
    let at = |problem: Problem| problem.at(&by.request);
    let plan: Plan = told.await.map_err(at)?;
    let view = broker.journal.view();
    let write = move || {
        let mut shown = show(&plan);
        let opened = plan.items.iter().filter_map(|item| view.state.approvals.get(item.approval.as_ref()?));
        shown["approvals"] = opened.map(opened_approval).collect();
        shown.to_string()
    };
    Ok(json(broker.desk.finish(write).await.map_err(|failure| at(failure.into()))?))
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// An approval that an apply opened: whose word it needs.
fn opened_approval(approval: &Approval) -> Value {
    json!({
        "id": approval.id, "kind": approval.kind, "subject": approval.subject, "version": approval.version,
        "openSlots": approval.open_slots(), "expires": approval.expires,
    })
}

/// The reason for an apply: its body is the records alone, and no query is taken. Escaped as in a form, for a header is ASCII.
fn why(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    let mut values = headers.get_all(REASON).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| values.next().is_none() && !text.contains('&')).ok_or_else(malformed)?;
    let pair = format!("reason={text}");
    let form = Form::parse(&pair).map_err(|_| malformed())?;
    Ok(form.get("reason").map(str::to_owned))
}

fn yaml<'b>(headers: &HeaderMap, body: &'b Bytes) -> Result<&'b str, Problem> {
    if !media::is(headers, "application/yaml") {
        return Err(Problem::media_type());
    }
    std::str::from_utf8(body).map_err(|_| Problem::of(&reason::REQUEST_MALFORMED))
}

fn show(plan: &Plan) -> Value {
    let warning = |fault: &crate::domain::record::Fault| {
        json!({
            "at": format!("{}:{} {}", fault.file, fault.line, fault.at), "reason": fault.reason.code, "message": fault.message,
        })
    };
    json!({
        "id": plan.id, "changes": plan.items.iter().any(|item| item.action.name() != "unchanged"),
        "items": plan.items.iter().map(item).collect::<Vec<_>>(),
        "warnings": plan.warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

fn item(item: &Item) -> Value {
    let difference = |difference: &crate::domain::record::Difference| json!({"at": difference.at, "from": difference.from, "to": difference.to, "weight": difference.weight.word()});
    json!({
        "kind": item.kind, "subject": item.subject, "action": item.action.name(),
        "differences": item.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}
