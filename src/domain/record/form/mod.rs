//! How parts of a record look, each stated once: read, written, and described to an editor.
//!
//! `base` says what a form is, `field` whether a key must be there, `map` makes reader, writer and schema of one statement. `scalar`,
//! `list`, `claims` and `keyset` are forms of values; which record has which of them stands in `fields`.

pub(super) mod base;
pub(super) mod claims;
pub(super) mod definitions;
pub(super) mod field;
pub(super) mod keyset;
pub(super) mod list;
pub(super) mod map;
pub(super) mod scalar;
