//! Records: of each kind one that says all that it can, and one that says as little as it may.

use std::sync::Arc;

use litemap::LiteMap;
use serde_json::{Map, Value, json};

use super::{Examples, parsed};
use crate::domain::fixture::{WORKLOADS, at};
use crate::domain::people::actor::Role;
use crate::domain::registry::api::{Api, Approval, Profile, Risk, ScopeEntry, TokenForm};
use crate::domain::registry::binding::{Admits, Binding, Condition, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher};
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::{
    Access, Approvers, Contract, Eligible, Expectation, Fallback, Integration, Limits, Offboarding, OnLate, OnPastDue,
    OnSilence, Owners, RecordTest, Require, Required, Review, Rotation, ScopeRule, StaticSecret, Trigger,
};
use crate::domain::registry::managed::ManagedBy;
use crate::domain::registry::partner::{Contacts, Partner, Verification};
use crate::domain::registry::preset::Preset;
use crate::domain::registry::workload::Workload;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;

/// A key set as a record holds it, in an order that is not that of the alphabet.
const KEY_SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"one"}]}"#;

impl Examples {
    /// An API with everything set that can be, but for what its other version has.
    pub fn api(&self) -> Api {
        let scope = |meaning: &str, risk| ScopeEntry { meaning: meaning.to_owned(), risk };
        let rule = JwtRule { issuer: parsed("https://checkout.acme.example"), ..kubernetes() };
        Api {
            name: parsed("orders-api"),
            owner: self.text("team:orders-platform"),
            audience: LiteMap::from_iter([
                (parsed("production"), parsed("https://orders.acme.example")),
                (parsed("sandbox"), parsed("https://orders.sandbox.acme.example")),
            ]),
            token: TokenForm { profile: Profile::Rfc9068, alg: Alg::Es256, ttl: Seconds(300), require_bound: false },
            scopes: LiteMap::from_iter([
                (parsed("orders:read"), scope("See orders", Risk::Low)),
                (parsed("orders:write"), scope("Change orders", Risk::Medium)),
                (parsed("orders:delete"), scope("Delete orders", Risk::High)),
            ]),
            callers: LiteMap::from_iter([(parsed("production"), vec![binding("checkout", rule)])]),
            approval: Approval::Signed,
            managed_by: Some(ManagedBy::Git),
        }
    }

    /// Another API with as little as it may say.
    pub fn small_api(&self) -> Api {
        Api {
            name: parsed("stock-api"),
            owner: self.text("team:stock"),
            audience: LiteMap::from_iter([(parsed("production"), parsed("urn:acme:stock"))]),
            token: TokenForm { profile: Profile::Compat, alg: Alg::Rs256, ttl: Seconds(60), require_bound: true },
            scopes: LiteMap::from_iter([(
                parsed("stock:read"),
                ScopeEntry { meaning: "See stock".to_owned(), risk: Risk::Low },
            )]),
            callers: LiteMap::new(),
            approval: Approval::Plain,
            managed_by: None,
        }
    }

    /// A guardrail.
    pub fn guardrail(&self, mode: Mode) -> Guardrail {
        Guardrail {
            name: parsed("dpa-before-addresses"),
            meaning: "No customer addresses go to a partner before its data agreement is signed.".to_owned(),
            mode,
            cedar: "forbid (principal, action, resource)\nwhen { principal.dataClasses.contains(\"customer-address\") };"
                .to_owned(),
            managed_by: (mode == Mode::Enforce).then_some(ManagedBy::Git),
        }
    }

    /// A partner.
    pub fn partner(&self, name: &str) -> Partner {
        Partner {
            name: parsed(name),
            legal_name: self.text(&format!("{name} Corporation")),
            domains: vec![format!("{name}.example"), format!("{name}.test")],
            contacts: Contacts {
                technical: self.text(&format!("ops@{name}.example")),
                security: self.text(&format!("security@{name}.example")),
            },
            verification: Verification {
                by: self.text("jane@acme.example"),
                on: at(-86_400),
                evidence: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
                expires: at(300 * 86_400),
            },
            managed_by: (name == "globex").then_some(ManagedBy::Git),
        }
    }

