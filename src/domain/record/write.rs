//! Records as their author would write them: the inverse of the readers, as the tree of one document.
//!
//! Enter through [`document`]. What stands at its default is left out; presets come out as presets. Reading what is written here
//! gives the same record again (a test holds it), so a partner can leave the house and come back unchanged. Texts that were
//! forgotten come out as their digest, which no reader takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Record;
use super::read::preset::preset;
use crate::domain::registry::api::{Api, Approval};
use crate::domain::registry::binding::{Admits, Binding, Condition, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher};
use crate::domain::registry::integration::{Access, Approvers, Eligible, Integration, Limits, OnLate, Require, ScopeRule};
use crate::domain::registry::partner::Partner;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::text::Text;

/// One document of a record file.
pub fn document(record: &Record) -> Value {
    let (metadata, fields) = match record {
        Record::Api(record) => (json!({"name": record.name}), api(record)),
        Record::Integration(record) => (json!({"partner": record.id.partner, "name": record.id.name}), integration(record)),
        Record::Partner(record) => (json!({"name": record.name}), partner(record)),
    };
    let mut document = Fields::default();
    document.add("apiVersion", super::API_VERSION);
    document.add("kind", record.kind().name());
    document.add("metadata", metadata);
    document.0.extend(fields.0);
    document.into_value()
}

