//! Records that must be read, warned of or refused, each with its line and reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::domain::decision::check::{Surroundings, check};
use crate::domain::reason;
use crate::domain::registry::binding::{Admits, Condition, ExtraAudience, JwtKind, JwtRule, KeySource};
use crate::domain::registry::environment::Environment;
use crate::domain::registry::preset::Preset;
use crate::domain::state::ours::Ours;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;

/// The example of docs/reference/records.md#example.
const CONTRACT: &str = include_str!("../../../tests/broker/fixtures/records.yaml");

fn one(yaml: &str) -> Located {
    let outcome = read("test.yaml", yaml);
    agreement::hold(yaml, &outcome);
    let mut records = outcome.unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn contract() -> Vec<Located> {
    read("records.yaml", CONTRACT).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// An integration whose production bindings and limits are given, each on its own line from line 11.
fn integration(id: &str, bindings: &str, rest: &str) -> String {
    let (partner, name) = id.split_once('/').expect("an id");
    format!(
        "apiVersion: carnet/v1\nkind: Integration\nmetadata: {{partner: {partner}, name: {name}}}\npurpose: Copies orders.\n\
         owners: {{business: a@x.example, application: b@x.example}}\ncontract: {{ref: M-1, starts: 2026-12-01, ends: 2027-11-30}}\n\
         review: {{every: 90d, onSilence: suspend}}\noffboarding: {{trigger: contract-end, contact: c@x.example}}\nenvironments:\n  \
         production:\n    bindings:\n{bindings}    scopes: {{orders-api: [orders:read]}}\n{rest}"
    )
}

fn bound(binding: &str) -> String {
    integration("globex/sync", &format!("      - {binding}\n"), "")
}

const ORDERS: &str = "{name: ci, oidc: {issuer: \"https://i.example\", match: {sub: a}}}";

fn rule_of(yaml: &str) -> JwtRule {
    let Record::Integration(integration) = one(yaml).record else { panic!("an integration") };
    let access = integration.environments.values().next().expect("an environment");
    match &access.bindings[0].admits {
        Admits::Jwt(rule) => (**rule).clone(),
        Admits::Certificate => panic!("a rule"),
    }
}

/// Faults of a text as `line at reason`.
fn told(yaml: &str) -> Vec<String> {
    let tell = |fault: &Fault| format!("{} {} {}", fault.line, fault.at, fault.reason);
    let outcome = read("test.yaml", yaml);
    agreement::hold(yaml, &outcome);
    match outcome {
        Ok(records) => records.iter().flat_map(|record| record.warnings.iter().map(tell)).collect(),
        Err(faults) => faults.iter().map(tell).collect(),
    }
}

/// The text is refused for exactly this.
fn refused(yaml: &str, expected: &str) {
    let faults = told(yaml);
    assert!(read("test.yaml", yaml).is_err(), "taken, though {expected}:\n{yaml}");
    assert_eq!(faults, [expected], "{yaml}");
}

fn around() -> Surroundings {
    let environment = |name: &str| {
        let issuer = format!("https://sts.acme.example/{name}").parse().expect("an issuer");
        let trust_domain = format!("{name}.sts.acme.example").parse().expect("a trust domain");
        (name.parse().expect("a name"), Environment { issuer, max_ttl: Seconds::minutes(10), trust_domain, production: None })
    };
    let environments: BTreeMap<_, _> = ["production", "sandbox"].map(environment).into();
    let ours = Ours::named(environments.iter());
    Surroundings { environments: environments.into_keys().collect(), ours, ..Surroundings::default() }
}

/// Puts records into force.
fn enact(mut around: Surroundings, records: Vec<Located>) -> Surroundings {
    for located in records {
        if let Some(holder) = located.record.holder() {
            around.in_force.replace(&holder.client(), Some(holder));
        }
        match located.record {
            Record::Api(api) => drop(around.apis.insert(api.name.clone(), vec![Arc::new(api)])),
            Record::Partner(partner) => drop(around.partners.insert(partner.name)),
            Record::Guardrail(_) | Record::Integration(_) => {}
        }
    }
    around
}

fn against(yaml: &str, around: &Surroundings) -> Vec<String> {
    let records = read("test.yaml", yaml).unwrap_or_else(|faults| panic!("{faults:#?}"));
    check(&records, around).iter().map(|fault| format!("{} {} {}", fault.line, fault.at, fault.reason)).collect()
}

#[test]
fn the_example_of_the_contract_reads_as_it_says() {
    let records = contract();
    assert!(records.iter().all(|record| record.warnings.is_empty()), "{records:#?}");
    assert_eq!(
        records.iter().map(|located| located.record.name().1).collect::<Vec<_>>(),
        ["orders-api", "globex", "globex/order-sync"]
    );
    assert_eq!(check(&records, &around()), []);
    let Record::Integration(integration) = &records[2].record else { panic!("an integration") };
    assert_eq!(integration.contract.starts.to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(integration.contract.ends.to_string(), "2027-12-01T00:00:00Z");
    let production = &integration.environments.get("production").expect("one");
    let Admits::Jwt(main) = &production.bindings[0].admits else { panic!("a rule") };
    assert_eq!(main.matchers.len(), 5);
    assert_eq!(main.matchers[0].condition, Condition::Equals("456789".into()));
    assert_eq!(main.matchers[3].condition, Condition::Prefix("prod".into()));
    assert_eq!((main.single_use, main.max_life, main.max_age), (true, Seconds::hours(1), None));
    let Admits::Jwt(batch) = &production.bindings[1].admits else { panic!("a rule") };
    assert_eq!((batch.kind, batch.issuer.as_str()), (JwtKind::Key, "globex/order-sync"));
    assert_eq!((batch.max_life, batch.algs.clone()), (Seconds::minutes(5), Alg::KEY.to_vec()));
    assert_eq!(production.bindings[2].admits, Admits::Certificate);
    assert_eq!(production.scopes.get("orders-api").expect("some")[0].allow.len(), 2);
    assert_eq!((production.limits.ttl, production.limits.per_minute()), (Some(Seconds::minutes(5)), 60));
    assert_eq!(production.elevation[0].max, Seconds::hours(1));
    let Record::Api(api) = &records[0].record else { panic!("an API") };
    assert_eq!(api.callers.get("production").expect("some")[0].name.as_str(), "gateway");
    // What is read can be stored and read back.
    for located in &records {
        let json = match &located.record {
            Record::Api(api) => serde_json::to_value(api).expect("JSON"),
            Record::Partner(partner) => serde_json::to_value(partner).expect("JSON"),
            Record::Guardrail(guardrail) => serde_json::to_value(guardrail).expect("JSON"),
            Record::Integration(integration) => serde_json::to_value(integration).expect("JSON"),
        };
        let back = match located.record.kind() {
            Kind::Api => Record::Api(serde_json::from_value(json).expect("an API")),
            Kind::Partner => Record::Partner(serde_json::from_value(json).expect("a partner")),
            Kind::Guardrail => Record::Guardrail(serde_json::from_value(json).expect("a guardrail")),
            Kind::Integration => Record::Integration(serde_json::from_value(json).expect("an integration")),
        };
        assert_eq!(back, located.record);
    }
}

#[test]
fn quoted_and_bare_values_are_the_same_claim() {
    let rule =
        |value: &str| rule_of(&bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{id: {value}}}}}}}")));
    assert_eq!(rule("456789"), rule("\"456789\""));
    assert_eq!(rule("007").matchers[0].condition, Condition::Equals("007".into()));
    assert_eq!(rule("1.50").matchers[0].condition, Condition::Equals("1.50".into()));
}

