//! Floor 1: what the broker knows, as values. Pure, synchronous, no I/O; `now` is an argument.
//!
//! Enter through [`decision::grant::decide`](decision::grant) for exchanges, [`state::State`](state) for what is,
//! [`log::change::Change`](log::change) for what can happen, and [`record`] for what people write. Each folder is a noun and imports
//! only from those before it in this list. Nothing here knows HTTP, SQL, Redis or private keys; what a public key is, `value::jwk`
//! alone says.

// In order: rustfmt would sort a block.
pub mod value;

pub mod reason;

pub mod people;

pub mod credential;

pub mod registry;

pub mod caller;

pub mod elevation;

pub mod record;

pub mod log;

pub mod state;

pub mod decision;

#[cfg(test)]
mod checks;
#[cfg(test)]
pub mod examples;
#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod laws;
