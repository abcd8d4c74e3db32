//! Just-in-time elevation: a scope for a limited time, with a reason and an approval.
//!
//! This folder has the facts on record and what follows from them alone: the [`Elevation`] that was requested, its
//! [`Request`] with the reviews, and its state at a second (docs/explanation/architecture.md#one-approval). Expiry is a
//! function of `now`, and nothing sweeps.
//!
//! `decision::elevation` judges whether an elevation can be requested, whether a review counts, and what is elevated at this
//! second, which the decision on a token asks at every mint. An approval is not a promise: record, catalogue, contract and
//! requester are checked again each time.

mod request;
pub(in crate::domain) mod rule;
mod terms;

pub use request::{Elevation, Ended, LONGEST_BREAK_GLASS, Notice, PATIENCE, REVIEW_WITHIN, Request, Standing};
pub use rule::{Review, Rule};
pub use terms::{Narrowing, Terms};
