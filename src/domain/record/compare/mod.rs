//! The changes that a new version of a record makes, and whether each widens or narrows.
//!
//! Enter through [`compare`]. A change that is not clearly narrowing or harmless widens (docs/reference/records.md holds such a
//! change for approval), so a new field that nobody weighed must be added as a widening. The facts that an approval rests on
//! (purpose, owners, contract, data classes, contacts) widen whichever way they change: nobody approved the other ones. Texts
//! are compared as they are; a caller that has sealed ones joins them first, or a plain and a sealed text count as different.

pub use access::{widens_access, widens_binding, widens_elevation, widens_target};
pub use binding::shown as shown_binding;
pub use difference::{Difference, Weight, is_provably_narrowing};
pub(in crate::domain) use elevation::is_within;
pub use versions::compare;

mod access;
mod api;
mod binding;
#[cfg(test)]
mod cases;
mod difference;
mod elevation;
mod found;
mod guardrail;
mod integration;
mod partner;
pub mod taken_away;
mod versions;
