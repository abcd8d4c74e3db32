//! Carnet: a credential broker for partner workloads. Proof in, minutes-long scoped token out, everything stamped.
//!
//! Folders are floors (what a file may know), file names are columns (what it is about). The same noun on three floors is one
//! feature: `http/admin/revocations.rs` → `broker/revocation.rs` → `domain/revocation.rs`. Imports go down only;
//! `tests/broker/architecture` reads them.
//!
//! ```text
//!  5  shell     main  cli  serve  dev  server  config  telemetry     composition, sockets, signals, commands
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  4  http      front · public: token introspection publication · admin/* console/* · error   status codes, untrusted bytes
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  3  broker    exchange elevation introspection registry review revocation delivery …    one file per operation
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  2  gateways  issuance ──► journal      nothing is signed that is not recorded
//!               authn ──► outbound        one client, one set of rules for what leaves
//!               revocation                the live index that others read
//!               verifier                  what an API embeds; its own feature, nobody here imports it
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  1  domain    names scope binding admission grant entitlement elevation state change record reason clock
//!               pure, synchronous, no I/O: values in, values out
//! ```
//!
//! A fact once established is a type, and one room alone can make it. "Verified, admitted, decided, recorded, signed" is the only
//! order that compiles; `tests/unbuildable` holds the attempts at another one.
//!
//! ```text
//! UnverifiedAssertion → Verified<Assertion> → Principal → Grant → Recorded<Grant> → IssuedToken
//!  form text             authn                domain's     domain's  journal          issuance
//!                                             admission    decide()
//! ```
//!
//! # An exchange, file by file
//!
//! 1. [`server`] accepts within its caps, [`http::front`] gives the request an id and finds the environment by host and path.
//!    `http/public/token.rs` reads a strict form: a repeated parameter is refused, not resolved.
//! 2. [`broker::exchange`] is the list of steps; all three grants take it. `broker/caller.rs` looks the *unverified* issuer up among
//!    the bindings in force ([`domain::state::candidates`]). One that none names is refused, and not one packet leaves.
//! 3. [`authn`] has the issuer's keys ([`authn::IssuerKeys`], fetched ahead through [`outbound`]), checks the signature, then our own
//!    typed claims. Absent means refused. → [`domain::caller::proof::Verified`]
//! 4. [`domain::decision::admission`] asks which bindings admit these claims: exactly one client, or a refusal. From here on the caller is
//!    known and is told reasons. → [`domain::decision::admission::Principal`]
//! 5. [`revocation`]'s batcher takes from the quota and asks whether the proof was seen. No answer is a refusal.
//! 6. [`domain::decision::grant::decide`] compares with contract, catalogue, dates, revocations, and takes the minimum of all ends of life.
//!    → [`domain::decision::grant::Grant`], or a refusal with its decision tree
//! 7. [`journal`] appends the grant and spends the proof in one commit, unless a change came in between; then steps 4 and 6 are taken
//!    again on the newer state. → [`journal::Recorded`]
//! 8. [`issuance`] signs what was recorded, reads its own output back, and refuses it if it is anything else.
//!    → [`issuance::IssuedToken`]
//! 9. `http/public/token.rs` answers (RFC 8693 section 2.2.1); refusals are mapped by `http/error.rs` and nowhere else.
//!
//! # An elevation, file by file
//!
//! 1. `http/public/elevations.rs` takes a workload's proof the way an exchange does; `http/admin/elevations.rs` takes people. Both call
//!    [`broker::elevation`], and [`domain::decision::elevation::ask()`] says whether the record lets it be asked for and who must agree.
//! 2. A review names the version that was seen, and may only take away ([`domain::elevation::Request::review`]). The last one that was
//!    needed starts it: the fold of the journal says so, nobody sets a flag. On a page it is `http/console/approvals.rs`; where the API
//!    says `approval: signed`, the approver's passkey signs [`domain::decision::elevation::statement`], and [`authn::passkey`] judges it.
//! 3. Each exchange that asks for more than the contract has is judged anew by [`domain::decision::elevation::live()`]: record, catalogue, hours,
//!    approvals and requester as they are now; [`broker::passkey`] asks whether each signature holds. The token ends with the elevation
//!    and names it.
//! 4. An end cuts what was issued; `broker/ticket.rs` ends it with its ticket; [`broker::delivery`] tells whom it concerns.
//!
//! # An onboarding, file by file
//!
//! 1. `carnet plan` and `carnet apply` ([`cli`]) send the files to [`http::admin`], whose handlers take an `Admitted` of the permission
//!    they need: [`authn`] verified the staff token, [`domain::people::actor`] knows what each role may.
//! 2. [`domain::record`] parses: unknown keys refused, every fault of a file told at once with its line, lint, overlaps with other
//!    bindings. Two types instead of a flag: what was read is not yet a record.
//! 3. [`broker::registry`] compares with what is in force (`domain/record/compare.rs`). What is not provably narrower is held.
//!    Names and free text of people are sealed ([`domain::value::text`]); what goes on is their digest.
//! 4. Each change is an entry: [`journal`] appends a [`domain::log::change::Change`], and [`domain::state`] is the fold of them all.
//! 5. [`broker::review`]: approvals open with the change. Nobody approves what they applied or submitted; the version seen is
//!    part of the vote. With the last one, [`domain::decision::consequence`] says what follows: the integration is active.
//! 6. Who follows the journal hears of it: `serve/background.rs` fetches the new issuer's keys before the first request needs them,
//!    `broker/follow.rs` moves the live index.
//!
//! Caches with key, life and staleness: docs/explanation/keys-and-caches.md. Stores and their trust: docs/explanation/trust.md.

#[cfg(feature = "broker")]
pub mod authn;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "broker")]
pub mod cli;
#[cfg(feature = "broker")]
pub mod config;
#[cfg(feature = "broker")]
pub mod dev;
pub mod domain;
#[cfg(feature = "broker")]
pub mod http;
#[cfg(feature = "broker")]
pub mod issuance;
#[cfg(feature = "broker")]
pub mod journal;
#[cfg(feature = "broker")]
pub mod outbound;
#[cfg(feature = "broker")]
pub mod revocation;
#[cfg(feature = "broker")]
pub mod serve;
#[cfg(feature = "broker")]
pub mod server;
#[cfg(feature = "broker")]
pub mod telemetry;
#[cfg(feature = "verifier")]
pub mod verifier;
