//! Decisions about elevations: requests, reviews, and elevations that count at an exchange.

mod ask;
mod briefing;
mod live;
#[cfg(test)]
mod model;
mod review;

pub use ask::{ElevationRequest, NewElevation, Unfit, ask, is_signed};
pub use briefing::{Asked, Briefing, Precedent, briefing};
pub use live::{Live, counts, live};
pub use review::{Vote, statement};
