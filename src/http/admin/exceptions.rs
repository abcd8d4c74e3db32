//! Static secrets that still live at partners: which there are, and the end of one.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Listed};
use super::input::{Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::revocations::ApprovalAsked;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::view::person::ActorView;
use crate::broker::words::{Words, names, sealed};
use crate::domain::people::actor::{CloseException, Read};
use crate::domain::registry::integration::OnPastDue;
use crate::domain::state::State as House;
use crate::domain::state::exception::Closed;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ExceptionId, IntegrationId};
use crate::domain::value::text::Text;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/exceptions", "listExceptions", "Static secrets that live or lived at partners", list),
        post("/v1/exceptions/{id}/close", "closeException", "Say that one lives no more; security approves", close)
            .names("exception"),
    ]
}

/// A static secret that lives or lived at a partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Exception)]
struct ExceptionView {
    id: ExceptionId,
    /// `open`, `past-due` or `closed`.
    state: &'static str,
    integration: IntegrationId,
    what: String,
    control: String,
    /// Null if the text was erased.
    #[schema(required)]
    owner: Option<String>,
    /// First second after its end.
    ends: Timestamp,
    /// `refuse` or `report`: the consequence when it is still open then.
    on_past_due: &'static str,
    /// How often its end was moved to a later day.
    extensions: u32,
    /// The newest approval that would close it.
    #[schema(required)]
    approval: Option<ApprovalId>,
    #[schema(required)]
    closed: Option<ClosedView>,
}

/// How a static secret was closed.
#[derive(Serialize, ToSchema)]
#[schema(as = ClosedException)]
struct ClosedView {
    /// Who said that it lives no more.
    by: ActorView,
    at: Timestamp,
    /// Null if the text was erased.
    #[schema(required)]
    evidence: Option<String>,
}

/// What shows that a static secret lives no more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CloseException)]
struct Wanted {
    /// What shows it. It is recorded.
    evidence: String,
}

/// The filters of a list of static secrets.
struct OfExceptions;

impl Filters for OfExceptions {
    const ALL: &'static [Filter] = &[
        Filter::words("state", "Where it stands", &["open", "past-due", "closed"]),
        Filter::text("integration", "`PARTNER/INTEGRATION`"),
    ];
}

fn texts<'s>(id: &ExceptionId, state: &'s House) -> Vec<&'s Text> {
    let Some((integration, secret)) = state.exception(id) else { return Vec::new() };
    let closed = state.integrations.get(integration).and_then(|known| known.exceptions.closed(id));
    let of_closed = closed.into_iter().flat_map(|closed| names(&closed.by).chain([&closed.evidence]));
    std::iter::once(&secret.owner).chain(of_closed).collect()
}

fn view(id: &ExceptionId, state: &House, words: &Words, now: Timestamp) -> Option<ExceptionView> {
    let (integration, secret) = state.exception(id)?;
    let known = &state.integrations.get(integration)?.exceptions;
    let plain = |text: &Text| words.plain(text).map(str::to_owned);
    let closed = |closed: &Closed| ClosedView { by: words.actor(&closed.by), at: closed.at, evidence: plain(&closed.evidence) };
    Some(ExceptionView {
        id: id.clone(),
        state: state.exception_standing(id, now)?.name(),
        integration: integration.clone(),
        what: secret.what.clone(),
        control: secret.control.clone(),
        owner: plain(&secret.owner),
        ends: secret.ends,
        on_past_due: match secret.on_past_due {
            OnPastDue::Refuse => "refuse",
            OnPastDue::Report => "report",
        },
        extensions: known.extended(id),
        approval: known.asked(id).cloned(),
        closed: known.closed(id).map(closed),
    })
}

/// `GET /v1/exceptions`.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfExceptions>,
) -> Result<Listed<ExceptionView>, Problem> {
    let (journal, now) = (broker.journal.view(), broker.now());
    let state = &journal.state;
    let wanted = |(id, integration): &(&ExceptionId, &IntegrationId)| {
        let standing = state.exception_standing(id, now);
        page.takes("integration", &integration.to_string())
            && standing.is_some_and(|standing| page.takes("state", standing.name()))
    };
    let rest = state.exceptions.range(page.after::<ExceptionId>()?).filter(wanted).map(|(id, _)| (id.to_string(), id));
    let part = page.first(rest);
    let words = Words::of(&broker, sealed(part.items.iter().flat_map(|id| texts(id, state)))).await?;
    let items = part.items.iter().filter_map(|id| view(id, state, &words, now)).collect();
    Ok(Listed { items, next: part.next })
}

/// `POST /v1/exceptions/{id}/close`.
async fn close(
    State(broker): State<Broker>,
    by: Admitted<CloseException>,
    Path(id): Path<String>,
    Sent(wanted): Sent<Wanted>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let approval = broker.ask_close_exception(&by.by, &named(&id)?, &wanted.evidence, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}
