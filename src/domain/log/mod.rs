//! What is written to the journal: changes, entries, and the segments that old entries leave for.

pub mod archive;
pub mod change;
pub mod entry;