#[test]
fn presets_expand_to_immutable_claims_with_their_defaults() {
    let preset = |text: &str| rule_of(&bound(&format!("{{name: ci, {text}}}")));
    let claims = |rule: &JwtRule| rule.matchers.iter().map(|one| one.claim.to_string()).collect::<Vec<_>>();
    let github =
        preset("github: {repositoryId: 456789, ownerId: \"998877\", ref: refs/heads/main, environment: {prefix: prod}}");
    assert_eq!(github.issuer.as_str(), "https://token.actions.githubusercontent.com");
    assert_eq!(claims(&github), ["repository_id", "repository_owner_id", "ref", "environment"]);
    assert_eq!((github.owner[0].as_str(), github.single_use, github.max_age), ("repository_owner_id", true, None));
    assert_eq!((github.max_life, github.preset), (Seconds::hours(1), Some(Preset::Github)));
    let gitlab = preset("gitlab: {projectId: 1, namespaceId: 2}");
    assert_eq!(
        (gitlab.issuer.as_str(), claims(&gitlab)),
        ("https://gitlab.com", vec!["project_id".to_owned(), "namespace_id".to_owned()])
    );
    assert_eq!((gitlab.single_use, gitlab.max_life, gitlab.max_age), (false, Seconds::hours(24), Some(Seconds::hours(1))));
    assert_eq!(
        preset("gitlab: {projectId: 1, namespaceId: 2, issuer: https://git.example}").issuer.as_str(),
        "https://git.example"
    );
    let uid = "4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f";
    let kubernetes = preset(&format!("kubernetes: {{issuer: https://k.example, namespace: shop, serviceAccountUid: {uid}}}"));
    assert_eq!(claims(&kubernetes), ["/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/uid"]);
    assert_eq!(
        (kubernetes.single_use, kubernetes.max_life, kubernetes.max_age),
        (false, Seconds::hours(1), Some(Seconds::hours(1)))
    );
    assert!(kubernetes.owner.is_empty());
    let reusable = preset("github: {repositoryId: 1, ownerId: 2, singleUse: false}");
    assert_eq!(reusable.max_age, Some(Seconds::hours(1)));
    let at = "environments.production.bindings[0]";
    refused(
        &bound("{name: ci, github: {repositoryId: acme/app, ownerId: 2}}"),
        &format!("12 {at}.github.repositoryId record.value"),
    );
    refused(&bound("{name: ci, github: {repositoryId: 1}}"), &format!("12 {at}.github.ownerId record.missing"));
    refused(
        &bound("{name: ci, github: {repositoryId: \"*\", ownerId: 2}}"),
        &format!("12 {at}.github.repositoryId binding.wildcard"),
    );
    refused(
        &bound("{name: ci, kubernetes: {issuer: https://k.example, namespace: shop, serviceAccountUid: default}}"),
        &format!("12 {at}.kubernetes.serviceAccountUid record.value"),
    );
}

