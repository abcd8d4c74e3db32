//! Changes and what they weigh.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Record, document, read};
use super::*;
use crate::domain::examples::Examples;
use crate::domain::registry::guardrail::Mode;
use crate::domain::registry::integration::Integration;
use crate::domain::value::effort::Effort;
use crate::domain::value::yaml;

/// Differences of versions that cost little to compare.
fn compared(old: Option<&Record>, new: &Record) -> Vec<Difference> {
    compare(old, new, &mut Effort::default()).expect("little work")
}

const CONTRACT: &str = include_str!("../../../../tests/broker/fixtures/records.yaml");

fn records() -> Vec<Record> {
    read("records.yaml", CONTRACT).expect("records").into_iter().map(|located| located.record).collect()
}

fn integration() -> Integration {
    let Some(Record::Integration(integration)) = records().pop() else { panic!("an integration") };
    integration
}

/// What a textual edit of the example's file changes, as `WORD at`, of the record that changed.
fn edit(from: &str, to: &str) -> Vec<String> {
    assert!(CONTRACT.contains(from), "{from}");
    let edited = read("records.yaml", &CONTRACT.replacen(from, to, 1)).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let pairs = records().into_iter().zip(edited);
    pairs
        .flat_map(|(old, new)| compared(Some(&old), &new.record))
        .map(|difference| format!("{} {}", difference.weight.word(), difference.at))
        .collect()
}