/// Members in the order in which they are written.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub fn add(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Adds what differs from what a reader assumes.
    pub fn unless(&mut self, default: bool, key: &str, value: impl FnOnce() -> Value) {
        if !default {
            self.add(key, value());
        }
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

fn api(api: &Api) -> Fields {
    let mut fields = Fields::default();
    fields.add("owner", text(&api.owner));
    fields.add("audience", json!(api.audience));
    let mut token = json!({"profile": api.token.profile, "alg": api.token.alg, "ttl": api.token.ttl.to_string()});
    if api.token.require_bound {
        token["require"] = "bound".into();
    }
    fields.add("token", token);
    fields.add("scopes", json!(api.scopes));
    let callers: BTreeMap<_, _> = api.callers.iter().map(|(name, list)| (name, bindings(list))).collect();
    fields.unless(callers.is_empty(), "callers", || json!(callers));
    fields.unless(api.approval == Approval::Plain, "approval", || json!(api.approval));
    fields
}

fn partner(partner: &Partner) -> Fields {
    let mut fields = Fields::default();
    fields.add("legalName", text(&partner.legal_name));
    fields.add("domains", json!(partner.domains));
    let contacts = &partner.contacts;
    fields.add("contacts", json!({"technical": text(&contacts.technical), "security": text(&contacts.security)}));
    let check = &partner.verification;
    fields.add(
        "verification",
        json!({"by": text(&check.by), "on": check.on.first_day(), "evidence": check.evidence, "expires": check.expires.last_day()}),
    );
    fields
}

fn integration(record: &Integration) -> Fields {
    let mut fields = Fields::default();
    fields.add("purpose", text(&record.purpose));
    let owners = &record.owners;
    fields.add("owners", json!({"business": text(&owners.business), "application": text(&owners.application)}));
    let contract = &record.contract;
    fields.add(
        "contract",
        json!({"ref": contract.reference, "starts": contract.starts.first_day(), "ends": contract.ends.last_day()}),
    );
    fields.unless(record.data_classes.is_empty(), "dataClasses", || json!(record.data_classes));
    fields.add("review", json!({"every": record.review.every.to_string(), "onSilence": record.review.on_silence}));
    if let Some(rotation) = &record.rotation {
        let mut cadences = Fields::default();
        for (key, cadence) in [("issuerKeys", rotation.issuer_keys), ("certificate", rotation.certificate)] {
            cadences.unless(cadence.is_none(), key, || duration(cadence));
        }
        cadences.unless(rotation.on_late == OnLate::default(), "onLate", || json!(rotation.on_late));
        fields.add("rotation", cadences.into_value());
    }
    let offboarding = &record.offboarding;
    fields.add("offboarding", json!({"trigger": offboarding.trigger, "contact": text(&offboarding.contact)}));
    let environments: BTreeMap<_, _> = record.environments.iter().map(|(name, of)| (name, access(of).into_value())).collect();
    fields.add("environments", json!(environments));
    let exceptions: Vec<Value> = record
        .exceptions
        .iter()
        .map(|one| json!({"what": one.what, "control": one.control, "owner": text(&one.owner), "ends": one.ends.last_day()}))
        .collect();
    fields.unless(exceptions.is_empty(), "exceptions", || exceptions.into());
    fields.unless(record.tests.is_empty(), "tests", || json!(record.tests));
    fields
}

fn access(access: &Access) -> Fields {
    let mut fields = Fields::default();
    fields.add("bindings", bindings(&access.bindings));
    fields.unless(access.limits == Limits::default(), "limits", || {
        let Limits { ttl, exchanges_per_minute: quota, source_cidrs: networks } = &access.limits;
        let mut limits = Fields::default();
        limits.unless(ttl.is_none(), "ttl", || duration(*ttl));
        limits.unless(quota.is_none(), "exchangesPerMinute", || json!(quota));
        limits.unless(networks.is_empty(), "sourceCidrs", || json!(networks));
        limits.into_value()
    });
    fields.unless(access.require == Require::Nothing, "require", || access.require.name().into());
    let rules = |rules: &Vec<ScopeRule>| rules.iter().map(scope_rule).collect::<Vec<_>>();
    let scopes: BTreeMap<_, _> = access.scopes.iter().map(|(api, list)| (api, rules(list))).collect();
    fields.unless(scopes.is_empty(), "scopes", || json!(scopes));
    let elevation: Vec<Value> = access.elevation.iter().map(eligible).collect();
    fields.unless(elevation.is_empty(), "elevation", || elevation.into());
    fields
}

fn scope_rule(rule: &ScopeRule) -> Value {
    if rule.allow.is_empty() { json!(rule.scope) } else { json!({"scope": rule.scope, "allow": rule.allow}) }
}

fn eligible(eligible: &Eligible) -> Value {
    let mut fields = Fields::default();
    fields.add("scope", json!(eligible.scope));
    fields.add("api", json!(eligible.api));
    fields.unless(eligible.allow.is_empty(), "allow", || json!(eligible.allow));
    fields.add("max", eligible.max.to_string());
    fields.unless(eligible.window.is_none(), "window", || json!(eligible.window));
    fields.add("approvers", approvers(&eligible.approvers));
    fields.unless(eligible.require.is_empty(), "require", || json!(eligible.require));
    fields.unless(!eligible.break_glass, "breakGlass", || true.into());
    fields.into_value()
}

fn approvers(approvers: &Approvers) -> Value {
    let mut fields = Fields::default();
    fields.unless(approvers.role.is_none(), "role", || json!(approvers.role));
    fields.unless(approvers.people.is_empty(), "people", || json!(approvers.people));
    fields.add("count", approvers.count);
    if let Some(fallback) = &approvers.fallback {
        fields.add("fallback", json!({"after": fallback.after.to_string(), "role": fallback.role}));
    }
    fields.into_value()
}

fn bindings(bindings: &[Binding]) -> Value {
    let binding = |binding: &Binding| {
        let mut fields = Fields::default();
        fields.add("name", json!(binding.name));
        match &binding.admits {
            Admits::Certificate => fields.add("mtls", json!({})),
            Admits::Jwt(rule) => match rule.preset {
                Some(known) => {
                    let (key, rule) = preset(known, rule);
                    fields.add(key, rule);
                }
                None if rule.kind == JwtKind::Key => fields.add("key", key(rule).into_value()),
                None => fields.add("oidc", oidc(rule).into_value()),
            },
        }
        fields.into_value()
    };
    bindings.iter().map(binding).collect()
}

fn oidc(rule: &JwtRule) -> Fields {
    let mut fields = Fields::default();
    fields.add("issuer", json!(rule.issuer));
    fields.add("match", matchers(&rule.matchers));
    fields.unless(rule.owner.is_empty(), "owner", || json!(rule.owner));
    keys(rule, &mut fields);
    if let Some(ExtraAudience::Value(audience)) = &rule.audience {
        fields.add("audience", json!(audience));
    }
    fields.unless(rule.algs == Alg::WORKLOAD, "algs", || json!(rule.algs));
    fields.unless(rule.typ.is_empty(), "typ", || json!(rule.typ));
    fields.unless(rule.single_use, "singleUse", || false.into());
    times(rule, Seconds::hours(1), &mut fields);
    fields
}

fn key(rule: &JwtRule) -> Fields {
    let mut fields = Fields::default();
    keys(rule, &mut fields);
    fields.unless(rule.audience.is_none(), "audience", || "token-endpoint".into());
    fields.unless(rule.algs == Alg::KEY, "algs", || json!(rule.algs));
    fields.unless(rule.typ.is_empty(), "typ", || json!(rule.typ));
    times(rule, Seconds::minutes(5), &mut fields);
    fields
}

fn keys(rule: &JwtRule, fields: &mut Fields) {
    match &rule.keys {
        KeySource::Discovery(_) => {}
        KeySource::JwksUri(url) => fields.add("jwksUri", url.clone()),
        // As one string it is read back byte for byte.
        KeySource::Inline(set) => fields.add("jwks", set.clone()),
        // Of `spiffe` alone, which writes them itself.
        KeySource::BundleUrl(_) | KeySource::InlineBundle(_) => {}
    }
}

/// `maxLife` and `maxAge`.
pub(super) fn times(rule: &JwtRule, life: Seconds, fields: &mut Fields) {
    fields.unless(rule.max_life == life, "maxLife", || rule.max_life.to_string().into());
    fields.unless(rule.max_age.is_none(), "maxAge", || duration(rule.max_age));
}

fn matchers(matchers: &[Matcher]) -> Value {
    let matcher = |matcher: &Matcher| (matcher.claim.as_str().to_owned(), condition(&matcher.condition));
    Value::Object(matchers.iter().map(matcher).collect())
}

/// A bare value, `{oneOf: […]}` or `{prefix: …}`.
pub(super) fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Equals(value) => value.clone().into(),
        Condition::OneOf(values) => json!({"oneOf": values}),
        Condition::Prefix(value) => json!({"prefix": value}),
    }
}

fn duration(duration: Option<Seconds>) -> Value {
    duration.map(|duration| duration.to_string()).into()
}

fn text(text: &Text) -> Value {
    match text {
        Text::Plain(text) => text.clone().into(),
        Text::Sealed(digest) => digest.to_string().into(),
    }
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
exceptions:
  - {what: legacy SFTP key, control: source network allow-list, owner: raj@acme.example, ends: 2027-02-28}
tests:
  - {claims: {iss: "https://token.actions.example", repository_id: "456789", run: 7}, expect: {environment: production, deny: binding.no-match}}
"#;

    #[test]
    fn what_is_written_is_read_as_the_same_record() {
        let records = super::super::read("all", EVERYTHING).expect("valid records");
        assert_eq!(records.len(), 3);
        for located in records {
            // JSON is YAML too; how it is laid out is the command line's.
            let written = document(&located.record).to_string();
            let again = super::super::read("again", &written).unwrap_or_else(|faults| panic!("{faults:#?}\n{written}"));
            assert_eq!(again[0].record, located.record, "{written}");
        }
    }

    #[test]
    fn defaults_are_left_out_and_dates_are_days() {
        let records = super::super::read("all", EVERYTHING).expect("valid records");
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