#[test]
fn key_bindings_have_their_own_bounds() {
    let key = |settings: &str| bound(&format!("{{name: k, key: {{jwksUri: https://g.example/jwks{settings}}}}}"));
    let rule = rule_of(&key(", audience: token-endpoint, algs: [RS256], maxLife: 1h"));
    assert_eq!(
        (rule.audience, rule.algs, rule.max_life),
        (Some(ExtraAudience::TokenEndpoint), vec![Alg::Rs256], Seconds::hours(1))
    );
    let at = "environments.production.bindings[0].key";
    refused(&key(", maxLife: 2h"), &format!("12 {at}.maxLife limit.too-long"));
    refused(&key(", audience: https://x.example"), &format!("12 {at}.audience record.value"));
    refused(&key(", algs: [HS256]"), &format!("12 {at}.algs[0] record.value"));
    refused(&key(", algs: [none]"), &format!("12 {at}.algs[0] record.value"));
    refused(&key(", jwks: {keys: []}"), &format!("12 {at}.jwks record.value"));
    refused(&bound("{name: k, key: {}}"), &format!("12 {at} record.missing"));
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let inline =
        |more: &str| bound(&format!("{{name: k, key: {{jwks: {{keys: [{{kty: OKP, crv: Ed25519, x: {x}{more}}}]}}}}}}"));
    assert!(matches!(rule_of(&inline("")).keys, KeySource::Inline(set) if set.contains(x)));
    refused(&inline(", d: c2VjcmV0"), &format!("12 {at}.jwks binding.keys"));
    let fault = read("f", &inline(", d: c2VjcmV0")).expect_err("a fault").remove(0);
    assert!(!fault.to_string().contains("c2VjcmV0"), "{fault}");
}

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_line() {
    let text = "apiVersion: carnet/v1\nkind: Partner\nmetadata: {name: api}\nlegalname: Globex\ndomains: []\ncontacts:\n  technical: x\n\
                verification: {by: j, on: 2026-13-01, evidence: e, expires: 2027-01-01}\n---\napiVersion: carnet/v2\nkind: Bulwark\n---\n\
                apiVersion: carnet/v1\nkind: Widget\n---\njust text\n";
    let expected = [
        "1 legalName record.missing",
        "3 metadata.name record.value",
        "4 legalname record.unknown-key",
        "5 domains record.value",
        "6 contacts.security record.missing",
        "8 verification.on record.value",
        "10 apiVersion record.kind",
        "11 kind record.kind",
        "14 kind record.kind",
        "16  record.value",
    ];
    assert_eq!(told(text), expected);
    let faults = read("p.yaml", text).expect_err("faults");
    assert!(faults[2].message.contains("did you mean legalName"), "{}", faults[2]);
    assert!(faults[7].message.contains("Integration or Guardrail"), "{}", faults[7]);
    assert_eq!(told("a: 1\na: 2\n"), ["2  record.syntax"]);
    assert_eq!(told(""), Vec::<String>::new());
}

