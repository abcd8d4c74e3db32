//! Evidence for frameworks: which controls held over a period, and reports as bundles.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Archive, Created, Written};
use super::input::{Asked, Filter, Filters, Page, Sent};
use super::past::moment_or_day;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::evidence::Wanted;
use crate::broker::failure::Fault;
use crate::broker::view::evidence::EvidenceView;
use crate::domain::people::actor::{GiveEvidence, Read};
use crate::domain::registry::framework::Framework;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::journal::bundle::PlainTexts;

/// The routes.
pub fn routes() -> Vec<Route> {
    let judged = "Which controls of security frameworks hold, over a period or now, and what shows it";
    let given = "Take that, or the report on reviews, away as a bundle; the journal keeps that you did";
    let fetched = "A bundle that was taken away, as a ZIP archive";
    vec![
        get("/v1/evidence", "getEvidence", judged, evidence),
        post("/v1/evidence", "giveEvidence", given, give),
        get("/v1/evidence/{entry}/bundle", "getEvidenceBundle", fetched, bundle).names("evidence that was given"),
    ]
}

/// What evidence is about.
struct OfEvidence;

impl Filters for OfEvidence {
    const ALL: &'static [Filter] = &[
        Filter::words("framework", "One framework alone", &["owasp-nhi", "nist-csf", "sp800-207", "ai-rmf"]),
        Filter::text("from", "The first day of UTC, RFC 3339 time or second since 1970; `to` where nothing is said"),
        Filter::text("to", "The last day of UTC, RFC 3339 time or second since 1970; now where nothing is said"),
    ];
}

fn fault(at: &str, message: &str) -> Problem {
    Problem::faults(vec![Fault::invalid(at, message)])
}

const EXPECTED: &str = "expected a day such as 2026-11-30, a time of RFC 3339, or seconds since 1970";

fn wanted(framework: Option<&str>, from: Option<&str>, to: Option<&str>) -> Result<Wanted, Problem> {
    let names = Framework::ALL.map(Framework::name).join(", ");
    let unknown = |_: &str| fault("framework", &format!("expected one of {names}"));
    let framework = framework.map(|name| Framework::find(name).ok_or_else(|| unknown(name))).transpose()?;
    let from = from.map(|text| moment_or_day(text, 0).ok_or_else(|| fault("from", EXPECTED))).transpose()?;
    Ok(Wanted { framework, from, to: to.map(last).transpose()? })
}

/// The last second that a text names: of a day, its last one.
fn last(text: &str) -> Result<Timestamp, Problem> {
    let (first, after) = moment_or_day(text, 0).zip(moment_or_day(text, 1)).ok_or_else(|| fault("to", EXPECTED))?;
    Ok(if first == after { first } else { after.minus(Seconds(1)) })
}

/// `GET /v1/evidence`.
async fn evidence(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    asked: Asked<OfEvidence>,
) -> Result<Json<EvidenceView>, Problem> {
    let wanted = wanted(asked.filters.get("framework"), asked.filters.get("from"), asked.filters.get("to"))?;
    Ok(Json(broker.evidence(&by.by, wanted).await?))
}

/// Evidence to take away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccessGiveEvidence)]
struct Give {
    /// `controls` of frameworks, or the report on `reviews`.
    about: About,
    /// One framework alone; of `controls`.
    #[schema(value_type = String, required = false)]
    framework: Option<String>,
    /// The first day of UTC, RFC 3339 time or second since 1970.
    #[schema(value_type = String, required = false)]
    from: Option<String>,
    /// The last day, time or second; now where nothing is said.
    #[schema(value_type = String, required = false)]
    to: Option<String>,
}

/// What a bundle is about.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EvidenceAbout)]
enum About {
    Controls,
    Reviews,
}

/// Evidence that was given.
#[derive(Serialize, ToSchema)]
#[schema(as = EvidenceGiven)]
struct Given {
    /// The entry that has the digest of its manifest.
    entry: u64,
}

/// `POST /v1/evidence`.
async fn give(
    State(broker): State<Broker>,
    by: Admitted<GiveEvidence>,
    Sent(sent): Sent<Give>,
) -> Result<Written<Created<Given>>, Problem> {
    let Give { about, framework, from, to } = sent;
    let asked = wanted(framework.as_deref(), from.as_deref(), to.as_deref())?;
    let request = by.made_for();
    let entry = match (about, asked.framework) {
        (About::Controls, _) => broker.give_evidence(&by.by, asked, request).await?,
        // The report counts to the first second after its period.
        (About::Reviews, None) => {
            let period = (asked.from, asked.to.map(|to| to.plus(Seconds(1))));
            broker.give_review_report(&by.by, period, request).await?
        }
        (About::Reviews, Some(_)) => return Err(fault("framework", "expected none: reviews belong to no framework")),
    };
    Ok(Written::of(Created(Given { entry })).at(&format!("/v1/evidence/{entry}/bundle")))
}

/// What a bundle has.
struct OfBundle;

impl Filters for OfBundle {
    const ALL: &'static [Filter] = &[Filter::words("for", "`partner` leaves the texts of people out", &["partner"])];
}

/// `GET /v1/evidence/{entry}/bundle`.
async fn bundle(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    Path(entry): Path<String>,
    page: Page<OfBundle>,
) -> Result<Archive, Problem> {
    let entry: u64 = entry.parse().map_err(|_| Problem::missing(format!("evidence {entry}")))?;
    let texts = if page.takes("for", "") { PlainTexts::Told } else { PlainTexts::LeftOut };
    Ok(Archive(broker.evidence_bundle(&by.by, entry, texts).await?))
}
