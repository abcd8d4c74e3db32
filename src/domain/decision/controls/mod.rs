//! Controls of security frameworks, judged over the journal.
//!
//! A framework asks for controls ([`controls()`]). A control holds if each of its criteria does ([`Criterion`]). A criterion is about a
//! population, such as the integrations in force, and is broken by each item of it that has access which it should not have. A refusal breaks
//! nothing.
//!
//! Enter through [`Assessment`]: it reads the log entry by entry, judges what an entry or a date may have moved, and tells over a period which
//! items broke which criterion, from when until when. Nothing here is a list of what is fine: every verdict comes out of the state as it was.
//! `broker::evidence` reads the log and asks the live index, which no entry knows.

mod assessment;
mod catalogue;
mod criterion;
mod findings;
mod integrations;
mod moved;
mod tokens;
mod whole;

pub use assessment::{Assessment, Period};
pub use catalogue::{Control, controls};
pub use criterion::Criterion;
pub use findings::{Count, Exception, Finding, MOST_ENTRIES, Verdict};

#[cfg(test)]
mod tests;