#[test]
fn each_rule_of_an_integration_names_its_line() {
    let good = integration("globex/sync", &format!("      - {ORDERS}\n"), "");
    assert_eq!(told(&good), Vec::<String>::new());
    let cases = [
        ("application: b@x.example", "application: A@X.example", "5 owners.application record.owners"),
        ("application: b@x.example", "application: nobody", "5 owners.application record.value"),
        (", application: b@x.example", "", "5 owners.application record.missing"),
        ("ends: 2027-11-30", "ends: 2026-11-30", "6 contract.ends record.dates"),
        ("ends: 2027-11-30", "ends: 2026-12-01T00:00:00Z", "6 contract.ends record.dates"),
        ("ends: 2027-11-30", "ends: 9999-12-31", "6 contract.ends record.value"),
        (", ends: 2027-11-30", "", "6 contract.ends record.missing"),
        ("every: 90d", "every: 3650d", "7 review.every limit.too-long"),
        ("every: 90d", "every: 90", "7 review.every record.value"),
        ("onSilence: suspend", "onSilence: ignore", "7 review.onSilence record.value"),
        ("name: sync}", "name: Sync}", "3 metadata.name record.value"),
        ("purpose: Copies orders.", "purpose:", "4 purpose record.value"),
        ("purpose: Copies orders.", "purpose: \"a\\e[31mb\"", "4 purpose record.value"),
        ("purpose: Copies orders.", "purpose: \"a\\u202eb\"", "4 purpose record.value"),
        ("purpose: Copies orders.", "purpose: \"text: of a sealed one\"", "4 purpose record.value"),
        ("purpose: Copies orders.", "purpose: &a Copies orders.", "4  record.syntax"),
        ("[orders:read]", "[orders:read, orders:read]", "13 environments.production.scopes.orders-api[1] record.value"),
        ("[orders:read]", "[Orders]", "13 environments.production.scopes.orders-api[0] record.value"),
        (
            "[orders:read]",
            "[{scope: orders:read, allow: []}]",
            "13 environments.production.scopes.orders-api[0].allow record.value",
        ),
        (
            "[orders:read]",
            "[{scope: orders:read, allow: [GET v1]}]",
            "13 environments.production.scopes.orders-api[0].allow[0] record.value",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        refused(&good.replace(from, to), expected);
    }
    let at = "environments.production";
    let more = |rest: &str| integration("globex/sync", &format!("      - {ORDERS}\n"), rest);
    refused(&more("    limits: {ttl: 2h}\n"), &format!("14 {at}.limits.ttl limit.too-long"));
    refused(&more("    limits: {ttl: 1s}\n"), &format!("14 {at}.limits.ttl record.value"));
    refused(&more("    limits: {exchangesPerMinute: 0}\n"), &format!("14 {at}.limits.exchangesPerMinute record.value"));
    refused(&more("    limits: {sourceCidrs: [10.0.0.1/8]}\n"), &format!("14 {at}.limits.sourceCidrs[0] record.value"));
    refused(&more("    limits: {sourceCidrs: []}\n"), &format!("14 {at}.limits.sourceCidrs record.value"));
    refused(&more("    require: mtls\n"), &format!("14 {at}.require record.value"));
    refused(&more("dataClasses: [a, a]\n"), "14 dataClasses[1] record.value");
    refused(&more("tests: [{claims: {}, expect: {environment: production}}]\n"), "14 tests[0].expect record.value");
    refused(
        &more("tests: [{claims: {}, expect: {environment: production, deny: no.such}}]\n"),
        "14 tests[0].expect.deny record.value",
    );
    let elevation = |text: &str| more(&format!("    elevation: [{{scope: orders:write, api: orders-api, {text}}}]\n"));
    let at = "environments.production.elevation[0]";
    refused(&elevation("max: 48h, approvers: {role: security, count: 1}"), &format!("14 {at}.max limit.too-long"));
    refused(&elevation("max: 1h, approvers: {role: auditor, count: 1}"), &format!("14 {at}.approvers.role record.value"));
    refused(&elevation("max: 1h, approvers: {role: security, count: 0}"), &format!("14 {at}.approvers.count record.value"));
    refused(
        &elevation("max: 1h, window: Mon 9-5 UTC, approvers: {role: security, count: 1}"),
        &format!("14 {at}.window record.value"),
    );
    assert_eq!(told(&elevation("max: 1h, approvers: {count: 1}")), [format!("14 {at}.approvers lint.approvers")]);
    assert_eq!(told(&elevation("max: 1h, approvers: {people: [a], count: 2}")), [format!("14 {at}.approvers lint.approvers")]);
}

#[test]
fn each_rule_of_an_api_names_its_line() {
    let good = "apiVersion: carnet/v1\nkind: Api\nmetadata: {name: orders-api}\nowner: team:orders\naudience: {production: https://o.example}\n\
                token: {ttl: 5m}\nscopes: {orders:read: {meaning: See, risk: low}}\n";
    assert_eq!(told(good), Vec::<String>::new());
    let cases = [
        ("name: orders-api", "name: carnet", "3 metadata.name record.value"),
        ("ttl: 5m", "ttl: 2h", "6 token.ttl limit.too-long"),
        ("ttl: 5m", "alg: PS256", "6 token.alg record.value"),
        ("ttl: 5m", "profile: jwt", "6 token.profile record.value"),
        ("https://o.example", "\"https://*.example\"", "5 audience.production binding.wildcard"),
        ("https://o.example", "orders", "5 audience.production record.value"),
        ("https://o.example", "https://o.example#x", "5 audience.production record.value"),
        ("orders:read:", "carnet:read:", "7 scopes.carnet:read record.value"),
        ("risk: low", "risk: none", "7 scopes.orders:read.risk record.value"),
        (", risk: low", "", "7 scopes.orders:read.risk record.missing"),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        refused(&good.replace(from, to), expected);
    }
    let caller = format!("{good}callers: {{sandbox: [{ORDERS}]}}\n");
    refused(&caller, "8 callers.sandbox record.unknown-reference");
    let key = format!("{good}callers: {{production: [{{name: gw, key: {{jwksUri: https://o.example/jwks}}}}]}}\n");
    let Record::Api(api) = one(&key).record else { panic!("an API") };
    let Admits::Jwt(rule) = &api.callers.get("production").expect("some")[0].admits else { panic!("a rule") };
    assert_eq!(rule.issuer.as_str(), "api/orders-api");
}

/// P-01: a rule without a condition.
#[test]
fn p_01_a_binding_without_conditions_is_refused() {
    let oidc = |matches: &str| bound(&format!("{{name: ci, oidc: {{issuer: https://i.example{matches}}}}}"));
    let at = "environments.production.bindings[0].oidc.match";
    refused(&oidc(""), &format!("12 {at} record.missing"));
    refused(&oidc(", match: {}"), &format!("12 {at} binding.unconditional"));
    refused(&oidc(", match: {sub: {prefix: a}}"), &format!("12 {at} binding.unconditional"));
    refused(&oidc(", match: {sub: ~}"), &format!("12 {at}.sub record.value"));
    refused(&oidc(", match: {sub: \"\"}"), &format!("12 {at}.sub record.value"));
    refused(&oidc(", match: {sub: {oneOf: []}}"), &format!("12 {at}.sub.oneOf record.value"));
    refused(&oidc(", match: {sub: {prefix: \"\"}}"), &format!("12 {at}.sub.prefix record.value"));
    assert_eq!(
        told(&oidc(", match: {sub: {not: a}}")),
        [format!("12 {at}.sub.oneOf record.missing"), format!("12 {at}.sub.not record.unknown-key")]
    );
}

/// P-02: patterns where exact values belong.
#[test]
fn p_02_patterns_are_refused() {
    let at = "environments.production.bindings[0].oidc.match.sub";
    for (value, place) in [
        ("\"*\"", ""),
        ("\"repo:org/*\"", ""),
        ("\".*\"", ""),
        ("{oneOf: [a, \"b*\"]}", ".oneOf[1]"),
        ("{prefix: \"repo:*\"}", ".prefix"),
    ] {
        let text = bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{id: 5, sub: {value}}}}}}}"));
        refused(&text, &format!("12 {at}{place} binding.wildcard"));
    }
}

/// P-03: a value of a record is compared literally and whole.
#[test]
fn p_03_values_of_records_are_anchored_and_literal() {
    let rule = rule_of(&bound("{name: ci, oidc: {issuer: https://i.example, match: {sub: good.example}}}"));
    let holds = |sub| {
        let claims = serde_json::json!({"sub": sub});
        crate::domain::caller::conditions::conditions(&rule, &claims).all(|condition| condition.holds)
    };
    for sub in ["good.example.evil", "xgoodXexample", "goodXexample", "GOOD.example", "good.example "] {
        assert!(!holds(sub), "{sub}");
    }
    assert!(holds("good.example"));
}

/// P-04: only claims that the caller chooses, however they are written.
#[test]
fn p_04_caller_controlled_claims_do_not_count() {
    let at = "environments.production.bindings[0].oidc.match";
    let others = ["iss", "aud", "exp", "iat", "nbf", "jti", "/ref", "/groups/0", "/email"];
    for claim in JwtRule::CALLER_CONTROLLED.iter().chain(&others) {
        let text =
            bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{{claim}: a, sub: {{prefix: x}}}}}}}}"));
        refused(&text, &format!("12 {at} binding.unconditional"));
    }
    let owner = |owner: &str, matches: &str| {
        bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{id: 5, {matches}}}, owner: [{owner}]}}}}"))
    };
    let at = "environments.production.bindings[0].oidc.owner[0]";
    assert_eq!(told(&owner("id", "ref: x")), Vec::<String>::new());
    refused(&owner("ref", "ref: x"), &format!("12 {at} binding.unconditional"));
    refused(&owner("org", "org: {prefix: x}"), &format!("12 {at} binding.unconditional"));
    refused(&owner("gone", "ref: x"), &format!("12 {at} binding.unconditional"));
}