    /// An integration with everything set that can be. The fixture's workload may have a token of it.
    pub fn integration(&self) -> Integration {
        let environments = [("production", self.production()), ("sandbox", sandbox()), ("staging", staging())];
        Integration {
            id: parsed("globex/order-sync"),
            purpose: self.text("Copies orders into the partner's planning."),
            workload: Workload::AiAgent,
            owners: Owners { business: self.text("jane@acme.example"), application: self.text("raj@acme.example") },
            contract: Contract { reference: "MSA-2026-17".to_owned(), starts: at(-86_400), ends: at(200 * 86_400) },
            data_classes: vec!["orders".to_owned(), "prices".to_owned()],
            review: Review { every: Seconds::days(90), on_silence: OnSilence::Suspend },
            rotation: Some(Rotation {
                issuer_keys: Some(Seconds::days(400)),
                certificate: Some(Seconds::days(30)),
                on_late: OnLate::Refuse,
            }),
            offboarding: Offboarding { trigger: Trigger::ContractEnd, contact: self.text("leaving@globex.example") },
            environments: environments.map(|(name, access)| (parsed(name), access)).into_iter().collect(),
            exceptions: vec![StaticSecret {
                what: "an API key of the old gateway".to_owned(),
                control: "its source network".to_owned(),
                owner: self.text("otto@acme.example"),
                ends: at(60 * 86_400),
                on_past_due: OnPastDue::Report,
            }],
            tests: vec![
                test(json!({"repository_id": "456789", "iss": WORKLOADS}), Some("ci"), None),
                test(json!({"repository_id": "1", "flag": true, "list": [1, 2]}), None, Some("binding.no-match")),
            ],
            managed_by: Some(ManagedBy::Git),
        }
    }

    /// Another integration with as little as it may say.
    pub fn small_integration(&self) -> Integration {
        let access = Access {
            bindings: vec![Binding { name: parsed("hsm"), admits: Admits::Certificate }],
            limits: Limits::default(),
            require: Require::Nothing,
            scopes: LiteMap::from_iter([(parsed("stock-api"), vec![rule("stock:read", &[])])]),
            elevation: Vec::new(),
            ends: None,
        };
        Integration {
            id: parsed("initech/reports"),
            purpose: self.text("Reads stock."),
            workload: Workload::Service,
            owners: Owners { business: self.text("jane@acme.example"), application: self.text("otto@acme.example") },
            contract: Contract { reference: "MSA-2026-18".to_owned(), starts: at(-86_400), ends: at(100 * 86_400) },
            data_classes: Vec::new(),
            review: Review { every: Seconds::days(30), on_silence: OnSilence::Report },
            rotation: None,
            offboarding: Offboarding { trigger: Trigger::Manual, contact: self.text("ops@initech.example") },
            environments: LiteMap::from_iter([(parsed("production"), access)]),
            exceptions: Vec::new(),
            tests: Vec::new(),
            managed_by: None,
        }
    }

    fn production(&self) -> Access {
        let spiffe = |issuer: &str, keys| JwtRule {
            issuer: parsed(issuer),
            keys,
            matchers: vec![matcher("sub", Condition::Equals(format!("{issuer}/orders").into()))],
            owner: Vec::new(),
            max_age: None,
            preset: Some(Preset::Spiffe),
            ..kubernetes()
        };
        let bundle = r#"{"spiffe_sequence":7,"keys":[]}"#.to_owned();
        Access {
            bindings: vec![
                binding("ci", workload()),
                binding("gitlab", JwtRule { single_use: true, preset: Some(Preset::Gitlab), ..github() }),
                binding("github", github()),
                binding("cluster", kubernetes()),
                binding(
                    "mesh",
                    spiffe("spiffe://mesh.globex.example", KeySource::BundleUrl("https://mesh.globex.example".to_owned())),
                ),
                binding("edge", spiffe("spiffe://edge.globex.example", KeySource::InlineBundle(bundle))),
                binding("pair", pair()),
                Binding { name: parsed("hsm"), admits: Admits::Certificate },
            ],
            limits: Limits { ttl: Some(Seconds(240)), exchanges_per_minute: Some(60), source_cidrs: Vec::new() },
            require: Require::Nothing,
            scopes: LiteMap::from_iter([(
                parsed("orders-api"),
                vec![rule("orders:read", &["GET /v1/orders", "GET /v1/orders/{id}"])],
            )]),
            elevation: vec![eligible(), small_eligible()],
            ends: Some(at(150 * 86_400)),
        }
    }
}

fn sandbox() -> Access {
    let networks = ["203.0.113.0/24", "2001:db8::/32"].map(parsed).into();
    Access {
        bindings: vec![binding("ci", workload())],
        limits: Limits { ttl: None, exchanges_per_minute: None, source_cidrs: networks },
        require: Require::Bound,
        scopes: LiteMap::from_iter([(parsed("orders-api"), vec![rule("orders:read", &[])])]),
        elevation: Vec::new(),
        ends: None,
    }
}

fn staging() -> Access {
    Access { require: Require::Dual, ..sandbox() }
}

fn test(claims: Value, allow: Option<&str>, deny: Option<&str>) -> RecordTest {
    let claims: Map<String, Value> = serde_json::from_value(claims).expect("an object");
    let expect = Expectation { environment: parsed("production"), allow: allow.map(parsed), deny: deny.map(ToOwned::to_owned) };
    RecordTest { claims, expect }
}

