//! The description of the admin API against the one that was written by hand, which is kept as `tests/golden/openapi.json`.
//!
//! What clients read there stays true: each path, method, parameter, status and member. A route may be added, and an answer may say more:
//! further members, a shape where there was none, fewer words or types than it could have had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use carnet::http::admin::listed;

use crate::world::description::{DESCRIBED, resolved};

static GOLDEN: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("../golden/openapi.json")).expect("JSON"));

/// Where the description differs from the one that was written by hand, and why.
const DIFFERENCES: [(&str, &str); 31] = [
    ("get /openapi.json: status 304 is new or gone", "it was answered to a matching If-None-Match and not described"),
    (
        r#"post /v1/approvals/{id}/reviews 200: not required any more ["openSlots", "slots"]"#,
        "an elevation that is reviewed there is answered as the elevations show it, and those have no slots",
    ),
    ("get /v1/journal/at: a new parameter partner in query", "it may be asked about one partner"),
    ("get /v1/partners: a new parameter state in query", "it was taken and not described"),
    ("post /v1/records/apply: a new parameter Carnet-Refuses in header", "guardrails came; it may be left out"),
    ("post /v1/records/apply: a new parameter Carnet-Unknown in header", "the same"),
    (
        r#"post /v1/records/apply 200.approvals[]: not required any more ["requestedBy", "reviews", "slots", "state"]"#,
        "an apply tells of an approval that it opened what the next reviewer needs, and was never the whole approval",
    ),
    (OPENED[0], "the same"),
    (
        r#"post /v1/records/plan 200.approvals[]: not required any more ["requestedBy", "reviews", "slots", "state"]"#,
        "the same shape as an apply's",
    ),
    (OPENED[1], "the same"),
    (
        r#"post /v1/revocations request: other alternatives than {"api", "binding", "certificate", "environment", "integration", "issuer", "key", "partner", "token"}"#,
        "the list lacked the elevation; that exactly one is named is said in words",
    ),
    ("post /v1/integrations/{p}/{i}/resume request: a new member suspensions", "some suspensions may be named"),
    ("post /v1/integrations/{p}/{i}/resume: status 201 is new or gone", "it answers with the approval that it made"),
    ("post /v1/integrations/{p}/{i}/resume: status 202 is new or gone", "the same"),
    ("post /v1/integrations/{p}/{i}/suspend request: a new member environments", "some environments may be named"),
    ("post /v1/integrations/{p}/{i}/suspend: status 200 is new or gone", "the same as the next"),
    ("post /v1/integrations/{p}/{i}/suspend: status 201 is new or gone", "it answers with the suspension that it made"),
    ("post /v1/partners/{p}/resume request: a new member suspensions", "some suspensions may be named"),
    ("post /v1/partners/{p}/resume: status 201 is new or gone", "it answers with the approval that it made"),
    ("post /v1/partners/{p}/resume: status 202 is new or gone", "the same"),
    ("post /v1/partners/{p}/suspend request: a new member environments", "some environments may be named"),
    ("post /v1/partners/{p}/suspend: status 200 is new or gone", "the same as the next"),
    ("post /v1/partners/{p}/suspend: status 201 is new or gone", "it answers with the suspension that it made"),
    ("get /v1/partners 200.items[]: no members suspended", "it has several suspensions, in the member suspensions"),
    ("get /v1/partners/{p} 200: no members suspended", "the same"),
    (
        r#"get /v1/approvals 200.items[].kind: words {"api", "change", "elevation", "enrolment", "guardrail", "integration", "lift", "partner", "resume"} became {"abort", "api", "change", "elevation", "enrolment", "environment", "erasure", "exception", "guardrail", "integration", "lift", "offboarding", "partner", "resume", "review"}"#,
        "environments and exceptions are closed by approvals, reviews are started by one, and offboardings are signed off and given up by one",
    ),
    (
        r#"get /v1/approvals/{id} 200.kind: words {"api", "change", "elevation", "enrolment", "guardrail", "integration", "lift", "partner", "resume"} became {"abort", "api", "change", "elevation", "enrolment", "environment", "erasure", "exception", "guardrail", "integration", "lift", "offboarding", "partner", "resume", "review"}"#,
        "environments and exceptions are closed by approvals, reviews are started by one, and offboardings are signed off and given up by one",
    ),
    (
        r#"post /v1/approvals/{id}/reviews 200.kind: words {"api", "change", "elevation", "enrolment", "guardrail", "integration", "lift", "partner", "resume"} became {"abort", "api", "change", "elevation", "enrolment", "environment", "erasure", "exception", "guardrail", "integration", "lift", "offboarding", "partner", "resume", "review"}"#,
        "environments and exceptions are closed by approvals, reviews are started by one, and offboardings are signed off and given up by one",
    ),
    (
        r#"post /v1/records/apply 200.approvals[].kind: words {"api", "change", "elevation", "enrolment", "guardrail", "integration", "lift", "partner", "resume"} became {"abort", "api", "change", "enrolment", "environment", "erasure", "exception", "guardrail", "integration", "lift", "offboarding", "partner", "resume", "review"}"#,
        "environments and exceptions are closed by approvals, reviews are started by one, and offboardings are signed off and given up by one",
    ),
    (
        r#"post /v1/records/plan 200.approvals[].kind: words {"api", "change", "elevation", "enrolment", "guardrail", "integration", "lift", "partner", "resume"} became {"abort", "api", "change", "enrolment", "environment", "erasure", "exception", "guardrail", "integration", "lift", "offboarding", "partner", "resume", "review"}"#,
        "environments and exceptions are closed by approvals, reviews are started by one, and offboardings are signed off and given up by one",
    ),
    (
        r#"get /v1/whoami 200.roles[]: words {"administrator", "auditor", "owner", "security"} became {"administrator", "auditor", "owner", "reporter", "security"}"#,
        "a machine may send signals",
    ),
];