#[test]
fn changes_weigh_what_they_do() {
    let production = "environments.production";
    let cases = [
        ("limits: {ttl: 5m", "limits: {ttl: 4m", format!("narrows {production}.limits.ttl")),
        ("limits: {ttl: 5m", "limits: {ttl: 6m", format!("WIDENS {production}.limits.ttl")),
        ("limits: {ttl: 5m, ", "limits: {", format!("WIDENS {production}.limits.ttl")),
        ("exchangesPerMinute: 60, ", "", format!("WIDENS {production}.limits.exchangesPerMinute")),
        ("exchangesPerMinute: 60", "exchangesPerMinute: 6", format!("narrows {production}.limits.exchangesPerMinute")),
        ("203.0.113.0/24", "203.0.113.128/25", format!("narrows {production}.limits.sourceCidrs")),
        ("203.0.113.0/24", "203.0.112.0/23", format!("WIDENS {production}.limits.sourceCidrs")),
        (", sourceCidrs: [203.0.113.0/24]", "", format!("WIDENS {production}.limits.sourceCidrs")),
        (
            "[refs/heads/main, refs/heads/release]",
            "[refs/heads/main]",
            format!("narrows {production}.bindings.ci-main.match.ref"),
        ),
        (
            "{oneOf: [refs/heads/main, refs/heads/release]}",
            "{prefix: refs/heads/}",
            format!("WIDENS {production}.bindings.ci-main.match.ref"),
        ),
        (
            "environment: {prefix: prod}",
            "environment: {prefix: production}",
            format!("narrows {production}.bindings.ci-main.match.environment"),
        ),
        (
            "environment: {prefix: prod}",
            "environment: {prefix: pro}",
            format!("WIDENS {production}.bindings.ci-main.match.environment"),
        ),
        ("            environment: {prefix: prod}\n", "", format!("WIDENS {production}.bindings.ci-main.match.environment")),
        (
            "            environment: {prefix: prod}\n",
            "            environment: {prefix: prod}\n            run: x\n",
            format!("narrows {production}.bindings.ci-main.match.run"),
        ),
        ("singleUse: true", "singleUse: false", format!("WIDENS {production}.bindings.ci-main.singleUse")),
        ("maxLife: 1h", "maxLife: 2h", format!("WIDENS {production}.bindings.ci-main.maxLife")),
        ("maxLife: 1h", "maxLife: 30m", format!("narrows {production}.bindings.ci-main.maxLife")),
        ("maxLife: 1h", "maxAge: 30m", format!("narrows {production}.bindings.ci-main.maxAge")),
        ("maxLife: 1h", "algs: [ES256, RS256, PS256, EdDSA]", format!("narrows {production}.bindings.ci-main.algs")),
        ("maxLife: 1h", "audience: other", format!("WIDENS {production}.bindings.ci-main.audience")),
        ("maxLife: 1h", "typ: [at+jwt]", format!("WIDENS {production}.bindings.ci-main.typ")),
        (
            "https://globex.example/jwks.json",
            "https://globex.example/jwks2.json",
            format!("WIDENS {production}.bindings.batch-host.keys"),
        ),
        ("      - name: data-centre\n        mtls: {}", "", format!("narrows {production}.bindings.data-centre")),
        (
            "[orders:read, orders:write]",
            "[orders:read]",
            "narrows environments.sandbox.scopes.orders-api.orders:write".to_owned(),
        ),
        (
            "[GET /v1/orders, \"GET /v1/orders/{id}\"]",
            "[GET /v1/orders]",
            format!("narrows {production}.scopes.orders-api.orders:read.allow"),
        ),
        (
            "[GET /v1/orders, ",
            "[GET /v1/orders, GET /v1/all, ",
            format!("WIDENS {production}.scopes.orders-api.orders:read.allow"),
        ),
        ("max: 1h", "max: 2h", format!("WIDENS {production}.elevation.orders-api.orders:write.max")),
        ("count: 1", "count: 2", format!("narrows {production}.elevation.orders-api.orders:write.approvers")),
        (
            "role: security, count",
            "role: owner, count",
            format!("WIDENS {production}.elevation.orders-api.orders:write.approvers"),
        ),
        (
            "require: [reason, ticket]",
            "require: [reason]",
            format!("WIDENS {production}.elevation.orders-api.orders:write.require"),
        ),
        ("Mon-Fri 06", "Mon-Fri 07", format!("WIDENS {production}.elevation.orders-api.orders:write.window")),
        ("ends: 2027-11-30", "ends: 2027-10-30", "narrows contract.ends".to_owned()),
        ("ends: 2027-11-30", "ends: 2028-11-30", "WIDENS contract.ends".to_owned()),
        ("starts: 2026-12-01", "starts: 2026-11-01", "WIDENS contract.starts".to_owned()),
        ("application: raj@", "application: eve@", "WIDENS owners.application".to_owned()),
        ("purpose: Copies", "purpose: Moves", "WIDENS purpose".to_owned()),
        ("every: 90d", "every: 30d", "narrows review.every".to_owned()),
        ("onSilence: suspend", "onSilence: report", "WIDENS review.onSilence".to_owned()),
        ("trigger: contract-end", "trigger: manual", "WIDENS offboarding.trigger".to_owned()),
        ("ttl: 5m}      ", "ttl: 4m}      ", "WIDENS token".to_owned()),
        ("risk: high", "risk: low", "WIDENS scopes.orders:write.risk".to_owned()),
        ("sandbox: https://orders.sandbox", "sandbox: https://orders2.sandbox", "WIDENS audience.sandbox".to_owned()),
        ("orders:api\"", "orders:api2\"", "WIDENS callers.production.gateway".to_owned()),
        ("contact: ops@", "contact: eve@", "WIDENS offboarding.contact".to_owned()),
        ("dataClasses: [customer-address]\n", "", "WIDENS dataClasses".to_owned()),
        ("[customer-address]", "[customer-address, payroll]", "WIDENS dataClasses".to_owned()),
        ("domains: [globex.example]", "domains: [globex.example, globex.test]", "WIDENS domains".to_owned()),
        ("ends: 2027-02-28", "ends: 2027-01-28", "WIDENS exceptions.legacy SFTP key.ends".to_owned()),
        ("expires: 2027-11-01", "expires: 2027-10-01", "narrows verification.expires".to_owned()),
        ("by: jane@", "by: eve@", "WIDENS verification.by".to_owned()),
        ("technical: ops@", "technical: dev@", "WIDENS contacts.technical".to_owned()),
        ("ref: refs/heads/dev", "ref: refs/heads/other", "neutral tests".to_owned()),
    ];
    for (from, to, expected) in cases {
        assert_eq!(edit(from, to), [expected], "{from} → {to}");
    }
    assert_eq!(edit("kind: Api", "kind: Api"), Vec::<String>::new());
}

#[test]
fn the_riskiest_stands_first_and_new_records_widen() {
    let mut new = integration();
    new.exceptions.clear();
    new.tests.clear();
    new.limits_of("production").ttl = None;
    new.contract.ends = new.contract.starts.plus(crate::domain::value::clock::Seconds::days(1));
    let differences = compared(Some(&Record::Integration(integration())), &Record::Integration(new));
    let weights: Vec<_> = differences.iter().map(|difference| difference.weight).collect();
    assert_eq!(weights, [Weight::Widens, Weight::Widens, Weight::Narrows, Weight::Neutral]);
    assert!(!is_provably_narrowing(&differences) && !is_provably_narrowing(&[]), "without a difference nothing is proved");
    assert!(is_provably_narrowing(&differences[2..]));
    for record in records() {
        let differences = compared(None, &record);
        assert!(!is_provably_narrowing(&differences));
        assert_eq!(compared(Some(&record), &record), []);
    }
}

