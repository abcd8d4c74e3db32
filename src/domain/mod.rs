//! Floor 1: what the broker knows, as values. Pure, synchronous, no I/O; `now` is an argument.
//!
//! Enter through [`grant::decide`](grant) for exchanges, [`state::State`](state) for what is, [`change::Change`](change) for
//! what can happen, and [`record`] for what people write. Nothing here knows HTTP, SQL, Redis or private keys; what a public
//! key is, `jwk` alone says.

pub mod about;
pub mod actor;
pub mod admission;
pub mod alg;
pub mod api;
pub mod approval;
pub mod archive;
pub mod barred;
pub mod binding;
pub mod binding_index;
pub mod candidates;
pub mod certificate;
pub mod change;
pub mod claim_text;
pub mod claims;
pub mod clock;
pub mod conditions;
pub mod confirmation;
pub mod consequence;
pub mod cut;
pub mod decision;
pub mod digest;
pub mod effective;
pub mod effort;
pub mod elevation;
pub mod endpoint;
pub mod enrolment;
mod entitlement;
pub mod entry;
#[cfg(test)]
pub mod examples;
#[cfg(test)]
pub mod fixture;
pub mod grant;
pub mod hex;
pub mod history;
pub mod integration;
pub mod issuer_keys;
pub(crate) mod jwk;
pub(crate) mod jwk_set;
pub mod keys;
pub mod names;
pub mod network;
pub mod numeric_date;
mod opening;
pub mod ours;
pub(crate) mod p256;
pub mod partner;
pub mod passkey;
pub mod peer;
pub mod possession;
pub mod proof;
pub mod proof_key;
pub mod quota;
pub mod reason;
pub mod record;
pub mod rehearsal;
pub mod resource;
pub mod revocable;
pub mod revocation;
pub mod scope;
pub mod spiffe;
pub mod standing;
pub mod state;
pub mod steady;
pub mod stop;
pub mod stopped;
pub(crate) mod strict_json;
pub mod taken;
pub mod text;
pub mod window;
pub mod yaml;

#[cfg(test)]
mod checks;
#[cfg(test)]
mod laws;
