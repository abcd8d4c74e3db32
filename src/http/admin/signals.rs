//! Signals from outside: a partner's access has lost its reason, and ends at once.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Listed, Written};
use super::describe::{Answer, Description, Part};
use super::idempotency::confirmed;
use super::input::{self, Filter, Filters, Page, Sent, named};
use super::people::Why;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::signal::{self, Taken};
use crate::broker::view::person::ActorView;
use crate::broker::words::{Words, names, sealed};
use crate::domain::people::actor::{Decide, Read, Report};
use crate::domain::reason;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::state::signal::{Decided, Signal, SignalStanding};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{SignalId, SuspensionId};
use crate::domain::value::text::Text;
use crate::http::media;

/// The routes.
pub fn routes() -> Vec<Route> {
    let sent = "Say that a partner's access has lost its reason; it ends at once";
    vec![
        get("/v1/signals", "listSignals", "Signals", list),
        post("/v1/signals", "sendSignal", sent, send),
        get("/v1/signals/{id}", "getSignal", "One signal", one).names("signal"),
        post("/v1/signals/{id}/confirm", "confirmSignal", "Believe a signal that was held; its subject is suspended", confirm)
            .names("signal"),
        post("/v1/signals/{id}/dismiss", "dismissSignal", "Do not believe a signal that was held", dismiss).names("signal"),
    ]
}

/// A signal to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendSignal)]
struct Wanted {
    /// `PARTNER`, `PARTNER/INTEGRATION` or `PARTNER/INTEGRATION/ENVIRONMENT`.
    #[schema(value_type = String)]
    subject: SignalSubject,
    #[schema(value_type = String)]
    kind: SignalKind,
    /// The reason. It is recorded.
    reason: String,
    /// The sender's own name for it. Another signal with the same one does nothing.
    #[schema(value_type = String, required = false)]
    reference: Option<String>,
}

/// The body of a signal: JSON. A security event token is a format of its own, and refused with a pointer.
struct Body(Wanted);

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Response> {
        let headers = request.headers().clone();
        if media::is(&headers, SECURITY_EVENT) {
            let told = "Security event tokens (RFC 8935) are not taken yet; send application/json to this route.";
            return Err(Problem::media_type().saying(told.to_owned()).into_response());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejected| rejected.into_response())?;
        read(&headers, &bytes).map(Self).map_err(|problem| problem.into_response())
    }
}

/// The media type of RFC 8417.
const SECURITY_EVENT: &str = "application/secevent+jwt";

/// The longest reference: one of another system's ids.
const LONGEST_REFERENCE: usize = 200;

fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Wanted, Problem> {
    let wanted: Wanted = input::body(headers, bytes)?;
    reference(wanted.reference.as_deref())?;
    Ok(wanted)
}

/// Requires a reference that can be shown and compared.
pub fn reference(text: Option<&str>) -> Result<(), Problem> {
    let sound = |text: &str| (1..=LONGEST_REFERENCE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_none_or(sound) {
        return Ok(());
    }
    let message = format!("expected 1 to {LONGEST_REFERENCE} printable characters without spaces");
    let fault = crate::broker::failure::Fault::invalid("reference", message);
    Err(Problem::faults(vec![fault]))
}

impl Part for Body {
    fn describe(description: &mut Description) {
        Sent::<Wanted>::describe(description);
    }
}

/// A signal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Signal)]
struct SignalView {
    id: SignalId,
    /// `acted`, `held` or `dismissed`.
    state: &'static str,
    kind: &'static str,
    #[schema(value_type = String)]
    subject: SignalSubject,
    by: ActorView,
    at: Timestamp,
    /// Null if the text was erased.
    #[schema(required)]
    reason: Option<String>,
    #[schema(required)]
    reference: Option<String>,
    /// The suspension that it made.
    #[schema(required)]
    suspension: Option<SuspensionId>,
    /// What a person decided, if it was held.
    #[schema(required)]
    decided: Option<DecidedView>,
}

/// What a person decided of a signal that was held.
#[derive(Serialize, ToSchema)]
#[schema(as = DecidedSignal)]
struct DecidedView {
    by: ActorView,
    at: Timestamp,
    /// Null if the text was erased.
    #[schema(required)]
    reason: Option<String>,
}

impl SignalView {
    fn of(signal: &Signal, words: &Words) -> Self {
        let plain = |text: &Text| words.plain(text).map(str::to_owned);
        let decided = |one: &Decided| DecidedView { by: words.actor(&one.by), at: one.at, reason: plain(&one.reason) };
        Self {
            id: signal.id.clone(),
            state: signal.standing().name(),
            kind: signal.says.name(),
            subject: signal.about.clone(),
            by: words.actor(&signal.by),
            at: signal.at,
            reason: plain(&signal.reason),
            reference: signal.reference.clone(),
            suspension: signal.suspension.clone(),
            decided: signal.decided.as_ref().map(decided),
        }
    }
}

/// 201 for a signal that acted, 202 for one that is held, 200 for one that says the same as an earlier one.
struct Told(StatusCode, SignalView);

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl Answer for Told {
    fn describe(description: &mut Description) {
        for status in [200, 201, 202] {
            let schema = description.schema::<SignalView>();
            description.answer(status, Some(schema));
        }
    }
}

/// The filters of a list of signals.
struct OfSignals;

impl Filters for OfSignals {
    const ALL: &'static [Filter] = &[
        Filter::words("state", "Where it stands", &["acted", "held", "dismissed"]),
        Filter::text("subject", "Whom it is about, exactly"),
    ];
}

