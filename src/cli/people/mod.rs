//! Commands of people: sign in, records, reviews, elevations, revocations, and the inventory.

pub mod activity;
pub mod approval;
pub mod can_i;
pub mod directory;
pub mod drift;
pub mod elevation;
pub mod environment;
pub mod evidence;
pub mod exception;
pub mod explain;
pub mod guardrail;
pub mod inventory;
pub mod login;
pub mod offboard;
pub mod partner;
pub mod planned;
pub mod probe;
pub mod records;
pub mod review;
pub mod revoke;
pub mod signal;
pub mod status;
pub mod suggest;
pub mod ways_in;
pub mod webhook;
pub mod whoami;
