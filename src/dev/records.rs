//! The demo's records: one API, one partner, one integration. Their ends count from the year of the demo.

use super::demo_services::AUDIENCE;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::http::demo::WORKLOAD_REPOSITORY;

/// The records as of `now`, with the demo issuer at `demo`.
pub fn demo(demo: &str, now: Timestamp) -> String {
    let year = |later: u32| now.plus(Seconds::days(366 * later)).to_string().chars().take(4).collect::<String>();
    let (year, next) = (year(0), year(1));
    let (repository, owner) = WORKLOAD_REPOSITORY;
    let issuer = format!("{demo}/workloads");
    format!(
        r#"apiVersion: carnet/v1
kind: Api
metadata: {{name: orders-api}}
owner: team:orders-platform
audience: {{sandbox: https://orders.sandbox.acme.example, production: {AUDIENCE}}}
token: {{profile: rfc9068, alg: ES256, ttl: 5m}}
scopes:
  orders:read: {{meaning: See orders and their status, risk: low}}
  orders:write: {{meaning: Change the status of an order, risk: high}}
callers:
  production: [{{name: demo-api, oidc: {{issuer: "{issuer}", match: {{sub: "demo:orders-api"}}, owner: [sub]}}}}]
---
apiVersion: carnet/v1
kind: Partner
metadata: {{name: globex}}
legalName: Globex Corporation
domains: [globex.example]
contacts: {{technical: ops@globex.example, security: security@globex.example}}
verification: {{by: jane@acme.example, on: {year}-01-01, evidence: "demo: nobody looked", expires: {next}-01-31}}
---
apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: order-sync}}
purpose: Copies shipped orders into Globex's warehouse system every ten minutes.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-2291, starts: {year}-01-01, ends: {next}-12-31}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  sandbox:
    bindings:
      - name: ci
        oidc: {{issuer: "{issuer}", match: {{sub: {{prefix: "repo:"}}, repository_id: "{repository}", repository_owner_id: "{owner}"}}, owner: [repository_owner_id]}}
    scopes: {{orders-api: [orders:read, orders:write]}}
  production:
    bindings:
      - name: ci-main
        oidc:
          issuer: "{issuer}"
          match: {{sub: {{prefix: "repo:"}}, repository_id: "{repository}", repository_owner_id: "{owner}", ref: refs/heads/main}}
          owner: [repository_owner_id]
    scopes:
      orders-api:
        - scope: orders:read
          allow: [GET /v1/orders, "GET /v1/orders/{{id}}"]
    elevation:
      - scope: orders:write
        api: orders-api
        allow: ["PATCH /v1/orders/{{id}}/status"]
        max: 1h
        approvers: {{role: security, count: 1}}
        require: [reason]
"#
    )
}