/// P-06: two spellings of one claim are one claim, a name with a slash is not a path.
#[test]
fn p_06_paths_do_not_collide() {
    let path = |text: &str| text.parse::<crate::domain::registry::binding::ClaimPath>().expect("a path");
    assert_eq!(path("/ref").steps(), path("ref").steps());
    assert_ne!(path("/a/b").steps(), path("a/b").steps());
    assert_eq!(path("/a~1b").steps(), path("a/b").steps());
    assert_eq!(path("/~01").steps(), path("~1").steps());
    let bad = bound("{name: ci, oidc: {issuer: https://i.example, match: {/a~2b: x, sub: y}}}");
    refused(&bad, "12 environments.production.bindings[0].oidc.match[\"/a~2b\"] record.value");
}

/// K-10: an issuer is one issuer.
#[test]
fn k_10_wildcard_issuers_are_refused() {
    let oidc = |issuer: &str| bound(&format!("{{name: ci, oidc: {{issuer: \"{issuer}\", match: {{sub: a}}}}}}"));
    let at = "environments.production.bindings[0].oidc.issuer";
    for issuer in ["https://*.example", "*", "https://a.example/*"] {
        refused(&oidc(issuer), &format!("12 {at} binding.wildcard"));
    }
    refused(&oidc("http://x?https://a.example"), &format!("12 {at} binding.issuer"));
}

/// K-03, offline: what no operator can allow is refused, plain http is warned of.
#[test]
fn k_03_issuer_and_key_urls() {
    let oidc =
        |issuer: &str, more: &str| bound(&format!("{{name: ci, oidc: {{issuer: \"{issuer}\", match: {{sub: a}}{more}}}}}"));
    let at = "environments.production.bindings[0].oidc";
    for issuer in
        ["file:///etc/x", "ftp://a.example", "https://u@a.example", "https://a.example#x", "https://a.example?x", "a.example"]
    {
        refused(&oidc(issuer, ""), &format!("12 {at}.issuer binding.issuer"));
        refused(&oidc("https://a.example", &format!(", jwksUri: \"{issuer}\"")), &format!("12 {at}.jwksUri binding.issuer"));
    }
    assert_eq!(told(&oidc("http://127.0.0.1:9000", "")), [format!("12 {at}.issuer lint.plain-http")]);
}

/// T-14 and hard maxima: see `values` for dates.
#[test]
fn t_14_durations_have_hard_maxima() {
    let oidc = |more: &str| bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{sub: a}}, {more}}}}}"));
    let at = "environments.production.bindings[0].oidc";
    assert_eq!(rule_of(&oidc("maxLife: 25h")).max_life, Seconds::hours(25));
    for long in ["26h", "2d", "90001s", "1501m"] {
        refused(&oidc(&format!("maxLife: {long}")), &format!("12 {at}.maxLife limit.too-long"));
    }
    refused(&oidc("maxLife: 0s"), &format!("12 {at}.maxLife record.value"));
    refused(&oidc("maxLife: 9999999d"), &format!("12 {at}.maxLife record.value"));
    refused(&oidc("maxAge: 2h"), &format!("12 {at}.maxAge limit.too-long"));
}

#[test]
fn reusable_proofs_in_production_are_bounded() {
    let reusable = "{name: ci, oidc: {issuer: https://i.example, match: {sub: a}, singleUse: false}}";
    let with = |rest: &str| integration("globex/sync", &format!("      - {reusable}\n"), rest);
    refused(&with(""), "12 environments.production.bindings[0].oidc.singleUse binding.reusable");
    assert_eq!(told(&with("    require: bound\n")), Vec::<String>::new());
    assert_eq!(told(&with("    limits: {sourceCidrs: [203.0.113.0/24]}\n")), Vec::<String>::new());
    assert_eq!(told(&with("").replace("singleUse: false", "singleUse: false, maxAge: 10m")), Vec::<String>::new());
    assert_eq!(told(&with("").replace("production:", "sandbox:")), Vec::<String>::new());
    let caller = format!(
        "apiVersion: carnet/v1\nkind: Api\nmetadata: {{name: o}}\nowner: t\naudience: {{production: https://o.example}}\n\
         scopes: {{o:r: {{meaning: See, risk: low}}}}\ncallers: {{production: [{reusable}]}}\n"
    );
    refused(&caller, "7 callers.production[0].oidc.singleUse binding.reusable");
}

#[test]
fn bindings_are_named_once_and_have_one_proof() {
    let two = integration("globex/sync", &format!("      - {ORDERS}\n      - {}\n", ORDERS.replace("sub: a", "sub: b")), "");
    refused(&two, "13 environments.production.bindings[1].name record.value");
    let at = "environments.production.bindings[0]";
    refused(&bound("{name: ci}"), &format!("12 {at} record.missing"));
    refused(&bound("{name: ci, mtls: {}, key: {jwksUri: https://x.example}}"), &format!("12 {at} record.value"));
    refused(&bound("{name: ci, mtls: {ca: x}}"), &format!("12 {at}.mtls.ca record.unknown-key"));
    assert_eq!(
        told(&bound("{name: ci, oicd: {}}")),
        [format!("12 {at} record.missing"), format!("12 {at}.oicd record.unknown-key")]
    );
}

