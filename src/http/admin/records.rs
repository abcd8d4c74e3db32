//! Records as code: `plan` shows the changes, `apply` makes them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

use super::admitted::Admitted;
use super::answer::Written;
use super::describe::{Description, Part, text};
use super::idempotency::{REASON, REFUSES, UNKNOWN};
use super::problem::{FaultView, Problem};
use super::route::{Route, post};
use crate::broker::Broker;
use crate::broker::effect::{Effect, Span, Turn, Turned};
use crate::broker::plan::{Item, Plan};
use crate::broker::registry;
use crate::broker::replayed::Numbers;
use crate::broker::view::record::{DifferenceView, place};
use crate::domain::people::actor::{Role, Submit};
use crate::domain::reason;
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::http::form::Form;
use crate::http::media;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/records/apply", "applyRecords", "Record them; a version that widens something waits for approval", apply),
        post("/v1/records/plan", "planRecords", "Tell what these records would change", plan),
    ]
}

/// The plan of an apply, or the outcome of an apply.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
struct PlanView {
    /// The id, for `If-Match` of an apply.
    id: String,
    /// True if it changes anything.
    changes: bool,
    items: Vec<ItemView>,
    warnings: Vec<FaultView>,
    /// Tokens of the last 30 days that its guardrails would have refused; an apply says the number in `Carnet-Refuses`.
    ///
    /// Absent if it enforces no guardrail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    refuses: Option<u64>,
    /// Tokens of which the journal does not know enough to say; an apply says the number in `Carnet-Unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    unknown: Option<u64>,
    /// Living tokens that it would cut; absent in the outcome of an apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    cuts: Option<u64>,
    /// What it would have done to the requests of the last 30 days; absent in the outcome of an apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReplayView)]
    replay: Option<ReplayView>,
    /// The approvals that an apply opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<OpenedApproval>)]
    approvals: Option<Vec<OpenedApproval>>,
}

/// One document of a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanItem)]
struct ItemView {
    /// `Api`, `Partner`, `Integration` or `Guardrail`.
    kind: &'static str,
    subject: String,
    action: &'static str,
    /// Whether a version of it is in force.
    #[serde(rename = "inForce")]
    in_force: bool,
    /// The differences, riskiest first.
    differences: Vec<DifferenceView>,
    /// Living tokens that it would cut, once it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    cuts: Option<u64>,
    /// What it would have done to the requests of the last 30 days, beside the items that come before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReplayView)]
    replay: Option<ReplayView>,
}

/// Requests of the last 30 days whose outcome would have been another one.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanReplay)]
struct ReplayView {
    /// Tokens that were issued, and would have been refused.
    refused: u64,
    /// Requests of known callers that were refused, and would have been granted.
    granted: u64,
    /// Requests of which the journal does not know enough to say: it has neither claims nor addresses. At least 1 unless `complete`.
    unknown: u64,
    /// Whether all requests of that time were looked at.
    complete: bool,
    /// The same by outcome and reason.
    reasons: Vec<TurnedView>,
}

/// Requests of one outcome and reason.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanTurned)]
struct TurnedView {
    /// `refused`, `granted` or `unknown`.
    outcome: &'static str,
    /// Why they would be refused, why they were refused, or the check on which it hangs.
    reason: &'static str,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl ReplayView {
    fn of(turned: &Turned) -> Self {
        let row = |(turn, reason, span): (Turn, &'static str, Span)| TurnedView {
            outcome: turn.name(),
            reason,
            count: span.count,
            first: span.first,
            last: span.last,
        };
        Self {
            refused: turned.count(Turn::Refused),
            granted: turned.count(Turn::Granted),
            unknown: turned.count(Turn::Unknown),
            complete: turned.is_whole(),
            reasons: turned.rows().map(row).collect(),
        }
    }
}

/// An approval that an apply opened, and the roles that it needs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenedApproval {
    id: ApprovalId,
    kind: Kind,
    subject: String,
    version: Digest,
    open_slots: Vec<Role>,
    expires: Timestamp,
}

/// A body with records in YAML.
pub struct Yaml {
    body: Bytes,
    is_yaml: bool,
}

impl<S: Send + Sync> FromRequest<S> for Yaml {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let is_yaml = media::is(request.headers(), "application/yaml");
        let body = Bytes::from_request(request, state).await.map_err(|rejected| rejected.into_response())?;
        Ok(Self { body, is_yaml })
    }
}

impl Part for Yaml {
    fn describe(description: &mut Description) {
        description.body("application/yaml", text());
    }
}

impl Yaml {
    /// The text.
    pub fn text(&self) -> Result<&str, Problem> {
        if !self.is_yaml {
            return Err(Problem::media_type());
        }
        std::str::from_utf8(&self.body).map_err(|_| Problem::of(&reason::REQUEST_MALFORMED))
    }
}

/// The headers of an apply.
///
/// The handler parses them, so that a fault of the caller is reported first.
struct Terms(HeaderMap);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Terms {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.headers.clone()))
    }
}

