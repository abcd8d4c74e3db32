//! Entries that are no changes: tokens that were issued, callers that were refused, refusals that were counted.

use std::collections::BTreeMap;

use super::changes::serial_of;
use super::{Examples, parsed};
use crate::domain::credential::possession::Possession;
use crate::domain::fixture::WORKLOADS;
use crate::domain::log::entry::{
    CertificateOnRecord, Counted, CountedKind, Issued, IssuedKind, ProofOnRecord, RefusedEntry, RefusedKind,
};
use crate::domain::reason::decision::Step;
use crate::domain::reason::{self, ReasonCode};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

impl Examples {
    /// Tokens of the version `record` of the example's integration from the entry `index` on: by a JWT for single use, by a certificate, and
    /// by an X.509-SVID.
    pub fn issued(&self, index: u64, time: Timestamp, record: Digest) -> [Issued; 3] {
        let mesh = || parsed("spiffe://mesh.globex.example");
        let by = |n: u64, binding: &str, proof: ProofOnRecord| Issued {
            index: index + n,
            time,
            kind: IssuedKind::Issued,
            subject: parsed("globex/order-sync"),
            request_id: parsed(&format!("request-of-token-{n}")),
            environment: parsed("production"),
            jti: parsed(&format!("token-by-{binding}")),
            exp: time.plus(crate::domain::value::clock::Seconds(240)),
            api: parsed("orders-api"),
            audience: parsed("https://orders.acme.example"),
            scope: "orders:read orders:write".to_owned(),
            binding: parsed(binding),
            record,
            kid: parsed("key-1"),
            claims: Digest::of(binding.as_bytes()),
            ceiling: "limits.ttl".to_owned(),
            proof,
            certificate: None,
            beside: None,
            elevations: Vec::new(),
            possession: None,
            guardrails: None,
            shadow: Vec::new(),
        };
        let jwt = ProofOnRecord {
            issuer: parsed(WORKLOADS),
            named: Some(mesh()),
            subject: parsed("repo:globex/order-sync"),
            key: Digest::of(b"the workload's key"),
            id: Some(Digest::of(b"the id of a proof")),
            expires: time.plus(crate::domain::value::clock::Seconds(300)),
        };
        let certificate = ProofOnRecord {
            issuer: parsed("spiffe://production.sts.acme.example"),
            named: None,
            subject: parsed("spiffe://production.sts.acme.example/globex/order-sync"),
            key: Digest::of(b"the workload's own key"),
            id: None,
            expires: time.plus(crate::domain::value::clock::Seconds(3600)),
        };
        let svid =
            ProofOnRecord { issuer: mesh(), subject: parsed("spiffe://mesh.globex.example/orders"), ..certificate.clone() };
        let shown = CertificateOnRecord { serial: parsed(&serial_of('b')), authority: parsed("authority-2") };
        [
            Issued {
                elevations: vec![parsed("elevation-1"), parsed("elevation-2")],
                possession: Some(Possession::Bearer),
                ..by(0, "ci", jwt)
            },
            Issued { certificate: Some(shown), possession: Some(Possession::Bound), ..by(1, "hsm", certificate) },
            Issued {
                beside: Some(mesh()),
                possession: Some(Possession::Dual),
                guardrails: Some(Digest::of(b"a set of guardrails")),
                shadow: vec![parsed("dpa-before-addresses")],
                ..by(2, "mesh", svid)
            },
        ]
    }

    /// Refusals from the entry `index` on, one with its tree and one without.
    pub fn refused(&self, index: u64, time: Timestamp) -> [RefusedEntry; 2] {
        let step = |check: &str, holds| Step {
            check: check.to_owned(),
            want: "at most 24h, of \"Globex\"".to_owned(),
            seen: "99h \u{2026} \\ ü".to_owned(),
            holds,
        };
        let trees = [vec![step("proof.life", true), step("contract.ends", false)], Vec::new()];
        let reasons = [&reason::ASSERTION_EXPIRED, &reason::QUOTA_EXCEEDED];
        let mut at = index..;
        trees.map(|tree| {
            let index = at.next().unwrap_or(index);
            let reason = reasons[usize::from(tree.is_empty())];
            RefusedEntry {
                index,
                time,
                kind: RefusedKind::Refused,
                subject: parsed("globex/order-sync"),
                request_id: parsed(&format!("request-{index}")),
                environment: parsed("production"),
                reason: ReasonCode(reason),
                tree,
            }
        })
    }

    /// Refusals of strangers, counted.
    pub fn counted(&self, index: u64, time: Timestamp) -> Counted {
        Counted {
            index,
            time,
            kind: CountedKind::Refusals,
            subject: "production".to_owned(),
            counts: BTreeMap::from([("assertion.expired".to_owned(), index), ("binding.no-match".to_owned(), 1)]),
        }
    }
}
