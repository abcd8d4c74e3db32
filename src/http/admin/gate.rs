//! Checks each request of the admin API before its handler: method, query, idempotency key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::admitted::staff;
use super::at_work::AtWork;
use super::idempotency::{IDEMPOTENCY_KEY, Turns, before, confirmed, keep, key, too_many};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::revocation::Unconfirmed;
use crate::domain::people::actor::Staff;
use crate::domain::reason;
use crate::domain::value::names::RequestId;
use crate::http::front::{Arrival, ErrorShape, Fault};
use crate::journal::Idempotency;

/// The gate of one node.
pub struct Gate {
    broker: Broker,
    turns: Turns,
}

/// The longest body; the front limits every route to less.
const MOST: usize = 2 * 1024 * 1024;

impl Gate {
    /// Creates the gate of a node.
    pub fn new(broker: Broker) -> Self {
        Self { broker, turns: Turns::default() }
    }
}

/// Passes a request on, refuses it, or repeats the answer that it got before.
pub async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    // axum answers HEAD like GET. Nobody sends HEAD to this API, and every route names all methods that it takes.
    if request.method() == Method::HEAD {
        return Fault::Method.response(ErrorShape::Problem);
    }
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Some(id) = request.extensions().get::<Arrival>().map(|arrival| arrival.id.clone()) else {
        return Problem::of(&reason::REQUEST_MALFORMED).into_response();
    };
    let refuse = |problem: Problem| problem.at(&id).into_response();
    // No POST takes a query: anything in it would end up in logs (ABUSE A-15).
    if request.uri().query().is_some() {
        return refuse(Problem::of(&reason::REQUEST_MALFORMED));
    }
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return run(&gate.broker, &id, request, next).await;
    }
    let (parts, body) = request.into_parts();
    // Authenticate before a byte of the body is read (ABUSE A-01), and before an answer is repeated: a person whose access
    // was ended gets none.
    let staff = match staff(&parts, &gate.broker).await {
        Ok(staff) => staff,
        Err(problem) => return refuse(problem),
    };
    let Ok(body) = axum::body::to_bytes(body, MOST).await else { return refuse(Problem::of(&reason::REQUEST_TOO_LARGE)) };
    let once = match key(&staff, parts.uri.path(), &parts.headers, &body) {
        Ok(Some(once)) => once,
        Ok(None) => return run(&gate.broker, &id, Request::from_parts(parts, Body::from(body)), next).await,
        Err(problem) => return refuse(problem),
    };
    let request = Request::from_parts(parts, Body::from(body));
    gate.once((&id, once), &staff, request, next).await.unwrap_or_else(refuse)
}

impl Gate {
    /// Runs a request with a key, unless it was begun before.
    async fn once(
        &self,
        (id, once): (&RequestId, Idempotency),
        staff: &Staff,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let turn = self.turns.take(&once).await?;
        // The person waited, and their access may have been ended meanwhile.
        self.broker.journal.view().state.ensure_not_cut(&staff.person).map_err(Problem::of)?;
        let (broker, id) = (self.broker.clone(), id.clone());
        // The sender may go away, or be told that it takes too long. The request still runs to its end, so a repetition finds
        // its answer.
        let done = tokio::spawn(async move {
            let at_work = AtWork::begin(&broker, &once).await;
            let answered = answer(&broker, (&id, once), at_work.as_ref(), request, next).await;
            if let Some(word) = at_work {
                word.end().await;
            }
            drop(turn);
            answered
        });
        done.await.unwrap_or_else(|fault| match fault.try_into_panic() {
            // The front turns the panic into an answer.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends.
            Err(_) => Err(Problem::of(&reason::STORE_UNAVAILABLE)),
        })
    }
}

/// The answer of the handler. If versions came into force meanwhile that took something away, it is given once every reader is certain to
/// know.
async fn run(broker: &Broker, id: &RequestId, request: Request, next: Next) -> Response {
    let before = broker.before();
    let response = next.run(request).await;
    let narrowed = Unconfirmed::of_versions(before, &broker.journal.view().state);
    match narrowed.filter(|_| response.status().is_success()) {
        Some(cut) => confirmed(broker, id, cut, response).await,
        None => response,
    }
}

/// The answer that the request got before, or the one that it gets now. Without a word of ours another node is at work on it.
async fn answer(
    broker: &Broker,
    (id, once): (&RequestId, Idempotency),
    at_work: Option<&AtWork>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(answered) = before(&broker.journal, id, &once, at_work.is_none()).await? {
        return answered.told(broker).await;
    }
    let Some(word) = at_work else { return Err(Problem::of(&reason::IDEMPOTENCY_BEGUN)) };
    let _in_flight = broker.in_flight.begin().ok_or_else(too_many)?;
    let seen = broker.journal.view().size;
    request.extensions_mut().insert(once);
    let work = async {
        let response = run(broker, id, request, next).await;
        keep(&broker.journal, (id, &once, seen), response).await
    };
    tokio::select! {
        response = work => Ok(response),
        never = word.go_on() => match never {},
    }
}
