//! The next date on which a right ends by itself.

use super::State;
use crate::domain::registry::integration::Integration;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, PartnerName};

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
    let dates = state.dates_of_record(record).into_iter().chain(state.verification_of(&record.id.partner));
    let ends = dates.filter_map(|(date, at)| Some(EndsNext { what: date.ends()?, at }));
    let reviews = record.environments.keys().filter_map(|name| state.review_end(&record.id, name));
    let ends = ends.chain(reviews.map(|at| EndsNext { what: "review", at }));
    ends.filter(|end| end.at > now).min_by_key(|end| end.at)
}

/// The first date after `now` that ends the rights of this integration in one environment.
pub fn of_place(state: &State, record: &Integration, environment: &EnvironmentName, now: Timestamp) -> Option<EndsNext> {
    let dates = state.dates_of_record(record).into_iter().chain(state.verification_of(&record.id.partner));
    let here = dates.filter(|(date, _)| date.environment().is_none_or(|one| one == environment));
    let ends = here.filter_map(|(date, at)| Some(EndsNext { what: date.ends()?, at }));
    let review = state.review_end(&record.id, environment).map(|at| EndsNext { what: "review", at });
    ends.chain(review).filter(|end| end.at > now).min_by_key(|end| end.at)
}

/// The first date after `now` that ends a right of one of this partner's integrations.
pub fn of_partner(state: &State, name: &PartnerName, now: Timestamp) -> Option<EndsNext> {
    let own = state.integrations_of(name).filter_map(|(_, integration)| integration.current.as_ref());
    own.filter_map(|version| of_integration(state, &version.record, now)).min_by_key(|end| end.at)
}
