//! A way in, as the inventory shows it: by what a partner's workload gets tokens, whose it is, what it reaches and what ends it.

use serde::Serialize;
use utoipa::ToSchema;

use super::approval::OwnersView;
use super::ends::EndsNextView;
use crate::domain::decision::uses::Use;
use crate::domain::decision::ways_in::{Told, Used, WayIn};
use crate::domain::reason::ReasonCode;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, EnvironmentName, IntegrationId, PartnerName};
use crate::domain::value::scope::Scope;

/// One way in: a binding, a key that stands in a record, a certificate, an elevation that runs, or a static secret at the partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WayIn)]
pub struct WayInView {
    partner: PartnerName,
    integration: IntegrationId,
    /// Null of a static secret, which is in all of them.
    #[schema(required)]
    environment: Option<EnvironmentName>,
    /// `binding`, `key`, `certificate`, `elevation` or `exception`.
    kind: &'static str,
    /// The binding, `BINDING/THUMBPRINT`, the serial number, or the id.
    name: String,
    /// What a static secret is, by the record; null of all else.
    #[schema(required)]
    pub what: Option<String>,
    pub owners: OwnersView,
    /// The person who answers for the end of a static secret; null of all else, and if the text was erased.
    #[schema(required)]
    pub owner: Option<String>,
    reach: Vec<ReachView>,
    /// When a token was last issued through it, within 400 days.
    #[schema(required)]
    pub last_use: Option<Timestamp>,
    /// The tokens that tell the last use: of its `binding`, of its `elevation`, or `unknown`, if the broker does not see it used.
    pub used: &'static str,
    #[schema(required)]
    ends_next: Option<EndsNextView>,
    /// `granting` or `refusing`, by what an exchange through it would be told now; of a static secret `open` or `past-due`.
    state: &'static str,
    /// What refuses, in the order in which an exchange checks it.
    causes: Vec<ReasonCode>,
}

/// The scopes of one API that a way in reaches.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reach)]
pub struct ReachView {
    api: ApiName,
    scopes: Vec<Scope>,
}

impl ReachView {
    /// One for each API.
    pub fn all(reach: Vec<(ApiName, Vec<Scope>)>) -> Vec<Self> {
        reach.into_iter().map(|(api, scopes)| Self { api, scopes }).collect()
    }
}

impl WayInView {
    /// A row. The caller adds the owners, whose names are texts of people.
    pub fn of(way: &WayIn, told: Told, uses: &[(Timestamp, Use)]) -> Self {
        let (used, last_use) = match &told.used {
            Used::Binding(..) => ("binding", last_use(&told.used, uses)),
            Used::Elevation(..) => ("elevation", last_use(&told.used, uses)),
            Used::Unknown => ("unknown", None),
        };
        Self {
            partner: way.integration.partner.clone(),
            integration: way.integration.clone(),
            environment: way.what.environment().cloned(),
            kind: way.what.kind(),
            name: way.what.name(),
            what: None,
            owners: OwnersView { business: None, application: None },
            owner: None,
            reach: ReachView::all(told.reach),
            last_use,
            used,
            ends_next: told.ends.map(EndsNextView::of),
            state: told.state,
            causes: told.causes.into_iter().map(ReasonCode).collect(),
        }
    }
}

/// The last of the tokens that tell it.
fn last_use(used: &Used, uses: &[(Timestamp, Use)]) -> Option<Timestamp> {
    let counts = |(last, counted): &&(Timestamp, Use)| {
        let Use::Issued(issued) = counted else { return false };
        match used {
            Used::Binding(environment, binding) => issued.environment == *environment && issued.binding == *binding,
            Used::Elevation(environment, api, scopes, since) => {
                let rests = issued.elevated.iter().chain(&issued.break_glass).any(|scope| scopes.contains(scope));
                issued.environment == *environment && issued.api == *api && rests && last >= since
            }
            Used::Unknown => false,
        }
    };
    uses.iter().filter(counts).map(|(last, _)| *last).max()
}
