//! The activity of a partner: what it did, and what was done about it.

use axum::Json;
use axum::extract::{Path, State};

use super::admitted::Admitted;
use super::input::{Filter, Filters, Page, cursor, named};
use super::past::moment_or_day;
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::broker::view::activity::ActivityView;
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::PartnerName;

/// The routes.
pub fn routes() -> Vec<Route> {
    let told = "What a partner did, and what was done about it: tokens and refusals by place, changes with their authors";
    vec![get("/v1/partners/{p}/activity", "getActivity", told, activity).names("partner")]
}

/// The window of time.
struct OfActivity;

impl Filters for OfActivity {
    const ALL: &'static [Filter] = &[
        Filter::text("since", "Not before this day of UTC, RFC 3339 time or second since 1970; or so long ago. Default: 24h"),
        Filter::text("until", "Up to this day of UTC, which is included; or before this time"),
    ];
}

/// How far back it looks if nothing is said.
const USUAL: Seconds = Seconds::days(1);

/// `GET /v1/partners/{p}/activity`.
async fn activity(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(name): Path<String>,
    page: Page<OfActivity>,
) -> Result<Json<ActivityView>, Problem> {
    let partner: PartnerName = named(&name)?;
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    if !broker.journal.view().state.partners.contains_key(&partner) {
        return Err(Problem::of(&reason::NOT_FOUND));
    }
    // What happens in this second is part of it.
    let now = broker.now().plus(Seconds(1));
    let since = match page.filters.get("since") {
        None => now.minus(USUAL),
        Some(text) => {
            Seconds::parse(text).map(|ago| now.minus(ago)).or_else(|| moment_or_day(text, 0)).ok_or_else(malformed)?
        }
    };
    let until = page.filters.get("until").map(|text| moment_or_day(text, 1).ok_or_else(malformed)).transpose()?.unwrap_or(now);
    let before = page.after.as_deref().map(str::parse::<u64>).transpose().map_err(|_| malformed())?;
    let limit = u32::try_from(page.limit).unwrap_or(u32::MAX);
    let (mut shown, after) = broker.activity(&partner, (since, until), (before, limit)).await?;
    shown.next = after.map(|after| cursor(&after.to_string()));
    Ok(Json(shown))
}
