//! The next date on which a right ends by itself, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::state::ends::EndsNext;
use crate::domain::value::clock::Timestamp;

/// The next date on which a right ends by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EndsNext)]
pub struct EndsNextView {
    /// `contract`, `environment`, `exception`, `owner`, `review` or `verification`; of a single way in also `certificate` or `elevation`.
    what: &'static str,
    at: Timestamp,
}

impl EndsNextView {
    /// The view of a date.
    pub fn of(next: EndsNext) -> Self {
        Self { what: next.what, at: next.at }
    }
}
