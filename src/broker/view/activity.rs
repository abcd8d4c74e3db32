//! The activity of a partner, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::ActorView;
use crate::domain::reason::ReasonCode;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, PartnerName};
use crate::journal::IssuedPlace;

/// A time, and what comes before its end.
pub type Window = (Timestamp, Timestamp);

/// What a partner did in a window of time, and what was done about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Activity)]
pub struct ActivityView {
    partner: PartnerName,
    since: Timestamp,
    /// Before this second.
    until: Timestamp,
    /// Tokens are counted from here on: later than `since` if entries have left the database. Null on a later page.
    #[schema(required)]
    pub counted_from: Option<Timestamp>,
    /// The tokens that were issued. Null on a later page.
    #[schema(required)]
    pub issued: Option<Vec<IssuedView>>,
    /// The requests that were refused. Null on a later page.
    #[schema(required)]
    pub refused: Option<Vec<RefusedView>>,
    /// True if there were more refusals than were read. Null on a later page.
    #[schema(required)]
    pub refused_more: Option<bool>,
    /// The changes, newest first.
    items: Vec<DoneView>,
    #[schema(required)]
    pub next: Option<String>,
    /// The number of changes beyond this page; null if it is not known.
    #[schema(required)]
    more: Option<u64>,
}

/// The tokens that were issued for an API through a binding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = IssuedByPlace)]
pub struct IssuedView {
    integration: String,
    environment: String,
    api: String,
    binding: String,
    /// Null: an entry of a token does not say where its request came from.
    #[schema(required)]
    network: Option<String>,
    count: u64,
    last: Timestamp,
}

/// The requests that were refused for one reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RefusedByPlace)]
pub struct RefusedView {
    pub integration: String,
    /// Null of those beyond a quota, which are counted alone.
    #[schema(required)]
    pub environment: Option<EnvironmentName>,
    pub reason: ReasonCode,
    /// Null if the refusal does not tell.
    #[schema(required)]
    pub api: Option<ApiName>,
    /// Null: a refusal does not say it.
    #[schema(required)]
    pub binding: Option<BindingName>,
    /// The network that the request came from; null if the refusal does not tell.
    #[schema(required)]
    pub network: Option<String>,
    pub count: u64,
    pub last: Timestamp,
}

/// A change, with its author.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Done)]
pub struct DoneView {
    /// The entry on record.
    pub index: u64,
    pub time: Timestamp,
    pub kind: &'static str,
    pub subject: String,
    /// Words for a subject that is an id; null if it is a name.
    #[schema(required)]
    pub about: Option<String>,
    pub by: ActorView,
    /// Null if none was given, or the text was erased.
    #[schema(required)]
    pub reason: Option<String>,
}

impl ActivityView {
    /// A page of changes. The caller adds what is counted, and the cursor.
    pub fn of(partner: &PartnerName, (since, until): Window, items: Vec<DoneView>, more: Option<u64>) -> Self {
        let partner = partner.clone();
        let (counted_from, issued, refused, refused_more, next) = (None, None, None, None, None);
        Self { partner, since, until, counted_from, issued, refused, refused_more, items, next, more }
    }
}

impl IssuedView {
    /// The view of a count.
    pub fn of(place: IssuedPlace) -> Self {
        let IssuedPlace { count, last, client, environment, api, binding } = place;
        Self { integration: client, environment, api, binding, network: None, count, last }
    }
}
