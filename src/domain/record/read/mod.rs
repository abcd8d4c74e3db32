//! From text to records: the tree of a file, the values in it, and a reader for each part of a record.
//!
//! `tree` keeps where everything stands, `place` collects faults while it is read, `values` reads one value, and each reader takes the
//! members that it knows; what is left over is a fault.

pub mod access;
pub mod api;
pub mod binding;
pub mod integration;
pub mod keys;
pub mod keyset;
pub mod partner;
pub mod place;
pub mod preset;
pub mod spiffe;
pub mod tree;
pub mod values;
