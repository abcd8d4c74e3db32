//! Records as their author would write them: the inverse of reading, as the tree of one document.
//!
//! Enter through [`document`]. Values at their default are left out; presets come out as presets. Reading the written document
//! gives the same record again (a test holds it), so a partner can leave the house and come back unchanged. Texts that were
//! forgotten come out as their digest, which no reader takes.

use serde_json::{Value, json};

use super::form::field::Members;
use super::form::map::Map;
use super::kind::{API_VERSION, Record};

/// One document of a record file.
pub fn document(record: &Record) -> Value {
    let mut document = Members::new();
    document.insert("apiVersion".to_owned(), json!(API_VERSION));
    document.insert("kind".to_owned(), json!(record.kind().name()));
    document.extend(match record {
        Record::Api(api) => api.members(),
        Record::Guardrail(guardrail) => guardrail.members(),
        Record::Integration(integration) => integration.members(),
        Record::Partner(partner) => partner.members(),
    });
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One record of each kind that says everything there is to say.
    const EVERYTHING: &str = r#"
apiVersion: carnet/v1
kind: Api
metadata: {name: orders-api}
owner: team:orders-platform
audience: {sandbox: https://orders.sandbox.acme.example, production: https://orders.acme.example}
token: {profile: compat, alg: RS256, ttl: 4m, require: bound}
scopes:
  orders:read: {meaning: "See orders: all of them", risk: low}
  orders:write: {meaning: Change the status of an order, risk: high}
callers:
  production: [{name: gateway, oidc: {issuer: "https://kubernetes.acme.example", match: {sub: "system:serviceaccount:orders:api"}}}]
approval: signed
---
apiVersion: carnet/v1
kind: Partner
metadata: {name: globex}
legalName: "Globex: Corporation"
domains: [globex.example]
contacts: {technical: ops@globex.example, security: security@globex.example}
verification: {by: jane@acme.example, on: 2026-11-01, evidence: "sha256:00", expires: 2027-11-01T06:30:00Z}
---
apiVersion: carnet/v1
kind: Integration
metadata: {partner: globex, name: order-sync}
purpose: Copies shipped orders.
owners: {business: jane@acme.example, application: raj@acme.example}
contract: {ref: MSA-2291, starts: 2026-12-01, ends: 2027-11-30}
dataClasses: [customer-address]
review: {every: 90d, onSilence: report}
rotation: {issuerKeys: 180d, certificate: 90d, onLate: refuse}
offboarding: {trigger: contract-end, contact: ops@globex.example}
environments:
  sandbox:
    bindings:
      - {name: hub, github: {repositoryId: "456789", ownerId: "998877", ref: {prefix: refs/heads/}, environment: test}}
      - {name: again, github: {repositoryId: "456788", ownerId: "998877", singleUse: false, maxLife: 2h}}
      - {name: lab, gitlab: {projectId: "1", namespaceId: "2", issuer: "https://gitlab.globex.example", maxAge: 10m, audience: x}}
      - {name: lab-once, gitlab: {projectId: "1", namespaceId: "3", singleUse: true}}
      - {name: mesh, spiffe: {id: "spiffe://prod.globex.example/sync", bundleUrl: "https://globex.example/bundle", maxAge: 5m}}
      - {name: pod, kubernetes: {issuer: "https://k.globex.example", namespace: shop, serviceAccountUid: 4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f}}
      - {name: pair, key: {jwksUri: "https://globex.example/jwks.json", audience: token-endpoint, maxLife: 10m, algs: [ES256, RS256]}}
      - {name: data-centre, mtls: {}}
      - name: pinned
        key:
          jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}
          typ: [client-authentication+jwt]
    scopes: {orders-api: [orders:read, orders:write]}
  production:
    bindings:
      - name: ci-main
        oidc:
          issuer: https://token.actions.example
          match:
            repository_id: "456789"
            ref: {oneOf: [refs/heads/main, "no"]}
            environment: {prefix: prod}
            /kubernetes.io/namespace: shop
          owner: [repository_id]
          singleUse: false
          maxLife: 30m
          maxAge: 5m
          audience: carnet
          algs: [ES256]
          typ: [at+jwt]
    limits: {ttl: 5m, exchangesPerMinute: 60, sourceCidrs: [203.0.113.0/24]}
    require: dual
    scopes:
      orders-api:
        - scope: orders:read
          allow: [GET /v1/orders, "GET /v1/orders/{id}"]
    elevation:
      - scope: orders:write
        api: orders-api
        allow: ["PATCH /v1/orders/{id}/status"]
        max: 1h
        window: Mon-Fri 06:00-20:00 Europe/Berlin
        approvers: {role: security, count: 1, fallback: {after: 15m, role: owner}}
        require: [reason, ticket]
        breakGlass: true
    ends: 2027-06-30
exceptions:
  - {what: legacy SFTP key, control: source network allow-list, owner: raj@acme.example, ends: 2027-02-28, onPastDue: report}
tests:
  - {claims: {iss: "https://token.actions.example", repository_id: "456789", run: 7}, expect: {environment: production, deny: binding.no-match}}
"#;

    #[test]
    fn what_is_written_is_read_as_the_same_record() {
        let records = super::super::read::document::read("all", EVERYTHING).expect("valid records");
        assert_eq!(records.len(), 3);
        for located in records {
            // JSON is YAML too; how it is laid out is the command line's.
            let written = document(&located.record).to_string();
            let again =
                super::super::read::document::read("again", &written).unwrap_or_else(|faults| panic!("{faults:#?}\n{written}"));
            assert_eq!(again[0].record, located.record, "{written}");
        }
    }

    #[test]
    fn defaults_are_left_out_and_dates_are_days() {
        let records = super::super::read::document::read("all", EVERYTHING).expect("valid records");
        let written = document(&records[2].record);
        assert_eq!(written["contract"]["ends"], "2027-11-30");
        let hub = &written["environments"]["sandbox"]["bindings"][0];
        let wanted = json!({
            "name": "hub", "github": {"repositoryId": "456789", "ownerId": "998877", "ref": {"prefix": "refs/heads/"}, "environment": "test"},
        });
        assert_eq!(*hub, wanted);
        assert_eq!(document(&records[1].record)["verification"]["expires"], "2027-11-01T06:30:00Z");
    }
}
