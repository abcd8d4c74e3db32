//! Carnet: a credential broker for partner workloads.
//!
//! Proof in, short-lived scoped token out, all recorded.
//!
//! Folders are floors (what a file may know), file names are columns (what it is about). The same noun on three floors is one
//! feature: `http/admin/elevations.rs` → `broker/elevation.rs` → `domain/elevation/`. Imports go down only;
//! `tests/broker/architecture` checks them.
//!
//! ```text
//!  5  shell     main  cli  serve  dev  server  config  telemetry     composition, sockets, signals, commands
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  4  http      front · public: token introspection publication · admin/* console/* · error   status codes, untrusted bytes
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  3  broker    exchange elevation introspection registry review revocation delivery …    one file per operation
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  2  gateways  issuance ──► journal      nothing is signed that is not recorded
//!               authn ──► outbound        one client, one set of rules for outbound requests
//!               revocation                the live index that others read
//!               policy                    guardrails: what must never be granted
//!               verifier                  for APIs that embed it; its own feature, nobody here imports it
//!  ──────────────────────────────────────────────────────────────────────────────────────────────────────────
//!  1  domain    value reason people credential registry elevation log state caller record decision
//!               pure, synchronous, no I/O: values in, values out
//! ```
//!
//! An established fact is a type, and only one folder can make it. "Verified, admitted, decided, recorded, signed" is the
//! only order that compiles; `tests/unbuildable` has the attempts at any other.
//!
//! ```text
//! UnverifiedAssertion → Verified<Assertion> → Principal → Grant → Recorded<Grant> → IssuedToken
//!  form text             authn                domain's     domain's  journal          issuance
//!                                             admission    decide()
//! ```
//!
//! # An exchange, file by file
//!
//! 1. [`server`] accepts within its caps, [`http::front`] gives the request an id, and `http/public` finds the environment by
//!    host and path. `http/public/token.rs` parses a strict form: a repeated parameter is refused, not resolved.
//! 2. [`broker::exchange`] is the list of steps; all three grants take it. `broker/caller.rs` looks up the *unverified*
//!    issuer among the bindings in force ([`domain::state::candidates`]). An issuer that no binding names is refused, and no
//!    request leaves.
//! 3. [`authn`] has the issuer's keys ([`authn::IssuerKeys`], fetched ahead through [`outbound`]), verifies the signature,
//!    then parses our own typed claims. An absent claim is refused. → [`domain::caller::proof::Verified`]
//! 4. [`domain::decision::admission`] finds the bindings that admit these claims: exactly one client, or a refusal. From here
//!    on the caller is known and gets reasons. → [`domain::decision::admission::Principal`]
//! 5. [`revocation`]'s batcher takes from the quota and looks up if the proof was seen. No answer is a refusal.
//! 6. [`domain::decision::grant::decide`] checks contract, catalogue, dates and revocations, and takes the minimum of all
//!    ends of life. → [`domain::decision::grant::Grant`], or a refusal with its decision tree
//! 7. [`journal`] appends the grant and spends the proof in one commit. If a change came in between, steps 4 and 6 are
//!    repeated on the newer state. → [`journal::Recorded`]
//! 8. [`issuance`] signs what was recorded, reads its own output back, and refuses it if it differs. →
//!    [`issuance::IssuedToken`]
//! 9. `http/public/token.rs` answers (RFC 8693 section 2.2.1); only `http/error.rs` maps refusals.
//!
//! # An elevation, file by file
//!
//! 1. `http/public/elevations.rs` takes a workload's proof as an exchange does; `http/admin/elevations.rs` takes people's
//!    requests. Both call [`broker::elevation`], and [`domain::decision::elevation::ask()`] decides if the record allows the
//!    request and who must approve.
//! 2. A review names the version that was seen, and can only narrow ([`domain::elevation::Request::review`]). The last
//!    required review starts the elevation: that follows from the fold of the journal, no flag is set.
//!    `http/console/approvals.rs` has the page. If the API has `approval: signed`, the approver's passkey signs
//!    [`domain::decision::elevation::statement`], and [`authn::passkey`] verifies it.
//! 3. Each exchange that asks for more than the contract has is decided anew by [`domain::decision::elevation::live()`]:
//!    record, catalogue, hours, approvals and requester as they are now; [`broker::passkey`] verifies each signature again.
//!    The token ends with the elevation and names it.
//! 4. An end revokes what was issued; `broker/ticket.rs` ends the elevation with its ticket; [`broker::delivery`] notifies
//!    the receivers.
//!
//! # An onboarding, file by file
//!
//! 1. `carnet plan` and `carnet apply` ([`cli`]) send the files to [`http::admin`], whose handlers take an `Admitted` of the
//!    permission they need: [`authn`] verified the staff token, [`domain::people::actor`] knows what each role may do.
//! 2. [`domain::record`] parses: unknown keys are refused, and every fault of a file is reported at once with its line; then
//!    lint, and overlaps with other bindings. Two types instead of a flag: a parsed document is not yet a record.
//! 3. [`broker::registry`] compares it with the version in force (`domain/record/compare/`). A version that is not provably
//!    narrower is held. Names and free text of people are sealed ([`domain::value::text`]); only their digests go on.
//! 4. Each change is an entry: [`journal`] appends a [`domain::log::change::Change`], and [`domain::state`] is the fold of
//!    them all.
//! 5. [`broker::review`]: approvals open with the change. Nobody approves what they applied or submitted; the version seen is
//!    part of the vote. After the last one, [`domain::decision::consequence`] finds the consequence: the integration is
//!    active.
//! 6. Followers of the journal react: `serve/background.rs` fetches the new issuer's keys before the first request needs
//!    them, `broker/follow.rs` advances the live index.
//!
//! The caches with key, life and staleness: docs/explanation/keys-and-caches.md. The stores and their trust:
//! docs/explanation/trust.md.

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
pub mod policy;
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
