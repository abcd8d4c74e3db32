//! The inventory by ways in: one row for each thing by which a partner gets in.

use axum::extract::State;

use super::admitted::Admitted;
use super::answer::Listed;
use super::input::{Filter, Filters, Page, cursor};
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::broker::inventory::Sought;
use crate::broker::view::way_in::WayInView;
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::PartnerName;

/// The routes.
pub fn routes() -> Vec<Route> {
    let listed = "Every way in: bindings, keys in records, certificates, elevations that run, static secrets at partners";
    vec![get("/v1/inventory", "listWaysIn", listed, list)]
}

/// The filters of the inventory.
struct OfWaysIn;

impl Filters for OfWaysIn {
    const ALL: &'static [Filter] = &[
        Filter::text("partner", "Of this partner"),
        Filter::text("owner", "Of the person with this address, by the record or by its static secret"),
        Filter::text("endsWithin", "Those that something ends within this time, such as `60d`"),
        Filter::text(
            "unused",
            "Those that nobody used for so long, such as `30d`; a way in whose last use is unknown is left out",
        ),
    ];
}

/// `GET /v1/inventory`. With filters a page may be short or empty, and still have a `next`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<OfWaysIn>) -> Result<Listed<WayInView>, Problem> {
    let malformed = |_| Problem::of(&reason::REQUEST_MALFORMED);
    let partner: Option<PartnerName> = page.filters.get("partner").map(str::parse).transpose().map_err(malformed)?;
    let sought = Sought {
        partner,
        owner: page.filters.get("owner").map(str::to_owned),
        ends_within: page.filters.get("endsWithin").map(|text| time("endsWithin", text)).transpose()?,
        unused: page.filters.get("unused").map(|text| time("unused", text)).transpose()?,
    };
    let found = broker.inventory(&sought, page.after.as_deref(), page.limit).await?;
    Ok(Listed { items: found.rows, next: found.next.map(|key| cursor(&key)) })
}

/// Parses a length of time.
pub fn time(name: &str, text: &str) -> Result<Seconds, Problem> {
    let message = "expected a length of time such as 24h or 30d";
    let fault = || Fault::invalid(name, message);
    Seconds::parse(text).ok_or_else(|| Problem::faults(vec![fault()]))
}
