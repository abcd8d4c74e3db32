//! Decisions: pure functions of the state, a request and `now` that grant or refuse with a reason.

pub mod admission;
pub mod ask;
pub mod check;
pub mod consequence;
pub mod cut;
pub mod effective;
pub mod elevation;
pub mod enrolment;
pub mod entitlement;
pub mod grant;
pub mod guard;
pub mod guard_check;
pub mod guard_warnings;
pub mod keys_in_use;
pub mod life;
pub mod longest;
pub mod peer;
pub mod possession;
pub mod rehearsal;
pub mod revocable;
pub mod rotation;
pub mod standing;
pub mod stopped;
pub mod target;
pub mod way;