impl Part for Terms {
    fn describe(description: &mut Description) {
        let header = |name: &str, about: &str| {
            let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
            header.description(Some(about)).schema(Some(text()))
        };
        description.parameter(header("If-Match", "The id of the plan that was looked at; 412 where it is no longer current"));
        description.parameter(header(
            "Carnet-Reason",
            "Why, escaped as in a form; it is recorded, and shown to the people who approve",
        ));
        description.parameter(header(
            "Carnet-Refuses",
            "The number of tokens of the last 30 days that the guardrails would have refused; 409 tells it where it is another one",
        ));
        description.parameter(header(
            "Carnet-Unknown",
            "The number of tokens of the last 30 days of which that is unknown; 409 tells it where it is another one",
        ));
    }
}

impl Terms {
    /// The numbers of tokens that the caller knows the guardrails would have refused, or of which that is unknown.
    fn numbers(&self) -> Result<Numbers, Problem> {
        Ok(Numbers { refuses: self.number(&REFUSES)?, unknown: self.number(&UNKNOWN)? })
    }

    fn number(&self, header: &HeaderName) -> Result<u64, Problem> {
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let mut values = self.0.get_all(header).iter();
        let Some(value) = values.next() else { return Ok(0) };
        let text = value.to_str().ok().filter(|text| values.next().is_none() && text.bytes().all(|b| b.is_ascii_digit()));
        text.and_then(|text| text.parse().ok()).ok_or_else(malformed)
    }

    fn expected(&self) -> Option<&str> {
        self.0.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim_matches('"'))
    }
}

/// `POST /v1/records/plan`.
async fn plan(State(broker): State<Broker>, by: Admitted<Submit>, records: Yaml) -> Result<Written<Json<PlanView>>, Problem> {
    let plan = broker.plan(&by.by, records.text()?).await?;
    // The answer is as large as the records, so serialising it must not block a thread that serves tokens.
    Ok(json(broker.desk.finish(move || written(&show(&plan))).await?))
}

/// `POST /v1/records/apply`; with `If-Match: PLAN_ID` only while the plan is still the same.
///
/// The reason in `Carnet-Reason` is recorded, and shown to the people who approve.
async fn apply(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    terms: Terms,
    records: Yaml,
) -> Result<Written<Json<PlanView>>, Problem> {
    let why = why(&terms.0)?;
    let asked = registry::Terms { expected: terms.expected(), why: why.as_deref(), said: terms.numbers()? };
    let plan = broker.apply(&by.by, records.text()?, asked, by.made_for()).await?;
    let view = broker.journal.view();
    let write = move || {
        let opened = plan.items.iter().filter_map(|item| view.state.approvals.get(item.approval.as_ref()?));
        let approvals = Some(opened.map(|approval| opened_approval(approval)).collect());
        written(&PlanView { approvals, ..show(&plan) })
    };
    Ok(json(broker.desk.finish(write).await?))
}

fn written(plan: &PlanView) -> String {
    serde_json::json!(plan).to_string()
}

fn json(text: String) -> Written<Json<PlanView>> {
    Written::as_is(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

fn opened_approval(approval: &Approval) -> OpenedApproval {
    OpenedApproval {
        id: approval.id.clone(),
        kind: approval.kind,
        subject: approval.subject.clone(),
        version: approval.version,
        open_slots: approval.open_slots(),
        expires: approval.expires,
    }
}

/// The reason for an apply, from a header: the body has the records alone, and no query is allowed.
///
/// A header is ASCII, so the text is escaped as in a form.
fn why(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    let mut values = headers.get_all(REASON).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| values.next().is_none() && !text.contains('&')).ok_or_else(malformed)?;
    let pair = format!("reason={text}");
    let form = Form::parse(&pair).map_err(|_| malformed())?;
    Ok(form.get("reason").map(str::to_owned))
}

fn show(plan: &Plan) -> PlanView {
    let warning = |fault: &crate::domain::record::Fault| FaultView {
        at: place(fault),
        reason: fault.reason.code,
        message: fault.message.clone(),
    };
    let whole = Some(&plan.all).filter(|_| plan.effects.len() == plan.items.len());
    PlanView {
        id: plan.id.clone(),
        changes: plan.items.iter().any(|item| item.action.name() != "unchanged"),
        items: plan.items.iter().enumerate().map(|(place, one)| item(one, plan.effects.get(place), plan.at)).collect(),
        warnings: plan.warnings.iter().map(warning).collect(),
        refuses: plan.taking.as_ref().map(|taking| taking.replayed.refuses),
        unknown: plan.taking.as_ref().map(|taking| taking.replayed.unknown),
        cuts: whole.map(|all| all.cuts),
        replay: whole.map(|all| ReplayView::of(&all.turned)),
        approvals: None,
    }
}

fn item(item: &Item, effect: Option<&Effect>, now: Timestamp) -> ItemView {
    ItemView {
        kind: item.kind,
        subject: item.subject.clone(),
        action: item.action.name(),
        in_force: item.has_version_in_force(),
        differences: item.told(now).into_iter().map(|(one, gains)| DifferenceView::of(one, gains.cloned(), now)).collect(),
        cuts: effect.map(|effect| effect.cuts),
        replay: effect.map(|effect| ReplayView::of(&effect.turned)),
    }
}