#[test]
fn lint_warns_of_what_was_not_meant() {
    let at = "environments.production.bindings[0].oidc";
    let github =
        "{name: ci, oidc: {issuer: https://token.actions.githubusercontent.com, match: {sub: \"repo:a/b\"}, owner: [sub]}}";
    assert_eq!(told(&bound(github)), [format!("12 {at}.match.sub lint.subject-string")]);
    let shared = "{name: ci, oidc: {issuer: https://gitlab.com, match: {project_id: 5}}}";
    assert_eq!(told(&bound(shared)), [format!("12 {at}.owner lint.shared-issuer")]);
    let host = "{name: ci, oidc: {issuer: https://I.example, match: {sub: A}}}";
    assert_eq!(told(&bound(host)), [format!("12 {at}.issuer lint.letter-case")]);
    let case = "{name: ci, oidc: {issuer: https://i.example, match: {sub: A, /kubernetes.io/namespace: Shop}}}";
    assert_eq!(told(&bound(case)), [format!("12 {at}.match[\"/kubernetes.io/namespace\"] lint.letter-case")]);
    let pair = |second: &str| integration("globex/sync", &format!("      - {ORDERS}\n      - {second}\n"), "");
    let narrow = "{name: two, oidc: {issuer: https://i.example, match: {/sub: a, ref: x}}}";
    assert_eq!(told(&pair(narrow)), ["13 environments.production.bindings[1] lint.unreachable"]);
    let same = ORDERS.replace("name: ci", "name: two");
    assert_eq!(told(&pair(&same)), ["13 environments.production.bindings[1] lint.unreachable"]);
    // What only the narrower one takes is still decided by it.
    for own in ["typ: [at+jwt]", "audience: other", "maxLife: 2h, ref: x"] {
        let (setting, condition) = own.split_once(", ").unwrap_or((own, "ref: x"));
        let other = same.replace("sub: a}", &format!("sub: a, {condition}}}, {setting}"));
        assert_eq!(told(&pair(&other)), Vec::<String>::new(), "{other}");
    }
    for other in ["sub: b", "sub: {oneOf: [a, b]}"] {
        let other = same.replace("sub: a", other);
        assert!(!told(&pair(&other)).iter().any(|fault| fault.starts_with("13")), "{other}");
    }
    assert_eq!(
        told(&pair(&same.replace("sub: a}", "sub: a}, maxLife: 2h"))),
        ["12 environments.production.bindings[0] lint.unreachable"]
    );
}

#[test]
fn what_a_record_names_must_exist() {
    let around = enact(around(), contract());
    let warned = bound("{name: ci, oidc: {issuer: http://127.0.0.1:9000, match: {sub: a}}}");
    assert_eq!(against(&warned, &around), ["12 environments.production.bindings[0].oidc.issuer lint.plain-http"]);
    let good = integration("globex/sync", &format!("      - {ORDERS}\n"), "");
    assert_eq!(against(&good, &around), Vec::<String>::new());
    let cases = [
        ("partner: globex", "partner: acme", "3 metadata.partner record.unknown-reference"),
        ("orders-api: [", "stock-api: [", "13 environments.production.scopes.stock-api[0] record.unknown-reference"),
        ("orders:read]", "orders:gone]", "13 environments.production.scopes.orders-api[0] record.unknown-reference"),
        (
            "orders-api: [orders:read]",
            "carnet: [carnet:admin]",
            "13 environments.production.scopes.carnet[0] record.unknown-reference",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(against(&good.replace(from, to), &around), [expected]);
    }
    assert_eq!(
        against(&good.replace("orders-api: [orders:read]", "carnet: [carnet:introspect]"), &around),
        Vec::<String>::new()
    );
    let nowhere = good.replace("  production:", "  nowhere:");
    assert_eq!(against(&nowhere, &around)[0], "10 environments.nowhere record.unknown-reference");
    assert_eq!(against(&format!("{good}---\n{good}"), &around)[0], "17 metadata record.duplicate");
    let test = |expect: &str| {
        format!(
            "{good}tests: [{{claims: {{iss: https://i.example, sub: a}}, expect: {{environment: production, {expect}}}}}]\n"
        )
    };
    assert_eq!(against(&test("allow: ci"), &around), Vec::<String>::new());
    assert_eq!(against(&test("allow: other"), &around), ["14 tests[0] record.test-failed"]);
    assert_eq!(against(&test("deny: binding.no-match"), &around), ["14 tests[0] record.test-failed"]);
}

#[test]
fn an_audience_belongs_to_one_api_in_one_environment() {
    let around = enact(around(), contract());
    let api = |audience: &str| {
        format!(
            "apiVersion: carnet/v1\nkind: Api\nmetadata: {{name: stock-api}}\nowner: t\naudience: {audience}\n\
             scopes: {{s:r: {{meaning: See, risk: low}}}}\n"
        )
    };
    assert_eq!(against(&api("{production: https://stock.example}"), &around), Vec::<String>::new());
    for taken in [
        "https://orders.acme.example",
        "https://sts.acme.example/production",
        "https://sts.acme.example/production/token",
        "https://token.actions.example",
    ] {
        assert_eq!(
            against(&api(&format!("{{production: {taken}}}")), &around),
            ["5 audience.production record.audience-taken"],
            "{taken}"
        );
    }
    let both = api("{production: https://s.example, sandbox: https://s.example}");
    assert_eq!(against(&both, &around).len(), 2);
    let extra = |audience: &str| {
        bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{sub: a}}, audience: \"{audience}\"}}}}"))
    };
    assert_eq!(against(&extra("my-client"), &around), Vec::<String>::new());
    for taken in ["https://orders.acme.example", "https://sts.acme.example/sandbox"] {
        assert_eq!(
            against(&extra(taken), &around),
            ["12 environments.production.bindings[0] record.audience-taken"],
            "{taken}"
        );
    }
    // The same the other way round: a binding whose issuer is an audience of an API.
    let issuer = bound("{name: ci, oidc: {issuer: https://orders.acme.example, match: {sub: a}}}");
    assert_eq!(against(&issuer, &around), ["12 environments.production.bindings[0] record.audience-taken"]);
    let sandbox = extra("my-client").replace("production:", "sandbox:").replace("name: sync", "name: other");
    let around = enact(around, vec![one(&sandbox)]);
    let faults = against(&extra("my-client"), &around);
    let at = "12 environments.production.bindings[0]";
    assert_eq!(faults, [format!("{at} record.audience-taken"), format!("{at} binding.overlap")]);
}

