//! Just-in-time elevation: a scope for a while, for a reason, because people agreed (docs/explanation/architecture.md#one-approval).
//!
//! What stands on record and what follows from it alone: the [`Elevation`] that was asked for, its [`Request`] with the reviews, and where
//! it stands at a second. Expiry is a function of `now`; nobody sweeps.
//!
//! `decision::elevation` judges: whether it can be asked for, whether a review counts, and what is elevated at this second, which the
//! decision on a token asks at every mint. An approval is no promise: record, catalogue, contract and requester are looked at again each
//! time.

mod request;
pub(in crate::domain) mod rule;
mod terms;

pub use request::{Elevation, Ended, LONGEST_BREAK_GLASS, Notice, PATIENCE, REVIEW_WITHIN, Request, Standing};
pub use rule::{Review, Rule};
pub use terms::{Narrowing, Terms};
