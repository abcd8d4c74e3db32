//! The content of the journal: changes, entries, and the segments that old entries move to.
//!
//! Each noun has an enum of its changes in a file of its own. [`change::Change`] joins them, [`entry::Entry`] is a whole entry.
//!
//! # How to add a kind of change
//!
//! Three files hold all that a new kind of an existing noun needs:
//!
//! 1. `log/NOUN.rs`: the variant with its `#[kind = "noun.happened"]`, and its arms in `subject`, `reason` and `texts_mut`. A text
//!    of people that `texts_mut` leaves out would be written in plain, and could never be forgotten.
//! 2. `state/NOUNs.rs`: the arm of `apply`. It returns [`Effects`](crate::domain::state): the targets that the change revokes, the
//!    record whose versions it moves, and whether records are judged anew.
//! 3. `examples/changes.rs`: an example with each optional field set and unset. Then `make golden` writes the next golden journal;
//!    the golden journals that are there never change.
//!
//! No `match` over changes has a catch-all arm, so the compiler names the first two places, `broker/event.rs`, which says whether an event
//! carries the reason, `broker/exported/class.rs`, its class in OCSF, and `broker/mail/notice.rs`, who is told of it by mail. The tests of the golden journal name
//! the third. A broker operation that makes the change proposes it by `Broker::change_by`. A new noun needs a line in `change.rs`,
//! a file in this folder and one in `state`, and an arm in `State::apply`.

pub mod api;
pub mod approval;
pub mod archive;
pub mod certificate;
pub mod change;
pub mod configuration;
pub mod dates;
pub mod directory;
pub mod elevation;
pub mod entry;
pub mod environment;
pub mod evidence;
pub mod exception;
pub mod format;
pub mod guardrail;
pub mod integration;
pub mod issuer_key;
pub mod journal;
pub mod key;
mod kinds;
pub mod mail;
pub mod offboarding;
pub mod partner;
pub mod passkey;
pub mod recertification;
pub mod revocation;
pub mod signal;
pub mod staff;
pub mod text;
pub mod withdrawal;