#[test]
fn one_proof_admits_to_one_integration() {
    let around = enact(enact(around(), contract()), vec![one(&bound(ORDERS))]);
    let other = |binding: &str| integration("globex/other", &format!("      - {binding}\n"), "");
    let overlap = ["12 environments.production.bindings[0] binding.overlap"];
    assert_eq!(against(&other(ORDERS), &around), overlap);
    // A claim that only one of them names, algorithms and key sources separate nothing.
    for loose in [
        "{name: x, oidc: {issuer: https://i.example, match: {sub: a, org: 5}}}",
        "{name: x, oidc: {issuer: https://i.example, match: {org: 5}}}",
        "{name: x, oidc: {issuer: https://i.example, match: {/sub: {oneOf: [a, b]}}}}",
        "{name: x, oidc: {issuer: https://i.example, match: {sub: a}, algs: [ES256], jwksUri: https://k.example}}",
    ] {
        assert_eq!(against(&other(loose), &around), overlap, "{loose}");
    }
    for apart in [
        ORDERS.replace("sub: a", "sub: b"),
        ORDERS.replace("i.example", "j.example"),
        "{name: x, oidc: {issuer: https://i.example, match: {org: 5, /sub: {prefix: b}}}}".to_owned(),
        "{name: x, key: {jwksUri: https://k.example}}".to_owned(),
        "{name: x, mtls: {}}".to_owned(),
    ] {
        assert_eq!(against(&other(&apart), &around), Vec::<String>::new(), "{apart}");
    }
    // Its own new version, another environment, and drafts are no overlap.
    assert_eq!(against(&bound(ORDERS), &around), Vec::<String>::new());
    assert_eq!(against(&other(ORDERS).replace("production:", "sandbox:"), &around), Vec::<String>::new());
    // Callers of APIs count.
    let caller =
        "{name: x, oidc: {issuer: \"https://kubernetes.acme.example\", match: {sub: \"system:serviceaccount:orders:api\"}}}";
    assert_eq!(against(&other(caller), &around), overlap);
    // Two records of one apply.
    let faults =
        against(&format!("{}---\n{}", other(ORDERS), integration("globex/third", &format!("      - {ORDERS}\n"), "")), &around);
    assert_eq!(faults.len(), 2);
}

/// S-6: whatever is ours is no partner's, in any spelling and any kind of binding.
#[test]
fn s_6_what_is_ours_is_no_partners() {
    let at = "12 environments.production.bindings[0] binding.own-issuer";
    let judged = |binding: &str| {
        let mut faults = against(&bound(binding), &around());
        faults.retain(|fault| fault.ends_with(" binding.own-issuer"));
        faults
    };
    let uid = "4c8e9ef1-0f2c-4a7c-9d2e-0d1b7a3c5e6f";
    for own in ["sandbox", "production", "production/", "pr%6Fduction", "production/jwks", "/production"] {
        for host in ["https://sts.acme.example", "https://STS.acme.example:443", "http://sts.acme.example"] {
            let own = format!("{host}/{own}");
            for binding in [
                format!("oidc: {{issuer: \"{own}\", match: {{sub: a}}}}"),
                format!("oidc: {{issuer: https://i.example, jwksUri: \"{own}\", match: {{sub: a}}}}"),
                format!("key: {{jwksUri: \"{own}\"}}"),
                format!("github: {{repositoryId: 1, ownerId: 2, issuer: \"{own}\"}}"),
                format!("gitlab: {{projectId: 1, namespaceId: 2, issuer: \"{own}\"}}"),
                format!("kubernetes: {{issuer: \"{own}\", namespace: shop, serviceAccountUid: {uid}}}"),
                format!("spiffe: {{id: \"spiffe://globex.example/x\", bundleUrl: \"{own}\"}}"),
            ] {
                assert_eq!(judged(&format!("{{name: ci, {binding}}}")), [at], "{binding}");
            }
        }
    }
    let spiffe = |domain: &str| judged(&format!("{{name: ci, spiffe: {{id: \"spiffe://{domain}/x\", bundle: {{keys: []}}}}}}"));
    assert_eq!(spiffe("sandbox.sts.acme.example"), [at]);
    assert_eq!(spiffe("globex.example"), Vec::<String>::new());
    for other in ["https://sts.acme.example", "https://sts.acme.example/stage", "https://sts.acme.example.evil.example/sandbox"]
    {
        assert_eq!(judged(&format!("{{name: ci, oidc: {{issuer: \"{other}\", match: {{sub: a}}}}}}")), Vec::<String>::new());
    }
}

