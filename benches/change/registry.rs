//! The partners and integrations of the bench, as records.

use std::ops::Range;

use crate::days::{CONTRACT_ENDS, VERIFIED_ON, VERIFIED_UNTIL};
use carnet::domain::log::partner::PartnerChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::record::{self, Record};
use carnet::domain::registry::approval::{Approval, Kind, Opened};
use carnet::domain::registry::integration::Integration;
use carnet::domain::registry::partner::Partner;
use carnet::domain::value::clock::Timestamp;
use carnet::domain::value::digest::Digest;

/// Integrations of one partner, where there are many.
const OF_ONE: usize = 100;

/// Drafts of one call.
const DRAFTS: usize = 10;

/// A public key that nobody signs with (RFC 7515, A.3.1).
const KEY: &str = "{kty: EC, crv: P-256, kid: ec, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, \
                   y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}";

/// The names of the partners that `number` integrations belong to: at least two.
fn names(number: usize) -> Range<usize> {
    0..number.div_ceil(OF_ONE).max(2)
}

/// The number of the partner that integration `at` of `number` belongs to.
pub fn partner_of(at: usize, number: usize) -> usize {
    at % names(number).len()
}

/// The partners that `number` integrations belong to.
pub fn partners(number: usize) -> impl Iterator<Item = Partner> {
    names(number).map(partner)
}

/// The partner with the number `at`.
pub fn partner(at: usize) -> Partner {
    let text = format!(
        "{{apiVersion: carnet/v1, kind: Partner, metadata: {{name: p{at}}}, legalName: P{at}, domains: [p{at}.example],\n\
         contacts: {{technical: o@p{at}.example, security: s@p{at}.example}},\n\
         verification: {{by: j@acme.example, on: {VERIFIED_ON}, evidence: \"sha256:00\", expires: {VERIFIED_UNTIL}}}}}"
    );
    match read(&text) {
        Record::Partner(partner) => partner,
        Record::Api(_) | Record::Guardrail(_) | Record::Integration(_) => panic!("a partner"),
    }
}

/// The number of a partner that has no integration of [`integrations`] or [`job`].
pub const CROWDED: usize = 999_999;

/// `number` integrations of one partner, [`CROWDED`], in production.
pub fn crowd(issuer: &str, number: usize) -> impl Iterator<Item = Integration> {
    (0..number).map(move |at| integration(CROWDED, &format!("c{at}"), "production", &binding(issuer, 2 * at + 3_000_001), ""))
}

/// The changes after which a partner counts as verified.
pub fn verified(partner: &Partner) -> [PartnerChange; 2] {
    let version = Digest::of_json(partner);
    let approval = Approval {
        id: format!("a-{}", partner.name).parse().expect("an id"),
        kind: Kind::Partner,
        subject: partner.name.to_string(),
        version,
        requested_by: Actor::Operator,
        barred: Vec::new(),
        slots: Kind::Partner.slots(),
        expires: Timestamp::MAX,
        reviews: Vec::new(),
        withdrawn: false,
        reason: None,
        opened: Opened::default(),
    };
    [
        PartnerChange::Submitted { record: Box::new(partner.clone()), approval },
        PartnerChange::Verified { partner: partner.name.clone(), version },
    ]
}

/// `number` integrations. One half of them brings keys of its own, the other half shares `issuer`, as the jobs of one CI service do.
pub fn integrations(issuer: &str, number: usize) -> Vec<Integration> {
    (0..number).map(|at| integration(partner_of(at, number), &format!("i{at}"), "sandbox", &binding(issuer, at), "")).collect()
}

/// Integration `at` of `number` in production: the jobs of one repository of its partner, at a CI service that others use too.
pub fn job(at: usize, number: usize, issuer: &str) -> Integration {
    let (repository, owner) = (repository(at), repository_owner(at, number));
    let rule = format!(
        "sub: {{prefix: \"repo:\"}}, repository_id: \"{repository}\", repository_owner_id: \"{owner}\", ref: refs/heads/main"
    );
    let binding = format!("{{name: ci, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}, owner: [repository_owner_id]}}}}");
    integration(partner_of(at, number), &format!("s{at}"), "production", &binding, "limits: {exchangesPerMinute: 1000000}, ")
}

/// The claim `repository_id` of a job.
pub fn repository(at: usize) -> String {
    (1_000_000 + at).to_string()
}

/// The claim `repository_owner_id` of a job, which all integrations of one partner have.
pub fn repository_owner(at: usize, number: usize) -> String {
    (998_000 + partner_of(at, number)).to_string()
}

/// Ten more integrations, for a round of drafts.
pub fn drafts(issuer: &str, round: usize) -> Vec<Integration> {
    let of = |at| binding(issuer, 5_000_000 + round * DRAFTS + at);
    let draft = |at| integration(at % 2, &format!("d{round}-{at}"), "sandbox", &of(at), "");
    (0..DRAFTS).map(draft).collect()
}

fn binding(issuer: &str, at: usize) -> String {
    if at.is_multiple_of(2) {
        return format!("{{name: own, key: {{jwks: {{keys: [{KEY}]}}}}}}");
    }
    let rule = format!("sub: {{prefix: \"repo:\"}}, repository_id: \"{}\", repository_owner_id: \"998877\"", 1_000_000 + at);
    format!("{{name: ci, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}, owner: [repository_owner_id]}}}}")
}

fn integration(partner: usize, name: &str, environment: &str, binding: &str, limits: &str) -> Integration {
    let text = format!(
        "{{apiVersion: carnet/v1, kind: Integration, metadata: {{partner: p{partner}, name: {name}}}, purpose: x,\n\
         owners: {{business: j@acme.example, application: r@acme.example}}, contract: {{ref: M, starts: 2026-01-01, ends: {CONTRACT_ENDS}}},\n\
         review: {{every: 90d, onSilence: suspend}}, offboarding: {{trigger: contract-end, contact: o@globex.example}},\n\
         environments: {{{environment}: {{bindings: [{binding}], {limits}scopes: {{orders-api: [orders:read]}}}}}}}}\n"
    );
    match read(&text) {
        Record::Integration(integration) => integration,
        Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => panic!("an integration"),
    }
}

fn read(text: &str) -> Record {
    let mut records = record::read("bench", text).expect("a sound record");
    records.remove(0).record
}