async fn words<'s>(broker: &Broker, all: impl Iterator<Item = &'s Signal>) -> Result<Words, Problem> {
    let of_one = |signal: &'s Signal| {
        let decided = signal.decided.iter().flat_map(|one| names(&one.by).chain([&one.reason]));
        names(&signal.by).chain([&signal.reason]).chain(decided)
    };
    Ok(Words::of(broker, sealed(all.flat_map(of_one))).await?)
}

/// `GET /v1/signals`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<OfSignals>) -> Result<Listed<SignalView>, Problem> {
    let view = broker.journal.view();
    let wanted = |(_, signal): &(&SignalId, &Signal)| {
        page.takes("state", signal.standing().name()) && page.takes("subject", &signal.about.to_string())
    };
    let part = page.part(view.state.signals.all().filter(wanted).map(|(id, signal)| (id.to_string(), signal)));
    let words = words(&broker, part.items.iter().copied()).await?;
    Ok(part.map(|signal| SignalView::of(signal, &words)))
}

/// `GET /v1/signals/{id}`.
async fn one(State(broker): State<Broker>, _by: Admitted<Read>, Path(id): Path<String>) -> Result<Json<SignalView>, Problem> {
    let id: SignalId = named(&id)?;
    let view = broker.journal.view();
    let signal = view.state.signals.find(id.as_str()).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = words(&broker, std::iter::once(signal)).await?;
    Ok(Json(SignalView::of(signal, &words)))
}

/// `POST /v1/signals`.
async fn send(State(broker): State<Broker>, by: Admitted<Report>, Body(wanted): Body) -> Result<Written<Told>, Problem> {
    let Wanted { subject, kind, reason, reference } = wanted;
    let sent = signal::Sent { says: kind, about: subject, reason, reference };
    let taken = broker.signal(&by.by, &sent, by.made_for()).await?;
    told(&broker, &by.request, taken).await
}

/// `POST /v1/signals/{id}/confirm`.
async fn confirm(
    State(broker): State<Broker>,
    by: Admitted<Decide>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<Told>, Problem> {
    let taken = broker.decide_signal(&by.by, &named(&id)?, (true, &why.reason), by.made_for()).await?;
    told(&broker, &by.request, taken).await
}

/// `POST /v1/signals/{id}/dismiss`.
async fn dismiss(
    State(broker): State<Broker>,
    by: Admitted<Decide>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<Told>, Problem> {
    let taken = broker.decide_signal(&by.by, &named(&id)?, (false, &why.reason), by.made_for()).await?;
    told(&broker, &by.request, taken).await
}

/// Answers once the journal has it and the live index confirms what it cut.
async fn told(
    broker: &Broker,
    request: &crate::domain::value::names::RequestId,
    taken: Taken,
) -> Result<Written<Told>, Problem> {
    let Taken { signal, cut, repeated } = taken;
    let words = words(broker, std::iter::once(&signal)).await?;
    let status = match (repeated, signal.standing()) {
        (true, _) | (false, SignalStanding::Dismissed) => StatusCode::OK,
        (false, SignalStanding::Acted) => StatusCode::CREATED,
        (false, SignalStanding::Held) => StatusCode::ACCEPTED,
    };
    let told = Told(status, SignalView::of(&signal, &words)).into_response();
    Ok(Written::as_is(match cut {
        Some(cut) => confirmed(broker, request, cut.unconfirmed, told).await,
        None => told,
    }))
}