/// An end is told as one that expires within 60 days of it, unless the change widens; it weighs the same all the time.
#[test]
fn an_end_that_comes_soon_is_told() {
    let day = |days: u32| crate::domain::value::clock::Seconds::days(days);
    let old = integration();
    let ends = old.contract.ends;
    let told = |from: Option<&Integration>, new: &Integration, days: u32| {
        let old = from.cloned().map(Record::Integration);
        let found = compared(old.as_ref(), &Record::Integration(new.clone()));
        let one = found.iter().find(|one| one.at == "contract.ends").expect("an end");
        (one.weight, one.told(new.contract.ends.minus(day(days))))
    };
    assert_eq!(told(None, &old, 60), (Weight::Neutral, Weight::Expires));
    assert_eq!(told(None, &old, 61), (Weight::Neutral, Weight::Neutral));
    let mut new = old.clone();
    new.contract.ends = ends.minus(day(1));
    assert_eq!(told(Some(&old), &new, 60), (Weight::Narrows, Weight::Expires));
    assert_eq!(told(Some(&old), &new, 61), (Weight::Narrows, Weight::Narrows));
    assert_eq!(told(Some(&new), &old, 1), (Weight::Widens, Weight::Widens));
}

impl Integration {
    fn limits_of(&mut self, environment: &str) -> &mut crate::domain::registry::integration::Limits {
        &mut self.environments.get_mut(environment).expect("an environment").limits
    }
}

/// The records of the example's file, and one of each kind that says all that it can and one that says as little as it may.
fn examples() -> Vec<Record> {
    let examples = Examples::plain();
    let mut all = records();
    all.extend([Record::Api(examples.api()), Record::Api(examples.small_api()), Record::Partner(examples.partner("globex"))]);
    all.extend([Record::Integration(examples.integration()), Record::Integration(examples.small_integration())]);
    all
}

/// Every field of every record counts: whatever value is changed, taken away or put in, there is a difference, and one on the way back;
/// and if one way is narrowing, the other is not.
#[test]
fn no_change_goes_unseen() {
    let (mut seen, mut exported) = (0, 0);
    let examples = examples();
    let known = known(&examples);
    for record in &examples {
        let json = to_json(record);
        for pointer in pointers(&json) {
            let read = changes(&json, &pointer, &known).into_iter().filter_map(|changed| from_json(record, changed));
            let news: Vec<Record> = read.filter(|new| new != record).collect();
            let is_whole = json.pointer(&pointer).is_some_and(|value| value.is_object() || value.is_array());
            assert!(is_whole || !news.is_empty(), "nothing was changed at {pointer}");
            for new in news {
                seen += 1;
                let (there, back) = (compared(Some(record), &new), compared(Some(&new), record));
                assert!(!there.is_empty() && !back.is_empty(), "{pointer}: {}", to_json(&new));
                let narrows = there.iter().any(|difference| difference.weight == Weight::Narrows);
                assert!(!(narrows && is_provably_narrowing(&there) && is_provably_narrowing(&back)), "{pointer}");
                exported += usize::from(comes_back(&new));
            }
        }
    }
    assert!(seen > 2000 && exported > 800, "{seen}, {exported}");
    let guardrails = [Mode::Enforce, Mode::Shadow].map(|mode| Record::Guardrail(Examples::plain().guardrail(mode)));
    assert!(records().iter().chain(&guardrails).all(comes_back));
}

/// Exports a record: one that an author could have written is read as the same record again.
fn comes_back(record: &Record) -> bool {
    let exported = |record: &Record| read("export", &yaml::write(&document(record)));
    let Ok(known) = exported(record) else { return false };
    let again = exported(&known[0].record).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!((again.len(), &again[0].record), (1, &known[0].record));
    known[0].record == *record
}

