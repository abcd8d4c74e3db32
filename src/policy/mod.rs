//! Guardrails: compiles Cedar and answers the decision (`cedar-policy`'s one home).
//!
//! Enter through [`Guards::of`](crate::domain::decision::guard::Guards::of) for the guard of a state, and [`compile`] for one text. What a
//! return means:
//!
//! - A guard answers for exactly one set of guardrails, which its digest names. The decision compares it with that of the state. So a
//!   set that is late, or that this version of the program cannot compile, refuses everything and never nothing.
//! - A policy that fails refuses, like one that forbids. Cedar alone would skip it.
//! - Nothing here waits, fetches or keeps anything on disk. A compiled set is a function of the texts, and is made once for each set.
//!
//! Only `forbid` policies are taken; the one `permit` is ours. Text is bounded before Cedar reads it ([`bounds`]), and validated strictly
//! against [`SCHEMA`]. No experimental feature of Cedar is used.

mod bounds;
mod compiled;
mod evaluation;
mod faults;
mod flaw;
mod free;
mod instant;
mod memo;
mod question;
mod schema;
mod set;
#[cfg(test)]
mod tests;

pub use compiled::{Compiled, Entity, Named, compile};
pub use faults::faults;
pub use flaw::Flaw;
pub use memo::{Guardrails, set_of};
pub use schema::SCHEMA;
pub use set::Set;
