//! The files that are planned.

use std::ops::Range;

use crate::world::days::CONTRACT_ENDS;

/// No file may be larger (docs/reference/limits.md); a little less, for the last document.
const FILE: usize = (1 << 20) - 4096;

/// Integrations with one binding for one repository each, in as many files as the limit needs.
pub fn integrations(issuer: &str, numbers: Range<usize>) -> Vec<String> {
    let mut files = vec![String::new()];
    for number in numbers {
        let rule =
            format!("sub: {{prefix: \"repo:\"}}, repository_id: \"{}\", repository_owner_id: \"998877\"", 1_000_000 + number);
        let binding = format!("{{name: ci, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}, owner: [repository_owner_id]}}}}");
        if files.last().is_some_and(|file| file.len() > FILE) {
            files.push(String::new());
        }
        if let Some(file) = files.last_mut() {
            file.push_str(&integration(&format!("i{number}"), &binding, ""));
        }
    }
    files
}

fn integration(name: &str, bindings: &str, more: &str) -> String {
    format!(
        "---\n{{apiVersion: carnet/v1, kind: Integration, metadata: {{partner: globex, name: {name}}}, purpose: x,\n\
         owners: {{business: j@acme.example, application: r@acme.example}}, contract: {{ref: M, starts: 2026-01-01, ends: {CONTRACT_ENDS}}},\n\
         review: {{every: 90d, onSilence: suspend}}, offboarding: {{trigger: contract-end, contact: o@globex.example}},\n\
         environments: {{sandbox: {{bindings: [{bindings}], scopes: {{orders-api: [orders:read]}}}}}}{more}}}\n"
    )
}

/// Integrations of which each compares claims of its own, kept apart by a prefix alone: no index helps.
pub fn no_claim_in_common(issuer: &str, size: usize) -> String {
    let mut text = String::new();
    for at in 0.. {
        let claims: Vec<_> = (0..12).map(|claim| format!("c{at}x{claim}: 1")).collect();
        let rule = format!("{{issuer: \"{issuer}\", match: {{{}, sub: {{prefix: x{at}p}}}}}}", claims.join(", "));
        text += &integration(&format!("a{at}"), &format!("{{name: ci, oidc: {rule}}}"), "");
        if text.len() > size {
            break;
        }
    }
    text
}

/// One integration of many bindings that take nearly the same values of the same claims.
pub fn all_alike(issuer: &str, size: usize) -> String {
    let values: Vec<_> = (0..60).map(|value| format!("v{value}")).collect();
    let values = values.join(", ");
    let mut bindings = String::new();
    for at in 0..500 {
        let rule =
            format!("a: same, sub: {{prefix: \"x:\"}}, b: {{oneOf: [{values}, w{at}]}}, c: {{oneOf: [{values}, w{at}]}}");
        bindings += &format!("{{name: b{at}, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}}}}},\n");
        if bindings.len() > size {
            break;
        }
    }
    integration("alike", &bindings, "")
}

/// One integration of many bindings that compare many claims, and as many tests that meet all of them but the last one.
pub fn many_tests(issuer: &str) -> String {
    let claims = (0..80).map(|claim| format!("a{claim}: 1")).collect::<Vec<_>>().join(", ");
    let mut bindings = String::new();
    let mut tests = String::new();
    for at in 0..400 {
        let rule = format!("{}, {claims}, z: x{at}", own(at));
        bindings += &format!("{{name: b{at}, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}}}}},\n");
        let shown = format!("iss: \"{issuer}\", own: y, {claims}, z: y");
        tests += &format!("{{claims: {{{shown}}}, expect: {{environment: sandbox, deny: binding.no-match}}}},\n");
    }
    integration("tested", &bindings, &format!(", tests: [{tests}]"))
}

/// One integration whose bindings take long lists of values of the same claims, and a change of it whose lists share their last value
/// alone with the first: whether it narrows rests on which lists overlap.
pub fn long_lists(issuer: &str) -> Vec<String> {
    // What is in force fits an entry of the journal (64 KiB); what is planned need not.
    let version = |first: &str, size: usize| {
        let list = |claim: usize| {
            let values: Vec<_> = (0..480).map(|value| format!("{first}{:x}", value + 512 * claim)).collect();
            format!("c{claim}: {{oneOf: [{}, last]}}", values.join(", "))
        };
        let lists = (0..size).map(list).collect::<Vec<_>>().join(", ");
        let binding = |at: usize| {
            let rule = format!("{}, {lists}", own(at));
            format!("{{name: {first}{at}, oidc: {{issuer: \"{issuer}\", match: {{{rule}}}}}}},\n")
        };
        integration("lists", &(0..size).map(binding).collect::<String>(), "")
    };
    vec![version("a", 4), version("b", 16)]
}

/// A condition by which lint tells the bindings apart at once, and that one proof meets for all of them.
fn own(at: usize) -> String {
    format!("own: {{oneOf: [w{at}, y]}}")
}