fn to_json(record: &Record) -> Value {
    match record {
        Record::Api(api) => serde_json::to_value(api),
        Record::Partner(partner) => serde_json::to_value(partner),
        Record::Guardrail(guardrail) => serde_json::to_value(guardrail),
        Record::Integration(integration) => serde_json::to_value(integration),
    }
    .expect("JSON")
}

fn from_json(like: &Record, json: Value) -> Option<Record> {
    match like {
        Record::Api(_) => serde_json::from_value(json).ok().map(Record::Api),
        Record::Partner(_) => serde_json::from_value(json).ok().map(Record::Partner),
        Record::Guardrail(_) => serde_json::from_value(json).ok().map(Record::Guardrail),
        Record::Integration(_) => serde_json::from_value(json).ok().map(Record::Integration),
    }
}

fn pointers(value: &Value) -> Vec<String> {
    let below = |step: String, value: &Value| {
        let step = format!("/{}", step.replace('~', "~0").replace('/', "~1"));
        std::iter::once(step.clone())
            .chain(pointers(value).into_iter().map(move |rest| format!("{step}{rest}")))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(members) => members.iter().flat_map(|(name, value)| below(name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().flat_map(|(i, value)| below(i.to_string(), value)).collect(),
        _ => Vec::new(),
    }
}

/// The name of the field that a pointer leads to; of an item that of its list.
fn field(pointer: &str) -> &str {
    let is_name = |step: &&str| step.parse::<usize>().is_err();
    pointer.rsplit('/').find(is_name).unwrap_or_default()
}

/// Every value that stands somewhere, by the name of its field: what one of them may be, another may be.
fn known(records: &[Record]) -> BTreeMap<String, Vec<Value>> {
    let mut known: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for json in records.iter().map(to_json) {
        for pointer in pointers(&json) {
            let (values, value) =
                (known.entry(field(&pointer).to_owned()).or_default(), json.pointer(&pointer).expect("a value"));
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
    }
    known
}

/// The document with one value changed, with it taken away, and with each in its place that stands in such a field elsewhere.
fn changes(json: &Value, pointer: &str, known: &BTreeMap<String, Vec<Value>>) -> Vec<Value> {
    let with = |new: Value| {
        let mut changed = json.clone();
        *changed.pointer_mut(pointer).expect("a value") = new;
        changed
    };
    let mut all: Vec<Value> = known.get(field(pointer)).into_iter().flatten().cloned().map(with).collect();
    all.push(with(match json.pointer(pointer).expect("a value").clone() {
        Value::String(text) => json!(format!("{text}0")),
        Value::Number(number) => json!(number.as_i64().expect("an integer") + 60),
        Value::Bool(flag) => json!(!flag),
        other => other,
    }));
    let mut without = json.clone();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    match without.pointer_mut(parent).expect("a parent") {
        Value::Object(members) => drop(members.remove(&last.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(last.parse().expect("an index"))),
        _ => {}
    }
    all.push(without);
    all
}

/// A `key` binding takes three types where it lists none, and only those that it lists where it lists some: to drop the last listed one
/// admits more.
#[test]
fn the_types_of_a_key_binding_are_weighed_by_what_it_takes() {
    let with = |typ: &str| {
        let key = r#"key: {jwksUri: "https://globex.example/jwks.json""#;
        assert!(CONTRACT.contains(key));
        let text = CONTRACT.replacen(key, &format!("{key}{typ}"), 1);
        read("records.yaml", &text).unwrap_or_else(|faults| panic!("{faults:#?}")).pop().expect("an integration").record
    };
    let weights = |old: &str, new: &str| {
        let found = compared(Some(&with(old)), &with(new));
        found.iter().map(|difference| difference.weight.word()).collect::<Vec<_>>()
    };
    let (none, one) = ("", ", typ: [client-authentication+jwt]");
    assert_eq!(weights(one, none), ["WIDENS"; 2], "JWT and no type at all are taken again");
    assert_eq!(weights(none, one), ["narrows"; 2]);
    assert_eq!(weights(one, ", typ: [at+jwt]"), ["WIDENS", "narrows"]);
}

/// Production bindings of the example's integration, each in a line of YAML.
fn bindings(lines: &[&str]) -> Record {
    let text: String = lines.iter().map(|line| format!("      - {{{line}}}\n")).collect();
    let head = "apiVersion: carnet/v1\nkind: Integration\nmetadata: {partner: globex, name: sync}\npurpose: Copies orders.\n\
        owners: {business: a@x.example, application: b@x.example}\ncontract: {ref: M-1, starts: 2026-12-01, ends: 2027-11-30}\n\
        review: {every: 90d, onSilence: suspend}\noffboarding: {trigger: contract-end, contact: c@x.example}\nenvironments:\n  \
        production:\n    bindings:\n";
    let yaml = format!("{head}{text}    scopes: {{orders-api: [orders:read]}}\n");
    read("test.yaml", &yaml).unwrap_or_else(|faults| panic!("{faults:#?}")).remove(0).record
}

/// All bindings of an environment say together what is taken and how: what is taken away from one may meet another that asks for less.
#[test]
fn what_is_taken_from_the_stricter_of_two_bindings_widens() {
    let oidc = |name: &str, matches: &str, rest: &str| {
        format!(r#"name: {name}, oidc: {{issuer: "https://i.example", match: {{{matches}}}{rest}}}"#)
    };
    let strict = oidc("a", "repo: x, ref: main", ", maxAge: 5m, maxLife: 10m, algs: [ES256]");
    let narrower = oidc("a", "repo: x, ref: main, run: y", ", maxAge: 5m, maxLife: 10m, algs: [ES256]");
    let same = oidc("b", "repo: x", ", maxAge: 5m, maxLife: 10m, algs: [ES256]");
    let laxer = [
        oidc("b", "repo: x", ", maxAge: 5m, maxLife: 10m, algs: [ES256], singleUse: false"),
        oidc("b", "repo: x", ", maxAge: 6m, maxLife: 10m, algs: [ES256]"),
        oidc("b", "repo: x", ", maxLife: 10m, algs: [ES256]"),
        oidc("b", "repo: x", ", maxAge: 5m, maxLife: 11m, algs: [ES256]"),
        oidc("b", "repo: x", ", maxAge: 5m, maxLife: 10m, algs: [ES256, RS256]"),
        oidc("b", "repo: x", ", maxAge: 5m, maxLife: 10m, algs: [ES256], typ: [at+jwt]"),
        oidc("b", "repo: x", ", maxAge: 5m, maxLife: 10m, algs: [ES256], audience: \"urn:other\""),
        oidc("b", "repo: {oneOf: [x, y]}, ref: {prefix: ma}", ", singleUse: false, maxAge: 5m"),
    ];
    let narrows = |old: &[&str], new: &[&str]| is_provably_narrowing(&compared(Some(&bindings(old)), &bindings(new)));
    for lax in &laxer {
        assert!(!narrows(&[&strict, lax], &[lax]), "removed beside {lax}");
        assert!(!narrows(&[&strict, lax], &[&narrower, lax]), "narrowed beside {lax}");
        assert!(narrows(&[&strict, lax], &[&strict]), "the laxer one may go: {lax}");
        // Used once where it was used again takes no proof away.
        let again = oidc("a", "repo: x, ref: main", ", maxAge: 5m, maxLife: 10m, algs: [ES256], singleUse: false");
        assert!(narrows(&[&again, lax], &[&strict, lax]), "{lax}");
    }
    assert!(narrows(&[&strict, &same], &[&same]), "as strict");
    assert!(narrows(&[&strict, &same], &[&narrower, &same]));
    for apart in [
        oidc("b", "repo: x, ref: dev", ", singleUse: false, maxAge: 30m"),
        oidc("b", "repo: x, /ref: dev", ", singleUse: false, maxAge: 30m"),
        oidc("b", "repo: x", ", singleUse: false, maxAge: 30m").replace("i.example", "j.example"),
        "name: b, mtls: {}".to_owned(),
        r#"name: b, key: {jwksUri: "https://globex.example/jwks.json", maxLife: 1h}"#.to_owned(),
    ] {
        assert!(narrows(&[&strict, &apart], &[&apart]), "no proof meets both: {apart}");
    }
    // Two keys of the partner's own: the old one goes at once, unless what stays takes more.
    let key = |name: &str, rest: &str| format!(r#"name: {name}, key: {{jwksUri: "https://globex.example/{name}.json"{rest}}}"#);
    assert!(narrows(&[&key("old", ""), &key("new", "")], &[&key("new", "")]));
    assert!(!narrows(&[&key("old", ""), &key("new", ", maxLife: 1h")], &[&key("new", ", maxLife: 1h")]));
}

/// A scope of the contract is never elevated: to remove its rule lets an elevation to more endpoints count.
#[test]
fn a_scope_that_leaves_the_contract_may_be_elevated_to_more() {
    let with = |scopes: &str, allow: &str| {
        let text = CONTRACT
            .replacen("        - scope: orders:read\n          allow: [GET /v1/orders, \"GET /v1/orders/{id}\"]\n", scopes, 1)
            .replacen("        allow: [\"PATCH /v1/orders/{id}/status\"]\n", allow, 1);
        read("records.yaml", &text).unwrap_or_else(|faults| panic!("{faults:#?}")).pop().expect("an integration").record
    };
    let (read, write) =
        ("        - scope: orders:read\n", "        - {scope: orders:write, allow: [\"PATCH /v1/orders/{id}/status\"]}\n");
    let both = format!("{read}{write}");
    let narrows = |allow: &str| is_provably_narrowing(&compared(Some(&with(&both, allow)), &with(read, allow)));
    assert!(narrows("        allow: [\"PATCH /v1/orders/{id}/status\"]\n"));
    assert!(!narrows("        allow: [\"PATCH /v1/orders/{id}/status\", \"DELETE /v1/orders/{id}\"]\n"));
    assert!(!narrows(""));
}

/// S-2: rules of many values are compared by steps that count values, and those that ask as much are not compared at all.
#[test]
fn values_are_counted_and_renamed_bindings_cost_little() {
    const TEN: &str = ", maxLife: 10m";
    const MORE: &str = ", maxLife: 11m";
    let values =
        |from: usize, count: usize| (from..from + count).map(|value| format!("v{value}")).collect::<Vec<_>>().join(", ");
    let line = |name: String, from: usize, count: usize, rest: &str| {
        let values = values(from, count);
        format!(r#"name: {name}, oidc: {{issuer: "https://i.example", match: {{id: {{oneOf: [{values}]}}}}{rest}}}"#)
    };
    let many = |name: &str, rest: &str| {
        let lines: Vec<_> = (0..300).map(|at| line(format!("{name}{at}"), at * 100, 100, rest)).collect();
        bindings(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let spent = |old: &Record, new: &Record| {
        let mut effort = Effort::default();
        let found = compare(Some(old), new, &mut effort);
        (found.map(|found| found.len()), effort.spent())
    };
    let (old, renamed, lax) = (many("a", TEN), many("b", TEN), many("b", MORE));
    let (found, steps) = spent(&old, &renamed);
    assert!(found == Ok(600) && steps < 300 * 300 * 30, "{found:?} {steps}");
    // Each of the new ones asks for less, and each must be held against each other one, value by value.
    let (found, steps) = spent(&old, &lax);
    assert!(found.is_err() && steps > Effort::OF_A_REQUEST, "{found:?} {steps}");
    let wide = |name: &str, from, rest: &str| bindings(&[&line(name.to_owned(), from, 500, rest)]);
    let (found, steps) = spent(&wide("a", 0, TEN), &wide("b", 5000, MORE));
    assert!(found == Ok(2) && (500..5000).contains(&steps), "{found:?} {steps}");
    let (found, steps) = spent(&wide("a", 0, TEN), &wide("a", 5000, TEN));
    assert!(found == Ok(1) && (1000..5000).contains(&steps), "{found:?} {steps}");
}

/// What differs without a difference that was weighed is not known to narrow, and so widens.
#[test]
fn an_empty_list_of_differences_never_narrows() {
    let found = super::found::Found::default();
    assert!(found.widens(&1, &2) && !found.widens(&1, &1));
    // A record that names the quota of all in place of none: it counts the same, and differs.
    let with = |quota| {
        let mut record = integration();
        record.limits_of("production").exchanges_per_minute = quota;
        record
    };
    let (none, same) = (with(None), with(Some(600)));
    let differences = compared(Some(&Record::Integration(none.clone())), &Record::Integration(same.clone()));
    assert_eq!(differences, []);
    assert!(!is_provably_narrowing(&differences));
    let access = |record: &Integration| record.environments.get("production").expect("one").clone();
    assert!(widens_access(Some(&access(&none)), &access(&same), &mut Effort::default()));
}

/// S-2: what was not compared to its end widens.
#[test]
fn without_steps_everything_widens() {
    let integration = integration();
    let access = integration.environments.values().next().expect("an environment");
    assert!(!widens_access(Some(access), access, &mut Effort::default()));
    assert!(widens_access(Some(access), access, &mut Effort::of(0)));
}
