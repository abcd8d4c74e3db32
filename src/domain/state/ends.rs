//! The next date on which a right ends by itself.

use super::State;
use crate::domain::registry::integration::Integration;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ExceptionId, PartnerName};

/// A date on which a right ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EndsNext {
    /// `contract`, `environment`, `exception`, `owner`, `review` or `verification`.
    pub what: &'static str,
    /// The first second after it.
    pub at: Timestamp,
}

/// The first date after `now` that ends a right of this integration.
pub fn of_integration(state: &State, record: &Integration, now: Timestamp) -> Option<EndsNext> {
    let partner = state.partners.get(&record.id.partner).and_then(|partner| partner.current.as_ref());
    let known = state.integrations.get(&record.id);
    let is_closed = |what: &str| {
        let closed = known.and_then(|known| known.exceptions.closed(&ExceptionId::of(&record.id, what)));
        closed.is_some()
    };
    let exceptions = record.exceptions.iter().filter(|one| !is_closed(&one.what)).map(|one| ("exception", one.ends));
    let environments = record.environments.values().filter_map(|access| access.ends).map(|ends| ("environment", ends));
    let ends = [("contract", record.contract.ends)].into_iter().chain(environments).chain(exceptions);
    let ends = ends.chain(partner.map(|partner| ("verification", partner.record.verification.expires)));
    let ends = ends.chain(state.owner_end(&record.id).map(|end| ("owner", end.at)));
    let reviews = record.environments.keys().filter_map(|name| state.review_end(&record.id, name));
    let ends = ends.chain(reviews.map(|end| ("review", end)));
    let (what, at) = ends.filter(|(_, end)| *end > now).min_by_key(|(_, end)| *end)?;
    Some(EndsNext { what, at })
}

/// The first date after `now` that ends a right of one of this partner's integrations.
pub fn of_partner(state: &State, name: &PartnerName, now: Timestamp) -> Option<EndsNext> {
    let own = state.integrations_of(name).filter_map(|(_, integration)| integration.current.as_ref());
    own.filter_map(|version| of_integration(state, &version.record, now)).min_by_key(|end| end.at)
}