/// The members that an approval has in the answer to a plan or an apply no more, for it never had them there.
const OPENED: [&str; 2] = [
    "post /v1/records/apply 200.approvals[]: no members state, requestedBy, slots, reviews, asked, reason, barred, record, \
     differences, warnings, applied, submitted, waitsFor, stopped, integration, enrolment",
    "post /v1/records/plan 200.approvals[]: no members state, requestedBy, slots, reviews, asked, reason, barred, record, \
     differences, warnings, applied, submitted, waitsFor, stopped, integration, enrolment",
];

/// The places of an actor, who may be the people directory since there is one.
const ACTORS: [&str; 19] = [
    "get /v1/approvals 200.items[].requestedBy",
    "get /v1/approvals 200.items[].applied.by",
    "get /v1/approvals 200.items[].submitted.by",
    "get /v1/approvals 200.items[].stopped.by",
    "get /v1/approvals/{id} 200.requestedBy",
    "get /v1/approvals/{id} 200.applied.by",
    "get /v1/approvals/{id} 200.submitted.by",
    "get /v1/approvals/{id} 200.stopped.by",
    "post /v1/approvals/{id}/reviews 200.requestedBy",
    "post /v1/approvals/{id}/reviews 200.applied.by",
    "post /v1/approvals/{id}/reviews 200.submitted.by",
    "post /v1/approvals/{id}/reviews 200.stopped.by",
    "get /v1/elevations 200.items[].requestedBy",
    "post /v1/elevations 201.items[].requestedBy",
    "get /v1/elevations/{id} 200.requestedBy",
    "post /v1/elevations/{id}/end 200.requestedBy",
    "post /v1/elevations/{id}/reviews 200.requestedBy",
    "get /v1/revocations 200.items[].by",
    "get /v1/revocations/{id} 200.by",
];

