//! The broker as its users see it: the whole server in process on port 0, over the wire, with real stores, a fake partner issuer,
//! a settable clock. Fakes, not mocks. A test's name begins with the ABUSE row that it shows.

mod admin;
mod approvals;
mod architecture;
mod assertions;
mod caching;
mod certificates;
mod cli;
mod clock;
mod console;
mod crash;
mod described;
mod digests;
mod directory;
mod discard;
mod docs;
mod elevation;
mod exchange;
mod fuzz;
mod guardrails;
mod health;
mod idempotency;
mod interop;
mod issuers;
mod key_sets;
mod narrowing;
mod oracles;
mod policy;
mod possession;
mod quotas;

mod registry;
mod remembered;
mod revocation;
mod secrets;
mod spiffe;
mod standards;
mod stopped;
mod suspensions;
mod taken_away;
mod tickets;
mod uniqueness;
mod verification;
mod verifier;
mod webhooks;
mod world;