/// S-2: where comparing would not end, the file is refused with the budget and the records that cost most.
#[test]
fn s_2_a_file_that_takes_too_much_work_is_refused_with_the_budget() {
    let budget = crate::domain::value::effort::Effort::OF_A_REQUEST.to_string();
    // Every integration compares a claim of its own: each must be held against each other one.
    let document = |at: usize| {
        let claims: Vec<_> = (0..40).map(|claim| format!("c{at}x{claim}: 1")).collect();
        let claims = format!("{}, last: {{prefix: {at}p}}", claims.join(", "));
        let binding = format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{{claims}}}}}}}");
        integration(&format!("globex/i{at}"), &format!("      - {binding}\n"), "") + "---\n"
    };
    let around = enact(around(), contract());
    let records = read("f", &(0..500).map(document).collect::<String>()).expect("each is sound");
    let faults: Vec<_> = check(&records, &around).into_iter().filter(|fault| *fault.reason == reason::RECORD_EFFORT).collect();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains(&budget) && faults[0].message.contains("globex/i"), "{}", faults[0]);
    // Of one record: bindings that are all alike in the first claim.
    let values: Vec<_> = (0..60).map(|value| format!("v{value}")).collect();
    let binding = |at: usize| {
        let more = (0..3).map(|claim| format!("d{claim}: {{oneOf: [{}, w{at}]}}", values.join(", "))).collect::<Vec<_>>();
        format!("      - {{name: b{at}, oidc: {{issuer: https://i.example, match: {{a: same, {}}}}}}}\n", more.join(", "))
    };
    let alike = integration("globex/alike", &(0..120).map(binding).collect::<String>(), "");
    let faults = read("f", &alike).expect_err("too much work");
    let fault = faults.iter().find(|fault| *fault.reason == reason::RECORD_EFFORT).expect("a fault of its own");
    assert!(fault.message.contains(&budget) && fault.at == "environments.production.bindings", "{fault}");
}

/// S-2: the tests of a record take from the same budget. A few are none of it.
#[test]
fn s_2_tests_that_take_too_much_work_are_refused_with_the_budget() {
    let claims = (0..60).map(|claim| format!("a{claim}: 1")).collect::<Vec<_>>().join(", ");
    let faults = |many: usize| {
        let binding = |at: usize| {
            format!(
                "      - {{name: b{at}, oidc: {{issuer: https://i.example, match: {{own: {{oneOf: [w{at}, y]}}, {claims}, z: x{at}}}}}}}\n"
            )
        };
        let expect = "expect: {environment: production, deny: binding.no-match}";
        let test = format!("  - {{claims: {{iss: https://i.example, own: y, {claims}, z: y}}, {expect}}}\n");
        let bindings = (0..many).map(binding).collect::<String>();
        let text = integration("globex/tested", &bindings, &format!("tests:\n{}", test.repeat(many)));
        let records = read("f", &text).expect("sound");
        let mut faults = check(&records, &enact(around(), contract()));
        faults.retain(|fault| fault.severity == Severity::Error);
        faults
    };
    assert_eq!(faults(20).len(), 0);
    let refused = faults(300);
    assert_eq!(refused.len(), 1);
    let budget = crate::domain::value::effort::Effort::OF_A_REQUEST.to_string();
    assert_eq!((refused[0].reason.code, refused[0].at.as_str()), (reason::RECORD_EFFORT.code, "tests"));
    assert!(refused[0].message.contains(&budget), "{}", refused[0]);
}

/// D-13: a large record and many neighbours are read and checked in about linear time.
#[test]
fn d_13_huge_records_take_linear_time() {
    let started = std::time::Instant::now();
    let values: Vec<_> = (0..500).map(|i| format!("\"{}{i}\"", "v".repeat(900))).collect();
    let claims: Vec<_> = (0..2).map(|i| format!("c{i}: {{oneOf: [{}]}}", values.join(", "))).collect();
    let text = bound(&format!("{{name: ci, oidc: {{issuer: https://i.example, match: {{{}}}}}}}", claims.join(", ")));
    assert!(text.len() > 900_000);
    assert_eq!(told(&text), Vec::<String>::new());
    let keys: String = (0..60_000).map(|i| format!("k{i}: 1\n")).collect();
    assert!(read("f", &keys).is_err());
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn texts_have_a_stable_order() {
    let mut records = contract();
    let counts: Vec<_> = records.iter_mut().map(|located| located.record.texts_mut().len()).collect();
    assert_eq!(counts, [1, 4, 5]);
    let texts: Vec<_> = records[2].record.texts_mut().into_iter().map(|text| text.plain().map(str::to_owned)).collect();
    assert_eq!(texts[1].as_deref(), Some("jane@acme.example"));
    assert_eq!(texts[4].as_deref(), Some("raj@acme.example"));
}

/// Whatever is cut out of or put into a file, it is read or refused with a line of the file, and nothing panics; a document is
/// never dropped without a fault.
#[test]
fn broken_files_are_refused_and_never_dropped() {
    let lines: Vec<_> = CONTRACT.lines().collect();
    let mut texts: Vec<String> =
        (0..CONTRACT.len()).step_by(7).filter_map(|cut| CONTRACT.get(..cut)).map(str::to_owned).collect();
    for without in 0..lines.len() {
        let kept = lines.iter().enumerate().filter(|(i, _)| *i != without).map(|(_, line)| *line);
        texts.push(kept.collect::<Vec<_>>().join("\n"));
    }
    for (i, sign) in ["~", "[", "{", "'", "\u{0}", "&a ", "*", ": ", "- ", "\t", "#", "ä"].iter().cycle().take(1200).enumerate()
    {
        let at = i * CONTRACT.len() / 1200;
        if let (Some(head), Some(tail)) = (CONTRACT.get(..at), CONTRACT.get(at..)) {
            texts.push(format!("{head}{sign}{tail}"));
        }
    }
    for text in texts {
        let last = u32::try_from(text.lines().count() + 1).expect("few lines");
        match read("f", &text) {
            Ok(records) => {
                let documents = super::read::tree::parse(&text).expect("it was read");
                assert_eq!(records.len(), documents.len(), "{text}");
                check(&records, &around());
            }
            Err(faults) => {
                assert!(faults.iter().any(|fault| fault.severity == Severity::Error), "{text}");
                assert!(faults.iter().all(|fault| (1..=last).contains(&fault.line)), "{faults:?}");
            }
        }
    }
}