pub(super) fn rule(scope: &str, allow: &[&str]) -> ScopeRule {
    ScopeRule { scope: parsed(scope), allow: allow.iter().copied().map(parsed).collect() }
}

fn binding(name: &str, rule: JwtRule) -> Binding {
    Binding { name: parsed(name), admits: Admits::Jwt(Arc::new(rule)) }
}

fn matcher(claim: &str, condition: Condition) -> Matcher {
    Matcher { claim: parsed(claim), condition }
}

/// The rule that the fixture's workload meets.
fn workload() -> JwtRule {
    JwtRule {
        kind: JwtKind::Oidc,
        issuer: parsed(WORKLOADS),
        keys: KeySource::Discovery(parsed(WORKLOADS)),
        matchers: vec![matcher("repository_id", Condition::Equals("456789".into()))],
        owner: vec![parsed("repository_id")],
        audience: None,
        algs: vec![Alg::Es256],
        typ: Vec::new(),
        single_use: true,
        max_life: Seconds(3600),
        max_age: None,
        preset: None,
    }
}

fn github() -> JwtRule {
    let branches = ["refs/heads/main", "refs/heads/release"].map(Into::into).into();
    JwtRule {
        kind: JwtKind::Oidc,
        issuer: parsed("https://ci.globex.example"),
        keys: KeySource::JwksUri("https://ci.globex.example/jwks.json".to_owned()),
        matchers: vec![
            matcher("repository_id", Condition::Equals("17".into())),
            matcher("/ref", Condition::OneOf(branches)),
            matcher("environment", Condition::Prefix("prod".into())),
        ],
        owner: vec![parsed("repository_id"), parsed("/owner/id")],
        audience: Some(ExtraAudience::Value(parsed("https://globex.example/carnet"))),
        algs: vec![Alg::Es256, Alg::Rs256, Alg::Ps256, Alg::EdDsa, Alg::Ed25519],
        typ: vec!["at+jwt".to_owned(), "JWT".to_owned()],
        single_use: false,
        max_life: Seconds(7200),
        max_age: Some(Seconds(600)),
        preset: Some(Preset::Github),
    }
}

fn kubernetes() -> JwtRule {
    JwtRule {
        kind: JwtKind::Oidc,
        issuer: parsed("https://cluster.globex.example"),
        keys: KeySource::JwksUri("https://cluster.globex.example/keys".to_owned()),
        matchers: vec![matcher("/kubernetes.io/serviceaccount/name", Condition::Equals("orders".into()))],
        owner: Vec::new(),
        audience: None,
        algs: vec![Alg::Rs256],
        typ: Vec::new(),
        single_use: false,
        max_life: Seconds(3600),
        max_age: Some(Seconds(300)),
        preset: Some(Preset::Kubernetes),
    }
}

/// A key pair of the partner's own.
fn pair() -> JwtRule {
    JwtRule {
        kind: JwtKind::Key,
        issuer: parsed("globex/order-sync"),
        keys: KeySource::Inline(KEY_SET.to_owned()),
        matchers: Vec::new(),
        owner: Vec::new(),
        audience: Some(ExtraAudience::TokenEndpoint),
        algs: vec![Alg::Es256],
        typ: vec!["client-authentication+jwt".to_owned()],
        single_use: true,
        max_life: Seconds(60),
        max_age: None,
        preset: None,
    }
}

pub(super) fn approvers() -> Approvers {
    Approvers {
        role: Some(Role::Owner),
        people: vec!["sven".to_owned(), "otto".to_owned()],
        count: 2,
        fallback: Some(Fallback { after: Seconds(1800), role: Role::Security }),
    }
}

pub(super) fn small_approvers() -> Approvers {
    Approvers { role: None, people: Vec::new(), count: 1, fallback: None }
}

fn eligible() -> Eligible {
    Eligible {
        scope: parsed("orders:write"),
        api: parsed("orders-api"),
        allow: vec![parsed("PATCH /v1/orders/{id}/status"), parsed("PUT /v1/orders/{id}")],
        max: Seconds(3600),
        window: Some(parsed("Mon-Fri 06:00-20:00 Europe/Berlin")),
        approvers: approvers(),
        require: vec![Required::Reason, Required::Ticket, Required::OpenTicket],
        break_glass: true,
    }
}

/// An elevation with as little as it may say.
pub fn small_eligible() -> Eligible {
    Eligible {
        scope: parsed("orders:delete"),
        api: parsed("orders-api"),
        allow: Vec::new(),
        max: Seconds(600),
        window: None,
        approvers: small_approvers(),
        require: Vec::new(),
        break_glass: false,
    }
}