#[test]
fn the_description_keeps_what_it_said() {
    let mut found = Vec::new();
    for (path, methods) in GOLDEN["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let now = &DESCRIBED["paths"][path][method];
            operations(&format!("{method} {path}"), operation, now, &mut found);
        }
    }
    let actors =
        ACTORS.map(|place| format!(r#"{place}: other alternatives than {{"broker", "id", "integration", "iss", "operator"}}"#));
    let known = DIFFERENCES.iter().map(|(difference, _)| *difference).chain(actors.iter().map(String::as_str));
    let known: Vec<&str> = known.collect();
    let more: Vec<_> = found.iter().filter(|difference| !known.contains(&difference.as_str())).collect();
    let gone: Vec<_> = known.iter().filter(|known| !found.iter().any(|found| found == *known)).collect();
    assert!(more.is_empty() && gone.is_empty(), "not listed: {more:#?}\nlisted, and no difference any more: {gone:#?}");
    for part in ["info", "security", "openapi"] {
        assert_eq!(DESCRIBED[part], GOLDEN[part], "{part}");
    }
    assert_eq!(DESCRIBED["components"]["securitySchemes"], GOLDEN["components"]["securitySchemes"]);
}

#[test]
fn a_01_the_description_has_exactly_the_routes() {
    let mut found = BTreeSet::new();
    for (path, methods) in DESCRIBED["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            assert!(found.insert((method.clone(), path.clone())));
            let named = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
            let named: Vec<_> = named.map(|one| format!("{{{}}}", one["name"].as_str().expect("a name"))).collect();
            let parts: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
            assert_eq!(named, parts, "{method} {path}");
            let is_open = operation["security"] == json!([]);
            assert_eq!(operation["x-roles"].is_array(), !is_open, "{method} {path}");
            assert_eq!(is_open, path == "/openapi.json", "only the description takes no bearer");
        }
    }
    let built: BTreeSet<_> = listed().into_iter().map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(found, built);
    let names =
        DESCRIBED["paths"].as_object().expect("paths").values().flat_map(|methods| methods.as_object().expect("methods"));
    let names: Vec<_> = names.map(|(_, operation)| operation["operationId"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{names:?}");
}

/// What is compared of a schema: shape, not words.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Request,
    Answer,
}

fn operations(at: &str, golden: &Value, now: &Value, found: &mut Vec<String>) {
    if now.is_null() {
        found.push(format!("{at}: gone"));
        return;
    }
    for part in ["operationId", "x-roles", "security"] {
        if golden[part] != now[part] {
            found.push(format!("{at}: {part} {} became {}", golden[part], now[part]));
        }
    }
    let (golden, now) = (resolved(golden, &GOLDEN), resolved(now, &DESCRIBED));
    let (golden_parameters, parameters) = (parameters(&golden), parameters(&now));
    for (name, parameter) in &golden_parameters {
        match parameters.get(name) {
            None => found.push(format!("{at}: no parameter {name}")),
            Some(now) if parameter != now => found.push(format!("{at}: parameter {name} {parameter} became {now}")),
            Some(_) => {}
        }
    }
    let more = parameters.keys().filter(|name| !golden_parameters.contains_key(*name));
    found.extend(more.map(|name| format!("{at}: a new parameter {name}")));
    contents(&format!("{at} request"), (&golden["requestBody"], &now["requestBody"]), Side::Request, found);
    let statuses = |operation: &Value| operation["responses"].as_object().expect("answers").keys().cloned().collect();
    let (old, new): (BTreeSet<String>, BTreeSet<String>) = (statuses(&golden), statuses(&now));
    found.extend(old.symmetric_difference(&new).map(|status| format!("{at}: status {status} is new or gone")));
    for status in old.intersection(&new) {
        let (golden, now) = (&golden["responses"][status], &now["responses"][status]);
        contents(&format!("{at} {status}"), (golden, now), Side::Answer, found);
    }
}

fn parameters(operation: &Value) -> BTreeMap<String, Value> {
    let shape = |one: &Value| {
        let schema: Map<String, Value> =
            one["schema"].as_object().expect("a schema").iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        json!({"required": one["required"] == true, "schema": schema})
    };
    let name = |one: &Value| format!("{} in {}", one["name"].as_str().expect("a name"), one["in"].as_str().expect("a place"));
    operation["parameters"].as_array().into_iter().flatten().map(|one| (name(one), shape(one))).collect()
}

fn contents(at: &str, (golden, now): (&Value, &Value), side: Side, found: &mut Vec<String>) {
    let media =
        |body: &Value| -> BTreeSet<String> { body["content"].as_object().into_iter().flat_map(Map::keys).cloned().collect() };
    if media(golden) != media(now) || golden["required"] != now["required"] {
        found.push(format!("{at}: {:?} became {:?}", media(golden), media(now)));
        return;
    }
    for media in media(golden) {
        let (golden, now) = (&golden["content"][&media]["schema"], &now["content"][&media]["schema"]);
        schemas(at, golden, now, side, found);
    }
}

/// Alternatives as one object, where there was one: the members of any, of which those are required that all require.
fn one_of(golden: &Value, now: &Value) -> Value {
    let (Some(parts), true) = (now["anyOf"].as_array(), golden["properties"].is_object()) else { return now.clone() };
    let (mut members, mut required) = (Map::new(), None::<Vec<Value>>);
    for part in parts {
        for (name, schema) in part["properties"].as_object().into_iter().flatten() {
            match members.get_mut(name) {
                None => {
                    members.insert(name.clone(), schema.clone());
                }
                Some(Value::Object(known)) if known.get("type") == schema.get("type") => {
                    let mut words: Vec<Value> = known.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
                    words.extend(schema["enum"].as_array().into_iter().flatten().cloned());
                    if !words.is_empty() {
                        known.insert("enum".to_owned(), words.into());
                    }
                }
                // Of several types: only its name is compared.
                Some(known) => *known = json!({}),
            }
        }
        let own = part["required"].as_array().cloned().unwrap_or_default();
        required = Some(match required {
            None => own,
            Some(known) => known.into_iter().filter(|name| own.contains(name)).collect(),
        });
    }
    json!({"type": "object", "properties": members, "required": required})
}

fn schemas(at: &str, golden: &Value, now: &Value, side: Side, found: &mut Vec<String>) {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words = |value: &Value| -> BTreeSet<String> { value.as_array().into_iter().flatten().map(word).collect() };
    let types = |schema: &Value| match &schema["type"] {
        Value::Array(types) => words(&types.clone().into()),
        Value::String(one) => BTreeSet::from([one.clone()]),
        _ => BTreeSet::new(),
    };
    let alternatives = golden["anyOf"].as_array();
    if let Some(parts) = alternatives {
        let now = now["anyOf"].as_array().cloned().unwrap_or_default();
        let all = |of: &[Value]| -> (BTreeSet<String>, BTreeSet<String>) {
            let members = of.iter().flat_map(|one| one["properties"].as_object().into_iter().flat_map(Map::keys));
            let required = of.iter().flat_map(|one| words(&one["required"]));
            (members.cloned().collect(), required.chain(of.iter().flat_map(|one| words(&one["enum"]))).collect())
        };
        if all(parts) != all(&now) {
            found.push(format!("{at}: other alternatives than {:?}", all(parts).1));
        }
        if golden["properties"].is_null() {
            return;
        }
    }
    let now = &one_of(golden, now);
    let (old, new) = (types(golden), types(now));
    let fewer = |old: &BTreeSet<String>, new: &BTreeSet<String>| side == Side::Answer && !new.is_empty() && new.is_subset(old);
    if !old.is_empty() && !new.is_empty() && old != new && !fewer(&old, &new) {
        found.push(format!("{at}: type {old:?} became {new:?}"));
    }
    let (old, new) = (words(&golden["enum"]), words(&now["enum"]));
    if !old.is_empty() && old != new && !fewer(&old, &new) {
        found.push(format!("{at}: words {old:?} became {new:?}"));
    }
    let (old, new) = (words(&golden["required"]), words(&now["required"]));
    let lost: Vec<_> = old.difference(&new).collect();
    if !lost.is_empty() || side == Side::Request && old != new {
        found.push(format!("{at}: not required any more {lost:?}"));
    }
    let open = |schema: &Value| schema["additionalProperties"] == false;
    if side == Side::Request && open(golden) != open(now) {
        found.push(format!("{at}: unknown members"));
    }
    if golden["additionalProperties"].is_object() {
        schemas(&format!("{at}/*"), &golden["additionalProperties"], &now["additionalProperties"], side, found);
    }
    if golden["items"].is_object() {
        schemas(&format!("{at}[]"), &golden["items"], &now["items"], side, found);
    }
    if let Some(members) = golden["properties"].as_object() {
        let mut lost = Vec::new();
        for (name, golden) in members {
            match now["properties"].get(name) {
                Some(now) => schemas(&format!("{at}.{name}"), golden, now, side, found),
                None => lost.push(name.as_str()),
            }
        }
        if !lost.is_empty() {
            found.push(format!("{at}: no members {}", lost.join(", ")));
        }
        let more = now["properties"].as_object().into_iter().flat_map(Map::keys).filter(|name| !members.contains_key(*name));
        found.extend(more.filter(|_| side == Side::Request).map(|name| format!("{at}: a new member {name}")));
    }
}
