//! Records as people write them: YAML text to the domain's types, every fault of a file at once, and what compares records.
//!
//! Enter through [`read()`] for one file, [`compare()`] for what a new version changes, and [`schema()`] for editors. [`Record::texts_mut`]
//! lists the personal texts, so that they can be sealed and joined again. [`document`] is a record as its author would write it.
//!
//! Deliberately not here: what a record needs of the others ([`check`](crate::domain::decision::check)), fetching anything, whether an address may be reached (`outbound`), approvals and life cycle, and
//! the layout of YAML that is written. There is no `now`: dates are compared with each other only.
//!
//! # To add a binding preset
//!
//! 1. `registry/preset.rs`: the variant, its place in `Preset::ALL`, and its row. Reader, writer, schema, lint and messages follow
//!    from the row. An issuer that is `Shared` stands for every record that names no other, and needs an `owner`.
//! 2. `examples/records.rs`: a binding of it. Round trip, schema and comparison are tested with every example.
//!
//! Then `make golden` writes the next golden journal, for an entry can say something new.
//!
//! # To add a field to a record
//!
//! 1. `registry/api.rs`, `partner.rs`, `integration.rs` or `binding.rs`: the field, with `#[serde(default)]` so that what is stored
//!    reads. A personal text is a `Text`, and joins the end of `texts_mut` there; every other field stands in its pattern as `field: _`.
//! 2. `record/fields/`: its line in the `map!` of its struct: key, whether it must be there, form (`Personal` of a `Text`, `Words` of
//!    a `String`). Reader, writer and schema are made of it.
//! 3. `record/compare/`: its name in the `both!` of its struct, and its weight. The code compiles only with both. Where in doubt, let
//!    the field widen.
//! 4. `examples/records.rs`: an example with the field set, and one without. Then `make golden`, as above.

mod claims;
mod compare;
mod fault;
mod fields;
mod form;
mod kind;
mod lint;
mod located;
mod read;
mod rehearse;
mod schema;
mod write;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod hostile;

pub(in crate::domain) use compare::is_within;
pub use compare::taken_away::{self, Places, TakenAway, Unsure};
pub use compare::{
    Difference, Weight, compare, is_provably_narrowing, shown_binding, widens_access, widens_binding, widens_elevation,
    widens_target,
};
pub use fault::{Fault, Severity};
pub(in crate::domain) use form::claims::names_its_caller;
#[cfg(test)]
pub(crate) use form::keyset::judge as judge_keys;
pub use kind::{Kind, Record};
pub use located::Located;
pub use read::document::read;
pub use read::tree::Position;
pub use read::values::{first_second, last_second};
pub use rehearse::run as run_tests;
pub use schema::schema;
pub use write::document;
