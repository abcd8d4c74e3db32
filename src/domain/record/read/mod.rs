//! From text to records.
//!
//! `tree` keeps where everything stands, `place` collects faults while it is read, `values` reads one value, and `document` reads a file. The
//! fields of each record stand in `fields`; a key that none of them takes is a fault.

pub(super) mod document;
pub(super) mod place;
pub(super) mod tree;
pub(super) mod values;
