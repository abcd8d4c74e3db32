//! The usual records of a test's world.

use super::days::{CONTRACT_ENDS, VERIFIED_ON, VERIFIED_UNTIL};

/// Api `orders-api` with a caller, Partner `globex`, Integration `globex/order-sync` in both environments.
pub fn usual(issuer: &str) -> String {
    format!(
        r#"
apiVersion: carnet/v1
kind: Api
metadata: {{name: orders-api}}
owner: team:orders
audience: {{sandbox: https://orders.sandbox.example, production: https://orders.example}}
token: {{profile: rfc9068, alg: ES256, ttl: 5m}}
scopes:
  orders:read: {{meaning: See orders, risk: low}}
  orders:write: {{meaning: Change orders, risk: high}}
  orders:list: {{meaning: List orders, risk: low}}
callers:
  production: [{{name: gateway, oidc: {{issuer: "{issuer}", match: {{sub: "system:serviceaccount:orders:api"}}, owner: [sub]}}}}]
  sandbox: [{{name: gateway, oidc: {{issuer: "{issuer}", match: {{sub: "system:serviceaccount:orders:api"}}, owner: [sub]}}}}]
---
apiVersion: carnet/v1
kind: Partner
metadata: {{name: globex}}
legalName: Globex Corporation
domains: [globex.example]
contacts: {{technical: ops@globex.example, security: security@globex.example}}
verification: {{by: jane@acme.example, on: {VERIFIED_ON}, evidence: "sha256:00", expires: {VERIFIED_UNTIL}}}
---
{}"#,
        integration(issuer, "order-sync", "456789"),
    )
}

/// An integration of globex for one repository.
pub fn integration(issuer: &str, name: &str, repository: &str) -> String {
    let binding = |name: &str, condition: &str| {
        format!(
            r#"      - name: {name}
        oidc: {{issuer: "{issuer}", match: {{sub: {{prefix: "repo:"}}, repository_id: "{repository}", repository_owner_id: "998877"{condition}}}, owner: [repository_owner_id]}}"#
        )
    };
    format!(
        r#"apiVersion: carnet/v1
kind: Integration
metadata: {{partner: globex, name: {name}}}
purpose: Copies orders.
owners: {{business: jane@acme.example, application: raj@acme.example}}
contract: {{ref: MSA-1, starts: 2026-01-01, ends: {CONTRACT_ENDS}}}
review: {{every: 90d, onSilence: suspend}}
offboarding: {{trigger: contract-end, contact: ops@globex.example}}
environments:
  sandbox:
    bindings:
{}
    scopes: {{orders-api: [orders:read, orders:write]}}
  production:
    bindings:
{}
    scopes:
      orders-api:
        - scope: orders:read
          allow: [GET /v1/orders, "GET /v1/orders/{{id}}"]
        - scope: orders:list
    elevation:
      - scope: orders:write
        api: orders-api
        max: 1h
        approvers: {{role: security, count: 1}}
        require: [reason]
"#,
        binding("ci", ""),
        binding("ci-main", ", ref: {oneOf: [refs/heads/main, refs/heads/release]}"),
    )
}

/// The usual integration with room for a load.
pub fn busy(issuer: &str) -> String {
    let usual = integration(issuer, "order-sync", "456789");
    usual.replace("    elevation:\n", "    limits: {exchangesPerMinute: 1000000}\n    elevation:\n")
}
